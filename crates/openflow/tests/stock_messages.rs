//! Messages against those that Open vSwitch and ovn-controller exchange.

use kiln_openflow::msg::*;
use kiln_openflow::{Actions, ErrorCode, Field, Match, Version};
use kiln_types::OfPort;

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    digits.chunks(2).map(|d| u8::from_str_radix(std::str::from_utf8(d).unwrap(), 16).unwrap()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, b| text + &format!("{b:02x}"))
}

fn encode(message: &Message, version: Version, xid: u32) -> String {
    let mut out = Vec::new();
    message.encode(version, Xid(xid), &mut out).unwrap();
    hex(&out)
}

fn v15(message: &Message) -> String {
    encode(message, Version::V1_5, 2)
}

#[test]
fn every_message_is_known_and_encodes_as_it_came() {
    let lines: Vec<&str> =
        include_str!("vectors/messages.txt").lines().filter(|l| !l.starts_with('#')).collect();
    assert!(lines.len() > 200);
    for pair in lines.chunks(2) {
        let (name, bytes) = (pair[0], unhex(pair[1]));
        let (header, message) = Message::decode(&bytes).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(!matches!(message, Message::Unknown { .. }), "{name}: {message:?}");
        assert_eq!(encode(&message, header.version, header.xid.0), hex(&bytes), "{name}: {message:?}");
    }
}

/// Requests of an ovn-controller of 26.03.
#[test]
fn requests_of_ovn() {
    let mapping = TlvMapping { option_class: 0x0102, option_type: 0x80, option_len: 4, index: 0 };
    let cases = [
        (Message::Hello(Hello::new(&[Version::V1_5])), "06000010 00000002 0001 0008 00000040"),
        (Message::SetPacketInFormat(2), "06040014 00000002 00002320 00000010 00000002"),
        (Message::TlvTableRequest, "06040010 00000002 00002320 00000019"),
        (
            Message::TlvTableMod(TlvTableMod { command: TlvTableMod::ADD, mappings: vec![mapping] }),
            "06040020 00000002 00002320 00000018 0000 000000000000 0102 80 04 0000 0000",
        ),
        (Message::CtFlushZone(10), "06040018 00000002 00002320 0000001d 000000000000 000a"),
        (
            Message::GroupMod(GroupMod::delete(Group::ALL_IDS)),
            "060f0018 00000002 0002 00 00 fffffffc 0000 0000 ffffffff",
        ),
        (Message::MeterMod(MeterMod::delete(Meter::ALL_IDS)), "061d0010 00000002 0002 0000 ffffffff"),
        (
            Message::MeterMod(MeterMod {
                command: MeterMod::ADD,
                meter: Meter {
                    flags: Meter::PKTPS | Meter::STATS,
                    meter_id: 1,
                    bands: vec![MeterBand { typ: MeterBand::DROP, rate: 10, burst: 0, prec_level: 0 }],
                },
            }),
            "061d0020 00000002 0000 000a 00000001 0001 0010 0000000a 00000000 00000000",
        ),
        (Message::BarrierRequest, "06140008 00000002"),
        (Message::GetConfigRequest, "06070008 00000002"),
        (Message::SetConfig(SwitchConfig { flags: 0, miss_send_len: 0xffff }), "0609000c 00000002 0000 ffff"),
        (
            Message::BundleControl(BundleControl {
                bundle_id: 1,
                typ: BundleControl::OPEN_REQUEST,
                flags: BundleControl::ATOMIC | BundleControl::ORDERED,
            }),
            "06210010 00000002 00000001 0000 0003",
        ),
    ];
    for (message, expected) in cases {
        assert_eq!(v15(&message), hex(&unhex(expected)), "{message:?}");
        assert_eq!(Message::decode(&unhex(expected)).unwrap().1, message);
    }
}

