//! Actions: what a flow does to the packets that it matches (ovn-sb(5), Logical_Flow, actions).

pub mod advertised;
mod parse;
mod parse_ct;
mod parse_lookup;
mod parse_options;
mod parse_select;
mod parse_service;
mod print;

pub use parse::parse;
pub use parse_options::ra;

use crate::constant::Constant;
use crate::env::OptionDef;
use crate::expr::Expr;
use crate::field::OvnField;
use crate::symbol::{FieldRef, SymbolId};
use smallvec::SmallVec;
use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr};

/// Half of a logical datapath.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each is its name")]
pub enum Pipeline {
    Ingress,
    Egress,
}

impl Pipeline {
    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Pipeline::Ingress => "ingress",
            Pipeline::Egress => "egress",
        }
    }
}

/// Where a flow stands: what `next;` depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The pipeline.
    pub pipeline: Pipeline,
    /// `table_id`.
    pub table: u8,
    /// Number of tables of the ingress pipeline.
    pub ingress_tables: u8,
    /// Number of tables of the egress pipeline.
    pub egress_tables: u8,
}

impl Place {
    /// Number of tables of a pipeline.
    pub const fn tables(&self, pipeline: Pipeline) -> u8 {
        match pipeline {
            Pipeline::Ingress => self.ingress_tables,
            Pipeline::Egress => self.egress_tables,
        }
    }
}

/// A flow's actions.
#[derive(Clone, Debug, Default)]
pub struct Actions<'a> {
    /// The text that they were read from.
    pub text: &'a str,
    /// In order; none drops the packet.
    pub list: Vec<Action<'a>>,
    /// What must hold for the actions to have a meaning, in the order in which it was met.
    pub prerequisites: SmallVec<[Prerequisite; 4]>,
}

/// Whether they do and need the same, however they are written.
impl PartialEq for Actions<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.list == other.list && self.prerequisites == other.prerequisites
    }
}

/// A one-bit symbol that must hold for an action to have a meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prerequisite {
    /// The symbol.
    pub symbol: SymbolId,
    /// Whether a field that the action names asks for it, rather than the action itself.
    pub of_field: bool,
}

impl Actions<'_> {
    /// The column of the `at`-th of the list in the text, counted in bytes from 1; of the value of one of its options if that is
    /// named.
    pub fn column_of(&self, at: usize, option: Option<&str>) -> usize {
        parse::column_of(self.text, at, option)
    }

    /// The prerequisites as an expression, to be required beside the match.
    pub fn prerequisite(&self) -> Expr<'static> {
        let mut symbols: SmallVec<[SymbolId; 4]> = SmallVec::new();
        for needed in &self.prerequisites {
            if !symbols.contains(&needed.symbol) {
                symbols.push(needed.symbol);
            }
        }
        Expr::all(symbols.into_iter().map(Expr::holds))
    }

    /// The prerequisites in their canonical text's form: those of fields are written out, and every mention counts.
    pub fn prerequisite_as_written(&self) -> Expr<'static> {
        Expr::all(self.prerequisites.iter().map(|needed| {
            let expr = Expr::holds(needed.symbol);
            if needed.of_field { expr.annotate() } else { expr }
        }))
    }
}

/// Conntrack zones of a router.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each is its name")]
pub enum Zone {
    Dnat,
    Snat,
}

impl Zone {
    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Zone::Dnat => "dnat",
            Zone::Snat => "snat",
        }
    }
}

macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $(#[doc = concat!("`", $text, "`.")] $(#[$variant_doc])* $variant,)*
        }

        impl $name {
            /// As it is written.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $($name::$variant => $text,)*
                }
            }

            /// The one that is written so.
            pub(crate) fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($text => Some($name::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

named! {
    /// Actions that take nested actions, which run on a packet made from the current one.
    Nested {
        /// A copy; the original goes on unchanged.
        Clone "clone",
        /// An ARP request for the IPv4 packet's next hop.
        Arp "arp",
        /// A neighbour solicitation for the IPv6 packet's next hop.
        NdNs "nd_ns",
        /// A neighbour advertisement that answers the solicitation.
        NdNa "nd_na",
        /// The same, from a router.
        NdNaRouter "nd_na_router",
        /// An ICMPv4 packet.
        Icmp4 "icmp4",
        /// An ICMPv4 error that quotes the packet.
        Icmp4Error "icmp4_error",
        /// An ICMPv6 packet.
        Icmp6 "icmp6",
        /// An ICMPv6 error that quotes the packet.
        Icmp6Error "icmp6_error",
        /// A TCP reset.
        TcpReset "tcp_reset",
        /// An SCTP abort.
        SctpAbort "sctp_abort",
        /// A reset, an abort or an ICMP error, whichever fits.
        Reject "reject",
    }
}

named! {
    /// Actions that have neither arguments nor a result.
    Plain {
        /// Goes to the egress pipeline, or out.
        Output "output",
        /// Forgets conntrack's verdict.
        CtClear "ct_clear",
        /// Translates a hairpinned packet's source to the virtual address.
        CtSnatToVip "ct_snat_to_vip",
        /// Hands a multicast report to the controller.
        Igmp "igmp",
        /// Hands a delegating router's answer to the controller.
        HandleDhcpv6Reply "handle_dhcpv6_reply",
        /// Hands a BFD packet to the controller. Written with empty parentheses.
        HandleBfdMsg "handle_bfd_msg",
        /// Counts the use of a neighbour's binding.
        MacCacheUse "mac_cache_use",
        /// Sends to every remote chassis.
        FloodRemote "flood_remote",
    }
}

named! {
    /// Questions without arguments whose answer goes to a field.
    Query {
        /// Answers a DNS query: one bit, whether it did.
        DnsLookup "dns_lookup",
        /// Whether a load balancer sent the packet back to where it came from.
        ChkLbHairpin "chk_lb_hairpin",
        /// Whether it answers such a packet.
        ChkLbHairpinReply "chk_lb_hairpin_reply",
        /// Whether the input port's security forbids it.
        CheckInPortSec "check_in_port_sec",
        /// Whether the output port's security forbids it.
        CheckOutPortSec "check_out_port_sec",
        /// Whether the ECMP next hop, by its Ethernet address, is known.
        ChkEcmpNhMac "chk_ecmp_nh_mac",
        /// Whether the ECMP next hop is known.
        ChkEcmpNh "chk_ecmp_nh",
        /// Whether the client has a backend.
        ChkLbAff "chk_lb_aff",
        /// IPv4 destination of the connection's first packet.
        CtNwDst "ct_nw_dst",
        /// IPv6 destination of the connection's first packet.
        CtIp6Dst "ct_ip6_dst",
        /// Destination port of the connection's first packet.
        CtTpDst "ct_tp_dst",
        /// Protocol of the connection.
        CtProto "ct_proto",
        /// ct_state as it is now.
        CtStateSave "ct_state_save",
    }
}

impl Query {
    /// Width of the answer in bits.
    pub const fn width(self) -> u8 {
        match self {
            Query::CtNwDst => 32,
            Query::CtIp6Dst => 128,
            Query::CtTpDst => 16,
            Query::CtProto | Query::CtStateSave => 8,
            _ => 1,
        }
    }
}

/// IPv4's or IPv6's form of the actions on neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// `…_arp`.
    Arp,
    /// `…_nd`.
    Nd,
}

impl Family {
    /// Width of an address in bits.
    pub const fn width(self) -> u8 {
        match self {
            Family::Arp => 32,
            Family::Nd => 128,
        }
    }

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Family::Arp => "arp",
            Family::Nd => "nd",
        }
    }
}

named! {
    /// Which address a conntrack action translates, and in which zone.
    Nat {
        /// The destination, in the DNAT zone.
        Dnat "ct_dnat",
        /// The source, in the SNAT zone.
        Snat "ct_snat",
        /// The destination, in the common zone.
        DnatInCzone "ct_dnat_in_czone",
        /// The source, in the common zone.
        SnatInCzone "ct_snat_in_czone",
    }
}

/// What an address is translated to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NatTarget {
    /// The address.
    pub ip: IpAddr,
    /// Ports to choose among, if the port is translated too.
    pub ports: Option<(u16, Option<u16>)>,
}

