//! Choosing among ports, and hashing.

use super::encode::{finish, nx, ofs_nbits, put_short_header, start_nx};
use super::{decode, port_from_u16, port_to_u16};
use crate::field::Subfield;
use crate::wire::{self, Put, Reader, TooLong};
use kiln_types::OfPort;

/// `bundle(..)` and `bundle_load(..)`: chooses one of several ports (ovs-actions(7), "The bundle and bundle_load
/// actions").
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Bundle {
    /// What is hashed, see [`Bundle::FIELDS`].
    pub fields: u16,
    /// Basis of the hash.
    pub basis: u16,
    /// 0 active-backup, 1 highest random weight.
    pub algorithm: u16,
    /// The ports, in order of preference.
    pub members: Box<[OfPort]>,
    /// The bits that get the port's number; `None` outputs to it.
    pub dst: Option<Subfield>,
}

/// The OXM header of `in_port`, which says that members are ports.
const MEMBER_IS_PORT: u32 = 0x0000_0002;

impl Bundle {
    /// The names of what is hashed, in order of their numbers.
    pub const FIELDS: [&str; 7] = [
        "eth_src",
        "symmetric_l4",
        "symmetric_l3l4",
        "symmetric_l3l4+udp",
        "nw_src",
        "nw_dst",
        "symmetric_l3",
    ];

    pub(super) fn put(&self, out: &mut Vec<u8>) -> Result<(), TooLong> {
        let at = start_nx(out, if self.dst.is_some() { nx::BUNDLE_LOAD } else { nx::BUNDLE });
        out.put_u16(self.algorithm);
        out.put_u16(self.fields);
        out.put_u16(self.basis);
        out.put_u32(MEMBER_IS_PORT);
        out.put_u16(u16::try_from(self.members.len()).unwrap_or(u16::MAX));
        let fixed_end = at + 32;
        match &self.dst {
            Some(sf) => {
                out.put_u16(ofs_nbits(sf));
                put_short_header(out, sf.field)?;
            }
            None => out.put_u16(0),
        }
        out.put_zeros(fixed_end - out.len());
        self.members.iter().for_each(|&port| out.put_u16(port_to_u16(port)));
        finish(out, at)
    }

    pub(super) fn read(r: &mut Reader<'_>, load: bool) -> wire::Result<Bundle> {
        let algorithm = r.u16()?;
        let fields = r.u16()?;
        let basis = r.u16()?;
        r.skip(4)?;
        let n_members = r.u16()?;
        let fixed = r.bytes(10)?;
        let mut fixed = Reader::new(fixed, "bundle", crate::ErrorCode::ACTION_BAD_LEN);
        let dst = if load {
            let bits = fixed.u16()?;
            let field = decode::read_short_header(&mut fixed)?;
            Some(decode::unpack_subfield(&fixed, field, bits)?)
        } else {
            None
        };
        let mut members = Vec::with_capacity(usize::from(n_members).min(r.remaining() / 2));
        for _ in 0..n_members {
            members.push(port_from_u16(r.u16()?));
        }
        Ok(Bundle { fields, basis, algorithm, members: members.into(), dst })
    }
}

/// `multipath(..)`: hashes the packet to one of several links (ovs-actions(7), "The multipath action").
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Multipath {
    /// What is hashed, see [`Bundle::FIELDS`].
    pub fields: u16,
    /// Basis of the hash.
    pub basis: u16,
    /// 0 modulo, 1 hash threshold, 2 highest random weight, 3 iterated hash.
    pub algorithm: u16,
    /// How many links, less 1.
    pub max_link: u16,
    /// The algorithm's argument.
    pub arg: u32,
    /// The bits that get the link's number.
    pub dst: Subfield,
}

impl Multipath {
    pub(super) fn put(&self, out: &mut Vec<u8>) -> Result<(), TooLong> {
        let at = start_nx(out, nx::MULTIPATH);
        out.put_u16(self.fields);
        out.put_u16(self.basis);
        out.put_u16(0);
        out.put_u16(self.algorithm);
        out.put_u16(self.max_link);
        out.put_u32(self.arg);
        out.put_u16(0);
        out.put_u16(ofs_nbits(&self.dst));
        put_short_header(out, self.dst.field)?;
        finish(out, at)
    }

    pub(super) fn read(r: &mut Reader<'_>) -> wire::Result<Multipath> {
        let fields = r.u16()?;
        let basis = r.u16()?;
        r.skip(2)?;
        let algorithm = r.u16()?;
        let max_link = r.u16()?;
        let arg = r.u32()?;
        r.skip(2)?;
        let bits = r.u16()?;
        let field = decode::read_short_header(r)?;
        let dst = decode::unpack_subfield(r, field, bits)?;
        Ok(Multipath { fields, basis, algorithm, max_link, arg, dst })
    }
}
