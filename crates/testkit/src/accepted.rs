//! Where Kiln and stock may differ on the same input, and why: the whole list.

use std::collections::BTreeSet;

/// What two daemons made of the same input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Logical flows in the southbound database.
    LogicalFlow,
    /// Other southbound rows.
    Row,
    /// OpenFlow flows, groups and meters of a chassis.
    OpenFlow,
    /// Rows of a chassis' own database.
    Chassis,
}

/// Who has a line that the other has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Stock alone.
    Stock,
    /// Kiln alone.
    Kiln,
}

/// A difference that may be.
#[derive(Debug)]
pub struct Accepted {
    /// In what.
    pub part: Part,
    /// Who has the line.
    pub side: Side,
    /// The line has all of these.
    pub has: &'static [&'static str],
    /// Why it may be.
    pub reason: &'static str,
}

const ACL: &str =
    "The switch has no ACL: nothing sets the bits that this looks at, and passing on is what is left.";
const BALANCER: &str = "The switch has no load balancer: nothing asks for connection tracking.";
const SERVICE: &str = "No service's health is checked: nobody sends from or to that address.";
const FUNCTION: &str = "The switch has no network function: nothing sets the bits that this looks at.";
const TRANSLATION: &str = "The router translates no addresses: the stage has nothing to be kept out of.";
const SYMMETRIC: &str =
    "No route of the router remembers who came by it: nothing sets the bit that this looks at.";
const POINT_TO_POINT: &str = "In a network of two addresses neither is for broadcast (RFC 3021); stock drops what the neighbour sends.";

const MARKED: &str = "Whether stock marks the interface of a port that is here as on an additional chassis hangs on the order of events.";
const ALONE: &str = "A network of one address, which is its own broadcast address: stock writes it twice.";

const TWICE: &str = "The same move, which stock makes twice.";
const ANNOUNCED: &str = "What is learned of ports that are announced has rows with uuids of each one's own, and cookies that \
     follow from them; Kiln announces IPv6 addresses too (RFC 4861 7.2.6).";

const ADVERTISED: &str = "A neighbour is heard of by advertisements of it, whichever of its addresses they come from (RFC 4861 7.2.5).";

const SOLICITED: &str = "The next hop of a policy is asked for at its own group; with stock at one that follows from the packet's destination.";

const CHAINED: &str = "A policy with several next hops is in its own chain, as any other; with stock it is in all of its router's.";

