//! From the rows that are to the rows that should be: what changes, and the operations of one transaction for it.

use super::desired::{BINDINGS, Item, OWNER, items};
use super::{Atom, Datum, Northbound, Row, Table};
use crate::model::Network;
use kiln_types::Uuid;
use std::collections::{BTreeMap, BTreeSet};

/// What makes a database say what a network file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// What changes, for a person to read; [`Plan`] displays it.
    pub changes: Vec<Change>,
    /// The operations, to be one transaction in this order.
    pub ops: Vec<Op>,
}

impl Plan {
    /// Whether the database says already what the file says.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }
}

/// One row that comes, changes or goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What happens to it.
    pub kind: ChangeKind,
    /// Its table.
    pub table: Table,
    /// What a person calls it.
    pub label: String,
    /// The name of what holds it.
    pub holder: Option<String>,
    /// Column, old value, new value, of the columns concerned.
    pub columns: Vec<(String, Datum, Datum)>,
}

/// What happens to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    /// It comes.
    Added,
    /// It changes.
    Changed,
    /// It goes.
    Removed,
}

/// An operation (RFC 7047, section 5.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Fails the transaction if a row of `table` has `column` equal to `value`: somebody was faster.
    Absent {
        /// The table.
        table: Table,
        /// The column.
        column: &'static str,
        /// The value.
        value: Datum,
    },
    /// Fails the transaction if a row's `column` is not `value` any more.
    Unchanged {
        /// The table.
        table: Table,
        /// The row.
        uuid: Uuid,
        /// The column.
        column: &'static str,
        /// The value that the plan was made with.
        value: Datum,
    },
    /// Inserts a row.
    Insert {
        /// The table.
        table: Table,
        /// The number by which [`Atom::New`] refers to the row.
        number: usize,
        /// Its columns.
        columns: BTreeMap<&'static str, Datum>,
    },
    /// Sets columns of a row.
    Update {
        /// The table.
        table: Table,
        /// The row.
        uuid: Uuid,
        /// The columns.
        columns: BTreeMap<&'static str, Datum>,
    },
    /// Takes elements out of a set or keys out of a map, then puts others in.
    Mutate {
        /// The table.
        table: Table,
        /// The row.
        uuid: Uuid,
        /// The column.
        column: &'static str,
        /// What goes: elements of a set, or keys of a map.
        delete: Datum,
        /// What comes.
        insert: Datum,
    },
    /// Deletes a row.
    Delete {
        /// The table.
        table: Table,
        /// The row.
        uuid: Uuid,
    },
}

/// Why a network cannot be applied to a database without touching what is not its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// A row with the same name is there and is not this network's.
    Taken {
        /// Its table.
        table: Table,
        /// What a person calls it.
        label: String,
        /// The network whose it is, if any's.
        owner: Option<String>,
    },
    /// A row that is to go holds rows that are not this network's, which would go with it.
    Holds {
        /// Its table.
        table: Table,
        /// What a person calls it.
        label: String,
        /// What a person calls those that it holds.
        held: Vec<String>,
    },
}

/// All conflicts; never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Conflicts(pub Vec<Conflict>);

/// Compares a network with what is there. An empty network of the same name is planned away entirely.
///
/// Rows that do not carry the network's name are left alone; a network whose names are taken by such rows conflicts.
pub fn plan(network: &Network, now: &Northbound) -> Result<Plan, Conflicts> {
    let owned = Owned::of(&network.name, now);
    let mut planner = Planner { now, owned, plan: Plan::default(), inserts: 0, conflicts: Vec::new() };
    let items = items(network);
    let fates = planner.fates(&items);
    planner.global(network);
    planner.rows(&items, &fates);
    planner.remove(&fates);
    if !planner.conflicts.is_empty() {
        return Err(Conflicts(planner.conflicts));
    }
    let is_check = |op: &Op| matches!(op, Op::Absent { .. } | Op::Unchanged { .. });
    planner.plan.ops.sort_by_key(|op| !is_check(op));
    Ok(planner.plan)
}

/// What identifies a row within its table: its holder, if it has one, and the values of its key columns.
type Key = (Option<Uuid>, String);

/// The rows that are the network's.
struct Owned {
    rows: BTreeMap<Table, BTreeMap<Key, Vec<Uuid>>>,
    ids: BTreeSet<Uuid>,
    holders: BTreeMap<(Table, Uuid), Uuid>,
}

