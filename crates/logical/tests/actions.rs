//! Actions: what is read, what is refused, and how they print.

use kiln_logical::action::{Pipeline, Place, parse};
use kiln_logical::env::{OptionDef, OptionKind};
use kiln_logical::{Environment, NoNames};
use proptest::prelude::*;

/// Knows a handful of DHCP options.
struct Options;

impl Environment for Options {
    fn dhcp_option(&self, name: &str) -> Option<OptionDef> {
        let (code, kind) = match name {
            "offerip" => (0, OptionKind::Ipv4),
            "router" => (3, OptionKind::Ipv4),
            "dns_server" => (6, OptionKind::Ipv4),
            "domain_name" => (15, OptionKind::Str),
            "mtu" => (26, OptionKind::Uint16),
            "tftp_server" => (66, OptionKind::HostId),
            "classless_static_route" => (121, OptionKind::StaticRoutes),
            _ => return None,
        };
        Some(OptionDef { code, kind })
    }

    fn dhcpv6_option(&self, name: &str) -> Option<OptionDef> {
        (name == "ia_addr").then_some(OptionDef { code: 5, kind: OptionKind::Ipv6 })
    }
}

fn place(pipeline: Pipeline, table: u8) -> Place {
    Place { pipeline, table, ingress_tables: 34, egress_tables: 16 }
}