#[test]
fn flow_mod_in_a_bundle() {
    let actions: Actions = "resubmit(,8)".parse().unwrap();
    let mut flow_mod = FlowMod::new(FlowMod::ADD, 0, 100, "in_port=1,metadata=5".parse().unwrap());
    flow_mod.cookie = 0x1122_3344;
    flow_mod.instructions = actions.into();
    let add = BundleAdd { bundle_id: 3, flags: 3, message: Message::FlowMod(flow_mod) };
    let expected = "06220070 00000002 00000003 0000 0003
        060e0060 00000002 0000000011223344 0000000000000000 00 00 0000 0000 0064
        ffffffff ffffffff ffffffff 0000 0000
        0001 0018 80000004 00000001 80000408 0000000000000005
        0004 0018 00000000 ffff0010 00002320 000e fff8 08 000000";
    assert_eq!(v15(&Message::BundleAdd(Box::new(add))), hex(&unhex(expected)));
}

/// The probe for labels in connection flushes.
#[test]
fn ct_flush_by_label() {
    let icmp =
        |typ| CtTuple { icmp_id: Some(0), icmp_type: Some(typ), icmp_code: Some(0), ..CtTuple::default() };
    let label = 0x0000_0000_1000_0000_u128 << 64;
    let flush = CtFlush {
        ip_proto: 1,
        orig: icmp(1),
        reply: icmp(0),
        label: Some((label, label)),
        ..CtFlush::default()
    };
    let expected = "060400a0 00000002 00002320 00000020 01 00000000000000
        0000 0020 00000000 0004 0008 0000 0000 0005 0005 01 000000 0006 0005 00 000000
        0001 0020 00000000 0004 0008 0000 0000 0005 0005 00 000000 0006 0005 00 000000
        0005 0014 00000000100000000000000000000000 00000000
        0006 0014 00000000100000000000000000000000 00000000";
    let expected = expected.replacen("060400a0", "06040088", 1);
    assert_eq!(v15(&Message::CtFlush(Box::new(flush.clone()))), hex(&unhex(&expected)));
    assert_eq!(Message::decode(&unhex(&expected)).unwrap().1, Message::CtFlush(Box::new(flush)));
}

/// A paused packet as an ovs-vswitchd sends it, and the resume that ovs-ofctl answers with.
#[test]
fn a_paused_packet_is_resumed() {
    let packet_in = unhex(
        "060400f8 00000000 00002320 0000001e
         0000 002e 0a00000000010a000000000208004500001c0000400040110000c0a80001c0a80002003500350008aaaa 0000
         0003 0005 00 000000 0005 0005 01 000000
         0006 004c 80000004 00000001 80004c08 0000000000000007 00014004 01020304
                   80010110 0000030000000000 ffffffff00000000 80010a08 0000000100000002 80000408 0000000000000005
                   00000000
         0008 0050 00000000 8000 0014 4c6da13b4142d192fd983f98341919fe 00000000
                   8005 0010 00000000 00000000ebbaf69f 8006 0018 00000000 0000001000000002000000000000 0000
                   8008 0008 00000001
         0007 0008 00000012",
    );
    let Message::PacketIn(p) = Message::decode(&packet_in).unwrap().1 else { panic!() };
    assert_eq!(p.packet.len(), 42);
    assert_eq!((p.table_id, p.cookie, p.reason), (0, u64::MAX, PacketIn::REASON_ACTION));
    assert_eq!(p.userdata[..], [0, 0, 0, 0x12]);
    let expected = "reg0=0x300,reg10=0x1,reg11=0x2,tun_id=0x7,tun_dst=1.2.3.4,metadata=0x5,in_port=1";
    assert_eq!(p.metadata.to_string(), expected);
    assert_eq!(p.metadata.get(Field::reg(0)).unwrap().value, 0x300);
    assert_eq!(p.metadata.get(Field::IN_PORT).unwrap().value, 1);
    let resume = Message::Resume(Box::new(p.into_resume()));
    let mut expected = packet_in.clone();
    expected.truncate(expected.len() - 8);
    expected[3] = 0xf0;
    expected[15] = 0x1c;
    assert_eq!(encode(&resume, Version::V1_5, 0), hex(&expected));
}

