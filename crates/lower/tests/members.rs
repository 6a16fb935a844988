//! A member of an address set makes the same flows alone as within its set.

use kiln_logical::constant::Constant;
use kiln_logical::{AddressSet, Environment};
use kiln_lower::{Names, Part, PerMember, lower_match};
use kiln_openflow::{Field, FieldValue, Match};
use std::collections::BTreeSet;
use std::sync::Arc;

struct Network(Arc<AddressSet>);

impl Environment for Network {
    fn address_set(&self, name: &str) -> Option<Arc<AddressSet>> {
        match name {
            "set" => Some(self.0.clone()),
            "other" => Some(Arc::new(AddressSet::parse(["192.0.2.1", "192.0.2.2"]).0)),
            _ => None,
        }
    }
}

impl Names for Network {
    fn port_key(&self, name: &str) -> Option<u32> {
        ["a", "b"].iter().position(|known| *known == name).map(|place| place as u32 + 1)
    }

    fn is_resident(&self, _name: &str) -> bool {
        true
    }
}

const DATAPATH: u32 = 7;

fn context() -> [FieldValue; 1] {
    [FieldValue::exact(Field::METADATA, DATAPATH.into())]
}

fn constant(text: &str) -> Constant {
    *AddressSet::parse([text]).0.iter().next().expect("an address")
}

type Flows = BTreeSet<(Vec<u8>, u32, u8, u8)>;

fn sorted(flows: &[(Match, Part)]) -> Flows {
    let key = |(matched, part): &(Match, Part)| match *part {
        Part::Actions => (matched.as_oxm().to_vec(), 0, 0, 0),
        Part::Conjunction { id, clause, n_clauses } => (matched.as_oxm().to_vec(), id, clause, n_clauses),
    };
    flows.iter().map(key).collect()
}

fn whole(text: &str, members: &[&str]) -> Flows {
    let network = Network(Arc::new(AddressSet::parse(members.iter().copied()).0));
    sorted(&lower_match(text, &network, &context(), 1).expect(text).flows)
}

const MEMBERS: [&str; 4] = ["10.0.0.1", "10.0.1.0/24", "10.9.0.0/255.255.0.255", "10.0.0.3"];

#[test]
fn a_member_makes_what_it_makes_in_its_set() {
    let texts = [
        "ip4.src == $set",
        "ip4.src == $set && tcp.dst == 80",
        "ip4.src == $set && ip4.dst == $other",
        "ip4.src == $set && ip4.dst == {1.1.1.1, 2.2.2.2} && tcp.dst == {80, 443}",
        "ip4.src == $set || ip4.dst == 1.1.1.1",
        "ip4.src == $set && (tcp || udp)",
        "inport == {\"a\", \"b\"} && ip4.dst == $set",
        "arp.spa == $set && arp.op == 1",
    ];
    for text in texts {
        let network = Network(Arc::new(AddressSet::parse(MEMBERS).0));
        let per_member = PerMember::of(text, "set", &network, &context(), 1).expect(text).expect(text);
        let before = whole(text, &MEMBERS);
        for member in ["172.16.0.1", "172.16.1.0/24", "10.0.0.2"] {
            let made = sorted(&per_member.flows(&constant(member), &network.0).expect(member));
            let after = whole(text, &[&MEMBERS[..], &[member]].concat());
            assert_eq!(before.union(&made).cloned().collect::<Flows>(), after, "{text}, {member}");
            assert!(before.is_disjoint(&made), "{text}, {member}");
        }
    }
}

#[test]
fn what_hangs_on_the_whole_set_is_lowered_as_a_whole() {
    let network = Network(Arc::new(AddressSet::parse(MEMBERS).0));
    for text in [
        "ip4.src != $set",
        // Part of a wider field, whose other parts may be compared too.
        "reg0 == $set",
        "!(ip4.src == $set)",
        "ip4.src == $set && ip4.src == 10.0.0.0/8",
        "ip4.src == {$set, 1.1.1.1}",
        "ip4.src == $set && ip4.dst == $set",
        "ip4.src == $set && (ip4.dst == 1.1.1.1 || ip4.src == 2.2.2.2)",
    ] {
        assert!(PerMember::of(text, "set", &network, &context(), 1).expect(text).is_none(), "{text}");
    }
    let few = Network(Arc::new(AddressSet::parse(["10.0.0.1"]).0));
    assert!(PerMember::of("ip4.src == $set", "set", &few, &context(), 1).expect("one").is_none());
    let per_member =
        PerMember::of("ip4.src == $set", "set", &network, &context(), 1).expect("it").expect("it");
    // Within a member, around one, and an address of another kind.
    for member in ["10.0.1.7", "10.0.0.0/8", "10.9.5.0/24", "::1"] {
        assert!(per_member.flows(&constant(member), &network.0).is_none(), "{member}");
    }
}

#[test]
fn a_member_of_a_hundred_thousand_is_one_flow() {
    let texts: Vec<String> =
        (0..100_000u32).map(|i| std::net::Ipv4Addr::from_bits(0x0a00_0000 + i * 2).to_string()).collect();
    let network = Network(Arc::new(AddressSet::parse(texts.iter().map(String::as_str)).0));
    let text = "ip4.src == $set && tcp.dst == {80, 443}";
    let per_member = PerMember::of(text, "set", &network, &context(), 1).expect(text).expect(text);
    let made = per_member.flows(&constant("10.0.0.1"), &network.0).expect("between two members");
    assert_eq!(made.len(), 1);
    assert!(matches!(made[0].1, Part::Conjunction { n_clauses: 2, .. }), "{made:?}");
    assert!(per_member.flows(&constant("10.0.0.2"), &network.0).is_none(), "it is there already");
}
