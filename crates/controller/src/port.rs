//! Logical ports of local datapaths, with all that their flows need: keys, zones, and where packets for them go.

use crate::binding::{self, PortKind};
use crate::tables::Ctx;
use crate::{ct_zone, multichassis};
use kiln_abi::stages;
use kiln_ovsdb::Text;
use kiln_types::Uuid;

/// The conntrack zones that a packet carries in registers; 0 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Zones {
    /// Of the logical port.
    pub port: u16,
    /// Of the datapath, for translating destinations.
    pub dnat: u16,
    /// Of the datapath, for translating sources.
    pub snat: u16,
}

/// Where packets for a port go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// To an interface of this chassis.
    Here {
        /// Its OpenFlow port.
        ofport: u32,
    },
    /// Through a patch port into another datapath.
    Patch {
        /// The port at its other end.
        peer: Uuid,
    },
    /// To the port that a gateway port here stands for.
    Gateway {
        /// That port's row.
        distributed: Uuid,
    },
    /// To another chassis.
    Tunnel {
        /// Its row.
        chassis: Uuid,
    },
    /// To whichever of several chassis can be heard.
    Candidates,
    /// To another chassis, through the physical network that both are on.
    Localnet {
        /// Key of the localnet port.
        key: u16,
    },
    /// Nowhere: nobody has it.
    Nowhere,
}

/// A logical port of a local datapath.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalPort {
    /// Its name.
    pub name: Text,
    /// Its kind.
    pub kind: PortKind,
    /// Its datapath.
    pub datapath: Uuid,
    /// Its datapath's kind.
    pub datapath_kind: stages::Datapath,
    /// Its datapath's key.
    pub datapath_key: u32,
    /// Its key.
    pub key: u16,
    /// Its zones.
    pub zones: Zones,
    /// Where packets for it go.
    pub delivery: Delivery,
    /// Further chassis that get a copy of each.
    pub also: Box<[Uuid]>,
    /// Whether nothing comes in or goes out by it until it has shown life.
    pub is_blocked: bool,
    /// The VLAN that tells its packets from others on the same interface.
    pub tag: Option<u16>,
    /// The Ethernet type of that tag.
    pub tag_type: u16,
    /// Whether packets of any VLAN come in by it, tags and all.
    pub passes_tags: bool,
    /// Whether it is a container's, inside another port.
    pub nested: bool,
    /// Which of this chassis' addresses its packets leave by.
    pub encap: u16,
}

impl LocalPort {
    /// The OpenFlow port, if packets come and go by one.
    pub fn ofport(&self) -> Option<u32> {
        if let Delivery::Here { ofport } = self.delivery { Some(ofport) } else { None }
    }
}

/// The zones of a datapath.
pub(crate) fn datapath_zones(ctx: &Ctx<'_>, name: &Text) -> Zones {
    let zone = |name| ctx.value(&ctx.ct_zones, &name).copied().unwrap_or(0);
    Zones { port: 0, dnat: zone(ct_zone::dnat_name(name)), snat: zone(ct_zone::snat_name(name)) }
}

pub(crate) fn local_port(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<(Uuid, LocalPort)>) {
    let Some(residence) = ctx.value(&ctx.residence, row) else { return };
    let Some(port) = ctx.row(&ctx.sb.port_binding, row) else { return };
    let Some(datapath) = ctx.value(&ctx.local_datapaths, &port.datapath()) else { return };
    let zones = datapath_zones(ctx, &datapath.name);
    let own = ctx.value(&ctx.ct_zones, port.logical_port()).copied().unwrap_or(0);
    let (delivery, also) = delivery(ctx, row, residence);
    out.push((
        *row,
        LocalPort {
            name: port.logical_port().clone(),
            kind: residence.kind,
            datapath: port.datapath(),
            datapath_kind: datapath.kind,
            datapath_key: datapath.key,
            key: port.tunnel_key() as u16,
            zones: Zones { port: own, ..zones },
            delivery,
            also,
            is_blocked: multichassis::is_blocked(ctx, row),
            tag: port.tag().and_then(|tag| u16::try_from(tag).ok()),
            tag_type: tag_type(ctx, row, &port.datapath()),
            passes_tags: port.options().get("vlan-passthru").is_some_and(|text| &**text == "true"),
            nested: residence.parent.is_some(),
            encap: encap(ctx, residence),
        },
    ));
}

/// Ethernet types of VLAN tags (IEEE 802.1Q, 9.5).
const CUSTOMER_TAG: u16 = 0x8100;
const SERVICE_TAG: u16 = 0x88a8;

/// The type of the tags that packets for a port bear: of a switch on a physical network, those of containers too are what its
/// localnet port says (ovn-nb(5), `options:ethtype`).
fn tag_type(ctx: &Ctx<'_>, row: &Uuid, datapath: &Uuid) -> u16 {
    let localnets = ctx.all(&ctx.localnet_of, datapath);
    let says = localnets.iter().find(|localnet| *localnet == row).or(localnets.first());
    let says = says.and_then(|row| ctx.row(&ctx.sb.port_binding, row));
    match says.as_ref().and_then(|port| port.options().get("ethtype")).map(|name| &**name) {
        Some("802.1ad") => SERVICE_TAG,
        _ => CUSTOMER_TAG,
    }
}

