//! Which logical ports are on this chassis: interfaces by `external_ids:iface-id`, containers inside them, gateway ports
//! by name; and the claims and releases in Port_Binding that follow (ovn-architecture(7), Life Cycle of a VIF).

use crate::index::is_integrated;
use crate::multichassis::{self, Seat};
use crate::outstanding::{SbOp, VsOp};
use crate::reach::Step;
use crate::settings::Settings;
use crate::tables::Ctx;
use kiln_ovsdb::Text;
use kiln_schema_ovn::sb;
use kiln_schema_vswitch::view as vswitch;
use kiln_types::Uuid;

/// Column `type` of Port_Binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "each is the column's value")]
pub enum PortKind {
    Vif,
    Patch,
    Localnet,
    Localport,
    L2gateway,
    L3gateway,
    Chassisredirect,
    Vtep,
    Virtual,
    External,
    Remote,
    /// A type that only later versions know.
    Other,
}

impl PortKind {
    /// From the column's value.
    pub fn from_name(name: &str) -> PortKind {
        match name {
            "" => PortKind::Vif,
            "patch" => PortKind::Patch,
            "localnet" => PortKind::Localnet,
            "localport" => PortKind::Localport,
            "l2gateway" => PortKind::L2gateway,
            "l3gateway" => PortKind::L3gateway,
            "chassisredirect" => PortKind::Chassisredirect,
            "vtep" => PortKind::Vtep,
            "virtual" => PortKind::Virtual,
            "external" => PortKind::External,
            "remote" => PortKind::Remote,
            _ => PortKind::Other,
        }
    }
}

/// The type of ports for what is mirrored, which are [`PortKind::Other`] here.
const MIRROR: &str = "mirror";

/// Where a logical port is, as seen from here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Residence {
    /// The port's kind.
    pub kind: PortKind,
    /// Whether the port belongs to this chassis, so that Port_Binding has to say so.
    pub claims: bool,
    /// Whether it does so as an additional chassis beside the main one.
    pub is_additional: bool,
    /// The interface that it is attached to here, for a container its parent's.
    pub interface: Option<Uuid>,
    /// That interface's OpenFlow port.
    pub ofport: Option<u32>,
    /// The row of the port that a container is inside of.
    pub parent: Option<Uuid>,
}

pub(crate) fn residence(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<(Uuid, Residence)>) {
    let Some(port) = ctx.row(&ctx.sb.port_binding, row) else { return };
    let kind = PortKind::from_name(port.r#type());
    let mut residence =
        Residence { kind, claims: false, is_additional: false, interface: None, ofport: None, parent: None };
    match kind {
        PortKind::Vif => {
            let parent = parent_of(&port);
            let attached = parent.unwrap_or(port.logical_port());
            residence.parent = parent.and_then(|name| ctx.all(&ctx.port_named, name).first().copied());
            attach(ctx, &ctx.interfaces_with_id, attached, &mut residence);
            // The version of an interface is that of the port which has its name, not of what is inside of that.
            let may_bind = |row: &Uuid| {
                multichassis::seat(ctx, row).filter(|_| is_of_version(ctx, row, residence.interface))
            };
            // What is inside of a container is nowhere, nor what is inside of a port of another kind.
            let is_whole = |row: &Uuid| {
                let port = ctx.row(&ctx.sb.port_binding, row);
                port.is_some_and(|port| port.r#type().is_empty() && parent_of(&port).is_none())
            };
            let bound = parent.is_none()
                || residence.parent.is_some_and(|row| is_whole(&row) && may_bind(&row).is_some());
            let seat = if parent.is_some() { multichassis::seat(ctx, row) } else { may_bind(row) };
            let seat = seat.filter(|_| bound && residence.ofport.is_some());
            residence.is_additional = seat == Some(Seat::Additional);
            residence.claims = seat.is_some();
        }
        PortKind::Localport => {
            attach(ctx, &ctx.interfaces_with_id, port.logical_port(), &mut residence);
        }
        PortKind::Localnet => attach(ctx, &ctx.patch_interfaces, port.logical_port(), &mut residence),
        PortKind::L2gateway | PortKind::L3gateway => {
            if kind == PortKind::L2gateway {
                attach(ctx, &ctx.patch_interfaces, port.logical_port(), &mut residence);
            }
            let key = if kind == PortKind::L2gateway { "l2gateway-chassis" } else { "l3gateway-chassis" };
            let chassis = port.options().get(key);
            let settings = ctx.value(&ctx.settings, &());
            residence.claims = settings.is_some_and(|s| chassis == Some(&s.chassis));
        }
        PortKind::Chassisredirect => {
            residence.claims = crate::gateway::is_active(ctx, row);
        }
        PortKind::Other if &**port.r#type() != MIRROR => {
            let (name, found) = (port.logical_port(), port.r#type());
            ctx.report(format!("Port_Binding {row} (\"{name}\"): column type: unknown type \"{found}\""));
        }
        _ => {}
    }
    out.push((*row, residence));
}

/// The name of the port that the port is a container inside of.
pub(crate) fn parent_of<'r>(port: &sb::view::PortBinding<'r>) -> Option<&'r Text> {
    port.parent_port().as_ref().filter(|name| !name.is_empty())
}

