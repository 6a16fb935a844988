//! The fields that packets have, apart from the names by which parts of them are known ([`crate::symbol`]).

use std::fmt;

/// How a field's values may be compared (ovn-sb(5), Logical_Flow, match: Level of Measurement).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Only for equality.
    Nominal,
    /// One bit: equality and inequality.
    Boolean,
    /// In every way, and bit by bit.
    Ordinal,
}

impl Level {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Level::Nominal => "nominal",
            Level::Boolean => "Boolean",
            Level::Ordinal => "ordinal",
        }
    }
}

/// Where a field may be assigned to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Writable {
    /// Nowhere.
    Never,
    /// Anywhere.
    Always,
    /// Only inside `ct_commit { … }`.
    InCtCommit,
}

macro_rules! fields {
    ($($variant:ident $name:literal $width:literal $level:ident $writable:ident $multiply:literal,)*) => {
        /// A field of the packet or of its metadata. Variants stand in the order of their names.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Field {
            $(#[doc = concat!("`", $name, "`, ", stringify!($width), " bits (0: a string).")] $variant,)*
        }

        impl Field {
            /// Every field.
            pub const ALL: &[Field] = &[$(Field::$variant,)*];

            const TABLE: &[(&'static str, u8, Level, Writable, bool)] =
                &[$(($name, $width, Level::$level, Writable::$writable, $multiply),)*];
        }
    };
}

// The last column: whether several values of the field multiply the expression out, since other fields' meaning hangs
// on them, instead of becoming a dimension of a conjunctive match.
fields! {
    CtProto "(ct_proto)" 8 Nominal Never true,
    InportKey "__inport" 32 Ordinal Always false,
    OutportKey "__outport" 32 Ordinal Always false,
    ArpOp "arp.op" 16 Nominal Always false,
    ArpSha "arp.sha" 48 Ordinal Always false,
    ArpSpa "arp.spa" 32 Ordinal Always false,
    ArpTha "arp.tha" 48 Ordinal Always false,
    ArpTpa "arp.tpa" 32 Ordinal Always false,
    CtLabel "ct_label" 128 Ordinal InCtCommit false,
    CtMark "ct_mark" 32 Ordinal InCtCommit false,
    CtState "ct_state" 32 Ordinal Never false,
    EthDst "eth.dst" 48 Ordinal Always false,
    EthSrc "eth.src" 48 Ordinal Always false,
    EthType "eth.type" 16 Nominal Never true,
    Flags "flags" 32 Ordinal Always false,
    Icmp4Code "icmp4.code" 8 Nominal Always false,
    Icmp4Type "icmp4.type" 8 Nominal Always false,
    Icmp6Code "icmp6.code" 8 Nominal Always true,
    Icmp6Type "icmp6.type" 8 Nominal Always true,
    Inport "inport" 0 Nominal Always false,
    IpDscp "ip.dscp" 6 Nominal Always false,
    IpEcn "ip.ecn" 2 Nominal Always false,
    IpFrag "ip.frag" 2 Ordinal Never false,
    IpProto "ip.proto" 8 Nominal Never true,
    IpTtl "ip.ttl" 8 Nominal Always false,
    Ip4Dst "ip4.dst" 32 Ordinal Always false,
    Ip4Src "ip4.src" 32 Ordinal Always false,
    Ip6Dst "ip6.dst" 128 Ordinal Always false,
    Ip6Label "ip6.label" 20 Ordinal Always false,
    Ip6Src "ip6.src" 128 Ordinal Always false,
    NdSll "nd.sll" 48 Ordinal Always false,
    NdTarget "nd.target" 128 Ordinal Always false,
    NdTll "nd.tll" 48 Ordinal Always false,
    Outport "outport" 0 Nominal Always false,
    PktMark "pkt.mark" 32 Ordinal Always false,
    RemoteOutport "remote_outport" 0 Nominal Always false,
    SctpDst "sctp.dst" 16 Ordinal Always false,
    SctpSrc "sctp.src" 16 Ordinal Always false,
    TcpDst "tcp.dst" 16 Ordinal Always false,
    TcpFlags "tcp.flags" 12 Ordinal Never false,
    TcpSrc "tcp.src" 16 Ordinal Always false,
    UdpDst "udp.dst" 16 Ordinal Always false,
    UdpSrc "udp.src" 16 Ordinal Always false,
    VlanTci "vlan.tci" 16 Ordinal Always false,
    Xreg4 "xreg4" 64 Ordinal Always false,
    Xxreg0 "xxreg0" 128 Ordinal Always false,
    Xxreg1 "xxreg1" 128 Ordinal Always false,
}

impl Field {
    /// As expressions call it.
    pub const fn name(self) -> &'static str {
        Self::TABLE[self as usize].0
    }

    /// Width in bits; 0 for a field whose values are names of ports.
    pub const fn width(self) -> u8 {
        Self::TABLE[self as usize].1
    }

    /// How its values compare.
    pub const fn level(self) -> Level {
        Self::TABLE[self as usize].2
    }

    /// Where it may be assigned to.
    pub const fn writable(self) -> Writable {
        Self::TABLE[self as usize].3
    }

    /// Whether several values of it multiply an expression out.
    pub const fn multiplies_out(self) -> bool {
        Self::TABLE[self as usize].4
    }

    /// Whether its values are names of ports.
    pub const fn is_string(self) -> bool {
        self.width() == 0
    }

    /// Ones at all its bits.
    pub const fn mask(self) -> u128 {
        ones(self.width())
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// `len` ones at the bottom.
pub(crate) const fn ones(len: u8) -> u128 {
    if len >= 128 { u128::MAX } else { (1 << len) - 1 }
}

/// A field that OpenFlow does not have and that only nested actions may set; the controller carries it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OvnField {
    /// `icmp4.frag_mtu`: next-hop MTU of an ICMPv4 error (RFC 1191, section 4), 16 bits.
    Icmp4FragMtu,
    /// `icmp6.frag_mtu`: MTU of a packet-too-big error (RFC 4443, section 3.2), 32 bits.
    Icmp6FragMtu,
}

impl OvnField {
    /// As actions call it.
    pub const fn name(self) -> &'static str {
        match self {
            OvnField::Icmp4FragMtu => "icmp4.frag_mtu",
            OvnField::Icmp6FragMtu => "icmp6.frag_mtu",
        }
    }

    /// Width in bits.
    pub const fn width(self) -> u8 {
        match self {
            OvnField::Icmp4FragMtu => 16,
            OvnField::Icmp6FragMtu => 32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_stand_in_the_order_of_their_names() {
        assert!(Field::ALL.is_sorted_by_key(|f| f.name()));
        assert!(Field::ALL.iter().all(|f| f.width() <= 128));
    }
}
