//! Large sorted sets whose copies share what they have in common.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// A sorted set, kept in pieces. A copy shares all of them, and one that is changed all but those that are changed: then
/// neither a copy, nor a change, nor the difference between the two touches most elements.
#[derive(Clone)]
pub struct SharedSet<T> {
    /// In order, none of them empty.
    pieces: Arc<[Arc<[T]>]>,
    len: usize,
}

/// The most elements of a piece.
const PIECE: usize = 128;
/// Pieces may be smaller than needed, since elements went, by this factor on average.
const MAX_SLACK: usize = 4;

impl<T> SharedSet<T> {
    /// How many elements there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The elements in order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.pieces.iter().flat_map(|piece| piece.iter())
    }

    fn of_pieces(pieces: Vec<Arc<[T]>>) -> Self {
        SharedSet { len: pieces.iter().map(|piece| piece.len()).sum(), pieces: pieces.into() }
    }
}

impl<T: Ord> SharedSet<T> {
    /// Whether `element` is in the set.
    pub fn contains(&self, element: &T) -> bool {
        let after = self.pieces.partition_point(|piece| piece[0] <= *element);
        after > 0 && self.pieces[after - 1].binary_search(element).is_ok()
    }

    /// What one of two sets has alone, in order.
    pub fn differences<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a T> {
        let (mut these, mut those) = (Walk::of(self), Walk::of(other));
        std::iter::from_fn(move || {
            loop {
                if these.stands_where(&those) {
                    these.pass_piece();
                    those.pass_piece();
                    continue;
                }
                let order = match (these.element(), those.element()) {
                    (None, None) => return None,
                    (Some(_), None) => Ordering::Less,
                    (None, Some(_)) => Ordering::Greater,
                    (Some(this), Some(that)) => this.cmp(that),
                };
                let this = if order.is_le() { these.next() } else { None };
                let that = if order.is_ge() { those.next() } else { None };
                if order.is_ne() {
                    return this.or(that);
                }
            }
        })
    }
}

impl<T: Ord + Clone> SharedSet<T> {
    /// Adds those of `elements` that are not in the set, and removes those that are.
    pub fn toggle(&mut self, elements: &SharedSet<T>) {
        let mut elements = elements.iter().cloned().peekable();
        let mut pieces = Vec::with_capacity(self.pieces.len() + 1);
        let mut rest = &self.pieces[..];
        while let Some(element) = elements.peek() {
            // It belongs to the last piece that does not begin after it, or to the first.
            let before = rest.partition_point(|piece| piece[0] <= *element).saturating_sub(1);
            pieces.extend_from_slice(&rest[..before]);
            let (piece, after) = rest[before..].split_first().map_or((&[][..], &[][..]), |(p, a)| (p, a));
            let end = after.first().map(|next| &next[0]);
            let own = std::iter::from_fn(|| elements.next_if(|element| end.is_none_or(|end| element < end)));
            extend(&mut pieces, toggled(piece, own));
            rest = after;
        }
        pieces.extend_from_slice(rest);
        *self = SharedSet::of_pieces(pieces);
        if self.pieces.len() > MAX_SLACK * (self.len / PIECE + 1) {
            let mut pieces = Vec::new();
            extend(&mut pieces, self.iter().cloned().collect());
            *self = SharedSet::of_pieces(pieces);
        }
    }
}

/// A piece with some elements added and others, which it has, removed.
fn toggled<T: Ord + Clone>(mut piece: &[T], elements: impl Iterator<Item = T>) -> Vec<T> {
    let mut out = Vec::with_capacity(piece.len() + 1);
    for element in elements {
        let (less, rest) = piece.split_at(piece.partition_point(|kept| *kept < element));
        out.extend_from_slice(less);
        match rest.split_first() {
            Some((first, others)) if *first == element => piece = others,
            _ => {
                out.push(element);
                piece = rest;
            }
        }
    }
    out.extend_from_slice(piece);
    out
}

/// Appends elements in as few pieces as they fit into, of about the same size.
fn extend<T>(pieces: &mut Vec<Arc<[T]>>, elements: Vec<T>) {
    let count = elements.len().div_ceil(PIECE).max(1);
    let size = elements.len().div_ceil(count);
    let mut elements = elements.into_iter();
    while !elements.as_slice().is_empty() {
        pieces.push(elements.by_ref().take(size).collect());
    }
}