impl Owned {
    fn of(network: &str, now: &Northbound) -> Owned {
        let mut owned = Owned { rows: BTreeMap::new(), ids: BTreeSet::new(), holders: BTreeMap::new() };
        for table in Table::ALL {
            let Some((holder, column)) = table.holder() else { continue };
            for (uuid, row) in now.rows(holder) {
                let held = row.columns.get(column).into_iter().flat_map(Datum::row_ids);
                owned.holders.extend(held.map(|held| ((table, held), uuid)));
            }
        }
        let mut bindings = BTreeSet::new();
        for (_, row) in
            now.rows(Table::RouterPort).filter(|(_, row)| row.entry("external_ids", OWNER) == Some(network))
        {
            let list = row.entry("external_ids", BINDINGS).unwrap_or_default();
            bindings.extend(list.split(' ').map(|ip| (row.text("name"), ip)));
        }
        for table in Table::ALL {
            for (uuid, row) in now.rows(table) {
                let is_owned = match table {
                    Table::Global => false,
                    Table::StaticMacBinding => bindings.contains(&(row.text("logical_port"), row.text("ip"))),
                    _ => row.entry("external_ids", OWNER) == Some(network),
                };
                if is_owned {
                    let key = (owned.holders.get(&(table, uuid)).copied(), key_of_row(table, row));
                    owned.rows.entry(table).or_default().entry(key).or_default().push(uuid);
                    owned.ids.insert(uuid);
                }
            }
        }
        owned
    }

    fn find(&self, table: Table, holder: Option<Uuid>, key: &str) -> Option<Uuid> {
        self.rows.get(&table)?.get(&(holder, key.to_owned()))?.first().copied()
    }

    fn has(&self, uuid: Uuid) -> bool {
        self.ids.contains(&uuid)
    }
}

fn key_of_row(table: Table, row: &Row) -> String {
    let value = |column: &&str| row.columns.get(*column).map_or_else(|| "none".to_owned(), Datum::to_string);
    table.key().iter().map(value).collect::<Vec<_>>().join("\u{1f}")
}

fn key_of_item(item: &Item) -> String {
    let value = |column: &&str| item.columns[*column].to_string();
    item.table.key().iter().map(value).collect::<Vec<_>>().join("\u{1f}")
}

/// What a row that should be is made from: one that is there, or a new one by its number.
#[derive(Clone, Copy)]
enum Fate {
    Kept(Uuid),
    New(usize),
}

/// The new rows that each holder is to hold, by the holder's table and name and by its column.
type Held<'i> = BTreeMap<(Table, &'i str), BTreeMap<&'static str, BTreeSet<Atom>>>;

struct Planner<'n> {
    now: &'n Northbound,
    owned: Owned,
    plan: Plan,
    inserts: usize,
    conflicts: Vec<Conflict>,
}

