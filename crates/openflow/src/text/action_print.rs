//! Printing of actions.

use super::value::{Hex, print_in_action, print_subfield};
use super::{learn_text, port};
use crate::action::{Action, Actions, Bundle, Controller, Ct, CtZone, Multipath, Nat, Sample, SampleArg};
use crate::{Field, Subfield};
use kiln_types::{IpText, OfPort};
use std::fmt::{self, Write};
use std::net::IpAddr;

/// A run of bits as the stock tools print it.
struct Bits<'a>(&'a Subfield);

impl fmt::Display for Bits<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print_subfield(self.0, f)
    }
}

/// A port as the stock tools print it.
pub(super) struct PortText(pub(super) OfPort);

impl fmt::Display for PortText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        port::print(self.0, f)
    }
}

impl fmt::Display for Actions {
    /// The actions with commas between them; `drop` for none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("drop");
        }
        for (i, action) in self.iter().enumerate() {
            write!(f, "{}{action}", if i > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Output { port: OfPort::CONTROLLER, max_len } => write!(f, "CONTROLLER:{max_len}"),
            Action::Output { port, .. } => match port::name(*port) {
                Some(name) => f.write_str(name),
                None => write!(f, "output:{}", PortText(*port)),
            },
            Action::OutputTrunc { port, max_len } => {
                write!(f, "output(port={},max_len={max_len})", PortText(*port))
            }
            Action::OutputReg { src, .. } => write!(f, "output:{}", Bits(src)),
            Action::Group(id) => write!(f, "group:{id}"),
            Action::SetQueue(queue) => write!(f, "set_queue:{queue}"),
            Action::PopQueue => f.write_str("pop_queue"),
            Action::Meter(id) => write!(f, "meter:{id}"),
            Action::DecTtlCntIds(ids) => {
                f.write_str("dec_ttl(")?;
                comma_list(f, ids.iter())?;
                f.write_char(')')
            }
            Action::SetField(v) => {
                f.write_str("set_field:")?;
                print_in_action(v, f)?;
                write!(f, "->{}", v.field.name())
            }
            Action::CopyField { src, dst } => write!(f, "move:{}->{}", Bits(src), Bits(dst)),
            Action::StackPush(sf) => write!(f, "push:{}", Bits(sf)),
            Action::StackPop(sf) => write!(f, "pop:{}", Bits(sf)),
            Action::Resubmit { port, table, ct } => resubmit(f, *port, *table, *ct),
            Action::Controller(c) => controller(f, c),
            Action::Ct(ct) => print_ct(f, ct),
            Action::Nat(nat) => print_nat(f, nat),
            Action::CtClear => f.write_str("ct_clear"),
            Action::DebugSlow => f.write_str("debug_slow"),
            Action::DebugRecirc => f.write_str("debug_recirc"),
            Action::Clone(actions) => write!(f, "clone({actions})"),
            Action::Learn(learn) => learn_text::print(learn, f),
            Action::Conjunction { id, clause, n_clauses } => {
                write!(f, "conjunction({id},{}/{n_clauses})", u32::from(*clause) + 1)
            }
            Action::CheckPktLarger { pkt_len, dst } => {
                write!(f, "check_pkt_larger({pkt_len})->{}", Bits(dst))
            }
            Action::Sample(s) => sample(f, s),
            Action::Bundle(b) => bundle(f, b),
            Action::Multipath(m) => multipath(f, m),
            Action::Exit => f.write_str("exit"),
            Action::FinTimeout { idle_s, hard_s } => fin_timeout(f, *idle_s, *hard_s),
            Action::WriteMetadata { value, mask } => print_write_metadata(f, *value, *mask),
            Action::Note(data) => {
                f.write_str("note:")?;
                print_hex_bytes(data, f)
            }
            Action::DeleteField(field) => write!(f, "delete_field:{}", field.name()),
            Action::Encap { packet_type, properties, .. } => encap(f, *packet_type, properties),
            Action::Decap(DECAP_NEXT) => f.write_str("decap()"),
            Action::Decap(t) => {
                write!(f, "decap(packet_type(ns={},type={}))", t >> 16, Hex((t & 0xffff).into()))
            }
            Action::Unknown(raw) => {
                f.write_str("unknown(")?;
                print_hex_bytes(raw, f)?;
                f.write_char(')')
            }
            _ => print_header_action(self, f),
        }
    }
}

