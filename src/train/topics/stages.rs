//! The stages of the training of topics, one after the other.

use super::{
    decision::{DecisionTrainer, TopicDecision},
    measure::{self, Answers, HeldOut, TopicThresholds},
    rows::{self, Row, TopicRows, TopicSource},
    trainer::{CrossFitted, Scored, Trainer, Tried},
};
use crate::{
    formats::Record,
    model::{LabelEntry, TopicManifest},
    topic::{Subtopic, Subtopics, Topic, TopicClassifier, TopicLayers, WordVectors, taxonomy},
    train::{
        FOLDS, Progress, TrainError, TrainParams,
        metrics::SourceScore,
        topic_scores::{TopicAnswer, TopicScores},
    },
};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// The share of held-out rows with fewer known words than `least_known`.
const UNFAMILIAR_SHARE: f64 = 0.001;
/// Sources with fewer rows are not left out for measuring.
const LEAST_OF_SOURCE: usize = 20;

/// A trained topic model, and its quality in cross-validation.
pub struct TrainedTopics {
    /// The model, trained on all rows.
    pub classifier: TopicClassifier,
    /// Rows by topic, in the order of the model's topics.
    support: Vec<u64>,
    /// Rows by sub-topic, in the order of the model's sub-topics.
    subtopic_support: Vec<u64>,
    /// The smallest share of known words; see [`TopicManifest`].
    least_known: f64,
    /// Scores on held-out rows that were not selected by label.
    pub scores: TopicScores,
    /// Scores of the sub-topics on the same rows, if there are any.
    pub subtopic_scores: Option<TopicScores>,
    /// Scores on all held-out rows, if some were selected by label.
    pub scores_of_all: Option<TopicScores>,
    /// Scores by source, each by a model that has seen no row of it; empty if not asked for.
    pub left_out_sources: BTreeMap<String, SourceScore>,
    /// The indices of the archive's rows that were scored; of a large archive not all.
    pub answered: Vec<usize>,
    /// The answers to these rows, in the same order.
    pub answers: Vec<TopicAnswer>,
    /// The settings that were tried. The one with the best accuracy was taken; of equals, the first.
    pub tried: Vec<Tried>,
    /// Training rows and accuracy on the first fold, before the decision layer; empty if not asked for.
    pub learning: Vec<(usize, f64)>,
    /// The languages of the rows as ISO 639 codes, the most frequent first.
    pub languages: Vec<String>,
}

impl TrainedTopics {
    /// Its part of the manifest.
    pub fn manifest(&self) -> TopicManifest {
        let topics = self.classifier.topics();
        let labels = topics.iter().zip(&self.support).map(|(topic, support)| LabelEntry {
            code: topic.code.to_string(),
            name: topic.name.to_string(),
            support: *support,
            auto_from: topic.auto_from,
            broader: None,
        });
        let subtopics = self.classifier.subtopics();
        let entries = subtopics.labels().iter().zip(&self.subtopic_support).map(|(subtopic, support)| LabelEntry {
            code: subtopic.code.to_string(),
            name: subtopic.name.to_string(),
            support: *support,
            auto_from: subtopic.auto_from,
            broader: Some(topics[subtopic.topic].code.to_string()),
        });
        TopicManifest {
            labels: labels.collect(),
            subtopics: entries.collect(),
            thresholds: self.classifier.thresholds(),
            subtopic_review: subtopics.review_from(),
            exclusive: self.classifier.layers().exclusive,
            ngrams: self.classifier.layers().ngrams,
            least_known: self.least_known,
            measured: self.scores.measures(),
            measured_subtopics: self.subtopic_scores.as_ref().map(TopicScores::measures).unwrap_or_default(),
        }
    }
}

