//! When packets of neighbours and stations were last seen: what the switch has counted in tables 66, 72 and 79, asked of it as often
//! as the shortest-lived row makes necessary.

use kiln_abi::registers::{reg, scratch};
use kiln_abi::tables;
use kiln_openflow::msg::{FlowStats, FlowStatsRequest, Message, MultipartReply, MultipartRequest};
use kiln_openflow::session::Session;
use kiln_openflow::{Field, Xid};
use kiln_responder::{Counted, NextHop};
use kiln_types::{DatapathKey, EthAddr, Instant, PortKey};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

/// The switch is asked no more often.
const MIN_INTERVAL: Duration = Duration::from_millis(250);
/// And no more rarely, so that a row whose time is shortened is not overlooked.
const MAX_INTERVAL: Duration = Duration::from_mins(1);
/// How long after a neighbour was asked its answer is looked for: switches count what their caches pass on twice a second.
const ANSWER_TIMES: [Duration; 2] = [Duration::from_millis(300), Duration::from_millis(800)];
/// Most neighbours that are looked at one by one; for more of them the whole table is.
const MAX_SINGLE_LOOKS: usize = 64;
/// Most questions that wait for their answers; a switch that is so slow is asked when it has caught up.
const MAX_ASKED: usize = 256;

/// Whose packets a flow counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Seen {
    /// Those to a neighbour.
    Used(NextHop),
    /// Those of a neighbour.
    Heard(NextHop),
    /// Those of a station.
    Station(i64, EthAddr),
}

/// Questions to the switch.
#[derive(Debug, Default)]
pub(super) struct Statistics {
    /// With the time between the looks that each belongs to.
    asked: BTreeMap<Xid, Duration>,
    /// When everything was last looked at.
    looked_at: Option<Instant>,
    looks: BTreeSet<(Instant, u64)>,
    next_at: Option<Instant>,
}

/// Which tables are to be looked at, and how often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) neighbors: Option<Duration>,
    pub(super) stations: Option<Duration>,
}

impl Wanted {
    fn interval(&self) -> Option<Duration> {
        let shortest = [self.neighbors, self.stations].into_iter().flatten().min()?;
        Some(shortest.clamp(MIN_INTERVAL, MAX_INTERVAL))
    }
}

impl Statistics {
    /// The connection is new: nothing that was asked will be answered.
    pub(super) fn restart(&mut self) {
        self.asked.clear();
    }

    /// A neighbour was asked, whose flows have this cookie: its answer is looked for.
    pub(super) fn expect(&mut self, now: Instant, cookie: u64) {
        self.looks.extend(ANSWER_TIMES.map(|time| (now + time, cookie)));
    }

    /// Asks what is due.
    pub(super) fn advance(&mut self, now: Instant, wanted: Wanted, session: &mut Session) {
        let Some(interval) = wanted.interval() else {
            (self.looked_at, self.next_at) = (None, None);
            self.looks.clear();
            return;
        };
        let due = self.looked_at.map_or(now, |at| at + interval);
        self.next_at = Some(due);
        if due <= now {
            let since = self.looked_at.map_or(interval, |at| now - at);
            let mut tables = Vec::new();
            if wanted.neighbors.is_some() {
                tables.extend([tables::MAC_BINDING, tables::MAC_CACHE_USE]);
            }
            if wanted.stations.is_some() {
                tables.push(tables::LOOKUP_FDB);
            }
            for table_id in tables {
                self.ask(session, since, FlowStatsRequest { table_id, ..FlowStatsRequest::default() });
            }
            self.looked_at = Some(now);
            self.next_at = Some(now + interval);
        }
        self.look(now, interval, session);
    }

    /// Looks for the answers of those who were asked.
    fn look(&mut self, now: Instant, since: Duration, session: &mut Session) {
        let later = self.looks.split_off(&(now + Duration::from_micros(1), 0));
        let due = std::mem::replace(&mut self.looks, later);
        let table_id = tables::MAC_CACHE_USE;
        if due.len() > MAX_SINGLE_LOOKS {
            return self.ask(session, since, FlowStatsRequest { table_id, ..FlowStatsRequest::default() });
        }
        for (_, cookie) in due {
            let request =
                FlowStatsRequest { table_id, cookie, cookie_mask: u64::MAX, ..FlowStatsRequest::default() };
            self.ask(session, since, request);
        }
    }

    fn ask(&mut self, session: &mut Session, since: Duration, request: FlowStatsRequest) {
        if self.asked.len() >= MAX_ASKED {
            return;
        }
        // A session that is not ready is asked at the next time.
        if let Ok(xid) = session.send(&Message::MultipartRequest(MultipartRequest::Flow(request))) {
            self.asked.insert(xid, since);
        }
    }

    /// The switch refused a question.
    pub(super) fn refused(&mut self, xid: Xid) {
        self.asked.remove(&xid);
    }

