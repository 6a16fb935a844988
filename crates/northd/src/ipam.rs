//! Addresses that ports leave to be chosen: `dynamic` in `addresses`, from the switch's `subnet` and `ipv6_prefix`
//! (ovn-nb(5), Logical_Switch, IP address assignment).

use crate::addresses::{AddressItem, DynamicRequest, PortAddress, parse_address, parse_port_address};
use crate::outstanding::NbOp;
use crate::tables::{Ctx, Db, Owned};
use kiln_incr::Target;
use kiln_ovsdb::Text;
use kiln_schema_ovn::nb::view;
use kiln_types::{EthAddr, HashMap, HashSet, Ipv4Net, Uuid, give_back_room, is_roomy};
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

/// From where a switch's addresses are chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pool {
    subnet: Option<Ipv4Net>,
    /// First and last of each range that is not to be given out.
    excluded: Vec<(Ipv4Addr, Ipv4Addr)>,
    ipv6_prefix: Option<Ipv6Addr>,
    /// Whether an Ethernet address is to be chosen where there is nothing else to choose from.
    mac_only: bool,
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

impl Request {
    fn before(&self) -> Option<PortAddress> {
        self.before.as_ref().and_then(|text| parse_port_address(text).ok())
    }

    /// When it is its turn to choose.
    fn turn(&self) -> u8 {
        match self.before().and_then(|before| Some(before.ipv4.first()?.addr())) {
            None => 2 + u8::from(self.wish.ipv4.is_none()),
            Some(before) => u8::from(self.wish.ipv4.is_some_and(|wish| before != wish)),
        }
    }
}

/// What is chosen for whom.
#[derive(Debug, Default)]
pub(crate) struct Ipam {
    requests: HashMap<Uuid, Request>,
    granted: HashMap<Uuid, (Uuid, EthAddr, Option<Ipv4Addr>)>,
    dirty: BTreeSet<Uuid>,
    /// Ports that did not get what they asked for.
    waiting: BTreeSet<Uuid>,
    macs: HashSet<EthAddr>,
    ipv4: HashSet<(Uuid, Ipv4Addr)>,
}

impl Target for Ipam {
    type Written = Vec<Request>;
    type Id = Uuid;

