//! Reading of actions and instructions.

use super::action_print::{
    ALGS, BUNDLE_ALGORITHMS, DECAP_NEXT, ENCAP_TYPES, MULTIPATH_ALGORITHMS, REASONS, settable,
};
use super::value::{
    self, parse_field, parse_subfield, parse_u8, parse_u16, parse_u32, parse_u64, parse_u128,
};
use super::{ParseError, Result, learn_text, port, split};
use crate::action::{
    Action, Actions, Bundle, Controller, Ct, CtZone, MAX_NESTING, Multipath, Nat, NatRange, Sample, SampleArg,
};
use crate::instruction::{Instruction, Instructions};
use crate::{Field, FieldValue, Subfield};
use kiln_types::OfPort;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

impl FromStr for Actions {
    type Err = ParseError;

    /// Reads actions with commas between them; `drop` or nothing is no actions.
    fn from_str(text: &str) -> Result<Actions> {
        parse_list(text, 0)
    }
}

fn parse_list(text: &str, depth: usize) -> Result<Actions> {
    if depth > MAX_NESTING {
        return Err(ParseError::new(text, "fewer nested actions"));
    }
    let text = text.trim();
    let mut list = Vec::new();
    if text != "drop" {
        for item in split::list(text)? {
            parse_action(item, depth, &mut list)?;
        }
    }
    Actions::encode(&list).map_err(|_| ParseError::new(text, "actions of at most 65520 bytes"))
}

/// Reads a flow's actions and instructions, which the text form mixes.
pub fn parse_instructions(text: &str) -> Result<Instructions> {
    let mut apply = Vec::new();
    let mut others = Instructions::new();
    let text = text.trim();
    if text != "drop" {
        for item in split::list(text)? {
            match split::name_and_arg(item) {
                ("goto_table", arg) => others.push(Instruction::GotoTable(parse_u8(arg)?)),
                ("write_metadata", arg) => {
                    let (value, mask) = value_and_mask(arg)?;
                    others.push(Instruction::WriteMetadata { value, mask });
                }
                ("write_actions", arg) => others.push(Instruction::WriteActions(parse_list(arg, 1)?)),
                ("clear_actions", _) => others.push(Instruction::ClearActions),
                _ => parse_action(item, 0, &mut apply)?,
            }
        }
    }
    let apply =
        Actions::encode(&apply).map_err(|_| ParseError::new(text, "actions of at most 65520 bytes"))?;
    let mut all = Instructions::from(apply);
    all.extend(others);
    all.sort_by_key(order);
    Ok(all)
}

/// The order in which instructions are executed, and sent.
fn order(i: &Instruction) -> u8 {
    match i {
        Instruction::Meter(_) => 0,
        Instruction::ApplyActions(_) => 1,
        Instruction::ClearActions => 2,
        Instruction::WriteActions(_) => 3,
        Instruction::WriteMetadata { .. } => 4,
        Instruction::GotoTable(_) => 5,
        Instruction::Unknown(_) => 6,
    }
}

fn value_and_mask(text: &str) -> Result<(u64, u64)> {
    match text.split_once('/') {
        Some((value, mask)) => Ok((parse_u64(value)?, parse_u64(mask)?)),
        None => Ok((parse_u64(text)?, u64::MAX)),
    }
}

