//! Text and bytes against vectors that Open vSwitch printed and encoded.

use kiln_openflow::instruction::Instructions;
use kiln_openflow::msg::{FlowMod, Message, Xid};
use kiln_openflow::text::{InstructionList, parse_instructions};
use kiln_openflow::{Match, Version};

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    digits.chunks(2).map(|d| u8::from_str_radix(std::str::from_utf8(d).unwrap(), 16).unwrap()).collect()
}

/// Pairs of a text line and an indented line of bytes.
fn pairs(file: &str) -> Vec<(&str, Vec<u8>)> {
    let lines: Vec<&str> = file.lines().filter(|l| !l.starts_with('#')).collect();
    lines.chunks(2).map(|pair| (pair[0], unhex(pair[1]))).collect()
}

/// The instructions' bytes, which stand at the end of a flow mod with an empty match.
const INSTRUCTIONS_AT: usize = 56;

fn encode_instructions(instructions: Instructions) -> Vec<u8> {
    let mut flow_mod = FlowMod::new(FlowMod::ADD, 0, 0, Match::any());
    flow_mod.instructions = instructions;
    let mut out = Vec::new();
    Message::FlowMod(flow_mod).encode(Version::V1_5, Xid(1), &mut out).unwrap();
    out.split_off(INSTRUCTIONS_AT)
}

fn decode_instructions(bytes: &[u8]) -> Instructions {
    let mut out = Vec::new();
    let flow_mod = FlowMod::new(FlowMod::ADD, 0, 0, Match::any());
    Message::FlowMod(flow_mod).encode(Version::V1_5, Xid(1), &mut out).unwrap();
    out.extend_from_slice(bytes);
    let len = u16::try_from(out.len()).unwrap();
    out[2..4].copy_from_slice(&len.to_be_bytes());
    match Message::decode(&out).unwrap().1 {
        Message::FlowMod(flow_mod) => flow_mod.instructions,
        other => panic!("{other:?}"),
    }
}

#[test]
fn matches_are_stocks() {
    let pairs = pairs(include_str!("vectors/matches.txt"));
    assert!(pairs.len() > 70);
    for (text, bytes) in pairs {
        let decoded = Match::decode_fields(&bytes).unwrap();
        assert_eq!(decoded.to_string(), text);
        assert_eq!(decoded.as_oxm(), bytes, "{text}: encoded again");
        assert_eq!(text.parse::<Match>().unwrap(), decoded, "{text}: read");
    }
}

#[test]
fn actions_are_stocks() {
    let pairs = pairs(include_str!("vectors/actions.txt"));
    assert!(pairs.len() > 140);
    for (text, bytes) in pairs {
        let decoded = decode_instructions(&bytes);
        assert_eq!(InstructionList(&decoded).to_string(), text);
        assert_eq!(encode_instructions(decoded), bytes, "{text}: encoded again");
        assert_eq!(encode_instructions(parse_instructions(text).unwrap()), bytes, "{text}: read");
    }
}

/// What an ovn-controller of 26.03 sends, and what it reads as.
#[test]
fn actions_of_ovn_are_read() {
    let cases = [
        ("ffff0010000023200015000000000000", "dec_ttl()"),
        ("ffff00100000232000220102 3a9af28a", "conjunction(983233162,2/2)"),
        (
            "ffff0020 00002320 0025 000000000000 0003 000c 00000012 00000000 00000000",
            "controller(userdata=00.00.00.12.00.00.00.00)",
        ),
        (
            "ffff0040 00002320 0023 0001 00011a04 000f 18 000000 0000
             ffff0018 00002320 0024 0000 0002 0001 0a00000b 00000000 00190010 0001d708 00000002 00000002",
            "ct(commit,table=24,zone=NXM_NX_REG13[0..15],nat(dst=10.0.0.11),exec(set_field:0x2/0x2->ct_mark))",
        ),
        (
            "001c0018 0008 0000 0050 0000 0001e010 0001de10 00000000",
            "move:NXM_NX_XXREG1[0..7]->NXM_NX_XXREG0[80..87]",
        ),
        (
            "001c0018 0010 0000 0000 0000 0001507c 00011e04 00000000",
            "move:NXM_NX_TUN_METADATA0[0..15]->NXM_NX_REG15[0..15]",
        ),
        ("00190010 00015108 00010000 7fff0000", "set_field:0x10000/0x7fff0000->tun_metadata0"),
        ("00190010 00000002 ffff 000000000000", "set_field:ANY->in_port"),
        (
            "ffff0028 00002320 000c 0000 0000 0000 00000002 0003 0000 00000000 00000000 0001 0002 0003 0000",
            "bundle(eth_src,0,active_backup,ofport,members:1,2,3)",
        ),
    ];
    for (hex, text) in cases {
        let actions = kiln_openflow::Actions::decode(Version::V1_5, &unhex(hex)).unwrap();
        assert_eq!(actions.to_string(), text);
        assert_eq!(actions.as_bytes(), unhex(hex), "{text}");
    }
}

