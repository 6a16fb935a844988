//! Frames as lists of named fields, each with the bytes that it stands in.
//!
//! This reads packets on its own and shares nothing with what it judges.

use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;

/// A field of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name; fields of a quoted packet begin with `q.`.
    pub key: String,
    /// What it says, without blanks.
    pub text: String,
    /// The bytes of the frame that say so.
    pub at: Range<usize>,
}

/// A frame that was captured.
#[derive(Clone, Debug)]
pub struct Frame {
    pub bytes: Vec<u8>,
    pub fields: Vec<Field>,
}

/// Names by Ethernet address.
pub type Names = BTreeMap<[u8; 6], String>;

impl Frame {
    /// Reads a frame. What is too short is left out, and what is unknown is `data`.
    pub fn read(bytes: Vec<u8>, names: &Names) -> Frame {
        let mut reader = Reader { bytes: &bytes, names, prefix: "", fields: Vec::new() };
        let _ = reader.ethernet();
        let fields = reader.fields;
        Frame { bytes, fields }
    }

    /// Whether the frame has what a word asks for: `key=text`, `key` of a field with any text, or `!` and a key that no
    /// field has.
    pub fn has(&self, word: &str) -> bool {
        if let Some(key) = word.strip_prefix('!') {
            return self.fields.iter().all(|field| field.key != key);
        }
        let (key, text) = word.split_once('=').map_or((word, None), |(key, text)| (key, Some(text)));
        self.fields.iter().any(|field| field.key == key && text.is_none_or(|text| field.text == text))
    }
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.fields.iter().filter(|field| field.text != "ok");
        let words: Vec<String> = shown.map(|field| format!("{}={}", field.key, field.text)).collect();
        f.write_str(&words.join(" "))
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    names: &'a Names,
    /// `q.` within a packet that an error quotes.
    prefix: &'static str,
    fields: Vec<Field>,
}

/// An IP packet's addresses, as the checksums below it count them.
struct Pseudo {
    sum: u32,
    protocol: u8,
    /// A fragment other than the first has no header to read.
    later: bool,
    /// Where the payload is, by the length that the header states.
    payload: Range<usize>,
}

