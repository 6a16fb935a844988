//! Hosts: what a Linux machine behind a port does with ARP, neighbour discovery and echo requests.

use crate::frame;
use kiln_openflow::Field;
use kiln_packet::{
    Arp, ArpOp, FlowKey, NaFlags, NeighborAdvert, NeighborSolicit, Packet as Parsed, ethertype, ip_proto,
};
use kiln_types::{EthAddr, Instant, IpNet, eui64_link_local};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

/// How often a neighbour is asked for, and how long apart (tcp(7) `mcast_solicit`, `retrans_time_ms`).
const MAX_ASKED: u32 = 3;
const RETRANSMIT: Duration = Duration::from_secs(1);
/// Packets that wait for a neighbour (`unres_qlen` in its oldest form).
const MAX_WAITING: usize = 3;
const HOP_LIMIT: u8 = 64;
/// Bytes of an echo request behind its header: an identifier and a sequence number come before them.
const ECHO_PAYLOAD: usize = 16;

/// An echo request, by its identifier and sequence number.
pub type Echo = (u16, u16);

/// A host with one interface.
#[derive(Clone, Debug)]
pub struct Host {
    /// For people.
    pub name: String,
    /// Its interface's address.
    pub mac: EthAddr,
    /// Its addresses, with their networks.
    pub addresses: Vec<IpNet>,
    /// Networks beyond its own, and the next hops to them.
    pub routes: Vec<(IpNet, IpAddr)>,
    /// Whether it answers: a host that is off does nothing at all.
    pub on: bool,
    neighbors: BTreeMap<IpAddr, Neighbor>,
    answered: BTreeSet<Echo>,
    errors: u64,
    out: VecDeque<Vec<u8>>,
}

#[derive(Clone, Debug)]
enum Neighbor {
    Known(EthAddr),
    /// How often it was asked for, when it is next, and what waits.
    Asked(u32, Instant, VecDeque<Vec<u8>>),
}

impl Host {
    /// A host that knows nobody yet.
    pub fn new(name: impl Into<String>, mac: EthAddr, addresses: Vec<IpNet>) -> Host {
        Host {
            name: name.into(),
            mac,
            addresses,
            routes: Vec::new(),
            on: true,
            neighbors: BTreeMap::new(),
            answered: BTreeSet::new(),
            errors: 0,
            out: VecDeque::new(),
        }
    }

    /// Its address of a family.
    pub fn address(&self, ipv6: bool) -> Option<IpAddr> {
        self.addresses.iter().map(IpNet::addr).find(|addr| addr.is_ipv6() == ipv6)
    }

    /// Whether an echo request was answered.
    pub fn was_answered(&self, echo: Echo) -> bool {
        self.answered.contains(&echo)
    }

    /// ICMP errors that came.
    pub fn errors(&self) -> u64 {
        self.errors
    }

    /// Forgets who its neighbours are, as after a reboot.
    pub fn forget_neighbors(&mut self) {
        self.neighbors.clear();
    }

