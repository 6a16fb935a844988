//! The tree of a file into the model: keys, their values' forms, and defaults.

mod link;
mod router;
mod sandbox;
mod switch;
mod word;

use crate::check;
use crate::file::{Cursor, Format, Log, Place, Problem, Problems};
use crate::model::Network;

/// Reads a network from the text of a file.
///
/// `file_name` is what problems are reported under; it tells the notation ([`Format::of`]) and, unless the file has a
/// `name` of its own, the network's name: the last part of the path without its extension.
pub fn parse(file_name: &str, text: &str) -> Result<Network, Problems> {
    let problems = |list| Problems { file: file_name.to_owned(), list };
    let root = Format::of(file_name).parse(text).map_err(|problem| problems(vec![problem]))?;
    let log = Log::default();
    let network = network(&Cursor::root(&root, &log), stem(file_name), &log);
    let list = log.into_list();
    if list.is_empty() { Ok(network) } else { Err(problems(list)) }
}

/// The same of bytes that have yet to prove to be text.
pub fn parse_bytes(file_name: &str, bytes: &[u8]) -> Result<Network, Problems> {
    match std::str::from_utf8(bytes) {
        Ok(text) => parse(file_name, text),
        Err(error) => {
            let (good, bad) = bytes.split_at(error.valid_up_to());
            let good = std::str::from_utf8(good).unwrap_or_default();
            let line = good.rsplit('\n').next().unwrap_or_default();
            let at = Place {
                line: good.matches('\n').count() as u32 + 1,
                column: line.chars().count() as u32 + 1,
            };
            let found = format!("the byte 0x{:02x}", bad.first().copied().unwrap_or_default());
            let problem = Problem { at, key: String::new(), expected: "UTF-8".to_owned(), found };
            Err(Problems { file: file_name.to_owned(), list: vec![problem] })
        }
    }
}

fn stem(file_name: &str) -> &str {
    let base = file_name.rsplit('/').next().unwrap_or(file_name);
    base.rsplit_once('.').map_or(base, |(stem, _)| if stem.is_empty() { base } else { stem })
}

fn network(root: &Cursor<'_>, stem: &str, log: &Log) -> Network {
    let mut network = Network { name: stem.to_owned(), ..Network::default() };
    let mut fields = root.fields("a map with the keys name, options, switches, routers and sandbox");
    if let Some(name) = fields.get("name").and_then(|cursor| word::name(&cursor)) {
        network.name = name;
    }
    if let Some(cursor) = fields.get("options") {
        network.options = cursor.texts();
        if let Some(cursor) = cursor.under("l3_defaults")
            && cursor.scalar().is_some_and(|text| !matches!(text, "rfc" | "stock"))
        {
            cursor.fail::<()>("`rfc` or `stock`");
        }
    }
    let expected = "a map of switches by name";
    for (name, cursor) in fields.get("switches").iter().flat_map(|cursor| cursor.entries(expected)) {
        network.switches.insert(name.to_owned(), switch::read(&cursor));
    }
    let expected = "a map of routers by name";
    for (name, cursor) in fields.get("routers").iter().flat_map(|cursor| cursor.entries(expected)) {
        network.routers.insert(name.to_owned(), router::read(&cursor));
    }
    link::attach(&mut network, log);
    check::network(&network, log);
    if let Some(cursor) = fields.get("sandbox") {
        network.sandbox = sandbox::read(&cursor, &network);
    }
    fields.end();
    network
}
