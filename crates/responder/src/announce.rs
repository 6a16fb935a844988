//! What a chassis announces without being asked: addresses of ports that came to it, where a physical network has to
//! learn that they did (RFC 826 and RFC 5227, section 3; RFC 903; RFC 4861, section 7.2.6).

use crate::timetable::Timetable;
use kiln_packet::{Arp, FlowKey, NaFlags, NeighborAdvert};
use kiln_types::{DatapathKey, EthAddr, Instant, PortKey};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// Most addresses that are announced.
pub const MAX_ANNOUNCEMENTS: usize = 65_536;
/// How long after a port came its addresses are first announced; the next pause is as long, and each one twice the one before.
pub const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The pause after which announcements end, unless the operator says how long pauses may become.
pub const LAST_PAUSE: Duration = Duration::from_secs(16);

/// An address that is announced from a port of a switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Announcement {
    /// The switch.
    pub datapath: DatapathKey,
    /// The port: the announcement comes in by it, as if it had sent it.
    pub port: PortKey,
    /// The Ethernet address.
    pub mac: EthAddr,
    /// The address that is there; of a port without any, the Ethernet address alone is announced.
    pub ip: Option<IpAddr>,
    /// Whether it is a router's.
    pub router: bool,
}

/// Ethernet type and operation of RARP requests.
const RARP: (u16, u8) = (0x8035, 3);

impl Announcement {
    /// A gratuitous ARP request, an unsolicited advertisement to all nodes, or a RARP request about oneself.
    pub(crate) fn frame(&self) -> Vec<u8> {
        match self.ip {
            Some(IpAddr::V4(ip)) => Arp::gratuitous(self.mac, ip).to_vec(),
            Some(IpAddr::V6(ip)) => {
                let flags = if self.router { NaFlags::ROUTER } else { NaFlags::default() };
                NeighborAdvert::unsolicited(self.mac, ip, flags).to_vec()
            }
            None => {
                let (eth_type, nw_proto) = RARP;
                let nobody = Ipv4Addr::UNSPECIFIED;
                let (eth_dst, mac) = (EthAddr::BROADCAST, self.mac);
                FlowKey {
                    eth_dst,
                    eth_src: mac,
                    eth_type,
                    nw_proto,
                    nw_src: nobody,
                    nw_dst: nobody,
                    hw_src: mac,
                    hw_dst: mac,
                    ..FlowKey::default()
                }
                .compose(0)
            }
        }
    }
}

/// Everything that is announced, with the pause that follows the next time.
#[derive(Debug)]
pub(crate) struct Announcer {
    pauses: BTreeMap<Announcement, Duration>,
    times: Timetable<Announcement>,
    /// How long pauses may become; `None` if announcements end instead.
    max_pause: Option<Duration>,
}

impl Announcer {
    pub(crate) const fn new() -> Self {
        Announcer { pauses: BTreeMap::new(), times: Timetable::new(), max_pause: None }
    }

    /// Announces an address from now on; whether there is room for it.
    pub(crate) fn add(&mut self, now: Instant, announcement: Announcement) -> bool {
        if self.pauses.len() >= MAX_ANNOUNCEMENTS && !self.pauses.contains_key(&announcement) {
            return false;
        }
        self.pauses.insert(announcement, FIRST_PAUSE);
        self.times.set(announcement, now + FIRST_PAUSE);
        true
    }

    pub(crate) fn remove(&mut self, announcement: &Announcement) {
        self.pauses.remove(announcement);
        self.times.remove(announcement);
    }

    /// Takes how long pauses may become; if it is another than before, all are announced anew.
    pub(crate) fn set_max_pause(&mut self, now: Instant, max_pause: Option<Duration>) {
        if self.max_pause != max_pause {
            self.max_pause = max_pause;
            for (announcement, pause) in &mut self.pauses {
                *pause = FIRST_PAUSE;
                self.times.set(*announcement, now + FIRST_PAUSE);
            }
        }
    }

