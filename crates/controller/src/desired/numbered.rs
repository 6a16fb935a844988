//! Desired groups and meters: wanted by name, known to the switch by number.

use kiln_incr::{Derived, Target};
use kiln_openflow::msg::{Bucket, Group, Meter, MeterBand, Selection};
use kiln_types::HashMap;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;

/// What a group does: all of [`Group`] but its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSpec {
    /// [`Group::SELECT`] and the others.
    pub typ: u8,
    /// Its buckets.
    pub buckets: Vec<Bucket>,
    /// How a bucket is selected; `None` leaves it to the switch.
    pub selection: Option<Selection>,
}

/// What a meter does: all of [`Meter`] but its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeterSpec {
    /// [`Meter::PKTPS`] and the others.
    pub flags: u16,
    /// What happens from which rate on.
    pub bands: Vec<MeterBand>,
}

/// What has a name here and a number in the switch.
pub trait Spec: Clone + PartialEq + Debug + Send + Sync + 'static {
    /// The largest number.
    const MAX_ID: u32;

    /// The form in which what is wanted and what a switch lists can be compared.
    #[must_use]
    fn canonical(self) -> Self {
        self
    }
}

impl Spec for GroupSpec {
    const MAX_ID: u32 = Group::MAX_ID;
}

impl Spec for MeterSpec {
    const MAX_ID: u32 = Meter::MAX_ID;

    /// A burst that is not given is as large as the rate, and Open vSwitch lists it so even when the meter's flags say
    /// that it is not given.
    fn canonical(mut self) -> MeterSpec {
        for band in &mut self.bands {
            if self.flags & Meter::BURST == 0 {
                band.burst = 0;
            } else if band.burst == 0 {
                band.burst = band.rate;
            }
        }
        self
    }
}

impl From<Group> for GroupSpec {
    fn from(group: Group) -> GroupSpec {
        GroupSpec { typ: group.typ, buckets: group.buckets, selection: group.selection }
    }
}

impl From<Meter> for MeterSpec {
    fn from(meter: Meter) -> MeterSpec {
        MeterSpec { flags: meter.flags, bands: meter.bands }
    }
}

/// A group or a meter as a run wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named<S> {
    /// Equal names share a number.
    pub name: Box<str>,
    /// What it does.
    pub spec: S,
    /// The number that it has wherever no other name has that, if it follows from the name. One that is chosen may be chosen
    /// otherwise after a restart, where several do the same.
    pub number: Option<u32>,
}

/// Desired groups.
pub type DesiredGroups = Numbered<GroupSpec>;
/// Desired meters.
pub type DesiredMeters = Numbered<MeterSpec>;

#[derive(Debug)]
struct Entry<S> {
    /// What runs want, and how many; more than one only while they disagree.
    wanted: Vec<(Arc<S>, u32)>,
    /// The number that follows from the name.
    number: Option<u32>,
    id: Option<u32>,
}

/// How something with a number is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NumberedCommand {
    Add,
    Modify,
}

/// One change that brings the switch nearer to what is wanted.
#[derive(Debug)]
pub(crate) struct NumberedChange<S> {
    pub(crate) id: u32,
    pub(crate) command: NumberedCommand,
    pub(crate) spec: Arc<S>,
}

/// Things with names here and numbers in the switch: wanted and standing ones.
///
/// A rule writes requests, [`Numbered::grant`] is the allocator that follows it, and the numbers it writes are read by
/// the rules that make flows. A number stays with its name for as long as the name is wanted. A name from which a number
/// follows has that one, if it is free. Otherwise the lowest that is free is given, from 1; but what stands already in the
/// switch under a free number and is the very same thing, keeps that number, so that a restart changes nothing.
#[derive(Debug)]
pub struct Numbered<S> {
    names: HashMap<Box<str>, Entry<S>>,
    /// Names whose wishes have changed since the last grant.
    dirty: BTreeSet<Box<str>>,
    owner: BTreeMap<u32, Box<str>>,
    stands: BTreeMap<u32, Arc<S>>,
    /// Numbers under which something else may stand than is wanted.
    touched: BTreeSet<u32>,
    /// What the switch did not take.
    refused: BTreeMap<u32, Arc<S>>,
    /// What has been seen so far while the switch is read back.
    seen: BTreeMap<u32, Arc<S>>,
}

