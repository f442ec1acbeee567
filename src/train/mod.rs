//! From labelled articles to a model: reading, cross-fitting, measuring, the bundle and its card.
//!
//! In: files of labelled rows. Out: a folder with a model, and how good it measured on held-out folds. The same files and
//! the same seed give the same bytes, whatever the number of threads.

mod card;
mod check;
mod copies;
mod corpus;
mod data;
pub mod evaluate;
mod labels;
mod lexicon;
pub mod metrics;
pub mod promotion;
pub mod regions;
pub mod report;
mod subtopics;
pub mod topic_scores;
pub mod topics;

pub use check::{Check, DATES, check};
pub use corpus::{BadRows, Intake, LeftOut, Teaching, day};
pub use data::{Data, HeldOut, Rows, read};
pub use labels::LabelMap;
pub use topics::{TopicParams, TopicSource};

use crate::{
    formats::{InputError, Reading},
    linear::LinearError,
    model::{self, Manifest, Model, ModelError, SCHEMA, Task, TrainingFile},
    topic::WordVectors,
};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{
    io,
    path::{Path, PathBuf},
};

/// Why a training stopped.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A row cannot be read.
    #[error("{0}; nothing was trained")]
    Input(#[from] InputError),
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Too many rows are bad.
    #[error("{error}; that is bad row {bad}, and no more than {most} are left out (--max-bad); nothing was trained")]
    TooManyBad {
        /// What is wrong with the last one.
        error: InputError,
        /// How many there were.
        bad: u64,
        /// How many there may be.
        most: u64,
    },
    /// A file has nothing to learn from.
    #[error("{}: no row has text and a \"{field}\" list, such as {{\"body\": \"...\", \"{field}\": [\"...\"]}}{bad}", file.display())]
    NoRows {
        /// The file.
        file: PathBuf,
        /// `topics` or `regions`.
        field: &'static str,
        /// What is wrong with a row that cannot be read; empty where all can.
        bad: String,
    },
    /// Nothing to tell apart.
    #[error("all rows have the same topics ({}): at least two different topics are needed", labels.join(", "))]
    OneLabel {
        /// The only label.
        labels: Vec<String>,
    },
    /// All rows of a file that should have none have labels.
    #[error("{}: every row has topics or regions; give it with --topics or --regions", file.display())]
    NothingUnlabelled {
        /// The file.
        file: PathBuf,
    },
    /// A row of the map cannot be used.
    #[error("{place}: {reason}")]
    Map {
        /// `file:line`.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// More sub-topics than a model can have.
    #[error("there are {found} sub-topics, a model has {most} at most: raise --min-subtopic-rows")]
    TooManySubtopics {
        /// How many there are.
        found: usize,
        /// How many there may be.
        most: usize,
    },
    /// No label has enough rows.
    #[error(
        "no topic has {least} different rows, which cross-validation needs; the commonest has {most} (rows with the same words count once, whatever their numbers): add rows{bad}"
    )]
    AllRare {
        /// The different rows of the commonest label.
        most: u64,
        /// How many it needs.
        least: usize,
        /// What is wrong with a row that cannot be read; empty if all can.
        bad: String,
    },
    /// All rows were held out, or are copies of test rows.
    #[error("{part}: no row is left to learn from: all are test rows, or copies of some")]
    NothingLeft {
        /// `topics` or `regions`.
        part: &'static str,
    },
    /// Nothing was given to learn from.
    #[error("nothing to train on: give --topics, --regions or both")]
    NoFiles,
    /// A solver failed.
    #[error(transparent)]
    Linear(#[from] LinearError),
    /// The region weights came out infinite.
    #[error("the region model did not converge: its weights are not finite")]
    NotFinite,
    /// The model cannot be put together or written.
    #[error(transparent)]
    Model(#[from] ModelError),
}

/// Shows how far long work has come; silent where standard error is no terminal.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    silent: bool,
}

impl Progress {
    /// Shows nothing.
    pub fn silent() -> Self {
        Progress { silent: true }
    }

    /// A bar of so many steps.
    pub fn steps(&self, what: &'static str, steps: u64) -> ProgressBar {
        let bar = ProgressBar::new(steps);
        if self.silent {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        let style =
            ProgressStyle::with_template("{msg:<26} {bar:32} {pos:>7}/{len} {per_sec}, {elapsed_precise}, {eta} left");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message(what);
        bar
    }
}

/// What to train on, and how.
#[derive(Debug, Clone)]
pub struct TrainRequest {
    /// Files or folders whose rows have `topics`; `-` is standard input.
    pub topics: Vec<PathBuf>,
    /// Files whose rows have one topic each though the article may be on more.
    pub single_topic: Vec<PathBuf>,
    /// Files whose rows have no labels: the places that they name say their country.
    pub unlabelled: Vec<PathBuf>,
    /// Files whose rows have `regions`.
    pub regions: Vec<PathBuf>,
    /// Files of rows that editors corrected: they take the places of those that they correct, and weigh more.
    pub corrections: Vec<PathBuf>,
    /// Files of rows to test with; nothing is learned from them, nor from copies of them.
    pub test: Vec<PathBuf>,
    /// The share of rows that is held out to test with, where no file is; above 0, below 1.
    pub hold_out: Option<f64>,
    /// A file that says what an archive's own labels are in codes.
    pub map: Option<PathBuf>,
    /// How files are read that do not say it themselves.
    pub reading: Reading,
    /// More bad rows than this end the reading.
    pub max_bad: u64,
    /// Topics with fewer different rows are left out.
    pub min_rows: usize,
    /// Sub-topics with fewer rows are left out.
    pub min_subtopic_rows: usize,
    /// Whether rows of such labels are kept, to be looked at.
    pub keep_rare_labels: bool,
    /// A file of word vectors; `None` takes those of the base, where there is one.
    pub vectors: Option<PathBuf>,
    /// What the card says of the data, in Markdown; may be empty.
    pub notes: String,
    /// How to train the topics; its seed is the seed of all.
    pub params: TopicParams,
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
            reading: Reading::default(),
            max_bad: MAX_BAD,
            min_rows: MIN_ROWS,
            min_subtopic_rows: MIN_SUBTOPIC_ROWS,
            keep_rare_labels: false,
            vectors: None,
            notes: String::new(),
            params: TopicParams::default(),
        }
    }
}

