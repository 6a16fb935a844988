//! TLS against stock peers: a stock database server, stock's client, and OpenSSL's own tools, with certificates that
//! OpenSSL made.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests of the layer that does I/O")]

mod common;

use std::fs;
use std::io::{Read, Write};
use std::process::{Output, Stdio};

use common::{Killed, Place, wait_for};

/// What the example daemon asks a database server, and what it answers when it plays one.
const ASK: &str = r#"--say={"method":"list_dbs","params":[],"id":0}"#;
const ANSWER: &str = r#"--say={"id":0,"result":["Perch"],"error":null}"#;

/// An authority called `ca`: its key and certificate in files of that name.
fn authority(place: &Place, ca: &str) {
    let (key, cert) = (format!("{ca}-key.pem"), format!("{ca}.pem"));
    let subject = format!("/CN=authority {ca}");
    let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout"];
    place.ok(
        "openssl",
        &[&["req", "-x509", "-days", "2", "-subj", &subject, "-out", &cert][..], &curve, &[&key]].concat(),
    );
}

/// A key and a certificate by `ca` in `NAME-key.pem` and `NAME.pem`, for no host in particular.
fn issue(place: &Place, ca: &str, name: &str, kind: &[&str]) {
    let file = |suffix: &str| format!("{name}{suffix}");
    let subject = format!("/CN={name} of nowhere");
    let (key, request, cert) = (file("-key.pem"), file(".csr"), file(".pem"));
    place.ok(
        "openssl",
        &[
            &["req", "-new", "-nodes", "-subj", &subject, "-keyout", &key, "-out", &request, "-newkey"][..],
            kind,
        ]
        .concat(),
    );
    // Extensions make it a certificate of version 3.
    fs::write(place.path("ext"), "basicConstraints=CA:FALSE\n").expect("write");
    let (ca_cert, ca_key) = (format!("{ca}.pem"), format!("{ca}-key.pem"));
    let by = ["-CA", &ca_cert, "-CAkey", &ca_key, "-CAcreateserial", "-days", "2", "-extfile", "ext"];
    place.ok("openssl", &[&["x509", "-req", "-in", &request, "-out", &cert][..], &by].concat());
}

const EC: &[&str] = &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
const RSA: &[&str] = &["rsa:2048"];

/// A place with authorities `ca` and `other`, and certificates `server` and `client` by `ca` and `stranger` by `other`.
fn prepared() -> Place {
    let place = Place::new();
    authority(&place, "ca");
    authority(&place, "other");
    issue(&place, "ca", "server", RSA);
    issue(&place, "ca", "client", EC);
    issue(&place, "other", "stranger", EC);
    place
}

/// Options for the certificate `name`, trusting `ca`.
fn as_peer(place: &Place, name: &str, ca: &str) -> Vec<String> {
    let path = |file: String| place.path(&file).display().to_string();
    let ca = if ca == "none" { ca.to_owned() } else { path(format!("{ca}.pem")) };
    vec![
        format!("--private-key={}", path(format!("{name}-key.pem"))),
        format!("--certificate={}", path(format!("{name}.pem"))),
        format!("--ca-cert={ca}"),
    ]
}

fn refs(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}

fn start_stock(place: &Place, extra: &[&str]) -> String {
    let tls = as_peer(place, "server", "ca");
    place.start_ovsdb_server(&[&refs(&tls)[..], extra, &["--remote=pssl:0:127.0.0.1"]].concat());
    place.port_in("ovsdb-server.log")
}

fn start_client(place: &Place, port: &str, tls: &[&str]) {
    let to = format!("--to=ssl:127.0.0.1:{port}");
    place.start_parrot(&[tls, &[&to, ASK]].concat());
}

fn heard_from_stock(place: &Place) {
    wait_for("the server's answer", || {
        place.ask("parrot", &["heard"]).contains("[\"Aviary\",\"_Server\"]").then_some(())
    });
}

