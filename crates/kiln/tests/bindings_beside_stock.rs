//! Neighbours and stations that were learned: northds forget the same ones, controllers keep the same ones fresh, and both kinds of
//! controllers share queries.

#![allow(clippy::disallowed_methods, reason = "tests look at files and the clock")]
#![allow(clippy::disallowed_types, reason = "tests look at the clock")]

use kiln_testkit::{Chassis, Component, Daemon, Database, Lab, Server, settled, wait_for};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant, SystemTime};

/// A router between `in`, where packets come from, and `out`, whose stations are unknown to northd.
const NETWORK: &str = "
    lr-add r
    lrp-add r r-in 0e:00:00:00:00:01 10.0.0.1/24 fd00::1/64
    lrp-add r r-out 0e:00:00:00:00:02 10.0.1.1/24 fd01::1/64
    ls-add in
    lsp-add in in-r
    lsp-set-type in-r router
    lsp-set-addresses in-r router
    lsp-set-options in-r router-port=r-in
    lsp-add in p1
    lsp-set-addresses p1 \"0a:00:00:00:00:01 10.0.0.11\"
    lsp-add in p2
    lsp-set-addresses p2 \"0a:00:00:00:00:02 10.0.0.12\"
    ls-add out
    lsp-add out out-r
    lsp-set-type out-r router
    lsp-set-addresses out-r router
    lsp-set-options out-r router-port=r-out
    lsp-add out q1
    lsp-set-addresses q1 unknown
    lsp-add out q2
    lsp-set-addresses q2 unknown
";

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("the clock is right");
    since.as_millis() as i64
}

/// A row of MAC_Binding of port `r-out`, last heard of `age_s` ago.
fn learn(lab: &Lab, south: &Server, ip: &str, mac: &str, age_s: i64) {
    let datapath =
        lab.ctl("ovn-sbctl", south, "--bare --columns=datapath find Port_Binding logical_port=r-out");
    let timestamp = now_ms() - age_s * 1000;
    let line = format!(
        "create MAC_Binding logical_port=r-out 'ip=\"{ip}\"' 'mac=\"{mac}\"' datapath={} timestamp={timestamp}",
        datapath.trim()
    );
    lab.ctl("ovn-sbctl", south, &line);
}

/// What is known: address and Ethernet address.
fn neighbors(lab: &Lab, south: &Server) -> BTreeSet<(String, String)> {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let rows = lab.rows(south, Database::Southbound, "MAC_Binding");
    rows.iter().map(|row| (text(&row["ip"]), text(&row["mac"]))).collect()
}

fn addresses(lab: &Lab, south: &Server) -> Vec<String> {
    neighbors(lab, south).into_iter().map(|(ip, _)| ip).collect()
}

