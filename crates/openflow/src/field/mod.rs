//! Fields of packets and of the pipeline: what a match looks at and what actions write.
//!
//! A [`Field`] is a two-byte handle into a table (ovs-fields(7); OpenFlow 1.5.1, section 7.2.3). Values are unsigned
//! integers, right-aligned: `u128` holds every value but the longest tunnel options.

mod header;
mod prereq;
mod table;

use std::fmt;

pub use header::Header;
pub use prereq::Prereq;
pub use table::FieldInfo;

/// How a field's value reads in text (ovs-fields(7), "Format").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// `17`.
    Decimal,
    /// `0x11`.
    Hex,
    /// `+trk-new`, or 0x-numbers.
    CtState,
    /// `0a:00:00:00:00:01`.
    Ethernet,
    /// `192.0.2.1`, prefixes as `/24`.
    Ipv4,
    /// `2001:db8::1`, prefixes as `/64`.
    Ipv6,
    /// `5`, `LOCAL`.
    Port,
    /// `no`, `yes`, `first`, `later`, `not_later`.
    Frag,
    /// `oam`.
    TunFlags,
    /// `+syn-ack`.
    TcpFlags,
    /// `(1,0x800)`.
    PacketType,
}

/// A field of packets or of the pipeline.
///
/// Fields order by their place in an encoded match. `tun_metadata` fields also carry the length of the tunnel option
/// that they are mapped to, since the wire repeats it; two handles of the same `tun_metadata` with different lengths
/// differ, see [`Field::same`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Field {
    id: u8,
    /// Length in bytes of a `tun_metadata` field, 0 for every other.
    option_len: u8,
}

impl Field {
    /// How many `reg` fields there are.
    pub const N_REG: u8 = 32;
    /// How many `xreg` fields there are.
    pub const N_XREG: u8 = 16;
    /// How many `xxreg` fields there are.
    pub const N_XXREG: u8 = 8;
    /// How many `tun_metadata` fields there are.
    pub const N_TUN_METADATA: u8 = 64;
    /// Length of a `tun_metadata` field that nothing is known to be mapped to, in bytes.
    pub const TUN_METADATA_MAX_LEN: u8 = 124;

    const fn fixed(id: u8) -> Field {
        Field { id, option_len: 0 }
    }

    /// The 32-bit register `n`, 0 to 31. Open vSwitch before 3.7 has 16 of them.
    #[track_caller]
    pub const fn reg(n: u8) -> Field {
        assert!(n < Field::N_REG, "there are 32 registers");
        Field::fixed(table::REG + n)
    }

    /// The 64-bit register `n`, 0 to 15: `reg(2n)` is its upper half.
    #[track_caller]
    pub const fn xreg(n: u8) -> Field {
        assert!(n < Field::N_XREG, "there are 16 64-bit registers");
        Field::fixed(table::XREG + n)
    }

    /// The 128-bit register `n`, 0 to 7: `reg(4n)` holds its most significant bits.
    #[track_caller]
    pub const fn xxreg(n: u8) -> Field {
        assert!(n < Field::N_XXREG, "there are 8 128-bit registers");
        Field::fixed(table::XXREG + n)
    }

    /// Tunnel option `n`, 0 to 63, mapped to an option of `len` bytes, 1 to 124 (ovs-fields(7), `tun_metadata0`).
    #[track_caller]
    pub const fn tun_metadata(n: u8, len: u8) -> Field {
        assert!(n < Field::N_TUN_METADATA, "there are 64 tunnel metadata fields");
        assert!(len > 0 && len <= Field::TUN_METADATA_MAX_LEN, "a tunnel option has 1 to 124 bytes");
        Field { id: table::TUN_METADATA + n, option_len: len }
    }

