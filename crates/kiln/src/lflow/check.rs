//! `kiln lflow check FILE`: whether the flows of a dump are in the language, and stay what they are when they are printed.

use super::world::World;
use kiln_logical::action::{self, Pipeline, Place};
use kiln_logical::env::OptionDef;
use kiln_logical::{AddressSet, Environment, expand_templates, expr};
use std::borrow::Cow;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

/// A flow of a dump.
#[derive(Debug, Default, PartialEq, Eq)]
struct Flow {
    /// Where it stands in the file, from 1.
    line: usize,
    egress: bool,
    table: u8,
    flow_match: String,
    actions: String,
}

/// Reports to `out` what is wrong in the file, and how much was looked at. Returns how many flows were wrong.
pub(super) fn check(file: &Path, world: &World, out: &mut dyn Write) -> io::Result<usize> {
    let bytes = std::fs::read(file)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", file.display())))?;
    let dump = String::from_utf8_lossy(&bytes);
    let lenient = Lenient(world);
    let (mut flows, mut bad, mut unread) = (0, 0, 0);
    let report = |out: &mut dyn Write, line: usize, problem: &str| {
        writeln!(out, "{}:{line}: {problem}", file.display())
    };
    for flow in read(&dump) {
        let flow = match flow {
            Ok(flow) => flow,
            Err((line, problem)) => {
                unread += 1;
                report(out, line, &problem)?;
                continue;
            }
        };
        flows += 1;
        let problems = problems(&flow, &lenient);
        bad += usize::from(!problems.is_empty());
        for problem in problems {
            report(out, flow.line, &problem)?;
        }
    }
    if flows + unread == 0 {
        let message =
            format!("{}: expected what ovn-sbctl dump-flows or list Logical_Flow print", file.display());
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    writeln!(out, "{flows} flows, {bad} of them bad; {unread} lines that no flow could be read from")?;
    Ok(bad + unread)
}

/// What is wrong with a flow.
fn problems(flow: &Flow, env: &dyn Environment) -> Vec<String> {
    let mut problems = Vec::new();
    let text = expand_templates(&flow.flow_match, env);
    if let Err(problem) = check_match(&text, env) {
        problems.push(format!("match: {problem}: {text}"));
    }
    let text = expand_templates(&flow.actions, env);
    let stages = kiln_abi::stages::Pipeline::Ingress.max_stages();
    let place = Place {
        pipeline: if flow.egress { Pipeline::Egress } else { Pipeline::Ingress },
        table: flow.table,
        ingress_tables: stages,
        egress_tables: stages,
    };
    if let Err(problem) = check_actions(&text, place, env) {
        problems.push(format!("actions: {problem}: {text}"));
    }
    problems
}

fn check_match(text: &str, env: &dyn Environment) -> Result<(), String> {
    let first = expr::parse(text, env).map_err(|e| e.to_string())?.to_string();
    let second = expr::parse(&first, env).map_err(|e| format!("printed as {first}: {e}"))?.to_string();
    if first == second { Ok(()) } else { Err(format!("printed as {first}, and then as {second}")) }
}

fn check_actions(text: &str, place: Place, env: &dyn Environment) -> Result<(), String> {
    let first = action::parse(text, place, env).map_err(|e| e.to_string())?.to_string();
    let second =
        action::parse(&first, place, env).map_err(|e| format!("printed as {first}: {e}"))?.to_string();
    if first == second { Ok(()) } else { Err(format!("printed as {first}, and then as {second}")) }
}

/// The world, in which every name stands for something: a dump says nothing of sets and groups.
struct Lenient<'w>(&'w World);

impl Environment for Lenient<'_> {
    fn address_set(&self, name: &str) -> Option<Arc<AddressSet>> {
        // A number that every field can hold.
        self.0.address_set(name).or_else(|| Some(Arc::new(AddressSet::parse(["1"]).0)))
    }

    fn port_group(&self, name: &str) -> Option<Arc<[Arc<str>]>> {
        self.0.port_group(name).or_else(|| Some([Arc::from(name)].into()))
    }

    fn dhcp_option(&self, name: &str) -> Option<OptionDef> {
        self.0.dhcp_option(name)
    }

    fn dhcpv6_option(&self, name: &str) -> Option<OptionDef> {
        self.0.dhcpv6_option(name)
    }
}

