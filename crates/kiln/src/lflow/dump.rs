//! The flows of a dump: what `ovn-sbctl dump-flows` (or `lflow-list`) and `ovn-sbctl list Logical_Flow` print, the latter
//! with any columns.

use kiln_logical::lex::Lexer;
use kiln_logical::token::Token;
use std::borrow::Cow;

/// A flow of a dump. What a list has no column for is empty, or the beginning.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Flow {
    /// Where it stands in the file, from 1.
    pub(super) line: usize,
    pub(super) egress: bool,
    pub(super) table: u8,
    pub(super) flow_match: Option<String>,
    pub(super) actions: Option<String>,
}

/// A line that no flow can be read from.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unread {
    /// Where it stands in the file, from 1.
    pub(super) line: usize,
    /// The column, what was expected and what came.
    pub(super) problem: String,
}

pub(super) type Read = Result<Flow, Unread>;

/// What is read.
const FORMS: &str = "what ovn-sbctl dump-flows or ovn-sbctl --format=list list Logical_Flow print";

/// The most of a line that a report repeats, in bytes.
const MAX_SHOWN: usize = 120;

/// The flows of either form, and the lines that are of none. A database without flows is an empty file. An error if there is
/// something in it, but no flow at all, or the form is another one.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<Read>, Unread> {
    let lines: Vec<(usize, &[u8])> = (1..).zip(bytes.split(|byte| *byte == b'\n')).collect();
    let is_blank = |line: &[u8]| line.trim_ascii().is_empty();
    let first = lines.iter().find(|(_, text)| !is_blank(text));
    let Some(&(line, first)) = first else { return Ok(Vec::new()) };
    if let Some(other) = other_form(first) {
        return Err(unread(line, 1, &format!("expected {FORMS}, found a {other}")));
    }
    let is_list = std::str::from_utf8(first).is_ok_and(|text| column(text).is_some());
    let mut reader = Reader::default();
    for (line, text) in lines {
        match std::str::from_utf8(text) {
            Ok(text) if is_list => reader.listed(line, text),
            Ok(text) => reader.dumped(line, text),
            Err(bad) => {
                let column = bad.valid_up_to() + 1;
                reader.out.push(Err(unread(line, column, "expected UTF-8, found other bytes")));
            }
        }
    }
    reader.end_of_record();
    let found = reader.out;
    if found.iter().any(Result::is_ok) {
        return Ok(found);
    }
    let nothing = || unread(line, 1, &format!("expected {FORMS}, found no flow in it"));
    Err(found.into_iter().find_map(Result::err).unwrap_or_else(nothing))
}

/// What the first line shows to be another form of `ovn-sbctl list`.
fn other_form(first: &[u8]) -> Option<&'static str> {
    let text = first.trim_ascii();
    let is_heading = |separator: u8| {
        let names: Vec<&[u8]> =
            text.split(|byte| *byte == separator).filter(|name| !name.is_empty()).collect();
        let is_name = |name: &[u8]| name.iter().all(|byte| byte.is_ascii_lowercase() || *byte == b'_');
        names.len() > 1 && names.iter().all(|name| is_name(name))
    };
    if text.starts_with(b"{\"") {
        Some("list in JSON")
    } else if text.starts_with(b"<table") {
        Some("list in HTML")
    } else if is_heading(b',') {
        Some("list of comma-separated values")
    } else if is_heading(b' ') {
        Some("list as a table")
    } else {
        None
    }
}

fn unread(line: usize, column: usize, problem: &str) -> Unread {
    Unread { line, problem: format!("column {column}: {problem}") }
}

/// A line `column : value` of a record.
fn column(text: &str) -> Option<(&str, &str)> {
    let (name, value) = text.split_once(": ").or_else(|| Some((text.strip_suffix(':')?, "")))?;
    let name = name.trim_end();
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    is_name.then_some((name, value))
}

#[derive(Default)]
struct Reader {
    out: Vec<Read>,
    /// The pipeline that the last heading of a dump named.
    egress: bool,
    /// The record that is being read.
    record: Option<Flow>,
}