    /// The next frame to send.
    pub(crate) fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.out.pop_front()
    }

    /// When to call [`Host::tick`].
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let due =
            |neighbor: &Neighbor| if let Neighbor::Asked(_, at, _) = neighbor { Some(*at) } else { None };
        self.neighbors.values().filter_map(due).min()
    }

    /// Asks again, or gives up.
    pub(crate) fn tick(&mut self, now: Instant) {
        let mut again = Vec::new();
        self.neighbors.retain(|ip, neighbor| match neighbor {
            Neighbor::Asked(asked, at, _) if *at <= now => {
                *asked += 1;
                *at = now + RETRANSMIT;
                again.extend((*asked <= MAX_ASKED).then_some(*ip));
                *asked <= MAX_ASKED
            }
            _ => true,
        });
        for ip in again {
            self.ask(ip);
        }
    }

    /// Sends an echo request.
    pub(crate) fn ping(&mut self, now: Instant, to: IpAddr, echo: Echo) {
        let Some(from) = self.source(to) else { return };
        let mut key = FlowKey { eth_src: self.mac, nw_ttl: HOP_LIMIT, ..FlowKey::default() };
        match (from, to) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                (key.eth_type, key.nw_proto) = (ethertype::IPV4, ip_proto::ICMP);
                (key.nw_src, key.nw_dst, key.tp_src) = (from, to, 8);
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                (key.eth_type, key.nw_proto) = (ethertype::IPV6, ip_proto::ICMPV6);
                (key.ipv6_src, key.ipv6_dst, key.tp_src) = (from, to, 128);
            }
            _ => return,
        }
        let mut request = key.compose(ECHO_PAYLOAD);
        let at = request.len() - ECHO_PAYLOAD - 4;
        request[at..at + 2].copy_from_slice(&echo.0.to_be_bytes());
        request[at + 2..at + 4].copy_from_slice(&echo.1.to_be_bytes());
        // With the checksum over them.
        let request = frame::rewritten(&request, &frame::fields(&request));
        self.send(now, to, request);
    }

    /// Tells the link that an address is here (RFC 5227, RFC 4861 section 7.2.6).
    pub(crate) fn announce(&mut self) {
        for address in &self.addresses {
            self.out.push_back(match address.addr() {
                IpAddr::V4(ip) => Arp::gratuitous(self.mac, ip).to_vec(),
                IpAddr::V6(ip) => NeighborAdvert::unsolicited(self.mac, ip, NaFlags::default()).to_vec(),
            });
        }
    }

    fn source(&self, to: IpAddr) -> Option<IpAddr> {
        self.address(to.is_ipv6())
    }

    fn is_mine(&self, ip: IpAddr) -> bool {
        self.addresses.iter().any(|net| net.addr() == ip) || ip == IpAddr::V6(eui64_link_local(self.mac))
    }

    fn next_hop(&self, to: IpAddr) -> Option<IpAddr> {
        let is_link_local = matches!(to, IpAddr::V6(ip) if ip.is_unicast_link_local());
        if is_link_local || self.addresses.iter().any(|net| net.contains(&to)) {
            return Some(to);
        }
        let routes = self.routes.iter().filter(|(net, _)| net.contains(&to));
        routes.max_by_key(|(net, _)| net.prefix_len()).map(|(_, hop)| *hop)
    }

    /// Sends a packet to its next hop, once that is known.
    fn send(&mut self, now: Instant, to: IpAddr, mut packet: Vec<u8>) {
        let Some(hop) = self.next_hop(to) else { return };
        match self.neighbors.get_mut(&hop) {
            Some(Neighbor::Known(mac)) => {
                packet[..6].copy_from_slice(&mac.0);
                self.out.push_back(packet);
            }
            Some(Neighbor::Asked(_, _, waiting)) => {
                if waiting.len() == MAX_WAITING {
                    waiting.pop_front();
                }
                waiting.push_back(packet);
            }
            None => {
                self.neighbors.insert(hop, Neighbor::Asked(1, now + RETRANSMIT, [packet].into()));
                self.ask(hop);
            }
        }
    }

    fn ask(&mut self, hop: IpAddr) {
        self.out.extend(match (hop, self.source(hop)) {
            (IpAddr::V4(hop), Some(IpAddr::V4(mine))) => Some(Arp::request(self.mac, mine, hop).to_vec()),
            (IpAddr::V6(hop), Some(IpAddr::V6(mine))) if !hop.is_unicast_link_local() => {
                // From the address that will be answered (RFC 4861, 7.2.2).
                Some(NeighborSolicit { ip_src: mine, ..NeighborSolicit::multicast(self.mac, hop) }.to_vec())
            }
            (IpAddr::V6(hop), _) => Some(NeighborSolicit::multicast(self.mac, hop).to_vec()),
            _ => None,
        });
    }

    fn learn(&mut self, ip: IpAddr, mac: EthAddr, only_known: bool) {
        if only_known && !self.neighbors.contains_key(&ip) {
            return;
        }
        if let Some(Neighbor::Asked(_, _, waiting)) = self.neighbors.insert(ip, Neighbor::Known(mac)) {
            for mut packet in waiting {
                packet[..6].copy_from_slice(&mac.0);
                self.out.push_back(packet);
            }
        }
    }

    /// A frame has come.
    pub(crate) fn receive(&mut self, now: Instant, bytes: &[u8]) {
        let parsed = Parsed::parse(bytes);
        let key = parsed.key;
        if !self.on || !(key.eth_dst == self.mac || key.eth_dst.0[0] & 1 == 1) {
            return;
        }
        match key.eth_type {
            ethertype::ARP => self.receive_arp(&key),
            ethertype::IPV4 | ethertype::IPV6 => {
                let to = match key.eth_type {
                    ethertype::IPV4 => key.nw_dst.into(),
                    _ => key.ipv6_dst.into(),
                };
                if key.is_neighbor_solicit() {
                    self.receive_solicit(&key);
                } else if key.is_neighbor_advert() {
                    let known = IpAddr::from(key.nd_target);
                    self.learn(known, key.hw_dst, true);
                } else if self.is_mine(to) {
                    self.receive_datagram(now, &parsed);
                }
            }
            _ => {}
        }
    }

    fn receive_arp(&mut self, key: &FlowKey) {
        let (op, sender) = (ArpOp(key.nw_proto.into()), IpAddr::from(key.nw_src));
        let for_me = self.is_mine(key.nw_dst.into());
        if sender.is_unspecified() {
            return;
        }
        // RFC 826: who asks is learned if it asks for this host; who is known already always.
        self.learn(sender, key.hw_src, !(for_me && op == ArpOp::REQUEST));
        if for_me && op == ArpOp::REQUEST {
            self.out.push_back(Arp::reply(self.mac, key.nw_dst, key.hw_src, key.nw_src).to_vec());
        }
    }

    fn receive_solicit(&mut self, key: &FlowKey) {
        if !self.is_mine(key.nd_target.into()) {
            return;
        }
        if !key.ipv6_src.is_unspecified() && !key.hw_src.is_zero() {
            self.learn(key.ipv6_src.into(), key.hw_src, false);
        }
        let answer = NeighborAdvert::answering(key, NaFlags::default()).map(|mut answer| {
            answer.eth.src = self.mac;
            // Who asked this host alone has its address, and is not told of it again (RFC 4861, section 7.2.4): Linux does so.
            answer.tlla = key.ipv6_dst.is_multicast().then_some(self.mac);
            answer.to_vec()
        });
        self.out.extend(answer);
    }

    fn receive_datagram(&mut self, now: Instant, parsed: &Parsed<'_>) {
        let key = parsed.key;
        let Some(message) = parsed.transport().filter(|message| message.len() >= 8) else { return };
        let echo =
            (u16::from_be_bytes([message[4], message[5]]), u16::from_be_bytes([message[6], message[7]]));
        match (key.eth_type, key.nw_proto, key.tp_src) {
            (ethertype::IPV4, ip_proto::ICMP, 8) | (ethertype::IPV6, ip_proto::ICMPV6, 128) => {
                let (to, answer) = answered(parsed, self.mac);
                self.send(now, to, answer);
            }
            (ethertype::IPV4, ip_proto::ICMP, 0) | (ethertype::IPV6, ip_proto::ICMPV6, 129) => {
                self.answered.insert(echo);
            }
            (ethertype::IPV4, ip_proto::ICMP, 3 | 11) | (ethertype::IPV6, ip_proto::ICMPV6, 1..=4) => {
                self.errors += 1;
            }
            _ => {}
        }
    }
}

