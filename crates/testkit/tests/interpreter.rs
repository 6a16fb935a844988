//! The naive switch does what the manual pages say (ovs-actions(7), ovs-fields(7), OpenFlow 1.5.1).

use kiln_openflow::{Action, Field};
use kiln_testkit::interpreter::{Event, Packet, Switch, Tracker};
use kiln_types::Rng;

/// A TCP packet from 192.0.2.1:1000 to 192.0.2.2:80, which came in by port 1.
fn packet() -> Packet {
    let mut packet = Packet::default();
    packet.len = 100;
    for (field, value) in [
        (Field::IN_PORT, 1),
        (Field::ETH_TYPE, 0x800),
        (Field::IPV4_SRC, 0xc000_0201),
        (Field::IPV4_DST, 0xc000_0202),
        (Field::IP_PROTO, 6),
        (Field::TCP_SRC, 1000),
        (Field::TCP_DST, 80),
        (Field::NW_TTL, 64),
    ] {
        packet.set(field, value);
    }
    packet
}

fn switch(flows: &[(u8, u16, &str, &str)]) -> Switch {
    let mut switch = Switch::default();
    for (table, priority, matched, actions) in flows {
        switch.add(*table, *priority, matched, actions);
    }
    switch
}

/// The ports that a packet leaves by, and the register 0 that it has then.
fn outputs(switch: &mut Switch, packet: Packet) -> Vec<(u32, u128)> {
    let events = switch.run(packet, &mut Tracker::default());
    let output = |event| match event {
        Event::Output { port, packet } => (port.0, packet.get(Field::reg(0))),
        other => panic!("{other:?}"),
    };
    events.into_iter().map(output).collect()
}

#[test]
fn the_highest_priority_wins_and_a_miss_drops() {
    let mut switch = switch(&[
        (0, 1, "", "output:2"),
        (0, 20, "ip,nw_dst=192.0.2.0/24", "output:3"),
        (0, 30, "tcp,tp_dst=81", "output:4"),
        (0, 20, "udp", "output:5"),
    ]);
    assert_eq!(outputs(&mut switch, packet()), [(3, 0)]);
    assert_eq!(outputs(&mut switch, Packet::default()), [(2, 0)]);
    let mut none = Switch::default();
    assert_eq!(outputs(&mut none, packet()), []);
}

#[test]
fn conjunctions_need_every_clause_at_one_priority() {
    let flows = [
        (0, 10, "ip,nw_src=192.0.2.1", "conjunction(7,1/2)"),
        (0, 10, "tcp,tp_dst=80", "conjunction(7,2/2)"),
        (0, 10, "conj_id=7,ip", "output:2"),
        (0, 5, "ip", "output:3"),
    ];
    assert_eq!(outputs(&mut switch(&flows), packet()), [(2, 0)]);
    let mut other_port = packet();
    other_port.set(Field::TCP_DST, 81);
    assert_eq!(outputs(&mut switch(&flows), other_port), [(3, 0)]);
    // A flow that acts goes before a conjunction of the same priority, and a clause of another priority does not count.
    let mut acting = switch(&flows);
    acting.add(0, 10, "tcp", "output:4");
    assert_eq!(outputs(&mut acting, packet()), [(4, 0)]);
    let mut apart = switch(&flows[1..]);
    apart.add(0, 11, "ip,nw_src=192.0.2.1", "conjunction(7,1/2)");
    assert_eq!(outputs(&mut apart, packet()), [(3, 0)]);
}

#[test]
fn resubmission_comes_back_and_copies_do_not() {
    let mut switch = switch(&[
        (0, 1, "", "set_field:1->reg0,clone(set_field:5->reg0,resubmit(,1)),resubmit(,2),output:9"),
        (1, 1, "reg0=5", "output:2"),
        (
            2,
            1,
            "reg0=1",
            "push:NXM_NX_REG0[],set_field:8->reg0,pop:NXM_NX_REG1[],move:NXM_NX_REG1[0..7]->NXM_NX_REG0[8..15]",
        ),
    ]);
    assert_eq!(outputs(&mut switch, packet()), [(2, 5), (9, 0x108)]);
}

#[test]
fn loops_end() {
    let mut deep = switch(&[(0, 1, "", "resubmit(,0)")]);
    assert_eq!(deep.run(packet(), &mut Tracker::default()), [Event::TooManyLookups]);
    let mut long = Switch::default();
    for table in 0..200 {
        long.add(table, 1, "", &format!("resubmit(,{})", table + 1));
    }
    long.add(200, 1, "", "output:2");
    assert_eq!(outputs(&mut long, packet()), [(2, 0)], "later tables are not deeper");
}

#[test]
fn a_packet_does_not_leave_where_it_came_in() {
    let mut switch = switch(&[(0, 1, "", "output:1,output:2,in_port,set_field:0->in_port,output:1")]);
    assert_eq!(outputs(&mut switch, packet()), [(2, 0), (1, 0), (1, 0)]);
}

