//! Entry point of the fuzz target: whatever a text says, it is lowered to what the switch can be told, or refused.

use crate::{Context, LowerError, Meter, Names, Resources, SelectGroup, Tables, lower_actions, lower_match};
use kiln_abi::stages::{Datapath, Pipeline};
use kiln_logical::env::OptionDef;
use kiln_logical::fuzz::Options;
use kiln_logical::{Environment, MAX_CONJUNCTIONS, action};
use kiln_openflow::{Actions, Field, FieldValue, Version};
use kiln_types::{DatapathKey, OfPort, Uuid};

/// A network in which every third name is known.
struct Network;

impl Environment for Network {
    fn dhcp_option(&self, name: &str) -> Option<OptionDef> {
        Options.dhcp_option(name)
    }

    fn dhcpv6_option(&self, name: &str) -> Option<OptionDef> {
        Options.dhcpv6_option(name)
    }
}

impl Names for Network {
    fn port_key(&self, name: &str) -> Option<u32> {
        let key = name.bytes().map(u32::from).sum::<u32>();
        (!key.is_multiple_of(3)).then_some(key)
    }

    fn is_resident(&self, name: &str) -> bool {
        name.len() & 1 == 0
    }
}

impl Resources for Network {
    fn tunnel_to(&self, port: &str) -> Option<OfPort> {
        self.port_key(port).map(OfPort)
    }

    fn has_collector_set(&self, id: u32) -> bool {
        id == 200
    }

    fn group(&self, _wanted: &SelectGroup) -> Option<u32> {
        Some(1)
    }

    fn meter(&self, _wanted: &Meter<'_>) -> Option<u32> {
        Some(1)
    }
}

/// Lowers a text as a match and as actions. How many flows came of the match; of one that is refused after it was multiplied out, as
/// many as there may be.
pub fn fuzz(text: &str) -> usize {
    fuzz_actions(text);
    match lower_match(text, &Network, &[FieldValue::exact(Field::METADATA, 10)], 1) {
        Ok(lowered) => lowered.flows.len(),
        Err(LowerError::Syntax(_)) => 0,
        Err(_) => MAX_CONJUNCTIONS,
    }
}

fn fuzz_actions(text: &str) {
    let context = Context {
        datapath: Datapath::Router,
        datapath_key: DatapathKey(10),
        pipeline: Pipeline::Ingress,
        table: 10,
        lflow: Uuid::from_u128(1 << 100),
        controller_meter: None,
        port_meters: false,
        tables: Tables::default(),
        explicit_arp_ns_output: true,
        register_consolidation: true,
        common_zone_is_snat: false,
        ct_zero_snat: true,
        dp_hash_l4_symmetric: true,
    };
    let Ok(parsed) = action::parse(text, context.place(), &Network) else { return };
    if let Ok(actions) = lower_actions(&parsed, &context, &Network) {
        let read = Actions::decode(Version::V1_5, actions.as_bytes());
        assert_eq!(read.as_ref(), Ok(&actions), "{text}: {actions}");
    }
}
