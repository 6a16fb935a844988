//! Tunnels to other chassis: one port for each pair of a remote and a local address, of the best protocol that both
//! chassis know; `Port.external_ids:ovn-chassis-id` says whom it leads to. With `ovn-enable-flow-based-tunnels` there is
//! one port a protocol instead, and flows write the addresses.

use crate::bridge::{InterfaceOf, add_port};
use crate::index::is_integrated;
use crate::outstanding::VsOp;
use crate::settings::{EncapKind, Settings};
use crate::tables::{Ctx, Db};
use kiln_ovsdb::column::Pairs;
use kiln_ovsdb::txn::Txn;
use kiln_ovsdb::{Map, Text};
use kiln_schema_ovn::sb;
use kiln_types::Uuid;
use std::net::IpAddr;

/// The key of `Port.external_ids` that names a tunnel's other end: `CHASSIS@REMOTE%LOCAL`.
const CHASSIS_ID: &str = "ovn-chassis-id";
/// What it says of a port that leads to every chassis; `ovn-tunnel-type` then tells two such ports apart.
const SHARED: &str = "flow";
const TUNNEL_TYPE: &str = "ovn-tunnel-type";
/// The longest name of a network device that Linux takes.
const MAX_NAME: usize = 15;

/// A tunnel port as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedTunnel {
    /// The other chassis' name; none for a port that leads to every chassis.
    pub chassis: Option<Text>,
    /// The protocol.
    pub kind: EncapKind,
    /// `Interface.options`.
    pub options: Map<Text, Text>,
    /// `Interface.bfd`.
    pub bfd: Map<Text, Text>,
}

/// A tunnel port that packets can be sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tunnel {
    /// The protocol.
    pub kind: EncapKind,
    /// Which of this chassis' addresses it starts from, counted in the order of [`Settings::encap_ips`].
    ///
    /// [`Settings::encap_ips`]: crate::Settings::encap_ips
    pub local: u16,
    /// Whether the other end is the address that the chassis prefers.
    pub preferred: bool,
    /// The row of Encap at the other end.
    pub remote: Uuid,
    /// Its port.
    pub ofport: u32,
    /// Whether the other end is a hardware VTEP, which knows no port keys.
    pub is_vtep: bool,
    /// Whether the other end belongs to another availability zone.
    pub is_remote: bool,
    /// The addresses of both ends, ours first, if the port does not imply them.
    pub ends: Option<(IpAddr, IpAddr)>,
}

fn is_true(text: Option<&Text>) -> bool {
    text.is_some_and(|text| &**text == "true")
}

/// Whether tunnels are made to a chassis.
fn reaches(ctx: &Ctx<'_>, row: &Uuid) -> bool {
    let (Some(chassis), Some(settings)) = (ctx.row(&ctx.sb.chassis, row), ctx.value(&ctx.settings, &()))
    else {
        return false;
    };
    if *chassis.name() == settings.chassis {
        return false;
    }
    let remote_zone = is_true(chassis.other_config().get("is-remote")) && !settings.is_interconn;
    let zones = chassis.transport_zones().all();
    let ours = &settings.transport_zones;
    !remote_zone && (zones.is_empty() && ours.is_empty() || zones.iter().any(|zone| ours.contains(zone)))
}

/// The endpoints of another chassis, of the protocol that it is sent to by.
fn endpoints<'c>(
    ctx: &'c Ctx<'_>,
    chassis: &Uuid,
    settings: &Settings,
) -> Vec<(EncapKind, Uuid, sb::view::Encap<'c>)> {
    let Some(chassis) = ctx.row(&ctx.sb.chassis, chassis) else { return Vec::new() };
    let endpoint = |row: &Uuid| {
        let (kind, encap) = usable(ctx, row)?;
        Some((kind, *row, encap))
    };
    let mut found: Vec<_> = chassis.encaps().all().iter().filter_map(endpoint).collect();
    let known = |kind: &EncapKind| settings.encap_types.contains(kind);
    let best = found.iter().map(|(kind, ..)| *kind).filter(known).max();
    if best.is_none() && !found.is_empty() {
        let name = chassis.name();
        ctx.report(format!(
            "Chassis \"{name}\": column encaps: none of a type that this chassis has; no tunnel leads there"
        ));
    }
    found.retain(|(kind, ..)| Some(*kind) == best);
    found
}

