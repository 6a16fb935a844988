//! Entry points for fuzzing what reads bytes from outside: any input must return, without a panic, in time and memory
//! proportional to its length.

mod server;

use std::collections::BTreeMap;
use std::time::Duration;

use kiln_types::{Instant, Uuid};

use crate::client::offered::OfferedSchema;
use crate::client::{Event, Session, SessionConfig, Stage, TableMonitor};
use crate::column::{Column, Map, Set, Text};
use crate::frame::{Frame, Framer};
use crate::json::{Decoder, TextCache};
use crate::jsonrpc::Message;
use crate::remote::Remotes;
use crate::row::{Replica, RowDecoder, RowError};
use crate::txn::{TxnReply, decode_rows};

pub use server::fuzz_server;

/// One of the entry points, which the first byte chooses.
pub fn fuzz(data: &[u8]) {
    let Some((&choice, rest)) = data.split_first() else { return };
    match choice % 4 {
        0 => fuzz_frames(rest),
        1 => fuzz_values(rest),
        2 => fuzz_session(rest),
        _ => fuzz_server(rest),
    }
}

/// Cuts `data` into messages, in chunks whose lengths come from `data` too, and reads their envelopes.
pub fn fuzz_frames(data: &[u8]) {
    let Some((&first, mut rest)) = data.split_first() else { return };
    let mut framer = Framer::new(1 << 16);
    let mut chunk = usize::from(first) + 1;
    let mut cut = 0;
    while !rest.is_empty() {
        let (bytes, later) = rest.split_at(chunk.min(rest.len()));
        framer.push(bytes);
        rest = later;
        chunk = usize::from(bytes[0]) % 61 + 1;
        loop {
            match framer.next_frame() {
                Ok(Some(frame)) => {
                    cut += frame.text.len();
                    // what the framer says of members must be what a scan finds, which is stricter
                    if let Ok(scanned) = Message::parse(&Frame::of(frame.text)) {
                        assert_eq!(Message::parse(&frame), Ok(scanned));
                    }
                }
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
    assert!(cut + framer.buffered() <= data.len());
}

/// Reads `data` as every kind of value, and writes back what could be read.
pub fn fuzz_values(data: &[u8]) {
    fn check<T: Column>(text: &str, texts: &mut TextCache) {
        let mut json = Decoder::new(text, texts);
        if let Ok(value) = T::decode(&mut json) {
            let mut out = String::new();
            value.encode(&mut out);
            let again = T::decode(&mut Decoder::new(&out, texts));
            assert!(again.is_ok_and(|again| again == value), "{text} {out}");
            let mut toggled = value.clone();
            toggled.apply_diff(value);
        }
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    let texts = &mut TextCache::empty();
    check::<i64>(text, texts);
    check::<f64>(text, texts);
    check::<bool>(text, texts);
    check::<Text>(text, texts);
    check::<Uuid>(text, texts);
    check::<Option<Text>>(text, texts);
    check::<Set<i64>>(text, texts);
    check::<Set<Uuid>>(text, texts);
    check::<Map<Text, Text>>(text, texts);
    check::<Map<i64, f64>>(text, texts);
    let _ = OfferedSchema::parse(text);
    let _ = TxnReply::decode(&mut Decoder::new(text, texts), 3);
    let _ = decode_rows("T", text, |row| Row::default().read(row, false));
    if let Ok(list) = text.parse::<Remotes>() {
        for remote in list.remotes {
            assert_eq!(remote.to_string().parse().as_ref(), Ok(&remote));
        }
    }
}

/// A client session whose server is good for as many steps as the first byte says, and sends the rest of `data` then. A byte
/// 0xff in it stands for a lost connection and a new one, 0xfe for a second without bytes.
pub fn fuzz_session(data: &[u8]) {
    const ZERO: &str = "00000000-0000-0000-0000-000000000000";
    let Some((&steps, hostile)) = data.split_first() else { return };
    let mut config = SessionConfig::new("D");
    config.max_message_bytes = 1 << 16;
    config.tables = vec![TableMonitor::new("T", ["name", "n", "tags", "ids"])];
    let mut session = Session::new(config);
    session.lock("l");
    let mut replica = Rows::default();
    let mut now = Instant::ZERO;
    session.handle_connected(now);
    let good = [
        format!(r#"{{"id":1,"result":{{"Database":{{"{ZERO}":{{"initial":{{"name":"D"}}}}}}}},"error":null}}"#),
        r#"{"id":3,"result":{"tables":{"T":{"columns":{"name":{},"n":{},"tags":{},"ids":{}}}}},"error":null}"#.to_owned(),
        format!(r#"{{"id":4,"result":[false,"{ZERO}",{{"T":{{"{ZERO}":{{"initial":{{"n":1}}}}}}}}],"error":null}}"#),
        r#"{"id":5,"result":{"locked":true},"error":null}"#.to_owned(),
    ];
    for message in good.iter().take(usize::from(steps) % 5) {
        session.handle_bytes(now, message.as_bytes(), &mut replica);
    }
    let mut txn = session.txn();
    txn.insert("T").set("n", &1);
    session.transact(txn);
    for part in hostile.split_inclusive(|&byte| byte >= 0xfe) {
        let (bytes, end) = match part.split_last() {
            Some((&end @ 0xfe.., bytes)) => (bytes, end),
            _ => (part, 0),
        };
        session.handle_bytes(now, bytes, &mut replica);
        match end {
            0xff => {
                session.handle_disconnected(now);
                session.handle_connected(now);
            }
            0xfe => {
                now = now + Duration::from_secs(1);
                session.handle_timeout(now);
            }
            _ => {}
        }
        while session.poll_transmit().is_some() {}
        while let Some(event) = session.poll_event() {
            if let Event::Close(_) = event {
                assert_eq!(session.stage(), Stage::Disconnected);
            }
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Row {
    name: Option<Text>,
    n: i64,
    tags: Set<i64>,
    ids: Map<Text, Text>,
}

impl Row {
    fn read(&mut self, row: &mut RowDecoder<'_>, diff: bool) -> Result<(), RowError> {
        while let Some(column) = row.next_column()? {
            match column {
                "name" => self.name = row.value()?,
                "n" => self.n = row.value()?,
                "tags" if diff => row.patch_into(&mut self.tags)?,
                "tags" => self.tags = row.value()?,
                "ids" if diff => row.patch_into(&mut self.ids)?,
                "ids" => self.ids = row.value()?,
                // as a reader might that looks at some columns only
                "left" => {}
                "enough" => break,
                _ => row.skip()?,
            }
        }
        Ok(())
    }
}

#[derive(Debug, Default)]
struct Rows(BTreeMap<Uuid, Row>);

impl Replica for Rows {
    fn put(&mut self, _table: &str, uuid: Uuid, row: &mut RowDecoder<'_>) -> Result<(), RowError> {
        self.0.remove(&uuid);
        let mut new = Row::default();
        new.read(row, false)?;
        self.0.insert(uuid, new);
        Ok(())
    }

    fn patch(&mut self, _table: &str, uuid: Uuid, row: &mut RowDecoder<'_>) -> Result<(), RowError> {
        let Some(mut new) = self.0.remove(&uuid) else { return Err(row.unknown_row()) };
        new.read(row, true)?;
        self.0.insert(uuid, new);
        Ok(())
    }

    fn delete(&mut self, _table: &str, uuid: Uuid) {
        self.0.remove(&uuid);
    }

    fn begin_refetch(&mut self) {}

    fn end_refetch(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SEEDS: [&str; 8] = [
        r#"{"id":null,"method":"update3","params":["data","00000000-0000-0000-0000-0000000000f1",{"T":{"00000000-0000-0000-0000-000000000000":{"modify":{"tags":["set",[1,2]],"left":1,"ids":["map",[["a","b"]]]}}}}]}"#,
        r#"{"id":null,"method":"update2","params":["server",{"Database":{"00000000-0000-0000-0000-000000000000":{"delete":null}}}]}"#,
        r#"{"id":6,"result":[{"uuid":["uuid","00000000-0000-0000-0000-00000000000a"]}],"error":null}"#,
        r#"{"id":"e","method":"echo","params":[]}{"id":null,"method":"stolen","params":["l"]}"#,
        r#"["map",[["a\u00e9","b"],["c",""]]]"#,
        r#"["set",[-1,2.0,3e2]]"#,
        r#"{"id":null,"method":"monitor_canceled","params":["data"]}"#,
        "tcp:[::1]:6640,unix:/a ptcp:1:0.0.0.0,cid:00000000-0000-0000-0000-000000000000",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn entry_points_hold(
            first in any::<u8>(),
            seeds in prop::collection::vec(0..SEEDS.len(), 1..4),
            edits in prop::collection::vec((any::<prop::sample::Index>(), 0usize..4, "[\\[\\]{}\",:0-9a\\\\ÿ]{0,3}"), 0..4),
            raw in prop::collection::vec(any::<u8>(), 0..8),
        ) {
            let mut data: Vec<u8> = seeds.iter().flat_map(|&s| SEEDS[s].bytes()).collect();
            for (at, len, with) in edits {
                let at = at.index(data.len() + 1);
                data.splice(at..(at + len).min(data.len()), with.bytes());
            }
            fuzz_values(&data);
            data.insert(0, first);
            data.extend(raw);
            fuzz_frames(&data);
            fuzz_session(&data);
        }
    }
}
