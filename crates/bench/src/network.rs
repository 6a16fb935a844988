//! The network that is compiled: one router, and switches on it, each with dual-stack ports that have port security;
//! and the ways in which it is changed.

use kiln_ovsdb::column::Pairs;
use kiln_ovsdb::txn::Txn;
use kiln_types::{Rng, Uuid};

/// Addresses have two bytes for the switch and one for the port.
pub(crate) const MAX_SWITCHES: usize = 250 * 250;
pub(crate) const MAX_PORTS: usize = 200;

/// The name of the address set.
pub(crate) const SET: &str = "members";

/// One kind of change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Port,
    Switch,
    Route,
    Policy,
    Address,
}

impl Change {
    pub(crate) const ALL: [Change; 5] =
        [Change::Port, Change::Switch, Change::Route, Change::Policy, Change::Address];

    /// For the table of results.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Change::Port => "a port",
            Change::Switch => "a switch with its router port",
            Change::Route => "a route",
            Change::Policy => "a router policy",
            Change::Address => "a port's address",
        }
    }
}

/// What was written to the northbound database so far.
pub(crate) struct Network {
    rng: Rng,
    ports_per_switch: usize,
    router: Uuid,
    switches: Vec<Uuid>,
    /// The first port of each switch.
    first_ports: Vec<Uuid>,
    changes: usize,
}

impl Network {
    /// Writes a network of so many switches with so many ports each.
    pub(crate) fn create(switches: usize, ports_per_switch: usize, txn: &mut Txn) -> Network {
        assert!(switches <= MAX_SWITCHES && ports_per_switch <= MAX_PORTS, "addresses have no more room");
        let mut rng = Rng::with_seed(0x6b69_6c6e);
        let router = uuid(&mut rng);
        let mut network = Network {
            rng,
            ports_per_switch,
            router,
            switches: Vec::new(),
            first_ports: Vec::new(),
            changes: 0,
        };
        let router_ports: Vec<Uuid> = (0..switches).map(|_| network.switch(txn)).collect();
        txn.insert("Logical_Router").uuid(router).set("name", "lr0").set("ports", &router_ports[..]);
        network
    }

    /// Adds an address set, and an ACL of the first switch that drops TCP from its members.
    pub(crate) fn acl(&mut self, members: impl Iterator<Item = String>, txn: &mut Txn) {
        let members: Vec<String> = members.collect();
        txn.insert("Address_Set").set("name", SET).set("addresses", &members[..]);
        let acl = uuid(&mut self.rng);
        txn.insert("ACL")
            .uuid(acl)
            .set("direction", "to-lport")
            .set("priority", &1001)
            .set("match", &format!("ip4.src == ${SET} && tcp.dst == {{80, 443}}"))
            .set("action", "drop");
        txn.mutate("Logical_Switch").row(self.switches[0]).put("acls", &acl);
    }

    /// A switch with its ports, and the router port that it is on; returns the latter.
    fn switch(&mut self, txn: &mut Txn) -> Uuid {
        let at = self.switches.len();
        let (a, b) = (at / 250, at % 250);
        let mut ports: Vec<Uuid> = (0..self.ports_per_switch).map(|port| self.port(at, port, txn)).collect();
        self.first_ports.extend(ports.first());
        let to_router = uuid(&mut self.rng);
        txn.insert("Logical_Switch_Port")
            .uuid(to_router)
            .set("name", &format!("sr-{at}"))
            .set("type", "router")
            .set("addresses", "router")
            .set("options", &Pairs(&[("router-port", format!("rs-{at}"))]));
        ports.push(to_router);
        let (switch, router_port) = (uuid(&mut self.rng), uuid(&mut self.rng));
        txn.insert("Logical_Switch").uuid(switch).set("name", &format!("ls-{at}")).set("ports", &ports[..]);
        txn.insert("Logical_Router_Port")
            .uuid(router_port)
            .set("name", &format!("rs-{at}"))
            .set("mac", &format!("0e:00:00:{a:02x}:{b:02x}:01"))
            .set("networks", &[format!("10.{a}.{b}.1/24"), format!("fd00:{a:x}:{b:x}::1/64")]);
        self.switches.push(switch);
        router_port
    }

    /// A port of switch number `at`; not yet on it.
    fn port(&mut self, at: usize, port: usize, txn: &mut Txn) -> Uuid {
        let addresses = addresses(at, port, port + 10);
        let row = uuid(&mut self.rng);
        txn.insert("Logical_Switch_Port")
            .uuid(row)
            .set("name", &format!("lsp-{at}-{port}"))
            .set("addresses", &addresses)
            .set("port_security", &addresses);
        row
    }

    /// Writes one change of the kind, each time another.
    pub(crate) fn change(&mut self, change: Change, txn: &mut Txn) {
        let number = self.changes;
        self.changes += 1;
        let at = number * 7 % self.first_ports.len();
        let switch = self.switches[at];
        match change {
            Change::Port => {
                let row = self.port(at, self.ports_per_switch + number % 40, txn);
                txn.mutate("Logical_Switch").row(switch).put("ports", &row);
            }
            Change::Switch => {
                let ports = std::mem::replace(&mut self.ports_per_switch, 0);
                let router_port = self.switch(txn);
                self.ports_per_switch = ports;
                txn.mutate("Logical_Router").row(self.router).put("ports", &router_port);
            }
            Change::Route => {
                let row = uuid(&mut self.rng);
                txn.insert("Logical_Router_Static_Route")
                    .uuid(row)
                    .set("ip_prefix", &format!("172.16.{}.0/24", number % 250))
                    .set("nexthop", &format!("10.{}.{}.10", at / 250, at % 250));
                txn.mutate("Logical_Router").row(self.router).put("static_routes", &row);
            }
            Change::Policy => {
                let row = uuid(&mut self.rng);
                txn.insert("Logical_Router_Policy")
                    .uuid(row)
                    .set("priority", &(100 + number as i64))
                    .set("match", &format!("ip4.src == 172.17.{}.0/24", number % 250))
                    .set("action", "drop");
                txn.mutate("Logical_Router").row(self.router).put("policies", &row);
            }
            Change::Address => {
                let addresses = addresses(at, 0, self.ports_per_switch + 50 + number % 100);
                txn.update("Logical_Switch_Port")
                    .row(self.first_ports[at])
                    .set("addresses", &addresses)
                    .set("port_security", &addresses);
            }
        }
    }
}

fn addresses(switch: usize, port: usize, host: usize) -> String {
    let (a, b) = (switch / 250, switch % 250);
    format!("0a:{a:02x}:{b:02x}:{port:02x}:00:01 10.{a}.{b}.{host} fd00:{a:x}:{b:x}::{host:x}")
}

fn uuid(rng: &mut Rng) -> Uuid {
    Uuid::from_u128(rng.u128(..))
}
