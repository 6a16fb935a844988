//! The same network twice: all daemons stock, and all daemons Kiln's. What is asked of one is asked of the other.

#![allow(dead_code, reason = "each test uses its part")]

use kiln_testkit::{Chassis, Component, Daemon, Database, Lab, Server};

/// The chassis' name in the databases.
pub const SYSTEM: &str = "hv1";

/// Another chassis, which only stands in the database.
const OTHER: &str = "chassis-add hv2 geneve 127.0.0.2";

/// A northd, a controller, and what is between them.
pub struct Deployment {
    pub lab: Lab,
    pub north: Server,
    pub south: Server,
    pub northd: Daemon,
    pub chassis: Chassis,
}

impl Deployment {
    /// A deployment of a network, with ports on its chassis and on the other one.
    #[track_caller]
    pub fn start(whose: Component, network: &str, here: &[&str], there: &[&str]) -> Deployment {
        let mut lab = Lab::new(env!("CARGO_BIN_EXE_kiln"));
        let north = lab.serve("nb", Database::Northbound);
        let south = lab.serve("sb", Database::Southbound);
        let northd = lab.northd("northd", whose, &north, &south);
        let lines = "set Open_vSwitch . external_ids:ovn-bridge-mappings=phys:br-phys\nadd-br br-phys";
        let chassis = lab.chassis("c", whose, SYSTEM, &south, lines);
        lab.ctl_lines("ovn-nbctl", &north, network);
        lab.ctl("ovn-nbctl", &north, "--wait=sb sync");
        for port in here {
            lab.plug(&chassis, port);
        }
        for port in here {
            // A localport is on every chassis, and so never up.
            if lab.ctl("ovn-nbctl", &north, &format!("lsp-get-type {port}")).trim().is_empty() {
                wait_up(&lab, &north, port, "up");
            }
        }
        if !there.is_empty() {
            lab.ctl_lines("ovn-sbctl", &south, OTHER);
        }
        for port in there {
            lab.ctl("ovn-sbctl", &south, &format!("lsp-bind {port} hv2"));
        }
        // The other chassis answers nothing, and counts as soon as it stands there.
        lab.ctl("ovn-nbctl", &north, "--wait=sb sync");
        lab.acknowledge_all(&north, &south, SYSTEM);
        Deployment { lab, north, south, northd, chassis }
    }

    /// Both deployments of a network.
    #[track_caller]
    pub fn both(network: &str, here: &[&str], there: &[&str]) -> [Deployment; 2] {
        [Component::Stock, Component::Kiln].map(|whose| Deployment::start(whose, network, here, there))
    }
}

/// Waits until `ovn-nbctl` says that a port is `up` or `down`.
#[track_caller]
pub fn wait_up(lab: &Lab, north: &Server, port: &str, state: &str) {
    kiln_testkit::wait_for(&format!("{port} to be {state}"), || {
        (lab.ctl("ovn-nbctl", north, &format!("lsp-get-up {port}")).trim() == state).then_some(())
    });
}

/// The lines of a text in order, with uuids masked: stock prints most lists in the order of a hash table.
pub fn sorted(text: &str) -> String {
    let mut lines: Vec<String> = text.lines().map(|line| masked(line.trim_end())).collect();
    lines.sort();
    lines.join("\n")
}

/// A line with `UUID` for every uuid.
fn masked(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while !rest.is_empty() {
        let candidate = rest.get(..36).unwrap_or_default();
        let is_uuid = candidate.len() == 36
            && candidate.bytes().enumerate().all(|(at, byte)| match at {
                8 | 13 | 18 | 23 => byte == b'-',
                _ => byte.is_ascii_hexdigit(),
            });
        let step = if is_uuid { 36 } else { rest.chars().next().map_or(1, char::len_utf8) };
        out.push_str(if is_uuid { "UUID" } else { &rest[..step] });
        rest = &rest[step..];
    }
    out
}