/// The tunnels that a row of Chassis asks for.
pub(crate) fn wanted(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<(Text, WantedTunnel)>) {
    let Some(settings) = ctx.value(&ctx.settings, &()).filter(|settings| !settings.flow_based_tunnels) else {
        return;
    };
    let Some(chassis) = ctx.row(&ctx.sb.chassis, row).filter(|_| reaches(ctx, row)) else { return };
    let bfd = crate::gateway::bfd(ctx, row);
    for (kind, _, encap) in endpoints(ctx, row, settings) {
        for local in &settings.encap_ips {
            let mut options: Vec<(Text, Text)> =
                vec![("local_ip".into(), local.to_string().into()), ("remote_ip".into(), encap.ip().clone())];
            let passed = |name: &str| encap.options().get(name).map(|value| (name.into(), value.clone()));
            options.extend([passed("csum"), passed("dst_port")].into_iter().flatten());
            options.extend(protection(ctx, chassis.name()));
            let id = format!("{}@{}%{local}", chassis.name(), encap.ip());
            out.push((
                id.into(),
                WantedTunnel {
                    chassis: Some(chassis.name().clone()),
                    kind,
                    options: with_common(options, settings),
                    bfd: bfd.clone(),
                },
            ));
        }
    }
}

/// What tells the daemon that sets IPsec up whose certificate the other end has, and how it is to wrap packets
/// (ovs-monitor-ipsec(8)).
fn protection(ctx: &Ctx<'_>, chassis: &Text) -> Vec<(Text, Text)> {
    let global = ctx.all(&ctx.sb_global, &()).first().and_then(|row| ctx.row(&ctx.sb.sb_global, row));
    let Some(global) = global.filter(|global| global.ipsec()) else { return Vec::new() };
    let mut options = vec![("remote_name".into(), chassis.clone())];
    let chosen = ["ipsec_encapsulation", "ipsec_forceencaps"].into_iter();
    let chosen = chosen.filter(|key| is_true(global.options().get(*key)));
    options.extend(chosen.map(|key| (key.into(), "yes".into())));
    options
}

/// The ports that lead to every chassis, one a protocol.
pub(crate) fn wanted_shared(ctx: &Ctx<'_>, _: &(), out: &mut Vec<(Text, WantedTunnel)>) {
    let Some(settings) = ctx.value(&ctx.settings, &()).filter(|settings| settings.flow_based_tunnels) else {
        return;
    };
    for kind in &settings.encap_types {
        let ends = ["local_ip", "remote_ip"].map(|end| (end.into(), SHARED.into()));
        let options = with_common(ends.to_vec(), settings);
        let bfd = Map::default();
        out.push((shared_id(kind.name()), WantedTunnel { chassis: None, kind: *kind, options, bfd }));
    }
}

fn with_common(mut options: Vec<(Text, Text)>, settings: &Settings) -> Map<Text, Text> {
    options.push(("key".into(), "flow".into()));
    options.extend(settings.encap_tos.clone().map(|tos| ("tos".into(), tos)));
    options.extend(settings.encap_df_default.clone().map(|df| ("df_default".into(), df)));
    Map::from_vec(options)
}

/// What stands for a shared port's `ovn-chassis-id` here: names of chassis have no NUL.
fn shared_id(kind: &str) -> Text {
    format!("{SHARED}\0{kind}").into()
}

/// The `ovn-chassis-id` of a tunnel port of ours, told apart from others.
fn id_of(ids: kiln_incr::MapView<'_, Text, Text>) -> Option<Text> {
    let id = ids.get(CHASSIS_ID)?;
    Some(match ids.get(TUNNEL_TYPE).filter(|_| &**id == SHARED) {
        Some(kind) => shared_id(kind),
        None => id.clone(),
    })
}

