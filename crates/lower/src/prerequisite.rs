//! Whether a conjunction says what a switch needs to know before it looks at a field (ovs-fields(7), Prerequisites).

use kiln_logical::Field;
use kiln_logical::cubes::Cube;
use kiln_logical::normal::{Choice, Conjunction};
use kiln_openflow::field::Prereq;

const IPV4: u128 = 0x0800;
const IPV6: u128 = 0x86dd;
const ARP: u128 = 0x0806;
const RARP: u128 = 0x8035;

/// The bit of `ip.frag` that says that a packet is a fragment other than the first.
pub(crate) const LATER_FRAGMENT: u128 = 2;

/// Whether anything behind the IP header is looked at, which later fragments do not have.
pub(crate) fn looks_behind_ip(conjunction: &Conjunction<'_>) -> bool {
    conjunction.terms.iter().any(|term| {
        matches!(
            crate::fields::within(term.field, conjunction).info().prereq,
            Prereq::Tcp
                | Prereq::Udp
                | Prereq::Sctp
                | Prereq::Icmpv4
                | Prereq::Icmpv6
                | Prereq::Nd
                | Prereq::NdSolicit
                | Prereq::NdAdvert
        )
    })
}

/// What is lacking for `prereq`, if anything.
pub(crate) fn lacking(conjunction: &Conjunction<'_>, prereq: Prereq) -> Option<&'static str> {
    let value = |field: Field| {
        let at = conjunction.terms.binary_search_by_key(&field, |t| t.field).ok()?;
        match conjunction.terms[at].choice {
            Choice::Cube(cube) if cube.mask == field.mask() => Some(cube.value),
            _ => None,
        }
    };
    let is = |field, wanted: &[u128]| value(field).is_some_and(|v| wanted.contains(&v));
    let ip = || is(Field::EthType, &[IPV4, IPV6]);
    let (holds, needed) = match prereq {
        Prereq::None | Prereq::Ethernet | Prereq::Vlan => return None,
        Prereq::Ip => (ip(), "ip4 or ip6"),
        Prereq::Ct => (is_of_a_connection(conjunction), "ct.trk and !ct.inv"),
        Prereq::Ipv4 | Prereq::CtIpv4 => (is(Field::EthType, &[IPV4]), "ip4"),
        Prereq::Ipv6 | Prereq::CtIpv6 => (is(Field::EthType, &[IPV6]), "ip6"),
        Prereq::Arp => (is(Field::EthType, &[ARP, RARP]), "arp or rarp"),
        Prereq::Tcp => (ip() && is(Field::IpProto, &[6]), "tcp"),
        Prereq::Udp => (ip() && is(Field::IpProto, &[17]), "udp"),
        Prereq::Sctp => (ip() && is(Field::IpProto, &[132]), "sctp"),
        Prereq::Icmpv4 => (is(Field::EthType, &[IPV4]) && is(Field::IpProto, &[1]), "icmp4"),
        Prereq::Icmpv6 => (is(Field::EthType, &[IPV6]) && is(Field::IpProto, &[58]), "icmp6"),
        Prereq::Nd => (is(Field::Icmp6Type, &[135, 136]) && is(Field::Icmp6Code, &[0]), "nd"),
        Prereq::NdSolicit => (is(Field::Icmp6Type, &[135]) && is(Field::Icmp6Code, &[0]), "nd_ns"),
        Prereq::NdAdvert => (is(Field::Icmp6Type, &[136]) && is(Field::Icmp6Code, &[0]), "nd_na"),
        Prereq::Mpls | Prereq::Nsh => (false, "what the language cannot say"),
    };
    (!holds).then_some(needed)
}

/// Whether packets are tracked and not invalid. Each alternative may say so if they are multiplied out: parts of a conjunctive
/// match stand alone.
fn is_of_a_connection(conjunction: &Conjunction<'_>) -> bool {
    const TRACKED: u128 = 1 << 5;
    const INVALID: u128 = 1 << 4;
    let says = |cube: &Cube| {
        cube.mask & (TRACKED | INVALID) == TRACKED | INVALID && cube.value & (TRACKED | INVALID) == TRACKED
    };
    conjunction.terms.iter().filter(|term| term.field == Field::CtState).any(|term| match &term.choice {
        Choice::Cube(cube) => says(cube),
        Choice::Cubes(cubes) => conjunction.choices().count() == 1 && cubes.as_slice().iter().all(says),
        Choice::Name(_) | Choice::Names(_) => false,
    })
}
