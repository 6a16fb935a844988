//! Random networks, as the lines that `ovn-nbctl` makes them with: switches with ports of every type, routers between them,
//! and what the two may be told to do, in combinations that nobody would write by hand.

#![allow(clippy::disallowed_methods, reason = "a test may read its environment")]

use fastrand::Rng;

/// Seeds to draw networks from, each with its source of chance: from `KILN_SEED` on as many as `KILN_NETWORKS` says, or
/// `few` from 1 on.
pub fn seeds(few: u64) -> impl Iterator<Item = (u64, Rng)> {
    let number =
        |name: &str, default| std::env::var(name).map_or(default, |text| text.parse().expect("a number"));
    let first = number("KILN_SEED", 1);
    (first..first + number("KILN_NETWORKS", few)).map(|seed| (seed, Rng::with_seed(seed)))
}

/// A network that is being drawn.
struct Draw<'r> {
    rng: &'r mut Rng,
    lines: Vec<String>,
    /// The last hardware address that was given out.
    mac: u32,
    /// Ports that machines are behind.
    ports: Vec<String>,
    router_ports: Vec<RouterPort>,
    /// Switches that are on a physical network.
    physical: Vec<usize>,
}

/// A port of a router, and the number of the networks that it is in.
struct RouterPort {
    router: usize,
    name: String,
    network: usize,
}

/// A network that was drawn.
pub struct Network {
    pub lines: String,
    /// Ports that machines are behind.
    #[allow(dead_code, reason = "a test of northd puts them nowhere")]
    pub ports: Vec<String>,
}

/// Draws a network.
pub fn network(rng: &mut Rng) -> Network {
    let switches = rng.usize(1..=4);
    let routers = rng.usize(0..=3);
    let mut draw = Draw {
        rng,
        lines: Vec::new(),
        mac: 0,
        ports: Vec::new(),
        router_ports: Vec::new(),
        physical: Vec::new(),
    };
    draw.globals();
    (0..switches).for_each(|switch| draw.switch(switch));
    (0..routers).for_each(|router| draw.router(router));
    (0..routers).for_each(|router| draw.links(router, switches));
    (0..routers).for_each(|router| draw.routes(router));
    (0..routers).for_each(|router| draw.policies(router));
    draw.groups();
    (0..switches).for_each(|switch| draw.acls(&format!("s{switch}")));
    draw.control_plane(switches, routers);
    Network { lines: draw.lines.join("\n"), ports: draw.ports }
}

