//! Databases of an older release's schema, as they stand before somebody converts them: what they cannot hold is left out,
//! and the rest is written.

#![allow(clippy::disallowed_methods, reason = "tests look at files")]

mod common;

use common::database::Database;
use common::{Daemon, Folder, LONG, Whose, network, northd, program, run, share, until};
use serde_json::json;

/// A database of the old release, on its server.
fn old(folder: &Folder, word: &str, name: &'static str) -> Database {
    let (file, socket) = (folder.path(&format!("{word}.db")), folder.path(&format!("{word}.sock")));
    let schema = share(Whose::OldStock, &format!("ovn/ovn-{word}.ovsschema"));
    run(program(Whose::OldStock, "ovsdb-tool").arg("create").arg(&file).arg(schema));
    let mut command = program(Whose::OldStock, "ovsdb-server");
    command.arg(&file).arg(format!("--remote=punix:{}", socket.display()));
    let server = Daemon::start(folder, word, command);
    Database { server, name, socket, file }
}

#[test]
fn northd_writes_what_they_can_hold() {
    let folder = Folder::new("old");
    let (nb, sb) = (old(&folder, "nb", "OVN_Northbound"), old(&folder, "sb", "OVN_Southbound"));
    let mut northbound = nb.client();
    network::build(&mut northbound, 2, 3);
    let northd = northd(&folder, "northd", Whose::Kiln);
    let mut sync = |number: i64| {
        let set = json!({ "op": "update", "table": "NB_Global", "where": [], "row": { "nb_cfg": number } });
        until("NB_Global", LONG, || (northbound.count("NB_Global") == 1).then_some(()));
        northbound.transact(&[set]);
        until("northd to catch up", LONG, || {
            (northbound.column("NB_Global", "sb_cfg") == [&*number.to_string()]).then_some(())
        });
    };
    sync(1);
    let mut southbound = sb.client();
    assert!(southbound.count("Logical_Flow") > 100);
    assert_eq!(southbound.count("Port_Binding"), 2 * 4 + 2);
    assert!(southbound.count("DHCPv6_Options") > 0, "the others are there");
    assert_eq!(northd.log_lines("transaction failed"), [""; 0]);
    // Once each: the word that the old release did not know, and the tables that its pipelines did not have.
    let told = northd.log_lines("|WARN|");
    let about =
        |parts: [&str; 3]| told.iter().filter(|line| parts.iter().all(|part| line.contains(part))).count();
    assert_eq!(about(["DHCPv6_Options", "type", "`domain`"]), 1, "{told:#?}");
    assert_eq!(about(["Logical_Flow", "table_id", "above 32"]), 1, "{told:#?}");
    assert_eq!(told.len(), 2, "{told:#?}");
    // What cannot be written is not tried for ever: a change makes one transaction.
    let before = sb.log().len();
    sync(2);
    sync(3);
    assert_eq!(sb.log().len(), before + 2, "{:#?}", &sb.log()[before..]);
    assert_eq!(northd.log_lines("|WARN|").len(), 2);
    assert!(northd.ask(&["coverage/read-counter", "txn_success"]).parse::<u64>().expect("a number") < 30);
}
