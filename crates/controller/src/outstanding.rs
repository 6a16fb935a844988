//! What the databases still lack. Rules compare what is wanted with what stands and name what differs; once the database
//! has taken the change in, its update makes the same rules withdraw it: nothing has to be remembered about transactions.

use crate::restore_wait::{self, RestoreWait};
use crate::tables::Db;
use crate::{binding, bridge, chassis, ct_limit, multichassis, tunnel};
use kiln_incr::Target;
use kiln_ovsdb::Text;
use kiln_ovsdb::column::Pairs;
use kiln_ovsdb::txn::Txn;
use kiln_types::Uuid;
use std::collections::BTreeMap;

/// Something that the southbound database lacks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SbOp {
    /// This chassis' row and its encapsulations.
    Chassis,
    /// This chassis' row of Chassis_Private.
    ChassisPrivate,
    /// A port is here and the row does not say so.
    Claim(Uuid),
    /// A port is not here, though the row says so.
    Release(Uuid),
    /// A port is here beside its main chassis, and the row does not say so.
    ClaimAdditional(Uuid),
    /// A port is not here beside its main chassis, though the row says so.
    ReleaseAdditional(Uuid),
    /// A port that is here beside its main chassis has shown life.
    Activated(Uuid),
    /// A port's flows stand in the switch.
    Up(Uuid),
}

/// Something that the switch's database lacks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum VsOp {
    /// The integration bridge.
    CreateBridge,
    /// Columns of the integration bridge.
    Bridge,
    /// The row that tells what the switch's datapath of this kind can do.
    Datapath(Text),
    /// How many VLAN tags the switch looks at.
    VlanLimit,
    /// This controller's index among those of the host.
    Index,
    /// A conntrack zone in the bridge's `external_ids`, or its removal.
    Zone(Text),
    /// The most connections that a conntrack zone may have, or the end of that.
    ZoneLimit(u16),
    /// The tunnel of that `ovn-chassis-id`, or its removal.
    Tunnel(Text),
    /// The patch port of that name, or its removal.
    Patch(Text),
    /// `external_ids:ovn-installed` of an interface.
    Installed(Uuid),
    /// The removal of `external_ids:ovn-installed`.
    NotInstalled(Uuid),
    /// `external_ids:ovn-nb-cfg` of the bridge.
    Progress(Uuid),
    /// Whether the switch keeps still when it starts.
    RestoreWait(RestoreWait),
}

impl VsOp {
    /// Whether it is about the integration bridge itself, which does not wait for the southbound database.
    pub(crate) fn is_bridge(&self) -> bool {
        matches!(self, VsOp::CreateBridge | VsOp::Bridge)
    }
}

/// A multiset of operations.
#[derive(Debug)]
pub struct Ops<T>(BTreeMap<T, u32>);

impl<T> Default for Ops<T> {
    fn default() -> Self {
        Ops(BTreeMap::new())
    }
}

impl<T: Ord> Ops<T> {
    /// The operations in order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.keys()
    }

    /// Whether nothing is lacking.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T: Ord + Clone + Send + Sync> Target for Ops<T> {
    type Written = Vec<T>;
    type Id = T;

    fn replace(&mut self, old: &[T], new: &mut Vec<T>) -> Box<[T]> {
        for op in &*new {
            *self.0.entry(op.clone()).or_insert(0) += 1;
        }
        for op in old {
            if let Some(count) = self.0.get_mut(op) {
                *count -= 1;
                if *count == 0 {
                    self.0.remove(op);
                }
            }
        }
        new.drain(..).collect()
    }
}

/// The uuid of a row that is to be inserted: the same each time it is tried.
pub(crate) fn uuid_of(table: &str, index: &[&str]) -> Uuid {
    let mut hash = [0xcbf2_9ce4_8422_2325_u64, 0x9ae1_6a3b_2f90_404f];
    let mut mix = |byte: u8| {
        for (lane, h) in hash.iter_mut().enumerate() {
            *h = (*h ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3).rotate_left(lane as u32 * 7);
        }
    };
    for part in std::iter::once(&table).chain(index) {
        part.bytes().for_each(&mut mix);
        mix(0xff);
    }
    let bits = u128::from(hash[0]) << 64 | u128::from(hash[1]);
    // Marked as made from a name (RFC 9562, version 8).
    Uuid::from_u128(bits & !(0xf << 76) & !(0x3 << 62) | 8 << 76 | 2 << 62)
}

