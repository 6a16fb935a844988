//! A session over servers that keep history, some of which forget: whatever breaks where, the replica ends up as the model of
//! the database, filtered by the conditions that were wanted last.

use std::collections::{BTreeMap, BTreeSet};

use kiln_ovsdb::client::{Condition, Event, Rows};
use kiln_ovsdb::txn::Function;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{Play, config};

/// Rows by the last digit of their uuid: `n` and `tags`.
type Content = BTreeMap<u8, (i64, BTreeSet<i64>)>;

/// The states of a database, and what one monitoring connection was shown.
struct Model {
    history: Vec<Content>,
    /// Transactions before this one are forgotten.
    oldest: usize,
    shown: Option<Value>,
    /// Bytes under way to the session.
    down: Vec<u8>,
    resumed: usize,
    refetched: usize,
}

fn uuid(digit: usize) -> String {
    format!("00000000-0000-0000-0000-{digit:012x}")
}

fn set(tags: impl IntoIterator<Item = i64>) -> Value {
    json!(["set", tags.into_iter().collect::<Vec<_>>()])
}

/// The rows that match `[true]`, `[false]` or `[["n","==",N],…]`.
fn filter(content: &Content, conditions: &Value) -> Content {
    let matches = |n: i64| {
        conditions
            .as_array()
            .unwrap()
            .iter()
            .any(|clause| *clause == true || clause.get(2).is_some_and(|v| *v == n))
    };
    content.iter().filter(|(_, row)| matches(row.0)).map(|(&uuid, row)| (uuid, row.clone())).collect()
}

/// `<table-updates2>` from one content to another.
fn difference(old: &Content, new: &Content, insert: &str) -> Value {
    let mut rows = serde_json::Map::new();
    for digit in old.keys().chain(new.keys()) {
        let update = match (old.get(digit), new.get(digit)) {
            (None, Some((n, tags))) => json!({ insert: { "n": n, "tags": set(tags.iter().copied()) } }),
            (Some(_), None) => json!({ "delete": null }),
            (Some(old), Some(new)) if old != new => {
                let mut row = json!({ "tags": set(old.1.symmetric_difference(&new.1).copied()) });
                if old.0 != new.0 {
                    row["n"] = json!(new.0);
                }
                json!({ "modify": row })
            }
            _ => continue,
        };
        rows.insert(uuid(usize::from(*digit)), update);
    }
    json!({ "T": rows })
}

impl Model {
    fn now(&self) -> &Content {
        self.history.last().unwrap()
    }

    fn say(&mut self, message: &Value) {
        self.down.extend(message.to_string().bytes());
    }

    fn update(&mut self, old: &Content, new: &Content) {
        if old != new {
            let txn = uuid(self.history.len() - 1);
            self.say(&json!({ "id": null, "method": "update3",
                "params": ["data", txn, difference(old, new, "insert")] }));
        }
    }

    fn commit(&mut self, change: impl FnOnce(&mut Content)) {
        let old = self.now().clone();
        let mut new = old.clone();
        change(&mut new);
        self.history.push(new.clone());
        if let Some(conditions) = self.shown.clone() {
            self.update(&filter(&old, &conditions), &filter(&new, &conditions));
        }
    }

    fn answer(&mut self, request: &Value) {
        let params = &request["params"];
        let result = match request["method"].as_str().unwrap() {
            "monitor_cond" => json!({ "Database": { uuid(1): { "initial":
                { "name": "D", "model": "clustered", "connected": true, "leader": true } } } }),
            "get_schema" => json!({ "tables": { "T": { "columns": { "n": {}, "tags": {} } } } }),
            "monitor_cond_since" => {
                let conditions = params[2]["T"][0]["where"].clone();
                let since = (self.oldest..self.history.len()).find(|&txn| txn > 0 && uuid(txn) == params[3]);
                let (old, insert) = match since {
                    Some(txn) => (filter(&self.history[txn], &conditions), "insert"),
                    None => (Content::new(), "initial"),
                };
                *(if since.is_some() { &mut self.resumed } else { &mut self.refetched }) += 1;
                let updates = difference(&old, &filter(self.now(), &conditions), insert);
                self.shown = Some(conditions);
                json!([since.is_some(), uuid(self.history.len() - 1), updates])
            }
            "monitor_cond_change" => {
                let conditions = params[2]["T"][0]["where"].clone();
                let old = self.shown.replace(conditions.clone()).unwrap();
                let now = self.now().clone();
                self.update(&filter(&now, &old), &filter(&now, &conditions));
                json!({})
            }
            _ => json!({}),
        };
        self.say(&json!({ "id": request["id"], "result": result, "error": null }));
    }
}

