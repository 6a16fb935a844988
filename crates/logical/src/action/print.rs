//! The canonical text of actions.

use super::{
    Action, Actions, Endpoint, Family, LbAffinity, LoadBalance, Log, Next, ObsPoint, OptionValue, Plain,
    Sample, Select, Value,
};
use crate::token::write_quoted;
use kiln_types::IpText;
use std::fmt::{self, Display, Formatter};
use std::net::IpAddr;

impl Display for Actions<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        list(f, &self.list)
    }
}

fn list(f: &mut Formatter<'_>, actions: &[Action<'_>]) -> fmt::Result {
    if actions.is_empty() {
        return f.write_str("drop;");
    }
    for (i, action) in actions.iter().enumerate() {
        if i > 0 {
            f.write_str(" ")?;
        }
        write!(f, "{action};")?;
    }
    Ok(())
}

/// Writes `items` with commas between them.
fn commas<T>(
    f: &mut Formatter<'_>,
    separator: &str,
    items: impl IntoIterator<Item = T>,
    mut item: impl FnMut(&mut Formatter<'_>, T) -> fmt::Result,
) -> fmt::Result {
    for (i, one) in items.into_iter().enumerate() {
        if i > 0 {
            f.write_str(separator)?;
        }
        item(f, one)?;
    }
    Ok(())
}

/// Without the semicolon.
impl Display for Action<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Action::Plain(Plain::HandleBfdMsg) => f.write_str("handle_bfd_msg()"),
            Action::Plain(plain) => f.write_str(plain.as_str()),
            Action::Next(Next::Following) => f.write_str("next"),
            Action::Next(Next::Table(table)) => write!(f, "next({table})"),
            Action::Next(Next::Other(pipeline, table)) => {
                write!(f, "next(pipeline={}, table={table})", pipeline.as_str())
            }
            Action::Load { dst, value } => write!(f, "{dst} = {value}"),
            Action::LoadName { dst, name } => {
                write!(f, "{dst} = ")?;
                write_quoted(f, name)
            }
            Action::LoadOvn { field, value } => write!(f, "{} = {value}", field.name()),
            Action::Move { dst, src } => write!(f, "{dst} = {src}"),
            Action::Exchange { a, b } => write!(f, "{a} <-> {b}"),
            Action::DecTtl => f.write_str("ip.ttl--"),
            Action::Push(field) => write!(f, "push({field})"),
            Action::Pop(field) => write!(f, "pop({field})"),
            Action::Nested(nested, inner) => nested_text(f, nested.as_str(), inner),
            Action::Fragment { mtu, error } => nested_text(f, &format!("fragment({mtu})"), error),
            Action::Query { dst, query } => write!(f, "{dst} = {}()", query.as_str()),
            Action::SetQueue(queue) => write!(f, "set_queue({queue})"),
            Action::SetMeter { rate_kbps, burst_kb: None } => write!(f, "set_meter({rate_kbps})"),
            Action::SetMeter { rate_kbps, burst_kb: Some(burst) } => {
                write!(f, "set_meter({rate_kbps}, {burst})")
            }
            Action::CheckPktLarger { dst, len } => write!(f, "{dst} = check_pkt_larger({len})"),
            Action::HandleSvcCheck(_)
            | Action::BindVport { .. }
            | Action::Mirror(_)
            | Action::CommitEcmpNh { .. }
            | Action::CommitLbAff(_)
            | Action::Log(_)
            | Action::TriggerEvent(_)
            | Action::FwdGroup { .. }
            | Action::Select(_)
            | Action::Sample(_)
            | Action::PutOptions { .. }
            | Action::DhcpRelay { .. } => self.service(f),
            Action::CtNext(_)
            | Action::CtCommit(_)
            | Action::CtCommitToZone(_)
            | Action::CtCommitNat(_)
            | Action::CtNat(..)
            | Action::CtLb(_) => self.conntrack(f),
            Action::GetNeighbor { .. }
            | Action::PutNeighbor { .. }
            | Action::LookupNeighbor { .. }
            | Action::GetFdb { .. }
            | Action::PutFdb { .. }
            | Action::LookupFdb { .. } => self.lookup(f),
        }
    }
}

