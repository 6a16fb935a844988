//! The stages around a switch's ACLs: what is sent to the connection tracker, what is told about the connection to the
//! ACLs, what becomes of their verdict, and which connections are committed.

use super::acl::{Needs, Place, needs};
use super::switch_flows;
use crate::copp::{Protection, Protocol};
use crate::drops;
use crate::flow::{Flow, Flows};
use crate::global::settings;
use crate::tables::Ctx;
use kiln_abi::stages::{Pipeline, Stage};
use kiln_ovsdb::Text;
use kiln_types::Uuid;

/// Stages that pass packets on wherever nothing else is said.
const PASSING: &[Stage] = &[
    Stage::LS_IN_PRE_ACL,
    Stage::LS_IN_PRE_STATEFUL,
    Stage::LS_IN_ACL_HINT,
    Stage::LS_IN_ACL_EVAL,
    Stage::LS_IN_ACL_AFTER_LB_EVAL,
    Stage::LS_IN_STATEFUL,
    Stage::LS_OUT_PRE_ACL,
    Stage::LS_OUT_PRE_STATEFUL,
    Stage::LS_OUT_ACL_HINT,
    Stage::LS_OUT_ACL_EVAL,
    Stage::LS_OUT_STATEFUL,
];

/// What may not be lost, whatever the ACLs say: neighbours, routers and listeners could not be found without it.
const ALWAYS: &str = "nd || nd_ra || nd_rs || mldv1 || mldv2";
/// Verdict bits: allow, drop, reject.
const NO_VERDICT: &str = "reg8[16] = 0; reg8[17] = 0; reg8[18] = 0; ";

pub(crate) fn common(ctx: &Ctx<'_>, switch: &Uuid, out: &mut Vec<Flow>) {
    let Some(mut flows) = switch_flows(ctx, switch, out) else { return };
    for stage in PASSING {
        flows.fallback(*stage, "next;");
    }
    let needs = needs(ctx, switch);
    if !needs.any {
        for place in Place::ALL {
            flows.fallback(place.action(), "next;");
        }
        return;
    }
    // Service checks are northd's own.
    flows.add(Place::Ingress.eval(), 34000, "eth.dst == $svc_monitor_mac", "reg8[16] = 1; next;");
    flows.add(Place::Egress.eval(), 34000, "eth.src == $svc_monitor_mac", "reg8[16] = 1; next;");
    for place in Place::ALL {
        flows.add(place.eval(), 65532, ALWAYS, "reg8[16] = 1; next;");
        let reject_meter = Protection::of_switch(ctx, switch).meter(Protocol::Reject);
        action(ctx, place, &needs, reject_meter, &mut flows);
    }
    if needs.stateful {
        let invalid = settings(ctx).use_ct_inv_match && !passes_untracked(ctx, switch);
        for pipeline in [Pipeline::Ingress, Pipeline::Egress] {
            before(ctx, pipeline, &mut flows);
            hints(pipeline, &mut flows);
            connections(pipeline, invalid, &mut flows);
            commit(pipeline, &mut flows);
        }
        // A connection that was judged before the load balancer is not judged again.
        for known in ["reg0[17] == 1", "reg0[21] == 1"] {
            flows.add(Stage::LS_IN_ACL_AFTER_LB_EVAL, 65532, known, "reg8[16] = 1; next;");
        }
    }
}

/// Whether the switch has connections of which some packets are tracked and others are not
/// (`enable-stateless-acl-with-lb`): to the connection tracker, these are invalid.
fn passes_untracked(ctx: &Ctx<'_>, switch: &Uuid) -> bool {
    ctx.row(&ctx.nb.logical_switch, switch).is_some_and(|row| {
        row.other_config().get("enable-stateless-acl-with-lb").is_some_and(|value| &**value == "true")
    })
}