/// Trains on labelled rows, with word vectors, which may be empty.
///
/// # Errors
/// [`TrainError`] if there are fewer than two topics, or a solver fails.
pub fn train(
    source: &TopicSource<'_>,
    vectors: &WordVectors,
    params: &TrainParams,
    progress: &dyn Progress,
) -> Result<TrainedTopics, TrainError> {
    let rows = TopicRows::read(source, params, progress)?;
    let trainer = Trainer::new(&rows, vectors, params, progress);
    let cross_fitted = trainer.cross_fit()?;
    let decisions = Decisions::fit(&rows, &cross_fitted, params, progress)?;
    let thresholds = measure::thresholds(&rows, &decisions.held_out(&rows, &cross_fitted.scored));

    let records = &source.archive.records;
    let measured = Measured::of(&rows, records, &decisions, &thresholds, &cross_fitted.scored);
    let left_out_sources = match params.leave_sources_out {
        true => left_out_sources(&rows, records, &trainer, &cross_fitted, &thresholds)?,
        false => BTreeMap::new(),
    };
    let least_known = least_known(&cross_fitted.scored);
    let (support, subtopic_support) = rows.support();
    let languages = rows.languages.clone();
    let CrossFitted { tried, learning, .. } = &cross_fitted;
    let (tried, learning) = (tried.clone(), learning.clone());
    let classifier = classifier(&rows, cross_fitted, &decisions.of_all, &thresholds, vectors)?;
    let Measured { scores, subtopic_scores, scores_of_all, answered, answers } = measured;
    Ok(TrainedTopics {
        classifier,
        support,
        subtopic_support,
        least_known,
        scores,
        subtopic_scores,
        scores_of_all,
        left_out_sources,
        answered,
        answers,
        tried,
        learning,
        languages,
    })
}

/// The decision layers, cross-fitted in turn, so that they too are measured on rows that they have not seen.
struct Decisions {
    /// For each fold, the layers fitted to the other folds.
    by_fold: Vec<TopicDecision>,
    /// The layers fitted to all folds, which are served.
    of_all: TopicDecision,
    /// For each scored row, the fold of the layers that have not seen it.
    folds: Vec<usize>,
}

impl Decisions {
    fn fit(
        rows: &TopicRows,
        cross: &CrossFitted,
        params: &TrainParams,
        progress: &dyn Progress,
    ) -> Result<Self, TrainError> {
        let scored = &cross.scored;
        let folds: Vec<usize> = if cross.measured_folds == FOLDS {
            scored.iter().map(|scored| rows.labelled[scored.row].fold).collect()
        } else {
            let keys: Vec<(usize, u64)> = scored
                .iter()
                .map(|scored| &rows.labelled[scored.row])
                .map(|row| (row.topics.first().copied().unwrap_or(0), row.content))
                .collect();
            crate::train::folds::folds(&keys, FOLDS, params.seed + 1)
        };
        let bar = progress.start("topics: decision layers", FOLDS as u64 + 1);
        let trainer = DecisionTrainer { rows, scored };
        let all: Vec<usize> = (0..scored.len()).collect();
        let fit = |fold: usize| {
            let learned: Vec<usize> = all.iter().copied().filter(|i| folds[*i] != fold).collect();
            let decision = trainer.fit(&learned);
            bar.advance(1);
            decision
        };
        let by_fold = (0..FOLDS).map(fit).collect::<Result<_, _>>()?;
        let of_all = fit(FOLDS)?;
        Ok(Decisions { by_fold, of_all, folds })
    }

    /// The scored rows, with probabilities from layers that have not seen them.
    fn held_out<'r>(&self, rows: &'r TopicRows, scored: &[Scored]) -> Vec<HeldOut<'r>> {
        let held_out = scored.par_iter().zip(&self.folds).map(|(scored, fold)| HeldOut {
            row: &rows.labelled[scored.row],
            probabilities: self.by_fold[*fold].probabilities(rows, scored),
        });
        held_out.collect()
    }
}

/// The quality on held-out rows.
struct Measured {
    scores: TopicScores,
    subtopic_scores: Option<TopicScores>,
    scores_of_all: Option<TopicScores>,
    answered: Vec<usize>,
    answers: Vec<TopicAnswer>,
}

impl Measured {
    fn of(
        rows: &TopicRows,
        records: &[Record],
        decisions: &Decisions,
        thresholds: &TopicThresholds,
        scored: &[Scored],
    ) -> Self {
        let held_out = decisions.held_out(rows, scored);
        let answers = Answers::new(rows, thresholds);
        let both: Vec<[TopicAnswer; 2]> = held_out
            .par_iter()
            .zip(scored)
            .map(|(held_out, scored)| answers.of(held_out, records[scored.row].source.trim()))
            .collect();
        let (of_topics, of_subtopics): (Vec<TopicAnswer>, Vec<TopicAnswer>) =
            both.into_iter().map(|[topics, subtopics]| (topics, subtopics)).unzip();
        let measured = measure::usual(&held_out);
        let pick =
            |answers: &[TopicAnswer]| -> Vec<TopicAnswer> { measured.iter().map(|i| answers[*i].clone()).collect() };
        let n_topics = rows.topics.len();
        let answers = pick(&of_topics);
        Measured {
            scores: TopicScores::of(&answers, n_topics),
            subtopic_scores: (!rows.subtopics.is_empty())
                .then(|| TopicScores::of(&pick(&of_subtopics), rows.subtopics.len())),
            scores_of_all: (measured.len() < held_out.len()).then(|| TopicScores::of(&of_topics, n_topics)),
            answered: measured.iter().map(|i| scored[*i].row).collect(),
            answers,
        }
    }
}

