//! Errors of a folder of versions.

use crate::model::ModelError;
use std::{
    io,
    path::{Path, PathBuf},
};

/// Errors of a folder of versions.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process holds the lock.
    #[error("{}: the folder is locked by another run; wait for it to finish, or choose another folder", folder.display())]
    Locked {
        /// The folder.
        folder: PathBuf,
    },
    /// The version does not exist.
    #[error("{}: version {version} not found; `dateline models list` lists the versions", folder.display())]
    NoVersion {
        /// The folder.
        folder: PathBuf,
        /// The version.
        version: String,
    },
    /// No version was in service before the current one.
    #[error("{}: no version was in service before {version}", folder.display())]
    NothingBefore {
        /// The folder.
        folder: PathBuf,
        /// The version in service.
        version: String,
    },
    /// A model is invalid.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A file operation failed.
    #[error("{}: {source}; the model in service is unchanged", path.display())]
    System {
        /// The file or folder.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
}

/// Makes an error of a file operation on this path.
pub fn system_error(path: &Path) -> impl FnOnce(io::Error) -> StoreError + '_ {
    |source| StoreError::System { path: path.to_owned(), source }
}
