//! Headers that come and go, as in ovs-actions(7). What is expected here is what `ofproto/trace` of a stock switch says to the
//! same flows and packets, but for two things: Open vSwitch has no copies of the time to live, and that of 4.0 ends when a frame
//! behind a label is shown.

use kiln_openflow::{Field, Instruction};
use kiln_testkit::interpreter::{Event, Flow, Packet, Switch, Tracker, World};
use kiln_types::OfPort;

const MPLS: [Field; 5] =
    [Field::ETH_TYPE, Field::MPLS_LABEL, Field::MPLS_TC, Field::MPLS_TTL, Field::MPLS_BOS];

/// A TCP packet of DSCP 46 and TTL 33 from 00:00:00:00:00:05.
fn packet() -> Packet {
    let mut packet = Packet::default();
    packet.len = 100;
    for (field, value) in [
        (Field::IN_PORT, 1),
        (Field::ETH_SRC, 5),
        (Field::ETH_TYPE, 0x800),
        (Field::IPV4_SRC, 0x0a00_0001),
        (Field::IP_PROTO, 6),
        (Field::NW_TOS, 184),
        (Field::NW_TTL, 33),
        (Field::TCP_DST, 6),
    ] {
        packet.set(field, value);
    }
    packet
}

fn switch(flows: &[(u8, &str, &str)]) -> Switch {
    let mut switch = Switch::default();
    for (table, matched, actions) in flows {
        switch.add(*table, 1, matched, actions);
    }
    switch
}

fn events(flows: &[(u8, &str, &str)], packet: Packet) -> Vec<Event> {
    switch(flows).run(packet, &mut Tracker::default())
}

/// The packets that leave, by whatever port.
#[track_caller]
fn sent(flows: &[(u8, &str, &str)], packet: Packet) -> Vec<Packet> {
    let output = |event| match event {
        Event::Output { packet, .. } => packet,
        other => panic!("{other:?}"),
    };
    events(flows, packet).into_iter().map(output).collect()
}

