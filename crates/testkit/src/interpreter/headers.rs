//! Headers that come in front of others and go again: VLAN tags, MPLS labels, backbone tags, Ethernet and NSH
//! (ovs-actions(7), "Encapsulation and decapsulation actions"; OpenFlow 1.5.1, sections 5.8 and 7.2.6).
//!
//! What a header covers is not seen until it is taken away: a switch does not look behind a label. A packet that came in
//! with such a header covers nothing that is known.

use super::packet::{Packet, VLAN_PRESENT};
use kiln_openflow::Field;
use kiln_openflow::action::Action;
use kiln_openflow::field::Prereq;
use std::collections::BTreeMap;

/// Packet types (OpenFlow 1.5.1, section 7.2.3.11): the namespace in the upper 16 bits, in namespace 1 an Ethernet type.
const ETHERNET: u32 = 0;
const BY_ETHERTYPE: u32 = 1 << 16;
const MPLS_UNICAST: u32 = BY_ETHERTYPE | 0x8847;
const MPLS_MULTICAST: u32 = BY_ETHERTYPE | 0x8848;
const NSH: u32 = BY_ETHERTYPE | 0x894f;
/// What `decap` without a type asks for: the switch is to see for itself.
const NEXT: u32 = 0xfffe;

/// What a switch says of a header that cannot come before, or go from, the packet.
const UNSUPPORTED: &str = "Unsupported packet type";

const MAX_LABELS: usize = 3;
const LABEL_LEN: usize = 4;
const TAG_LEN: usize = 4;
const ETHERNET_LEN: usize = 14;
/// A backbone service tag (IEEE 802.1Q, 9.5) with the addresses in front of it: type, control information, addresses.
const PBB: u128 = 0x88e7;
const PBB_LEN: usize = 2 + 4 + 12;

const MPLS: [Field; 4] = [Field::MPLS_LABEL, Field::MPLS_TC, Field::MPLS_BOS, Field::MPLS_TTL];

/// The protocols that NSH can carry, by their numbers in it (RFC 8300, section 2.2).
const CARRIED: [(u128, u32); 4] =
    [(1, BY_ETHERTYPE | 0x800), (2, BY_ETHERTYPE | 0x86dd), (3, ETHERNET), (4, NSH)];

/// A packet behind a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Covered {
    packet_type: u32,
    fields: BTreeMap<Field, u128>,
    tags: Vec<u128>,
    /// The length of an NSH header in front of it.
    behind: usize,
}

/// Whether the field is one of a packet's headers, not of the pipeline.
fn is_header(field: Field) -> bool {
    !matches!(field.info().prereq, Prereq::None | Prereq::Ct | Prereq::CtIpv4 | Prereq::CtIpv6)
}

/// Whether only an Ethernet frame has the field.
pub(super) fn is_ethernets(field: Field) -> bool {
    matches!(field.info().prereq, Prereq::Ethernet | Prereq::Vlan)
}

fn is_mpls(eth_type: u128) -> bool {
    matches!(eth_type, 0x8847 | 0x8848)
}

impl Covered {
    fn get(&self, field: Field) -> Option<u128> {
        self.fields.get(&field).copied()
    }

    /// The field in which its outermost header counts down.
    fn ttl(&self) -> Option<Field> {
        match self.get(Field::ETH_TYPE)? {
            0x800 | 0x86dd => Some(Field::NW_TTL),
            mpls if is_mpls(mpls) => Some(Field::MPLS_TTL),
            _ => None,
        }
    }
}

/// What the properties of `encap(nsh(..))` say: the type of metadata, and how long the header is with its options.
fn nsh_header(mut properties: &[u8]) -> (u8, usize) {
    /// Class, type and length of a property, which may count its padding or not.
    const HEADER: usize = 4;
    const NSH_CLASS: [u8; 2] = [0, 4];
    let (mut md_type, mut options) = (1, 0);
    while let [c0, c1, typ, len, ..] = *properties {
        let (property, rest) =
            properties.split_at(properties.len().min(usize::from(len).max(HEADER).next_multiple_of(8)));
        match (typ, property.get(HEADER..)) {
            (1, Some([value, ..])) if [c0, c1] == NSH_CLASS => md_type = *value,
            (2, Some([_, _, _, len, ..])) if [c0, c1] == NSH_CLASS => {
                options += 4 + usize::from(*len).next_multiple_of(4);
            }
            _ => {}
        }
        properties = rest;
    }
    // The base and service path headers are 8 bytes, metadata of type 1 are 16 more.
    (md_type, if md_type == 1 { 24 } else { 8 + options })
}

