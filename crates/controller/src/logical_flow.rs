//! Logical flows: each row of Logical_Flow on each local datapath that it is for, lowered to OpenFlow.
//!
//! A run is one row on one datapath. What it looks up (ports, address sets, where ports reside) is recorded, so that only
//! rows that name a changed thing are lowered again. What members of address sets make is told apart from the rest where
//! that goes, and made in runs of their own.

use crate::address_set::{self, Member};
use crate::binding;
use crate::bridge::Capabilities;
use crate::conjunction::{self, Need};
use crate::desired::{DesiredFlow, FlowActions, GroupSpec, MeterSpec, Named};
use crate::names::{self, Scope};
use crate::physical::write::cookie;
use crate::reach::LocalDatapath;
use crate::resources::{Mode, Wanted, World};
use crate::tables::Ctx;
use kiln_abi::options::{lflow_tag, sb_global as option};
use kiln_abi::stages::Pipeline;
use kiln_logical::expr::Transport;
use kiln_logical::{Expr, action, expand_templates};
use kiln_lower::{Apart, Context, Part, PerMember, Resources, Tables, lower_actions, lower_apart};
use kiln_openflow::{Action, Actions, Field, FieldValue, Match};
use kiln_ovsdb::Text;
use kiln_schema_ovn::sb;
use kiln_types::{DatapathKey, Uuid};
use std::sync::Arc;

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

/// Those datapaths for the rows that may need numbers (of groups, meters or conjunctions) or sets taken apart: few do.
pub(crate) fn demanding_sites(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<(Site, ())>) {
    let Some(flow) = ctx.row(&ctx.sb.logical_flow, row) else { return };
    if is_numbered(&flow) || conjunction::is_likely(flow.r#match()) {
        sites(ctx, row, out);
    }
}

fn is_numbered(flow: &sb::view::LogicalFlow<'_>) -> bool {
    let actions = flow.actions();
    flow.controller_meter().is_some() || NUMBERED.iter().any(|word| actions.contains(word))
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
    if !is_numbered(&flow) {
        return Wanted::default();
    }
    let Some(datapath) = ctx.value(&ctx.local_datapaths, &site.1) else { return Wanted::default() };
    let world = World::new(scope(ctx, &flow, site, datapath), Mode::Collect);
    // What is wrong is reported when the flow is made.
    let _ = lowered_actions(ctx, &flow, site, datapath, &world);
    world.into_wanted()
}

/// The flows of a row on a datapath, but for those of members of sets that are told apart.
pub(crate) fn lower(ctx: &Ctx<'_>, site: &Site, out: &mut Vec<DesiredFlow>) {
    let Some(flow) = ctx.row(&ctx.sb.logical_flow, &site.0) else { return };
    match made(ctx, &flow, site) {
        Ok(Some((apart, frame))) => {
            out.extend(apart.rest.into_iter().map(|(flow_match, part)| frame.flow(flow_match, part)));
        }
        Ok(None) => {}
        Err((column, text, problem)) => {
            ctx.report(format!("Logical_Flow {}: column {column}: {problem}: \"{text}\"", site.0));
        }
    }
}

/// What each member of the sets that are told apart makes of a row on a datapath.
pub(crate) fn of_members(ctx: &Ctx<'_>, site: &Site, out: &mut Vec<(Site, OfMembers)>) {
    let Some(flow) = ctx.row(&ctx.sb.logical_flow, &site.0) else { return };
    if !flow.r#match().contains(['$', '^']) {
        return;
    }
    // What is wrong is reported when the flow is made.
    let Ok(Some((Apart { sets, .. }, frame))) = made(ctx, &flow, site) else { return };
    if !sets.is_empty() {
        out.push((*site, OfMembers { sets, frame }));
    }
}

/// The sets that are told apart in a row on a datapath.
pub(crate) fn sets(ctx: &Ctx<'_>, site: &Site, out: &mut Vec<(Text, Site)>) {
    let Some(of_members) = ctx.value(&ctx.flows_of_members, site) else { return };
    out.extend(of_members.sets.iter().map(|per_member| (Text::from(&*per_member.set), *site)));
}