/// Stock reads the last two in a switch that was started for tests only, and does not know the first two (OpenFlow 1.5.1,
/// sections 7.2.6.5 and 7.2.6.6, and openflow.h's numbers).
#[test]
fn actions_that_no_stock_switch_takes() {
    let cases = [
        ("001a0008 88e70000", "push_pbb:0x88e7"),
        ("001b0008 00000000", "pop_pbb"),
        ("ffff0010 00002320 00fe 0000 00000000", "debug_slow"),
        ("ffff0010 00002320 00ff 0000 00000000", "debug_recirc"),
    ];
    for (hex, text) in cases {
        let actions = kiln_openflow::Actions::decode(Version::V1_5, &unhex(hex)).unwrap();
        assert_eq!(actions.to_string(), text);
        assert_eq!(actions.as_bytes(), unhex(hex), "{text}");
        assert_eq!(actions, text.parse().unwrap(), "{text}");
    }
}

#[test]
fn older_forms_become_the_canonical_ones() {
    let cases = [
        // reg_load, reg_move, reg_load2, set_tunnel64, resubmit, mpls, group of 1.0
        ("ffff0018 00002320 0007 0003 00010004 0000000000000005", "set_field:0x5/0xf->reg0"),
        ("ffff0018 00002320 0006 0020 0000 0000 00010004 00010204", "move:NXM_NX_REG0[]->NXM_NX_REG1[]"),
        ("ffff0018 00002320 0021 00011f08 00000001 000000ff 0000", "set_field:0x1/0xff->reg15"),
        ("ffff0018 00002320 0009 000000000000 0000000000000007", "set_field:0x7->tun_id"),
        ("ffff0010 00002320 0001 0005 00000000", "resubmit:5"),
        ("ffff0010 00002320 0017 8847 00000000", "push_mpls:0x8847"),
        ("ffff0010 00002320 0028 0000 00000009", "group:9"),
    ];
    for (hex, text) in cases {
        let actions = kiln_openflow::Actions::decode(Version::V1_5, &unhex(hex)).unwrap();
        assert_eq!(actions.to_string(), text);
        assert_eq!(actions, text.parse().unwrap(), "{text}");
    }
}

