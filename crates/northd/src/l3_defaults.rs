//! Options of rows that go past stock, and what they are where a row does not say: `NB_Global.options:l3_defaults`.
//!
//! A row that says `true` or `false` itself always has its way. Otherwise the option is on with `rfc` and off with
//! `stock`, which is also what holds where `l3_defaults` is absent.

use crate::global;
use crate::tables::Ctx;
use kiln_ovsdb::Text;
use kiln_types::Uuid;
use std::fmt;

/// Options of rows that `l3_defaults` decides on where the row is silent.
pub(crate) mod option {
    /// `Logical_Router.options`: packets without a route, and those whose next hop gives no answer, are told of.
    pub(crate) const ICMP_UNREACHABLE: &str = "icmp_unreachable";
    /// `Logical_Router_Port.options`: IPv4 packets larger than the MTU are fragmented, where their senders allow it.
    pub(crate) const FRAGMENT: &str = "fragment";
}

/// What a value of `l3_defaults` says; `None` if it is neither of the two.
pub(crate) fn parse(value: &str) -> Option<bool> {
    match value {
        "rfc" => Some(true),
        "stock" => Some(false),
        _ => None,
    }
}

/// Whether rows that do not say otherwise are treated as RFCs have it, and not as stock does.
pub(crate) fn rfc(ctx: &Ctx<'_>) -> bool {
    global::settings(ctx).rfc_defaults
}

/// Whether an option is on whose row says this about it. `row` names the row in what is reported of other values.
fn is_on(ctx: &Ctx<'_>, option: &str, said: Option<&Text>, row: fmt::Arguments<'_>) -> bool {
    match said.map(|value| &**value) {
        Some("true") => true,
        Some("false") => false,
        Some(other) => {
            ctx.report(format!(
                "{row}, column options: {option} `{other}` is neither true nor false; it is skipped"
            ));
            rfc(ctx)
        }
        None => rfc(ctx),
    }
}

/// Whether an option of a Logical_Router is on.
pub(crate) fn router_option(ctx: &Ctx<'_>, router: &Uuid, option: &str) -> bool {
    let Some(row) = ctx.row(&ctx.nb.logical_router, router) else { return false };
    is_on(ctx, option, row.options().get(option), format_args!("Logical_Router {router} ({})", row.name()))
}

/// Whether an option of a Logical_Router_Port is on.
pub(crate) fn port_option(ctx: &Ctx<'_>, port: &Uuid, option: &str) -> bool {
    let Some(row) = ctx.row(&ctx.nb.logical_router_port, port) else { return false };
    is_on(ctx, option, row.options().get(option), format_args!("Logical_Router_Port {port} ({})", row.name()))
}