fn refusal(flows: &[(u8, &str, &str)], packet: Packet) -> String {
    match events(flows, packet).pop() {
        Some(Event::Unsupported(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn labels_are_made_of_what_they_cover_and_show_it_again() {
    let flows = [
        (0, "ip", "push_mpls:0x8847,resubmit(,1)"),
        (
            1,
            "mpls,mpls_label=0,mpls_tc=6,mpls_ttl=33,mpls_bos=1",
            "output:2,set_field:77->mpls_label,set_field:2->mpls_tc,push_mpls:0x8848,set_mpls_ttl:9,\
             dec_mpls_ttl,output:2,pop_mpls:0x8847,output:2,pop_mpls:0x0800,resubmit(,2)",
        ),
        (2, "tcp,tp_dst=6", "output:2"),
    ];
    let [first, both, one, none] = &sent(&flows, packet())[..] else { panic!("four") };
    let labels = |packet: &Packet| MPLS.map(|field| packet.get(field));
    assert_eq!(labels(first), [0x8847, 0, 6, 33, 1]);
    assert_eq!(labels(both), [0x8848, 77, 2, 8, 0]);
    assert_eq!(labels(one), [0x8847, 77, 2, 33, 1]);
    assert_eq!([first.len, both.len, one.len, none.len], [104, 108, 104, 100]);
    assert_eq!((both.get(Field::NW_TTL), both.get(Field::ETH_SRC)), (0, 5), "what is behind is not seen");
    assert!(both.is_wrapped() && !none.is_wrapped());
    assert_eq!(*none, packet());
}

#[test]
fn labels_of_what_is_not_ip() {
    let mut other = Packet::default();
    other.set(Field::ETH_TYPE, 0x1234);
    let flows = [(0, "", "push_mpls:0x8847,push_mpls:0x8847,push_mpls:0x8847,output:2")];
    let [out] = &sent(&flows, other.clone())[..] else { panic!("one") };
    assert_eq!(MPLS.map(|field| out.get(field)), [0x8847, 0, 0, 64, 0]);
    let fourth = [(0, "", "push_mpls:0x8847,push_mpls:0x8847,push_mpls:0x8847,push_mpls:0x8847,output:2")];
    assert_eq!(refusal(&fourth, other.clone()), "Too many MPLS labels");
    other.set(Field::ETH_TYPE, 0x86dd);
    let [out] = &sent(&[(0, "", "push_mpls:0x8847,output:2")], other)[..] else { panic!("one") };
    assert_eq!(MPLS.map(|field| out.get(field)), [0x8847, 2, 0, 0, 1]);
}

#[test]
fn what_is_read_as_what_it_is_not_is_not_known() {
    let flows = [
        (0, "ip", "push_mpls:0x8847,pop_mpls:0x86dd,output:2,resubmit(,1)"),
        (1, "ipv6,nw_proto=6", "output:2"),
    ];
    let [out] = &sent(&flows, packet())[..] else { panic!("one") };
    assert_eq!(
        [Field::ETH_TYPE, Field::ETH_SRC, Field::IP_PROTO].map(|field| out.get(field)),
        [0x86dd, 5, 0]
    );
}

#[test]
fn a_label_that_runs_out_goes_to_the_controller() {
    let mut last = Packet::default();
    for (field, value) in [(Field::ETH_TYPE, 0x8847), (Field::MPLS_TTL, 1), (Field::MPLS_BOS, 1)] {
        last.set(field, value);
    }
    let events = events(&[(0, "mpls", "dec_mpls_ttl,output:2")], last);
    assert!(matches!(&events[..], [Event::Controller { .. }]), "{events:?}");
}

#[test]
fn tags_stand_behind_each_other_and_before_labels() {
    let flows = [
        (
            0,
            "ip",
            "push_vlan:0x8100,set_field:0x7005->vlan_tci,push_vlan:0x8100,output:2,pop_vlan,resubmit(,1)",
        ),
        (1, "dl_vlan=5,ip", "push_mpls:0x8847,output:2"),
    ];
    let [two, one] = &sent(&flows, packet())[..] else { panic!("two") };
    assert_eq!((two.get(Field::VLAN_TCI), two.len), (0x1000, 108));
    assert_eq!((one.get(Field::VLAN_TCI), one.get(Field::MPLS_TC), one.len), (0x7005, 6, 108));
}

#[test]
fn a_backbone_tag_covers_the_frame_with_its_tags() {
    let flows = [
        (
            0,
            "ip",
            "push_vlan:0x8100,set_field:0x1005->vlan_tci,push_pbb:0x88e7,set_field:00:00:00:00:00:09->eth_src,\
             push_vlan:0x88a8,output:2,resubmit(,1)",
        ),
        (1, "dl_type=0x88e7", "pop_pbb,resubmit(,2)"),
        (2, "dl_vlan=5,ip,nw_proto=6", "output:2"),
    ];
    let [tagged, bare] = &sent(&flows, packet())[..] else { panic!("two") };
    let outer = [Field::ETH_TYPE, Field::ETH_SRC, Field::ETH_DST, Field::VLAN_TCI, Field::IP_PROTO];
    assert_eq!(outer.map(|field| tagged.get(field)), [0x88e7, 9, packet().get(Field::ETH_DST), 0x1000, 0]);
    assert_eq!(tagged.len, packet().len + 4 + 18 + 4);
    let mut with_tag = packet();
    with_tag.set(Field::VLAN_TCI, 0x1005);
    with_tag.len += 4;
    assert_eq!(*bare, with_tag);
    // Nothing to pop, and what came in with a tag has nothing behind it that is known.
    let [same] = &sent(&[(0, "ip", "pop_pbb,output:2")], packet())[..] else { panic!("one") };
    assert_eq!(*same, packet());
    let mut came = Packet::default();
    came.len = 100;
    came.set(Field::ETH_TYPE, 0x88e7);
    let [out] = &sent(&[(0, "", "pop_pbb,output:2")], came)[..] else { panic!("one") };
    assert_eq!((out.get(Field::ETH_TYPE), out.len), (0, 82));
}

#[test]
fn actions_for_a_switchs_own_tests_change_nothing() {
    let [out] = &sent(&[(0, "ip", "debug_slow,debug_recirc,output:2")], packet())[..] else { panic!("one") };
    assert_eq!(*out, packet());
}

#[test]
fn times_to_live_are_copied_out_and_in() {
    let flows = [(
        0,
        "ip",
        "push_mpls:0x8847,set_mpls_ttl:9,copy_ttl_in,set_mpls_ttl:5,copy_ttl_out,output:2,pop_mpls:0x800,output:2",
    )];
    let [label, bare] = &sent(&flows, packet())[..] else { panic!("two") };
    assert_eq!((label.get(Field::MPLS_TTL), bare.get(Field::NW_TTL)), (9, 9));
    let [same] = &sent(&[(0, "ip", "copy_ttl_in,copy_ttl_out,output:2")], packet())[..] else {
        panic!("one")
    };
    assert_eq!(*same, packet());
}

#[test]
fn nsh_carries_a_frame() {
    let flows = [
        (0, "ip", "encap(nsh),set_field:0x1234->nsh_spi,set_field:7->nsh_si,dec_nsh_ttl,resubmit(,1)"),
        (1, "packet_type=(1,0x894f),nsh_ttl=62,nsh_np=3,nsh_mdtype=1", "encap(ethernet),resubmit(,2)"),
        (2, "dl_type=0x894f,nsh_spi=0x1234,nsh_si=7,dl_src=00:00:00:00:00:00", "output:2,decap,resubmit(,3)"),
        (3, "packet_type=(1,0x894f)", "decap,resubmit(,4)"),
        (4, "tcp,dl_src=00:00:00:00:00:05,nw_ttl=33,tp_dst=6", "output:2"),
    ];
    let [carried, frame] = &sent(&flows, packet())[..] else { panic!("two") };
    assert_eq!(carried.len, 100 + 24 + 14);
    assert_eq!(*frame, packet());
}

#[test]
fn nsh_of_metadata_type_2_and_in_nsh() {
    // `encap(nsh(md_type=2,tlv(0x1000,10,0x1234567899)))` by its properties, with `encap(nsh)` in front.
    let two = "encap(nsh(00.04.01.05.02.00.00.00.00.04.02.10.10.00.0a.05.12.34.56.78.99.00.00.00))";
    let flows = [(0, "", &*format!("{two},output:2,encap(nsh),output:2"))];
    let [inner, outer] = &sent(&flows, packet())[..] else { panic!("two") };
    let says = |packet: &Packet| {
        [Field::NSH_MDTYPE, Field::NSH_NP, Field::NSH_TTL, Field::NSH_SI].map(|field| packet.get(field))
    };
    assert_eq!((says(inner), inner.len), ([2, 3, 63, 255], 100 + 8 + 4 + 8));
    assert_eq!((says(outer), outer.len), ([1, 4, 63, 255], 120 + 24));
}

#[test]
fn bare_packets_meet_no_flow_that_asks_for_a_frame() {
    let flows = [
        (0, "ip", "decap,resubmit(,1),resubmit(,2)"),
        (1, "ip", "output:9"),
        (2, "packet_type=(1,0x800),nw_ttl=33", "resubmit(,3)"),
        (3, "reg0=0", "encap(ethernet),resubmit(,4)"),
        (4, "tcp,tp_dst=6,dl_src=00:00:00:00:00:00", "output:2"),
    ];
    let [frame] = &sent(&flows, packet())[..] else { panic!("one") };
    assert_eq!((frame.get(Field::ETH_SRC), frame.len), (0, 100), "the Ethernet header is gone");
}

#[test]
fn labels_in_front_of_whole_packets() {
    let flows = [
        (0, "ip", "decap,encap(mpls),resubmit(,1)"),
        (1, "packet_type=(1,0x8847)", "set_field:9->mpls_label,encap(mpls_mc),encap(ethernet),resubmit(,2)"),
        (
            2,
            "mplsm,mpls_label=9,mpls_bos=0",
            "output:2,decap,decap(packet_type(ns=1,type=0x8847)),resubmit(,3)",
        ),
        (3, "packet_type=(1,0x8847),mpls_bos=1", "decap(packet_type(ns=1,type=0x800)),resubmit(,4)"),
        (4, "packet_type=(1,0x800),nw_ttl=33", "encap(ethernet),output:2"),
    ];
    let [labelled, frame] = &sent(&flows, packet())[..] else { panic!("two") };
    assert_eq!(MPLS.map(|field| labelled.get(field)), [0x8848, 9, 0, 64, 0]);
    assert_eq!((labelled.len, frame.len), (108, 100));
    assert_eq!(frame.get(Field::TCP_DST), 6);
    // A frame is there with its own Ethernet header behind the label.
    let whole = [(0, "ip", "encap(mpls),decap(packet_type(ns=0,type=0)),output:2")];
    assert_eq!(sent(&whole, packet()), [packet()]);
}

#[test]
fn what_cannot_be_is_refused() {
    let mut tagged = packet();
    tagged.set(Field::VLAN_TCI, 0x1005);
    for (actions, packet) in [
        ("encap(ethernet),output:2", packet()),
        ("decap,output:2", tagged),
        ("encap(mpls),encap(nsh),output:2", packet()),
        ("decap,decap,output:2", packet()),
    ] {
        assert_eq!(refusal(&[(0, "ip", actions)], packet), "Unsupported packet type", "{actions}");
    }
}

/// A world whose hash is the number of choices, less 1.
struct Last;

impl World for Last {
    fn track(&mut self, _: &mut Packet, _: &kiln_openflow::action::Ct, _: u16) {}

    fn choose(&mut self, _: &Packet, n: usize) -> usize {
        n - 1
    }
}

#[test]
fn a_path_of_many_is_chosen() {
    let actions = "multipath(eth_src,50,modulo_n,4,0,NXM_NX_REG0[]),multipath(symmetric_l4,50,hrw,7,0,NXM_NX_REG1[8..15]),output:2";
    let events = switch(&[(0, "", actions)]).run(packet(), &mut Last);
    let [Event::Output { packet, .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!((packet.get(Field::reg(0)), packet.get(Field::reg(1))), (3, 0x600));
}

/// What a flow with this action set does with [`packet`], on to a second table.
fn events_of_set(written: &str, flows: &[(u8, &str, &str)]) -> Vec<Event> {
    let mut switch = switch(flows);
    let written = written.parse().expect("actions");
    let instructions = [Instruction::WriteActions(written), Instruction::GotoTable(1)];
    switch.tables.add(Flow {
        table: 0,
        priority: 1,
        flow_match: "".parse().expect("a match"),
        instructions: instructions.into_iter().collect(),
        cookie: 0,
    });
    switch.run(packet(), &mut Tracker::default())
}

#[test]
fn the_port_of_the_action_set_can_be_asked_for() {
    assert_eq!(packet().get(Field::ACTSET_OUTPUT), 0xffff_fff7);
    let events = events_of_set("output:2", &[(1, "actset_output=2", "set_field:1->reg0")]);
    let [Event::Output { port: OfPort(2), packet }] = &events[..] else { panic!("{events:?}") };
    assert_eq!(packet.get(Field::reg(0)), 1);
}

#[test]
fn an_action_set_puts_a_backbone_tag_between_labels_and_vlan_tags() {
    let events = events_of_set("output:2,push_vlan:0x88a8,push_pbb:0x88e7,push_mpls:0x8847", &[]);
    let [Event::Output { packet: out, .. }] = &events[..] else { panic!("{events:?}") };
    let seen = [Field::ETH_TYPE, Field::VLAN_TCI, Field::MPLS_TTL].map(|field| out.get(field));
    assert_eq!((seen, out.len), ([0x88e7, 0x1000, 0], packet().len + 4 + 18 + 4));
}