#[test]
fn northds_forget_alike() {
    let mut lab = Lab::new(env!("CARGO_BIN_EXE_kiln"));
    let mut souths = Vec::new();
    for (name, whose) in [("stock", Component::Stock), ("kiln", Component::Kiln)] {
        let north = lab.serve(&format!("nb-{name}"), Database::Northbound);
        let south = lab.serve(&format!("sb-{name}"), Database::Southbound);
        lab.ctl_lines("ovn-nbctl", &north, NETWORK);
        lab.northd(&format!("northd-{name}"), whose, &north, &south);
        lab.ctl("ovn-nbctl", &north, "--wait=sb sync");
        for (ip, age_s) in [
            ("10.0.1.7", 200),
            ("10.0.1.200", 200),
            ("10.0.1.201", 2000),
            ("192.0.2.7", 200),
            ("192.0.2.8", 6000),
            ("fd01::7", 99_999),
            ("fd02::7", 6000),
        ] {
            learn(&lab, &south, ip, "0a:00:00:00:00:77", age_s);
        }
        let key = lab.ctl(
            "ovn-sbctl",
            &south,
            "--bare --columns=tunnel_key find Datapath_Binding external_ids:name=out",
        );
        let port =
            lab.ctl("ovn-sbctl", &south, "--bare --columns=tunnel_key find Port_Binding logical_port=q1");
        for (mac, age_s) in [("0a:00:00:00:00:71", 200), ("0a:00:00:00:00:72", 50)] {
            let timestamp = now_ms() - age_s * 1000;
            let line = format!(
                "create FDB 'mac=\"{mac}\"' dp_key={} port_key={} timestamp={timestamp}",
                key.trim(),
                port.trim()
            );
            lab.ctl("ovn-sbctl", &south, &line);
        }
        lab.ctl_lines(
            "ovn-nbctl",
            &north,
            "set Logical_Router r 'options:mac_binding_age_threshold=\"10.0.1.0/24:100;10.0.1.128/25:1000;fd01::/64:0;5000\"'
             set Logical_Switch out other_config:fdb_age_threshold=100",
        );
        souths.push(south);
    }
    let told = |south: &Server| {
        let rows = lab.rows(south, Database::Southbound, "Datapath_Binding");
        let told = rows.iter().flat_map(|row| {
            let ids = row["external_ids"][1].as_array().cloned().unwrap_or_default();
            ids.into_iter().map(|pair| pair.to_string()).filter(|pair| pair.contains("_age_threshold\""))
        });
        told.collect::<BTreeSet<_>>()
    };
    let look = || {
        [0, 1].map(|side: usize| {
            let south = &souths[side];
            let stations = lab.ctl("ovn-sbctl", south, "--bare --columns=mac list FDB");
            (addresses(&lab, south), stations, told(south))
        })
    };
    let left = ["10.0.1.200", "192.0.2.7", "fd01::7"];
    let [stock, kiln] = settled(look, |stock, kiln| stock == kiln && stock.0 == left);
    assert_eq!(stock, kiln);
    assert_eq!(kiln.0, left);
    assert_eq!(kiln.1.trim(), "0a:00:00:00:00:72");
    assert_eq!(kiln.2.len(), 2, "what controllers are told: {:?}", kiln.2);
}

/// Has a packet come in by a port.
fn inject(lab: &Lab, controller: &Daemon, packet: &str) {
    // Stock's is not ready for it while it is busy.
    wait_for("the packet to be taken", || {
        lab.ask_either(controller, &format!("inject-pkt '{packet}'")).0.then_some(())
    });
}

/// UDP from `p1` to an address behind the router.
fn send(lab: &Lab, controller: &Daemon, ip: &str) {
    let packet = format!(
        "inport == \"p1\" && eth.src == 0a:00:00:00:00:01 && eth.dst == 0e:00:00:00:00:01 && ip4 && ip.ttl == 64 \
         && ip4.src == 10.0.0.11 && ip4.dst == {ip} && udp && udp.src == 1 && udp.dst == 2"
    );
    inject(lab, controller, &packet);
}

/// UDP from a station of `out`.
fn send_back(lab: &Lab, controller: &Daemon, port: &str, mac: &str, ip: &str) {
    let packet = format!(
        "inport == \"{port}\" && eth.src == {mac} && eth.dst == 0e:00:00:00:00:02 && ip4 && ip.ttl == 64 \
         && ip4.src == {ip} && ip4.dst == 10.0.0.11 && udp && udp.src == 1 && udp.dst == 2"
    );
    inject(lab, controller, &packet);
}

/// A station of `out` says that it has an address.
fn claim(lab: &Lab, controller: &Daemon, port: &str, mac: &str, ip: &str) {
    let packet = format!(
        "inport == \"{port}\" && eth.src == {mac} && eth.dst == 0e:00:00:00:00:02 && arp.op == 2 && arp.spa == {ip} \
         && arp.sha == {mac} && arp.tpa == 10.0.1.1 && arp.tha == 0e:00:00:00:00:02"
    );
    inject(lab, controller, &packet);
}

