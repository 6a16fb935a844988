//! What names in logical flows stand for: ports, address sets, port groups, template variables.

use crate::binding;
use crate::tables::Ctx;
use kiln_abi::stages::{Datapath, Pipeline};
use kiln_logical::env::{OptionDef, OptionKind};
use kiln_logical::{AddressSet, Environment, Field};
use kiln_ovsdb::Text;
use kiln_types::Uuid;
use std::borrow::Cow;
use std::sync::Arc;

/// The ports of a port group.
pub(crate) type Members = Arc<[Arc<str>]>;

pub(crate) fn port_group(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<(Text, Members)>) {
    let Some(group) = ctx.row(&ctx.sb.port_group, row) else { return };
    out.push((group.name().clone(), group.ports().all().into()));
}

/// Names as the flows of one pipeline of one datapath know them.
pub(crate) struct Scope<'c, 'd> {
    pub(crate) ctx: &'c Ctx<'d>,
    pub(crate) datapath: Uuid,
    /// The field whose port is always on this chassis when a packet of the pipeline is looked at.
    pub(crate) local_field: Option<Field>,
}

/// A switch's packets come in by a port of this chassis, and go to its egress pipeline for one.
pub(crate) fn local_field(datapath: Datapath, pipeline: Pipeline) -> Option<Field> {
    match (datapath, pipeline) {
        (Datapath::Router, _) => None,
        (Datapath::Switch, Pipeline::Ingress) => Some(Field::Inport),
        (Datapath::Switch, Pipeline::Egress) => Some(Field::Outport),
    }
}

fn option(found: &[(i64, Text)]) -> Option<OptionDef> {
    let (code, kind) = found.first()?;
    Some(OptionDef { code: u16::try_from(*code).ok()?, kind: OptionKind::from_name(kind)? })
}

impl Environment for Scope<'_, '_> {
    fn address_set(&self, name: &str) -> Option<Arc<AddressSet>> {
        self.ctx.value(&self.ctx.address_sets, &name.into()).map(|set| set.parsed().clone())
    }

    fn port_group(&self, name: &str) -> Option<Arc<[Arc<str>]>> {
        // northd writes a row for each switch that has members, so that a port elsewhere changes nothing here.
        let key = self.ctx.value(&self.ctx.local_datapaths, &self.datapath)?.key;
        let groups = &self.ctx.port_groups;
        let own = self.ctx.value(groups, &format!("{key}_{name}").into());
        own.or_else(|| self.ctx.value(groups, &name.into())).cloned()
    }

    fn template(&self, name: &str) -> Option<Cow<'_, str>> {
        let settings = self.ctx.value(&self.ctx.settings, &())?;
        let row = self.ctx.all(&self.ctx.templates_of, &settings.chassis).first()?;
        let row = self.ctx.row(&self.ctx.sb.chassis_template_var, row)?;
        row.variables().get(name).map(|value| Cow::Owned(value.to_string()))
    }

    fn dhcp_option(&self, name: &str) -> Option<OptionDef> {
        option(self.ctx.all(&self.ctx.dhcp_options, &name.into()))
    }

    fn dhcpv6_option(&self, name: &str) -> Option<OptionDef> {
        option(self.ctx.all(&self.ctx.dhcpv6_options, &name.into()))
    }
}

impl kiln_lower::Names for Scope<'_, '_> {
    fn port_key(&self, name: &str) -> Option<u32> {
        if name == "none" {
            return Some(0);
        }
        let ctx = self.ctx;
        let name: Text = name.into();
        if let Some(row) = ctx.all(&ctx.port_named, &name).first()
            && let Some(port) = ctx.row(&ctx.sb.port_binding, row)
        {
            return u32::try_from(port.tunnel_key()).ok();
        }
        let row = ctx.all(&ctx.groups_named, &(self.datapath, name)).first()?;
        u32::try_from(ctx.row(&ctx.sb.multicast_group, row)?.tunnel_key()).ok()
    }

    fn matched_port_key(&self, field: Field, name: &str) -> Option<u32> {
        if self.local_field == Some(field) {
            let row = self.ctx.all(&self.ctx.port_named, &name.into()).first()?;
            if !binding::is_related(self.ctx, row) {
                return None;
            }
        }
        self.port_key(name)
    }

    fn is_resident(&self, name: &str) -> bool {
        let ctx = self.ctx;
        let Some(row) = ctx.all(&ctx.port_named, &name.into()).first() else { return false };
        ctx.value(&ctx.residence, row).is_some_and(|residence| residence.claims && !residence.is_additional)
            || ctx
                .row(&ctx.sb.port_binding, row)
                .and_then(|port| port.chassis())
                .is_some_and(|chassis| binding::is_me(ctx, &chassis))
    }
}
