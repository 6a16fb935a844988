//! The symbol table: every name that expressions and actions know (ovn-sb(5), Logical_Flow, match: Symbols).

use crate::field::ones;
use crate::field::{Field, Level, OvnField, Writable};
use kiln_types::HashMap;
use std::fmt;
use std::sync::LazyLock;

/// What a symbol stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A whole field.
    Field(Field),
    /// Some of a field's bits, from `first` up.
    Subfield {
        /// The field.
        of: Field,
        /// Its lowest bit that belongs to the symbol.
        first: u8,
    },
    /// An expression, written out.
    Predicate(&'static str),
    /// A field that only the controller can set.
    Ovn(OvnField),
}

/// A name and its meaning.
#[derive(Clone, Copy, Debug)]
pub struct Symbol {
    /// The name.
    pub name: &'static str,
    /// What it stands for.
    pub kind: Kind,
    /// Width in bits; 0 for a string. A predicate has one.
    pub width: u8,
    /// How its values compare.
    pub level: Level,
    /// The symbol that must hold for this one to have a meaning.
    pub prerequisite: Option<&'static str>,
    /// Whether it is not among the symbols that are listed: only releases before 26.03 write it, or nobody can.
    pub unlisted: bool,
}

impl Symbol {
    /// Where the symbol may be assigned to.
    pub fn writable(&self) -> Writable {
        match self.kind {
            Kind::Field(field) | Kind::Subfield { of: field, .. } => field.writable(),
            Kind::Ovn(_) => Writable::Always,
            Kind::Predicate(_) => Writable::Never,
        }
    }

    /// The field it is (part of) and the lowest bit there.
    pub fn root(&self) -> Option<(Field, u8)> {
        match self.kind {
            Kind::Field(field) => Some((field, 0)),
            Kind::Subfield { of, first } => Some((of, first)),
            Kind::Predicate(_) | Kind::Ovn(_) => None,
        }
    }

    /// Whether its values are names of ports.
    pub fn is_string(&self) -> bool {
        self.width == 0
    }
}

/// A symbol's place in the table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SymbolId(u8);

impl SymbolId {
    /// The symbol of that name.
    pub fn lookup(name: &str) -> Option<SymbolId> {
        BY_NAME.get(name).copied()
    }

    /// The symbol that is the whole field.
    pub fn of_field(field: Field) -> SymbolId {
        WHOLE_FIELDS[field as usize]
    }

    /// The symbol itself.
    pub fn get(self) -> &'static Symbol {
        &SYMBOLS[self.index()]
    }

    /// The place in [`SYMBOLS`].
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// The prerequisite, as a symbol.
    pub fn prerequisite(self) -> Option<SymbolId> {
        PREREQUISITES[self.index()]
    }
}

impl fmt::Debug for SymbolId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.get().name)
    }
}

const fn field(field: Field, prerequisite: Option<&'static str>) -> Symbol {
    Symbol {
        name: field.name(),
        kind: Kind::Field(field),
        width: field.width(),
        level: field.level(),
        prerequisite,
        unlisted: false,
    }
}

const fn part(name: &'static str, of: Field, first: u8, last: u8) -> Symbol {
    Symbol {
        name,
        kind: Kind::Subfield { of, first },
        width: last - first + 1,
        level: Level::Ordinal,
        prerequisite: None,
        unlisted: false,
    }
}

const fn part_if(name: &'static str, of: Field, first: u8, last: u8, prerequisite: &'static str) -> Symbol {
    Symbol { prerequisite: Some(prerequisite), ..part(name, of, first, last) }
}

/// A bit of a connection's label that northd uses where a chassis does not say that it keeps it in the mark.
const fn old_label(name: &'static str, bit: u8) -> Symbol {
    Symbol { unlisted: true, ..part(name, F::CtLabel, bit, bit) }
}

const fn predicate(name: &'static str, level: Level, expansion: &'static str) -> Symbol {
    Symbol { name, kind: Kind::Predicate(expansion), width: 1, level, prerequisite: None, unlisted: false }
}

/// What only stands for something else in the language: no text can name it.
const fn unnamed(of: Field) -> Symbol {
    Symbol { unlisted: true, ..field(of, None) }
}

const fn boolean(name: &'static str, expansion: &'static str) -> Symbol {
    predicate(name, Level::Boolean, expansion)
}

const fn nominal(name: &'static str, expansion: &'static str) -> Symbol {
    predicate(name, Level::Nominal, expansion)
}

const fn ovn(field: OvnField) -> Symbol {
    Symbol {
        name: field.name(),
        kind: Kind::Ovn(field),
        width: field.width(),
        level: Level::Nominal,
        prerequisite: None,
        unlisted: false,
    }
}

