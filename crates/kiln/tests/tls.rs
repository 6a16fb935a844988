//! Both daemons reach a stock database server over TLS: by table SSL of the switch's database, by their options, with an
//! authority taken from the server, and with files that are made good while they run.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::duration_suboptimal_units,
    clippy::unused_self,
    reason = "tests of daemons"
)]

mod common;

use common::chassis::vsctl;
use common::database::Database;
use common::{Daemon, Folder, LONG, Whose, program, run, share, until};
use std::fs;
use std::process::Command;

fn openssl(folder: &Folder, args: &[&str]) {
    run(Command::new("openssl").current_dir(folder.path(".")).args(args));
}

/// An authority in `NAME.pem` and `NAME-key.pem`.
fn authority(folder: &Folder, name: &str) {
    let (key, cert, subject) = (format!("{name}-key.pem"), format!("{name}.pem"), format!("/CN={name}"));
    let kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", &key];
    openssl(folder, &[&["req", "-x509", "-days", "2", "-subj", &subject, "-out", &cert][..], &kind].concat());
}

/// A key and a certificate by `ca` in `NAME-key.pem` and `NAME.pem`.
fn issue(folder: &Folder, ca: &str, name: &str) {
    let file = |suffix: &str| format!("{name}{suffix}");
    let (key, request, cert, subject) = (file("-key.pem"), file(".csr"), file(".pem"), format!("/CN={name}"));
    let kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
    let made = ["req", "-new", "-nodes", "-subj", &subject, "-keyout", &key, "-out", &request];
    openssl(folder, &[&made[..], &kind].concat());
    fs::write(folder.path("ext"), "basicConstraints=CA:FALSE\n").expect("a file");
    let (ca_cert, ca_key) = (format!("{ca}.pem"), format!("{ca}-key.pem"));
    let by = ["-CA", &ca_cert, "-CAkey", &ca_key, "-CAcreateserial", "-days", "2", "-extfile", "ext"];
    openssl(folder, &[&["x509", "-req", "-in", &request, "-out", &cert][..], &by].concat());
}

/// A southbound database on `sb.sock`, and over TLS where the second value says.
fn southbound(folder: &Folder) -> (Database, String) {
    let text = |name: &str| folder.path(name).display().to_string();
    let (file, socket) = (folder.path("sb.db"), folder.path("sb.sock"));
    let schema = share(Whose::Stock, "ovn/ovn-sb.ovsschema");
    run(program(Whose::Stock, "ovsdb-tool").arg("create").arg(&file).arg(schema));
    let mut command = program(Whose::Stock, "ovsdb-server");
    command.arg(&file).arg(format!("--remote=punix:{}", socket.display())).args([
        "--remote=pssl:0:127.0.0.1",
        &format!("--private-key={}", text("server-key.pem")),
        &format!("--certificate={}", text("server.pem")),
        &format!("--ca-cert={}", text("ca.pem")),
        // The authority comes along, for clients that take it from here.
        &format!("--peer-ca-cert={}", text("ca.pem")),
    ]);
    let server = Daemon::start(folder, "sb", command);
    let port = until("the server's port", LONG, || {
        let line = server.log_lines("listening on port").pop()?;
        line.rsplit(' ').next()?.trim().parse::<u16>().ok()
    });
    (Database { server, name: "OVN_Southbound", socket, file }, format!("ssl:127.0.0.1:{port}"))
}

fn prepared() -> (Folder, Database, String) {
    let folder = Folder::new("tls");
    authority(&folder, "ca");
    authority(&folder, "other");
    issue(&folder, "ca", "server");
    issue(&folder, "ca", "client");
    let (database, remote) = southbound(&folder);
    (folder, database, remote)
}

#[test]
fn controller_follows_table_ssl_and_its_files() {
    let (folder, southbound, remote) = prepared();
    // At first nobody the server trusts vouches for the controller.
    issue(&folder, "other", "hv");
    let conf = Database::start(&folder, "conf");
    let text = |name: &str| folder.path(name).display().to_string();
    run(vsctl(&folder).args(["--no-wait", "init", "--", "set", "Open_vSwitch", "."]).args([
        "external_ids:system-id=hv".to_owned(),
        format!("external_ids:ovn-remote=\"{remote}\""),
        "external_ids:ovn-encap-type=geneve".to_owned(),
        "external_ids:ovn-encap-ip=127.0.0.1".to_owned(),
    ]));
    let set_ssl = ["set-ssl", &text("hv-key.pem"), &text("hv.pem"), &text("ca.pem")].map(str::to_owned);
    let mut command = program(Whose::Kiln, "controller");
    command.arg(conf.remote());
    let controller = Daemon::start(&folder, "controller", command);
    let sslless = || (!controller.log_lines("must be configured to use SSL/TLS").is_empty()).then_some(());
    until("the controller to miss its key", LONG, sslless);
    run(vsctl(&folder).arg("--no-wait").args(&set_ssl));
    until("the server to refuse a stranger", LONG, || {
        (!southbound.server.log_lines("certificate verify failed").is_empty()).then_some(())
    });
    assert_eq!(controller.ask(&["connection-status"]).trim(), "not connected");
    issue(&folder, "ca", "hv");
    until("the chassis", LONG, || (southbound.client().column("Chassis", "name") == ["hv"]).then_some(()));
    assert_eq!(controller.ask(&["connection-status"]).trim(), "connected");
}

#[test]
fn northd_takes_the_authority_from_the_server() {
    let (folder, southbound, remote) = prepared();
    let northbound = Database::start(&folder, "nb");
    let text = |name: &str| folder.path(name).display().to_string();
    let northd = |name: &str, more: &[String]| {
        let mut command = program(Whose::Kiln, "northd");
        command.args([format!("--ovnnb-db={}", northbound.remote()), format!("--ovnsb-db={remote}")]);
        command.args(["-p", &text("client-key.pem"), "-c", &text("client.pem")]).args(more);
        Daemon::start(&folder, name, command)
    };
    // An authority that did not sign the server's certificate keeps the daemon from it.
    let stranger = northd("stranger", &[format!("--ca-cert={}", text("other.pem"))]);
    let refused = || (!stranger.log_lines("UnknownIssuer").is_empty()).then_some(());
    until("the stranger to refuse the server", LONG, refused);
    assert_eq!(southbound.client().count("SB_Global"), 0);
    drop(stranger);
    let bootstrap = format!("--bootstrap-ca-cert={}", text("taken.pem"));
    let suites = ["--ssl-protocols=TLSv1.3", "--ssl-ciphersuites=TLS_AES_256_GCM_SHA384"].map(str::to_owned);
    let _northd = northd("northd", &[&[bootstrap][..], &suites].concat());
    until("northd's rows", LONG, || (southbound.client().count("SB_Global") == 1).then_some(()));
    let certificate = |name: &str| {
        let text = fs::read_to_string(folder.path(name)).expect("a certificate");
        let start = text.find("-----BEGIN").expect("PEM");
        text[start..].split_whitespace().collect::<String>()
    };
    assert_eq!(certificate("taken.pem"), certificate("ca.pem"));
}
