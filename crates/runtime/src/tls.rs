//! TLS as Open vSwitch does it: both sides show certificates, chains are verified and host names are not, files may
//! change under the daemon, and a client may take its authority from the first server it meets.

mod bootstrap;
mod ciphers;
mod options;
mod verify;
mod version1;

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use bootstrap::BootstrapError;
pub use options::TlsOptions;
use rustls::crypto::CryptoProvider;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, InconsistentKeys, ServerConfig, SupportedCipherSuite, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};
use tracing::{error, info, warn};
use verify::ChainVerifier;
use version1::Version1;

use crate::coverage;
use crate::errno::plain;

/// Where the authority comes from that vouches for peers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CaCert {
    /// Nothing was said: no connection can be made.
    #[default]
    Unset,
    /// `none`: peers are not verified.
    TrustAnyone,
    /// From this file.
    File(PathBuf),
    /// From this file, which is made from what the first server sends if it does not exist.
    Bootstrap(PathBuf),
}

/// All that can be set, by options or by a database's `SSL` table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// File with the private key (PEM: PKCS#8, PKCS#1 or SEC 1).
    pub private_key: Option<PathBuf>,
    /// File with the certificate for it, and any intermediate ones.
    pub certificate: Option<PathBuf>,
    /// Who vouches for peers.
    pub ca_cert: CaCert,
    /// File with certificates to send after our own, for peers that bootstrap.
    pub peer_ca_cert: Option<PathBuf>,
    /// Versions to enable, `TLSv1.2+` or the like.
    pub protocols: Option<String>,
    /// Suites for TLS 1.2, in OpenSSL's cipher list format.
    pub ciphers: Option<String>,
    /// Suites for TLS 1.3, by name, separated by colons.
    pub ciphersuites: Option<String>,
    /// What to send as the server's name; by default the host connected to.
    pub server_name: Option<String>,
}

/// Why TLS cannot be used as it is set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Something must be set first.
    #[error("{0} must be configured to use SSL/TLS")]
    Unset(&'static str),
    /// A file cannot be read, or holds nothing of the kind.
    #[error("{}: failed to read {what}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
        /// What came instead.
        error: String,
    },
    /// A version's name is wrong, or names none that there is.
    #[error("{0}: SSL/TLS protocol not recognized; expected TLSv1.2 or TLSv1.3")]
    Protocol(String),
    /// A list of suites leaves none.
    #[error("{0}: no SSL/TLS cipher left; expected OpenSSL's names or keywords")]
    Ciphers(String),
    /// The host or configured name cannot stand in a handshake.
    #[error("{0}: not a host name or address")]
    ServerName(String),
    /// Key, certificates and suites do not fit together.
    #[error("SSL/TLS configuration: {0}")]
    Config(#[from] rustls::Error),
}

/// The TLS of one daemon: settings, and what was made of them.
///
/// Files are looked at whenever a connection is to be made; those that changed since are read again. If what they hold
/// now is unusable, the last that was usable stays in force until they change once more.
#[derive(Debug)]
pub struct Tls {
    settings: TlsSettings,
    choice: Choice,
    stamps: Vec<Option<Stamp>>,
    loaded: Option<Loaded>,
}

/// What changes when a file does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    len: u64,
    modified: (i64, i64),
}

/// What may be agreed on with a peer.
#[derive(Debug)]
struct Choice {
    versions: Vec<&'static SupportedProtocolVersion>,
    suites: Vec<SupportedCipherSuite>,
}

#[derive(Clone, Debug)]
struct Loaded {
    client: Arc<ClientConfig>,
    /// `None` while bootstrapping: clients that nobody can vouch for are not let in.
    server: Option<Arc<ServerConfig>>,
    /// The authority's file does not exist yet: it is to be made from the first server's chain.
    bootstrap: Option<PathBuf>,
}

impl Tls {
    /// TLS by these settings; no file is read yet. Versions or suites that cannot be had are complained of, and are the
    /// defaults instead.
    pub fn new(settings: TlsSettings) -> Self {
        let choice = settings.choice();
        Tls { settings, choice, stamps: Vec::new(), loaded: None }
    }

    /// Replaces the settings, for connections to be made from now on.
    pub fn set(&mut self, settings: TlsSettings) {
        if settings != self.settings {
            *self = Tls::new(settings);
            self.examine();
        }
    }

    /// Complains of files that cannot be used, whether or not a connection needs them yet.
    pub fn examine(&mut self) {
        let mut usable = true;
        for problem in self.settings.unreadable() {
            error!(target: "stream_ssl", "{problem}");
            usable = false;
        }
        // Files that are good each by itself may not fit together; what is not set may not be needed.
        if usable
            && self.settings.files().take(3).all(|file| file.is_some())
            && let Err(problem) = self.load()
        {
            error!(target: "stream_ssl", "{problem}");
        }
    }

