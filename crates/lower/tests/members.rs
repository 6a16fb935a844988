//! A member of an address set makes the same flows alone as within its set.

use kiln_logical::constant::{Constant, Format};
use kiln_logical::expr::Transport;
use kiln_logical::{AddressSet, Environment, Expr};
use kiln_lower::{Apart, Names, Part, lower_apart, lower_match};
use kiln_openflow::{Field, FieldValue, Match};
use std::collections::BTreeSet;
use std::sync::Arc;

struct Network(Arc<AddressSet>);

impl Environment for Network {
    fn address_set(&self, name: &str) -> Option<Arc<AddressSet>> {
        match name {
            "set" => Some(self.0.clone()),
            "other" => Some(Arc::new(AddressSet::parse(OTHERS).0)),
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

fn sorted(flows: impl IntoIterator<Item = (Match, Part)>) -> Flows {
    let key = |(matched, part): (Match, Part)| match part {
        Part::Actions => (matched.as_oxm().to_vec(), 0, 0, 0),
        Part::Conjunction { id, clause, n_clauses } => (matched.as_oxm().to_vec(), id, clause, n_clauses),
    };
    flows.into_iter().map(key).collect()
}

fn whole(text: &str, members: &[&str]) -> Flows {
    let network = Network(Arc::new(AddressSet::parse(members.iter().copied()).0));
    sorted(lower_match(text, &network, &context(), 1).expect(text).flows)
}

const MEMBERS: [&str; 5] = ["10.0.0.1", "10.0.1.0/24", "10.9.0.0/255.255.0.255", "10.0.0.3", "172.16.0.0/12"];
const OTHERS: [&str; 2] = ["192.0.2.1", "192.0.2.2"];

/// Takes both sets apart.
fn apart(text: &str) -> Apart {
    let network = Network(Arc::new(AddressSet::parse(MEMBERS).0));
    let notation = |name: &str| ["set", "other"].contains(&name).then_some(Format::Ipv4);
    lower_apart(text, Transport::Packet, &Expr::Const(true), &network, &notation, &context(), 1).expect(text)
}

#[test]
fn members_and_the_rest_make_what_the_whole_makes() {
    let texts = [
        ("ip4.src == $set", 1),
        ("ip4.src == $set && tcp.dst == 80", 1),
        ("ip4.src == $set && ip4.dst == $other", 2),
        ("ip4.src == $set && ip4.dst == {1.1.1.1, 2.2.2.2} && tcp.dst == {80, 443}", 1),
        ("ip4.src == $set || ip4.dst == 1.1.1.1", 1),
        ("ip4.src == $set || ip4.dst == $other", 2),
        ("ip4.src == $set && (tcp || udp)", 1),
        ("inport == {\"a\", \"b\"} && ip4.dst == $set", 1),
        ("arp.spa == $set && arp.op == 1", 1),
        // Multiplied out: only one of them has flows that are its members' alone.
        ("(ip4.src == $set || tcp) && (ip4.dst == $other || udp)", 1),
        // What is lowered as a whole.
        ("ip4.src != $set", 0),
        ("!(ip4.src == $set)", 0),
        ("ip4.src == $set && ip4.src == 10.0.0.0/8", 0),
        ("ip4.src == {$set, 1.1.1.1}", 0),
        ("ip4.src == $set && ip4.dst == $set", 0),
        ("ip4.src == $set && (ip4.dst == 1.1.1.1 || ip4.src == 2.2.2.2)", 0),
        // Parts of a wider field, whose other parts may be compared too.
        ("reg0 == $set", 0),
        ("reg3 == $set", 0),
        ("ip4", 0),
    ];
    for (text, count) in texts {
        let Apart { rest, sets, .. } = apart(text);
        assert_eq!(sets.len(), count, "{text}");
        let mut all = sorted(rest);
        for per_member in &sets {
            let members = if &*per_member.set == "set" { &MEMBERS[..] } else { &OTHERS };
            for member in members {
                let made = sorted(per_member.flows(constant(member).cube()));
                assert!(!made.is_empty() && all.is_disjoint(&made), "{text}, {member}");
                all.extend(made);
            }
        }
        assert_eq!(all, whole(text, &MEMBERS), "{text}");
    }
}

#[test]
fn what_actions_need_counts_too() {
    let network = Network(Arc::new(AddressSet::parse(MEMBERS).0));
    let needed = kiln_logical::expr::parse("ip4.src == 10.0.0.1", &kiln_logical::NoNames).expect("it");
    let notation = |_: &str| Some(Format::Ipv4);
    let apart =
        lower_apart("ip4.src == $set", Transport::Packet, &needed, &network, &notation, &context(), 1)
            .expect("it");
    assert!(apart.sets.is_empty());
    assert_eq!(sorted(apart.rest), whole("ip4.src == $set && ip4.src == 10.0.0.1", &MEMBERS));
}

#[test]
fn a_member_of_a_conjunction_is_one_part() {
    let Apart { rest, sets, conjunctions } = apart("ip4.src == $set && tcp.dst == {80, 443}");
    let made: Vec<(Match, Part)> = sets[0].flows(constant("10.0.0.0/30").cube()).collect();
    assert_eq!(made.len(), 1);
    assert_eq!(made[0].0.to_string(), "tcp,metadata=0x7,nw_src=10.0.0.0/30");
    assert!(matches!(made[0].1, Part::Conjunction { id: 1, n_clauses: 2, .. }), "{made:?}");
    assert_eq!((rest.len(), conjunctions), (3, 1));
}
