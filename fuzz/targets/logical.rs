//! The logical flow language: matches and actions as text, and what they are lowered to.
#![no_main]

use kiln_fuzz::{memory, seeds, start};

const WORDS: &[&str] = &[
    "&&",
    "||",
    "==",
    "!=",
    "<=",
    ">=",
    "<->",
    "--",
    "..",
    "{",
    "}",
    "\"",
    "inport",
    "outport",
    "ip4.src",
    "ip6.dst",
    "eth.type",
    "vlan.present",
    "ct.est",
    "ct_label",
    "reg0",
    "xreg1",
    "xxreg0",
    "tcp.dst",
    "icmp4.type",
    "nd.target",
    "arp.spa",
    "is_chassis_resident(",
    "next(pipeline=egress, table=",
    "output;",
    "drop;",
    "clone {",
    "arp {",
    "nd_na {",
    "icmp4 {",
    "icmp4.frag_mtu",
    "ct_lb_mark(backends=",
    "ct_commit {",
    "put_dhcp_opts(offerip=",
    "put_arp(inport, ",
    "lookup_arp(",
    "select(",
    "log(",
    "sample(",
    "fwd_group(",
    "push(",
    "pop(",
    "trigger_event(",
    "set_meter(",
    "check_pkt_larger(",
    "$set",
    "@group",
    "0x",
    "/",
    "ff:ff:ff:ff:ff:ff",
    "::1",
    "10.0.0.0/8",
    "/* */",
    "//",
];

libfuzzer_sys::fuzz_target!(
    init: start(seeds::logical(), WORDS),
    |data: &[u8]| memory::bounded_by_result(data, |data| {
        let Some((&choice, rest)) = data.split_first() else { return 0 };
        let Ok(text) = std::str::from_utf8(rest) else { return 0 };
        match choice % 3 {
            0 => kiln_logical::fuzz::fuzz_match(text),
            1 => {
                kiln_logical::fuzz::fuzz_actions(text);
                0
            }
            _ => kiln_lower::fuzz::fuzz(text),
        }
    })
);
