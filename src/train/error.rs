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
    #[error("{}: no row has a text and {field}; {}{bad}", file.display(), how_to_label(field, columns.as_deref()))]
    NoRows {
        /// The file.
        file: PathBuf,
        /// `topics`, `regions` or both.
        field: &'static str,
        /// The columns of a table.
        columns: Option<String>,
        /// Why a row cannot be read, for the end of the message; empty if all can.
        bad: String,
    },
    /// The regions of all rows have unknown labels.
    #[error("{}: no row has only countries that are known; unknown are {}: write ISO 3166-1 codes such as KE or KEN, or English names", file.display(), labels.join(", "))]
    NoCountries {
        /// The file.
        file: PathBuf,
        /// The unknown labels, with their number of rows.
        labels: Vec<String>,
    },
    /// The articles do not show which of the countries that they name they are about.
    #[error(
        "the regions cannot be learned: of the countries that the articles name, {about} are labels of their rows and {others} are not; \
         both are needed, in several rows. Names are found in English text only"
    )]
    NoContrast {
        /// The named countries that are labels.
        about: usize,
        /// The named countries that are not.
        others: usize,
    },
    /// There is only one label.
    #[error("all rows have the same topics ({}): at least two different topics are needed", labels.join(", "))]
    OneLabel {
        /// The only label.
        labels: Vec<String>,
    },
    /// A file of unlabelled rows has regions in every row.
    #[error("{}: every row has regions; give it with --regions", file.display())]
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

/// What a file needs for a field.
fn how_to_label(field: &str, columns: Option<&str>) -> String {
    let first = field.split(' ').next().unwrap_or(field);
    match columns {
        Some(columns) => format!("{columns} ({first}=NAME for the labels)"),
        None => format!("a row is written as {{\"body\": \"...\", \"{first}\": [\"...\"]}}"),
    }
}
