//! Neighbours that expire after seconds, on real switches: a Linux host that is sent to, and says nothing but when it is asked, stays
//! known by what it is asked alone, as long as it is sent to; one that nobody sends to is forgotten.
//!
//! ```text
//!   a (c1) ── inside ── r ── outside ── b (c2), with an address for each time after which its row expires
//! ```

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests run programs and look at the clock"
)]

use kiln_sandbox::{Component, Host, PerChassis, Progress, Sandbox, Settings, up};
use kiln_testkit::figures::Figures;
use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Addresses of `b`, and how many seconds their rows are kept. Linux leaves its link-layer address out of IPv6 answers to who has
/// asked it alone, as RFC 4861, section 7.2.4, lets it.
const KEPT: [(&str, u64); 6] =
    [("10.2.0.4", 4), ("10.2.0.8", 8), ("10.2.0.12", 12), ("fd02::4", 4), ("fd02::12", 12), (OTHER, 4)];
/// One for which a program answers, from an address of another network (RFC 4861, 7.2.5, asks for the target alone).
const OTHER: &str = "fd02::6";
/// One that nobody sends to.
const UNUSED: &str = "10.2.0.5";
/// Several times the longest of these.
const DURATION: Duration = Duration::from_secs(40);
const PATIENCE: Duration = Duration::from_mins(1);

const NETWORK: &str = "
name: renewal
options: { l3_defaults: rfc }
switches:
  inside: { ports: { a: [10.1.0.11, 'fd01::11'] } }
  outside: { ports: { b: unknown } }
routers:
  r:
    options: { mac_binding_age_threshold: '10.2.0.4/32:4;10.2.0.5/32:4;10.2.0.8/32:8;fd02::4/128:4;fd02::6/128:4;12' }
    ports:
      r-inside: { switch: inside, networks: [10.1.0.1/24, 'fd01::1/64'] }
      r-outside: { switch: outside, networks: [10.2.0.1/24, 'fd02::1/64'] }
sandbox:
  hosts:
    a: c1
    b: { chassis: c2, ip: [10.2.0.4/24, 'fd02::4/64'], gateway: [10.2.0.1, 'fd02::1'] }
";

/// Listens, so that nothing answers but the host's ARP and neighbour discovery.
const LISTEN: &str = "
import socket
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.bind(('::', 9))
while True:
    s.recv(100)
";

/// Sends to each address that it is told, three times a second.
const SEND: &str = "
import socket, sys, time
s = {family: socket.socket(family, socket.SOCK_DGRAM) for family in (socket.AF_INET, socket.AF_INET6)}
while True:
    for to in sys.argv[1:]:
        s[socket.AF_INET6 if ':' in to else socket.AF_INET].sendto(b'x', (to, 9))
    time.sleep(0.3)
";

