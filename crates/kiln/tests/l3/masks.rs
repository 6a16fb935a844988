//! What packets of Kiln's and of stock's may differ in, and why: the whole list.
//!
//! Everything else is compared byte for byte. An entry with `always` holds in every case; the others hold in the cases
//! that name them, and what they mask is then not asked of stock either.

/// An entry.
#[derive(Debug)]
pub struct Mask {
    /// What cases call it.
    pub name: &'static str,
    /// It needs not be named.
    pub always: bool,
    /// The frames that it is about: those with one of these fields.
    pub about: &'static [&'static str],
    /// The fields that may differ. `…` stands for everything behind the end of the shorter frame.
    pub fields: &'static [&'static str],
    /// Why.
    pub reason: &'static str,
}

/// Every entry.
pub const MASKS: &[Mask] = &[
    Mask {
        name: "identification",
        always: true,
        about: &["quoted", "flags=R", "flags=RA", "chunk=6"],
        fields: &["id", "ip.sum"],
        reason: "An identifier: whoever makes a packet chooses it (RFC 6864, 4.1).",
    },
    Mask {
        name: "length of the quote",
        always: false,
        about: &["quoted"],
        fields: &["len", "ip.sum", "icmp.sum", "quoted", "…"],
        reason: "Stock counts the Ethernet header among the 576 or 1280 bytes: RFC 1812 4.3.2.3, RFC 4443 2.4(c).",
    },
    Mask {
        name: "time to live of the quote",
        always: false,
        about: &["quoted"],
        fields: &["q.ttl", "q.ip.sum", "icmp.sum"],
        reason: "Stock quotes a packet that is too large as it would have gone on: RFC 1812 4.3.2.3.",
    },
    Mask {
        name: "reset of an acknowledgement",
        always: false,
        about: &["flags=R", "flags=RA"],
        fields: &["seq", "ack", "flags", "tcp.sum"],
        reason: "Stock acknowledges where the reset takes its number from the segment: RFC 9293 3.10.7.1.",
    },
    Mask {
        name: "reset of data",
        always: false,
        about: &["flags=RA"],
        fields: &["ack", "tcp.sum"],
        reason: "Stock acknowledges one number, however long the segment is: RFC 9293 3.10.7.1.",
    },
    Mask {
        name: "end of an unknown SCTP association",
        always: false,
        about: &["sctp"],
        fields: &["len", "ip.sum", "sctp.sum", "chunk", "data"],
        reason: "Stock aborts what has ended already: RFC 9260 8.4 (5).",
    },
    Mask {
        name: "addresses of a group's solicitation",
        always: false,
        about: &["icmp6=135/0"],
        fields: &["to", "dst", "icmp.sum"],
        reason: "Stock sends it to the group that follows from the packet's destination: RFC 4861 7.2.2.",
    },
    Mask {
        name: "addresses of the answer to a duplicate check",
        always: false,
        about: &["icmp6=136/0"],
        fields: &["to", "dst", "nd", "icmp.sum"],
        reason: "Stock answers to the unspecified address: RFC 4861 7.2.4.",
    },
];

impl Mask {
    /// The entry of a name.
    #[track_caller]
    pub fn named(name: &str) -> &'static Mask {
        MASKS.iter().find(|mask| mask.name == name).unwrap_or_else(|| panic!("no mask is called `{name}`"))
    }
}
