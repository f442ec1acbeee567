//! What to train on, and how.

use super::folds::FOLDS;
use crate::formats::Reading;
use jiff::civil::Date;
use std::{path::PathBuf, time::Duration};

/// What to train on, and how.
#[derive(Debug, Clone)]
pub struct TrainRequest {
    /// Files or folders whose rows have `topics`; `-` is standard input.
    pub topics: Vec<PathBuf>,
    /// Files whose rows have one topic each, even if the article is about several.
    pub single_topic: Vec<PathBuf>,
    /// Files whose rows have no regions. The places that they name stand for their countries.
    pub unlabelled: Vec<PathBuf>,
    /// Files whose rows have `regions`.
    pub regions: Vec<PathBuf>,
    /// Files of rows that editors corrected. They replace the rows that they correct, and weigh more.
    pub corrections: Vec<PathBuf>,
    /// Files of test rows. Nothing is learned from them or their copies.
    pub test: Vec<PathBuf>,
    /// The share of rows to hold out as test rows if `test` is empty; above 0, below 1.
    pub hold_out: Option<f64>,
    /// A file that maps the labels of an archive to codes.
    pub map: Option<PathBuf>,
    /// Whether a correction replaces all rows with its id, whatever their text.
    pub correct_by_id: bool,
    /// The last day that a row may have; a row with a later one is taken as undated. Today by default.
    pub last_day: Option<Date>,
    /// How to read files that do not describe themselves.
    pub reading: Reading,
    /// The most rows that may be invalid.
    pub max_bad: u64,
    /// Topics with fewer different rows are left out.
    pub min_rows: usize,
    /// Sub-topics with fewer rows are left out.
    pub min_subtopic_rows: usize,
    /// Whether to keep rows of such labels, for a check of the data.
    pub keep_rare_labels: bool,
    /// A file of word vectors; those of the base model by default.
    pub vectors: Option<PathBuf>,
    /// Markdown about the data for the model card; may be empty.
    pub notes: String,
    /// Parameters of the training.
    pub params: TrainParams,
}

impl TrainRequest {
    /// Whether it has all parts of a model: topics, regions and word vectors.
    pub fn is_complete(&self) -> bool {
        !self.topics.is_empty() && !self.regions.is_empty() && self.vectors.is_some()
    }
}

impl Default for TrainRequest {
    fn default() -> Self {
        TrainRequest {
            topics: Vec::new(),
            single_topic: Vec::new(),
            unlabelled: Vec::new(),
            regions: Vec::new(),
            corrections: Vec::new(),
            test: Vec::new(),
            hold_out: None,
            map: None,
            correct_by_id: false,
            last_day: None,
            reading: Reading::default(),
            max_bad: MAX_BAD,
            min_rows: MIN_ROWS,
            min_subtopic_rows: MIN_SUBTOPIC_ROWS,
            keep_rare_labels: false,
            vectors: None,
            notes: String::new(),
            params: TrainParams::default(),
        }
    }
}

/// The default of [`TrainRequest::max_bad`].
pub const MAX_BAD: u64 = 100;

/// The default of [`TrainRequest::min_rows`]: cross-validation needs a row for each fold.
pub const MIN_ROWS: usize = FOLDS;
/// The default of [`TrainRequest::min_subtopic_rows`].
pub const MIN_SUBTOPIC_ROWS: usize = 40;

/// Parameters of the training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrainParams {
    /// The seed of folds, samples and solver.
    pub seed: u64,
    /// Whether to measure a learning curve: it costs about as much as one fit.
    pub learning_curve: bool,
    /// Whether to measure each source by a model that has seen no row of it: it costs one fit per source.
    pub leave_sources_out: bool,
    /// How long to try further settings; a trial that has begun is completed. The settings tried determine the bytes of
    /// the model, and their number depends on the machine.
    pub tune: Duration,
}

impl Default for TrainParams {
    fn default() -> Self {
        TrainParams { seed: 1, learning_curve: false, leave_sources_out: false, tune: Duration::ZERO }
    }
}