/// So many bad rows are left out, where nothing else is said; one more ends the reading.
pub const MAX_BAD: u64 = 100;

/// Topics with fewer different rows are left out by default: cross-validation measures one in each fold.
pub const MIN_ROWS: usize = topics::FOLDS;
/// Sub-topics with fewer rows are left out by default.
pub const MIN_SUBTOPIC_ROWS: usize = 40;

/// A trained model and its measure.
pub struct Trained {
    /// The model.
    pub model: Model,
    /// Present where topics were trained.
    pub topics: Option<topics::TrainedTopics>,
    /// Present where regions were trained.
    pub regions: Option<regions::TrainedRegions>,
    manifest: Vec<u8>,
    tensors: Vec<u8>,
    card: String,
}

impl Trained {
    /// Writes the model into a folder, which is made where it is missing.
    ///
    /// # Errors
    /// [`ModelError::Write`]; [`ModelError::HasVersions`] where the folder is one of versions.
    pub fn save(&self, folder: &Path) -> Result<(), ModelError> {
        model::write(folder, &self.manifest, &self.tensors, &self.card)
    }

    /// Its files, as [`save`](Self::save) writes them.
    pub fn files(&self) -> Vec<(String, Vec<u8>)> {
        let files = [
            (model::MANIFEST, &self.manifest[..]),
            (model::TENSORS, &self.tensors[..]),
            (model::CARD, self.card.as_bytes()),
        ];
        files.into_iter().map(|(name, bytes)| (name.to_owned(), bytes.to_vec())).collect()
    }

    /// Bytes of weights and manifest.
    pub fn size(&self) -> usize {
        self.manifest.len() + self.tensors.len()
    }
}

/// Trains a model on data that was read for the request. The half that has no rows is taken over from `base`, where there is
/// one.
///
/// # Errors
/// [`TrainError`]; nothing is written.
pub fn train(
    data: &Data,
    request: &TrainRequest,
    base: Option<&Model>,
    progress: &Progress,
) -> Result<Trained, TrainError> {
    let seed = request.params.seed;
    let vectors = match (&request.vectors, base) {
        (Some(path), _) => model::read_vectors(path)?,
        (None, Some(base)) => base.topics().vectors().clone(),
        (None, None) => WordVectors::none(),
    };
    let regions = match data.regions.records[..] {
        [] => None,
        _ => Some(regions::train(&data.regions, &data.unlabelled, &request.params, progress)?),
    };
    let topics = match data.topics.records[..] {
        [] => None,
        _ => {
            let source =
                TopicSource { archive: &data.topics, single_topic: &data.single_topic.records, broader: &data.broader };
            Some(topics::train(&source, &vectors, &request.params, progress)?)
        }
    };
    let (topic_files, region_files) = (data.topics.files.clone(), data.regions.files.clone());
    let unlabelled_files = data.unlabelled_files.clone();

    // The half that was not trained is the base's.
    let base_or_none = || base.ok_or(TrainError::NoFiles);
    let (classifier, topic_manifest, languages) = match &topics {
        Some(trained) => (&trained.classifier, trained.manifest(), trained.languages.clone()),
        None => {
            let base = base_or_none()?;
            (base.topics(), base.manifest().topics.clone(), base.manifest().languages.clone())
        }
    };
    let (ranker, region_manifest) = match &regions {
        Some(trained) => (&trained.ranker, trained.manifest()),
        None => (base_or_none()?.regions(), base_or_none()?.manifest().regions.clone()),
    };
    let of_base =
        |task| base.into_iter().flat_map(|base| &base.manifest().trained_on).filter(move |file| file.task == task);
    let mut trained_on = topic_files;
    trained_on.extend(data.single_topic.files.iter().cloned());
    if topics.is_none() {
        trained_on.extend(of_base(Task::Topics).cloned());
    }
    if let Some(regions) = &regions {
        trained_on.extend(region_files);
        trained_on.extend(unlabelled_files.into_iter().zip(&request.unlabelled).map(|(file, path)| TrainingFile {
            rows: regions.weak_rows.get(path).copied().unwrap_or_default(),
            ..file
        }));
    }
    if regions.is_none() {
        trained_on.extend(of_base(Task::Regions).cloned());
    }

    let manifest = Manifest {
        schema: SCHEMA,
        version: String::new(),
        trained_by: format!("dateline {}", env!("CARGO_PKG_VERSION")),
        seed,
        languages,
        tensors_sha256: String::new(),
        topics: topic_manifest,
        regions: region_manifest,
        trained_on,
    };
    let (manifest, tensors) = model::encode(classifier, ranker, manifest)?;
    let model = Model::open(&manifest, &tensors)?;
    let card = card::write(&card::Findings {
        model: &model,
        topics: topics.as_ref(),
        regions: regions.as_ref(),
        left_out: &data.left_out,
        notes: &request.notes,
        bytes: manifest.len() + tensors.len(),
    });
    Ok(Trained { model, topics, regions, manifest, tensors, card })
}
