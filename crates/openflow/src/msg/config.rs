//! What a switch is, how it is configured, and who leads it.

use crate::Version;
use crate::wire::{self, Put, Reader};

/// A switch's features (OpenFlow 1.5.1, section 7.3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Features {
    /// The switch's name among others.
    pub datapath_id: u64,
    /// How many packets it buffers.
    pub n_buffers: u32,
    /// How many tables it has.
    pub n_tables: u8,
    /// Which of several connections this is; 0 is the main one.
    pub auxiliary_id: u8,
    /// `OFPC_*` bits.
    pub capabilities: u32,
    /// Zero; in 1.0 the actions that are supported.
    pub reserved: u32,
    /// The ports that 1.0 to 1.2 list here, as they are on the wire.
    pub ports: Box<[u8]>,
}

impl Features {
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.put_u64(self.datapath_id);
        out.put_u32(self.n_buffers);
        out.put_u8(self.n_tables);
        out.put_u8(self.auxiliary_id);
        out.put_u16(0);
        out.put_u32(self.capabilities);
        out.put_u32(self.reserved);
        out.extend_from_slice(&self.ports);
    }

    pub(super) fn read(r: &mut Reader<'_>) -> wire::Result<Features> {
        Ok(Features {
            datapath_id: r.u64()?,
            n_buffers: r.u32()?,
            n_tables: r.u8()?,
            auxiliary_id: r.u8()?,
            capabilities: {
                r.skip(2)?;
                r.u32()?
            },
            reserved: r.u32()?,
            ports: r.rest().into(),
        })
    }
}

/// A switch's configuration (OpenFlow 1.5.1, section 7.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SwitchConfig {
    /// How fragments are treated: 0 normal, 1 dropped, 2 reassembled, 3 matched (Nicira).
    pub flags: u16,
    /// Bytes of a packet that goes to the controller; 0xffff is all of them. Until it is not zero, Open vSwitch sends
    /// nothing of its own accord on a service connection.
    pub miss_send_len: u16,
}

impl SwitchConfig {
    pub(super) fn put(self, out: &mut Vec<u8>) {
        out.put_u16(self.flags);
        out.put_u16(self.miss_send_len);
    }

    pub(super) fn read(r: &mut Reader<'_>) -> wire::Result<SwitchConfig> {
        Ok(SwitchConfig { flags: r.u16()?, miss_send_len: r.u16()? })
    }
}

/// A controller's role (OpenFlow 1.5.1, section 7.3.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Role {
    /// 0 as it was, 1 equal, 2 primary, 3 secondary.
    pub role: u32,
    /// Orders elections; all ones if there was none.
    pub generation_id: u64,
}

impl Role {
    /// 1.0 and 1.1 know Nicira's numbers, which have no "as it was", and no generation.
    pub(super) fn put(self, version: Version, out: &mut Vec<u8>) {
        if version < Version::V1_2 {
            out.put_u32(self.role.saturating_sub(1));
            return;
        }
        out.put_u32(self.role);
        out.put_u32(0);
        out.put_u64(self.generation_id);
    }

    pub(super) fn read(r: &mut Reader<'_>, version: Version) -> wire::Result<Role> {
        if version < Version::V1_2 {
            return Ok(Role { role: r.u32()?.saturating_add(1), generation_id: u64::MAX });
        }
        let role = r.u32()?;
        r.skip(4)?;
        Ok(Role { role, generation_id: r.u64()? })
    }
}
