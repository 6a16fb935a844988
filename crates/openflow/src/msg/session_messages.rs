//! What keeps a connection going: hello and errors.

use crate::wire::{self, NICIRA, Put, Reader};
use crate::{ErrorCode, Version};

/// The versions that a side speaks (OpenFlow 1.5.1, section 7.5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Bit v says that version v is spoken; `None` if the side sent no bitmap.
    pub versions: Option<u32>,
}

/// The element that holds a bitmap.
const VERSION_BITMAP: u16 = 1;

impl Hello {
    /// A hello that offers exactly these versions.
    pub fn new(versions: &[Version]) -> Hello {
        Hello { versions: Some(versions.iter().fold(0, |bits, v| bits | 1 << v.0)) }
    }

    /// The bitmap; without one, every version up to that of the hello's own header.
    pub fn bitmap(&self, header_version: Version) -> u32 {
        self.versions.unwrap_or_else(|| {
            let up_to = u32::from(header_version.0).min(31);
            (u32::MAX >> (31 - up_to)) & !1
        })
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        if let Some(bits) = self.versions {
            out.put_u16(VERSION_BITMAP);
            out.put_u16(8);
            out.put_u32(bits);
        }
    }

    /// Elements that are not known, and what of the list is malformed, do not stop a connection.
    pub(super) fn read(r: &mut Reader<'_>) -> Hello {
        let mut hello = Hello { versions: None };
        while r.remaining() >= 4 {
            let Some((typ, len)) = r.u16().ok().zip(r.u16().ok()) else { break };
            let Some(body_len) = usize::from(len).checked_sub(4) else { break };
            let Ok(mut body) = r.sub(body_len, "hello element", ErrorCode::REQUEST_BAD_LEN) else { break };
            let padding = usize::from(len).next_multiple_of(8) - usize::from(len);
            let _ = r.skip(padding.min(r.remaining()));
            if typ == VERSION_BITMAP
                && let Ok(bits) = body.u32()
            {
                hello.versions = Some(bits);
            }
        }
        hello
    }
}

/// A refusal (OpenFlow 1.5.1, section 7.5.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorMessage {
    /// Who numbers the error; `None` is OpenFlow itself.
    pub experimenter: Option<u32>,
    /// What went wrong. Nicira's errors of 1.2 and later have type [`ErrorCode::EXPERIMENTER`] and their number as the
    /// code; those of 1.0 and 1.1 have a type and a code of Nicira's.
    pub code: ErrorCode,
    /// The start of what was refused, or text for a failed hello.
    pub data: Box<[u8]>,
}

/// The error type under which 1.0 and 1.1 carry experimenters' errors.
const VENDOR_ERROR: u16 = 0xb0c2;

impl ErrorMessage {
    /// The error for a request, with as much of it as is customary.
    pub fn for_request(code: ErrorCode, request: &[u8]) -> ErrorMessage {
        let experimenter = (code.typ == ErrorCode::EXPERIMENTER).then_some(NICIRA);
        ErrorMessage { experimenter, code, data: request[..request.len().min(64)].into() }
    }

    pub(super) fn put(&self, version: Version, out: &mut Vec<u8>) {
        let ErrorCode { typ, code } = self.code;
        match self.experimenter {
            None => {
                out.put_u16(typ);
                out.put_u16(code);
            }
            Some(experimenter) if version >= Version::V1_2 => {
                out.put_u16(ErrorCode::EXPERIMENTER);
                out.put_u16(code);
                out.put_u32(experimenter);
            }
            Some(experimenter) => {
                out.put_u16(VENDOR_ERROR);
                out.put_u16(0);
                out.put_u32(experimenter);
                out.put_u16(typ);
                out.put_u16(code);
            }
        }
        out.extend_from_slice(&self.data);
    }

    pub(super) fn read(r: &mut Reader<'_>, version: Version) -> wire::Result<ErrorMessage> {
        let mut code = ErrorCode { typ: r.u16()?, code: r.u16()? };
        let mut experimenter = None;
        if code.typ == ErrorCode::EXPERIMENTER && version >= Version::V1_2 {
            experimenter = Some(r.u32()?);
        } else if code.typ == VENDOR_ERROR && version < Version::V1_2 {
            experimenter = Some(r.u32()?);
            code = ErrorCode { typ: r.u16()?, code: r.u16()? };
        }
        Ok(ErrorMessage { experimenter, code, data: r.rest().into() })
    }
}
