//! From what is to what should be: on a database that is a map, with the rules of OVSDB that plans rely on.

// What `UPDATE_EXPECT` writes has them.
#![allow(clippy::needless_raw_string_hashes)]

use expect_test::expect;
use kiln_topology::{Atom, Datum, Network, Northbound, Op, Row, Table, parse, plan};
use kiln_types::Uuid;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// A northbound database: rows by table, strong references, unique names.
#[derive(Clone, Debug, Default, PartialEq)]
struct Store {
    rows: BTreeMap<(Table, Uuid), BTreeMap<String, Datum>>,
    next: u128,
}

const HELD: [(Table, &str, Table); 4] = [
    (Table::Switch, "ports", Table::SwitchPort),
    (Table::Router, "ports", Table::RouterPort),
    (Table::Router, "static_routes", Table::Route),
    (Table::Router, "policies", Table::Policy),
];

impl Store {
    fn insert(&mut self, table: Table, columns: &[(&str, Datum)]) -> Uuid {
        self.next += 1;
        let uuid = Uuid::from_u128(self.next);
        let columns = columns.iter().map(|(column, value)| ((*column).to_owned(), value.clone())).collect();
        self.rows.insert((table, uuid), columns);
        uuid
    }

    fn northbound(&self) -> Northbound {
        let mut northbound = Northbound::default();
        for ((table, uuid), columns) in &self.rows {
            northbound.insert(*table, *uuid, Row { columns: columns.clone() });
        }
        northbound
    }

    fn apply(&mut self, network: &Network) -> usize {
        let plan = plan(network, &self.northbound()).expect("nothing conflicts");
        self.transact(&plan.ops);
        plan.ops.len()
    }

    fn transact(&mut self, ops: &[Op]) {
        let mut new = BTreeMap::new();
        for op in ops {
            if let Op::Insert { number, .. } = op {
                self.next += 1;
                new.insert(*number, Uuid::from_u128(self.next));
            }
        }
        let resolve = |datum: &Datum| match datum {
            Datum::Map(map) => Datum::Map(map.clone()),
            Datum::Set(set) => Datum::Set(
                set.iter()
                    .map(|atom| if let Atom::New(n) = atom { Atom::Row(new[n]) } else { atom.clone() })
                    .collect(),
            ),
        };
        for op in ops {
            match op {
                Op::Absent { table, column, value } => {
                    let taken = |(_, row): (_, &BTreeMap<_, _>)| row.get(*column) == Some(value);
                    assert!(!self.rows.iter().filter(|((t, _), _)| t == table).any(taken), "{op:?}");
                }
                Op::Unchanged { table, uuid, column, value } => {
                    let now = self.rows[&(*table, *uuid)].get(*column);
                    assert!(now == Some(value) || (now.is_none() && value.is_empty()), "{op:?}");
                }
                Op::Insert { table, number, columns } => {
                    let columns = columns.iter().map(|(c, v)| ((*c).to_owned(), resolve(v))).collect();
                    self.rows.insert((*table, new[number]), columns);
                }
                Op::Update { table, uuid, columns } => {
                    let row = self.rows.get_mut(&(*table, *uuid)).expect("an updated row is there");
                    row.extend(columns.iter().map(|(c, v)| ((*c).to_owned(), resolve(v))));
                }
                Op::Mutate { table, uuid, column, delete, insert } => {
                    let row = self.rows.get_mut(&(*table, *uuid)).expect("a mutated row is there");
                    mutate(row.entry((*column).to_owned()), &resolve(delete), &resolve(insert));
                }
                Op::Delete { table, uuid } => {
                    self.rows.remove(&(*table, *uuid)).expect("a deleted row is there");
                }
            }
        }
        self.collect_garbage();
        self.check_names();
    }

