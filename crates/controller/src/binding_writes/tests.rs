//! Chassis with a database between them: recorded rows of a router whose port `r0-pub` is here, transactions carried out by the
//! database engine.

use super::*;
use crate::Compiler;
use crate::bindings::IDLE_S;
use kiln_ovsdb::engine::Database;
use kiln_ovsdb::json::TextCache;
use kiln_ovsdb::schema::DatabaseSchema;
use kiln_ovsdb::{Replica, RowDecoder};
use kiln_responder::{Counted, Renewal, Use};
use kiln_schema_ovn::sb::Southbound;
use kiln_types::Rng;
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;

const RECORDED: &str = include_str!("../../tests/stock/one.json");
/// Router `r0` and two of its ports.
const ROUTER: DatapathKey = DatapathKey(4);
const PUBLIC: PortKey = PortKey(3);
const INNER: PortKey = PortKey(1);
const WALL_MS: i64 = 1_700_000_000_000;

fn put(replica: &mut dyn Replica, table: &str, uuid: &str, row: &Json) {
    let (text, uuid) = (row.to_string(), uuid.parse().unwrap());
    replica.put(table, uuid, &mut RowDecoder::of(table, uuid, &text, &mut TextCache::default())).unwrap();
}

fn hop(port: PortKey, n: u32) -> NextHop {
    let base = if port == PUBLIC { 0x0a00_0200 } else { 0x0a00_0000 };
    NextHop { datapath: ROUTER, port, ip: std::net::Ipv4Addr::from_bits(base + n).into() }
}

fn mac(n: u64) -> EthAddr {
    EthAddr::from_u64(0x0200_0000_0000 + n)
}

/// The recorded southbound database, but for what was learned, with limits.
fn recorded(of_router: Option<u32>, of_port: Option<u32>) -> Json {
    let mut databases = serde_json::from_str::<Json>(RECORDED).unwrap()["databases"].take();
    let south = databases["OVN_Southbound"].as_object_mut().unwrap();
    south["MAC_Binding"] = json!({});
    for row in south["Datapath_Binding"].as_object_mut().unwrap().values_mut() {
        if let Some(limit) = of_router.filter(|_| row["type"] == "logical-router") {
            let ids = row["external_ids"][1].as_array_mut().unwrap();
            ids.insert(2, json!(["mac_binding_limit", limit.to_string()]));
            ids.sort_by_key(|pair| pair[0].to_string());
        }
    }
    for row in south["Port_Binding"].as_object_mut().unwrap().values_mut() {
        if let Some(limit) = of_port.filter(|_| row["logical_port"] == "r0-pub") {
            row["options"] = json!([
                "map",
                [
                    ["mac_binding_gateways", "10.0.2.254"],
                    ["mac_binding_limit", limit.to_string()],
                    ["peer", "pub-r0"]
                ]
            ]);
        }
    }
    databases
}

struct Chassis {
    compiler: Compiler,
    renewal: Renewal,
    writes: BindingWrites,
    /// The answer to what is under way.
    answer: Option<Outcome>,
    rows: BTreeSet<Uuid>,
    sent: u64,
}

struct Lab {
    database: Database,
    now: Instant,
    wall_ms: i64,
    chassis: Vec<Chassis>,
}

