//! Router ports on VLANs that several chassis route into: each chassis sends with an address of its own instead of the
//! router port's, so that physical switches do not see one address in many places, and takes the others' back
//! (ovn-controller(8), `ovn-chassis-mac-mappings`).

use super::write::*;
use super::{egress, ingress};
use crate::binding::{self, PortKind};
use crate::desired::DesiredFlow;
use crate::port::LocalPort;
use crate::tables::Ctx;
use kiln_abi::tables;
use kiln_openflow::{Action, Field, MatchBuilder};
use kiln_ovsdb::Text;
use kiln_types::{EthAddr, Uuid};

/// The number of the one conjunction of these flows; those of logical flows have a datapath in their matches.
const CHASSIS_MAC_CONJUNCTION: u32 = 100;
const TO_LOGICAL: u16 = 180;
const TO_PHYSICAL: u16 = 150;

/// The `external_ids` key here, and the `other_config` key of other chassis.
pub(crate) const KEY: &str = "ovn-chassis-mac-mappings";

/// Pairs of a physical network and an address; what is none is handed to `bad`.
pub(crate) fn parse<'t>(
    text: &'t str,
    bad: impl Fn(&'t str) + 't,
) -> impl Iterator<Item = (&'t str, EthAddr)> + 't {
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    pairs.filter_map(move |pair| {
        let halves = pair.split_once(':').filter(|(network, _)| !network.is_empty());
        let found = halves.and_then(|(network, mac)| Some((network, mac.parse().ok()?)));
        if found.is_none() {
            bad(pair);
        }
        found
    })
}

/// Router ports by the localnet port that carries their VLAN, if that leads somewhere from here.
pub(crate) fn vlan_routers(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<(Uuid, Uuid)>) {
    let Some(port) = ctx.value(&ctx.ports, row) else { return };
    if port.kind == PortKind::Localnet && port.ofport().is_some() {
        let patches = ctx.all(&ctx.patches_of, &port.datapath).iter();
        out.extend(patches.filter_map(|patch| Some((*row, binding::peer_from_here(ctx, patch)?))));
    }
}

/// Whether there is any such router port.
pub(crate) fn are_translated(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<((), ())>) {
    if !ctx.all(&ctx.vlan_routers, row).is_empty() {
        out.push(((), ()));
    }
}

/// Packets that another chassis has sent in place of a router port.
pub(crate) fn chassis(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<DesiredFlow>) {
    let Some(chassis) = ctx.row(&ctx.sb.chassis, row) else { return };
    if !ctx.all(&ctx.macs_translated, &()).is_empty() && !binding::is_me(ctx, row) {
        let text = chassis.other_config().get(KEY).map_or("", |text| text);
        let bad = |pair: &str| {
            ctx.report(format!(
                "Chassis \"{}\" other_config:{KEY}: expected NETWORK:MAC, found \"{pair}\"",
                chassis.name()
            ));
        };
        let mut flows = Flows { cookie: cookie(*row), out };
        for (_, mac) in parse(text, bad) {
            let mut m = MatchBuilder::default();
            m.exact(Field::ETH_SRC, mac.to_u64());
            flows.add(tables::PHY_TO_LOG, TO_LOGICAL, &m, vec![clause(0)]);
        }
    }
}

fn clause(clause: u8) -> Action {
    Action::Conjunction { id: CHASSIS_MAC_CONJUNCTION, clause, n_clauses: 2 }
}

/// The flows of a localnet port for the router ports that send through it.
pub(crate) fn localnet(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<DesiredFlow>) {
    let routers = ctx.all(&ctx.vlan_routers, row);
    let Some(port) = ctx.value(&ctx.ports, row).filter(|_| !routers.is_empty()) else { return };
    let own = own_mac(ctx, row);
    for router in routers {
        let Some(binding) = ctx.row(&ctx.sb.port_binding, router) else { continue };
        let mac = binding.mac().all().first().and_then(|text| text.split_whitespace().next()?.parse().ok());
        let Some(mac): Option<EthAddr> = mac else { continue };
        let mut flows = Flows { cookie: cookie(*router), out };
        arriving(port, mac, &mut flows);
        if let Some(own) = own {
            flows.cookie = cookie(*row);
            leaving(port, mac, own, &mut flows);
        }
    }
}

/// The address of this chassis on a localnet port's network.
fn own_mac(ctx: &Ctx<'_>, localnet: &Uuid) -> Option<EthAddr> {
    let network: &Text = ctx.row(&ctx.sb.port_binding, localnet)?.options().get("network_name")?;
    let settings = ctx.value(&ctx.settings, &())?;
    settings.chassis_macs.iter().find(|(name, _)| name == network).map(|(_, mac)| *mac)
}

fn arriving(port: &LocalPort, mac: EthAddr, flows: &mut Flows<'_>) {
    let Some(m) = ingress::of_interface(port) else { return };
    flows.add(tables::PHY_TO_LOG, TO_LOGICAL, &m, vec![clause(1)]);
    let mut known = m;
    known.exact(Field::CONJ_ID, CHASSIS_MAC_CONJUNCTION);
    let mut actions = ingress::entering(port);
    actions.push(Action::set_field(Field::ETH_SRC, mac.to_u64()));
    actions.push(Action::resubmit(tables::LOG_INGRESS));
    flows.add(tables::PHY_TO_LOG, TO_LOGICAL, &known, actions);
}

fn leaving(port: &LocalPort, mac: EthAddr, own: EthAddr, flows: &mut Flows<'_>) {
    let Some(ofport) = port.ofport() else { return };
    let mut m = outport(port.datapath_key, port.key);
    m.exact(Field::ETH_SRC, mac.to_u64());
    let mut actions = vec![Action::set_field(Field::ETH_SRC, own.to_u64())];
    egress::push_tag(port, &mut actions);
    actions.push(Action::output(kiln_types::OfPort(ofport)));
    actions.push(Action::set_field(Field::ETH_SRC, mac.to_u64()));
    actions.extend(port.tag.map(|_| Action::PopVlan));
    flows.add(tables::LOG_TO_PHY, TO_PHYSICAL, &m, actions);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[test]
    fn a_bad_pair_spoils_no_other() {
        let bad = RefCell::new(Vec::new());
        let text = "a:02:00:00:00:00:01, b:zz,:02:00:00:00:00:02,c:02:00:00:00:00:03";
        let pairs: Vec<_> =
            parse(text, |pair| bad.borrow_mut().push(pair)).map(|(net, mac)| (net, mac.0[5])).collect();
        assert_eq!(pairs, [("a", 1), ("c", 3)]);
        assert_eq!(*bad.borrow(), ["b:zz", ":02:00:00:00:00:02"]);
    }
}