/// Answers solicitations of an address, from another one.
const ADVERTISE: &str = "
import socket, struct, sys
target, source = (socket.inet_pton(socket.AF_INET6, address) for address in sys.argv[1:])
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x86dd))
s.bind(('eth0', 0))
mac = s.getsockname()[4]
while True:
    asked = s.recv(2000)
    if asked[20] != 58 or asked[54] != 135 or asked[62:78] != target:
        continue
    asker = asked[22:38]
    def message(checksum):
        return struct.pack('!BBHI', 136, 0, checksum, 0x60000000) + target + bytes([2, 1]) + mac
    summed = source + asker + struct.pack('!II', 32, 58) + message(0)
    total = sum(struct.unpack('!%dH' % (len(summed) // 2), summed))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    header = struct.pack('!IHBB', 0x60000000, 32, 58, 255)
    s.send(asked[6:12] + mac + bytes([0x86, 0xdd]) + header + source + asker + message(~total & 0xffff))
";

/// A program in a host that ends with the value.
struct Running(Child);

impl Running {
    fn start(host: &Host, args: &[&str]) -> Running {
        let mut command = Command::new(args[0]);
        command.args(&args[1..]).stdin(Stdio::null());
        let child = host.namespace().enter(|| Ok(command.spawn()));
        Running(child.unwrap_or_else(|error| panic!("{error}")).expect("it starts"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn ask(host: &Host, args: &[&str]) -> String {
    let output = host.namespace().run(Command::new(args[0]).args(&args[1..]));
    output.unwrap_or_else(|error| panic!("{args:?} on {}: {error}", host.name()))
}

/// Rows of neighbours that have answered: addresses and uuids.
fn rows(sandbox: &Sandbox) -> BTreeMap<String, String> {
    let mut sbctl = sandbox.sbctl().expect("stock is installed");
    let output =
        sbctl.args(["--format=csv", "--no-headings", "--columns=ip,_uuid,mac", "list", "MAC_Binding"]);
    let text = String::from_utf8_lossy(&output.output().expect("ovn-sbctl runs").stdout).replace('"', "");
    let answered = text.lines().filter(|line| line.ends_with(char::is_alphanumeric));
    let pairs = answered.filter_map(|line| line.split_once(','));
    pairs.map(|(ip, rest)| (ip.to_owned(), rest.to_owned())).collect()
}

/// Waits for what rows are to say.
#[track_caller]
fn wait(sandbox: &Sandbox, what: &str, mut enough: impl FnMut(&BTreeMap<String, String>) -> bool) {
    let start = Instant::now();
    loop {
        let rows = rows(sandbox);
        if enough(&rows) {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "waited in vain for {what}: {rows:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The requests that came to `b` for an address: to it alone, and to all.
fn requests(file: &std::path::Path, ip: &str) -> (usize, usize) {
    let mut tcpdump = Command::new("tcpdump");
    let output = tcpdump.args(["-n", "-e", "-r"]).arg(file).output().expect("tcpdump runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // `Request who-has IP tell …`, or `Request who-has IP (MAC) tell …`; `neighbor solicitation, who has IP, length …`.
    let asks = [format!("Request who-has {ip} "), format!("neighbor solicitation, who has {ip},")];
    let requests = text.lines().filter(|line| asks.iter().any(|asks| line.contains(asks)));
    let is_to_all = |line: &&str| line.contains("> ff:ff:ff:ff:ff:ff") || line.contains("> 33:33:");
    let (all, alone): (Vec<&str>, Vec<&str>) = requests.partition(is_to_all);
    (alone.len(), all.len())
}

#[test]
fn who_is_sent_to_is_kept_by_what_it_is_asked() {
    let network = kiln_topology::parse("renewal", NETWORK).unwrap_or_else(|problems| panic!("{problems}"));
    let mut settings = Settings {
        name: format!("t-ren{}", std::process::id()),
        database: Component::Stock,
        switch: PerChassis::all(Component::Stock),
        ..Settings::default()
    };
    settings.peers.kiln = Some(env!("CARGO_BIN_EXE_kiln").into());
    let peers = settings.peers.clone();
    let sandbox = up(&network, settings, &Progress::quiet()).unwrap_or_else(|error| panic!("{error}"));
    let (a, b) = (sandbox.host("a").expect("it is there"), sandbox.host("b").expect("it is there"));
    for ip in KEPT[1..].iter().map(|(ip, _)| *ip).filter(|ip| *ip != OTHER).chain([UNUSED]) {
        let len = if ip.contains(':') { 64 } else { 24 };
        ask(b, &["ip", "address", "replace", &format!("{ip}/{len}"), "dev", "eth0", "nodad"]);
    }
    let file = sandbox.folder().join("b.pcap");
    let capture = [
        "tcpdump",
        "-n",
        "-U",
        "-i",
        "eth0",
        "-Z",
        "root",
        "-w",
        &file.display().to_string(),
        "arp or icmp6",
    ];
    let _capture = Running::start(b, &capture);
    let _listener = Running::start(b, &["python3", "-c", LISTEN]);
    let _advertiser = Running::start(b, &["python3", "-c", ADVERTISE, OTHER, "fe80::66"]);
    let start = Instant::now();
    while std::fs::metadata(&file).map_or(0, |file| file.len()) == 0 {
        assert!(start.elapsed() < PATIENCE, "tcpdump does not start");
        std::thread::sleep(Duration::from_millis(20));
    }

    let addresses = KEPT.map(|(ip, _)| ip);
    let sender = Running::start(a, &[&["python3", "-c", SEND][..], &addresses].concat());
    // Once, by somebody who goes.
    let once = Running::start(a, &["python3", "-c", SEND, UNUSED]);
    let known = |rows: &BTreeMap<String, String>| addresses.iter().all(|ip| rows.contains_key(*ip));
    wait(&sandbox, "all neighbours to be known", |rows| known(rows) && rows.contains_key(UNUSED));
    drop(once);
    let first = rows(&sandbox);
    // Each was asked for once, or again while the answer was on its way.
    wait(&sandbox, "the first requests to be captured", |_| {
        addresses.iter().all(|ip| requests(&file, ip).1 > 0)
    });
    let broadcast_before = addresses.map(|ip| requests(&file, ip).1);

    let start = Instant::now();
    while start.elapsed() < DURATION {
        let now = rows(&sandbox);
        for ip in addresses {
            assert_eq!(now.get(ip), first.get(ip), "{ip} after {:?}", start.elapsed());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(!rows(&sandbox).contains_key(UNUSED), "nobody sends there");
    for ((ip, keep_s), before) in KEPT.into_iter().zip(broadcast_before) {
        let (alone, all) = requests(&file, ip);
        println!("{ip}, kept for {keep_s} s: {alone} requests to it alone in {DURATION:?}");
        assert_eq!(all, before, "{ip} was asked for anew");
        let thresholds = DURATION.as_secs() / keep_s;
        assert!(
            alone as u64 >= thresholds,
            "{ip}: {alone} requests, and it would have expired {thresholds} times"
        );
    }

    drop(sender);
    wait(&sandbox, "the neighbours to be forgotten", BTreeMap::is_empty);

    let mut figures = Figures::new(env!("CARGO_TARGET_TMPDIR"), "renewal");
    for program in ["ovs-vswitchd", "ovn-sbctl"] {
        let version = peers.version(Component::Stock, program).expect("it ran");
        figures.peer(program, &version).packets += addresses.len();
    }
}