impl Lab {
    fn new(chassis: usize, of_router: Option<u32>, of_port: Option<u32>) -> Lab {
        let schema = DatabaseSchema::parse(&Southbound::DECL.to_json().to_string()).unwrap();
        let databases = recorded(of_router, of_port);
        let mut lab = Lab {
            database: Database::new(schema, Rng::with_seed(1)),
            now: Instant::from_secs(1),
            wall_ms: WALL_MS,
            chassis: Vec::new(),
        };
        for (uuid, row) in databases["OVN_Southbound"]["Datapath_Binding"].as_object().unwrap() {
            let row = json!({ "tunnel_key": row["tunnel_key"] });
            lab.edit(&json!({ "op": "insert", "table": "Datapath_Binding", "uuid": uuid, "row": row }));
        }
        for _ in 0..chassis {
            let mut compiler = Compiler::new();
            for (table, rows) in databases["OVN_Southbound"].as_object().unwrap() {
                for (uuid, row) in rows.as_object().unwrap() {
                    put(compiler.southbound_replica(), table, uuid, row);
                }
            }
            for (table, rows) in databases["Open_vSwitch"].as_object().unwrap() {
                for (uuid, row) in rows.as_object().unwrap() {
                    put(compiler.local_replica(), table, uuid, row);
                }
            }
            compiler.settle();
            lab.chassis.push(Chassis {
                compiler,
                renewal: Renewal::new(1),
                writes: BindingWrites::default(),
                answer: None,
                rows: BTreeSet::new(),
                sent: 0,
            });
        }
        lab
    }

    fn run(&mut self, params: &str) -> Vec<Json> {
        let outcome = self.database.transact(params, Duration::ZERO, &|_| true);
        let kiln_ovsdb::engine::Outcome::Finished { results, .. } = outcome else { panic!("nothing waits") };
        serde_json::from_str::<Vec<Json>>(&results).unwrap()
    }

    fn edit(&mut self, operation: &Json) {
        let answer = self.run(&json!(["OVN_Southbound", operation]).to_string());
        assert!(answer[0]["error"].is_null(), "{operation}: {answer:?}");
    }

    /// The rows: uuid, port, address, Ethernet address, timestamp.
    fn rows(&self) -> Vec<(Uuid, String, String, String, i64)> {
        let table = self.database.table_of_name("MAC_Binding").unwrap();
        let schema = self.database.schema().table("MAC_Binding").unwrap();
        let column = |name| schema.column_index(name).unwrap();
        let [port, ip, mac, time] = ["logical_port", "ip", "mac", "timestamp"].map(column);
        let text = |json: String| json.trim_matches('"').to_owned();
        let line = |row: &&std::sync::Arc<kiln_ovsdb::engine::Row>| {
            let get = |column: usize| text(row.get(column).to_string());
            (row.uuid(), get(port), get(ip), get(mac), get(time).parse().unwrap())
        };
        table.sorted_rows().iter().map(line).collect()
    }

    fn addresses(&self) -> Vec<String> {
        let mut addresses: Vec<String> = self.rows().into_iter().map(|row| row.2).collect();
        addresses.sort_by_key(|ip| ip.parse::<std::net::IpAddr>().unwrap());
        addresses
    }

    /// Brings a chassis' replica up to date.
    fn sync(&mut self, n: usize) {
        let rows = self.rows();
        let router = "175ca7bb-3bf6-4e37-b748-adbcc3a46d75";
        let chassis = &mut self.chassis[n];
        let before = std::mem::take(&mut chassis.rows);
        for (uuid, port, ip, mac, timestamp) in rows {
            let row = json!({
                "logical_port": port, "ip": ip, "mac": mac, "timestamp": timestamp, "datapath": ["uuid", router],
            });
            put(chassis.compiler.southbound_replica(), "MAC_Binding", &uuid.to_string(), &row);
            chassis.rows.insert(uuid);
        }
        for gone in before.difference(&chassis.rows) {
            chassis.compiler.southbound_replica().delete("MAC_Binding", *gone);
        }
        chassis.compiler.settle();
        for change in chassis.compiler.take_bindings() {
            match change
                .new
                .and_then(|new| new.keep_s.filter(|_| new.mac.is_some()).zip(Some(new.timestamp_ms)))
            {
                Some((keep_s, timestamp_ms)) => {
                    let age = Duration::from_millis((self.wall_ms - timestamp_ms).max(0) as u64);
                    chassis.renewal.follow(
                        self.now,
                        change.next_hop,
                        age,
                        Duration::from_secs(keep_s.into()),
                    );
                }
                None => chassis.renewal.forget(&change.next_hop),
            }
        }
    }

