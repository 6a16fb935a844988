//! What the pipeline hands up, in the classes that the switch's meters tell apart, and the tables in which it finds the meter
//! of the port that a packet came in by. These are Kiln's own; stock's tables end far below.

use crate::opcodes::Opcode;

/// A class of what is handed up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PuntClass {
    /// What is learned from, and solicitations that are answered.
    Neighbor,
    /// What an ICMP error is sent about, unreachables among them.
    Error,
    /// What is reset or rejected.
    Reset,
    /// Packets that are cut.
    Fragment,
    /// Router solicitations.
    RouterAdvert,
    /// DHCP.
    Dhcp,
    /// DNS.
    Dns,
    /// Packets whose next hop is asked for, and all others.
    Rest,
}

/// The table of the first class; the others follow.
const FIRST_TABLE: u8 = 240;

impl PuntClass {
    /// All of them.
    pub const ALL: [PuntClass; 8] = [
        PuntClass::Neighbor,
        PuntClass::Error,
        PuntClass::Reset,
        PuntClass::Fragment,
        PuntClass::RouterAdvert,
        PuntClass::Dhcp,
        PuntClass::Dns,
        PuntClass::Rest,
    ];

    /// The class of an action; `None` for what has a meter of its own.
    pub const fn of(opcode: Opcode) -> Option<PuntClass> {
        Some(match opcode {
            Opcode::LOG => return None,
            Opcode::PUT_ARP | Opcode::PUT_ND | Opcode::PUT_FDB | Opcode::ND_NA | Opcode::ND_NA_ROUTER => {
                PuntClass::Neighbor
            }
            Opcode::ICMP | Opcode::ICMP4_ERROR | Opcode::ICMP6_ERROR | Opcode::HELD_DOWN => PuntClass::Error,
            Opcode::TCP_RESET | Opcode::SCTP_ABORT | Opcode::REJECT => PuntClass::Reset,
            Opcode::FRAGMENT => PuntClass::Fragment,
            Opcode::PUT_ND_RA_OPTS => PuntClass::RouterAdvert,
            Opcode::PUT_DHCP_OPTS
            | Opcode::PUT_DHCPV6_OPTS
            | Opcode::DHCP6_SERVER
            | Opcode::DHCP_RELAY_REQ_CHK
            | Opcode::DHCP_RELAY_RESP_CHK => PuntClass::Dhcp,
            Opcode::DNS_LOOKUP => PuntClass::Dns,
            _ => PuntClass::Rest,
        })
    }

    /// The name under which its meters are shown.
    pub const fn name(self) -> &'static str {
        match self {
            PuntClass::Neighbor => "neighbor",
            PuntClass::Error => "error",
            PuntClass::Reset => "reset",
            PuntClass::Fragment => "fragment",
            PuntClass::RouterAdvert => "ra",
            PuntClass::Dhcp => "dhcp",
            PuntClass::Dns => "dns",
            PuntClass::Rest => "rest",
        }
    }

    /// The table that holds the meters of this class, by `in_port`.
    pub const fn table(self) -> u8 {
        FIRST_TABLE + self as u8
    }

    /// Whether a table is one of these.
    pub const fn has_table(table: u8) -> bool {
        table >= FIRST_TABLE && table < FIRST_TABLE + PuntClass::ALL.len() as u8
    }
}

/// The bit of `in_port` that is set where a packet may leave by the port that it came in by: no port has such a number, so
/// Open vSwitch lets the packet out, and where it came from is not forgotten.
pub const LOOPED_BIT: u16 = 15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_in_their_places_and_tables_are_free() {
        for (place, class) in PuntClass::ALL.into_iter().enumerate() {
            assert_eq!(class as usize, place);
            assert!(PuntClass::has_table(class.table()));
        }
        assert!(!PuntClass::has_table(crate::tables::LEARN_REMOTE_FDB), "the last of stock's");
        assert!(!PuntClass::has_table(0) && !PuntClass::has_table(255));
    }
}
