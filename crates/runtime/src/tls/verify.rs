//! Whom to trust: whoever a configured authority vouches for, whatever host or name the certificate is for. That is how
//! Open vSwitch deployments issue certificates: one per machine, by an authority that signs for nobody else.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
    verify_tls13_signature_with_raw_key,
};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore,
    SignatureScheme,
};
use rustls_pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use webpki::{EndEntityCert, KeyUsage, RawPublicKeyEntity};

use super::version1::{Refusal, Version1};

/// A verifier for both sides of a connection.
#[derive(Debug)]
pub(super) struct ChainVerifier {
    provider: Arc<CryptoProvider>,
    /// `None` trusts everybody.
    authorities: Option<Authorities>,
    subjects: Vec<DistinguishedName>,
}

#[derive(Debug)]
struct Authorities {
    roots: RootCertStore,
    certificates: Vec<CertificateDer<'static>>,
}

impl ChainVerifier {
    /// Trusts everybody.
    pub(super) fn anyone(provider: Arc<CryptoProvider>) -> Self {
        ChainVerifier { provider, authorities: None, subjects: Vec::new() }
    }

    /// Trusts whom these authorities vouch for.
    pub(super) fn authorities(
        provider: Arc<CryptoProvider>,
        certificates: Vec<CertificateDer<'static>>,
    ) -> Result<Self, Error> {
        let mut roots = RootCertStore::empty();
        for certificate in &certificates {
            roots.add(certificate.clone())?;
        }
        let subjects = roots.subjects();
        Ok(ChainVerifier { provider, authorities: Some(Authorities { roots, certificates }), subjects })
    }

    fn verify(
        &self,
        peer: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
        usage: KeyUsage,
    ) -> Result<(), Error> {
        let Some(authorities) = &self.authorities else { return Ok(()) };
        if let Some(certificate) = Version1::parse(peer) {
            let algorithms = self.provider.signature_verification_algorithms.all;
            return certificate.verify(&authorities.roots.roots, algorithms, now).map_err(refused);
        }
        let certificate = EndEntityCert::try_from(peer).map_err(certificate_error)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        let roots = &authorities.roots.roots;
        match certificate.verify_for_usage(algorithms, roots, intermediates, now, usage, None, None) {
            Ok(_) => Ok(()),
            // A certificate that is configured as an authority is trusted as itself: the usual self-signed one. Its
            // dates were checked before this was found out.
            Err(webpki::Error::CaUsedAsEndEntity) if authorities.certificates.iter().any(|ca| ca == peer) => {
                Ok(())
            }
            Err(error) => Err(certificate_error(error)),
        }
    }
}

fn refused(refusal: Refusal) -> Error {
    Error::InvalidCertificate(match refusal {
        Refusal::UnknownIssuer => CertificateError::UnknownIssuer,
        Refusal::BadSignature => CertificateError::BadSignature,
        Refusal::NotValidYet => CertificateError::NotValidYet,
        Refusal::Expired => CertificateError::Expired,
    })
}

/// Checks a signature of TLS 1.2 by the key of a certificate of version 1: a scheme may stand for several kinds of key.
fn verify_tls12_by_key(
    message: &[u8],
    certificate: &Version1<'_>,
    signature: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    let bad = Error::InvalidCertificate(CertificateError::BadSignature);
    let key = SubjectPublicKeyInfoDer::from(certificate.public_key);
    let key = RawPublicKeyEntity::try_from(&key).map_err(certificate_error)?;
    let of_scheme = algorithms.mapping.iter().filter(|(scheme, _)| *scheme == signature.scheme);
    of_scheme
        .flat_map(|(_, algorithms)| algorithms.iter())
        .any(|algorithm| key.verify_signature(*algorithm, message, signature.signature()).is_ok())
        .then(HandshakeSignatureValid::assertion)
        .ok_or(bad)
}

fn certificate_error(error: webpki::Error) -> Error {
    Error::InvalidCertificate(match error {
        webpki::Error::UnknownIssuer => CertificateError::UnknownIssuer,
        webpki::Error::CertExpired { .. } => CertificateError::Expired,
        webpki::Error::CertNotValidYet { .. } => CertificateError::NotValidYet,
        webpki::Error::BadDer => CertificateError::BadEncoding,
        other => CertificateError::Other(OtherError(Arc::new(other))),
    })
}

impl ServerCertVerifier for ChainVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.verify(end_entity, intermediates, now, KeyUsage::server_auth())?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        match Version1::parse(certificate) {
            Some(certificate) => verify_tls12_by_key(message, &certificate, signature, algorithms),
            None => verify_tls12_signature(message, certificate, signature, algorithms),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        match Version1::parse(certificate) {
            Some(certificate) => {
                let key = SubjectPublicKeyInfoDer::from(certificate.public_key);
                verify_tls13_signature_with_raw_key(message, &key, signature, algorithms)
            }
            None => verify_tls13_signature(message, certificate, signature, algorithms),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for ChainVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.subjects
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.verify(end_entity, intermediates, now, KeyUsage::client_auth())?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        ServerCertVerifier::verify_tls12_signature(self, message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        ServerCertVerifier::verify_tls13_signature(self, message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ServerCertVerifier::supported_verify_schemes(self)
    }
}