    /// A chassis sends what is due, if it may; the database carries it out.
    fn send(&mut self, n: usize) {
        let mut txn = Txn::new("OVN_Southbound");
        let chassis = &mut self.chassis[n];
        let view = View { db: chassis.compiler.db(), wall_ms: self.wall_ms, renewal: &chassis.renewal };
        let due = chassis.writes.deadline().is_some_and(|due| due <= self.now);
        if !due {
            return;
        }
        chassis.writes.write(self.now, &view, &mut txn);
        if txn.is_empty() {
            return chassis.writes.sent(self.now, None);
        }
        let len = txn.len();
        assert!(len <= 2 * MAX_BATCH);
        chassis.sent += 1;
        let id = TxnId(chassis.sent);
        chassis.writes.sent(self.now, Some(id));
        let results = self.run(&txn.into_params());
        self.chassis[n].answer = Some(outcome(&results, len));
    }

    fn answer(&mut self, n: usize) {
        let chassis = &mut self.chassis[n];
        if let Some(outcome) = chassis.answer.take() {
            chassis.writes.answered(self.now, TxnId(chassis.sent), &outcome);
        }
    }

    fn pass(&mut self, ms: u64) {
        self.now = self.now + Duration::from_millis(ms);
        self.wall_ms += ms as i64;
    }

    /// Lets one chassis do everything that it has to, its replica up to date before every answer.
    fn settle(&mut self, n: usize) {
        for _ in 0..200 {
            self.send(n);
            self.sync(n);
            self.answer(n);
            if self.chassis[n].writes.len() == 0 {
                return;
            }
            self.pass(50);
        }
        panic!("it does not come to rest");
    }

    fn learn(&mut self, n: usize, write: Write) {
        self.chassis[n].writes.learn(write, self.wall_ms);
    }
}

/// The answer to a transaction of `len` operations.
fn outcome(results: &[Json], len: usize) -> Outcome {
    if let Some(at) = results.iter().position(|result| !result["error"].is_null()) {
        let text = |member: &str| results[at][member].as_str().unwrap_or_default().to_owned();
        // Beyond the last operation it is the commit that failed.
        let op = Some(at).filter(|at| *at < len);
        return Outcome::Failed(OpError { op, error: text("error"), details: text("details") });
    }
    let result = |result: &Json| match (&result["count"], &result["uuid"]) {
        (Json::Number(count), _) => OpResult::Count(count.as_u64().unwrap()),
        (_, Json::Array(uuid)) => OpResult::Inserted(uuid[1].as_str().unwrap().parse().unwrap()),
        _ => OpResult::Done,
    };
    Outcome::Committed(results.iter().map(result).collect())
}

/// Ten thousand answers at once: every one is written, twenty transactions a second at most.
#[test]
fn a_storm_is_written_whole_in_few_transactions() {
    let mut lab = Lab::new(1, None, None);
    for n in 0..10_000 {
        lab.learn(0, Write::MacBinding(hop(PUBLIC, n), mac(n.into())));
    }
    let start = lab.now;
    lab.settle(0);
    assert_eq!(lab.rows().len(), 10_000);
    let sent = lab.chassis[0].sent;
    assert_eq!(sent, 5);
    assert!(lab.now - start >= INTERVAL * (sent as u32 - 1));
    // the same answers again cost nothing
    for n in 0..10_000 {
        lab.learn(0, Write::MacBinding(hop(PUBLIC, n), mac(n.into())));
    }
    lab.settle(0);
    assert_eq!((lab.chassis[0].sent, lab.chassis[0].writes.totals().satisfied), (5, 10_000));
}

#[test]
fn the_queue_is_bounded() {
    let mut lab = Lab::new(1, None, None);
    for n in 0..MAX_ROWS as u32 + 7 {
        lab.learn(0, Write::MacBinding(hop(PUBLIC, n), mac(1)));
    }
    let writes = &mut lab.chassis[0].writes;
    assert_eq!((writes.len(), writes.totals().full), (MAX_ROWS, 7));
    writes.forget(|datapath, port| (datapath, port) == (ROUTER, PUBLIC));
    assert_eq!((writes.len(), writes.deadline()), (0, None));
}