    fn held(&self) -> BTreeSet<(Table, Uuid)> {
        let mut held = BTreeSet::new();
        for ((table, _), row) in &self.rows {
            for (_, column, of) in HELD.iter().filter(|(holder, ..)| holder == table) {
                if let Some(Datum::Set(set)) = row.get(*column) {
                    held.extend(set.iter().map(|atom| match atom {
                        Atom::Row(uuid) => (*of, *uuid),
                        other => panic!("{other:?} in {column}"),
                    }));
                }
            }
        }
        held
    }

    fn collect_garbage(&mut self) {
        let held = self.held();
        assert!(held.iter().all(|id| self.rows.contains_key(id)), "a reference leads nowhere");
        self.rows.retain(|id, _| !HELD.iter().any(|(.., of)| *of == id.0) || held.contains(id));
    }

    fn check_names(&self) {
        for unique in [Table::SwitchPort, Table::RouterPort] {
            let rows = self.rows.iter().filter(|((table, _), _)| *table == unique);
            let names: Vec<_> = rows.map(|(_, row)| row["name"].to_string()).collect();
            assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
        }
    }

    /// The rows without their ids: each holder with what it holds.
    fn content(&self) -> BTreeSet<String> {
        let show = |columns: &BTreeMap<String, Datum>| {
            let columns = columns.iter().filter(|(_, value)| !value.is_empty());
            columns
                .map(|(column, value)| format!("{column}: {}", self.expanded(value)))
                .collect::<Vec<_>>()
                .join("; ")
        };
        self.rows.iter().map(|((table, _), columns)| format!("{table:?} {}", show(columns))).collect()
    }

    fn expanded(&self, value: &Datum) -> String {
        let Datum::Set(set) = value else { return value.to_string() };
        let name = |uuid: &Uuid| {
            let row =
                self.rows.iter().find(|((_, id), _)| id == uuid).expect("a reference leads somewhere").1;
            format!("{:?}", row.iter().filter(|(column, _)| *column != "external_ids").collect::<Vec<_>>())
        };
        let mut items: Vec<String> = set
            .iter()
            .map(|atom| if let Atom::Row(uuid) = atom { name(uuid) } else { atom.to_string() })
            .collect();
        items.sort();
        items.join(", ")
    }
}

fn mutate(entry: std::collections::btree_map::Entry<'_, String, Datum>, delete: &Datum, insert: &Datum) {
    let column = entry.or_insert_with(|| match insert {
        Datum::Map(_) => Datum::Map(BTreeMap::new()),
        Datum::Set(_) => Datum::Set(BTreeSet::new()),
    });
    match (column, delete, insert) {
        (Datum::Map(map), Datum::Set(keys), Datum::Map(more)) => {
            map.retain(|key, _| !keys.contains(&Atom::Text(key.clone())));
            for (key, value) in more {
                // An insertion leaves a key that is there as it is (RFC 7047, section 5.1).
                map.entry(key.clone()).or_insert_with(|| value.clone());
            }
        }
        (Datum::Set(set), Datum::Set(gone), Datum::Set(more)) => {
            set.retain(|atom| !gone.contains(atom));
            set.extend(more.iter().cloned());
        }
        (column, ..) => panic!("{column:?} is mutated with {delete:?} and {insert:?}"),
    }
}

const BEFORE: &str = "
options: { l3_defaults: rfc, gone: 1 }
switches:
  web:
    ports: { a: [10.0.1.2], b: unknown, moving: unknown }
  old: { ports: { x: unknown } }
routers:
  r:
    options: { mcast_relay: true }
    ports:
      r-web: { switch: web, networks: [10.0.1.1/24], static_mac_bindings: { 10.0.1.7: 0a:00:00:00:00:07 } }
    routes:
      - { to: 10.9.0.0/16, via: [10.0.1.2, 10.0.1.3] }
    policies:
      - { priority: 5, match: ip4, action: allow }
";

const AFTER: &str = "
options: { l3_defaults: stock, new: 2 }
switches:
  web:
    subnet: 10.0.1.0/24
    ports: { a: [10.0.1.22] }
  db: { ports: { moving: dynamic } }
