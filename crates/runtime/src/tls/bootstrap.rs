//! `--bootstrap-ca-cert`: taking the authority's certificate from the first peer and trusting it ever after.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustls_pki_types::CertificateDer;
use webpki::EndEntityCert;

/// Why no authority could be taken from what a peer sent.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// The chain does not end in a certificate that signed itself; the peer must be given `--peer-ca-cert`.
    #[error(
        "could not bootstrap CA cert: peer's chain of {certificates} certificates ends in no self-signed one"
    )]
    NoAuthority {
        /// How many certificates came.
        certificates: usize,
    },
    /// The file cannot be made.
    #[error("could not bootstrap CA cert: creating {path} failed: {error}")]
    Write {
        /// The file.
        path: String,
        /// The answer.
        error: io::Error,
    },
}

/// Writes the last certificate of `chain` to `path`, which must not exist yet.
pub(super) fn write_authority(path: &Path, chain: &[CertificateDer<'_>]) -> Result<(), BootstrapError> {
    let last = chain.last().filter(|last| is_self_issued(last));
    let authority = last.ok_or(BootstrapError::NoAuthority { certificates: chain.len() })?;
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o444).open(path)?;
        file.write_all(pem(authority).as_bytes())
    };
    write().map_err(|error| BootstrapError::Write { path: path.display().to_string(), error })
}

fn is_self_issued(certificate: &CertificateDer<'_>) -> bool {
    EndEntityCert::try_from(certificate).is_ok_and(|parsed| parsed.issuer() == parsed.subject())
}

/// A certificate as text (RFC 7468).
fn pem(certificate: &CertificateDer<'_>) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    /// Bytes that make a line of 64 characters.
    const BYTES_PER_LINE: usize = 48;
    let mut out = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in certificate.chunks(BYTES_PER_LINE) {
        for group in line.chunks(3) {
            let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
            let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
            for character in 0..4 {
                let index = (bits >> (18 - 6 * character) & 63) as usize;
                out.push(if character <= group.len() { ALPHABET[index] as char } else { '=' });
            }
        }
        out.push('\n');
    }
    out.push_str("-----END CERTIFICATE-----\n");
    out
}

#[cfg(test)]
mod tests {
    use rustls_pki_types::pem::PemObject;

    use super::*;

    #[test]
    fn pem_reads_back() {
        for len in [0usize, 1, 2, 3, 47, 48, 49, 50, 1000] {
            let der = CertificateDer::from((0..len).map(|i| (i * 7) as u8).collect::<Vec<_>>());
            let text = pem(&der);
            assert_eq!(CertificateDer::from_pem_slice(text.as_bytes()).expect("reads"), der, "{text}");
            assert!(text.lines().all(|line| line.len() <= 64));
        }
    }

    #[test]
    fn a_chain_without_an_authority_writes_nothing() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("ca.pem");
        let error =
            write_authority(&path, &[CertificateDer::from(vec![1, 2, 3])]).expect_err("not a certificate");
        assert!(error.to_string().contains("chain of 1 certificates"), "{error}");
        assert!(!path.exists());
    }
}
