//! Matches, kept in the very bytes in which OpenFlow 1.5 carries them.

use crate::Field;
use crate::error::ErrorCode;
use crate::field::{FieldValue, Header, low_bits};
use crate::version::Version;
use crate::wire::{self, Put, Reader};
use kiln_types::OfPort;
use smallvec::SmallVec;
use std::fmt;

/// What a flow matches: a set of fields with values and masks.
///
/// Two matches that accept the same packets by the same fields are equal: the bytes are canonical. Registers are held
/// as 64-bit pairs whatever spelling came in, `in_port` in its 32-bit form, a VLAN tag as `vlan_vid` and `vlan_pcp` where those
/// say it all and else as `vlan_tci`, `nw_tos` as `ip_dscp`; fields stand in the order of the field table; a field that is
/// wholly masked out is absent.
/// An encoding for OpenFlow 1.5 is a copy of these bytes, and so are equality and hashing.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Match {
    oxm: Box<[u8]>,
}

/// Most bytes that a match's fields can have: its length field counts four more.
const MAX_OXM_LEN: usize = u16::MAX as usize - 4;

impl Match {
    /// Matches every packet.
    pub fn any() -> Match {
        Match::default()
    }

    /// Matches packets of one port, as every packet from a controller says it.
    pub(crate) fn of_in_port(port: OfPort) -> Match {
        let mut oxm = [0x80, 0, 0, 4, 0, 0, 0, 0];
        oxm[4..].copy_from_slice(&port.0.to_be_bytes());
        Match { oxm: oxm.into() }
    }

    /// An empty builder.
    pub fn builder() -> MatchBuilder {
        MatchBuilder::default()
    }

    /// The canonical fields, in the form of OpenFlow 1.5, without the match header and padding.
    pub fn as_oxm(&self) -> &[u8] {
        &self.oxm
    }

    /// Whether every packet matches.
    pub fn is_any(&self) -> bool {
        self.oxm.is_empty()
    }

