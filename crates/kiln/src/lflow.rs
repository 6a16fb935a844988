//! `kiln lflow`: the logical flow language on the command line. One item a line on standard input; empty lines and lines
//! that begin with `#` are skipped.

mod check;
mod dump;
mod evaluate;
mod group;
mod openflow;
mod world;

use clap::{Args, Parser, Subcommand, ValueEnum};
use kiln_abi::stages::{Datapath, Pipeline};
use kiln_logical::symbol::{Kind, SYMBOLS, Symbol};
use kiln_logical::token::Token;
use kiln_logical::{Expr, Field, action, expand_templates, expr, lex::Lexer, normalize};
use kiln_lower::{Context, Part, Tables, fields, lower_actions, lower_match};
use kiln_runtime::terminal;
use kiln_types::{DatapathKey, Uuid};
use std::ffi::OsString;
use std::fmt::{self, Write as _};
use std::io::{self, BufRead, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use world::World;

/// The longest line that is read, in bytes.
const MAX_LINE_LEN: u64 = 64 << 20;

/// Sets of more values than this are not taken apart where each value would be printed on its own.
const MAX_SPREAD: usize = 1024;

/// The logical flow language: one item a line on standard input
#[derive(Parser)]
#[command(name = "kiln lflow", disable_help_subcommand = true)]
struct Options {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    surroundings: Surroundings,
}

#[derive(Subcommand)]
enum Command {
    /// Print the tokens
    Lex,
    /// Print expressions as they are read: `!` carried down to the comparisons
    ParseExpr,
    /// Print expressions with predicates written out and prerequisites beside their fields
    AnnotateExpr,
    /// Print expressions in which only equality is left
    SimplifyExpr,
    /// Print expressions as disjunctions of conjunctions
    NormalizeExpr,
    /// Print 1 for expressions that hold for a packet, 0 for others
    EvaluateExpr {
        /// The packet: FIELD=VALUE,FIELD=VALUE… What a field needs, such as ip4 for ip4.src, is added; where that can be met
        /// in several ways, as by ip4 or ip6 for tcp.dst, in the first that agrees with the rest
        packet: String,
    },
    /// Print the matches that expressions become in the switch
    ExprToFlows,
    /// Print what actions are and the OpenFlow actions that they become
    ParseActions,
    /// Print the symbols
    Symbols,
    /// Report the flows of a dump that do not parse, type-check and survive being printed
    Check {
        /// What `ovn-sbctl dump-flows` or `ovn-sbctl --format=list list Logical_Flow` printed, with any columns
        file: PathBuf,
    },
}

/// What the text refers to by name, and where the flow stands.
#[derive(Args)]
struct Surroundings {
    /// A port or multicast group and its tunnel key
    #[arg(long, value_name = "NAME=KEY", global = true)]
    port: Vec<String>,
    /// An address set
    #[arg(long, value_name = "NAME=A,B", global = true)]
    address_set: Vec<String>,
    /// A port group
    #[arg(long, value_name = "NAME=P,Q", global = true)]
    port_group: Vec<String>,
    /// A template variable's value on this chassis
    #[arg(long, value_name = "NAME=VALUE", global = true)]
    template: Vec<String>,
    /// A port that is on this chassis
    #[arg(long, value_name = "PORT", global = true)]
    chassis_resident: Vec<String>,
    /// A Flow_Sample_Collector_Set that this chassis has
    #[arg(long, value_name = "N", global = true)]
    collector_set: Vec<u32>,
    /// The pipeline that actions stand in
    #[arg(long, value_enum, default_value_t = PipelineName::Ingress, global = true)]
    pipeline: PipelineName,
    /// The stage that actions stand in
    #[arg(long, value_name = "N", default_value_t = 0, global = true)]
    table: u8,
    /// The tunnel key of the datapath that actions stand in
    #[arg(long, value_name = "KEY", default_value = "0", value_parser = world::number, global = true)]
    datapath: u32,
    /// The uuid of the flow's row
    #[arg(long, value_name = "UUID", default_value = "00000000-0000-0000-0000-000000000000", global = true)]
    lflow_uuid: String,
}

#[derive(Clone, Copy, ValueEnum)]
enum PipelineName {
    Ingress,
    Egress,
}

pub(crate) fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    let options = match Options::try_parse_from(std::iter::once("lflow".into()).chain(args)) {
        Ok(options) => options,
        Err(error) => {
            let code = if error.use_stderr() { 2 } else { 0 };
            return terminal::answer(&error.render().to_string(), code, 2).into();
        }
    };
    match run(&options) {
        Ok(code) => code,
        // Whoever reads has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            terminal::complain(format_args!("kiln lflow: {error}\n"));
            ExitCode::from(2)
        }
    }
}