fn nested_text(f: &mut Formatter<'_>, name: &str, inner: &[Action<'_>]) -> fmt::Result {
    write!(f, "{name} {{ ")?;
    list(f, inner)?;
    f.write_str(" }")
}

impl Action<'_> {
    fn service(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Action::HandleSvcCheck(port) => write!(f, "handle_svc_check({port})"),
            Action::BindVport { vport, parent } => {
                f.write_str("bind_vport(")?;
                write_quoted(f, vport)?;
                write!(f, ", {parent})")
            }
            Action::Mirror(port) => {
                f.write_str("mirror(")?;
                write_quoted(f, port)?;
                f.write_str(")")
            }
            Action::CommitEcmpNh { ipv6, protocol } => {
                write!(f, "commit_ecmp_nh(ipv6 = {ipv6}, proto = {})", protocol.as_str())
            }
            Action::CommitLbAff(affinity) => lb_affinity(f, affinity),
            Action::Log(log) => log_text(f, log),
            Action::TriggerEvent(event) => {
                f.write_str("trigger_event(event = \"empty_lb_backends\"")?;
                for (argument, value) in event {
                    write!(f, ", {} = ", argument.as_str())?;
                    write_quoted(f, value)?;
                }
                f.write_str(")")
            }
            Action::FwdGroup { liveness, ports } => {
                f.write_str(if *liveness {
                    "fwd_group(liveness=\"true\", childports="
                } else {
                    "fwd_group(childports="
                })?;
                commas(f, ", ", ports, |f, port| write_quoted(f, port))?;
                f.write_str(")")
            }
            Action::Select(choice) => select(f, choice),
            Action::Sample(sample) => sample_text(f, sample),
            Action::PutOptions { dst, of, options } => {
                write!(f, "{dst} = {}(", of.as_str())?;
                commas(f, ", ", options, option)?;
                f.write_str(")")
            }
            Action::DhcpRelay { dst, way, relay, server } => {
                write!(f, "{dst} = {}({relay}, {server})", way.as_str())
            }
            _ => Ok(()),
        }
    }

    fn conntrack(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Action::CtNext(zone) => write!(f, "ct_next({})", zone.as_str()),
            Action::CtCommitToZone(zone) => write!(f, "ct_commit_to_zone({})", zone.as_str()),
            Action::CtCommitNat(zone) => write!(f, "ct_commit_nat({})", zone.as_str()),
            Action::CtCommit(inner) if inner.is_empty() => f.write_str("ct_commit"),
            Action::CtCommit(inner) => {
                f.write_str("ct_commit { ")?;
                list(f, inner)?;
                f.write_str(" }")
            }
            Action::CtNat(nat, None) => f.write_str(nat.as_str()),
            Action::CtNat(nat, Some(to)) => {
                write!(f, "{}({}", nat.as_str(), IpText(to.ip))?;
                match to.ports {
                    Some((low, Some(high))) => write!(f, ",{low}-{high})"),
                    Some((port, None)) => write!(f, ",{port})"),
                    None => f.write_str(")"),
                }
            }
            Action::CtLb(lb) => load_balance(f, lb),
            _ => Ok(()),
        }
    }

    fn lookup(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let family = |family: &Family| family.as_str();
        match self {
            Action::GetNeighbor { family: of, port, ip } => write!(f, "get_{}({port}, {ip})", family(of)),
            Action::PutNeighbor { family: of, port, ip, mac } => {
                write!(f, "put_{}({port}, {ip}, {mac})", family(of))
            }
            Action::LookupNeighbor { dst, family: of, port, ip, mac: Some(mac) } => {
                write!(f, "{dst} = lookup_{}({port}, {ip}, {mac})", family(of))
            }
            Action::LookupNeighbor { dst, family: of, port, ip, mac: None } => {
                write!(f, "{dst} = lookup_{}_ip({port}, {ip})", family(of))
            }
            Action::GetFdb { dst, mac, remote: false } => write!(f, "{dst} = get_fdb({mac})"),
            Action::GetFdb { dst, mac, remote: true } => write!(f, "{dst} = get_remote_fdb({mac})"),
            Action::PutFdb { port, mac } => write!(f, "put_fdb({port}, {mac})"),
            Action::LookupFdb { dst, port, mac } => write!(f, "{dst} = lookup_fdb({port}, {mac})"),
            _ => Ok(()),
        }
    }
}

