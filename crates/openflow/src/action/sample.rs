//! Sampling of packets.

use super::encode::{finish, nx, ofs_nbits, put_short_header, start_nx};
use super::{decode, port_from_u16, port_to_u16};
use crate::field::Subfield;
use crate::wire::{self, Put, Reader, TooLong};
use kiln_types::OfPort;

/// `sample(..)`: samples packets to an IPFIX or local collector (ovs-actions(7), "The sample action").
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sample {
    /// Out of 65535; 0 is not allowed.
    pub probability: u16,
    /// The set of collectors.
    pub collector_set_id: u32,
    /// Where the observation was made.
    pub obs_domain: SampleArg,
    /// Where in it.
    pub obs_point: SampleArg,
    /// The port that the sample speaks of; [`OfPort::ANY`] for the ingress port.
    pub sampling_port: OfPort,
    /// 0 none, 1 ingress, 2 egress.
    pub direction: u8,
}

/// A number, or the field that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SampleArg {
    /// The number itself.
    Imm(u32),
    /// 32 bits of a field or fewer.
    Field(Subfield),
}

impl Sample {
    /// The oldest form that can say it.
    pub(super) fn put(&self, out: &mut Vec<u8>) -> Result<(), TooLong> {
        let (SampleArg::Imm(domain), SampleArg::Imm(point)) = (self.obs_domain, self.obs_point) else {
            return self.put_with_fields(out);
        };
        let subtype = if self.direction != 0 {
            nx::SAMPLE3
        } else if self.sampling_port != OfPort::ANY {
            nx::SAMPLE2
        } else {
            nx::SAMPLE
        };
        let at = start_nx(out, subtype);
        out.put_u16(self.probability);
        out.put_u32(self.collector_set_id);
        out.put_u32(domain);
        out.put_u32(point);
        if subtype != nx::SAMPLE {
            out.put_u16(port_to_u16(self.sampling_port));
            out.put_u8(self.direction);
        }
        finish(out, at)
    }

    fn put_with_fields(&self, out: &mut Vec<u8>) -> Result<(), TooLong> {
        let at = start_nx(out, nx::SAMPLE4);
        out.put_u16(self.probability);
        out.put_u32(self.collector_set_id);
        for arg in [&self.obs_domain, &self.obs_point] {
            match arg {
                SampleArg::Imm(number) => {
                    out.put_u32(0);
                    out.put_u32(*number);
                }
                SampleArg::Field(sf) => {
                    put_short_header(out, sf.field)?;
                    out.put_u16(ofs_nbits(sf));
                    out.put_u16(0);
                }
            }
        }
        out.put_u16(port_to_u16(self.sampling_port));
        out.put_u8(self.direction);
        finish(out, at)
    }

    pub(super) fn read(r: &mut Reader<'_>, subtype: u16) -> wire::Result<Sample> {
        let mut sample = Sample {
            probability: r.u16()?,
            collector_set_id: r.u32()?,
            obs_domain: SampleArg::Imm(r.u32()?),
            obs_point: SampleArg::Imm(r.u32()?),
            sampling_port: OfPort::ANY,
            direction: 0,
        };
        if subtype != nx::SAMPLE {
            sample.sampling_port = port_from_u16(r.u16()?);
            sample.direction = r.u8()?;
        }
        Ok(sample)
    }

    pub(super) fn read_with_fields(r: &mut Reader<'_>) -> wire::Result<Sample> {
        Ok(Sample {
            probability: r.u16()?,
            collector_set_id: r.u32()?,
            obs_domain: read_arg(r)?,
            obs_point: read_arg(r)?,
            sampling_port: port_from_u16(r.u16()?),
            direction: r.u8()?,
        })
    }
}

fn read_arg(r: &mut Reader<'_>) -> wire::Result<SampleArg> {
    if r.clone().u32()? == 0 {
        r.skip(4)?;
        return Ok(SampleArg::Imm(r.u32()?));
    }
    let field = decode::read_short_header(r)?;
    let sf = decode::subfield_of(r, field)?;
    r.skip(2)?;
    Ok(SampleArg::Field(sf))
}
