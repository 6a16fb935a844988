//! IP_Multicast: how each switch would snoop multicast (ovn-nb(5), Logical_Switch, IP Multicast Snooping Options).

use crate::tables::Ctx;
use kiln_schema_ovn::{nb, sb};
use kiln_types::Uuid;

/// Members of groups that are remembered at most, unless `mcast_table_size` says otherwise.
const TABLE_SIZE: i64 = 2048;
/// How long a member is remembered, in seconds: by default, at least and at most.
const IDLE_TIMEOUT_S: (i64, i64, i64) = (300, 15, 3600);
/// The longest time between queries, in seconds.
const MAX_QUERY_INTERVAL_S: i64 = 3600;

/// Rows of IP_Multicast by their datapath.
pub(crate) fn rows(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<(Uuid, Uuid)>) {
    let Some(multicast) = ctx.row(&ctx.sb.ip_multicast, row) else { return };
    out.push((multicast.datapath(), *row));
}

fn number(row: &nb::view::LogicalSwitch<'_>, key: &str) -> Option<i64> {
    row.other_config().get(key)?.parse().ok()
}

pub(crate) fn of_switch(ctx: &Ctx<'_>, switch: &Uuid, out: &mut Vec<(Uuid, sb::IpMulticast)>) {
    let Some(row) = ctx.row(&ctx.nb.logical_switch, switch) else { return };
    let Some(datapath) = ctx.value(&ctx.datapaths, switch) else { return };
    let text = |key: &str| row.other_config().get(key).cloned().unwrap_or_default();
    let is = |key: &str, value: &str| row.other_config().get(key).is_some_and(|text| &**text == value);
    if is("mcast_snoop", "true") {
        ctx.report(format!(
            "Logical_Switch {switch} ({}), column other_config: mcast_snoop `true`: members are not looked for, \
             multicast goes to all ports",
            row.name()
        ));
    }
    let (default, least, most) = IDLE_TIMEOUT_S;
    let idle_timeout = number(&row, "mcast_idle_timeout").unwrap_or(default).clamp(least, most);
    let query_interval = number(&row, "mcast_query_interval").unwrap_or(idle_timeout / 2);
    let standing = ctx.all(&ctx.ip_multicast_rows, &datapath.row).first().copied();
    out.push((
        standing.unwrap_or_else(|| crate::address_set::named_row(0x6967_6d70, &switch.to_string())),
        sb::IpMulticast {
            datapath: datapath.row,
            enabled: Some(false),
            querier: Some(!is("mcast_querier", "false")),
            eth_src: text("mcast_eth_src"),
            ip4_src: text("mcast_ip4_src"),
            ip6_src: text("mcast_ip6_src"),
            table_size: Some(number(&row, "mcast_table_size").unwrap_or(TABLE_SIZE)),
            idle_timeout: Some(idle_timeout),
            query_interval: Some(query_interval.clamp(1, MAX_QUERY_INTERVAL_S)),
            query_max_resp: Some(number(&row, "mcast_query_max_response").unwrap_or(1)),
            ..sb::IpMulticast::default()
        },
    ));
}
