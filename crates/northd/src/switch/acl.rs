//! ACLs: which packets of a switch pass.
//!
//! Three stages hold a switch's ACLs, one for each place in its pipelines: `ls_in_acl_eval`, `ls_in_acl_after_lb_eval` and
//! `ls_out_acl_eval`. A flow there notes its verdict in a register bit; the stages around them, which `acl_stages` writes,
//! carry it out. A switch whose ACLs follow connections has them evaluated against what the connection tracker knows.

use crate::acl_id;
use crate::features;
use crate::flow::{Flow, Flows};
use crate::global;
use crate::meter;
use crate::name::PortName;
use crate::tables::{Ctx, PortKind};
use kiln_abi::options::chassis_feature as feature;
use kiln_abi::stages::Stage;
use kiln_schema_ovn::nb::view;
use kiln_types::Uuid;
use std::fmt::Write;

/// Room for flows of northd's own below the ACLs' priorities.
const BASE: u16 = 1000;

/// Where in a switch's pipelines an ACL is evaluated (columns `direction` and `options:apply-after-lb`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// As packets come from a port.
    Ingress,
    /// The same, when the load balancer has chosen.
    AfterLb,
    /// As packets go to a port.
    Egress,
}

impl Place {
    pub(crate) const ALL: [Place; 3] = [Place::Ingress, Place::AfterLb, Place::Egress];

    /// The stage that holds the ACLs.
    pub(crate) fn eval(self) -> Stage {
        match self {
            Place::Ingress => Stage::LS_IN_ACL_EVAL,
            Place::AfterLb => Stage::LS_IN_ACL_AFTER_LB_EVAL,
            Place::Egress => Stage::LS_OUT_ACL_EVAL,
        }
    }

    /// The stage that carries the verdict out.
    pub(crate) fn action(self) -> Stage {
        match self {
            Place::Ingress => Stage::LS_IN_ACL_ACTION,
            Place::AfterLb => Stage::LS_IN_ACL_AFTER_LB_ACTION,
            Place::Egress => Stage::LS_OUT_ACL_ACTION,
        }
    }

    /// The stage in which packets that need no connection tracking say so.
    fn before(self) -> Stage {
        match self {
            Place::Ingress | Place::AfterLb => Stage::LS_IN_PRE_ACL,
            Place::Egress => Stage::LS_OUT_PRE_ACL,
        }
    }

    /// The stage that sees replies to what is allowed here.
    fn replies(self) -> Stage {
        match self {
            Place::Ingress | Place::AfterLb => Stage::LS_OUT_ACL_EVAL,
            Place::Egress => Stage::LS_IN_ACL_EVAL,
        }
    }
}

/// What an ACL asks of the pipeline of its switches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Need {
    place: Place,
    /// Connections are followed.
    related: bool,
    tier: u8,
}

/// What all ACLs of a switch ask of its pipeline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    /// There are ACLs.
    pub(crate) any: bool,
    /// Some of them follow connections.
    pub(crate) stateful: bool,
    /// The highest tier at each place.
    tiers: [u8; 3],
}

impl Needs {
    /// The highest tier at a place.
    pub(crate) fn last_tier(&self, place: Place) -> u8 {
        self.tiers[place as usize]
    }
}

/// What the ACLs of a switch ask of its pipeline.
pub(crate) fn needs(ctx: &Ctx<'_>, switch: &Uuid) -> Needs {
    let mut needs = Needs::default();
    for need in ctx.all(&ctx.acl_needs, switch) {
        needs.any = true;
        needs.stateful |= need.related;
        let tier = &mut needs.tiers[need.place as usize];
        *tier = need.tier.max(*tier);
    }
    needs
}

pub(crate) fn of_switch(ctx: &Ctx<'_>, switch: &Uuid, out: &mut Vec<(Uuid, Uuid)>) {
    let Some(row) = ctx.row(&ctx.nb.logical_switch, switch) else { return };
    out.extend(row.acls().all().iter().map(|acl| (*acl, *switch)));
}

pub(crate) fn of_group(ctx: &Ctx<'_>, group: &Uuid, out: &mut Vec<(Uuid, Uuid)>) {
    let Some(row) = ctx.row(&ctx.nb.port_group, group) else { return };
    out.extend(row.acls().all().iter().map(|acl| (*acl, *group)));
}

/// The switches that an ACL holds on: its own, and those with ports of its group.
fn switches(ctx: &Ctx<'_>, acl: &Uuid) -> Vec<Uuid> {
    let mut switches = ctx.all(&ctx.switches_of_acl, acl).to_vec();
    for group in ctx.all(&ctx.groups_of_acl, acl) {
        switches.extend_from_slice(ctx.all(&ctx.switches_of_group, group));
    }
    switches.sort_unstable();
    switches.dedup();
    switches
}

