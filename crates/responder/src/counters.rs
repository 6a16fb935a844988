//! What was done and what was dropped, counted by action.

use crate::drops::{Drops, Port};
use kiln_abi::opcodes::Opcode;
use kiln_budget::Level;
use kiln_packet::{Unanswerable, Unfragmentable};
use kiln_types::{DatapathKey, PortKey};
use std::collections::BTreeMap;

/// Something that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Event {
    /// A packet came up with this action.
    Received,
    /// A packet was made and sent.
    Answered,
    /// A packet was set aside until its next hop is resolved.
    Held,
    /// A packet came up whose next hop is known, and goes on at once.
    Known,
    /// A packet was sent on through the rest of its pipeline.
    Resumed,
    /// A packet was cut, and its pieces were sent on through the rest of its pipeline.
    Cut,
    /// A binding or a forwarding database entry was noted, to be written.
    Learned,
    /// A binding that nobody was seen to have asked for was set aside, until the query is seen.
    Early,
    /// The query was seen: the binding is noted after all.
    Asked,
    /// A query could not be noted, to be written for other chassis to see.
    Untold,
    /// A neighbour that is known was asked whether it is still there.
    Probed,
    /// A neighbour that is known could not be asked, for want of budget or room.
    NotProbed,
    /// No request was sent, since an answer to one for the same next hop is awaited.
    Paced,
    /// A next hop gave no answer to the last request.
    Failed,
    /// A packet was dropped.
    Dropped(DropReason),
    /// An announcement or an advertisement was sent that nobody asked for.
    Announced,
    /// It was time for one, and there was no budget or no room for it: it comes later.
    Postponed,
    /// A line of an ACL's log was noted.
    Logged,
    /// It was time to ask for a next hop again, and there was no budget or no room for it.
    NotAsked,
}

impl Event {
    /// The name under which the counter is shown.
    pub const fn name(self) -> &'static str {
        match self {
            Event::Received => "received",
            Event::Answered => "answered",
            Event::Held => "held",
            Event::Known => "known",
            Event::Resumed => "resumed",
            Event::Cut => "cut",
            Event::Learned => "learned",
            Event::Early => "early",
            Event::Asked => "asked",
            Event::Untold => "untold",
            Event::Probed => "probed",
            Event::NotProbed => "not_probed",
            Event::Paced => "paced",
            Event::Failed => "failed",
            Event::Dropped(reason) => reason.name(),
            Event::Announced => "announced",
            Event::Postponed => "postponed",
            Event::Logged => "logged",
            Event::NotAsked => "not_asked",
        }
    }
}

/// Why a packet that came up was not served, or not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DropReason {
    /// It did not come from a `controller` action.
    NotFromAction,
    /// Its userdata is shorter than an opcode's header.
    NoOpcode,
    /// Its opcode is not one of OVN's.
    UnknownOpcode,
    /// Its action is known, and not answered here.
    NotServed,
    /// As many messages wait to be taken as may.
    OutputFull,
    /// Its metadata names no datapath, no port or no address.
    NoMetadata,
    /// It is not of the kind that the action is for.
    WrongPacket,
    /// It is of that kind, but cut short, or its options are, or it is one that is never valid.
    Malformed,
    /// It came without a continuation, so it cannot be sent on.
    NotPaused,
    /// The nested actions are malformed or too long.
    BadActions,
    /// It could not be paid for.
    OverBudget(Level),
    /// Packets wait for as many next hops as they may.
    NextHopsFull,
    /// Its next hop gave no answer a moment ago.
    HeldDown,
    /// As many bytes of packets wait as may.
    WaitingFull,
    /// A newer packet for the same next hop took its place.
    PushedOut,
    /// Its next hop was not resolved in time.
    Unresolved,
    /// Its next hop's port or datapath went away.
    PortGone,
    /// As many addresses are announced as may be.
    AnnouncementsFull,
    /// As many learned entries wait to be written as may.
    LearnedFull,
    /// As many bindings are set aside until their queries are seen as may.
    EarlyFull,
    /// Nobody asked for the address that it tells of.
    Unsolicited,
    /// The address to learn is not one host's.
    NotAHost,
    /// It advertises a neighbour that is known at another Ethernet address, and says that what is known does not give way.
    NoOverride,
    /// As many lines of ACLs' logs wait to be taken as may.
    LogsFull,
    /// The switch no longer knew its continuation.
    Stale,
    /// No error and no reset may be sent about it.
    Unanswerable(Unanswerable),
    /// It is larger than the MTU, and cannot be cut.
    Unfragmentable(Unfragmentable),
}