/// Reads one action. A few become several.
fn parse_action(item: &str, depth: usize, out: &mut Vec<Action>) -> Result<()> {
    let (name, arg) = split::name_and_arg(item);
    let action = match name {
        "output" => parse_output(arg)?,
        "controller" | "CONTROLLER" => parse_controller(item, arg)?,
        "group" => Action::Group(parse_u32(arg)?),
        "set_queue" => Action::SetQueue(parse_u32(arg)?),
        "pop_queue" => Action::PopQueue,
        "enqueue" => {
            let (port, queue) =
                arg.split_once([':', ',']).ok_or_else(|| ParseError::new(item, "port:queue"))?;
            out.extend([Action::SetQueue(parse_u32(queue)?), Action::output(port::parse(port.trim())?)]);
            Action::PopQueue
        }
        "meter" => Action::Meter(parse_u32(arg)?),
        "resubmit" => parse_resubmit(arg)?,
        "set_field" => {
            let (text, dst) = arrow(arg)?;
            let field = settable(parse_field(dst)?);
            Action::SetField(writable(value::parse(field, text)?, item)?)
        }
        "load" => {
            let (text, dst) = arrow(arg)?;
            let dst = parse_subfield(dst)?;
            let dst = Subfield { field: settable(dst.field), ..dst };
            let fits = parse_u128(text)?;
            if fits & !crate::field::low_bits(dst.n_bits) != 0 {
                return Err(ParseError::new(item, "a number within the destination's bits"));
            }
            Action::SetField(writable(dst.load(fits), item)?)
        }
        "move" => {
            let (src, dst) = arrow(arg)?;
            let (src, dst) = (parse_subfield(src)?, parse_subfield(dst)?);
            if src.n_bits != dst.n_bits || !dst.field.info().writable {
                return Err(ParseError::new(item, "as many bits in a field that may be written"));
            }
            Action::CopyField { src, dst }
        }
        "push" => Action::StackPush(parse_subfield(arg)?),
        "pop" => Action::StackPop(parse_subfield(arg)?),
        "ct" => Action::Ct(Box::new(parse_ct(arg, depth)?)),
        "nat" => Action::Nat(Box::new(parse_nat(arg)?)),
        "ct_clear" => Action::CtClear,
        "debug_slow" => Action::DebugSlow,
        "debug_recirc" => Action::DebugRecirc,
        "clone" => Action::Clone(parse_list(arg, depth + 1)?),
        "learn" => Action::Learn(Box::new(learn_text::parse(arg)?)),
        "conjunction" => parse_conjunction(arg)?,
        "sample" => Action::Sample(Box::new(parse_sample(arg)?)),
        "bundle" | "bundle_load" => Action::Bundle(Box::new(parse_bundle(arg, name == "bundle_load")?)),
        "multipath" => Action::Multipath(Box::new(parse_multipath(arg)?)),
        "check_pkt_larger" => {
            let (pkt_len, dst) = arrow(item["check_pkt_larger".len()..].trim())?;
            let pkt_len = split::in_parens(pkt_len).unwrap_or(pkt_len);
            Action::CheckPktLarger { pkt_len: parse_u16(pkt_len)?, dst: parse_subfield(dst)? }
        }
        "fin_timeout" => parse_fin_timeout(arg)?,
        "write_metadata" => {
            let (value, mask) = value_and_mask(arg)?;
            Action::WriteMetadata { value, mask }
        }
        "note" => Action::Note(parse_hex_bytes(arg)?),
        "delete_field" => Action::DeleteField(parse_field(arg)?),
        "encap" => parse_encap(arg)?,
        "decap" => parse_decap(arg)?,
        "unknown" => Action::Unknown(parse_hex_bytes(arg)?),
        _ => return parse_packet_header_action(item, name, arg, out),
    };
    out.push(action);
    Ok(())
}

