//! Desired flows: as often as runs want them, one for each table, priority and match.

use super::actions::{FlowActions, Interned};
use hashbrown::HashTable;
use kiln_incr::Target;
use kiln_openflow::msg::{FlowMod, FlowStats};
use kiln_openflow::{Action, Actions, Instruction, Match};
use kiln_types::HashMap;
use std::cmp::Reverse;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A flow as a run wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DesiredFlow {
    /// OpenFlow table.
    pub table: u8,
    /// Higher wins.
    pub priority: u16,
    /// What it matches.
    pub flow_match: Match,
    /// What it does.
    pub actions: FlowActions,
    /// Which row it comes from.
    pub cookie: u64,
}

/// What a flow does, and its cookie.
#[derive(Clone, Debug)]
pub(crate) struct Effect {
    pub(crate) actions: Arc<Actions>,
    pub(crate) cookie: u64,
}

impl PartialEq for Effect {
    /// Lists of actions are interned.
    fn eq(&self, other: &Effect) -> bool {
        Arc::ptr_eq(&self.actions, &other.actions) && self.cookie == other.cookie
    }
}

/// What runs want of a flow.
#[derive(Debug)]
enum Wanted {
    Nothing,
    /// The same from every run; its number is 0.
    One(Effect, u32),
    // Rare, so that every other entry is the smaller for it.
    #[allow(clippy::box_collection)]
    Several(Box<Vec<Variant>>),
}

/// One of several wishes for the same table, priority and match.
#[derive(Debug)]
struct Variant {
    effect: Effect,
    count: u32,
    /// Tells it from the others, so that a run can take back its own.
    number: u32,
}

impl Wanted {
    /// Counts a wish and gives its number.
    fn add(&mut self, new: Effect) -> u32 {
        match self {
            Wanted::Nothing => *self = Wanted::One(new, 1),
            Wanted::One(effect, count) if *effect == new => *count += 1,
            Wanted::One(effect, count) => {
                let first = Variant { effect: effect.clone(), count: *count, number: 0 };
                *self = Wanted::Several(Box::new(vec![first, Variant { effect: new, count: 1, number: 1 }]));
                return 1;
            }
            Wanted::Several(variants) => {
                if let Some(variant) = variants.iter_mut().find(|variant| variant.effect == new) {
                    variant.count += 1;
                    return variant.number;
                }
                let taken = |number: &u32| variants.iter().any(|variant| variant.number == *number);
                // One more number than there are variants: one of them is free.
                let number = (0..=variants.len() as u32).find(|number| !taken(number)).unwrap_or(u32::MAX);
                variants.push(Variant { effect: new, count: 1, number });
                return number;
            }
        }
        0
    }

    /// Takes a wish back. Returns whether it was the last of its kind.
    fn remove(&mut self, number: u32) -> bool {
        match self {
            Wanted::Nothing => return false,
            Wanted::One(_, count) if *count > 1 => {
                *count -= 1;
                return false;
            }
            Wanted::One(..) => *self = Wanted::Nothing,
            Wanted::Several(variants) => {
                let Some(at) = variants.iter().position(|variant| variant.number == number) else {
                    return false;
                };
                variants[at].count -= 1;
                if variants[at].count > 0 {
                    return false;
                }
                variants.swap_remove(at);
                match variants.as_slice() {
                    [] => *self = Wanted::Nothing,
                    // Runs know a wish by its number, and only 0 goes without a list.
                    [Variant { effect, count, number: 0 }] => *self = Wanted::One(effect.clone(), *count),
                    _ => {}
                }
            }
        }
        true
    }
}

#[derive(Debug)]
struct Entry {
    flow_match: Match,
    wanted: Wanted,
    /// The flow as the switch has it, or will once what was sent is done.
    stands: Option<Effect>,
    priority: u16,
    table: u8,
    /// Listed in `touched`.
    touched: bool,
    /// Seen while the switch is read back.
    seen: bool,
    /// Runs disagree about it.
    contested: bool,
    /// In the index: somebody wants it, or it stands.
    alive: bool,
}

impl Entry {
    fn add(&self, actions: Actions, cookie: u64) -> FlowMod {
        let mut message = FlowMod::new(FlowMod::ADD, self.table, self.priority, self.flow_match.clone());
        message.instructions = actions.into();
        message.cookie = cookie;
        message
    }
}

/// What is kept of a flow that a run wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowRef {
    slot: u32,
    number: u32,
}