fn run(options: &Options) -> io::Result<ExitCode> {
    let invalid = |message| io::Error::new(io::ErrorKind::InvalidInput, message);
    let world = &World::new(&options.surroundings).map_err(invalid)?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    let answer: &mut dyn FnMut(&str, &mut String) = match &options.command {
        Command::Symbols => {
            symbols(&mut out)?;
            out.flush()?;
            return Ok(ExitCode::SUCCESS);
        }
        Command::Check { file } => {
            let bad = check::check(file, world, &mut out)?;
            out.flush()?;
            return Ok(ExitCode::from(u8::from(bad > 0)));
        }
        Command::Lex => &mut |line, out| either(out, lex(line)),
        Command::ParseExpr => &mut |line, out| either(out, expression(line, world, Step::Parse)),
        Command::AnnotateExpr => &mut |line, out| either(out, expression(line, world, Step::Annotate)),
        Command::SimplifyExpr => &mut |line, out| either(out, expression(line, world, Step::Simplify)),
        Command::NormalizeExpr => &mut |line, out| either(out, expression(line, world, Step::Normalize)),
        Command::ExprToFlows => &mut |line, out| either(out, flows(line, world)),
        Command::EvaluateExpr { packet } => {
            let packet = evaluate::Made::parse(packet, world).map_err(invalid)?;
            &mut move |line, out| either(out, evaluate::holds(line, &packet, world))
        }
        Command::ParseActions => {
            let uuid = Uuid::try_parse(&options.surroundings.lflow_uuid)
                .map_err(|_| invalid("--lflow-uuid: expected a uuid".to_owned()))?;
            let context = context(&options.surroundings, uuid);
            &mut move |line, out| actions(line, world, &context, out)
        }
    };
    each_line(&mut out, matches!(options.command, Command::ParseActions), answer)?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// Answers the lines of standard input. Whether answers repeat the item says what that of a line without text looks like.
fn each_line(
    out: &mut dyn Write,
    repeats: bool,
    answer: &mut dyn FnMut(&str, &mut String),
) -> io::Result<()> {
    let mut input = io::stdin().lock();
    let (mut line, mut text) = (Vec::new(), String::new());
    while next_line(&mut input, &mut line)? {
        if matches!(line.trim_ascii_start().first(), None | Some(b'#')) {
            continue;
        }
        text.clear();
        match std::str::from_utf8(&line) {
            Ok(item) => answer(item, &mut text),
            Err(bad) => {
                if repeats {
                    let _ = write!(text, "{}\n    ", String::from_utf8_lossy(&line));
                }
                let column = bad.valid_up_to() + 1;
                let _ = write!(text, "error: column {column}: expected UTF-8, found other bytes");
            }
        }
        text.push('\n');
        out.write_all(text.as_bytes())?;
    }
    Ok(())
}

/// Reads a line without its end. What is beyond the longest line is an item of its own.
fn next_line(input: &mut dyn BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let read = io::Read::take(input, MAX_LINE_LEN).read_until(b'\n', line)?;
    if line.last() == Some(&b'\n') {
        line.pop();
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(read > 0)
}

fn either(out: &mut String, answer: Result<String, String>) {
    match answer {
        Ok(text) => out.push_str(&text),
        Err(problem) => {
            let _ = write!(out, "error: {problem}");
        }
    }
}

fn text(error: &impl fmt::Display) -> String {
    error.to_string()
}

fn lex(line: &str) -> Result<String, String> {
    let mut lexer = Lexer::new(line);
    let mut out = String::new();
    loop {
        let (token, _) = lexer.next_token().map_err(|e| text(&e))?;
        if token == Token::End {
            return Ok(out);
        }
        let separator = if out.is_empty() { "" } else { " " };
        let _ = write!(out, "{separator}{token}");
    }
}

/// How far an expression is taken.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Parse,
    Annotate,
    Simplify,
    Normalize,
}

fn expression(line: &str, world: &World, step: Step) -> Result<String, String> {
    let line = expand_templates(line, world);
    let mut expr = expr::parse(&line, world).map_err(|e| text(&e))?;
    if step == Step::Annotate || step == Step::Simplify {
        expr = expr.one_value_each(MAX_SPREAD);
    }
    if step >= Step::Annotate {
        expr = expr.annotate();
    }
    if step >= Step::Simplify {
        expr = expr.simplify(&mut |port| world.is_here(port)).map_err(|e| text(&e))?;
    }
    // A choice among values of one field is in normal form already.
    if step >= Step::Normalize && !matches!(expr, Expr::Number(_)) {
        return Ok(normalize(&expr).map_err(|e| text(&e))?.to_string());
    }
    Ok(expr.to_string())
}

fn flows(line: &str, world: &World) -> Result<String, String> {
    let lowered = lower_match(line, world, &[], 1).map_err(|e| text(&e))?;
    if lowered.flows.is_empty() {
        return Ok("(no flows)".to_owned());
    }
    let mut flows: Vec<(String, Vec<String>)> = Vec::new();
    let mut places = std::collections::BTreeMap::new();
    for (flow_match, part) in lowered.flows {
        let place = *places.entry(flow_match.as_oxm().to_vec()).or_insert_with(|| {
            flows.push((flow_match.to_string(), Vec::new()));
            flows.len() - 1
        });
        if let Part::Conjunction { id, clause, n_clauses } = part {
            flows[place].1.push(format!("conjunction({id}, {clause}/{n_clauses})"));
        }
    }
    let line = |(flow_match, parts): &(String, Vec<String>)| match parts.as_slice() {
        [] => flow_match.clone(),
        parts => format!("{flow_match}: {}", parts.join(", ")),
    };
    Ok(flows.iter().map(line).collect::<Vec<_>>().join("\n"))
}

fn context(surroundings: &Surroundings, lflow: Uuid) -> Context<'static> {
    let pipeline = match surroundings.pipeline {
        PipelineName::Ingress => Pipeline::Ingress,
        PipelineName::Egress => Pipeline::Egress,
    };
    Context {
        datapath: Datapath::Switch,
        datapath_key: DatapathKey(surroundings.datapath),
        pipeline,
        table: surroundings.table,
        lflow,
        controller_meter: None,
        port_meters: false,
        tables: Tables::default(),
        explicit_arp_ns_output: true,
        register_consolidation: true,
        common_zone_is_snat: false,
        ct_zero_snat: false,
        dp_hash_l4_symmetric: false,
    }
}

