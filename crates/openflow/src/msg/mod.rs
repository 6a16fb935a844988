//! Messages (OpenFlow 1.5.1, section 7) and Nicira's.
//!
//! A [`Message`] has no transaction id of its own: encoding takes one and decoding gives one. OpenFlow 1.5 is complete
//! in both directions as far as the types here reach; 1.3, 1.4 and 1.0 (with Nicira's forms) exist where the stock
//! tools need them. What is not known is kept as [`Message::Unknown`].

mod bundle;
mod code;
mod config;
mod ct_flush;
mod flow;
mod flow_monitor;
mod group;
mod meter;
mod multipart;
mod numbers;
mod packet;
mod port;
mod session_messages;
mod tlv_table;

use crate::wire::{self, Reader, TooLong};
use crate::{ErrorCode, Version};

pub use bundle::{BundleAdd, BundleControl};
pub use config::{Features, Role, SwitchConfig};
pub use ct_flush::{CtFlush, CtTuple};
pub use flow::{AggregateStats, Counters, FlowMod, FlowRemoved, FlowStats, FlowStatsRequest};
pub use flow_monitor::{FlowMonitorRequest, FlowUpdate};
pub use group::{Bucket, Group, GroupFeatures, GroupMod, GroupStats, Selection};
pub use meter::{Meter, MeterBand, MeterFeatures, MeterMod, MeterStats};
pub use multipart::{MultipartReply, MultipartRequest, SwitchDesc};
pub use packet::{PacketIn, PacketOut};
pub use port::{EthernetPort, Port, PortStatus};
pub use session_messages::{ErrorMessage, Hello};
pub use tlv_table::{TlvMapping, TlvTable, TlvTableMod};

/// Transaction id: what ties a reply to its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Xid(pub u32);

/// Bytes of the header that every message has.
pub const HEADER_LEN: usize = 8;
/// The longest message.
pub const MAX_LEN: usize = 0xffff;

/// The header that every message has (OpenFlow 1.5.1, section 7.1.1).
///
/// ```text
///  +---------------+---------------+-------------------------------+
///  |    version    |     type      |            length             |
///  +---------------+---------------+-------------------------------+
///  |                              xid                              |
///  +---------------------------------------------------------------+
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The version that the rest is in.
    pub version: Version,
    /// The message's number in that version.
    pub typ: u8,
    /// Bytes, header included.
    pub len: u16,
    /// The transaction.
    pub xid: Xid,
}

impl Header {
    /// Reads a header; `None` if there are fewer than 8 bytes.
    pub fn peek(bytes: &[u8]) -> Option<Header> {
        let b: &[u8; HEADER_LEN] = bytes.first_chunk()?;
        Some(Header {
            version: Version(b[0]),
            typ: b[1],
            len: u16::from_be_bytes([b[2], b[3]]),
            xid: Xid(u32::from_be_bytes([b[4], b[5], b[6], b[7]])),
        })
    }
}