/// Starts the example daemon as a server; the remote for its clients.
fn start_server(place: &Place, tls: &[&str]) -> String {
    place.start_parrot(&[tls, &["--to=pssl:0:127.0.0.1", ANSWER]].concat());
    format!("ssl:127.0.0.1:{}", place.port_in("parrot.log"))
}

/// Asks for the list of databases with stock's client.
fn list_dbs(place: &Place, remote: &str, name: &str, ca: &str) -> Output {
    let tls = as_peer(place, name, ca);
    place.run(
        "ovsdb-client",
        &[&["-t", "20", "-vconsole:warn"][..], &refs(&tls), &["list-dbs", remote]].concat(),
    )
}

/// The same without extensions: of version 1, as `openssl` makes them by itself.
fn issue_version_1(place: &Place, ca: &str, name: &str, kind: &[&str]) {
    issue(place, ca, name, kind);
    let (request, cert) = (format!("{name}.csr"), format!("{name}.pem"));
    let (ca_cert, ca_key) = (format!("{ca}.pem"), format!("{ca}-key.pem"));
    let by = ["-CA", &ca_cert, "-CAkey", &ca_key, "-CAcreateserial", "-days", "2"];
    place.ok("openssl", &[&["x509", "-req", "-in", &request, "-out", &cert][..], &by].concat());
    let shown = place.run("openssl", &["x509", "-in", &cert, "-noout", "-text"]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains("Version: 1 "), "{shown:?}");
}

/// As stock does: both sides' own, in each version of TLS, with each kind of key.
#[test]
fn certificates_of_version_1_are_taken_and_shown() {
    for (server, client) in [(RSA, EC), (EC, RSA)] {
        for protocol in ["TLSv1.2", "TLSv1.3"] {
            let place = prepared();
            issue_version_1(&place, "ca", "server", server);
            issue_version_1(&place, "ca", "client", client);
            let port = start_stock(&place, &[]);
            let tls = as_peer(&place, "client", "ca");
            let protocols = format!("--ssl-protocols={protocol}");
            start_client(&place, &port, &[&refs(&tls)[..], &[&protocols]].concat());
            heard_from_stock(&place);

            let place = prepared();
            issue_version_1(&place, "ca", "server", server);
            issue_version_1(&place, "ca", "client", client);
            let remote =
                start_server(&place, &[&refs(&as_peer(&place, "server", "ca"))[..], &[&protocols]].concat());
            let answer = list_dbs(&place, &remote, "client", "ca");
            assert!(answer.status.success(), "{protocol}: {answer:?}");
        }
    }
}

#[test]
fn certificates_of_version_1_need_the_authority_too() {
    let place = prepared();
    issue_version_1(&place, "other", "stranger", EC);
    let remote = start_server(&place, &refs(&as_peer(&place, "server", "ca")));
    let answer = list_dbs(&place, &remote, "stranger", "ca");
    assert!(!answer.status.success(), "{answer:?}");
    wait_for("the reason", || place.text("parrot.log").contains("UnknownIssuer").then_some(()));
}

/// A key that is not the certificate's is a mistake that is told before anybody connects.
#[test]
fn a_key_of_another_certificate_of_version_1_is_refused() {
    let place = prepared();
    issue_version_1(&place, "ca", "client", EC);
    let mut tls = as_peer(&place, "client", "ca");
    tls[0] = format!("--private-key={}", place.path("stranger-key.pem").display());
    let port = start_stock(&place, &[]);
    start_client(&place, &port, &refs(&tls));
    wait_for("the mistake to be told", || place.text("parrot.log").contains("KeyMismatch").then_some(()));
}

#[test]
fn a_stock_server_answers_whatever_its_certificate_is_called() {
    let place = prepared();
    let port = start_stock(&place, &[]);
    start_client(&place, &port, &refs(&as_peer(&place, "client", "ca")));
    heard_from_stock(&place);
    assert_eq!(place.ask("parrot", &["connection-status"]), "connected");
}