/// ARP requests that came to `mac` alone, as a port's record of packets has them.
fn requests(lab: &Lab, file: &str, mac: [u8; 6]) -> usize {
    let bytes = std::fs::read(lab.folder().join(file)).unwrap_or_default();
    let mut found = 0;
    let mut rest = bytes.get(24..).unwrap_or_default();
    while let Some((header, data)) = rest.split_first_chunk::<16>() {
        let len = u32::from_le_bytes([header[8], header[9], header[10], header[11]]) as usize;
        let Some((frame, after)) = data.split_at_checked(len) else { break };
        found +=
            usize::from(frame.len() > 22 && frame[..6] == mac && frame[12..14] == [8, 6] && frame[21] == 1);
        rest = after;
    }
    found
}

/// Where rows expire after eight seconds: who sends is kept, who is sent to is asked, and who does not answer is forgotten, as is
/// who nobody cares for.
#[test]
fn controllers_keep_the_same_neighbours_fresh() {
    let mut lab = Lab::new(env!("CARGO_BIN_EXE_kiln"));
    let mut sides: Vec<(Chassis, Server)> = Vec::new();
    for (name, whose) in [("stock", Component::Stock), ("kiln", Component::Kiln)] {
        let north = lab.serve(&format!("nb-{name}"), Database::Northbound);
        let south = lab.serve(&format!("sb-{name}"), Database::Southbound);
        lab.ctl_lines("ovn-nbctl", &north, NETWORK);
        lab.ctl("ovn-nbctl", &north, "set Logical_Router r options:mac_binding_age_threshold=8");
        lab.northd(&format!("northd-{name}"), Component::Stock, &north, &south);
        let chassis = lab.chassis(name, whose, "hv1", &south, "");
        for port in ["p1", "q1"] {
            lab.plug(&chassis, port);
        }
        let record = lab.folder().join(format!("{name}.pcap"));
        lab.ctl(
            "ovs-vsctl",
            &chassis.server,
            &format!("set Interface q1 options:tx_pcap={}", record.display()),
        );
        lab.ctl("ovn-nbctl", &north, "--wait=hv sync");
        for n in [7, 8, 9] {
            learn(&lab, &south, &format!("10.0.1.{n}"), &format!("0a:00:00:00:00:7{n}"), 0);
        }
        sides.push((chassis, south));
    }
    let start = Instant::now();
    let mut last = [BTreeSet::new(), BTreeSet::new()];
    let done = |[stock, kiln]: &[BTreeSet<String>; 2]| stock.len() == 1 && kiln.len() == 1;
    wait_for("all but one neighbour to expire", || {
        for (side, (chassis, south)) in sides.iter().enumerate() {
            send_back(&lab, &chassis.controller, "q1", "0a:00:00:00:00:77", "10.0.1.7");
            send(&lab, &chassis.controller, "10.0.1.8");
            last[side] = addresses(&lab, south).into_iter().collect();
        }
        // long enough for the first row to have expired twice
        (start.elapsed() > Duration::from_secs(17) && done(&last)).then_some(())
    });
    let kept = BTreeSet::from(["10.0.1.7".to_owned()]);
    assert_eq!(last, [kept.clone(), kept]);
    // stock asks everybody whether the neighbour is there, Kiln the neighbour
    let asked = [7, 8, 9].map(|n: u8| requests(&lab, "kiln.pcap", [10, 0, 0, 0, 0, 0x70 + n]));
    println!("kiln: requests to who sends, who is sent to, who nobody cares for: {asked:?}");
    assert!(asked[1] >= 3, "who is sent to is asked until it has failed");
    assert_eq!([asked[0], asked[2]], [0, 0], "who is heard of is not asked, nor who nobody cares for");
    assert!(requests(&lab, "stock.pcap", [255; 6]) > 0);
}