    /// The fields in canonical spelling and order.
    pub fn iter(&self) -> Iter<'_> {
        Iter { rest: &self.oxm }
    }

    /// What the match says of a field in any spelling; `None` if it says nothing. A mask narrower than the field means
    /// that only those bits are matched.
    pub fn get(&self, field: Field) -> Option<FieldValue> {
        if let Some(n) = field.as_reg() {
            let pair = self.canonical(Field::xreg(n / 2))?;
            let shift = if n % 2 == 0 { 32 } else { 0 };
            return nonzero(FieldValue::masked(field, pair.value >> shift, pair.mask >> shift));
        }
        if let Some(n) = field.as_xxreg() {
            let half = |i| self.canonical(Field::xreg(i)).map_or((0, 0), |v| (v.value, v.mask));
            let (hi, lo) = (half(2 * n), half(2 * n + 1));
            return nonzero(FieldValue::masked(field, hi.0 << 64 | lo.0, hi.1 << 64 | lo.1));
        }
        match field {
            Field::IN_PORT => {
                self.canonical(Field::IN_PORT_OXM).map(|v| FieldValue::exact(field, v.value & 0xffff))
            }
            Field::NW_TOS => self.canonical(Field::IP_DSCP).map(|v| FieldValue::exact(field, v.value << 2)),
            Field::VLAN_VID => {
                nonzero(FieldValue::masked(field, self.vlan().value, self.vlan().mask & VLAN_VID))
            }
            Field::VLAN_PCP => {
                nonzero(FieldValue::masked(field, self.vlan().value >> 13, self.vlan().mask >> 13))
            }
            Field::VLAN_TCI => nonzero(self.vlan()),
            _ => self.canonical(field),
        }
    }

    fn canonical(&self, field: Field) -> Option<FieldValue> {
        self.iter().find(|v| v.field.same(field))
    }

    /// What is said of a VLAN tag, as `vlan_tci`.
    fn vlan(&self) -> FieldValue {
        let mut tci = FieldValue::masked(Field::VLAN_TCI, 0, 0);
        for v in self.iter().filter(|v| is_vlan(v.field)) {
            respell(v, |part| (tci.value, tci.mask) = (tci.value | part.value, tci.mask | part.mask));
        }
        tci
    }

    /// A builder that starts from this match.
    pub fn to_builder(&self) -> MatchBuilder {
        let others = self.iter().filter(|v| !is_vlan(v.field));
        let mut builder = MatchBuilder { entries: others.collect() };
        builder.set(self.vlan());
        builder
    }

    /// Appends the match with its header and padding (OpenFlow 1.5.1, section 7.2.3.1), for version 1.2 or later.
    pub fn put(&self, version: Version, out: &mut Vec<u8>) {
        let start = out.len();
        out.put_u16(1);
        out.put_u16(0);
        self.put_fields(version, out);
        out.set_len_at_2(start);
        out.pad8(start);
    }

    /// Appends the fields alone, for version 1.2 or later in OXM, for 1.0 and 1.1 in NXM.
    pub fn put_fields(&self, version: Version, out: &mut Vec<u8>) {
        if version >= Version::V1_5 {
            out.extend_from_slice(&self.oxm);
        } else {
            older::put_fields(self, version, out);
        }
    }

    /// Bytes that [`put`](Match::put) appends for OpenFlow 1.5.
    pub fn encoded_len(&self) -> usize {
        (4 + self.oxm.len()).next_multiple_of(8)
    }

    /// Reads a match with its header and padding.
    pub(crate) fn read(r: &mut Reader<'_>) -> wire::Result<Match> {
        let mut fields = Match::framed_fields(r)?;
        Match::read_fields(&mut fields, Unknown::Refused)
    }

    /// Reads the header of a match, gives its fields and skips the padding.
    fn framed_fields<'a>(r: &mut Reader<'a>) -> wire::Result<Reader<'a>> {
        let typ = r.u16()?;
        if typ != 1 {
            return Err(r.error("match type 1, a list of OXM fields", typ, ErrorCode::MATCH_BAD_TYPE));
        }
        let len = usize::from(r.u16()?);
        if len < 4 {
            return Err(r.error("a match length of at least 4", len as u64, ErrorCode::MATCH_BAD_LEN));
        }
        let fields = r.sub(len - 4, "match", ErrorCode::MATCH_BAD_LEN)?;
        r.skip(len.next_multiple_of(8) - len)?;
        Ok(fields)
    }

    /// Reads a match with its header and padding, and says how many bytes it took.
    pub fn decode(bytes: &[u8]) -> wire::Result<(Match, usize)> {
        let mut r = Reader::new(bytes, "match", ErrorCode::MATCH_BAD_LEN);
        let m = Match::read(&mut r)?;
        Ok((m, r.at()))
    }

    /// Reads a list of fields that fills `bytes`, in any spelling. Unknown fields are refused.
    pub fn decode_fields(bytes: &[u8]) -> wire::Result<Match> {
        let mut r = Reader::new(bytes, "match", ErrorCode::MATCH_BAD_LEN);
        Match::read_fields(&mut r, Unknown::Refused)
    }

    /// Reads a list of fields that fills the reader.
    pub(crate) fn read_fields(r: &mut Reader<'_>, unknown: Unknown) -> wire::Result<Match> {
        let bytes = r.peek_rest();
        if bytes.len() > MAX_OXM_LEN {
            return Err(r.error("at most 65531 bytes", bytes.len() as u64, ErrorCode::MATCH_BAD_LEN));
        }
        let again = r.clone();
        let mut fields = SmallVec::<[_; 12]>::new();
        while !r.is_empty() {
            let start = bytes.len() - r.remaining();
            if let Some((value, len)) = plain_field(&bytes[start..]) {
                r.skip(len)?;
                fields.push((value.field.order(), &bytes[start..start + len]));
                continue;
            }
            // What is spelled otherwise is read from the start: once, since that looks at all.
            let Some(tlv) = read_field(r, unknown)?.filter(Tlv::is_canonical) else {
                *r = again;
                return respelled(r, unknown);
            };
            fields.push((tlv.value.field.order(), &bytes[start..bytes.len() - r.remaining()]));
        }
        if !fields.is_sorted_by(|(one, _), (next, _)| one < next) {
            // A switch's packets have the pipeline's fields in another order.
            fields.sort_unstable_by_key(|(order, _)| *order);
            if fields.windows(2).any(|pair| pair[0].0 == pair[1].0) {
                *r = again;
                return respelled(r, unknown);
            }
            let mut oxm = Vec::with_capacity(bytes.len());
            fields.iter().for_each(|(_, field)| oxm.extend_from_slice(field));
            return Ok(Match { oxm: oxm.into() });
        }
        Ok(Match { oxm: bytes.into() })
    }
}

