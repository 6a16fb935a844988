//! A small connection tracker: connections by zone, both directions, marks and labels, translation to one address and port.
//! What ICMP errors are related to is not looked for.

use super::packet::Packet;
use super::run::World;
use kiln_openflow::Field;
use kiln_openflow::action::{Action, Ct, Nat};
use std::net::IpAddr;

/// Bits of `ct_state` (ovs-fields(7)).
mod state {
    pub(super) const NEW: u128 = 1;
    pub(super) const EST: u128 = 2;
    pub(super) const RPL: u128 = 8;
    pub(super) const TRK: u128 = 0x20;
    pub(super) const SNAT: u128 = 0x40;
    pub(super) const DNAT: u128 = 0x80;
}

/// Who talks to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tuple {
    ipv6: bool,
    proto: u128,
    src: (u128, u128),
    dst: (u128, u128),
}

impl Tuple {
    fn reversed(self) -> Tuple {
        Tuple { src: self.dst, dst: self.src, ..self }
    }
}

#[derive(Clone, Debug)]
struct Connection {
    zone: u16,
    /// The first packet's, before translation.
    original: Tuple,
    /// What answers look like, before they are translated back.
    reply: Tuple,
    mark: u128,
    label: u128,
}

/// Connections.
#[derive(Clone, Debug, Default)]
pub struct Tracker {
    connections: Vec<Connection>,
}

fn port_fields(proto: u128) -> Option<(Field, Field)> {
    match proto {
        6 => Some((Field::TCP_SRC, Field::TCP_DST)),
        17 => Some((Field::UDP_SRC, Field::UDP_DST)),
        132 => Some((Field::SCTP_SRC, Field::SCTP_DST)),
        _ => None,
    }
}

fn address_fields(ipv6: bool) -> (Field, Field) {
    if ipv6 { (Field::IPV6_SRC, Field::IPV6_DST) } else { (Field::IPV4_SRC, Field::IPV4_DST) }
}

fn tuple(packet: &Packet) -> Option<Tuple> {
    let ipv6 = match packet.get(Field::ETH_TYPE) {
        0x800 => false,
        0x86dd => true,
        _ => return None,
    };
    let proto = packet.get(Field::IP_PROTO);
    let (src, dst) = address_fields(ipv6);
    let ports = port_fields(proto).map_or((0, 0), |(src, dst)| (packet.get(src), packet.get(dst)));
    Some(Tuple { ipv6, proto, src: (packet.get(src), ports.0), dst: (packet.get(dst), ports.1) })
}

fn rewrite(packet: &mut Packet, to: Tuple) {
    let (src, dst) = address_fields(to.ipv6);
    packet.set(src, to.src.0);
    packet.set(dst, to.dst.0);
    if let Some((src, dst)) = port_fields(to.proto) {
        packet.set(src, to.src.1);
        packet.set(dst, to.dst.1);
    }
}

fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => ip.to_bits().into(),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

/// What the first packet becomes: the lowest address and port that may be chosen.
fn translated(original: Tuple, nat: Option<&Nat>) -> Tuple {
    let Some(nat) = nat else { return original };
    let choose = |(ip, port): (u128, u128)| {
        let ip = match nat.range.addrs {
            // Any address will do: the one that it has.
            Some((low, _)) if number(low) != 0 => number(low),
            _ => ip,
        };
        (ip, nat.range.ports.map_or(port, |(low, _)| low.into()))
    };
    let mut to = original;
    if nat.flags & Nat::SRC != 0 {
        to.src = choose(original.src);
    }
    if nat.flags & Nat::DST != 0 {
        to.dst = choose(original.dst);
    }
    to
}

impl World for Tracker {
    fn track(&mut self, packet: &mut Packet, ct: &Ct, zone: u16) {
        let Some(now) = tuple(packet) else { return };
        let nat = ct.nat();
        let known =
            self.connections.iter().position(|c| c.zone == zone && [c.original, c.reply].contains(&now));
        let (mut state, at) = match known {
            Some(at) if self.connections[at].original == now => (state::TRK | state::EST, Some(at)),
            Some(at) => (state::TRK | state::EST | state::RPL, Some(at)),
            None => (state::TRK | state::NEW, None),
        };
        let commit = ct.flags & Ct::COMMIT != 0;
        let at = at.or_else(|| {
            commit.then(|| {
                let reply = translated(now, nat.as_ref()).reversed();
                self.connections.push(Connection { zone, original: now, reply, mark: 0, label: 0 });
                self.connections.len() - 1
            })
        });
        if let Some(at) = at {
            let connection = &mut self.connections[at];
            if nat.is_some() {
                let forward = connection.original == now;
                let (first, answered) = (connection.original, connection.reply.reversed());
                state |= if answered.src == first.src { 0 } else { state::SNAT };
                state |= if answered.dst == first.dst { 0 } else { state::DNAT };
                rewrite(packet, if forward { answered } else { first.reversed() });
            }
            packet.set(Field::CT_MARK, connection.mark);
            packet.set(Field::CT_LABEL, connection.label);
            if commit {
                write_connection(packet, ct);
                connection.mark = packet.get(Field::CT_MARK);
                connection.label = packet.get(Field::CT_LABEL);
            }
        } else {
            packet.set(Field::CT_MARK, 0);
            packet.set(Field::CT_LABEL, 0);
        }
        packet.set(Field::CT_STATE, state);
        packet.set(Field::CT_ZONE, zone.into());
        say_original(packet, at.map_or(now, |at| self.connections[at].original));
    }
}

/// What the action writes into mark and label.
fn write_connection(packet: &mut Packet, ct: &Ct) {
    for action in &ct.exec {
        match action {
            Action::SetField(value) => packet.write(&value),
            Action::CopyField { src, dst } => {
                let value = packet.bits(&src);
                packet.set_bits(&dst, value);
            }
            _ => {}
        }
    }
}

fn say_original(packet: &mut Packet, original: Tuple) {
    let (src, dst) = if original.ipv6 {
        (Field::CT_IPV6_SRC, Field::CT_IPV6_DST)
    } else {
        (Field::CT_NW_SRC, Field::CT_NW_DST)
    };
    packet.set(src, original.src.0);
    packet.set(dst, original.dst.0);
    packet.set(Field::CT_NW_PROTO, original.proto);
    packet.set(Field::CT_TP_SRC, original.src.1);
    packet.set(Field::CT_TP_DST, original.dst.1);
}
