//! Errors of files of certificates, keys and tokens.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Why a file of certificates, keys or tokens is refused. Messages never quote its content.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
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

impl CredentialError {
    /// The error of a file with invalid content.
    pub(crate) fn invalid(path: &Path, reason: impl ToString) -> Self {
        CredentialError::Invalid { path: path.to_owned(), reason: reason.to_string() }
    }
}

/// Reads a file.
///
/// # Errors
/// [`CredentialError::Read`].
pub fn read(path: &Path) -> Result<Vec<u8>, CredentialError> {
    fs::read(path).map_err(|source| CredentialError::Read { path: path.to_owned(), source })
}