/// Actions on headers, with at most one number.
fn print_header_action(action: &Action, f: &mut dyn Write) -> fmt::Result {
    match action {
        Action::PushVlan(ethertype) => write!(f, "push_vlan:{ethertype:#06x}"),
        Action::PopVlan => f.write_str("pop_vlan"),
        Action::PushMpls(ethertype) => write!(f, "push_mpls:{ethertype:#06x}"),
        Action::PopMpls(ethertype) => write!(f, "pop_mpls:{ethertype:#06x}"),
        Action::PushPbb(ethertype) => write!(f, "push_pbb:{ethertype:#06x}"),
        Action::PopPbb => f.write_str("pop_pbb"),
        Action::SetMplsTtl(ttl) => write!(f, "set_mpls_ttl({ttl})"),
        Action::DecMplsTtl => f.write_str("dec_mpls_ttl"),
        Action::CopyTtlOut => f.write_str("copy_ttl_out"),
        Action::CopyTtlIn => f.write_str("copy_ttl_in"),
        Action::SetNwTtl(ttl) => write!(f, "mod_nw_ttl:{ttl}"),
        Action::DecTtl => f.write_str("dec_ttl"),
        _ => f.write_str("dec_nsh_ttl"),
    }
}

/// "Whatever comes next", in `decap`.
pub(super) const DECAP_NEXT: u32 = 0xfffe;

fn comma_list<T: fmt::Display>(f: &mut dyn Write, items: impl Iterator<Item = T>) -> fmt::Result {
    for (i, item) in items.enumerate() {
        write!(f, "{}{item}", if i > 0 { "," } else { "" })?;
    }
    Ok(())
}

/// Bytes in hexadecimal with dots between them.
fn print_hex_bytes(bytes: &[u8], f: &mut dyn Write) -> fmt::Result {
    for (i, byte) in bytes.iter().enumerate() {
        write!(f, "{}{byte:02x}", if i > 0 { "." } else { "" })?;
    }
    Ok(())
}

pub(super) fn print_write_metadata(f: &mut dyn Write, value: u64, mask: u64) -> fmt::Result {
    write!(f, "write_metadata:{}", Hex(value.into()))?;
    if mask == u64::MAX { Ok(()) } else { write!(f, "/{}", Hex(mask.into())) }
}

fn resubmit(f: &mut dyn Write, port: OfPort, table: Option<u8>, ct: bool) -> fmt::Result {
    if table.is_none() && port != OfPort::IN_PORT && !ct {
        return write!(f, "resubmit:{}", PortText(port));
    }
    f.write_str("resubmit(")?;
    if port != OfPort::IN_PORT {
        port::print(port, f)?;
    }
    f.write_char(',')?;
    if let Some(table) = table {
        write!(f, "{table}")?;
    }
    f.write_str(if ct { ",ct)" } else { ")" })
}

/// The names of reasons, by number.
pub(super) const REASONS: [&str; 6] =
    ["no_match", "action", "invalid_ttl", "action_set", "group", "packet_out"];

fn controller(f: &mut dyn Write, c: &Controller) -> fmt::Result {
    let default = Controller::default();
    let plain = Controller { max_len: c.max_len, ..Controller::default() };
    if *c == plain {
        return write!(f, "CONTROLLER:{}", c.max_len);
    }
    let mut separator = "controller(";
    let mut item = |f: &mut dyn Write, item: fmt::Arguments<'_>| {
        f.write_str(std::mem::replace(&mut separator, ","))?;
        f.write_fmt(item)
    };
    if c.reason != default.reason {
        match REASONS.get(usize::from(c.reason)) {
            Some(name) => item(f, format_args!("reason={name}"))?,
            None => item(f, format_args!("reason={}", c.reason))?,
        }
    }
    if c.max_len != default.max_len {
        item(f, format_args!("max_len={}", c.max_len))?;
    }
    if c.controller_id != default.controller_id {
        item(f, format_args!("id={}", c.controller_id))?;
    }
    if !c.userdata.is_empty() {
        item(f, format_args!("userdata="))?;
        print_hex_bytes(&c.userdata, f)?;
    }
    if c.pause {
        item(f, format_args!("pause"))?;
    }
    if let Some(id) = c.meter_id {
        item(f, format_args!("meter_id={id}"))?;
    }
    f.write_char(')')
}

