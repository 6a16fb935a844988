//! A question to a neighbour that is known: sent to it alone (RFC 1122, 2.3.2.1; RFC 4861, 7.3.3).

use crate::NextHop;
use kiln_abi::registers::reg;
use kiln_abi::tables;
use kiln_budget::Payer;
use kiln_openflow::msg::{Message, PacketOut};
use kiln_openflow::{Action, Actions, Field};
use kiln_packet::{Arp, EthHeader, NeighborSolicit};
use kiln_types::{EthAddr, OfPort};
use std::net::IpAddr;

/// Whom to ask, and who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The neighbour.
    pub next_hop: NextHop,
    /// Its Ethernet address.
    pub mac: EthAddr,
    /// The router port's Ethernet address.
    pub source_mac: EthAddr,
    /// The router port's address, of the neighbour's family.
    pub source: IpAddr,
}

impl Probe {
    fn packet(&self) -> Option<Vec<u8>> {
        let eth = EthHeader::new(self.source_mac, self.mac);
        match (self.source, self.next_hop.ip) {
            (IpAddr::V4(source), IpAddr::V4(target)) => {
                Some(Arp { eth, ..Arp::request(self.source_mac, source, target) }.to_vec())
            }
            (IpAddr::V6(source), IpAddr::V6(target)) => {
                let multicast = NeighborSolicit::multicast(self.source_mac, target);
                Some(NeighborSolicit { eth, ip_src: source, ip_dst: target, ..multicast }.to_vec())
            }
            _ => None,
        }
    }

    /// The question, sent out by the router port; `None` if the addresses are of two families.
    pub(crate) fn message(&self) -> Option<Message> {
        let actions = [
            Action::set_field(Field::METADATA, self.next_hop.datapath.0),
            Action::set_field(Field::reg(reg::OUTPORT), self.next_hop.port.0),
            Action::resubmit(tables::LOCAL_OUTPUT),
        ];
        let actions = Actions::encode(&actions).ok()?;
        let packet_out = PacketOut::new(OfPort::CONTROLLER, actions, self.packet()?.into());
        Some(Message::PacketOut(Box::new(packet_out)))
    }

    /// The router port pays for it.
    pub(crate) fn payer(&self) -> Payer {
        Payer { router: self.next_hop.datapath, port: self.next_hop.port, source: None }
    }
}
