//! Meters: token buckets (OpenFlow 1.5.1, section 5.7), of which only bands that drop packets by the packet count.

use kiln_openflow::msg::{Meter, MeterStats};
use kiln_types::Instant;
use std::collections::BTreeMap;

/// The meters of a switch.
#[derive(Debug, Default)]
pub(super) struct Meters {
    meters: BTreeMap<u32, (Meter, Bucket)>,
}

/// What is left, in millionths of a packet.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: u64,
    at: Instant,
    /// Packets that came, and that did not pass.
    came: u64,
    dropped: u64,
}

const PACKET: u64 = 1_000_000;

/// The packets a second that pass, and how many at once.
fn rate(meter: &Meter) -> Option<(u64, u64)> {
    let band = meter.bands.first().filter(|_| meter.flags & Meter::PKTPS != 0)?;
    let burst = if meter.flags & Meter::BURST != 0 { band.burst } else { band.rate };
    Some((band.rate.into(), burst.max(1).into()))
}

impl Meters {
    pub(super) fn has(&self, id: u32) -> bool {
        self.meters.contains_key(&id)
    }

    /// Adds a meter, or replaces it; it starts full.
    pub(super) fn put(&mut self, now: Instant, meter: Meter) {
        let left = rate(&meter).map_or(0, |(_, burst)| burst * PACKET);
        self.meters.insert(meter.meter_id, (meter, Bucket { left, at: now, came: 0, dropped: 0 }));
    }

    pub(super) fn remove(&mut self, id: u32) {
        self.meters.remove(&id);
    }

    pub(super) fn clear(&mut self) {
        self.meters.clear();
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Meter> {
        self.meters.values().map(|(meter, _)| meter)
    }

    /// What they have counted.
    pub(super) fn counted(&self) -> impl Iterator<Item = MeterStats> {
        self.meters.iter().map(|(id, (_, bucket))| MeterStats {
            meter_id: *id,
            flow_count: 0,
            packets: bucket.came,
            bytes: 0,
            duration: (0, 0),
            bands: vec![(bucket.dropped, 0)],
        })
    }

    /// Whether a packet passes.
    pub(super) fn passes(&mut self, now: Instant, id: u32) -> bool {
        let Some((meter, bucket)) = self.meters.get_mut(&id) else { return true };
        let Some((rate, burst)) = rate(meter) else { return true };
        let come = now.saturating_since(bucket.at).as_micros() as u64 * rate;
        bucket.left = bucket.left.saturating_add(come).min(burst * PACKET);
        bucket.at = now;
        let passes = bucket.left >= PACKET;
        bucket.came += 1;
        if passes {
            bucket.left -= PACKET;
        } else {
            bucket.dropped += 1;
        }
        passes
    }
}