impl Planner<'_> {
    /// Pairs every row that should be with the row that is, or numbers it as new.
    fn fates(&mut self, items: &[Item]) -> Vec<Fate> {
        let mut named: BTreeMap<(Table, &str), Fate> = BTreeMap::new();
        let mut fates = Vec::with_capacity(items.len());
        for item in items {
            let holder_fate = item.holder.as_ref().map(|name| {
                let (table, _) = item.table.holder().expect("a holder's name comes with a holder's table");
                named[&(table, name.as_str())]
            });
            let found = match holder_fate {
                None => self.owned.find(item.table, None, &key_of_item(item)),
                Some(Fate::Kept(holder)) => self.owned.find(item.table, Some(holder), &key_of_item(item)),
                Some(Fate::New(_)) => None,
            };
            let fate = found.map_or_else(
                || {
                    self.inserts += 1;
                    Fate::New(self.inserts)
                },
                Fate::Kept,
            );
            if let Some(name) = item.columns.get("name").and_then(Datum::as_text) {
                named.insert((item.table, name), fate);
            }
            fates.push(fate);
        }
        fates
    }

    fn rows(&mut self, items: &[Item], fates: &[Fate]) {
        let taken = self.taken();
        let mut held = Held::new();
        for (item, fate) in items.iter().zip(fates) {
            if let (Fate::New(number), Some(holder), Some((table, column))) =
                (fate, &item.holder, item.table.holder())
            {
                let columns = held.entry((table, holder.as_str())).or_default();
                columns.entry(column).or_default().insert(Atom::New(*number));
            }
        }
        for (item, fate) in items.iter().zip(fates) {
            match *fate {
                Fate::New(number) => {
                    if let Some(owner) = taken.get(&(item.table, key_of_item(item))) {
                        let (table, label) = (item.table, label_of_item(item));
                        self.conflicts.push(Conflict::Taken { table, label, owner: owner.clone() });
                    }
                    self.insert(item, number, &held);
                }
                Fate::Kept(uuid) => self.update(item, uuid, &held),
            }
        }
    }

    /// The keys of the rows that are not the network's, of the tables where a key exists once.
    fn taken(&self) -> BTreeMap<(Table, String), Option<String>> {
        let mut taken = BTreeMap::new();
        for table in Table::ALL.into_iter().filter(|table| table.is_unique()) {
            for (uuid, row) in self.now.rows(table) {
                if !self.owned.has(uuid) {
                    let owner = row.entry("external_ids", OWNER).map(str::to_owned);
                    taken.insert((table, key_of_row(table, row)), owner);
                }
            }
        }
        taken
    }

    fn insert(&mut self, item: &Item, number: usize, held: &Held<'_>) {
        let mut columns: BTreeMap<_, _> = item
            .columns
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(c, v)| (*c, v.clone()))
            .collect();
        let says_something =
            |column: &str, value: &Datum| !is_silent(item.table, column) && value.as_text() != Some("");
        let shown = columns.iter().filter(|(column, value)| says_something(column, value));
        let shown =
            shown.map(|(column, value)| ((*column).to_owned(), Datum::Set(BTreeSet::new()), value.clone()));
        let shown = shown.collect();
        self.change(ChangeKind::Added, item.table, label_of_item(item), item.holder.clone(), shown);
        if let Some(name) = item.columns.get("name").and_then(Datum::as_text) {
            for (column, rows) in held.get(&(item.table, name)).into_iter().flatten() {
                columns.insert(column, Datum::Set(rows.clone()));
            }
            if item.table.holder().is_none() {
                let op = Op::Absent { table: item.table, column: "name", value: Datum::text(name) };
                self.plan.ops.push(op);
            }
        }
        self.plan.ops.push(Op::Insert { table: item.table, number, columns });
    }

    fn update(&mut self, item: &Item, uuid: Uuid, held: &Held<'_>) {
        let row = self.now.row(item.table, uuid).expect("a kept row is there");
        let none = Datum::Set(BTreeSet::new());
        let mut shown = Vec::new();
        let mut columns = BTreeMap::new();
        for (column, new) in &item.columns {
            let old = row.columns.get(*column).unwrap_or(&none);
            if *column == "external_ids" {
                self.update_ids(item.table, uuid, old, new);
            } else if !old.holds_same(new) {
                shown.push(((*column).to_owned(), old.clone(), new.clone()));
                columns.insert(*column, new.clone());
            }
        }
        if !columns.is_empty() {
            self.change(ChangeKind::Changed, item.table, label_of_item(item), item.holder.clone(), shown);
            self.plan.ops.push(Op::Update { table: item.table, uuid, columns });
        }
        let name = item.columns.get("name").and_then(Datum::as_text).unwrap_or_default();
        for (&column, rows) in held.get(&(item.table, name)).into_iter().flatten() {
            let table = item.table;
            let old = row.columns.get(column).unwrap_or(&none);
            if column != "ports" {
                // Nothing in the schema keeps two routes or policies from being equal.
                self.plan.ops.push(Op::Unchanged { table, uuid, column, value: old.clone() });
            }
            let (delete, insert) = (none.clone(), Datum::Set(rows.clone()));
            self.plan.ops.push(Op::Mutate { table, uuid, column, delete, insert });
        }
    }

    /// Of `external_ids`, only the network's own keys are its to say.
    fn update_ids(&mut self, table: Table, uuid: Uuid, old: &Datum, new: &Datum) {
        let empty = BTreeMap::new();
        let (old, new) = (old.as_map().unwrap_or(&empty), new.as_map().unwrap_or(&empty));
        self.update_keys(table, uuid, "external_ids", old, new, &[OWNER, BINDINGS]);
    }

    /// Makes `ours` of a map's keys what `new` says; true if that changes anything.
    fn update_keys(
        &mut self,
        table: Table,
        uuid: Uuid,
        column: &'static str,
        old: &BTreeMap<String, String>,
        new: &BTreeMap<String, String>,
        ours: &[&str],
    ) {
        let changed: BTreeSet<&str> =
            ours.iter().copied().filter(|key| old.get(*key) != new.get(*key)).collect();
        if changed.is_empty() {
            return;
        }
        let delete = Datum::texts(changed.iter().copied().filter(|key| old.contains_key(*key)));
        let insert =
            changed.iter().filter_map(|key| Some(((*key).to_owned(), new.get(*key)?.clone()))).collect();
        self.plan.ops.push(Op::Mutate { table, uuid, column, delete, insert: Datum::Map(insert) });
    }

    /// The options of `NB_Global` that the network states, and those that it stated before and no longer does. What
    /// another network states too stays.
    fn global(&mut self, network: &Network) {
        let empty = BTreeMap::new();
        let standing = self.now.rows(Table::Global).next();
        let map = |column: &str| {
            standing.and_then(|(_, row)| row.columns.get(column)).and_then(Datum::as_map).unwrap_or(&empty)
        };
        let mark = format!("{OPTIONS_MARK}{}", network.name);
        let (own, others): (Vec<_>, Vec<_>) = map("external_ids")
            .iter()
            .filter(|(key, _)| key.starts_with(OPTIONS_MARK))
            .partition(|(key, _)| **key == mark);
        let keys = |marks: &[(&String, &String)]| -> BTreeSet<String> {
            marks.iter().flat_map(|(_, keys)| keys.split(' ')).map(str::to_owned).collect()
        };
        let (before, others) = (keys(&own), keys(&others));
        let options = with_defaults(network, map("options"), &before.difference(&others).collect());
        let mut marks = BTreeMap::new();
        if !options.is_empty() {
            let stated: Vec<&str> = options.keys().map(String::as_str).collect();
            marks.insert(mark.clone(), stated.join(" "));
        }
        let Some((uuid, _)) = standing else {
            if !options.is_empty() {
                self.inserts += 1;
                self.global_change(&BTreeMap::new(), &options, options.keys());
                let columns =
                    BTreeMap::from([("options", Datum::Map(options)), ("external_ids", Datum::Map(marks))]);
                self.plan.ops.push(Op::Insert { table: Table::Global, number: self.inserts, columns });
            }
            return;
        };
        let ours: BTreeSet<&String> = before.difference(&others).chain(options.keys()).collect();
        self.global_change(map("options"), &options, ours.iter().copied());
        let ours: Vec<&str> = ours.iter().map(|key| key.as_str()).collect();
        self.update_keys(Table::Global, uuid, "options", map("options"), &options, &ours);
        self.update_keys(Table::Global, uuid, "external_ids", map("external_ids"), &marks, &[&mark]);
    }

    fn global_change<'k>(
        &mut self,
        old: &BTreeMap<String, String>,
        new: &BTreeMap<String, String>,
        keys: impl Iterator<Item = &'k String>,
    ) {
        let datum = |value: Option<&String>| Datum::optional(value.cloned().map(Atom::Text));
        let columns: Vec<_> = keys
            .filter(|key| old.get(*key) != new.get(*key))
            .map(|key| (key.clone(), datum(old.get(key)), datum(new.get(key))))
            .collect();
        if !columns.is_empty() {
            self.change(ChangeKind::Changed, Table::Global, String::new(), None, columns);
        }
    }

    /// Removes every row of the network that nothing claimed.
    fn remove(&mut self, fates: &[Fate]) {
        let kept: BTreeSet<Uuid> = fates
            .iter()
            .filter_map(|fate| if let Fate::Kept(uuid) = fate { Some(*uuid) } else { None })
            .collect();
        let gone: Vec<(Table, Uuid)> = self
            .owned
            .rows
            .iter()
            .flat_map(|(table, rows)| rows.values().flatten().map(|uuid| (*table, *uuid)))
            .filter(|(_, uuid)| !kept.contains(uuid))
            .collect();
        let gone_ids: BTreeSet<Uuid> = gone.iter().map(|(_, uuid)| *uuid).collect();
        let mut released: BTreeMap<(Table, Uuid, &'static str), BTreeSet<Atom>> = BTreeMap::new();
        for (table, uuid) in gone {
            let now = self.now;
            let row = now.row(table, uuid).expect("an owned row is there");
            let holder = self.owned.holders.get(&(table, uuid)).copied();
            let holder_row = table.holder().and_then(|(holder_table, _)| now.row(holder_table, holder?));
            let holder_name = holder_row.map(|row| row.text("name").to_owned());
            self.change(ChangeKind::Removed, table, label_of_row(table, row), holder_name, Vec::new());
            self.refuse_foreign_holdings(table, row);
            match (table.holder(), holder) {
                (Some((holder_table, column)), Some(holder)) => {
                    if !gone_ids.contains(&holder) {
                        released.entry((holder_table, holder, column)).or_default().insert(Atom::Row(uuid));
                    }
                }
                _ => self.plan.ops.push(Op::Delete { table, uuid }),
            }
        }
        for ((table, uuid, column), rows) in released {
            let (delete, insert) = (Datum::Set(rows), Datum::Set(BTreeSet::new()));
            self.plan.ops.push(Op::Mutate { table, uuid, column, delete, insert });
        }
    }

    fn refuse_foreign_holdings(&mut self, table: Table, row: &Row) {
        let mut held = Vec::new();
        for held_table in Table::ALL {
            let Some((holder_table, column)) = held_table.holder() else { continue };
            if holder_table != table {
                continue;
            }
            for id in row.columns.get(column).into_iter().flat_map(Datum::row_ids) {
                if !self.owned.has(id) {
                    let label = self.now.row(held_table, id).map(|row| label_of_row(held_table, row));
                    held.push(format!("{} {}", held_table.noun(), label.unwrap_or_else(|| id.to_string())));
                }
            }
        }
        if !held.is_empty() {
            self.conflicts.push(Conflict::Holds { table, label: label_of_row(table, row), held });
        }
    }

    fn change(
        &mut self,
        kind: ChangeKind,
        table: Table,
        label: String,
        holder: Option<String>,
        columns: Vec<(String, Datum, Datum)>,
    ) {
        self.plan.changes.push(Change { kind, table, label, holder, columns });
    }
}

