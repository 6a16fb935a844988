//! The TLS options of the command line.

use std::path::PathBuf;

use clap::Args;

use super::{CaCert, TlsSettings};

/// Keys, certificates and what to accept, in stock's spelling.
#[derive(Args, Clone, Debug, Default)]
#[command(about = None, long_about = None, next_help_heading = "SSL/TLS options")]
pub struct TlsOptions {
    /// File with private key
    #[arg(long, short = 'p', value_name = "FILE")]
    pub private_key: Option<PathBuf>,
    /// File with certificate for private key
    #[arg(long, short = 'c', value_name = "FILE")]
    pub certificate: Option<PathBuf>,
    /// File with peer CA certificate, or "none" to trust every peer
    #[arg(long, short = 'C', value_name = "FILE")]
    pub ca_cert: Option<PathBuf>,
    /// File with peer CA certificate to read, or to create from what the first peer sends
    #[arg(long, value_name = "FILE")]
    pub bootstrap_ca_cert: Option<PathBuf>,
    /// File with CA certificates to send to peers that bootstrap
    #[arg(long, value_name = "FILE")]
    pub peer_ca_cert: Option<PathBuf>,
    /// Range of SSL/TLS protocols to enable
    #[arg(long, value_name = "PROTOS")]
    pub ssl_protocols: Option<String>,
    /// List of SSL/TLS ciphers to enable with TLSv1.2
    #[arg(long, value_name = "CIPHERS")]
    pub ssl_ciphers: Option<String>,
    /// List of SSL/TLS ciphersuites to enable with TLSv1.3 and later
    #[arg(long, value_name = "SUITES")]
    pub ssl_ciphersuites: Option<String>,
    /// Server name for TLS Server Name Indication (SNI)
    #[arg(long, value_name = "NAME")]
    pub ssl_server_name: Option<String>,
}

impl TlsOptions {
    /// The settings that these options make. File names become absolute, since a daemon changes its directory.
    pub fn settings(&self) -> TlsSettings {
        let absolute = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
        let ca_cert = match (&self.bootstrap_ca_cert, &self.ca_cert) {
            (Some(path), _) => CaCert::Bootstrap(absolute(path)),
            (None, Some(path)) if path.as_os_str() == "none" => CaCert::TrustAnyone,
            (None, Some(path)) => CaCert::File(absolute(path)),
            (None, None) => CaCert::Unset,
        };
        TlsSettings {
            private_key: self.private_key.as_ref().map(absolute),
            certificate: self.certificate.as_ref().map(absolute),
            ca_cert,
            peer_ca_cert: self.peer_ca_cert.as_ref().map(absolute),
            protocols: self.ssl_protocols.clone(),
            ciphers: self.ssl_ciphers.clone(),
            ciphersuites: self.ssl_ciphersuites.clone(),
            server_name: self.ssl_server_name.clone(),
        }
    }
}
