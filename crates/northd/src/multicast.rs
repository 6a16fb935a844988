//! Multicast_Group: the ports that floods of a switch go to.

use crate::flow::uuid_from_hash;
use crate::tables::Ctx;
use kiln_abi::keys::MulticastGroup;
use kiln_ovsdb::{Set, Text};
use kiln_schema_ovn::sb;
use kiln_types::Uuid;

/// A port of a switch, as the others see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Member {
    /// The northbound port.
    pub port: Uuid,
    /// Whether floods go to it.
    pub flooded: bool,
    /// Whether others may be behind it.
    pub unknown: bool,
    /// Whether it is of type router.
    pub router: bool,
    /// Whether it leads to a router that is enabled.
    pub joined: bool,
    /// Whether it leads to a VTEP switch.
    pub vtep: bool,
}

/// Rows of Multicast_Group by datapath and name.
pub(crate) fn rows(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<((Uuid, Text), Uuid)>) {
    let Some(group) = ctx.row(&ctx.sb.multicast_group, row) else { return };
    out.push(((group.datapath(), group.name().clone()), *row));
}

pub(crate) fn of_switch(ctx: &Ctx<'_>, switch: &Uuid, out: &mut Vec<(Uuid, sb::MulticastGroup)>) {
    let Some(datapath) = ctx.value(&ctx.datapaths, switch) else { return };
    let members: Vec<(Member, Uuid)> = ctx
        .all(&ctx.ports_of_switch, switch)
        .iter()
        .filter(|member| member.flooded)
        .filter_map(|member| Some((*member, ctx.value(&ctx.port_grants, &member.port)?.row)))
        .collect();
    let mut group = |group: MulticastGroup, belongs: fn(&Member) -> bool| {
        let ports: Vec<Uuid> =
            members.iter().filter(|(member, _)| belongs(member)).map(|(_, row)| *row).collect();
        if ports.is_empty() {
            return;
        }
        let standing = ctx.all(&ctx.multicast_rows, &(datapath.row, group.name.into())).first().copied();
        let mut hash = xxhash_rust::xxh3::Xxh3::with_seed(u64::from(group.key.0));
        hash.update(switch.as_bytes());
        out.push((
            standing.unwrap_or_else(|| uuid_from_hash(hash.digest128())),
            sb::MulticastGroup {
                datapath: datapath.row,
                name: group.name.into(),
                tunnel_key: i64::from(group.key.0),
                ports: Set::from_vec(ports),
            },
        ));
    };
    group(MulticastGroup::FLOOD, |_| true);
    group(MulticastGroup::UNKNOWN, |member| member.unknown);
    group(MulticastGroup::FLOOD_L2, |member| !member.router);
}
