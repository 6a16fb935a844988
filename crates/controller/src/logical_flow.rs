//! Logical flows: each row of Logical_Flow on each local datapath that it is for, lowered to OpenFlow.
//!
//! A run is one row on one datapath. What it looks up (ports, address sets, where ports reside) is recorded, so that only
//! rows that name a changed thing are lowered again.

use crate::binding;
use crate::conjunction::{self, Need};
use crate::desired::{DesiredFlow, GroupSpec, MeterSpec, Named};
use crate::names::{self, Scope};
use crate::physical::write::cookie;
use crate::reach::LocalDatapath;
use crate::resources::{Mode, Wanted, World};
use crate::tables::Ctx;
use kiln_abi::options::{lflow_tag, sb_global as option};
use kiln_abi::stages::Pipeline;
use kiln_logical::{Expr, action, expand_templates, expr};
use kiln_lower::{
    Context, Part, Resources, Tables, lower_actions,
    matches::{Lowered, lower_expr},
};
use kiln_openflow::{Action, Actions, Field, FieldValue};
use kiln_schema_ovn::sb;
use kiln_types::{DatapathKey, Uuid};

/// A row on a datapath.
pub(crate) type Site = (Uuid, Uuid);

/// The local datapaths of a group.
pub(crate) fn group_sites(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<(Uuid, Uuid)>) {
    let Some(group) = ctx.row(&ctx.sb.logical_dp_group, row) else { return };
    let local = |datapath: &&Uuid| ctx.value(&ctx.reached, *datapath).is_some();
    out.extend(group.datapaths().all().iter().filter(local).map(|datapath| (*row, *datapath)));
}

/// The datapaths that a row is lowered for.
pub(crate) fn sites(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<(Site, ())>) {
    let Some(flow) = ctx.row(&ctx.sb.logical_flow, row) else { return };
    if let Some(datapath) = flow.logical_datapath()
        && ctx.value(&ctx.reached, &datapath).is_some()
    {
        out.push(((*row, datapath), ()));
    }
    if let Some(group) = flow.logical_dp_group() {
        out.extend(ctx.all(&ctx.group_sites, &group).iter().map(|datapath| ((*row, *datapath), ())));
    }
}

/// Words of actions that need a group or a meter.
const NUMBERED: [&str; 7] = ["select(", "ct_lb", "fwd_group", "set_meter", "meter=", "controller", "reject"];

/// The groups that a row's actions need.
pub(crate) fn groups(ctx: &Ctx<'_>, site: &Site, out: &mut Vec<Named<GroupSpec>>) {
    out.extend(wanted(ctx, site).groups);
}

/// The meters that a row's actions need.
pub(crate) fn meters(ctx: &Ctx<'_>, site: &Site, out: &mut Vec<Named<MeterSpec>>) {
    out.extend(wanted(ctx, site).meters);
}

fn wanted(ctx: &Ctx<'_>, site: &Site) -> Wanted {
    let Some(flow) = ctx.row(&ctx.sb.logical_flow, &site.0) else { return Wanted::default() };
    let needs = |text: &str| NUMBERED.iter().any(|word| text.contains(word));
    if !needs(flow.actions()) && flow.controller_meter().is_none() {
        return Wanted::default();
    }
    let Some(datapath) = ctx.value(&ctx.local_datapaths, &site.1) else { return Wanted::default() };
    let world = World::new(scope(ctx, &flow, site, datapath), Mode::Collect);
    // What is wrong is reported when the flow is made.
    let _ = lowered_actions(ctx, &flow, site, datapath, &world);
    world.into_wanted()
}

