//! Certificates of X.509 version 1, which have no extensions (RFC 5280 section 4.1.2.1). `openssl x509 -req` makes them
//! unless it is told otherwise, stock takes them, and `webpki` does not.
//!
//! Only a peer's own certificate may be of this version, and only an authority itself may have signed it: it never vouches
//! for another.

use rustls_pki_types::{SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer, TrustAnchor, UnixTime};
use webpki::RawPublicKeyEntity;

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// Parts of a certificate, as they stand in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Version1<'a> {
    /// What is signed.
    signed: &'a [u8],
    /// How: the content of an AlgorithmIdentifier.
    algorithm: &'a [u8],
    signature: &'a [u8],
    /// The content of the issuer's name.
    issuer: &'a [u8],
    /// The first and last second of its validity, since 1970.
    validity: (u64, u64),
    /// The whole SubjectPublicKeyInfo.
    pub(super) public_key: &'a [u8],
}

/// Why such a certificate counts for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    UnknownIssuer,
    BadSignature,
    NotValidYet,
    Expired,
}

impl<'a> Version1<'a> {
    /// Reads a certificate of version 1; `None` if it is anything else.
    pub(super) fn parse(der: &'a [u8]) -> Option<Self> {
        let mut outer = Reader(der);
        let mut certificate = Reader(outer.next(SEQUENCE)?.content);
        let signed = certificate.next(SEQUENCE)?;
        let algorithm = certificate.next(SEQUENCE)?.content;
        let signature = certificate.next(BIT_STRING)?.content;
        // Later versions begin with their number.
        let mut fields = Reader(signed.content);
        fields.next(INTEGER)?;
        let same_algorithm = fields.next(SEQUENCE)?.content == algorithm;
        let issuer = fields.next(SEQUENCE)?.content;
        let mut validity = Reader(fields.next(SEQUENCE)?.content);
        let dates = (validity.time()?, validity.time()?);
        fields.next(SEQUENCE)?;
        let public_key = fields.next(SEQUENCE)?.whole;
        let complete = [outer, certificate, fields, validity].iter().all(|reader| reader.0.is_empty());
        // The first byte counts the bits of the last that do not belong to the signature.
        let [0, signature @ ..] = signature else { return None };
        let read =
            Version1 { signed: signed.whole, algorithm, signature, issuer, validity: dates, public_key };
        (complete && same_algorithm).then_some(read)
    }

    /// Whether one of the authorities vouches for it now.
    pub(super) fn verify(
        &self,
        authorities: &[TrustAnchor<'_>],
        algorithms: &[&dyn SignatureVerificationAlgorithm],
        now: UnixTime,
    ) -> Result<(), Refusal> {
        // An authority that may not vouch for every name has to see the names, which only extensions tell.
        let issued = |authority: &&TrustAnchor<'_>| {
            authority.subject.as_ref() == self.issuer && authority.name_constraints.is_none()
        };
        let mut issuers = authorities.iter().filter(issued).peekable();
        if issuers.peek().is_none() {
            return Err(Refusal::UnknownIssuer);
        }
        if !issuers.any(|authority| self.is_signed_by(authority, algorithms)) {
            return Err(Refusal::BadSignature);
        }
        let (first, last) = self.validity;
        match now.as_secs() {
            now if now < first => Err(Refusal::NotValidYet),
            now if now > last => Err(Refusal::Expired),
            _ => Ok(()),
        }
    }

    fn is_signed_by(
        &self,
        authority: &TrustAnchor<'_>,
        algorithms: &[&dyn SignatureVerificationAlgorithm],
    ) -> bool {
        let key = wrapped(SEQUENCE, &authority.subject_public_key_info);
        let key = SubjectPublicKeyInfoDer::from(key);
        let Ok(key) = RawPublicKeyEntity::try_from(&key) else { return false };
        algorithms
            .iter()
            .filter(|algorithm| algorithm.signature_alg_id().as_ref() == self.algorithm)
            .any(|algorithm| key.verify_signature(*algorithm, self.signed, self.signature).is_ok())
    }
}

