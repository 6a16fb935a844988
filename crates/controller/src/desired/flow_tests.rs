use super::*;
use kiln_openflow::Field;
use kiln_types::OfPort;
use proptest::prelude::*;

fn wish(priority: u16, actions: &[Action], cookie: u64) -> DesiredFlow {
    DesiredFlow { table: 3, priority, flow_match: Match::any(), actions: actions.into(), cookie }
}

fn output(port: u32) -> Action {
    Action::output(OfPort(port))
}

fn clause(id: u32, clause: u8) -> Action {
    Action::Conjunction { id, clause, n_clauses: 2 }
}

/// The flows that are wanted, as text.
fn texts(flows: &DesiredFlows) -> Vec<String> {
    let mut texts: Vec<_> = flows.iter().map(|flow| flow.to_string()).collect();
    texts.sort();
    texts
}

/// Takes the changes as command and text.
fn changes(flows: &mut DesiredFlows) -> Vec<String> {
    let changes = flows.take_changes();
    changes.iter().map(|change| format!("{:?} {}", change.command, flows.describe(change))).collect()
}

#[test]
fn equal_wishes_are_counted() {
    let mut flows = DesiredFlows::default();
    let one = flows.replace(&[], &mut vec![wish(1, &[output(1)], 7)]);
    let two = flows.replace(&[], &mut vec![wish(1, &[output(1)], 7)]);
    assert_eq!(changes(&mut flows), ["Add cookie=0x7,table=3,priority=1,actions=output:1"]);
    flows.replace(&one, &mut vec![]);
    assert_eq!((flows.len(), changes(&mut flows).len()), (1, 0));
    flows.replace(&two, &mut vec![]);
    assert!(flows.is_empty());
    assert_eq!(changes(&mut flows), ["Delete table=3,priority=1,actions=drop"]);
}

#[test]
fn a_changed_flow_is_modified_and_a_changed_cookie_adds() {
    let mut flows = DesiredFlows::default();
    let old = flows.replace(&[], &mut vec![wish(1, &[output(1)], 7)]);
    flows.take_changes();
    let old = flows.replace(&old, &mut vec![wish(1, &[output(2)], 7)]);
    assert_eq!(changes(&mut flows), ["Modify cookie=0x7,table=3,priority=1,actions=output:2"]);
    let old = flows.replace(&old, &mut vec![wish(1, &[output(2)], 8)]);
    assert_eq!(changes(&mut flows), ["Add cookie=0x8,table=3,priority=1,actions=output:2"]);
    // What goes and comes back before changes are taken was never away.
    let old = flows.replace(&old, &mut vec![]);
    flows.replace(&old, &mut vec![wish(1, &[output(2)], 8)]);
    assert_eq!(changes(&mut flows), Vec::<String>::new());
}

#[test]
fn disagreeing_wishes_are_resolved_and_counted() {
    // By rising preference; each run is added and then they are taken back in the same order.
    let wishes = [
        (wish(1, &[clause(5, 1)], 9), "cookie=0x9,table=3,priority=1,actions=conjunction(5,2/2)"),
        (
            wish(1, &[clause(4, 0)], 8),
            "cookie=0x8,table=3,priority=1,actions=conjunction(4,1/2),conjunction(5,2/2)",
        ),
        (wish(1, &[], 6), "cookie=0x6,table=3,priority=1,actions=drop"),
        (wish(1, &[output(2)], 5), "cookie=0x5,table=3,priority=1,actions=output:2"),
        (wish(1, &[output(1)], 7), "cookie=0x7,table=3,priority=1,actions=output:1"),
        (wish(1, &[output(1)], 3), "cookie=0x3,table=3,priority=1,actions=output:1"),
    ];
    let mut flows = DesiredFlows::default();
    let mut runs = Vec::new();
    for (at, (wish, text)) in wishes.iter().enumerate() {
        runs.push(flows.replace(&[], &mut vec![wish.clone()]));
        flows.take_changes();
        assert_eq!(texts(&flows), [*text]);
        assert_eq!(flows.contested(), usize::from(at >= 2), "{text}");
    }
    let rest = [
        wishes[5].1,
        wishes[5].1,
        wishes[5].1,
        wishes[5].1,
        "cookie=0x3,table=3,priority=1,actions=output:1",
    ];
    for (run, text) in runs.iter().zip(rest) {
        flows.replace(run, &mut vec![]);
        assert_eq!(texts(&flows), [text]);
    }
    flows.take_changes();
    assert_eq!((flows.len(), flows.contested()), (1, 0));
}