/// How a flow is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FlowCommand {
    /// It is new, or its cookie changes.
    Add,
    /// Its actions change.
    Modify,
    /// It goes.
    Delete,
}

/// One change that brings the switch nearer to what is wanted.
#[derive(Clone, Debug)]
pub(crate) struct FlowChange {
    slot: u32,
    pub(crate) command: FlowCommand,
    /// What it becomes; `None` when it goes.
    pub(crate) effect: Option<Effect>,
}

/// Wanted and standing flows. Rules write to it; [`crate::install`] brings the switch up to it.
///
/// Where several runs want different things of the same table, priority and match, one flow is made of them,
/// whatever the order in which they came: clauses of conjunctions are put together; otherwise actions win over a drop,
/// and a drop over conjunctions, which is what a packet would get that met each alone; among different actions the
/// least in byte order wins, and of equal ones the least cookie.
#[derive(Debug, Default)]
pub struct DesiredFlows {
    entries: Vec<Entry>,
    index: HashTable<u32>,
    actions: Interned,
    free: Vec<u32>,
    /// Slots that are free but that a batch in flight may still name.
    retired: Vec<u32>,
    /// Entries that may differ from what stands.
    touched: Vec<u32>,
    /// What the switch did not let flows become; `None` if it did not let them go.
    refused: HashMap<u32, Option<Effect>>,
    /// What of the switch's flows cannot be what is wanted, whatever its actions are.
    foreign: Arc<Actions>,
    wanted: usize,
    contested: usize,
    /// How many flows there were after the last [`DesiredFlows::forget_unsent`], or fewer since.
    unsent_floor: usize,
    /// What was left out since the installer last asked.
    oversized: Vec<String>,
}

impl Target for DesiredFlows {
    type Written = Vec<DesiredFlow>;
    type Id = FlowRef;

    fn replace(&mut self, old: &[FlowRef], new: &mut Vec<DesiredFlow>) -> Box<[FlowRef]> {
        // Old ones first, so that a flow that merely changes is never wanted in two ways; what stands of it is not
        // forgotten before changes are taken.
        for flow in old {
            self.unwant(*flow);
        }
        new.drain(..).map(|flow| self.want(flow)).collect()
    }
}

/// The slot of flows that could not be encoded.
const NOWHERE: u32 = u32::MAX;

/// The most flows of a switch that are kept in mind: it may be somebody else's, or lying.
const MAX_FLOWS: usize = 1 << 23;

fn hash(table: u8, priority: u16, flow_match: &Match) -> u64 {
    xxh3_64_with_seed(flow_match.as_oxm(), u64::from(table) << 16 | u64::from(priority))
}

impl DesiredFlows {
    /// How many flows are wanted.
    pub fn len(&self) -> usize {
        self.wanted
    }

    /// Whether no flow is wanted.
    pub fn is_empty(&self) -> bool {
        self.wanted == 0
    }

    /// Of how many flows runs want different actions, as of when changes were last taken.
    pub fn contested(&self) -> usize {
        self.contested
    }

    /// How many flows are left out because the switch did not take them, or stand because it does not let them go.
    pub fn refused(&self) -> usize {
        self.refused.len()
    }

    /// The flows that the switch is to hold, in no particular order: for comparisons and for listing them.
    pub fn iter(&self) -> impl Iterator<Item = FlowMod> {
        self.entries.iter().filter_map(|entry| {
            let (actions, cookie) = resolve(&entry.wanted)?;
            Some(entry.add(actions.into_list(), cookie))
        })
    }

    /// Flows that no message holds, as texts, each once; they are left out.
    pub(crate) fn take_oversized(&mut self) -> Vec<String> {
        std::mem::take(&mut self.oversized)
    }

    fn want(&mut self, flow: DesiredFlow) -> FlowRef {
        let encoded = match flow.actions {
            FlowActions::Shared(actions) => Ok(self.actions.share(actions)),
            FlowActions::List(list) => Actions::encode(&list).map(|actions| self.actions.get(actions)),
        };
        let actions = match encoded {
            Ok(actions) => actions,
            Err(error) => {
                let flow = FlowMod::new(FlowMod::ADD, flow.table, flow.priority, flow.flow_match);
                self.oversized.push(format!("{flow}: {error}"));
                return FlowRef { slot: NOWHERE, number: 0 };
            }
        };
        let slot = self.slot(flow.table, flow.priority, flow.flow_match);
        let effect = Effect { actions, cookie: flow.cookie };
        let entry = &mut self.entries[slot as usize];
        self.wanted += usize::from(matches!(entry.wanted, Wanted::Nothing));
        let number = entry.wanted.add(effect);
        self.touch(slot);
        FlowRef { slot, number }
    }

