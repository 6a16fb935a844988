//! Random expressions: every field with every operator that it has, sets, ranges, predicates, names, all nested.

use super::Network;
use fastrand::Rng;
use kiln_logical::Expr;
use kiln_logical::expr::{Comparison, Relop};

/// Numbers that compare in every way, and their widths in bits. Those of one row overlap.
const NUMBERS: &[(&str, u32)] = &[
    ("reg0", 32),
    ("reg0[0..3]", 4),
    ("xreg0[32..35]", 4),
    ("xreg0", 64),
    ("xxreg0", 128),
    ("xxreg0[30..66]", 37),
    ("reg1", 32),
    ("reg1[4..7]", 4),
    ("reg1[0..5]", 6),
    ("reg3[0..3]", 4),
    ("xxreg0[0..3]", 4),
    ("reg9", 32),
    ("xreg4", 64),
    ("reg8", 32),
    ("xxreg1", 128),
    ("xreg2", 64),
    ("tcp.src", 16),
    ("tcp.dst", 16),
    ("udp.dst", 16),
    ("tcp.dst[0..3]", 4),
    ("ip4.src", 32),
    ("ip4.dst[0..7]", 8),
    ("vlan.vid", 12),
    ("ct_mark", 32),
    ("ct_mark[4..7]", 4),
    ("ct_label.acl_id", 16),
    ("ct_label", 128),
    ("ct_label[0..1]", 2),
    ("flags[0..2]", 3),
    ("flags.network_id", 4),
];

/// Fields of addresses, and what they may be compared with.
const ADDRESSES: &[(&str, &[&str])] = &[
    ("ip4.src", V4),
    ("ip4.dst", V4),
    ("arp.spa", V4),
    ("arp.tpa", V4),
    ("ip6.src", V6),
    ("ip6.dst", V6),
    ("nd.target", V6),
    ("eth.src", MAC),
    ("eth.dst", MAC),
    ("arp.sha", MAC),
    ("nd.sll", MAC),
];

const V4: &[&str] = &[
    "10.0.0.1",
    "10.0.0.2",
    "10.0.0.7",
    "10.0.1.1",
    "10.0.2.5",
    "10.0.0.0/30",
    "10.0.0.0/24",
    "10.0.0.0/8",
    "10.0.1.0/31",
    "0.0.0.1/0.0.0.3",
    "$v4",
    "$mixed",
    "$one",
    "$none",
];
const V6: &[&str] = &["::1", "::2", "fe80::/10", "ff02::/16", "fe80::1", "::1/::3", "$v6", "$none"];
const MAC: &[&str] = &[
    "00:00:00:00:00:01",
    "00:00:00:00:00:02",
    "00:00:00:00:00:05",
    "01:00:00:00:00:00/01:00:00:00:00:00",
    "00:00:00:00:00:01/00:00:00:00:00:03",
    "$macs",
    "$none",
];

/// What stands alone.
const PREDICATES: &[&str] = &[
    "ip4",
    "ip6",
    "ip",
    "tcp",
    "udp",
    "sctp",
    "icmp4",
    "icmp6",
    "icmp",
    "arp",
    "eth.mcast",
    "!eth.mcast",
    "eth.bcast",
    "!eth.bcast",
    "eth.mcastv6",
    "ip4.mcast",
    "!ip4.mcast",
    "ip6.mcast",
    "ip6.mcast_rsvd",
    "!ip6.mcast_rsvd",
    "ip6.mcast_flood",
    "nd",
    "nd_ns",
    "nd_na",
    "nd_ra",
    "igmp",
    "mldv1",
    "mldv2",
    "ip.is_frag",
    "vlan.present",
    "!vlan.present",
    "ct.new",
    "!ct.new",
    "ct.est",
    "!ct.est",
    "ct.rel",
    "ct.rpl",
    "!ct.rpl",
    "ct.inv",
    "ct.trk",
    "!ct.trk",
    "ct.dnat",
    "ct_mark.blocked",
    "!ct_mark.blocked",
    "flags.loopback",
    "!flags.loopback",
    "reg0[7]",
    "!reg9[3]",
    "icmp4.type == 8",
    "icmp4.code == 0",
    "icmp6.type == {133, 134}",
    "arp.op == 1",
    "ip.proto == {6, 17}",
    "ip.proto == {1, 58, 47}",
    "ip.ttl == {0, 1}",
    "eth.type == {0x800, 0x806}",
    "is_chassis_resident(\"lsp1\")",
    "!is_chassis_resident(\"lsp1\")",
    "is_chassis_resident(\"far\")",
    "1",
    "0",
];

