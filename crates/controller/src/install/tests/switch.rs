//! A switch that holds what it is told to hold, says so when asked, and refuses what it is told to refuse.

use kiln_openflow::msg::{
    BundleControl, Counters, FlowMod, FlowStats, Group, GroupMod, Message, Meter, MeterMod, MultipartReply,
    MultipartRequest, TlvMapping, TlvTable,
};
use kiln_openflow::session::{Config, Event, Session};
use kiln_openflow::{Action, ErrorCode, Instructions, Match, Version, Xid, instruction};
use kiln_types::Instant;
use std::collections::BTreeMap;

pub(super) type FlowKey = (u8, u16, Match);

/// What a switch holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Tables {
    pub(super) flows: BTreeMap<FlowKey, (u64, Instructions, u16)>,
    pub(super) groups: BTreeMap<u32, Group>,
    pub(super) meters: BTreeMap<u32, Meter>,
}

/// How a switch finds out that something is wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum Checks {
    /// When a bundle is committed: the whole bundle is void.
    #[default]
    OnCommit,
    /// When a message is added to a bundle: only that is left out.
    OnAdd,
}

pub(super) struct Switch {
    pub(super) session: Session,
    pub(super) tables: Tables,
    pub(super) options: Vec<TlvMapping>,
    bundles: BTreeMap<u32, Vec<(Xid, Message)>>,
    /// Outputs to this port are refused, and so are groups and meters with this number of buckets or this rate.
    pub(super) refuses: Option<u32>,
    /// So is deleting groups.
    pub(super) refuses_deletes: bool,
    /// So is deleting flows of this priority.
    pub(super) keeps_priority: Option<u16>,
    pub(super) checks: Checks,
    /// Answers requests for flows with an error.
    pub(super) mute: bool,
    /// Names of what came, in order, without reads.
    pub(super) log: Vec<String>,
    pub(super) removed: usize,
}

const NOW: Instant = Instant::ZERO;

impl Switch {
    pub(super) fn new() -> Switch {
        let mut session = Session::new(Config::switch(vec![Version::V1_5]));
        session.handle_connected(NOW);
        Switch {
            session,
            tables: Tables::default(),
            options: Vec::new(),
            bundles: BTreeMap::new(),
            refuses: None,
            refuses_deletes: false,
            keeps_priority: None,
            checks: Checks::default(),
            mute: false,
            log: Vec::new(),
            removed: 0,
        }
    }

    pub(super) fn reconnect(&mut self) {
        self.bundles.clear();
        self.session.handle_disconnected();
        self.session.handle_connected(NOW);
    }