fn place(row: &view::Acl<'_>) -> Place {
    match &**row.direction() {
        "to-lport" => Place::Egress,
        _ if row.options().get("apply-after-lb").is_some_and(|value| &**value == "true") => Place::AfterLb,
        _ => Place::Ingress,
    }
}

pub(crate) fn acl_needs(ctx: &Ctx<'_>, acl: &Uuid, out: &mut Vec<(Uuid, Need)>) {
    let Some(row) = ctx.row(&ctx.nb.acl, acl) else { return };
    let need =
        Need { place: place(&row), related: &**row.action() == "allow-related", tier: row.tier() as u8 };
    out.extend(switches(ctx, acl).into_iter().map(|switch| (switch, need)));
}

/// Whether what an ACL allowed stays allowed when its match no longer covers it (`options:persist-established`).
pub(crate) fn persists(row: &view::Acl<'_>) -> bool {
    &**row.action() == "allow-related"
        && row.options().get("persist-established").is_some_and(|value| &**value == "true")
}

/// The flows of an ACL, on every switch that it holds on.
pub(crate) fn flows(ctx: &Ctx<'_>, acl: &Uuid, out: &mut Vec<Flow>) {
    let Some(row) = ctx.row(&ctx.nb.acl, acl) else { return };
    let switches = switches(ctx, acl);
    if switches.is_empty() {
        return;
    }
    if let Err(error) = crate::matches::check(ctx, row.r#match()) {
        ctx.report(format!("ACL {acl}, column match: `{}`: {error}; it is skipped", row.r#match()));
        return;
    }
    let rule = Rule::new(ctx, acl, &row);
    for switch in switches {
        let Some(datapath) = ctx.value(&ctx.datapaths, &switch) else { continue };
        rule.write(needs(ctx, &switch), &mut Flows::new(out, datapath.index, *acl));
    }
}

/// An ACL, ready to be written on any switch.
struct Rule<'a> {
    place: Place,
    priority: u16,
    tier: u8,
    action: &'a str,
    matches: &'a str,
    /// `log(…); ` when its packets are logged.
    log: String,
    /// What a new connection carries along.
    label: String,
    /// What makes a new connection outlast the match.
    persist: String,
    /// Where connections are followed, the match is about what the connection tracker knows of the packet.
    translated: bool,
    /// The label by which replies are recognised, to be logged too.
    logged_replies: Option<i64>,
}

impl<'a> Rule<'a> {
    fn new(ctx: &Ctx<'_>, acl: &Uuid, row: &view::Acl<'a>) -> Self {
        let place = place(row);
        let log = if row.log() { log_action(ctx, acl, row) } else { String::new() };
        let label = match row.label() {
            0 => String::new(),
            label => format!(
                "reg0[13] = 1; reg3 = {label}; reg9 = {label}; reg8[0..7] = 0; reg8[8..15] = 0; reg8[19..20] = {}; ",
                place as u8
            ),
        };
        let related = row.options().get("log-related").is_some_and(|value| &**value == "true");
        Rule {
            place,
            priority: BASE + row.priority() as u16,
            tier: row.tier() as u8,
            action: row.action(),
            matches: row.r#match(),
            log,
            label,
            persist: persist_action(ctx, acl, row),
            translated: global::settings(ctx).acl_ct_translation,
            logged_replies: (row.log() && related && row.label() != 0).then(|| row.label()),
        }
    }

    fn write(&self, needs: Needs, flows: &mut Flows<'_>) {
        let mut tier = String::new();
        if needs.last_tier(self.place) > 0 {
            write!(tier, "reg8[30..31] == {} && ", self.tier).expect("strings take any text");
        }
        let matches = self.matches;
        let stage = self.place.eval();
        let mut add = |hint: &str, actions: std::fmt::Arguments<'_>| {
            // What needs no hint is decided without the connection tracker.
            flows.add_translated(
                stage,
                self.priority,
                format_args!("{tier}{hint}({matches})"),
                format_args!("{}{actions}", self.log),
                self.translated && !hint.is_empty(),
            );
        };
        let Rule { label, persist, .. } = self;
        match self.action {
            "pass" => add("", format_args!("next;")),
            "allow-stateless" => add("", format_args!("reg8[16] = 1; next;")),
            "allow" | "allow-related" if needs.stateful => {
                add("reg0[7] == 1 && ", format_args!("reg8[16] = 1; {persist}{label}next;"));
                let commit = if label.is_empty() { "" } else { "reg0[1] = 1; " };
                add("reg0[8] == 1 && ", format_args!("reg8[16] = 1; {commit}{label}next;"));
            }
            "allow" | "allow-related" => add("", format_args!("reg8[16] = 1; {label}next;")),
            _ => {
                let verdict = if self.action == "reject" { "reg8[18] = 1; " } else { "reg8[17] = 1; " };
                if needs.stateful {
                    add("reg0[9] == 1 && ", format_args!("{verdict}next;"));
                    // What was allowed before is no longer: the connection is marked, so that replies stop too.
                    let block = "ct_commit { ct_mark.blocked = 1; ct_label.obs_point_id = 0; }; next;";
                    add("reg0[10] == 1 && ", format_args!("{verdict}{block}"));
                } else {
                    add("", format_args!("{verdict}next;"));
                }
            }
        }
        if needs.stateful {
            self.write_stateful(flows);
        }
    }

    /// What an ACL adds to a switch that follows connections, besides its verdict.
    fn write_stateful(&self, flows: &mut Flows<'_>) {
        if self.action == "allow-stateless" {
            flows.add(self.place.before(), self.priority, self.matches, "reg0[16] = 1; next;");
        }
        let Some(label) = self.logged_replies.filter(|_| self.action == "allow-related") else { return };
        for connection in ["!ct.est && ct.rel && !ct.new", "ct.est && !ct.rel && ct.rpl"] {
            flows.add(
                self.place.replies(),
                65533,
                format_args!("{connection} && ct_mark.blocked == 0 && ct_label.label == {label}"),
                format_args!("{}reg8[21] = ct_label.nf; reg8[16] = 1; next;", self.log),
            );
        }
    }
}

