//! Next hops that gave no answer a moment ago: their packets end in the switch, in the table of stage `lr_in_arp_request`,
//! instead of coming up to be asked about. Where the router tells senders so, a few come up for that.
//!
//! Which next hops these are is told by the slow path; it is an input table like the databases' ones.

use crate::desired::{DesiredFlow, MeterSpec, Named};
use crate::physical::write::*;
use crate::tables::{Ctx, Db};
use kiln_abi::opcodes::Opcode;
use kiln_abi::options::datapath::ICMP_UNREACHABLE;
use kiln_abi::punts::PuntClass;
use kiln_abi::registers::{router, scratch};
use kiln_abi::stages::{Datapath, Pipeline, Stage};
use kiln_abi::tables;
use kiln_openflow::action::Controller;
use kiln_openflow::msg::{Meter, MeterBand};
use kiln_openflow::{Action, Field};
use kiln_responder::NextHop;
use kiln_types::{DatapathKey, EthAddr, Instant, IpNet, Ipv6Net, PortKey, Uuid, eui64_link_local};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

/// Above all logical flows of the stage.
const PRIORITY: u16 = 1000;
/// How many packets a second come up to be told of, of all failed next hops behind one port; as many as a chassis tells of
/// in all would let one port have everything.
const TOLD_PPS: u32 = 200;
/// Where names of the meters begin that see to it.
const METER_PREFIX: &str = "__held_down: ";
/// Most next hops that are held down; beyond them the one that has least time left goes.
pub(crate) const MAX_HELD_DOWN: usize = 2000;

/// The next hops that are held down, and until when.
#[derive(Debug, Default)]
pub(crate) struct HoldDowns {
    ends: BTreeSet<(Instant, NextHop)>,
    until: BTreeMap<NextHop, Instant>,
}

impl HoldDowns {
    /// Holds a next hop down. What has to go for it is taken off the table as well.
    pub(crate) fn begin(&mut self, next_hop: NextHop, until: Instant, db: &mut Db) {
        self.end(&next_hop, db);
        if self.until.len() >= MAX_HELD_DOWN
            && let Some(&(_, first)) = self.ends.first()
        {
            self.end(&first, db);
        }
        self.until.insert(next_hop, until);
        self.ends.insert((until, next_hop));
        db.held_down.put(next_hop, ());
    }

    /// Lets a next hop go. Whether it was held down.
    pub(crate) fn end(&mut self, next_hop: &NextHop, db: &mut Db) -> bool {
        let Some(until) = self.until.remove(next_hop) else { return false };
        self.ends.remove(&(until, *next_hop));
        db.held_down.delete(next_hop);
        true
    }

    /// Lets those go whose time is over. Whether there were any.
    pub(crate) fn advance(&mut self, now: Instant, db: &mut Db) -> bool {
        let mut any = false;
        while let Some(&(_, next_hop)) = self.ends.first().filter(|(end, _)| *end <= now) {
            any |= self.end(&next_hop, db);
        }
        any
    }

    /// When the next one is to go.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.ends.first().map(|(end, _)| *end)
    }
}

/// Whether the datapath's router tells senders of packets that cannot be delivered.
fn is_told(ctx: &Ctx<'_>, datapath: &Uuid) -> bool {
    ctx.row(&ctx.sb.datapath_binding, datapath)
        .is_some_and(|row| row.external_ids().get(ICMP_UNREACHABLE).is_some_and(|text| &**text == "true"))
}

fn meter_name(datapath: DatapathKey, port: PortKey) -> Box<str> {
    format!("{METER_PREFIX}{} {}", datapath.0, port.0).into()
}

/// The router port that a meter is of, if it is one of these.
pub(crate) fn port_of_meter(name: &str) -> Option<(DatapathKey, PortKey)> {
    let (datapath, port) = name.strip_prefix(METER_PREFIX)?.split_once(' ')?;
    Some((DatapathKey(datapath.parse().ok()?), PortKey(port.parse().ok()?)))
}

/// A datapath that matters here.
fn local<'c>(ctx: &'c Ctx<'_>, next_hop: &NextHop) -> Option<&'c Uuid> {
    let row = ctx.all(&ctx.datapath_keyed, &next_hop.datapath.0).first()?;
    ctx.has(&ctx.local_datapaths, row).then_some(row)
}