    fn replace(&mut self, old: &[Uuid], new: &mut Vec<Request>) -> Box<[Uuid]> {
        for port in old {
            self.requests.remove(port);
            self.dirty.insert(*port);
        }
        new.drain(..)
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
    let mut pool = Pool { subnet: None, excluded: Vec::new(), ipv6_prefix: None, mac_only: false };
    pool.mac_only = config.get("mac_only").is_some_and(|value| &**value == "true");
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

/// What a port leaves to be chosen, as text and as it is understood.
fn wish<'r>(row: &view::LogicalSwitchPort<'r>) -> Option<(&'r Text, DynamicRequest)> {
    row.addresses().all().iter().find_map(|text| match parse_address(text) {
        Ok(AddressItem::Dynamic(wish)) => Some((text, wish)),
        _ => None,
    })
}

pub(crate) fn request(ctx: &Ctx<'_>, port: &Uuid, out: &mut Vec<Request>) {
    let Some(row) = ctx.row(&ctx.nb.logical_switch_port, port) else { return };
    let Some(switch) = ctx.all(&ctx.switch_of_port, port).first().copied() else { return };
    let Some((_, wish)) = wish(&row) else { return };
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
    let Db { ipam: state, dynamic_addresses, address_problems, address_claims, .. } = db;
    let mut dirty = std::mem::take(&mut state.dirty);
    // Who found no address before may find one that has come free.
    dirty.append(&mut state.waiting);
    for port in &dirty {
        if let Some((switch, mac, ip)) = state.granted.remove(port) {
            state.macs.remove(&mac);
            if let Some(ip) = ip {
                state.ipv4.remove(&(switch, ip));
            }
        }
    }
    // Who has addresses already keeps them; then come those that have others than they asked for, then new ones, of which
    // those that ask for one come first.
    let mut order: Vec<&Uuid> = dirty.iter().collect();
    order.sort_by_key(|port| state.requests.get(port).map_or(0, Request::turn));
    for port in order {
        let Some(request) = state.requests.get(port).cloned() else {
            dynamic_addresses.delete(port);
            address_problems.delete(port);
            continue;
        };
        // Routers' own addresses are not to be given out either.
        let taken = |owned: Owned| !address_claims.peek(&(request.switch, owned)).is_empty();
        let (chosen, problem) = state.choose(&request, &taken);
        match chosen {
            Some(text) => dynamic_addresses.put(*port, text),
            None => drop(dynamic_addresses.delete(port)),
        }
        match problem {
            Some(problem) => {
                address_problems.put(*port, problem);
                // Another pool is another request.
                if !request.pool.is_empty() {
                    state.waiting.insert(*port);
                }
            }
            None => drop(address_problems.delete(port)),
        }
    }
    give_back_room(&mut state.requests);
    give_back_room(&mut state.granted);
    if is_roomy(state.macs.capacity(), state.macs.len()) {
        state.macs.shrink_to_fit();
        state.ipv4.shrink_to_fit();
    }
}

/// Reports what could not be chosen as it was asked for.
pub(crate) fn problems(ctx: &Ctx<'_>, port: &Uuid, _: &mut Vec<NbOp>) {
    let Some(problem) = ctx.value(&ctx.address_problems, port) else { return };
    let Some(row) = ctx.row(&ctx.nb.logical_switch_port, port) else { return };
    let wish = wish(&row).map_or("", |(text, _)| &**text);
    ctx.report(format!("Logical_Switch_Port {port} ({}), column addresses: `{wish}`: {problem}", row.name()));
}

impl Ipam {
    /// What a port gets, and what is wrong with its wish.
    fn choose(&mut self, request: &Request, taken: &dyn Fn(Owned) -> bool) -> (Option<Text>, Option<String>) {
        let pool = &request.pool;
        if pool.is_empty() {
            let asks = !request.wish.is_open();
            return (
                None,
                asks.then(|| "the switch has nothing to choose from; nothing is chosen".to_owned()),
            );
        }
        let before = request.before();
        let before_v4 = before.as_ref().and_then(|before| before.ipv4.first()).map(|net| net.addr());
        let (ipv4, problem) = self.choose_ipv4(request, before_v4, taken);
        let near = ipv4.or(request.wish.ipv4);
        let Some(mac) = self.choose_mac(request, before.map(|before| before.mac), near, taken) else {
            return (None, Some("no Ethernet address is left; none is chosen".to_owned()));
        };
        let (ipv6, problem_v6) = choose_ipv6(request, mac);
        self.macs.insert(mac);
        self.ipv4.extend(ipv4.map(|ip| (request.switch, ip)));
        self.granted.insert(request.port, (request.switch, mac, ipv4));
        let mut text = mac.to_string();
        text.extend(ipv4.map(|ip| format!(" {ip}")));
        text.extend(ipv6.map(|ip| format!(" {ip}")));
        (Some(text.into()), problem.or(problem_v6))
    }