/// Reads fields that are not in canonical form.
fn respelled(r: &mut Reader<'_>, unknown: Unknown) -> wire::Result<Match> {
    let mut builder = MatchBuilder::default();
    while !r.is_empty() {
        let Some(tlv) = read_field(r, unknown)? else { continue };
        if builder.overlaps(tlv.value) {
            let expected = "each bit of a field at most once";
            return Err(r.error(expected, tlv.word, ErrorCode::MATCH_DUP_FIELD));
        }
        builder.set(tlv.value);
    }
    Ok(builder.build())
}

/// Reads a field of a match; `None` if it is passed over.
fn read_field(r: &mut Reader<'_>, unknown: Unknown) -> wire::Result<Option<Tlv>> {
    let Some(tlv) = read_tlv(r, unknown)? else { return Ok(None) };
    let FieldValue { field, mask, .. } = tlv.value;
    if mask != 0 && !tlv.value.is_exact() && !field.info().maskable {
        let expected = "no mask on a field that takes none";
        return Err(r.error(expected, tlv.word, ErrorCode::MATCH_BAD_MASK));
    }
    Ok(Some(tlv))
}

/// The bits of a tag's id and of what says that there is a tag. Its priority is above them.
const VLAN_VID: u128 = 0x1fff;
const VLAN_PRESENT: u128 = 0x1000;

fn is_vlan(field: Field) -> bool {
    matches!(field, Field::VLAN_VID | Field::VLAN_PCP | Field::VLAN_TCI)
}

fn nonzero(v: FieldValue) -> Option<FieldValue> {
    (v.mask != 0).then_some(v)
}

/// What to do with a field that is not in the table.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// Fail.
    Refused,
    /// Go on without it.
    Skipped,
}

/// One field as it came.
pub(crate) struct Tlv {
    pub(crate) header: Header,
    pub(crate) word: u32,
    pub(crate) has_mask: bool,
    /// Whether no leading zeros were left out.
    pub(crate) as_long: bool,
    pub(crate) value: FieldValue,
}

impl Tlv {
    /// Whether a match has it in these bytes.
    fn is_canonical(&self) -> bool {
        let FieldValue { field, mask, .. } = self.value;
        // What is not spelled canonically has a preferred header all the same, hence the last test.
        self.header == field.info().header
            && self.has_mask != self.value.is_exact()
            && self.as_long
            && mask != 0
            && field.is_canonical_in_match(mask)
            && !is_vlan(field)
    }
}

/// The parts of a header that was read: the first word, the class and number, whether there is a mask, and the length
/// of what follows.
pub(crate) fn read_header(r: &mut Reader<'_>) -> wire::Result<(u32, Header, bool, usize)> {
    let word = r.u32()?;
    let class = (word >> 16) as u16;
    let mut len = (word & 0xff) as usize;
    let mut header = Header { class, field: (word >> 9 & 0x7f) as u8, experimenter: 0 };
    if class == Header::EXPERIMENTER {
        if len < 4 {
            return Err(r.error("an experimenter field of at least 4 bytes", word, ErrorCode::MATCH_BAD_LEN));
        }
        header.experimenter = r.u32()?;
        len -= 4;
    }
    Ok((word, header, word & 0x100 != 0, len))
}

/// Reads a big-endian integer of any length; `None` if it does not fit into 128 bits.
pub(crate) fn read_uint(bytes: &[u8]) -> Option<u128> {
    // Nearly all fields have one of these lengths, for which the compiler has instructions.
    match *bytes {
        [a, b] => return Some(u16::from_be_bytes([a, b]).into()),
        [a, b, c, d] => return Some(u32::from_be_bytes([a, b, c, d]).into()),
        [a, b, c, d, e, f, g, h] => return Some(u64::from_be_bytes([a, b, c, d, e, f, g, h]).into()),
        _ => {}
    }
    let (high, low) = bytes.split_at(bytes.len().saturating_sub(16));
    let mut be = [0; 16];
    be[16 - low.len()..].copy_from_slice(low);
    high.iter().all(|&b| b == 0).then(|| u128::from_be_bytes(be))
}

/// Appends a right-aligned integer of `n_bytes`.
pub(crate) fn put_uint(out: &mut Vec<u8>, value: u128, n_bytes: usize) {
    let be = value.to_be_bytes();
    out.put_zeros(n_bytes.saturating_sub(16));
    out.extend_from_slice(&be[16 - n_bytes.min(16)..]);
}

/// Bytes before the value of a field that is no experimenter's.
const PLAIN_HEADER_LEN: usize = 4;