    fn unwant(&mut self, flow: FlowRef) {
        if flow.slot == NOWHERE {
            return;
        }
        let entry = &mut self.entries[flow.slot as usize];
        if entry.wanted.remove(flow.number) {
            self.actions.dropped(1);
        }
        self.wanted -= usize::from(matches!(entry.wanted, Wanted::Nothing));
        self.touch(flow.slot);
    }

    fn slot(&mut self, table: u8, priority: u16, flow_match: Match) -> u32 {
        let hash_of = |entries: &[Entry], slot: u32| {
            let entry = &entries[slot as usize];
            hash(entry.table, entry.priority, &entry.flow_match)
        };
        let entries = &mut self.entries;
        let same = |slot: &u32| {
            let entry = &entries[*slot as usize];
            entry.table == table && entry.priority == priority && entry.flow_match == flow_match
        };
        let key = hash(table, priority, &flow_match);
        if let Some(slot) = self.index.find(key, same) {
            return *slot;
        }
        let entry = Entry {
            flow_match,
            wanted: Wanted::Nothing,
            stands: None,
            priority,
            table,
            touched: false,
            seen: false,
            contested: false,
            alive: true,
        };
        let slot = if let Some(slot) = self.free.pop() {
            entries[slot as usize] = entry;
            slot
        } else {
            entries.push(entry);
            (entries.len() - 1) as u32
        };
        self.index.insert_unique(key, slot, |slot| hash_of(entries, *slot));
        slot
    }

    fn touch(&mut self, slot: u32) {
        let entry = &mut self.entries[slot as usize];
        if !entry.touched {
            entry.touched = true;
            self.touched.push(slot);
        }
    }

    /// What the flow is to be, unless the switch has refused just that.
    fn aim(&mut self, slot: u32) -> Option<Effect> {
        let effect = match &self.entries[slot as usize].wanted {
            Wanted::One(effect, _) => Some(effect.clone()),
            wanted => resolve(wanted).map(|(actions, cookie)| {
                let actions = match actions {
                    Resolved::Kept(actions) => actions,
                    Resolved::Made(actions) => self.actions.get(actions),
                };
                Effect { actions, cookie }
            }),
        };
        match self.refused.get(&slot) {
            Some(refused) if effect == *refused => None,
            Some(_) => {
                self.refused.remove(&slot);
                effect
            }
            None => effect,
        }
    }

    fn must_stay(&self, slot: u32) -> bool {
        self.refused.get(&slot) == Some(&None)
    }

    /// Whether so many slots wait for [`DesiredFlows::quiet`] that it has to come before more changes.
    pub(crate) fn crowded(&self) -> bool {
        self.retired.len() > self.entries.len() / 4 + 4096
    }

    /// Everything that stands is forgotten: the switch was emptied, or is about to be.
    pub(crate) fn forget_standing(&mut self) {
        self.start_reading();
        self.finish_reading();
    }

    /// Whether some flow may differ from what stands.
    pub(crate) fn pending(&self) -> bool {
        !self.touched.is_empty()
    }

    /// Takes the changes that make the switch hold what is wanted, and assumes that they will be done.
    pub(crate) fn take_changes(&mut self) -> Vec<FlowChange> {
        let mut changes = Vec::new();
        for slot in std::mem::take(&mut self.touched) {
            let aim = self.aim(slot);
            let entry = &mut self.entries[slot as usize];
            entry.touched = false;
            let contested = disagree(&entry.wanted);
            self.contested -= usize::from(entry.contested);
            self.contested += usize::from(contested);
            entry.contested = contested;
            if entry.stands != aim && !(aim.is_none() && self.must_stay(slot)) {
                let entry = &mut self.entries[slot as usize];
                let command = match (&entry.stands, &aim) {
                    (_, None) => FlowCommand::Delete,
                    (Some(old), Some(new))
                        if old.cookie == new.cookie && !Arc::ptr_eq(&old.actions, &self.foreign) =>
                    {
                        FlowCommand::Modify
                    }
                    (_, Some(_)) => FlowCommand::Add,
                };
                self.actions.dropped(usize::from(entry.stands.is_some()));
                entry.stands.clone_from(&aim);
                changes.push(FlowChange { slot, command, effect: aim });
            }
            self.bury(slot);
        }
        changes
    }