    /// What a client needs to connect to `host`.
    pub fn client(&mut self, host: &str) -> Result<TlsClient, TlsError> {
        let name = self.settings.server_name.as_deref().unwrap_or(host);
        // A zone is for the socket; in a handshake only the address can stand, and an address is not sent at all.
        let name = name.split_once('%').map_or(name, |(address, _)| address);
        let server_name =
            ServerName::try_from(name.to_owned()).map_err(|_| TlsError::ServerName(name.to_owned()))?;
        let loaded = self.load().inspect_err(complain)?;
        Ok(TlsClient {
            connector: TlsConnector::from(loaded.client.clone()),
            server_name,
            bootstrap: loaded.bootstrap.clone(),
        })
    }

    /// What a server needs to accept connections.
    pub fn server(&mut self) -> Result<TlsServer, TlsError> {
        let loaded = self.load().inspect_err(complain)?;
        let server = loaded.server.clone().ok_or(TlsError::Unset("CA certificate"))?;
        Ok(TlsServer { acceptor: TlsAcceptor::from(server) })
    }

    fn load(&mut self) -> Result<&Loaded, TlsError> {
        let stamps: Vec<_> = self.settings.files().map(|path| path.and_then(stamp)).collect();
        let changed = self.stamps != stamps;
        if changed || self.loaded.is_none() {
            self.stamps = stamps;
            match (self.settings.load(&self.choice), &self.loaded) {
                (Ok(loaded), _) => {
                    coverage::TLS_CONFIG_LOADED.inc();
                    self.loaded = Some(loaded);
                }
                (Err(error), None) => return Err(error),
                // A key and its certificate cannot be replaced in one stroke.
                (Err(error), Some(_)) => {
                    warn!(target: "stream_ssl", rl = 5, "{error}; going on with what was loaded before");
                }
            }
        }
        self.loaded.as_ref().ok_or(TlsError::Unset("Private key"))
    }
}

impl TlsSettings {
    fn files(&self) -> impl Iterator<Item = Option<&Path>> {
        let ca_cert = match &self.ca_cert {
            CaCert::File(path) | CaCert::Bootstrap(path) => Some(path),
            CaCert::Unset | CaCert::TrustAnyone => None,
        };
        [self.private_key.as_ref(), self.certificate.as_ref(), ca_cert, self.peer_ca_cert.as_ref()]
            .into_iter()
            .map(|path| path.map(PathBuf::as_path))
    }

    /// The versions and suites that are asked for.
    fn choice(&self) -> Choice {
        let offered = rustls::crypto::ring::default_provider().cipher_suites;
        let (ciphers, ciphersuites) = (self.ciphers.as_deref(), self.ciphersuites.as_deref());
        Choice {
            versions: or_default(ciphers::protocols(self.protocols.as_deref()), || ciphers::protocols(None)),
            suites: [
                or_default(ciphers::modern(&offered, ciphersuites), || ciphers::modern(&offered, None)),
                or_default(ciphers::old(&offered, ciphers), || ciphers::old(&offered, None)),
            ]
            .concat(),
        }
    }

    /// What is wrong with each file that is named, looked at by itself.
    fn unreadable(&self) -> impl Iterator<Item = TlsError> {
        let mut problems = Vec::new();
        if let Some(path) = &self.private_key {
            let key = PrivateKeyDer::from_pem_file(path).map_err(file_error(path, "private key"));
            problems.extend(key.err());
        }
        for path in self.files().skip(1).flatten() {
            let bootstraps = matches!(&self.ca_cert, CaCert::Bootstrap(ca) if ca == path && !ca.exists());
            if !bootstraps {
                problems.extend(certificates(path).err());
            }
        }
        problems.into_iter()
    }

    fn load(&self, choice: &Choice) -> Result<Loaded, TlsError> {
        let key_path = self.private_key.as_ref().ok_or(TlsError::Unset("Private key"))?;
        let certificate_path = self.certificate.as_ref().ok_or(TlsError::Unset("Certificate"))?;
        let key = PrivateKeyDer::from_pem_file(key_path).map_err(file_error(key_path, "private key"))?;
        let chain = certificates(certificate_path)?;
        let mut served_chain = chain.clone();
        if let Some(path) = &self.peer_ca_cert {
            served_chain.extend(certificates(path)?);
        }
        let mut provider = rustls::crypto::ring::default_provider();
        provider.cipher_suites.clone_from(&choice.suites);
        let versions = &choice.versions;
        let provider = Arc::new(provider);

        let mut bootstrap = None;
        let verifier = match &self.ca_cert {
            CaCert::Unset => return Err(TlsError::Unset("CA certificate")),
            CaCert::TrustAnyone => {
                warn!(target: "stream_ssl", "Peer certificate validation disabled (this is a security risk)");
                None
            }
            CaCert::Bootstrap(path) if !path.exists() => {
                bootstrap = Some(path.clone());
                None
            }
            CaCert::File(path) | CaCert::Bootstrap(path) => {
                let authorities = certificates(path)?;
                Some(Arc::new(ChainVerifier::authorities(provider.clone(), authorities)?))
            }
        };
        let own = own_certificate(&provider, chain, key.clone_key())?;
        let client = client_config(&provider, versions, verifier.clone(), own)?;
        let own = own_certificate(&provider, served_chain, key)?;
        let server = match bootstrap {
            None => Some(Arc::new(server_config(&provider, versions, verifier, own)?)),
            Some(_) => None,
        };
        Ok(Loaded { client: Arc::new(client), server, bootstrap })
    }
}

