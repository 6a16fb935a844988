//! What must hold: bounds at every turn, and the rest once all is quiet.

use crate::database::{self, Which};
use crate::site::Pair;
use crate::switch::Counters;
use crate::world::{Actor, World};
use kiln_openflow::Action;
use kiln_ovsdb::value::Atom;
use kiln_responder as responder;
use kiln_types::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

/// How often what has not reached its target is tried again, and how long each is given.
const TRIES: usize = 4;
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the system may take to come to rest.
const CONVERGENCE: Duration = Duration::from_mins(5);

/// A row of MAC_Binding.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Binding {
    /// The router port.
    pub logical_port: String,
    /// The neighbour.
    pub ip: IpAddr,
    /// Where it is; empty while it is asked for.
    pub mac: String,
}

impl World {
    /// Whether a controller's queues are within their bounds.
    ///
    /// # Panics
    /// If they are not.
    pub(crate) fn check_bounds(&self, chassis: usize) {
        let Some(controller) = &self.chassis[chassis].controller else { return };
        let load = controller.responder().load();
        let bounds = [
            ("next hops", load.next_hops, responder::MAX_NEXT_HOPS),
            ("packets", load.waiting_packets, load.next_hops * responder::MAX_PACKETS_PER_NEXT_HOP),
            ("bytes", load.waiting_bytes, responder::MAX_WAITING_BYTES),
            ("bindings", load.pending_bindings, responder::MAX_PENDING),
            ("early answers", load.early_bindings, responder::MAX_EARLY),
            ("queries", load.pending_queries, responder::MAX_NEXT_HOPS),
            ("announcements", load.announcements, responder::MAX_ANNOUNCEMENTS),
            ("forwarding entries", load.pending_fdb, responder::MAX_PENDING),
            ("messages", load.output, responder::MAX_OUTPUT),
            ("failures", load.failures, responder::MAX_FAILURES),
        ];
        for (what, len, bound) in bounds {
            assert!(len <= bound, "controller {chassis}: {len} {what} wait, of at most {bound}");
        }
    }

    /// The learned bindings.
    pub fn bindings(&self) -> Vec<Binding> {
        let rows = self.southbound.rows("MAC_Binding", ["logical_port", "ip", "mac"]);
        let binding = |[port, ip, mac]: [_; 3]| Binding {
            logical_port: database::text(&port).to_owned(),
            ip: database::text(&ip).parse().expect("only addresses are written"),
            mac: database::text(&mac).to_owned(),
        };
        let mut bindings: Vec<_> = rows.into_iter().map(|(_, row)| binding(row)).collect();
        bindings.sort();
        bindings
    }

