//! Retraining: reads, trains, tests once, compares with the model in service, and puts the new model into service.

use super::{
    Progress, TrainError, TrainRequest,
    data::{Data, Rows},
    evaluate::{self, Evaluation, TopicAnswers},
    fit::{Trained, train},
    metrics::{RegionAnswer, RegionScores},
    promotion::{Comparison, PromotionGate},
    read::read,
};
use crate::{
    formats::Record,
    model::{self, Lock, Model, ModelError, Store, StoreError, TrainingFile, load_version},
};
use std::{collections::BTreeMap, path::PathBuf};

/// The share of rows to hold out for the comparison with the model in service, if no test rows are given.
const DEFAULT_HOLD_OUT: f64 = 0.1;

/// What to retrain, and where to put the new model.
#[derive(Debug, Clone, Default)]
pub struct RetrainRequest {
    /// What to train on.
    pub train: TrainRequest,
    /// The folder to write the model into.
    pub out: Option<PathBuf>,
    /// The folder of versions whose current model the new one is compared with, and may replace.
    pub promote: Option<PathBuf>,
    /// The conditions for that.
    pub gate: PromotionGate,
}

/// A retrained model, before it is written.
pub struct Outcome {
    /// The rows.
    pub data: Data,
    /// The model, and its quality in cross-validation.
    pub trained: Trained,
    /// The new model's answers to test rows.
    pub answers: TestAnswers,
    /// The scores of these answers.
    pub evaluation: Evaluation,
    /// The new model against the one in service, on the same test rows; empty without `promote`.
    pub comparisons: Vec<Comparison>,
    /// The names of test files that the model in service was trained on: its answers to their rows show less than they seem to.
    pub learned_tests: Vec<String>,
    /// By part (`topics`, `regions`): the number of corrections, and how many of them the new model answers right.
    pub corrections: BTreeMap<String, [usize; 2]>,
    /// The version in service before; `None` if there is none.
    pub current: Option<String>,
    out: Option<PathBuf>,
    promote: Option<PathBuf>,
    /// Keep other trainings from the folders.
    _locks: Vec<Lock>,
}

/// Answers to test rows; `None` for a part without test rows, or one that was not trained.
#[derive(Default)]
pub struct TestAnswers {
    /// Answers about topics.
    pub topics: Option<TopicAnswers>,
    /// Answers about regions.
    pub regions: Option<Vec<RegionAnswer>>,
}

/// Why a model was not put into service.
#[derive(Debug, thiserror::Error)]
pub enum PromotionError {
    /// It is worse than the one in service.
    #[error("{0} objections above")]
    Objections(usize),
    /// Nothing shows whether it is worse.
    #[error("no row is left to test with, give --test")]
    Untested,
    /// The model in service is not the one that it was compared with.
    #[error("another model was put into service meanwhile, which this one was not compared with")]
    Superseded,
    /// The folder cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Retrains. The folders are locked and checked first, so that a training never fails at its end because they cannot be written.
/// Nothing else is written before [`Outcome::save`] and [`Outcome::promote`].
///
/// # Errors
/// [`TrainError`].
pub fn retrain(request: &RetrainRequest, progress: &dyn Progress) -> Result<Outcome, TrainError> {
    let locks = lock(request)?;
    let current = current_model(request)?;
    let mut train_request = request.train.clone();
    if request.promote.is_some() && train_request.test.is_empty() {
        train_request.hold_out.get_or_insert(DEFAULT_HOLD_OUT);
    }
    let data = read(&train_request, progress)?;
    progress.rows_read(&data.left_out);
    let base = match &current {
        Some(current) => Some(current.clone()),
        // The bundled model itself is trained from nothing.
        None if train_request.is_complete() => None,
        None => Some(Model::bundled()?),
    };
    let trained = train(&data, &train_request, base.as_ref(), progress)?;
    let answers = TestAnswers::of(&trained.model, &data, &trained);
    let comparisons = match request.promote {
        Some(_) => compare(&request.gate, &answers, current.as_ref(), &data),
        None => Vec::new(),
    };
    Ok(Outcome {
        corrections: corrections(&data, &trained.model),
        evaluation: answers.evaluation(),
        learned_tests: current.as_ref().map(|model| learned(model, &data.test_files)).unwrap_or_default(),
        current: current.map(|model| model.version().to_owned()),
        out: request.out.clone(),
        promote: request.promote.clone(),
        data,
        trained,
        answers,
        comparisons,
        _locks: locks,
    })
}

impl Outcome {
    /// Writes the model and its card into the folder `out`, if one was given.
    ///
    /// # Errors
    /// [`ModelError`].
    pub fn save(&self, card: &str) -> Result<(), ModelError> {
        self.out.as_ref().map_or(Ok(()), |folder| self.trained.save(folder, card))
    }

