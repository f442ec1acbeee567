//! TLS certificates and tokens, reloaded when their files change.

use crate::live::Watch;
use arc_swap::ArcSwap;
use sha2::{Digest, Sha256};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};
use subtle::{Choice, ConstantTimeEq};
use tokio_rustls::rustls::{
    self, RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tonic::{Request, Status, metadata::MetadataMap};

/// The minimum length of a token in characters; a shorter one could be guessed.
const MIN_TOKEN_LENGTH: usize = 16;

/// Why a file of certificates, keys or tokens is refused. Messages never quote its content.
#[derive(Debug, thiserror::Error)]
pub enum SecurityError {
    /// The file cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The content of the file is invalid.
    #[error("{}: {reason}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

fn invalid(path: &Path, reason: impl ToString) -> SecurityError {
    SecurityError::Invalid { path: path.to_owned(), reason: reason.to_string() }
}

fn read(path: &Path) -> Result<Vec<u8>, SecurityError> {
    fs::read(path).map_err(|source| SecurityError::Read { path: path.to_owned(), source })
}

/// The modification times of files; `None` if one is missing.
type Modified = Option<Vec<SystemTime>>;

fn modified(paths: &[PathBuf]) -> Modified {
    paths.iter().map(|path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok()).collect()
}

/// Polls files forever, and calls `reload` when they have changed since they were last read and are complete. Slow disks may
/// block, so that both run outside of the network's threads.
async fn watch(
    paths: Vec<PathBuf>,
    mut last_tried: Modified,
    what: &'static str,
    reload: impl Fn() -> Result<(), SecurityError> + Send + Sync + 'static,
) {
    let reload = Arc::new(reload);
    let mut files = Watch::new(move || modified(&paths));
    loop {
        let now = files.settled().await;
        if Some(&now) != last_tried.as_ref() {
            last_tried = Some(now);
            let reload = reload.clone();
            match tokio::task::spawn_blocking(move || reload()).await {
                Ok(Ok(())) => tracing::info!(what, "reloaded"),
                Ok(Err(error)) => tracing::error!(what, %error, "invalid, the previous ones stay in use"),
                Err(error) => tracing::error!(what, %error, "internal error while reloading"),
            }
        }
    }
}

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

impl TlsFiles {
    fn paths(&self) -> Vec<PathBuf> {
        [&self.certificate, &self.key].into_iter().chain(&self.client_ca).cloned().collect()
    }

    fn load(&self, http1: bool) -> Result<ServerConfig, SecurityError> {
        let certificates = |path: &Path| -> Result<Vec<CertificateDer<'static>>, SecurityError> {
            let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(path)?).collect();
            let found = found.map_err(|error| invalid(path, error))?;
            if found.is_empty() {
                return Err(invalid(path, "no certificate in PEM"));
            }
            Ok(found)
        };
        let key = PrivateKeyDer::from_pem_slice(&read(&self.key)?).map_err(|error| invalid(&self.key, error))?;
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| invalid(&self.certificate, error))?;
        let builder = match &self.client_ca {
            Some(path) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(path)? {
                    roots.add(certificate).map_err(|error| invalid(path, error))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                    .build()
                    .map_err(|error| invalid(path, error))?;
                builder.with_client_cert_verifier(verifier)
            }
            None => builder.with_no_client_auth(),
        };
        let mut config = builder
            .with_single_cert(certificates(&self.certificate)?, key)
            .map_err(|error: rustls::Error| invalid(&self.certificate, error))?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        if http1 {
            config.alpn_protocols.push(b"http/1.1".to_vec());
        }
        Ok(config)
    }
}

/// The current TLS configuration, from its files.
pub struct Tls {
    files: TlsFiles,
    /// The modification times before the first read.
    first_read: Modified,
    config: ArcSwap<ServerConfig>,
    /// Whether HTTP/1.1 is enabled too.
    http1: bool,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// [`SecurityError`].
    pub fn open(files: TlsFiles, http1: bool) -> Result<Self, SecurityError> {
        let first_read = modified(&files.paths());
        let config = ArcSwap::from_pointee(files.load(http1)?);
        Ok(Tls { files, first_read, config, http1 })
    }

