//! `kiln lflow check FILE`: whether the flows of a dump are in the language, and stay what they are when they are printed.

use super::dump::{self, Flow};
use super::world::World;
use kiln_logical::action::{self, Pipeline, Place};
use kiln_logical::env::OptionDef;
use kiln_logical::{AddressSet, Environment, expand_templates, expr};
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

/// Reports to `out` what is wrong in the file, and how much was looked at. Returns how many flows and lines were wrong.
pub(super) fn check(file: &Path, world: &World, out: &mut dyn Write) -> io::Result<usize> {
    let bytes = std::fs::read(file)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", file.display())))?;
    let report = |out: &mut dyn Write, line: usize, problem: &str| {
        writeln!(out, "{}:{line}: {problem}", file.display())
    };
    let found = dump::read(&bytes).map_err(|unread| {
        let message = format!("{}:{}: {}", file.display(), unread.line, unread.problem);
        io::Error::new(io::ErrorKind::InvalidData, message)
    })?;
    let (mut flows, mut bad, mut open, mut unread) = (0, 0, 0, 0);
    for flow in found {
        let flow = match flow {
            Ok(flow) => flow,
            Err(problem) => {
                unread += 1;
                report(out, problem.line, &problem.problem)?;
                continue;
            }
        };
        flows += 1;
        let env = Lenient { world, unknown: RefCell::default() };
        let problems = problems(&flow, &env);
        let unknown = env.unknown.into_inner();
        if !unknown.is_empty() {
            open += 1;
            let names: Vec<&str> = unknown.iter().map(String::as_str).collect();
            report(out, flow.line, &format!("not checked without --template: ^{}", names.join(", ^")))?;
            continue;
        }
        bad += usize::from(!problems.is_empty());
        for problem in problems {
            report(out, flow.line, &problem)?;
        }
    }
    let open = if open == 0 { String::new() } else { format!("{open} not checked without --template, ") };
    writeln!(out, "{flows} flows, {open}{bad} of them bad; {unread} lines that no flow could be read from")?;
    Ok(bad + unread)
}

/// What is wrong with a flow.
fn problems(flow: &Flow, env: &dyn Environment) -> Vec<String> {
    let mut problems = Vec::new();
    if let Some(text) = &flow.flow_match {
        let text = expand_templates(text, env);
        if let Err(problem) = check_match(&text, env) {
            problems.push(format!("match: {problem}: {text}"));
        }
    }
    let stages = kiln_abi::stages::Pipeline::Ingress.max_stages();
    let place = Place {
        pipeline: if flow.egress { Pipeline::Egress } else { Pipeline::Ingress },
        table: flow.table,
        ingress_tables: stages,
        egress_tables: stages,
    };
    if let Some(text) = &flow.actions {
        let text = expand_templates(text, env);
        if let Err(problem) = check_actions(&text, place, env) {
            problems.push(format!("actions: {problem}: {text}"));
        }
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

/// The world, in which every set and group stands for something: a dump says nothing of them.
struct Lenient<'w> {
    world: &'w World,
    /// Template variables that were asked for and have no value.
    unknown: RefCell<BTreeSet<String>>,
}

impl Environment for Lenient<'_> {
    fn address_set(&self, name: &str) -> Option<Arc<AddressSet>> {
        // A number that every field can hold.
        self.world.address_set(name).or_else(|| Some(Arc::new(AddressSet::parse(["1"]).0)))
    }

    fn port_group(&self, name: &str) -> Option<Arc<[Arc<str>]>> {
        self.world.port_group(name).or_else(|| Some([Arc::from(name)].into()))
    }

    fn template(&self, name: &str) -> Option<Cow<'_, str>> {
        let value = self.world.template(name);
        if value.is_none() && !name.is_empty() {
            self.unknown.borrow_mut().insert(name.to_owned());
        }
        value
    }

    fn dhcp_option(&self, name: &str) -> Option<OptionDef> {
        self.world.dhcp_option(name)
    }

    fn dhcpv6_option(&self, name: &str) -> Option<OptionDef> {
        self.world.dhcpv6_option(name)
    }
}