/// Writes what the southbound database lacks.
pub(crate) fn southbound(db: &Db, txn: &mut Txn) {
    for op in db.sb_ops.iter() {
        match op {
            SbOp::Chassis => chassis::write(db, txn),
            SbOp::ChassisPrivate => chassis::write_private(db, txn),
            SbOp::Claim(row) => {
                if let (Some(old), Some(new)) =
                    (db.sb.port_binding.peek(row), binding::claim_columns(db, *row))
                {
                    kiln_schema::update_columns(*row, old, &new, kiln_schema::Columns::ALL, txn);
                }
            }
            SbOp::Release(row) => {
                let up = db.sb.port_binding.peek(row).and_then(|port| port.up).map(|_| false);
                txn.update("Port_Binding")
                    .row(*row)
                    .set("chassis", &None::<Uuid>)
                    .set("encap", &None::<Uuid>)
                    .set("up", &up);
            }
            SbOp::ClaimAdditional(row) => {
                multichassis::write_claim(db, *row, binding::claimed_encap(db, *row), txn);
            }
            SbOp::ReleaseAdditional(row) => multichassis::write_release(db, *row, txn),
            SbOp::Activated(row) => multichassis::write_activation(db, *row, txn),
            SbOp::Up(row) => drop(txn.update("Port_Binding").row(*row).set("up", &true)),
        }
    }
}

/// Writes what the switch's database lacks. `wall_ms` is the time, in milliseconds since 1970.
pub(crate) fn local(db: &Db, wall_ms: i64, only_bridge: bool, txn: &mut Txn) {
    let mut names = Vec::new();
    for op in db.vs_ops.iter().filter(|op| !only_bridge || op.is_bridge()) {
        match op {
            VsOp::CreateBridge => bridge::create(db, txn),
            VsOp::Bridge => bridge::mend(db, txn),
            VsOp::Datapath(kind) => bridge::create_datapath(db, kind, txn),
            VsOp::VlanLimit => bridge::lift_vlan_limit(db, txn),
            VsOp::Index => {
                let (Some(settings), Some(root)) = (db.settings.peek(&()), db.root.peek(&()).first()) else {
                    continue;
                };
                let key = format!("{}{}", crate::settings::INDEX, settings.chassis);
                txn.mutate("Open_vSwitch")
                    .row(*root)
                    .put("other_config", &Pairs(&[(key.as_str(), &*settings.index)]));
            }
            VsOp::RestoreWait(what) => restore_wait::write(db, *what, txn),
            VsOp::Zone(name) => bridge::write_zone(db, name, txn),
            VsOp::ZoneLimit(zone) => ct_limit::write(db, *zone, txn),
            VsOp::Tunnel(id) => tunnel::write(db, id, &mut names, txn),
            VsOp::Patch(name) => bridge::write_patch(db, name, txn),
            VsOp::Installed(row) => {
                let now = wall_ms.to_string();
                let keys = ["ovn-installed", "ovn-installed-ts"];
                txn.mutate("Interface")
                    .row(*row)
                    .delete("external_ids", &keys)
                    .put("external_ids", &Pairs(&[(keys[0], "true"), (keys[1], &now)]));
            }
            VsOp::NotInstalled(row) => {
                let keys = ["ovn-installed", "ovn-installed-ts"];
                txn.mutate("Interface").row(*row).delete("external_ids", &keys);
            }
            VsOp::Progress(row) => {
                let Some(progress) = db.progress.peek(&()) else { continue };
                let (cfg, time) = (progress.nb_cfg.to_string(), progress.wall_ms.to_string());
                let keys = ["ovn-nb-cfg", "ovn-nb-cfg-ts"];
                txn.mutate("Bridge")
                    .row(*row)
                    .delete("external_ids", &keys)
                    .put("external_ids", &Pairs(&[(keys[0], &*cfg), (keys[1], &*time)]));
            }
        }
    }
}