/// The flows of a member of a set in a row on a datapath.
pub(crate) fn member(ctx: &Ctx<'_>, key: &(Text, Site, Member), out: &mut Vec<DesiredFlow>) {
    let (set, site, member) = key;
    let Some(OfMembers { sets, frame }) = ctx.value(&ctx.flows_of_members, site) else { return };
    for per_member in sets.iter().filter(|per_member| *per_member.set == **set) {
        out.extend(per_member.flows(member.cube()).map(|(flow_match, part)| frame.flow(flow_match, part)));
    }
}

/// What each member of some sets makes of a row on a datapath.
#[derive(Clone, Debug, PartialEq)]
pub struct OfMembers {
    sets: Vec<PerMember>,
    frame: Frame,
}

/// What flows of a row on a datapath have in common.
#[derive(Clone, Debug, PartialEq)]
struct Frame {
    table: u8,
    priority: u16,
    actions: Arc<Actions>,
    cookie: u64,
}

impl Frame {
    fn flow(&self, flow_match: Match, part: Part) -> DesiredFlow {
        // A flow that is part of a conjunction serves several rows: it has no cookie.
        let (actions, cookie) = match part {
            Part::Actions => (FlowActions::Shared(self.actions.clone()), self.cookie),
            Part::Conjunction { id, clause, n_clauses } => {
                ([Action::Conjunction { id, clause, n_clauses }].into(), 0)
            }
        };
        DesiredFlow { table: self.table, priority: self.priority, flow_match, actions, cookie }
    }
}