/// What makes a new connection outlast the match. Such connections end with the ACL only where they can be found by the
/// number that they carry.
fn persist_action(ctx: &Ctx<'_>, acl: &Uuid, row: &view::Acl<'_>) -> String {
    if !persists(row) {
        return String::new();
    }
    if !features::all_have(ctx, feature::CT_LABEL_FLUSH) {
        ctx.report(format!(
            "ACL {acl}, column options: not every chassis can flush connections by label; persist-established is passed over"
        ));
        return String::new();
    }
    let id = acl_id::of(ctx, acl);
    id.map_or(String::new(), |id| format!("reg2[16..31] = {id}; reg0[20] = 1; "))
}

fn log_action(ctx: &Ctx<'_>, acl: &Uuid, row: &view::Acl<'_>) -> String {
    let mut text = "log(".to_owned();
    let mut add =
        |arguments: std::fmt::Arguments<'_>| text.write_fmt(arguments).expect("strings take any text");
    if let Some(name) = row.name() {
        add(format_args!("name=\"{}\", ", PortName::from(name)));
    }
    let severity = row.severity().as_ref().map_or("info", |severity| &**severity);
    let verdict = match &**row.action() {
        "drop" => "drop",
        "reject" => "reject",
        "pass" => "pass",
        _ => "allow",
    };
    add(format_args!("severity={severity}, verdict={verdict}"));
    if let Some(meter) = row.meter() {
        if ctx.all(&ctx.meter_named, meter).is_empty() {
            ctx.report(format!("ACL {acl}, column meter: there is no meter `{meter}` yet"));
        }
        add(format_args!(", meter=\"{}\"", PortName::from(&meter::name_for(ctx, meter, acl))));
    }
    add(format_args!("); "));
    text
}

/// Packets of routers, of physical networks and of other switches are not this switch's to track.
pub(crate) fn untracked_port(ctx: &Ctx<'_>, port: &Uuid, out: &mut Vec<Flow>) {
    let Some(row) = ctx.value(&ctx.switch_ports, port) else { return };
    let leads_away = match row.kind {
        PortKind::Localnet | PortKind::Switch => true,
        PortKind::Router => row.router_port.is_some_and(|peer| ctx.value(&ctx.router_ports, &peer).is_some()),
        _ => false,
    };
    if !leads_away || !needs(ctx, &row.switch).stateful {
        return;
    }
    let Some((row, mut flows)) = super::port_flows(ctx, port, out) else { return };
    let name = &row.name;
    flows.add(Stage::LS_IN_PRE_ACL, 110, format_args!("ip && inport == \"{name}\""), "next;");
    flows.add(Stage::LS_OUT_PRE_ACL, 110, format_args!("ip && outport == \"{name}\""), "next;");
}
