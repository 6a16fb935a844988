//! Sessions against this crate's own server, over streams that break anywhere: when all is quiet again, every replica is the
//! database, as far as its conditions go.

use std::collections::BTreeSet;

use kiln_ovsdb::client::{Condition, Event, Outcome, Rows, Session};
use kiln_ovsdb::column::Pairs;
use kiln_ovsdb::engine::Database;
use kiln_ovsdb::json::TextCache;
use kiln_ovsdb::schema::DatabaseSchema;
use kiln_ovsdb::server::{Limits, Server, SessionId};
use kiln_ovsdb::txn::{ErrorClass, Function};
use kiln_ovsdb::{RowDecoder, Set, Text};
use kiln_types::{Instant, Rng, Uuid};
use proptest::prelude::*;

use crate::replica::{Row, TestReplica};

const SCHEMA: &str = r#"{ "name": "D", "version": "1.0.0", "tables": { "T": { "isRoot": true, "columns": {
    "name": { "type": { "key": "string", "min": 0, "max": 1 } },
    "n": { "type": "integer" },
    "tags": { "type": { "key": "integer", "min": 0, "max": "unlimited" } },
    "ids": { "type": { "key": "string", "value": "string", "min": 0, "max": "unlimited" } },
    "other": { "type": "string" } } } } }"#;

struct Client {
    session: Session,
    replica: TestReplica,
    connection: Option<SessionId>,
    /// Bytes under way.
    up: Vec<u8>,
    down: Vec<u8>,
    rows: Rows,
    committed: usize,
}

struct World {
    server: Server,
    clients: Vec<Client>,
    now: Instant,
    inserted: u128,
}

#[derive(Clone, Debug)]
enum Step {
    Connect,
    Disconnect,
    /// Lets some bytes arrive at the server and at the client.
    Deliver(usize, usize),
    Insert(i64),
    Update(i64, BTreeSet<i64>),
    Toggle(i64, i64),
    Put(i64, String),
    Delete(i64),
    /// Sets `n` of the rows where it is the first to the second, if the client's idea of how many there are is right.
    Guarded(i64, i64),
    Conditions(Option<Vec<i64>>),
}

impl World {
    fn new(clients: usize) -> Self {
        let mut server = Server::new(Rng::with_seed(1), Limits::default());
        let database = Database::new(DatabaseSchema::parse(SCHEMA).unwrap(), Rng::with_seed(2));
        assert!(server.add_database(Instant::ZERO, database).is_ok());
        let client = || Client {
            session: Session::new(crate::config()),
            replica: TestReplica::default(),
            connection: None,
            up: Vec::new(),
            down: Vec::new(),
            rows: Rows::All,
            committed: 0,
        };
        World { server, clients: (0..clients).map(|_| client()).collect(), now: Instant::ZERO, inserted: 0 }
    }

    fn disconnect(&mut self, i: usize) {
        let client = &mut self.clients[i];
        if let Some(connection) = client.connection.take() {
            self.server.disconnect(connection);
            client.session.handle_disconnected(self.now);
        }
        client.up.clear();
        client.down.clear();
    }

    fn connect(&mut self, i: usize) {
        self.disconnect(i);
        let client = &mut self.clients[i];
        client.connection = Some(self.server.connect());
        client.session.handle_connected(self.now);
    }

    /// Moves bytes; whether there were any.
    fn deliver(&mut self, i: usize, up: usize, down: usize) -> bool {
        let client = &mut self.clients[i];
        let Some(connection) = client.connection else { return false };
        while let Some(bytes) = client.session.poll_transmit() {
            client.up.extend(bytes);
        }
        let up: Vec<u8> = client.up.drain(..up.min(client.up.len())).collect();
        self.server.handle_bytes(self.now, connection, &up);
        while let Some(bytes) = self.server.poll_transmit(connection) {
            client.down.extend(bytes);
        }
        assert!(self.server.close_reason(connection).is_none(), "{:?}", self.server.close_reason(connection));
        let down: Vec<u8> = client.down.drain(..down.min(client.down.len())).collect();
        client.session.handle_bytes(self.now, &down, &mut client.replica);
        while let Some(event) = client.session.poll_event() {
            match event {
                Event::Transacted { outcome: Outcome::Committed(_), .. } => client.committed += 1,
                Event::Transacted { outcome: Outcome::Failed(error), .. } => {
                    assert_eq!(error.class(), ErrorClass::Conflict, "{error}");
                }
                Event::Close(reason) => panic!("{reason}"),
                Event::RowSkipped(error) => panic!("{error}"),
                _ => {}
            }
        }
        !up.is_empty() || !down.is_empty()
    }