fn actions(line: &str, world: &World, context: &Context<'_>, out: &mut String) {
    out.push_str(line);
    world.begin_item(line);
    let expanded = expand_templates(line, world);
    let lowered = action::parse(&expanded, context.place(), world)
        .map_err(|e| text(&e))
        .and_then(|parsed| Ok((lower_actions(&parsed, context, world).map_err(|e| text(&e))?, parsed)));
    let (lowered, parsed) = match lowered {
        Ok(done) => done,
        Err(problem) => {
            let _ = write!(out, "\n    error: {problem}");
            return;
        }
    };
    let canonical = parsed.to_string();
    if canonical != line {
        let _ = write!(out, "\n    formats as {canonical}");
    }
    let _ = write!(out, "\n    encodes as {}", openflow::Text(&lowered));
    for used in world.groups_of_item() {
        let _ = write!(out, "\n    uses group: {used}");
    }
    let needed = parsed.prerequisite_as_written();
    if needed != Expr::Const(true) {
        let _ = write!(out, "\n    has prereqs {needed}");
    }
}

/// `NAME = MEANING`, in the order of the names.
fn symbols(out: &mut dyn Write) -> io::Result<()> {
    let mut all: Vec<&Symbol> = SYMBOLS.iter().filter(|symbol| !symbol.unlisted).collect();
    all.sort_by_key(|symbol| symbol.name);
    for symbol in all {
        match symbol.kind {
            Kind::Field(field) => writeln!(out, "{} = {}", symbol.name, wire_name(field))?,
            Kind::Subfield { of, first } if symbol.width == 1 => {
                writeln!(out, "{} = {of}[{first}]", symbol.name)?;
            }
            Kind::Subfield { of, first } => {
                writeln!(out, "{} = {of}[{first}..{}]", symbol.name, first + symbol.width - 1)?;
            }
            Kind::Predicate(text) => writeln!(out, "{} = {text}", symbol.name)?,
            Kind::Ovn(field) => writeln!(out, "{} = {}", symbol.name, field.name())?,
        }
    }
    Ok(())
}