/// The meter of a router's port, for the flows of all next hops behind it. It stands as long as the port does: a hold-down is over
/// before the switch could be asked what was dropped.
pub(crate) fn meter(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<Named<MeterSpec>>) {
    let Some(port) = ctx.value(&ctx.ports, row).filter(|port| port.datapath_kind == Datapath::Router) else {
        return;
    };
    let has_meters = ctx.value(&ctx.facts, &()).is_some_and(|facts| facts.meters);
    if has_meters && is_told(ctx, &port.datapath) {
        let band = MeterBand { typ: MeterBand::DROP, rate: TOLD_PPS, burst: TOLD_PPS, prec_level: 0 };
        let spec = MeterSpec { flags: Meter::PKTPS | Meter::STATS | Meter::BURST, bands: vec![band] };
        let name = meter_name(DatapathKey(port.datapath_key), PortKey(port.key));
        out.push(Named { name, spec, number: None });
    }
}

/// The flow that ends packets for a next hop.
pub(crate) fn flow(ctx: &Ctx<'_>, next_hop: &NextHop, out: &mut Vec<DesiredFlow>) {
    if local(ctx, next_hop).is_none() {
        return;
    }
    let mut unresolved = outport(next_hop.datapath.0, next_hop.port.0);
    unresolved.exact(Field::ETH_DST, 0u64);
    let v4 = 1u128 << router::reg9::NEXTHOP_IS_IPV4;
    let family = match next_hop.ip {
        IpAddr::V4(ip) => {
            unresolved.exact(Field::reg(scratch::ARP_IPV4), ip.to_bits());
            v4
        }
        IpAddr::V6(ip) => {
            unresolved.exact(Field::xxreg(scratch::PUT_ND_XXREG), ip.to_bits());
            0
        }
    };
    unresolved.masked(Field::reg(9), family, v4);
    // Without a meter a flood would come up; then nobody is told.
    let meter = ctx.value(&ctx.meter_ids, &meter_name(next_hop.datapath, next_hop.port)).copied();
    let tell = |meter: u32| {
        let class = PuntClass::of(Opcode::HELD_DOWN).map(|class| Action::resubmit(class.table()));
        let userdata = [Opcode::HELD_DOWN.0.to_be_bytes(), [0; 4]].concat();
        let controller =
            Controller { userdata: userdata.into(), meter_id: Some(meter), ..Controller::default() };
        class.into_iter().chain([Action::Controller(Box::new(controller))])
    };
    let actions = meter.into_iter().flat_map(tell);
    let table = tables::of_stage(Pipeline::Ingress, Stage::LR_IN_ARP_REQUEST.number);
    Flows { cookie: 0, out }.add(table, PRIORITY, &unresolved, actions.collect());
}

/// The networks of a port: column `mac` has the Ethernet address, then the networks; the link-local address that follows goes
/// without saying.
fn networks(db: &Db, row: &Uuid) -> Option<Vec<IpNet>> {
    let mut words = db.sb.port_binding.peek(row)?.mac.iter().flat_map(|text| text.split_ascii_whitespace());
    let mac: EthAddr = words.next()?.parse().ok()?;
    let link_local = Ipv6Net::new(eui64_link_local(mac), 64).ok().map(IpNet::V6);
    Some(words.filter_map(|text| text.parse().ok()).chain(link_local).collect())
}

/// Those of a router's port by its key.
fn networks_of(db: &Db, datapath: &Uuid, port: PortKey) -> Option<Vec<IpNet>> {
    networks(db, db.port_keyed.peek(&(*datapath, port.0)).first()?)
}

/// Whether an address is one of a router's own, of whichever port.
fn is_own(db: &Db, datapath: &Uuid, ip: IpAddr) -> bool {
    let ports = db.patches_of.peek(datapath).iter();
    ports.filter_map(|row| networks(db, row)).flatten().any(|net| net.addr() == ip)
}