/// As stock does, a choice that leaves nothing is complained of and not followed.
fn or_default<T: Default>(choice: Result<T, TlsError>, default: impl Fn() -> Result<T, TlsError>) -> T {
    choice.unwrap_or_else(|problem| {
        error!(target: "stream_ssl", "{problem}; going on with the defaults");
        default().unwrap_or_default()
    })
}

fn complain(problem: &TlsError) {
    error!(target: "stream_ssl", rl = 5, "{problem}");
}

/// A chain with the key of its first certificate, which must be that certificate's.
fn own_certificate(
    provider: &CryptoProvider,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<SingleCertAndKey>, rustls::Error> {
    let own = CertifiedKey::new(chain, provider.key_provider.load_private_key(key)?);
    let fits = match (Version1::parse(own.end_entity_cert()?), own.key.public_key()) {
        (Some(certificate), Some(key)) if certificate.public_key == key.as_ref() => Ok(()),
        (Some(_), Some(_)) => Err(InconsistentKeys::KeyMismatch.into()),
        (Some(_), None) => Ok(()),
        (None, _) => own.keys_match(),
    };
    match fits {
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(Arc::new(own.into())),
        Err(error) => Err(error),
    }
}

fn client_config(
    provider: &Arc<CryptoProvider>,
    versions: &[&'static SupportedProtocolVersion],
    verifier: Option<Arc<ChainVerifier>>,
    own: Arc<SingleCertAndKey>,
) -> Result<ClientConfig, TlsError> {
    let verifier = verifier.unwrap_or_else(|| Arc::new(ChainVerifier::anyone(provider.clone())));
    Ok(ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_cert_resolver(own))
}

fn server_config(
    provider: &Arc<CryptoProvider>,
    versions: &[&'static SupportedProtocolVersion],
    verifier: Option<Arc<ChainVerifier>>,
    own: Arc<SingleCertAndKey>,
) -> Result<ServerConfig, TlsError> {
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(versions)?;
    let builder = match verifier {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    Ok(builder.with_cert_resolver(own))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let error = || file_error(path, "certificate");
    let found: Vec<_> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect).map_err(error())?;
    if found.is_empty() { Err(error()(rustls_pki_types::pem::Error::NoItemsFound)) } else { Ok(found) }
}

fn file_error(path: &Path, what: &'static str) -> impl FnOnce(rustls_pki_types::pem::Error) -> TlsError {
    move |error| TlsError::File { path: path.to_owned(), what, error: error.to_string() }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(path).ok()?;
    let modified = (metadata.mtime(), metadata.mtime_nsec());
    Some(Stamp { inode: metadata.ino(), len: metadata.len(), modified })
}

/// What one connection of a client needs.
#[derive(Clone)]
pub struct TlsClient {
    connector: TlsConnector,
    server_name: ServerName<'static>,
    bootstrap: Option<PathBuf>,
}

impl TlsClient {
    /// Makes TLS of a connection. While bootstrapping it always fails, having written the authority if all went well:
    /// the next connection verifies.
    pub async fn connect(self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let stream = self.connector.connect(self.server_name, stream).await.inspect_err(|error| {
            count_failed(error);
            warn!(target: "stream_ssl", rl = 10, "SSL_connect: {}", plain(error));
        })?;
        let Some(path) = self.bootstrap else { return Ok(stream.into()) };
        let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
        bootstrap::write_authority(&path, chain).map_err(|problem| {
            error!(target: "stream_ssl", rl = 5, "{problem}");
            io::Error::other(problem)
        })?;
        info!(target: "stream_ssl", "successfully bootstrapped CA cert to {}", path.display());
        Err(io::Error::other("bootstrapped the CA certificate, reconnecting to verify by it"))
    }
}

impl std::fmt::Debug for TlsClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsClient").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}

/// What one connection of a server needs.
#[derive(Clone)]
pub struct TlsServer {
    acceptor: TlsAcceptor,
}

impl TlsServer {
    /// Makes TLS of an accepted connection.
    pub async fn accept(self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        Ok(self.acceptor.accept(stream).await.inspect_err(count_failed)?.into())
    }
}

impl std::fmt::Debug for TlsServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsServer").finish_non_exhaustive()
    }
}

fn count_failed(_: &io::Error) {
    coverage::TLS_HANDSHAKE_FAILED.inc();
}