const GLOBALS: &[&str] = &[
    "use_ct_inv_match=false",
    "use_ct_inv_match=true",
    "ignore_lsp_down=false",
    "ignore_lsp_down=true",
    "default_acl_drop=true",
    "always_tunnel=true",
    "vxlan_mode=false",
    "debug_drop_collector_set=9 options:debug_drop_domain_id=7",
    "mac_binding_removal_limit=20",
    "fdb_removal_limit=20",
];
const SWITCH: &[&str] = &[
    "mac_only=true",
    "vlan-passthru=true",
    "broadcast-arps-to-all-routers=false",
    "broadcast-arps-to-all-routers=true",
    "fdb_age_threshold=30",
    "ct-zone-limit=200",
    "enable-stateless-acl-with-lb=true",
];
const PORT: &[&str] = &[
    "disable_arp_nd_rsp=true",
    "force_fdb_lookup=true",
    "lsp_learn_mac=false",
    "pkt_clone_type=mc_unknown",
    "receive_multicast=false",
    "requested-chassis=hv1",
    "requested-chassis=hv1,hv2",
    "activation-strategy=rarp",
    "disable_garp_rarp=true",
    "iface-id-ver=4",
    "hostname=a",
];
const TYPES: &[(&str, &str)] = &[
    ("localnet", "network_name=phys"),
    ("localnet", "network_name=phys ethtype=802.1ad localnet_learn_fdb=true"),
    ("l2gateway", "network_name=phys l2gateway-chassis=hv1"),
    ("localport", "hostname=b"),
    ("remote", "hostname=c"),
    ("external", "hostname=d"),
    ("virtual", "virtual-ip=10.0.0.99"),
    ("vtep", "vtep-physical-switch=ps vtep-logical-switch=ls"),
];
const ROUTER: &[&str] = &[
    "always_learn_from_arp_request=false",
    "dynamic_neigh_routers=true",
    "dynamic_neigh_routers=false",
    "mac_binding_age_threshold=60",
    "mac_binding_age_threshold=\"10.0.0.0/8:10;50\"",
    "disable_garp_rarp=true",
    "ct-zone-limit=20",
    "chassis=hv1",
    "snat-ct-zone=9",
    "mcast_relay=false",
    "requested-tnl-key=99",
];
const ROUTER_PORT: &[&str] = &[
    "gateway_mtu=1400",
    "gateway_mtu=1300 options:gateway_mtu_bypass=\"tcp || udp\"",
    "route_table=blue",
    "route_table=green",
    "requested-tnl-key=5",
    "mcast_flood=false",
];
const ADVERTISED: &[&str] = &[
    "address_mode=slaac",
    "address_mode=dhcpv6_stateful",
    "address_mode=dhcpv6_stateless ipv6_ra_configs:mtu=1300",
    "address_mode=slaac ipv6_ra_configs:send_periodic=true ipv6_ra_configs:max_interval=9",
    "address_mode=slaac ipv6_ra_configs:router_preference=LOW",
    "address_mode=slaac ipv6_ra_configs:dnssl=a.example",
];
const MATCHES: &[&str] = &[
    "1",
    "ip4",
    "ip6",
    "tcp",
    "udp.dst == 53",
    "ip4.src == 10.0.0.0/24 && tcp.dst == {80, 443}",
    "ip6.dst == fd00::/64",
    "ip4.dst == $here",
    "ip4.dst != $here",
    "icmp4 || icmp6",
    "arp",
];
const ACTIONS: &[&str] =
    &["allow", "allow-related", "allow-related", "allow-stateless", "drop", "reject", "pass"];
const SEVERITIES: &[&str] = &["alert", "warning", "notice", "info", "debug"];
const METERED: &[&str] = &[
    "arp",
    "arp-resolve",
    "nd-na",
    "nd-ns",
    "nd-ns-resolve",
    "nd-ra-opts",
    "icmp4-error",
    "icmp6-error",
    "tcp-reset",
    "reject",
    "event-elb",
    "dns",
    "igmp",
];

