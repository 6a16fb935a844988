//! Whoever applies what a monitor tells has the rows that the monitor is about.

use proptest::prelude::*;

use super::*;
use crate::engine::Clause;
use crate::engine::tests::model::{Step, apply, transaction};
use crate::json::{Decoder, TextCache};
use crate::schema::ColumnType;
use crate::value::Datum;

const TABLES: [&str; 4] = ["Keeper", "Pet", "Vet", "Visit"];
const COLUMNS: [&[&str]; 4] =
    [&["name", "pets", "stable", "rival", "fans"], &["age", "friend", "vets"], &["name", "room"], &["vets"]];

/// Conditions by table.
const CONDITIONS: [&[&str]; 4] = [
    &[
        "[]",
        r#"["name","==","a"]"#,
        r#"["name","==","b"],["name","==","c"],["rival","!=",["set",[]]]"#,
        r##"["pets","includes",["uuid","#10"]]"##,
        "false",
        "false,true",
    ],
    &["[]", r#"["age",">",100]"#, r##"["friend","==",["uuid","#11"]],["age","<",50]"##, "false"],
    &["[]", r#"["room","==",1],["name","==","a"]"#, r#"["room","excludes",2]"#, "false"],
    &["[]", r##"["vets","includes",["uuid","#21"]]"##, r##"["vets","==",["uuid","#22"]]"##, "false"],
];

fn condition(table: usize, pick: u8) -> String {
    match expand(CONDITIONS[table][usize::from(pick) % CONDITIONS[table].len()]).as_str() {
        "[]" => "[]".to_owned(),
        clauses => format!("[{clauses}]"),
    }
}

#[derive(Clone, Debug)]
enum Event {
    Transact(Vec<Step>),
    /// A watcher asks for other rows of a table.
    Change {
        watcher: usize,
        table: usize,
        pick: u8,
    },
    Read {
        watcher: usize,
    },
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        4 => transaction().prop_map(Event::Transact),
        1 => (1usize..4, 0usize..4, any::<u8>()).prop_map(|(watcher, table, pick)| Event::Change { watcher, table, pick }),
        2 => (0usize..4).prop_map(|watcher| Event::Read { watcher }),
    ];
    prop::collection::vec(event, 1..30)
}

type Known = BTreeMap<(usize, Uuid), BTreeMap<String, Datum>>;

struct Watcher {
    name: String,
    /// `where` by table.
    conditions: [String; 4],
    renamed: u32,
    known: Known,
}

impl Watcher {
    fn start(bench: &mut Bench, number: usize, picks: [u8; 4]) -> Self {
        let method = ["monitor", "monitor_cond", "monitor_cond", "monitor_cond_since"][number];
        let name = number.to_string();
        let conditions = if number == 0 {
            [(); 4].map(|()| "[]".to_owned())
        } else {
            [0, 1, 2, 3].map(|table| condition(table, picks[table]))
        };
        let requests = (0..4).map(|table| {
            let columns =
                COLUMNS[table].iter().map(|column| format!("\"{column}\"")).collect::<Vec<_>>().join(",");
            let filter =
                if number == 0 { String::new() } else { format!(r#","where":{}"#, conditions[table]) };
            format!(r#""{}":[{{"columns":[{columns}]{filter}}}]"#, TABLES[table])
        });
        let requests = requests.collect::<Vec<_>>().join(",");
        let since = if number == 3 { format!(r#","{}""#, Uuid::nil()) } else { String::new() };
        bench.request(&name, method, &format!(r#"["Zoo",0,{{{requests}}}{since}]"#));
        Watcher { name, conditions, renamed: 0, known: Known::new() }
    }

    fn change(&mut self, bench: &mut Bench, table: usize, pick: u8) {
        self.conditions[table] = condition(table, pick);
        let (old, new) = (self.renamed, self.renamed + 1);
        self.renamed = new;
        let request = format!(r#"{{"{}":[{{"where":{}}}]}}"#, TABLES[table], self.conditions[table]);
        bench.request(&self.name, "monitor_cond_change", &format!("[{old},{new},{request}]"));
    }

    fn read(&mut self, bench: &mut Bench) {
        let schema = zoo();
        for message in bench.receive(&self.name) {
            assert_eq!(message["error"], Value::Null, "{message}");
            let last = |value: &Value| value.as_array().and_then(|array| array.last()).cloned();
            let updates = match &message["method"] {
                Value::Null => last(&message["result"]).unwrap_or_else(|| message["result"].clone()),
                _ => last(&message["params"]).unwrap(),
            };
            for (table, rows) in updates.as_object().unwrap() {
                let table = schema.table_index(table).unwrap();
                for (uuid, update) in rows.as_object().unwrap() {
                    self.apply(&schema, (table, uuid.parse().unwrap()), update);
                }
            }
        }
    }

    fn apply(&mut self, schema: &DatabaseSchema, key: (usize, Uuid), update: &Value) {
        let table = &schema.tables()[key.0];
        let decode_as = |ty: &ColumnType, value: &Value| {
            Datum::decode(&mut Decoder::new(&value.to_string(), &mut TextCache::default()), ty, &mut ())
                .unwrap()
        };
        let decode = |column: &String, value: &Value| decode_as(table.column(column).unwrap().ty(), value);
        let defaults = || {
            let ty = |column: &&str| table.column(column).unwrap().ty();
            COLUMNS[key.0]
                .iter()
                .map(|column| ((*column).to_owned(), Datum::default_of(ty(column))))
                .collect()
        };
        let kinds: Vec<&str> = update.as_object().unwrap().keys().map(String::as_str).collect();
        match kinds[..] {
            ["delete"] => assert!(self.known.remove(&key).is_some()),
            ["old"] => {
                let known = self.known.remove(&key).unwrap();
                for (column, value) in update["old"].as_object().unwrap() {
                    assert_eq!(known[column], decode(column, value));
                }
            }
            ["initial" | "insert" | "new"] => {
                let mut row: BTreeMap<String, Datum> = defaults();
                for (column, value) in update[kinds[0]].as_object().unwrap() {
                    row.insert(column.clone(), decode(column, value));
                }
                assert!(self.known.insert(key, row).is_none());
            }
            ["modify"] => {
                let row = self.known.get_mut(&key).unwrap();
                for (column, value) in update["modify"].as_object().unwrap() {
                    let ty = table.column(column).unwrap().ty();
                    // What goes and what comes may be more than the column holds.
                    let toggled =
                        ColumnType::new(ty.key().clone(), ty.value().cloned(), 0, ty.max().saturating_mul(2));
                    let diff = decode_as(if ty.max() > 1 { &toggled } else { ty }, value);
                    let before = row[column].clone();
                    row.get_mut(column).unwrap().apply_diff(&diff, ty);
                    assert_ne!(before, row[column], "told of no difference");
                }
            }
            ["new", "old"] => {
                let row = self.known.get_mut(&key).unwrap();
                for (column, value) in update["new"].as_object().unwrap() {
                    let (old, new) = (&update["old"][column], decode(column, value));
                    let before = row.insert(column.clone(), new.clone()).unwrap();
                    assert_eq!(before != new, *old != Value::Null);
                    assert!(before == new || before == decode(column, old));
                }
            }
            _ => panic!("{update}"),
        }
    }

    /// What it should know.
    fn expected(&self, db: &Database) -> Known {
        let mut known = Known::new();
        for (table, condition) in self.conditions.iter().enumerate() {
            let schema = &db.schema().tables()[table];
            let clauses = crate::engine::elements(condition).unwrap();
            let clauses: Vec<Clause> = clauses
                .into_iter()
                .map(|clause| {
                    Clause::decode(&mut Decoder::new(clause, &mut TextCache::default()), schema, &mut ())
                        .unwrap()
                })
                .collect();
            for row in db.table(table).rows() {
                if clauses.is_empty() || clauses.iter().any(|clause| clause.holds(row)) {
                    let column = |column: &&str| {
                        ((*column).to_owned(), row.get(schema.column_index(column).unwrap()).clone())
                    };
                    known.insert((table, row.uuid()), COLUMNS[table].iter().map(column).collect());
                }
            }
        }
        known
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn replicas_follow(
        before in prop::collection::vec(transaction(), 0..6),
        picks in any::<[u8; 4]>(),
        events in events(),
    ) {
        let mut bench = Bench::new();
        let run = |bench: &mut Bench, steps: &[Step]| {
            let now = bench.now;
            drop(bench.server.transact(now, "Zoo", |txn| apply(txn, steps)));
        };
        for steps in &before {
            run(&mut bench, steps);
        }
        let mut watchers: Vec<_> = (0..4).map(|number| Watcher::start(&mut bench, number, picks)).collect();
        let all = (0..4).map(|watcher| Event::Read { watcher });
        for event in events.into_iter().chain(all) {
            match event {
                Event::Transact(steps) => run(&mut bench, &steps),
                Event::Change { watcher, table, pick } => watchers[watcher].change(&mut bench, table, pick),
                Event::Read { watcher } => {
                    watchers[watcher].read(&mut bench);
                    let expected = watchers[watcher].expected(bench.server.database("Zoo").unwrap());
                    prop_assert_eq!(&watchers[watcher].known, &expected);
                }
            }
        }
    }

    #[test]
    fn no_request_is_too_strange(
        pieces in prop::collection::vec((0usize..16, "[\\[\\]{},:\"a-z0-9 ]{0,6}"), 0..12),
        method in 0usize..14,
    ) {
        const PIECES: [&str; 16] = [
            "\"Zoo\",", "{\"op\":\"insert\",\"table\":\"Keeper\",\"row\":{", "}}", "{\"op\":\"mutate\",\"table\":\"Vet\",\"where\":[],\"mutations\":[[",
            "\"Vet\":", "[\"set\",[", "[\"map\",[[", "]]", "{\"columns\":[\"name\"]", "\"where\":[[\"room\",\"==\",1]]", "[\"uuid\",\"", "null", ",", "[", "]", "}",
        ];
        const METHODS: [&str; 14] = [
            "transact", "monitor", "monitor_cond", "monitor_cond_since", "monitor_cond_change", "monitor_cancel", "lock",
            "steal", "unlock", "echo", "get_schema", "set_db_change_aware", "cancel", "list_dbs",
        ];
        let mut bench = Bench::new();
        let params: String = pieces.iter().flat_map(|(piece, noise)| [PIECES[*piece], noise]).collect();
        for params in [format!("[{params}]"), format!("[\"Zoo\",{params}]"), params] {
            bench.send("a", &format!(r#"{{"method":"{}","params":{params},"id":1}}"#, METHODS[method]));
            let session = bench.client("a");
            while bench.server.poll_transmit(session).is_some() {}
            bench.server.disconnect(session);
            bench.clients.clear();
        }
        bench.request("b", "list_dbs", "[]");
        prop_assert_eq!(bench.receive("b").len(), 1);
    }
}
