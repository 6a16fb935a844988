//! Entry point of the fuzz target: any file is refused with reasons, or is a network that a database can be made to hold.

use crate::{Northbound, parse, plan};

/// Reads a text in both notations. A network that is read can be planned for an empty database, and is refused for no other
/// reason than the file's own.
pub fn fuzz(text: &str) {
    for name in ["net.yaml", "net.toml"] {
        match parse(name, text) {
            Ok(network) => {
                let plan = plan(&network, &Northbound::default());
                let empty = network.switches.is_empty() && network.routers.is_empty();
                assert!(plan.is_ok_and(|plan| empty || !plan.is_empty()), "{name}");
            }
            Err(problems) => {
                assert!(!problems.list.is_empty() && !problems.to_string().is_empty(), "{name}");
            }
        }
    }
}
