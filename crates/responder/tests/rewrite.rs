//! Whatever nested actions write: answers are the same as if the switch had done all of it.

mod common;

use common::settled::settled;
use common::{cases, packet_in};
use kiln_openflow::field::Subfield;
use kiln_openflow::msg::{Message, PacketIn, PacketOut};
use kiln_openflow::{Action, Actions, Field};
use kiln_responder::{Config, NextHop, Responder};
use kiln_types::{EthAddr, Instant, Rng};
use proptest::prelude::*;

/// What comes before nested actions.
const OPCODE_LEN: usize = 8;

fn asked() -> Vec<PacketIn> {
    let names = ["icmp4 { }: time exceeded", "icmp6 { }: time", "tcp_reset { }: a SYN", "reject { }"];
    let cases = cases(include_str!("stock_wire.txt"));
    let asks = cases.iter().filter(|case| names.iter().any(|name| case.name.starts_with(name)));
    asks.map(|case| *packet_in(&case.messages[0].1)).collect()
}

fn answer(packet_in: &PacketIn, nested: &[Action]) -> PacketOut {
    let mut userdata = packet_in.userdata[..OPCODE_LEN].to_vec();
    userdata.extend_from_slice(Actions::encode(nested).expect("short").as_bytes());
    let packet_in = PacketIn { userdata: userdata.into(), ..packet_in.clone() };
    let mut responder = Responder::new(Config::default(), Rng::with_seed(1));
    let unknown = |_: &NextHop| None::<EthAddr>;
    responder.packet_in(Instant::from_secs(1), Box::new(packet_in), &unknown);
    match responder.poll_output() {
        Some(Message::PacketOut(out)) => *out,
        other => panic!("no answer: {other:?}"),
    }
}

fn fields() -> impl Strategy<Value = Field> {
    prop_oneof![
        4 => (0u8..16).prop_map(Field::reg),
        1 => (0u8..8).prop_map(Field::xreg),
        1 => (0u8..4).prop_map(Field::xxreg),
        6 => prop::sample::select(vec![
            Field::METADATA, Field::ETH_SRC, Field::ETH_DST, Field::NW_TTL, Field::IPV4_SRC, Field::IPV4_DST,
            Field::ICMPV4_TYPE, Field::ICMPV4_CODE, Field::IPV6_SRC, Field::IPV6_DST, Field::ICMPV6_TYPE,
            Field::ICMPV6_CODE,
        ]),
        // What is left to the switch: more registers than OVN has, and other fields.
        1 => prop::sample::select(vec![Field::reg(16), Field::xxreg(4), Field::TUN_ID, Field::IP_DSCP]),
    ]
}

fn bits() -> impl Strategy<Value = Subfield> {
    (fields(), any::<prop::sample::Index>(), any::<prop::sample::Index>()).prop_map(|(field, ofs, n_bits)| {
        let ofs = ofs.index(field.n_bits().into()) as u16;
        Subfield::new(field, ofs, 1 + n_bits.index(usize::from(field.n_bits() - ofs)) as u16)
    })
}

/// A write, a copy, or two exchanged by way of the stack.
fn writes() -> impl Strategy<Value = Vec<Action>> {
    prop_oneof![
        (bits(), any::<u128>()).prop_map(|(bits, value)| vec![Action::load(bits, value)]),
        (fields(), any::<u128>()).prop_map(|(field, value)| vec![Action::set_field(field, value)]),
        (bits(), bits()).prop_map(|(src, dst)| {
            let n_bits = src.n_bits.min(dst.n_bits);
            vec![Action::copy_field(Subfield { n_bits, ..src }, Subfield { n_bits, ..dst })]
        }),
        (bits(), bits()).prop_map(|(one, other)| {
            let [push, pop] = [Action::StackPush, Action::StackPop];
            vec![push(one), push(other), pop(one), pop(other)]
        }),
        Just(vec![Action::Note(vec![1, 2, 3, 4, 5, 6].into())]),
    ]
}

proptest! {
    #[test]
    fn the_switch_would_have_done_the_same(writes in prop::collection::vec(writes(), 0..12)) {
        let nested: Vec<Action> = writes.into_iter().flatten().chain([Action::resubmit(42)]).collect();
        for packet_in in asked() {
            let as_made = answer(&packet_in, &nested[nested.len() - 1..]);
            let left = PacketOut { actions: Actions::encode(&nested).expect("short"), ..as_made };
            prop_assert_eq!(settled(&answer(&packet_in, &nested)), settled(&left));
        }
    }
}

#[test]
fn nothing_but_the_resubmission_is_left_to_the_switch() {
    for packet_in in asked() {
        let nested = Actions::decode(kiln_openflow::Version::V1_5, &packet_in.userdata[OPCODE_LEN..]);
        let nested: Vec<Action> = nested.expect("stock's actions").iter().collect();
        let left: Vec<Action> = answer(&packet_in, &nested).actions.iter().collect();
        assert!(matches!(left[..], [Action::Resubmit { .. }]), "{left:?}");
    }
}
