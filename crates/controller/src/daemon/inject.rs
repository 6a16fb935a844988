//! `inject-pkt`: a packet made from an expression, sent into the switch as if it had come in by its logical port's
//! interface (ovn-controller(8)).

use crate::binding::PortKind;
use crate::tables::Db;
use kiln_logical::env::OptionDef;
use kiln_logical::{AddressSet, Environment};
use kiln_lower::Names;
use kiln_lower::matches::lower_match;
use kiln_openflow::msg::{Message, PacketOut};
use kiln_openflow::{Action, Actions, Field, Match};
use kiln_ovsdb::Text;
use kiln_packet::{FlowKey, VLAN_PRESENT};
use kiln_types::{EthAddr, OfPort};
use std::sync::Arc;

/// How much payload a packet gets.
const PAYLOAD_LEN: usize = 64;

/// Names as an injected packet knows them: a port is where its packets come in.
struct Ports<'d>(&'d Db);

impl Environment for Ports<'_> {
    fn address_set(&self, name: &str) -> Option<Arc<AddressSet>> {
        self.0.address_sets.peek(&name.into()).map(|set| Arc::clone(set.parsed()))
    }
    fn port_group(&self, name: &str) -> Option<Arc<[Arc<str>]>> {
        self.0.port_groups.peek(&name.into()).cloned()
    }
    fn dhcp_option(&self, _: &str) -> Option<OptionDef> {
        None
    }
}

impl Names for Ports<'_> {
    fn port_key(&self, name: &str) -> Option<u32> {
        let row = self.0.port_named.peek(&Text::from(name)).first()?;
        let residence = self.0.residence.peek(row)?;
        residence.ofport.filter(|_| residence.claims || residence.kind != PortKind::Vif)
    }
    fn is_resident(&self, name: &str) -> bool {
        self.port_key(name).is_some()
    }
}

/// The message that injects the packet that `microflow` describes.
pub(super) fn packet_out(db: &Db, microflow: &str) -> Result<Message, String> {
    let names = Ports(db);
    let lowered = lower_match(microflow, &names, &[], 1).map_err(|error| error.to_string())?;
    let no_port = || "ingress port not found on hypervisor.".to_owned();
    let [(fields, _)] = lowered.flows.as_slice() else {
        let ambiguous = !lowered.flows.is_empty();
        return Err(if ambiguous { format!("Constraints are ambiguous: {microflow}.") } else { no_port() });
    };
    let in_port =
        fields.get(Field::reg(kiln_abi::registers::reg::INPORT)).map_or(0, |port| port.value as u32);
    if in_port == 0 {
        return Err(no_port());
    }
    let actions = Actions::encode(&[Action::resubmit(kiln_abi::tables::PHY_TO_LOG)]);
    let actions = actions.map_err(|error| error.to_string())?;
    let frame = key(fields).compose(PAYLOAD_LEN);
    Ok(Message::PacketOut(Box::new(PacketOut::new(OfPort(in_port), actions, frame.into()))))
}

fn key(fields: &Match) -> FlowKey {
    let mut key = FlowKey::default();
    for v in fields {
        let mac = || EthAddr::from_u64(v.value as u64);
        let (short, byte, word) = (v.value as u16, v.value as u8, v.value as u32);
        match v.field {
            Field::ETH_SRC => key.eth_src = mac(),
            Field::ETH_DST => key.eth_dst = mac(),
            Field::ETH_TYPE => key.eth_type = short,
            Field::VLAN_VID | Field::VLAN_TCI => key.vlan_tci |= short,
            Field::VLAN_PCP => key.vlan_tci |= VLAN_PRESENT | short << 13,
            Field::IPV4_SRC | Field::ARP_SPA => key.nw_src = word.into(),
            Field::IPV4_DST | Field::ARP_TPA => key.nw_dst = word.into(),
            Field::IPV6_SRC => key.ipv6_src = v.value.into(),
            Field::IPV6_DST => key.ipv6_dst = v.value.into(),
            Field::IPV6_LABEL => key.ipv6_label = word,
            Field::IP_PROTO | Field::ARP_OP => key.nw_proto = byte,
            Field::IP_DSCP => key.nw_tos |= byte << 2,
            Field::IP_ECN => key.nw_tos |= byte,
            Field::NW_TTL => key.nw_ttl = byte,
            Field::IP_FRAG => key.nw_frag = byte,
            Field::TCP_SRC | Field::UDP_SRC | Field::SCTP_SRC => key.tp_src = short,
            Field::TCP_DST | Field::UDP_DST | Field::SCTP_DST => key.tp_dst = short,
            Field::ICMPV4_TYPE | Field::ICMPV6_TYPE => key.tp_src = short,
            Field::ICMPV4_CODE | Field::ICMPV6_CODE => key.tp_dst = short,
            Field::TCP_FLAGS => key.tcp_flags = short,
            Field::ND_TARGET => key.nd_target = v.value.into(),
            Field::ND_SLL | Field::ARP_SHA => key.hw_src = mac(),
            Field::ND_TLL | Field::ARP_THA => key.hw_dst = mac(),
            _ => {}
        }
    }
    if key.vlan_tci & 0xefff != 0 {
        key.vlan_tci |= VLAN_PRESENT;
    }
    key
}