#[test]
fn packet_outs_of_every_version() {
    let packet = PacketOut::new(OfPort(1), "resubmit(,0)".parse().unwrap(), [0xaa, 0xbb].into());
    let message = Message::PacketOut(Box::new(packet));
    let resubmit = "ffff0010 00002320 000e fff8 00 000000 aabb";
    let head15 = "060d0032 00000002 ffffffff 0010 0000 0001 000c 80000004 00000001 00000000";
    let head13 = "040d002a 00000002 ffffffff 00000001 0010 000000000000";
    let head10 = "010d0022 00000002 ffffffff 0001 0010";
    for (version, head) in [(Version::V1_5, head15), (Version::V1_3, head13), (Version::V1_0, head10)] {
        let expected = unhex(&format!("{head} {resubmit}"));
        assert_eq!(encode(&message, version, 2), hex(&expected), "{version}");
        assert_eq!(Message::decode(&expected).unwrap().1, message, "{version}");
    }
}

#[test]
fn errors_name_what_was_refused() {
    // Of Nicira, as 1.5 and 1.0 carry them, and one of OpenFlow's own.
    let stale = Message::decode(&unhex("06010010 00000007 ffff 0023 00002320 061c0008")).unwrap_err();
    assert_eq!(stale.code, ErrorCode::REQUEST_BAD_LEN);
    let decode = |bytes: &str| match Message::decode(&unhex(bytes)).unwrap().1 {
        Message::Error(error) => error,
        other => panic!("{other:?}"),
    };
    let stale = decode("06010018 00000007 ffff 0023 00002320 060400f0 00000001");
    assert_eq!((stale.code, stale.experimenter), (ErrorCode::NX_RESUME_STALE, Some(0x2320)));
    assert_eq!(stale.code.to_string(), "NXR_STALE");
    assert_eq!(stale.data.len(), 8);
    let old = decode("01010014 00000007 b0c2 0000 00002320 0001 0216");
    assert_eq!((old.code.typ, old.code.code, old.experimenter), (1, 534, Some(0x2320)));
    let table = decode("06010014 00000007 0005 0002 060e0048 00000007");
    assert_eq!(table.code, ErrorCode::FLOW_MOD_BAD_TABLE_ID);
    for (error, version) in [(stale, Version::V1_5), (old, Version::V1_0), (table, Version::V1_5)] {
        let bytes = encode(&Message::Error(error.clone()), version, 7);
        assert_eq!(Message::decode(&unhex(&bytes)).unwrap().1, Message::Error(error));
    }
}

#[test]
fn long_lists_take_several_messages() {
    let flow = FlowStats {
        table_id: 3,
        priority: 5,
        idle_timeout_s: 0,
        hard_timeout_s: 0,
        flags: 0,
        importance: 0,
        cookie: 1,
        flow_match: Match::any(),
        counters: Counters::default(),
        instructions: Actions::none().into(),
    };
    for (version, min_parts) in [(Version::V1_5, 2), (Version::V1_3, 3), (Version::V1_0, 3)] {
        let flows: Vec<FlowStats> = (0..3000).map(|n| FlowStats { cookie: n, ..flow.clone() }).collect();
        let message = Message::MultipartReply { reply: MultipartReply::Flow(flows.clone()), more: false };
        let mut bytes = Vec::new();
        message.encode(version, Xid(9), &mut bytes).unwrap();
        let (mut rest, mut parts, mut cookies) = (&bytes[..], Vec::new(), Vec::new());
        while let Some(header) = Header::peek(rest) {
            let (one, later) = rest.split_at(header.len.into());
            let (header, message) = Message::decode(one).unwrap();
            assert_eq!(header.xid, Xid(9));
            let Message::MultipartReply { reply: MultipartReply::Flow(list), more } = message else {
                panic!()
            };
            cookies.extend(list.iter().map(|f| f.cookie));
            parts.push(more);
            rest = later;
        }
        assert!(parts.len() >= min_parts, "{version}: {} parts", parts.len());
        assert!(parts[..parts.len() - 1].iter().all(|&more| more), "{version}");
        assert_eq!(parts.last(), Some(&false));
        assert_eq!(cookies, (0..3000).collect::<Vec<u64>>(), "{version}");
    }
}