/// Whether `chassis` is our row.
pub(crate) fn is_me(ctx: &Ctx<'_>, chassis: &Uuid) -> bool {
    ctx.value(&ctx.me, &()) == Some(chassis)
}

fn attach(ctx: &Ctx<'_>, index: &kiln_incr::Relation<Text, Uuid>, id: &Text, residence: &mut Residence) {
    let all = ctx.all(index, id);
    let usable = |row: &Uuid| {
        let ofport = ctx.row(&ctx.vs.interface, row)?.ofport().filter(|ofport| *ofport > 0)?;
        Some((*row, u32::try_from(ofport).ok()?))
    };
    // Of several the one that the port has already keeps it.
    let is_marked =
        |row: &&Uuid| ctx.row(&ctx.vs.interface, row).is_some_and(|interface| is_installed(&interface));
    let kept = if all.len() > 1 { all.iter().filter(is_marked).find_map(usable) } else { None };
    let found = kept.or_else(|| all.iter().find_map(usable));
    if let Some((interface, ofport)) = found {
        (residence.interface, residence.ofport) = (Some(interface), Some(ofport));
    }
}

/// Whether the interface is the one of its name that is meant (`iface-id-ver`), if that is said.
fn is_of_version(ctx: &Ctx<'_>, row: &Uuid, interface: Option<Uuid>) -> bool {
    let key = "iface-id-ver";
    let wanted = ctx.row(&ctx.sb.port_binding, row).and_then(|port| port.options().get(key));
    let found = interface.and_then(|row| ctx.row(&ctx.vs.interface, &row));
    wanted.is_none_or(|wanted| found.is_some_and(|found| found.external_ids().get(key) == Some(wanted)))
}

/// Whether packets can come in by the port, or go out by it, on this chassis.
pub(crate) fn is_related(ctx: &Ctx<'_>, row: &Uuid) -> bool {
    let Some(residence) = ctx.value(&ctx.residence, row) else { return false };
    match residence.kind {
        // Those of mirrors are where what they mirror is; those of other zones have flows on every chassis.
        PortKind::Patch | PortKind::Localnet | PortKind::Vtep | PortKind::Remote | PortKind::Other => true,
        // One that is on every chassis, but for those where nothing is plugged in.
        PortKind::Localport => residence.ofport.is_some(),
        PortKind::Chassisredirect => residence.claims || crate::gateway::is_candidate(ctx, row),
        _ => residence.claims,
    }
}