    /// Forgets flows that came and went while there was no switch to send them to, if they are most of what is kept.
    /// Nothing that was sent may be open.
    pub(crate) fn forget_unsent(&mut self) {
        let kept = self.index.len();
        self.unsent_floor = self.unsent_floor.min(kept);
        if kept <= 2 * self.wanted.max(self.unsent_floor) + 4096 {
            return;
        }
        for slot in std::mem::take(&mut self.touched) {
            let entry = &mut self.entries[slot as usize];
            if entry.stands.is_some() || !matches!(entry.wanted, Wanted::Nothing) {
                self.touched.push(slot);
                continue;
            }
            entry.touched = false;
            self.contested -= usize::from(std::mem::take(&mut entry.contested));
            self.bury(slot);
        }
        self.touched.shrink_to_fit();
        self.unsent_floor = self.index.len();
        self.quiet();
    }

    /// Forgets a flow that nobody wants and that does not stand.
    fn bury(&mut self, slot: u32) {
        let entry = &mut self.entries[slot as usize];
        if entry.stands.is_some() || !matches!(entry.wanted, Wanted::Nothing) || !entry.alive {
            return;
        }
        entry.alive = false;
        let key = hash(entry.table, entry.priority, &entry.flow_match);
        if let Ok(found) = self.index.find_entry(key, |other| *other == slot) {
            found.remove();
        }
        self.refused.remove(&slot);
        self.retired.push(slot);
    }

    /// Nothing that was sent is open any more: no slot is named but by rules and the index.
    pub(crate) fn quiet(&mut self) {
        for slot in std::mem::take(&mut self.retired) {
            self.entries[slot as usize].flow_match = Match::any();
            self.free.push(slot);
        }
        self.actions.sweep();
        self.shrink();
    }

    /// Gives back the memory of what has gone, if that is most of it.
    fn shrink(&mut self) {
        if self.free.len() > self.entries.len() / 2 + 1024 {
            let len = self.entries.iter().rposition(|entry| entry.alive).map_or(0, |last| last + 1);
            self.entries.truncate(len);
            self.entries.shrink_to_fit();
            self.free.retain(|slot| (*slot as usize) < len);
            // The lowest first, so that the end comes free again.
            self.free.sort_unstable_by_key(|slot| Reverse(*slot));
            self.free.shrink_to_fit();
        }
        let entries = &self.entries;
        if self.index.capacity() > 4 * self.index.len() + 1024 {
            let hash_of = |slot: &u32| {
                let entry = &entries[*slot as usize];
                hash(entry.table, entry.priority, &entry.flow_match)
            };
            self.index.shrink_to_fit(hash_of);
        }
    }

    /// The whole flow that a change is about, as it was sent.
    pub(crate) fn describe(&self, change: &FlowChange) -> FlowMod {
        let entry = &self.entries[change.slot as usize];
        match &change.effect {
            Some(effect) => entry.add((*effect.actions).clone(), effect.cookie),
            None => entry.add(Actions::none(), 0),
        }
    }

    /// The message that makes a change.
    pub(crate) fn message(&self, change: &FlowChange) -> FlowMod {
        let mut message = self.describe(change);
        match change.command {
            FlowCommand::Add => {}
            // A cookie here would say which flows are meant.
            FlowCommand::Modify => (message.command, message.cookie) = (FlowMod::MODIFY_STRICT, 0),
            FlowCommand::Delete => message.command = FlowMod::DELETE_STRICT,
        }
        message
    }

    /// Leaves a change out from now on, as long as just that is wanted. Returns whether that is news.
    pub(crate) fn refuse(&mut self, change: &FlowChange) -> bool {
        let entry = &self.entries[change.slot as usize];
        let slot = match (&change.effect, entry.alive) {
            (Some(_), false) => return false,
            (_, true) => change.slot,
            // It was forgotten, since it was to go.
            (None, false) => self.slot(entry.table, entry.priority, entry.flow_match.clone()),
        };
        if change.effect.is_none() {
            let foreign = Effect { actions: Arc::clone(&self.foreign), cookie: 0 };
            self.entries[slot as usize].stands.get_or_insert(foreign);
        }
        self.touch(slot);
        self.refused.insert(slot, change.effect.clone()).is_none_or(|old| old != change.effect)
    }

    /// Tries refused flows again with the next changes.
    pub(crate) fn forgive(&mut self) {
        for (slot, _) in std::mem::take(&mut self.refused) {
            self.touch(slot);
        }
    }