#[test]
fn a_server_of_another_authority_is_refused_unless_anybody_will_do() {
    let place = prepared();
    let port = start_stock(&place, &["--peer-ca-cert=ca.pem"]);
    start_client(&place, &port, &refs(&as_peer(&place, "client", "other")));
    wait_for("a refusal", || place.text("parrot.log").contains("UnknownIssuer").then_some(()));
    assert_eq!(place.ask("parrot", &["heard"]), "");
    place.ask("parrot", &["exit"]);
    wait_for("its end", || (!place.path("parrot.pid").exists()).then_some(()));

    start_client(&place, &port, &refs(&as_peer(&place, "client", "none")));
    heard_from_stock(&place);
    assert!(place.text("parrot.log").contains("Peer certificate validation disabled"));
}

#[test]
fn the_authority_is_taken_from_the_first_server_and_kept() {
    let place = prepared();
    let port = start_stock(&place, &["--peer-ca-cert=ca.pem"]);
    let mut tls = as_peer(&place, "client", "none");
    tls[2] = "--bootstrap-ca-cert=taken.pem".to_owned();
    start_client(&place, &port, &refs(&tls));
    heard_from_stock(&place);
    let der = |name: &str| place.ok("openssl", &["x509", "-in", name, "-outform", "PEM"]);
    assert_eq!(der("taken.pem"), der("ca.pem"));
    let log = place.text("parrot.log");
    assert!(
        log.contains("successfully bootstrapped CA cert") && log.contains("reconnecting to verify"),
        "{log}"
    );
    assert!(!log.contains("validation disabled"), "{log}");
}

#[test]
fn bootstrapping_needs_a_server_that_sends_its_authority() {
    let place = prepared();
    let mut tls = as_peer(&place, "client", "none");
    tls[2] = "--bootstrap-ca-cert=taken.pem".to_owned();
    // Stock's server sends its authority in any case, ours only when told.
    for (extra, message) in [
        (&[][..], "peer's chain of 1 certificates ends in no self-signed one"),
        (&["--peer-ca-cert=ca.pem"], "successfully bootstrapped CA cert"),
    ] {
        let remote = start_server(&place, &[&refs(&as_peer(&place, "server", "ca"))[..], extra].concat());
        let client = Place::new();
        client.start_parrot(&[&refs(&tls)[..], &[&format!("--to={remote}"), "--say=squawk"]].concat());
        wait_for("the message", || client.text("parrot.log").contains(message).then_some(()));
        if extra.is_empty() {
            assert!(!client.path("taken.pem").exists());
            assert_eq!(place.ask("parrot", &["heard"]), "");
        } else {
            wait_for("a verified connection", || (place.ask("parrot", &["heard"]) == "squawk").then_some(()));
        }
        place.ask("parrot", &["exit"]);
        wait_for("its end", || (!place.path("parrot.pid").exists()).then_some(()));
        fs::remove_file(place.path("parrot.log")).expect("unlink");
    }
}

#[test]
fn stocks_client_is_served_if_its_authority_is_ours() {
    let place = prepared();
    let remote = start_server(&place, &refs(&as_peer(&place, "server", "ca")));
    let output = list_dbs(&place, &remote, "client", "ca");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "Perch\n", "{output:?}");
    let heard = place.ask("parrot", &["heard"]);
    assert!(heard.contains("\"list_dbs\""), "{heard}");

    let output = list_dbs(&place, &remote, "stranger", "ca");
    assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
    let refused = || {
        place.text("parrot.log").contains("connection not accepted: invalid peer certificate: UnknownIssuer")
    };
    wait_for("a refusal", || refused().then_some(()));
    let output = list_dbs(&place, &remote, "client", "ca");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "Perch\n", "others are still served: {output:?}");
}

