//! Inputs that the targets start from: what real encoders write, and what stock peers sent.

use kiln_packet::{
    Arp, EthHeader, IcmpError, NaFlags, NeighborAdvert, NeighborSolicit, Packet, TcpReset, icmp4, icmp6,
};
use kiln_types::EthAddr;
use std::net::{Ipv4Addr, Ipv6Addr};

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text.bytes().map(|b| (b as char).to_digit(16).map(|d| d as u8)).collect();
    Some(digits?.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect())
}

/// `first` before each of `rest`.
fn under(first: &[u8], rest: impl IntoIterator<Item = Vec<u8>>) -> Vec<Vec<u8>> {
    rest.into_iter().map(|seed| [first, &seed].concat()).collect()
}

/// OpenFlow: messages of stock daemons, alone and in a stream; matches and actions as text.
pub fn openflow() -> Vec<Vec<u8>> {
    let messages: Vec<Vec<u8>> = include_str!("../../crates/openflow/tests/vectors/messages.txt")
        .lines()
        .filter_map(|line| unhex(line.trim()))
        .filter(|bytes| bytes.len() >= 8)
        .collect();
    let texts = [
        include_str!("../../crates/openflow/tests/vectors/matches.txt"),
        include_str!("../../crates/openflow/tests/vectors/actions.txt"),
    ];
    let texts = texts.iter().flat_map(|text| text.lines()).filter(|line| !line.starts_with(['#', ' ']));
    let mut seeds = under(&[2], messages.iter().cloned());
    for (chunk, part) in messages.chunks(6).enumerate() {
        seeds.push([&[1, 16, chunk as u8 & 7][..], &part.concat()].concat());
    }
    seeds.extend(under(&[0], texts.map(|line| line.as_bytes().to_vec())));
    seeds
}

/// Frames of every kind that there are readers for.
fn frames() -> Vec<Vec<u8>> {
    let (mac, peer) = (EthAddr([2, 0, 0, 0, 0, 1]), EthAddr([2, 0, 0, 0, 0, 2]));
    let (v4, v4_peer) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
    let v6 = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);
    let udp = |eth: EthHeader| {
        let mut frame =
            [&eth.dst.0[..], &eth.src.0, &[8, 0, 0x45, 0, 0, 32, 0, 1, 0, 0, 64, 17, 0, 0]].concat();
        frame.extend([10, 0, 0, 1, 10, 0, 0, 2, 0x03, 0xe8, 0, 53, 0, 12, 0, 0, 1, 2, 3, 4]);
        frame
    };
    let tcp = |v6: bool, flags: u8| {
        let mut frame = [&peer.0[..], &mac.0].concat();
        if v6 {
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 28, 0, 64]);
            frame.extend([[0xfd; 16], [0xfc; 16]].concat());
            frame.extend([6, 0, 1, 4, 0, 0, 0, 0]);
        } else {
            frame.extend([
                8, 0, 0x46, 0, 0, 44, 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 7, 4, 4, 0,
            ]);
        }
        frame.extend([3, 232, 0, 80, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, flags, 0, 0, 0, 0, 0, 0]);
        frame
    };
    let mut frames = vec![
        Arp::request(mac, v4, v4_peer).to_vec(),
        Arp::gratuitous(mac, v4).to_vec(),
        NeighborSolicit::multicast(mac, v6).to_vec(),
        NeighborAdvert::unsolicited(mac, v6, NaFlags::ROUTER).to_vec(),
        udp(EthHeader::new(mac, peer)),
        tcp(false, 2),
        tcp(true, 0x10),
    ];
    let asked = frames.clone();
    for frame in &asked {
        let packet = Packet::parse(frame);
        for (kind, code) in [(icmp4::UNREACHABLE, icmp4::PORT), (icmp6::TOO_BIG, 0)] {
            frames.extend(IcmpError::about(&packet, kind, code, 1400).map(|error| error.to_vec()));
        }
        frames.extend(TcpReset::answering(&packet).map(|reset| reset.to_vec()));
    }
    frames
}

/// Packets: frames, packet-ins as the switch says them, and short runs of packet-ins.
pub fn packet() -> Vec<Vec<u8>> {
    let wire = include_str!("../../crates/responder/tests/stock_wire.txt");
    let said = wire.lines().filter_map(|line| line.strip_prefix("< ")).filter_map(|line| unhex(line.trim()));
    let mut seeds = under(&[0], frames());
    seeds.extend(under(&[1, 1], said));
    for (opcode, frame) in (0u8..32).flat_map(|opcode| frames().into_iter().map(move |frame| (opcode, frame)))
    {
        let mut run = vec![1, 0];
        let len = frame.len().div_ceil(8);
        for _ in 0..2 {
            run.extend([opcode, 0x15, 0x0a, 0]);
            run.push(len as u8);
            run.extend(&frame);
            run.resize(run.len().next_multiple_of(8), 0);
        }
        run.extend([210, 220, 255]);
        seeds.push(run);
    }
    seeds
}