/// A stock controller beside Kiln's, where Kiln's northd and controller track queries.
#[test]
fn queries_are_shared_with_a_stock_controller() {
    let mut lab = Lab::new(env!("CARGO_BIN_EXE_kiln"));
    let north = lab.serve("nb", Database::Northbound);
    let south = lab.serve("sb", Database::Southbound);
    lab.ctl_lines("ovn-nbctl", &north, NETWORK);
    lab.ctl("ovn-nbctl", &north, "set NB_Global . options:mac_binding_learning=tracked");
    lab.northd("northd", Component::Kiln, &north, &south);
    let ours = lab.chassis("kiln", Component::Kiln, "hv1", &south, "");
    let other = "set Open_vSwitch . external_ids:ovn-encap-ip=127.0.0.2";
    let theirs = lab.chassis("stock", Component::Stock, "hv2", &south, other);
    for (chassis, ports) in [(&ours, ["p1", "q1"]), (&theirs, ["p2", "q2"])] {
        for port in ports {
            lab.plug(chassis, port);
            lab.ctl("ovn-nbctl", &north, &format!("wait-until Logical_Switch_Port {port} up=true"));
        }
    }
    let pair = |ip: &str, mac: &str| (ip.to_owned(), mac.to_owned());
    let has = |lab: &Lab, ip: &str, mac: &str| neighbors(lab, &south).contains(&pair(ip, mac));

    // asked here, answered there
    send(&lab, &ours.controller, "10.0.1.77");
    wait_for("the query's row", || has(&lab, "10.0.1.77", "").then_some(()));
    let row = lab.rows(&south, Database::Southbound, "MAC_Binding");
    let timestamp = row[0]["timestamp"].as_i64().expect("a number");
    assert!((now_ms() - timestamp).abs() < 60_000, "it is current from the start");
    // the stock controller goes on with it
    lab.ctl("ovn-nbctl", &north, "lsp-add in p9 -- lsp-set-addresses p9 \"0a:00:00:00:00:09 10.0.0.19\"");
    lab.ctl("ovn-nbctl", &north, "--wait=hv sync");
    claim(&lab, &theirs.controller, "q2", "0a:00:00:00:00:77", "10.0.1.77");
    wait_for("the answer", || has(&lab, "10.0.1.77", "0a:00:00:00:00:77").then_some(()));
    for chassis in [&ours, &theirs] {
        wait_for("the neighbour's flow", || {
            let flows = lab.ofctl(chassis, "dump-flows BR table=66");
            flows.contains("set_field:0a:00:00:00:00:77->eth_dst").then_some(())
        });
    }
    let warnings = lab.tail("stock-controller").lines().filter(|line| line.contains("|WARN|")).count();
    println!("the stock controller warned {warnings} times of rows without an address");

    // nobody asked
    claim(&lab, &ours.controller, "q1", "0a:00:00:00:00:99", "10.0.1.99");
    wait_for("the claim to be dropped", || {
        let count = lab.ask_either(&ours.controller, "coverage/read-counter packet_put_arp_drop_unsolicited");
        (count.0 && count.1.trim() == "1").then_some(())
    });
    assert_eq!(addresses(&lab, &south), ["10.0.1.77"]);

    // asked, and never answered: the row is collected, also when who asked has been killed
    for (ip, kill) in [("10.0.1.78", false), ("10.0.1.79", true)] {
        send(&lab, &ours.controller, ip);
        wait_for("the query's row", || has(&lab, ip, "").then_some(()));
        if kill {
            lab.kill("kiln-controller");
            lab.start_controller("kiln-controller", Component::Kiln, &ours.server);
        }
        wait_for("the query's row to be collected", || (!has(&lab, ip, "")).then_some(()));
    }
    assert_eq!(addresses(&lab, &south), ["10.0.1.77"]);
}