/// The name of the chassis that a tunnel port leads to.
pub(crate) fn chassis_of(ids: kiln_incr::MapView<'_, Text, Text>) -> Option<Text> {
    split(ids.get(CHASSIS_ID)?).map(|(name, ..)| name.into())
}

/// A row of Encap and its protocol, if both it and the address can be understood.
fn usable<'c>(ctx: &'c Ctx<'_>, row: &Uuid) -> Option<(EncapKind, sb::view::Encap<'c>)> {
    let encap = ctx.row(&ctx.sb.encap, row)?;
    let Some(kind) = EncapKind::from_name(encap.r#type()) else {
        let found = encap.r#type();
        ctx.report(format!(
            "Encap {row}: column type: expected geneve or vxlan, found \"{found}\"; it is skipped"
        ));
        return None;
    };
    if encap.ip().parse::<std::net::IpAddr>().is_err() {
        let found = encap.ip();
        ctx.report(format!(
            "Encap {row}: column ip: expected an IP address, found \"{found}\"; it is skipped"
        ));
        return None;
    }
    Some((kind, encap))
}

/// Our tunnel ports by their `ovn-chassis-id`: those in the integration bridge, and those that this controller, as its index in
/// their names says, has left in a bridge that was the integration bridge before.
pub(crate) fn standing(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<(Text, Uuid)>) {
    let Some(port) = ctx.row(&ctx.vs.port, row) else { return };
    let Some(id) = id_of(port.external_ids()) else { return };
    let is_named_so = || {
        let settings = ctx.value(&ctx.settings, &());
        settings.is_some_and(|settings| port.name().starts_with(&*prefix(&settings.index)))
    };
    if is_integrated(ctx, row) || is_named_so() {
        out.push((id, *row));
    }
}

/// How the names of a controller's tunnels begin.
fn prefix(index: &str) -> String {
    format!("ovn{index}-")
}

