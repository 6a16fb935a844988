//! Lowered actions against what a stock controller makes of the same text.

use kiln_abi::stages::{Datapath, Pipeline};
use kiln_logical::action::parse;
use kiln_logical::env::{OptionDef, OptionKind};
use kiln_lower::{
    ActionError, ActionProblem, Context, Meter, Names, Resources, SelectGroup, Tables, lower_actions,
};
use kiln_openflow::msg::Group;
use kiln_openflow::{Action, Actions};
use kiln_types::{DatapathKey, OfPort, Uuid};
use std::cell::RefCell;

/// The network that the stock controller was asked in.
#[derive(Default)]
struct Network {
    groups: RefCell<Vec<SelectGroup>>,
}

impl kiln_logical::Environment for Network {
    fn dhcp_option(&self, name: &str) -> Option<OptionDef> {
        let (code, kind) = match name {
            "offerip" => (0, OptionKind::Ipv4),
            "netmask" => (1, OptionKind::Ipv4),
            "router" => (3, OptionKind::Ipv4),
            "dns_server" => (6, OptionKind::Ipv4),
            "hostname" => (12, OptionKind::Str),
            "domain_name" => (15, OptionKind::Str),
            "ip_forward_enable" => (19, OptionKind::Bool),
            "mtu" => (26, OptionKind::Uint16),
            "lease_time" => (51, OptionKind::Uint32),
            "tftp_server" => (66, OptionKind::HostId),
            "bootfile_name" => (67, OptionKind::Str),
            "domain_search_list" => (119, OptionKind::Domains),
            "classless_static_route" => (121, OptionKind::StaticRoutes),
            "next_server" => (253, OptionKind::Ipv4),
            _ => return None,
        };
        Some(OptionDef { code, kind })
    }

    fn dhcpv6_option(&self, name: &str) -> Option<OptionDef> {
        let (code, kind) = match name {
            "server_id" => (2, OptionKind::Mac),
            "ia_addr" => (5, OptionKind::Ipv6),
            "dns_server" => (23, OptionKind::Ipv6),
            "domain_search" => (24, OptionKind::Str),
            "fqdn" => (39, OptionKind::Domain),
            _ => return None,
        };
        Some(OptionDef { code, kind })
    }
}

impl Names for Network {
    fn port_key(&self, name: &str) -> Option<u32> {
        match name {
            "vif1" => Some(1),
            "vif2" => Some(2),
            "vif3" => Some(3),
            "rem9" => Some(9),
            "_MC_flood" => Some(0x8000),
            _ => None,
        }
    }

    fn is_resident(&self, name: &str) -> bool {
        name.starts_with("vif")
    }
}

impl Resources for Network {
    fn tunnel_to(&self, port: &str) -> Option<OfPort> {
        (port == "rem9").then_some(OfPort(17))
    }

    fn has_collector_set(&self, id: u32) -> bool {
        id == 200
    }

    fn group(&self, wanted: &SelectGroup) -> Option<u32> {
        self.groups.borrow_mut().push(wanted.clone());
        Some(1)
    }

    fn meter(&self, wanted: &Meter<'_>) -> Option<u32> {
        match wanted {
            Meter::Named("meter1") | Meter::Rate { rate_kbps: 100, burst_kb: Some(1000) } => Some(1),
            _ => None,
        }
    }
}

fn context() -> Context<'static> {
    Context {
        datapath: Datapath::Switch,
        datapath_key: DatapathKey(10),
        pipeline: Pipeline::Ingress,
        table: 10,
        lflow: Uuid::from_u128(0x10000000 << 96 | 1),
        controller_meter: None,
        port_meters: false,
        tables: Tables::default(),
        explicit_arp_ns_output: true,
        register_consolidation: true,
        common_zone_is_snat: false,
        ct_zero_snat: true,
        dp_hash_l4_symmetric: true,
    }
}

/// `kind pipeline [metered] [old]`.
fn context_of(words: &str) -> Context<'static> {
    let mut context = context();
    for word in words.split(' ') {
        match word {
            "switch" | "ingress" => {}
            "router" => {
                context.datapath = Datapath::Router;
                context.datapath_key = DatapathKey(20);
            }
            "egress" => context.pipeline = Pipeline::Egress,
            "metered" => context.controller_meter = Some("meter1"),
            "old" => {
                context.explicit_arp_ns_output = false;
                context.register_consolidation = false;
            }
            _ => panic!("{word}"),
        }
    }
    context
}