/// Two chassis hear the same and write it at once; the second one's batch holds ten rows of its own.
#[test]
fn where_another_chassis_was_first_the_rest_is_written() {
    let mut lab = Lab::new(2, None, None);
    for n in 0..500 {
        lab.learn(0, Write::MacBinding(hop(PUBLIC, n), mac(n.into())));
        lab.learn(1, Write::MacBinding(hop(PUBLIC, n), mac(n.into())));
    }
    for n in 1000..1010 {
        lab.learn(1, Write::MacBinding(hop(PUBLIC, n), mac(n.into())));
    }
    lab.send(0);
    lab.send(1);
    assert!(matches!(lab.chassis[1].answer, Some(Outcome::Failed(_))));
    assert_eq!(lab.rows().len(), 500);
    lab.sync(1);
    lab.answer(1);
    lab.pass(50);
    lab.settle(1);
    assert_eq!((lab.rows().len(), lab.chassis[1].sent), (510, 2));
    let totals = *lab.chassis[1].writes.totals();
    assert_eq!((totals.satisfied, totals.conflicts, totals.dropped), (500, 1, 0));
}

/// A row that this chassis cannot see is in the way of one of a thousand: it is found by halving, and left out.
#[test]
fn a_row_that_is_always_at_fault_is_dropped_alone() {
    let mut lab = Lab::new(1, None, None);
    lab.edit(&json!({ "op": "insert", "table": "MAC_Binding", "row": {
        "logical_port": "r0-pub", "ip": "10.0.2.77", "mac": "02:00:00:00:00:aa", "timestamp": 0,
        "datapath": ["uuid", "175ca7bb-3bf6-4e37-b748-adbcc3a46d75"],
    }}));
    for n in 0..1000 {
        lab.learn(0, Write::MacBinding(hop(PUBLIC, n), mac(n.into())));
    }
    for _ in 0..100 {
        lab.send(0);
        lab.answer(0);
        lab.pass(50);
    }
    assert_eq!(lab.chassis[0].writes.len(), 0);
    assert_eq!(lab.rows().len(), 1000);
    let totals = *lab.chassis[0].writes.totals();
    assert_eq!(totals.dropped, 1);
    assert!(lab.chassis[0].sent <= 2 + 2 * 10, "{}", lab.chassis[0].sent);
}

/// A query beside an answer, in every order: there is an address in the end, and the time is that of the writing.
#[test]
fn a_row_never_goes_back_to_no_address() {
    let (query, answer) = (Write::Query(hop(PUBLIC, 1)), Write::MacBinding(hop(PUBLIC, 1), mac(1)));
    let text = mac(1).to_string();
    // by one chassis, in one batch
    for order in [[query, answer], [answer, query]] {
        let mut lab = Lab::new(1, None, None);
        for write in order {
            lab.learn(0, write);
        }
        lab.settle(0);
        assert_eq!(lab.rows().iter().map(|row| &row.3).collect::<Vec<_>>(), [&text]);
        lab.pass(5000);
        lab.learn(0, query);
        lab.settle(0);
        assert_eq!(lab.rows()[0].3, text);
    }
    // by two, neither of which sees the other's
    for first in [0, 1] {
        let mut lab = Lab::new(2, None, None);
        lab.learn(0, query);
        lab.learn(1, answer);
        lab.send(first);
        lab.send(1 - first);
        for n in [0, 1] {
            lab.sync(n);
            lab.answer(n);
            lab.pass(50);
            lab.settle(n);
        }
        assert_eq!(lab.rows().iter().map(|row| &row.3).collect::<Vec<_>>(), [&text]);
    }
    // a query is repeated while its answer is on the way
    let mut lab = Lab::new(2, None, None);
    lab.learn(0, query);
    lab.settle(0);
    lab.sync(1);
    assert_eq!((lab.rows()[0].3.as_str(), lab.rows()[0].4), ("", lab.wall_ms));
    lab.pass(5000);
    lab.learn(1, answer);
    lab.send(1);
    lab.learn(0, query);
    lab.send(0);
    assert_eq!((lab.rows()[0].3.as_str(), lab.rows()[0].4), (text.as_str(), lab.wall_ms));
}