/// The protocol and OpenFlow port of a tunnel port's interface.
fn interface(ctx: &Ctx<'_>, port: &Uuid) -> Option<(EncapKind, u32)> {
    let interfaces = ctx.row(&ctx.vs.port, port)?.interfaces();
    let interface = ctx.row(&ctx.vs.interface, interfaces.all().first()?)?;
    let ofport = interface.ofport().filter(|ofport| *ofport > 0)?;
    Some((EncapKind::from_name(interface.r#type())?, u32::try_from(ofport).ok()?))
}

/// Tunnels by the chassis that they lead to.
pub(crate) fn tunnels(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<(Uuid, Tunnel)>) {
    let Some(port) = ctx.row(&ctx.vs.port, row) else { return };
    let Some(id) = port.external_ids().get(CHASSIS_ID) else { return };
    let Some((name, remote_ip, local_ip)) = split(id) else { return };
    let Some(settings) = ctx.value(&ctx.settings, &()) else { return };
    if !is_integrated(ctx, row) {
        return;
    }
    let Some((kind, ofport)) = interface(ctx, row) else { return };
    let local = settings.encap_ips.iter().position(|ip| ip.to_string() == local_ip).unwrap_or(0) as u16;
    let Some(remote) = ctx.all(&ctx.encap_at, &(kind.name().into(), remote_ip.into())).first() else {
        return;
    };
    let Some(encap) = ctx.row(&ctx.sb.encap, remote) else { return };
    let Some(chassis) = ctx.all(&ctx.chassis_named, &name.into()).first() else { return };
    let (is_vtep, is_remote) = nature(ctx, chassis);
    let preferred = is_true(encap.options().get("is_default"));
    let tunnel = Tunnel { kind, local, preferred, remote: *remote, ofport, is_vtep, is_remote, ends: None };
    out.push((*chassis, tunnel));
}

/// Whether a chassis is a hardware VTEP, and whether it is of another availability zone.
fn nature(ctx: &Ctx<'_>, chassis: &Uuid) -> (bool, bool) {
    ctx.row(&ctx.sb.chassis, chassis).map_or((false, false), |row| {
        let config = row.other_config();
        (is_true(config.get("is-vtep")), is_true(config.get("is-remote")))
    })
}

/// The OpenFlow ports that lead to every chassis.
pub(crate) fn shared_ports(ctx: &Ctx<'_>, _: &(), out: &mut Vec<((), (EncapKind, u32))>) {
    for kind in [EncapKind::Vxlan, EncapKind::Geneve] {
        let ports = ctx.all(&ctx.tunnel_ports, &shared_id(kind.name()));
        let port = ports.iter().find(|port| is_integrated(ctx, port));
        let found = port.and_then(|port| interface(ctx, port)).filter(|(found, _)| *found == kind);
        out.extend(found.map(|found| ((), found)));
    }
}

/// Tunnels through shared ports by the chassis that they lead to.
pub(crate) fn shared_tunnels(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<(Uuid, Tunnel)>) {
    let ports = ctx.all(&ctx.shared_ports, &());
    let Some(settings) = ctx.value(&ctx.settings, &()) else { return };
    if ports.is_empty() || !settings.flow_based_tunnels || !reaches(ctx, row) {
        return;
    }
    let (is_vtep, is_remote) = nature(ctx, row);
    for (kind, remote, encap) in endpoints(ctx, row, settings) {
        let Some((_, ofport)) = ports.iter().find(|(port, _)| *port == kind) else { continue };
        let Ok(there) = encap.ip().parse::<IpAddr>() else { continue };
        let preferred = is_true(encap.options().get("is_default"));
        for (local, here) in settings.encap_ips.iter().enumerate() {
            if here.is_ipv4() == there.is_ipv4() {
                let (local, ofport, ends) = (local as u16, *ofport, Some((*here, there)));
                out.push((
                    row.to_owned(),
                    Tunnel { kind, local, preferred, remote, ofport, is_vtep, is_remote, ends },
                ));
            }
        }
    }
}

/// Tunnels that lead to other availability zones.
pub(crate) fn remote(ctx: &Ctx<'_>, chassis: &Uuid, out: &mut Vec<((), (Uuid, Tunnel))>) {
    let tunnels = ctx.all(&ctx.tunnels, chassis).iter();
    out.extend(tunnels.filter(|tunnel| tunnel.is_remote).map(|tunnel| ((), (*chassis, *tunnel))));
}

/// Chassis, remote address and local address.
fn split(id: &str) -> Option<(&str, &str, &str)> {
    let (name, ips) = id.rsplit_once('@')?;
    let (remote, local) = ips.split_once('%').unwrap_or((ips, ""));
    Some((name, remote, local))
}

/// The tunnel to a port on another chassis, from our address number `local`, if possible to one of `encaps`.
pub(crate) fn choose<'t>(tunnels: &'t [Tunnel], encaps: &[Uuid], local: u16) -> Option<&'t Tunnel> {
    let rank = |t: &&Tunnel| (t.kind, encaps.contains(&t.remote), t.preferred, std::cmp::Reverse(t.ofport));
    tunnels.iter().filter(|tunnel| tunnel.local == local).max_by_key(rank)
}

/// Tunnels that are missing or not as they should be.
pub(crate) fn missing(ctx: &Ctx<'_>, id: &Text, out: &mut Vec<VsOp>) {
    let Some(want) = ctx.value(&ctx.wanted_tunnels, id) else { return };
    let [port] = ctx.all(&ctx.tunnel_ports, id) else { return out.push(VsOp::Tunnel(id.clone())) };
    let interface = ctx
        .row(&ctx.vs.port, port)
        .and_then(|port| ctx.row(&ctx.vs.interface, port.interfaces().all().first()?));
    let same = is_integrated(ctx, port)
        && interface.is_some_and(|interface| {
            &**interface.r#type() == want.kind.name()
                && *interface.options().all() == *want.options.as_slice()
                && *interface.bfd().all() == *want.bfd.as_slice()
        });
    if !same {
        out.push(VsOp::Tunnel(id.clone()));
    }
}

/// Tunnels that lead nowhere.
pub(crate) fn stale(ctx: &Ctx<'_>, id: &Text, out: &mut Vec<VsOp>) {
    if ctx.value(&ctx.wanted_tunnels, id).is_none() {
        out.push(VsOp::Tunnel(id.clone()));
    }
}

/// Makes, mends or removes a tunnel port. `names` are those that this transaction has given out.
pub(crate) fn write(db: &Db, id: &Text, names: &mut Vec<Text>, txn: &mut Txn) {
    let Some(bridge) = db.integration.peek(&()) else { return };
    let standing = db.tunnel_ports.peek(id);
    let want = db.wanted_tunnels.peek(id);
    let is_integrated = |port: &&Uuid| db.bridge_of_port.peek(port).contains(bridge);
    let kept = standing.iter().find(|port| want.is_some() && is_integrated(port));
    for port in standing.iter().filter(|port| Some(*port) != kept) {
        for bridge in db.bridge_of_port.peek(port) {
            txn.mutate("Bridge").row(*bridge).delete("ports", port);
        }
    }
    let Some(want) = want else { return };
    if kept.is_none() && !standing.is_empty() {
        // The switch takes no second tunnel between the same ends before the first is gone.
        return;
    }
    if let Some(port) = kept {
        let interface = db.vs.port.peek(port).and_then(|port| port.interfaces.first().copied());
        if let Some(interface) = interface {
            txn.update("Interface")
                .row(interface)
                .set("type", want.kind.name())
                .set("options", &Pairs(want.options.as_slice()))
                .set("bfd", &Pairs(want.bfd.as_slice()));
        }
        return;
    }
    let interface =
        InterfaceOf { kind: want.kind.name(), options: want.options.as_slice(), bfd: want.bfd.as_slice() };
    let Some(chassis) = &want.chassis else {
        let index = db.settings.peek(&()).map(|settings| settings.index.clone()).unwrap_or_default();
        let name = format!("{}{}", prefix(&index), want.kind.name()).into();
        let ids = [(CHASSIS_ID, SHARED), (TUNNEL_TYPE, want.kind.name())];
        let ids = ids.map(|(key, value)| (key.into(), value.into()));
        return add_port(*bridge, &name, &ids, &interface, txn);
    };
    let name = free_name(db, chassis, names);
    add_port(*bridge, &name, &[(CHASSIS_ID.into(), id.clone())], &interface, txn);
    names.push(name);
}

/// `ovnI-CHASSI-n`, I this controller's index and n the lowest hexadecimal number for which no port has the name.
fn free_name(db: &Db, chassis: &str, given: &[Text]) -> Text {
    let index = db.settings.peek(&()).map(|settings| settings.index.clone()).unwrap_or_default();
    let short: String = chassis.chars().take(if index.is_empty() { 6 } else { 5 }).collect();
    for n in 0u32.. {
        let suffix = format!("-{n:x}");
        let mut name = format!("{}{short}", prefix(&index));
        while name.len() + suffix.len() > MAX_NAME {
            name.pop();
        }
        name.push_str(&suffix);
        let name = Text::from(name);
        if db.switch_port_named.peek(&name).is_empty() && !given.contains(&name) {
            return name;
        }
    }
    unreachable!("there are more numbers than ports")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_split_from_the_right() {
        assert_eq!(split("a@b@192.0.2.1%192.0.2.2"), Some(("a@b", "192.0.2.1", "192.0.2.2")));
        assert_eq!(split("hv@192.0.2.1"), Some(("hv", "192.0.2.1", "")));
        assert_eq!(split("hv"), None);
    }

    #[test]
    fn the_better_protocol_and_the_ports_own_address_win() {
        let tunnel = |kind, remote, ofport| Tunnel {
            kind,
            local: 0,
            preferred: false,
            remote: Uuid::from_u128(remote),
            ofport,
            is_vtep: false,
            is_remote: false,
            ends: None,
        };
        let all = [
            tunnel(EncapKind::Vxlan, 1, 1),
            tunnel(EncapKind::Geneve, 2, 2),
            tunnel(EncapKind::Geneve, 3, 3),
        ];
        assert_eq!(choose(&all, &[], 0).unwrap().ofport, 2);
        assert_eq!(choose(&all, &[Uuid::from_u128(3)], 0).unwrap().ofport, 3);
        assert_eq!(choose(&all, &[], 1), None);
    }
}