/// The answer to an echo request, and whom it is for.
fn answered(request: &Parsed<'_>, mac: EthAddr) -> (IpAddr, Vec<u8>) {
    let key = request.key;
    let mut packet = frame::fields(request.frame());
    packet.set(Field::ETH_SRC, mac.0.iter().fold(0, |number, byte| number << 8 | u128::from(*byte)));
    packet.set(Field::NW_TTL, HOP_LIMIT.into());
    let to = if key.is_ipv4() {
        packet.set(Field::ICMPV4_TYPE, 0);
        packet.set(Field::IPV4_SRC, key.nw_dst.to_bits().into());
        packet.set(Field::IPV4_DST, key.nw_src.to_bits().into());
        key.nw_src.into()
    } else {
        packet.set(Field::ICMPV6_TYPE, 129);
        packet.set(Field::IPV6_SRC, key.ipv6_dst.to_bits());
        packet.set(Field::IPV6_DST, key.ipv6_src.to_bits());
        key.ipv6_src.into()
    };
    (to, frame::rewritten(request.frame(), &packet))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant::from_secs(1);

    fn host(last: u8) -> Host {
        let nets = [format!("10.0.0.{last}/24"), format!("fd00::{last}/64")];
        let nets = nets.iter().map(|net| net.parse().expect("a network")).collect();
        Host::new(format!("h{last}"), EthAddr([2, 0, 0, 0, 0, last]), nets)
    }

    /// Carries frames between two hosts until none are left.
    fn talk(one: &mut Host, two: &mut Host) -> usize {
        let mut carried = 0;
        loop {
            let before = carried;
            while let Some(bytes) = one.poll_transmit() {
                two.receive(NOW, &bytes);
                carried += 1;
            }
            while let Some(bytes) = two.poll_transmit() {
                one.receive(NOW, &bytes);
                carried += 1;
            }
            if carried == before {
                return carried;
            }
        }
    }

    #[test]
    fn hosts_on_a_link_reach_each_other() {
        let (mut one, mut two) = (host(1), host(2));
        for (n, to) in ["10.0.0.2", "fd00::2"].iter().enumerate() {
            one.ping(NOW, to.parse().expect("an address"), (7, n as u16));
            // A question, its answer, the request, its answer.
            assert_eq!(talk(&mut one, &mut two), 4, "{to}");
            assert!(one.was_answered((7, n as u16)), "{to}");
        }
        assert!(!one.was_answered((7, 9)));
    }

    #[test]
    fn who_is_not_there_is_asked_for_three_times() {
        let mut one = host(1);
        one.ping(NOW, "10.0.0.9".parse().expect("an address"), (1, 1));
        let mut asked = 0;
        while let Some(at) = one.deadline() {
            asked += std::iter::from_fn(|| one.poll_transmit()).count();
            one.tick(at);
        }
        assert_eq!((asked, one.poll_transmit()), (3, None));
    }

    #[test]
    fn other_networks_are_behind_a_router() {
        let (mut one, mut router) = (host(1), host(254));
        one.routes
            .push(("10.0.0.0/8".parse().expect("a network"), "10.0.0.254".parse().expect("an address")));
        one.ping(NOW, "10.9.9.9".parse().expect("an address"), (1, 1));
        router.receive(NOW, &one.poll_transmit().expect("a question"));
        one.receive(NOW, &router.poll_transmit().expect("an answer"));
        let packet = FlowKey::extract(&one.poll_transmit().expect("the request"));
        assert_eq!((packet.eth_dst, packet.nw_dst), (router.mac, [10, 9, 9, 9].into()));
    }
}
