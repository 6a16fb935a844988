//! Meters: rate limits (OpenFlow 1.5.1, section 7.3.4.5).

use super::multipart::{entry, finish_entry};
use crate::ErrorCode;
use crate::wire::{self, Put, Reader, TooLong};

/// A meter as it is, and what a change makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meter {
    /// [`Meter::KBPS`] and the others.
    pub flags: u16,
    /// The meter's number, from 1.
    pub meter_id: u32,
    /// What happens from which rate on.
    pub bands: Vec<MeterBand>,
}

impl Meter {
    /// Rates are in kbit/s.
    pub const KBPS: u16 = 1;
    /// Rates are in packets/s.
    pub const PKTPS: u16 = 2;
    /// Bursts are given.
    pub const BURST: u16 = 4;
    /// Packets are counted.
    pub const STATS: u16 = 8;

    /// The largest number of a meter.
    pub const MAX_ID: u32 = 0xffff_0000;
    /// All meters, when deleting or listing.
    pub const ALL_IDS: u32 = 0xffff_ffff;

    fn put_bands(&self, out: &mut Vec<u8>) {
        self.bands.iter().for_each(|b| b.put(out));
    }

    fn read_bands(r: &mut Reader<'_>) -> wire::Result<Vec<MeterBand>> {
        let mut bands = Vec::with_capacity(r.remaining() / 16);
        while !r.is_empty() {
            bands.push(MeterBand::read(r)?);
        }
        Ok(bands)
    }

    /// Appends an entry of the list of meters.
    pub(super) fn put_config(&self, out: &mut Vec<u8>) -> Result<(), TooLong> {
        let at = out.len();
        out.put_u16(0);
        out.put_u16(self.flags);
        out.put_u32(self.meter_id);
        self.put_bands(out);
        finish_entry(out, at)
    }

    pub(super) fn read_config(r: &mut Reader<'_>) -> wire::Result<Meter> {
        let mut r = entry(r, "meter")?;
        Ok(Meter { flags: r.u16()?, meter_id: r.u32()?, bands: Meter::read_bands(&mut r)? })
    }
}

/// What happens to packets above a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MeterBand {
    /// [`MeterBand::DROP`] or [`MeterBand::DSCP_REMARK`].
    pub typ: u16,
    /// The rate, in the meter's unit.
    pub rate: u32,
    /// The burst, in kbit or packets.
    pub burst: u32,
    /// By how much a remarked packet's drop precedence rises.
    pub prec_level: u8,
}

impl MeterBand {
    /// They are dropped.
    pub const DROP: u16 = 1;
    /// Their drop precedence rises.
    pub const DSCP_REMARK: u16 = 2;

    const LEN: u16 = 16;

    fn put(&self, out: &mut Vec<u8>) {
        out.put_u16(self.typ);
        out.put_u16(MeterBand::LEN);
        out.put_u32(self.rate);
        out.put_u32(self.burst);
        out.put_u8(self.prec_level);
        out.put_zeros(3);
    }

    fn read(r: &mut Reader<'_>) -> wire::Result<MeterBand> {
        let typ = r.u16()?;
        let len = r.u16()?;
        if len != MeterBand::LEN {
            return Err(r.error("a band of 16 bytes", len, ErrorCode::METER_MOD_BAD_BAND));
        }
        let band = MeterBand { typ, rate: r.u32()?, burst: r.u32()?, prec_level: r.u8()? };
        r.skip(3)?;
        Ok(band)
    }
}

/// Changes a meter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeterMod {
    /// [`MeterMod::ADD`] and the others.
    pub command: u16,
    /// What the meter is to be.
    pub meter: Meter,
}

impl MeterMod {
    /// Adds a meter.
    pub const ADD: u16 = 0;
    /// Replaces a meter.
    pub const MODIFY: u16 = 1;
    /// Deletes a meter.
    pub const DELETE: u16 = 2;