impl Packet {
    /// Does an action that adds or removes a header or copies between them. An error is what a switch has against it (ovs-actions(7),
    /// "Error handling"); the packet's way ends with it. Other actions are given back.
    pub(super) fn reshape(&mut self, action: Action) -> Result<Option<Action>, String> {
        match action {
            Action::PushVlan(_) => self.push_vlan(),
            Action::PopVlan => self.pop_vlan(),
            Action::PushMpls(eth_type) => self.push_mpls(eth_type)?,
            Action::PopMpls(eth_type) => self.pop_mpls(eth_type),
            Action::PushPbb(eth_type) => self.push_pbb(eth_type)?,
            Action::PopPbb => self.pop_pbb(),
            Action::CopyTtlOut => self.copy_ttl(true),
            Action::CopyTtlIn => self.copy_ttl(false),
            Action::Encap { packet_type, properties, .. } => self.encap(packet_type, &properties)?,
            Action::Decap(packet_type) => self.decap(packet_type)?,
            other => return Ok(Some(other)),
        }
        Ok(None)
    }

    /// Whether headers were put in front of what came in, which its bytes do not have.
    pub fn is_wrapped(&self) -> bool {
        !self.covered.is_empty() || !self.tags.is_empty()
    }

    fn is_tagged(&self) -> bool {
        self.get(Field::VLAN_TCI) & VLAN_PRESENT != 0
    }

    fn push_vlan(&mut self) {
        if self.is_tagged() {
            self.tags.push(self.get(Field::VLAN_TCI));
        }
        self.set(Field::VLAN_TCI, VLAN_PRESENT);
        self.len += TAG_LEN;
    }

    fn pop_vlan(&mut self) {
        if self.is_tagged() {
            self.len = self.len.saturating_sub(TAG_LEN);
        }
        let next = self.tags.pop();
        self.set(Field::VLAN_TCI, next.unwrap_or(0));
    }

    /// Puts the headers among `which` fields away, as a packet of that type.
    fn cover(&mut self, packet_type: u32, which: impl Fn(Field) -> bool) {
        let all = std::mem::take(&mut self.fields);
        let (under, seen): (BTreeMap<_, _>, _) =
            all.into_iter().partition(|(field, _)| is_header(*field) && which(*field));
        self.fields = seen;
        let tags = if which(Field::VLAN_TCI) { std::mem::take(&mut self.tags) } else { Vec::new() };
        self.covered.push(Covered { packet_type, fields: under, tags, behind: 0 });
    }

    /// Shows what the outermost header covers, which is read as a packet of that type. If it is none, nothing is known of it.
    fn uncover(&mut self, packet_type: u32) {
        if let Some(covered) = self.covered.pop_if(|covered| covered.packet_type == packet_type) {
            self.fields.extend(covered.fields);
            self.tags.extend(covered.tags);
        } else {
            self.covered.clear();
        }
        if packet_type & BY_ETHERTYPE != 0 {
            self.set(Field::ETH_TYPE, u128::from(packet_type & 0xffff));
        }
    }

    /// The next label: a copy of the outermost, or `first` if there is none. It is an error if there are too many.
    fn next_label(&self, labelled: bool, first: [u128; 4]) -> Result<[u128; 4], String> {
        if !labelled {
            return Ok(first);
        }
        let labels = self.covered.iter().rev().take_while(|c| c.get(Field::ETH_TYPE).is_some_and(is_mpls));
        if labels.count() + 1 >= MAX_LABELS {
            return Err("Too many MPLS labels".into());
        }
        let [label, tc, _, ttl] = MPLS.map(|field| self.get(field));
        Ok([label, tc, 0, ttl])
    }

    fn put_label(&mut self, eth_type: u32, label: [u128; 4]) {
        for (field, value) in MPLS.into_iter().zip(label) {
            self.set(field, value);
        }
        self.set(Field::ETH_TYPE, (eth_type & 0xffff).into());
        self.len += LABEL_LEN;
    }

    fn push_mpls(&mut self, eth_type: u16) -> Result<(), String> {
        let carried = self.get(Field::ETH_TYPE);
        let first = match carried {
            0x800 | 0x86dd => {
                let label = if carried == 0x86dd { 2 } else { 0 };
                [label, self.get(Field::IP_DSCP) & 7, 1, self.get(Field::NW_TTL)]
            }
            _ => [0, 0, 1, 64],
        };
        let label = self.next_label(is_mpls(carried), first)?;
        // The Ethernet header and its tags stay in front.
        self.cover(BY_ETHERTYPE | carried as u32, |field| field == Field::ETH_TYPE || !is_ethernets(field));
        self.put_label(eth_type.into(), label);
        Ok(())
    }

    fn pop_mpls(&mut self, eth_type: u16) {
        if !is_mpls(self.get(Field::ETH_TYPE)) {
            return;
        }
        self.fields.retain(|field, _| !MPLS.contains(field));
        self.uncover(BY_ETHERTYPE | u32::from(eth_type));
        self.len = self.len.saturating_sub(LABEL_LEN);
    }

