//! `kiln lflow`: what it answers on the command line.

// A test may write files and own threads.
#![allow(clippy::disallowed_methods)]

use std::io::Write;
use std::process::{Command, Output, Stdio};

/// Runs `kiln lflow ARGS…` on lines of standard input.
fn run(args: &[&str], input: &str) -> Output {
    run_on(args, input.as_bytes())
}

fn run_on(args: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_kiln"))
        .arg("lflow")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("kiln runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_owned();
    // Answers are written while lines are still read.
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().expect("kiln ends");
    let _ = writer.join();
    output
}

fn answers(args: &[&str], input: &str) -> String {
    let output = run(args, input);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{args:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

const WORLD: &[&str] = &[
    "--port=vif1=1",
    "--port=vif2=0x2",
    "--chassis-resident=vif1",
    "--address-set=web=192.0.2.1,192.0.2.2",
    "--address-set=none=",
    "--port-group=pg=vif1,vif2,gone",
];

/// Each line of `cases` is `ITEM => ANSWER`, or an item that answers itself.
#[track_caller]
fn check(command: &str, cases: &str) {
    let cases: Vec<(&str, &str)> = cases
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(|line| line.split_once(" => ").unwrap_or((line, line)))
        .collect();
    let items: Vec<&str> = cases.iter().map(|(item, _)| *item).collect();
    let args: Vec<&str> = std::iter::once(command).chain(WORLD.iter().copied()).collect();
    let found = answers(&args, &(items.join("\n") + "\n"));
    let expected: Vec<&str> = cases.iter().map(|(_, answer)| *answer).collect();
    assert_eq!(found.lines().collect::<Vec<_>>(), expected, "{command}");
}

#[test]
fn tokens() {
    check(
        "lex",
        r#"
        ip4.src=={10.0.0.0/255.0.0.0,$web} => ip4.src == { 10.0.0.0/8 , $web }
        reg0[3..5] <-> xreg1 // rest => reg0 [ 3 .. 5 ] <-> xreg1
        "tab\tand \u0041" => "tab\tand A"
        0x00ff 18446744073709551615 ::ffff:1.2.3.4 0A:0b:00:00:00:01 => 0xff 18446744073709551615 ::ffff:1.2.3.4 0a:0b:00:00:00:01
        "#,
    );
    let skipped = answers(&["lex"], "# a comment\n\n   \na\n  # another\nb");
    assert_eq!(skipped, "a\nb\n");
    let error = answers(&["lex"], "ip4 & ip6\n");
    assert!(error.starts_with("error: column 5: "), "{error}");
}

#[test]
fn expressions() {
    check(
        "parse-expr",
        r#"
        0x800==eth.type => eth.type == 0x800
        !(reg0 > 3 && reg1[0]) => reg0 <= 0x3 || !reg1[0]
        ip4.src == $web => ip4.src == 0xc0000201 || ip4.src == 0xc0000202
        ip4.src != $none => 1
        !(ip6.src == {$none, $none}) => 1
        inport == {@pg, "x"} => inport == "vif1" || inport == "vif2" || inport == "gone" || inport == "x"
        is_chassis_resident("vif1")
        "#,
    );
    check(
        "annotate-expr",
        "
        vlan.vid == 7 => vlan.tci[0..11] == 0x7 && vlan.tci[12]
        reg9 == 1 || ip4.dst == {1.1.1.1, 2.2.2.2} => xreg4[0..31] == 0x1 || (ip4.dst == 0x1010101 && eth.type == 0x800) || (ip4.dst == 0x2020202 && eth.type == 0x800)
        ",
    );
    check(
        "simplify-expr",
        r#"
        is_chassis_resident("vif1") => 1
        is_chassis_resident("vif2") || ip4 => eth.type == 0x800
        reg0[0..2] >= 2 => xxreg0[96..98] == 0x2 || xxreg0[96..98] == 0x3 || xxreg0[98]
        "#,
    );
    check(
        "normalize-expr",
        "
        ip && reg0[0] => (eth.type == 0x800 && xxreg0[96]) || (eth.type == 0x86dd && xxreg0[96])
        ip4 && ip6 => 0
        ip4.dst == {1.1.1.1, 1.1.1.0/24} => eth.type == 0x800 && ip4.dst[8..31] == 0x10101
        ",
    );
}

#[test]
fn errors_are_answers() {
    for command in ["parse-expr", "annotate-expr", "simplify-expr", "normalize-expr", "expr-to-flows"] {
        let found = answers(&[command], "ip4.src ==\nip4\n");
        let lines: Vec<&str> = found.lines().collect();
        assert!(lines[0].starts_with("error: column 11: expected"), "{command}: {found}");
        assert!(!lines[1].starts_with("error"), "{command}: {found}");
    }
    let found = answers(&["parse-actions"], "next; xyzzy;\n");
    assert!(
        found.starts_with("next; xyzzy;\n    error: column 7: expected an action, found `xyzzy'"),
        "{found}"
    );
}

/// Also errors that only show when an expression is multiplied out or lowered name the column at fault.
#[test]
fn every_error_has_a_column() {
    let many: Vec<String> =
        (0..70).map(|i| format!("(reg{}[{}] || eth.src == {i})", i % 4, i % 32)).collect();
    let many = many.join(" && ");
    for (expression, column, problem) in [
        ("reg0 == 1 && !ip.is_frag", 15, "ip4 or ip6 beside a test of ip.frag"),
        ("ip6 || eth.type == 0x800/0xff00", 8, "whole field eth.type"),
        ("reg0 == 1 && ip4.src == 1.2.3", 25, "invalid numeric constant"),
        (&many, 1, "at most 64 disjunctions"),
    ] {
        let found = answers(&["expr-to-flows"], &format!("{expression}\n"));
        assert!(found.starts_with(&format!("error: column {column}: ")), "{expression}: {found}");
        assert!(found.contains(problem), "{expression}: {found}");
    }
    for (actions, column, problem) in [
        ("next; reg0[0] = put_dhcp_opts(offerip=1.2.3.4, mtu=70000);", 52, "expected a value of 2 bytes"),
        ("reg0[0] = put_nd_ra_opts(slla=0a:00:00:00:00:01, mtu=10.0.0.4);", 54, "option mtu"),
        (
            "reg0[0] = put_nd_ra_opts(slla=0a:00:00:00:00:01, prefix=fd00::/64, route_info=\"HIGH-x\");",
            79,
            "HIGH-fd00::/64",
        ),
        ("next; trigger_event(event=\"empty_lb_backends\", vip=\"x\");", 52, "an address"),
        ("next; reg0 = select(values=(1, 2); hash_fields=\"nosuch\");", 7, "fields of the switch"),
    ] {
        let found = answers(&["parse-actions"], &format!("{actions}\n"));
        let expected = format!("{actions}\n    error: column {column}: ");
        assert!(found.starts_with(&expected) && found.contains(problem), "{found}");
    }
}

/// A line that is no text is answered like any other.
#[test]
fn bytes_that_are_no_text() {
    let bytes: &[u8] = b"next;\xff\nnext;\n#\xff\n";
    let found = run_on(&["parse-actions"], bytes);
    let found = String::from_utf8_lossy(&found.stdout);
    let lines: Vec<&str> = found.lines().collect();
    let problem = "error: column 6: expected UTF-8, found other bytes";
    assert_eq!(lines[..3], ["next;\u{fffd}", &format!("    {problem}"), "next;"], "{found}");
    let found = run_on(&["parse-expr"], bytes);
    let found = String::from_utf8_lossy(&found.stdout);
    assert_eq!(found.lines().next(), Some(problem), "{found}");
}

#[test]
fn evaluation() {
    let packet = "ip4.src=192.0.2.9,tcp.dst=80,inport=vif1,ct.est=1,reg0=0xf0";
    let args: Vec<&str> = ["evaluate-expr", packet].into_iter().chain(WORLD.iter().copied()).collect();
    let cases = [
        // What the fields need is there.
        ("ip4 && tcp && ct.trk", "1"),
        ("ip6 || udp", "0"),
        ("ip4.src == 192.0.2.0/24 && tcp.dst < 1024", "1"),
        ("ip4.src == $web", "0"),
        ("inport == @pg && outport == \"\"", "1"),
        ("reg0[4..7] == 15 && !reg0[0]", "1"),
        ("ct.est && !ct.new", "1"),
        ("is_chassis_resident(\"vif1\")", "1"),
    ];
    let input: Vec<&str> = cases.iter().map(|(item, _)| *item).collect();
    let expected: Vec<&str> = cases.iter().map(|(_, answer)| *answer).collect();
    assert_eq!(answers(&args, &input.join("\n")).lines().collect::<Vec<_>>(), expected);
    // The first of several ways: a solicitation, of IPv4, by ICMP.
    for (packet, holds, fails) in [
        ("nd", "nd_ns", "nd_na"),
        ("nd.target=fe80::1", "nd_ns && nd.target == fe80::1", "nd_na"),
        ("nd.target=fe80::1,icmp6.type=136", "nd_na && nd.target == fe80::1", "nd_ns"),
        ("tcp.dst=80", "ip4", "ip6"),
        ("ip6,tcp.dst=80", "ip6", "ip4"),
        ("icmp", "icmp4", "icmp6"),
    ] {
        let found = answers(&["evaluate-expr", packet], &format!("{holds}\n{fails}\n"));
        assert_eq!(found, "1\n0\n", "{packet}");
    }
    for (packet, named) in [
        ("ip4.src=1.1.1.1,ip6.src=::1", "eth.type"),
        ("inport=vif1,inport=\"vif2\" && ip4", "inport"),
        ("reg0 != 0", "reg0"),
    ] {
        let impossible = run(&["evaluate-expr", packet], "ip\n");
        assert!(!impossible.status.success(), "{packet}");
        let problem = String::from_utf8_lossy(&impossible.stderr).into_owned();
        assert!(problem.contains(named), "{packet}: {problem}: what contradicts is named");
    }
}

/// A packet may be said by expressions too; of several values and names the first counts that agrees with the rest.
#[test]
fn packets_of_expressions() {
    for (packet, holds) in [
        ("inport=@pg", "inport == \"vif1\" && inport == @pg"),
        ("inport == @pg && ip4", "inport == \"vif1\" && ip4"),
        ("inport=@pg,inport=vif2", "inport == \"vif2\""),
        ("inport={\"b,c\", \"d\"}", "inport == \"b,c\""),
        ("(inport == \"a\" || inport == \"b\") && tcp.dst == 80", "inport == \"a\" && tcp.dst == 80"),
        ("outport=b,(outport == \"a\" && ip4) || (outport == \"b\" && ip6)", "outport == \"b\" && ip6"),
        ("tcp.dst == 80 && ip6", "ip6 && tcp.dst == 80"),
        ("ip4.dst={1.1.1.1,2.2.2.2},reg0=1", "ip4.dst == 1.1.1.1 && reg0 == 1"),
        ("ip4.src=$web", "ip4.src == 192.0.2.1"),
    ] {
        let args: Vec<&str> = ["evaluate-expr", packet].into_iter().chain(WORLD.iter().copied()).collect();
        assert_eq!(answers(&args, &format!("{holds}\n")), "1\n", "{packet}");
    }
}

/// As in a controller, the members of a set that can be read count.
#[test]
fn members_that_are_no_addresses() {
    let output = run(&["parse-expr", "--address-set=s=1.2.3.4,junk,1.2.3.5"], "ip4.src == $s\n");
    let (answer, warning) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(answer, "ip4.src == 0x1020304 || ip4.src == 0x1020305\n");
    assert!(warning.starts_with("kiln lflow: --address-set s: junk: "), "{warning}");
    assert!(output.status.success());
}

#[test]
fn flows() {
    let args: Vec<&str> = ["expr-to-flows"].into_iter().chain(WORLD.iter().copied()).collect();
    assert_eq!(
        answers(&args, "inport == @pg && ip\n").lines().collect::<std::collections::BTreeSet<_>>(),
        ["ip,reg14=0x1", "ip,reg14=0x2", "ipv6,reg14=0x1", "ipv6,reg14=0x2"].into()
    );
    assert_eq!(answers(&args, "inport == \"gone\"\n"), "(no flows)\n");
    assert_eq!(
        answers(&args, "ip4.src == $web && outport == {\"vif1\", \"vif2\"}\n"),
        "ip,nw_src=192.0.2.1: conjunction(1, 0/2)\n\
         ip,nw_src=192.0.2.2: conjunction(1, 0/2)\n\
         ip,reg15=0x1: conjunction(1, 1/2)\n\
         ip,reg15=0x2: conjunction(1, 1/2)\n\
         conj_id=1,ip\n"
    );
}

#[test]
fn actions() {
    let egress = ["parse-actions", "--pipeline", "egress", "--table", "3", "--port", "vif1=1"];
    assert_eq!(
        answers(&egress, "outport=\"vif1\";next;\nip.ttl--; output;\nnext(16);\n")
            .lines()
            .collect::<Vec<_>>()[..7],
        [
            "outport=\"vif1\";next;",
            "    formats as outport = \"vif1\"; next;",
            "    encodes as set_field:0x1->reg15,resubmit(,52)",
            "ip.ttl--; output;",
            "    encodes as dec_ttl,resubmit(,64)",
            "    has prereqs ip",
            "next(16);",
        ]
    );
    let sampling = [
        "parse-actions",
        "--datapath",
        "0x10",
        "--lflow-uuid",
        "12345678-0000-0000-0000-000000000000",
        "--collector-set",
        "7",
    ];
    let sample = "sample(probability=1,collector_set=7,obs_domain=2,obs_point=$cookie);";
    assert_eq!(
        answers(&sampling, &format!("{sample}\n")),
        // 2 << 24 | 0x10 and 0x12345678.
        format!(
            "{sample}\n    encodes as sample(probability=1,collector_set_id=7,obs_domain_id=33554448,obs_point_id=305419896)\n"
        )
    );
    assert_eq!(
        answers(&["parse-actions"], &format!("{sample}\n")),
        format!("{sample}\n    encodes as drop\n")
    );
    let balanced = answers(
        &["parse-actions", "--table", "10"],
        "ct_lb_mark(backends=192.0.2.1:80);\nct_lb_mark(backends=192.0.2.1:80);\nct_lb_mark(backends=[2001:db8::1]:80);\n",
    );
    let groups: Vec<&str> = balanced.lines().filter(|line| line.contains("group")).collect();
    let first = "    uses group: id(1), name(type=select,selection_method=dp_hash,bucket=bucket_id=0,weight:100,actions=\
                 ct(nat(dst=192.0.2.1:80),commit,table=19,zone=NXM_NX_REG13[0..15],exec(set_field:2/2->ct_mark)))";
    assert_eq!(
        groups[..5],
        ["    encodes as group:1", first, "    encodes as group:1", first, "    encodes as group:2"]
    );
    // Options of DHCP need no table on the command line: code 42, 4 bytes.
    let dhcp = answers(
        &["parse-actions"],
        "reg0[0] = put_dhcp_opts(offerip = 192.0.2.5, ntp_server = 192.0.2.1);\n",
    );
    assert!(dhcp.contains(".c0.00.02.05.2a.04.c0.00.02.01,pause)"), "{dhcp}");
}

#[test]
fn symbols() {
    // The whole table. That each symbol means to a stock controller what it means here, `expressions_beside_stock` shows.
    let found = answers(&["symbols"], "");
    let expected: Vec<&str> = include_str!("symbols.txt").lines().collect();
    assert_eq!(found.lines().collect::<Vec<_>>(), expected);
    assert!(expected.is_sorted());
    // Symbols of old releases are read, and not listed.
    check("parse-expr", "ct_label.blocked || ct_label.natted == 0 => ct_label.blocked || !ct_label.natted");
}

/// A dump with two good flows and two bad ones.
#[test]
fn dumps_are_checked() {
    let file = std::env::temp_dir().join(format!("kiln-lflow-{}.txt", std::process::id()));
    let dump = "Datapath: \"sw0\" (4b5cdc30-0f8f-47f3-8d2e-0bbd4c9d4f1c)  Pipeline: ingress\n  \
                table=0 (ls_in_check_port_sec), priority=100  , match=(eth.src[40]), action=(drop;)\n  \
                table=8 (ls_in_acl_eval     ), priority=1001 , match=(inport == @pg && ip4.src == $as && (tcp.dst == 80)), action=(reg8[16] = 1; next;)\n  \
                table=8 (ls_in_acl_eval     ), priority=1002 , match=(ip4.src == \"x\"), action=(next;)\n  \
                table=8 (ls_in_acl_eval     ), priority=1003 , match=(1), action=(ip.proto = 6;)\n";
    std::fs::write(&file, dump).expect("a file in the temporary folder");
    let output = run(&["check", file.to_str().expect("a path in UTF-8")], "");
    let _ = std::fs::remove_file(&file);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains(":4: match: column 1: integer field ip4.src"), "{text}");
    assert!(text.contains(":5: actions: column 1: field ip.proto is not modifiable"), "{text}");
    assert!(text.contains("\n4 flows, 2 of them bad"), "{text}");
    let checked = |dump: &str, args: &[&str]| {
        std::fs::write(&file, dump).expect("a file in the temporary folder");
        let path = file.to_str().expect("a path in UTF-8");
        let output = run(&[&["check", path], args].concat(), "");
        let _ = std::fs::remove_file(&file);
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        (output.status.code(), text.replace(path, "FILE"))
    };
    // Of a list, any columns.
    let listed = "match               : \"ip4.dst == ^vip\"\nactions             : \"next;\"\n";
    let open = "FILE:1: not checked without --template: ^vip\n1 flows, 1 not checked without --template, 0 of them bad; \
                0 lines that no flow could be read from\n";
    assert_eq!(checked(listed, &[]), (Some(0), open.to_owned()));
    let (code, text) = checked(listed, &["--template", "vip=\"x\""]);
    assert!(code == Some(1) && text.starts_with("FILE:1: match: column 1: integer field"), "{text}");
    assert_eq!(checked(listed, &["--template", "vip=1.2.3.4"]).0, Some(0));
    let (code, text) = checked(&format!("{listed}rubbish\n"), &[]);
    assert!(
        code == Some(1) && text.contains("FILE:3: column 1: expected COLUMN : VALUE, found rubbish\n"),
        "{text}"
    );
    // A database without flows, and what is no dump.
    let none = "0 flows, 0 of them bad; 0 lines that no flow could be read from\n";
    assert_eq!(checked("", &[]), (Some(0), none.to_owned()));
    let (code, text) = checked("match,actions\n", &[]);
    assert!(code == Some(2) && text.contains("comma-separated"), "{text}");
}