impl Reader {
    /// A heading, a flow, or an OpenFlow flow below it (`--ovs`), which is passed over.
    fn dumped(&mut self, line: usize, text: &str) {
        if text.trim().is_empty() || text.starts_with("    ") {
            return;
        }
        if let Some((_, pipeline)) = text.split_once("Pipeline: ").filter(|_| text.starts_with("Datapath: "))
        {
            self.egress = pipeline.trim() == "egress";
            return;
        }
        self.out.push(read_dumped(text, line, self.egress).ok_or_else(|| {
            let expected = "expected table=N (STAGE), priority=N, match=(…), action=(…), found";
            unread(line, 1, &format!("{expected} {}", shown(text)))
        }));
    }

    /// A column of a record, or the empty line after one.
    fn listed(&mut self, line: usize, text: &str) {
        if text.trim().is_empty() {
            return self.end_of_record();
        }
        let Some((name, value)) = column(text) else {
            return self.out.push(Err(unread(
                line,
                1,
                &format!("expected COLUMN : VALUE, found {}", shown(text)),
            )));
        };
        let record = self.record.get_or_insert_with(|| Flow { line, ..Flow::default() });
        let understood = match name {
            "actions" => unquote(value).map(|text| record.actions = Some(text.into_owned())),
            "match" => unquote(value).map(|text| record.flow_match = Some(text.into_owned())),
            "pipeline" => {
                record.egress = value.trim() == "egress";
                Some(())
            }
            "table_id" => value.trim().parse().ok().map(|table| record.table = table),
            _ => Some(()),
        };
        if understood.is_none() {
            let at = text.len() - value.len() + 1;
            let problem = format!("expected a value of column {name}, found {}", shown(value));
            self.out.push(Err(unread(line, at, &problem)));
        }
    }

    fn end_of_record(&mut self) {
        let Some(record) = self.record.take() else { return };
        self.out.push(if record.flow_match.is_none() && record.actions.is_none() {
            Err(unread(record.line, 1, "expected column match or actions in the record, found neither"))
        } else {
            Ok(record)
        });
    }
}

/// `table=0 (ls_in_check_port_sec), priority=50, match=(…), action=(…)`, perhaps after `uuid=…, `.
fn read_dumped(text: &str, line: usize, egress: bool) -> Option<Flow> {
    let (head, rest) = text.split_once(", match=(")?;
    let (flow_match, actions) = split_match(rest)?;
    let actions = actions.trim_end().strip_suffix(')')?;
    let (_, table) = head.split_once("table=")?;
    let table = table.trim_start().split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
    Some(Flow { line, egress, table, flow_match: Some(flow_match.into()), actions: Some(actions.into()) })
}

/// Cuts where the match ends and the actions begin: not within a string, unless there is no other place, for then it is the
/// string that is broken.
fn split_match(text: &str) -> Option<(&str, &str)> {
    const BETWEEN: &str = "), action=(";
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        if !quoted && text[at..].starts_with(BETWEEN) {
            return Some((&text[..at], &text[at + BETWEEN.len()..]));
        }
        quoted ^= c == '"' && !escaped;
        escaped = quoted && c == '\\' && !escaped;
    }
    text.rsplit_once(BETWEEN)
}

/// A string as ovn-sbctl prints it: bare if it is a word, otherwise quoted as JSON has it.
fn unquote(value: &str) -> Option<Cow<'_, str>> {
    let value = value.trim();
    if !value.starts_with('"') {
        return Some(Cow::Borrowed(value));
    }
    // The language's own strings are JSON's.
    let mut lexer = Lexer::new(value);
    match (lexer.next_token(), lexer.next_token()) {
        (Ok((Token::Str(text), _)), Ok((Token::End, _))) => Some(text),
        _ => None,
    }
}