named! {
    /// The forms of the load balancing action.
    Lb {
        /// Keeps its mark in ct_label; older controllers' form.
        Label "ct_lb",
        /// Keeps its mark in ct_mark.
        Mark "ct_lb_mark",
        /// Like the one before, and only to backends on this chassis.
        MarkLocal "ct_lb_mark_local",
    }
}

/// A backend of a load balancer.
#[derive(Clone, Debug, PartialEq)]
pub struct Backend<'a> {
    /// The port that it sits behind, in the form that asks for it.
    pub port_name: Option<Cow<'a, str>>,
    /// Its address.
    pub ip: IpAddr,
    /// Its port; none keeps the packet's.
    pub port: Option<u16>,
}

named! {
    /// What a load balancer says about source translation.
    SnatFlag {
        /// Do not.
        Skip "skip_snat",
        /// Do.
        Force "force_snat",
    }
}

/// Arguments of the load balancing action.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadBalance<'a> {
    /// Which form.
    pub kind: Lb,
    /// The backends; none applies the translation that the connection has.
    pub backends: Vec<Backend<'a>>,
    /// Fields that choose the backend, as the switch names them.
    pub hash_fields: Option<Cow<'a, str>>,
    /// About source translation.
    pub snat: Option<SnatFlag>,
}

/// Which messages options are put into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OptionsOf {
    /// `put_dhcp_opts`.
    Dhcpv4,
    /// `put_dhcpv6_opts`.
    Dhcpv6,
    /// `put_nd_ra_opts`.
    RouterAdvertisement,
}

impl OptionsOf {
    /// As the action is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            OptionsOf::Dhcpv4 => "put_dhcp_opts",
            OptionsOf::Dhcpv6 => "put_dhcpv6_opts",
            OptionsOf::RouterAdvertisement => "put_nd_ra_opts",
        }
    }
}

/// An option and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct OptionValue<'a> {
    /// Its name.
    pub name: &'a str,
    /// What the name stands for.
    pub def: OptionDef,
    /// Its value.
    pub value: Value<'a>,
}

/// The value of an option, or its values; one at least.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// Numbers and addresses.
    Numbers(Vec<Constant>),
    /// Texts.
    Texts(Vec<Cow<'a, str>>),
}

impl OptionValue<'_> {
    /// The text, where there may be only one: the first, as stock takes it.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Texts(texts) => texts.first().map(AsRef::as_ref),
            Value::Numbers(_) => None,
        }
    }

    /// The numbers and addresses, none if it is a text.
    pub fn numbers(&self) -> &[Constant] {
        match &self.value {
            Value::Numbers(numbers) => numbers,
            Value::Texts(_) => &[],
        }
    }
}

named! {
    /// What an ACL did.
    Verdict {
        /// Allowed.
        Allow "allow",
        /// Dropped.
        Drop "drop",
        /// Rejected.
        Reject "reject",
        /// Passed on to the next tier.
        Pass "pass",
    }
}

named! {
    /// How bad a logged event is.
    Severity {
        /// 1.
        Alert "alert",
        /// 4.
        Warning "warning",
        /// 5.
        Notice "notice",
        /// 6.
        Info "info",
        /// 7.
        Debug "debug",
    }
}

/// Arguments of `log`.
#[derive(Clone, Debug, PartialEq)]
pub struct Log<'a> {
    /// The ACL's name.
    pub name: Option<Cow<'a, str>>,
    /// What it did.
    pub verdict: Verdict,
    /// How bad that is.
    pub severity: Severity,
    /// The meter that bounds the log.
    pub meter: Option<Cow<'a, str>>,
}

named! {
    /// Transport protocols that actions name.
    Protocol {
        /// 6.
        Tcp "tcp",
        /// 17.
        Udp "udp",
        /// 132.
        Sctp "sctp",
    }
}

impl Protocol {
    /// The number in IP's header (IANA, Assigned Internet Protocol Numbers).
    pub const fn number(self) -> u8 {
        match self {
            Protocol::Tcp => 6,
            Protocol::Udp => 17,
            Protocol::Sctp => 132,
        }
    }
}

/// An address and perhaps a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The address.
    pub ip: IpAddr,
    /// The port.
    pub port: Option<u16>,
}