#[test]
fn memory_is_given_back() {
    let mut flows = DesiredFlows::default();
    let wanted = |n: u32| {
        let mut m = Match::builder();
        m.exact(Field::reg(0), n);
        let flow_match = m.build();
        DesiredFlow { table: 1, priority: 1, flow_match, actions: [output(n)].into(), cookie: 0 }
    };
    let few = flows.replace(&[], &mut (0..10).map(wanted).collect());
    let many = flows.replace(&[], &mut (10..100_000).map(wanted).collect());
    flows.take_changes();
    flows.quiet();
    assert_eq!((flows.entries.len(), flows.actions.len()), (100_000, 100_000));
    flows.replace(&many, &mut vec![]);
    flows.take_changes();
    flows.quiet();
    assert_eq!((flows.entries.len(), flows.actions.len(), flows.index.len()), (10, 10, 10));
    assert!(flows.entries.capacity() < 100 && flows.index.capacity() < 100);
    assert!(size_of::<Entry>() <= 64);
    flows.replace(&few, &mut vec![]);
}

proptest! {
    /// Runs rewrite what they want in any order, and changes are taken at any time: a switch that follows the changes
    /// always holds what a fresh table is made to want.
    #[test]
    fn changes_lead_to_what_is_wanted(
        steps in proptest::collection::vec(
            (0..4usize, proptest::collection::vec((0..4u16, 0..6u8, 0..3u64), 0..5), any::<bool>()),
            1..40,
        )
    ) {
        let actions = |kind: u8| match kind {
            0 => vec![],
            1 | 2 => vec![clause(u32::from(kind), 0)],
            3 => vec![clause(1, 1), clause(9, 0)],
            kind => vec![output(u32::from(kind))],
        };
        let make = |list: &[(u16, u8, u64)]| -> Vec<DesiredFlow> {
            list.iter().map(|(priority, kind, cookie)| wish(*priority, &actions(*kind), *cookie)).collect()
        };
        let mut flows = DesiredFlows::default();
        let mut runs: [(Box<[FlowRef]>, Vec<DesiredFlow>); 4] = Default::default();
        let mut switch = std::collections::BTreeMap::new();
        for (run, list, take) in steps {
            let new = make(&list);
            let old = std::mem::take(&mut runs[run].0);
            runs[run] = (flows.replace(&old, &mut new.clone()), new);
            if !take {
                continue;
            }
            for change in flows.take_changes() {
                let flow = flows.describe(&change);
                match change.command {
                    FlowCommand::Add => drop(switch.insert(flow.priority, flow.to_string())),
                    FlowCommand::Modify => {
                        prop_assert!(switch.insert(flow.priority, flow.to_string()).is_some());
                    }
                    FlowCommand::Delete => prop_assert!(switch.remove(&flow.priority).is_some()),
                }
            }
            flows.quiet();
            // The other way round, and from nothing.
            let mut fresh = DesiredFlows::default();
            for (_, wanted) in runs.iter().rev() {
                fresh.replace(&[], &mut wanted.iter().rev().cloned().collect());
            }
            let mut held: Vec<String> = switch.values().cloned().collect();
            held.sort();
            prop_assert_eq!(&held, &texts(&fresh));
            prop_assert_eq!(&held, &texts(&flows));
            prop_assert_eq!(flows.len(), held.len());
        }
    }
}