    /// What is fixed about the field.
    pub fn info(self) -> &'static FieldInfo {
        &table::TABLE[usize::from(self.id)]
    }

    /// The name in the text form.
    pub fn name(self) -> &'static str {
        self.info().name
    }

    /// Width of the value on the wire, in bytes.
    pub fn n_bytes(self) -> usize {
        usize::from(if self.option_len == 0 { self.info().n_bytes } else { self.option_len })
    }

    /// Width of the value, in bits. For `vlan_vid` that is the id's 12; bit 12, which says that a tag is there, lies
    /// above them.
    pub fn n_bits(self) -> u16 {
        if self.option_len == 0 { self.info().n_bits } else { u16::from(self.option_len) * 8 }
    }

    /// The mask that leaves out no bit, and is not sent: ones over the field's width (the low 128 bits of longer tunnel
    /// options), the present bit of `vlan_vid` included. For `tun_flags` and `ct_state`, and for what actions write of the narrow
    /// fields of IP headers, it is wider than what values use.
    pub fn all_ones(self) -> u128 {
        if self.option_len == 0 { BITS[usize::from(self.id)].all_ones } else { low_bits(self.n_bits()) }
    }

    /// Whether the field has fewer bits than its bytes, all of which an action's mask covers.
    pub(crate) const fn is_narrow(self) -> bool {
        matches!(self, Field::IP_DSCP | Field::IP_ECN | Field::IPV6_LABEL)
    }

    /// Every bit that a value may have.
    pub fn value_bits(self) -> u128 {
        if self.option_len == 0 { BITS[usize::from(self.id)].values } else { low_bits(self.n_bits()) }
    }

    /// Whether both are the same field, whatever tunnel option's length they carry.
    pub fn same(self, other: Field) -> bool {
        self.id == other.id
    }

    /// Place among the fields of an encoded match.
    pub(crate) fn order(self) -> u8 {
        self.id
    }

    /// The register's number if this is a 32-bit register.
    pub fn as_reg(self) -> Option<u8> {
        self.index_in(table::REG, Field::N_REG)
    }

    /// The register's number if this is a 64-bit register.
    pub fn as_xreg(self) -> Option<u8> {
        self.index_in(table::XREG, Field::N_XREG)
    }

    /// The register's number if this is a 128-bit register.
    pub fn as_xxreg(self) -> Option<u8> {
        self.index_in(table::XXREG, Field::N_XXREG)
    }

    /// The number of the tunnel metadata field, if it is one.
    pub fn as_tun_metadata(self) -> Option<u8> {
        self.index_in(table::TUN_METADATA, Field::N_TUN_METADATA)
    }

    fn index_in(self, first: u8, count: u8) -> Option<u8> {
        (self.id >= first && self.id - first < count).then(|| self.id - first)
    }

    /// Every field, in encoding order; tunnel metadata with the longest length.
    pub fn all() -> impl Iterator<Item = Field> {
        (0..table::COUNT).map(|id| {
            let field = Field::fixed(id);
            match field.as_tun_metadata() {
                Some(n) => Field::tun_metadata(n, Field::TUN_METADATA_MAX_LEN),
                None => field,
            }
        })
    }

    /// The field of this name in the text form, other spellings that the stock tools accept included
    /// (`dl_src`, `nw_src`, `tp_dst`, `ip_proto`, …). Tunnel metadata comes back with the longest length.
    pub fn by_name(name: &str) -> Option<Field> {
        Field::all()
            .find(|f| f.name() == name)
            .or_else(|| ALIASES.iter().find(|(alias, _)| *alias == name).map(|&(_, field)| field))
    }
}

/// Names that are accepted beside the table's.
const ALIASES: &[(&str, Field)] = &[
    ("tunnel_id", Field::TUN_ID),
    ("dl_src", Field::ETH_SRC),
    ("dl_dst", Field::ETH_DST),
    ("dl_type", Field::ETH_TYPE),
    ("dl_vlan_pcp", Field::VLAN_PCP),
    ("nw_src", Field::IPV4_SRC),
    ("nw_dst", Field::IPV4_DST),
    ("ip_proto", Field::IP_PROTO),
    ("ip_ecn", Field::IP_ECN),
    ("ip_ttl", Field::NW_TTL),
    ("nw_frag", Field::IP_FRAG),
    ("tp_src", Field::TCP_SRC),
    ("tp_dst", Field::TCP_DST),
    ("nsp", Field::NSH_SPI),
    ("nsi", Field::NSH_SI),
    ("nshc1", Field::NSH_C1),
    ("nshc2", Field::NSH_C2),
    ("nshc3", Field::NSH_C3),
    ("nshc4", Field::NSH_C4),
];

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The masks of a field that is no tunnel option: [`Field::all_ones`] and [`Field::value_bits`].
#[derive(Clone, Copy)]
struct Bits {
    all_ones: u128,
    values: u128,
}

impl Bits {
    const fn of(field: Field, info: &FieldInfo) -> Bits {
        let width = low_bits(info.n_bits);
        match field {
            Field::VLAN_VID => Bits { all_ones: 0x1fff, values: 0x1fff },
            Field::TUN_FLAGS => Bits { all_ones: 0xffff, values: 1 },
            Field::CT_STATE => Bits { all_ones: width, values: ct_state::ALL as u128 },
            _ if field.is_narrow() => Bits { all_ones: low_bits(info.n_bytes as u16 * 8), values: width },
            _ => Bits { all_ones: width, values: width },
        }
    }
}

/// Of every field, looked up for each that is read or written.
static BITS: [Bits; table::COUNT as usize] = {
    let infos = table::build();
    let mut bits = [Bits { all_ones: 0, values: 0 }; table::COUNT as usize];
    let mut id = 0;
    while id < table::COUNT {
        bits[id as usize] = Bits::of(Field::fixed(id), &infos[id as usize]);
        id += 1;
    }
    bits
};

