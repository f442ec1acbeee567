//! Who may ask: certificates and tokens, from files that are read again when they change.

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

/// A shorter token can be guessed.
const SHORTEST_TOKEN: usize = 16;

/// Why a file of certificates, keys or tokens cannot be used. Nothing of its contents is told.
#[derive(Debug, thiserror::Error)]
pub enum SecurityError {
    /// It cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is not what it should be.
    #[error("{}: {reason}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

fn unusable(path: &Path, reason: impl ToString) -> SecurityError {
    SecurityError::Unusable { path: path.to_owned(), reason: reason.to_string() }
}

fn read(path: &Path) -> Result<Vec<u8>, SecurityError> {
    fs::read(path).map_err(|source| SecurityError::Read { path: path.to_owned(), source })
}

/// When files were last changed; `None` where one is away.
type Changed = Option<Vec<SystemTime>>;

fn changed(paths: &[PathBuf]) -> Changed {
    paths.iter().map(|path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok()).collect()
}

/// Looks at files for ever, and calls `reload` where they are not as they were when they were last read, and have stopped
/// changing. A disk may take its time, so that neither is done on a thread of the network's.
async fn watch(
    paths: Vec<PathBuf>,
    mut tried: Changed,
    what: &'static str,
    reload: impl Fn() -> Result<(), SecurityError> + Send + Sync + 'static,
) {
    let reload = Arc::new(reload);
    let mut files = Watch::new(move || changed(&paths));
    loop {
        let now = files.settled().await;
        if Some(&now) != tried.as_ref() {
            tried = Some(now);
            let reload = reload.clone();
            match tokio::task::spawn_blocking(move || reload()).await {
                Ok(Ok(())) => tracing::info!(what, "read again"),
                Ok(Err(error)) => tracing::error!(what, %error, "cannot be used, the old ones go on"),
                Err(error) => tracing::error!(what, %error, "cannot be read"),
            }
        }
    }
}

/// PEM files for TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate, and behind it those that signed it.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Certificates one of which must have signed a client's: then clients must have one.
    pub client_ca: Option<PathBuf>,
}

impl TlsFiles {
    fn paths(&self) -> Vec<PathBuf> {
        [&self.certificate, &self.key].into_iter().chain(&self.client_ca).cloned().collect()
    }

    fn load(&self, http1: bool) -> Result<ServerConfig, SecurityError> {
        let certificates = |path: &Path| -> Result<Vec<CertificateDer<'static>>, SecurityError> {
            let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(path)?).collect();
            let found = found.map_err(|error| unusable(path, error))?;
            if found.is_empty() {
                return Err(unusable(path, "no certificate in PEM is in it"));
            }
            Ok(found)
        };
        let key = PrivateKeyDer::from_pem_slice(&read(&self.key)?).map_err(|error| unusable(&self.key, error))?;
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(&self.certificate, error))?;
        let builder = match &self.client_ca {
            Some(path) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(path)? {
                    roots.add(certificate).map_err(|error| unusable(path, error))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                    .build()
                    .map_err(|error| unusable(path, error))?;
                builder.with_client_cert_verifier(verifier)
            }
            None => builder.with_no_client_auth(),
        };
        let mut config = builder
            .with_single_cert(certificates(&self.certificate)?, key)
            .map_err(|error: rustls::Error| unusable(&self.certificate, error))?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        if http1 {
            config.alpn_protocols.push(b"http/1.1".to_vec());
        }
        Ok(config)
    }
}

/// The configuration of TLS as the files have it now.
pub struct Tls {
    files: TlsFiles,
    /// When the files were changed before they were first read.
    as_read: Changed,
    config: ArcSwap<ServerConfig>,
    /// Whether HTTP/1.1 is spoken too.
    http1: bool,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// [`SecurityError`].
    pub fn open(files: TlsFiles, http1: bool) -> Result<Self, SecurityError> {
        let as_read = changed(&files.paths());
        let config = ArcSwap::from_pointee(files.load(http1)?);
        Ok(Tls { files, as_read, config, http1 })
    }

    /// What the next connection is accepted with.
    pub fn config(&self) -> Arc<ServerConfig> {
        self.config.load_full()
    }

    /// Reads the files again whenever they change, for ever. Connections keep what they were accepted with.
    pub async fn watch(self: Arc<Self>) {
        watch(self.files.paths(), self.as_read.clone(), "certificates", move || {
            self.config.store(Arc::new(self.files.load(self.http1)?));
            Ok(())
        })
        .await;
    }
}

/// The tokens that open the service, one a line of a file; several at once, so that they can be changed one client at a
/// time. Only digests are kept.
pub struct Tokens {
    path: PathBuf,
    /// When the file was changed before it was first read.
    as_read: Changed,
    digests: ArcSwap<Vec<[u8; 32]>>,
}

impl Tokens {
    /// Reads a file of tokens: one a line; blank lines and lines that begin with `#` are none.
    ///
    /// # Errors
    /// [`SecurityError`], also where there is no token, or one that no header can carry or with fewer than sixteen characters.
    pub fn open(path: PathBuf) -> Result<Self, SecurityError> {
        let as_read = changed(std::slice::from_ref(&path));
        let digests = ArcSwap::from_pointee(Tokens::load(&path)?);
        Ok(Tokens { path, as_read, digests })
    }

    fn load(path: &Path) -> Result<Vec<[u8; 32]>, SecurityError> {
        let text = String::from_utf8(read(path)?).map_err(|_| unusable(path, "it is not UTF-8"))?;
        let mut digests = Vec::new();
        let lines = text.lines().map(str::trim).enumerate();
        for (i, token) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
            if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
                let reason = format!("line {}: a token may have ASCII letters, digits and marks, no spaces", i + 1);
                return Err(unusable(path, reason));
            }
            if token.len() < SHORTEST_TOKEN {
                let reason = format!("line {}: a token needs at least {SHORTEST_TOKEN} characters", i + 1);
                return Err(unusable(path, reason));
            }
            digests.push(Sha256::digest(token).into());
        }
        if digests.is_empty() {
            return Err(unusable(path, "no token is in it: write one a line"));
        }
        Ok(digests)
    }

    /// Reads the file again whenever it changes, for ever.
    pub async fn watch(self: Arc<Self>) {
        watch(vec![self.path.clone()], self.as_read.clone(), "tokens", move || {
            self.digests.store(Arc::new(Tokens::load(&self.path)?));
            Ok(())
        })
        .await;
    }

    /// Whether a call carries one of the tokens, as `authorization: Bearer TOKEN`. Takes the same time for all that it
    /// does not know.
    fn open_to(&self, metadata: &MetadataMap) -> Result<(), Status> {
        let refused = |reason| Err(Status::unauthenticated(reason));
        let Some(header) = metadata.get("authorization") else {
            return refused("a token is needed: send the metadata authorization with \"Bearer TOKEN\"");
        };
        let token = header.to_str().ok().and_then(|header| {
            let (scheme, token) = header.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
        });
        let Some(token) = token else { return refused("authorization must be \"Bearer TOKEN\"") };
        let digest: [u8; 32] = Sha256::digest(token).into();
        let none = Choice::from(0);
        let known = self.digests.load().iter().fold(none, |known, other| known | digest.ct_eq(other));
        if bool::from(known) { Ok(()) } else { refused("the token is not known here") }
    }
}

/// Lets calls through that carry a token; all of them, where none is asked for.
#[derive(Clone)]
pub struct Gate(pub Option<Arc<Tokens>>);

impl tonic::service::Interceptor for Gate {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(tokens) = &self.0 {
            tokens.open_to(request.metadata())?;
        }
        Ok(request)
    }
}