/// A line is `text`, printed as it is, or `text => canonical text`; ` ? symbols` at its end names prerequisites.
const GOOD: &str = r#"
    drop;
     => drop;
    /* nothing */ => drop;
    output;
    next;
    next(11); => next;
    next(10);
    next(table=5);=> next(5);
    next(pipeline=ingress, table=11); => next;
    next(table=3, pipeline=egress); => next(pipeline=egress, table=3);
    next(pipeline=egress); => next(pipeline=egress, table=11);
    tcp.dst=80; => tcp.dst = 80; ? tcp
    eth.dst[40] = 1;
    vlan.pcp = 2; ? vlan.present
    vlan.pcp = 4/4; ? vlan.present
    inport = "";
    outport="eth0"; next; => outport = "eth0"; next;
    reg0 = reg1;
    reg0[10] = vlan.pcp[1]; ? vlan.present
    vlan.pcp <-> reg0[0..2]; ? vlan.present
    outport <-> inport;
    ip.ttl--; ? ip
    ip.ttl = 4; ? ip
    push(xxreg0);push(xxreg1[10..20]);pop(xxreg0[0..47]); => push(xxreg0); push(xxreg1[10..20]); pop(xxreg0[0..47]);
    icmp4.frag_mtu = 1500;
    ct_next; => ct_next(dnat); ? ip
    ct_next(snat); ? ip
    ct_commit; ? ip
    ct_commit { }; => ct_commit; ? ip
    ct_commit { ct_mark.blocked=1; ct_label = 0x0102/0x0f0f; }; => ct_commit { ct_mark.blocked = 1; ct_label = 0x102/0xf0f; }; ? ip
    ct_commit { ct_label.obs_point_id = reg2; }; ? ip
    ct_commit_to_zone(snat); ? ip
    ct_commit_nat; => ct_commit_nat(dnat); ? ip
    ct_dnat; ? ip
    ct_dnat(192.168.1.2, 1-3000); => ct_dnat(192.168.1.2,1-3000); ? ip
    ct_snat_in_czone(fd11::2); ? ip
    ct_lb(); => ct_lb; ? ip
    ct_lb_mark(backends=192.168.1.2:80, 192.168.1.3, ; skip_snat); => ct_lb_mark(backends=192.168.1.2:80,192.168.1.3; skip_snat); ? ip
    ct_lb_mark(backends=[fd0f::2]:80,fd0f::3; hash_fields="ip_src,ip_dst"; force_snat); ? ip
    ct_lb_mark_local(backends="a":10.0.0.1:80,"b":10.0.0.2:80); ? ip
    ct_clear; ct_snat_to_vip; igmp; handle_dhcpv6_reply; handle_bfd_msg(); mac_cache_use; flood_remote;
    clone { ip4.dst = 255.255.255.255; output; }; next; ? ip4
    arp { eth.dst = ff:ff:ff:ff:ff:ff; output; }; ? ip
    arp { }; => arp { drop; }; ? ip
    nd_ns { nd.target = xxreg0; output; }; ? ip
    nd_na_router { nd.tll = xreg0[0..47]; inport = ""; /* Allow. */ output; }; => nd_na_router { nd.tll = xreg0[0..47]; inport = ""; output; }; ? nd_ns
    icmp4_error { icmp4.frag_mtu = 1500; output; }; ? ip4
    fragment(1400){ip4.dst=ip4.src;output;}; next; => fragment(1400) { ip4.dst = ip4.src; output; }; next; ? ip4
    icmp6 { drop; }; ? ip6
    tcp_reset { output; }; ? tcp
    sctp_abort { output; }; ? sctp
    reject { outport <-> inport; next(pipeline=egress,table=5); }; => reject { outport <-> inport; next(pipeline=egress, table=5); };
    get_arp(outport, ip4.dst); ? ip4
    get_nd(outport, xxreg0);
    put_arp(inport, arp.spa, arp.sha); ? arp arp
    put_nd(inport, nd.target, nd.tll); ? nd nd_na
    reg0[0] = lookup_arp(inport, ip4.dst, eth.src); ? ip4
    reg9[3] = lookup_nd_ip(inport, ip6.src); ? ip6
    put_fdb(inport, eth.src);
    outport = get_fdb(eth.dst);
    remote_outport = get_remote_fdb(eth.dst);
    reg0[11] = lookup_fdb(inport, eth.src);
    reg0[15] = check_in_port_sec();
    reg3[0..7] = ct_state_save();
    xxreg1 = ct_ip6_dst();
    reg0[4] = dns_lookup(); ? udp
    reg0[3] = put_dhcp_opts(offerip=1.2.3.4, router = 10.0.0.1, dns_server={8.8.8.8,7.7.7.7}, mtu=1400); => reg0[3] = put_dhcp_opts(offerip = 1.2.3.4, router = 10.0.0.1, dns_server = {8.8.8.8, 7.7.7.7}, mtu = 1400);
    reg0[3] = put_dhcp_opts(offerip = 1.2.3.4, tftp_server = "host", classless_static_route = {30.0.0.0/24, 10.0.0.4});
    reg0[3] = put_dhcp_opts(offerip = {1.2.3.4, 1.2.3.5}, domain_name = {"a" "b"}, mtu = {1,2}, domain_name = {"c"}); => reg0[3] = put_dhcp_opts(offerip = {1.2.3.4, 1.2.3.5}, domain_name = {"a", "b"}, mtu = {1, 2}, domain_name = "c");
    reg0[3] = put_dhcpv6_opts();
    reg0[3] = put_dhcpv6_opts(ia_addr = ae70::4);
    reg0[5] = put_nd_ra_opts(addr_mode = "slaac", slla = ae:01:02:03:04:05, prefix = aef0::/64, mtu = 1450); ? ip6
    reg0[5] = put_nd_ra_opts(slla = ae:01:02:03:04:05, prefix = aef0::/64, rdnss = fd00::1/64); => reg0[5] = put_nd_ra_opts(slla = ae:01:02:03:04:05, prefix = aef0::/64, rdnss = fd00::/64); ? ip6
    reg0[5] = put_nd_ra_opts(addr_mode = "slaac", slla = ae:01:02:03:04:05, addr_mode = "dhcpv6_stateful"); ? ip6
    reg9[7] = dhcp_relay_req_chk(20.0.0.254 172.16.0.50); => reg9[7] = dhcp_relay_req_chk(20.0.0.254, 172.16.0.50);
    reg9[7] = dhcp_relay_req_chk(20.0.0.254,172.16.0.50);next; => reg9[7] = dhcp_relay_req_chk(20.0.0.254, 172.16.0.50); next;
    set_queue(61440);
    set_meter(100, 1000); set_meter(7);
    reg9[1] = check_pkt_larger(1514);
    log(severity=alert, name="deny \"all\"", verdict=drop, meter="m1"); => log(name="deny \"all\"", verdict=drop, severity=alert, meter="m1");
    log(verdict=pass); => log(verdict=pass, severity=info);
    trigger_event(event = "empty_lb_backends", vip = "10.0.0.1:80", protocol = "tcp", load_balancer = "12345678-abcd-9876-fedc-11119f8e7d6c");
    trigger_event(event = "empty_lb_backends" protocol = "tcp" load_balancer = "12345678-abcd-9876-fedc-11119f8e7d6c" vip = "::1", vip = "::2",); => trigger_event(event = "empty_lb_backends", protocol = "tcp", load_balancer = "12345678-abcd-9876-fedc-11119f8e7d6c", vip = "::1", vip = "::2");
    bind_vport("vip1", inport);
    handle_svc_check(inport);
    fwd_group(liveness=true, childports="p1", "p2"); => fwd_group(liveness="true", childports="p1", "p2");
    fwd_group(childports="p1","p2"); => fwd_group(childports="p1", "p2");
    reg8[16..31] = select(1, 2=20); => reg8[16..31] = select(1=100, 2=20);
    reg8[16..31] = select(values=(1=20, 2); hash_fields="ip_src,ip_dst"); => reg8[16..31] = select(values=(1=20, 2=100); hash_fields="ip_src,ip_dst");
    commit_ecmp_nh(ipv6 = "false", proto = tcp); => commit_ecmp_nh(ipv6 = false, proto = tcp);
    commit_lb_aff(vip = "172.16.0.123:8080", backend = "10.0.0.3:8080", proto = tcp, timeout = 30);
    commit_lb_aff(vip = "[::1]:8080", backend = "[::2]:8080", proto = udp, timeout = 30);
    commit_lb_aff(vip = "172.16.0.123", backend = "10.0.0.3", timeout = 30);
    commit_lb_aff(vip = "[::1]:0", backend = "[::2]:0", timeout = 0); => commit_lb_aff(vip = "[::1]", backend = "[::2]", timeout = 0);
    sample(probability=10); => sample(probability=10,collector_set=0,obs_domain=0,obs_point=0);
    sample(probability=1 collector_set=200 obs_domain=5,); => sample(probability=1,collector_set=200,obs_domain=5,obs_point=0);
    sample(probability=65535,collector_set=200,obs_domain=5,obs_point=$cookie);
    sample(probability=65535,collector_set=200,obs_domain=5,obs_point=ct_label.obs_point_id);
    mirror("port");
