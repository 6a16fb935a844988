//! Rules that run for elements of sets, for pairs, and for what two tables have under the same key.

use kiln_incr::{Ctx, Database, Derived, Engine, Join, Pairs, Relation, Sets, Visitor};
use kiln_types::SharedSet;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// Sets of numbers by name, and readers of sets.
struct Db {
    sets: Derived<u8, BTreeSet<u8>>,
    reads: Derived<u8, u8>,
    elements: Sets<u8, u8>,
    halves: Pairs<u8, u8>,
    readers: Pairs<u8, u8>,
    met: Join<u8, u8, u8>,
    seen: Relation<u8, Seen>,
}

/// A half that a reader sees, whether the set has others, and whether it has the next.
type Seen = (u8, bool, bool);

impl Database for Db {
    fn visit(&mut self, v: &mut dyn Visitor) {
        v.table(&mut self.sets);
        v.table(&mut self.reads);
        v.table(&mut self.elements);
        v.table(&mut self.halves);
        v.table(&mut self.readers);
        v.table(&mut self.met);
        v.table(&mut self.seen);
    }
}

fn elements(ctx: &Ctx<'_, Db>, name: &u8, out: &mut Vec<(u8, SharedSet<u8>)>) {
    out.extend(ctx.value(&ctx.sets, name).map(|set| (*name, set.iter().copied().collect())));
}

/// Two elements have the same half.
fn halves(_: &Ctx<'_, Db>, (name, element): &(u8, u8), out: &mut Vec<(u8, u8)>) {
    out.push((*name, element / 2));
}

fn readers(ctx: &Ctx<'_, Db>, reader: &u8, out: &mut Vec<(u8, u8)>) {
    out.extend(ctx.value(&ctx.reads, reader).map(|name| (*name, *reader)));
}

fn seen(ctx: &Ctx<'_, Db>, (name, reader, half): &(u8, u8, u8), out: &mut Vec<(u8, Seen)>) {
    let several = ctx.has_several(&ctx.halves, name);
    out.push((*reader, (*half, several, ctx.has_pair(&ctx.halves, name, &(half + 1)))));
}

fn engine() -> Engine<Db> {
    let mut engine = Engine::new(Db {
        sets: Derived::new("sets"),
        reads: Derived::new("reads"),
        elements: Sets::new("elements"),
        halves: Pairs::new("halves"),
        readers: Pairs::new("readers"),
        met: Join::new("met"),
        seen: Relation::new("seen"),
    });
    engine.rule("elements", |db| &db.sets, |db| &mut db.elements, elements);
    engine.rule("halves", |db| &db.elements, |db| &mut db.halves, halves);
    engine.rule("readers", |db| &db.reads, |db| &mut db.readers, readers);
    engine.allocator("met", |db| &mut db.met, |db| db.met.follow(&db.readers, &db.halves));
    engine.rule("seen", |db| &db.met, |db| &mut db.seen, seen);
    engine
}

/// What readers see, worked out anew.
fn expected(db: &Db) -> BTreeMap<u8, Vec<Seen>> {
    let mut all = BTreeMap::new();
    for (reader, name) in db.reads.iter() {
        let Some(set) = db.sets.peek(name) else { continue };
        let halves: BTreeSet<u8> = set.iter().map(|element| element / 2).collect();
        let one = |half: &u8| (*half, halves.len() > 1, halves.contains(&(half + 1)));
        all.insert(*reader, halves.iter().map(one).collect::<Vec<Seen>>());
    }
    all.retain(|_, seen| !seen.is_empty());
    all
}

#[derive(Clone, Debug)]
enum Edit {
    Set(u8, BTreeSet<u8>),
    NoSet(u8),
    Read(u8, u8),
    NoReader(u8),
    Settle,
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let edit = prop_oneof![
        4 => (0..3u8, proptest::collection::btree_set(0..10u8, 0..6)).prop_map(|(name, set)| Edit::Set(name, set)),
        1 => (0..3u8).prop_map(Edit::NoSet),
        3 => (0..4u8, 0..3u8).prop_map(|(reader, name)| Edit::Read(reader, name)),
        1 => (0..4u8).prop_map(Edit::NoReader),
        3 => Just(Edit::Settle),
    ];
    proptest::collection::vec(edit, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn readers_see_what_there_is(edits in edits()) {
        let mut engine = engine();
        for edit in edits {
            match edit {
                Edit::Set(name, set) => engine.db.sets.put(name, set),
                Edit::NoSet(name) => drop(engine.db.sets.delete(&name)),
                Edit::Read(reader, name) => engine.db.reads.put(reader, name),
                Edit::NoReader(reader) => drop(engine.db.reads.delete(&reader)),
                Edit::Settle => drop(engine.settle()),
            }
        }
        engine.settle();
        let seen: BTreeMap<u8, Vec<Seen>> =
            engine.db.seen.iter().map(|(reader, seen)| (*reader, seen.to_vec())).collect();
        prop_assert_eq!(seen, expected(&engine.db));
    }
}

#[test]
fn an_element_that_comes_runs_what_it_makes_and_what_asked_for_it() {
    let mut engine = engine();
    engine.db.sets.put(1, [0, 10, 20].into());
    engine.db.sets.put(2, [0].into());
    engine.db.reads.put(7, 1);
    engine.db.reads.put(8, 1);
    engine.db.reads.put(9, 2);
    engine.settle();
    engine.trace(true);
    engine.db.sets.put(1, [0, 8, 10, 20].into());
    engine.settle();
    assert_eq!(engine.take_trace(), ["elements 1", "halves (1, 8)", "seen (1, 7, 4)", "seen (1, 8, 4)"]);
    // The same half as another element's: nothing comes of it.
    engine.db.sets.put(1, [0, 8, 10, 11, 20].into());
    engine.settle();
    assert_eq!(engine.take_trace(), ["elements 1", "halves (1, 11)"]);
    // Nor if that goes; but a half of the other set is no longer alone, and has the next.
    engine.db.sets.put(1, [0, 8, 11, 20].into());
    engine.db.sets.put(2, [0, 1, 2].into());
    engine.settle();
    let expected =
        ["elements 1", "elements 2", "halves (2, 1)", "halves (2, 2)", "seen (2, 9, 0)", "seen (2, 9, 1)"];
    assert_eq!(engine.take_trace(), expected);
    // The half before it asked for the one that goes.
    engine.db.sets.put(1, [0, 8, 20].into());
    engine.settle();
    assert_eq!(engine.take_trace(), ["elements 1", "seen (1, 7, 4)", "seen (1, 8, 4)"]);
}