impl Draw<'_> {
    fn one_in(&mut self, n: u32) -> bool {
        self.rng.u32(0..n) == 0
    }

    fn pick<'a, T: ?Sized>(&mut self, of: &'a [&'a T]) -> &'a T {
        of[self.rng.usize(0..of.len())]
    }

    fn add(&mut self, line: String) {
        self.lines.push(line);
    }

    fn mac(&mut self) -> String {
        self.mac += 1;
        format!("0a:00:00:00:{:02x}:{:02x}", self.mac >> 8, self.mac & 0xff)
    }

    fn globals(&mut self) {
        for option in GLOBALS {
            if self.one_in(8) {
                self.add(format!("set NB_Global . options:{option}"));
            }
        }
    }

    fn switch(&mut self, number: usize) {
        let switch = format!("s{number}");
        self.add(format!("ls-add {switch}"));
        for option in SWITCH {
            if self.one_in(8) {
                self.add(format!("set Logical_Switch {switch} other_config:{option}"));
            }
        }
        let gives = self.one_in(4);
        if gives {
            self.add(format!(
                "set Logical_Switch {switch} other_config:subnet=10.{number}.0.0/24 other_config:ipv6_prefix=\"fd0{number}::\" \
                 other_config:exclude_ips=\"10.{number}.0.2..10.{number}.0.9\""
            ));
        }
        for port in 0..self.rng.usize(usize::from(number == 0)..=5) {
            self.port(&switch, number, port, gives);
        }
        if self.one_in(3) {
            self.odd_port(&switch, number);
        }
    }

    /// A port with a machine behind it.
    fn port(&mut self, switch: &str, number: usize, port: usize, gives: bool) {
        let before = self.ports.last().filter(|last| last.starts_with(&format!("{switch}p"))).cloned();
        let name = match before {
            // Stock's controller dies of a container inside of a container, and of one inside of an interface of another version.
            Some(parent) if self.one_in(6) => {
                let name = format!("{switch}c{port}");
                self.add(format!("remove Logical_Switch_Port {parent} options iface-id-ver"));
                self.add(format!("lsp-add {switch} {name} {parent} {}", port + 10));
                name
            }
            _ => {
                let name = format!("{switch}p{port}");
                self.add(format!("lsp-add {switch} {name}"));
                name
            }
        };
        let mac = self.mac();
        let (v4, v6) = (format!("10.{number}.0.{}", port + 11), format!("fd0{number}::{}", port + 11));
        let other = format!("\"{} 10.{number}.0.{}\"", self.mac(), port + 51);
        let addresses = match self.rng.u32(0..10) {
            0 => "unknown".into(),
            1 => format!("\"{mac} {v4} {v6}\" unknown"),
            2 => mac.clone(),
            3 => format!("\"{mac} {v4} {v6}\" {other}"),
            // Of several, each northd serves another one first.
            4 if gives && port == 0 => "dynamic".into(),
            5 if gives && port == 0 => format!("\"{mac} dynamic\""),
            6 => format!("\"{mac} {v6}\""),
            7 => String::new(),
            _ => format!("\"{mac} {v4} {v6}\""),
        };
        self.add(format!("lsp-set-addresses {name} {addresses}"));
        let security = match self.rng.u32(0..8) {
            0 => format!("\"{mac} {v4} {v6}\""),
            1 => format!("\"{mac} {v4}/24\""),
            2 => mac,
            3 => format!("\"{mac} {v4} {v6}\" {other}"),
            4 => format!("\"{mac} {v6}\""),
            _ => String::new(),
        };
        self.add(format!("lsp-set-port-security {name} {security}"));
        self.port_options(&name);
        self.ports.push(name);
    }

    fn port_options(&mut self, name: &str) {
        for option in PORT {
            if self.one_in(12) {
                self.add(format!("set Logical_Switch_Port {name} options:{option}"));
            }
        }
        if self.one_in(10) {
            self.add(format!("lsp-set-enabled {name} disabled"));
        }
    }

    /// A port of another type.
    fn odd_port(&mut self, switch: &str, number: usize) {
        let name = format!("{switch}odd");
        let (kind, options) = TYPES[self.rng.usize(0..TYPES.len())];
        if kind == "localnet" {
            self.physical.push(number);
        }
        self.add(format!("lsp-add {switch} {name}"));
        self.add(format!("lsp-set-type {name} {kind}"));
        self.add(format!("lsp-set-options {name} {options}"));
        let mac = self.mac();
        let addresses = match kind {
            "localnet" | "l2gateway" | "vtep" => "unknown".into(),
            _ => format!("\"{mac} 10.{number}.0.99 fd0{number}::99\""),
        };
        self.add(format!("lsp-set-addresses {name} {addresses}"));
        if self.one_in(3) {
            self.add(format!("set Logical_Switch_Port {name} tag=17"));
        }
    }

    fn router(&mut self, number: usize) {
        let router = format!("r{number}");
        self.add(format!("lr-add {router}"));
        for option in ROUTER {
            if self.one_in(10) {
                self.add(format!("set Logical_Router {router} options:{option}"));
            }
        }
        if self.one_in(12) {
            self.add(format!("set Logical_Router {router} enabled=false"));
        }
    }

    /// The ports of a router: to some switches, and to the router after it.
    fn links(&mut self, router: usize, switches: usize) {
        for switch in 0..switches {
            // Which of several routers' addresses packets bear on a physical network follows from nothing.
            let is_taken = self.physical.contains(&switch)
                && self.router_ports.iter().any(|port| port.network == switch);
            if !is_taken && !self.one_in(3) {
                self.router_port(router, switch);
            }
        }
        if router > 0 && self.one_in(2) {
            let [here, there] = [router, router - 1].map(|end| format!("r{end}x{router}"));
            let [mine, theirs] = [self.mac(), self.mac()];
            let net = 60 + router;
            // Beyond a gateway router stock's controller serves no router that is joined to it without a switch.
            for end in [router, router - 1] {
                self.add(format!("remove Logical_Router r{end} options chassis"));
            }
            self.add(format!("lrp-add r{router} {here} {mine} 10.{net}.0.1/24 fd{net}::1/64 peer={there}"));
            self.add(format!(
                "lrp-add r{} {there} {theirs} 10.{net}.0.2/24 fd{net}::2/64 peer={here}",
                router - 1
            ));
            self.router_ports.push(RouterPort { router, name: here, network: net });
            self.router_ports.push(RouterPort { router: router - 1, name: there, network: net });
        }
    }

    fn router_port(&mut self, router: usize, switch: usize) {
        let name = format!("r{router}s{switch}");
        let host = 254 - router;
        let mac = self.mac();
        let networks = match self.rng.u32(0..6) {
            0 => format!("10.{switch}.0.{host}/24"),
            1 => format!("fd0{switch}::{host}/64"),
            2 => format!(
                "10.{switch}.0.{host}/24 10.{}.0.{host}/16 fd0{switch}::{host}/64 fd1{switch}::{host}/64",
                switch + 20
            ),
            3 => String::new(),
            _ => format!("10.{switch}.0.{host}/24 fd0{switch}::{host}/64"),
        };
        self.add(format!("lrp-add r{router} {name} {mac} {networks}"));
        let end = format!("s{switch}r{router}");
        self.add(format!("lsp-add-router-port s{switch} {end} {name}"));
        if self.one_in(6) {
            let mac = self.mac();
            self.add(format!("lsp-set-addresses {end} {mac}"));
        }
        if self.one_in(6) {
            self.add(format!(
                "set Logical_Switch_Port {end} options:unheard-of=1 options:nat-addresses=router"
            ));
        }
        for option in ROUTER_PORT {
            if self.one_in(10) {
                self.add(format!("set Logical_Router_Port {name} options:{option}"));
            }
        }
        if self.one_in(4) {
            let advertised = self.pick(ADVERTISED);
            self.add(format!("set Logical_Router_Port {name} ipv6_ra_configs:{advertised}"));
        }
        if self.one_in(12) {
            self.add(format!("lrp-set-enabled {name} disabled"));
        }
        if self.one_in(6) {
            let mac = self.mac();
            self.add(format!("static-mac-binding-add {name} 10.{switch}.0.77 {mac}"));
        }
        self.router_ports.push(RouterPort { router, name, network: switch });
    }

    fn routes(&mut self, router: usize) {
        let ports = self.router_ports.iter().filter(|port| port.router == router);
        let ports: Vec<_> = ports.map(|port| (port.name.clone(), port.network)).collect();
        if ports.is_empty() {
            return;
        }
        for number in 0..self.rng.usize(0..=6) {
            let v6 = self.one_in(3);
            let (_, network) = ports[self.rng.usize(0..ports.len())];
            let v6_hop = v6 != self.one_in(8);
            let host = self.rng.u32(60..64);
            let hop = match (self.rng.u32(0..8), v6_hop) {
                (0, _) => "discard".into(),
                (1, false) => "192.168.77.1".into(),
                (_, false) => format!("10.{network}.0.{host}"),
                (_, true) => format!("fd{network:02}::{host}"),
            };
            // What discards shares with nothing: there Kiln is stricter.
            let shared = if hop == "discard" { 2 } else { self.rng.u32(0..5) };
            let prefix = match (shared, v6) {
                (0, false) => "0.0.0.0/0".into(),
                (0, true) => "::/0".into(),
                (1, false) => format!("10.200.{number}.1"),
                (1, true) => "fd99::1/128".into(),
                (_, false) => format!("10.{}.0.0/16", 200 + number),
                (_, true) => format!("fd9{number}::/64"),
            };
            let mut flags = String::from("--may-exist ");
            match self.rng.u32(0..8) {
                0..=1 if hop == "discard" => {}
                0 => flags = "--ecmp ".into(),
                1 => flags = "--ecmp-symmetric-reply ".into(),
                2 => flags += "--policy=src-ip ",
                3 => flags += "--route-table=blue ",
                _ => {}
            }
            let port = if hop != "discard" && self.one_in(5) {
                ports[self.rng.usize(0..ports.len())].0.clone()
            } else {
                String::new()
            };
            self.add(format!("{flags}lr-route-add r{router} {prefix} {hop} {port}"));
        }
    }

    fn policies(&mut self, router: usize) {
        let port = self.router_ports.iter().find(|port| port.router == router);
        let Some(port) = port.map(|port| port.name.clone()) else { return };
        for number in 0..self.rng.usize(0..=3) {
            let matched = match self.rng.u32(0..4) {
                0 => format!("inport == \"{port}\""),
                _ => self.pick(&MATCHES[1..]).to_owned(),
            };
            let action = match self.rng.u32(0..7) {
                0 => "drop".into(),
                1 => "allow".into(),
                2 => "allow pkt_mark=100".into(),
                3 => "reroute 10.0.0.61,10.0.0.62".into(),
                4 => "reroute fd00::61".into(),
                _ => "reroute 10.0.0.60".to_owned(),
            };
            self.add(format!("lr-policy-add r{router} {} '{matched}' {action}", 100 + number));
        }
    }

    fn groups(&mut self) {
        self.add("create Address_Set name=here addresses=\"10.0.0.11,10.1.0.0/24\"".into());
        if self.one_in(2) {
            let members: Vec<_> = self.ports.iter().filter(|_| self.rng.bool()).cloned().collect();
            self.add(format!("pg-add all {}", members.join(" ")));
            self.acls("all");
        }
    }

    fn acls(&mut self, of: &str) {
        if !self.one_in(3) {
            return;
        }
        let meter = self.one_in(3);
        for number in 0..self.rng.u32(1..=4) {
            let mut flags = String::new();
            if self.one_in(4) {
                flags += &format!("--log --severity={} --name={of}{number} ", self.pick(SEVERITIES));
            }
            if self.one_in(6) {
                flags += "--label=1234 ";
            }
            if self.one_in(8) {
                flags += "--apply-after-lb ";
            }
            if self.one_in(5) {
                flags += "--tier=1 ";
            }
            let side = self.pick(&["from-lport", "to-lport"]);
            let side = if flags.contains("after-lb") { "from-lport" } else { side };
            let matched = self.pick(MATCHES);
            let action = self.pick(ACTIONS);
            let flags = if action == "allow-related" { flags } else { flags.replace("--label=1234 ", "") };
            self.add(format!("{flags}acl-add {of} {side} {} '{matched}' {action}", 1000 + number));
        }
        if meter {
            self.add("--may-exist meter-add logs drop 10 pktps 5".into());
        }
    }

    /// Limits on what is handed up.
    fn control_plane(&mut self, switches: usize, routers: usize) {
        if !self.one_in(5) {
            return;
        }
        self.add("meter-add fair drop 100 pktps 10".into());
        self.add("--fair meter-add shared drop 50 kbps 0".into());
        for class in METERED {
            if self.one_in(2) {
                let meter = self.pick(&["fair", "shared", "none"]);
                self.add(format!("copp-add limits {class} {meter}"));
            }
        }
        if !self.lines.last().is_some_and(|line| line.starts_with("copp-add")) {
            return;
        }
        for (count, letter) in [(switches, "s"), (routers, "r")] {
            for number in 0..count {
                if self.one_in(2) {
                    self.add(format!("l{letter}-copp-add limits {letter}{number}"));
                }
            }
        }
    }
}
