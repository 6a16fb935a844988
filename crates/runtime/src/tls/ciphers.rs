//! Protocol versions and cipher suites by the names that OpenSSL gives them.

use rustls::{CipherSuite, SupportedCipherSuite, SupportedProtocolVersion};

use super::TlsError;

/// Names of versions, oldest first, and what of them there still is.
static VERSIONS: [(&str, Option<&SupportedProtocolVersion>); 5] = [
    ("SSLv3", None),
    ("TLSv1", None),
    ("TLSv1.1", None),
    ("TLSv1.2", Some(&rustls::version::TLS12)),
    ("TLSv1.3", Some(&rustls::version::TLS13)),
];

/// The versions that `--ssl-protocols` enables: all from the oldest to the newest named. `A-B` and `A+` are ranges;
/// otherwise names are separated by commas or spaces. Versions before 1.2 are understood but not to be had.
pub(super) fn protocols(text: Option<&str>) -> Result<Vec<&'static SupportedProtocolVersion>, TlsError> {
    let all = || VERSIONS.iter().filter_map(|(_, version)| *version).collect();
    let Some(text) = text else { return Ok(all()) };
    let index = |name: &str| {
        let known = VERSIONS.iter().position(|(known, _)| known.eq_ignore_ascii_case(name));
        known.ok_or_else(|| TlsError::Protocol(name.to_owned()))
    };
    let mut range: Option<(usize, usize)> = None;
    for word in text.split([',', ' ', '\t']).filter(|word| !word.is_empty()) {
        let (low, high) = if let Some(low) = word.strip_suffix('+') {
            (index(low)?, VERSIONS.len() - 1)
        } else if let Some((low, high)) = word.split_once('-') {
            (index(low)?, index(high)?)
        } else {
            (index(word)?, index(word)?)
        };
        range = Some(range.map_or((low, high), |(l, h)| (l.min(low), h.max(high))));
    }
    let (low, high) = range.ok_or_else(|| TlsError::Protocol(text.to_owned()))?;
    let versions = VERSIONS.get(low..=high).unwrap_or_default();
    let enabled: Vec<_> = versions.iter().filter_map(|(_, version)| *version).collect();
    if enabled.is_empty() { Err(TlsError::Protocol(text.to_owned())) } else { Ok(enabled) }
}

/// What a suite of TLS 1.2 is called, and the properties that OpenSSL's keywords select by.
fn keywords(suite: CipherSuite) -> &'static [&'static str] {
    macro_rules! ecdhe {
        ($name:literal $(, $property:literal)*) => {
            &[$name, "ALL", "DEFAULT", "HIGH", "AEAD", "TLSv1.2", "ECDHE", "EECDH", "kECDHE", "kEECDH", $($property),*]
        };
    }
    match suite {
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 => {
            ecdhe!(
                "ECDHE-ECDSA-AES256-GCM-SHA384",
                "ECDSA",
                "aECDSA",
                "AES",
                "AES256",
                "AESGCM",
                "SHA384",
                "FIPS"
            )
        }
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 => {
            ecdhe!(
                "ECDHE-ECDSA-AES128-GCM-SHA256",
                "ECDSA",
                "aECDSA",
                "AES",
                "AES128",
                "AESGCM",
                "SHA256",
                "FIPS"
            )
        }
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 => {
            ecdhe!("ECDHE-ECDSA-CHACHA20-POLY1305", "ECDSA", "aECDSA", "CHACHA20", "SHA256")
        }
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => {
            ecdhe!("ECDHE-RSA-AES256-GCM-SHA384", "aRSA", "AES", "AES256", "AESGCM", "SHA384", "FIPS")
        }
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => {
            ecdhe!("ECDHE-RSA-AES128-GCM-SHA256", "aRSA", "AES", "AES128", "AESGCM", "SHA256", "FIPS")
        }
        CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 => {
            ecdhe!("ECDHE-RSA-CHACHA20-POLY1305", "aRSA", "CHACHA20", "SHA256")
        }
        CipherSuite::TLS13_AES_256_GCM_SHA384 => &["TLS_AES_256_GCM_SHA384"],
        CipherSuite::TLS13_AES_128_GCM_SHA256 => &["TLS_AES_128_GCM_SHA256"],
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => &["TLS_CHACHA20_POLY1305_SHA256"],
        _ => &[],
    }
}

/// The suites for TLS 1.3 among `offered` that `--ssl-ciphersuites` leaves, in the order of preference that it asks for.
pub(super) fn modern(
    offered: &[SupportedCipherSuite],
    ciphersuites: Option<&str>,
) -> Result<Vec<SupportedCipherSuite>, TlsError> {
    let modern: Vec<_> = offered.iter().copied().filter(|suite| suite.tls13().is_some()).collect();
    ciphersuites.map_or(Ok(modern.clone()), |text| by_name(&modern, text))
}

/// Those for TLS 1.2 that `--ssl-ciphers` leaves.
pub(super) fn old(
    offered: &[SupportedCipherSuite],
    ciphers: Option<&str>,
) -> Result<Vec<SupportedCipherSuite>, TlsError> {
    let old: Vec<_> = offered.iter().copied().filter(|suite| suite.tls13().is_none()).collect();
    ciphers.map_or(Ok(old.clone()), |text| by_rules(&old, text))
}