/// `n` ones, right-aligned; all of them from 128 on.
pub(crate) const fn low_bits(n: u16) -> u128 {
    if n >= 128 { u128::MAX } else { (1 << n) - 1 }
}

/// A field's value under a mask. Bits outside the mask are zero in `value`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldValue {
    /// Which field.
    pub field: Field,
    /// The value, right-aligned.
    pub value: u128,
    /// Which bits of the value count.
    pub mask: u128,
}

impl FieldValue {
    /// All of the field's bits; bits of `value` beyond the field's width are cleared.
    pub fn exact(field: Field, value: u128) -> Self {
        FieldValue::masked(field, value, u128::MAX)
    }

    /// The bits under `mask`, of those that the field has.
    pub fn masked(field: Field, value: u128, mask: u128) -> Self {
        let mask = mask & field.all_ones();
        FieldValue { field, value: value & mask & field.value_bits(), mask }
    }

    /// Whether every bit of the field counts.
    pub fn is_exact(&self) -> bool {
        self.mask == self.field.all_ones()
    }
}

impl fmt::Debug for FieldValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={:#x}", self.field, self.value)?;
        if self.is_exact() { Ok(()) } else { write!(f, "/{:#x}", self.mask) }
    }
}

/// A run of bits of a field, as in `reg13[0..15]`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subfield {
    /// Which field.
    pub field: Field,
    /// Number of the lowest bit, 0 being the field's least significant.
    pub ofs: u16,
    /// How many bits, at least 1.
    pub n_bits: u16,
}

impl Subfield {
    /// The bits `ofs .. ofs + n_bits`.
    pub const fn new(field: Field, ofs: u16, n_bits: u16) -> Self {
        Subfield { field, ofs, n_bits }
    }

    /// The whole field.
    pub fn whole(field: Field) -> Self {
        Subfield { field, ofs: 0, n_bits: field.n_bits() }
    }

    /// Whether the bits lie within the field.
    pub fn is_valid(&self) -> bool {
        self.n_bits > 0 && u32::from(self.ofs) + u32::from(self.n_bits) <= u32::from(self.field.n_bits())
    }

    /// The mask of these bits in the field, as far as 128 bits reach.
    pub fn mask(&self) -> u128 {
        low_bits(self.n_bits).checked_shl(u32::from(self.ofs)).unwrap_or(0)
    }

    /// The field's value and mask that put `value` into these bits.
    pub fn load(&self, value: u128) -> FieldValue {
        let shifted = value.checked_shl(u32::from(self.ofs)).unwrap_or(0);
        FieldValue::masked(self.field, shifted, self.mask())
    }
}

impl From<Field> for Subfield {
    fn from(field: Field) -> Self {
        Subfield::whole(field)
    }
}

impl fmt::Display for Subfield {
    /// `reg13[0..15]`, `reg10[5]`, `reg0[]` for the whole.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.field.name())?;
        self.fmt_range(f)
    }
}

impl Subfield {
    /// The bracketed part of the text form.
    pub(crate) fn fmt_range(&self, f: &mut dyn fmt::Write) -> fmt::Result {
        let last = u32::from(self.ofs) + u32::from(self.n_bits).saturating_sub(1);
        // Text does not know how long a tunnel option is.
        if self.ofs == 0 && self.n_bits == self.field.info().n_bits {
            f.write_str("[]")
        } else if self.n_bits == 1 {
            write!(f, "[{}]", self.ofs)
        } else {
            write!(f, "[{}..{last}]", self.ofs)
        }
    }
}

impl fmt::Debug for Subfield {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Bits of `ct_state` (ovs-fields(7), `ct_state`).
pub mod ct_state {
    /// A connection that is not yet committed.
    pub const NEW: u32 = 1;
    /// Part of a committed connection.
    pub const EST: u32 = 1 << 1;
    /// Related to a committed connection.
    pub const REL: u32 = 1 << 2;
    /// In the reply direction.
    pub const RPL: u32 = 1 << 3;
    /// Not trackable.
    pub const INV: u32 = 1 << 4;
    /// Went through the connection tracker.
    pub const TRK: u32 = 1 << 5;
    /// Its source was translated.
    pub const SNAT: u32 = 1 << 6;
    /// Its destination was translated.
    pub const DNAT: u32 = 1 << 7;
    /// All of these.
    pub const ALL: u32 = 0xff;
    /// The names of the bits, lowest first.
    pub const NAMES: [&str; 8] = ["new", "est", "rel", "rpl", "inv", "trk", "snat", "dnat"];
}