/// RARP's fields lie where ARP's do.
const fn rarp(name: &'static str, of: Field) -> Symbol {
    Symbol { name, ..field(of, Some("rarp")) }
}

use Field as F;

/// Every symbol.
pub static SYMBOLS: &[Symbol] = &[
    field(F::Inport, None),
    field(F::Outport, None),
    field(F::InportKey, None),
    field(F::OutportKey, None),
    part("from_evpn_vtep", F::InportKey, 31, 31),
    part("to_evpn_vtep", F::OutportKey, 31, 31),
    field(F::RemoteOutport, None),
    // Registers: the wide ones are fields, the others parts of them.
    field(F::Xxreg0, None),
    field(F::Xxreg1, None),
    part("xreg0", F::Xxreg0, 64, 127),
    part("xreg1", F::Xxreg0, 0, 63),
    part("xreg2", F::Xxreg1, 64, 127),
    part("xreg3", F::Xxreg1, 0, 63),
    field(F::Xreg4, None),
    part("reg0", F::Xxreg0, 96, 127),
    part("reg1", F::Xxreg0, 64, 95),
    part("reg2", F::Xxreg0, 32, 63),
    part("reg3", F::Xxreg0, 0, 31),
    part("reg4", F::Xxreg1, 96, 127),
    part("reg5", F::Xxreg1, 64, 95),
    part("reg6", F::Xxreg1, 32, 63),
    part("reg7", F::Xxreg1, 0, 31),
    part("reg8", F::Xreg4, 32, 63),
    part("reg9", F::Xreg4, 0, 31),
    // Logical flags.
    field(F::Flags, None),
    part("flags.loopback", F::Flags, 0, 0),
    part("flags.force_snat_for_dnat", F::Flags, 2, 2),
    part("flags.force_snat_for_lb", F::Flags, 3, 3),
    part("flags.skip_snat_for_lb", F::Flags, 9, 9),
    part("flags.use_snat_zone", F::Flags, 11, 11),
    part("flags.localnet", F::Flags, 15, 15),
    part("flags.tunnel_rx", F::Flags, 16, 16),
    part("flags.icmp_snat", F::Flags, 17, 17),
    part("flags.from_ctrl", F::Flags, 19, 19),
    part("flags.unsnat_new", F::Flags, 20, 20),
    part("flags.unsnat_not_tracked", F::Flags, 21, 21),
    part("flags.igmp_loopback", F::Flags, 22, 22),
    part("flags.pkt_sampled", F::Flags, 23, 23),
    part("flags.network_id", F::Flags, 28, 31),
    // Connection tracking.
    field(F::CtMark, None),
    part("ct_mark.blocked", F::CtMark, 0, 0),
    part("ct_mark.natted", F::CtMark, 1, 1),
    part("ct_mark.skip_snat", F::CtMark, 2, 2),
    part("ct_mark.force_snat", F::CtMark, 3, 3),
    part("ct_mark.obs_stage", F::CtMark, 4, 5),
    part("ct_mark.allow_established", F::CtMark, 6, 6),
    part("ct_mark.obs_collector_id", F::CtMark, 16, 23),
    part("ct_mark.ecmp_reply_port", F::CtMark, 16, 31),
    field(F::CtLabel, None),
    part("ct_label.nf", F::CtLabel, 7, 7),
    part("ct_label.tun_if", F::CtLabel, 8, 8),
    part("ct_label.nf_id", F::CtLabel, 17, 24),
    part("ct_label.ecmp_reply_eth", F::CtLabel, 32, 79),
    part("ct_label.acl_id", F::CtLabel, 80, 95),
    part("ct_label.tun_if_id", F::CtLabel, 80, 95),
    part("ct_label.label", F::CtLabel, 96, 127),
    part("ct_label.obs_point_id", F::CtLabel, 96, 127),
    part("ct_label.obs_unused", F::CtLabel, 0, 95),
    old_label("ct_label.blocked", 0),
    old_label("ct_label.natted", 1),
    old_label("ct_label.skip_snat", 2),
    old_label("ct_label.force_snat", 3),
    field(F::CtState, None),
    part_if("ct.new", F::CtState, 0, 0, "ct.trk"),
    part_if("ct.est", F::CtState, 1, 1, "ct.trk"),
    part_if("ct.rel", F::CtState, 2, 2, "ct.trk"),
    part_if("ct.rpl", F::CtState, 3, 3, "ct.trk"),
    part_if("ct.inv", F::CtState, 4, 4, "ct.trk"),
    part("ct.trk", F::CtState, 5, 5),
    part_if("ct.snat", F::CtState, 6, 6, "ct.trk"),
    part_if("ct.dnat", F::CtState, 7, 7, "ct.trk"),
    // Ethernet and VLAN.
    field(F::EthSrc, None),
    field(F::EthDst, None),
    field(F::EthType, None),
    boolean("eth.bcast", "eth.dst == ff:ff:ff:ff:ff:ff"),
    part("eth.mcast", F::EthDst, 40, 40),
    boolean("eth.mcastv6", "eth.dst[32..47] == 0x3333"),
    field(F::VlanTci, None),
    boolean("vlan.present", "vlan.tci[12]"),
    part_if("vlan.pcp", F::VlanTci, 13, 15, "vlan.present"),
    part_if("vlan.vid", F::VlanTci, 0, 11, "vlan.present"),
    // IP.
    nominal("ip4", "eth.type == 0x800"),
    nominal("ip6", "eth.type == 0x86dd"),
    nominal("ip", "ip4 || ip6"),
    field(F::IpProto, Some("ip")),
    field(F::IpDscp, Some("ip")),
    field(F::IpEcn, Some("ip")),
    field(F::IpTtl, Some("ip")),
    field(F::IpFrag, Some("ip")),
    boolean("ip.is_frag", "ip.frag[0]"),
    boolean("ip.later_frag", "ip.frag[1]"),
    boolean("ip.first_frag", "ip.is_frag && !ip.later_frag"),
    field(F::Ip4Src, Some("ip4")),
    field(F::Ip4Dst, Some("ip4")),
    boolean("ip4.src_mcast", "ip4.src[28..31] == 0xe"),
    boolean("ip4.mcast", "eth.mcast && ip4.dst[28..31] == 0xe"),
    field(F::Ip6Src, Some("ip6")),
    field(F::Ip6Dst, Some("ip6")),
    field(F::Ip6Label, Some("ip6")),
    boolean(
        "ip6.mcast_rsvd",
        "ip6.dst == { ff00::0, ff01::0, ff02::0, ff03::0, ff04::0, ff05::0, ff06::0, ff07::0, \
         ff08::0, ff09::0, ff0a::0, ff0b::0, ff0c::0, ff0d::0, ff0e::0, ff0f::0 }",
    ),
    boolean("ip6.mcast_all_nodes", "ip6.dst == ff01::1 || ip6.dst == ff02::1"),
    boolean("ip6.mcast_all_rtrs", "ip6.dst == ff01::2 || ip6.dst == ff02::2 || ip6.dst == ff05::2"),
    boolean("ip6.mcast_sol_node", "ip6.dst == ff02::1:ff00:0000/104"),
    boolean(
        "ip6.mcast_flood",
        "eth.mcastv6 && (ip6.mcast_rsvd || ip6.mcast_all_nodes || ip6.mcast_all_rtrs || ip6.mcast_sol_node)",
    ),
    boolean("ip6.mcast", "eth.mcastv6 && ip6.dst[120..127] == 0xff"),
    // ICMP, IGMP, MLD.
    nominal("icmp4", "ip4 && ip.proto == 1"),
    field(F::Icmp4Type, Some("icmp4")),
    field(F::Icmp4Code, Some("icmp4")),
    ovn(OvnField::Icmp4FragMtu),
    nominal("igmp", "ip4.mcast && ip.proto == 2"),
    nominal("icmp6", "ip6 && ip.proto == 58"),
    field(F::Icmp6Type, Some("icmp6")),
    field(F::Icmp6Code, Some("icmp6")),
    ovn(OvnField::Icmp6FragMtu),
    nominal("icmp", "icmp4 || icmp6"),
    nominal("mldv1", "eth.mcastv6 && ip6.src == fe80::/10 && icmp6.type == {130, 131, 132}"),
    nominal("mldv2", "eth.mcastv6 && ip6.dst == ff02::16 && icmp6.type == 143"),
    // ARP and neighbour discovery.
    nominal("arp", "eth.type == 0x806"),
    field(F::ArpOp, Some("arp")),
    field(F::ArpSpa, Some("arp")),
    field(F::ArpSha, Some("arp")),
    field(F::ArpTpa, Some("arp")),
    field(F::ArpTha, Some("arp")),
    nominal("rarp", "eth.type == 0x8035"),
    rarp("rarp.op", F::ArpOp),
    rarp("rarp.spa", F::ArpSpa),
    rarp("rarp.sha", F::ArpSha),
    rarp("rarp.tpa", F::ArpTpa),
    rarp("rarp.tha", F::ArpTha),
    nominal("nd", "icmp6.type == {135, 136} && icmp6.code == 0 && ip.ttl == 255"),
    nominal("nd_ns", "icmp6.type == 135 && icmp6.code == 0 && ip.ttl == 255"),
    nominal("nd_ns_mcast", "ip6.mcast && icmp6.type == 135 && icmp6.code == 0 && ip.ttl == 255"),
    nominal("nd_na", "icmp6.type == 136 && icmp6.code == 0 && ip.ttl == 255"),
    nominal("nd_rs", "icmp6.type == 133 && icmp6.code == 0 && ip.ttl == 255"),
    nominal("nd_ra", "icmp6.type == 134 && icmp6.code == 0 && ip.ttl == 255"),
    field(F::NdTarget, Some("nd")),
    field(F::NdSll, Some("nd_ns")),
    field(F::NdTll, Some("nd_na")),
    // Transport.
    nominal("tcp", "ip.proto == 6"),
    field(F::TcpSrc, Some("tcp")),
    field(F::TcpDst, Some("tcp")),
    field(F::TcpFlags, Some("tcp")),
    nominal("udp", "ip.proto == 17"),
    field(F::UdpSrc, Some("udp")),
    field(F::UdpDst, Some("udp")),
    nominal("sctp", "ip.proto == 132"),
    field(F::SctpSrc, Some("sctp")),
    field(F::SctpDst, Some("sctp")),
    field(F::PktMark, None),
    unnamed(F::CtProto),
];