/// Where packets for a port go, and which further chassis get a copy.
fn delivery(ctx: &Ctx<'_>, row: &Uuid, residence: &binding::Residence) -> (Delivery, Box<[Uuid]>) {
    let one = one_delivery(ctx, row, residence);
    if let Some(port) = ctx.row(&ctx.sb.port_binding, row)
        && !port.additional_chassis().all().is_empty()
    {
        let others = multichassis::others(ctx, &port);
        return match (one, others.as_slice()) {
            (Delivery::Here { .. }, _) => (one, others.into()),
            // By the physical network only one of them would be reached.
            (_, [first, rest @ ..]) => (Delivery::Tunnel { chassis: *first }, rest.into()),
            (_, []) => (one, Box::default()),
        };
    }
    (one, Box::default())
}

fn one_delivery(ctx: &Ctx<'_>, row: &Uuid, residence: &binding::Residence) -> Delivery {
    let Some(port) = ctx.row(&ctx.sb.port_binding, row) else { return Delivery::Nowhere };
    let here = residence.ofport.map(|ofport| Delivery::Here { ofport });
    match residence.kind {
        PortKind::Patch => binding::peer(ctx, row).map_or(Delivery::Nowhere, |peer| Delivery::Patch { peer }),
        PortKind::L3gateway if residence.claims => {
            binding::peer(ctx, row).map_or(Delivery::Nowhere, |peer| Delivery::Patch { peer })
        }
        PortKind::Localnet | PortKind::Localport => here.unwrap_or(Delivery::Nowhere),
        // Without a tag its packets could not be told from its parent's.
        PortKind::Vif if residence.parent.is_some() && port.tag().is_none() => Delivery::Nowhere,
        PortKind::Vif | PortKind::L2gateway if residence.claims => here.unwrap_or(Delivery::Nowhere),
        PortKind::Chassisredirect => gateway(ctx, row, residence),
        _ => elsewhere(ctx, port.datapath(), port.chassis().filter(|chassis| !binding::is_me(ctx, chassis))),
    }
}

fn gateway(ctx: &Ctx<'_>, row: &Uuid, residence: &binding::Residence) -> Delivery {
    if residence.claims {
        let distributed = ctx
            .row(&ctx.sb.port_binding, row)
            .and_then(|port| port.options().get("distributed-port"))
            .and_then(|name| ctx.all(&ctx.port_named, name).first());
        return distributed.map_or(Delivery::Nowhere, |row| Delivery::Gateway { distributed: *row });
    }
    if crate::gateway::candidates(ctx, row).len() > 1 {
        return Delivery::Candidates;
    }
    match ctx.row(&ctx.sb.port_binding, row).and_then(|port| port.chassis()) {
        Some(chassis) if !binding::is_me(ctx, &chassis) => Delivery::Tunnel { chassis },
        _ => Delivery::Nowhere,
    }
}

/// Packets for ports that are not here leave by the physical network if there is one, where somebody may be who no chassis
/// has told of.
fn elsewhere(ctx: &Ctx<'_>, datapath: Uuid, chassis: Option<Uuid>) -> Delivery {
    let tunnel = || chassis.map_or(Delivery::Nowhere, |chassis| Delivery::Tunnel { chassis });
    if always_tunnels(ctx) {
        return tunnel();
    }
    localnet(ctx, &datapath).map_or_else(tunnel, |key| Delivery::Localnet { key })
}

/// The key of the port that joins a datapath to a physical network here, and so to other chassis.
pub(crate) fn localnet(ctx: &Ctx<'_>, datapath: &Uuid) -> Option<u16> {
    let reaches = |row: &&Uuid| ctx.value(&ctx.residence, row).is_some_and(|r| r.ofport.is_some());
    let row = ctx.all(&ctx.localnet_of, datapath).iter().find(reaches)?;
    Some(ctx.row(&ctx.sb.port_binding, row)?.tunnel_key() as u16)
}

fn always_tunnels(ctx: &Ctx<'_>) -> bool {
    let global = ctx.all(&ctx.sb_global, &()).first().and_then(|row| ctx.row(&ctx.sb.sb_global, row));
    let key = kiln_abi::options::sb_global::ALWAYS_TUNNEL;
    global.is_some_and(|global| global.options().get(key).is_some_and(|text| &**text == "true"))
}

/// The place of the interface's `encap-ip` among ours, or of the default.
fn encap(ctx: &Ctx<'_>, residence: &binding::Residence) -> u16 {
    let Some(settings) = ctx.value(&ctx.settings, &()) else { return 0 };
    let ip: Option<std::net::IpAddr> = residence
        .interface
        .and_then(|row| ctx.row(&ctx.vs.interface, &row))
        .and_then(|interface| interface.external_ids().get("encap-ip"))
        .and_then(|text| text.parse().ok());
    // The first one is the default.
    settings.encap_ips.iter().position(|candidate| Some(*candidate) == ip).unwrap_or(0) as u16
}