fn lower(text: &str, context: &Context<'_>, network: &Network) -> Result<Actions, ActionError> {
    let actions = parse(text, context.place(), network).unwrap_or_else(|e| panic!("{text}: {e}"));
    lower_actions(&actions, context, network)
}

#[test]
fn actions_equal_a_stock_controllers() {
    let lines = include_str!("stock_actions.txt").lines().filter(|l| !l.starts_with('#') && !l.is_empty());
    let mut lines = lines.peekable();
    let mut count = 0;
    while let Some(line) = lines.next() {
        let (words, text) = line.split_once(": ").unwrap();
        let network = Network::default();
        let found = lower(text, &context_of(words), &network).unwrap_or_else(|e| panic!("{text}: {e}"));
        let stock = lines.next().unwrap().trim();
        let expected: Actions = if stock == "drop" { Actions::none() } else { stock.parse().unwrap() };
        assert_eq!(found, expected, "{text}\n kiln  {found}\n stock {stock}");
        if let Some(group) = lines.next_if(|l| l.starts_with("    ")) {
            let expected: Group = format!("group_id=1,{}", group.trim()).parse().unwrap();
            let groups = network.groups.borrow();
            let [found] = groups.as_slice() else { panic!("{text}: expected one group, found {groups:?}") };
            assert_eq!(found.buckets, expected.buckets, "{text}");
            assert_eq!(Some(&found.selection), expected.selection.as_ref(), "{text}");
        }
        count += 1;
    }
    assert!(count > 120, "only {count} cases");
}

#[test]
fn a_flow_that_cannot_be_lowered_says_why() {
    let cases = [
        ("reg7[5..20] = ct_tp_dst();", "overlapping"),
        (
            "ct_lb_mark(backends=10.0.0.1:80,0.0.0.0:80);",
            "address before the port to translate to, found 0.0.0.0",
        ),
        ("ct_lb_mark_local(backends=\"vif1\":[::]:80);", "address before the port to translate to, found ::"),
        ("ct_snat(0.0.0.0, 1-5);", "address before the port"),
        ("reg0 = select(values=(1, 2); hash_fields=\"ip_src,colour\");", "colour"),
        (
            "reg0[0] = put_dhcp_opts(offerip = 1.2.3.4, mtu = 70000);",
            "option mtu: expected a value of 2 bytes",
        ),
        ("reg0[0] = put_dhcp_opts(offerip = 1.2.3.4, classless_static_route = {1.0.0.0/8});", "pairs"),
        (
            "reg0[0] = put_dhcp_opts(offerip = 1.2.3.4, classless_static_route = {10.0.0.0/255.0.255.0, 1.1.1.1});",
            "expected prefixes, found 10.0.0.0/255.0.255.0",
        ),
        ("reg0[0] = put_dhcp_opts(offerip = 1.2.3.4, offerip = 1.2.3.5);", "one address to offer"),
        (
            "reg0[0] = put_nd_ra_opts(addr_mode = \"dhcpv6_stateful\", slla = 00:00:00:00:00:01, route_info = \"HIGH-x\");",
            "option route_info: expected routes",
        ),
    ];
    for (text, part) in cases {
        let error = lower(text, &context(), &Network::default()).unwrap_err();
        assert!(error.to_string().contains(part), "{text}: {error}");
    }
    let label = format!("reg0[0] = put_dhcpv6_opts(fqdn = \"a.{}\");", "b".repeat(64));
    let error = lower(&label, &context(), &Network::default()).unwrap_err();
    assert!(error.to_string().contains("labels of at most 63 bytes"), "{error}");
    let long = format!("reg0[0] = put_dhcp_opts(offerip = 1.2.3.4, hostname = \"{}\");", "h".repeat(256));
    let error = lower(&long, &context(), &Network::default()).unwrap_err();
    assert!(error.to_string().contains("at most 255 bytes, found 256"), "{error}");
    let names = format!(
        "reg0[0] = put_dhcp_opts(offerip = 1.2.3.4, domain_search_list = \"{}\");",
        "a.".repeat(20_000)
    );
    let error = lower(&names, &context(), &Network::default()).unwrap_err();
    assert!(error.to_string().contains("names of at most 255 bytes together"), "{error}");
    let endless = "reg0 = reg1; ".repeat(3000);
    let error = lower(&endless, &context(), &Network::default()).unwrap_err();
    assert!(matches!(error.problem, ActionProblem::TooLong(_)), "{error}");
}

