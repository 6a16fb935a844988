//! OpenFlow: messages with their matches and actions, the session machine, and their text forms.
#![no_main]

use kiln_fuzz::{memory, seeds, start};

const WORDS: &[&str] = &[
    "actions=",
    "resubmit(,",
    "controller(",
    "userdata=",
    "pause",
    "learn(",
    "ct(commit,",
    "nat(src=",
    "exec(",
    "load:",
    "->",
    "move:",
    "set_field:",
    "NXM_NX_REG0[]",
    "NXM_NX_XXREG0[0..31]",
    "NXM_OF_IN_PORT[]",
    "conjunction(1,1/2)",
    "group:",
    "note:",
    "clone(",
    "check_pkt_larger(",
    "bundle(",
    "multipath(",
    "sample(",
    "metadata=",
    "ct_state=+trk+new",
    "tun_metadata0=",
    "dl_vlan=",
    "tcp",
    "ipv6",
    "arp",
    "icmp6",
    "nw_src=",
    "ipv6_dst=",
    "tp_dst=",
    "type=select,bucket=",
    "table=",
    "priority=",
    "cookie=",
    "\x00\x00\x23\x20",
];

libfuzzer_sys::fuzz_target!(
    init: start(seeds::openflow(), WORDS),
    |data: &[u8]| memory::bounded(data, kiln_openflow::fuzz::fuzz)
);