/// Actions on headers, and bare ports.
fn parse_packet_header_action(item: &str, name: &str, arg: &str, out: &mut Vec<Action>) -> Result<()> {
    let set = |field: Field, text: &str| -> Result<Action> {
        let v = value::parse(field, text)?;
        if v.is_exact() {
            Ok(Action::SetField(v))
        } else {
            Err(ParseError::new(text, "a value without a mask"))
        }
    };
    let action = match name {
        "push_vlan" => Action::PushVlan(parse_u16(arg)?),
        "pop_vlan" | "strip_vlan" => Action::PopVlan,
        "push_mpls" => Action::PushMpls(parse_u16(arg)?),
        "pop_mpls" => Action::PopMpls(parse_u16(arg)?),
        "push_pbb" => Action::PushPbb(parse_u16(arg)?),
        "pop_pbb" => Action::PopPbb,
        "set_mpls_label" => set(Field::MPLS_LABEL, arg)?,
        "set_mpls_tc" => set(Field::MPLS_TC, arg)?,
        "set_mpls_ttl" => Action::SetMplsTtl(parse_u8(arg)?),
        "dec_mpls_ttl" => Action::DecMplsTtl,
        "copy_ttl_out" => Action::CopyTtlOut,
        "copy_ttl_in" => Action::CopyTtlIn,
        "mod_nw_ttl" => Action::SetNwTtl(parse_u8(arg)?),
        "dec_ttl" if item == "dec_ttl" => Action::DecTtl,
        "dec_ttl" => {
            let ids: Result<Vec<u16>> = split::list(arg)?.into_iter().map(parse_u16).collect();
            Action::DecTtlCntIds(ids?.into())
        }
        "dec_nsh_ttl" => Action::DecNshTtl,
        "exit" => Action::Exit,
        "mod_vlan_vid" => {
            let vid = parse_u16(arg)?;
            if vid > 0xfff {
                return Err(ParseError::new(arg, "a VLAN id below 4096"));
            }
            out.push(Action::PushVlan(0x8100));
            Action::set_field(Field::VLAN_VID, vid | 0x1000)
        }
        "mod_vlan_pcp" => {
            out.push(Action::PushVlan(0x8100));
            set(Field::VLAN_PCP, arg)?
        }
        "mod_dl_src" => set(Field::ETH_SRC, arg)?,
        "mod_dl_dst" => set(Field::ETH_DST, arg)?,
        "mod_nw_src" => set(Field::IPV4_SRC, arg)?,
        "mod_nw_dst" => set(Field::IPV4_DST, arg)?,
        "mod_nw_tos" => Action::set_field(Field::IP_DSCP, parse_u8(arg)? >> 2),
        "mod_nw_ecn" => set(Field::IP_ECN, arg)?,
        "mod_tp_src" => set(Field::TCP_SRC, arg)?,
        "mod_tp_dst" => set(Field::TCP_DST, arg)?,
        "set_tunnel" | "set_tunnel64" => set(Field::TUN_ID, arg)?,
        _ => {
            let port = port::parse(item).map_err(|_| ParseError::new(item, "an action"))?;
            Action::output(port)
        }
    };
    out.push(action);
    Ok(())
}

fn writable(v: FieldValue, item: &str) -> Result<FieldValue> {
    if v.is_writable() { Ok(v) } else { Err(ParseError::new(item, "a value of a field that may be written")) }
}

/// The two sides of an arrow.
fn arrow(text: &str) -> Result<(&str, &str)> {
    let (from, to) = text.rsplit_once("->").ok_or_else(|| ParseError::new(text, "source->destination"))?;
    Ok((from.trim(), to.trim()))
}

fn parse_output(arg: &str) -> Result<Action> {
    if arg.contains("port=") {
        let mut action = (None, None);
        for item in split::list(arg)? {
            match item.split_once('=') {
                Some(("port", text)) => action.0 = Some(port::parse(text)?),
                Some(("max_len", text)) => action.1 = Some(parse_u32(text)?),
                _ => return Err(ParseError::new(item, "port= or max_len=")),
            }
        }
        return match action {
            (Some(port), Some(max_len)) => Ok(Action::OutputTrunc { port, max_len }),
            _ => Err(ParseError::new(arg, "port= and max_len=")),
        };
    }
    if let Ok(port) = port::parse(arg) {
        return Ok(Action::output(port));
    }
    Ok(Action::OutputReg { src: parse_subfield(arg)?, max_len: u16::MAX })
}

fn parse_hex_bytes(text: &str) -> Result<Box<[u8]>> {
    if text.is_empty() {
        return Ok(Box::default());
    }
    let byte = |part: &str| {
        let ok = !part.is_empty() && part.len() <= 2 && part.bytes().all(|b| b.is_ascii_hexdigit());
        ok.then(|| u8::from_str_radix(part, 16).ok()).flatten()
    };
    let bytes: Option<Vec<u8>> = text.split('.').map(byte).collect();
    bytes.map(Into::into).ok_or_else(|| ParseError::new(text, "bytes in hexadecimal with dots between them"))
}