    fn settle(&mut self) {
        let mut busy = true;
        while std::mem::take(&mut busy) {
            for i in 0..self.clients.len() {
                busy |= self.deliver(i, usize::MAX, usize::MAX);
            }
        }
    }

    fn step(&mut self, i: usize, step: &Step) {
        match step {
            Step::Connect => return self.connect(i),
            Step::Disconnect => return self.disconnect(i),
            Step::Deliver(up, down) => {
                self.deliver(i, *up, *down);
                return;
            }
            _ => {}
        }
        let client = &mut self.clients[i];
        let mut txn = client.session.txn();
        match step {
            Step::Connect | Step::Disconnect | Step::Deliver(..) => unreachable!(),
            Step::Insert(n) => {
                self.inserted += 1;
                txn.insert("T").uuid(Uuid::from_u128(self.inserted)).set("n", n).set("other", "unseen");
            }
            Step::Update(n, tags) => {
                txn.update("T")
                    .filter("n", Function::Equal, n)
                    .set("tags", &tags.iter().copied().collect::<Set<i64>>());
            }
            Step::Toggle(n, tag) => {
                let name = tag % 2 == 0;
                let mut op = txn.mutate("T");
                op.filter("n", Function::Equal, n);
                if name {
                    op.put("tags", tag)
                } else {
                    op.delete("tags", tag)
                };
                drop(op);
                let name = if name { Some("even") } else { None };
                txn.update("T").filter("n", Function::Equal, n).set("name", &name);
            }
            Step::Put(n, key) => {
                txn.mutate("T")
                    .filter("n", Function::Equal, n)
                    .delete("ids", &[&**key])
                    .put("ids", &Pairs(&[(&**key, n.to_string())]));
            }
            Step::Delete(n) => {
                txn.delete("T").filter("n", Function::Equal, n);
            }
            Step::Guarded(from, to) => {
                for (uuid, row) in client.replica.rows.iter().filter(|(_, row)| row.n == *from) {
                    txn.wait("T")
                        .row(*uuid)
                        .expect("n", &row.n)
                        .expect("tags", &row.tags)
                        .expect("ids", &row.ids);
                    txn.update("T").row(*uuid).set("n", to);
                }
            }
            Step::Conditions(wanted) => {
                client.rows = match wanted {
                    None => Rows::All,
                    Some(ns) => Rows::any(ns.iter().map(|n| Condition::new("n", Function::Equal, n))),
                };
                client.session.set_rows("T", client.rows.clone());
                return;
            }
        }
        client.session.transact(txn);
    }

    /// The database's rows for which `keep` holds, read through the row codec.
    fn content(&self, keep: impl Fn(&Row) -> bool) -> TestReplica {
        let mut content = TestReplica::default();
        let database = self.server.database("D").unwrap();
        let schema = database.schema().table("T").unwrap();
        for row in database.table_of_name("T").unwrap().rows() {
            let mut text = String::from("{");
            for (column, value) in schema.columns().iter().zip(row.columns()) {
                text += &format!("{}{:?}:", if text.len() > 1 { "," } else { "" }, column.name());
                value.encode(&mut text);
            }
            text.push('}');
            let mut texts = TextCache::default();
            let mut decoder = RowDecoder::of("T", row.uuid(), &text, &mut texts);
            kiln_ovsdb::Replica::put(&mut content, "T", row.uuid(), &mut decoder).unwrap();
        }
        content.rows.retain(|_, row| keep(row));
        content
    }

