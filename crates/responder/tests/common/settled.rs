//! What a packet-out is once everything was done that its first actions say, whoever does it.

use kiln_openflow::msg::PacketOut;
use kiln_openflow::{Action, Field};
use kiln_packet::checksum::Checksum;
use kiln_packet::{FlowKey, checksum, ethertype, ip_proto};
use kiln_testkit::interpreter::Packet;

const IP: usize = 14;

/// Fields and state, the frame without them, and the actions that are left.
#[derive(Debug, PartialEq, Eq)]
pub struct Settled {
    pub fields: Packet,
    pub frame: Vec<u8>,
    pub rest: Vec<Action>,
}

/// Follows the actions up to the first that is more than a write.
pub fn settled(out: &PacketOut) -> Settled {
    let mut fields = fields(&FlowKey::extract(&out.packet));
    for value in &out.metadata {
        fields.write(&value);
    }
    let (mut rest, mut stack) = (Vec::new(), Vec::new());
    for action in &out.actions {
        match action {
            _ if !rest.is_empty() => rest.push(action),
            Action::Note(_) => {}
            Action::SetField(value) => fields.write(&value),
            Action::CopyField { src, dst } => fields.set_bits(&dst, fields.bits(&src)),
            Action::StackPush(bits) => stack.push(fields.bits(&bits)),
            Action::StackPop(bits) => fields.set_bits(&bits, stack.pop().expect("something was pushed")),
            other => rest.push(other),
        }
    }
    assert!(stack.is_empty());
    Settled { fields, frame: without_fields(&out.packet), rest }
}

fn fields(key: &FlowKey) -> Packet {
    let mut packet = Packet::default();
    packet.set(Field::ETH_SRC, key.eth_src.to_u64().into());
    packet.set(Field::ETH_DST, key.eth_dst.to_u64().into());
    packet.set(Field::NW_TTL, key.nw_ttl.into());
    packet.set(Field::METADATA, 0);
    let [kind, code] = if key.is_ipv6() {
        packet.set(Field::IPV6_SRC, key.ipv6_src.to_bits());
        packet.set(Field::IPV6_DST, key.ipv6_dst.to_bits());
        [Field::ICMPV6_TYPE, Field::ICMPV6_CODE]
    } else {
        packet.set(Field::IPV4_SRC, key.nw_src.to_bits().into());
        packet.set(Field::IPV4_DST, key.nw_dst.to_bits().into());
        [Field::ICMPV4_TYPE, Field::ICMPV4_CODE]
    };
    if key.nw_proto == ip_proto::ICMP || key.nw_proto == ip_proto::ICMPV6 {
        packet.set(kind, key.tp_src.into());
        packet.set(code, key.tp_dst.into());
    }
    packet
}

/// The frame with zeros for what [`fields`] has and for checksums, which must be right.
fn without_fields(frame: &[u8]) -> Vec<u8> {
    let key = FlowKey::extract(frame);
    let mut out = frame.to_vec();
    out[..12].fill(0);
    let payload = match key.eth_type {
        ethertype::IPV4 => {
            assert_eq!(checksum::of(&frame[IP..IP + 20]), 0, "the header's checksum");
            out[IP + 8] = 0;
            out[IP + 10..IP + 20].fill(0);
            IP + 20
        }
        _ => {
            out[IP + 7..IP + 40].fill(0);
            IP + 40
        }
    };
    let len = frame.len() - payload;
    let pseudo = if key.is_ipv6() {
        Checksum::pseudo_v6(key.ipv6_src, key.ipv6_dst, key.nw_proto, len)
    } else {
        Checksum::pseudo_v4(key.nw_src, key.nw_dst, key.nw_proto, len)
    };
    let sum = |start: Checksum| start.bytes(&frame[payload..]).finish();
    let (fields, check) = match key.nw_proto {
        ip_proto::ICMP => (2, Some((2, sum(Checksum::new())))),
        ip_proto::ICMPV6 => (2, Some((2, sum(pseudo)))),
        ip_proto::TCP => (0, Some((16, sum(pseudo)))),
        _ => (0, None),
    };
    out[payload..payload + fields].fill(0);
    if let Some((at, sum)) = check {
        assert_eq!(sum, 0, "the protocol's checksum");
        out[payload + at..payload + at + 2].fill(0);
    }
    out
}
