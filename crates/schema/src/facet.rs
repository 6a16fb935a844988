//! How a column is read by rules and compared: maps by key, sets by element, everything else as a whole.

use kiln_incr::{Changed, MapView, SetView, Tracked};
use kiln_ovsdb::column::{Column, Scalar};
use kiln_ovsdb::{Map, Set, Text};
use kiln_types::{SharedSet, Uuid};
use std::hash::Hash;

/// A column type as rules see it.
pub trait Facet: Column + 'static {
    /// What an accessor returns.
    type View<'a>;

    /// Reads column number `column` of a row.
    fn view<'a, R>(row: Tracked<'a, R>, column: u16, get: fn(&R) -> &Self) -> Self::View<'a>;

    /// Reports where `new` differs.
    fn diff(&self, new: &Self, column: u16, changed: &mut Changed<'_>);

    /// Applies a difference, as [`Column::apply_diff`], and reports where that makes one.
    fn patch(&mut self, diff: Self, column: u16, changed: &mut Changed<'_>) {
        let before = self.clone();
        self.apply_diff(diff);
        before.diff(self, column, changed);
    }
}

macro_rules! by_value {
    ($($ty:ty),*) => {$(
        impl Facet for $ty {
            type View<'a> = $ty;
            fn view<'a, R>(row: Tracked<'a, R>, column: u16, get: fn(&R) -> &Self) -> $ty {
                *row.column(column, get)
            }
            fn diff(&self, new: &Self, column: u16, changed: &mut Changed<'_>) {
                changed.column(column, self, new);
            }
        }
    )*};
}

by_value!(i64, bool, Uuid, Option<i64>, Option<bool>, Option<Uuid>);

macro_rules! by_reference {
    ($($ty:ty),*) => {$(
        impl Facet for $ty {
            type View<'a> = &'a $ty;
            fn view<'a, R>(row: Tracked<'a, R>, column: u16, get: fn(&R) -> &Self) -> &'a $ty {
                row.column(column, get)
            }
            fn diff(&self, new: &Self, column: u16, changed: &mut Changed<'_>) {
                changed.column(column, self, new);
            }
        }
    )*};
}

by_reference!(Text, Option<Text>, SharedSet<Text>);

impl<T: Scalar + Ord + Hash + 'static> Facet for Set<T> {
    type View<'a> = SetView<'a, T>;
    fn view<'a, R>(row: Tracked<'a, R>, column: u16, get: fn(&R) -> &Self) -> SetView<'a, T> {
        row.set(column, |row| &**get(row))
    }
    fn diff(&self, new: &Self, column: u16, changed: &mut Changed<'_>) {
        changed.set(column, self, new);
    }
    fn patch(&mut self, diff: Self, column: u16, changed: &mut Changed<'_>) {
        // Each element that the difference names comes or goes.
        changed.set(column, &[], &diff);
        self.apply_diff(diff);
    }
}

impl<K: Scalar + Ord + Hash + 'static, V: Scalar + 'static> Facet for Map<K, V> {
    type View<'a> = MapView<'a, K, V>;
    fn view<'a, R>(row: Tracked<'a, R>, column: u16, get: fn(&R) -> &Self) -> MapView<'a, K, V> {
        row.map(column, |row| get(row).as_slice())
    }
    fn diff(&self, new: &Self, column: u16, changed: &mut Changed<'_>) {
        changed.map(column, self.as_slice(), new.as_slice());
    }
    fn patch(&mut self, diff: Self, column: u16, changed: &mut Changed<'_>) {
        let keys: Vec<K> = diff.iter().map(|(key, _)| key.clone()).collect();
        let named = |map: &Self| -> Vec<(K, V)> {
            keys.iter().filter_map(|key| Some((key.clone(), map.get(key)?.clone()))).collect()
        };
        let before = named(self);
        self.apply_diff(diff);
        changed.map(column, &before, &named(self));
    }
}