/// One value of DER (X.690 section 8.1).
struct Value<'a> {
    whole: &'a [u8],
    content: &'a [u8],
}

/// What is left to read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// The next value, if it has this tag. Lengths are in their shortest form, and below 64 KiB.
    fn next(&mut self, tag: u8) -> Option<Value<'a>> {
        let (header, len) = match *self.0 {
            [found, ..] if found != tag => return None,
            [_, len @ 0..=0x7f, ..] => (2, usize::from(len)),
            [_, 0x81, len @ 0x80..=0xff, ..] => (3, usize::from(len)),
            [_, 0x82, high @ 1..=0xff, low, ..] => (4, usize::from(u16::from_be_bytes([high, low]))),
            _ => return None,
        };
        let whole = self.0.get(..header + len)?;
        self.0 = &self.0[header + len..];
        Some(Value { whole, content: &whole[header..] })
    }

    /// The next value as a time, in seconds since 1970 (RFC 5280 section 4.1.2.5).
    fn time(&mut self) -> Option<u64> {
        let (year, rest) = match *self.0.first()? {
            UTC_TIME => {
                let (year, rest) = self.next(UTC_TIME)?.content.split_at_checked(2)?;
                let year = number(year)?;
                (if year < 50 { 2000 + year } else { 1900 + year }, rest)
            }
            GENERALIZED_TIME => {
                let (year, rest) = self.next(GENERALIZED_TIME)?.content.split_at_checked(4)?;
                (number(year)?, rest)
            }
            _ => return None,
        };
        let (digits, [b'Z']) = rest.split_at_checked(10)? else { return None };
        let field = |at: usize, range: std::ops::RangeInclusive<u64>| {
            number(&digits[2 * at..2 * at + 2]).filter(|number| range.contains(number))
        };
        let (month, day) = (field(0, 1..=12)?, field(1, 1..=31)?);
        let (hour, minute, second) = (field(2, 0..=23)?, field(3, 0..=59)?, field(4, 0..=59)?);
        Some(days_since_1970(year, month, day)? * 86_400 + hour * 3600 + minute * 60 + second)
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    digits
        .iter()
        .all(u8::is_ascii_digit)
        .then(|| digits.iter().fold(0, |all, digit| all * 10 + u64::from(digit - b'0')))
}

/// Days from the first of January 1970 in the Gregorian calendar; `None` before.
fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    /// Days of a year before each month.
    const BEFORE: [u64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let is_leap =
        |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    if year < 1970 {
        return None;
    }
    let leap_days = (1970..year).filter(|year| is_leap(*year)).count() as u64;
    let this_year = u64::from(month > 2 && is_leap(year));
    Some((year - 1970) * 365 + leap_days + BEFORE[month as usize - 1] + this_year + day - 1)
}

