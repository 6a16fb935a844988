//! Properties: type, length, value, padded to 8 bytes (OpenFlow 1.4 and later, and Nicira's messages).
//!
//! ```text
//!  0                   1                   2                   3
//!  +-------------------------------+-------------------------------+
//!  |             type              |  length (header included,     |
//!  |                               |  trailing padding not)        |
//!  +-------------------------------+-------------------------------+
//!  |  value, padded to a multiple of 8 bytes from the type         |
//! ```
//!
//! Values of 64 bits and nested properties have four bytes of padding before them.

use crate::error::ErrorCode;
use crate::wire::{self, DecodeError, Put, Reader};

/// The type of experimenters' properties.
pub(crate) const EXPERIMENTER: u16 = 0xffff;

/// A property that was read.
#[derive(Clone, Debug)]
pub(crate) struct Prop<'a> {
    pub(crate) typ: u16,
    value: Reader<'a>,
}

/// Reads the next property and the padding after it; the last one's may be missing.
#[inline]
pub(crate) fn next<'a>(r: &mut Reader<'a>) -> wire::Result<Option<Prop<'a>>> {
    if r.is_empty() {
        return Ok(None);
    }
    let typ = r.u16()?;
    let len = usize::from(r.u16()?);
    if len < 4 {
        return Err(r.error("a property length of at least 4", len as u64, ErrorCode::PROPERTY_BAD_LEN));
    }
    let value = r.sub(len - 4, "property", ErrorCode::PROPERTY_BAD_LEN)?;
    let pad = (len.next_multiple_of(8) - len).min(r.remaining());
    r.skip(pad)?;
    Ok(Some(Prop { typ, value }))
}

impl<'a> Prop<'a> {
    pub(crate) fn u8(&mut self) -> wire::Result<u8> {
        self.value.u8()
    }

    pub(crate) fn u16(&mut self) -> wire::Result<u16> {
        self.value.u16()
    }

    pub(crate) fn u32(&mut self) -> wire::Result<u32> {
        self.value.u32()
    }

    /// A 64-bit value after its padding.
    pub(crate) fn u64(&mut self) -> wire::Result<u64> {
        self.value.skip(4)?;
        self.value.u64()
    }

    /// A 128-bit value, which has no padding before it.
    pub(crate) fn u128(&mut self) -> wire::Result<u128> {
        self.value.u128()
    }

    /// The whole value.
    pub(crate) fn bytes(&mut self) -> &'a [u8] {
        self.value.rest()
    }

    /// The value as it stands, unread.
    pub(crate) fn reader(&mut self) -> &mut Reader<'a> {
        &mut self.value
    }

    /// The properties inside, after their padding.
    pub(crate) fn nested(&mut self) -> wire::Result<Reader<'a>> {
        self.value.skip(4)?;
        Ok(self.value.sub_rest("nested properties", ErrorCode::PROPERTY_BAD_LEN))
    }

    /// The error that this type has no meaning here.
    pub(crate) fn unknown(&self) -> DecodeError {
        self.value.error("a known property type", self.typ, ErrorCode::PROPERTY_BAD_TYPE)
    }
}

/// Starts a property and gives its position, for [`finish`].
pub(crate) fn start(out: &mut Vec<u8>, typ: u16) -> usize {
    let at = out.len();
    out.put_u16(typ);
    out.put_u16(0);
    at
}

/// Writes the length and the padding.
pub(crate) fn finish(out: &mut Vec<u8>, at: usize) {
    out.set_len_at_2(at);
    out.pad8(at);
}

pub(crate) fn put_flag(out: &mut Vec<u8>, typ: u16) {
    let at = start(out, typ);
    finish(out, at);
}

pub(crate) fn put_u8(out: &mut Vec<u8>, typ: u16, v: u8) {
    let at = start(out, typ);
    out.put_u8(v);
    finish(out, at);
}

/// The two bytes after the value are counted in the length.
pub(crate) fn put_u16(out: &mut Vec<u8>, typ: u16, v: u16) {
    let at = start(out, typ);
    out.put_u16(v);
    out.put_u16(0);
    finish(out, at);
}

pub(crate) fn put_u32(out: &mut Vec<u8>, typ: u16, v: u32) {
    let at = start(out, typ);
    out.put_u32(v);
    finish(out, at);
}

pub(crate) fn put_u64(out: &mut Vec<u8>, typ: u16, v: u64) {
    let at = start(out, typ);
    out.put_u32(0);
    out.put_u64(v);
    finish(out, at);
}

pub(crate) fn put_u128(out: &mut Vec<u8>, typ: u16, v: u128) {
    put_bytes(out, typ, &v.to_be_bytes());
}

pub(crate) fn put_bytes(out: &mut Vec<u8>, typ: u16, v: &[u8]) {
    let at = start(out, typ);
    out.extend_from_slice(v);
    finish(out, at);
}

/// Starts a property that holds properties.
pub(crate) fn start_nested(out: &mut Vec<u8>, typ: u16) -> usize {
    let at = start(out, typ);
    out.put_u32(0);
    at
}