/// What a network's key of `NB_Global.external_ids` starts with; its name follows. The value lists the options that it
/// states.
const OPTIONS_MARK: &str = "kiln-options-";

/// The option that says what options of rows default to, and what a network with routers makes of it.
const L3_DEFAULTS: (&str, &str) = ("l3_defaults", "rfc");

/// The options that a network states, [`L3_DEFAULTS`] among them if it has routers and nobody else said otherwise.
/// `alone` are those that it stated before and no other network does.
fn with_defaults(
    network: &Network,
    standing: &BTreeMap<String, String>,
    alone: &BTreeSet<&String>,
) -> BTreeMap<String, String> {
    let (key, value) = L3_DEFAULTS;
    let mut options = network.options.clone();
    let free = standing.get(key).is_none_or(|now| now == value || alone.iter().any(|own| *own == key));
    if !network.routers.is_empty() && free {
        options.entry(key.to_owned()).or_insert_with(|| value.to_owned());
    }
    options
}

/// Columns that an added row's line leaves out: those that its label says, and the mark.
fn is_silent(table: Table, column: &str) -> bool {
    column == "external_ids" || table.key().contains(&column)
}

fn label_of_item(item: &Item) -> String {
    label(item.table, |column| item.columns.get(column).map(Datum::to_string))
}

fn label_of_row(table: Table, row: &Row) -> String {
    label(table, |column| row.columns.get(column).map(Datum::to_string))
}

fn label(table: Table, value: impl Fn(&str) -> Option<String>) -> String {
    let get = |column: &str| value(column).unwrap_or_default();
    match table {
        Table::Global => String::new(),
        Table::Switch | Table::SwitchPort | Table::Router | Table::RouterPort => get("name"),
        Table::Route => format!("{} via {}", get("ip_prefix"), get("nexthop")),
        Table::Policy => format!("{} `{}`", get("priority"), get("match")),
        Table::StaticMacBinding => format!("{} on {}", get("ip"), get("logical_port")),
    }
}