/// The field at the start of `bytes` and how many of them it takes, if it is spelled canonically and may have any value: nearly
/// all that switches say of a packet is, and need not be looked at any closer.
fn plain_field(bytes: &[u8]) -> Option<(FieldValue, usize)> {
    let (word, rest) = bytes.split_first_chunk::<PLAIN_HEADER_LEN>()?;
    let [high, low, number, len] = *word;
    let header = Header { class: u16::from_be_bytes([high, low]), field: number >> 1, experimenter: 0 };
    let has_mask = number & 1 != 0;
    let payload = rest.get(..usize::from(len))?;
    let (value, mask) = payload.split_at(if has_mask { payload.len() / 2 } else { payload.len() });
    let field = Field::by_header(header, value.len())?;
    let all_ones = field.all_ones();
    let is_plain = header == field.info().header
        && field.n_bytes() == value.len()
        && usize::from(field.n_bits()) == 8 * value.len()
        && field.as_tun_metadata().is_none()
        && field.is_canonical_in_match(all_ones)
        && !is_vlan(field);
    if !is_plain {
        return None;
    }
    let value = read_uint(value)?;
    if !has_mask {
        return Some((FieldValue { field, value, mask: all_ones }, PLAIN_HEADER_LEN + payload.len()));
    }
    // Of a pair of registers a switch tells one alone, if the other is zero.
    let mask = read_uint(mask).filter(|_| mask.len() == field.n_bytes() && field.info().maskable)?;
    let is_partial = mask != 0 && mask != all_ones && value & !mask == 0;
    is_partial.then_some((FieldValue { field, value, mask }, PLAIN_HEADER_LEN + payload.len()))
}

/// Reads one field with its value and mask. `None` if the field is unknown and that is allowed.
pub(crate) fn read_tlv(r: &mut Reader<'_>, unknown: Unknown) -> wire::Result<Option<Tlv>> {
    let (word, header, has_mask, len) = read_header(r)?;
    let value_len = if has_mask { len / 2 } else { len };
    let payload = r.bytes(len)?;
    let Some(field) = Field::by_header(header, value_len) else {
        if unknown == Unknown::Skipped {
            return Ok(None);
        }
        return Err(r.error("a known field", word, ErrorCode::MATCH_BAD_FIELD));
    };
    // Open vSwitch leaves out leading zero bytes of tunnel options, whose lengths are multiples of 4.
    let field = match field.as_tun_metadata() {
        Some(n) => Field::tun_metadata(n, value_len.next_multiple_of(4).max(4) as u8),
        None => field,
    };
    if (field.n_bytes() != value_len && field.as_tun_metadata().is_none()) || (has_mask && len % 2 != 0) {
        return Err(r.error("a field of its own length", word, ErrorCode::MATCH_BAD_LEN));
    }
    let bad = |expected, code| r.error(expected, word, code);
    let (value, mask) = payload.split_at(value_len);
    let too_wide = || bad("a value within the field's width", ErrorCode::MATCH_BAD_VALUE);
    let value = read_uint(value).ok_or_else(too_wide)?;
    let all_ones = field.all_ones();
    if value & !field.value_bits() != 0 {
        return Err(too_wide());
    }
    let mask = if has_mask { mask_of(mask, all_ones) } else { all_ones };
    if value & !mask != 0 {
        return Err(bad("no value bits outside the mask", ErrorCode::MATCH_BAD_WILDCARDS));
    }
    let as_long = value_len == field.n_bytes();
    Ok(Some(Tlv { header, word, has_mask, as_long, value: FieldValue { field, value, mask } }))
}

/// The mask in `bytes`, of which only the bits that the field has count.
fn mask_of(bytes: &[u8], all_ones: u128) -> u128 {
    let low = &bytes[bytes.len().saturating_sub(16)..];
    read_uint(low).unwrap_or(0) & all_ones
}

/// Appends one field.
pub(crate) fn put_tlv(out: &mut Vec<u8>, header: Header, v: &FieldValue) {
    let n = v.field.n_bytes();
    if v.is_exact() {
        header.put(out, false, n);
        put_uint(out, v.value, n);
    } else {
        header.put(out, true, 2 * n);
        put_uint(out, v.value, n);
        put_uint(out, v.mask, n);
    }
}

/// The fields of a [`Match`].
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    rest: &'a [u8],
}

impl Iterator for Iter<'_> {
    type Item = FieldValue;

    fn next(&mut self) -> Option<FieldValue> {
        if self.rest.is_empty() {
            return None;
        }
        if let Some((value, len)) = plain_field(self.rest) {
            self.rest = &self.rest[len..];
            return Some(value);
        }
        let mut r = Reader::new(self.rest, "match", ErrorCode::MATCH_BAD_LEN);
        // A match holds only what was read or built before, so this cannot fail.
        let tlv = read_tlv(&mut r, Unknown::Refused).ok().flatten()?;
        self.rest = r.peek_rest();
        Some(tlv.value)
    }
}

