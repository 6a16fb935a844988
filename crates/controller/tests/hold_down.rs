//! Next hops that gave no answer: their packets end in the switch until the hold-down does.

mod network;

use kiln_abi::opcodes::Opcode;
use kiln_abi::punts::PuntClass;
use kiln_controller::Compiler;
use kiln_controller::daemon::{Config, ControllerDaemon};
use kiln_openflow::{Action, Field, Instruction};
use kiln_responder::{Failure, NextHop};
use kiln_types::{DatapathKey, Instant, PortKey};
use serde_json::{Value, json};
use std::net::IpAddr;

/// The table of stage 27 of ingress, where next hops are asked for.
const ASK: u8 = 8 + 27;
const ROUTER: DatapathKey = DatapathKey(4);
/// `r0-sw0`, with 10.0.0.1/24 and fd00::1/64.
const PORT: PortKey = PortKey(1);

/// The databases of the recorded network; its router tells senders of packets that cannot be delivered, or does not.
fn databases(told: bool) -> Value {
    let mut recording: Value = serde_json::from_str(include_str!("stock/one.json")).expect("a recording");
    let databases = &mut recording["databases"];
    for row in databases["OVN_Southbound"]["Datapath_Binding"].as_object_mut().expect("rows").values_mut() {
        if row["tunnel_key"] == json!(ROUTER.0) && told {
            row["external_ids"][1].as_array_mut().expect("pairs").push(json!(["icmp_unreachable", "true"]));
        }
    }
    databases.take()
}

fn network(told: bool) -> Compiler {
    network::compiled(&databases(told))
}

fn hop(ip: &str) -> NextHop {
    NextHop { datapath: ROUTER, port: PORT, ip: ip.parse().expect("an address") }
}

fn fail(compiler: &mut Compiler, ip: &str, until_s: u64) {
    compiler.hold_down(&Failure {
        next_hop: hop(ip),
        until: Instant::from_secs(until_s),
        asked_again: false,
    });
    compiler.settle();
}

/// The flows of held down next hops: the address that each is about, and what becomes of packets.
fn held(compiler: &Compiler) -> Vec<(IpAddr, Vec<Action>)> {
    let flows = compiler.desired().flows.iter().filter(|flow| flow.table_id == ASK && flow.priority == 1000);
    let mut held: Vec<_> = flows
        .map(|flow| {
            let value = |field| flow.flow_match.get(field).map(|v| v.value);
            assert_eq!(value(Field::METADATA), Some(ROUTER.0.into()));
            assert_eq!(value(Field::reg(15)), Some(PORT.0.into()));
            assert_eq!(value(Field::ETH_DST), Some(0), "whose address is known is sent on");
            let is_v4 = flow.flow_match.get(Field::reg(9)).map(|v| (v.value, v.mask));
            // An IPv4 address is in the first of the four registers alone.
            let next_hop = flow.flow_match.get(Field::xxreg(0)).expect("an address");
            let (ip, expected): (IpAddr, _) = if next_hop.is_exact() {
                (std::net::Ipv6Addr::from_bits(next_hop.value).into(), (0, 0x200))
            } else {
                (std::net::Ipv4Addr::from_bits((next_hop.value >> 96) as u32).into(), (0x200, 0x200))
            };
            assert_eq!(is_v4, Some(expected));
            let actions = flow.instructions.iter().flat_map(|instruction| match instruction {
                Instruction::ApplyActions(actions) => actions.iter().collect::<Vec<_>>(),
                other => panic!("{other:?}"),
            });
            (ip, actions.collect())
        })
        .collect();
    held.sort_by_key(|(ip, _)| *ip);
    held
}

#[test]
fn packets_for_a_failed_next_hop_end_in_the_switch_until_its_time_is_over() {
    let mut compiler = network(false);
    fail(&mut compiler, "10.0.0.77", 5);
    fail(&mut compiler, "fd00::77", 6);
    let dropped = |ips: &[&str]| ips.iter().map(|ip| (ip.parse().unwrap(), Vec::new())).collect::<Vec<_>>();
    assert_eq!(held(&compiler), dropped(&["10.0.0.77", "fd00::77"]));
    assert_eq!(compiler.hold_down_deadline(), Some(Instant::from_secs(5)));
    assert!(compiler.end_hold_downs(Instant::from_secs(5)));
    compiler.settle();
    assert_eq!(held(&compiler), dropped(&["fd00::77"]));
    assert!(compiler.end_hold_down(&hop("fd00::77")), "an answer has come");
    assert!(!compiler.end_hold_down(&hop("fd00::77")));
    compiler.settle();
    assert_eq!(held(&compiler), []);
    assert_eq!(compiler.hold_down_deadline(), None);
}

