//! Bundles: changes that are applied together (OpenFlow 1.5.1, section 7.3.9).

use super::{HEADER_LEN, Header, Message, Xid, code};
use crate::wire::{self, Put, Reader, TooLong};
use crate::{ErrorCode, Version};

/// Opens, closes, commits or discards a bundle, or says that it was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BundleControl {
    /// The bundle's number on this connection.
    pub bundle_id: u32,
    /// [`BundleControl::OPEN_REQUEST`] and the others.
    pub typ: u16,
    /// [`BundleControl::ATOMIC`] and [`BundleControl::ORDERED`].
    pub flags: u16,
}

impl BundleControl {
    /// Opens it.
    pub const OPEN_REQUEST: u16 = 0;
    /// It is open.
    pub const OPEN_REPLY: u16 = 1;
    /// Closes it: nothing more can be added.
    pub const CLOSE_REQUEST: u16 = 2;
    /// It is closed.
    pub const CLOSE_REPLY: u16 = 3;
    /// Applies it.
    pub const COMMIT_REQUEST: u16 = 4;
    /// It is applied.
    pub const COMMIT_REPLY: u16 = 5;
    /// Forgets it.
    pub const DISCARD_REQUEST: u16 = 6;
    /// It is forgotten.
    pub const DISCARD_REPLY: u16 = 7;

    /// All or nothing; packets see the one or the other.
    pub const ATOMIC: u16 = 1;
    /// In the order in which it was sent.
    pub const ORDERED: u16 = 2;

    pub(super) fn put(self, out: &mut Vec<u8>) {
        out.put_u32(self.bundle_id);
        out.put_u16(self.typ);
        out.put_u16(self.flags);
    }

    /// Properties, of which none are known, are passed over.
    pub(super) fn read(r: &mut Reader<'_>) -> wire::Result<BundleControl> {
        let control = BundleControl { bundle_id: r.u32()?, typ: r.u16()?, flags: r.u16()? };
        r.rest();
        Ok(control)
    }
}

/// Adds a message to a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleAdd {
    /// The bundle's number on this connection.
    pub bundle_id: u32,
    /// The flags with which it was opened.
    pub flags: u16,
    /// The message, which gets the transaction id of the one around it.
    pub message: Message,
}

impl BundleAdd {
    pub(super) fn put(&self, version: Version, xid: Xid, out: &mut Vec<u8>) -> Result<(), TooLong> {
        out.put_u32(self.bundle_id);
        out.put_u16(0);
        out.put_u16(self.flags);
        code::put(&self.message, version, xid, out)
    }

    pub(super) fn read(r: &mut Reader<'_>, outer: &Header) -> wire::Result<BundleAdd> {
        let bundle_id = r.u32()?;
        r.skip(2)?;
        let flags = r.u16()?;
        let bad_len = |r: &Reader<'_>, len| {
            r.error("a message with its own header", len as u64, ErrorCode::BUNDLE_MSG_BAD_LEN)
        };
        let Some(header) = Header::peek(r.peek_rest()) else {
            return Err(bad_len(r, r.remaining()));
        };
        let len = usize::from(header.len);
        if len < HEADER_LEN || len > r.remaining() {
            return Err(bad_len(r, len));
        }
        if header.xid != outer.xid {
            let expected = "the transaction id of the message around it";
            return Err(r.error(expected, header.xid.0, ErrorCode::BUNDLE_MSG_BAD_XID));
        }
        if header.version != outer.version {
            let expected = "the version of the message around it";
            return Err(r.error(expected, header.version.0, ErrorCode::REQUEST_BAD_VERSION));
        }
        if code::is_bundle_add(&header, r.peek_rest()) {
            return Err(r.error("no bundle in a bundle", header.typ, ErrorCode::BUNDLE_MSG_UNSUP));
        }
        let mut inner = r.sub(len, "bundled message", ErrorCode::REQUEST_BAD_LEN)?;
        inner.skip(HEADER_LEN)?;
        let message = code::read(&header, &mut inner)?;
        // Properties, of which none are known.
        r.rest();
        Ok(BundleAdd { bundle_id, flags, message })
    }
}
