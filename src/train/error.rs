//! Why a training stops.

use crate::{
    formats::{InputError, Place},
    linear::LinearError,
    model::{ModelError, StoreError},
};
use std::{io, path::PathBuf};

/// Why a training stopped.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A file of the input is invalid.
    #[error("{0}; nothing was trained")]
    Input(#[from] InputError),
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Too many rows are invalid.
    #[error("{error}; that is bad row {bad}, and no more than {most} are left out (--max-bad); nothing was trained")]
    TooManyBad {
        /// The last of them.
        error: InputError,
        /// Their number.
        bad: u64,
        /// The most that are allowed.
        most: u64,
    },
    /// A file has no row to learn from.
    #[error("{}: no row has text and a \"{field}\" list, such as {{\"body\": \"...\", \"{field}\": [\"...\"]}}{bad}", file.display())]
    NoRows {
        /// The file.
        file: PathBuf,
        /// `topics` or `regions`.
        field: &'static str,
        /// Why a row cannot be read, for the end of the message; empty if all can.
        bad: String,
    },
    /// There is only one label.
    #[error("all rows have the same topics ({}): at least two different topics are needed", labels.join(", "))]
    OneLabel {
        /// The only label.
        labels: Vec<String>,
    },
    /// A file of unlabelled rows has labels in every row.
    #[error("{}: every row has topics or regions; give it with --topics or --regions", file.display())]
    NothingUnlabelled {
        /// The file.
        file: PathBuf,
    },
    /// A row of the map is invalid.
    #[error("{place}: {reason}")]
    Map {
        /// Its place.
        place: Place,
        /// Why it is invalid.
        reason: String,
    },
    /// There are more sub-topics than a model may have.
    #[error("there are {found} sub-topics, a model has {most} at most: raise --min-subtopic-rows")]
    TooManySubtopics {
        /// Their number.
        found: usize,
        /// The most that are allowed.
        most: usize,
    },
    /// No label has enough rows.
    #[error(
        "no topic has {least} different rows, which cross-validation needs; the commonest has {most} (rows with the same words count once, whatever their numbers): add rows{bad}"
    )]
    AllRare {
        /// The different rows of the most frequent label.
        most: u64,
        /// The number that a label needs.
        least: usize,
        /// Why a row cannot be read, for the end of the message; empty if all can.
        bad: String,
    },
    /// All rows were held out, or are copies of test rows.
    #[error("{part}: no row is left to learn from: all are test rows, or copies of some")]
    NothingLeft {
        /// `topics` or `regions`.
        part: &'static str,
    },
    /// No files are given.
    #[error("nothing to train on: give --topics, --regions or both")]
    NoFiles,
    /// A solver failed.
    #[error(transparent)]
    Linear(#[from] LinearError),
    /// The weights of the region model are not finite.
    #[error("the region model did not converge: its weights are not finite")]
    NotFinite,
    /// The model cannot be put together or written.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A folder to write to cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// One folder is given for the model and for its versions.
    #[error("--out and --promote are one folder: give --promote alone")]
    SameFolder,
}