/// One message, in either direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Versions.
    Hello(Hello),
    /// A refusal.
    Error(ErrorMessage),
    /// Are you there?
    EchoRequest(Box<[u8]>),
    /// Yes; the same bytes back.
    EchoReply(Box<[u8]>),
    /// What are you?
    FeaturesRequest,
    /// The switch's features.
    FeaturesReply(Features),
    /// What is your configuration?
    GetConfigRequest,
    /// The switch's configuration.
    GetConfigReply(SwitchConfig),
    /// Changes it.
    SetConfig(SwitchConfig),
    /// Asks for a role.
    RoleRequest(Role),
    /// The role that was got.
    RoleReply(Role),
    /// A packet for the controller, in Nicira's second form (NXT 30).
    PacketIn(Box<PacketIn>),
    /// Sets a paused packet going again (NXT 28).
    Resume(Box<PacketIn>),
    /// A packet from the controller.
    PacketOut(Box<PacketOut>),
    /// A flow is gone.
    FlowRemoved(Box<FlowRemoved>),
    /// A port came, changed or went.
    PortStatus(Box<PortStatus>),
    /// Changes flows.
    FlowMod(FlowMod),
    /// Changes a group.
    GroupMod(GroupMod),
    /// Changes a meter.
    MeterMod(MeterMod),
    /// Asks for a list.
    MultipartRequest(MultipartRequest),
    /// A list, or a part of it if `more` is to come.
    MultipartReply {
        /// The list.
        reply: MultipartReply,
        /// Whether more parts follow.
        more: bool,
    },
    /// Asks for an answer once all that came before is done.
    BarrierRequest,
    /// All that came before is done.
    BarrierReply,
    /// Opens, closes, commits or discards a bundle, or says that it was done.
    BundleControl(BundleControl),
    /// Adds a message to a bundle.
    BundleAdd(Box<BundleAdd>),
    /// Maps tunnel options (NXT 24).
    TlvTableMod(TlvTableMod),
    /// Asks for the map (NXT 25).
    TlvTableRequest,
    /// The map of tunnel options (NXT 26).
    TlvTableReply(TlvTable),
    /// Chooses the form of packet-ins: 0 standard, 1 and 2 Nicira's (NXT 16).
    SetPacketInFormat(u32),
    /// Chooses which controller actions' packets come here (NXT 20).
    SetControllerId(u16),
    /// Forgets a zone's connections (NXT 29).
    CtFlushZone(u16),
    /// Forgets connections (NXT 32).
    CtFlush(Box<CtFlush>),
    /// Ends a flow monitor (NXT 21, and ONF's 1870 in 1.3).
    FlowMonitorCancel(u32),
    /// Updates of flow monitors are left out from now on (NXT 22).
    FlowMonitorPaused,
    /// All changes that were left out have been told (NXT 23).
    FlowMonitorResumed,
    /// Chooses the form of 1.0's flow messages: 0 standard, 2 Nicira's (NXT 12).
    SetFlowFormat(u32),
    /// Whether 1.0's flow mods carry a table (NXT 15).
    FlowModTableId(bool),
    /// What is not known here.
    Unknown {
        /// The message's number.
        typ: u8,
        /// What follows the header.
        body: Box<[u8]>,
    },
}

impl Message {
    /// Appends the message. A list that is too long for one message becomes several with the same id.
    ///
    /// On an error nothing is appended.
    pub fn encode(&self, version: Version, xid: Xid, out: &mut Vec<u8>) -> Result<(), TooLong> {
        let start = out.len();
        let result = code::put(self, version, xid, out);
        if result.is_err() {
            out.truncate(start);
        }
        result
    }

    /// Reads a message that fills `bytes`.
    pub fn decode(bytes: &[u8]) -> wire::Result<(Header, Message)> {
        let mut r = Reader::new(bytes, "message", ErrorCode::REQUEST_BAD_LEN);
        let Some(header) = Header::peek(bytes) else {
            return Err(r.bad_len("a header of 8 bytes", bytes.len()));
        };
        if usize::from(header.len) != bytes.len() {
            return Err(r.bad_len("as many bytes as the header says", bytes.len()));
        }
        r.skip(HEADER_LEN)?;
        Ok((header, code::read(&header, &mut r)?))
    }
}

/// Starts a message and gives its position, for [`finish`].
fn start(out: &mut Vec<u8>, version: Version, typ: u8, xid: Xid) -> usize {
    let at = out.len();
    out.extend_from_slice(&[version.0, typ, 0, 0]);
    out.extend_from_slice(&xid.0.to_be_bytes());
    at
}

/// Starts one of Nicira's messages.
fn start_nx(out: &mut Vec<u8>, version: Version, subtype: u32, xid: Xid) -> usize {
    let at = start(out, version, numbers::EXPERIMENTER, xid);
    out.extend_from_slice(&wire::NICIRA.to_be_bytes());
    out.extend_from_slice(&subtype.to_be_bytes());
    at
}

/// Writes a message's length.
fn finish(out: &mut [u8], at: usize) -> Result<(), TooLong> {
    let len = out.len() - at;
    let Ok(short) = u16::try_from(len) else {
        return Err(TooLong { what: "message", len, max: MAX_LEN });
    };
    out[at + 2..at + 4].copy_from_slice(&short.to_be_bytes());
    Ok(())
}
