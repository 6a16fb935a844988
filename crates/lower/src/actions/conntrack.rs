//! Connection tracking: which zone, whether to commit, what to translate.

use super::bits::bits;
use super::{Encoder, load};
use crate::error::ActionProblem;
use kiln_abi::registers::reg;
use kiln_abi::stages::Datapath;
use kiln_logical::action::{Action as Logical, Nat as LogicalNat, NatTarget, Zone};
use kiln_openflow::action::{Action, Ct, CtZone, Nat, NatRange};
use kiln_openflow::field::Field as Of;
use kiln_openflow::{Actions, Subfield};
use std::net::IpAddr;

/// Low half of a register: the number of a zone.
fn zone_in(register: u8) -> CtZone {
    CtZone::Field(Subfield::new(Of::reg(register), 0, 16))
}

impl Encoder<'_> {
    /// The zone that an action without a say in it uses: the port's in a switch, the router's for DNAT.
    pub(super) fn zone(&self) -> CtZone {
        self.zone_of(Zone::Dnat)
    }

    fn zone_of(&self, zone: Zone) -> CtZone {
        zone_in(match (self.context.datapath, zone) {
            (Datapath::Switch, _) => reg::CT_ZONE,
            (Datapath::Router, Zone::Dnat) => reg::DNAT_ZONE,
            (Datapath::Router, Zone::Snat) => reg::SNAT_ZONE,
        })
    }

    pub(super) fn ct(
        &mut self,
        flags: u16,
        zone: CtZone,
        goes_on: bool,
        exec: &[Action],
    ) -> Result<(), ActionProblem> {
        let table = goes_on.then(|| self.context.next_table());
        self.push(Action::Ct(Box::new(Ct { flags, zone, table, alg: 0, exec: Actions::encode(exec)? })));
        Ok(())
    }

    pub(super) fn conntrack(&mut self, action: &Logical<'_>) -> Result<(), ActionProblem> {
        match action {
            Logical::CtNext(zone) => self.ct(0, self.zone_of(*zone), true, &[]),
            Logical::CtCommitToZone(zone) => self.ct(Ct::COMMIT, self.zone_of(*zone), true, &[]),
            Logical::CtCommitNat(zone) => {
                let nat = Action::Nat(Box::default());
                self.ct(Ct::COMMIT, self.zone_of(*zone), true, &[nat])
            }
            Logical::CtCommit(list) => self.commit(list),
            Logical::CtNat(nat, to) => self.nat(*nat, to.as_ref()),
            _ => Ok(()),
        }
    }

    fn commit(&mut self, list: &[Logical<'_>]) -> Result<(), ActionProblem> {
        let mut exec = Vec::with_capacity(list.len() + 1);
        if self.context.ct_zero_snat {
            exec.push(Action::Nat(Box::new(Nat { flags: Nat::SRC, ..Nat::default() })));
        }
        for action in list {
            match action {
                Logical::Load { dst, value } => exec.push(Action::SetField(load(*dst, value))),
                Logical::Move { dst, src } => exec.push(Action::copy_field(bits(*src), bits(*dst))),
                _ => {}
            }
        }
        self.ct(Ct::COMMIT, self.zone(), false, &exec)
    }

    fn nat(&mut self, nat: LogicalNat, to: Option<&NatTarget>) -> Result<(), ActionProblem> {
        let common = if self.context.common_zone_is_snat { reg::SNAT_ZONE } else { reg::DNAT_ZONE };
        let (zone, direction) = match nat {
            LogicalNat::Dnat => (reg::DNAT_ZONE, Nat::DST),
            LogicalNat::Snat => (reg::SNAT_ZONE, Nat::SRC),
            LogicalNat::DnatInCzone => (common, Nat::DST),
            LogicalNat::SnatInCzone => (common, Nat::SRC),
        };
        let (flags, nat) = match to {
            None => (0, Nat::default()),
            Some(to) => (Ct::COMMIT, translation(direction, to.ip, to.ports)?),
        };
        self.ct(flags, zone_in(zone), true, &[Action::Nat(Box::new(nat))])
    }
}

/// The switch takes an address of zeros for none, and ports without an address for a mistake that it refuses with all that is sent
/// beside it.
pub(super) fn translation(
    direction: u16,
    ip: IpAddr,
    ports: Option<(u16, Option<u16>)>,
) -> Result<Nat, ActionProblem> {
    if ip.is_unspecified() && ports.is_some() {
        return Err(ActionProblem::NoAddress(ip));
    }
    let random = if matches!(ports, Some((_, Some(_)))) { Nat::RANDOM } else { 0 };
    Ok(Nat { flags: direction | random, range: NatRange { addrs: Some((ip, None)), ports } })
}
