//! What was dropped, by the port that it came in by, the action and the reason.

use crate::DropReason;
use kiln_abi::opcodes::Opcode;
use kiln_types::{DatapathKey, PortKey};
use std::collections::BTreeMap;

/// Most ports of which drops are told apart.
pub const MAX_DROP_PORTS: usize = 1024;

/// A logical port: its datapath, and its key there.
pub(crate) type Port = (DatapathKey, PortKey);

/// Drops by port. Actions and reasons are finite sets, and ports have a bound: those that find no room, and those that have gone,
/// are one, as are packets that were dropped before it was known where they came in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drops {
    ports: BTreeMap<Port, BTreeMap<(Opcode, DropReason), u64>>,
    others: BTreeMap<(Opcode, DropReason), u64>,
}

impl Drops {
    pub(crate) fn count(&mut self, port: Option<Port>, opcode: Opcode, reason: DropReason) {
        let room = self.ports.len() < MAX_DROP_PORTS;
        let port = port.filter(|port| room || self.ports.contains_key(port));
        let counts = port.map_or(&mut self.others, |port| self.ports.entry(port).or_default());
        *counts.entry((opcode, reason)).or_insert(0) += 1;
    }

    /// Forgets ports that went away; what they had dropped stays dropped.
    pub(crate) fn forget(&mut self, gone: impl Fn(DatapathKey, PortKey) -> bool) {
        let others = &mut self.others;
        self.ports.retain(|(datapath, port), counts| {
            let gone = gone(*datapath, *port);
            if gone {
                for (what, n) in counts {
                    *others.entry(*what).or_insert(0) += *n;
                }
            }
            !gone
        });
    }

    /// Each port with what it has dropped, `None` for those that are not told apart: the action's name in logical flows (`other`
    /// for opcodes that are not OVN's), the reason's name, and how often.
    pub fn iter(
        &self,
    ) -> impl Iterator<Item = (Option<(DatapathKey, PortKey)>, &'static str, &'static str, u64)> + '_ {
        let ports = self.ports.iter().map(|(port, counts)| (Some(*port), counts));
        ports.chain([(None, &self.others)]).flat_map(|(port, counts)| {
            counts.iter().map(move |((opcode, reason), n)| {
                (port, opcode.action().unwrap_or("other"), reason.name(), *n)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORT: Port = (DatapathKey(1), PortKey(2));

    #[test]
    fn ports_without_room_and_ports_that_went_are_one() {
        let mut drops = Drops::default();
        for port in 0..MAX_DROP_PORTS as u16 + 5 {
            drops.count(Some((DatapathKey(1), PortKey(port))), Opcode::ARP, DropReason::HeldDown);
        }
        drops.count(Some(PORT), Opcode::ARP, DropReason::HeldDown);
        let of = |drops: &Drops, port| -> Vec<_> {
            drops
                .iter()
                .filter(|(other, ..)| *other == port)
                .map(|(_, action, why, n)| (action, why, n))
                .collect()
        };
        assert_eq!(of(&drops, Some(PORT)), [("arp", "drop_held_down", 2)]);
        assert_eq!(of(&drops, None), [("arp", "drop_held_down", 5)]);
        drops.forget(|datapath, port| (datapath, port) == PORT);
        assert_eq!(of(&drops, Some(PORT)), []);
        assert_eq!(of(&drops, None), [("arp", "drop_held_down", 7)]);
    }
}