    pub(super) fn receive(&mut self, bytes: &[u8]) {
        self.session.handle_bytes(NOW, bytes);
        while let Some(event) = self.session.poll_event() {
            match event {
                Event::Message { xid, message } => self.serve(xid, message),
                Event::Ready { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }

    fn reply(&mut self, xid: Xid, message: &Message) {
        self.session.reply(xid, message).unwrap();
    }

    fn refuse(&mut self, xid: Xid, code: ErrorCode) {
        self.session.refuse(xid, code, &[]).unwrap();
    }

    fn serve(&mut self, xid: Xid, message: Message) {
        match message {
            Message::TlvTableRequest => {
                let table =
                    TlvTable { max_option_space: 256, max_fields: 64, mappings: self.options.clone() };
                self.reply(xid, &Message::TlvTableReply(table));
            }
            Message::TlvTableMod(change) => {
                self.log.push("map option".into());
                let taken = |m: &TlvMapping| self.options.iter().any(|other| other.index == m.index);
                if change.mappings.iter().any(taken) {
                    return self.refuse(xid, ErrorCode::NX_TLV_ALREADY_MAPPED);
                }
                self.options.extend(change.mappings);
            }
            Message::BarrierRequest => self.reply(xid, &Message::BarrierReply),
            Message::MultipartRequest(request) => self.list(xid, request),
            Message::BundleControl(control) => self.control(xid, control),
            Message::BundleAdd(add) => {
                if self.checks == Checks::OnAdd && self.is_refused(&add.message) {
                    return self.refuse(xid, ErrorCode::ACTION_BAD_ARGUMENT);
                }
                self.bundles.get_mut(&add.bundle_id).unwrap().push((xid, add.message));
            }
            Message::CtFlushZone(zone) => self.log.push(format!("flush {zone}")),
            change => {
                if let Err(code) = self.apply(change) {
                    self.refuse(xid, code);
                }
            }
        }
    }

    fn control(&mut self, xid: Xid, control: BundleControl) {
        let BundleControl { bundle_id, typ, flags } = control;
        assert_eq!(flags, BundleControl::ATOMIC | BundleControl::ORDERED);
        match typ {
            BundleControl::OPEN_REQUEST => {
                assert!(self.bundles.insert(bundle_id, Vec::new()).is_none());
                self.log.push("open".into());
            }
            BundleControl::COMMIT_REQUEST => {
                let messages = self.bundles.remove(&bundle_id).unwrap();
                self.log.push("commit".into());
                let (tables, removed) = (self.tables.clone(), self.removed);
                for (inner, message) in messages {
                    if let Err(code) = self.apply(message) {
                        (self.tables, self.removed) = (tables, removed);
                        self.refuse(inner, code);
                        return self.refuse(xid, ErrorCode::BUNDLE_MSG_FAILED);
                    }
                }
            }
            BundleControl::DISCARD_REQUEST => {
                self.bundles.remove(&bundle_id).unwrap();
                self.log.push("discard".into());
            }
            other => panic!("bundle control {other}"),
        }
        self.reply(xid, &Message::BundleControl(BundleControl { typ: typ + 1, ..control }));
    }

    fn is_refused(&self, message: &Message) -> bool {
        let Some(number) = self.refuses else { return false };
        match message {
            Message::FlowMod(flow) => {
                uses(flow, |action| matches!(action, Action::Output { port, .. } if port.0 == number))
            }
            Message::GroupMod(group) => group.group.buckets.len() == number as usize,
            Message::MeterMod(meter) => meter.meter.bands.iter().any(|band| band.rate == number),
            _ => false,
        }
    }

    fn apply(&mut self, message: Message) -> Result<(), ErrorCode> {
        if self.is_refused(&message) {
            return Err(ErrorCode::ACTION_BAD_ARGUMENT);
        }
        match message {
            Message::FlowMod(flow) => self.change_flow(flow),
            Message::GroupMod(change) => self.change_group(change),
            Message::MeterMod(change) => self.change_meter(change),
            other => panic!("{other:?}"),
        }
    }

    fn change_flow(&mut self, flow: FlowMod) -> Result<(), ErrorCode> {
        let FlowMod { table_id, priority, flow_match, instructions, cookie, .. } = flow.clone();
        let missing = uses(&flow, |action| match action {
            Action::Group(id) => !self.tables.groups.contains_key(id),
            Action::Meter(id) => !self.tables.meters.contains_key(id),
            _ => false,
        });
        let flows = &mut self.tables.flows;
        let key = (table_id, priority, flow_match);
        match flow.command {
            _ if missing => return Err(ErrorCode::ACTION_BAD_OUT_GROUP),
            FlowMod::ADD => {
                self.log.push(format!("add {}", key.1));
                flows.insert(key, (cookie, instructions, 0));
            }
            FlowMod::MODIFY_STRICT => {
                assert_eq!(cookie, 0);
                self.log.push(format!("modify {}", key.1));
                if let Some(entry) = flows.get_mut(&key) {
                    entry.1 = instructions;
                }
            }
            FlowMod::DELETE_STRICT if self.keeps_priority == Some(key.1) => {
                return Err(ErrorCode::REQUEST_PERM);
            }
            FlowMod::DELETE_STRICT => {
                self.log.push(format!("delete {}", key.1));
                self.removed += usize::from(flows.remove(&key).is_some());
            }
            FlowMod::DELETE => {
                self.log.push("wipe flows".into());
                assert_eq!(table_id, 0xff);
                flows.clear();
            }
            other => panic!("flow mod {other}"),
        }
        Ok(())
    }

    fn change_group(&mut self, change: GroupMod) -> Result<(), ErrorCode> {
        let id = change.group.group_id;
        let groups = &mut self.tables.groups;
        match change.command {
            GroupMod::ADD if groups.contains_key(&id) => return Err(ErrorCode::GROUP_MOD_GROUP_EXISTS),
            GroupMod::MODIFY if !groups.contains_key(&id) => return Err(ErrorCode::GROUP_MOD_UNKNOWN_GROUP),
            GroupMod::ADD | GroupMod::MODIFY => {
                self.log.push(format!("group {id}"));
                groups.insert(id, change.group);
            }
            GroupMod::INSERT_BUCKET => {
                self.log.push(format!("buckets of group {id}"));
                groups.get_mut(&id).unwrap().buckets.extend(change.group.buckets);
            }
            GroupMod::DELETE if self.refuses_deletes => return Err(ErrorCode::REQUEST_PERM),
            GroupMod::DELETE if id == Group::ALL_IDS => {
                self.log.push("wipe groups".into());
                groups.clear();
            }
            GroupMod::DELETE => {
                self.log.push(format!("delete group {id}"));
                groups.remove(&id);
                self.drop_flows(|action| *action == Action::Group(id));
            }
            other => panic!("group mod {other}"),
        }
        Ok(())
    }

    fn change_meter(&mut self, change: MeterMod) -> Result<(), ErrorCode> {
        let id = change.meter.meter_id;
        let meters = &mut self.tables.meters;
        match change.command {
            MeterMod::ADD if meters.contains_key(&id) => return Err(ErrorCode::METER_MOD_METER_EXISTS),
            MeterMod::MODIFY if !meters.contains_key(&id) => return Err(ErrorCode::METER_MOD_UNKNOWN_METER),
            MeterMod::ADD | MeterMod::MODIFY => {
                self.log.push(format!("meter {id}"));
                meters.insert(id, change.meter);
            }
            MeterMod::DELETE => {
                self.log.push(format!("delete meter {id}"));
                meters.remove(&id);
                self.drop_flows(|action| *action == Action::Meter(id));
            }
            other => panic!("meter mod {other}"),
        }
        Ok(())
    }

    /// Flows that use what is deleted go with it.
    fn drop_flows(&mut self, uses: impl Fn(&Action) -> bool) {
        let before = self.tables.flows.len();
        self.tables.flows.retain(|_, (_, instructions, _)| {
            !instruction::applied(instructions).is_some_and(|list| list.iter().any(|action| uses(&action)))
        });
        self.removed += before - self.tables.flows.len();
    }

    fn list(&mut self, xid: Xid, request: MultipartRequest) {
        let reply = match request {
            MultipartRequest::MeterConfig(Meter::ALL_IDS) => {
                MultipartReply::MeterConfig(self.tables.meters.values().cloned().collect())
            }
            MultipartRequest::GroupDesc(Group::ALL_IDS) => {
                MultipartReply::GroupDesc(self.tables.groups.values().cloned().collect())
            }
            MultipartRequest::Flow(_) if self.mute => return self.refuse(xid, ErrorCode::REQUEST_BAD_STAT),
            MultipartRequest::Flow(request) => {
                let in_table = self.tables.flows.iter().filter(|(key, _)| key.0 == request.table_id);
                MultipartReply::Flow(in_table.map(|(key, flow)| stats(key, flow)).collect())
            }
            other => panic!("{other:?}"),
        };
        self.reply(xid, &Message::MultipartReply { reply, more: false });
    }
}

fn stats((table_id, priority, flow_match): &FlowKey, flow: &(u64, Instructions, u16)) -> FlowStats {
    FlowStats {
        table_id: *table_id,
        priority: *priority,
        idle_timeout_s: flow.2,
        hard_timeout_s: 0,
        flags: 0,
        importance: 0,
        cookie: flow.0,
        flow_match: flow_match.clone(),
        counters: Counters::default(),
        instructions: flow.1.clone(),
    }
}

fn uses(flow: &FlowMod, mut test: impl FnMut(&Action) -> bool) -> bool {
    instruction::applied(&flow.instructions).is_some_and(|list| list.iter().any(|action| test(&action)))
}
