//! A difference leaves the row, and runs the rules, that the whole row does.

use kiln_incr::{Ctx, Database, Derived, Engine, Visitor};
use kiln_ovsdb::column::Encode;
use kiln_ovsdb::json::TextCache;
use kiln_ovsdb::{Map, Replica, RowDecoder, Set, Text};
use kiln_schema::decl::{integer, map, one, set, string, table};
use kiln_types::{Rng, SharedSet, Uuid};

kiln_schema::database! {
    /// A house.
    pub struct House = "House" "1.0.0";

    /// A room.
    room: Room = table("Room").root() => {
        name: Text = one(string()),
        doors: Set<i64> = set(integer()),
        options: Map<Text, Text> = map(string(), string()),
        guests: SharedSet<Text> = set(string()),
    }
}

struct Db {
    house: House,
    seen: Derived<(Uuid, &'static str), String>,
}

impl Database for Db {
    fn visit(&mut self, v: &mut dyn Visitor) {
        self.house.visit(v);
        v.table(&mut self.seen);
    }
}

type Seen = Vec<((Uuid, &'static str), String)>;

/// A rule for each way to read a column.
macro_rules! rules {
    ($engine:ident: $($name:literal => |$row:ident| $read:expr;)*) => {$(
        fn_of!($engine, $name, $row, $read);
    )*};
}
macro_rules! fn_of {
    ($engine:ident, $name:literal, $row:ident, $read:expr) => {{
        fn see(ctx: &Ctx<'_, Db>, uuid: &Uuid, out: &mut Seen) {
            let Some($row) = ctx.row(&ctx.house.room, uuid) else { return };
            out.push(((*uuid, $name), format!("{:?}", $read)));
        }
        $engine.rule($name, |db| &db.house.room, |db| &mut db.seen, see);
    }};
}

fn engine() -> Engine<Db> {
    let mut engine = Engine::new(Db { house: House::new(), seen: Derived::new("seen") });
    rules! { engine:
        "name" => |row| row.name();
        "doors" => |row| row.doors().all();
        "door 1" => |row| row.doors().contains(&1);
        "options" => |row| row.options().all();
        "option a" => |row| row.options().get("a");
        "keys" => |row| row.options().keys().collect::<Vec<_>>();
        "guests" => |row| row.guests();
    }
    engine.trace(true);
    engine
}

fn row(rng: &mut Rng) -> Room {
    let mut text = || -> Text { ["a", "b", "c"][rng.usize(..3)].into() };
    let options = [(text(), text()), (text(), text())].into_iter().collect();
    let guests = [text(), text()].into_iter().collect();
    Room { name: text(), doors: (0..rng.i64(..3)).map(|_| rng.i64(..3)).collect(), options, guests }
}

/// The JSON of some columns.
fn json(columns: &[(&str, &dyn Encode)]) -> String {
    let mut out = String::from("{");
    for (at, (name, value)) in columns.iter().enumerate() {
        out.push_str(if at == 0 { "\"" } else { ",\"" });
        out.push_str(name);
        out.push_str("\":");
        value.encode(&mut out);
    }
    out + "}"
}

/// What a server sends when `old` becomes `new` (ovsdb-server(7), section 4.1.14).
fn difference(old: &Room, new: &Room) -> String {
    let doors: Set<i64> =
        (0..3).filter(|door| old.doors.contains(door) != new.doors.contains(door)).collect();
    let gone = old.options.iter().filter(|(key, _)| !new.options.contains_key(*key));
    let come = new.options.iter().filter(|(key, value)| old.options.get(*key) != Some(*value));
    let options: Map<Text, Text> =
        gone.chain(come).map(|(key, value)| (key.clone(), value.clone())).collect();
    let guests: SharedSet<Text> = old.guests.differences(&new.guests).cloned().collect();
    let columns: [(&str, &dyn Encode, bool); 4] = [
        ("name", &new.name, new.name != old.name),
        ("doors", &doors, !doors.is_empty()),
        ("options", &options, !options.is_empty()),
        ("guests", &guests, !guests.is_empty()),
    ];
    let differ = columns.iter().filter(|(.., differs)| *differs);
    json(&differ.map(|(name, value, _)| (*name, *value)).collect::<Vec<_>>())
}

#[test]
fn a_difference_does_what_the_whole_row_does() {
    let (mut rng, mut texts) = (Rng::with_seed(5), TextCache::default());
    let (mut by_row, mut by_difference) = (engine(), engine());
    let uuid = Uuid::from_u128(1);
    let mut before: Option<Room> = None;
    let mut ran = 0;
    for _ in 0..500 {
        let new = row(&mut rng);
        let whole = json(&[
            ("name", &new.name),
            ("doors", &new.doors),
            ("options", &new.options),
            ("guests", &new.guests),
        ]);
        by_row.db.house.put("Room", uuid, &mut RowDecoder::of("Room", uuid, &whole, &mut texts)).unwrap();
        let house = &mut by_difference.db.house;
        match before.replace(new.clone()) {
            None => house.put("Room", uuid, &mut RowDecoder::of("Room", uuid, &whole, &mut texts)).unwrap(),
            Some(old) => {
                let text = difference(&old, &new);
                house.patch("Room", uuid, &mut RowDecoder::of("Room", uuid, &text, &mut texts)).unwrap();
            }
        }
        assert_eq!(house.room.peek(&uuid), Some(&new));
        assert_eq!(by_row.db.house.room.peek(&uuid), Some(&new));
        by_row.settle();
        by_difference.settle();
        let trace = by_row.take_trace();
        ran += trace.len();
        assert_eq!(by_difference.take_trace(), trace);
    }
    assert!((500..7 * 500).contains(&ran), "some rules ran, not all: {ran}");
}
