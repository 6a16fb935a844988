//! Connection tracking and address translation.

use super::encode::{finish, nx, ofs_nbits, put_short_header, start_nx};
use super::{Action, Actions, decode};
use crate::error::ErrorCode;
use crate::field::Subfield;
use crate::version::Version;
use crate::wire::{self, Put, Reader, TooLong};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// `ct(..)`: sends the packet through the connection tracker (ovs-actions(7), "The ct action").
///
/// ```text
///  +-------------------------------+-------------------------------+
///  |             ffff              |            length             |
///  +-------------------------------+-------------------------------+
///  |                          0000 2320                            |
///  +-------------------------------+-------------------------------+
///  |              35               |             flags             |
///  +-------------------------------+-------------------------------+
///  |        header of the field with the zone, 0 for none          |
///  +-------------------------------+---------------+---------------+
///  |  zone, or offset and width    |     table     |       0       |
///  +-------------------------------+---------------+---------------+
///  |               0               |              alg              |
///  +-------------------------------+-------------------------------+
///  |  actions: nat, set_field, copy_field                          |
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ct {
    /// [`Ct::COMMIT`] and [`Ct::FORCE`].
    pub flags: u16,
    /// The zone.
    pub zone: CtZone,
    /// The table where a tracked copy of the packet starts again; `None` for no copy.
    pub table: Option<u8>,
    /// Port of the protocol whose helper is asked for: 21 for FTP, 69 for TFTP, 0 for none.
    pub alg: u16,
    /// Translation and writes to mark and label.
    pub exec: Actions,
}

/// Where a `ct` action's zone comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CtZone {
    /// The number itself.
    Imm(u16),
    /// Bits of a field.
    Field(Subfield),
}

impl Ct {
    /// Commits the connection.
    pub const COMMIT: u16 = 1;
    /// Commits it anew, in this packet's direction, if there is one in the other.
    pub const FORCE: u16 = 2;

    /// No table, in the form on the wire.
    const NO_TABLE: u8 = 0xff;

    pub(super) fn put(&self, version: Version, out: &mut Vec<u8>) -> Result<(), TooLong> {
        let at = start_nx(out, nx::CT);
        out.put_u16(self.flags);
        match &self.zone {
            CtZone::Imm(zone) => {
                out.put_u32(0);
                out.put_u16(*zone);
            }
            CtZone::Field(sf) => {
                put_short_header(out, sf.field)?;
                out.put_u16(ofs_nbits(sf));
            }
        }
        out.put_u8(self.table.unwrap_or(Ct::NO_TABLE));
        out.put_zeros(3);
        out.put_u16(self.alg);
        self.exec.put(version, out)?;
        finish(out, at)
    }

    pub(super) fn read(r: &mut Reader<'_>, version: Version, depth: usize) -> wire::Result<Ct> {
        let flags = r.u16()?;
        let zone = if r.clone().u32()? == 0 {
            r.skip(4)?;
            CtZone::Imm(r.u16()?)
        } else {
            let field = decode::read_short_header(r)?;
            let sf = decode::subfield_of(r, field)?;
            if sf.n_bits != 16 {
                return Err(r.error("16 bits for the zone", sf.n_bits, ErrorCode::ACTION_BAD_ARGUMENT));
            }
            CtZone::Field(sf)
        };
        let table = r.u8()?;
        r.skip(3)?;
        let alg = r.u16()?;
        let exec = decode::nested(r, version, depth)?;
        Ok(Ct { flags, zone, table: (table != Ct::NO_TABLE).then_some(table), alg, exec })
    }

    /// The translation, if there is one.
    pub fn nat(&self) -> Option<Nat> {
        self.exec.iter().find_map(|a| match a {
            Action::Nat(nat) => Some(*nat),
            _ => None,
        })
    }
}

/// `nat(..)` inside a [`Ct`] (ovs-actions(7), "The ct action").
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Nat {
    /// [`Nat::SRC`] and the others; none at all translates packets of connections that are committed already.
    pub flags: u16,
    /// Addresses and ports to choose from.
    pub range: NatRange,
}

/// What a translation may choose from. Ranges are inclusive; an absent upper end is the lower one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct NatRange {
    /// The addresses, both of one family.
    pub addrs: Option<(IpAddr, Option<IpAddr>)>,
    /// The ports.
    pub ports: Option<(u16, Option<u16>)>,
}

impl Nat {
    /// Translates the source.
    pub const SRC: u16 = 1;
    /// Translates the destination.
    pub const DST: u16 = 2;
    /// Keeps the choice over a reboot.
    pub const PERSISTENT: u16 = 4;
    /// Chooses ports by hash.
    pub const HASH: u16 = 8;
    /// Chooses ports at random.
    pub const RANDOM: u16 = 16;

    pub(super) fn put(&self, out: &mut Vec<u8>) -> Result<(), TooLong> {
        let at = start_nx(out, nx::NAT);
        out.put_u16(0);
        out.put_u16(self.flags);
        let present_at = out.len();
        out.put_u16(0);
        let mut present = 0;
        if let Some((min, max)) = self.range.addrs {
            present |= put_addr(out, min, 1);
            present |= max.map_or(0, |max| put_addr(out, max, 2));
        }
        if let Some((min, max)) = self.range.ports {
            present |= 16;
            out.put_u16(min);
            if let Some(max) = max {
                present |= 32;
                out.put_u16(max);
            }
        }
        out.set_u16(present_at, present);
        finish(out, at)
    }

    pub(super) fn read(r: &mut Reader<'_>) -> wire::Result<Nat> {
        r.skip(2)?;
        let flags = r.u16()?;
        let present = r.u16()?;
        let has = |bit: u16| present & bit != 0;
        let v4 = |r: &mut Reader<'_>| Ok(IpAddr::V4(Ipv4Addr::from(r.array::<4>()?)));
        let v6 = |r: &mut Reader<'_>| Ok(IpAddr::V6(Ipv6Addr::from(r.array::<16>()?)));
        // An upper end needs a lower one, and there is one family.
        let upper_alone = [1, 4, 16].iter().any(|&min| has(min << 1) && !has(min));
        if present & !0x3f != 0 || upper_alone || (has(1) && has(4)) {
            let expected = "ranges with a lower end, of one family";
            return Err(r.error(expected, present, ErrorCode::ACTION_BAD_ARGUMENT));
        }
        let addrs = if has(1) {
            Some((v4(r)?, if has(2) { Some(v4(r)?) } else { None }))
        } else if has(4) {
            Some((v6(r)?, if has(8) { Some(v6(r)?) } else { None }))
        } else {
            None
        };
        let ports =
            if has(16) { Some((r.u16()?, if has(32) { Some(r.u16()?) } else { None })) } else { None };
        Ok(Nat { flags, range: NatRange { addrs, ports } })
    }
}

/// Appends an address; gives the bit that says so, `v4_bit` for IPv4 and two places further for IPv6.
fn put_addr(out: &mut Vec<u8>, addr: IpAddr, v4_bit: u16) -> u16 {
    match addr {
        IpAddr::V4(a) => {
            out.extend_from_slice(&a.octets());
            v4_bit
        }
        IpAddr::V6(a) => {
            out.extend_from_slice(&a.octets());
            v4_bit << 2
        }
    }
}