/// OVSDB: what servers say to a client, what clients say to a server, and values.
pub fn ovsdb() -> Vec<Vec<u8>> {
    const ROW: &str = "00000000-0000-0000-0000-000000000000";
    let server_says = [
        r#"{"id":null,"method":"update3","params":["data","ROW",{"T":{"ROW":{"modify":{"tags":["set",[1,2]],"ids":["map",[["a","b"]]]}}}}]}"#,
        r#"{"id":null,"method":"update3","params":["data","ROW",{"T":{"ROW":{"insert":{"name":"x","n":-3}}}}]}"#,
        r#"{"id":null,"method":"update2","params":["server",{"Database":{"ROW":{"delete":null}}}]}"#,
        r#"{"id":null,"method":"update","params":["data",{"T":{"ROW":{"old":{"n":1},"new":{"n":2}}}}]}"#,
        r#"{"id":6,"result":[{"uuid":["uuid","ROW"]}],"error":null}"#,
        r#"{"id":6,"result":[{"error":"constraint violation","details":"x"}],"error":null}"#,
        r#"{"id":"e","method":"echo","params":[]}{"id":null,"method":"stolen","params":["l"]}"#,
        r#"{"id":null,"method":"monitor_canceled","params":["data"]}"#,
    ];
    let client_says = [
        r#"{"id":0,"method":"list_dbs","params":[]}{"id":1,"method":"get_schema","params":["D"]}"#,
        r#"{"id":2,"method":"monitor_cond_since","params":["D","m",{"T":[{"columns":["name","n"],"where":[["n",">",0]]}]},"ROW"]}"#,
        r#"{"id":3,"method":"transact","params":["D",{"op":"insert","table":"T","row":{"name":"a","n":1,"tags":["set",[1,2]],"ids":["map",[["k","v"]]],"us":["named-uuid","u"]},"uuid-name":"t"},{"op":"insert","table":"U","row":{"kind":"a"},"uuid-name":"u"}]}"#,
        r#"{"id":4,"method":"transact","params":["D",{"op":"update","table":"T","where":[["name","==","a"]],"row":{"n":5}},{"op":"mutate","table":"T","where":[],"mutations":[["n","+=",1],["tags","insert",["set",[7]]],["ids","delete","k"]]},{"op":"select","table":"T","where":[["tags","includes",1]]},{"op":"delete","table":"T","where":[["_uuid","==",["uuid","ROW"]]]}]}"#,
        r#"{"id":5,"method":"transact","params":["D",{"op":"wait","table":"T","timeout":1500,"where":[],"columns":["n"],"until":"==","rows":[{"n":3}]},{"op":"comment","comment":"c"},{"op":"commit","durable":true},{"op":"assert","lock":"l"},{"op":"abort"}]}"#,
        r#"{"id":6,"method":"lock","params":["l"]}{"id":7,"method":"steal","params":["l"]}{"id":8,"method":"unlock","params":["l"]}"#,
        r#"{"id":9,"method":"monitor","params":["D",null,{"T":{"columns":["n"],"select":{"initial":true}}}]}{"id":10,"method":"monitor_cancel","params":[null]}"#,
        r#"{"id":11,"method":"monitor_cond_change","params":["m","m2",{"T":[{"where":[["name","!=","b"]]}]}]}"#,
        r#"{"id":12,"method":"set_db_change_aware","params":[true]}{"id":null,"method":"cancel","params":[5]}"#,
    ];
    let values = [
        r#"["map",[["a\u00e9","b"],["c",""]]]"#,
        r#"["set",[-1,2.0,3e2]]"#,
        r#"["uuid","ROW"]"#,
        r#"{"T":{"columns":{"n":{"type":{"key":{"type":"integer","minInteger":0},"min":0,"max":"unlimited"}}}}}"#,
        "tcp:[::1]:6640,unix:/a ptcp:1:0.0.0.0,cid:ROW",
    ];
    let full = |text: &&str| text.replace("ROW", ROW).into_bytes();
    let mut seeds = Vec::new();
    for says in server_says.iter().map(full) {
        seeds.extend(under(&[2, 4], [says.clone()]));
        seeds.extend(under(&[0, 9], [says]));
    }
    seeds.extend(under(&[3], client_says.iter().map(full)));
    seeds.push([&[3][..], &client_says.iter().map(full).collect::<Vec<_>>().join(&0xff)].concat());
    seeds.push([&[3][..], &client_says.iter().rev().map(full).collect::<Vec<_>>().concat()].concat());
    seeds.extend(under(&[1], values.iter().map(full)));
    seeds
}

/// The logical language: matches and actions that a stock controller was asked for.
pub fn logical() -> Vec<Vec<u8>> {
    let matches = include_str!("../../crates/lower/tests/stock_matches.txt");
    let actions = include_str!("../../crates/lower/tests/stock_actions.txt");
    let texts = |text: &'static str| text.lines().filter(|line| !line.starts_with(['#', ' ']));
    let actions = texts(actions).filter_map(|line| line.split_once(": ")).map(|(_, text)| text);
    let mut seeds = under(&[0], texts(matches).map(|line| line.as_bytes().to_vec()));
    seeds.extend(under(&[1], actions.map(|line| line.as_bytes().to_vec())));
    // What multiplies out to many flows, and to too many.
    let products =
        ["reg0 != {811, 8} && reg1 != {1, 4} && reg3 != {1, 1}", "reg0 != 1 && reg1 != 2 && xreg1 != 3"];
    seeds.extend(under(&[2], products.map(|text| text.as_bytes().to_vec())));
    seeds
}

/// Network files: the examples, and one in the other notation.
pub fn topology() -> Vec<Vec<u8>> {
    let files = [
        include_str!("../../examples/one-router.yaml"),
        include_str!("../../examples/two-chassis.yaml"),
        include_str!("../../examples/dual-stack-ecmp.yaml"),
        "name = 'n'\n[switches.s.ports.p]\naddresses = ['0a:00:00:00:00:01 10.0.0.2', 'unknown']\n\
         [routers.r.ports.rp]\nnetworks = ['10.0.0.1/24', 'fd00::1/64']\nswitch = 's'\n\
         [[routers.r.routes]]\nto = '10.9.0.0/16'\nvia = ['10.0.0.9']\n",
    ];
    files.iter().map(|file| file.as_bytes().to_vec()).collect()
}
