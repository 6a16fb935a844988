//! What goes wrong, and is mended again.

use crate::database::Which;
use crate::stream::Peer;
use crate::world::{Actor, World};
use kiln_controller::daemon::ControllerDaemon;
use kiln_northd::daemon::NorthdDaemon;
use serde_json::json;
use std::time::Duration;

impl World {
    /// Starts a daemon that does not run.
    pub fn start(&mut self, actor: Actor) {
        let seed = self.rng.u64(..);
        match actor {
            Actor::Northd(number) => {
                let config = kiln_northd::daemon::Config {
                    northbound: "tcp:192.0.2.1:6641".parse().expect("a remote"),
                    southbound: "tcp:192.0.2.1:6642".parse().expect("a remote"),
                    paused: false,
                    seed,
                };
                self.northds[number].get_or_insert_with(|| NorthdDaemon::new(config));
            }
            Actor::Controller(number) => {
                let name = &self.chassis[number].name;
                let config = kiln_controller::daemon::Config {
                    local: format!("unix:/{name}/db.sock").parse().expect("a remote"),
                    switch_run_dir: format!("/{name}"),
                    chassis_name: None,
                    hostname: name.as_str().into(),
                    seed,
                };
                self.chassis[number].controller.get_or_insert_with(|| ControllerDaemon::new(config));
            }
        }
        self.wake(actor);
    }

    /// Starts every daemon.
    pub fn start_all(&mut self) {
        for number in 0..self.northds.len() {
            self.start(Actor::Northd(number));
        }
        for number in 0..self.chassis.len() {
            self.start(Actor::Controller(number));
        }
    }

    /// Kills a daemon as SIGKILL would: its connections break, and nobody is told why.
    pub fn kill(&mut self, actor: Actor) {
        let Some(daemon) = self.daemon(actor) else { return };
        for side in 0..daemon.sides() {
            self.close(actor, side);
        }
        match actor {
            Actor::Northd(number) => self.northds[number] = None,
            Actor::Controller(number) => self.chassis[number].controller = None,
        }
    }

    /// Kills a daemon, and starts it again after a while.
    pub fn restart(&mut self, actor: Actor, after: Duration) {
        self.kill(actor);
        let at = self.now() + after;
        self.at(at, "start", move |world| world.start(actor));
    }

    /// A switch starts again without its flows.
    pub fn restart_switch(&mut self, chassis: usize) {
        self.break_streams(Peer::Switch(chassis));
        self.chassis[chassis].switch.restart();
    }

    /// Cuts a database off: connections break, and no new ones are made until it is back.
    pub fn cut(&mut self, which: Which, time: Duration) {
        self.database(which).is_cut = true;
        self.break_streams(Peer::Database(which));
        let at = self.now() + time;
        self.at(at, "mend", move |world| world.database(which).is_cut = false);
    }

    /// A database takes in nothing and gives out nothing for a while, and its connections stay.
    pub fn stall(&mut self, which: Which, time: Duration) {
        let until = self.now() + time;
        self.database(which).stalled_until = until;
    }

    /// From now on everything takes so much longer on its way to a database, and back.
    pub fn slow(&mut self, which: Which, by: Duration) {
        self.database(which).slowed_by = by;
    }

    /// A host moves to another chassis, silently.
    pub fn migrate(&mut self, host: usize, to: usize) {
        let (now, from) = (self.now(), self.hosts[host].chassis);
        let logical_port = self.hosts[host].logical_port.clone();
        self.chassis[from].unplug(now, host);
        self.local_changed(from);
        self.hosts[host].chassis = to;
        self.chassis[to].plug(now, host, &logical_port);
        self.local_changed(to);
    }

    /// Enables or disables a host's logical port in the northbound database.
    pub fn enable(&mut self, host: usize, enabled: bool) {
        let now = self.now();
        let name = &self.hosts[host].logical_port;
        let set = if enabled { json!(["set", []]) } else { json!(false) };
        let operations = json!([
            "OVN_Northbound",
            { "op": "update", "table": "Logical_Switch_Port", "where": [["name", "==", name]],
              "row": { "enabled": set } },
        ]);
        self.northbound.transact(now, &operations.to_string());
        self.pump_database(Which::Northbound);
    }
}
