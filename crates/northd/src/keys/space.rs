//! One space of numbers: who holds which, who wishes for which, and who gets the next.

use kiln_types::HashMap;
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::hash::Hash;
use std::ops::RangeInclusive;

/// What somebody asks of a space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ask {
    /// The number that the operator wants for it.
    pub(crate) wish: Option<u32>,
    /// The number that it had before this process started.
    pub(crate) standing: Option<u32>,
}

/// Numbers and their holders.
#[derive(Debug)]
pub(crate) struct Space<T> {
    holder: HashMap<u32, T>,
    number: HashMap<T, u32>,
    wishes: BTreeSet<(u32, T)>,
    wish: HashMap<T, u32>,
    last: u32,
}

impl<T> Default for Space<T> {
    fn default() -> Self {
        Space {
            holder: HashMap::default(),
            number: HashMap::default(),
            wishes: BTreeSet::new(),
            wish: HashMap::default(),
            last: 0,
        }
    }
}

impl<T: Copy + Ord + Hash + Debug> Space<T> {
    pub(crate) fn is_empty(&self) -> bool {
        self.number.is_empty()
    }

    /// Brings the space up to date with what has changed: `gone` no longer ask, `asks` ask for the first time or
    /// otherwise than before. Returns whose number is another than before, with the number, `None` if there is none left.
    ///
    /// A wish comes before a number that somebody merely has; among equal wishes the holder's counts. Who has a number
    /// keeps it. Numbers are given out in turn, so that one that has just come free is the last to be used again.
    pub(crate) fn settle(
        &mut self,
        gone: &[T],
        asks: &[(T, Ask)],
        range: &RangeInclusive<u32>,
        wishable: &dyn Fn(u32) -> bool,
    ) -> Vec<(T, Option<u32>)> {
        let before: HashMap<T, Option<u32>> =
            asks.iter().map(|(who, _)| (*who, self.number.get(who).copied())).collect();
        let mut touched: BTreeSet<T> = before.keys().copied().collect();
        let mut moved = HashMap::default();
        for who in gone {
            self.set_wish(*who, None);
            if let Some(number) = self.release(*who) {
                touched.extend(self.wishes_for(number));
            }
        }
        for (who, ask) in asks {
            let wish = ask.wish.filter(|wish| wishable(*wish));
            // Who merely has a number from now on gives way to others that wish for it.
            if let Some(number) = self.number.get(who).filter(|number| wish != Some(**number)) {
                touched.extend(self.wishes_for(*number));
            }
            self.set_wish(*who, wish);
        }
        let standing: HashMap<T, u32> =
            asks.iter().filter_map(|(who, ask)| Some((*who, ask.standing?))).collect();
        // Of several with one wish, who had the number already is the one to keep it.
        let mut wishers: Vec<(bool, T, u32)> = touched
            .iter()
            .filter_map(|who| self.wish.get(who).map(|wish| (standing.get(who) != Some(wish), *who, *wish)))
            .collect();
        wishers.sort_unstable();
        for (_, who, wish) in wishers {
            self.grant_wish(who, wish, &mut touched, &mut moved);
        }
        let mut rest: Vec<T> = touched.iter().copied().filter(|who| !gone.contains(who)).collect();
        rest.retain(|who| !self.number.contains_key(who));
        rest.sort_by_key(|who| (!standing.contains_key(who), *who));
        for who in rest {
            let free = standing.get(&who).copied().filter(|number| {
                (range.contains(number) || wishable(*number)) && !self.holder.contains_key(number)
            });
            if let Some(number) = free.or_else(|| self.next(range)) {
                self.take(who, number);
            }
        }
        let changed = |who: &T| {
            let old = moved.get(who).copied().or_else(|| before.get(who).copied().flatten());
            let new = self.number.get(who).copied();
            (old != new || new.is_none()).then_some((*who, new))
        };
        touched.iter().filter(|who| !gone.contains(who)).filter_map(changed).collect()
    }

    fn grant_wish(&mut self, who: T, wish: u32, touched: &mut BTreeSet<T>, moved: &mut HashMap<T, u32>) {
        let old = self.number.get(&who).copied();
        match self.holder.get(&wish).copied() {
            Some(holder) if holder == who || self.wish.get(&holder) == Some(&wish) => return,
            Some(holder) => {
                self.release(holder);
                moved.entry(holder).or_insert(wish);
                touched.insert(holder);
            }
            None => {}
        }
        if let Some(old) = old {
            self.release(who);
            moved.entry(who).or_insert(old);
        }
        let last = self.last;
        self.take(who, wish);
        // What is given out in turn goes on where it was.
        self.last = last;
    }

