//! Databases on three servers each, whose leaders are killed while ports come and go.

#![allow(clippy::disallowed_methods, reason = "tests look at files, processes and the clock")]

mod common;

use common::chassis::{Chassis, flows};
use common::client::Client;
use common::{Daemon, Folder, LONG, Whose, network, northd_of, program, run, share, until};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How long both daemons may take to follow a new leader.
const LIMIT: Duration = Duration::from_secs(10);

/// Three servers of one database.
struct Cluster {
    name: &'static str,
    servers: Vec<Daemon>,
    sockets: Vec<std::path::PathBuf>,
}

impl Cluster {
    #[track_caller]
    fn start(folder: &Folder, word: &str, name: &'static str) -> Cluster {
        let schema = share(Whose::Stock, &format!("ovn/ovn-{word}.ovsschema"));
        let (mut servers, mut sockets) = (Vec::new(), Vec::new());
        for at in 0..3 {
            let path = |what: &str| folder.path(&format!("{word}{at}.{what}"));
            let raft = |at: usize| folder.remote(&format!("{word}{at}.raft"));
            let mut tool = program(Whose::Stock, "ovsdb-tool");
            if at == 0 {
                run(tool.arg("create-cluster").arg(path("db")).arg(&schema).arg(raft(0)));
            } else {
                run(tool.arg("join-cluster").arg(path("db")).arg(name).arg(raft(at)).arg(raft(0)));
            }
            let mut command = program(Whose::Stock, "ovsdb-server");
            command.arg(path("db")).arg(format!("--remote=punix:{}", path("sock").display()));
            servers.push(Daemon::start(folder, &format!("{word}{at}"), command));
            sockets.push(path("sock"));
        }
        let cluster = Cluster { name, servers, sockets };
        until("the cluster to be whole", LONG, || {
            let joined =
                |server: &Daemon| server.ask(&["cluster/status", name]).contains("Status: cluster member");
            (cluster.leader().is_some() && cluster.servers.iter().all(joined)).then_some(())
        });
        cluster
    }

    fn leader(&self) -> Option<usize> {
        let leads = |server: &Daemon| server.ask(&["cluster/status", self.name]).contains("Role: leader");
        self.servers.iter().position(|server| server.runs() && leads(server))
    }

    fn remotes(&self) -> String {
        let remotes: Vec<String> =
            self.sockets.iter().map(|socket| format!("unix:{}", socket.display())).collect();
        remotes.join(",")
    }

    /// A client of some server that runs.
    fn client(&self) -> Client {
        let at = self.servers.iter().position(Daemon::runs).expect("some server runs");
        Client::connect(&self.sockets[at], self.name)
    }
}

/// Adds ports to a switch one by one until told to stop, whichever server answers.
fn load(
    sockets: Vec<std::path::PathBuf>,
    stop: Arc<AtomicBool>,
    added: Arc<AtomicUsize>,
) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let (mut at, mut client, mut next) = (0, None, 100);
        while !stop.load(Ordering::Relaxed) {
            if client.is_none() {
                at = (at + 1) % sockets.len();
                client = Client::try_connect(&sockets[at], "OVN_Northbound").ok();
            }
            let done =
                client.as_mut().map(|client| client.try_transact(&network::more_ports(0, next..next + 1)));
            match done {
                Some(Ok(_)) => next += 1,
                // The name is taken: it was carried out, though nobody said so.
                Some(Err(error)) if error.contains("constraint violation") => next += 1,
                _ => {
                    client = None;
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
            added.store(next - 100, Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(5));
        }
    })
}

#[test]
fn both_daemons_follow_new_leaders_under_load() {
    let folder = Folder::new("raft");
    let mut nb = Cluster::start(&folder, "nb", "OVN_Northbound");
    let mut sb = Cluster::start(&folder, "sb", "OVN_Southbound");
    network::build(&mut nb.client(), 2, 4);
    let northd = northd_of(&folder, "northd", Whose::Kiln, &nb.remotes(), &sb.remotes());
    let _chassis = Chassis::start(&folder, "hv1", Whose::Kiln, &[("ovn-remote", &sb.remotes())]);
    Chassis::plug(&folder, &["s0p0", "s1p1"]);
    let has_flows = |port: usize| {
        let address = network::addresses(0, port);
        let mac = address.split(' ').next().expect("a MAC address").to_owned();
        flows(&folder).iter().any(|flow| flow.contains(&mac))
    };
    until("the first flows", LONG, || has_flows(1).then_some(()));
    let (stop, added) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let adding = load(nb.sockets.clone(), Arc::clone(&stop), Arc::clone(&added));
    for cluster in [&mut nb, &mut sb] {
        let before = added.load(Ordering::Relaxed);
        until("load", LONG, || (added.load(Ordering::Relaxed) > before + 20).then_some(()));
        let leader = cluster.leader().expect("there is a leader");
        cluster.servers[leader].kill();
        let start = Instant::now();
        until("another leader", LONG, || cluster.leader());
        let elected = start.elapsed();
        // A port that did not exist before there was a leader.
        let port = added.load(Ordering::Relaxed) + 101;
        until("flows of a new port", LONG, || has_flows(port).then_some(()));
        let took = start.elapsed();
        println!("{}: a leader after {elected:?}, flows of a new port after {took:?}", cluster.name);
        assert!(took < elected + LIMIT, "{took:?}");
        cluster.servers[leader].spawn();
    }
    stop.store(true, Ordering::Relaxed);
    adding.join().expect("the load ends");
    let wanted = nb.client().column("Logical_Switch_Port", "name");
    println!("{} ports", wanted.len());
    let bound = |cluster: &Cluster| {
        let mut names = cluster.client().column("Port_Binding", "logical_port");
        names.retain(|name| !name.starts_with("down-"));
        names
    };
    until("every port to be bound once", LONG, || (bound(&sb) == wanted).then_some(()));
    let flows: Vec<_> = sb.client().select(
        "Logical_Flow",
        &json!([]),
        &["match", "actions", "table_id", "priority", "pipeline", "logical_datapath", "logical_dp_group"],
    );
    let mut texts: Vec<String> = flows.iter().map(ToString::to_string).collect();
    texts.sort();
    let all = texts.len();
    texts.dedup();
    assert_eq!(texts.len(), all, "no flow is there twice");
    assert_eq!(northd.ask(&["status"]), "Status: active");
}