#[derive(Clone, Debug)]
enum Step {
    Put(u8, i64, BTreeSet<i64>),
    Delete(u8),
    Conditions(Option<BTreeSet<i64>>),
    /// The server reads one request.
    Serve,
    /// Some bytes reach the session.
    Deliver(usize),
    Reconnect,
    Forget,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0u8..6, 0i64..3, prop::collection::btree_set(0i64..4, 0..3)).prop_map(|(u, n, t)| Step::Put(u, n, t)),
        1 => (0u8..6).prop_map(Step::Delete),
        2 => prop::option::of(prop::collection::btree_set(0i64..3, 0..3)).prop_map(Step::Conditions),
        6 => Just(Step::Serve),
        4 => (0usize..400).prop_map(Step::Deliver),
        3 => Just(Step::Deliver(usize::MAX)),
        1 => Just(Step::Reconnect),
        1 => Just(Step::Forget),
    ]
}

fn clauses(wanted: Option<&BTreeSet<i64>>) -> (Rows, Value) {
    match wanted {
        None => (Rows::All, json!([true])),
        Some(ns) => (
            Rows::any(ns.iter().map(|n| Condition::new("n", Function::Equal, n))),
            ns.iter().map(|n| json!(["n", "==", n])).collect(),
        ),
    }
}

/// Plays the steps; returns how many connections resumed and how many fetched everything.
fn play(steps: &[Step]) -> (usize, usize) {
    let mut model = Model {
        history: vec![Content::new()],
        oldest: 0,
        shown: None,
        down: Vec::new(),
        resumed: 0,
        refetched: 0,
    };
    let mut config = config();
    config.tables[0].columns = vec!["n".to_owned(), "tags".to_owned()];
    let mut play = Play::new(config);
    play.session.handle_connected(play.now);
    let mut wanted = json!([true]);
    let mut seq = 0;
    let calm = [Step::Serve, Step::Deliver(usize::MAX)];
    for step in steps.iter().chain(calm.iter().cycle().take(40)) {
        match step {
            Step::Put(digit, n, tags) => model.commit(|content| {
                content.insert(*digit, (*n, tags.clone()));
            }),
            Step::Delete(digit) => model.commit(|content| {
                content.remove(digit);
            }),
            Step::Conditions(ns) => {
                let (rows, value) = clauses(ns.as_ref());
                seq = play.session.set_rows("T", rows);
                wanted = value;
            }
            Step::Serve => {
                if let Some(request) = play.request() {
                    model.answer(&request);
                }
            }
            Step::Deliver(len) => {
                let bytes: Vec<u8> = model.down.drain(..(*len).min(model.down.len())).collect();
                play.session.handle_bytes(play.now, &bytes, &mut play.replica);
            }
            Step::Reconnect => {
                play.disconnect();
                model.down.clear();
                model.shown = None;
                play.session.handle_connected(play.now);
            }
            Step::Forget => model.oldest = model.history.len() - 1,
        }
        for event in play.events() {
            assert!(!matches!(event, Event::Close(_) | Event::RowSkipped(_)), "{event:?}");
        }
    }
    assert!(play.session.is_synced());
    assert_eq!(play.session.conditions_in_force(), seq);
    let found: Content = play
        .replica
        .rows
        .iter()
        .map(|(uuid, row)| (uuid.as_u128() as u8, (row.n, row.tags.iter().copied().collect())))
        .collect();
    assert_eq!(found, filter(model.now(), &wanted), "{wanted}");
    (model.resumed, model.refetched)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn replicas_end_up_right(steps in prop::collection::vec(step(), 0..150)) {
        play(&steps);
    }
}

/// The property would mean little if it never resumed.
#[test]
fn both_ways_are_taken() {
    let calm = [Step::Serve, Step::Deliver(usize::MAX)];
    let mut steps = vec![Step::Put(1, 1, BTreeSet::new())];
    steps.extend(calm.iter().cloned().cycle().take(12));
    steps.extend([Step::Reconnect, Step::Put(2, 1, BTreeSet::new())]);
    assert_eq!(play(&steps), (1, 1));
    steps.extend(calm.iter().cloned().cycle().take(12));
    steps.extend([Step::Reconnect, Step::Put(2, 2, BTreeSet::new()), Step::Forget]);
    assert_eq!(play(&steps), (1, 2));
}