/// The flows of a row on a datapath.
pub(crate) fn lower(ctx: &Ctx<'_>, site: &Site, out: &mut Vec<DesiredFlow>) {
    let Some(flow) = ctx.row(&ctx.sb.logical_flow, &site.0) else { return };
    let Some(datapath) = ctx.value(&ctx.local_datapaths, &site.1) else { return };
    if concerns_another_chassis(ctx, &flow) {
        return;
    }
    let world = World::new(scope(ctx, &flow, site, datapath), Mode::LookUp);
    let (actions, prerequisite) = match lowered_actions(ctx, &flow, site, datapath, &world) {
        Ok(lowered) => lowered,
        Err(problem) => return report(ctx, site.0, "actions", flow.actions(), &problem),
    };
    match flows(&flow, site, datapath, &world, &actions, prerequisite) {
        Ok(flows) => out.extend(flows),
        Err(problem) => report(ctx, site.0, "match", flow.r#match(), &problem),
    }
}

fn report(ctx: &Ctx<'_>, row: Uuid, column: &str, text: &str, problem: &str) {
    ctx.report(format!("Logical_Flow {row}: column {column}: {problem}: \"{text}\""));
}

/// Whether the only port whose packets could match is elsewhere, or nowhere.
fn concerns_another_chassis(ctx: &Ctx<'_>, flow: &sb::view::LogicalFlow<'_>) -> bool {
    let Some(port) = flow.tags().get(lflow_tag::IN_OUT_PORT) else { return false };
    ctx.all(&ctx.port_named, port).first().is_none_or(|row| !binding::is_related(ctx, row))
}

fn scope<'c, 'd>(
    ctx: &'c Ctx<'d>,
    flow: &sb::view::LogicalFlow<'_>,
    site: &Site,
    datapath: &LocalDatapath,
) -> Scope<'c, 'd> {
    let local_field = names::local_field(datapath.kind, pipeline(flow));
    Scope { ctx, datapath: site.1, local_field }
}

fn pipeline(flow: &sb::view::LogicalFlow<'_>) -> Pipeline {
    if &**flow.pipeline() == "egress" { Pipeline::Egress } else { Pipeline::Ingress }
}

/// The flow's place in its pipeline; a later northd may have more stages than there are tables.
fn table(flow: &sb::view::LogicalFlow<'_>) -> Option<u8> {
    u8::try_from(flow.table_id()).ok().filter(|table| *table < pipeline(flow).max_stages())
}

fn has_option(ctx: &Ctx<'_>, key: &str) -> bool {
    let global = ctx.all(&ctx.sb_global, &()).first().and_then(|row| ctx.row(&ctx.sb.sb_global, row));
    global.is_some_and(|global| global.options().get(key).is_some_and(|text| &**text == "true"))
}

fn lowered_actions(
    ctx: &Ctx<'_>,
    flow: &sb::view::LogicalFlow<'_>,
    site: &Site,
    datapath: &LocalDatapath,
    world: &World<'_, '_>,
) -> Result<(Actions, Expr<'static>), String> {
    let capabilities = ctx.value(&ctx.capabilities, &()).copied().unwrap_or_default();
    let context = Context {
        datapath: datapath.kind,
        datapath_key: DatapathKey(datapath.key),
        pipeline: pipeline(flow),
        table: table(flow)
            .ok_or_else(|| format!("expected a stage of the pipeline, found {}", flow.table_id()))?,
        lflow: site.0,
        controller_meter: flow.controller_meter().as_deref(),
        port_meters: ctx.value(&ctx.facts, &()).is_some_and(|facts| facts.meters),
        tables: Tables::default(),
        explicit_arp_ns_output: has_option(ctx, option::ARP_NS_EXPLICIT_OUTPUT),
        register_consolidation: has_option(ctx, option::REGISTER_CONSOLIDATION),
        common_zone_is_snat: datapath.snat_zone.is_some(),
        ct_zero_snat: capabilities.ct_zero_snat,
        dp_hash_l4_symmetric: capabilities.dp_hash_l4_symmetric,
    };
    let text = expand_templates(flow.actions(), &world.scope);
    let parsed = action::parse(&text, context.place(), &world.scope).map_err(|error| error.to_string())?;
    let actions =
        lower_actions(&parsed, &context, world as &dyn Resources).map_err(|error| error.to_string())?;
    Ok((actions, parsed.prerequisite()))
}

/// How many conjunctions a row's match comes to on a datapath.
pub(crate) fn conjunctions(ctx: &Ctx<'_>, site: &Site, out: &mut Vec<Need>) {
    let Some(flow) = ctx.row(&ctx.sb.logical_flow, &site.0) else { return };
    if !conjunction::is_likely(flow.r#match()) || concerns_another_chassis(ctx, &flow) {
        return;
    }
    let Some(datapath) = ctx.value(&ctx.local_datapaths, &site.1) else { return };
    let world = World::new(scope(ctx, &flow, site, datapath), Mode::LookUp);
    // What is wrong is reported when the flow is made.
    let Ok((_, prerequisite)) = lowered_actions(ctx, &flow, site, datapath, &world) else { return };
    let lowered = lowered_match(&flow, datapath, &world.scope, prerequisite, 1);
    out.extend(lowered.ok().filter(|l| l.conjunctions > 0).map(|l| (*site, l.conjunctions)));
}

fn lowered_match(
    flow: &sb::view::LogicalFlow<'_>,
    datapath: &LocalDatapath,
    scope: &Scope<'_, '_>,
    prerequisite: Expr<'static>,
    first_conjunction: u32,
) -> Result<Lowered, String> {
    let text = expand_templates(flow.r#match(), scope);
    let parsed = expr::parse(&text, scope).map_err(|error| error.to_string())?;
    let expr = Expr::all([parsed, prerequisite]).annotate();
    let context = [FieldValue::exact(Field::METADATA, datapath.key.into())];
    lower_expr(expr, scope, &context, first_conjunction).map_err(|error| error.to_string())
}

fn flows(
    flow: &sb::view::LogicalFlow<'_>,
    site: &Site,
    datapath: &LocalDatapath,
    world: &World<'_, '_>,
    actions: &Actions,
    prerequisite: Expr<'static>,
) -> Result<Vec<DesiredFlow>, String> {
    let ctx = world.scope.ctx;
    let first = ctx.value(&ctx.conjunction_ids, site).copied();
    let first = first.unwrap_or_else(|| conjunction::unforeseen(site));
    let lowered = lowered_match(flow, datapath, &world.scope, prerequisite, first)?;
    let openflow_table = kiln_abi::tables::of_stage(pipeline(flow), table(flow).unwrap_or(0));
    let flow_of = |(flow_match, part)| {
        // A flow that is part of a conjunction serves several rows: it has no cookie.
        let (actions, cookie) = match part {
            Part::Actions => (actions.iter().collect(), cookie(site.0)),
            Part::Conjunction { id, clause, n_clauses } => {
                (Box::from([Action::Conjunction { id, clause, n_clauses }]), 0)
            }
        };
        let priority = flow.priority() as u16;
        DesiredFlow { table: openflow_table, priority, flow_match, actions, cookie }
    };
    Ok(lowered.flows.into_iter().map(flow_of).collect())
}