    fn check(&self) {
        for client in &self.clients {
            let wanted = |row: &Row| match &client.rows {
                Rows::All => true,
                Rows::None => false,
                Rows::Any(clauses) => clauses.contains(&Condition::new("n", Function::Equal, &row.n)),
            };
            assert_eq!(client.replica.rows, self.content(wanted).rows, "{:?}", client.rows);
            assert!(client.session.is_synced());
            assert_eq!(client.session.transactions_in_flight(), 0);
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    let n = || 0i64..4;
    prop_oneof![
        2 => Just(Step::Connect),
        1 => Just(Step::Disconnect),
        6 => (0usize..2000, 0usize..2000).prop_map(|(up, down)| Step::Deliver(up, down)),
        4 => Just(Step::Deliver(usize::MAX, usize::MAX)),
        3 => n().prop_map(Step::Insert),
        2 => (n(), prop::collection::btree_set(0i64..5, 0..4)).prop_map(|(n, tags)| Step::Update(n, tags)),
        2 => (n(), 0i64..5).prop_map(|(n, tag)| Step::Toggle(n, tag)),
        2 => (n(), "[a-c]").prop_map(|(n, key)| Step::Put(n, key)),
        1 => n().prop_map(Step::Delete),
        2 => (n(), n()).prop_map(|(from, to)| Step::Guarded(from, to)),
        2 => prop::option::of(prop::collection::vec(n(), 0..3)).prop_map(Step::Conditions),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn replicas_equal_the_database(steps in prop::collection::vec((0usize..3, step()), 0..120)) {
        let mut world = World::new(3);
        for i in 0..3 {
            world.connect(i);
        }
        for (i, step) in &steps {
            world.step(*i, step);
        }
        for i in 0..3 {
            if world.clients[i].connection.is_none() {
                world.connect(i);
            }
        }
        world.settle();
        world.check();

        // a new connection finds nothing that is new
        let changes: Vec<usize> = world.clients.iter().map(|c| c.replica.changes).collect();
        for i in 0..3 {
            world.connect(i);
        }
        world.settle();
        world.check();
        prop_assert_eq!(changes, world.clients.iter().map(|c| c.replica.changes).collect::<Vec<_>>());
    }
}

#[test]
fn one_of_three_is_active() {
    let mut world = World::new(3);
    for i in 0..3 {
        world.clients[i].session.lock("northd");
        world.connect(i);
    }
    world.settle();
    let active = |world: &World| (0..3).filter(|&i| world.clients[i].session.has_lock()).collect::<Vec<_>>();
    assert_eq!(active(&world), [0]);
    world.disconnect(0);
    world.settle();
    assert_eq!(active(&world), [1]);
    world.connect(0);
    world.settle();
    world.clients[1].session.unlock();
    world.settle();
    assert_eq!(active(&world), [2], "who waits longest is next");
    world.clients[1].session.steal("northd");
    world.settle();
    assert_eq!(active(&world), [1]);
    let mut txn = world.clients[2].session.txn();
    txn.assert_lock("northd");
    let id = world.clients[2].session.transact(txn);
    let client = &mut world.clients[2];
    while let Some(bytes) = client.session.poll_transmit() {
        world.server.handle_bytes(world.now, client.connection.unwrap(), &bytes);
    }
    while let Some(bytes) = world.server.poll_transmit(client.connection.unwrap()) {
        client.session.handle_bytes(world.now, &bytes, &mut client.replica);
    }
    let answer = std::iter::from_fn(|| client.session.poll_event()).find_map(|event| match event {
        Event::Transacted { id: of, outcome: Outcome::Failed(error) } if of == id => Some(error.class()),
        _ => None,
    });
    assert_eq!(answer, Some(ErrorClass::NotOwner));
}

#[test]
fn transactions_take_effect_as_written() {
    let mut world = World::new(1);
    world.connect(0);
    world.settle();
    let mut txn = world.clients[0].session.txn();
    txn.insert("T").uuid(Uuid::from_u128(10)).set("name", "é\"\n").set("n", &-7).set("tags", &[3, 1]);
    txn.insert("T").uuid(Uuid::from_u128(11)).set("ids", &Pairs(&[("k", "v"), ("l", "w")]));
    txn.wait("T").row(Uuid::from_u128(10)).expect("n", &-7).expect("name", &Some(Text::from("é\"\n")));
    txn.wait("T").filter("n", Function::Greater, &100);
    txn.mutate("T")
        .row(Uuid::from_u128(11))
        .delete("ids", &["k"])
        .put("ids", &Pairs(&[("k", "x")]))
        .add("n", &5);
    txn.select("T").column("n").filter("n", Function::GreaterOrEqual, &5);
    world.clients[0].session.transact(txn);
    world.settle();
    assert_eq!(world.clients[0].committed, 1);
    assert_eq!(world.clients[0].replica.show(), "a é\"\n n=-7 {1, 3}; b n=5 {\"k\": \"x\", \"l\": \"w\"}; ");
}
