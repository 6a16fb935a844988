//! Router advertisements that nobody asked for, again and again (RFC 4861, section 6.2.4).

use crate::timetable::Timetable;
use kiln_packet::RouterAdvert;
use kiln_types::{DatapathKey, Instant, PortKey, Rng};
use std::collections::BTreeMap;
use std::time::Duration;

/// The first advertisements come sooner, so that hosts find the router: how many, and the longest pause before each
/// (RFC 4861, section 10, `MAX_INITIAL_RTR_ADVERTISEMENTS` and `MAX_INITIAL_RTR_ADVERT_INTERVAL`).
const INITIAL: (u8, Duration) = (3, Duration::from_secs(16));

/// A router that advertises itself on a switch.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PeriodicAdvert {
    /// The switch.
    pub datapath: DatapathKey,
    /// Its port towards the router: advertisements come in by it.
    pub port: PortKey,
    /// The shortest pause.
    pub min_pause: Duration,
    /// The longest.
    pub max_pause: Duration,
    /// Who hears it.
    pub reach: Reach,
    /// The frame.
    pub frame: Box<[u8]>,
}

/// Who hears what is sent as if it had come in by a logical port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// All ports of its datapath.
    All,
    /// Those of this chassis: others say the same to theirs.
    Chassis,
    /// Those of this chassis and the physical network, since no other chassis says it.
    ChassisAndNetwork,
}

impl PeriodicAdvert {
    /// An advertisement with random pauses between two bounds.
    pub fn new(
        (datapath, port): (DatapathKey, PortKey),
        (min_pause, max_pause): (Duration, Duration),
        reach: Reach,
        advert: &RouterAdvert,
    ) -> Self {
        let mut frame = vec![0; advert.buffer_len()];
        advert.emit(&mut frame);
        let max_pause = max_pause.max(min_pause);
        PeriodicAdvert { datapath, port, min_pause, max_pause, reach, frame: frame.into() }
    }
}

type Place = (DatapathKey, PortKey);

/// Every router that advertises itself, and how many of the first advertisements are still to come.
#[derive(Debug)]
pub(crate) struct Advertiser {
    adverts: BTreeMap<Place, (PeriodicAdvert, u8)>,
    times: Timetable<Place>,
}

impl Advertiser {
    pub(crate) const fn new() -> Self {
        Advertiser { adverts: BTreeMap::new(), times: Timetable::new() }
    }

    pub(crate) fn add(&mut self, now: Instant, rng: &mut Rng, advert: PeriodicAdvert) {
        let place = (advert.datapath, advert.port);
        self.times.set(place, now + pause(rng, &advert, INITIAL.0));
        self.adverts.insert(place, (advert, INITIAL.0));
    }

    pub(crate) fn remove(&mut self, advert: &PeriodicAdvert) {
        let place = (advert.datapath, advert.port);
        if self.adverts.get(&place).is_some_and(|(standing, _)| standing == advert) {
            self.adverts.remove(&place);
            self.times.remove(&place);
        }
    }

    /// An advertisement whose time has come; the next one's is chosen.
    pub(crate) fn pop_due(&mut self, now: Instant, rng: &mut Rng) -> Option<&PeriodicAdvert> {
        let place = self.times.pop_due(now)?;
        let (advert, initial) = self.adverts.get_mut(&place)?;
        *initial = initial.saturating_sub(1);
        self.times.set(place, now + pause(rng, advert, *initial));
        Some(advert)
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.times.deadline()
    }

    pub(crate) fn len(&self) -> usize {
        self.adverts.len()
    }
}

fn pause(rng: &mut Rng, advert: &PeriodicAdvert, initial: u8) -> Duration {
    let [min, max] = [advert.min_pause, advert.max_pause].map(|pause| pause.as_micros() as u64);
    let chosen = Duration::from_micros(rng.u64(min..=max));
    if initial > 0 { chosen.min(INITIAL.1) } else { chosen }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_packet::RaOptions;

    #[test]
    fn pauses_are_within_bounds_and_the_first_are_short() {
        let mac = "0e:00:00:00:00:01".parse().unwrap();
        let bounds = (Duration::from_secs(200), Duration::from_mins(10));
        let router = RouterAdvert::multicast(mac, u16::MAX, RaOptions::new());
        let advert = PeriodicAdvert::new((DatapathKey(1), PortKey(2)), bounds, Reach::Chassis, &router);
        let (mut rng, mut advertiser) = (Rng::with_seed(7), Advertiser::new());
        advertiser.add(Instant::ZERO, &mut rng, advert.clone());
        let (mut last, mut pauses) = (Instant::ZERO, Vec::new());
        for _ in 0..50 {
            let at = advertiser.deadline().unwrap();
            assert_eq!(advertiser.pop_due(at, &mut rng), Some(&advert));
            pauses.push(at - last);
            last = at;
        }
        assert!(pauses[..3].iter().all(|pause| *pause == INITIAL.1), "{pauses:?}");
        assert!(pauses[3..].iter().all(|pause| bounds.0 <= *pause && *pause <= bounds.1), "{pauses:?}");
        assert!(pauses[3..].iter().any(|pause| *pause != pauses[3]), "they are not all the same");
        advertiser.remove(&advert);
        assert_eq!((advertiser.deadline(), advertiser.len()), (None, 0));
    }
}