fn shown(text: &str) -> Cow<'_, str> {
    if text.len() <= MAX_SHOWN {
        return Cow::Borrowed(text);
    }
    let end = (0..=MAX_SHOWN).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    Cow::Owned(format!("{}…", &text[..end]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUMPED: &str = "Datapath: \"sw0\" (4b5cdc30-0f8f-47f3-8d2e-0bbd4c9d4f1c)  Pipeline: egress\n  \
        table=3 (ls_out_acl_hint     ), priority=7    , match=(inport == \"a\" && (ip4)), action=(reg0[8] = 1; next;)\n";

    fn flow(line: usize) -> Flow {
        let (flow_match, actions) = ("inport == \"a\" && (ip4)".to_owned(), "reg0[8] = 1; next;".to_owned());
        Flow { line, egress: true, table: 3, flow_match: Some(flow_match), actions: Some(actions) }
    }

    #[test]
    fn every_kind_of_dump_says_the_same() {
        assert_eq!(read(DUMPED.as_bytes()), Ok(vec![Ok(flow(2))]));
        let with_uuids = DUMPED.replace("table=3", "uuid=0xa590e1a6, table=3");
        assert_eq!(read(with_uuids.as_bytes()), Ok(vec![Ok(flow(2))]));
        let with_flows = format!("{DUMPED}    table=51 match actions=resubmit(,52)\n");
        assert_eq!(read(with_flows.as_bytes()), Ok(vec![Ok(flow(2))]));
        let listed = "_uuid               : 5cdc30aa-0f8f-47f3-8d2e-0bbd4c9d4f1c\n\
                      actions             : \"reg0[8] = 1; next;\"\n\
                      external_ids        : {}\n\
                      match               : \"inport == \\\"a\\\" && (ip4)\"\n\
                      pipeline            : egress\ntable_id            : 3\n";
        assert_eq!(read(listed.as_bytes()), Ok(vec![Ok(flow(1))]));
        let columns =
            "\nmatch               : \"1\"\nactions             : \"drop;\"\n\nmatch               : ip4\n";
        let some = |flow_match: &str, actions: Option<&str>, line| {
            Ok(Flow {
                line,
                flow_match: Some(flow_match.into()),
                actions: actions.map(Into::into),
                ..Flow::default()
            })
        };
        assert_eq!(read(columns.as_bytes()), Ok(vec![some("1", Some("drop;"), 2), some("ip4", None, 5)]));
    }

    #[test]
    fn a_match_ends_outside_of_its_strings() {
        for (flow_match, actions) in [
            ("1", r#"log(name="a), action=(b", verdict=drop);"#),
            (r#"inport == "a), action=(b""#, "next;"),
            (r#"inport == "\"), action=(\\""#, "next;"),
            // A string that does not end.
            (r#"inport == "a"#, "next;"),
        ] {
            let line = format!("  table=3 (x), priority=7, match=({flow_match}), action=({actions})");
            let read = read_dumped(&line, 1, false).expect("a flow");
            let found = (read.flow_match.as_deref(), read.actions.as_deref());
            assert_eq!(found, (Some(flow_match), Some(actions)));
        }
    }

    #[test]
    fn lines_that_are_no_flows_are_told_of() {
        let problems = |text: &[u8]| match read(text) {
            Ok(found) => found.into_iter().filter_map(Result::err).collect(),
            Err(problem) => vec![problem],
        };
        let cases: [(&[u8], usize, &str); 8] = [
            (b"rubbish\n", 1, "column 1: expected table=N"),
            (b"Datapath: \"sw0\" ()  Pipeline: egress\n", 1, "found no flow in it"),
            (b"_uuid,actions,match\n", 1, "comma-separated"),
            (b"_uuid   actions  match\n-----", 1, "as a table"),
            (b"{\"data\":[]}\n", 1, "in JSON"),
            (b"<table border=1>\n", 1, "in HTML"),
            (b"_uuid               : 1\n", 1, "expected column match or actions"),
            (b"match               : \"a\" \"\n", 1, "column 23: expected a value of column match"),
        ];
        for (text, line, problem) in cases {
            let found: Vec<Unread> = problems(text);
            let shown = String::from_utf8_lossy(text);
            assert_eq!(found[0].line, line, "{shown}: {found:?}");
            assert!(found[0].problem.contains(problem), "{shown}: {found:?}");
        }
        assert_eq!((read(b""), read(b"\n\n")), (Ok(Vec::new()), Ok(Vec::new())));
        let added = |line: &[u8]| problems(&[DUMPED.as_bytes(), line].concat());
        assert!(added(b"rubbish\n")[0].problem.contains("found rubbish"));
        assert_eq!(added(b"  table=\xff"), [unread(3, 9, "expected UTF-8, found other bytes")]);
    }
}