"#;

#[test]
fn canonical_text_and_prerequisites() {
    for case in GOOD.lines().map(str::trim).filter(|l| !l.is_empty()) {
        let (case, needed) = case.rsplit_once(" ? ").unwrap_or((case, ""));
        let (input, expected) = match case.strip_prefix("=>") {
            Some(expected) => ("", expected.trim()),
            None => case.split_once("=>").map_or((case, case), |(i, e)| (i.trim(), e.trim())),
        };
        let actions =
            parse(input, place(Pipeline::Ingress, 10), &Options).unwrap_or_else(|e| panic!("{input}: {e}"));
        assert_eq!(actions.to_string(), expected, "{input}");
        let found: Vec<&str> = actions.prerequisites.iter().map(|p| p.symbol.get().name).collect();
        assert_eq!(found.join(" "), needed, "{input}");
        assert_eq!(parse(expected, place(Pipeline::Ingress, 10), &Options).unwrap(), actions, "{input}");
    }
}

#[test]
fn errors_name_the_column_and_what_was_expected() {
    let cases = [
        (";", 1, "expected an action, found `;'"),
        ("xyzzy;", 1, "expected an action, found `xyzzy'"),
        ("next", 5, "expected `;', found the end"),
        ("next; 123;", 7, "expected an action, found `123'"),
        ("drop; next;", 7, "after `drop;'"),
        ("next; drop;", 7, "expected an action, found `drop'"),
        ("next();", 6, "`pipeline' or `table'"),
        ("next(34);", 9, "below 34 in the ingress pipeline, found 34"),
        ("next(pipeline=egress, table=16);", 32, "below 16 in the egress"),
        ("inport[1] = 1;", 8, "bits of string field"),
        ("ip.proto[1] = 1;", 10, "bits of nominal field"),
        ("eth.dst[40] == 1;", 13, "expected `=' or `<->'"),
        ("ip = 1;", 1, "found predicate ip"),
        ("ip.proto = 6;", 1, "ip.proto is not modifiable"),
        ("ct_mark = 12345;", 1, "ct_mark is not modifiable"),
        ("ct_commit { ip4.dst = 192.168.0.1; };", 13, "not modifiable inside ct_commit"),
        ("ct_commit(ct_mark=1);", 10, "expected `;'"),
        ("inport = {\"a\", \"b\"};", 10, "single constant"),
        ("inport = 1;", 1, "string field inport"),
        ("pkt.mark = \"foo\";", 1, "integer field pkt.mark"),
        ("pkt.mark = foo;", 12, "expected a field name, found `foo'"),
        ("pkt.mark;", 9, "expected `=' or `<->'"),
        ("reg0[0] = vlan.present;", 11, "found vlan.present, which is none"),
        ("reg0 = reg1[0..10];", 8, "11-bit value to 32-bit"),
        ("inport = reg0;", 10, "integer field reg0 to string field inport"),
        ("reg0 <-> reg1[0..10];", 10, "32-bit field with 11-bit field"),
        ("reg0 <-> ct_state;", 10, "ct_state is not modifiable"),
        ("tcp.dst = 65536;", 1, "17-bit constant"),
        ("ip.tos--;", 1, "expected an action"),
        ("ip4.src--;", 1, "only ip.ttl"),
        ("ct_next(ignore);", 9, "`dnat' or `snat'"),
        ("ct_next(snat, dnat);", 13, "expected `)'"),
        ("ct_dnat(foo);", 9, "IPv4 or IPv6 address"),
        ("ct_dnat(192.168.1.2, 1000-100);", 27, "port above 1000, found 100"),
        ("ct_lb(192.168.1.2:80);", 7, "`backends'"),
        ("ct_lb_mark(backends=192.168.1.2:);", 33, "port number"),
        ("ct_lb_mark(backends=192.168.1.2:123456);", 33, "port number"),
        ("ct_lb_mark(backends=[192.168.1.2]);", 22, "IPv6 address"),
        ("ct_lb_mark(backends=1.1.1.1; hash_fields=eth_src);", 42, "in quotes"),
        ("arp;", 4, "expected `{'"),
        ("arp { output; ", 15, "expected an action"),
        ("get_arp(inport, eth.dst);", 17, "expected a 32-bit field, found 48-bit field eth.dst"),
        ("get_arp(reg0, ip4.dst);", 9, "expected a string field, found numeric field reg0"),
        ("get_arp(inport, outport);", 17, "expected a numeric field, found string field"),
        ("lookup_arp;", 1, "expected an action"),
        ("reg0[0] = lookup_arp(inport, ip4.dst, ip4.src);", 39, "48-bit field"),
        ("reg0 = chk_lb_hairpin();", 1, "expected a 1-bit field, found 32-bit field reg0"),
        ("reg0[0] = chk_lb_hairpin(foo);", 26, "takes no arguments"),
        ("reg0[0] = put_dhcp_opts(router = 10.0.0.1);", 1, "requires option offerip"),
        ("reg0[0] = put_dhcp_opts(x = 1);", 25, "DHCPv4 option's name, found `x'"),
        ("reg0[0] = put_dhcp_opts(offerip=\"x\");", 33, "requires numeric values"),
        ("reg0[0] = put_dhcp_opts(offerip=1.2.3.4, domain_name=1.2.3.4);", 54, "requires a string"),
        ("reg0[0] = put_nd_ra_opts(addr_mode = \"slaac\", prefix = aef0::/64);", 1, "requires option slla"),
        ("reg0[0] = put_nd_ra_opts(slla = 00:00:00:00:00:01);", 1, "requires option prefix unless"),
        ("reg0[0] = put_nd_ra_opts(dnssl = {\"a\", \"b\"});", 34, "invalid value for option dnssl"),
        ("reg0[0] = put_dhcp_opts(offerip = $set);", 35, "written out, found `$set'"),
        (
            "reg0[0] = put_dhcp_opts(offerip = 1.2.3.4, domain_name = {\"a\", @group});",
            64,
            "written out, found `@group'",
        ),
        ("commit_lb_aff(vip = \"1.1.1.1:0\", backend = \"2.2.2.2\", proto = tcp);", 55, "`timeout'"),
        (
            "reg0[0] = put_nd_ra_opts(addr_mode = \"foo\", slla = 00:00:00:00:00:01);",
            38,
            "invalid value for option addr_mode",
        ),
        ("set_queue(65535);", 11, "at most 61440"),
        ("set_meter(0);", 11, "rate above 0"),
        ("log(severity=notice);", 21, "verdict"),
        ("log(verdict=bad);", 13, "a verdict, found `bad'"),
        ("trigger_event(event = \"x\");", 23, "empty_lb_backends"),
        (
            "trigger_event(event = \"empty_lb_backends\", vip = \"::1\", protocol = \"aarp\", load_balancer = \"b\");",
            68,
            "aarp",
        ),
        ("trigger_event(event = \"empty_lb_backends\", vip = \"1.2.3.4:65536\");", 50, "an address"),
        (
            "trigger_event(event = \"empty_lb_backends\", vip = \"[::1]\");",
            42,
            "vip, protocol and load_balancer",
        ),
        ("next(0x5);", 6, "a table number"),
        ("ct_dnat(1.2.3.4, 0);", 18, "a port above 0"),
        ("ct_lb_mark(backends=1.2.3.4; skip_snat; force_snat);", 39, "`)'"),
        ("ct_lb_mark(backends=1.2.3.4; skip_snat; hash_fields=\"x\");", 39, "`)'"),
        ("ct_lb_mark(backends=1.2.3.4; hash_fields=\"x\"; next);", 47, "`skip_snat' or `force_snat'"),
        ("reg0 = select(1);", 17, "at least two values"),
        ("reg0 = select(1=0, 2);", 17, "weight above 0"),
        ("reg0[0..14] = select(1, 2);", 1, "at least 16 bits"),
        ("fwd_group(childports=eth0);", 22, "in quotes"),
        ("commit_ecmp_nh(proto = sctp);", 16, "`ipv6'"),
        ("commit_lb_aff(vip = \"nowhere\", backend = \"1.1.1.1\", timeout = 3);", 21, "nowhere"),
        ("sample(collector_set=200);", 7, "probability above 0"),
        ("sample(probability=1,obs_domain=300);", 33, "8 bits"),
        ("outport = get_fdb(ip4.dst);", 19, "48-bit field"),
        ("bind_vport(vip, inport);", 12, "in quotes"),
    ];
    for (text, column, part) in cases {
        let error = parse(text, place(Pipeline::Ingress, 10), &Options).unwrap_err();
        assert!(error.message.contains(part), "{text}: {error}");
        assert_eq!(error.column, column, "{text}: {error}");
    }
}