/// What the datapath or the row leaves open.
#[test]
fn options_of_the_context() {
    let router = Context { datapath: Datapath::Router, ..context() };
    let network = Network::default();
    let text = |context: &Context<'_>, text| lower(text, context, &network).unwrap().to_string();
    let snat_zone = Context { common_zone_is_snat: true, ..router.clone() };
    assert_eq!(text(&router, "ct_snat_in_czone;"), "ct(table=19,zone=NXM_NX_REG11[0..15],nat)");
    assert_eq!(text(&snat_zone, "ct_snat_in_czone;"), "ct(table=19,zone=NXM_NX_REG12[0..15],nat)");
    let no_zero_snat = Context { ct_zero_snat: false, ..context() };
    assert_eq!(text(&no_zero_snat, "ct_commit;"), "ct(commit,zone=NXM_NX_REG13[0..15])");
    let unknown_meter = Context { controller_meter: Some("nobody"), ..context() };
    assert_eq!(text(&unknown_meter, "igmp;"), "controller(userdata=00.00.00.10.00.00.00.00)");
    assert_eq!(text(&context(), "set_meter(7);"), "drop", "a switch without meters");

    // The stock switch at hand had no datapath that takes the point from a field; this is what the manual of actions says.
    assert_eq!(
        text(&context(), "sample(probability=10, collector_set=200, obs_domain=1, obs_point=reg3);"),
        "sample(probability=10,collector_set_id=200,obs_domain_id=16777226,obs_point_id=NXM_NX_XXREG0[0..31])"
    );

    let asymmetric = Context { dp_hash_l4_symmetric: false, ..context() };
    for (context, param) in [(context(), 1 << 32), (asymmetric, 0)] {
        let network = Network::default();
        lower("reg0 = select(1, 2);", &context, &network).unwrap();
        assert_eq!(network.groups.borrow()[0].selection.param, param);
    }
}

/// Spaces after commas are for people, not for names.
#[test]
fn lists_in_texts_may_have_spaces() {
    let cases = [
        ("reg0[0] = put_dhcp_opts(offerip = 1.2.3.4, domain_search_list = \"ovn.org, abc.ovn.org\");", ", "),
        (
            "reg0[0] = put_nd_ra_opts(addr_mode = \"dhcpv6_stateful\", slla = 00:00:00:00:00:01, dnssl = \"a.b, c\");",
            ", ",
        ),
        (
            "reg0[0] = put_nd_ra_opts(addr_mode = \"dhcpv6_stateful\", slla = 00:00:00:00:00:01, route_info = \"HIGH-aef1::/48, LOW-aef2::/64\");",
            "8, ",
        ),
    ];
    let lower = |text: &str| lower(text, &context(), &Network::default()).unwrap();
    for (text, list) in cases {
        let (before, after) = text.rsplit_once(list).unwrap();
        let dense = format!("{before}{}{after}", list.trim_end());
        assert_eq!(lower(text), lower(&dense), "{text}");
    }
}

#[test]
fn a_live_tunnel_decides_whether_packets_are_forwarded() {
    let network = Network::default();
    lower("fwd_group(liveness=\"true\", childports=\"rem9\");", &context(), &network).unwrap();
    assert_eq!(network.groups.borrow()[0].buckets[0].watch_port, Some(OfPort(17)));
    let here =
        lower("fwd_group(liveness=\"true\", childports=\"rem9\", \"vif1\");", &context(), &network).unwrap();
    assert!(here.is_empty(), "no tunnel leads to a port that is here");
}

/// Kiln's own action: the opcode, the MTU in 16 bits, 48 zero bits, and what is done with an error; the packet waits.
#[test]
fn fragments_are_made_by_the_controller() {
    let found = lower("fragment(1400) { reg1 = 2; }; next;", &context(), &Network::default()).unwrap();
    let nested = lower("reg1 = 2;", &context(), &Network::default()).unwrap();
    let userdata =
        [&[0x6b, 0x69, 0x6c, 0, 0, 0, 0, 0], &[5, 0x78, 0, 0, 0, 0, 0, 0], nested.as_bytes()].concat();
    let list: Vec<Action> = found.iter().collect();
    let [Action::Controller(up), next] = list.as_slice() else { panic!("{found}") };
    assert_eq!((&*up.userdata, up.pause), (&userdata[..], true));
    assert_eq!(*next, Action::resubmit(8 + 11), "the pieces go on behind it");
}
