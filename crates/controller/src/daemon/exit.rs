//! The end: with everything that is this chassis' removed from both databases, or with nothing touched.

use super::ControllerDaemon;
use kiln_ovsdb::client::TxnId;
use kiln_types::Uuid;
use tracing::info;

/// How far the end is.
#[derive(Debug, Default)]
pub(super) enum Exit {
    /// Not wanted.
    #[default]
    Running,
    /// Wanted, with clean-up; what was sent and not answered yet.
    CleaningUp { sent: bool, awaited: Vec<TxnId> },
    /// The process may end.
    Done,
}

impl Exit {
    pub(super) fn is_running(&self) -> bool {
        !matches!(self, Exit::Running)
    }

    pub(super) fn transacted(&mut self, id: TxnId) {
        if let Exit::CleaningUp { awaited, .. } = self {
            awaited.retain(|other| *other != id);
        }
    }
}

impl ControllerDaemon {
    /// Starts to end. `restart`: another instance takes over, and finds everything as it is.
    pub fn begin_exit(&mut self, restart: bool) {
        let settings = self.compiler.db().settings.peek(&());
        let cleans = !restart && settings.is_none_or(|settings| settings.cleanup_on_exit);
        let said = if cleans { "True" } else { "False" };
        info!(target: "main", "Exiting ovn-controller, resource cleanup: {said}");
        self.exit = if cleans { Exit::CleaningUp { sent: false, awaited: Vec::new() } } else { Exit::Done };
    }

    /// Whether the process may end.
    pub fn is_finished(&self) -> bool {
        matches!(self.exit, Exit::Done)
    }

    /// Removes this chassis from the databases.
    pub(super) fn write_exit(&mut self) {
        let Exit::CleaningUp { sent: sent @ false, awaited } = &mut self.exit else { return };
        *sent = true;
        let db = self.compiler.db();
        if self.southbound.session().is_synced() {
            let mut txn = self.southbound.session().txn();
            if let Some(me) = db.me.peek(&()) {
                for (row, port) in db.sb.port_binding.iter() {
                    if port.chassis == Some(*me) {
                        // Without a chassis nobody takes `up` for true; who claims the port next sets it anew.
                        txn.update("Port_Binding")
                            .row(*row)
                            .set("chassis", &None::<Uuid>)
                            .set("encap", &None::<Uuid>);
                    }
                    if port.additional_chassis.contains(me) {
                        crate::multichassis::write_release(db, *row, &mut txn);
                    }
                }
                txn.delete("Chassis").row(*me);
            }
            let name = db.settings.peek(&()).map(|settings| settings.chassis.clone());
            for row in name.iter().flat_map(|name| db.chassis_private_named.peek(name)) {
                txn.delete("Chassis_Private").row(*row);
            }
            if !txn.is_empty() {
                awaited.push(self.southbound.session_mut().transact(txn));
            }
        }
        if self.local.session().is_synced() {
            let mut txn = self.local.session().txn();
            for port in db.tunnel_ports.iter().flat_map(|(_, ports)| ports) {
                for bridge in db.bridge_of_port.peek(port) {
                    txn.mutate("Bridge").row(*bridge).delete("ports", port);
                }
            }
            if let (Some(settings), Some(root)) = (db.settings.peek(&()), db.root.peek(&()).first()) {
                let key = format!("{}{}", crate::settings::INDEX, settings.chassis);
                txn.mutate("Open_vSwitch").row(*root).delete("other_config", &[key.as_str()]);
            }
            if !txn.is_empty() {
                awaited.push(self.local.session_mut().transact(txn));
            }
        }
    }

    /// Ends once all answers are there, or can no longer come.
    pub(super) fn finish_exit(&mut self) {
        if let Exit::CleaningUp { sent: true, awaited } = &self.exit
            && awaited.is_empty()
        {
            self.exit = Exit::Done;
        }
    }
}