/// `ls_in_pre_acl` and `ls_out_pre_acl`, and the stages that send packets to the connection tracker.
fn before(ctx: &Ctx<'_>, pipeline: Pipeline, flows: &mut Flows<'_>) {
    let (stage, track, service) = match pipeline {
        Pipeline::Ingress => (Stage::LS_IN_PRE_ACL, Stage::LS_IN_PRE_STATEFUL, "eth.dst"),
        Pipeline::Egress => (Stage::LS_OUT_PRE_ACL, Stage::LS_OUT_PRE_STATEFUL, "eth.src"),
    };
    flows.add(stage, 110, format_args!("{service} == $svc_monitor_mac"), "next;");
    // ACLs that are to match what the connection tracker knows need it to know packets to several hosts too.
    if !settings(ctx).acl_ct_translation {
        flows.add(stage, 110, "eth.mcast", "next;");
    }
    flows.add(
        stage,
        110,
        "nd || nd_rs || nd_ra || mldv1 || mldv2 || (udp && udp.src == 546 && udp.dst == 547)",
        "next;",
    );
    if pipeline == Pipeline::Ingress {
        // What a tunnel says about its MTU belongs to no connection of this switch.
        flows.add(
            stage,
            110,
            "((ip4 && icmp4.type == 3 && icmp4.code == 4) || (ip6 && icmp6.type == 2 && icmp6.code == 0)) && \
             flags.tunnel_rx == 1",
            "next;",
        );
    }
    flows.add(stage, 100, "ip", "reg0[0] = 1; next;");
    flows.add(track, 100, "reg0[0] == 1", "ct_next;");
}

/// `ls_in_acl_hint` and `ls_out_acl_hint`: which kinds of ACL may concern a packet. Bit 7: one that allows, and the
/// connection is to be committed. Bit 8: one that allows, and there is nothing to commit. Bit 9: one that drops.
/// Bit 10: one that drops what was allowed before.
fn hints(pipeline: Pipeline, flows: &mut Flows<'_>) {
    let stage = match pipeline {
        Pipeline::Ingress => Stage::LS_IN_ACL_HINT,
        Pipeline::Egress => Stage::LS_OUT_ACL_HINT,
    };
    let begun = "reg0[7] = 1; reg0[9] = 1; reg0[1] = 1; next;";
    flows.add(stage, 7, "ct.new && !ct.est", begun);
    flows.add(stage, 6, "!ct.new && ct.est && !ct.rpl && ct_mark.blocked == 1", begun);
    flows.add(stage, 5, "!ct.trk", "reg0[8] = 1; reg0[9] = 1; next;");
    flows.add(
        stage,
        4,
        "!ct.new && ct.est && !ct.rpl && ct_mark.blocked == 0",
        "reg0[8] = 1; reg0[10] = 1; next;",
    );
    flows.add(stage, 3, "!ct.est", "reg0[9] = 1; next;");
    flows.add(stage, 2, "ct.est && ct_mark.blocked == 1", "reg0[9] = 1; next;");
    flows.add(stage, 1, "ct.est && ct_mark.blocked == 0", "reg0[10] = 1; next;");
}