/// Arguments of `commit_lb_aff`.
#[derive(Clone, Debug, PartialEq)]
pub struct LbAffinity {
    /// The virtual address.
    pub vip: Endpoint,
    /// The backend that the client keeps.
    pub backend: Endpoint,
    /// The protocol, where ports are given.
    pub protocol: Option<Protocol>,
    /// How long after the client's last new connection, in seconds.
    pub timeout_s: u16,
}

/// A value that `select` may choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The value.
    pub value: u16,
    /// Its weight, not 0.
    pub weight: u16,
}

/// Arguments of `select`.
#[derive(Clone, Debug, PartialEq)]
pub struct Select<'a> {
    /// Where the chosen value goes.
    pub dst: FieldRef,
    /// What may be chosen.
    pub candidates: Vec<Candidate>,
    /// Fields that choose, as the switch names them.
    pub hash_fields: Option<Cow<'a, str>>,
}

/// What a sample's observation point is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObsPoint {
    /// A number.
    Number(u32),
    /// The first 32 bits of the flow's uuid.
    Cookie,
    /// What a field holds.
    Field(FieldRef),
}

/// Arguments of `sample`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// How many of 65,535 packets; not 0.
    pub probability: u16,
    /// Where samples go (table Flow_Sample_Collector_Set of Open_vSwitch).
    pub collector_set: u32,
    /// The application that samples.
    pub obs_domain: u8,
    /// The point that it samples at.
    pub obs_point: ObsPoint,
}

named! {
    /// What is said of a load balancer without backends.
    EventArgument {
        /// The virtual address, perhaps with a port.
        Vip "vip",
        /// The protocol.
        Protocol "protocol",
        /// The load balancer's uuid.
        LoadBalancer "load_balancer",
    }
}

/// Which way a relayed DHCP message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DhcpRelay {
    /// `dhcp_relay_req_chk`.
    Request,
    /// `dhcp_relay_resp_chk`.
    Response,
}

impl DhcpRelay {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            DhcpRelay::Request => "dhcp_relay_req_chk",
            DhcpRelay::Response => "dhcp_relay_resp_chk",
        }
    }
}

/// Where `next` goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The table after the current one.
    Following,
    /// Another table of the current pipeline.
    Table(u8),
    /// A table of the other pipeline.
    Other(Pipeline, u8),
}

