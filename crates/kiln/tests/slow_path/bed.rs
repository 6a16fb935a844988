//! A northd and a chassis without a network: packets come in by dummy interfaces, and what goes out of them is recorded.

use kiln_testkit::{Chassis, Component, Daemon, Database, Lab, Server, wait_for};
use std::time::Duration;

/// A router between `in`, whose ports are told, and `out`, whose stations are not.
pub const NETWORK: &str = "
    lr-add r
    lrp-add r r-in 0e:00:00:00:00:01 10.0.0.1/24 fd00::1/64
    lrp-add r r-out 0e:00:00:00:00:02 10.1.0.1/16 fd01::1/64
    ls-add in
    lsp-add-router-port in in-r r-in
    lsp-add in p1
    lsp-set-addresses p1 '0a:00:00:00:00:01 10.0.0.11 fd00::11'
    lsp-add in p2
    lsp-set-addresses p2 '0a:00:00:00:00:02 10.0.0.12 fd00::12'
    ls-add out
    lsp-add-router-port out out-r r-out
    lsp-add out q1
    lsp-set-addresses q1 unknown
";

/// Ethernet addresses of the router's ports in [`NETWORK`].
pub const R_IN: &str = "0e:00:00:00:00:01";
pub const R_OUT: &str = "0e:00:00:00:00:02";

/// How many packets come in with one command at most: a dummy interface keeps no more than a hundred until its switch looks.
const AT_ONCE: usize = 90;

pub struct Bed {
    pub lab: Lab,
    pub north: Server,
    pub south: Server,
    pub chassis: Chassis,
    pub switch: Daemon,
}

/// A frame that went out of an interface, and when, from 1970 on.
pub struct Frame {
    pub at: Duration,
    pub bytes: Vec<u8>,
}

impl Bed {
    /// Daemons for a network, with these ports on the chassis; `lines` are commands of `ovs-vsctl` before the controller starts.
    #[track_caller]
    pub fn start(whose: Component, network: &str, ports: &[&str], lines: &str) -> Bed {
        Bed::compiled(whose, whose, network, ports, lines)
    }

    /// The same with northd and controller of different make.
    #[track_caller]
    pub fn compiled(northd: Component, whose: Component, network: &str, ports: &[&str], lines: &str) -> Bed {
        let mut lab = Lab::new(env!("CARGO_BIN_EXE_kiln"));
        let north = lab.serve("nb", Database::Northbound);
        let south = lab.serve("sb", Database::Southbound);
        lab.ctl_lines("ovn-nbctl", &north, network);
        lab.northd("northd", northd, &north, &south);
        let chassis = lab.chassis("c", whose, "hv1", &south, lines);
        let switch = Daemon { name: "c-switch".into(), whose: Component::Stock };
        let bed = Bed { lab, north, south, chassis, switch };
        for port in ports {
            bed.plug("br-int", port);
        }
        for port in ports {
            let up = || {
                bed.lab
                    .ctl("ovn-nbctl", &bed.north, &format!("lsp-get-up {port}"))
                    .contains("up")
                    .then_some(())
            };
            wait_for(&format!("{port} to be up"), up);
        }
        bed.sync();
        bed
    }

    /// Adds an interface to a bridge, which is also a logical port if there is one of its name.
    #[track_caller]
    pub fn plug(&self, bridge: &str, port: &str) {
        let record = self.record(port);
        let lines = format!(
            "add-port {bridge} {port}\n\
             set Interface {port} type=dummy external_ids:iface-id={port} options:tx_pcap={}",
            record.display()
        );
        self.lab.ctl_lines("ovs-vsctl", &self.chassis.server, &lines);
    }

    /// Waits until the chassis has installed what the northbound database says.
    #[track_caller]
    pub fn sync(&self) {
        self.lab.ctl("ovn-nbctl", &self.north, "--wait=hv sync");
    }

    /// Has packets come in by an interface, as Open vSwitch writes flows, or in hexadecimal digits.
    #[track_caller]
    pub fn receive(&self, port: &str, packets: &[String]) {
        for some in packets.chunks(AT_ONCE) {
            let quoted: Vec<String> = some.iter().map(|packet| format!("'{packet}'")).collect();
            self.lab.ask(&self.switch, &format!("netdev-dummy/receive {port} {}", quoted.join(" ")));
        }
    }

    fn record(&self, port: &str) -> std::path::PathBuf {
        self.lab.folder().join(format!("{port}.pcap"))
    }

    /// What has gone out of an interface since its switch started.
    pub fn frames(&self, port: &str) -> Vec<Frame> {
        let bytes = std::fs::read(self.record(port)).unwrap_or_default();
        let mut frames = Vec::new();
        // Headers of the file and of each packet: draft-gharris-opsawg-pcap, sections 4 and 5.
        let mut rest = bytes.get(24..).unwrap_or_default();
        while let Some((header, data)) = rest.split_first_chunk::<16>() {
            let [secs, micros, len, _] = [0, 4, 8, 12]
                .map(|at: usize| u32::from_le_bytes(header[at..at + 4].try_into().expect("four bytes")));
            let Some((frame, after)) = data.split_at_checked(len as usize) else { break };
            let at = Duration::from_secs(secs.into()) + Duration::from_micros(micros.into());
            frames.push(Frame { at, bytes: frame.to_vec() });
            rest = after;
        }
        frames
    }

    /// A counter of the controller, as `coverage/show` lists it; zero if nothing of the kind was ever counted.
    #[track_caller]
    pub fn counter(&self, name: &str) -> u64 {
        let (known, text) =
            self.lab.ask_either(&self.chassis.controller, &format!("coverage/read-counter {name}"));
        if known { text.trim().parse().expect("a number") } else { 0 }
    }

    /// Waits until a counter of the controller has come to `least`.
    #[track_caller]
    pub fn counted(&self, name: &str, least: u64) {
        wait_for(&format!("{name} to be {least}"), || (self.counter(name) >= least).then_some(()));
    }
}

impl Frame {
    /// The bytes from an offset on, in hexadecimal digits.
    pub fn hex(&self, from: usize, len: usize) -> String {
        let bytes = self.bytes.get(from..from + len).unwrap_or_default();
        bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
    }

    /// Whether it is an IPv4 packet with UDP to this port.
    pub fn is_udp_to(&self, port: u16) -> bool {
        self.hex(12, 2) == "0800" && self.hex(23, 1) == "11" && self.hex(36, 2) == format!("{port:04x}")
    }

    /// Whether it is an ARP packet with this operation.
    pub fn is_arp(&self, op: u16) -> bool {
        self.hex(12, 2) == "0806" && self.hex(20, 2) == format!("{op:04x}")
    }
}

/// UDP from `p1`, or `p2`, to an address behind the router of [`NETWORK`].
pub fn udp(from: u8, to: &str, port: u16) -> String {
    format!(
        "in_port(1),eth(src=0a:00:00:00:00:{from:02x},dst={R_IN}),eth_type(0x0800),\
         ipv4(src=10.0.0.1{from},dst={to},proto=17,tos=0,ttl=64,frag=no),udp(src=1000,dst={port})"
    )
}

/// A station of `out` tells the router of [`NETWORK`] that it has an address.
pub fn claim(mac: &str, ip: &str) -> String {
    format!(
        "in_port(1),eth(src={mac},dst={R_OUT}),eth_type(0x0806),\
         arp(sip={ip},tip=10.1.0.1,op=2,sha={mac},tha={R_OUT})"
    )
}
