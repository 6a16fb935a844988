//! Ports (OpenFlow 1.5.1, section 7.2.1).

use crate::action::{port_from_u16, port_to_u16};
use crate::prop;
use crate::wire::{self, Put, Reader, TooLong};
use crate::{ErrorCode, Version};
use kiln_types::{EthAddr, OfPort};

/// A port of a switch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its number.
    pub port_no: OfPort,
    /// Its address.
    pub hw_addr: EthAddr,
    /// Its name, at most 15 bytes.
    pub name: Box<str>,
    /// How it is configured: [`Port::CONFIG_DOWN`] and others.
    pub config: u32,
    /// How it is: [`Port::STATE_LINK_DOWN`] and others.
    pub state: u32,
    /// Its speeds; not there on ports that have none.
    pub ethernet: Option<EthernetPort>,
}

/// What an Ethernet port can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct EthernetPort {
    /// Features in use, `OFPPF_*` bits.
    pub curr: u32,
    /// Features that are advertised.
    pub advertised: u32,
    /// Features that are supported.
    pub supported: u32,
    /// Features that the peer advertises.
    pub peer: u32,
    /// Current speed in kbit/s.
    pub curr_speed_kbps: u32,
    /// Highest speed in kbit/s.
    pub max_speed_kbps: u32,
}

/// The property of Ethernet ports.
const ETHERNET: u16 = 0;
const NAME_LEN: usize = 16;

impl EthernetPort {
    fn put(&self, out: &mut Vec<u8>) {
        for v in [self.curr, self.advertised, self.supported, self.peer] {
            out.put_u32(v);
        }
    }

    fn put_speeds(&self, out: &mut Vec<u8>) {
        out.put_u32(self.curr_speed_kbps);
        out.put_u32(self.max_speed_kbps);
    }

    fn read(r: &mut Reader<'_>, has_speeds: bool) -> wire::Result<EthernetPort> {
        let mut e = EthernetPort {
            curr: r.u32()?,
            advertised: r.u32()?,
            supported: r.u32()?,
            peer: r.u32()?,
            ..EthernetPort::default()
        };
        if has_speeds {
            (e.curr_speed_kbps, e.max_speed_kbps) = (r.u32()?, r.u32()?);
        }
        Ok(e)
    }
}

impl Port {
    /// Administratively down.
    pub const CONFIG_DOWN: u32 = 1;
    /// Drops what it receives.
    pub const CONFIG_NO_RECV: u32 = 4;
    /// Drops what is sent to it.
    pub const CONFIG_NO_FWD: u32 = 0x20;
    /// Sends no packet-ins.
    pub const CONFIG_NO_PACKET_IN: u32 = 0x40;
    /// No link.
    pub const STATE_LINK_DOWN: u32 = 1;
    /// Blocked.
    pub const STATE_BLOCKED: u32 = 2;
    /// Live, for fast failover.
    pub const STATE_LIVE: u32 = 4;

    /// Ports of 1.4 and later have a length and properties, earlier ones a fixed form.
    pub(super) fn put(&self, version: Version, out: &mut Vec<u8>) -> Result<(), TooLong> {
        let at = out.len();
        if version == Version::V1_0 {
            out.put_u16(port_to_u16(self.port_no));
            out.extend_from_slice(&self.hw_addr.0);
        } else {
            out.put_u32(self.port_no.0);
            out.put_u32(0);
            out.extend_from_slice(&self.hw_addr.0);
            out.put_u16(0);
        }
        out.put_name(&self.name, NAME_LEN);
        out.put_u32(self.config);
        out.put_u32(self.state);
        if version < Version::V1_4 {
            let ethernet = self.ethernet.unwrap_or_default();
            ethernet.put(out);
            if version > Version::V1_0 {
                ethernet.put_speeds(out);
            }
            return Ok(());
        }
        if let Some(ethernet) = &self.ethernet {
            let at = prop::start_nested(out, ETHERNET);
            ethernet.put(out);
            ethernet.put_speeds(out);
            prop::finish(out, at);
        }
        let len = (out.len() - at) as u16;
        out.set_u16(at + 4, len);
        Ok(())
    }

    pub(super) fn read(r: &mut Reader<'_>, version: Version) -> wire::Result<Port> {
        let v10 = version == Version::V1_0;
        let port_no = if v10 { port_from_u16(r.u16()?) } else { OfPort(r.u32()?) };
        let mut len = 0;
        if !v10 {
            len = usize::from(r.u16()?);
            r.skip(2)?;
        }
        let hw_addr = EthAddr(r.array()?);
        r.skip(if v10 { 0 } else { 2 })?;
        let name = r.name(NAME_LEN)?;
        let (config, state) = (r.u32()?, r.u32()?);
        let ethernet = if version < Version::V1_4 {
            Some(EthernetPort::read(r, !v10)?)
        } else {
            let Some(properties_len) = len.checked_sub(40) else {
                return Err(r.bad_len("a port of at least 40 bytes", len));
            };
            let mut properties = r.sub(properties_len, "port properties", ErrorCode::PROPERTY_BAD_LEN)?;
            read_properties(&mut properties)?
        };
        Ok(Port { port_no, hw_addr, name, config, state, ethernet })
    }
}

/// Optical and experimenters' properties are passed over.
fn read_properties(r: &mut Reader<'_>) -> wire::Result<Option<EthernetPort>> {
    let mut ethernet = None;
    while let Some(mut p) = prop::next(r)? {
        if p.typ == ETHERNET {
            ethernet = Some(EthernetPort::read(&mut p.nested()?, true)?);
        }
    }
    Ok(ethernet)
}

/// A port came, changed or went (OpenFlow 1.5.1, section 7.4.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortStatus {
    /// [`PortStatus::ADD`] and the others.
    pub reason: u8,
    /// The port.
    pub port: Port,
}

impl PortStatus {
    /// It came.
    pub const ADD: u8 = 0;
    /// It went.
    pub const DELETE: u8 = 1;
    /// It changed.
    pub const MODIFY: u8 = 2;

    pub(super) fn put(&self, version: Version, out: &mut Vec<u8>) -> Result<(), TooLong> {
        out.put_u8(self.reason);
        out.put_zeros(7);
        self.port.put(version, out)
    }

    pub(super) fn read(r: &mut Reader<'_>, version: Version) -> wire::Result<PortStatus> {
        let reason = r.u8()?;
        r.skip(7)?;
        Ok(PortStatus { reason, port: Port::read(r, version)? })
    }
}