/// Passes bytes on, each of them `delay` after it came.
fn pass(mut from: UnixStream, mut to: UnixStream, delay: Duration) {
    let (sender, receiver) = std::sync::mpsc::channel::<(Instant, Vec<u8>)>();
    std::thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            if sender.send((Instant::now() + delay, buffer[..count].to_vec())).is_err() {
                break;
            }
        }
    });
    std::thread::spawn(move || {
        while let Ok((due, bytes)) = receiver.recv() {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&bytes).is_err() {
                break;
            }
        }
        let _ = to.shutdown(std::net::Shutdown::Both);
    });
}

/// A server's socket that answers 200 ms late.
fn slowed(lab: &Lab, server: &Server) -> String {
    let path = lab.folder().join("slow.sock");
    let listener = UnixListener::bind(&path).expect("the lab's folder is writable");
    let to = server.remote.strip_prefix("unix:").expect("labs use Unix sockets").to_owned();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(server) = UnixStream::connect(&to) else { return };
            let copy = |stream: &UnixStream| stream.try_clone().expect("a handle can be copied");
            pass(copy(&client), copy(&server), Duration::ZERO);
            pass(server, client, Duration::from_millis(200));
        }
    });
    format!("unix:{}", path.display())
}

/// Asked on one chassis and answered on another that sees the database late; then who asked is killed before the answer comes.
#[test]
fn a_query_of_one_chassis_is_answered_on_another() {
    let mut lab = Lab::new(env!("CARGO_BIN_EXE_kiln"));
    let north = lab.serve("nb", Database::Northbound);
    let south = lab.serve("sb", Database::Southbound);
    lab.ctl_lines("ovn-nbctl", &north, NETWORK);
    lab.ctl("ovn-nbctl", &north, "set NB_Global . options:l3_defaults=rfc");
    lab.northd("northd", Component::Kiln, &north, &south);
    let slow = slowed(&lab, &south);
    let asks = lab.chassis("asks", Component::Kiln, "hv1", &south, "");
    let other = format!(
        "set Open_vSwitch . external_ids:ovn-encap-ip=127.0.0.2 'external_ids:ovn-remote=\"{slow}\"'"
    );
    let answers = lab.chassis("answers", Component::Kiln, "hv2", &south, &other);
    for (chassis, ports) in [(&asks, ["p1", "q1"]), (&answers, ["p2", "q2"])] {
        for port in ports {
            lab.plug(chassis, port);
            lab.ctl("ovn-nbctl", &north, &format!("wait-until Logical_Switch_Port {port} up=true"));
        }
    }
    let has =
        |lab: &Lab, ip: &str, mac: &str| neighbors(lab, &south).contains(&(ip.to_owned(), mac.to_owned()));

    // the answer is there before the query is seen
    send(&lab, &asks.controller, "10.0.1.77");
    wait_for("the query's row", || has(&lab, "10.0.1.77", "").then_some(()));
    claim(&lab, &answers.controller, "q2", "0a:00:00:00:00:77", "10.0.1.77");
    wait_for("the answer", || has(&lab, "10.0.1.77", "0a:00:00:00:00:77").then_some(()));

    send(&lab, &asks.controller, "10.0.1.78");
    wait_for("the query's row", || has(&lab, "10.0.1.78", "").then_some(()));
    lab.kill("asks-controller");
    claim(&lab, &answers.controller, "q2", "0a:00:00:00:00:78", "10.0.1.78");
    wait_for("the answer", || has(&lab, "10.0.1.78", "0a:00:00:00:00:78").then_some(()));

    // nobody asked
    claim(&lab, &answers.controller, "q2", "0a:00:00:00:00:99", "10.0.1.99");
    wait_for("the claim to be dropped", || {
        let count =
            lab.ask_either(&answers.controller, "coverage/read-counter packet_put_arp_drop_unsolicited");
        (count.0 && count.1.trim() == "1").then_some(())
    });
    assert_eq!(addresses(&lab, &south), ["10.0.1.77", "10.0.1.78"]);
}
