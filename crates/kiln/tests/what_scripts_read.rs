//! What scripts read and write of daemons beside their rows, beside stock's: versions, the file that names the chassis,
//! schemas, modules of the log, counters, nodes of the incremental engine.

#![allow(clippy::disallowed_methods, reason = "tests look at files")]

mod common;

use common::chassis::Chassis;
use common::client::Client;
use common::database::Database;
use common::{Daemon, Folder, LONG, Whose, northd, program, run, share, until};
use serde_json::json;
use std::collections::BTreeSet;
use std::fs;

const BOTH: [Whose; 2] = [Whose::Stock, Whose::Kiln];

/// The databases with a switch in them, and both daemons on them.
struct System {
    nb: Database,
    sb: Database,
    northd: Daemon,
    chassis: Chassis,
    folder: Folder,
}

fn system(whose: Whose) -> System {
    let folder = Folder::new("read");
    let (nb, sb) = (Database::start(&folder, "nb"), Database::start(&folder, "sb"));
    let northd = northd(&folder, "northd", whose);
    let chassis = Chassis::start(&folder, "hv1", whose, &[]);
    let system = System { nb, sb, northd, chassis, folder };
    system.sync(1);
    system
}

impl System {
    fn daemons(&self) -> [&Daemon; 2] {
        [&self.northd, &self.chassis.controller]
    }

    /// Waits until all that was configured stands in the switch.
    fn sync(&self, nb_cfg: i64) {
        let mut northbound = self.nb.client();
        let set = json!({ "op": "update", "table": "NB_Global", "where": [], "row": { "nb_cfg": nb_cfg } });
        until("NB_Global", LONG, || (northbound.count("NB_Global") == 1).then_some(()));
        northbound.transact(&[set]);
        // What northd says of all chassis is true of none as well.
        let mut southbound = self.sb.client();
        until("the chassis to catch up", LONG, || {
            (southbound.column("Chassis_Private", "nb_cfg") == [&*nb_cfg.to_string()]).then_some(())
        });
        until("northd to say so", LONG, || {
            (northbound.column("NB_Global", "hv_cfg") == [&*nb_cfg.to_string()]).then_some(())
        });
    }
}

/// The program's name and the form of its version, without the numbers: the first two words, as scripts take them.
fn form(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let words: Vec<&str> = line.split(' ').take(2).collect();
    words.join(" ").replace(|c: char| c.is_ascii_digit(), "0").replace("00", "0")
}

#[test]
fn versions_have_stocks_form() {
    for name in ["ovn-northd", "ovn-controller"] {
        let [stock, kiln] = BOTH.map(|whose| run(program(whose, name).arg("--version")));
        assert_eq!(form(&stock), format!("{name} 0.0.0"), "{stock}");
        assert_eq!(form(&kiln), form(&stock), "{kiln}");
        assert!(kiln.lines().next().expect("a line").contains("(Kiln "), "{kiln}");
        assert_eq!(kiln.lines().count(), stock.lines().count(), "{kiln}");
    }
}

/// The command line comes first, then the file, then the database.
#[test]
fn the_chassis_is_named_by_file_and_command_line() {
    let named = |whose, arguments: &[&str]| {
        let folder = Folder::new("named");
        let sb = Database::start(&folder, "sb");
        let mut chassis = Chassis::start(&folder, "of-the-database", whose, &[]);
        until("the chassis", LONG, || (sb.client().count("Chassis") == 1).then_some(()));
        // Its tunnel's address is to be another's.
        chassis.controller.ask(&["exit"]);
        chassis.controller.wait_end();
        assert_eq!(sb.client().count("Chassis"), 0);
        fs::create_dir(folder.path("etc")).expect("a folder");
        fs::write(folder.path("etc/system-id-override"), "of-the-file\nno more\n").expect("a file");
        let mut command = program(whose, "ovn-controller");
        command.args(arguments).arg(chassis.database.remote()).env("OVN_SYSCONFDIR", folder.path("etc"));
        let _controller = Daemon::start(&folder, "again", command);
        let name =
            || sb.client().column("Chassis", "name").into_iter().find(|name| name != "of-the-database");
        until("another name", LONG, name)
    };
    for whose in BOTH {
        assert_eq!(named(whose, &[]), "of-the-file", "{whose:?}");
        assert_eq!(named(whose, &["-n", "of-the-line"]), "of-the-line", "{whose:?}");
    }
}

/// Nobody who has stock's database needs to convert it for Kiln's schema.
#[test]
fn schemas_are_stocks_by_their_checksums() {
    let folder = Folder::new("schema");
    let tool = || program(Whose::Stock, "ovsdb-tool");
    for (word, file) in [("nb", "ovn/ovn-nb.ovsschema"), ("sb", "ovn/ovn-sb.ovsschema")] {
        let (own, stock) = (folder.path(word), share(Whose::Stock, file));
        fs::write(&own, run(program(Whose::Kiln, "schema").arg(word))).expect("a file");
        for what in ["schema-name", "schema-version", "schema-cksum"] {
            let [own, stock] = [&own, &stock].map(|file| run(tool().arg(what).arg(file)));
            assert!(!stock.trim().is_empty());
            assert_eq!(own, stock, "{what} of {word}");
        }
        let database = folder.path(&format!("{word}.db"));
        run(tool().arg("create").arg(&database).arg(&stock));
        assert_eq!(run(tool().arg("needs-conversion").arg(&database).arg(&own)), "no\n", "{word}");
        let database = folder.path(&format!("{word}-own.db"));
        run(tool().arg("create").arg(&database).arg(&own));
        assert_eq!(run(tool().arg("needs-conversion").arg(&database).arg(&stock)), "no\n", "{word}");
    }
}