#[test]
fn time_to_live_runs_out() {
    let mut switch = switch(&[(0, 1, "ip", "dec_ttl,output:2")]);
    let [Event::Output { packet: left, .. }] = &switch.run(packet(), &mut Tracker::default())[..] else {
        panic!("one output")
    };
    assert_eq!(left.get(Field::NW_TTL), 63);
    let mut last = packet();
    last.set(Field::NW_TTL, 1);
    let events = switch.run(last, &mut Tracker::default());
    assert!(matches!(&events[..], [Event::Controller { .. }]), "{events:?}");
}

#[test]
fn a_packet_that_ran_out_ends_only_its_flow() {
    let mut switch =
        switch(&[(0, 1, "ip", "resubmit(,1),output:3"), (1, 1, "ip", "controller(pause),dec_ttl,output:2")]);
    let mut last = packet();
    last.set(Field::NW_TTL, 1);
    let [Event::Controller { packet, rest: Some(rest), .. }] = &switch.run(last, &mut Tracker::default())[..]
    else {
        panic!("it waits")
    };
    let events = switch.resume(rest.clone(), packet.clone(), &mut Tracker::default());
    let [Event::Controller { rest: None, .. }, Event::Output { port, .. }] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(port.0, 3);
}

#[test]
fn the_original_of_a_tracked_packet_is_untracked() {
    let mut switch = switch(&[
        (0, 1, "ip", "ct(table=1,zone=5)"),
        (1, 1, "ct_state=+trk,ip", "ct(commit,zone=5),resubmit(,2)"),
        (2, 1, "ct_state=+trk,ip", "output:2"),
        (2, 1, "ct_state=-trk,ip", "output:3"),
    ]);
    assert_eq!(outputs(&mut switch, packet()), [(3, 0)]);
}

#[test]
fn connections_are_tracked_and_translated_both_ways() {
    let mut switch = switch(&[
        (0, 1, "ip", "ct(table=1,zone=5,nat)"),
        (
            1,
            10,
            "ct_state=+new+trk,ip,nw_dst=192.0.2.2",
            "ct(commit,table=2,zone=5,nat(dst=198.51.100.7:8080),exec(set_field:0x2/0x2->ct_mark))",
        ),
        (1, 10, "ct_state=+est+trk,ip", "resubmit(,2)"),
        (2, 10, "ct_state=+rpl,ip", "output:1"),
        (2, 1, "ct_mark=0x2/0x2,ip", "output:2"),
    ]);
    let mut tracker = Tracker::default();
    let mut pass = |packet: Packet| match switch.run(packet, &mut tracker).pop() {
        Some(Event::Output { port, packet }) => (port.0, packet),
        other => panic!("{other:?}"),
    };
    let (port, sent) = pass(packet());
    assert_eq!((port, sent.get(Field::IPV4_DST), sent.get(Field::TCP_DST)), (2, 0xc633_6407, 8080));
    // The second packet of the connection is translated without a commit.
    let (port, again) = pass(packet());
    assert_eq!((port, again.get(Field::IPV4_DST)), (2, 0xc633_6407));
    let mut answer = packet();
    for (field, value) in [
        (Field::IN_PORT, 2),
        (Field::IPV4_SRC, 0xc633_6407),
        (Field::IPV4_DST, 0xc000_0201),
        (Field::TCP_SRC, 8080),
        (Field::TCP_DST, 1000),
    ] {
        answer.set(field, value);
    }
    let (port, back) = pass(answer);
    assert_eq!((port, back.get(Field::IPV4_SRC), back.get(Field::TCP_SRC)), (1, 0xc000_0202, 80));
    assert_eq!(back.get(Field::CT_NW_DST), 0xc000_0202, "the first packet's destination");
}

#[test]
fn groups_choose_among_copies() {
    let mut switch = switch(&[(0, 1, "", "group:1,output:9")]);
    let group = "group_id=1,type=select,bucket=bucket_id:0,weight:0,actions=output:2,\
                 bucket=bucket_id:1,weight:5,actions=set_field:3->reg0,output:3";
    switch.groups.insert(1, group.parse().expect("a group"));
    // The bucket without weight is never chosen.
    assert_eq!(outputs(&mut switch, packet()), [(3, 3), (9, 0)]);
    let all = group.replace("select", "all");
    switch.groups.insert(1, all.parse().expect("a group"));
    assert_eq!(outputs(&mut switch, packet()), [(2, 0), (3, 3), (9, 0)]);
}

