//! What routers do with packets that cannot go on as they are, on real switches in network namespaces: Linux hosts on two
//! chassis learn what the way takes, packets that may be cut are cut, and who sends in vain is told.

#![allow(clippy::disallowed_methods, reason = "a test owns processes and files")]

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const NETWORK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/networks/in-vain.yaml");
const PATIENCE: Duration = Duration::from_secs(30);

/// A sandbox that stands until the value goes.
struct Sandbox {
    name: &'static str,
    folder: String,
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let kiln =
            Command::new(env!("CARGO_BIN_EXE_kiln")).args(["sandbox", "down", "--name", self.name]).output();
        assert!(kiln.is_ok_and(|output| output.status.success()));
    }
}

impl Sandbox {
    /// Builds it. Its probes must hold.
    #[track_caller]
    fn up(name: &'static str, parts: &[&str]) -> Sandbox {
        let mut sandbox = Sandbox { name, folder: String::new() };
        let output = Command::new(env!("CARGO_BIN_EXE_kiln"))
            .args(["sandbox", "up", NETWORK, "--keep", "--name", name])
            .args(parts)
            .output()
            .expect("kiln runs");
        let text =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        println!("{text}");
        assert!(output.status.success(), "{text}");
        let folder = text.split_once("OVS_RUNDIR=").and_then(|(_, rest)| rest.split_once("/c1 "));
        folder.expect("where the sandbox is").0.clone_into(&mut sandbox.folder);
        sandbox
    }

    fn command(&self, place: &str, words: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &format!("{}-{place}", self.name)]).args(words.split(' '));
        command.stdin(Stdio::null());
        command
    }

    /// Runs a command in a host; all that it prints, whether it succeeds or not.
    fn host(&self, host: &str, words: &str) -> String {
        let output = self.command(host, words).output().expect("ip runs");
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        println!("{host}$ {words}\n{text}");
        text
    }

    #[track_caller]
    fn says(&self, host: &str, words: &str, expected: &[&str]) {
        let text = self.host(host, words);
        for part in expected {
            assert!(text.contains(part), "{words} in {host} does not say `{part}`:\n{text}");
        }
    }

    /// The flows of the first chassis that end packets for next hops which gave no answer.
    fn held_down(&self) -> Vec<String> {
        let output = Command::new("ovs-ofctl")
            .args(["-O", "OpenFlow15", "dump-flows", "br-int", "table=35"])
            .env("OVS_RUNDIR", format!("{}/c1", self.folder))
            .output()
            .expect("ovs-ofctl runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines().filter(|line| line.contains("priority=1000,")).map(str::to_owned).collect()
    }
}

/// What a host's interface sees while the value stands.
struct Capture {
    child: Child,
    file: PathBuf,
}

impl Drop for Capture {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.file);
    }
}

impl Capture {
    /// Starts to write down packets that `filter` describes.
    fn start(sandbox: &Sandbox, host: &str, filter: &str) -> Capture {
        let file = std::env::temp_dir().join(format!("{}-{host}-{}.pcap", sandbox.name, std::process::id()));
        let mut command = sandbox.command(host, "tcpdump -n -U -i eth0 -Z root -w");
        command.arg(&file).args(filter.split(' ')).stderr(Stdio::piped());
        let mut child = command.spawn().expect("tcpdump starts");
        let mut said = BufReader::new(child.stderr.take().expect("its standard error")).lines();
        let listens = said.any(|line| line.is_ok_and(|line| line.contains("listening on")));
        assert!(listens, "tcpdump listens in {host}");
        Capture { child, file }
    }

    /// The IPv4 headers so far, as tcpdump prints them.
    fn headers(&self) -> Vec<String> {
        let output =
            Command::new("tcpdump").args(["-n", "-v", "-r"]).arg(&self.file).output().expect("tcpdump runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines().filter(|line| line.contains(" IP (tos ")).map(str::to_owned).collect()
    }
}

fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The value that follows a word in a header that tcpdump printed.
fn field<'l>(line: &'l str, word: &str) -> &'l str {
    let rest = line.split_once(word).map_or("", |(_, rest)| rest);
    rest.split([',', ')']).next().unwrap_or_default()
}

/// Linux learns the MTU of the way: TCP did when the probes ran, UDP and ICMP do here.
fn hosts_learn_the_mtu(sandbox: &Sandbox) {
    sandbox.says("left", "ip route get 10.0.2.11", &["mtu 1400"]);
    sandbox.says("right", "ip -6 route get fd00:1::11", &["mtu 1400"]);
    forget(sandbox);
    let told = "Frag needed and DF set (mtu = 1400)";
    sandbox.says("left", "ping -n -M do -s 1472 -c 1 -W 2 10.0.2.11", &["From 10.0.1.1", told]);
    sandbox.says("left", "ping -n -M do -s 1372 -c 1 -W 2 10.0.2.11", &["1 received"]);
    let told = "Packet too big: mtu=1400";
    sandbox.says("left", "ping -n -M do -s 1452 -c 1 -W 2 fd00:2::11", &["From fd00:1::1", told]);
    sandbox.says("left", "ping -n -M do -s 1352 -c 1 -W 2 fd00:2::11", &["1 received"]);
    sandbox.says("right", "tracepath -n -m 8 10.0.1.11", &["pmtu 1500", "Resume: pmtu 1400 hops 3"]);
    sandbox.says("right", "tracepath -6 -n -m 8 fd00:1::11", &["pmtu 1500", "Resume: pmtu 1400 hops 3"]);
}