type Read = Result<Flow, (usize, String)>;

/// The flows of either kind of dump.
fn read(dump: &str) -> Vec<Read> {
    if dump.lines().any(|line| line.trim_start().starts_with("_uuid ")) {
        return read_list(dump);
    }
    let mut egress = false;
    let mut flows = Vec::new();
    for (line, text) in (1..).zip(dump.lines()) {
        if let Some((_, pipeline)) = text.split_once("Pipeline: ") {
            egress = pipeline.trim() == "egress";
        } else if text.contains("table=") {
            flows.push(read_dumped(text, line, egress));
        }
    }
    flows
}

/// `table=0 (ls_in_check_port_sec), priority=50, match=(…), action=(…)`.
fn read_dumped(text: &str, line: usize, egress: bool) -> Read {
    let bad = || (line, format!("expected table=N (STAGE), priority=N, match=(…), action=(…), found {text}"));
    let (head, rest) = text.split_once(", match=(").ok_or_else(bad)?;
    let (flow_match, actions) = rest.rsplit_once("), action=(").ok_or_else(bad)?;
    let actions = actions.trim_end().strip_suffix(')').ok_or_else(bad)?;
    let (_, table) = head.split_once("table=").ok_or_else(bad)?;
    let digits = table.trim_start().split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    let table = digits.parse().map_err(|_| bad())?;
    Ok(Flow { line, egress, table, flow_match: flow_match.to_owned(), actions: actions.to_owned() })
}

/// Records of `column : value` lines with an empty line between them.
fn read_list(dump: &str) -> Vec<Read> {
    let mut flows: Vec<Read> = Vec::new();
    let mut flow: Option<Flow> = None;
    for (line, text) in (1..).zip(dump.lines()) {
        let Some((column, value)) = text.split_once(": ") else {
            flows.extend(flow.take().map(Ok));
            continue;
        };
        let flow = flow.get_or_insert_with(|| Flow { line, ..Flow::default() });
        let problem = match column.trim() {
            "actions" => unquote(value).map(|text| flow.actions = text.into_owned()),
            "match" => unquote(value).map(|text| flow.flow_match = text.into_owned()),
            "pipeline" => {
                flow.egress = value.trim() == "egress";
                Some(())
            }
            "table_id" => value.trim().parse().ok().map(|table| flow.table = table),
            _ => Some(()),
        };
        if problem.is_none() {
            flows.push(Err((line, format!("expected a value of column {}, found {value}", column.trim()))));
        }
    }
    flows.extend(flow.take().map(Ok));
    flows
}

/// A string as ovn-sbctl prints it: bare if it is a word, otherwise quoted as JSON has it.
fn unquote(value: &str) -> Option<Cow<'_, str>> {
    let value = value.trim();
    if !value.starts_with('"') {
        return Some(Cow::Borrowed(value));
    }
    // The language's own strings are JSON's.
    let mut lexer = kiln_logical::lex::Lexer::new(value);
    match lexer.next_token() {
        Ok((kiln_logical::token::Token::Str(text), _)) => Some(Cow::Owned(text.into_owned())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_dump_say_the_same() {
        let dumped = "Datapath: \"sw0\" (4b5cdc30-0f8f-47f3-8d2e-0bbd4c9d4f1c)  Pipeline: egress\n  \
                      table=3 (ls_out_acl_hint     ), priority=7    , match=(inport == \"a\" && (ip4)), action=(reg0[8] = 1; next;)\n";
        let listed = "_uuid               : 5cdc30aa-0f8f-47f3-8d2e-0bbd4c9d4f1c\n\
                      actions             : \"reg0[8] = 1; next;\"\n\
                      match               : \"inport == \\\"a\\\" && (ip4)\"\n\
                      pipeline            : egress\ntable_id            : 3\n";
        let [Ok(a)] = &read(dumped)[..] else { panic!("one flow") };
        let [Ok(b)] = &read(listed)[..] else { panic!("one flow") };
        assert_eq!((a.egress, a.table, &*a.actions), (true, 3, "reg0[8] = 1; next;"));
        assert_eq!(a.flow_match, "inport == \"a\" && (ip4)");
        assert_eq!(
            (b.egress, b.table, &b.actions, &b.flow_match),
            (a.egress, a.table, &a.actions, &a.flow_match)
        );
    }
}
