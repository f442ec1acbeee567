//! The tokens of clients and operators.

use super::reload::{Modified, modified, watch};
use crate::{
    credentials::{CredentialError, tokens, warn_if_readable_by_others},
    service::metrics::Metrics,
};
use arc_swap::ArcSwap;
use sha2::{Digest, Sha256};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use subtle::{Choice, ConstantTimeEq};
use tonic::{Request, Status, metadata::MetadataMap};

/// The minimum length of a token in characters; a shorter one could be guessed.
const MIN_TOKEN_LENGTH: usize = 16;

/// What happens when the last token is removed from the file of a running server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum OnEmptyTokens {
    /// No token is valid until the file has one again: all calls that need one are refused.
    #[default]
    Refuse,
    /// The file is refused, and the previous tokens stay valid.
    Keep,
}

/// The valid tokens, from a file. Several are valid at once, so that each client can change its token at its own time. Only
/// their digests are kept in memory.
pub struct Tokens {
    path: PathBuf,
    /// The modification time before the first read.
    first_read: Modified,
    digests: ArcSwap<Vec<[u8; 32]>>,
    on_empty: OnEmptyTokens,
}

impl Tokens {
    /// Reads a file of tokens, one per line; ignores blank lines and lines that begin with `#`.
    ///
    /// # Errors
    /// [`CredentialError::Read`]; [`CredentialError::Invalid`] if there is no token, or one that has less than sixteen
    /// characters or characters that a header cannot carry.
    pub fn open(path: PathBuf, on_empty: OnEmptyTokens) -> Result<Self, CredentialError> {
        let first_read = modified(std::slice::from_ref(&path));
        let digests = load(&path)?;
        if digests.is_empty() {
            return Err(no_token(&path));
        }
        Ok(Tokens { path, first_read, digests: ArcSwap::from_pointee(digests), on_empty })
    }

    /// Logs a warning if every user of the machine may read the file.
    pub fn warn_if_readable_by_others(&self) {
        warn_if_readable_by_others(&self.path);
    }

    fn reload(&self) -> Result<(), CredentialError> {
        let digests = load(&self.path)?;
        if digests.is_empty() {
            match self.on_empty {
                OnEmptyTokens::Keep => return Err(no_token(&self.path)),
                OnEmptyTokens::Refuse => {
                    tracing::error!(file = %self.path.display(), "the file has no token: calls are refused until it has one");
                }
            }
        }
        self.digests.store(Arc::new(digests));
        Ok(())
    }

    /// Reloads the file whenever it changes, forever. `what` names it in the log and in metrics.
    pub async fn watch(self: Arc<Self>, what: &'static str, metrics: Arc<Metrics>) {
        let paths = vec![self.path.clone()];
        watch(paths, self.first_read.clone(), what, &metrics.credentials, move || self.reload()).await;
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

/// The digests of the tokens of a file.
fn load(path: &Path) -> Result<Vec<[u8; 32]>, CredentialError> {
    let digest = |(line, token): (usize, String)| match token.len() < MIN_TOKEN_LENGTH {
        true => Err(CredentialError::invalid(
            path,
            format!("line {line}: invalid token: expected at least {MIN_TOKEN_LENGTH} characters"),
        )),
        false => Ok(Sha256::digest(token).into()),
    };
    tokens(path)?.into_iter().map(digest).collect()
}

fn no_token(path: &Path) -> CredentialError {
    CredentialError::invalid(path, "no token: write one per line")
}

/// Refuses calls without a valid token; allows all calls if there are no tokens.
#[derive(Clone)]
pub struct TokenGate(pub Option<Arc<Tokens>>);

impl TokenGate {
    /// Refuses a call by its metadata.
    pub fn check(&self, metadata: &MetadataMap) -> Result<(), Status> {
        self.0.as_ref().map_or(Ok(()), |tokens| tokens.check(metadata))
    }
}

impl tonic::service::Interceptor for TokenGate {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        self.check(request.metadata())?;
        Ok(request)
    }
}