    /// An address whose time has come; it is noted as announced.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Announcement> {
        let announcement = self.times.pop_due(now)?;
        let pause = self.pauses.get_mut(&announcement)?;
        let longest = self.max_pause.unwrap_or(LAST_PAUSE);
        if self.max_pause.is_some() || *pause < longest {
            self.times.set(announcement, now + *pause);
        }
        *pause = longest.min(*pause * 2);
        Some(announcement)
    }

    /// An address that was taken out was not announced after all: it comes at `at`, and its pauses are as if it had not been
    /// taken out. What has come to its end comes once more.
    pub(crate) fn postpone(&mut self, announcement: Announcement, at: Instant) {
        if let Some(pause) = self.pauses.get_mut(&announcement) {
            *pause = (*pause / 2).max(FIRST_PAUSE);
            self.times.set(announcement, at);
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.times.deadline()
    }

    pub(crate) fn len(&self) -> usize {
        self.pauses.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ip: Option<&str>) -> Announcement {
        Announcement {
            datapath: DatapathKey(3),
            port: PortKey(4),
            mac: "0e:00:00:00:02:01".parse().unwrap(),
            ip: ip.map(|ip| ip.parse().unwrap()),
            router: true,
        }
    }

    /// The seconds, from when the address came, at which it is announced.
    fn seconds(announcer: &mut Announcer, until: u64) -> Vec<u64> {
        let mut seen = Vec::new();
        while let Some(at) = announcer.deadline().filter(|at| *at <= Instant::from_secs(until)) {
            assert!(announcer.pop_due(at).is_some());
            seen.push(at.as_millis() / 1000);
        }
        seen
    }

    #[test]
    fn five_times_with_pauses_that_double() {
        let mut announcer = Announcer::new();
        assert!(announcer.add(Instant::ZERO, of(Some("192.168.0.1"))));
        assert_eq!(seconds(&mut announcer, 1_000_000), [1, 2, 4, 8, 16]);
    }

    #[test]
    fn for_ever_where_the_operator_says_how_often() {
        let mut announcer = Announcer::new();
        announcer.set_max_pause(Instant::ZERO, Some(Duration::from_secs(3)));
        assert!(announcer.add(Instant::ZERO, of(Some("192.168.0.1"))));
        assert_eq!(seconds(&mut announcer, 16), [1, 2, 4, 7, 10, 13, 16]);
        // The same again changes nothing, another pause starts over.
        announcer.set_max_pause(Instant::from_secs(16), Some(Duration::from_secs(3)));
        assert_eq!(seconds(&mut announcer, 18), []);
        announcer.set_max_pause(Instant::from_secs(18), None);
        assert_eq!(seconds(&mut announcer, 1_000_000), [19, 20, 22, 26, 34]);
    }

    #[test]
    fn what_went_is_not_announced() {
        let mut announcer = Announcer::new();
        announcer.add(Instant::ZERO, of(None));
        announcer.remove(&of(None));
        assert_eq!((announcer.deadline(), announcer.len()), (None, 0));
    }

    #[test]
    fn frames_by_family() {
        let text =
            |bytes: Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
        let arp = "ffffffffffff0e0000000201080600010800060400010e0000000201c0a80001000000000000c0a80001";
        assert_eq!(text(of(Some("192.168.0.1")).frame()), arp);
        let rarp = "ffffffffffff0e0000000201803500010800060400030e000000020100000000\
                    0e000000020100000000";
        assert_eq!(text(of(None).frame()), rarp);
        let advert = of(Some("fd02::1")).frame();
        let key = kiln_packet::Packet::parse(&advert).key;
        assert!(key.is_neighbor_advert());
        assert_eq!(
            (key.nd_target.to_string(), key.ipv6_dst.to_string()),
            ("fd02::1".into(), "ff02::1".into())
        );
        assert_eq!(advert[58], 0xa0, "router and override");
    }
}