/// `controller`, `controller:len`, `controller(..)`: the first two are plain outputs.
fn parse_controller(item: &str, arg: &str) -> Result<Action> {
    if !item.contains('(') {
        let max_len = if arg.is_empty() { u16::MAX } else { parse_u16(arg)? };
        return Ok(Action::Output { port: OfPort::CONTROLLER, max_len });
    }
    let mut c = Controller::default();
    for item in split::list(arg)? {
        let (name, arg) = item.split_once('=').unwrap_or((item, ""));
        match name {
            "reason" => {
                let known = REASONS.iter().position(|r| *r == arg);
                c.reason = known.map_or_else(|| parse_u8(arg), |n| Ok(n as u8))?;
            }
            "max_len" => c.max_len = parse_u16(arg)?,
            "id" => c.controller_id = parse_u16(arg)?,
            "userdata" => c.userdata = parse_hex_bytes(arg)?,
            "pause" => c.pause = true,
            "meter_id" => c.meter_id = Some(parse_u32(arg)?),
            _ => return Err(ParseError::new(item, "reason, max_len, id, userdata, pause or meter_id")),
        }
    }
    if c == (Controller { max_len: c.max_len, ..Controller::default() }) {
        return Ok(Action::Output { port: OfPort::CONTROLLER, max_len: c.max_len });
    }
    Ok(Action::Controller(Box::new(c)))
}

/// `resubmit:port`, `resubmit([port],[table][,ct])`.
fn parse_resubmit(arg: &str) -> Result<Action> {
    let mut parts = arg.split(',').map(str::trim);
    let port = match parts.next() {
        None | Some("") => OfPort::IN_PORT,
        Some(text) => port::parse(text)?,
    };
    let table = match parts.next() {
        None | Some("") => None,
        Some(text) => Some(parse_u8(text)?).filter(|&t| t != 0xff),
    };
    let ct = match parts.next() {
        None => false,
        Some("ct") => true,
        Some(text) => return Err(ParseError::new(text, "ct, or nothing")),
    };
    if table.is_none() && port == OfPort::IN_PORT {
        return Err(ParseError::new(arg, "a port, a table, or both"));
    }
    Ok(Action::Resubmit { port, table, ct })
}

fn parse_ct(arg: &str, depth: usize) -> Result<Ct> {
    let mut ct = Ct { flags: 0, zone: CtZone::Imm(0), table: None, alg: 0, exec: Actions::none() };
    let mut exec: Vec<Action> = Vec::new();
    for item in split::list(arg)? {
        let (name, arg) = split::name_and_arg(item);
        match name {
            "commit" => ct.flags |= Ct::COMMIT,
            "force" => ct.flags |= Ct::FORCE,
            "table" => ct.table = Some(parse_u8(arg)?).filter(|&t| t != 0xff),
            "zone" => {
                ct.zone = match parse_u16(arg) {
                    Ok(zone) => CtZone::Imm(zone),
                    Err(_) => CtZone::Field(parse_subfield(arg)?),
                };
            }
            "nat" => exec.push(Action::Nat(Box::new(parse_nat(arg)?))),
            "exec" => exec.extend(&parse_list(arg, depth + 1)?),
            "alg" => {
                let known = ALGS.iter().find(|(name, _)| *name == arg);
                ct.alg = known.map_or_else(|| parse_u16(arg), |(_, port)| Ok(*port))?;
            }
            _ => return Err(ParseError::new(item, "commit, force, table, zone, nat, exec or alg")),
        }
    }
    ct.exec = Actions::encode(&exec).map_err(|_| ParseError::new(arg, "actions of at most 65520 bytes"))?;
    Ok(ct)
}

