//! `budget/show`: what work on packets was paid for and refused, by class and by the port that asked for it.

use super::ControllerDaemon;
use crate::tables::Db;
use kiln_responder::{Class, Level};
use kiln_types::{DatapathKey, PortKey};
use std::fmt::Write as _;

impl ControllerDaemon {
    /// One line a class with its limits, then one for each port that something was paid for or refused, in order of names; in the
    /// end what never came up, since the switch's meters of ports dropped it.
    pub(super) fn show_budgets(&self) -> String {
        let budgets = self.responder.budgets();
        let limits = self.responder.config().limits;
        let mut out = String::new();
        for class in Class::ALL {
            let _ = write!(out, "{}:", class.name());
            for level in Level::ALL.into_iter().rev() {
                match limits.of(class).at(level) {
                    None => {}
                    Some(limit) => drop(write!(out, " {}={limit}", level.name())),
                }
            }
            out.push('\n');
            let named = budgets.counts_by_port(class).map(|(port, counts)| {
                let name = port.map_or_else(
                    || "(others)".to_owned(),
                    |(datapath, port)| name(self.compiler.db(), datapath, port),
                );
                (name, counts)
            });
            let mut ports: Vec<_> = named.filter(|(_, c)| c.paid > 0 || c.refused_in_all() > 0).collect();
            ports.sort_by(|(one, _), (other, _)| one.cmp(other));
            for (name, counts) in ports {
                let _ = write!(out, "  {name}: paid={}", counts.paid);
                for level in Level::ALL.into_iter().filter(|level| counts.refused(*level) > 0) {
                    let _ = write!(out, " over_{}={}", level.name(), counts.refused(level));
                }
                out.push('\n');
            }
        }
        self.show_meter_drops(&mut out);
        out
    }
}

/// A port's name, or its keys where there is no such port any more.
pub(super) fn name(db: &Db, datapath: DatapathKey, port: PortKey) -> String {
    let row = db.datapath_keyed.peek(&datapath.0).first();
    let row = row.and_then(|row| db.port_keyed.peek(&(*row, port.0)).first());
    row.and_then(|row| db.sb.port_binding.peek(row))
        .map_or_else(|| format!("{}/{}", datapath.0, port.0), |binding| binding.logical_port.to_string())
}
