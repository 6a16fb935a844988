//! Entry points of the fuzz target: any text is refused or read, and what was read keeps its meaning through every step.

use crate::action::{self, Pipeline, Place};
use crate::env::{OptionDef, OptionKind};
use crate::expr::{self, Packet};
use crate::normal::Conjunction;
use crate::{Environment, Field, MAX_CONJUNCTIONS, normalize};

/// Knows an option of each kind.
pub struct Options;

impl Environment for Options {
    fn dhcp_option(&self, name: &str) -> Option<OptionDef> {
        let (code, kind) = match name {
            "offerip" => (0, OptionKind::Ipv4),
            "domain_name" => (15, OptionKind::Str),
            "ip_forward_enable" => (19, OptionKind::Bool),
            "mtu" => (26, OptionKind::Uint16),
            "lease_time" => (51, OptionKind::Uint32),
            "tftp_server" => (66, OptionKind::HostId),
            "domain_search_list" => (119, OptionKind::Domains),
            "classless_static_route" => (121, OptionKind::StaticRoutes),
            _ => return None,
        };
        Some(OptionDef { code, kind })
    }

    fn dhcpv6_option(&self, name: &str) -> Option<OptionDef> {
        let (code, kind) = match name {
            "server_id" => (2, OptionKind::Mac),
            "ia_addr" => (5, OptionKind::Ipv6),
            "fqdn" => (39, OptionKind::Domain),
            _ => return None,
        };
        Some(OptionDef { code, kind })
    }
}

/// A packet whose fields follow from a number.
struct Any(u64);

impl Packet for Any {
    fn number(&self, field: Field) -> u128 {
        match (self.0, field) {
            (0, _) => 0,
            (1, _) => u128::MAX,
            (n, Field::EthType) => [0x800, 0x86dd, 0x806][n as usize % 3],
            (n, Field::IpProto) => [6, 17, 58, 1][n as usize % 4],
            (n, field) => u128::from((field as u64 + 1).wrapping_mul(n).wrapping_mul(0x9e37_79b9_7f4a_7c15)),
        }
    }

    fn name(&self, field: Field) -> &str {
        ["", "a", "vif1"][(self.0 as usize + field as usize) % 3]
    }

    fn is_resident(&self, port: &str) -> bool {
        port == "a"
    }
}

/// Reads a match, prints it, reads it again, and asks at each step what it says of a few packets. How many conjunctions and values it
/// multiplied out to; of one that is refused for that, as many as there may be.
pub fn fuzz_match(text: &str) -> usize {
    let Ok(parsed) = expr::parse(text, &Options) else { return 0 };
    let printed = parsed.to_string();
    let again = match expr::parse(&printed, &Options) {
        Ok(again) => again,
        Err(error) => panic!("{text}: printed as {printed}: {error}"),
    };
    assert_eq!(again.to_string(), printed, "{text}");
    let again = again.annotate();
    let annotated = parsed.annotate();
    let simple = annotated.clone().simplify(&mut |port| port == "a");
    let normal = simple.as_ref().ok().and_then(|simple| normalize(simple).ok());
    for packet in (0..6).map(Any) {
        let expected = annotated.evaluate(&packet);
        assert_eq!(again.evaluate(&packet), expected, "{text}: printed as {printed}, packet {}", packet.0);
        if let Ok(simple) = &simple {
            assert_eq!(
                simple.evaluate(&packet),
                expected,
                "{text}: simplified {simple}, packet {}",
                packet.0
            );
        }
        if let Some(normal) = &normal {
            assert_eq!(
                normal.evaluate(&packet),
                expected,
                "{text}: normalized {normal}, packet {}",
                packet.0
            );
        }
    }
    let values = |conjunction: &Conjunction<'_>| -> usize {
        conjunction.terms.iter().map(|term| term.choice.len()).sum()
    };
    normal.map_or(MAX_CONJUNCTIONS, |form| form.conjunctions.iter().map(|all| 1 + values(all)).sum())
}

/// Reads actions, prints them, and reads them again.
pub fn fuzz_actions(text: &str) {
    let place = Place { pipeline: Pipeline::Ingress, table: 10, ingress_tables: 34, egress_tables: 16 };
    let Ok(actions) = action::parse(text, place, &Options) else { return };
    let printed = actions.to_string();
    match action::parse(&printed, place, &Options) {
        Ok(again) => assert_eq!(again.to_string(), printed, "{text}"),
        Err(error) => panic!("{text}: printed as {printed}: {error}"),
    }
}
