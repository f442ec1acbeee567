//! Errors of loading and saving models.

use super::{
    files::{LARGEST_FILE, MANIFEST, TENSORS},
    manifest::SCHEMA,
};
use crate::{text::IndexError, topic::TopicError};
use std::{io, path::PathBuf};

/// Errors of loading and saving models.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The folder does not exist or contains no model.
    #[error("not a model folder: {MANIFEST} and {TENSORS} are needed ({0}); `dateline train --out DIR` writes one")]
    NotAModel(io::Error),
    /// The model in a folder is invalid.
    #[error("{}: {source}", folder.display())]
    In {
        /// The folder.
        folder: PathBuf,
        /// The cause.
        source: Box<ModelError>,
    },
    /// A file exceeds the size limit.
    #[error("{} is too large for a model: the limit is {LARGEST_FILE} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// `manifest.json` is invalid.
    #[error("invalid {MANIFEST}: {0}")]
    Manifest(serde_json::Error),
    /// The model has another schema.
    #[error(
        "unsupported model: it has schema {found}, this program reads schema {SCHEMA}; train it again, or use the program that \
         trained it"
    )]
    Schema {
        /// The model's schema.
        found: u64,
    },
    /// The checksum of a file does not match.
    #[error("{file} is damaged: its checksum does not match; copy the model folder again, or train it again")]
    Checksum {
        /// The file.
        file: &'static str,
    },
    /// A file of word vectors is invalid.
    #[error("{} is not a valid file of word vectors: {reason}; src/topic/data/distil.py writes one", path.display())]
    Vectors {
        /// The file.
        path: PathBuf,
        /// The cause.
        reason: String,
    },
    /// The tensors are invalid.
    #[error("invalid {TENSORS}: {0}")]
    Tensors(String),
    /// The folder contains versions of a model, so a bundle must not be written into it.
    #[error(
        "{}: the folder contains model versions; to put another into service, use --promote or `dateline models promote`",
        folder.display()
    )]
    HasVersions {
        /// The folder.
        folder: PathBuf,
    },
    /// A file cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
}

impl From<TopicError> for ModelError {
    fn from(error: TopicError) -> Self {
        ModelError::Tensors(error.to_string())
    }
}

impl From<IndexError> for ModelError {
    fn from(error: IndexError) -> Self {
        ModelError::Tensors(error.to_string())
    }
}