    /// The switch's answer to one of the questions: what it has counted, and the time between the looks.
    pub(super) fn answered(
        &mut self,
        xid: Xid,
        reply: &MultipartReply,
    ) -> Option<(BTreeMap<Seen, Counted>, Duration)> {
        let since = self.asked.remove(&xid)?;
        let MultipartReply::Flow(flows) = reply else { return None };
        Some((counted(flows), since))
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        [self.next_at, self.looks.first().map(|(at, _)| *at)].into_iter().flatten().min()
    }
}

/// What flows have counted in all, a neighbour having one for its ARP or its advertisements and one for its other packets. A flow
/// that never met a packet has been idle since it was made, and says nothing.
fn counted(flows: &[FlowStats]) -> BTreeMap<Seen, Counted> {
    let mut all: BTreeMap<Seen, Counted> = BTreeMap::new();
    for flow in flows {
        let counters = &flow.counters;
        let Some((seconds, nanos)) = counters.idle else { continue };
        let Some(packets) = counters.packets.filter(|packets| *packets > 0) else { continue };
        let Some(seen) = seen(flow) else { continue };
        let ago = Duration::new(seconds.into(), nanos.min(999_999_999));
        let sum = all.entry(seen).or_insert(Counted { packets: 0, ago });
        *sum = Counted { packets: sum.packets.wrapping_add(packets), ago: sum.ago.min(ago) };
    }
    all
}

/// Whose packets a flow counts.
fn seen(flow: &FlowStats) -> Option<Seen> {
    let fields = &flow.flow_match;
    let datapath = u32::try_from(fields.get(Field::METADATA)?.value).ok()?;
    let hop = |port: u8, ip: IpAddr| {
        let port = PortKey(u16::try_from(fields.get(Field::reg(port))?.value).ok()?);
        Some(NextHop { datapath: DatapathKey(datapath), port, ip })
    };
    let v4 = |field| fields.get(field).map(|v| IpAddr::from((v.value as u32).to_be_bytes()));
    match flow.table_id {
        tables::MAC_BINDING => {
            let v6 =
                fields.get(Field::xxreg(scratch::GET_ND_XXREG)).map(|v| IpAddr::from(v.value.to_be_bytes()));
            let ip = v6.or_else(|| v4(Field::reg(scratch::ARP_IPV4)))?;
            Some(Seen::Used(hop(reg::OUTPORT, ip)?))
        }
        tables::MAC_CACHE_USE => {
            let v6 = |field| fields.get(field).map(|v| IpAddr::from(v.value.to_be_bytes()));
            let v4 = v4(Field::IPV4_SRC).or_else(|| v4(Field::ARP_SPA));
            let ip = v4.or_else(|| v6(Field::IPV6_SRC)).or_else(|| v6(Field::ND_TARGET))?;
            Some(Seen::Heard(hop(reg::INPORT, ip)?))
        }
        tables::LOOKUP_FDB => {
            let mac = EthAddr::from_u64(fields.get(Field::ETH_SRC)?.value as u64);
            Some(Seen::Station(datapath.into(), mac))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::physical::write::inport;
    use kiln_openflow::msg::Counters;
    use kiln_openflow::{Instructions, MatchBuilder};

    /// What a flow of table 79 for packets that a neighbour sends has counted.
    fn flow(packets: u64, idle_s: u32, matched: impl FnOnce(&mut MatchBuilder)) -> FlowStats {
        let mut flow_match = inport(4, 1);
        flow_match.exact(Field::ETH_SRC, 0x0200_0000_0001u64);
        matched(&mut flow_match);
        FlowStats {
            table_id: tables::MAC_CACHE_USE,
            priority: 100,
            idle_timeout_s: 0,
            hard_timeout_s: 0,
            flags: 0,
            importance: 0,
            cookie: 1,
            flow_match: flow_match.build(),
            counters: Counters { idle: Some((idle_s, 0)), packets: Some(packets), ..Counters::default() },
            instructions: Instructions::default(),
        }
    }

    #[test]
    fn packets_of_a_neighbor_and_advertisements_of_it_are_counted_together() {
        let ip: std::net::Ipv6Addr = "fd00::88".parse().expect("an address");
        let sent = flow(3, 40, |m| {
            m.exact(Field::ETH_TYPE, 0x86ddu16).exact(Field::IPV6_SRC, ip.to_bits());
        });
        let advertised = flow(2, 1, |m| {
            m.exact(Field::ETH_TYPE, 0x86ddu16).exact(Field::IP_PROTO, 58u8);
            m.exact(Field::ICMPV6_TYPE, 136u8)
                .exact(Field::ICMPV6_CODE, 0u8)
                .exact(Field::ND_TARGET, ip.to_bits());
        });
        let heard = Seen::Heard(NextHop { datapath: DatapathKey(4), port: PortKey(1), ip: ip.into() });
        let all = Counted { packets: 5, ago: Duration::from_secs(1) };
        assert_eq!(counted(&[sent, advertised]), BTreeMap::from([(heard, all)]));
    }
}