/// The ports of the protocols with helpers.
pub(super) const ALGS: [(&str, u16); 2] = [("ftp", 21), ("tftp", 69)];

fn print_ct(f: &mut dyn Write, ct: &Ct) -> fmt::Result {
    f.write_str("ct(")?;
    let mut separator = "";
    let mut comma = |f: &mut dyn Write| f.write_str(std::mem::replace(&mut separator, ","));
    for (flag, name) in [(Ct::COMMIT, "commit"), (Ct::FORCE, "force")] {
        if ct.flags & flag != 0 {
            comma(f)?;
            f.write_str(name)?;
        }
    }
    if let Some(table) = ct.table {
        comma(f)?;
        write!(f, "table={table}")?;
    }
    match &ct.zone {
        CtZone::Imm(0) => {}
        CtZone::Imm(zone) => {
            comma(f)?;
            write!(f, "zone={zone}")?;
        }
        CtZone::Field(sf) => {
            comma(f)?;
            write!(f, "zone={}", Bits(sf))?;
        }
    }
    // A translation that comes first stands beside the rest, any other among them.
    let mut exec = ct.exec.iter().peekable();
    if let Some(Action::Nat(nat)) = exec.peek() {
        comma(f)?;
        print_nat(f, nat)?;
        exec.next();
    }
    if exec.peek().is_some() {
        comma(f)?;
        f.write_str("exec(")?;
        comma_list(f, exec)?;
        f.write_char(')')?;
    }
    if ct.alg != 0 {
        comma(f)?;
        match ALGS.iter().find(|(_, port)| *port == ct.alg) {
            Some((name, _)) => write!(f, "alg={name}")?,
            None => write!(f, "alg={}", ct.alg)?,
        }
    }
    f.write_char(')')
}

fn print_nat(f: &mut dyn Write, nat: &Nat) -> fmt::Result {
    f.write_str("nat")?;
    let direction = match nat.flags & (Nat::SRC | Nat::DST) {
        0 => return Ok(()),
        Nat::SRC => "src",
        _ => "dst",
    };
    write!(f, "({direction}")?;
    if let Some((min, max)) = nat.range.addrs {
        // Ports after an IPv6 address need brackets around it.
        let brackets = min.is_ipv6() && nat.range.ports.is_some();
        let addr = |f: &mut dyn Write, a: IpAddr| {
            if brackets { write!(f, "[{}]", IpText(a)) } else { write!(f, "{}", IpText(a)) }
        };
        f.write_char('=')?;
        addr(f, min)?;
        if let Some(max) = max.filter(|&max| max != min) {
            f.write_char('-')?;
            addr(f, max)?;
        }
    }
    if let Some((min, max)) = nat.range.ports {
        f.write_str(if nat.range.addrs.is_some() { ":" } else { "=:" })?;
        write!(f, "{min}")?;
        if let Some(max) = max.filter(|&max| max != min) {
            write!(f, "-{max}")?;
        }
    }
    for (flag, name) in [(Nat::PERSISTENT, "persistent"), (Nat::HASH, "hash"), (Nat::RANDOM, "random")] {
        if nat.flags & flag != 0 {
            write!(f, ",{name}")?;
        }
    }
    f.write_char(')')
}

fn sample_arg(f: &mut dyn Write, name: &str, arg: &SampleArg) -> fmt::Result {
    match arg {
        SampleArg::Imm(number) => write!(f, ",{name}={number}"),
        SampleArg::Field(sf) => write!(f, ",{name}={}", Bits(sf)),
    }
}