#[test]
fn a_pipeline_waits_for_a_controller_and_goes_on_where_it_was() {
    let mut switch = switch(&[
        (0, 1, "", "set_field:1->reg0,push:NXM_NX_REG0[],resubmit(,1),output:9"),
        (1, 1, "", "controller(pause,userdata=05),resubmit(,2),pop:NXM_NX_REG1[],output:3"),
    ]);
    let [Event::Controller { userdata, packet, rest: Some(rest) }] =
        &switch.run(packet(), &mut Tracker::default())[..]
    else {
        panic!("it waits")
    };
    assert_eq!((&userdata[..], packet.get(Field::reg(0))), (&[5][..], 1));
    // What is looked up afterwards is what stands then, and what the controller changed stays changed.
    switch.add(2, 1, "eth_dst=00:00:00:00:00:07", "output:2");
    let mut answer = packet.clone();
    answer.set(Field::ETH_DST, 7);
    let events = switch.resume(rest.clone(), answer, &mut Tracker::default());
    let ports: Vec<(u32, u128)> = events
        .iter()
        .map(|event| match event {
            Event::Output { port, packet } => (port.0, packet.get(Field::reg(1))),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(ports, [(2, 0), (3, 1), (9, 1)]);
}

#[test]
fn only_the_copy_that_asks_waits() {
    let mut switch = switch(&[(0, 1, "", "clone(controller(pause),output:2),output:3")]);
    let events = switch.run(packet(), &mut Tracker::default());
    let [Event::Controller { packet, rest: Some(rest), .. }, Event::Output { port, .. }] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(port.0, 3);
    let events = switch.resume(rest.clone(), packet.clone(), &mut Tracker::default());
    assert!(matches!(&events[..], [Event::Output { port, .. }] if port.0 == 2), "{events:?}");
}

#[test]
fn a_packet_meets_flows_with_and_without_its_metadata() {
    let mut switch = switch(&[
        (0, 5, "metadata=7", "output:2"),
        (0, 9, "metadata=8", "output:3"),
        (0, 4, "ip", "output:4"),
        (0, 7, "metadata=0x10/0x10", "output:5"),
    ]);
    let mut with = |metadata: u128| {
        let mut packet = packet();
        packet.set(Field::METADATA, metadata);
        outputs(&mut switch, packet)
    };
    assert_eq!([with(7), with(8), with(9), with(0x17)], [[(2, 0)], [(3, 0)], [(4, 0)], [(5, 0)]]);
    let counted: Vec<(u16, u64)> =
        switch.tables.counted(0).map(|(flow, hits)| (flow.priority, hits.packets)).collect();
    assert_eq!(counted, [(7, 1), (4, 1), (5, 1), (9, 1)]);
}

#[test]
fn the_flow_that_is_met_is_the_best_of_all() {
    let mut rng = Rng::with_seed(1);
    let mut met = 0;
    for _ in 0..500 {
        let mut switch = Switch::default();
        // Of one priority each, so that there is one best.
        for priority in 0..rng.u16(1..12) {
            let asked = |of: &str, n: u8| if n < 3 { format!("{of}={n},") } else { String::new() };
            let metadata = match rng.u8(..4) {
                0 => "metadata=1/1,".to_owned(),
                _ => asked("metadata", rng.u8(..5)),
            };
            let text = format!("{metadata}{}{}", asked("reg1", rng.u8(..5)), asked("reg2", rng.u8(..5)));
            switch.add(0, priority, text.trim_end_matches(','), "output:2");
        }
        let mut packet = packet();
        for field in [Field::METADATA, Field::reg(1), Field::reg(2)] {
            packet.set(field, rng.u8(..3).into());
        }
        let all = switch.tables.flows().filter(|flow| packet.matches(&flow.flow_match, None));
        let best = all.map(|flow| flow.priority).max();
        met += usize::from(best.is_some());
        assert_eq!(switch.tables.lookup(0, &packet).map(|flow| flow.priority), best);
    }
    assert!((100..500).contains(&met), "some packets meet a flow and some do not: {met}");
}

#[test]
fn flows_are_learned() {
    let mut switch = switch(&[
        (
            0,
            1,
            "tcp",
            "learn(table=1,eth_type=0x800,NXM_OF_IP_SRC[]=NXM_OF_IP_DST[],load:0x7->NXM_NX_REG0[]),resubmit(,1)",
        ),
        (0, 1, "udp", "resubmit(,1),output:2"),
    ]);
    assert_eq!(outputs(&mut switch, packet()), []);
    let mut answer = packet();
    answer.set(Field::IP_PROTO, 17);
    answer.set(Field::IPV4_SRC, 0xc000_0202);
    assert_eq!(outputs(&mut switch, answer), [(2, 7)]);
}

#[test]
fn what_is_not_known_is_said() {
    // The four bytes of an action of OpenFlow's that nobody has: type 0x7f.
    let mut switch = switch(&[(0, 1, "", "output:2")]);
    let actions = kiln_openflow::Actions::encode(&[Action::Unknown([0, 0x7f, 0, 8, 0, 0, 0, 0].into())]);
    let events = switch.run_actions(&actions.expect("it fits"), packet(), &mut Tracker::default());
    assert!(matches!(&events[..], [Event::Unsupported(_)]), "{events:?}");
}

#[test]
fn lengths_and_samples() {
    let mut switch = switch(&[(
        0,
        1,
        "",
        "check_pkt_larger(99)->NXM_NX_REG0[3],sample(probability=1,collector_set_id=4,obs_domain_id=5,obs_point_id=6),output:2",
    )]);
    let events = switch.run(packet(), &mut Tracker::default());
    assert_eq!(events[0], Event::Sample { collector_set: 4, domain: 5, point: 6 });
    let Event::Output { packet, .. } = &events[1] else { panic!("{events:?}") };
    assert_eq!(packet.get(Field::reg(0)), 8);
}