fn by_name(offered: &[SupportedCipherSuite], text: &str) -> Result<Vec<SupportedCipherSuite>, TlsError> {
    let find = |name: &str| offered.iter().copied().find(|suite| keywords(suite.suite()).contains(&name));
    let found: Vec<_> = text.split(':').filter_map(find).collect();
    if found.is_empty() { Err(TlsError::Ciphers(text.to_owned())) } else { Ok(found) }
}

/// OpenSSL's rules (ciphers(1)): each word adds the suites it selects to the list; `-` takes them off, `!` for good, `+`
/// moves them to the end; words joined with `+` must all hold. Words that are not known select nothing.
fn by_rules(offered: &[SupportedCipherSuite], text: &str) -> Result<Vec<SupportedCipherSuite>, TlsError> {
    let mut enabled: Vec<SupportedCipherSuite> = Vec::new();
    let mut banned: Vec<SupportedCipherSuite> = Vec::new();
    for rule in text.split([':', ',', ' ']).filter(|rule| !rule.is_empty() && !rule.starts_with('@')) {
        // Strength and security levels have no meaning among suites that are all strong.
        let (operator, words) = match rule.split_at_checked(1) {
            Some((sign @ ("!" | "-" | "+"), words)) => (sign, words),
            _ => ("", rule),
        };
        let selects = |suite: &SupportedCipherSuite| {
            words.split('+').all(|word| keywords(suite.suite()).contains(&word))
        };
        let (selected, rest): (Vec<_>, Vec<_>) = enabled.iter().copied().partition(selects);
        match operator {
            "-" => enabled = rest,
            "!" => {
                enabled = rest;
                banned.extend(offered.iter().copied().filter(selects));
            }
            "+" => enabled = rest.into_iter().chain(selected).collect(),
            _ => {
                let new = offered.iter().copied().filter(selects);
                let new: Vec<_> =
                    new.filter(|suite| !enabled.contains(suite) && !banned.contains(suite)).collect();
                enabled.extend(new);
            }
        }
    }
    if enabled.is_empty() { Err(TlsError::Ciphers(text.to_owned())) } else { Ok(enabled) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(ciphers: Option<&str>, ciphersuites: Option<&str>) -> Result<Vec<&'static str>, String> {
        let offered = rustls::crypto::ring::ALL_CIPHER_SUITES;
        let words = |error: TlsError| error.to_string();
        let suites =
            [modern(offered, ciphersuites).map_err(words)?, old(offered, ciphers).map_err(words)?].concat();
        Ok(suites.iter().filter_map(|suite| keywords(suite.suite()).first().copied()).collect())
    }

    fn versions(text: &str) -> Result<usize, String> {
        protocols(Some(text)).map(|versions| versions.len()).map_err(|e| e.to_string())
    }

    #[test]
    fn protocols_are_ranges() {
        assert_eq!(protocols(None).expect("all").len(), 2);
        for (text, count) in [
            ("TLSv1.2,TLSv1.3", 2),
            ("TLSv1.2+", 2),
            ("TLSv1.3", 1),
            ("TLSv1.2-TLSv1.3", 2),
            ("TLSv1,TLSv1.1,TLSv1.2", 1),
            ("TLSv1 TLSv1.3", 2),
        ] {
            assert_eq!(versions(text), Ok(count), "{text}");
        }
        for text in ["TLSv1.4", "TLSv1", "", "TLSv1.3-TLSv1.2"] {
            let error = versions(text).expect_err(text);
            assert!(error.contains("protocol not recognized"), "{error}");
        }
    }

    #[test]
    fn every_suite_has_a_name_and_defaults_keep_all() {
        let all = names(None, None).expect("all");
        assert_eq!(all.len(), rustls::crypto::ring::ALL_CIPHER_SUITES.len());
        assert_eq!(names(Some("DEFAULT:@SECLEVEL=2"), None), Ok(all.clone()));
        assert_eq!(names(Some("HIGH:!aNULL:!MD5"), None), Ok(all));
    }

    #[test]
    fn rules_add_remove_and_reorder() {
        let tls12 =
            |rules: &str| names(Some(rules), Some("TLS_AES_128_GCM_SHA256")).map(|all| all[1..].to_vec());
        assert_eq!(
            tls12("ECDHE-RSA-AES128-GCM-SHA256:NOPE:ECDHE-ECDSA-AES256-GCM-SHA384"),
            Ok(vec!["ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384"])
        );
        assert_eq!(
            tls12("AES256+aRSA,CHACHA20 !ECDSA"),
            Ok(vec!["ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-CHACHA20-POLY1305"])
        );
        assert_eq!(
            tls12("!ECDSA:ALL:+AES256:-CHACHA20"),
            Ok(vec!["ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384"])
        );
        assert!(tls12("RC4:!ALL").expect_err("nothing").contains("RC4:!ALL"));
        assert!(names(None, Some("TLS_NOPE")).expect_err("nothing").contains("TLS_NOPE"));
    }
}
