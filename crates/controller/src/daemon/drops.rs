//! `packet-drops/show`: what came up and was dropped, by the port that it came in by, the action and the reason.

use super::ControllerDaemon;
use super::budgets::name;
use std::collections::BTreeMap;
use std::fmt::Write as _;

impl ControllerDaemon {
    /// One line for each port and action, in order of names, with what was dropped by reason. What the switch's meters dropped never
    /// came up, and is told by `budget/show`.
    pub(super) fn show_drops(&self) -> String {
        let mut lines: BTreeMap<(String, &str), BTreeMap<&str, u64>> = BTreeMap::new();
        for (port, action, reason, dropped) in self.responder.counters().drops().iter() {
            let port = port.map_or_else(
                || "(others)".to_owned(),
                |(datapath, port)| name(self.compiler.db(), datapath, port),
            );
            let reason = reason.strip_prefix("drop_").unwrap_or(reason);
            *lines.entry((port, action)).or_default().entry(reason).or_default() += dropped;
        }
        let mut out = String::new();
        for ((port, action), reasons) in lines {
            let _ = write!(out, "{port}: {action}:");
            for (reason, dropped) in reasons {
                let _ = write!(out, " {reason}={dropped}");
            }
            out.push('\n');
        }
        out
    }
}