fn parse_nat(arg: &str) -> Result<Nat> {
    let mut nat = Nat::default();
    for item in split::list(arg)? {
        let (name, range) = item.split_once('=').unwrap_or((item, ""));
        match name {
            "src" | "dst" => {
                nat.flags |= if name == "src" { Nat::SRC } else { Nat::DST };
                nat.range = parse_nat_range(range)?;
            }
            "persistent" => nat.flags |= Nat::PERSISTENT,
            "hash" => nat.flags |= Nat::HASH,
            "random" => nat.flags |= Nat::RANDOM,
            _ => return Err(ParseError::new(item, "src, dst, persistent, hash or random")),
        }
    }
    Ok(nat)
}

/// `addr[-addr][:port[-port]]`, IPv6 addresses in brackets where ports follow.
fn parse_nat_range(text: &str) -> Result<NatRange> {
    let error = || ParseError::new(text, "address[-address][:port[-port]]");
    if text.is_empty() {
        return Ok(NatRange::default());
    }
    let (addrs, ports) = if text.parse::<Ipv6Addr>().is_ok() {
        (text, None)
    } else if text.contains('[') {
        let end = text.rfind(']').ok_or_else(error)? + 1;
        let rest = &text[end..];
        let ports = if rest.is_empty() { None } else { Some(rest.strip_prefix(':').ok_or_else(error)?) };
        (&text[..end], ports)
    } else if text.matches(':').count() > 1 {
        (text, None)
    } else {
        text.split_once(':').map_or((text, None), |(addrs, ports)| (addrs, Some(ports)))
    };
    let addr = |text: &str| -> Result<IpAddr> {
        let text = text.trim();
        let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
        let v4 = bare.parse::<Ipv4Addr>().map(IpAddr::V4).ok();
        v4.or_else(|| bare.parse::<Ipv6Addr>().map(IpAddr::V6).ok()).ok_or_else(error)
    };
    let range = |text: &str| {
        text.split_once('-').map_or((text.to_owned(), None), |(a, b)| (a.to_owned(), Some(b.to_owned())))
    };
    let mut out = NatRange::default();
    if !addrs.is_empty() {
        let (min, max) = range(addrs);
        let max = max.map(|m| addr(&m)).transpose()?;
        let min = addr(&min)?;
        if max.is_some_and(|max| max.is_ipv4() != min.is_ipv4()) {
            return Err(error());
        }
        out.addrs = Some((min, max));
    }
    if let Some(ports) = ports {
        let (min, max) = range(ports);
        out.ports = Some((parse_u16(&min)?, max.map(|m| parse_u16(&m)).transpose()?));
    }
    Ok(out)
}

fn parse_conjunction(arg: &str) -> Result<Action> {
    let error = || ParseError::new(arg, "id,k/n with k from 1 to n");
    let (id, clause) = arg.split_once(',').ok_or_else(error)?;
    let (clause, n_clauses) = clause.split_once('/').ok_or_else(error)?;
    let (clause, n_clauses) = (parse_u8(clause)?, parse_u8(n_clauses)?);
    if clause == 0 || clause > n_clauses || !(2..=64).contains(&n_clauses) {
        return Err(error());
    }
    Ok(Action::Conjunction { id: parse_u32(id)?, clause: clause - 1, n_clauses })
}

fn parse_sample(arg: &str) -> Result<Sample> {
    let mut s = Sample {
        probability: 0,
        collector_set_id: 0,
        obs_domain: SampleArg::Imm(0),
        obs_point: SampleArg::Imm(0),
        sampling_port: OfPort::ANY,
        direction: 0,
    };
    let number_or_field = |text: &str| -> Result<SampleArg> {
        parse_u32(text).map(SampleArg::Imm).or_else(|_| Ok(SampleArg::Field(parse_subfield(text)?)))
    };
    for item in split::list(arg)? {
        let (name, arg) = item.split_once('=').unwrap_or((item, ""));
        match name {
            "probability" => s.probability = parse_u16(arg)?,
            "collector_set_id" => s.collector_set_id = parse_u32(arg)?,
            "obs_domain_id" => s.obs_domain = number_or_field(arg)?,
            "obs_point_id" => s.obs_point = number_or_field(arg)?,
            "sampling_port" => s.sampling_port = port::parse(arg)?,
            "ingress" => s.direction = 1,
            "egress" => s.direction = 2,
            _ => return Err(ParseError::new(item, "an argument of sample")),
        }
    }
    if s.probability == 0 {
        return Err(ParseError::new(arg, "a probability other than 0"));
    }
    Ok(s)
}