#[test]
fn files_that_change_are_used_from_the_next_connection_on() {
    let place = prepared();
    let remote = start_server(&place, &refs(&as_peer(&place, "server", "ca")));
    assert!(list_dbs(&place, &remote, "client", "ca").status.success());

    // A new certificate without its key fits nothing: what was loaded stays.
    issue(&place, "other", "new", RSA);
    fs::rename(place.path("new.pem"), place.path("server.pem")).expect("rename");
    assert!(list_dbs(&place, &remote, "client", "ca").status.success());
    assert!(
        place.text("parrot.log").contains("going on with what was loaded before"),
        "{}",
        place.text("parrot.log")
    );

    fs::rename(place.path("new-key.pem"), place.path("server-key.pem")).expect("rename");
    fs::copy(place.path("other.pem"), place.path("ca.pem")).expect("copy");
    let output = list_dbs(&place, &remote, "stranger", "other");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "Perch\n", "{output:?}");
    assert!(
        !list_dbs(&place, &remote, "client", "other").status.success(),
        "the old authority counts no more"
    );
}

#[test]
fn settings_change_while_it_runs() {
    let place = prepared();
    let port = start_stock(&place, &[]);
    start_client(&place, &port, &[]);
    wait_for("a refusal", || {
        place.text("parrot.log").contains("Private key must be configured to use SSL/TLS").then_some(())
    });
    let path = |name: &str| place.path(name).display().to_string();
    place.ask("parrot", &["tls", &path("client-key.pem"), &path("client.pem"), &path("ca.pem")]);
    heard_from_stock(&place);
}

#[test]
fn a_self_signed_certificate_can_be_its_own_authority() {
    let place = prepared();
    let remote = start_server(&place, &refs(&as_peer(&place, "server", "ca")));
    place.ask("parrot", &["exit"]);
    wait_for("its end", || (!place.path("parrot.pid").exists()).then_some(()));
    drop(remote);
    fs::remove_file(place.path("parrot.log")).expect("unlink");

    let remote = start_server(&place, &refs(&as_peer(&place, "ca", "ca")));
    let output = list_dbs(&place, &remote, "ca", "ca");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "Perch\n", "{output:?}");
    assert!(!list_dbs(&place, &remote, "other", "ca").status.success());
}