    /// Deletes one meter, or all with [`Meter::ALL_IDS`].
    pub fn delete(meter_id: u32) -> MeterMod {
        MeterMod { command: MeterMod::DELETE, meter: Meter { flags: 0, meter_id, bands: Vec::new() } }
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.put_u16(self.command);
        out.put_u16(self.meter.flags);
        out.put_u32(self.meter.meter_id);
        self.meter.put_bands(out);
    }

    pub(super) fn read(r: &mut Reader<'_>) -> wire::Result<MeterMod> {
        let command = r.u16()?;
        let (flags, meter_id) = (r.u16()?, r.u32()?);
        Ok(MeterMod { command, meter: Meter { flags, meter_id, bands: Meter::read_bands(r)? } })
    }
}

/// What meters a switch can have (OpenFlow 1.5.1, section 7.3.5.13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MeterFeatures {
    /// How many meters; 0 if there are none.
    pub max_meters: u32,
    /// Bit n says that bands of type n exist.
    pub band_types: u32,
    /// Flags that meters may have.
    pub capabilities: u32,
    /// How many bands a meter may have.
    pub max_bands: u8,
    /// The largest colour.
    pub max_color: u8,
}

impl MeterFeatures {
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.put_u32(self.max_meters);
        out.put_u32(self.band_types);
        out.put_u32(self.capabilities);
        out.put_u8(self.max_bands);
        out.put_u8(self.max_color);
        out.put_u16(0);
    }

    /// 1.5 has more after it, which says nothing of use.
    pub(super) fn read(r: &mut Reader<'_>) -> wire::Result<MeterFeatures> {
        let features = MeterFeatures {
            max_meters: r.u32()?,
            band_types: r.u32()?,
            capabilities: r.u32()?,
            max_bands: r.u8()?,
            max_color: r.u8()?,
        };
        r.rest();
        Ok(features)
    }
}

/// What a meter has counted (OpenFlow 1.5.1, section 7.3.5.11).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeterStats {
    /// The meter.
    pub meter_id: u32,
    /// How many flows use it.
    pub flow_count: u32,
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
    /// How long it has existed: seconds and nanoseconds.
    pub duration: (u32, u32),
    /// Packets and bytes by band.
    pub bands: Vec<(u64, u64)>,
}

impl MeterStats {
    pub(super) fn put(&self, out: &mut Vec<u8>) -> Result<(), TooLong> {
        let len = 40 + 16 * self.bands.len();
        let short = u16::try_from(len).map_err(|_| TooLong { what: "meter statistics", len, max: 0xffff })?;
        out.put_u32(self.meter_id);
        out.put_u16(short);
        out.put_zeros(6);
        out.put_u32(self.flow_count);
        out.put_u64(self.packets);
        out.put_u64(self.bytes);
        out.put_u32(self.duration.0);
        out.put_u32(self.duration.1);
        for &(packets, bytes) in &self.bands {
            out.put_u64(packets);
            out.put_u64(bytes);
        }
        Ok(())
    }

    pub(super) fn read(r: &mut Reader<'_>) -> wire::Result<MeterStats> {
        let meter_id = r.u32()?;
        let len = usize::from(r.u16()?);
        let Some(body_len) = len.checked_sub(6) else {
            return Err(r.bad_len("statistics of at least 40 bytes", len));
        };
        let mut r = r.sub(body_len, "meter statistics", ErrorCode::REQUEST_BAD_LEN)?;
        r.skip(6)?;
        let flow_count = r.u32()?;
        let (packets, bytes, duration) = (r.u64()?, r.u64()?, (r.u32()?, r.u32()?));
        let mut bands = Vec::with_capacity(r.remaining() / 16);
        while !r.is_empty() {
            bands.push((r.u64()?, r.u64()?));
        }
        Ok(MeterStats { meter_id, flow_count, packets, bytes, duration, bands })
    }
}