/// Packets of connections that were judged before, in `ls_in_acl_eval` and `ls_out_acl_eval`.
fn connections(pipeline: Pipeline, invalid: bool, flows: &mut Flows<'_>) {
    // In ingress it is noted for the ACLs after the load balancer.
    let (stage, reply, related, persistent) = match pipeline {
        Pipeline::Ingress => (
            Stage::LS_IN_ACL_EVAL,
            "reg0[9] = 0; reg0[10] = 0; reg0[17] = 1; ",
            "reg0[17] = 1; ",
            "reg0[21] = 1; ",
        ),
        Pipeline::Egress => (Stage::LS_OUT_ACL_EVAL, "", "", ""),
    };
    let allow = "reg8[21] = ct_label.nf; reg8[16] = 1; ";
    let inv = if invalid { "ct.inv || " } else { "" };
    flows.add(
        stage,
        65532,
        format_args!("{inv}(ct.est && ct.rpl && ct_mark.blocked == 1)"),
        "reg8[17] = 1; next;",
    );
    flows.add(
        stage,
        65532,
        "ct.est && !ct.rel && ct.rpl && ct_mark.blocked == 0",
        format_args!("{reply}{allow}next;"),
    );
    // Errors about a translated connection are translated too.
    flows.add(
        stage,
        65532,
        "!ct.est && ct.rel && !ct.new && ct_mark.blocked == 0",
        format_args!("{related}{allow}ct_commit_nat;"),
    );
    flows.add(
        stage,
        65532,
        "ct.est && ct_mark.allow_established == 1",
        format_args!("{persistent}{allow}next;"),
    );
    // Without a verdict, a new connection goes on to the default, and one that was blocked is allowed anew.
    flows.add(stage, 1, "ip && !ct.est", "next;");
    flows.add(stage, 1, "ip && ct.est && ct_mark.blocked == 1", "reg8[16] = 1; next;");
}

/// `ls_in_acl_action`, `ls_in_acl_after_lb_action` and `ls_out_acl_action`.
fn action(ctx: &Ctx<'_>, place: Place, needs: &Needs, reject_meter: Option<Text>, flows: &mut Flows<'_>) {
    let stage = place.action();
    let last_tier = needs.last_tier(place);
    let first_tier = if last_tier > 0 { "reg8[30..31] = 0; " } else { "" };
    let clear = format!("{NO_VERDICT}{first_tier}");
    let drop = drops::last_actions(ctx);
    flows.add(stage, 1000, "reg8[16] == 1", format_args!("{clear}next;"));
    flows.add(stage, 1000, "reg8[17] == 1", format_args!("{clear}{drop}"));
    // The answer goes where the packet came from, past the ACLs.
    let back = match place {
        Place::Ingress | Place::AfterLb => Stage::LS_OUT_QOS,
        Place::Egress => Stage::LS_IN_L2_LKUP,
    };
    flows.add_metered(
        stage,
        1000,
        "reg8[18] == 1",
        format_args!(
            "{clear}reg0 = 0; reject {{ /* eth.dst <-> eth.src; ip.dst <-> ip.src; is implicit. */ \
             outport <-> inport; next(pipeline={},table={}); }};",
            back.pipeline, back.number
        ),
        reject_meter,
    );
    let eval = place.eval();
    for tier in 0..last_tier {
        flows.add(
            stage,
            500,
            format_args!("reg8[30..31] == {tier}"),
            format_args!(
                "reg8[30..31] = {}; next(pipeline={},table={});",
                tier + 1,
                eval.pipeline,
                eval.number
            ),
        );
    }
    let default = if settings(ctx).default_acl_drop { drop } else { "next;" };
    flows.fallback(stage, &format!("{clear}{default}"));
}

/// `ls_in_stateful` and `ls_out_stateful`: connections that were allowed are committed.
fn commit(pipeline: Pipeline, flows: &mut Flows<'_>) {
    let stage = match pipeline {
        Pipeline::Ingress => Stage::LS_IN_STATEFUL,
        Pipeline::Egress => Stage::LS_OUT_STATEFUL,
    };
    let mark = "ct_mark.blocked = 0; ct_mark.allow_established = reg0[20]; ";
    let label = "ct_label.acl_id = reg2[16..31]; ct_label.nf = 0; ct_label.nf_id = 0; ";
    flows.add(
        stage,
        100,
        "reg0[1] == 1 && reg0[13] == 0",
        format_args!("ct_commit {{ {mark}{label}}}; next;"),
    );
    flows.add(
        stage,
        100,
        "reg0[1] == 1 && reg0[13] == 1",
        format_args!(
            "ct_commit {{ {mark}ct_mark.obs_stage = reg8[19..20]; ct_mark.obs_collector_id = reg8[8..15]; \
             ct_label.obs_point_id = reg9; {label}}}; next;"
        ),
    );
}