/// Connects with OpenSSL's client; what it says of the handshake.
fn s_client(place: &Place, remote: &str, extra: &[&str]) -> String {
    let address = remote.trim_start_matches("ssl:");
    let ours = [
        "s_client",
        "-connect",
        address,
        "-cert",
        "client.pem",
        "-key",
        "client-key.pem",
        "-CAfile",
        "ca.pem",
    ];
    let output = place.run("openssl", &[&ours[..], extra].concat());
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

#[test]
fn protocols_and_suites_are_those_asked_for() {
    let place = prepared();
    let mut tls = as_peer(&place, "server", "ca");
    tls.push("--ssl-protocols=TLSv1.2".to_owned());
    tls.push("--ssl-ciphers=ECDHE-RSA-CHACHA20-POLY1305:!AES".to_owned());
    let remote = start_server(&place, &refs(&tls));
    let text = s_client(&place, &remote, &[]);
    assert!(text.contains("New, TLSv1.2, Cipher is ECDHE-RSA-CHACHA20-POLY1305"), "{text}");
    assert!(text.contains("Verify return code: 0 (ok)"), "{text}");
    let text = s_client(&place, &remote, &["-tls1_3"]);
    assert!(text.contains("Cipher is (NONE)"), "{text}");
    let text = s_client(&place, &remote, &["-cipher", "ECDHE-RSA-AES128-GCM-SHA256"]);
    assert!(text.contains("Cipher is (NONE)"), "{text}");
}

#[test]
fn the_server_name_is_the_host_or_what_is_set() {
    for (extra, host, expected) in [
        (&["--ssl-server-name=perch.example"][..], "127.0.0.1", Some("perch.example")),
        (&[], "localhost", Some("localhost")),
        (&[], "127.0.0.1", None),
    ] {
        let place = prepared();
        let args = [
            "s_server",
            "-accept",
            "127.0.0.1:0",
            "-cert",
            "server.pem",
            "-key",
            "server-key.pem",
            "-CAfile",
            "ca.pem",
            "-servername",
            "x",
            "-cert2",
            "server.pem",
            "-key2",
            "server-key.pem",
        ];
        let mut command = place.command("openssl");
        let child = command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("openssl");
        let mut child = Killed(child);
        let mut output = child.0.stdout.take().expect("piped");
        let port = {
            let text = read_until(&mut output, "ACCEPT 127.0.0.1:");
            let rest = read_until(&mut output, "\n");
            assert!(text.contains("ACCEPT"), "{text}");
            rest.trim().to_owned()
        };
        let to = format!("--to=ssl:{host}:{port}");
        place.start_parrot(
            &[&refs(&as_peer(&place, "client", "ca"))[..], extra, &[&to, "--say=squawk\n"]].concat(),
        );
        let text = read_until(&mut output, "squawk");
        match expected {
            Some(name) => assert!(text.contains(&format!("Hostname in TLS extension: \"{name}\"")), "{text}"),
            None => assert!(!text.contains("Hostname in TLS extension"), "{text}"),
        }
        // And back.
        child.0.stdin.as_mut().expect("piped").write_all(b"cracker\n").expect("write");
        wait_for("the answer", || (place.ask("parrot", &["heard"]) == "cracker").then_some(()));
    }
}

fn read_until(from: &mut impl Read, end: &str) -> String {
    let mut text = Vec::new();
    while !text.ends_with(end.as_bytes()) {
        let mut byte = [0];
        let len = from.read(&mut byte).expect("read");
        assert!(len == 1, "expected {end:?} in {:?}", String::from_utf8_lossy(&text));
        text.push(byte[0]);
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// As stock has it: the mistake is told once, and connections are made by the defaults.
#[test]
fn versions_and_suites_that_there_are_not_are_complained_of_and_not_followed() {
    let place = prepared();
    let port = start_stock(&place, &[]);
    let wrong = ["--ssl-protocols=TLSv1.1", "--ssl-ciphers=foo", "--ssl-ciphersuites=bar"];
    start_client(&place, &port, &[&refs(&as_peer(&place, "client", "ca"))[..], &wrong].concat());
    heard_from_stock(&place);
    let log = place.text("parrot.log");
    for line in [
        "|stream_ssl|ERR|TLSv1.1: SSL/TLS protocol not recognized",
        "|stream_ssl|ERR|foo: no SSL/TLS cipher left",
        "|stream_ssl|ERR|bar: no SSL/TLS cipher left",
    ] {
        assert_eq!(log.matches(line).count(), 1, "{line}: {log}");
    }
}

/// Also where no connection needs them.
#[test]
fn files_that_cannot_be_used_are_complained_of_at_once() {
    let place = prepared();
    let mut tls = as_peer(&place, "client", "ca");
    tls[0] = "--private-key=nosuch".to_owned();
    tls.push("--peer-ca-cert=server-key.pem".to_owned());
    place.start_parrot(&[&refs(&tls)[..], &["--to=punix:parrot.sock", ANSWER]].concat());
    let log = place.text("parrot.log");
    assert!(log.contains("|stream_ssl|ERR|") && log.contains("nosuch: failed to read private key"), "{log}");
    assert!(log.contains("server-key.pem: failed to read certificate"), "{log}");
}

#[test]
fn failures_of_tls_are_warnings() {
    let place = prepared();
    let port = start_stock(&place, &["--peer-ca-cert=ca.pem"]);
    // The server is a stranger to us.
    start_client(&place, &port, &refs(&as_peer(&place, "client", "other")));
    wait_for("a warning", || {
        place
            .text("parrot.log")
            .contains("|stream_ssl|WARN|SSL_connect: invalid peer certificate")
            .then_some(())
    });
    place.ask("parrot", &["exit"]);
    wait_for("its end", || (!place.path("parrot.pid").exists()).then_some(()));
    fs::remove_file(place.path("parrot.log")).expect("unlink");
    // We are one to the server.
    start_client(&place, &port, &refs(&as_peer(&place, "stranger", "ca")));
    wait_for("a warning", || {
        let log = place.text("parrot.log");
        (log.contains("|stream_ssl|WARN|ssl:127.0.0.1") && log.contains("received fatal alert")).then_some(())
    });
}