    /// Bindings that say what is not so, or of which there are two. One that is still asked for says nothing.
    pub fn wrong_bindings(&self) -> Vec<Binding> {
        let owners = self.owners();
        let mut seen = BTreeSet::new();
        let mut wrong = self.bindings();
        wrong.retain(|binding| {
            let first = seen.insert((binding.logical_port.clone(), binding.ip));
            // Link-local addresses are whatever their hosts make of their own.
            let is_link_local = matches!(binding.ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
            let is_asked = binding.mac.is_empty();
            !first || !(is_asked || is_link_local || owners.get(&binding.ip) == Some(&binding.mac))
        });
        wrong
    }

    /// Where each address really is: a host's interface, or a router's port.
    fn owners(&self) -> BTreeMap<IpAddr, String> {
        let mut owners = BTreeMap::new();
        for host in self.hosts.iter().map(|seat| &seat.host) {
            owners.extend(host.addresses.iter().map(|net| (net.addr(), host.mac.to_string())));
        }
        for (_, [macs]) in self.southbound.rows("Port_Binding", ["mac"]) {
            for entry in macs.atoms().iter().filter_map(Atom::as_str) {
                let mut words = entry.split(' ');
                let mac = words.next().unwrap_or_default();
                let nets = words.filter_map(|word| word.parse::<IpNet>().ok());
                owners.extend(nets.map(|net| (net.addr(), mac.to_owned())));
            }
        }
        owners
    }

    /// The flows of a switch, with what groups and meters are in place of their numbers, which depend on history.
    pub fn flows(&self, chassis: usize) -> BTreeSet<String> {
        let pipeline = self.chassis[chassis].switch.pipeline();
        let group = |id: u32| {
            let group = pipeline.groups.get(&id);
            group.map_or_else(String::new, |group| format!("{:?} {:?}", group.typ, group.buckets))
        };
        let meter = |id: u32| {
            let meter = self.chassis[chassis].switch.meter(id);
            meter.map_or_else(String::new, |meter| format!("{:?} {:?}", meter.flags, meter.bands))
        };
        let text = |action: Action| match action {
            Action::Group(id) => group(id),
            Action::Meter(id) => meter(id),
            other => other.to_string(),
        };
        let line = |flow: &kiln_testkit::interpreter::Flow| {
            let actions = kiln_openflow::instruction::applied(&flow.instructions);
            let actions: Vec<String> = actions.into_iter().flatten().map(text).collect();
            format!(
                "table={} priority={} {:?} {:#x} {}",
                flow.table,
                flow.priority,
                flow.flow_match,
                flow.cookie,
                actions.join(",")
            )
        };
        pipeline.tables.flows().map(line).collect()
    }

    /// Transactions that each daemon has sent.
    pub fn transactions(&self) -> BTreeMap<Actor, u64> {
        self.clockworks.iter().map(|(actor, clockwork)| (*actor, clockwork.transactions)).collect()
    }

    /// A sum over what the switches have counted.
    pub fn counted(&self, of: impl Fn(&Counters) -> u64) -> u64 {
        self.chassis.iter().map(|chassis| of(chassis.switch.counters())).sum()
    }

    /// Transactions that controllers have sent.
    pub fn writes(&self) -> u64 {
        let sent = |(actor, sent): (Actor, u64)| matches!(actor, Actor::Controller(_)).then_some(sent);
        self.transactions().into_iter().filter_map(sent).sum()
    }

    /// What went wrong in switches: the first thing in each.
    pub fn complaints(&self) -> Vec<String> {
        self.chassis.iter().filter_map(|chassis| chassis.switch.complaint.clone()).collect()
    }

    /// Waits until every host's port is up and every chassis has done all that the northbound database asks for.
    pub fn converge(&mut self) -> bool {
        let every = Duration::from_millis(250);
        self.run_until(CONVERGENCE, every, |world| world.ports_are_up()) && self.sync()
    }

    fn ports_are_up(&self) -> bool {
        let rows = self.southbound.rows("Port_Binding", ["type", "up"]);
        let up = rows.iter().filter(|(_, [kind, up])| {
            database::text(kind).is_empty() && up.as_scalar().and_then(Atom::as_bool) == Some(true)
        });
        up.count() == self.hosts.len()
    }

    /// Waits until every chassis says that it has all that is in the northbound database now.
    pub fn sync(&mut self) -> bool {
        let now = self.now();
        let next = r#"["OVN_Northbound",{"op":"mutate","table":"NB_Global","where":[],"mutations":[["nb_cfg","+=",1]]}]"#;
        self.northbound.transact(now, next);
        self.pump_database(Which::Northbound);
        self.run_until(CONVERGENCE, Duration::from_millis(50), |world| {
            let rows = world.northbound.rows("NB_Global", ["nb_cfg", "hv_cfg"]);
            rows.iter().all(|(_, [asked, done])| asked == done)
        })
    }

    /// Lets each host of the pairs send an echo request, and again where it gets no answer. Gives the pairs that get none.
    pub fn unreached(&mut self, pairs: &[Pair]) -> Vec<Pair> {
        let mut left = pairs.to_vec();
        for _ in 0..TRIES {
            let sent: Vec<_> = left.iter().map(|pair| self.ping(pair.from, pair.to)).collect();
            let mut missing = Vec::new();
            self.run_until(PATIENCE, Duration::from_millis(20), |world| {
                let asked = left.iter().zip(&sent);
                let open = asked.filter(|(pair, echo)| !world.host(pair.from).was_answered(**echo));
                missing = open.map(|(pair, _)| *pair).collect();
                missing.is_empty()
            });
            left = missing;
            if left.is_empty() {
                break;
            }
        }
        left
    }
}
