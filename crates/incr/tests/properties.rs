//! What the kernel promises: results do not depend on the way they were reached, and nothing runs but what read a change.

use kiln_incr::{
    Changed, Ctx, Database, Derived, Engine, MapView, Relation, Row, SetView, Table, Tracked, Visitor,
};
use proptest::prelude::*;

/// A host: in a rack, with labels by name and a set of peers.
#[derive(Clone, Debug, Default, PartialEq)]
struct Host {
    rack: u8,
    labels: Vec<(u8, u8)>,
    peers: Vec<u8>,
}

#[derive(Clone, Copy)]
struct HostView<'a>(Tracked<'a, Host>);

impl<'a> HostView<'a> {
    fn rack(&self) -> u8 {
        *self.0.column(0, |host| &host.rack)
    }
    fn labels(&self) -> MapView<'a, u8, u8> {
        self.0.map(1, |host| &host.labels)
    }
    fn peers(&self) -> SetView<'a, u8> {
        self.0.set(2, |host| &host.peers)
    }
    fn whole(&self) -> &'a Host {
        self.0.whole()
    }
}

impl Row for Host {
    type Key = u8;
    type View<'a> = HostView<'a>;

    fn view(row: Tracked<'_, Self>) -> HostView<'_> {
        HostView(row)
    }

    fn diff(&self, new: &Self, changed: &mut Changed<'_>) {
        changed.column(0, &self.rack, &new.rack);
        changed.map(1, &self.labels, &new.labels);
        changed.set(2, &self.peers, &new.peers);
    }
}

struct Db {
    hosts: Table<Host>,
    hosts_in: Relation<u8, u8>,
    label_one: Derived<u8, Option<u8>>,
    mutual: Relation<u8, u8>,
    summary: Derived<u8, String>,
}

impl Database for Db {
    fn visit(&mut self, v: &mut dyn Visitor) {
        v.table(&mut self.hosts);
        v.table(&mut self.hosts_in);
        v.table(&mut self.label_one);
        v.table(&mut self.mutual);
        v.table(&mut self.summary);
    }
}

fn index(ctx: &Ctx<'_, Db>, host: &u8, out: &mut Vec<(u8, u8)>) {
    out.extend(ctx.row(&ctx.hosts, host).map(|row| (row.rack(), *host)));
}

/// The same, reading the rack without a record.
fn index_unrecorded(ctx: &Ctx<'_, Db>, host: &u8, out: &mut Vec<(u8, u8)>) {
    if ctx.row(&ctx.hosts, host).is_some() {
        out.extend(ctx.hosts.peek(host).map(|row| (row.rack, *host)));
    }
}

fn label_one(ctx: &Ctx<'_, Db>, host: &u8, out: &mut Vec<(u8, Option<u8>)>) {
    out.extend(ctx.row(&ctx.hosts, host).map(|row| (*host, row.labels().get(&1).copied())));
}

/// Peers that name each other; a peer that is not there is looked up all the same.
fn mutual(ctx: &Ctx<'_, Db>, host: &u8, out: &mut Vec<(u8, u8)>) {
    let Some(row) = ctx.row(&ctx.hosts, host) else { return };
    for peer in row.peers().all() {
        if ctx.row(&ctx.hosts, peer).is_some_and(|other| other.peers().contains(host)) {
            out.push((*host, *peer));
        }
    }
}

fn summary(ctx: &Ctx<'_, Db>, rack: &u8, out: &mut Vec<(u8, String)>) {
    let hosts = ctx.all(&ctx.hosts_in, rack);
    let labels: Vec<_> =
        hosts.iter().map(|host| ctx.value(&ctx.label_one, host).copied().flatten()).collect();
    let mutual: Vec<_> = hosts.iter().map(|host| ctx.all(&ctx.mutual, host)).collect();
    let first = ctx.holds(&ctx.hosts_in, rack, &0);
    if mutual.iter().any(|peers| peers.len() > 2) {
        ctx.report(format!("rack {rack} is crowded"));
    }
    out.push((*rack, format!("{hosts:?} {labels:?} {mutual:?} {first}")));
}

type IndexRule = fn(&Ctx<'_, Db>, &u8, &mut Vec<(u8, u8)>);

fn db() -> Db {
    Db {
        hosts: Table::new("hosts"),
        hosts_in: Relation::new("hosts_in"),
        label_one: Derived::new("label_one"),
        mutual: Relation::new("mutual"),
        summary: Derived::new("summary"),
    }
}

fn engine(index: IndexRule) -> Engine<Db> {
    let mut engine = Engine::new(db());
    engine.rule("index", |db| &db.hosts, |db| &mut db.hosts_in, index);
    engine.rule("label_one", |db| &db.hosts, |db| &mut db.label_one, label_one);
    engine.rule("mutual", |db| &db.hosts, |db| &mut db.mutual, mutual);
    engine.rule("summary", |db| &db.hosts_in, |db| &mut db.summary, summary);
    engine
}

fn results(engine: &Engine<Db>) -> Vec<(u8, String)> {
    let mut all: Vec<_> = engine.db.summary.iter().map(|(rack, text)| (*rack, text.clone())).collect();
    all.sort();
    all
}

#[derive(Clone, Debug)]
enum Edit {
    Put(u8, Host),
    Delete(u8),
    Settle,
}

fn host() -> impl Strategy<Value = Host> {
    let labels =
        proptest::collection::btree_map(0..3u8, 0..3u8, 0..3).prop_map(|map| map.into_iter().collect());
    let peers = proptest::collection::btree_set(0..8u8, 0..5).prop_map(|set| set.into_iter().collect());
    (0..3u8, labels, peers).prop_map(|(rack, labels, peers)| Host { rack, labels, peers })
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let edit = prop_oneof![
        6 => (0..8u8, host()).prop_map(|(key, host)| Edit::Put(key, host)),
        2 => (0..8u8).prop_map(Edit::Delete),
        3 => Just(Edit::Settle),
    ];
    proptest::collection::vec(edit, 1..60)
}

fn apply(engine: &mut Engine<Db>, edits: &[Edit]) {
    for edit in edits {
        match edit {
            Edit::Put(key, host) => engine.db.hosts.put(*key, host.clone()),
            Edit::Delete(key) => drop(engine.db.hosts.delete(key)),
            Edit::Settle => drop(engine.settle()),
        }
    }
    engine.settle();
}

fn from_scratch(engine: &Engine<Db>) -> Engine<Db> {
    let mut fresh = self::engine(index);
    for (key, host) in engine.db.hosts.iter() {
        fresh.db.hosts.put(*key, host.clone());
    }
    fresh.settle();
    fresh
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn incremental_equals_from_scratch(edits in edits()) {
        let mut engine = engine(index);
        apply(&mut engine, &edits);
        prop_assert_eq!(results(&engine), results(&from_scratch(&engine)));
    }

    #[test]
    fn running_everything_again_changes_nothing(edits in edits()) {
        let mut engine = engine(index);
        apply(&mut engine, &edits);
        let before = results(&engine);
        engine.recompute();
        engine.settle();
        prop_assert_eq!(results(&engine), before);
    }

    #[test]
    fn all_processors_give_the_same(edits in edits()) {
        let (mut one, mut many) = (engine(index), engine(index));
        many.set_parallel(true);
        apply(&mut one, &edits);
        apply(&mut many, &edits);
        prop_assert_eq!(results(&one), results(&many));
    }
}

fn settled() -> Engine<Db> {
    let mut engine = engine(index);
    engine.db.hosts.put(0, Host { rack: 1, labels: vec![(1, 5), (2, 6)], peers: vec![1, 7] });
    engine.db.hosts.put(1, Host { rack: 1, labels: vec![], peers: vec![0] });
    engine.db.hosts.put(2, Host { rack: 2, labels: vec![(1, 9)], peers: vec![] });
    engine.settle();
    engine.trace(true);
    engine
}

#[track_caller]
fn ran(engine: &mut Engine<Db>, expected: &[&str]) {
    engine.settle();
    assert_eq!(engine.take_trace(), expected);
}

#[test]
fn a_map_key_that_nobody_reads_runs_nothing() {
    let mut engine = settled();
    engine.db.hosts.put(0, Host { rack: 1, labels: vec![(1, 5), (2, 7)], peers: vec![1, 7] });
    ran(&mut engine, &[]);
    engine.db.hosts.put(0, Host { rack: 1, labels: vec![(1, 6), (2, 7)], peers: vec![1, 7] });
    ran(&mut engine, &["label_one 0", "summary 1"]);
}

#[test]
fn a_look_up_that_found_nothing_is_a_read() {
    let mut engine = settled();
    engine.db.hosts.put(7, Host { rack: 3, labels: vec![], peers: vec![0] });
    ran(&mut engine, &["index 7", "label_one 7", "mutual 0", "mutual 7", "summary 1", "summary 3"]);
}

#[test]
fn an_equal_result_stops_the_change() {
    let mut engine = settled();
    // Host 1 asks for host 2 as well: host 2 does not answer, so nobody's peers change.
    engine.db.hosts.put(1, Host { rack: 1, labels: vec![], peers: vec![0, 2] });
    ran(&mut engine, &["mutual 1"]);
    // Whether host 1 is a peer of host 0 is one element; the rest of the set is not read by host 0's run.
    engine.db.hosts.put(1, Host { rack: 1, labels: vec![], peers: vec![0] });
    ran(&mut engine, &["mutual 1"]);
}

#[test]
fn a_row_read_as_a_whole_runs_its_reader_on_any_change() {
    fn text(ctx: &Ctx<'_, Db>, host: &u8, out: &mut Vec<(u8, String)>) {
        out.extend(ctx.row(&ctx.hosts, host).map(|row| (*host, format!("{:?}", row.whole()))));
    }
    let mut engine = Engine::new(db());
    engine.rule("text", |db| &db.hosts, |db| &mut db.summary, text);
    engine.trace(true);
    for (host, expected) in [
        (Host::default(), &["text 0"][..]),
        (Host { labels: vec![(2, 1)], ..Host::default() }, &["text 0"]),
        (Host { labels: vec![(2, 1)], ..Host::default() }, &[]),
        (Host { peers: vec![3], ..Host::default() }, &["text 0"]),
    ] {
        engine.db.hosts.put(0, host);
        ran(&mut engine, expected);
    }
}

#[test]
fn the_keys_of_a_map_run_their_reader_when_one_comes_or_goes() {
    fn names(ctx: &Ctx<'_, Db>, host: &u8, out: &mut Vec<(u8, String)>) {
        let names = |row: HostView<'_>| format!("{:?}", row.labels().keys().collect::<Vec<_>>());
        out.extend(ctx.row(&ctx.hosts, host).map(|row| (*host, names(row))));
    }
    let mut engine = Engine::new(db());
    engine.rule("names", |db| &db.hosts, |db| &mut db.summary, names);
    engine.trace(true);
    for (labels, expected) in [
        (vec![(1, 5)], &["names 0"][..]),
        (vec![(1, 6)], &[]),
        (vec![(1, 6), (2, 7)], &["names 0"]),
        (vec![(1, 8), (2, 9)], &[]),
        (vec![(2, 9)], &["names 0"]),
        (vec![(3, 9)], &["names 0"]),
    ] {
        engine.db.hosts.put(0, Host { labels, ..Host::default() });
        ran(&mut engine, expected);
    }
    assert_eq!(engine.db.summary.peek(&0).unwrap(), "[3]");
}

#[test]
fn writing_the_same_row_runs_nothing() {
    let mut engine = settled();
    engine.db.hosts.put(2, Host { rack: 2, labels: vec![(1, 9)], peers: vec![] });
    ran(&mut engine, &[]);
}

#[test]
fn a_row_that_goes_takes_what_was_written_for_it() {
    let mut engine = settled();
    engine.db.hosts.delete(&2);
    ran(&mut engine, &[]);
    assert_eq!(results(&engine).len(), 1);
    engine.db.hosts.delete(&0);
    engine.db.hosts.delete(&1);
    engine.settle();
    assert_eq!(engine.cells(), 0, "nothing is kept for rows that are gone");
}

#[test]
fn reports_are_handed_over_once_and_forgotten_when_mended() {
    let mut engine = engine(index);
    for key in 0..4 {
        engine
            .db
            .hosts
            .put(key, Host { rack: 1, labels: vec![], peers: (0..4).filter(|peer| *peer != key).collect() });
    }
    engine.settle();
    let reports = engine.take_reports();
    assert_eq!(reports.iter().map(|report| report.text.as_str()).collect::<Vec<_>>(), ["rack 1 is crowded"]);
    engine.recompute();
    engine.settle();
    assert_eq!(engine.take_reports(), []);
    engine.db.hosts.put(0, Host { rack: 1, ..Host::default() });
    engine.settle();
    engine.db.hosts.put(0, Host { rack: 1, labels: vec![], peers: vec![1, 2, 3] });
    engine.settle();
    assert_eq!(engine.take_reports().len(), 1, "what comes back is told again");
}

/// The test that guards the others: a rule that reads without a record is caught by comparison with a fresh engine.
#[test]
fn a_dropped_dependency_is_caught() {
    let mut broken = engine(index_unrecorded);
    apply(&mut broken, &[Edit::Put(0, Host { rack: 1, ..Host::default() }), Edit::Settle]);
    apply(&mut broken, &[Edit::Put(0, Host { rack: 2, ..Host::default() })]);
    assert_ne!(results(&broken), results(&from_scratch(&broken)));
}

#[test]
#[should_panic(expected = "rules read only what earlier steps wrote")]
fn reading_what_a_later_step_writes_is_refused() {
    fn looks_ahead(ctx: &Ctx<'_, Db>, host: &u8, out: &mut Vec<(u8, u8)>) {
        out.extend(ctx.value(&ctx.summary, host).map(|_| (*host, *host)));
    }
    let mut engine = engine(index);
    engine.rule("looks_ahead", |db| &db.hosts, |db| &mut db.hosts_in, looks_ahead);
    engine.rule("summary", |db| &db.label_one, |db| &mut db.summary, summary);
    engine.db.hosts.put(0, Host::default());
    engine.settle();
}
