//! Look-ups: the arguments go where a helper table expects them, the table is asked, and what was there comes back.

use super::bits::bits;
use super::{Encoder, userdata};
use crate::error::ActionProblem;
use kiln_abi::opcodes::Opcode;
use kiln_abi::registers::{flags, reg, scratch};
use kiln_abi::tables;
use kiln_logical::FieldRef;
use kiln_logical::action::{Action as Logical, Family, Query};
use kiln_openflow::Subfield;
use kiln_openflow::action::Action;
use kiln_openflow::field::Field as Of;
use smallvec::SmallVec;

/// An argument: what it is, and where it is expected.
type Arguments<'a> = &'a [(FieldRef, Of)];

fn flag(bit: u8) -> Subfield {
    Subfield::new(Of::reg(reg::FLAGS), u16::from(bit), 1)
}

/// Where an address is expected to be looked up in a port's neighbours.
fn address_register(family: Family) -> Of {
    match family {
        Family::Arp => Of::reg(scratch::ARP_IPV4),
        Family::Nd => Of::xxreg(scratch::GET_ND_XXREG),
    }
}

/// Where an address is expected to be learned or compared.
fn learned_register(family: Family) -> Of {
    match family {
        Family::Arp => Of::reg(scratch::ARP_IPV4),
        Family::Nd => Of::xxreg(scratch::PUT_ND_XXREG),
    }
}