impl<S> Default for Numbered<S> {
    fn default() -> Self {
        Numbered {
            names: HashMap::default(),
            dirty: BTreeSet::new(),
            owner: BTreeMap::new(),
            stands: BTreeMap::new(),
            touched: BTreeSet::new(),
            refused: BTreeMap::new(),
            seen: BTreeMap::new(),
        }
    }
}

impl<S: Spec> Target for Numbered<S> {
    type Written = Vec<Named<S>>;
    type Id = Wish<S>;

    fn replace(&mut self, old: &[Wish<S>], new: &mut Vec<Named<S>>) -> Box<[Wish<S>]> {
        for wish in old {
            self.unwant(wish);
        }
        new.drain(..).map(|item| self.want(item)).collect()
    }
}

/// What is kept of what a run wrote.
#[derive(Debug)]
pub struct Wish<S>(Box<str>, Arc<S>);

/// The most of a switch's groups or meters that are kept in mind.
const MAX_STANDING: usize = 1 << 20;

impl<S: Spec> Numbered<S> {
    /// The number of a name, once granted.
    pub fn id(&self, name: &str) -> Option<u32> {
        self.names.get(name)?.id
    }

    /// Numbers, names and what they do, by number.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &str, &S)> {
        self.owner.iter().filter_map(|(id, name)| Some((*id, &**name, &**self.wanted(*id)?)))
    }

    /// How many are left out because the switch did not take them.
    pub fn refused(&self) -> usize {
        self.refused.len()
    }

    fn want(&mut self, Named { name, spec, number }: Named<S>) -> Wish<S> {
        let spec = spec.canonical();
        let entry = self.names.entry(name.clone()).or_insert(Entry { wanted: Vec::new(), number, id: None });
        let spec = match entry.wanted.iter_mut().find(|(other, _)| **other == spec) {
            Some((spec, count)) => {
                *count += 1;
                Arc::clone(spec)
            }
            None => {
                let spec = Arc::new(spec);
                entry.wanted.push((Arc::clone(&spec), 1));
                spec
            }
        };
        self.dirty.insert(name.clone());
        Wish(name, spec)
    }

    fn unwant(&mut self, Wish(name, spec): &Wish<S>) {
        let Some(entry) = self.names.get_mut(name) else { return };
        if let Some(at) = entry.wanted.iter().position(|(other, _)| Arc::ptr_eq(other, spec)) {
            entry.wanted[at].1 -= 1;
            if entry.wanted[at].1 == 0 {
                entry.wanted.remove(at);
            }
        }
        self.dirty.insert(name.clone());
    }

    /// What is wanted under a number. When runs disagree, what reads least as text, so that the order in which they
    /// came does not matter.
    fn wanted(&self, id: u32) -> Option<&Arc<S>> {
        match self.names.get(self.owner.get(&id)?)?.wanted.as_slice() {
            [] => None,
            [(only, _)] => Some(only),
            several => several.iter().map(|(spec, _)| spec).min_by_key(|spec| format!("{spec:?}")),
        }
    }

    /// The allocator: brings numbers, and the table that rules read them from, up to what is wanted.
    pub fn grant(&mut self, ids: &mut Derived<Box<str>, u32>) {
        let dirty = std::mem::take(&mut self.dirty);
        let mut new = Vec::new();
        for name in dirty {
            let Some(entry) = self.names.get(&name) else { continue };
            self.touched.extend(entry.id);
            match (entry.wanted.is_empty(), entry.id) {
                (false, None) => new.push(name),
                (true, id) => {
                    self.names.remove(&name);
                    if let Some(id) = id {
                        self.owner.remove(&id);
                        ids.delete(&name);
                    }
                }
                (false, Some(_)) => {}
            }
        }
        let rest = self.give_own(new, ids);
        let rest = self.adopt(rest, ids);
        let mut numbers = (1..=S::MAX_ID).peekable();
        for name in rest {
            while numbers.next_if(|id| self.owner.contains_key(id)).is_some() {}
            let Some(id) = numbers.next() else { break };
            self.give(id, name, ids);
        }
    }

    /// Gives new names the numbers that follow from them. Returns the others, and those whose number another name has.
    fn give_own(&mut self, new: Vec<Box<str>>, ids: &mut Derived<Box<str>, u32>) -> Vec<Box<str>> {
        let mut rest = Vec::new();
        for name in new {
            let number = self.names.get(&name).and_then(|entry| entry.number);
            match number.filter(|number| !self.owner.contains_key(number)) {
                Some(number) => self.give(number, name, ids),
                None => rest.push(name),
            }
        }
        rest
    }

    /// Gives new names the numbers under which what they want stands already. Returns the others.
    fn adopt(&mut self, new: Vec<Box<str>>, ids: &mut Derived<Box<str>, u32>) -> Vec<Box<str>> {
        if new.is_empty() || self.stands.len() == self.owner.len() {
            return new;
        }
        let free = self.stands.iter().filter(|(id, _)| !self.owner.contains_key(id));
        let mut free: BTreeMap<String, Vec<u32>> = free.fold(BTreeMap::new(), |mut free, (id, spec)| {
            free.entry(format!("{spec:?}")).or_default().push(*id);
            free
        });
        for ids in free.values_mut() {
            ids.reverse();
        }
        let mut rest = Vec::new();
        for name in new {
            let spec = self.names.get(&name).and_then(|entry| entry.wanted.first());
            let id = spec.and_then(|(spec, _)| free.get_mut(&format!("{spec:?}"))?.pop());
            match id {
                Some(id) => self.give(id, name, ids),
                None => rest.push(name),
            }
        }
        rest
    }

    fn give(&mut self, id: u32, name: Box<str>, ids: &mut Derived<Box<str>, u32>) {
        if let Some(entry) = self.names.get_mut(&name) {
            entry.id = Some(id);
        }
        self.owner.insert(id, name.clone());
        self.touched.insert(id);
        ids.put(name, id);
    }

    /// Whether something else may stand than is wanted.
    pub(crate) fn pending(&self) -> bool {
        !self.touched.is_empty()
    }

    /// Takes what is to be added and changed, and assumes that it will be done. What is to go stays for
    /// [`Numbered::take_deletes`].
    pub(crate) fn take_changes(&mut self) -> Vec<NumberedChange<S>> {
        let mut changes = Vec::new();
        for id in std::mem::take(&mut self.touched) {
            let Some(spec) = self.wanted(id).map(Arc::clone) else {
                self.refused.remove(&id);
                if self.stands.contains_key(&id) {
                    self.touched.insert(id);
                }
                continue;
            };
            if self.refused.get(&id) == Some(&spec) {
                continue;
            }
            self.refused.remove(&id);
            let command = match self.stands.get(&id) {
                Some(old) if *old == spec => continue,
                Some(_) => NumberedCommand::Modify,
                None => NumberedCommand::Add,
            };
            self.stands.insert(id, Arc::clone(&spec));
            changes.push(NumberedChange { id, command, spec });
        }
        changes
    }

    /// Takes the numbers of what is to go. What stands in place of something that was refused may still be in use and
    /// stays.
    pub(crate) fn take_deletes(&mut self) -> Vec<u32> {
        let gone = |id: &u32| !self.owner.contains_key(id);
        let deletes: Vec<u32> = self.touched.iter().copied().filter(gone).collect();
        for id in &deletes {
            self.touched.remove(id);
            self.stands.remove(id);
        }
        deletes
    }

    /// Leaves something out from now on, as long as it is wanted just so. Returns whether that is news.
    pub(crate) fn refuse(&mut self, change: &NumberedChange<S>) -> bool {
        self.touched.insert(change.id);
        let spec = Arc::clone(&change.spec);
        self.refused.insert(change.id, spec).is_none_or(|old| old != change.spec)
    }

    /// The name that has a number.
    pub(crate) fn name(&self, id: u32) -> &str {
        self.owner.get(&id).map_or("", |name| name)
    }

    /// Everything that stands is forgotten: the switch was emptied, or is about to be.
    pub(crate) fn forget_standing(&mut self) {
        self.start_reading();
        self.finish_reading();
    }

    /// Tries again what was refused with the next changes.
    pub(crate) fn forgive(&mut self) {
        self.touched.extend(std::mem::take(&mut self.refused).into_keys());
    }

    /// The switch is about to be read back.
    pub(crate) fn start_reading(&mut self) {
        self.seen.clear();
    }

    /// Notes what stands.
    pub(crate) fn read(&mut self, id: u32, spec: S) {
        if id <= S::MAX_ID && self.seen.len() < MAX_STANDING {
            self.seen.insert(id, Arc::new(spec.canonical()));
        }
    }

    /// Everything that stands was noted: what was not, does not.
    pub(crate) fn finish_reading(&mut self) {
        let seen = std::mem::take(&mut self.seen);
        let old = std::mem::replace(&mut self.stands, seen);
        self.touched.extend(old.into_keys());
        self.touched.extend(self.stands.keys());
        self.touched.extend(self.owner.keys());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Ids = Derived<Box<str>, u32>;

    fn meter(name: &str, rate: u32) -> Named<MeterSpec> {
        let band = MeterBand { typ: MeterBand::DROP, rate, burst: 0, prec_level: 0 };
        Named { name: name.into(), spec: MeterSpec { flags: Meter::PKTPS, bands: vec![band] }, number: None }
    }

    fn ids(meters: &DesiredMeters) -> Vec<(u32, &str)> {
        meters.iter().map(|(id, name, _)| (id, name)).collect()
    }

    /// Takes the changes as command, number and rate.
    fn changes(meters: &mut DesiredMeters) -> Vec<(NumberedCommand, u32, u32)> {
        let changes = meters.take_changes();
        changes.iter().map(|change| (change.command, change.id, change.spec.bands[0].rate)).collect()
    }

    #[test]
    fn numbers_are_the_lowest_free_and_stay() {
        let (mut meters, mut granted) = (DesiredMeters::default(), Ids::new("ids"));
        let a = meters.replace(&[], &mut vec![meter("a", 1), meter("b", 2)]);
        let c = meters.replace(&[], &mut vec![meter("c", 3), meter("b", 2)]);
        meters.grant(&mut granted);
        assert_eq!(ids(&meters), [(1, "a"), (2, "b"), (3, "c")]);
        let a = meters.replace(&a, &mut vec![]);
        let d = meters.replace(&[], &mut vec![meter("d", 4), meter("e", 5)]);
        meters.grant(&mut granted);
        // The other run still wants b.
        assert_eq!(ids(&meters), [(1, "d"), (2, "b"), (3, "c"), (4, "e")]);
        assert_eq!(granted.peek(&"d".into()), Some(&1));
        assert_eq!(granted.peek(&"a".into()), None);
        meters.replace(&c, &mut vec![]);
        meters.replace(&d, &mut vec![meter("e", 5)]);
        meters.replace(&a, &mut vec![meter("f", 1)]);
        meters.grant(&mut granted);
        assert_eq!(ids(&meters), [(1, "f"), (4, "e")]);
    }

    #[test]
    fn what_stands_already_keeps_its_number() {
        let (mut meters, mut granted) = (DesiredMeters::default(), Ids::new("ids"));
        meters.start_reading();
        for (id, rate) in [(2, 20), (3, 30), (7, 10), (9, 10)] {
            meters.read(id, meter("", rate).spec);
        }
        meters.finish_reading();
        meters.replace(
            &[],
            &mut vec![meter("a", 10), meter("b", 20), meter("c", 99), meter("d", 10), meter("e", 10)],
        );
        meters.grant(&mut granted);
        assert_eq!(ids(&meters), [(1, "c"), (2, "b"), (3, "e"), (7, "a"), (9, "d")]);
        use NumberedCommand::{Add, Modify};
        assert_eq!(changes(&mut meters), [(Add, 1, 99), (Modify, 3, 10)]);
        assert_eq!(meters.take_deletes(), Vec::<u32>::new());
    }

    #[test]
    fn a_number_that_follows_from_the_name_is_the_same_after_a_restart() {
        let of = |name, number| Named { number: Some(number), ..meter(name, 1) };
        let (mut meters, mut granted) = (DesiredMeters::default(), Ids::new("ids"));
        // They come one by one, and not in order.
        for named in [of("b", 50), of("a", 70), meter("c", 1), of("d", 50)] {
            meters.replace(&[], &mut vec![named]);
            meters.grant(&mut granted);
        }
        assert_eq!(ids(&meters), [(1, "c"), (2, "d"), (50, "b"), (70, "a")], "another name has d's");
        meters.take_changes();

        let mut again = DesiredMeters::default();
        again.start_reading();
        for (id, _, spec) in meters.iter() {
            again.read(id, spec.clone());
        }
        again.finish_reading();
        again.replace(&[], &mut vec![of("a", 70), of("b", 50), meter("c", 1)]);
        again.grant(&mut Ids::new("ids"));
        assert_eq!(ids(&again), [(1, "c"), (50, "b"), (70, "a")]);
        assert_eq!(changes(&mut again), []);
    }

    #[test]
    fn a_burst_that_is_not_given_does_not_matter() {
        let (mut meters, mut granted) = (DesiredMeters::default(), Ids::new("ids"));
        let with = |flags, burst| {
            let mut meter = meter("a", 10);
            (meter.spec.flags, meter.spec.bands[0].burst) = (flags, burst);
            meter
        };
        for (wanted, listed, same) in [
            (with(Meter::PKTPS, 0), with(Meter::PKTPS, 10), true),
            (with(Meter::PKTPS | Meter::BURST, 0), with(Meter::PKTPS | Meter::BURST, 10), true),
            (with(Meter::PKTPS | Meter::BURST, 5), with(Meter::PKTPS | Meter::BURST, 10), false),
        ] {
            meters.start_reading();
            meters.read(1, listed.spec);
            meters.finish_reading();
            let run = meters.replace(&[], &mut vec![wanted]);
            meters.grant(&mut granted);
            assert_eq!(changes(&mut meters).is_empty(), same);
            meters.replace(&run, &mut vec![]);
            meters.grant(&mut granted);
            meters.take_deletes();
        }
    }

    #[test]
    fn changes_follow_what_is_wanted() {
        use NumberedCommand::{Add, Modify};
        let (mut meters, mut granted) = (DesiredMeters::default(), Ids::new("ids"));
        let one = meters.replace(&[], &mut vec![meter("a", 1)]);
        meters.grant(&mut granted);
        assert_eq!(changes(&mut meters), [(Add, 1, 1)]);
        let one = meters.replace(&one, &mut vec![meter("a", 2)]);
        meters.grant(&mut granted);
        assert_eq!(changes(&mut meters), [(Modify, 1, 2)]);
        // Runs that disagree: the order in which they came does not matter.
        let two = meters.replace(&[], &mut vec![meter("a", 1)]);
        meters.grant(&mut granted);
        assert_eq!(changes(&mut meters), [(Modify, 1, 1)]);
        meters.replace(&two, &mut vec![]);
        meters.grant(&mut granted);
        assert_eq!(changes(&mut meters), [(Modify, 1, 2)]);
        meters.replace(&one, &mut vec![]);
        meters.grant(&mut granted);
        assert_eq!(changes(&mut meters), []);
        assert_eq!(meters.take_deletes(), [1]);
        assert!(!meters.pending());
    }
}