/// The first words of lines.
fn words(text: &str) -> BTreeSet<String> {
    text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

#[test]
fn modules_counters_and_nodes_have_stocks_names() {
    let [stock, kiln] = BOTH.map(system);
    for (stock, kiln) in stock.daemons().into_iter().zip(kiln.daemons()) {
        modules(stock, kiln);
        // What was never counted is not shown by either.
        for counter in words(&stock.ask(&["coverage/show"])).iter().filter(|word| word.contains('_')) {
            let total = kiln.ask(&["coverage/read-counter", counter]);
            assert!(total.parse::<u64>().is_ok(), "{counter}: {total}");
        }
        let nodes = |daemon: &Daemon| -> BTreeSet<String> {
            let text = daemon.ask(&["inc-engine/show-stats"]);
            text.lines().filter_map(|line| line.strip_prefix("Node: ")).map(str::to_owned).collect()
        };
        let missing: Vec<String> = nodes(stock).difference(&nodes(kiln)).cloned().collect();
        assert!(missing.is_empty(), "{missing:?}");
        let cells = |daemon: &Daemon| -> BTreeSet<String> {
            let text = daemon.ask(&["memory/show"]);
            text.split_whitespace()
                .filter_map(|word| word.split(':').next())
                .filter(|key| key.starts_with("idl-cells"))
                .map(str::to_owned)
                .collect()
        };
        assert!(cells(stock).len() == 2 && cells(stock) == cells(kiln), "{:?}", cells(kiln));
    }
    for on in [&stock, &kiln] {
        what_is_counted(on);
    }
}

/// Stock's modules are known, and keep the level they are given.
fn modules(stock: &Daemon, kiln: &Daemon) {
    let [of_stock, of_kiln] = [stock, kiln].map(|daemon| words(&daemon.ask(&["vlog/list"])));
    let missing: Vec<&String> = of_stock.difference(&of_kiln).collect();
    assert!(missing.is_empty(), "{missing:?}");
    for daemon in [stock, kiln] {
        assert_eq!(daemon.ask(&["vlog/set", "jsonrpc:file:dbg"]), "");
        let list = daemon.ask(&["vlog/list"]);
        let line = list.lines().find(|line| line.starts_with("jsonrpc ")).expect("a line");
        assert!(line.ends_with("DBG"), "{line}");
        assert_eq!(daemon.ask(&["vlog/set", "jsonrpc:file:info"]), "");
    }
}

/// A new switch is a transaction, and nothing is computed all over again for it; after a recompute, everything is.
fn what_is_counted(on: &System) {
    let count = |daemon: &Daemon, name: &str| -> u64 {
        daemon.ask(&["coverage/read-counter", name]).trim().parse().expect("a number")
    };
    let northd = |name: &str| count(&on.northd, name);
    let controller = |name: &str| count(&on.chassis.controller, name);
    let node = |daemon: &Daemon, node: &str, what: &str| -> u64 {
        daemon.ask(&["inc-engine/show-stats", node, what]).trim().parse().expect("a number")
    };
    let totals =
        || [northd("txn_success"), northd("northd_run"), controller("lflow_run"), controller("txn_success")];
    let before = until("both to have worked", LONG, || {
        Some(totals()).filter(|totals| totals.iter().all(|total| *total > 0))
    });
    for daemon in on.daemons() {
        daemon.ask(&["inc-engine/clear-stats"]);
    }
    let mut northbound: Client = on.nb.client();
    northbound.transact(&[
        json!({ "op": "insert", "table": "Logical_Switch_Port", "uuid-name": "p", "row": { "name": "p" } }),
        json!({ "op": "insert", "table": "Logical_Switch", "row": { "name": "new", "ports": ["named-uuid", "p"] } }),
    ]);
    on.sync(2);
    assert!(northd("txn_success") > before[0]);
    assert_eq!(controller("lflow_run"), before[2], "of {:?}", on.northd.name);
    assert_eq!(node(&on.chassis.controller, "lflow_output", "recompute"), 0);
    for daemon in on.daemons() {
        daemon.ask(&["inc-engine/recompute"]);
    }
    until("northd to run all over again", LONG, || (northd("northd_run") > before[1]).then_some(()));
    until("flows to be made all over again", LONG, || (controller("lflow_run") > before[2]).then_some(()));
    assert!(node(&on.northd, "northd", "recompute") > 0);
    assert!(node(&on.northd, "lflow", "recompute") > 0);
    assert!(node(&on.chassis.controller, "lflow_output", "recompute") > 0);
    assert!(on.folder.path("nb.sock").exists());
}

/// A module of stock's is no mistake on the command line, one that nobody knows is, in stock's words.
#[test]
fn levels_of_modules_on_the_command_line() {
    for name in ["ovn-northd", "ovn-controller"] {
        for whose in BOTH {
            run(program(whose, name).args(["-vjsonrpc:dbg", "-vstream_ssl:file:off", "--version"]));
        }
        let [stock, kiln] = BOTH.map(|whose| {
            let output = program(whose, name).arg("-vno_such_module:dbg").output().expect("programs start");
            (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
        });
        assert_eq!(kiln, stock);
        assert_eq!(stock.0, Some(1), "{stock:?}");
    }
}