    /// The switch is about to be read back.
    pub(crate) fn start_reading(&mut self) {
        self.entries.iter_mut().for_each(|entry| entry.seen = false);
    }

    /// Notes a flow that stands. Returns whether it counts: flows that time out are the switch's own, learned from
    /// packets, and are passed over.
    pub(crate) fn read(&mut self, flow: FlowStats) -> bool {
        if flow.idle_timeout_s != 0 || flow.hard_timeout_s != 0 || self.entries.len() >= MAX_FLOWS {
            return false;
        }
        let actions = match flow.instructions.as_slice() {
            [] => self.actions.get(Actions::none()),
            [Instruction::ApplyActions(actions)] => self.actions.get(actions.clone()),
            _ => Arc::clone(&self.foreign),
        };
        let actions =
            if flow.flags == 0 && flow.importance == 0 { actions } else { Arc::clone(&self.foreign) };
        let slot = self.slot(flow.table_id, flow.priority, flow.flow_match);
        let entry = &mut self.entries[slot as usize];
        let stands = Some(Effect { actions, cookie: flow.cookie });
        entry.seen = true;
        if entry.stands != stands || matches!(entry.wanted, Wanted::Nothing) {
            entry.stands = stands;
            self.touch(slot);
        }
        true
    }

    /// Everything that stands was noted: what was not, does not.
    pub(crate) fn finish_reading(&mut self) {
        for slot in 0..self.entries.len() {
            let entry = &mut self.entries[slot];
            if !entry.seen && entry.stands.take().is_some() {
                self.touch(slot as u32);
            }
        }
    }
}

/// Whether several wishes cannot all be met by one flow.
fn disagree(wanted: &Wanted) -> bool {
    let Wanted::Several(variants) = wanted else { return false };
    let first = &variants[0].effect.actions;
    let same = variants.iter().all(|variant| Arc::ptr_eq(&variant.effect.actions, first));
    !same && !variants.iter().all(|variant| kind(&variant.effect.actions) == Kind::Conjunction)
}

/// What kind of flow actions make, in the order in which they win.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Acts,
    Drops,
    Conjunction,
}

fn kind(actions: &Actions) -> Kind {
    if actions.is_empty() {
        Kind::Drops
    } else if actions.iter().all(|action| matches!(action, Action::Conjunction { .. })) {
        Kind::Conjunction
    } else {
        Kind::Acts
    }
}

/// Actions that one of the wishes has, or that were put together.
enum Resolved {
    Kept(Arc<Actions>),
    Made(Actions),
}

impl Resolved {
    fn into_list(self) -> Actions {
        match self {
            Resolved::Kept(actions) => (*actions).clone(),
            Resolved::Made(actions) => actions,
        }
    }
}

/// The one flow that is made of all wishes.
fn resolve(wanted: &Wanted) -> Option<(Resolved, u64)> {
    let variants = match wanted {
        Wanted::Nothing => return None,
        Wanted::One(effect, _) => return Some((Resolved::Kept(Arc::clone(&effect.actions)), effect.cookie)),
        Wanted::Several(variants) => variants,
    };
    let rank = |effect: &Effect| (kind(&effect.actions), Arc::clone(&effect.actions), effect.cookie);
    let best = variants.iter().map(|variant| &variant.effect).min_by_key(|effect| rank(effect))?;
    if kind(&best.actions) == Kind::Conjunction
        && let Some(actions) = merge(variants)
    {
        let cookie = variants.iter().map(|variant| variant.effect.cookie).min()?;
        return Some((Resolved::Made(actions), cookie));
    }
    Some((Resolved::Kept(Arc::clone(&best.actions)), best.cookie))
}

/// All clauses that any of the wishes has, each once; `None` if they do not fit into one flow.
fn merge(variants: &[Variant]) -> Option<Actions> {
    let mut clauses: Vec<(u32, u8, u8)> = variants
        .iter()
        .flat_map(|variant| variant.effect.actions.iter())
        .filter_map(|action| match action {
            Action::Conjunction { id, clause, n_clauses } => Some((id, clause, n_clauses)),
            _ => None,
        })
        .collect();
    clauses.sort_unstable_by_key(|(id, clause, n_clauses)| (*id, *clause, Reverse(*n_clauses)));
    clauses.dedup();
    let clauses: Vec<Action> = clauses
        .into_iter()
        .map(|(id, clause, n_clauses)| Action::Conjunction { id, clause, n_clauses })
        .collect();
    Actions::encode(&clauses).ok()
}

#[cfg(test)]
#[path = "flow_tests.rs"]
mod tests;