    /// The frame, its tags included, comes to stand behind the tag and other addresses, which at first are the same.
    fn push_pbb(&mut self, eth_type: u16) -> Result<(), String> {
        if self.packet_type != ETHERNET {
            return Err(UNSUPPORTED.into());
        }
        let addresses = [Field::ETH_DST, Field::ETH_SRC].map(|field| (field, self.get(field)));
        self.cover(ETHERNET, |_| true);
        for (field, value) in addresses {
            self.set(field, value);
        }
        self.set(Field::ETH_TYPE, eth_type.into());
        self.len += PBB_LEN;
        Ok(())
    }

    fn pop_pbb(&mut self) {
        if self.packet_type == ETHERNET && self.get(Field::ETH_TYPE) == PBB {
            let tags = std::mem::take(&mut self.tags).len() + usize::from(self.is_tagged());
            self.bare(ETHERNET, PBB_LEN + tags * TAG_LEN);
        }
    }

    /// Copies the time to live of the outermost label from, or to, what is behind it (OpenFlow 1.5.1, section 5.8). Open
    /// vSwitch does not have these actions.
    fn copy_ttl(&mut self, outwards: bool) {
        let outermost = self.get(Field::MPLS_TTL);
        let labelled = is_mpls(self.get(Field::ETH_TYPE));
        let Some(behind) = self.covered.last_mut().filter(|_| labelled) else { return };
        let Some(field) = behind.ttl() else { return };
        if outwards {
            let value = behind.get(field).unwrap_or(0);
            self.set(Field::MPLS_TTL, value);
        } else {
            behind.fields.insert(field, outermost);
        }
    }

    fn encap(&mut self, packet_type: u32, properties: &[u8]) -> Result<(), String> {
        let inner = self.packet_type;
        match packet_type {
            ETHERNET if inner != ETHERNET => {
                self.packet_type = ETHERNET;
                self.len += ETHERNET_LEN;
            }
            NSH => {
                let carried = CARRIED.iter().find(|(_, typ)| *typ == inner).ok_or(UNSUPPORTED)?;
                self.encap_nsh(carried.0, properties);
            }
            MPLS_UNICAST | MPLS_MULTICAST => {
                let labelled = inner != ETHERNET && is_mpls(self.get(Field::ETH_TYPE));
                let label = self.next_label(labelled, [0, 0, 1, 64])?;
                self.cover(inner, |_| true);
                self.packet_type = packet_type;
                self.put_label(packet_type, label);
            }
            _ => return Err(UNSUPPORTED.into()),
        }
        Ok(())
    }

    fn encap_nsh(&mut self, carried: u128, properties: &[u8]) {
        let (md_type, len) = nsh_header(properties);
        self.cover(self.packet_type, |_| true);
        self.packet_type = NSH;
        for (field, value) in [
            (Field::ETH_TYPE, u128::from(NSH & 0xffff)),
            (Field::NSH_TTL, 63),
            (Field::NSH_MDTYPE, md_type.into()),
            (Field::NSH_NP, carried),
            (Field::NSH_SI, 255),
        ] {
            self.set(field, value);
        }
        self.len += len;
        if let Some(covered) = self.covered.last_mut() {
            covered.behind = len;
        }
    }

    /// Removes the outermost header. Only behind a label has it to be said what there is.
    fn decap(&mut self, said: u32) -> Result<(), String> {
        match self.packet_type {
            ETHERNET => {
                if self.is_tagged() {
                    return Err(UNSUPPORTED.into());
                }
                self.packet_type = BY_ETHERTYPE | self.get(Field::ETH_TYPE) as u32;
                self.fields.retain(|field, _| *field == Field::ETH_TYPE || !is_ethernets(*field));
                self.len = self.len.saturating_sub(ETHERNET_LEN);
            }
            NSH => {
                let protocol = self.get(Field::NSH_NP);
                let (_, inner) = CARRIED.iter().find(|(number, _)| *number == protocol).ok_or(UNSUPPORTED)?;
                let len = self.covered.last().map_or(0, |covered| covered.behind);
                self.bare(*inner, len);
            }
            MPLS_UNICAST | MPLS_MULTICAST if said != NEXT => self.bare(said, LABEL_LEN),
            _ => return Err(UNSUPPORTED.into()),
        }
        Ok(())
    }

    /// The packet without its outermost header, which has that length.
    fn bare(&mut self, packet_type: u32, len: usize) {
        self.fields.retain(|field, _| !is_header(*field));
        self.packet_type = packet_type;
        self.uncover(packet_type);
        self.len = self.len.saturating_sub(len);
    }
}