#[test]
fn queries_are_collected_and_rows_brought_forward_by_what_stands() {
    let mut lab = Lab::new(1, None, None);
    let (asked, known) = (hop(PUBLIC, 1), hop(PUBLIC, 2));
    lab.learn(0, Write::Query(asked));
    lab.learn(0, Write::MacBinding(known, mac(2)));
    lab.settle(0);
    let born_ms = lab.rows()[0].4;
    lab.pass(9000);
    let writes = &mut lab.chassis[0].writes;
    writes.offer(Subject::Collect(asked), Value::Time(born_ms - 1));
    writes.offer(Subject::Collect(known), Value::Time(born_ms));
    writes.offer(Subject::Heard(known), Value::Time(born_ms + 5000));
    lab.settle(0);
    assert_eq!(lab.addresses(), ["10.0.2.1", "10.0.2.2"], "another time, and one that was answered");
    let time = |lab: &Lab, ip: &str| lab.rows().iter().find(|row| row.2 == ip).unwrap().4;
    assert_eq!(time(&lab, "10.0.2.2"), born_ms + 5000);
    let writes = &mut lab.chassis[0].writes;
    writes.offer(Subject::Heard(known), Value::Time(born_ms + 4000));
    writes.offer(Subject::Collect(asked), Value::Time(born_ms));
    lab.settle(0);
    assert_eq!(lab.addresses(), ["10.0.2.2"]);
    assert_eq!(time(&lab, "10.0.2.2"), born_ms + 5000, "never back");
}

/// A full port: first goes who was only asked for, then who does not answer, then who was not heard of; never the next hop of a
/// route, nor who was heard of lately.
#[test]
fn who_gives_way_when_a_port_is_full() {
    let mut lab = Lab::new(1, None, Some(5));
    let old_ms = i64::from(IDLE_S) * 1000 + 1;
    lab.wall_ms -= old_ms;
    for n in [254, 10, 20] {
        lab.learn(0, Write::MacBinding(hop(PUBLIC, n), mac(n.into())));
    }
    lab.settle(0);
    lab.wall_ms = WALL_MS + old_ms;
    lab.now = lab.now + Duration::from_millis(2 * old_ms as u64);
    lab.learn(0, Write::MacBinding(hop(PUBLIC, 30), mac(30)));
    lab.learn(0, Write::Query(hop(PUBLIC, 40)));
    lab.settle(0);
    assert_eq!(lab.addresses(), ["10.0.2.10", "10.0.2.20", "10.0.2.30", "10.0.2.40", "10.0.2.254"]);
    // 20 does not answer
    let renewal = &mut lab.chassis[0].renewal;
    let used = Some(Counted { packets: 1, ago: Duration::ZERO });
    renewal.note(lab.now, hop(PUBLIC, 20), Use { heard: None, used }, Duration::ZERO);
    while !renewal.has_failed(&hop(PUBLIC, 20)) {
        let due = renewal.deadline().expect("it is asked");
        renewal.advance(due, |_| {});
    }
    let mut left = BTreeSet::from([10, 20, 30, 40, 254]);
    for (new, gone) in [(51, Some(40)), (52, Some(20)), (53, Some(10)), (54, None)] {
        lab.learn(0, Write::MacBinding(hop(PUBLIC, new), mac(new.into())));
        lab.settle(0);
        if let Some(gone) = gone {
            left.remove(&gone);
            left.insert(new);
        }
        let expected: Vec<String> = left.iter().map(|n| format!("10.0.2.{n}")).collect();
        assert_eq!(lab.addresses(), expected, "{new}");
    }
    let counts = lab.chassis[0].writes.on_port(ROUTER, PUBLIC);
    assert_eq!(counts, PortCounts { refused: 1, evicted: [1, 1, 1] });
    // other ports have no limit
    lab.learn(0, Write::MacBinding(hop(INNER, 9), mac(9)));
    lab.settle(0);
    assert_eq!(lab.rows().len(), 6);
}

