//! Making a switch forget connections (Nicira).

use crate::prop;
use crate::wire::{self, Put, Reader};
use std::net::{IpAddr, Ipv6Addr};

/// Which connections to forget: those that agree with everything that is given.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct CtFlush {
    /// IP protocol, 0 for any.
    pub ip_proto: u8,
    /// The original direction.
    pub orig: CtTuple,
    /// The reply direction.
    pub reply: CtTuple,
    /// The zone.
    pub zone: Option<u16>,
    /// The mark and which of its bits count.
    pub mark: Option<(u32, u32)>,
    /// The label and which of its bits count.
    pub label: Option<(u128, u128)>,
}

/// One direction of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct CtTuple {
    /// Source address.
    pub src: Option<IpAddr>,
    /// Destination address.
    pub dst: Option<IpAddr>,
    /// Transport source port.
    pub src_port: Option<u16>,
    /// Transport destination port.
    pub dst_port: Option<u16>,
    /// ICMP echo identifier.
    pub icmp_id: Option<u16>,
    /// ICMP type.
    pub icmp_type: Option<u8>,
    /// ICMP code.
    pub icmp_code: Option<u8>,
}

/// Numbers of the properties.
mod property {
    pub(super) const ORIG: u16 = 0;
    pub(super) const REPLY: u16 = 1;
    pub(super) const ZONE: u16 = 2;
    pub(super) const MARK: u16 = 3;
    pub(super) const MARK_MASK: u16 = 4;
    pub(super) const LABEL: u16 = 5;
    pub(super) const LABEL_MASK: u16 = 6;
    pub(super) mod tuple {
        pub(crate) const SRC: u16 = 0;
        pub(crate) const DST: u16 = 1;
        pub(crate) const SRC_PORT: u16 = 2;
        pub(crate) const DST_PORT: u16 = 3;
        pub(crate) const ICMP_ID: u16 = 4;
        pub(crate) const ICMP_TYPE: u16 = 5;
        pub(crate) const ICMP_CODE: u16 = 6;
    }
}

impl CtFlush {
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.put_u8(self.ip_proto);
        out.put_zeros(7);
        self.orig.put(out, property::ORIG);
        self.reply.put(out, property::REPLY);
        if let Some(zone) = self.zone {
            prop::put_u16(out, property::ZONE, zone);
        }
        if let Some((mark, mask)) = self.mark {
            prop::put_u32(out, property::MARK, mark);
            prop::put_u32(out, property::MARK_MASK, mask);
        }
        if let Some((label, mask)) = self.label {
            prop::put_u128(out, property::LABEL, label);
            prop::put_u128(out, property::LABEL_MASK, mask);
        }
    }

    pub(super) fn read(r: &mut Reader<'_>) -> wire::Result<CtFlush> {
        let mut flush = CtFlush { ip_proto: r.u8()?, ..CtFlush::default() };
        r.skip(7)?;
        let (mut mark_mask, mut label_mask) = (u32::MAX, u128::MAX);
        while let Some(mut p) = prop::next(r)? {
            match p.typ {
                property::ORIG => flush.orig = CtTuple::read(&mut p.nested()?)?,
                property::REPLY => flush.reply = CtTuple::read(&mut p.nested()?)?,
                property::ZONE => flush.zone = Some(p.u16()?),
                property::MARK => flush.mark = Some((p.u32()?, u32::MAX)),
                property::MARK_MASK => mark_mask = p.u32()?,
                property::LABEL => flush.label = Some((p.u128()?, u128::MAX)),
                property::LABEL_MASK => label_mask = p.u128()?,
                _ => return Err(p.unknown()),
            }
        }
        flush.mark = flush.mark.map(|(mark, _)| (mark, mark_mask));
        flush.label = flush.label.map(|(label, _)| (label, label_mask));
        Ok(flush)
    }
}

impl CtTuple {
    /// A direction that says nothing is left out.
    fn put(&self, out: &mut Vec<u8>, typ: u16) {
        use property::tuple;
        if *self == CtTuple::default() {
            return;
        }
        let at = prop::start_nested(out, typ);
        for (typ, addr) in [(tuple::SRC, self.src), (tuple::DST, self.dst)] {
            if let Some(addr) = addr {
                prop::put_bytes(out, typ, &mapped(addr).octets());
            }
        }
        let ports = [
            (tuple::SRC_PORT, self.src_port),
            (tuple::DST_PORT, self.dst_port),
            (tuple::ICMP_ID, self.icmp_id),
        ];
        for (typ, v) in ports {
            if let Some(v) = v {
                prop::put_u16(out, typ, v);
            }
        }
        for (typ, v) in [(tuple::ICMP_TYPE, self.icmp_type), (tuple::ICMP_CODE, self.icmp_code)] {
            if let Some(v) = v {
                prop::put_u8(out, typ, v);
            }
        }
        prop::finish(out, at);
    }

    fn read(r: &mut Reader<'_>) -> wire::Result<CtTuple> {
        use property::tuple;
        let mut t = CtTuple::default();
        while let Some(mut p) = prop::next(r)? {
            match p.typ {
                tuple::SRC => t.src = Some(unmapped(p.u128()?)),
                tuple::DST => t.dst = Some(unmapped(p.u128()?)),
                tuple::SRC_PORT => t.src_port = Some(p.u16()?),
                tuple::DST_PORT => t.dst_port = Some(p.u16()?),
                tuple::ICMP_ID => t.icmp_id = Some(p.u16()?),
                tuple::ICMP_TYPE => t.icmp_type = Some(p.u8()?),
                tuple::ICMP_CODE => t.icmp_code = Some(p.u8()?),
                _ => return Err(p.unknown()),
            }
        }
        Ok(t)
    }
}

/// IPv4 addresses travel mapped into IPv6.
fn mapped(addr: IpAddr) -> Ipv6Addr {
    match addr {
        IpAddr::V4(a) => a.to_ipv6_mapped(),
        IpAddr::V6(a) => a,
    }
}

fn unmapped(bits: u128) -> IpAddr {
    IpAddr::V6(Ipv6Addr::from(bits)).to_canonical()
}
