//! Functions with a result, neighbours and the forwarding database.

use super::parse::ActionParser;
use super::{Action, DhcpRelay, Family, OptionsOf, Query};
use crate::constant::Format;
use crate::error::Error;
use crate::symbol::FieldRef;
use crate::token::Op;
use std::net::Ipv4Addr;

/// Width of an Ethernet address.
const MAC: u8 = 48;
/// Width of a port's key.
const PORT_KEY: u8 = 32;

impl<'a> ActionParser<'a, '_> {
    /// `dst = name(…)`, if `name` is a function; it is the current token.
    pub(super) fn function(
        &mut self,
        name: &str,
        dst: FieldRef,
        column: usize,
    ) -> Result<Option<Action<'a>>, Error> {
        if let Some(query) = Query::from_name(name) {
            self.p.take()?;
            return self.query(query, dst, column).map(Some);
        }
        let action = match name {
            "lookup_arp" => self.lookup_neighbor(Family::Arp, true, dst, column)?,
            "lookup_nd" => self.lookup_neighbor(Family::Nd, true, dst, column)?,
            "lookup_arp_ip" => self.lookup_neighbor(Family::Arp, false, dst, column)?,
            "lookup_nd_ip" => self.lookup_neighbor(Family::Nd, false, dst, column)?,
            "get_fdb" => self.get_fdb(dst, column, false)?,
            "get_remote_fdb" => self.get_fdb(dst, column, true)?,
            "lookup_fdb" => self.lookup_fdb(dst, column)?,
            "put_dhcp_opts" => self.put_options(OptionsOf::Dhcpv4, dst, column)?,
            "put_dhcpv6_opts" => self.put_options(OptionsOf::Dhcpv6, dst, column)?,
            "put_nd_ra_opts" => self.put_options(OptionsOf::RouterAdvertisement, dst, column)?,
            "dhcp_relay_req_chk" => self.dhcp_relay(DhcpRelay::Request, dst, column)?,
            "dhcp_relay_resp_chk" => self.dhcp_relay(DhcpRelay::Response, dst, column)?,
            "check_pkt_larger" => self.check_pkt_larger(dst, column)?,
            "select" => self.select(dst, column)?,
            _ => return Ok(None),
        };
        Ok(Some(action))
    }

    fn query(&mut self, query: Query, dst: FieldRef, column: usize) -> Result<Action<'a>, Error> {
        self.check_result(dst, query.width(), column)?;
        self.p.expect(Op::LParen)?;
        if !self.p.accept(Op::RParen)? {
            return Err(self.p.expected(&format!("`)': {} takes no arguments", query.as_str())));
        }
        if query == Query::DnsLookup {
            self.need("udp");
        }
        Ok(Action::Query { dst, query })
    }

    /// Takes the name and the opening parenthesis.
    fn open(&mut self, dst: FieldRef, width: u8, column: usize) -> Result<(), Error> {
        self.p.take()?;
        self.check_result(dst, width, column)?;
        self.p.expect(Op::LParen)
    }

    fn lookup_neighbor(
        &mut self,
        family: Family,
        with_mac: bool,
        dst: FieldRef,
        column: usize,
    ) -> Result<Action<'a>, Error> {
        self.open(dst, 1, column)?;
        let (port, ip) = self.port_and_ip(family)?;
        let mac = if with_mac {
            self.p.expect(Op::Comma)?;
            Some(self.read_field_of(MAC)?)
        } else {
            None
        };
        self.p.expect(Op::RParen)?;
        Ok(Action::LookupNeighbor { dst, family, port, ip, mac })
    }

    fn port_and_ip(&mut self, family: Family) -> Result<(FieldRef, FieldRef), Error> {
        let port = self.port_field()?;
        self.p.expect(Op::Comma)?;
        Ok((port, self.read_field_of(family.width())?))
    }

    fn get_fdb(&mut self, dst: FieldRef, column: usize, remote: bool) -> Result<Action<'a>, Error> {
        let width = if dst.is_string() { 0 } else { PORT_KEY };
        self.open(dst, width, column)?;
        let mac = self.read_field_of(MAC)?;
        self.p.expect(Op::RParen)?;
        Ok(Action::GetFdb { dst, mac, remote })
    }

    fn lookup_fdb(&mut self, dst: FieldRef, column: usize) -> Result<Action<'a>, Error> {
        self.open(dst, 1, column)?;
        let port = self.port_field()?;
        self.p.expect(Op::Comma)?;
        let mac = self.read_field_of(MAC)?;
        self.p.expect(Op::RParen)?;
        Ok(Action::LookupFdb { dst, port, mac })
    }

    fn dhcp_relay(&mut self, way: DhcpRelay, dst: FieldRef, column: usize) -> Result<Action<'a>, Error> {
        self.open(dst, 1, column)?;
        let relay = self.address(Format::Ipv4, "the relay's IPv4 address")?;
        self.p.accept(Op::Comma)?;
        let server = self.address(Format::Ipv4, "the server's IPv4 address")?;
        self.p.expect(Op::RParen)?;
        let (relay, server) = (Ipv4Addr::from_bits(relay as u32), Ipv4Addr::from_bits(server as u32));
        Ok(Action::DhcpRelay { dst, way, relay, server })
    }

    fn check_pkt_larger(&mut self, dst: FieldRef, column: usize) -> Result<Action<'a>, Error> {
        self.open(dst, 1, column)?;
        let len = self.u16("a length in bytes")?;
        self.p.expect(Op::RParen)?;
        Ok(Action::CheckPktLarger { dst, len })
    }

    fn get_neighbor(&mut self, family: Family) -> Result<Action<'a>, Error> {
        self.p.expect(Op::LParen)?;
        let (port, ip) = self.port_and_ip(family)?;
        self.p.expect(Op::RParen)?;
        Ok(Action::GetNeighbor { family, port, ip })
    }

    fn put_neighbor(&mut self, family: Family) -> Result<Action<'a>, Error> {
        self.p.expect(Op::LParen)?;
        let (port, ip) = self.port_and_ip(family)?;
        self.p.expect(Op::Comma)?;
        let mac = self.read_field_of(MAC)?;
        self.p.expect(Op::RParen)?;
        Ok(Action::PutNeighbor { family, port, ip, mac })
    }

    pub(super) fn get_arp(&mut self) -> Result<Action<'a>, Error> {
        self.get_neighbor(Family::Arp)
    }

    pub(super) fn get_nd(&mut self) -> Result<Action<'a>, Error> {
        self.get_neighbor(Family::Nd)
    }

    pub(super) fn put_arp(&mut self) -> Result<Action<'a>, Error> {
        self.put_neighbor(Family::Arp)
    }

    pub(super) fn put_nd(&mut self) -> Result<Action<'a>, Error> {
        self.put_neighbor(Family::Nd)
    }

    pub(super) fn put_fdb(&mut self) -> Result<Action<'a>, Error> {
        self.p.expect(Op::LParen)?;
        let port = self.port_field()?;
        self.p.expect(Op::Comma)?;
        let mac = self.read_field_of(MAC)?;
        self.p.expect(Op::RParen)?;
        Ok(Action::PutFdb { port, mac })
    }
}