#[test]
fn groups_read_and_print_as_ovs_ofctl_does() {
    for text in [
        "group_id=1,type=select,selection_method=dp_hash,bucket=bucket_id:0,weight:100,actions=ct(commit,table=5,nat(dst=1.1.1.1)),bucket=bucket_id:7,weight:5,watch_port:1,actions=output:1",
        "group_id=8,type=select,selection_method=hash,fields(ip_src,tcp_dst=255),bucket=bucket_id:0,watch_group:1,actions=output:1",
        "group_id=9,type=all,bucket=bucket_id:0,actions=drop,bucket=bucket_id:1,actions=resubmit(,5),clone(output:1)",
    ] {
        let group: Group = text.parse().unwrap();
        assert_eq!(group.to_string(), text);
    }
    let group: Group =
        "group_id=8,type=select,selection_method=hash,fields(ip_src,tcp_dst=0xff),bucket=weight:1,watch_group:1,actions=output:1"
            .parse()
            .unwrap();
    let add = GroupMod { command: GroupMod::ADD, command_bucket_id: Bucket::ALL, group };
    let expected = "060f0078 00000002 0000 01 00 00000008 0028 0000 ffffffff
        0028 0010 00000000 0000 0010 00000001 0000 000000000000 0000 0008 0001 0000 0002 0008 00000001
        ffff 0036 0000154d 00000001 00000000 68617368000000000000000000000000 0000000000000000
        80001604 ffffffff 80001c02 00ff 0000";
    assert_eq!(v15(&Message::GroupMod(add)), hex(&unhex(expected)));
}

#[test]
fn malformed_messages_are_refused() {
    for (bytes, code) in [
        ("06", ErrorCode::REQUEST_BAD_LEN),
        ("0614000900000001", ErrorCode::REQUEST_BAD_LEN),
        ("061400100000000100000000 00000000", ErrorCode::REQUEST_BAD_LEN),
        ("060e0010 00000001 00000000 00000000", ErrorCode::REQUEST_BAD_LEN),
        // A match of another type, and one that is longer than the message.
        (
            "060e0038 00000001 0000000000000000 0000000000000000 00000000 00000000 ffffffff ffffffff ffffffff 00000000 0000 0004 00000000",
            ErrorCode::MATCH_BAD_TYPE,
        ),
        (
            "060e0038 00000001 0000000000000000 0000000000000000 00000000 00000000 ffffffff ffffffff ffffffff 00000000 0001 0044 00000000",
            ErrorCode::REQUEST_BAD_LEN,
        ),
        // A bundled message with another transaction id, and a bundle in a bundle.
        ("06220018 00000001 00000000 0000 0003 06140008 00000002", ErrorCode::BUNDLE_MSG_BAD_XID),
        ("06220018 00000001 00000000 0000 0003 06220008 00000001", ErrorCode::BUNDLE_MSG_UNSUP),
        ("06220018 00000001 00000000 0000 0003 06140018 00000001", ErrorCode::BUNDLE_MSG_BAD_LEN),
        // An unknown property in a resume.
        ("06040018 00000001 00002320 0000001c 0099 0004 00000000", ErrorCode::PROPERTY_BAD_TYPE),
    ] {
        let error = Message::decode(&unhex(bytes)).unwrap_err();
        assert_eq!(error.code, code, "{bytes}: {error}");
    }
    let too_long = PacketOut::new(OfPort(1), Actions::none(), vec![0; 70_000].into());
    let mut out = vec![1, 2, 3];
    assert!(Message::PacketOut(Box::new(too_long)).encode(Version::V1_5, Xid(1), &mut out).is_err());
    assert_eq!(out, [1, 2, 3], "nothing is left of what does not fit");
}