/// The switch's name of a field: of the header that OpenFlow 1.5 carries it in.
fn wire_name(field: Field) -> &'static str {
    match field {
        Field::ArpOp => "OXM_OF_ARP_OP",
        Field::ArpSpa => "OXM_OF_ARP_SPA",
        Field::ArpTpa => "OXM_OF_ARP_TPA",
        Field::ArpSha => "OXM_OF_ARP_SHA",
        Field::ArpTha => "OXM_OF_ARP_THA",
        Field::EthDst => "OXM_OF_ETH_DST",
        Field::EthSrc => "OXM_OF_ETH_SRC",
        Field::EthType => "OXM_OF_ETH_TYPE",
        Field::Icmp4Code => "OXM_OF_ICMPV4_CODE",
        Field::Icmp4Type => "OXM_OF_ICMPV4_TYPE",
        Field::Icmp6Code => "OXM_OF_ICMPV6_CODE",
        Field::Icmp6Type => "OXM_OF_ICMPV6_TYPE",
        Field::IpDscp => "OXM_OF_IP_DSCP",
        Field::IpEcn => "OXM_OF_IP_ECN",
        Field::IpProto => "OXM_OF_IP_PROTO",
        Field::Ip4Dst => "OXM_OF_IPV4_DST",
        Field::Ip4Src => "OXM_OF_IPV4_SRC",
        Field::Ip6Dst => "OXM_OF_IPV6_DST",
        Field::Ip6Src => "OXM_OF_IPV6_SRC",
        Field::Ip6Label => "OXM_OF_IPV6_FLABEL",
        Field::NdSll => "OXM_OF_IPV6_ND_SLL",
        Field::NdTarget => "OXM_OF_IPV6_ND_TARGET",
        Field::NdTll => "OXM_OF_IPV6_ND_TLL",
        Field::SctpDst => "OXM_OF_SCTP_DST",
        Field::SctpSrc => "OXM_OF_SCTP_SRC",
        Field::TcpDst => "OXM_OF_TCP_DST",
        Field::TcpFlags => "OXM_OF_TCP_FLAGS",
        Field::TcpSrc => "OXM_OF_TCP_SRC",
        Field::UdpDst => "OXM_OF_UDP_DST",
        Field::UdpSrc => "OXM_OF_UDP_SRC",
        // Nicira's own.
        other => fields::of(other).info().wire_name,
    }
}