/// Every accepted difference.
pub const ACCEPTED: &[Accepted] = &[
    of(Part::LogicalFlow, Side::Stock, &["(ls_in_pre_acl)", "$svc_monitor_mac"], SERVICE),
    of(Part::LogicalFlow, Side::Stock, &["(ls_in_pre_lb)"], BALANCER),
    of(Part::LogicalFlow, Side::Stock, &["(ls_in_pre_stateful)"], BALANCER),
    of(
        Part::LogicalFlow,
        Side::Stock,
        &["(ls_in_acl_hint)", "priority=65535 match=(1) actions=(next;)"],
        ACL,
    ),
    of(Part::LogicalFlow, Side::Kiln, &["(ls_in_acl_hint)", "priority=0 match=(1) actions=(next;)"], ACL),
    of(
        Part::LogicalFlow,
        Side::Stock,
        &["(ls_in_acl_eval)", "priority=65535 match=(1) actions=(next;)"],
        ACL,
    ),
    of(
        Part::LogicalFlow,
        Side::Stock,
        &["(ls_in_acl_eval)", "priority=65532 match=(mldv1 || ", " || nd_rs) "],
        ACL,
    ),
    of(Part::LogicalFlow, Side::Kiln, &["(ls_in_acl_eval)", "priority=0 match=(1) actions=(next;)"], ACL),
    of(Part::LogicalFlow, Side::Stock, &["(ls_in_pre_network_function)"], FUNCTION),
    of(Part::LogicalFlow, Side::Stock, &["(ls_in_network_function)"], FUNCTION),
    of(Part::LogicalFlow, Side::Stock, &["(ls_in_stateful)", "ct_commit"], ACL),
    of(Part::LogicalFlow, Side::Stock, &["(ls_out_pre_acl)", "$svc_monitor_mac"], SERVICE),
    of(Part::LogicalFlow, Side::Stock, &["(ls_out_pre_lb)"], BALANCER),
    of(Part::LogicalFlow, Side::Stock, &["(ls_out_pre_stateful)"], BALANCER),
    of(
        Part::LogicalFlow,
        Side::Stock,
        &["(ls_out_acl_hint)", "priority=65535 match=(1) actions=(next;)"],
        ACL,
    ),
    of(Part::LogicalFlow, Side::Kiln, &["(ls_out_acl_hint)", "priority=0 match=(1) actions=(next;)"], ACL),
    of(
        Part::LogicalFlow,
        Side::Stock,
        &["(ls_out_acl_eval)", "priority=65535 match=(1) actions=(next;)"],
        ACL,
    ),
    of(
        Part::LogicalFlow,
        Side::Stock,
        &["(ls_out_acl_eval)", "priority=65532 match=(mldv1 || ", " || nd_rs) "],
        ACL,
    ),
    of(Part::LogicalFlow, Side::Kiln, &["(ls_out_acl_eval)", "priority=0 match=(1) actions=(next;)"], ACL),
    of(Part::LogicalFlow, Side::Stock, &["(ls_out_pre_network_function)"], FUNCTION),
    of(Part::LogicalFlow, Side::Stock, &["(ls_out_network_function)"], FUNCTION),
    of(Part::LogicalFlow, Side::Stock, &["(ls_out_stateful)", "ct_commit"], ACL),
    of(
        Part::LogicalFlow,
        Side::Stock,
        &["(ls_in_acl_after_lb_eval)", "priority=65532 match=(mldv1 || ", " || nd_rs) "],
        ACL,
    ),
    of(Part::LogicalFlow, Side::Stock, &["(ls_in_l2_lkup)", "$svc_monitor_mac"], SERVICE),
    of(Part::LogicalFlow, Side::Stock, &["(ls_in_l2_lkup)", "match=(reg8[23]==1)"], FUNCTION),
    of(Part::LogicalFlow, Side::Stock, &["(lr_out_snat)", "match=(nd_ns)"], TRANSLATION),
    of(Part::LogicalFlow, Side::Stock, &["(lr_in_ecmp_stateful_egr)", "reg9[10]==1"], SYMMETRIC),
    of(Part::LogicalFlow, Side::Stock, &["(lr_in_ip_input)", "ip4.src=={10.4.0.1,10.4.0.1}"], POINT_TO_POINT),
    of(Part::LogicalFlow, Side::Stock, &["(lr_in_ip_input)", "ip4.src=={10.4.0.0,10.4.0.1}"], POINT_TO_POINT),
    of(Part::LogicalFlow, Side::Kiln, &["(lr_in_ip_input)", "ip4.src==10.4.0.1 "], POINT_TO_POINT),
    of(Part::LogicalFlow, Side::Kiln, &["(lr_in_ip_input)", "ip4.src==10.4.0.0 "], POINT_TO_POINT),
    of(Part::LogicalFlow, Side::Stock, &["(lr_in_ip_input)", "ip4.src=={10.83.0.1,10.83.0.1}"], ALONE),
    of(Part::LogicalFlow, Side::Kiln, &["(lr_in_ip_input)", "ip4.src==10.83.0.1 "], ALONE),
    of(Part::Chassis, Side::Stock, &["Interface external_ids={iface-id=second}"], MARKED),
    of(Part::Chassis, Side::Kiln, &["Interface external_ids={iface-id=second, ovn-installed=true}"], MARKED),
    of(Part::Chassis, Side::Stock, &["Interface external_ids={iface-id=asleep}"], MARKED),
    of(Part::Chassis, Side::Kiln, &["Interface external_ids={iface-id=asleep, ovn-installed=true}"], MARKED),
    of(Part::Chassis, Side::Stock, &["Interface external_ids={iface-id=land-second}"], MARKED),
    of(
        Part::Chassis,
        Side::Kiln,
        &["Interface external_ids={iface-id=land-second, ovn-installed=true}"],
        MARKED,
    ),
    of(
        Part::OpenFlow,
        Side::Stock,
        &["table=8", "ct_state=+new+trk", "priority=100 actions=move:NXM_NX_CT_"],
        TWICE,
    ),
    of(
        Part::OpenFlow,
        Side::Kiln,
        &["table=8", "ct_state=+new+trk", "priority=100 actions=move:NXM_NX_CT_"],
        TWICE,
    ),
    of(Part::OpenFlow, Side::Stock, &["table=66 ", "set_field:0x40/0x40->reg10"], ANNOUNCED),
    of(Part::OpenFlow, Side::Stock, &["table=67 ", "set_field:0x40/0x40->reg10"], ANNOUNCED),
    of(Part::OpenFlow, Side::Stock, &["table=79 ", "actions=drop"], ANNOUNCED),
    of(Part::Row, Side::Stock, &["MAC_Binding "], ANNOUNCED),
    of(Part::OpenFlow, Side::Kiln, &["table=66 ", "set_field:0x40/0x40->reg10"], ANNOUNCED),
    of(Part::OpenFlow, Side::Kiln, &["table=67 ", "set_field:0x40/0x40->reg10"], ANNOUNCED),
    of(Part::OpenFlow, Side::Kiln, &["table=79 ", "actions=drop"], ANNOUNCED),
    of(Part::OpenFlow, Side::Kiln, &["table=79 ", "nd_target="], ADVERTISED),
    of(Part::Row, Side::Kiln, &["MAC_Binding "], ANNOUNCED),
    of(
        Part::LogicalFlow,
        Side::Kiln,
        &["(lr_in_arp_request)", "priority=200 match=(eth.dst==00:00:00:00:00:00 && reg9[9]==0 && xxreg0=="],
        SOLICITED,
    ),
    of(Part::LogicalFlow, Side::Stock, &["(lr_in_policy)", "match=(tcp.dst==81) ", "=select("], CHAINED),
    of(
        Part::LogicalFlow,
        Side::Kiln,
        &["(lr_in_policy)", "match=(reg9[16..31]==0 && tcp.dst==81) ", "=select("],
        CHAINED,
    ),
    of(Part::LogicalFlow, Side::Stock, &["(lr_in_policy)", "match=(tcp.dst==82) ", "=select("], CHAINED),
    of(
        Part::LogicalFlow,
        Side::Kiln,
        &["(lr_in_policy)", "match=(reg9[16..31]==* && tcp.dst==82) ", "=select("],
        CHAINED,
    ),
];

