//! What a controller asks a switch over OpenFlow 1.5 with Nicira's extensions, and what the switch answers.

use super::Switch;
use kiln_openflow::msg::{
    Bucket, BundleControl, Counters, Features, FlowMod, FlowStats, FlowStatsRequest, Group, GroupFeatures,
    GroupMod, Message, Meter, MeterFeatures, MeterMod, MultipartReply, MultipartRequest, SwitchConfig,
    TlvTable, TlvTableMod,
};
use kiln_openflow::session::{Config, Event, Session};
use kiln_openflow::{Action, ErrorCode, Instruction, Version, Xid};
use kiln_testkit::interpreter::{Flow, Hits};
use kiln_types::{Instant, OfPort};
use std::collections::{BTreeMap, BTreeSet};

/// A controller's connection.
pub(super) struct Connection {
    pub(super) session: Session,
    pub(super) wants_packets: bool,
    miss_send_len: u16,
    bundles: BTreeMap<u32, Vec<(Xid, Message)>>,
}

/// All tables.
const ALL_TABLES: u8 = 0xff;

impl Switch {
    /// A controller has connected.
    pub(crate) fn connect(&mut self, now: Instant, number: u64) {
        let mut session = Session::new(Config::switch(vec![Version::V1_5]));
        session.handle_connected(now);
        let connection =
            Connection { session, wants_packets: false, miss_send_len: 0, bundles: BTreeMap::new() };
        self.connections.insert(number, connection);
    }

    /// A controller is gone; what it had not committed is too.
    pub(crate) fn disconnect(&mut self, number: u64) {
        self.connections.remove(&number);
    }

    /// Connections that have something to send, and what.
    pub(crate) fn transmit(&mut self) -> Vec<(u64, Vec<u8>)> {
        let sent = |(number, connection): (&u64, &mut Connection)| {
            connection.session.poll_transmit().map(|bytes| (*number, bytes))
        };
        self.connections.iter_mut().filter_map(sent).collect()
    }

    /// Bytes have come from a controller.
    pub(crate) fn receive_openflow(&mut self, now: Instant, number: u64, bytes: &[u8]) {
        let Some(connection) = self.connections.get_mut(&number) else { return };
        connection.session.handle_bytes(now, bytes);
        while let Some(event) = self.connections.get_mut(&number).and_then(|c| c.session.poll_event()) {
            match event {
                Event::Message { xid, message } => {
                    if let Err(code) = self.serve(now, number, xid, message) {
                        self.refuse(number, xid, code);
                    }
                }
                Event::Drop(reason) => self.fail(|| format!("an OpenFlow connection: {reason}")),
                _ => {}
            }
        }
    }

    fn connection(&mut self, number: u64) -> &mut Connection {
        self.connections.get_mut(&number).expect("it is being served")
    }

    fn reply(&mut self, number: u64, xid: Xid, message: &Message) {
        if let Err(error) = self.connection(number).session.reply(xid, message) {
            self.fail(|| format!("an answer was not sent: {error}"));
        }
    }

    fn refuse(&mut self, number: u64, xid: Xid, code: ErrorCode) {
        // A session that cannot say so is about to be dropped.
        let _ = self.connection(number).session.refuse(xid, code, &[]);
    }