/// One action.
#[derive(Clone, Debug, PartialEq)]
pub enum Action<'a> {
    /// Without arguments.
    Plain(Plain),
    /// Goes on in another table, and comes back.
    Next(Next),
    /// `field = constant`.
    Load {
        /// Assigned to.
        dst: FieldRef,
        /// The value; bits outside its mask stay.
        value: Constant,
    },
    /// `field = "port"`.
    LoadName {
        /// Assigned to.
        dst: FieldRef,
        /// The port or multicast group; empty for none.
        name: Cow<'a, str>,
    },
    /// Sets a field that only the controller can set.
    LoadOvn {
        /// Assigned to.
        field: OvnField,
        /// The value.
        value: u32,
    },
    /// `dst = src`.
    Move {
        /// Assigned to.
        dst: FieldRef,
        /// Read.
        src: FieldRef,
    },
    /// `a <-> b`.
    Exchange {
        /// One side.
        a: FieldRef,
        /// The other.
        b: FieldRef,
    },
    /// `ip.ttl--`.
    DecTtl,
    /// Puts a field's value on the stack.
    Push(FieldRef),
    /// Takes a field's value off the stack.
    Pop(FieldRef),
    /// Nested actions.
    Nested(Nested, Vec<Action<'a>>),
    /// Kiln's own: cuts an IPv4 packet, and the fragments go on. One that must not be cut ends here, and nested actions run
    /// on an error that tells its sender of the MTU.
    Fragment {
        /// The most bytes that a fragment has from its IP header on.
        mtu: u16,
        /// What is done with the error.
        error: Vec<Action<'a>>,
    },
    /// Sends through conntrack and on to the next table.
    CtNext(Zone),
    /// Commits the connection, and sets its mark and label.
    CtCommit(Vec<Action<'a>>),
    /// Commits the connection in a zone and goes to the next table.
    CtCommitToZone(Zone),
    /// Applies translation, commits, and goes to the next table.
    CtCommitNat(Zone),
    /// Translates and goes to the next table.
    CtNat(Nat, Option<NatTarget>),
    /// Balances load and goes to the next table.
    CtLb(Box<LoadBalance<'a>>),
    /// A question without arguments.
    Query {
        /// Where the answer goes.
        dst: FieldRef,
        /// The question.
        query: Query,
    },
    /// Looks a neighbour's Ethernet address up.
    GetNeighbor {
        /// IPv4 or IPv6.
        family: Family,
        /// Behind which port.
        port: FieldRef,
        /// The address.
        ip: FieldRef,
    },
    /// Learns a neighbour.
    PutNeighbor {
        /// IPv4 or IPv6.
        family: Family,
        /// Behind which port.
        port: FieldRef,
        /// The address.
        ip: FieldRef,
        /// Its Ethernet address.
        mac: FieldRef,
    },
    /// Whether a neighbour, with that Ethernet address if one is given, is known.
    LookupNeighbor {
        /// Where the answer goes.
        dst: FieldRef,
        /// IPv4 or IPv6.
        family: Family,
        /// Behind which port.
        port: FieldRef,
        /// The address.
        ip: FieldRef,
        /// Its Ethernet address.
        mac: Option<FieldRef>,
    },
    /// The port that an Ethernet address is behind.
    GetFdb {
        /// Where the port goes.
        dst: FieldRef,
        /// The address.
        mac: FieldRef,
        /// Behind remote VXLAN endpoints rather than ports.
        remote: bool,
    },
    /// Learns the port that an Ethernet address is behind.
    PutFdb {
        /// The port.
        port: FieldRef,
        /// The address.
        mac: FieldRef,
    },
    /// Whether the Ethernet address is known behind the port.
    LookupFdb {
        /// Where the answer goes.
        dst: FieldRef,
        /// The port.
        port: FieldRef,
        /// The address.
        mac: FieldRef,
    },
    /// Answers with options.
    PutOptions {
        /// Where it goes whether an answer was made.
        dst: FieldRef,
        /// Which protocol.
        of: OptionsOf,
        /// The options, as written.
        options: Vec<OptionValue<'a>>,
    },
    /// Checks a relayed DHCP message.
    DhcpRelay {
        /// Where it goes whether it was good.
        dst: FieldRef,
        /// Which way.
        way: DhcpRelay,
        /// The relay's address.
        relay: Ipv4Addr,
        /// The server's address.
        server: Ipv4Addr,
    },
    /// Chooses the queue of the physical port.
    SetQueue(u32),
    /// Bounds the rate.
    SetMeter {
        /// In kilobits a second.
        rate_kbps: u32,
        /// In kilobits.
        burst_kb: Option<u32>,
    },
    /// Whether the packet is larger than so many bytes.
    CheckPktLarger {
        /// Where the answer goes.
        dst: FieldRef,
        /// Bytes, with the Ethernet header.
        len: u16,
    },
    /// Writes to the log.
    Log(Box<Log<'a>>),
    /// Raises the event that a load balancer has no backends. Each argument is there at least once.
    TriggerEvent(Vec<(EventArgument, Cow<'a, str>)>),
    /// Binds a virtual port.
    BindVport {
        /// The virtual port.
        vport: Cow<'a, str>,
        /// The port that it is bound behind.
        parent: FieldRef,
    },
    /// Hands a service's answer to the controller.
    HandleSvcCheck(FieldRef),
    /// Balances load across ports.
    FwdGroup {
        /// Only to ports whose tunnel lives.
        liveness: bool,
        /// The ports.
        ports: Vec<Cow<'a, str>>,
    },
    /// Chooses a value and goes to the next table.
    Select(Box<Select<'a>>),
    /// Learns the next hop of replies.
    CommitEcmpNh {
        /// IPv6.
        ipv6: bool,
        /// The protocol.
        protocol: Protocol,
    },
    /// Learns a client's backend.
    CommitLbAff(Box<LbAffinity>),
    /// Samples.
    Sample(Sample),
    /// Copies the packet to a mirror's port.
    Mirror(Cow<'a, str>),
}