/// A name from a list, or a number.
fn name_or_number(names: &[&str], text: &str) -> Result<u16> {
    names.iter().position(|n| *n == text).map_or_else(|| parse_u16(text), |n| Ok(n as u16))
}

fn parse_bundle(arg: &str, load: bool) -> Result<Bundle> {
    let error = || ParseError::new(arg, "fields,basis,algorithm,ofport,[destination,]members:ports");
    let (head, members) =
        arg.split_once("members:").or_else(|| arg.split_once("slaves:")).ok_or_else(error)?;
    let head = split::list(head.trim().strip_suffix(',').ok_or_else(error)?)?;
    let (fields, basis, algorithm, dst) = match head[..] {
        [fields, basis, algorithm, "ofport"] if !load => (fields, basis, algorithm, None),
        [fields, basis, algorithm, "ofport", dst] if load => {
            (fields, basis, algorithm, Some(parse_subfield(dst)?))
        }
        _ => return Err(error()),
    };
    let members: Result<Vec<OfPort>> = split::list(members)?.into_iter().map(port::parse).collect();
    Ok(Bundle {
        fields: name_or_number(&Bundle::FIELDS, fields)?,
        basis: parse_u16(basis)?,
        algorithm: name_or_number(&BUNDLE_ALGORITHMS, algorithm)?,
        members: members?.into(),
        dst,
    })
}

fn parse_multipath(arg: &str) -> Result<Multipath> {
    let error = || ParseError::new(arg, "fields,basis,algorithm,links,argument,destination");
    let [fields, basis, algorithm, links, argument, dst] = split::list(arg)?[..] else {
        return Err(error());
    };
    let max_link = parse_u32(links)?.checked_sub(1).and_then(|n| u16::try_from(n).ok()).ok_or_else(error)?;
    Ok(Multipath {
        fields: name_or_number(&Bundle::FIELDS, fields)?,
        basis: parse_u16(basis)?,
        algorithm: name_or_number(&MULTIPATH_ALGORITHMS, algorithm)?,
        max_link,
        arg: parse_u32(argument)?,
        dst: parse_subfield(dst)?,
    })
}

fn parse_fin_timeout(arg: &str) -> Result<Action> {
    let (mut idle_s, mut hard_s) = (0, 0);
    for item in split::list(arg)? {
        match item.split_once('=') {
            Some(("idle_timeout", text)) => idle_s = parse_u16(text)?,
            Some(("hard_timeout", text)) => hard_s = parse_u16(text)?,
            _ => return Err(ParseError::new(item, "idle_timeout= or hard_timeout=")),
        }
    }
    Ok(Action::FinTimeout { idle_s, hard_s })
}

fn parse_encap(arg: &str) -> Result<Action> {
    let (name, properties) = split::name_and_arg(arg);
    let known = ENCAP_TYPES.iter().find(|(n, _)| *n == name);
    let packet_type = known.map_or_else(|| parse_u32(name), |(_, typ)| Ok(*typ))?;
    Ok(Action::Encap { hdr_size: 0, packet_type, properties: parse_hex_bytes(properties)? })
}

fn parse_decap(arg: &str) -> Result<Action> {
    if arg.is_empty() {
        return Ok(Action::Decap(DECAP_NEXT));
    }
    let error = || ParseError::new(arg, "packet_type(ns=namespace,type=type)");
    let arg = arg.strip_prefix("packet_type").and_then(split::in_parens).ok_or_else(error)?;
    let (namespace, typ) = arg.split_once(',').ok_or_else(error)?;
    let namespace = parse_u16(namespace.trim().strip_prefix("ns=").ok_or_else(error)?)?;
    let typ = parse_u16(typ.trim().strip_prefix("type=").ok_or_else(error)?)?;
    Ok(Action::Decap(u32::from(namespace) << 16 | u32::from(typ)))
}