/// A scan of a full port takes nothing but the place of older queries.
#[test]
fn queries_push_out_older_queries_alone() {
    let mut lab = Lab::new(1, None, Some(2));
    lab.learn(0, Write::MacBinding(hop(PUBLIC, 1), mac(1)));
    lab.learn(0, Write::Query(hop(PUBLIC, 2)));
    lab.settle(0);
    lab.learn(0, Write::Query(hop(PUBLIC, 3)));
    lab.settle(0);
    assert_eq!(lab.addresses(), ["10.0.2.1", "10.0.2.2"], "its answer may still come");
    lab.pass(3000);
    lab.learn(0, Write::Query(hop(PUBLIC, 3)));
    lab.settle(0);
    assert_eq!(lab.addresses(), ["10.0.2.1", "10.0.2.3"]);
    assert_eq!(lab.chassis[0].writes.limited(), PortCounts { refused: 1, evicted: [1, 0, 0] });
}

/// However many chassis learn at once, and however late they see each other's rows: limits hold after every transaction, no row loses
/// its address, and everybody comes to rest.
#[test]
fn limits_hold_whoever_learns() {
    for seed in 0..6 {
        let mut rng = Rng::with_seed(seed);
        let of_port = [None, Some(8), Some(20)][rng.usize(..3)];
        let of_router = [None, Some(12)][rng.usize(..2)];
        let mut lab = Lab::new(4, of_router, of_port);
        let mut addressed: BTreeSet<(String, String)> = BTreeSet::new();
        for _ in 0..400 {
            let n = rng.usize(..4);
            match rng.u8(..8) {
                0..4 => {
                    let port = if rng.bool() { PUBLIC } else { INNER };
                    let next_hop = hop(port, rng.u32(1..60));
                    let query = rng.u8(..3) == 0;
                    let write = if query {
                        Write::Query(next_hop)
                    } else {
                        Write::MacBinding(next_hop, mac(rng.u64(..3)))
                    };
                    lab.learn(n, write);
                }
                4 => lab.send(n),
                5 => lab.sync(n),
                6 => {
                    lab.sync(n);
                    lab.answer(n);
                }
                _ => lab.pass(rng.u64(..20_000)),
            }
            let rows = lab.rows();
            let public = rows.iter().filter(|row| row.1 == "r0-pub").count();
            assert!(of_port.is_none_or(|limit| public <= limit as usize), "seed {seed}: {public}");
            assert!(
                of_router.is_none_or(|limit| rows.len() <= limit as usize),
                "seed {seed}: {}",
                rows.len()
            );
            let with_address = rows.iter().filter(|row| !row.3.is_empty());
            let now: BTreeSet<_> = with_address.map(|row| (row.1.clone(), row.2.clone())).collect();
            let without: BTreeSet<_> = rows
                .iter()
                .filter(|row| row.3.is_empty())
                .map(|row| (row.1.clone(), row.2.clone()))
                .collect();
            assert!(addressed.is_disjoint(&without), "seed {seed}: a row lost its address");
            addressed = now;
        }
        let sent: u64 = lab.chassis.iter().map(|chassis| chassis.sent).sum();
        for n in 0..4 {
            lab.pass(50);
            lab.sync(n);
            lab.answer(n);
            lab.settle(n);
        }
        let more: u64 = lab.chassis.iter().map(|chassis| chassis.sent).sum::<u64>() - sent;
        assert!(more < 60, "seed {seed}: {more} more transactions");
    }
}