#[test]
fn malformed_actions_are_refused_by_name() {
    let cases = [
        ("0000 000c 00000001 0000 0000", "OFPBAC_BAD_LEN"),
        ("0000 0018 00000001 0000 0000 00000000", "OFPBAC_BAD_LEN"),
        // A value outside its mask, a field that is only read, a field that is not known.
        ("00190010 00010108 00000005 00000001", "OFPBMC_BAD_WILDCARDS"),
        ("00190010 0001d204 00000001 00000000", "OFPBAC_BAD_SET_ARGUMENT"),
        ("00190010 0001ee04 00000001 00000000", "OFPBAC_BAD_SET_LEN"),
        ("00190010 12340004 00000001 00000000", "OFPBAC_BAD_SET_TYPE"),
        // More bits than the field has.
        ("001c0018 0021 0000 0000 0000 00010004 00010204 00000000", "OFPBAC_BAD_ARGUMENT"),
        // A zone of eight bits.
        ("ffff0018 00002320 0023 0000 00011a04 0007 18 000000 0000", "OFPBAC_BAD_ARGUMENT"),
        // An upper end of a range without a lower one.
        ("ffff0018 00002320 0024 0000 0002 0002 0a00000b 00000000", "OFPBAC_BAD_ARGUMENT"),
    ];
    for (hex, code) in cases {
        let error = kiln_openflow::Actions::decode(Version::V1_5, &unhex(hex)).unwrap_err();
        assert_eq!(error.code.to_string(), code, "{hex}: {error}");
    }
    let mut deep = unhex("ffff0010 00002320 002b 000000000000");
    for _ in 0..40 {
        let len = u16::try_from(deep.len() + 16).unwrap().to_be_bytes();
        let mut outer = vec![0xff, 0xff, len[0], len[1], 0, 0, 0x23, 0x20, 0, 42, 0, 0, 0, 0, 0, 0];
        outer.extend_from_slice(&deep);
        deep = outer;
    }
    let error = kiln_openflow::Actions::decode(Version::V1_5, &deep).unwrap_err();
    assert_eq!(error.code.to_string(), "OFPBAC_TOO_MANY");
}

#[test]
fn text_is_refused_with_a_reason() {
    for (text, expected) in [
        ("reg0=1,nonsense", "a protocol, or a field and its value"),
        ("reg0=0x100000000", "a number within the field, perhaps with a mask"),
        ("tp_src=5", "a field that the protocol has"),
        ("ip,nw_src=1.2.3", "an IPv4 address, perhaps with a prefix length or a mask"),
        ("ct_state=+trk+nonsense", "flags, as in +a-b or a|b, or a number"),
        ("in_port=nowhere", "a port number or the name of a reserved port"),
        ("ip,nw_ttl=5/7", "no mask on a field that takes none"),
        ("packet_type=(1,0x800", "brackets that match"),
    ] {
        assert_eq!(text.parse::<Match>().unwrap_err().expected, expected, "{text}");
    }
    for (text, expected) in [
        ("resubmit(,300)", "a number below 256"),
        ("output:1,,output:2", "something between commas"),
        ("set_field:5->ct_state", "a value of a field that may be written"),
        ("set_field:0x5->dp_hash", "a value of a field that may be written"),
        ("move:reg0[0..3]->reg1[]", "as many bits in a field that may be written"),
        ("conjunction(1,3/2)", "id,k/n with k from 1 to n"),
        ("controller(userdata=1.zz)", "bytes in hexadecimal with dots between them"),
        ("frobnicate(5)", "an action"),
    ] {
        let error = text.parse::<kiln_openflow::Actions>().unwrap_err();
        assert_eq!(error.expected, expected, "{text}");
    }
}

#[test]
fn a_line_of_a_dump_reads_as_its_flow() {
    let line = " cookie=0x12, duration=0.005s, table=5, n_packets=0, n_bytes=0, idle_timeout=5, hard_timeout=6, \
                send_flow_rem check_overlap importance=3, idle_age=0, priority=7,tcp,tp_dst=80 \
                actions=ct(table=5,zone=NXM_NX_REG13[0..15]),resubmit(,8)";
    let flow: FlowMod = line.parse().unwrap();
    assert_eq!((flow.cookie, flow.table_id, flow.priority), (0x12, 5, 7));
    assert_eq!((flow.idle_timeout_s, flow.hard_timeout_s, flow.importance), (5, 6, 3));
    assert_eq!(flow.flags, FlowMod::SEND_FLOW_REM | FlowMod::CHECK_OVERLAP);
    assert_eq!(flow.flow_match, "tcp,tp_dst=80".parse().unwrap());
    assert_eq!(
        flow.to_string(),
        "cookie=0x12,table=5,idle_timeout=5,hard_timeout=6,importance=3,send_flow_rem,check_overlap,\
         priority=7,tcp,tp_dst=80,actions=ct(table=5,zone=NXM_NX_REG13[0..15]),resubmit(,8)"
    );
    assert_eq!(flow.to_string().parse::<FlowMod>().unwrap(), flow);
}