static BY_NAME: LazyLock<HashMap<&'static str, SymbolId>> =
    LazyLock::new(|| SYMBOLS.iter().zip(0..).map(|(symbol, i)| (symbol.name, SymbolId(i))).collect());

static WHOLE_FIELDS: LazyLock<Vec<SymbolId>> =
    LazyLock::new(|| Field::ALL.iter().map(|field| BY_NAME[field.name()]).collect());

static PREREQUISITES: LazyLock<Vec<Option<SymbolId>>> =
    LazyLock::new(|| SYMBOLS.iter().map(|symbol| symbol.prerequisite.map(|name| BY_NAME[name])).collect());

/// A symbol, or a run of its bits, as written: `reg0`, `eth.dst[40]`, `reg9[16..31]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FieldRef {
    /// The symbol.
    pub symbol: SymbolId,
    /// The lowest bit, counted within the symbol.
    pub first: u8,
    /// Number of bits; 0 for a string.
    pub len: u8,
}

impl FieldRef {
    /// The whole symbol.
    pub fn whole(symbol: SymbolId) -> Self {
        FieldRef { symbol, first: 0, len: symbol.get().width }
    }

    /// Whether its values are names of ports.
    pub fn is_string(self) -> bool {
        self.len == 0
    }

    /// The field and the lowest bit there, for what is a field or part of one.
    pub fn root(self) -> Option<(Field, u8)> {
        self.symbol.get().root().map(|(field, first)| (field, first + self.first))
    }