impl Encoder<'_> {
    /// Puts arguments in place and saves what was there. Gives back what to restore.
    fn place(&mut self, arguments: Arguments<'_>) -> SmallVec<[Of; 3]> {
        let moved: SmallVec<[(Subfield, Of); 3]> = arguments
            .iter()
            .map(|(src, dst)| (bits(*src), *dst))
            .filter(|(src, dst)| *src != Subfield::whole(*dst))
            .collect();
        let places: SmallVec<[Of; 3]> = moved.iter().map(|(_, dst)| *dst).collect();
        self.out.extend(places.iter().map(|dst| Action::StackPush(Subfield::whole(*dst))));
        self.out.extend(moved.iter().rev().map(|(src, _)| Action::StackPush(*src)));
        self.out.extend(places.iter().map(|dst| Action::StackPop(Subfield::whole(*dst))));
        places
    }

    fn restore(&mut self, places: &[Of]) {
        self.out.extend(places.iter().rev().map(|dst| Action::StackPop(Subfield::whole(*dst))));
    }

    /// Asks a table that answers in a flag.
    fn ask(&mut self, bit: u8, table: u8) {
        self.push(Action::load(flag(bit), 0u8));
        self.resubmit(table);
    }

    pub(super) fn lookup(&mut self, action: &Logical<'_>) {
        let (inport, outport) = (Of::reg(reg::INPORT), Of::reg(reg::OUTPORT));
        match action {
            Logical::GetNeighbor { family, port, ip } => {
                let places = self.place(&[(*port, outport), (*ip, address_register(*family))]);
                self.push(Action::set_field(Of::ETH_DST, 0u8));
                self.resubmit(tables::MAC_BINDING);
                self.restore(&places);
            }
            Logical::PutNeighbor { family, port, ip, mac } => {
                let opcode = if *family == Family::Arp { Opcode::PUT_ARP } else { Opcode::PUT_ND };
                let arguments = [(*port, inport), (*ip, learned_register(*family)), (*mac, Of::ETH_SRC)];
                self.tell(&arguments, userdata::header(opcode));
            }
            Logical::LookupNeighbor { dst, family, port, ip, mac: Some(mac) } => {
                let places =
                    self.place(&[(*port, inport), (*ip, learned_register(*family)), (*mac, Of::ETH_SRC)]);
                self.ask(flags::LOOKUP_MAC, tables::MAC_LOOKUP);
                self.push(Action::copy_field(flag(flags::LOOKUP_MAC), bits(*dst)));
                self.restore(&places);
            }
            Logical::LookupNeighbor { dst, family, port, ip, mac: None } => {
                let places = self.place(&[(*port, outport), (*ip, address_register(*family))]);
                let eth_dst = Subfield::whole(Of::ETH_DST);
                self.push(Action::StackPush(eth_dst));
                self.ask(flags::LOOKUP_MAC, tables::MAC_BINDING);
                self.push(Action::copy_field(flag(flags::LOOKUP_MAC), bits(*dst)));
                self.push(Action::StackPop(eth_dst));
                self.restore(&places);
            }
            Logical::GetFdb { dst, mac, remote } => {
                let (answer, table) = if *remote {
                    (Of::reg(scratch::REMOTE_OUTPORT), tables::GET_REMOTE_FDB)
                } else {
                    (outport, tables::GET_FDB)
                };
                let places = self.place(&[(*mac, Of::ETH_DST)]);
                self.push(Action::set_field(answer, 0u8));
                self.resubmit(table);
                self.restore(&places);
                if bits(*dst) != Subfield::whole(answer) {
                    self.push(Action::copy_field(answer, bits(*dst)));
                }
            }
            Logical::PutFdb { port, mac } => {
                self.tell(&[(*port, inport), (*mac, Of::ETH_SRC)], userdata::header(Opcode::PUT_FDB));
            }
            Logical::LookupFdb { dst, port, mac } => {
                let places = self.place(&[(*port, inport), (*mac, Of::ETH_SRC)]);
                self.ask(flags::LOOKUP_FDB, tables::LOOKUP_FDB);
                self.restore(&places);
                self.push(Action::copy_field(flag(flags::LOOKUP_FDB), bits(*dst)));
            }
            Logical::HandleSvcCheck(port) => {
                self.tell(&[(*port, inport)], userdata::header(Opcode::HANDLE_SVC_CHECK));
            }
            Logical::BindVport { vport, parent } => {
                if let Some(key) = self.env.port_key(vport) {
                    let mut data = userdata::header(Opcode::BIND_VPORT);
                    data.extend_from_slice(&key.to_be_bytes());
                    self.tell(&[(*parent, inport)], data);
                }
            }
            _ => {}
        }
    }

    /// Hands arguments up.
    fn tell(&mut self, arguments: Arguments<'_>, data: Vec<u8>) {
        let places = self.place(arguments);
        self.controller(data, false);
        self.restore(&places);
    }

    pub(super) fn query(&mut self, dst: Subfield, query: Query) -> Result<(), ActionProblem> {
        let (bit, table) = match query {
            Query::DnsLookup => {
                self.controller(userdata::with_result(Opcode::DNS_LOOKUP, dst), true);
                return Ok(());
            }
            Query::ChkLbHairpin => (flags::LOOKUP_LB_HAIRPIN, tables::CHK_LB_HAIRPIN),
            Query::ChkLbHairpinReply => (flags::LOOKUP_LB_HAIRPIN, tables::CHK_LB_HAIRPIN_REPLY),
            Query::CheckInPortSec => (flags::CHECK_PORT_SEC, tables::CHK_IN_PORT_SEC),
            Query::CheckOutPortSec => (flags::CHECK_PORT_SEC, tables::CHK_OUT_PORT_SEC),
            Query::ChkEcmpNhMac => (flags::LOOKUP_COMMIT_ECMP_NH, tables::ECMP_NH_MAC),
            Query::ChkEcmpNh => (flags::LOOKUP_COMMIT_ECMP_NH, tables::ECMP_NH),
            Query::ChkLbAff => (flags::USE_LB_AFF_SESSION, tables::CHK_LB_AFFINITY),
            Query::CtNwDst => return self.original(dst, query, tables::CT_ORIG_NW_DST_LOAD),
            Query::CtIp6Dst => return self.original(dst, query, tables::CT_ORIG_IP6_DST_LOAD),
            Query::CtTpDst => return self.original(dst, query, tables::CT_ORIG_TP_DST_LOAD),
            Query::CtProto => return self.original(dst, query, tables::CT_ORIG_PROTO_LOAD),
            Query::CtStateSave => {
                let (register, saved) = scratch::CT_SAVED_STATE;
                let saved = Subfield::new(Of::reg(register), u16::from(saved.first), u16::from(saved.len));
                self.push(Action::load(saved, 0u8));
                self.resubmit(tables::CT_STATE_SAVE);
                self.push(Action::copy_field(saved, dst));
                return Ok(());
            }
        };
        self.ask(bit, table);
        self.push(Action::copy_field(flag(bit), dst));
        Ok(())
    }

    /// Asks a table that leaves a part of the connection's original tuple in the low bits of xxreg1.
    fn original(&mut self, dst: Subfield, query: Query, table: u8) -> Result<(), ActionProblem> {
        let xxreg = Of::xxreg(scratch::CT_ORIG_XXREG);
        let answer = Subfield::new(xxreg, 0, u16::from(query.width()));
        let overlaps = dst.field == xxreg && dst.ofs < answer.n_bits;
        if overlaps && dst != answer {
            return Err(ActionProblem::ResultOverlaps);
        }
        if !overlaps {
            self.push(Action::StackPush(answer));
        }
        // Half by half: a switch writes at most 64 bits at once where it loads rather than sets.
        let mut ofs = 0;
        while ofs < answer.n_bits {
            let len = (answer.n_bits - ofs).min(64);
            self.push(Action::load(Subfield::new(xxreg, ofs, len), 0u8));
            ofs += len;
        }
        self.resubmit(table);
        self.push(Action::copy_field(answer, dst));
        if !overlaps {
            self.push(Action::StackPop(answer));
        }
        Ok(())
    }
}
