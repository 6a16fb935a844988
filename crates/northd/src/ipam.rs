//! Addresses that ports leave to be chosen: `dynamic` in `addresses`, from the switch's `subnet` and `ipv6_prefix`
//! (ovn-nb(5), Logical_Switch, IP address assignment).

use crate::addresses::{AddressItem, DynamicRequest, parse_address, parse_port_address};
use crate::outstanding::NbOp;
use crate::tables::{Ctx, Db, Owned};
use kiln_incr::Target;
use kiln_ovsdb::Text;
use kiln_types::{EthAddr, HashMap, HashSet, Ipv4Net, Uuid};
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

/// From where a switch's addresses are chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pool {
    subnet: Option<Ipv4Net>,
    /// First and last of each range that is not to be given out.
    excluded: Vec<(Ipv4Addr, Ipv4Addr)>,
    ipv6_prefix: Option<Ipv6Addr>,
}

/// A port that has addresses chosen for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    port: Uuid,
    switch: Uuid,
    wish: DynamicRequest,
    pool: Pool,
    mac_prefix: u32,
    /// What was chosen before, from `dynamic_addresses`.
    before: Option<Text>,
}

/// What is chosen for whom.
#[derive(Debug, Default)]
pub(crate) struct Ipam {
    requests: HashMap<Uuid, Request>,
    granted: HashMap<Uuid, (Uuid, EthAddr, Option<Ipv4Addr>)>,
    dirty: BTreeSet<Uuid>,
    macs: HashSet<EthAddr>,
    ipv4: HashSet<(Uuid, Ipv4Addr)>,
}

impl Target for Ipam {
    type Item = Request;
    type Id = Uuid;

    fn replace(&mut self, old: &[Uuid], new: Vec<Request>) -> Box<[Uuid]> {
        for port in old {
            self.requests.remove(port);
            self.dirty.insert(*port);
        }
        new.into_iter()
            .map(|request| {
                let port = request.port;
                self.dirty.insert(port);
                self.requests.insert(port, request);
                port
            })
            .collect()
    }
}

pub(crate) fn pool(ctx: &Ctx<'_>, switch: &Uuid, out: &mut Vec<(Uuid, Pool)>) {
    let Some(row) = ctx.row(&ctx.nb.logical_switch, switch) else { return };
    let config = row.other_config();
    let report = |key: &str, value: &str| {
        ctx.report(format!(
            "Logical_Switch {switch}, column other_config: {key} `{value}` is not understood; it is skipped"
        ));
    };
    let mut pool = Pool { subnet: None, excluded: Vec::new(), ipv6_prefix: None };
    if let Some(text) = config.get("subnet") {
        match text.parse::<Ipv4Net>() {
            Ok(net) if net.prefix_len() <= 30 => pool.subnet = Some(net),
            _ => report("subnet", text),
        }
    }
    if let Some(text) = config.get("exclude_ips") {
        for range in text.split_ascii_whitespace() {
            let (first, last) = range.split_once("..").unwrap_or((range, range));
            match (first.parse(), last.parse()) {
                (Ok(first), Ok(last)) if first <= last => pool.excluded.push((first, last)),
                _ => report("exclude_ips", range),
            }
        }
    }
    if let Some(text) = config.get("ipv6_prefix") {
        match text.split('/').next().unwrap_or_default().parse::<Ipv6Addr>() {
            Ok(prefix) => pool.ipv6_prefix = Some(prefix),
            Err(_) => report("ipv6_prefix", text),
        }
    }
    out.push((*switch, pool));
}

pub(crate) fn request(ctx: &Ctx<'_>, port: &Uuid, out: &mut Vec<Request>) {
    let Some(row) = ctx.row(&ctx.nb.logical_switch_port, port) else { return };
    let Some(switch) = ctx.all(&ctx.switch_of_port, port).first().copied() else { return };
    let wish = row.addresses().all().iter().find_map(|text| match parse_address(text) {
        Ok(AddressItem::Dynamic(wish)) => Some(wish),
        _ => None,
    });
    let Some(wish) = wish else { return };
    let Some(pool) = ctx.value(&ctx.pools, &switch).cloned() else { return };
    let mac_prefix = crate::global::settings(ctx).mac_prefix;
    out.push(Request {
        port: *port,
        switch,
        wish,
        pool,
        mac_prefix,
        before: row.dynamic_addresses().clone(),
    });
}