fn sample(f: &mut dyn Write, s: &Sample) -> fmt::Result {
    write!(f, "sample(probability={},collector_set_id={}", s.probability, s.collector_set_id)?;
    sample_arg(f, "obs_domain_id", &s.obs_domain)?;
    sample_arg(f, "obs_point_id", &s.obs_point)?;
    if s.sampling_port != OfPort::ANY {
        write!(f, ",sampling_port={}", PortText(s.sampling_port))?;
    }
    match s.direction {
        1 => f.write_str(",ingress)"),
        2 => f.write_str(",egress)"),
        _ => f.write_char(')'),
    }
}

/// The names of what is hashed, by number; the number itself if it has no name.
fn hash_fields(f: &mut dyn Write, fields: u16) -> fmt::Result {
    match Bundle::FIELDS.get(usize::from(fields)) {
        Some(name) => f.write_str(name),
        None => write!(f, "{fields}"),
    }
}

/// The names of bundle's algorithms, by number.
pub(super) const BUNDLE_ALGORITHMS: [&str; 2] = ["active_backup", "hrw"];
/// The names of multipath's algorithms, by number.
pub(super) const MULTIPATH_ALGORITHMS: [&str; 4] = ["modulo_n", "hash_threshold", "hrw", "iter_hash"];

fn algorithm(f: &mut dyn Write, names: &[&str], number: u16) -> fmt::Result {
    match names.get(usize::from(number)) {
        Some(name) => f.write_str(name),
        None => write!(f, "{number}"),
    }
}

fn bundle(f: &mut dyn Write, b: &Bundle) -> fmt::Result {
    f.write_str(if b.dst.is_some() { "bundle_load(" } else { "bundle(" })?;
    hash_fields(f, b.fields)?;
    write!(f, ",{},", b.basis)?;
    algorithm(f, &BUNDLE_ALGORITHMS, b.algorithm)?;
    f.write_str(",ofport,")?;
    if let Some(sf) = &b.dst {
        write!(f, "{},", Bits(sf))?;
    }
    f.write_str("members:")?;
    comma_list(f, b.members.iter().map(|&port| PortText(port)))?;
    f.write_char(')')
}

fn multipath(f: &mut dyn Write, m: &Multipath) -> fmt::Result {
    f.write_str("multipath(")?;
    hash_fields(f, m.fields)?;
    write!(f, ",{},", m.basis)?;
    algorithm(f, &MULTIPATH_ALGORITHMS, m.algorithm)?;
    write!(f, ",{},{},{})", u32::from(m.max_link) + 1, m.arg, Bits(&m.dst))
}

fn fin_timeout(f: &mut dyn Write, idle_s: u16, hard_s: u16) -> fmt::Result {
    f.write_str("fin_timeout(")?;
    if idle_s != 0 {
        write!(f, "idle_timeout={idle_s}")?;
        f.write_str(if hard_s != 0 { "," } else { "" })?;
    }
    if hard_s != 0 {
        write!(f, "hard_timeout={hard_s}")?;
    }
    f.write_char(')')
}

/// Packet types that `encap` has names for.
pub(super) const ENCAP_TYPES: [(&str, u32); 4] =
    [("ethernet", 0), ("nsh", 0x0001_894f), ("mpls", 0x0001_8847), ("mpls_mc", 0x0001_8848)];

/// Properties, which only NSH has, are printed as bytes.
fn encap(f: &mut dyn Write, packet_type: u32, properties: &[u8]) -> fmt::Result {
    f.write_str("encap(")?;
    match ENCAP_TYPES.iter().find(|(_, typ)| *typ == packet_type) {
        Some((name, _)) => f.write_str(name)?,
        None => write!(f, "{packet_type:#010x}")?,
    }
    if !properties.is_empty() {
        f.write_char('(')?;
        print_hex_bytes(properties, f)?;
        f.write_char(')')?;
    }
    f.write_char(')')
}

/// The name under which a field is set from text.
pub(super) fn settable(field: Field) -> Field {
    match field.as_tun_metadata() {
        Some(n) => Field::tun_metadata(n, super::MATCH_OPTION_LEN),
        None => field,
    }
}