/// A value with this content.
fn wrapped(tag: u8, content: &[u8]) -> Vec<u8> {
    let len = content.len();
    let mut value = match u8::try_from(len) {
        Ok(short @ ..0x80) => vec![tag, short],
        Ok(long) => vec![tag, 0x81, long],
        Err(_) => vec![tag, 0x82, (len >> 8) as u8, len as u8],
    };
    value.extend_from_slice(content);
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject;
    use std::time::Duration;

    /// An authority, and a certificate of version 1 by it, valid in these two days, as `openssl` made and shows them.
    const AUTHORITY: &str = "-----BEGIN CERTIFICATE-----
MIIBbjCCARWgAwIBAgIUZklpNNg66pFo83pxxZPPXrE9YtgwCgYIKoZIzj0EAwIwDTELMAkGA1UEAwwCY2EwHhcNMjYxMTI5MjI0
NTEwWhcNMjYxMjAxMjI0NTEwWjANMQswCQYDVQQDDAJjYTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABFdtOp/9MAdeHzNAd0eW
+zZBbf6iTpL63t42mmSG/paPUpI3fZDWkkFVZdEz8FI5w7gyrtja+2bMv31s9YKhg0CjUzBRMB0GA1UdDgQWBBSIOx8AR81gmgCx
YGKBVulLtVMA3TAfBgNVHSMEGDAWgBSIOx8AR81gmgCxYGKBVulLtVMA3TAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0cA
MEQCIH7aIhYrITcg+d+bLCKhHNmOJZ3VTypbNx9lVeOtFJAKAiBFlYcvY/8VPUlTx27HKJtPQKrU+jk08PFwiQKx64Tnag==
-----END CERTIFICATE-----";
    const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----
MIIBFTCBvQIUNrywCBFO+JtXFEmxKxC6iOWNkQwwCgYIKoZIzj0EAwIwDTELMAkGA1UEAwwCY2EwHhcNMjYxMTI5MjI0NTEwWhcN
MjYxMjAxMjI0NTEwWjAPMQ0wCwYDVQQDDARsZWFmMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEvNXg3pE37CxsCd+T+1Fm8IsR
bhWwY0oQE8rn1Dgve5Mp5eVU+CQMiN0hvJa9YYTGOFYobGIkoL1LBs/MDmZ50TAKBggqhkjOPQQDAgNHADBEAiA6WSQHOXLoyYi3
QCGFpHF8qlNASFHdihbYk1p+VtnDAgIgK6Jpb9AYWPj4VswJ4OG0fDeM0RT4zdIvc3cRcF7gELs=
-----END CERTIFICATE-----";
    /// `date -d 'Nov 29 22:45:10 2026 GMT' +%s`, and two days later.
    const VALIDITY: (u64, u64) = (1_795_992_310, 1_796_165_110);

    fn der(pem: &str) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate")
    }

    fn verify(certificate: &[u8], now: u64) -> Option<Result<(), Refusal>> {
        let authority = der(AUTHORITY);
        let anchor = webpki::anchor_from_trusted_cert(&authority).expect("an authority");
        let now = UnixTime::since_unix_epoch(Duration::from_secs(now));
        Some(Version1::parse(certificate)?.verify(&[anchor], webpki::ALL_VERIFICATION_ALGS, now))
    }

    #[test]
    fn it_holds_from_its_first_to_its_last_second() {
        let certificate = der(CERTIFICATE);
        assert_eq!(Version1::parse(&certificate).expect("version 1").validity, VALIDITY);
        for (now, expected) in [
            (VALIDITY.0 - 1, Err(Refusal::NotValidYet)),
            (VALIDITY.0, Ok(())),
            (VALIDITY.1, Ok(())),
            (VALIDITY.1 + 1, Err(Refusal::Expired)),
        ] {
            assert_eq!(verify(&certificate, now), Some(expected), "{now}");
        }
    }

    /// Whatever byte is another, it is no certificate of this version any more, or not the authority's.
    #[test]
    fn no_byte_can_be_changed() {
        let certificate = der(CERTIFICATE);
        for at in 0..certificate.len() {
            for bit in [0x01, 0x20, 0x80] {
                let mut changed = certificate.to_vec();
                changed[at] ^= bit;
                assert_ne!(verify(&changed, VALIDITY.0), Some(Ok(())), "byte {at}");
            }
            assert_eq!(verify(&certificate[..at], VALIDITY.0), None, "{at} bytes of it");
        }
        let longer = [&certificate[..], &[0]].concat();
        assert_eq!(verify(&longer, VALIDITY.0), None);
    }

    #[test]
    fn later_versions_are_webpkis() {
        assert!(Version1::parse(&der(AUTHORITY)).is_none());
    }

    #[test]
    fn days_are_counted() {
        for (date, days) in
            [((1970, 1, 1), 0), ((1972, 3, 1), 790), ((2000, 2, 29), 11_016), ((2100, 3, 1), 47_541)]
        {
            assert_eq!(days_since_1970(date.0, date.1, date.2), Some(days), "{date:?}");
        }
    }
}