/// Chooses.
pub(crate) fn grant(db: &mut Db) {
    let Db { ipam: state, dynamic_addresses, address_owners, .. } = db;
    let dirty = std::mem::take(&mut state.dirty);
    for port in &dirty {
        if let Some((switch, mac, ip)) = state.granted.remove(port) {
            state.macs.remove(&mac);
            if let Some(ip) = ip {
                state.ipv4.remove(&(switch, ip));
            }
        }
    }
    // Who has addresses already keeps them; the others choose among the rest.
    let mut order: Vec<&Uuid> = dirty.iter().collect();
    order.sort_by_key(|port| state.requests.get(port).is_none_or(|request| request.before.is_none()));
    for port in order {
        let Some(request) = state.requests.get(port).cloned() else {
            dynamic_addresses.delete(port);
            continue;
        };
        let taken = |owned: Owned| !address_owners.peek(&(request.switch, owned)).is_empty();
        match state.choose(&request, &taken) {
            Some(text) => dynamic_addresses.put(*port, text),
            None => drop(dynamic_addresses.delete(port)),
        }
    }
}

impl Ipam {
    fn choose(&mut self, request: &Request, taken: &dyn Fn(Owned) -> bool) -> Option<Text> {
        let before = request.before.as_ref().and_then(|text| parse_port_address(text).ok());
        let before_v4 = before.as_ref().and_then(|before| before.ipv4.first()).map(|net| net.addr());
        let ipv4 = match (request.wish.ipv4, request.pool.subnet) {
            (Some(ip), _) => Some(ip),
            (None, None) => None,
            (None, Some(subnet)) => {
                let kept = before_v4.filter(|ip| self.may_have(request, subnet, *ip, taken));
                let first_free =
                    || subnet.hosts().skip(1).find(|ip| self.may_have(request, subnet, *ip, taken));
                Some(kept.or_else(first_free)?)
            }
        };
        if ipv4.is_none() && request.pool.ipv6_prefix.is_none() && request.wish == DynamicRequest::default() {
            return None;
        }
        let prefix = u64::from(request.mac_prefix) << 24;
        let kept = before.map(|before| before.mac).filter(|mac| mac.to_u64() & 0xffff_ff00_0000 == prefix);
        // The address's own last bytes and one more, so that different addresses rarely meet.
        let start = ipv4.map_or(0, |ip| u64::from(ip.to_bits() & 0xff_ffff));
        let mut numbers = (0..0xff_ffff).map(|n| EthAddr::from_u64(prefix | ((start + n) % 0xff_fffe + 1)));
        let free = |mac: &EthAddr| !self.macs.contains(mac) && !taken(Owned::Mac(*mac));
        let mac = request.wish.mac.or(kept.filter(free)).or_else(|| numbers.find(free))?;
        let ipv6 = request.wish.ipv6.or_else(|| {
            let id = kiln_types::eui64_link_local(mac).to_bits() & u128::from(u64::MAX);
            let prefix = request.pool.ipv6_prefix?.to_bits() >> 64 << 64;
            Some(Ipv6Addr::from_bits(prefix | id))
        });
        self.macs.insert(mac);
        self.ipv4.extend(ipv4.map(|ip| (request.switch, ip)));
        self.granted.insert(request.port, (request.switch, mac, ipv4));
        let mut text = mac.to_string();
        text.extend(ipv4.map(|ip| format!(" {ip}")));
        text.extend(ipv6.map(|ip| format!(" {ip}")));
        Some(text.into())
    }

    /// Whether `ip` can be given to the port: the network, its first host (the router's by custom), its broadcast
    /// address and what others have cannot.
    fn may_have(
        &self,
        request: &Request,
        subnet: Ipv4Net,
        ip: Ipv4Addr,
        taken: &dyn Fn(Owned) -> bool,
    ) -> bool {
        let first = subnet.network().to_bits() + 1;
        subnet.contains(&ip)
            && ip.to_bits() > first
            && ip != subnet.broadcast()
            && !request.pool.excluded.iter().any(|(from, to)| (*from..=*to).contains(&ip))
            && !self.ipv4.contains(&(request.switch, ip))
            && !taken(Owned::V4(ip))
    }
}

/// Whether a port's `dynamic_addresses` has to be written.
pub(crate) fn northbound(ctx: &Ctx<'_>, port: &Uuid, out: &mut Vec<NbOp>) {
    let Some(row) = ctx.row(&ctx.nb.logical_switch_port, port) else { return };
    if row.dynamic_addresses().as_ref() != ctx.value(&ctx.dynamic_addresses, port) {
        out.push(NbOp::DynamicAddresses(*port));
    }
}
