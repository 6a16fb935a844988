//! Lists of actions, each kept once however many flows have it.

use hashbrown::HashTable;
use kiln_openflow::{Action, Actions};
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// Below this many, lists that no flow has any more are not worth looking for.
const SWEEP_FROM: usize = 1024;

/// What a flow does, as the run that wants it has it at hand; an empty list drops the packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlowActions {
    /// Action by action.
    List(Box<[Action]>),
    /// Encoded, for several flows.
    Shared(Arc<Actions>),
}

impl From<Vec<Action>> for FlowActions {
    fn from(actions: Vec<Action>) -> FlowActions {
        FlowActions::List(actions.into())
    }
}

impl From<&[Action]> for FlowActions {
    fn from(actions: &[Action]) -> FlowActions {
        FlowActions::List(actions.into())
    }
}

impl<const N: usize> From<[Action; N]> for FlowActions {
    fn from(actions: [Action; N]) -> FlowActions {
        FlowActions::List(actions.into())
    }
}

/// The lists that flows have. Two lists taken from here are equal exactly if they are the same allocation.
#[derive(Debug, Default)]
pub(super) struct Interned {
    lists: HashTable<Arc<Actions>>,
    /// How many flows have let go of a list since the last sweep.
    dropped: usize,
}

fn hash(actions: &Actions) -> u64 {
    xxh3_64(actions.as_bytes())
}

impl Interned {
    pub(super) fn get(&mut self, actions: Actions) -> Arc<Actions> {
        let entry = self.lists.entry(hash(&actions), |list| **list == actions, |list| hash(list));
        Arc::clone(entry.or_insert_with(|| Arc::new(actions)).get())
    }

    pub(super) fn share(&mut self, actions: Arc<Actions>) -> Arc<Actions> {
        let entry = self.lists.entry(hash(&actions), |list| *list == actions, |list| hash(list));
        Arc::clone(entry.or_insert(actions).get())
    }

    /// Notes that flows have let go of `count` lists.
    pub(super) fn dropped(&mut self, count: usize) {
        self.dropped += count;
    }

    /// Frees what no flow has any more, if there may be enough of it to be worth the walk.
    pub(super) fn sweep(&mut self) {
        if self.dropped < SWEEP_FROM.max(self.lists.len() / 4) {
            return;
        }
        self.dropped = 0;
        self.lists.retain(|list| Arc::strong_count(list) > 1);
        if self.lists.capacity() > 4 * self.lists.len() + SWEEP_FROM {
            self.lists.shrink_to_fit(|list| hash(list));
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lists.len()
    }
}
