//! The TLS configuration, from certificate files.

use super::reload::{Modified, modified, watch};
use crate::{
    credentials::{CredentialError, certificates, expiry, private_key, warn_if_readable_by_others},
    service::metrics::{CredentialMetrics, Metrics},
};
use arc_swap::ArcSwap;
use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio_rustls::rustls::{self, RootCertStore, ServerConfig, crypto::ring, server::WebPkiClientVerifier};

/// The name of these files in the log and in metrics.
const WHAT: &str = "certificates";
/// A certificate that expires within this time is logged as a warning when it is read.
const EXPIRES_SOON: Duration = Duration::from_secs(14 * SECONDS_PER_DAY);
const SECONDS_PER_DAY: u64 = 86_400;

/// PEM files for TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate, followed by its chain.
    pub certificate: PathBuf,
    /// The private key of the certificate.
    pub key: PathBuf,
    /// CA certificates; if set, clients need a certificate that one of them signed (mutual TLS).
    pub client_ca: Option<PathBuf>,
}

/// What the files hold.
struct Loaded {
    config: Arc<ServerConfig>,
    /// When the server's certificate or one of its chain expires.
    certificate_expiry: Option<SystemTime>,
    /// When the first of the CA certificates for clients expires.
    client_ca_expiry: Option<SystemTime>,
}

impl TlsFiles {
    fn paths(&self) -> Vec<PathBuf> {
        [&self.certificate, &self.key].into_iter().chain(&self.client_ca).cloned().collect()
    }

    fn load(&self) -> Result<Loaded, CredentialError> {
        let chain = certificates(&self.certificate)?;
        let certificate_expiry = expiry(&chain);
        let mut client_ca_expiry = None;
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| CredentialError::invalid(&self.certificate, error))?;
        let builder = match &self.client_ca {
            Some(path) => {
                let authorities = certificates(path)?;
                client_ca_expiry = expiry(&authorities);
                let mut roots = RootCertStore::empty();
                for certificate in authorities {
                    roots.add(certificate).map_err(|error| CredentialError::invalid(path, error))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                    .build()
                    .map_err(|error| CredentialError::invalid(path, error))?;
                builder.with_client_cert_verifier(verifier)
            }
            None => builder.with_no_client_auth(),
        };
        let mut config = builder
            .with_single_cert(chain, private_key(&self.key)?)
            .map_err(|error: rustls::Error| CredentialError::invalid(&self.certificate, error))?;
        // HTTP/1.1 is for gRPC-Web, and for an answer that people can read.
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Loaded { config: Arc::new(config), certificate_expiry, client_ca_expiry })
    }
}

impl Loaded {
    /// Exports when the certificates expire, and warns of those that do soon.
    fn report(&self, files: &TlsFiles, metrics: &CredentialMetrics) {
        let warn = |path: Option<&PathBuf>, expiry: Option<SystemTime>| {
            let (Some(path), Some(expiry)) = (path, expiry) else { return };
            match expiry.duration_since(SystemTime::now()) {
                Ok(left) if left > EXPIRES_SOON => {}
                Ok(left) => {
                    let days = left.as_secs() / SECONDS_PER_DAY;
                    tracing::warn!(file = %path.display(), days, "a certificate expires soon: renew it");
                }
                Err(_) => tracing::warn!(file = %path.display(), "a certificate has expired: renew it"),
            }
        };
        warn(Some(&files.certificate), self.certificate_expiry);
        warn(files.client_ca.as_ref(), self.client_ca_expiry);
        metrics.set_expiry("certificate", self.certificate_expiry);
        metrics.set_expiry("client_ca", self.client_ca_expiry);
    }
}

/// The current TLS configuration, from its files.
pub struct Tls {
    files: TlsFiles,
    /// The modification times before the first read.
    first_read: Modified,
    current: ArcSwap<Loaded>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// [`CredentialError`].
    pub fn open(files: TlsFiles) -> Result<Self, CredentialError> {
        let first_read = modified(&files.paths());
        let current = ArcSwap::from_pointee(files.load()?);
        Ok(Tls { files, first_read, current })
    }

    /// The configuration for the next connection.
    pub fn config(&self) -> Arc<ServerConfig> {
        self.current.load().config.clone()
    }

    /// Reloads the files whenever they change, forever. Open connections keep their configuration.
    pub async fn watch(self: Arc<Self>, metrics: Arc<Metrics>) {
        warn_if_readable_by_others(&self.files.key);
        self.current.load().report(&self.files, &metrics.credentials);
        let (paths, first_read, reported) = (self.files.paths(), self.first_read.clone(), metrics.clone());
        watch(paths, first_read, WHAT, &metrics.credentials, move || {
            let loaded = self.files.load()?;
            loaded.report(&self.files, &reported.credentials);
            self.current.store(Arc::new(loaded));
            Ok(())
        })
        .await;
    }
}