/// A place in a set.
struct Walk<'a, T> {
    pieces: &'a [Arc<[T]>],
    /// Elements of the first piece that were passed.
    passed: usize,
}

impl<'a, T> Walk<'a, T> {
    fn of(set: &'a SharedSet<T>) -> Self {
        Walk { pieces: &set.pieces, passed: 0 }
    }

    fn element(&self) -> Option<&'a T> {
        self.pieces.first().map(|piece| &piece[self.passed])
    }

    fn pass_piece(&mut self) {
        (self.pieces, self.passed) = (&self.pieces[1..], 0);
    }

    /// Whether both are at the beginning of the same piece.
    fn stands_where(&self, other: &Self) -> bool {
        let same = |(piece, other)| Arc::ptr_eq(piece, other);
        self.passed == 0
            && other.passed == 0
            && self.pieces.first().zip(other.pieces.first()).is_some_and(same)
    }
}

impl<'a, T> Iterator for Walk<'a, T> {
    type Item = &'a T;

    fn next(&mut self) -> Option<&'a T> {
        let element = self.element()?;
        self.passed += 1;
        if self.passed == self.pieces[0].len() {
            self.pass_piece();
        }
        Some(element)
    }
}

impl<T: Ord> FromIterator<T> for SharedSet<T> {
    fn from_iter<I: IntoIterator<Item = T>>(iter: I) -> Self {
        let mut elements: Vec<T> = iter.into_iter().collect();
        if !elements.is_sorted_by(|a, b| a < b) {
            elements.sort_unstable();
            elements.dedup();
        }
        let mut pieces = Vec::new();
        extend(&mut pieces, elements);
        SharedSet::of_pieces(pieces)
    }
}

impl<T> Default for SharedSet<T> {
    fn default() -> Self {
        SharedSet::of_pieces(Vec::new())
    }
}

impl<T: Ord> PartialEq for SharedSet<T> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.differences(other).next().is_none()
    }
}

impl<T: Ord> Eq for SharedSet<T> {}

impl<T: fmt::Debug> fmt::Debug for SharedSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Rng;
    use std::collections::BTreeSet;

    fn check(set: &SharedSet<u32>, model: &BTreeSet<u32>) {
        assert!(set.iter().eq(model));
        assert_eq!((set.len(), set.is_empty()), (model.len(), model.is_empty()));
        assert!(set.pieces.iter().all(|piece| (1..=PIECE).contains(&piece.len())));
        assert!(set.pieces.len() <= MAX_SLACK * (model.len() / PIECE + 1));
    }

    #[test]
    fn it_is_a_set_that_grows_and_shrinks() {
        let mut rng = Rng::with_seed(3);
        let (mut set, mut model) = (SharedSet::default(), BTreeSet::new());
        for round in 0..3000 {
            let some: BTreeSet<u32> = (0..rng.usize(..4)).map(|_| rng.u32(..4000)).collect();
            // Elements go from the end, so that pieces become small one after the other.
            let last: Vec<u32> = model.iter().rev().copied().take(if round > 1500 { 5 } else { 0 }).collect();
            let diff: BTreeSet<u32> = some.into_iter().chain(last).collect();
            let before = (set.clone(), model.clone());
            set.toggle(&diff.iter().copied().collect());
            model = &model ^ &diff;
            check(&set, &model);
            check(&before.0, &before.1);
            assert!(set.differences(&before.0).eq(&diff));
            assert_eq!(set == before.0, diff.is_empty());
            let asked = rng.u32(..4000);
            assert_eq!(set.contains(&asked), model.contains(&asked));
        }
        assert_eq!(set, model.iter().copied().collect());
        set.toggle(&set.clone());
        check(&set, &BTreeSet::new());
    }

    #[test]
    fn a_change_leaves_other_pieces_shared() {
        let old: SharedSet<u32> = (0..10_000).map(|n| 2 * n).collect();
        let mut new = old.clone();
        new.toggle(&[4321, 8000].into_iter().collect());
        let is_shared = |piece: &&Arc<[u32]>| old.pieces.iter().any(|other| Arc::ptr_eq(piece, other));
        assert_eq!(old.pieces.len() - new.pieces.iter().filter(is_shared).count(), 2);
        assert!(old.differences(&new).eq(&[4321, 8000]));
    }

    #[test]
    fn elements_come_in_any_order_and_repeated() {
        assert!([3, 1, 2, 3].into_iter().collect::<SharedSet<u8>>().iter().eq(&[1, 2, 3]));
    }
}