/// Makes hosts forget what they have learned of the way.
fn forget(sandbox: &Sandbox) {
    for host in ["left", "right"] {
        sandbox.host(host, "ip route flush cache");
        sandbox.host(host, "ip -6 route flush cache");
    }
}

/// A datagram that may be cut arrives in pieces that have its identification, and pieces are cut again.
fn datagrams_are_cut(sandbox: &Sandbox) {
    // Otherwise the host would cut them itself.
    forget(sandbox);
    let sent = Capture::start(sandbox, "left", "icmp and src 10.0.1.11");
    let came = Capture::start(sandbox, "right", "src 10.0.1.11 and dst 10.0.2.11");
    sandbox.says("left", "ping -n -M dont -s 1472 -c 1 -W 5 10.0.2.11", &["1 received"]);
    let sent = until("the datagram", || sent.headers().first().cloned());
    assert!(sent.contains("flags [none]") && sent.contains("length 1500"), "{sent}");
    let pieces = until("its pieces", || Some(came.headers()).filter(|lines| lines.len() >= 2));
    let id = field(&sent, ", id ");
    let of =
        |line: &String| [", id ", "offset ", "flags ", "length "].map(|word| field(line, word).to_owned());
    let shapes: Vec<[String; 4]> = pieces.iter().map(of).collect();
    // 1376 is the most below 1380 that counts in eights; both have a header of 20 bytes.
    let expected = [[id, "0", "[+]", "1396"], [id, "1376", "[none]", "124"]];
    assert_eq!(shapes, expected.map(|shape| shape.map(str::to_owned)), "{pieces:#?}");
    // The host cuts these itself, for its own link.
    sandbox.says("left", "ping -n -M dont -s 8000 -c 1 -W 5 10.0.2.11", &["1 received"]);
    sandbox.says("right", "ping -n -M dont -s 8000 -c 1 -W 5 10.0.1.11", &["1 received"]);
}

/// Packets that no router can deliver, and those that it does not want itself.
fn senders_are_told(sandbox: &Sandbox) {
    sandbox.says("left", "ping -n -c 1 -W 2 10.99.0.1", &["From 10.0.1.1", "Destination Net Unreachable"]);
    sandbox.says(
        "left",
        "ping -n -c 1 -W 2 fd99::1",
        &["From fd00:1::1", "Destination unreachable: No route"],
    );
    let far = ["From 192.168.0.2", "Destination Host Unreachable"];
    sandbox.says("left", "ping -n -c 1 -W 5 10.0.2.98", &far);
    let far = ["From fd00:ff::2", "Destination unreachable: Address unreachable"];
    sandbox.says("left", "ping -n -c 1 -W 5 fd00:2::98", &far);
    for (router, family) in
        [("10.0.1.1", ""), ("fd00:1::1", "-6 "), ("192.168.0.2", ""), ("fd00:ff::2", "-6 ")]
    {
        let url = if family.is_empty() { router.to_owned() } else { format!("[{router}]") };
        // Without a reset it would say that time is over.
        sandbox.says("left", &format!("curl -g -m 20 http://{url}/"), &["(7) Failed to connect"]);
        // UDP to a port where nobody listens ends a trace.
        let trace = sandbox.host("left", &format!("traceroute {family}-n -q 1 -w 3 -m 5 {router}"));
        assert!(trace.lines().last().is_some_and(|line| line.contains(router)), "{trace}");
    }
}

/// Each router shows itself, whatever is sent.
fn routers_show_themselves(sandbox: &Sandbox) {
    for how in ["-I", "-T", "-U"] {
        let v4 = ["10.0.1.1", "192.168.0.2", "10.0.2.11"];
        sandbox.says("left", &format!("traceroute {how} -n -q 1 -w 3 -m 5 10.0.2.11"), &v4);
        let v6 = ["fd00:1::1", "fd00:ff::2", "fd00:2::11"];
        sandbox.says("left", &format!("traceroute -6 {how} -n -q 1 -w 3 -m 5 fd00:2::11"), &v6);
    }
}

/// A next hop that gave no answer is held down in the switch, and no longer than it is to be.
fn failed_next_hops_are_held_down(sandbox: &Sandbox) {
    let mut flood =
        sandbox.command("left", "ping -n -q -i 0.02 10.0.2.97").stdout(Stdio::null()).spawn().expect("ping");
    let hit = |line: &String| line.contains("reg0=0xa000261") && !line.contains("n_packets=0,");
    until("packets that end in the switch", || sandbox.held_down().iter().any(hit).then_some(()));
    let _ = flood.kill();
    let _ = flood.wait();
    until("the end of the hold-down", || sandbox.held_down().is_empty().then_some(()));
}

#[track_caller]
fn holds(name: &'static str, parts: &[&str]) {
    let sandbox = Sandbox::up(name, parts);
    hosts_learn_the_mtu(&sandbox);
    datagrams_are_cut(&sandbox);
    senders_are_told(&sandbox);
    routers_show_themselves(&sandbox);
    failed_next_hops_are_held_down(&sandbox);
}

#[test]
fn on_old_stock_switches() {
    holds("t-vo", &["--switch", "old-stock"]);
}

#[test]
fn on_stock_switches() {
    holds("t-vs", &["--switch", "stock"]);
}
