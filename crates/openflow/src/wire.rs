//! Reading and writing of wire bytes: a bounds-checked cursor, padding, and the error that says what was wrong where.

use crate::error::ErrorCode;

/// Nicira's experimenter id.
pub const NICIRA: u32 = 0x0000_2320;
/// The Open Networking Foundation's experimenter id.
pub const ONF: u32 = 0x4f4e_4600;

/// The peer's bytes do not say what they must.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {at}: expected {expected}, came {came:#x} (error {code})")]
pub struct DecodeError {
    /// What was being read.
    pub what: &'static str,
    /// What would have been right.
    pub expected: &'static str,
    /// What came instead.
    pub came: u64,
    /// Where, from the start of the bytes that were handed in.
    pub at: usize,
    /// What a switch answers (OpenFlow 1.5.1, section 7.5.4).
    pub code: ErrorCode,
}

/// The result of reading.
pub type Result<T, E = DecodeError> = std::result::Result<T, E>;

/// A cursor over received bytes.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    buf: &'a [u8],
    pos: usize,
    /// Offset of `buf` in what was handed in, for errors.
    base: usize,
    /// What is being read, for errors.
    what: &'static str,
    /// The error that a length that is wrong here means.
    bad_len: ErrorCode,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(buf: &'a [u8], what: &'static str, bad_len: ErrorCode) -> Self {
        Reader { buf, pos: 0, base: 0, what, bad_len }
    }

    /// Bytes not yet read.
    pub(crate) fn remaining(&self) -> usize {
        self.buf.len() - self.pos
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.remaining() == 0
    }

    /// Offset of the next byte in what was handed in.
    pub(crate) fn at(&self) -> usize {
        self.base + self.pos
    }

    /// Everything not yet read, without reading it.
    pub(crate) fn peek_rest(&self) -> &'a [u8] {
        &self.buf[self.pos..]
    }

    /// The next two bytes, without reading them.
    pub(crate) fn peek_u16(&self) -> Result<u16> {
        self.clone().u16()
    }

    /// Reads everything that is left.
    pub(crate) fn rest(&mut self) -> &'a [u8] {
        let rest = &self.buf[self.pos..];
        self.pos = self.buf.len();
        rest
    }

    pub(crate) fn bytes(&mut self, n: usize) -> Result<&'a [u8]> {
        if self.remaining() < n {
            return Err(DecodeError {
                what: self.what,
                expected: "more bytes than are left",
                came: self.remaining() as u64,
                at: self.at(),
                code: self.bad_len,
            });
        }
        let out = &self.buf[self.pos..self.pos + n];
        self.pos += n;
        Ok(out)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut out = [0; N];
        out.copy_from_slice(self.bytes(N)?);
        Ok(out)
    }

    pub(crate) fn u8(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u16(&mut self) -> Result<u16> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    pub(crate) fn u128(&mut self) -> Result<u128> {
        Ok(u128::from_be_bytes(self.array()?))
    }

    /// Skips bytes whose content does not matter.
    pub(crate) fn skip(&mut self, n: usize) -> Result<()> {
        self.bytes(n).map(|_| ())
    }

    /// Text in `len` bytes, up to the first zero. Bytes that are no text are replaced.
    pub(crate) fn name(&mut self, len: usize) -> Result<Box<str>> {
        let bytes = self.bytes(len)?;
        let end = bytes.iter().position(|&b| b == 0).unwrap_or(len);
        Ok(String::from_utf8_lossy(&bytes[..end]).into())
    }

    /// A reader of the next `n` bytes.
    pub(crate) fn sub(&mut self, n: usize, what: &'static str, bad_len: ErrorCode) -> Result<Reader<'a>> {
        let base = self.at();
        let buf = self.bytes(n)?;
        Ok(Reader { buf, pos: 0, base, what, bad_len })
    }

    /// A reader of everything that is left.
    pub(crate) fn sub_rest(&mut self, what: &'static str, bad_len: ErrorCode) -> Reader<'a> {
        let base = self.at();
        let buf = self.rest();
        Reader { buf, pos: 0, base, what, bad_len }
    }

    /// The error that something else was expected at the bytes just read.
    pub(crate) fn error(&self, expected: &'static str, came: impl Into<u64>, code: ErrorCode) -> DecodeError {
        DecodeError { what: self.what, expected, came: came.into(), at: self.at(), code }
    }

    /// The error that a length is wrong.
    pub(crate) fn bad_len(&self, expected: &'static str, came: usize) -> DecodeError {
        self.error(expected, came as u64, self.bad_len)
    }

    /// Fails unless everything was read.
    pub(crate) fn finish(&self) -> Result<()> {
        if self.is_empty() { Ok(()) } else { Err(self.bad_len("no more bytes", self.remaining())) }
    }
}

/// Appending of big-endian integers.
pub(crate) trait Put {
    fn put_u8(&mut self, v: u8);
    fn put_u16(&mut self, v: u16);
    fn put_u32(&mut self, v: u32);
    fn put_u64(&mut self, v: u64);
    fn put_zeros(&mut self, n: usize);
    /// Text padded with zeros to `len` bytes; what does not fit before a last zero is cut off at a character.
    fn put_name(&mut self, text: &str, len: usize);
    /// Zeros up to a multiple of 8 bytes counted from `start`.
    fn pad8(&mut self, start: usize);
    /// Overwrites the two bytes at `at`.
    fn set_u16(&mut self, at: usize, v: u16);
    /// Writes the length of what was appended since `start` at `start + 2`, saturating.
    fn set_len_at_2(&mut self, start: usize);
}

impl Put for Vec<u8> {
    fn put_u8(&mut self, v: u8) {
        self.push(v);
    }
    fn put_u16(&mut self, v: u16) {
        self.extend_from_slice(&v.to_be_bytes());
    }
    fn put_u32(&mut self, v: u32) {
        self.extend_from_slice(&v.to_be_bytes());
    }
    fn put_u64(&mut self, v: u64) {
        self.extend_from_slice(&v.to_be_bytes());
    }
    fn put_zeros(&mut self, n: usize) {
        self.resize(self.len() + n, 0);
    }
    fn put_name(&mut self, text: &str, len: usize) {
        let fits = text.floor_char_boundary(len - 1);
        self.extend_from_slice(&text.as_bytes()[..fits]);
        self.put_zeros(len - fits);
    }
    fn pad8(&mut self, start: usize) {
        let len = self.len() - start;
        self.put_zeros(len.next_multiple_of(8) - len);
    }
    fn set_u16(&mut self, at: usize, v: u16) {
        self[at..at + 2].copy_from_slice(&v.to_be_bytes());
    }
    fn set_len_at_2(&mut self, start: usize) {
        let len = u16::try_from(self.len() - start).unwrap_or(u16::MAX);
        self.set_u16(start + 2, len);
    }
}

/// What is to be sent does not fit into the length field that would describe it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} takes {len} bytes, at most {max} fit")]
pub struct TooLong {
    /// What is too long.
    pub what: &'static str,
    /// Its length in bytes.
    pub len: usize,
    /// The longest possible.
    pub max: usize,
}
