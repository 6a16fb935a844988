//! A chassis: a stock switch on a dummy datapath, its database, and a controller.

use crate::{Component, Daemon, Database, Lab, Server, Whose, wait_for};

/// A chassis in a lab.
#[derive(Clone, Debug)]
pub struct Chassis {
    /// Its name in the lab, which its daemons' names begin with.
    pub name: String,
    /// The server of its own database.
    pub server: Server,
    /// Its controller.
    pub controller: Daemon,
}

impl Lab {
    /// Starts a chassis: a switch without any real interface, whose ports come up by being named, and a controller. `system`
    /// is the chassis' name in the databases, `lines` are commands of `ovs-vsctl` that configure it.
    #[track_caller]
    pub fn chassis(
        &mut self,
        name: &str,
        whose: Whose,
        system: &str,
        south: &Server,
        lines: &str,
    ) -> Chassis {
        let server = self.serve(&format!("{name}-conf"), Database::Switch);
        self.start_switch(name, &server);
        let base = format!(
            "set Open_vSwitch . external_ids:system-id={system} external_ids:hostname={system} \
             'external_ids:ovn-remote=\"{}\"' external_ids:ovn-encap-type=geneve external_ids:ovn-encap-ip=127.0.0.1\n\
             add-br br-int\n\
             set Bridge br-int fail_mode=secure other_config:disable-in-band=true\n{lines}",
            south.remote
        );
        self.ctl_lines("ovs-vsctl", &server, &base);
        let controller = self.start_controller(&format!("{name}-controller"), whose, &server);
        Chassis { name: name.into(), server, controller }
    }

    /// Starts the switch of a chassis, also again.
    #[track_caller]
    pub fn start_switch(&mut self, name: &str, server: &Server) {
        let mut switch = self.program(Component::Stock, "ovs-vswitchd");
        switch.args(["--no-chdir", "--enable-dummy=override", "--disable-system", &server.remote]);
        // The switch's own listening sockets of each bridge are told apart by the folder.
        let folder = self.path(&format!("{name}-run"));
        std::fs::create_dir_all(&folder).expect("the lab's folder is writable");
        self.start_in(&format!("{name}-switch"), switch, &[], &folder);
    }

    /// Starts a controller for the switch of a database.
    #[track_caller]
    pub fn start_controller(&mut self, name: &str, whose: Whose, server: &Server) -> Daemon {
        let mut command = self.program(whose, "ovn-controller");
        command.arg(&server.remote);
        let folder = server_folder(self, server);
        self.start_in(name, command, &[], &folder);
        Daemon { name: name.into(), whose }
    }

    /// `ovs-ofctl` on the integration bridge of a chassis.
    #[track_caller]
    pub fn ofctl(&self, chassis: &Chassis, line: &str) -> String {
        let bridge = self.path(&format!("{}-run/br-int.mgmt", chassis.name));
        self.stock("ovs-ofctl", &format!("-O OpenFlow15 {line}").replace("BR", &bridge.to_string_lossy()))
    }

    /// Has a chassis take a logical port: an interface of the same name appears on its bridge.
    #[track_caller]
    pub fn plug(&self, chassis: &Chassis, port: &str) {
        let lines = format!("add-port br-int {port}\nset Interface {port} external_ids:iface-id={port}");
        self.ctl_lines("ovs-vsctl", &chassis.server, &lines);
    }

    /// Has northd and a chassis' controller say that they have done what the northbound database says, though other chassis
    /// may say nothing.
    #[track_caller]
    pub fn acknowledge_all(&self, north: &Server, south: &Server, system: &str) {
        let number: i64 =
            self.ctl("ovn-nbctl", north, "get NB_Global . nb_cfg").trim().parse().expect("a number");
        self.wait_acknowledged(south, system, number);
    }

    /// Has every controller at a southbound database say that it has installed what stands there, with no northd about.
    #[track_caller]
    pub fn acknowledge(&self, south: &Server, system: &str, number: i64) {
        self.ctl("ovn-sbctl", south, &format!("set SB_Global . nb_cfg={number}"));
        self.wait_acknowledged(south, system, number);
    }

    #[track_caller]
    fn wait_acknowledged(&self, south: &Server, system: &str, number: i64) {
        wait_for(&format!("{system} to have installed what the database says"), || {
            let rows = self.rows(south, Database::Southbound, "Chassis_Private");
            rows.iter().any(|row| row["name"] == system && row["nb_cfg"] == number).then_some(())
        });
    }
}

fn server_folder(lab: &Lab, server: &Server) -> std::path::PathBuf {
    let name = server.remote.rsplit('/').next().unwrap_or_default().trim_end_matches("-conf.sock");
    lab.path(&format!("{name}-run"))
}