/// What is wrong in a row: the column, its text, the problem.
type Wrong = (&'static str, Text, String);

/// What a row on a datapath is lowered to, if it concerns this chassis.
fn made(
    ctx: &Ctx<'_>,
    flow: &sb::view::LogicalFlow<'_>,
    site: &Site,
) -> Result<Option<(Apart, Frame)>, Wrong> {
    let Some(datapath) = ctx.value(&ctx.local_datapaths, &site.1) else { return Ok(None) };
    if concerns_another_chassis(ctx, flow) {
        return Ok(None);
    }
    let world = World::new(scope(ctx, flow, site, datapath), Mode::LookUp);
    let (actions, prerequisite) = lowered_actions(ctx, flow, site, datapath, &world)
        .map_err(|problem| ("actions", flow.actions().clone(), problem))?;
    // Most matches leave no choice; of them there is nothing to look up, and nothing to record.
    let granted = conjunction::is_likely(flow.r#match()).then(|| ctx.value(&ctx.conjunction_ids, site));
    let first = granted.flatten().copied().unwrap_or_else(|| conjunction::unforeseen(site));
    let apart = lowered_match(flow, datapath, &world.scope, &prerequisite, first)
        .map_err(|problem| ("match", flow.r#match().clone(), problem))?;
    let frame = Frame {
        table: kiln_abi::tables::of_stage(pipeline(flow), table(flow).unwrap_or(0)),
        priority: flow.priority() as u16,
        actions: Arc::new(actions),
        cookie: cookie(site.0),
    };
    Ok(Some((apart, frame)))
}

/// Whether the only port whose packets could match is elsewhere, or nowhere.
fn concerns_another_chassis(ctx: &Ctx<'_>, flow: &sb::view::LogicalFlow<'_>) -> bool {
    // As a whole: a record of one key for every flow would cost more than a run for the sake of another key.
    let mut tags = flow.tags().all().iter();
    let Some((_, port)) = tags.find(|(key, _)| &**key == lflow_tag::IN_OUT_PORT) else { return false };
    ctx.all(&ctx.port_named, port).first().is_none_or(|row| !binding::is_related(ctx, row))
}

/// Of what the match's ports and protocol are.
fn transport(flow: &sb::view::LogicalFlow<'_>) -> Transport {
    let mut tags = flow.tags().all().iter();
    let is_translated = |(key, value): &(Text, Text)| {
        &**key == lflow_tag::ACL_CT_TRANSLATION && value.eq_ignore_ascii_case("true")
    };
    if tags.any(is_translated) { Transport::Connection } else { Transport::Packet }
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

/// What northd and the switch are able to, as far as flows follow from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Abilities {
    explicit_arp_ns_output: bool,
    register_consolidation: bool,
    meters: bool,
    switch: Capabilities,
}

pub(crate) fn abilities(ctx: &Ctx<'_>, _: &(), out: &mut Vec<((), Abilities)>) {
    let global = ctx.all(&ctx.sb_global, &()).first().and_then(|row| ctx.row(&ctx.sb.sb_global, row));
    let says = |key: &str| {
        global.is_some_and(|global| global.options().get(key).is_some_and(|text| &**text == "true"))
    };
    let abilities = Abilities {
        explicit_arp_ns_output: says(option::ARP_NS_EXPLICIT_OUTPUT),
        register_consolidation: says(option::REGISTER_CONSOLIDATION),
        meters: ctx.value(&ctx.facts, &()).is_some_and(|facts| facts.meters),
        switch: ctx.value(&ctx.capabilities, &()).copied().unwrap_or_default(),
    };
    out.push(((), abilities));
}

/// Where a row's actions stand.
fn context<'f>(
    ctx: &Ctx<'_>,
    flow: &'f sb::view::LogicalFlow<'_>,
    site: &Site,
    datapath: &LocalDatapath,
) -> Result<Context<'f>, String> {
    let abilities = ctx.value(&ctx.abilities, &()).copied().unwrap_or_default();
    Ok(Context {
        datapath: datapath.kind,
        datapath_key: DatapathKey(datapath.key),
        pipeline: pipeline(flow),
        table: table(flow)
            .ok_or_else(|| format!("expected a stage of the pipeline, found {}", flow.table_id()))?,
        lflow: site.0,
        controller_meter: flow.controller_meter().as_deref(),
        port_meters: abilities.meters,
        tables: Tables::default(),
        explicit_arp_ns_output: abilities.explicit_arp_ns_output,
        register_consolidation: abilities.register_consolidation,
        common_zone_is_snat: datapath.snat_zone.is_some(),
        ct_zero_snat: abilities.switch.ct_zero_snat,
        dp_hash_l4_symmetric: abilities.switch.dp_hash_l4_symmetric,
    })
}

fn lowered_actions(
    ctx: &Ctx<'_>,
    flow: &sb::view::LogicalFlow<'_>,
    site: &Site,
    datapath: &LocalDatapath,
    world: &World<'_, '_>,
) -> Result<(Actions, Expr<'static>), String> {
    let context = context(ctx, flow, site, datapath)?;
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
    if !may_conjoin(&flow, &world.scope) {
        return;
    }
    let Ok((_, prerequisite)) = lowered_actions(ctx, &flow, site, datapath, &world) else { return };
    let lowered = lowered_match(&flow, datapath, &world.scope, &prerequisite, 1);
    out.extend(lowered.ok().filter(|l| l.conjunctions > 0).map(|l| (*site, l.conjunctions)));
}

/// Whether a row's match may come to conjunctions on a datapath.
fn may_conjoin(flow: &sb::view::LogicalFlow<'_>, scope: &Scope<'_, '_>) -> bool {
    let text = expand_templates(flow.r#match(), scope);
    let notation = |name: &str| address_set::notation(scope.ctx, name);
    // What is wrong is reported when the flow is made.
    kiln_lower::may_conjoin(&text, scope, &notation).unwrap_or_default()
}

fn lowered_match(
    flow: &sb::view::LogicalFlow<'_>,
    datapath: &LocalDatapath,
    scope: &Scope<'_, '_>,
    prerequisite: &Expr<'static>,
    first_conjunction: u32,
) -> Result<Apart, String> {
    let text = expand_templates(flow.r#match(), scope);
    let context = [FieldValue::exact(Field::METADATA, datapath.key.into())];
    let notation = |name: &str| address_set::notation(scope.ctx, name);
    lower_apart(&text, transport(flow), prerequisite, scope, &notation, &context, first_conjunction)
        .map_err(|error| error.to_string())
}