/// Whether an address means all hosts of a network of the port, or is the network's own: of a link of two hosts, or of one,
/// each address is a host's (RFC 3021).
pub(crate) fn is_broadcast(db: &Db, router: DatapathKey, port: PortKey, ip: Ipv4Addr) -> bool {
    let datapath = db.datapath_keyed.peek(&router.0).first();
    let nets = datapath.and_then(|datapath| networks_of(db, datapath, port)).unwrap_or_default();
    nets.iter().any(|net| match net {
        IpNet::V4(net) => net.prefix_len() < 31 && (ip == net.broadcast() || ip == net.network()),
        IpNet::V6(_) => false,
    })
}

/// With which of its addresses a port speaks to `sender`, if its router tells senders of packets that cannot be delivered: the
/// one whose network the sender is in, or the first of the family, a link-local one last. A router that cannot deliver what it
/// says itself does not tell itself so: it would ask the network for its own address.
pub(crate) fn speaker(db: &Db, router: DatapathKey, port: PortKey, sender: IpAddr) -> Option<IpAddr> {
    let datapath = db.datapath_keyed.peek(&router.0).first()?;
    let ids = &db.sb.datapath_binding.peek(datapath)?.external_ids;
    ids.get(ICMP_UNREACHABLE).filter(|text| &***text == "true")?;
    if is_own(db, datapath, sender) {
        return None;
    }
    let mut nets = networks_of(db, datapath, port)?;
    nets.retain(|net| net.addr().is_ipv4() == sender.is_ipv4());
    let global = |net: &&IpNet| !matches!(net.addr(), IpAddr::V6(ip) if ip.is_unicast_link_local());
    let near = nets.iter().find(|net| net.contains(&sender));
    near.or_else(|| nets.iter().find(global)).or(nets.first()).map(IpNet::addr)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::Compiler;
    use kiln_ovsdb::RowDecoder;
    use kiln_ovsdb::json::TextCache;
    use serde_json::{Value, json};

    pub(crate) const ROUTER: DatapathKey = DatapathKey(4);
    pub(crate) const INNER: PortKey = PortKey(1);

    /// A router that tells senders, with the ports `r0-in` and `r0-out`.
    pub(crate) fn router() -> Compiler {
        let mut compiler = Compiler::new();
        let mut put = |table: &str, n: u8, row: Value| {
            let uuid: Uuid = format!("00000000-0000-4000-8000-0000000000{n:02}").parse().expect("a uuid");
            let text = row.to_string();
            let mut cache = TextCache::default();
            let mut decoder = RowDecoder::of(table, uuid, &text, &mut cache);
            compiler.southbound_replica().put(table, uuid, &mut decoder).expect("a row");
            json!(["uuid", uuid.to_string()])
        };
        let told = json!(["map", [["icmp_unreachable", "true"]]]);
        let datapath = put("Datapath_Binding", 1, json!({ "tunnel_key": ROUTER.0, "external_ids": told }));
        let ports = [
            ("r0-in", "00:00:00:00:ff:01 10.0.0.1/24 fd00::1/64"),
            ("r0-out", "00:00:00:00:ff:02 10.0.1.1/24"),
        ];
        for (key, (name, mac)) in (1..).zip(ports) {
            let row = json!({
                "logical_port": name, "type": "patch", "tunnel_key": key, "mac": mac, "datapath": datapath,
            });
            put("Port_Binding", 1 + key, row);
        }
        compiler.settle();
        compiler
    }

    #[test]
    fn a_sender_is_told_by_the_address_that_it_reaches_unless_it_is_the_router() {
        let compiler = router();
        let cases = [
            ("10.0.0.9", Some("10.0.0.1")),
            // from behind another router
            ("192.0.2.9", Some("10.0.0.1")),
            ("fd00::9", Some("fd00::1")),
            ("fe80::9", Some("fe80::200:ff:fe00:ff01")),
            // itself, by the port that speaks and by others
            ("10.0.0.1", None),
            ("10.0.1.1", None),
            ("fd00::1", None),
            ("fe80::200:ff:fe00:ff02", None),
        ];
        for (sender, speaks) in cases {
            let said = speaker(compiler.db(), ROUTER, INNER, sender.parse().expect("an address"));
            assert_eq!(said.map(|ip| ip.to_string()).as_deref(), speaks, "{sender}");
        }
    }
}