impl<'a> IntoIterator for &'a Match {
    type Item = FieldValue;
    type IntoIter = Iter<'a>;
    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl fmt::Debug for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl FromIterator<FieldValue> for Match {
    fn from_iter<I: IntoIterator<Item = FieldValue>>(values: I) -> Match {
        let mut builder = Match::builder();
        for v in values {
            builder.set(v);
        }
        builder.build()
    }
}

/// Collects fields, in any order and spelling, into a [`Match`].
///
/// Fields that overlap are merged; where they contradict each other, the later wins.
#[derive(Clone, Debug, Default)]
pub struct MatchBuilder {
    /// Canonical spellings, sorted by field; but all that is said of a VLAN tag stands as `vlan_tci`.
    entries: SmallVec<[FieldValue; 10]>,
}

impl MatchBuilder {
    /// All bits of the field.
    pub fn exact(&mut self, field: Field, value: impl Into<u128>) -> &mut Self {
        self.set(FieldValue::exact(field, value.into()))
    }

    /// The bits under `mask`.
    pub fn masked(&mut self, field: Field, value: impl Into<u128>, mask: impl Into<u128>) -> &mut Self {
        self.set(FieldValue::masked(field, value.into(), mask.into()))
    }

    /// Adds what `v` says.
    pub fn set(&mut self, v: FieldValue) -> &mut Self {
        respell(v, |canonical| self.merge(canonical));
        self
    }

    /// Whether something is said already of a bit that `v` speaks of.
    pub fn overlaps(&self, v: FieldValue) -> bool {
        let mut hit = false;
        respell(v, |c| {
            let e = self.entries.get(self.position(c.field));
            hit |= e.is_some_and(|e| e.field.same(c.field) && e.mask & c.mask != 0);
        });
        hit
    }

    /// Where the field is, or belongs.
    fn position(&self, field: Field) -> usize {
        self.entries.partition_point(|e| e.field.order() < field.order())
    }

    fn merge(&mut self, v: FieldValue) {
        if v.mask == 0 {
            return;
        }
        // Every bit that a narrow field has is the whole of it.
        let whole = v.field.is_narrow() && v.mask == v.field.value_bits();
        let v = if whole { FieldValue::exact(v.field, v.value) } else { v };
        let at = self.position(v.field);
        match self.entries.get_mut(at) {
            Some(e) if e.field == v.field => {
                e.value = e.value & !v.mask | v.value;
                e.mask |= v.mask;
            }
            // A tunnel option of another length.
            Some(e) if e.field.same(v.field) => *e = v,
            _ => self.entries.insert(at, v),
        }
    }

    /// The match with the fields so far.
    pub fn build(&self) -> Match {
        if let Ok(at) = self.entries.binary_search_by_key(&Field::VLAN_TCI.order(), |e| e.field.order()) {
            let mut entries = self.entries.clone();
            let tci = entries.remove(at);
            spell_vlan(tci, |v| {
                entries.insert(entries.partition_point(|e| e.field.order() < v.field.order()), v);
            });
            return MatchBuilder { entries }.spelled();
        }
        self.spelled()
    }