#[test]
fn a_next_hop_that_fails_again_has_its_new_time() {
    let mut compiler = network(false);
    fail(&mut compiler, "10.0.0.77", 5);
    fail(&mut compiler, "10.0.0.77", 9);
    assert!(!compiler.end_hold_downs(Instant::from_secs(8)));
    compiler.settle();
    assert_eq!(held(&compiler).len(), 1);
}

#[test]
fn a_few_come_up_where_senders_are_told() {
    let mut compiler = network(true);
    fail(&mut compiler, "10.0.0.77", 5);
    fail(&mut compiler, "10.0.0.78", 5);
    let held = held(&compiler);
    let ids: Vec<u32> = held
        .iter()
        .map(|(_, actions)| match actions.as_slice() {
            [metered_by_port, Action::Controller(up)] => {
                assert_eq!(*metered_by_port, Action::resubmit(PuntClass::Error.table()));
                assert_eq!(up.userdata[..4], Opcode::HELD_DOWN.0.to_be_bytes());
                assert!(!up.pause);
                up.meter_id.expect("a flood must not come up")
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(ids[0], ids[1], "next hops behind one port share what comes up");
    let meter = compiler.desired().meters.iter().find(|(id, ..)| *id == ids[0]);
    let (_, _, spec) = meter.expect("the meter is wanted as well");
    assert_eq!(spec.bands.iter().map(|band| band.rate).collect::<Vec<_>>(), [200]);
    let name = |compiler: &Compiler| {
        let named = compiler.desired().meters.iter().find(|(id, ..)| *id == ids[0]);
        named.map(|(_, name, _)| name.to_owned())
    };
    assert_eq!(name(&compiler).as_deref(), Some("__held_down: 4 1"));
    compiler.end_hold_downs(Instant::from_secs(5));
    compiler.settle();
    assert_eq!(name(&compiler).as_deref(), Some("__held_down: 4 1"), "it can still be asked what it dropped");
}

#[test]
fn the_meters_of_held_down_next_hops_are_no_ones_but_kilns() {
    for told in [false, true] {
        let mut daemon = ControllerDaemon::new(Config {
            local: "unix:/db".parse().expect("a remote"),
            switch_run_dir: "/run".to_owned(),
            chassis_name: None,
            hostname: "h".into(),
            seed: 1,
        });
        network::compile(daemon.compiler_mut(), &databases(told));
        let meters = daemon.compiler().desired().meters.iter();
        let held_down = meters.filter(|(_, name, _)| name.starts_with("__held_down: ")).count();
        assert_eq!(
            held_down,
            if told { 4 } else { 0 },
            "one for each port of the router, where senders are told"
        );
        let listed = daemon.command(Instant::ZERO, "meter-table-list", &[]).expect("it is served");
        assert!(!listed.contains("__"), "{listed}");
    }
}

/// A switch without meters could not keep a flood from coming up: nobody is told.
#[test]
fn without_meters_they_end_in_the_switch_too() {
    let mut compiler = network(true);
    let facts = kiln_controller::Facts { meters: false, ..compiler.facts().clone() };
    compiler.set_facts(facts);
    fail(&mut compiler, "10.0.0.77", 5);
    assert_eq!(held(&compiler), [("10.0.0.77".parse().unwrap(), Vec::new())]);
}

#[test]
fn what_is_held_down_in_datapaths_that_do_not_matter_here_has_no_flow() {
    let mut compiler = network(false);
    let next_hop = NextHop { datapath: DatapathKey(99), ..hop("10.0.0.77") };
    compiler.hold_down(&Failure { next_hop, until: Instant::from_secs(5), asked_again: false });
    compiler.settle();
    assert_eq!(held(&compiler), []);
}
