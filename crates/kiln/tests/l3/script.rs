//! Files of cases: a network, and what is done and seen in it.
//!
//! ```text
//! network                     a network file, as `kiln apply` reads it
//!     switches: …
//! nbctl                       commands for what such a file has no key for
//!     acl-add …
//!
//! case NAME                   one case, its steps in order
//!     but for MASK, MASK      stock may differ in these entries of the table of masks
//!     send HOST PACKETS       packets that scapy makes (see `compose.py`)
//!     repeat HOST MS/MS PACKETS    the same again and again: for how long, and how often
//!     see HOST WORDS          the frames with all of these words that have come to the host since, in order:
//!         WORDS                   one a line, each with at least these fields; none without lines
//!     count HOST MIN..MAX WORDS    so many frames with these words have come since
//!     run HOST COMMAND        ends well, and prints each of these; none after `!`
//!         TEXT
//!     fails HOST COMMAND      the same of a command that does not end well
//!     serve HOST PORT COMMAND      runs until the case ends; the next step waits until it listens
//!     nbctl COMMAND           changes the northbound database, and waits until all have caught up
//!     until nb|sb|CHASSIS|HOST COMMAND  ovn-nbctl, ovn-sbctl, ovs-appctl of a chassis' controller, or a command at a host:
//!         TEXT                prints each of these in the end
//!     until CHASSIS log       the same of what the chassis' controller has logged
//!         TEXT
//!     until CHASSIS switch COMMAND  ovs-appctl of the chassis' switch
//!         TEXT
//!     forget                  removes what was learned of neighbours, and waits until all have caught up
//!     settle                  waits until all have caught up
//!     finally nbctl COMMAND   is done at the end, whatever came of the case
//! ```
//!
//! A line that begins with `#` is a comment, and one that ends with `\` goes on in the next.

use kiln_testkit::words;
use std::ops::RangeInclusive;
use std::time::Duration;

/// A file of cases.
#[derive(Debug, Default)]
pub struct Script {
    pub network: String,
    pub nbctl: Vec<String>,
    pub cases: Vec<Case>,
}

#[derive(Debug)]
pub struct Case {
    pub name: String,
    /// The masks that this case asks for, besides those that all have.
    pub masks: Vec<String>,
    pub steps: Vec<Step>,
    /// Northbound commands that put back what the steps changed.
    pub finally: Vec<String>,
}

#[derive(Debug)]
pub enum Step {
    Send { host: String, packets: String },
    Repeat { host: String, during: Duration, every: Duration, packets: String },
    See { host: String, chosen: Vec<String>, lines: Vec<Vec<String>> },
    Count { host: String, range: RangeInclusive<usize>, chosen: Vec<String> },
    Run { host: String, command: Vec<String>, well: bool, prints: Vec<String> },
    Serve { host: String, port: u16, command: Vec<String> },
    Nbctl(String),
    Until { whom: String, command: Vec<String>, prints: Vec<String> },
    Forget,
    Settle,
}

/// Reads a file of cases. It is part of the tests, so that a mistake in it ends them.
#[track_caller]
pub fn parse(text: &str) -> Script {
    let mut script = Script::default();
    let mut section = "";
    for line in joined(text) {
        let (indent, rest) = (line.len() - line.trim_start().len(), line.trim());
        match (indent, section) {
            (0, _) => {
                section = if rest.starts_with("case ") { "case" } else { "" };
                match rest.split_once(' ') {
                    Some(("case", name)) => script.cases.push(Case::new(name)),
                    _ if rest == "network" => section = "network",
                    _ if rest == "nbctl" => section = "nbctl",
                    _ => panic!("expected network, nbctl or case, found `{line}`"),
                }
            }
            (_, "network") => script.network += &format!("{}\n", &line[4..]),
            (_, "nbctl") => script.nbctl.push(rest.to_owned()),
            (4, _) => script.cases.last_mut().expect("a case").step(rest),
            (8, _) => script.cases.last_mut().expect("a case").line(rest),
            _ => panic!("expected an indent of 4 or 8, found `{line}`"),
        }
    }
    script
}

/// The lines without comments and empty ones; those that go on are one.
fn joined(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut goes_on = false;
    for line in text.lines() {
        if line.trim_start().starts_with('#') || line.trim().is_empty() {
            continue;
        }
        let part = line.trim_end_matches('\\').trim_end();
        match lines.last_mut().filter(|_| goes_on) {
            Some(last) => *last += &format!(" {}", part.trim_start()),
            None => lines.push(part.to_owned()),
        }
        goes_on = line.ends_with('\\');
    }
    lines
}

impl Case {
    fn new(name: &str) -> Case {
        Case { name: name.to_owned(), masks: Vec::new(), steps: Vec::new(), finally: Vec::new() }
    }

    fn step(&mut self, text: &str) {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        let (host, more) = rest.split_once(' ').unwrap_or((rest, ""));
        let host = host.to_owned();
        let step = match word {
            "but" => {
                let names = rest.strip_prefix("for ").expect("but for MASK");
                self.masks.extend(names.split(',').map(|name| name.trim().to_owned()));
                return;
            }
            "finally" => {
                self.finally.push(rest.strip_prefix("nbctl ").expect("finally nbctl COMMAND").to_owned());
                return;
            }
            "send" => Step::Send { host, packets: more.to_owned() },
            "repeat" => {
                let (times, packets) = more.split_once(' ').expect("repeat HOST MS/MS PACKETS");
                let (during, every) = times.split_once('/').expect("repeat HOST MS/MS PACKETS");
                let ms = |text: &str| Duration::from_millis(text.parse().expect("milliseconds"));
                Step::Repeat { host, during: ms(during), every: ms(every), packets: packets.to_owned() }
            }
            "see" => Step::See { host, chosen: words(more), lines: Vec::new() },
            "count" => {
                let (range, chosen) = more.split_once(' ').expect("count HOST MIN..MAX WORDS");
                let (min, max) = range.split_once("..").expect("MIN..MAX");
                let number = |text: &str| text.parse().expect("a number");
                Step::Count { host, range: number(min)..=number(max), chosen: words(chosen) }
            }
            "run" | "fails" => {
                Step::Run { host, command: words(more), well: word == "run", prints: Vec::new() }
            }
            "serve" => {
                let (port, command) = more.split_once(' ').expect("serve HOST PORT COMMAND");
                Step::Serve { host, port: port.parse().expect("a port"), command: words(command) }
            }
            "nbctl" => Step::Nbctl(rest.to_owned()),
            "until" => Step::Until { whom: host, command: words(more), prints: Vec::new() },
            "forget" => Step::Forget,
            "settle" => Step::Settle,
            _ => panic!("{}: what is `{text}`?", self.name),
        };
        self.steps.push(step);
    }

    fn line(&mut self, text: &str) {
        match self.steps.last_mut() {
            Some(Step::See { lines, .. }) => lines.push(words(text)),
            Some(Step::Run { prints, .. } | Step::Until { prints, .. }) => prints.push(text.to_owned()),
            _ => panic!("{}: `{text}` belongs to no step", self.name),
        }
    }
}

impl Script {
    /// Every expression that packets are made of, in order.
    pub fn packets(&self) -> impl Iterator<Item = &str> {
        self.cases.iter().flat_map(|case| &case.steps).filter_map(|step| match step {
            Step::Send { packets, .. } | Step::Repeat { packets, .. } => Some(packets.as_str()),
            _ => None,
        })
    }
}