#[test]
fn the_last_table_has_no_next() {
    for text in ["next;", "ct_next;", "ct_dnat;", "ct_lb_mark(backends=1.1.1.1);", "reg0 = select(1, 2);"] {
        assert!(parse(text, place(Pipeline::Egress, 14), &NoNames).is_ok(), "{text}");
        assert!(parse(text, place(Pipeline::Egress, 15), &NoNames).is_err(), "{text}");
    }
}

#[test]
fn nesting_is_bounded() {
    let nested = |n: usize| format!("{}output;{}", "clone { ".repeat(n), " };".repeat(n));
    assert!(parse(&nested(32), place(Pipeline::Ingress, 0), &NoNames).is_ok());
    let error = parse(&nested(100_000), place(Pipeline::Ingress, 0), &NoNames).unwrap_err();
    assert!(error.message.contains("deep"), "{error}");
}

/// Statements that may be put in any order.
fn statements() -> impl Strategy<Value = String> {
    let simple: Vec<String> = GOOD
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty() && !l.starts_with("drop") && !l.starts_with("=>") && !l.starts_with("/*"))
        .map(|l| l.split(" ? ").next().unwrap_or(l).split("=>").next().unwrap_or(l).trim().to_owned())
        .collect();
    let one = prop::sample::select(simple);
    prop::collection::vec(one, 1..5).prop_map(|v| v.join(" "))
}

proptest! {
    #[test]
    fn printing_is_a_fixed_point(text in statements(), nest in any::<bool>()) {
        let text = if nest { format!("clone {{ {text} }};") } else { text };
        let at = place(Pipeline::Ingress, 10);
        let actions = parse(&text, at, &Options).map_err(|e| TestCaseError::fail(format!("{text}: {e}")))?;
        let printed = actions.to_string();
        let again = parse(&printed, at, &Options).map_err(|e| TestCaseError::fail(format!("{printed}: {e}")))?;
        prop_assert_eq!(&again, &actions);
        prop_assert_eq!(again.to_string(), printed);
    }

    #[test]
    fn hostile_text_is_refused_without_panic(text in "[-!&|(){}<>=.,;:/$@^\"a-z0-9_ ]{0,100}", keep in 0usize..120) {
        let _ = parse(&text, place(Pipeline::Ingress, 10), &Options);
        for line in GOOD.lines() {
            let line = line.trim();
            let cut: String = line.chars().take(keep).collect();
            let _ = parse(&cut, place(Pipeline::Ingress, 10), &Options);
        }
    }
}