    fn serve(&mut self, now: Instant, number: u64, xid: Xid, message: Message) -> Result<(), ErrorCode> {
        let answer = match message {
            Message::FeaturesRequest => Message::FeaturesReply(features()),
            Message::GetConfigRequest => {
                let miss_send_len = self.connection(number).miss_send_len;
                Message::GetConfigReply(SwitchConfig { flags: 0, miss_send_len })
            }
            Message::SetConfig(config) => {
                let connection = self.connection(number);
                connection.miss_send_len = config.miss_send_len;
                connection.wants_packets = config.miss_send_len != 0;
                return Ok(());
            }
            Message::BarrierRequest => Message::BarrierReply,
            Message::TlvTableRequest => Message::TlvTableReply(TlvTable {
                max_option_space: 256,
                max_fields: 64,
                mappings: self.options.clone(),
            }),
            Message::TlvTableMod(change) => return self.map_options(change),
            Message::MultipartRequest(request) => {
                let reply = self.list(now, request).ok_or(ErrorCode::REQUEST_BAD_STAT)?;
                Message::MultipartReply { reply, more: false }
            }
            Message::BundleControl(control) => return self.control(now, number, xid, control),
            Message::BundleAdd(add) => {
                let bundle = self.connection(number).bundles.get_mut(&add.bundle_id);
                bundle.ok_or(ErrorCode::BUNDLE_MSG_UNSUP)?.push((xid, add.message));
                return Ok(());
            }
            Message::PacketOut(out) => {
                let in_port = out.in_port().unwrap_or(OfPort::ANY);
                self.packet_out(now, in_port, &out.metadata, &out.actions, &out.packet);
                return Ok(());
            }
            Message::Resume(packet_in) => {
                return if self.resume(now, &packet_in) { Ok(()) } else { Err(ErrorCode::NX_RESUME_STALE) };
            }
            // Connections are forgotten with the switch only, and packets come in one form.
            Message::CtFlushZone(_) | Message::CtFlush(_) | Message::SetPacketInFormat(_) => return Ok(()),
            change => {
                let groups = self.pipeline.groups.keys().copied().collect();
                self.check(&change, &groups)?;
                self.apply(now, change);
                return Ok(());
            }
        };
        self.reply(number, xid, &answer);
        Ok(())
    }

    fn map_options(&mut self, change: TlvTableMod) -> Result<(), ErrorCode> {
        if change.command != TlvTableMod::ADD {
            return Err(ErrorCode::NX_TLV_BAD_COMMAND);
        }
        let taken = |index: u16| self.options.iter().any(|other| other.index == index);
        if change.mappings.iter().any(|mapping| taken(mapping.index)) {
            return Err(ErrorCode::NX_TLV_ALREADY_MAPPED);
        }
        self.options.extend(change.mappings);
        Ok(())
    }

    /// Bundles are atomic: all of a bundle is checked before any of it is done.
    fn control(
        &mut self,
        now: Instant,
        number: u64,
        xid: Xid,
        control: BundleControl,
    ) -> Result<(), ErrorCode> {
        let bundles = &mut self.connection(number).bundles;
        let id = control.bundle_id;
        match control.typ {
            BundleControl::OPEN_REQUEST => drop(bundles.insert(id, Vec::new())),
            BundleControl::CLOSE_REQUEST => {}
            BundleControl::DISCARD_REQUEST => drop(bundles.remove(&id)),
            BundleControl::COMMIT_REQUEST => {
                let messages = bundles.remove(&id).ok_or(ErrorCode::BUNDLE_MSG_FAILED)?;
                let mut groups: BTreeSet<u32> = self.pipeline.groups.keys().copied().collect();
                for (inner, message) in &messages {
                    if let Err(code) = self.check(message, &groups) {
                        self.refuse(number, *inner, code);
                        return Err(ErrorCode::BUNDLE_MSG_FAILED);
                    }
                    if let Message::GroupMod(change) = message {
                        groups.insert(change.group.group_id);
                    }
                }
                for (_, message) in messages {
                    self.apply(now, message);
                }
            }
            _ => return Err(ErrorCode::REQUEST_BAD_TYPE),
        }
        self.reply(number, xid, &Message::BundleControl(BundleControl { typ: control.typ + 1, ..control }));
        Ok(())
    }