    /// The configuration for the next connection.
    pub fn config(&self) -> Arc<ServerConfig> {
        self.config.load_full()
    }

    /// Reloads the files whenever they change, forever. Open connections keep their configuration.
    pub async fn watch(self: Arc<Self>) {
        watch(self.files.paths(), self.first_read.clone(), "certificates", move || {
            self.config.store(Arc::new(self.files.load(self.http1)?));
            Ok(())
        })
        .await;
    }
}

/// The valid tokens, from a file. Several are valid at once, so that each client can change its token at its own time. Only
/// their digests are kept in memory.
pub struct Tokens {
    path: PathBuf,
    /// The modification time before the first read.
    first_read: Modified,
    digests: ArcSwap<Vec<[u8; 32]>>,
}

impl Tokens {
    /// Reads a file of tokens, one per line; ignores blank lines and lines that begin with `#`.
    ///
    /// # Errors
    /// [`SecurityError::Read`]; [`SecurityError::Invalid`] if there is no token, or one that has less than sixteen characters
    /// or characters that a header cannot carry.
    pub fn open(path: PathBuf) -> Result<Self, SecurityError> {
        let first_read = modified(std::slice::from_ref(&path));
        let digests = ArcSwap::from_pointee(Tokens::load(&path)?);
        Ok(Tokens { path, first_read, digests })
    }

    fn load(path: &Path) -> Result<Vec<[u8; 32]>, SecurityError> {
        let text = String::from_utf8(read(path)?).map_err(|_| invalid(path, "not UTF-8"))?;
        let mut digests = Vec::new();
        let lines = text.lines().map(str::trim).enumerate();
        for (i, token) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
            if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
                let reason = format!("line {}: invalid token: expected ASCII letters, digits and punctuation", i + 1);
                return Err(invalid(path, reason));
            }
            if token.len() < MIN_TOKEN_LENGTH {
                let reason = format!("line {}: invalid token: expected at least {MIN_TOKEN_LENGTH} characters", i + 1);
                return Err(invalid(path, reason));
            }
            digests.push(Sha256::digest(token).into());
        }
        if digests.is_empty() {
            return Err(invalid(path, "no token: write one per line"));
        }
        Ok(digests)
    }

    /// Reloads the file whenever it changes, forever.
    pub async fn watch(self: Arc<Self>) {
        watch(vec![self.path.clone()], self.first_read.clone(), "tokens", move || {
            self.digests.store(Arc::new(Tokens::load(&self.path)?));
            Ok(())
        })
        .await;
    }

    /// Checks that a call carries a valid token, as `authorization: Bearer TOKEN`. Takes the same time for every unknown token.
    fn check(&self, metadata: &MetadataMap) -> Result<(), Status> {
        let refused = |reason| Err(Status::unauthenticated(reason));
        let Some(header) = metadata.get("authorization") else {
            return refused("missing token: send the metadata authorization: Bearer TOKEN");
        };
        let token = header.to_str().ok().and_then(|header| {
            let (scheme, token) = header.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
        });
        let Some(token) = token else { return refused("invalid authorization: expected \"Bearer TOKEN\"") };
        let digest: [u8; 32] = Sha256::digest(token).into();
        let none = Choice::from(0);
        let known = self.digests.load().iter().fold(none, |known, other| known | digest.ct_eq(other));
        if bool::from(known) { Ok(()) } else { refused("unknown token") }
    }
}

/// Refuses calls without a valid token; allows all calls if there are no tokens.
#[derive(Clone)]
pub struct TokenGate(pub Option<Arc<Tokens>>);

impl tonic::service::Interceptor for TokenGate {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(tokens) = &self.0 {
            tokens.check(request.metadata())?;
        }
        Ok(request)
    }
}