routers:
  r:
    ports:
      r-web: { switch: web, networks: [10.0.1.1/24, fd00:1::1/64] }
      r-db: { switch: db, networks: [10.0.2.1/24] }
    routes:
      - { to: 10.9.0.0/16, via: [10.0.1.3] }
      - { to: 10.8.0.0/16, via: discard }
    policies:
      - { priority: 5, match: ip4, via: 10.0.1.2 }
";

fn read(text: &str) -> Network {
    parse("net.yaml", text).expect("the text is right")
}

#[test]
fn a_person_can_read_what_would_change() {
    let mut store = Store::default();
    store.insert(Table::Global, &[]);
    store.apply(&read(BEFORE));
    let planned = plan(&read(AFTER), &store.northbound()).unwrap();
    expect![[r#"
        ~ global options: gone 1 -> none; l3_defaults rfc -> stock; new none -> 2
        + switch db
        + port moving of switch db: addresses dynamic
        + port to-r-db of switch db: addresses router; options router-port=r-db; type router
        ~ switch web: other_config none -> subnet=10.0.1.0/24
        ~ port a of switch web: addresses 0a:af:63:dc:4c:86 10.0.1.2 -> 0a:af:63:dc:4c:86 10.0.1.22
        ~ router r: options mcast_relay=true -> none
        + router port r-db of router r: mac 0a:ba:0d:db:21:1e; networks 10.0.2.1/24
        ~ router port r-web of router r: networks 10.0.1.1/24 -> 10.0.1.1/24, fd00:1::1/64
        + route 10.8.0.0/16 via discard of router r
        ~ policy 5 `ip4` of router r: action allow -> reroute; nexthops none -> 10.0.1.2
        - switch old
        - port x of switch old
        - port b of switch web
        - port moving of switch web
        - route 10.9.0.0/16 via 10.0.1.2 of router r
        - static MAC binding 10.0.1.7 on r-web
        5 to add, 6 to change, 6 to remove
    "#]]
    .assert_eq(&format!("{planned}\n"));
    store.transact(&planned.ops);
    assert_eq!(plan(&read(AFTER), &store.northbound()).unwrap().to_string(), "nothing to change");
}

#[test]
fn what_others_made_is_left_alone() {
    let mut store = Store::default();
    let option = Datum::Map(BTreeMap::from([("theirs".to_owned(), "1".to_owned())]));
    let global = store.insert(Table::Global, &[("options", option.clone())]);
    let their_port = store.insert(Table::SwitchPort, &[("name", Datum::text("their-port"))]);
    let their_switch =
        store.insert(Table::Switch, &[("name", Datum::text("theirs")), ("ports", Datum::rows([their_port]))]);
    store.insert(
        Table::StaticMacBinding,
        &[("logical_port", Datum::text("r-web")), ("ip", Datum::text("10.0.1.9")), ("mac", Datum::text("m"))],
    );
    let empty = store.clone();
    store.apply(&read(BEFORE));

    // Their route on our router, their key on our port.
    let their_route = store.insert(Table::Route, &[("ip_prefix", Datum::text("10.7.0.0/16"))]);
    let ours = |store: &Store, table, name: &str| {
        let mut rows = store.rows.iter();
        rows.find(|((t, _), row)| *t == table && row["name"] == Datum::text(name)).unwrap().0.1
    };
    let router = ours(&store, Table::Router, "r");
    let Datum::Set(routes) =
        store.rows.get_mut(&(Table::Router, router)).unwrap().get_mut("static_routes").unwrap()
    else {
        panic!("a set of routes")
    };
    routes.insert(Atom::Row(their_route));
    let port = ours(&store, Table::SwitchPort, "a");
    let Datum::Map(ids) =
        store.rows.get_mut(&(Table::SwitchPort, port)).unwrap().get_mut("external_ids").unwrap()
    else {
        panic!("a map of ids")
    };
    ids.insert("theirs".into(), "kept".into());

    store.apply(&read(AFTER));
    assert!(store.rows.contains_key(&(Table::Route, their_route)));
    let ids = &store.rows[&(Table::SwitchPort, ours(&store, Table::SwitchPort, "a"))]["external_ids"];
    assert_eq!(ids.to_string(), "kiln-network=net, theirs=kept");
    assert_eq!(
        store.rows[&(Table::Global, global)]["options"].to_string(),
        "l3_defaults=stock, new=2, theirs=1"
    );

    // The router cannot go with their route on it; without it, nothing of ours stays.
    let nothing = read("name: net\n");
    let refusal = plan(&nothing, &store.northbound()).unwrap_err().to_string();
    assert_eq!(refusal, "router r is to go, but holds what is not of this network: route 10.7.0.0/16 via ");
    let Some(Datum::Set(routes)) =
        store.rows.get_mut(&(Table::Router, router)).and_then(|row| row.get_mut("static_routes"))
    else {
        panic!("a set of routes")
    };
    routes.remove(&Atom::Row(their_route));
    store.collect_garbage();
    store.apply(&nothing);
    assert_eq!(store.content(), empty.content());
    assert!(store.rows.contains_key(&(Table::Switch, their_switch)));
}

#[test]
fn names_that_are_taken_are_refused() {
    let mut store = Store::default();
    let port = store.insert(Table::SwitchPort, &[("name", Datum::text("a"))]);
    store.insert(Table::Switch, &[("name", Datum::text("other")), ("ports", Datum::rows([port]))]);
    store.apply(&parse("first.yaml", "switches: { web: }").unwrap());
    let second = parse("second.yaml", "switches: { web: { ports: { a: unknown } } }").unwrap();
    expect![[r#"
        switch web belongs to the network `first`
        port a is there already and was not made from a network file"#]]
    .assert_eq(&plan(&second, &store.northbound()).unwrap_err().to_string());
}

#[test]
fn two_networks_stand_side_by_side() {
    let mut store = Store::default();
    let first =
        parse("first.yaml", "options: { a: 1 }\nswitches: { s1: { ports: { p1: unknown } } }").unwrap();
    let second =
        parse("second.yaml", "options: { b: 2 }\nswitches: { s2: { ports: { p2: unknown } } }").unwrap();
    store.apply(&first);
    store.apply(&second);
    assert_eq!(store.apply(&first), 0);
    assert_eq!(store.apply(&second), 0);
    store.apply(&parse("first.yaml", "name: first").unwrap());
    assert_eq!(store.apply(&second), 0);
}

/// A network with a router treats packets as RFCs have it, unless the file or somebody else says otherwise.
#[test]
fn what_options_of_rows_default_to() {
    let mut store = Store::default();
    let options = |store: &Store| {
        let global = store.rows.iter().find(|((table, _), _)| *table == Table::Global);
        global.map(|(_, row)| row["options"].to_string()).unwrap_or_default()
    };
    let network = |name: &str, options: &str| {
        parse("n.yaml", &format!("name: {name}\n{options}\nrouters: {{ {name}: }}")).unwrap()
    };
    store.apply(&parse("switches.yaml", "switches: { s1: }").unwrap());
    assert_eq!(options(&store), "", "there is no router");
    store.apply(&network("one", ""));
    assert_eq!(options(&store), "l3_defaults=rfc");
    store.apply(&network("two", ""));
    store.apply(&parse("n.yaml", "name: one").unwrap());
    assert_eq!(options(&store), "l3_defaults=rfc", "the other network still wants it");
    store.apply(&network("one", "options: { l3_defaults: stock }"));
    assert_eq!(options(&store), "l3_defaults=stock");
    store.apply(&network("two", ""));
    assert_eq!(options(&store), "l3_defaults=stock", "a file that is silent overrules nobody");
    store.apply(&network("one", ""));
    assert_eq!(options(&store), "l3_defaults=rfc", "it was the only one to say so");
    store.apply(&network("two", ""));
    assert_eq!(options(&store), "l3_defaults=rfc");
    assert_eq!(store.apply(&network("one", "")) + store.apply(&network("two", "")), 0);
    store.apply(&parse("n.yaml", "name: one").unwrap());
    store.apply(&parse("n.yaml", "name: two").unwrap());
    assert_eq!(options(&store), "none");
}

/// A network of a small universe: names recur, so that items stay, change, move, come and go.
fn any_network() -> impl Strategy<Value = String> {
    let port = prop_oneof![
        Just("unknown".to_owned()),
        Just("dynamic".to_owned()),
        (2..6u8).prop_map(|i| format!("[10.0.0.{i}]"))
    ];
    let ports = proptest::collection::btree_map(0..4u8, (0..3u8, port), 0..4);
    let router_ports = proptest::collection::btree_map(0..3u8, (0..3u8, 1..4u8, any::<bool>()), 0..3);
    let routes = proptest::collection::btree_set((0..3u8, 1..9u8), 0..4);
    let policies = proptest::collection::btree_map((0..3u8, 0..2u8), any::<bool>(), 0..3);
    let options = proptest::collection::btree_map(0..3u8, 0..2u8, 0..3);
    (ports, router_ports, routes, policies, options).prop_map(
        |(ports, router_ports, routes, policies, options)| {
            let mut text = String::from("options:\n");
            for (key, value) in options {
                text += &format!("  o{key}: {value}\n");
            }
            text += "switches:\n";
            let holders = ports
                .values()
                .map(|(switch, _)| *switch)
                .chain(router_ports.values().map(|(switch, ..)| *switch));
            for switch in holders.collect::<BTreeSet<_>>() {
                text += &format!("  s{switch}:\n    ports:\n");
                let mut taken = BTreeSet::new();
                for (port, (_, addresses)) in ports.iter().filter(|(_, (on, _))| *on == switch) {
                    let addresses = if taken.insert(addresses) { addresses } else { "unknown" };
                    text += &format!("      p{port}: {addresses}\n");
                }
            }
            text += "routers:\n  r:\n    ports:\n";
            for (port, (switch, network, bound)) in &router_ports {
                text += &format!("      r{port}: {{ switch: s{switch}, networks: [10.{port}.{network}.1/16]");
                if *bound {
                    text += &format!(", static_mac_bindings: {{ 10.{port}.0.9: 0a:00:00:00:00:0{network} }}");
                }
                text += " }\n";
            }
            text += "    routes:\n";
            for (port, hop) in routes.iter().filter(|(port, _)| router_ports.contains_key(port)) {
                text += &format!("      - {{ to: 172.{port}.0.0/16, via: 10.{port}.0.{hop} }}\n");
            }
            text += "    policies:\n";
            for ((priority, expression), allow) in policies {
                let action = if allow { "allow" } else { "drop" };
                text += &format!(
                    "      - {{ priority: {priority}, match: ip.ttl == {expression}, action: {action} }}\n"
                );
            }
            text
        },
    )
}

proptest! {
    #[test]
    fn any_way_leads_to_the_same_rows(steps in proptest::collection::vec(any_network(), 1..5)) {
        let mut store = Store::default();
        store.insert(Table::Global, &[]);
        for text in &steps {
            let network = read(text);
            store.apply(&network);
            prop_assert_eq!(store.apply(&network), 0, "the second time changes nothing");
            let mut fresh = Store::default();
            fresh.insert(Table::Global, &[]);
            fresh.apply(&network);
            prop_assert_eq!(store.content(), fresh.content());
        }
        store.apply(&read("name: net\n"));
        prop_assert_eq!(store.rows.len(), 1, "only NB_Global stays");
    }
}
