//! Packets: frames and their answers, and the responder that packet-ins go to.
#![no_main]

use kiln_fuzz::{memory, seeds, start};

/// Ethertypes, protocols, the starts of headers, addresses of groups.
const WORDS: &[&str] = &[
    "\x08\x00\x45",
    "\x08\x06\x00\x01\x08\x00\x06\x04",
    "\x20\x00",
    "\x40\x00",
    "\x3a",
    "\x2c",
    "\x33",
    "\x3c",
    "\x11",
    "\x06",
    "\x01\x01\x02\x02",
    "\x01\x00\x5e",
    "\x33\x33",
    "ovn\0\0\0\0\0\x05\x14",
];

libfuzzer_sys::fuzz_target!(
    init: start(seeds::packet(), WORDS),
    |data: &[u8]| memory::bounded(data, |data| {
        let Some((&choice, rest)) = data.split_first() else { return };
        if choice & 1 == 0 { kiln_packet::fuzz::fuzz_frame(rest) } else { kiln_responder::fuzz::fuzz(rest) }
    })
);
