//! What `docs/slow-path.md` says of each opcode is what becomes of a packet that has it.

use kiln_abi::opcodes::Opcode;
use kiln_budget::Limits;
use kiln_openflow::msg::PacketIn;
use kiln_responder::{Config, DropReason, Event, NextHop, Responder};
use kiln_types::{Instant, Rng};

/// Opcode, action, and whether it is served, for each row of the table.
fn documented() -> Vec<(Opcode, String, bool)> {
    let text = include_str!("../../../docs/slow-path.md");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| ")).filter_map(|line| {
        let cells: Vec<&str> = line.trim_end_matches('|').split('|').map(str::trim).collect();
        let [opcode, action, served] = cells[..] else { panic!("three cells in {line}") };
        let served = match served {
            "yes" => true,
            "no" | "no longer used" => false,
            "served" => return None,
            other => panic!("{other} in {line}"),
        };
        let number = match opcode.strip_prefix("0x") {
            Some(digits) => u32::from_str_radix(digits, 16).expect(line),
            None => opcode.parse().expect(line),
        };
        Some((Opcode(number), action.trim_matches('`').to_owned(), served))
    });
    rows.collect()
}

#[test]
fn each_opcode_is_documented_and_counted() {
    let documented = documented();
    let own = kiln_abi::own::FIRST_OPCODE;
    let known: Vec<u32> =
        (0..100).chain(own..own + 100).filter(|number| Opcode(*number).action().is_some()).collect();
    assert_eq!(documented.iter().map(|(opcode, ..)| opcode.0).collect::<Vec<_>>(), known);
    for (opcode, action, served) in documented {
        let name = opcode.action().expect("a known one");
        assert_eq!(action, name);
        let config = Config { limits: Limits::NONE, ..Config::default() };
        let mut responder = Responder::new(config, Rng::with_seed(7));
        let packet_in = PacketIn {
            reason: PacketIn::REASON_ACTION,
            userdata: [opcode.0.to_be_bytes(), [0; 4]].concat().into(),
            ..PacketIn::default()
        };
        responder.packet_in(Instant::ZERO, Box::new(packet_in), &|_: &NextHop| None);
        let not_served = responder.counters().get(opcode, Event::Dropped(DropReason::NotServed));
        assert_eq!(not_served, u64::from(!served), "{action}");
        assert_eq!(responder.counters().get(opcode, Event::Received), 1, "{action}");
        assert_eq!(responder.counters().total(Event::Dropped(DropReason::UnknownOpcode)), 0, "{action}");
        if !served {
            let counted: Vec<_> = responder.counters().iter().collect();
            assert_eq!(counted, [(name, "received", 1), (name, "drop_not_served", 1)]);
        }
    }
}