impl DropReason {
    /// The name under which the counter is shown.
    pub const fn name(self) -> &'static str {
        match self {
            DropReason::NotFromAction => "drop_not_from_action",
            DropReason::NoOpcode => "drop_no_opcode",
            DropReason::UnknownOpcode => "drop_unknown_opcode",
            DropReason::NotServed => "drop_not_served",
            DropReason::OutputFull => "drop_output_full",
            DropReason::NoMetadata => "drop_no_metadata",
            DropReason::WrongPacket => "drop_wrong_packet",
            DropReason::Malformed => "drop_malformed",
            DropReason::NotPaused => "drop_not_paused",
            DropReason::BadActions => "drop_bad_actions",
            DropReason::OverBudget(Level::Source) => "drop_over_source_budget",
            DropReason::OverBudget(Level::Port) => "drop_over_port_budget",
            DropReason::OverBudget(Level::Router) => "drop_over_router_budget",
            DropReason::OverBudget(Level::Chassis) => "drop_over_chassis_budget",
            DropReason::NextHopsFull => "drop_next_hops_full",
            DropReason::HeldDown => "drop_held_down",
            DropReason::WaitingFull => "drop_waiting_full",
            DropReason::PushedOut => "drop_pushed_out",
            DropReason::Unresolved => "drop_unresolved",
            DropReason::PortGone => "drop_port_gone",
            DropReason::AnnouncementsFull => "drop_announcements_full",
            DropReason::LearnedFull => "drop_learned_full",
            DropReason::EarlyFull => "drop_early_full",
            DropReason::Unsolicited => "drop_unsolicited",
            DropReason::NotAHost => "drop_not_a_host",
            DropReason::NoOverride => "drop_no_override",
            DropReason::LogsFull => "drop_logs_full",
            DropReason::Stale => "drop_stale",
            DropReason::Unanswerable(why) => match why {
                Unanswerable::NotIp => "drop_not_ip",
                Unanswerable::WrongProtocol => "drop_wrong_protocol",
                Unanswerable::Truncated => "drop_truncated",
                Unanswerable::LaterFragment => "drop_later_fragment",
                Unanswerable::LinkGroup => "drop_to_link_group",
                Unanswerable::IpGroup => "drop_to_ip_group",
                Unanswerable::Source => "drop_bad_source",
                Unanswerable::IcmpError => "drop_about_icmp_error",
                Unanswerable::Reset => "drop_about_reset",
                Unanswerable::NoTag => "drop_no_tag",
            },
            DropReason::Unfragmentable(why) => match why {
                Unfragmentable::NotIpv4 => "drop_not_ipv4",
                Unfragmentable::DontFragment => "drop_must_not_be_cut",
                Unfragmentable::MtuTooSmall => "drop_mtu_too_small",
                Unfragmentable::BadFragment => "drop_bad_fragment",
            },
        }
    }
}

impl From<Unanswerable> for DropReason {
    fn from(why: Unanswerable) -> Self {
        DropReason::Unanswerable(why)
    }
}

impl From<Unfragmentable> for DropReason {
    fn from(why: Unfragmentable) -> Self {
        DropReason::Unfragmentable(why)
    }
}

/// Where packets are counted whose opcode is missing or not OVN's, so that a peer cannot make counters without bound.
const OTHER: Opcode = Opcode(u32::MAX);

/// Counters by action and event. Both are finite sets, and so is this. Drops are counted by port as well.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    counts: BTreeMap<(Opcode, Event), u64>,
    drops: Drops,
}

/// The opcode under which something is counted.
fn counted(opcode: Opcode) -> Opcode {
    if opcode.action().is_some() { opcode } else { OTHER }
}

impl Counters {
    /// Adds one to a counter.
    pub(crate) fn count(&mut self, opcode: Option<Opcode>, event: Event) {
        let opcode = counted(opcode.unwrap_or(OTHER));
        *self.counts.entry((opcode, event)).or_insert(0) += 1;
    }

    /// Counts a packet that was dropped, and from which port it was.
    pub(crate) fn drop(&mut self, opcode: Option<Opcode>, port: Option<Port>, reason: DropReason) {
        self.count(opcode, Event::Dropped(reason));
        self.drops.count(port, counted(opcode.unwrap_or(OTHER)), reason);
    }

    /// Ports went away.
    pub(crate) fn forget(&mut self, gone: impl Fn(DatapathKey, PortKey) -> bool) {
        self.drops.forget(gone);
    }

    /// What was dropped, by port.
    pub const fn drops(&self) -> &Drops {
        &self.drops
    }

    /// A counter's value. Opcodes that are not OVN's share one.
    pub fn get(&self, opcode: Opcode, event: Event) -> u64 {
        self.counts.get(&(counted(opcode), event)).copied().unwrap_or(0)
    }

    /// The sum of one event over all actions.
    pub fn total(&self, event: Event) -> u64 {
        self.counts.iter().filter(|((_, e), _)| *e == event).map(|(_, n)| n).sum()
    }

    /// Everything that was counted: the action's name in logical flows (`other` for opcodes that are not OVN's), the
    /// event's name, and how often.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> + '_ {
        self.counts.iter().map(|((opcode, event), n)| (opcode.action().unwrap_or("other"), event.name(), *n))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_opcodes_share_their_counters() {
        let mut counters = Counters::default();
        for opcode in [500, 501, u32::MAX] {
            counters.count(Some(Opcode(opcode)), Event::Received);
        }
        counters.drop(None, None, DropReason::NoOpcode);
        counters.count(Some(Opcode::ARP), Event::Received);
        let shown: Vec<_> = counters.iter().collect();
        assert_eq!(shown, [("arp", "received", 1), ("other", "received", 3), ("other", "drop_no_opcode", 1)]);
        assert_eq!(counters.get(Opcode(502), Event::Received), 3);
        assert_eq!(counters.total(Event::Received), 4);
    }
}
