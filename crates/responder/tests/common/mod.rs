//! Stock's messages, and how to read them.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part")]
#![allow(clippy::unnecessary_box_returns, reason = "messages carry packets boxed")]

pub mod settled;

use kiln_openflow::msg::{Message, PacketIn};

/// A heading of a file of messages, and what follows it: whether the message came up, and its bytes.
pub struct Case {
    pub name: String,
    pub messages: Vec<(bool, Vec<u8>)>,
}

pub fn bytes(hex: &str) -> Vec<u8> {
    let digit = |b: u8| (b as char).to_digit(16).expect("a hexadecimal digit") as u8;
    hex.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, b| text + &format!("{b:02x}"))
}

/// Reads a file of messages: headings start with `#`, messages that came up with `<`, those that went down with `>`.
pub fn cases(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines() {
        let (mark, rest) = line.split_at(2);
        match mark {
            "# " => cases.push(Case { name: rest.to_owned(), messages: Vec::new() }),
            "< " | "> " => cases.last_mut().expect("a heading").messages.push((mark == "< ", bytes(rest))),
            other => panic!("a line starts with {other:?}"),
        }
    }
    cases.retain(|case| !case.messages.is_empty());
    cases
}

pub fn packet_in(message: &[u8]) -> Box<PacketIn> {
    match Message::decode(message) {
        Ok((_, Message::PacketIn(packet_in))) => packet_in,
        other => panic!("no packet-in: {other:?}"),
    }
}