    fn spelled(&self) -> Match {
        let len = |e: &FieldValue| {
            e.field.info().header.n_bytes() + e.field.n_bytes() * if e.is_exact() { 1 } else { 2 }
        };
        let mut oxm = Vec::with_capacity(self.entries.iter().map(len).sum());
        for e in &self.entries {
            put_tlv(&mut oxm, e.field.info().header, e);
        }
        Match { oxm: oxm.into() }
    }
}

/// Gives what a field in any spelling says in the canonical one.
fn respell(v: FieldValue, mut emit: impl FnMut(FieldValue)) {
    let FieldValue { field, value, mask } = v;
    if let Some(n) = field.as_reg() {
        let shift = if n % 2 == 0 { 32 } else { 0 };
        return emit(FieldValue { field: Field::xreg(n / 2), value: value << shift, mask: mask << shift });
    }
    if let Some(n) = field.as_xxreg() {
        let low = low_bits(64);
        emit(FieldValue { field: Field::xreg(2 * n), value: value >> 64, mask: mask >> 64 });
        return emit(FieldValue { field: Field::xreg(2 * n + 1), value: value & low, mask: mask & low });
    }
    match field {
        Field::IN_PORT => {
            // Reserved ports are sign-extended, so to speak (OpenFlow 1.5.1, section 7.2.1).
            let port = if value >= 0xff00 { value | 0xffff_0000 } else { value };
            emit(FieldValue::exact(Field::IN_PORT_OXM, port));
        }
        Field::TUN_FLAGS | Field::CT_STATE => emit(FieldValue { mask: mask & field.value_bits(), ..v }),
        Field::NW_TOS => emit(FieldValue::masked(Field::IP_DSCP, value >> 2, mask >> 2)),
        Field::VLAN_VID => emit(FieldValue::masked(Field::VLAN_TCI, value, mask & VLAN_VID)),
        Field::VLAN_PCP => emit(FieldValue::masked(Field::VLAN_TCI, value << 13, (mask & 7) << 13)),
        _ => emit(v),
    }
}

/// Gives what is said of a VLAN tag in canonical spelling. The priority has no mask of its own, and none where there is no
/// tag: what says it in part stays as it is. Open vSwitch takes that in any version of OpenFlow, and only tells of it in
/// those before 1.2.
fn spell_vlan(tci: FieldValue, mut emit: impl FnMut(FieldValue)) {
    let FieldValue { value, mask, .. } = tci;
    match mask >> 13 {
        0 => emit(FieldValue::masked(Field::VLAN_VID, value, mask)),
        7 if value & VLAN_PRESENT != 0 => {
            emit(FieldValue::masked(Field::VLAN_VID, value, mask & VLAN_VID));
            emit(FieldValue::exact(Field::VLAN_PCP, value >> 13));
        }
        // Where there is no tag, the priority is zero without being asked.
        _ if mask & VLAN_PRESENT != 0 && value == 0 => {
            emit(FieldValue::masked(Field::VLAN_VID, 0, mask & VLAN_VID));
        }
        _ => emit(tci),
    }
}

impl Field {
    /// Whether a canonical match uses this spelling, and this mask where values use less than the field's width.
    fn is_canonical_in_match(self, mask: u128) -> bool {
        mask & !self.value_bits() == 0
            && self.as_reg().is_none()
            && self.as_xxreg().is_none()
            && !matches!(self, Field::IN_PORT | Field::NW_TOS)
    }
}

/// Forms of versions before 1.5.
mod older {
    use super::*;

    /// Registers go out one by one, and before 1.2 every field under its oldest header.
    pub(super) fn put_fields(m: &Match, version: Version, out: &mut Vec<u8>) {
        let mut tci = FieldValue::masked(Field::VLAN_TCI, 0, 0);
        for v in m {
            if !is_vlan(v.field) && v.field.order() > Field::VLAN_PCP.order() {
                put_nonzero(out, version, &tci);
                tci.mask = 0;
            }
            if let Some(n) = v.field.as_xreg() {
                for (reg, shift) in [(2 * n, 32), (2 * n + 1, 0)] {
                    put_nonzero(
                        out,
                        version,
                        &FieldValue::masked(Field::reg(reg), v.value >> shift, v.mask >> shift),
                    );
                }
                continue;
            }
            match v.field {
                _ if is_vlan(v.field) && version < Version::V1_2 => {
                    respell(v, |part| (tci.value, tci.mask) = (tci.value | part.value, tci.mask | part.mask));
                }
                Field::IN_PORT_OXM if version < Version::V1_2 => {
                    put_nonzero(out, version, &FieldValue::exact(Field::IN_PORT, v.value));
                }
                Field::IP_DSCP if version < Version::V1_2 => {
                    put_nonzero(out, version, &FieldValue::exact(Field::NW_TOS, v.value << 2));
                }
                // Only 1.5 knows packet types.
                Field::PACKET_TYPE => {}
                _ => put_nonzero(out, version, &v),
            }
        }
        put_nonzero(out, version, &tci);
    }

