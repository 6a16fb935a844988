//! The map from tunnel options to `tun_metadata` fields (Nicira; ovs-fields(7), "tun_metadata0").

use crate::wire::{self, Put, Reader};

/// One tunnel option and its field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TlvMapping {
    /// The option's class.
    pub option_class: u16,
    /// The option's type.
    pub option_type: u8,
    /// The option's length in bytes, a multiple of 4, at most 124.
    pub option_len: u8,
    /// Which `tun_metadata` field, 0 to 63.
    pub index: u16,
}

impl TlvMapping {
    fn put(self, out: &mut Vec<u8>) {
        out.put_u16(self.option_class);
        out.put_u8(self.option_type);
        out.put_u8(self.option_len);
        out.put_u16(self.index);
        out.put_u16(0);
    }

    fn read_all(r: &mut Reader<'_>) -> wire::Result<Vec<TlvMapping>> {
        let mut list = Vec::with_capacity(r.remaining() / 8);
        while !r.is_empty() {
            list.push(TlvMapping {
                option_class: r.u16()?,
                option_type: r.u8()?,
                option_len: r.u8()?,
                index: r.u16()?,
            });
            r.skip(2)?;
        }
        Ok(list)
    }
}

/// A change of the map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlvTableMod {
    /// [`TlvTableMod::ADD`] and the others.
    pub command: u16,
    /// What is added or deleted.
    pub mappings: Vec<TlvMapping>,
}

impl TlvTableMod {
    /// Adds mappings.
    pub const ADD: u16 = 0;
    /// Deletes mappings.
    pub const DELETE: u16 = 1;
    /// Deletes all mappings.
    pub const CLEAR: u16 = 2;

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.put_u16(self.command);
        out.put_zeros(6);
        self.mappings.iter().for_each(|m| m.put(out));
    }

    pub(super) fn read(r: &mut Reader<'_>) -> wire::Result<TlvTableMod> {
        let command = r.u16()?;
        r.skip(6)?;
        Ok(TlvTableMod { command, mappings: TlvMapping::read_all(r)? })
    }
}

/// The map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlvTable {
    /// Bytes of option space in all.
    pub max_option_space: u32,
    /// How many mappings there may be.
    pub max_fields: u16,
    /// The mappings.
    pub mappings: Vec<TlvMapping>,
}

impl TlvTable {
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.put_u32(self.max_option_space);
        out.put_u16(self.max_fields);
        out.put_zeros(10);
        self.mappings.iter().for_each(|m| m.put(out));
    }

    pub(super) fn read(r: &mut Reader<'_>) -> wire::Result<TlvTable> {
        let max_option_space = r.u32()?;
        let max_fields = r.u16()?;
        r.skip(10)?;
        Ok(TlvTable { max_option_space, max_fields, mappings: TlvMapping::read_all(r)? })
    }
}