fn load_balance(f: &mut Formatter<'_>, lb: &LoadBalance<'_>) -> fmt::Result {
    f.write_str(lb.kind.as_str())?;
    if lb.backends.is_empty() {
        return Ok(());
    }
    f.write_str("(backends=")?;
    commas(f, ",", &lb.backends, |f, backend| {
        if let Some(name) = &backend.port_name {
            write_quoted(f, name)?;
            f.write_str(":")?;
        }
        match (backend.ip, backend.port) {
            (ip @ IpAddr::V6(_), Some(port)) => write!(f, "[{}]:{port}", IpText(ip)),
            (ip, Some(port)) => write!(f, "{ip}:{port}"),
            (ip, None) => write!(f, "{}", IpText(ip)),
        }
    })?;
    if let Some(fields) = &lb.hash_fields {
        f.write_str("; hash_fields=")?;
        write_quoted(f, fields)?;
    }
    if let Some(snat) = lb.snat {
        write!(f, "; {}", snat.as_str())?;
    }
    f.write_str(")")
}

fn option(f: &mut Formatter<'_>, option: &OptionValue<'_>) -> fmt::Result {
    write!(f, "{} = ", option.name)?;
    match &option.value {
        Value::Texts(texts) => one_or_braced(f, texts, |f, text| write_quoted(f, text)),
        Value::Numbers(numbers) => one_or_braced(f, numbers, |f, number| number.fmt(f)),
    }
}

fn one_or_braced<T>(
    f: &mut Formatter<'_>,
    items: &[T],
    mut item: impl FnMut(&mut Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    if let [one] = items {
        return item(f, one);
    }
    f.write_str("{")?;
    commas(f, ", ", items, item)?;
    f.write_str("}")
}

fn log_text(f: &mut Formatter<'_>, log: &Log<'_>) -> fmt::Result {
    f.write_str("log(")?;
    if let Some(name) = &log.name {
        f.write_str("name=")?;
        write_quoted(f, name)?;
        f.write_str(", ")?;
    }
    write!(f, "verdict={}, severity={}", log.verdict.as_str(), log.severity.as_str())?;
    if let Some(meter) = &log.meter {
        f.write_str(", meter=")?;
        write_quoted(f, meter)?;
    }
    f.write_str(")")
}

fn endpoint(endpoint: Endpoint) -> String {
    match (endpoint.ip, endpoint.port) {
        (ip @ IpAddr::V6(_), Some(port)) => format!("\"[{}]:{port}\"", IpText(ip)),
        (ip @ IpAddr::V6(_), None) => format!("\"[{}]\"", IpText(ip)),
        (ip, Some(port)) => format!("\"{ip}:{port}\""),
        (ip, None) => format!("\"{ip}\""),
    }
}

fn lb_affinity(f: &mut Formatter<'_>, affinity: &LbAffinity) -> fmt::Result {
    write!(f, "commit_lb_aff(vip = {}, backend = {}", endpoint(affinity.vip), endpoint(affinity.backend))?;
    if let Some(protocol) = affinity.protocol {
        write!(f, ", proto = {}", protocol.as_str())?;
    }
    write!(f, ", timeout = {})", affinity.timeout_s)
}

fn select(f: &mut Formatter<'_>, choice: &Select<'_>) -> fmt::Result {
    write!(f, "{} = select(", choice.dst)?;
    if choice.hash_fields.is_some() {
        f.write_str("values=(")?;
    }
    commas(f, ", ", &choice.candidates, |f, one| write!(f, "{}={}", one.value, one.weight))?;
    f.write_str(")")?;
    if let Some(fields) = &choice.hash_fields {
        f.write_str("; hash_fields=")?;
        write_quoted(f, fields)?;
        f.write_str(")")?;
    }
    Ok(())
}

fn sample_text(f: &mut Formatter<'_>, sample: &Sample) -> fmt::Result {
    write!(
        f,
        "sample(probability={},collector_set={},obs_domain={},obs_point=",
        sample.probability, sample.collector_set, sample.obs_domain
    )?;
    match sample.obs_point {
        ObsPoint::Number(number) => write!(f, "{number})"),
        ObsPoint::Cookie => f.write_str("$cookie)"),
        ObsPoint::Field(field) => write!(f, "{field})"),
    }
}
