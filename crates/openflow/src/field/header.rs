//! OXM and NXM headers: class, field number, and which field they name.

use super::table::{COUNT, READ_ONLY_ALIASES};
use super::{Field, table};

/// What identifies a field on the wire, without the mask bit and the length.
///
/// ```text
///  0                   1                   2                   3
///  +-------------------------------+-------------+-+---------------+
///  |             class             |    field    |M|     length    |
///  +-------------------------------+-------------+-+---------------+
///  |          experimenter (class ffff only, counted in length)    |
///  +---------------------------------------------------------------+
/// ```
///
/// OpenFlow 1.5.1, section 7.2.3.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Header {
    /// The OXM class.
    pub class: u16,
    /// Number within the class, 7 bits.
    pub field: u8,
    /// The experimenter, 0 unless the class is [`Header::EXPERIMENTER`].
    pub experimenter: u32,
}

impl Header {
    /// Nicira's fields of OpenFlow 1.0.
    pub const NXM_OF: u16 = 0x0000;
    /// Nicira's extension fields.
    pub const NXM_NX: u16 = 0x0001;
    /// Ericsson's fields.
    pub const ERICSSON: u16 = 0x1000;
    /// OpenFlow's basic fields.
    pub const OXM_OF: u16 = 0x8000;
    /// OpenFlow's packet registers.
    pub const PKT_REG: u16 = 0x8001;
    /// OpenFlow's flow statistics, in OXS lists only.
    pub const OXS: u16 = 0x8002;
    /// Experimenters' fields.
    pub const EXPERIMENTER: u16 = 0xffff;

    pub(super) const EXP_ONF: u32 = crate::wire::ONF;
    pub(super) const EXP_NSH: u32 = 0x005a_d650;

    /// Bytes of the header on the wire: 4, or 8 with an experimenter.
    pub const fn n_bytes(self) -> usize {
        if self.class == Header::EXPERIMENTER { 8 } else { 4 }
    }

    /// The first four bytes, for a payload of `len` bytes (the mask, if there is one, included).
    pub const fn word(self, has_mask: bool, len: usize) -> u32 {
        let len = if self.class == Header::EXPERIMENTER { len + 4 } else { len };
        (self.class as u32) << 16 | (self.field as u32) << 9 | (has_mask as u32) << 8 | (len as u32 & 0xff)
    }

    /// Appends the header.
    pub fn put(self, out: &mut Vec<u8>, has_mask: bool, len: usize) {
        out.extend_from_slice(&self.word(has_mask, len).to_be_bytes());
        if self.class == Header::EXPERIMENTER {
            out.extend_from_slice(&self.experimenter.to_be_bytes());
        }
    }

    const fn table_index(self) -> Option<usize> {
        match (self.class, self.experimenter) {
            (Header::NXM_OF, _) => Some(0),
            (Header::NXM_NX, _) => Some(1),
            (Header::OXM_OF, _) => Some(2),
            (Header::PKT_REG, _) => Some(3),
            (Header::ERICSSON, _) => Some(4),
            (Header::EXPERIMENTER, crate::wire::NICIRA) => Some(5),
            (Header::EXPERIMENTER, Header::EXP_ONF) => Some(6),
            (Header::EXPERIMENTER, Header::EXP_NSH) => Some(7),
            _ => None,
        }
    }
}

const NONE: u8 = 0xff;

const fn build() -> [[u8; 128]; 8] {
    let mut by_header = [[NONE; 128]; 8];
    let mut i = 0;
    while i < COUNT {
        let info = &TABLE_COPY[i as usize];
        let headers = [info.header, info.oldest];
        let mut h = 0;
        while h < 2 {
            if let Some(t) = headers[h].table_index() {
                by_header[t][headers[h].field as usize] = i;
            }
            h += 1;
        }
        i += 1;
    }
    let mut a = 0;
    while a < READ_ONLY_ALIASES.len() {
        let (header, field) = READ_ONLY_ALIASES[a];
        if let Some(t) = header.table_index() {
            by_header[t][header.field as usize] = field.id;
        }
        a += 1;
    }
    by_header
}

// A static cannot be read while another constant is evaluated, so the table is built once more for that.
const TABLE_COPY: [super::FieldInfo; COUNT as usize] = table::build();

static BY_HEADER: [[u8; 128]; 8] = build();

impl Field {
    /// The field that a header names, `payload_len` being the length of its value without mask or experimenter.
    /// `None` if the header is not known. A length other than the field's is the caller's to refuse; tunnel metadata
    /// takes its own from the header.
    pub fn by_header(header: Header, payload_len: usize) -> Option<Field> {
        let id = BY_HEADER[header.table_index()?][usize::from(header.field & 0x7f)];
        if id == NONE {
            return None;
        }
        let field = Field::fixed(id);
        match (field.as_tun_metadata(), payload_len) {
            // Zero, when leading zeros are left out.
            (Some(n), 0) => Some(Field::tun_metadata(n, 4)),
            (Some(n), 1..=124) => Some(Field::tun_metadata(n, payload_len as u8)),
            (Some(_), _) => None,
            // NXM_NX_COOKIE shares its number with the one-byte MPLS TTL and is told apart by its length.
            (None, len) if field == Field::MPLS_TTL && len != 1 => None,
            (None, _) => Some(field),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_headers_of_every_field_name_it() {
        for field in Field::all() {
            let info = field.info();
            for header in [info.header, info.oldest] {
                assert_eq!(Field::by_header(header, field.n_bytes()), Some(field), "{field}");
            }
        }
    }

    #[test]
    fn headers_as_seen_on_the_wire() {
        let cases: [(Field, u32, u32); 12] = [
            (Field::IN_PORT, 0x0000_0002, 0x0000_0002),
            (Field::IN_PORT_OXM, 0x8000_0004, 0x8000_0004),
            (Field::ETH_TYPE, 0x8000_0a02, 0x0000_0602),
            (Field::IPV4_SRC, 0x8000_1604, 0x0000_0e04),
            (Field::TCP_SRC, 0x8000_1a02, 0x0000_1202),
            (Field::reg(10), 0x0001_1404, 0x0001_1404),
            (Field::reg(14), 0x0001_1c04, 0x0001_1c04),
            (Field::xxreg(0), 0x0001_de10, 0x0001_de10),
            (Field::xxreg(1), 0x0001_e010, 0x0001_e010),
            (Field::xreg(4), 0x8001_0808, 0x8001_0808),
            (Field::METADATA, 0x8000_0408, 0x8000_0408),
            (Field::tun_metadata(0, 124), 0x0001_507c, 0x0001_507c),
        ];
        for (field, preferred, oldest) in cases {
            let info = field.info();
            assert_eq!(info.header.word(false, field.n_bytes()), preferred, "{field}");
            assert_eq!(info.oldest.word(false, field.n_bytes()), oldest, "{field}");
        }
        let mut out = Vec::new();
        Field::reg(16).info().header.put(&mut out, false, 4);
        assert_eq!(out, [0xff, 0xff, 17 << 1, 8, 0, 0, 0x23, 0x20]);
    }

    #[test]
    fn names_are_unique_and_found() {
        for field in Field::all() {
            assert_eq!(Field::by_name(field.name()), Some(field));
        }
        assert_eq!(Field::by_name("nw_dst"), Some(Field::IPV4_DST));
        assert_eq!(Field::by_name("nonsense"), None);
    }
}
