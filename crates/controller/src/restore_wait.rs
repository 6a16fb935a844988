//! A gateway that boots must not look alive to its peers before it can forward: while Open_vSwitch
//! `other_config:flow-restore-wait` is true, a switch that starts keeps still (ovs-vswitchd.conf.db(5)). A chassis that is one of
//! several candidates of a gateway leaves it set for the next start, and lifts it once the switch that runs has its flows.
//! `external_ids:ovn-managed-flow-restore-wait` tells that from what scripts set, which is theirs to lift.
//!
//! ```text
//!   flows are in        the switch has read it       the switch restarts
//!  ------------> lift --------------------------> set ------------------> (flows are in) lift ...
//! ```

use crate::outstanding::VsOp;
use crate::tables::{Ctx, Db};
use kiln_ovsdb::Text;
use kiln_ovsdb::column::Pairs;
use kiln_ovsdb::txn::Txn;
use kiln_schema_vswitch::OpenVswitch;
use kiln_types::Uuid;

/// Of `Open_vSwitch.other_config`: a switch that starts keeps still.
const WAIT: &str = "flow-restore-wait";
/// Of `Open_vSwitch.external_ids`: it was a controller that set it.
const MANAGED: &str = "ovn-managed-flow-restore-wait";

/// How far the switch is that runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SwitchStart {
    /// It has its flows.
    pub has_flows: bool,
    /// It was told since to wait no longer, and has read that.
    pub is_lifted: bool,
}

/// What is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RestoreWait {
    /// The switch need not wait any longer.
    Lift,
    /// It is to wait when it starts again.
    Set,
    /// This chassis is no gateway any more.
    Forget,
}

/// Gateways of several candidates of which this chassis is one.
pub(crate) fn shared_gateways(ctx: &Ctx<'_>, group: &Uuid, out: &mut Vec<((), Uuid)>) {
    if crate::gateway::is_one_of_several(ctx, group) {
        out.push(((), *group));
    }
}

/// Whether what the switch does at its next start differs from what it should.
pub(crate) fn differences(ctx: &Ctx<'_>, _: &(), out: &mut Vec<VsOp>) {
    let Some(root) = ctx.all(&ctx.root, &()).first().and_then(|row| ctx.row(&ctx.vs.open_vswitch, row))
    else {
        return;
    };
    let waits = root.other_config().get(WAIT).is_some_and(|text| &**text == "true");
    let is_ours = root.external_ids().get(MANAGED).is_some();
    if ctx.all(&ctx.shared_gateways, &()).is_empty() {
        out.extend(is_ours.then_some(VsOp::RestoreWait(RestoreWait::Forget)));
        return;
    }
    let switch = ctx.value(&ctx.switch_start, &()).copied().unwrap_or_default();
    out.extend(match (waits, switch.is_lifted) {
        (true, false) if is_ours && switch.has_flows => Some(VsOp::RestoreWait(RestoreWait::Lift)),
        (false, true) => Some(VsOp::RestoreWait(RestoreWait::Set)),
        _ => None,
    });
}

/// Writes it.
pub(crate) fn write(db: &Db, what: RestoreWait, txn: &mut Txn) {
    let Some(root) = db.root.peek(&()).first() else { return };
    let wait = if what == RestoreWait::Set { "true" } else { "false" };
    let mut op = txn.mutate("Open_vSwitch");
    op.row(*root).delete("other_config", &[WAIT]).put("other_config", &Pairs(&[(WAIT, wait)]));
    match what {
        RestoreWait::Set => drop(op.put("external_ids", &Pairs(&[(MANAGED, "true")]))),
        RestoreWait::Forget => drop(op.delete("external_ids", &[MANAGED])),
        // The switch says so in `cur_cfg` once it has read the row.
        RestoreWait::Lift => drop(op.add("next_cfg", &1i64)),
    }
}

/// Whether the switch has read a row that does not tell it to wait.
pub(crate) fn has_read_lift(db: &Db) -> bool {
    let root: Option<&OpenVswitch> = db.root.peek(&()).first().and_then(|row| db.vs.open_vswitch.peek(row));
    root.is_some_and(|root| {
        root.other_config.get(WAIT).map(Text::as_ref) != Some("true") && root.cur_cfg >= root.next_cfg
    })
}