    fn set_wish(&mut self, who: T, wish: Option<u32>) {
        if let Some(old) = self.wish.remove(&who) {
            self.wishes.remove(&(old, who));
        }
        if let Some(wish) = wish {
            self.wish.insert(who, wish);
            self.wishes.insert((wish, who));
        }
    }

    fn wishes_for(&self, number: u32) -> Vec<T> {
        self.wishes.iter().filter(|(wish, _)| *wish == number).map(|(_, who)| *who).collect()
    }

    fn take(&mut self, who: T, number: u32) {
        self.holder.insert(number, who);
        self.number.insert(who, number);
        self.last = number;
    }

    fn release(&mut self, who: T) -> Option<u32> {
        let number = self.number.remove(&who)?;
        self.holder.remove(&number);
        Some(number)
    }

    /// The next free number after the last one given out.
    fn next(&self, range: &RangeInclusive<u32>) -> Option<u32> {
        let (first, end) = (*range.start(), *range.end());
        let start = if self.last < first || self.last >= end { first } else { self.last + 1 };
        (start..=end).chain(first..start).find(|number| !self.holder.contains_key(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANGE: RangeInclusive<u32> = 1..=4;

    fn plain(who: char) -> (char, Ask) {
        (who, Ask::default())
    }
    fn wishing(who: char, wish: u32) -> (char, Ask) {
        (who, Ask { wish: Some(wish), standing: None })
    }
    fn standing(who: char, number: u32) -> (char, Ask) {
        (who, Ask { wish: None, standing: Some(number) })
    }

    #[track_caller]
    fn check(space: &mut Space<char>, gone: &[char], asks: &[(char, Ask)], expected: &[(char, Option<u32>)]) {
        assert_eq!(space.settle(gone, asks, &RANGE, &|wish| RANGE.contains(&wish)), expected);
    }

    #[test]
    fn a_freed_number_is_the_last_to_be_used_again() {
        let mut space = Space::default();
        check(&mut space, &[], &[plain('a'), plain('b')], &[('a', Some(1)), ('b', Some(2))]);
        check(&mut space, &['a'], &[plain('c')], &[('c', Some(3))]);
        check(&mut space, &[], &[plain('d'), plain('e')], &[('d', Some(4)), ('e', Some(1))]);
        check(&mut space, &[], &[plain('f')], &[('f', None)]);
        check(&mut space, &[], &[plain('a')], &[('a', None)]);
        check(&mut space, &['b'], &[plain('f')], &[('f', Some(2))]);
    }

    #[test]
    fn numbers_from_before_are_kept() {
        let mut space = Space::default();
        check(
            &mut space,
            &[],
            &[plain('a'), standing('b', 1), standing('c', 3)],
            &[('a', Some(4)), ('b', Some(1)), ('c', Some(3))],
        );
    }

    #[test]
    fn a_wish_that_is_taken_back_makes_way_for_the_next() {
        let mut space = Space::default();
        check(&mut space, &[], &[wishing('a', 3)], &[('a', Some(3))]);
        check(&mut space, &[], &[wishing('b', 3)], &[('b', Some(1))]);
        check(&mut space, &[], &[plain('a')], &[('a', Some(2)), ('b', Some(3))]);
    }

    #[test]
    fn a_wish_comes_before_what_somebody_merely_has() {
        let mut space = Space::default();
        check(&mut space, &[], &[plain('a')], &[('a', Some(1))]);
        check(&mut space, &[], &[wishing('b', 1)], &[('a', Some(2)), ('b', Some(1))]);
        // The same wish a second time waits until the first is gone.
        check(&mut space, &[], &[wishing('c', 1)], &[('c', Some(3))]);
        check(&mut space, &['b'], &[], &[('c', Some(1))]);
        // A wish that is taken back leaves things as they are.
        check(&mut space, &[], &[plain('c')], &[]);
        // But who still wishes comes first.
        check(&mut space, &[], &[wishing('c', 1)], &[]);
        check(&mut space, &[], &[wishing('d', 1)], &[('d', Some(4))]);
        check(&mut space, &[], &[plain('c')], &[('c', Some(3)), ('d', Some(1))]);
        // One that is out of range is none.
        check(&mut space, &[], &[wishing('a', 99)], &[]);
    }
}
