//! Address_Set: those that the operator names, and those that go with what else is configured (ovn-nb(5), Port_Group:
//! `NAME_ip4` and `NAME_ip6` hold the addresses of a group's ports).

use crate::flow::uuid_from_hash;
use crate::tables::{Ctx, PortKind};
use kiln_logical::AddressSet;
use kiln_ovsdb::Text;
use kiln_schema_ovn::sb;
use kiln_types::Uuid;

/// Where a set comes from. Of several with one name, the first in this order counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Source {
    /// The addresses of service checks, from NB_Global's options.
    ServiceMonitor,
    /// The IPv4 addresses of a port group's ports.
    GroupV4(Uuid),
    /// Their IPv6 addresses.
    GroupV6(Uuid),
    /// A northbound Address_Set.
    Named(Uuid),
}

pub(crate) fn of_global(ctx: &Ctx<'_>, global: &Uuid, out: &mut Vec<(Text, Source)>) {
    if ctx.row(&ctx.nb.nb_global, global).is_some() {
        out.push(("svc_monitor_mac".into(), Source::ServiceMonitor));
    }
}

pub(crate) fn of_group(ctx: &Ctx<'_>, group: &Uuid, out: &mut Vec<(Text, Source)>) {
    let Some(row) = ctx.row(&ctx.nb.port_group, group) else { return };
    out.push((format!("{}_ip4", row.name()).into(), Source::GroupV4(*group)));
    out.push((format!("{}_ip6", row.name()).into(), Source::GroupV6(*group)));
}

pub(crate) fn of_set(ctx: &Ctx<'_>, set: &Uuid, out: &mut Vec<(Text, Source)>) {
    let Some(row) = ctx.row(&ctx.nb.address_set, set) else { return };
    out.push((row.name().clone(), Source::Named(*set)));
}

/// The addresses of each group, by group and whether they are IPv6.
pub(crate) fn group_addresses(ctx: &Ctx<'_>, port: &Uuid, out: &mut Vec<((Uuid, bool), Text)>) {
    let groups = ctx.all(&ctx.groups_of_port, port);
    let Some(row) = ctx.value(&ctx.switch_ports, port).filter(|row| row.kind != PortKind::Router) else {
        return;
    };
    for address in &row.addresses {
        for group in groups {
            out.extend(address.ipv4.iter().map(|net| ((*group, false), net.addr().to_string().into())));
            out.extend(address.ipv6.iter().map(|net| ((*group, true), net.addr().to_string().into())));
        }
    }
}

/// Rows of the southbound Address_Set by name.
pub(crate) fn rows(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<(Text, Uuid)>) {
    let Some(set) = ctx.row(&ctx.sb.address_set, row) else { return };
    out.push((set.name().clone(), *row));
}

pub(crate) fn wanted(ctx: &Ctx<'_>, name: &Text, out: &mut Vec<(Uuid, sb::AddressSet)>) {
    let sources = ctx.all(&ctx.set_sources, name);
    let Some((first, others)) = sources.split_first() else { return };
    for other in others {
        if let Source::Named(set) = other {
            ctx.report(format!(
                "Address_Set {set}, column name: `{name}` is the name of a set that goes with a port group or with \
                 service checks; it is skipped"
            ));
        }
    }
    let addresses: Vec<Text> = match first {
        Source::ServiceMonitor => crate::global::settings(ctx).svc_monitor_macs.clone(),
        Source::GroupV4(group) => ctx.all(&ctx.group_addresses, &(*group, false)).to_vec(),
        Source::GroupV6(group) => ctx.all(&ctx.group_addresses, &(*group, true)).to_vec(),
        Source::Named(set) => {
            let Some(row) = ctx.row(&ctx.nb.address_set, set) else { return };
            checked(ctx, set, row.addresses().all())
        }
    };
    let standing = ctx.all(&ctx.address_set_rows, name).first().copied();
    let row = standing.unwrap_or_else(|| named_row(0x6164_6472, name));
    out.push((row, sb::AddressSet { name: name.clone(), addresses: addresses.into_iter().collect() }));
}

/// Members as they are written, without those that no chassis could read.
fn checked(ctx: &Ctx<'_>, set: &Uuid, members: &[Text]) -> Vec<Text> {
    let (_, bad) = AddressSet::parse(members.iter().map(|member| &**member));
    for (member, error) in &bad {
        ctx.report(format!(
            "Address_Set {set}, column addresses: `{member}` is no address or prefix ({error}); it is skipped"
        ));
    }
    members.iter().filter(|member| !bad.iter().any(|(other, _)| **other == ***member)).cloned().collect()
}

/// The uuid of a row that is known by its name.
pub(crate) fn named_row(seed: u64, name: &str) -> Uuid {
    uuid_from_hash(xxhash_rust::xxh3::xxh3_128_with_seed(name.as_bytes(), seed))
}
