//! All that can be seen of what a controller does: what its switch holds, and what stands in the databases.

use kiln_testkit::accepted::{Part, faults};
use kiln_testkit::{Chassis, Database, Lab, Server, openflow, southbound};
use std::collections::BTreeSet;

/// Columns of the chassis' own database that a controller writes.
const LOCAL: &[(&str, &[&str])] = &[
    ("Open_vSwitch", &["external_ids", "other_config"]),
    ("Bridge", &["name", "datapath_type", "fail_mode", "external_ids", "other_config"]),
    ("Port", &["name", "external_ids", "other_config", "tag"]),
    ("Interface", &["name", "type", "options", "external_ids", "bfd"]),
    ("Flow_Table", &["prefixes"]),
    ("CT_Zone", &["limit"]),
];

/// Everything that is compared.
#[derive(Clone, Debug)]
pub struct Seen {
    pub tables: openflow::Tables,
    pub south: southbound::Southbound,
    pub local: BTreeSet<String>,
}

impl Seen {
    /// Looks at a chassis and the southbound database that it works on.
    #[track_caller]
    pub fn look(lab: &Lab, chassis: &Chassis, south: &Server) -> Seen {
        let mut seen = Seen {
            tables: openflow::read(lab, chassis),
            south: southbound::read(lab, south),
            local: BTreeSet::new(),
        };
        for (table, columns) in LOCAL {
            seen.local.extend(southbound::lines(lab, &chassis.server, Database::Switch, table, columns));
        }
        seen
    }

    /// Calls tunnels by where they lead: which of several that come at once gets which number means nothing.
    #[allow(dead_code, reason = "each test uses its part")]
    pub fn with_tunnels_named(mut self, lab: &Lab, chassis: &Chassis) -> Seen {
        for row in lab.rows(&chassis.server, Database::Switch, "Port") {
            let ids = row["external_ids"][1].as_array().cloned().unwrap_or_default();
            let id = ids.iter().find(|pair| pair[0] == "ovn-chassis-id").and_then(|pair| pair[1].as_str());
            let (Some(id), Some(name)) = (id, row["name"].as_str()) else { continue };
            for lines in [&mut self.tables.flows, &mut self.tables.rest, &mut self.local] {
                *lines = lines.iter().map(|line| line.replace(name, &format!("<{id}>"))).collect();
            }
        }
        self
    }

    /// Part by part, what stock's controller did and what `kiln`'s did.
    pub fn beside<'s>(&'s self, kiln: &'s Seen) -> [(Part, &'s BTreeSet<String>, &'s BTreeSet<String>); 4] {
        [
            (Part::OpenFlow, &self.tables.flows, &kiln.tables.flows),
            (Part::OpenFlow, &self.tables.rest, &kiln.tables.rest),
            (Part::Row, &self.south.rows, &kiln.south.rows),
            (Part::Chassis, &self.local, &kiln.local),
        ]
    }

    /// Whether both did the same, but for what may differ.
    pub fn is_like(&self, kiln: &Seen) -> bool {
        self.beside(kiln).iter().all(|(part, stock, kiln)| faults(*part, stock, kiln).is_empty())
    }
}