    fn choose_ipv4(
        &self,
        request: &Request,
        before: Option<Ipv4Addr>,
        taken: &dyn Fn(Owned) -> bool,
    ) -> (Option<Ipv4Addr>, Option<String>) {
        let free = |ip: &Ipv4Addr| !self.ipv4.contains(&(request.switch, *ip));
        let Some(subnet) = request.pool.subnet else {
            let problem = request.wish.ipv4.map(|ip| format!("the switch has no subnet; {ip} is not given"));
            return (None, problem);
        };
        let mut problem = None;
        if let Some(wish) = request.wish.ipv4 {
            let gives = request.pool.gives(subnet, wish);
            if gives && free(&wish) && (before == Some(wish) || !taken(Owned::V4(wish))) {
                return (Some(wish), None);
            }
            problem = Some(if gives {
                format!("another port has {wish}; another is chosen")
            } else {
                format!("{subnet} does not give {wish} out; another is chosen")
            });
        }
        // What somebody has stays with it, even if an operator gives it to another port too.
        let kept = before.filter(|ip| request.pool.gives(subnet, *ip) && free(ip));
        let first_free = || {
            let mut hosts = subnet.hosts().skip(1);
            hosts.find(|ip| request.pool.gives(subnet, *ip) && free(ip) && !taken(Owned::V4(*ip)))
        };
        match kept.or_else(first_free) {
            Some(ip) => (Some(ip), problem),
            None => (None, Some(format!("no address of {subnet} is left; none is chosen"))),
        }
    }

    fn choose_mac(
        &self,
        request: &Request,
        before: Option<EthAddr>,
        ipv4: Option<Ipv4Addr>,
        taken: &dyn Fn(Owned) -> bool,
    ) -> Option<EthAddr> {
        let prefix = u64::from(request.mac_prefix) << 24;
        let kept = before.filter(|mac| mac.to_u64() & 0xffff_ff00_0000 == prefix);
        // The address's own last bytes and one more, so that different addresses rarely meet.
        let start = ipv4.map_or(0, |ip| u64::from(ip.to_bits() & 0xff_ffff));
        let mut numbers = (0..0xff_fffe).map(|n| EthAddr::from_u64(prefix | ((start + n) % 0xff_fffe + 1)));
        let unused = |mac: &EthAddr| !self.macs.contains(mac);
        let free = |mac: &EthAddr| unused(mac) && !taken(Owned::Mac(*mac));
        request.wish.mac.or(kept.filter(unused)).or_else(|| numbers.find(free))
    }
}

/// The IPv6 address that goes with `mac`, or the one asked for, and what is wrong with the wish.
fn choose_ipv6(request: &Request, mac: EthAddr) -> (Option<Ipv6Addr>, Option<String>) {
    let high = |ip: Ipv6Addr| ip.to_bits() >> 64 << 64;
    let wish = request.wish.ipv6;
    let Some(prefix) = request.pool.ipv6_prefix else {
        return (None, wish.map(|ip| format!("the switch has no ipv6_prefix; {ip} is not given")));
    };
    if wish.is_some_and(|wish| high(wish) == high(prefix)) {
        return (wish, None);
    }
    let id = kiln_types::eui64_link_local(mac).to_bits() & u128::from(u64::MAX);
    let problem = wish.map(|ip| format!("{ip} is not in {prefix}/64; another is chosen"));
    (Some(Ipv6Addr::from_bits(high(prefix) | id)), problem)
}

impl Pool {
    /// Whether nothing is chosen on the switch.
    fn is_empty(&self) -> bool {
        self.subnet.is_none() && self.ipv6_prefix.is_none() && !self.mac_only
    }

    /// Whether `ip` is one that may be given out: not the network, its first host (the router's by custom), its
    /// broadcast address, nor one that is excluded.
    fn gives(&self, subnet: Ipv4Net, ip: Ipv4Addr) -> bool {
        subnet.contains(&ip)
            && ip.to_bits() > subnet.network().to_bits() + 1
            && ip != subnet.broadcast()
            && !self.excluded.iter().any(|(from, to)| (*from..=*to).contains(&ip))
    }
}

/// Whether a port's `dynamic_addresses` has to be written.
pub(crate) fn northbound(ctx: &Ctx<'_>, port: &Uuid, out: &mut Vec<NbOp>) {
    let Some(row) = ctx.row(&ctx.nb.logical_switch_port, port) else { return };
    if row.dynamic_addresses().as_ref() != ctx.value(&ctx.dynamic_addresses, port) {
        out.push(NbOp::DynamicAddresses(*port));
    }
}