    /// Ones at its bits, within the symbol.
    pub(crate) fn mask(self) -> u128 {
        ones(self.len) << self.first
    }
}

impl fmt::Display for FieldRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let symbol = self.symbol.get();
        f.write_str(symbol.name)?;
        match self.len {
            len if len == symbol.width => Ok(()),
            1 => write!(f, "[{}]", self.first),
            len => write!(f, "[{}..{}]", self.first, self.first + len - 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_prerequisites_exist() {
        assert!(SYMBOLS.len() < 256);
        for (i, symbol) in SYMBOLS.iter().enumerate() {
            assert_eq!(SymbolId::lookup(symbol.name).map(SymbolId::index), Some(i), "{}", symbol.name);
            if let Some(name) = symbol.prerequisite {
                assert_eq!(SymbolId::lookup(name).map(|id| id.get().width), Some(1), "{}", symbol.name);
            }
            if let Some((of, first)) = symbol.root() {
                assert!(first + symbol.width <= of.width(), "{}", symbol.name);
            }
        }
        assert_eq!(SymbolId::lookup("xyzzy"), None);
    }

    #[test]
    fn registers_overlap_as_in_open_vswitch() {
        let bits = |name| SymbolId::lookup(name).and_then(|id| id.get().root());
        assert_eq!(bits("reg3"), Some((Field::Xxreg0, 0)));
        assert_eq!(bits("reg4"), Some((Field::Xxreg1, 96)));
        assert_eq!(bits("xreg2"), Some((Field::Xxreg1, 64)));
        assert_eq!(bits("reg9"), Some((Field::Xreg4, 0)));
    }
}
