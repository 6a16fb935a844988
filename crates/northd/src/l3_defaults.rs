//! Options of rows that go past stock, and what they are where a row does not say: `NB_Global.options:l3_defaults`.
//!
//! A row that says `true` or `false` itself always has its way. Otherwise the option is on with `rfc` and off with
//! `stock`, which is also what holds where `l3_defaults` is absent.

use crate::global;
use crate::tables::Ctx;
use kiln_ovsdb::Text;
use kiln_types::Uuid;

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

/// Whether an option is on whose row says this about it.
fn is_on(ctx: &Ctx<'_>, said: Option<&Text>) -> bool {
    match said.map(|value| &**value) {
        Some("true") => true,
        Some("false") => false,
        _ => rfc(ctx),
    }
}

/// Whether an option of a Logical_Router is on.
pub(crate) fn router_option(ctx: &Ctx<'_>, router: &Uuid, option: &str) -> bool {
    ctx.row(&ctx.nb.logical_router, router).is_some_and(|row| is_on(ctx, row.options().get(option)))
}

/// Whether an option of a Logical_Router_Port is on.
pub(crate) fn port_option(ctx: &Ctx<'_>, port: &Uuid, option: &str) -> bool {
    ctx.row(&ctx.nb.logical_router_port, port).is_some_and(|row| is_on(ctx, row.options().get(option)))
}