const fn of(part: Part, side: Side, has: &'static [&'static str], reason: &'static str) -> Accepted {
    Accepted { part, side, has, reason }
}

/// The lines that the two do not share and [`ACCEPTED`] does not list.
pub fn faults(part: Part, stock: &BTreeSet<String>, kiln: &BTreeSet<String>) -> Vec<String> {
    let mut faults = Vec::new();
    for (side, lines, others) in [(Side::Stock, stock, kiln), (Side::Kiln, kiln, stock)] {
        for line in lines.difference(others) {
            if !ACCEPTED.iter().any(|accepted| accepted.covers(part, side, line)) {
                faults.push(format!("{side:?} alone: {line}"));
            }
        }
    }
    faults
}

/// Fails, naming every line, if the two differ in more than [`ACCEPTED`] lists; how many lines are the same.
#[track_caller]
pub fn compare(part: Part, what: &str, stock: &BTreeSet<String>, kiln: &BTreeSet<String>) -> usize {
    let faults = faults(part, stock, kiln);
    let same = stock.intersection(kiln).count();
    assert!(
        faults.is_empty(),
        "{what}: {same} lines are the same, {} are not:\n{}",
        faults.len(),
        faults.join("\n")
    );
    assert!(same > 0, "{what}: nothing was there to compare");
    same
}

impl Accepted {
    fn covers(&self, part: Part, side: Side, line: &str) -> bool {
        self.part == part && self.side == side && self.has.iter().all(|piece| line.contains(piece))
    }
}