    /// Puts the model into service in the folder `promote`, unless it is worse than the one there; `None` if no folder was given.
    ///
    /// # Errors
    /// [`PromotionError`]; the model in service stays.
    pub fn promote(&self, card: &str) -> Option<Result<(), PromotionError>> {
        let folder = self.promote.as_ref()?;
        let objections = self.comparisons.iter().filter(|one| one.objection.is_some()).count();
        if objections > 0 {
            return Some(Err(PromotionError::Objections(objections)));
        }
        if self.current.is_some() && self.comparisons.is_empty() {
            return Some(Err(PromotionError::Untested));
        }
        let publish = || -> Result<(), PromotionError> {
            let store = Store::open(folder)?;
            if store.current()? != self.current {
                return Err(PromotionError::Superseded);
            }
            Ok(store.publish(self.trained.model.version(), &self.trained.files(card))?)
        };
        Some(publish())
    }
}

impl TestAnswers {
    fn of(model: &Model, data: &Data, trained: &Trained) -> Self {
        let topics = !data.test_topics.is_empty() && trained.topics.is_some();
        let regions = !data.test_regions.is_empty() && trained.regions.is_some();
        TestAnswers {
            topics: topics.then(|| evaluate::topics(model, &data.test_topics)),
            regions: regions.then(|| evaluate::regions(model, &data.test_regions)),
        }
    }

    fn evaluation(&self) -> Evaluation {
        Evaluation {
            topics: self.topics.as_ref().and_then(TopicAnswers::scores),
            topics_of_known_labels: self.topics.as_ref().and_then(TopicAnswers::scores_of_known_labels),
            unknown_topics: self.topics.as_ref().map(|answers| answers.unknown_topics.clone()).unwrap_or_default(),
            subtopics: self.topics.as_ref().and_then(TopicAnswers::subtopic_scores),
            regions: self.regions.as_deref().map(RegionScores::of),
        }
    }
}

fn lock(request: &RetrainRequest) -> Result<Vec<Lock>, TrainError> {
    let (out, promote) = (request.out.as_deref(), request.promote.as_deref());
    if let Some(out) = out {
        model::may_hold(out)?;
    }
    let mut locks = Vec::new();
    for folder in [out, promote].into_iter().flatten() {
        locks.push(Lock::training(folder)?);
        if out.and_then(|out| out.canonicalize().ok()) == folder.canonicalize().ok() && Some(folder) == promote {
            return Err(TrainError::SameFolder);
        }
    }
    Ok(locks)
}

fn current_model(request: &RetrainRequest) -> Result<Option<Model>, TrainError> {
    let Some(folder) = &request.promote else { return Ok(None) };
    let current = Store::open(folder)?.current()?;
    Ok(current.map(|version| load_version(folder, &version)).transpose()?)
}

/// The new model, and the one in service if there is one, on the test rows.
fn compare(gate: &PromotionGate, answers: &TestAnswers, current: Option<&Model>, data: &Data) -> Vec<Comparison> {
    let mut comparisons = Vec::new();
    if let Some(topics) = &answers.topics {
        let before = current.map(|model| evaluate::topics(model, &data.test_topics));
        comparisons.extend(gate.topics(before.as_ref(), topics));
    }
    if let Some(regions) = &answers.regions {
        let before = current.map(|model| evaluate::regions(model, &data.test_regions));
        comparisons.extend(gate.regions(before.as_deref(), regions));
    }
    let unmeasured = gate.unmeasured(&comparisons);
    comparisons.extend(unmeasured);
    comparisons
}

/// The names of files that a model was trained on, by their content.
fn learned(model: &Model, files: &[TrainingFile]) -> Vec<String> {
    let known = |file: &&TrainingFile| model.manifest().trained_on.iter().any(|one| one.sha256 == file.sha256);
    files.iter().filter(known).map(|file| file.name.clone()).collect()
}

fn corrections(data: &Data, model: &Model) -> BTreeMap<String, [usize; 2]> {
    fn corrected(rows: &Rows) -> &[Record] {
        &rows.records[rows.records.len() - rows.corrections..]
    }
    let mut counts = BTreeMap::new();
    if data.topics.corrections > 0 {
        let answers = evaluate::topics(model, corrected(&data.topics)).topics;
        let right = answers.iter().filter(|answer| answer.is_right()).count();
        counts.insert("topics".to_owned(), [answers.len(), right]);
    }
    if data.regions.corrections > 0 {
        let answers = evaluate::regions(model, corrected(&data.regions));
        let right = answers.iter().filter(|answer| answer.is_exact()).count();
        counts.insert("regions".to_owned(), [answers.len(), right]);
    }
    counts
}
