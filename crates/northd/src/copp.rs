//! Control-plane protection (ovn-nb(5), table Copp): meters that bound what a datapath's flows hand up, by protocol.

use crate::outstanding::NbOp;
use crate::tables::Ctx;
use kiln_ovsdb::Text;
use kiln_schema_ovn::nb::view;
use kiln_types::Uuid;

/// What is handed up; each is a key of `Copp.meters`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// ARP packets that are learned from.
    Arp,
    /// Packets whose IPv4 next hop is asked for.
    ArpResolve,
    /// Packets that an ICMP error is sent about.
    Icmp4Error,
    /// The same of ICMPv6.
    Icmp6Error,
    /// Neighbour solicitations that are answered, and advertisements that are learned from.
    NdNa,
    /// Neighbour solicitations that are learned from.
    NdNs,
    /// Packets whose IPv6 next hop is asked for.
    NdNsResolve,
    /// Router solicitations.
    NdRaOpts,
    /// Packets that an ACL rejects.
    Reject,
    /// Segments that are reset, of TCP and of SCTP.
    TcpReset,
}

impl Protocol {
    const fn key(self) -> &'static str {
        match self {
            Protocol::Arp => "arp",
            Protocol::ArpResolve => "arp-resolve",
            Protocol::Icmp4Error => "icmp4-error",
            Protocol::Icmp6Error => "icmp6-error",
            Protocol::NdNa => "nd-na",
            Protocol::NdNs => "nd-ns",
            Protocol::NdNsResolve => "nd-ns-resolve",
            Protocol::NdRaOpts => "nd-ra-opts",
            Protocol::Reject => "reject",
            Protocol::TcpReset => "tcp-reset",
        }
    }
}

/// Reports names without a meter, once for all flows that would be bounded.
pub(crate) fn problems(ctx: &Ctx<'_>, copp: &Uuid, _: &mut Vec<NbOp>) {
    let Some(row) = ctx.row(&ctx.nb.copp, copp) else { return };
    for (protocol, meter) in row.meters().all() {
        if ctx.all(&ctx.meter_named, meter).is_empty() {
            ctx.report(format!(
                "Copp {copp}, column meters: there is no meter `{meter}` for `{protocol}` yet; it is skipped"
            ));
        }
    }
}

/// How a datapath is protected.
pub(crate) struct Protection<'c, 'd> {
    ctx: &'c Ctx<'d>,
    row: Option<view::Copp<'c>>,
}

impl<'c, 'd> Protection<'c, 'd> {
    pub(crate) fn of_switch(ctx: &'c Ctx<'d>, switch: &Uuid) -> Self {
        Self::of(ctx, ctx.row(&ctx.nb.logical_switch, switch).and_then(|row| row.copp()))
    }

    pub(crate) fn of_router(ctx: &'c Ctx<'d>, router: &Uuid) -> Self {
        Self::of(ctx, ctx.row(&ctx.nb.logical_router, router).and_then(|row| row.copp()))
    }

    fn of(ctx: &'c Ctx<'d>, copp: Option<Uuid>) -> Self {
        Protection { ctx, row: copp.and_then(|copp| ctx.row(&ctx.nb.copp, &copp)) }
    }

    /// The meter of a protocol; a name without a meter bounds nothing.
    pub(crate) fn meter(&self, protocol: Protocol) -> Option<Text> {
        let name = self.row.as_ref()?.meters().get(protocol.key())?;
        (!self.ctx.all(&self.ctx.meter_named, name).is_empty()).then(|| name.clone())
    }

    /// The meter of ICMP errors of a family.
    pub(crate) fn error_meter(&self, is_v4: bool) -> Option<Text> {
        self.meter(if is_v4 { Protocol::Icmp4Error } else { Protocol::Icmp6Error })
    }
}
