//! Network files, in both notations.
#![no_main]

use kiln_fuzz::{memory, seeds, start};

const WORDS: &[&str] = &[
    "name:",
    "switches:",
    "routers:",
    "ports:",
    "addresses:",
    "networks:",
    "switch:",
    "routes:",
    "to:",
    "via:",
    "discard",
    "policies:",
    "priority:",
    "match:",
    "action:",
    "reroute",
    "sandbox:",
    "chassis:",
    "hosts:",
    "probes:",
    "from:",
    "ping:",
    "tcp:",
    "expect:",
    "mac:",
    "unknown",
    "dynamic",
    "options:",
    "&a",
    "*a",
    "<<:",
    "!!",
    "---",
    "[[",
    "]]",
    "'''",
    "{}",
    "10.0.0.1/24",
    "fd00::1/64",
];

libfuzzer_sys::fuzz_target!(
    init: start(seeds::topology(), WORDS),
    |data: &[u8]| memory::bounded(data, |data| {
        if let Ok(text) = std::str::from_utf8(data) {
            kiln_topology::fuzz::fuzz(text);
        }
    })
);