/// Where the search for local datapaths starts, and where it goes on.
pub(crate) fn steps(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<Step>) {
    let Some(residence) = ctx.value(&ctx.residence, row) else { return };
    let Some(port) = ctx.row(&ctx.sb.port_binding, row) else { return };
    let seeds = match residence.kind {
        PortKind::Chassisredirect => crate::gateway::is_candidate(ctx, row),
        _ => residence.claims,
    };
    if seeds {
        out.push(Step::Start(port.datapath()));
    }
    if let Some(peer) = peer_from_here(ctx, row) {
        out.extend(ctx.row(&ctx.sb.port_binding, &peer).map(|p| Step::Edge(port.datapath(), p.datapath())));
    }
}

/// The other end of a patch port.
pub(crate) fn peer(ctx: &Ctx<'_>, row: &Uuid) -> Option<Uuid> {
    let name = ctx.row(&ctx.sb.port_binding, row)?.options().get("peer")?;
    ctx.all(&ctx.port_named, name).first().copied()
}

/// The other end of a patch port through which packets can go on this chassis; those of gateway routers are on one.
pub(crate) fn peer_from_here(ctx: &Ctx<'_>, row: &Uuid) -> Option<Uuid> {
    let residence = ctx.value(&ctx.residence, row)?;
    let leads_on =
        residence.kind == PortKind::Patch || residence.kind == PortKind::L3gateway && residence.claims;
    peer(ctx, row).filter(|_| leads_on && crate::gateway::leads_here(ctx, row))
}

/// Ports that are ours in the database too: their flows can be waited for.
pub(crate) fn bound(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<Uuid>) {
    let Some(residence) = ctx.value(&ctx.residence, row) else { return };
    let Some(port) = ctx.row(&ctx.sb.port_binding, row) else { return };
    if residence.claims && says_so(ctx, row, residence, &port) {
        out.push(*row);
    }
}

/// Whether the database says that the port is here, as it is to.
fn says_so(ctx: &Ctx<'_>, row: &Uuid, residence: &Residence, port: &sb::view::PortBinding<'_>) -> bool {
    if residence.is_additional { multichassis::is_additional(ctx, port) } else { is_bound_here(ctx, row) }
}

pub(crate) fn is_bound_here(ctx: &Ctx<'_>, row: &Uuid) -> bool {
    ctx.row(&ctx.sb.port_binding, row)
        .and_then(|port| port.chassis())
        .is_some_and(|chassis| is_me(ctx, &chassis))
}

/// Claims, releases and `up`.
pub(crate) fn differences(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<SbOp>) {
    let Some(residence) = ctx.value(&ctx.residence, row) else { return };
    let Some(port) = ctx.row(&ctx.sb.port_binding, row) else { return };
    if ctx.value(&ctx.me, &()).is_none() {
        return;
    }
    if residence.is_additional {
        if !multichassis::is_claimed(ctx, &port, encap(ctx, residence)) {
            out.push(SbOp::ClaimAdditional(*row));
        }
        if multichassis::lacks_activation(ctx, row, &port) {
            out.push(SbOp::Activated(*row));
        }
    } else if multichassis::is_additional(ctx, &port) {
        out.push(SbOp::ReleaseAdditional(*row));
    }
    match (residence.claims && !residence.is_additional, is_bound_here(ctx, row)) {
        (true, false) if port.chassis().is_none() || ctx.value(&ctx.contested, row).is_none() => {
            out.push(SbOp::Claim(*row));
        }
        (false, true) => out.push(SbOp::Release(*row)),
        (true, true) => {
            if port.up() != Some(true) && ctx.value(&ctx.installed, row).is_some() {
                out.push(SbOp::Up(*row));
            }
            if port.encap() != encap(ctx, residence) {
                out.push(SbOp::Claim(*row));
            }
        }
        _ => {}
    }
}

/// The row of Encap by which others are to reach the port.
fn encap(ctx: &Ctx<'_>, residence: &Residence) -> Option<Uuid> {
    let interface = ctx.row(&ctx.vs.interface, &residence.interface?)?;
    let endpoint = endpoint(ctx.value(&ctx.settings, &())?, interface.external_ids().get("encap-ip"))?;
    ctx.all(&ctx.encap_at, &endpoint).first().copied()
}