impl<'a> Reader<'a> {
    fn get(&self, at: usize, len: usize) -> Option<&'a [u8]> {
        self.bytes.get(at..at + len)
    }

    fn u8(&self, at: usize) -> Option<u8> {
        self.bytes.get(at).copied()
    }

    fn u16(&self, at: usize) -> Option<u16> {
        self.get(at, 2).map(|b| u16::from_be_bytes([b[0], b[1]]))
    }

    fn u32(&self, at: usize) -> Option<u32> {
        self.get(at, 4).map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
    }

    fn add(&mut self, key: &str, text: impl fmt::Display, at: Range<usize>) {
        self.fields.push(Field { key: format!("{}{key}", self.prefix), text: text.to_string(), at });
    }

    fn mac(&mut self, key: &str, at: usize) -> Option<()> {
        let mac: [u8; 6] = self.get(at, 6)?.try_into().ok()?;
        let raw = || mac.map(|byte| format!("{byte:02x}")).join(":");
        let text = match mac {
            [0xff, 0xff, 0xff, 0xff, 0xff, 0xff] => "broadcast".to_owned(),
            _ => self.names.get(&mac).cloned().unwrap_or_else(raw),
        };
        self.add(key, text, at..at + 6);
        Some(())
    }

    fn ip4(&mut self, key: &str, at: usize) -> Option<()> {
        let bytes: [u8; 4] = self.get(at, 4)?.try_into().ok()?;
        self.add(key, Ipv4Addr::from(bytes), at..at + 4);
        Some(())
    }

    fn ip6(&mut self, key: &str, at: usize) -> Option<()> {
        let bytes: [u8; 16] = self.get(at, 16)?.try_into().ok()?;
        self.add(key, Ipv6Addr::from(bytes), at..at + 16);
        Some(())
    }

    /// The field of a checksum over `range`: `ok` or `bad`. A quoted packet is not whole, and its checksum not checked.
    fn checksum(&mut self, key: &str, at: usize, range: Range<usize>, start: u32) {
        let sum = ones_sum(start, self.bytes.get(range).unwrap_or_default());
        let text = if !self.prefix.is_empty() || sum == 0xffff { "ok" } else { "bad" };
        self.add(key, text, at..at + 2);
    }

    fn ethernet(&mut self) -> Option<()> {
        self.mac("to", 0)?;
        self.mac("from", 6)?;
        match self.u16(12)? {
            0x0800 => self.ipv4(14),
            0x86dd => self.ipv6(14),
            0x0806 => self.arp(14),
            kind => {
                self.add("type", format_args!("{kind:#06x}"), 12..14);
                Some(())
            }
        }
    }

    /// RFC 826.
    fn arp(&mut self, at: usize) -> Option<()> {
        let operation = self.u16(at + 6)?;
        let text = match operation {
            1 => "request".to_owned(),
            2 => "reply".to_owned(),
            other => other.to_string(),
        };
        self.add("arp", text, at + 6..at + 8);
        self.mac("sha", at + 8)?;
        self.ip4("spa", at + 14)?;
        self.mac("tha", at + 18)?;
        self.ip4("tpa", at + 24)
    }

    /// RFC 791.
    fn ipv4(&mut self, at: usize) -> Option<()> {
        let header = usize::from(self.u8(at)? & 0xf) * 4;
        let length = self.u16(at + 2)?;
        self.ip4("src", at + 12)?;
        self.ip4("dst", at + 16)?;
        self.add("ttl", self.u8(at + 8)?, at + 8..at + 9);
        self.add("tos", self.u8(at + 1)?, at + 1..at + 2);
        self.add("len", length, at + 2..at + 4);
        self.add("id", self.u16(at + 4)?, at + 4..at + 6);
        let flags = self.u16(at + 6)?;
        if flags & 0x4000 != 0 {
            self.add("df", 1, at + 6..at + 8);
        }
        if flags & 0x3fff != 0 {
            let more = if flags & 0x2000 == 0 { "" } else { "+" };
            self.add("frag", format_args!("{}{more}", (flags & 0x1fff) * 8), at + 6..at + 8);
        }
        self.checksum("ip.sum", at + 10, at..at + header, 0);
        if header > 20 {
            let options = self.get(at + 20, header - 20)?;
            self.add("options", hex(options), at + 20..at + header);
        }
        let payload = at + header..(at + usize::from(length)).min(self.bytes.len()).max(at + header);
        let protocol = self.u8(at + 9)?;
        let sum = ones_sum(u32::from(protocol) + payload.len() as u32, self.get(at + 12, 8)?);
        self.upper(&Pseudo { sum, protocol, later: flags & 0x1fff != 0, payload })
    }

    /// RFC 8200, with the extension headers that are met here.
    fn ipv6(&mut self, at: usize) -> Option<()> {
        let word = self.u32(at)?;
        let length = self.u16(at + 4)?;
        self.ip6("src", at + 8)?;
        self.ip6("dst", at + 24)?;
        self.add("ttl", self.u8(at + 7)?, at + 7..at + 8);
        self.add("tos", word >> 20 & 0xff, at..at + 2);
        self.add("flow", word & 0xf_ffff, at + 1..at + 4);
        self.add("len", length, at + 4..at + 6);
        let mut protocol = self.u8(at + 6)?;
        let mut next = at + 40;
        let mut later = false;
        while matches!(protocol, 0 | 43 | 44 | 60) {
            let size = if protocol == 44 { 8 } else { 8 + 8 * usize::from(self.u8(next + 1)?) };
            if protocol == 44 {
                let offset = self.u16(next + 2)?;
                later |= offset & 0xfff8 != 0;
                let more = if offset & 1 == 0 { "" } else { "+" };
                self.add("frag", format_args!("{}{more}", offset & 0xfff8), next + 2..next + 4);
            } else {
                self.add("extension", protocol, next..next + size);
            }
            protocol = self.u8(next)?;
            next += size;
        }
        let payload = next..(at + 40 + usize::from(length)).min(self.bytes.len()).max(next);
        let sum = ones_sum(u32::from(protocol) + payload.len() as u32, self.get(at + 8, 32)?);
        self.upper(&Pseudo { sum, protocol, later, payload })
    }

    fn upper(&mut self, ip: &Pseudo) -> Option<()> {
        let (at, rest) = (ip.payload.start, ip.payload.len());
        if ip.later {
            self.add("later", rest, ip.payload.clone());
            return Some(());
        }
        match ip.protocol {
            1 => self.icmp(ip),
            58 => self.icmp6(ip),
            6 => self.tcp(ip),
            17 => {
                self.ports("udp", at)?;
                if self.u16(at + 6)? == 0 {
                    self.add("udp.sum", "none", at + 6..at + 8);
                } else {
                    self.checksum("udp.sum", at + 6, ip.payload.clone(), ip.sum);
                }
                self.data(at + 8, ip.payload.end)
            }
            132 => self.sctp(ip),
            other => {
                self.add("proto", other, at..at);
                self.data(at, ip.payload.end)
            }
        }
    }

    fn ports(&mut self, key: &str, at: usize) -> Option<()> {
        let (source, destination) = (self.u16(at)?, self.u16(at + 2)?);
        self.add(key, format_args!("{source}>{destination}"), at..at + 4);
        Some(())
    }

    fn data(&mut self, at: usize, end: usize) -> Option<()> {
        self.add("data", end.checked_sub(at)?, at..end);
        Some(())
    }

    /// RFC 9293, section 3.1.
    fn tcp(&mut self, ip: &Pseudo) -> Option<()> {
        let at = ip.payload.start;
        self.ports("tcp", at)?;
        self.add("seq", self.u32(at + 4)?, at + 4..at + 8);
        self.add("ack", self.u32(at + 8)?, at + 8..at + 12);
        let set = self.u8(at + 13)?;
        let letters = "FSRPAUEC".chars().enumerate().filter(|(bit, _)| set >> bit & 1 == 1);
        self.add("flags", letters.map(|(_, letter)| letter).collect::<String>(), at + 13..at + 14);
        self.add("window", self.u16(at + 14)?, at + 14..at + 16);
        self.checksum("tcp.sum", at + 16, ip.payload.clone(), ip.sum);
        let header = usize::from(self.u8(at + 12)? >> 4) * 4;
        self.data(at + header, ip.payload.end)
    }

    /// RFC 9260, section 3.
    fn sctp(&mut self, ip: &Pseudo) -> Option<()> {
        let at = ip.payload.start;
        self.ports("sctp", at)?;
        self.add("vtag", self.u32(at + 4)?, at + 4..at + 8);
        let sum = [self.bytes.get(at..at + 8)?, &[0; 4], self.bytes.get(at + 12..ip.payload.end)?].concat();
        let right = !self.prefix.is_empty() || crc32c(&sum).to_le_bytes() == self.get(at + 8, 4)?;
        self.add("sctp.sum", if right { "ok" } else { "bad" }, at + 8..at + 12);
        self.add("chunk", self.u8(at + 12)?, at + 12..at + 13);
        self.add("chunk.flags", self.u8(at + 13)?, at + 13..at + 14);
        self.data(at + 12, ip.payload.end)
    }

    /// RFC 792.
    fn icmp(&mut self, ip: &Pseudo) -> Option<()> {
        let at = ip.payload.start;
        let (kind, code) = (self.u8(at)?, self.u8(at + 1)?);
        self.add("icmp", format_args!("{kind}/{code}"), at..at + 2);
        self.checksum("icmp.sum", at + 2, ip.payload.clone(), 0);
        match kind {
            0 | 8 => {
                self.add("echo", format_args!("{}/{}", self.u16(at + 4)?, self.u16(at + 6)?), at + 4..at + 8);
                self.data(at + 8, ip.payload.end)
            }
            3 | 11 | 12 => {
                if (kind, code) == (3, 4) {
                    self.add("mtu", self.u16(at + 6)?, at + 6..at + 8);
                }
                self.quote(at + 8, ip.payload.end)
            }
            _ => self.data(at + 4, ip.payload.end),
        }
    }

    /// RFC 4443, and RFC 4861 for neighbour discovery.
    fn icmp6(&mut self, ip: &Pseudo) -> Option<()> {
        let at = ip.payload.start;
        let (kind, code) = (self.u8(at)?, self.u8(at + 1)?);
        self.add("icmp6", format_args!("{kind}/{code}"), at..at + 2);
        self.checksum("icmp.sum", at + 2, ip.payload.clone(), ip.sum);
        match kind {
            1..=4 => {
                if kind == 2 {
                    self.add("mtu", self.u32(at + 4)?, at + 4..at + 8);
                }
                self.quote(at + 8, ip.payload.end)
            }
            128 | 129 => {
                self.add("echo", format_args!("{}/{}", self.u16(at + 4)?, self.u16(at + 6)?), at + 4..at + 8);
                self.data(at + 8, ip.payload.end)
            }
            133 => self.nd_options(at + 8, ip.payload.end),
            134 => self.router_advertisement(at, ip.payload.end),
            135 | 136 => {
                let flags = [(0x80, 'R'), (0x40, 'S'), (0x20, 'O')];
                let set = self.u8(at + 4)?;
                let letters: String =
                    flags.iter().filter(|(bit, _)| set & bit != 0).map(|(_, letter)| letter).collect();
                self.add("nd", if letters.is_empty() { "-".into() } else { letters }, at + 4..at + 8);
                self.ip6("target", at + 8)?;
                self.nd_options(at + 24, ip.payload.end)
            }
            _ => self.data(at + 4, ip.payload.end),
        }
    }

    fn router_advertisement(&mut self, at: usize, end: usize) -> Option<()> {
        self.add("hops", self.u8(at + 4)?, at + 4..at + 5);
        self.add("flags", format_args!("{:#04x}", self.u8(at + 5)?), at + 5..at + 6);
        self.add("lifetime", self.u16(at + 6)?, at + 6..at + 8);
        self.add("reachable", self.u32(at + 8)?, at + 8..at + 12);
        self.add("retrans", self.u32(at + 12)?, at + 12..at + 16);
        self.nd_options(at + 16, end)
    }

    /// RFC 4861, section 4.6; RFC 8106; RFC 4191.
    fn nd_options(&mut self, mut at: usize, end: usize) -> Option<()> {
        while at + 8 <= end {
            let size = usize::from(self.u8(at + 1)?) * 8;
            if size == 0 {
                return None;
            }
            match self.u8(at)? {
                1 => self.mac("slla", at + 2)?,
                2 => self.mac("tlla", at + 2)?,
                3 => {
                    let (length, flags) = (self.u8(at + 2)?, self.u8(at + 3)?);
                    let (valid, preferred) = (self.u32(at + 4)?, self.u32(at + 8)?);
                    let prefix: [u8; 16] = self.get(at + 16, 16)?.try_into().ok()?;
                    let prefix = Ipv6Addr::from(prefix);
                    let text = format!("{prefix}/{length},{flags:#04x},{valid},{preferred}");
                    self.add("prefix", text, at..at + size);
                }
                5 => self.add("mtu", self.u32(at + 4)?, at..at + size),
                kind => {
                    let text = hex(self.get(at, size)?);
                    self.add(&format!("option{kind}"), text, at..at + size);
                }
            }
            at += size;
        }
        Some(())
    }

    /// A packet that an error quotes.
    fn quote(&mut self, at: usize, end: usize) -> Option<()> {
        if !self.prefix.is_empty() {
            return Some(());
        }
        self.add("quoted", end.checked_sub(at)?, at..end);
        let mut quoted =
            Reader { bytes: &self.bytes[..end], names: self.names, prefix: "q.", fields: Vec::new() };
        let _ = match quoted.u8(at)? >> 4 {
            4 => quoted.ipv4(at),
            6 => quoted.ipv6(at),
            _ => None,
        };
        self.fields.append(&mut quoted.fields);
        Some(())
    }
}

/// Bytes in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The checksum of SCTP packets (RFC 9260, appendix A).
fn crc32c(bytes: &[u8]) -> u32 {
    let bit = |sum: u32, _| if sum & 1 == 1 { sum >> 1 ^ 0x82f6_3b78 } else { sum >> 1 };
    !bytes.iter().fold(!0, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), bit))
}

/// The ones' complement sum of 16-bit words (RFC 1071).
fn ones_sum(start: u32, bytes: &[u8]) -> u32 {
    let words =
        bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |b| u32::from(*b)));
    let mut sum = start + words.sum::<u32>();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum
}