    /// Whether a change can be made, `groups` being there.
    fn check(&self, message: &Message, groups: &BTreeSet<u32>) -> Result<(), ErrorCode> {
        match message {
            Message::FlowMod(change) => {
                let missing = uses(&change.instructions, |action| match action {
                    Action::Group(id) => !groups.contains(id),
                    Action::Meter(id) => !self.meters.has(*id),
                    _ => false,
                });
                match change.command {
                    _ if missing => Err(ErrorCode::ACTION_BAD_OUT_GROUP),
                    FlowMod::ADD | FlowMod::MODIFY_STRICT | FlowMod::DELETE_STRICT => Ok(()),
                    FlowMod::DELETE if change.flow_match.is_any() => Ok(()),
                    _ => Err(ErrorCode::FLOW_MOD_BAD_COMMAND),
                }
            }
            Message::GroupMod(change) => {
                let there = groups.contains(&change.group.group_id);
                match change.command {
                    GroupMod::ADD if there => Err(ErrorCode::GROUP_MOD_GROUP_EXISTS),
                    GroupMod::MODIFY | GroupMod::INSERT_BUCKET if !there => {
                        Err(ErrorCode::GROUP_MOD_UNKNOWN_GROUP)
                    }
                    GroupMod::INSERT_BUCKET if change.command_bucket_id != Bucket::LAST => {
                        Err(ErrorCode::REQUEST_BAD_TYPE)
                    }
                    GroupMod::ADD | GroupMod::MODIFY | GroupMod::INSERT_BUCKET | GroupMod::DELETE => Ok(()),
                    _ => Err(ErrorCode::REQUEST_BAD_TYPE),
                }
            }
            Message::MeterMod(change) => match change.command {
                MeterMod::ADD if self.meters.has(change.meter.meter_id) => {
                    Err(ErrorCode::METER_MOD_METER_EXISTS)
                }
                MeterMod::MODIFY if !self.meters.has(change.meter.meter_id) => {
                    Err(ErrorCode::METER_MOD_UNKNOWN_METER)
                }
                _ => Ok(()),
            },
            _ => Err(ErrorCode::REQUEST_BAD_TYPE),
        }
    }

    fn apply(&mut self, now: Instant, message: Message) {
        match message {
            Message::FlowMod(change) => self.change_flow(change),
            Message::GroupMod(change) => self.change_group(change),
            Message::MeterMod(change) => self.change_meter(now, change),
            _ => {}
        }
    }

    fn change_flow(&mut self, change: FlowMod) {
        let FlowMod { table_id: table, priority, flow_match, instructions, cookie, .. } = change;
        let old =
            self.pipeline.tables.get_mut(table, priority, &flow_match).map(|old| old.instructions.clone());
        let keeps = change.command == FlowMod::MODIFY_STRICT;
        if keeps && old.is_some_and(|old| self.does_the_same(&old, &instructions)) {
            self.counters.renumbered += 1;
        } else {
            self.counters.flow_changes += 1;
        }
        let tables = &mut self.pipeline.tables;
        match change.command {
            FlowMod::ADD => tables.add(Flow { table, priority, flow_match, instructions, cookie }),
            FlowMod::MODIFY_STRICT => {
                if let Some(flow) = tables.get_mut(table, priority, &flow_match) {
                    flow.instructions = instructions;
                }
            }
            FlowMod::DELETE_STRICT => drop(tables.remove(table, priority, &flow_match)),
            _ => tables.retain(|flow| table != ALL_TABLES && flow.table != table),
        }
    }

    /// Whether two flows do the same but for the numbers of meters.
    fn does_the_same(&self, one: &[Instruction], other: &[Instruction]) -> bool {
        let meter = |id| self.meter(id).map(|meter| (meter.flags, &meter.bands));
        let same = |one: Action, other: Action| match (&one, &other) {
            (Action::Meter(one), Action::Meter(other)) => meter(*one) == meter(*other),
            _ => one == other,
        };
        let list = |of: &[Instruction]| -> Vec<Action> {
            kiln_openflow::instruction::applied(of).map(|list| list.iter().collect()).unwrap_or_default()
        };
        let (one, other) = (list(one), list(other));
        one.len() == other.len() && one.into_iter().zip(other).all(|(one, other)| same(one, other))
    }

    fn change_group(&mut self, change: GroupMod) {
        let id = change.group.group_id;
        let groups = &mut self.pipeline.groups;
        match change.command {
            GroupMod::INSERT_BUCKET => {
                let group = groups.get_mut(&id).expect("it was checked");
                group.buckets.extend(change.group.buckets);
            }
            GroupMod::DELETE if id == Group::ALL_IDS => {
                groups.clear();
                self.drop_flows(|action| matches!(action, Action::Group(_)));
            }
            GroupMod::DELETE => {
                groups.remove(&id);
                self.drop_flows(|action| *action == Action::Group(id));
            }
            _ => drop(groups.insert(id, change.group)),
        }
    }