/// Scores the rows of each source by layers that have seen no row of it.
fn left_out_sources(
    rows: &TopicRows,
    records: &[Record],
    trainer: &Trainer<'_>,
    cross: &CrossFitted,
    thresholds: &TopicThresholds,
) -> Result<BTreeMap<String, SourceScore>, TrainError> {
    let source_of = |row: usize| records[row].source.trim();
    let sources: BTreeSet<&str> = (0..records.len()).map(source_of).filter(|source| !source.is_empty()).collect();
    let mut scores = BTreeMap::new();
    for source in sources {
        let usual = |row: &Row| !row.is_selected;
        let measured =
            (0..records.len()).filter(|row| source_of(*row) == source && usual(&rows.labelled[*row])).count();
        if measured < LEAST_OF_SOURCE || (0..records.len()).all(|row| source_of(row) == source) {
            continue;
        }
        let others: Vec<usize> =
            (0..cross.scored.len()).filter(|i| source_of(cross.scored[*i].row) != source).collect();
        let decision = DecisionTrainer { rows, scored: &cross.scored }.fit(&others)?;
        let scored = trainer.without_source(rows::source_hash(source), cross.setting)?;
        let answers = Answers::new(rows, thresholds);
        let answered: Vec<TopicAnswer> = scored
            .iter()
            .filter(|scored| usual(&rows.labelled[scored.row]))
            .map(|scored| {
                let row = &rows.labelled[scored.row];
                let [topics, _] =
                    answers.of(&HeldOut { row, probabilities: decision.probabilities(rows, scored) }, source);
                topics
            })
            .collect();
        scores.extend(TopicScores::of(&answered, rows.topics.len()).sources);
    }
    Ok(scores)
}

/// The share of known words that nearly all held-out rows reach.
fn least_known(scored: &[Scored]) -> f64 {
    let mut known: Vec<f64> = scored.iter().map(|scored| scored.known).collect();
    known.sort_by(f64::total_cmp);
    known.get((known.len() as f64 * UNFAMILIAR_SHARE) as usize).copied().unwrap_or(0.0)
}

/// Assembles the classifier.
fn classifier(
    rows: &TopicRows,
    cross: CrossFitted,
    decision: &TopicDecision,
    thresholds: &TopicThresholds,
    vectors: &WordVectors,
) -> Result<TopicClassifier, TrainError> {
    let name = |code: &str| taxonomy::name(code).unwrap_or(code).into();
    let topics = rows.topics.iter().zip(&thresholds.auto_of_topic).map(|(code, auto_from)| Topic {
        code: code.as_str().into(),
        name: name(code),
        auto_from: *auto_from,
    });
    let subtopics = rows.subtopics.iter().zip(&thresholds.auto_of_subtopic).map(|(one, auto_from)| Subtopic {
        code: one.code.as_str().into(),
        name: name(&one.code),
        topic: one.topic,
        auto_from: *auto_from,
    });
    let linear = decision.linear(&cross.fitted);
    let (of_topics, of_subtopics) = decision.layers();
    let subtopics =
        Subtopics::new(subtopics.collect(), cross.fitted.subtopics, of_subtopics.clone(), thresholds.subtopic_review);
    let layers = TopicLayers {
        vocabulary: cross.fitted.vocabulary,
        vectors: vectors.clone(),
        ngrams: cross.setting.ngrams,
        linear,
        decision: of_topics.clone(),
        exclusive: rows.exclusive,
        subtopics: subtopics.ok_or(TrainError::NotFinite)?,
    };
    TopicClassifier::new(topics.collect(), layers, thresholds.topics).map_err(|error| TrainError::Model(error.into()))
}