/// The address that the port's interface asks for by `external_ids:encap-ip`, or else the one that the operator calls the
/// default, if there are several.
fn endpoint(settings: &Settings, asked: Option<&Text>) -> Option<(Text, Text)> {
    let ip = match asked {
        Some(ip) => ip.parse().ok()?,
        None => settings.encap_ip_default.filter(|_| settings.encap_ips.len() > 1)?,
    };
    let best = settings.encap_types.iter().max()?;
    settings.encap_ips.contains(&ip).then(|| (best.name().into(), ip.to_string().into()))
}

/// The same, unrecorded, for the transaction.
pub(crate) fn claim_columns(db: &crate::Db, row: Uuid) -> Option<sb::PortBinding> {
    let port = db.sb.port_binding.peek(&row)?;
    let me = *db.me.peek(&())?;
    let mut claimed = port.clone();
    if port.chassis != Some(me) {
        claimed.chassis = Some(me);
        claimed.up = port.up.map(|_| false);
    }
    claimed.encap = claimed_encap(db, row);
    Some(claimed)
}

/// The row of Encap by which others are to reach the port, unrecorded.
pub(crate) fn claimed_encap(db: &crate::Db, row: Uuid) -> Option<Uuid> {
    let interface = db.vs.interface.peek(&db.residence.peek(&row)?.interface?)?;
    let endpoint = endpoint(db.settings.peek(&())?, interface.external_ids.get("encap-ip"))?;
    db.encap_at.peek(&endpoint).first().copied()
}

/// `ovn-installed` of interfaces whose ports' flows stand in the switch, and of no others in the integration bridge: in other
/// bridges it is another controller's, or stays as this one left it. A mark from before an exit goes when the port is claimed.
pub(crate) fn interface_differences(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<VsOp>) {
    let Some(interface) = ctx.row(&ctx.vs.interface, row) else { return };
    let marked = is_installed(&interface);
    let id = interface.external_ids().get("iface-id");
    let port = id.and_then(|id| {
        let port = ctx.all(&ctx.port_named, id).first()?;
        let residence = ctx.value(&ctx.residence, port)?;
        (residence.claims && residence.interface == Some(*row)).then_some((*port, residence))
    });
    if let Some(id) = id
        && port.is_none()
    {
        report_second(ctx, row, interface.name(), id);
    }
    let installed = port.is_some_and(|(port, _)| ctx.value(&ctx.installed, &port).is_some());
    if installed && !marked {
        out.push(VsOp::Installed(*row));
    }
    let stays = port.is_some_and(|(row, residence)| {
        ctx.row(&ctx.sb.port_binding, &row).is_some_and(|port| says_so(ctx, &row, residence, &port))
    });
    let integrated = || ctx.all(&ctx.port_of_interface, row).iter().any(|port| is_integrated(ctx, port));
    if marked && !stays && integrated() {
        out.push(VsOp::NotInstalled(*row));
    }
}

fn is_installed(interface: &vswitch::Interface<'_>) -> bool {
    interface.external_ids().get("ovn-installed").is_some_and(|text| &**text == "true")
}

/// Tells of an interface whose `iface-id` another interface has too.
fn report_second(ctx: &Ctx<'_>, row: &Uuid, name: &Text, id: &Text) {
    let all = ctx.all(&ctx.interfaces_with_id, id);
    let port = ctx.all(&ctx.port_named, id).first().and_then(|port| ctx.value(&ctx.residence, port));
    let Some(first) = port.and_then(|residence| residence.interface) else { return };
    if let Some(first) = ctx.row(&ctx.vs.interface, &first).filter(|_| first != *row && all.contains(row)) {
        let first = first.name();
        ctx.report(format!(
            "Interface \"{name}\": column external_ids: iface-id \"{id}\" is that of interface \"{first}\" too; it is skipped"
        ));
    }
}