    fn change_meter(&mut self, now: Instant, change: MeterMod) {
        let id = change.meter.meter_id;
        match change.command {
            MeterMod::DELETE if id == Meter::ALL_IDS => {
                self.meters.clear();
                self.drop_flows(|action| matches!(action, Action::Meter(_)));
            }
            MeterMod::DELETE => {
                self.meters.remove(id);
                self.drop_flows(|action| *action == Action::Meter(id));
            }
            _ => self.meters.put(now, change.meter),
        }
    }

    /// Flows that use what is deleted go with it.
    fn drop_flows(&mut self, used: impl Fn(&Action) -> bool) {
        self.pipeline.tables.retain(|flow| !uses(&flow.instructions, |action| used(action)));
    }

    fn list(&self, now: Instant, request: MultipartRequest) -> Option<MultipartReply> {
        let wanted = |id: u32, all: u32, one: u32| id == all || id == one;
        Some(match request {
            MultipartRequest::Flow(request) if request.flow_match.is_any() => {
                MultipartReply::Flow(self.flows(now, &request))
            }
            MultipartRequest::GroupDesc(id) => {
                let groups = self.pipeline.groups.values();
                let groups = groups.filter(|group| wanted(id, Group::ALL_IDS, group.group_id));
                MultipartReply::GroupDesc(groups.cloned().collect())
            }
            MultipartRequest::MeterConfig(id) => {
                let meters = self.meters.all().filter(|meter| wanted(id, Meter::ALL_IDS, meter.meter_id));
                MultipartReply::MeterConfig(meters.cloned().collect())
            }
            MultipartRequest::Meter(id) => {
                let counted =
                    self.meters.counted().filter(|meter| wanted(id, Meter::ALL_IDS, meter.meter_id));
                MultipartReply::Meter(counted.collect())
            }
            MultipartRequest::GroupFeatures => MultipartReply::GroupFeatures(GroupFeatures {
                types: 0xf,
                capabilities: 7,
                max_groups: [Group::ALL_IDS - 0xff; 4],
                actions: [0; 4],
            }),
            MultipartRequest::MeterFeatures => MultipartReply::MeterFeatures(MeterFeatures {
                max_meters: 1 << 16,
                band_types: 2,
                capabilities: 0xf,
                max_bands: 1,
                max_color: 0,
            }),
            MultipartRequest::PortDesc(_) => MultipartReply::PortDesc(Vec::new()),
            _ => return None,
        })
    }

    fn flows(&self, now: Instant, request: &FlowStatsRequest) -> Vec<FlowStats> {
        let tables = match request.table_id {
            ALL_TABLES => 0..=ALL_TABLES,
            one => one..=one,
        };
        let asked = |flow: &Flow| flow.cookie & request.cookie_mask == request.cookie & request.cookie_mask;
        let counted = tables.flat_map(|table| self.pipeline.tables.counted(table));
        counted.filter(|(flow, _)| asked(flow)).map(|(flow, hits)| stats(now, flow, hits)).collect()
    }
}

fn stats(now: Instant, flow: &Flow, hits: Hits) -> FlowStats {
    let since = now.saturating_since(hits.last);
    FlowStats {
        table_id: flow.table,
        priority: flow.priority,
        idle_timeout_s: 0,
        hard_timeout_s: 0,
        flags: 0,
        importance: 0,
        cookie: flow.cookie,
        flow_match: flow.flow_match.clone(),
        counters: Counters {
            // Open vSwitch tells whole seconds.
            idle: Some((since.as_secs() as u32, 0)),
            packets: Some(hits.packets),
            bytes: Some(hits.bytes),
            ..Counters::default()
        },
        instructions: flow.instructions.clone(),
    }
}

fn features() -> Features {
    Features {
        datapath_id: 1,
        n_buffers: 0,
        n_tables: 254,
        auxiliary_id: 0,
        capabilities: 0,
        reserved: 0,
        ports: Box::default(),
    }
}

/// Whether one of the actions, outside of lists inside of lists, is such.
fn uses(instructions: &[Instruction], mut test: impl FnMut(&Action) -> bool) -> bool {
    kiln_openflow::instruction::applied(instructions)
        .is_some_and(|list| list.iter().any(|action| test(&action)))
}