/// Names, quoted, and groups.
const PORTS: &[&str] =
    &["\"eth0\"", "\"eth1\"", "\"lsp1\"", "\"lsp2\"", "\"far\"", "\"gone\"", "@ports", "@nobody"];

/// With more bits in inequalities than this, a stock controller multiplies them out for minutes.
const MAX_BITS: u32 = 300;

/// Whether a stock controller takes too long for it.
pub(super) fn is_long(text: &str) -> bool {
    fn bits(expr: &Expr<'_>) -> u32 {
        match expr {
            Expr::Number(Comparison { op: Relop::Eq, .. }) => 0,
            Expr::Number(comparison) => {
                comparison.values.as_slice().iter().map(|cube| cube.mask.count_ones()).sum()
            }
            Expr::And(terms) | Expr::Or(terms) => terms.iter().map(bits).sum(),
            _ => 0,
        }
    }
    kiln_logical::expr::parse(text, &Network).is_ok_and(|expr| bits(&expr.annotate()) > MAX_BITS)
}

/// Draws expressions; the same ones of the same seed.
pub(super) struct Draw(Rng);

impl Draw {
    pub(super) fn new(seed: u64) -> Draw {
        Draw(Rng::with_seed(seed))
    }

    /// An expression that the language knows.
    pub(super) fn expression(&mut self) -> String {
        loop {
            let depth = self.0.u32(1..4);
            let text = self.nested(depth);
            // Names and nominal predicates have no opposite.
            if kiln_logical::expr::parse(&text, &Network).is_ok() && !is_long(&text) {
                return text;
            }
        }
    }

    fn nested(&mut self, depth: u32) -> String {
        if depth == 0 || self.0.u8(..) < 50 {
            return self.term();
        }
        let word = self.pick(&[" && ", " && ", " || "]);
        let terms: Vec<String> =
            (0..self.0.usize(2..4)).map(|_| format!("({})", self.nested(depth - 1))).collect();
        let not = self.pick(&["", "", "", "!"]);
        format!("{not}({})", terms.join(word))
    }

    fn term(&mut self) -> String {
        match self.0.u8(0..20) {
            0..8 => self.number(),
            8..13 => self.address(),
            13..17 => self.pick(PREDICATES).to_owned(),
            _ => {
                let (field, set) =
                    (self.pick(&["inport", "outport"]), self.set(|draw| draw.pick(PORTS).to_owned()));
                format!("{field} == {set}")
            }
        }
    }

    fn number(&mut self) -> String {
        let (field, width) = *self.one_of(NUMBERS);
        let op = self.pick(&["==", "!=", "<", "<=", ">", ">="]);
        match self.0.u8(0..10) {
            0..5 => {
                let equal = self.pick(&["==", "!="]);
                format!("{field} {equal} {}", self.set(|draw| draw.value(width)))
            }
            5..8 => format!("{field} {op} {}", self.value(width)),
            _ => {
                let (low, high) = (self.value(width), self.value(width));
                format!("{low} {} {field} {} {high}", self.pick(&["<", "<="]), self.pick(&["<", "<="]))
            }
        }
    }

    fn address(&mut self) -> String {
        let (field, values) = *self.one_of(ADDRESSES);
        let equal = self.pick(&["==", "==", "!="]);
        format!("{field} {equal} {}", self.set(|draw| draw.pick(values).to_owned()))
    }

    /// One item, or several in braces.
    fn set(&mut self, mut item: impl FnMut(&mut Draw) -> String) -> String {
        match self.0.usize(0..5) {
            0 => item(self),
            n => format!("{{{}}}", (0..n).map(|_| item(self)).collect::<Vec<_>>().join(", ")),
        }
    }

    /// Small values meet more often; large ones have other bits.
    fn value(&mut self, width: u32) -> String {
        let bits = (*self.one_of(&[2, 4, width])).min(width).min(63);
        self.0.u64(0..1 << bits).to_string()
    }

    fn pick<'t>(&mut self, from: &[&'t str]) -> &'t str {
        from[self.0.usize(0..from.len())]
    }

    fn one_of<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        &from[self.0.usize(0..from.len())]
    }
}