    fn put_nonzero(out: &mut Vec<u8>, version: Version, v: &FieldValue) {
        if v.mask != 0 {
            put_tlv(out, header_for(v.field, version), v);
        }
    }
}

/// The header under which a version names a field in matches and `set_field`.
pub(crate) fn header_for(field: Field, version: Version) -> Header {
    let info = field.info();
    match field {
        _ if version < Version::V1_2 => info.oldest,
        // These two became basic fields in 1.5.
        Field::TCP_FLAGS if version < Version::V1_5 => {
            Header { class: Header::EXPERIMENTER, field: 42, experimenter: wire::ONF }
        }
        Field::ACTSET_OUTPUT if version < Version::V1_5 => info.oldest,
        _ => info.header,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fields as they come over the wire.
    fn decode(words: &[(u32, &[u8])]) -> wire::Result<Match> {
        let mut bytes = Vec::new();
        for (word, payload) in words {
            bytes.extend_from_slice(&word.to_be_bytes());
            bytes.extend_from_slice(payload);
        }
        Match::decode_fields(&bytes)
    }

    #[test]
    fn what_is_taken_as_it_comes_would_be_read_the_same() {
        let mut plain = Vec::new();
        // Values and masks of one byte over and over; a field without a mask takes the first.
        let fills = [(0xff, None), (0xff, Some(0xff)), (0x0f, Some(0x0f)), (0x0f, Some(0xf0)), (0, Some(0))];
        for field in Field::all() {
            let lens = [field.n_bytes(), 1];
            let headers = [field.info().header, field.info().oldest];
            for (header, len, (value, mask)) in headers
                .into_iter()
                .flat_map(|header| lens.map(|len| (header, len)))
                .flat_map(|(header, len)| fills.map(|fill| (header, len, fill)))
            {
                let mut bytes = Vec::new();
                header.put(&mut bytes, mask.is_some(), if mask.is_some() { 2 * len } else { len });
                bytes.resize(bytes.len() + len, value);
                bytes.resize(bytes.len() + mask.map_or(0, |_| len), mask.unwrap_or_default());
                let Some((taken, taken_len)) = plain_field(&bytes) else { continue };
                let mut r = Reader::new(&bytes, "match", ErrorCode::MATCH_BAD_LEN);
                let tlv = read_field(&mut r, Unknown::Refused).unwrap().unwrap();
                assert!(tlv.is_canonical() && r.is_empty(), "{field}");
                assert_eq!((tlv.value, bytes.len()), (taken, taken_len));
                plain.push((taken.field.name(), mask.is_some()));
            }
        }
        // What a switch says of every packet is among it.
        for what in
            [("xreg0", false), ("xreg0", true), ("xreg7", true), ("metadata", false), ("ct_zone", false)]
        {
            assert!(plain.contains(&what), "{what:?} {plain:?}");
        }
    }

    #[test]
    fn every_spelling_of_a_field_is_the_same_match() {
        let reg = |n: u32, value: u8| (n << 9 | 0x0001_0004, [0, 0, 0, value]);
        let (r0, r1) = (reg(0, 1), reg(1, 2));
        let expected = Match::builder().exact(Field::xreg(0), 0x1_0000_0002u64).build();
        assert_eq!(decode(&[(r1.0, &r1.1), (r0.0, &r0.1)]).unwrap(), expected);
        assert_eq!(decode(&[(0x8001_0008, &[0, 0, 0, 1, 0, 0, 0, 2])]).unwrap(), expected);
        let xxreg = [0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0];
        let mask = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(decode(&[(0x0001_df20, &[xxreg, mask].concat())]).unwrap(), expected);
        // NXM for OXM, the 16-bit port for the 32-bit one, the whole tag for its parts, type of service for its code
        // point, an all-ones mask for none, a field that is wholly masked out for its absence.
        for (one, other) in [
            ((0x0000_0602, &[8, 0][..]), (0x8000_0a02, &[8, 0][..])),
            ((0x0000_0002, &[0xff, 0xfe]), (0x8000_0004, &[0xff, 0xff, 0xff, 0xfe])),
            ((0x0000_0904, &[0x10, 5, 0x1f, 0xff]), (0x8000_0c02, &[0x10, 5])),
            ((0x0000_0a01, &[0x28]), (0x8000_1001, &[10])),
            ((0x8000_0d04, &[0x10, 5, 0xff, 0xff]), (0x8000_0c02, &[0x10, 5])),
            ((0x0001_d204, &[0, 0, 0, 1]), (0x0001_d308, &[0, 0, 0, 1, 0, 0, 0, 0xff])),
        ] {
            let (one, other) = (decode(&[one]).unwrap(), decode(&[other]).unwrap());
            assert_eq!(one, other);
            assert_eq!(one.as_oxm(), other.as_oxm());
        }
        // Tunnel options without their leading zeros.
        let option = Match::builder().masked(Field::tun_metadata(0, 4), 5u8, 0xffu8).build();
        assert_eq!(decode(&[(0x0001_5102, &[5, 0xff])]).unwrap(), option);
        assert_eq!(option.as_oxm(), [0, 1, 0x51, 8, 0, 0, 0, 5, 0, 0, 0, 0xff]);
        let option = Match::builder().exact(Field::tun_metadata(0, 4), 5u8).build();
        assert_eq!(decode(&[(0x0001_5001, &[5])]).unwrap(), option);
        let none = Match::builder().exact(Field::tun_metadata(0, 4), 0u8).build();
        assert_eq!(decode(&[(0x0001_5000, &[])]).unwrap(), none);
        assert!(decode(&[(0x8000_0510, &[0; 16])]).unwrap().is_any());
    }

    /// A switch's packets have `in_port`, registers and `metadata` in this order.
    #[test]
    fn the_order_of_fields_does_not_matter() {
        let in_port: (u32, &[u8]) = (0x8000_0004, &[0, 0, 0, 9]);
        let pair: (u32, &[u8]) = (0x8001_0110, &[0, 0, 0, 4, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
        let metadata: (u32, &[u8]) = (0x8000_0408, &[0, 0, 0, 0, 0, 0, 0, 3]);
        let expected = Match::builder()
            .exact(Field::METADATA, 3u8)
            .exact(Field::reg(0), 4u8)
            .exact(Field::IN_PORT_OXM, 9u8)
            .build();
        for fields in [[in_port, pair, metadata], [metadata, in_port, pair], [pair, metadata, in_port]] {
            assert_eq!(decode(&fields).unwrap().as_oxm(), expected.as_oxm());
        }
        for again in [in_port, pair, metadata] {
            let twice = decode(&[in_port, pair, metadata, again]).map_err(|e| e.code);
            assert_eq!(twice, Err(ErrorCode::MATCH_DUP_FIELD));
        }
    }

    #[test]
    fn one_port_is_what_a_builder_makes_of_it() {
        for port in [OfPort(1), OfPort::CONTROLLER] {
            let built = Match::builder().exact(Field::IN_PORT_OXM, port.0).build();
            assert_eq!(Match::of_in_port(port), built);
        }
    }

    #[test]
    fn malformed_fields_are_refused_by_name() {
        type Words<'a> = &'a [(u32, &'a [u8])];
        let cases: [(Words<'_>, ErrorCode); 9] = [
            (&[(0x8000_0a02, &[8])], ErrorCode::MATCH_BAD_LEN),
            (&[(0x8000_0a03, &[8, 0, 0])], ErrorCode::MATCH_BAD_LEN),
            (&[(0x7777_0a02, &[8, 0])], ErrorCode::MATCH_BAD_FIELD),
            (&[(0x8000_0c02, &[0x20, 0])], ErrorCode::MATCH_BAD_VALUE),
            (&[(0x8000_0d04, &[0, 5, 0, 4])], ErrorCode::MATCH_BAD_WILDCARDS),
            (&[(0x8000_0b04, &[8, 0, 0xff, 0])], ErrorCode::MATCH_BAD_MASK),
            (&[(0x8000_0a02, &[8, 0]), (0x8000_0a02, &[8, 0])], ErrorCode::MATCH_DUP_FIELD),
            // The same register, once alone and once in a pair.
            (&[(0x0001_0004, &[0; 4]), (0x8001_0008, &[0; 8])], ErrorCode::MATCH_DUP_FIELD),
            (&[(0xffff_0002, &[0, 0])], ErrorCode::MATCH_BAD_LEN),
        ];
        for (words, code) in cases {
            assert_eq!(decode(words).map_err(|e| e.code), Err(code), "{words:x?}");
        }
    }

    #[test]
    fn what_is_not_asked_is_not_there() {
        let m = Match::builder().exact(Field::reg(3), 5u8).masked(Field::ETH_DST, 1u8, 1u8).build();
        assert_eq!(m.get(Field::reg(3)).map(|v| v.value), Some(5));
        assert_eq!(m.get(Field::reg(2)), None);
        assert_eq!(m.get(Field::xxreg(0)).map(|v| (v.value, v.mask)), Some((5, 0xffff_ffff)));
        assert_eq!(m.get(Field::xxreg(1)), None);
        assert_eq!(m.get(Field::ETH_DST).map(|v| v.mask), Some(1));
        assert_eq!(m.get(Field::IN_PORT), None);
        let changed = m.to_builder().exact(Field::reg(2), 7u8).exact(Field::reg(3), 6u8).build();
        assert_eq!(changed.get(Field::xreg(1)).map(|v| v.value), Some(7 << 32 | 6));
    }
}
