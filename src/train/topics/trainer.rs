//! Second stage: vocabularies and linear layers, fitted to some rows, and the scores that rows get from layers that have not
//! seen them.

use super::{
    FOLDS, TopicParams,
    rows::{Row, TopicRows, labels_of},
};
use crate::{
    linear::{LinearSvm, LinearSvmParams, SparseRecords, SplitMix},
    text::Vocabulary,
    topic::{ArticleTerms, Features, SparseColumn, SparseLayer, WordVectors},
    train::{Progress, TrainError, corpus},
};
use indicatif::ProgressBar;
use linfa::{DatasetBase, ParamGuard, traits::Fit};
use ndarray::{Array1, Array2, Axis, Slice};
use rayon::prelude::*;
use serde::Serialize;
use std::{collections::HashSet, time::Instant};

/// The folds that are measured have so many rows together, if the archive has: enough to learn decision layers from and to
/// measure with, and each fold that is measured takes a fit to the others.
const MEASURED_ROWS: usize = 100_000;
/// The solver passes over the rows of an archive that is not large so often at most, and fewer times over more, for each pass
/// over many rows moves the weights as often as several over few, but never fewer than the least.
const MOST_PASSES: usize = 60;
const LEAST_PASSES: usize = 20;
const ROWS_FOR_MOST_PASSES: usize = 200_000;
/// Of archives with more words the terms are counted in two passes.
const TERMS_AT_ONCE: usize = 32 << 20;
/// A vocabulary has the commonest terms up to this, ...
const MOST_TERMS: usize = 500_000;
/// ... and fewer if there are many labels: a model has so many weights at most.
const MOST_WEIGHTS: usize = 1 << 28;
/// Words that fewer than two rows have are not learned, and word pairs and n-grams that fewer than three have; of archives with
/// this many rows those that fewer than three and six have, which costs nothing and makes half the model.
const LARGE_ARCHIVE: usize = 15_000;
/// Features are made so many rows at once.
const ROWS_AT_ONCE: usize = 1 << 13;
/// Sub-topics are fitted so many at once: each takes a weight per term meanwhile.
const SUBTOPICS_AT_ONCE: usize = 64;
/// What an error costs the machines of sub-topics, which learn from few rows each.
const SUBTOPIC_COST: f32 = 2.0;
/// Sub-topics keep so many weights of terms on average, and each at most the second number.
const SUBTOPIC_WEIGHTS: usize = 8_000;
const MOST_WEIGHTS_PER_SUBTOPIC: usize = 20_000;
/// Character n-grams are tried if an archive has at most so many words, each counted once per label.
const MOST_NGRAM_WORK: usize = 50_000_000;
/// They are taken if accuracy rises by more than this.
const NGRAM_MARGIN: f64 = 0.005;

/// What the linear layers are fitted with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Setting {
    /// What an error costs them; see [`LinearSvmParams::cost`].
    cost: f32,
    /// How much the word vectors count beside tf-idf, which is of length 1.
    vector_weight: f32,
    /// Whether character n-grams are among the terms.
    pub ngrams: bool,
}

const fn setting(cost: f32, vector_weight: f32, ngrams: bool) -> Setting {
    Setting { cost, vector_weight, ngrams }
}

/// Word vectors carry what is learned over to other outlets and forms of articles. On long articles of a narrow field, such as
/// newsgroups, they blur it; there words decide, if that is better in the first fold.
const SETTINGS: [Setting; 2] = [setting(0.5, 0.3, false), setting(1.0, 0.05, false)];
/// Character n-grams find the common stems of a language with many forms of words, and misspelt words.
const NGRAM_SETTINGS: [Setting; 2] = [setting(1.0, 0.05, true), setting(1.0, 0.3, true)];
/// What is tried beside them if there is time for tuning, the likeliest first.
const MORE_SETTINGS: [Setting; 8] = [
    setting(1.0, 0.3, false),
    setting(0.25, 0.3, false),
    setting(0.5, 0.6, false),
    setting(0.5, 0.05, false),
    setting(0.5, 1.0, false),
    setting(2.0, 0.05, false),
    setting(2.0, 0.3, false),
    setting(0.25, 1.0, false),
];

/// A setting that was tried, and what came of it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Tried {
    /// What an error costs the linear layer.
    pub cost: f32,
    /// How much word vectors count beside tf-idf.
    pub vector_weight: f32,
    /// Whether character n-grams were among the terms.
    pub ngrams: bool,
    /// Accuracy on the first fold, before the decision layer.
    pub accuracy: f64,
    /// Whether the model was trained with it.
    pub taken: bool,
}

/// Fitted linear layers.
pub struct Fitted {
    /// The terms.
    pub vocabulary: Vocabulary,
    /// Scores of topics, learned from rows with all their topics.
    pub topics: LinearSvm,
    /// Scores of topics, learned from rows with one topic each.
    pub single_topic: Option<LinearSvm>,
    /// Scores of sub-topics.
    pub subtopics: SparseLayer,
}

/// The scores of a row, from layers that have not seen it.
pub struct Scored {
    /// The row, as an index into the labelled ones.
    pub row: usize,
    /// The score of each topic.
    pub topics: Array1<f64>,
    /// The score of each topic by the layer of rows with one topic each, if there are such rows.
    pub single_topic: Option<Array1<f64>>,
    /// The score of each sub-topic.
    pub subtopics: Array1<f64>,
    /// The share of its words that the vocabulary knows.
    pub known: f64,
}

/// What cross-fitting gives.
pub struct CrossFitted {
    /// The scores of the rows of the measured folds, by row.
    pub scored: Vec<Scored>,
    /// The layers fitted to all rows.
    pub fitted: Fitted,
    /// The setting of all fits.
    pub setting: Setting,
    /// The settings that were tried; the one with the best accuracy was taken, the first of equals.
    pub tried: Vec<Tried>,
    /// Rows learned from and accuracy on the first fold; empty if not asked for.
    pub learning: Vec<(usize, f64)>,
    /// How many folds were measured: fewer than all of a large archive.
    pub measured_folds: usize,
}

/// Fits vocabularies and linear layers.
pub struct Trainer<'a> {
    rows: &'a TopicRows,
    vectors: &'a WordVectors,
    params: &'a TopicParams,
    /// A step for each fit.
    bar: ProgressBar,
}

impl<'a> Trainer<'a> {
    /// A trainer for some rows.
    pub fn new(rows: &'a TopicRows, vectors: &'a WordVectors, params: &'a TopicParams, progress: &Progress) -> Self {
        Trainer { rows, vectors, params, bar: progress.steps("topics: fitting layers", 0) }
    }

    /// Finds the best setting, and scores the rows of each fold by layers fitted to the others.
    ///
    /// # Errors
    /// [`TrainError::Linear`] if the solver fails.
    pub fn cross_fit(&self) -> Result<CrossFitted, TrainError> {
        let labelled = &self.rows.labelled;
        let measured_folds = (MEASURED_ROWS * FOLDS).div_ceil(labelled.len()).clamp(1, FOLDS);
        let settings = self.settings();
        self.bar.set_length((settings.len() + measured_folds) as u64);
        let (setting, first, tried) = self.best_setting(&settings)?;
        let learning = if self.params.learning_curve { self.learning(setting, &first)? } else { Vec::new() };
        let mut scored = first;
        for fold in 1..FOLDS {
            // Whatever is measured, the decision layers need every label.
            let found = labels_of(scored.iter().map(|scored| &labelled[scored.row])).len();
            if fold >= measured_folds && found == self.rows.topics.len() {
                break;
            }
            scored.extend(self.scores_of_fold(fold, setting)?);
        }
        scored.sort_by_key(|scored| scored.row);
        let all: Vec<&Row> = labelled.iter().collect();
        let fitted = self.fit(&all, setting, true)?;
        self.bar.finish();
        Ok(CrossFitted { scored, fitted, setting, tried, learning, measured_folds })
    }

    /// The scores of the rows of a source by layers that have seen no row of it, nor a copy of one.
    ///
    /// # Errors
    /// As [`cross_fit`](Self::cross_fit).
    pub fn without_source(&self, source: u64, setting: Setting) -> Result<Vec<Scored>, TrainError> {
        let labelled = &self.rows.labelled;
        let (held_out, others): (Vec<usize>, Vec<usize>) =
            (0..labelled.len()).partition(|i| labelled[*i].source == source);
        let copied: HashSet<u64> = held_out.iter().map(|i| labelled[*i].group).collect();
        let learned: Vec<&Row> =
            others.iter().map(|i| &labelled[*i]).filter(|row| !copied.contains(&row.group)).collect();
        let fitted = self.fit_without(Some(source), &learned, setting, true)?;
        Ok(self.score_all(&held_out, &fitted, setting))
    }

    /// The settings that are tried in any case.
    fn settings(&self) -> Vec<Setting> {
        let words: usize = self.rows.labelled.iter().map(|row| row.words.len()).sum();
        let with_ngrams = self.rows.lexicon.with_ngrams() && words * self.rows.topics.len() <= MOST_NGRAM_WORK;
        let ngram_settings = NGRAM_SETTINGS.into_iter().filter(|_| with_ngrams);
        // Without vectors their weight makes no difference.
        let without_vectors = self.vectors.is_empty();
        let mut settings: Vec<Setting> = Vec::new();
        for mut one in SETTINGS.into_iter().chain(ngram_settings) {
            if without_vectors {
                one.vector_weight = 1.0;
            }
            if !settings.contains(&one) {
                settings.push(one);
            }
        }
        settings
    }

    /// The setting that does best in the first fold, with the scores of that fold, and all that were tried.
    fn best_setting(&self, settings: &[Setting]) -> Result<(Setting, Vec<Scored>, Vec<Tried>), TrainError> {
        let begun = Instant::now();
        let first = self.rows_of_fold(0);
        let learned: Vec<&Row> = self.rows.labelled.iter().filter(|row| row.fold != 0).collect();
        let mut best: Option<(f64, Setting, Vec<Scored>)> = None;
        let mut tried = Vec::new();
        let more = MORE_SETTINGS.into_iter().filter(|one| !self.vectors.is_empty() || one.vector_weight == 0.3);
        for (i, setting) in settings.iter().copied().chain(more).enumerate() {
            if i >= settings.len() {
                if begun.elapsed() >= self.params.tune {
                    break;
                }
                self.bar.inc_length(1);
            }
            let scored = self.score_all(&first, &self.fit(&learned, setting, false)?, setting);
            let accuracy = self.accuracy(&scored);
            let Setting { cost, vector_weight, ngrams } = setting;
            tried.push(Tried { cost, vector_weight, ngrams, accuracy, taken: false });
            // N-grams multiply the terms of an article: they must pay for themselves.
            let pays = |best: &(f64, Setting, _)| {
                let costs = if setting.ngrams && !best.1.ngrams { NGRAM_MARGIN } else { 0.0 };
                accuracy > best.0 + costs
            };
            if best.as_ref().is_none_or(pays) {
                best = Some((accuracy, setting, scored));
            }
        }
        let (_, setting, mut scored) = best.ok_or(TrainError::NotFinite)?;
        // What the trials leave out.
        if !self.rows.subtopics.is_empty() || !self.rows.single_topic.is_empty() {
            scored = self.scores_of_fold(0, setting)?;
        }
        let is_taken = |one: &Tried| {
            (one.cost, one.vector_weight, one.ngrams) == (setting.cost, setting.vector_weight, setting.ngrams)
        };
        tried.iter_mut().for_each(|one| one.taken = is_taken(one));
        Ok((setting, scored, tried))
    }

    /// The share of some rows whose best score is that of one of their topics.
    fn accuracy(&self, scored: &[Scored]) -> f64 {
        let is_right = |one: &&Scored| self.rows.labelled[one.row].topics.contains(&argmax(one.topics.iter()));
        scored.iter().filter(is_right).count() as f64 / scored.len().max(1) as f64
    }

    /// Rows learned from and accuracy on the first fold: an eighth, a quarter, half, and all of the other folds. `whole` are
    /// the scores of the last. Which rows are taken is as good as drawn by lot.
    fn learning(&self, setting: Setting, whole: &[Scored]) -> Result<Vec<(usize, f64)>, TrainError> {
        const PARTS: u64 = 8;
        let others = || self.rows.labelled.iter().filter(|row| row.fold != 0);
        let mut points = Vec::new();
        self.bar.inc_length(3);
        for parts in [1, 2, 4] {
            let learned: Vec<&Row> = others().filter(|row| SplitMix(row.content).next_u64() % PARTS < parts).collect();
            // Of a small archive a part may be empty.
            if !learned.is_empty() {
                let fitted = self.fit(&learned, setting, false)?;
                let scored = self.score_all(&self.rows_of_fold(0), &fitted, setting);
                points.push((learned.len(), self.accuracy(&scored)));
            }
        }
        points.push((others().count(), self.accuracy(whole)));
        Ok(points)
    }

    fn rows_of_fold(&self, fold: usize) -> Vec<usize> {
        (0..self.rows.labelled.len()).filter(|i| self.rows.labelled[*i].fold == fold).collect()
    }

    /// The rows of a fold, scored by layers of the others.
    fn scores_of_fold(&self, fold: usize, setting: Setting) -> Result<Vec<Scored>, TrainError> {
        let learned: Vec<&Row> = self.rows.labelled.iter().filter(|row| row.fold != fold).collect();
        self.scores(&self.rows_of_fold(fold), &learned, setting)
    }

    /// Some rows, scored by layers of others.
    fn scores(&self, held_out: &[usize], learned: &[&Row], setting: Setting) -> Result<Vec<Scored>, TrainError> {
        let fitted = self.fit(learned, setting, true)?;
        Ok(self.score_all(held_out, &fitted, setting))
    }

    fn score_all(&self, rows: &[usize], fitted: &Fitted, setting: Setting) -> Vec<Scored> {
        let score = |i: &usize| {
            let row = &self.rows.labelled[*i];
            let terms = self.rows.lexicon.terms(&row.words, setting.ngrams);
            let features = Features::new(&fitted.vocabulary, self.vectors, &terms);
            Scored {
                row: *i,
                topics: scores(&fitted.topics, &features),
                single_topic: fitted.single_topic.as_ref().map(|layer| scores(layer, &features)),
                subtopics: fitted.subtopics.scores(&features),
                known: features.known_words as f64 / row.words.len().max(1) as f64,
            }
        };
        rows.par_iter().map(score).collect()
    }

    /// Vocabulary and linear layers from some rows, and from all rows with one topic each. Unless they are wanted as a whole,
    /// only the vocabulary and the layer of the topics are fitted.
    fn fit(&self, rows: &[&Row], setting: Setting, whole: bool) -> Result<Fitted, TrainError> {
        self.fit_without(None, rows, setting, whole)
    }

    /// The same, without rows with one topic of a source.
    fn fit_without(
        &self,
        without_source: Option<u64>,
        rows: &[&Row],
        setting: Setting,
        whole: bool,
    ) -> Result<Fitted, TrainError> {
        let (terms, documents) = (self.terms(rows, setting), rows.len());
        let vocabulary = Vocabulary::build(terms.iter().copied(), documents);
        let records = self.records(rows, &vocabulary, setting);
        let solver = LinearSvmParams::default().seed(self.params.seed);
        let passes = |rows: usize| (MOST_PASSES * ROWS_FOR_MOST_PASSES / rows.max(1)).clamp(LEAST_PASSES, MOST_PASSES);
        let fit = |records: SparseRecords,
                   rows: &[&Row],
                   cost: f32,
                   labels: std::ops::Range<usize>,
                   of: fn(&Row) -> &[usize]| {
            let mut targets = Array2::from_elem((rows.len(), labels.len()), false);
            for (i, row) in rows.iter().enumerate() {
                for label in of(row).iter().filter(|label| labels.contains(label)) {
                    targets[[i, label - labels.start]] = true;
                }
            }
            let weights: Array1<f32> = rows.iter().map(|row| row.weight).collect();
            let dataset = DatasetBase::new(records, targets).with_weights(weights);
            let solver = solver.clone().cost(cost).max_passes(passes(rows.len()));
            let mut fitted = solver.check()?.fit(&dataset)?;
            // Served vectors have length 1.
            let dense = Slice::from(vocabulary.len()..);
            fitted.weights.slice_axis_mut(Axis(0), dense).mapv_inplace(|weight| weight * setting.vector_weight);
            Ok::<_, TrainError>((fitted, dataset.records))
        };

        let n_topics = self.rows.topics.len();
        let (topics, records) = fit(records, rows, setting.cost, 0..n_topics, |row| &row.topics)?;
        let of_others = |row: &&Row| whole && without_source.is_none_or(|source| row.source != source);
        let single: Vec<&Row> = self.rows.single_topic.iter().filter(of_others).collect();
        let single_topic = match single[..] {
            [] => None,
            _ => {
                let records = self.records(&single, &vocabulary, setting);
                Some(fit(records, &single, setting.cost, 0..n_topics, |row| &row.topics)?.0)
            }
        };
        let mut columns = Vec::new();
        let reach = reach(&vocabulary, &terms);
        let topics_with_subtopics = (0..n_topics).filter(|topic| whole && !self.rows.subtopics_of(*topic).is_empty());
        for topic in topics_with_subtopics {
            let labels = self.rows.subtopics_of(topic);
            let of_topic: Vec<usize> = (0..rows.len()).filter(|i| rows[*i].topics.contains(&topic)).collect();
            let rows: Vec<&Row> = of_topic.iter().map(|i| rows[*i]).collect();
            if rows.is_empty() {
                // What no row teaches is never found.
                let nothing = Array1::zeros(topics.weights.nrows());
                columns.extend(labels.map(|_| SparseColumn::new(nothing.view(), -1.0, &reach, 0)));
                continue;
            }
            let mut records = records.select(&of_topic);
            for from in labels.clone().step_by(SUBTOPICS_AT_ONCE) {
                let part = from..labels.end.min(from + SUBTOPICS_AT_ONCE);
                let (fitted, same) = fit(records, &rows, SUBTOPIC_COST, part, |row| &row.subtopics)?;
                records = same;
                let of_label = fitted.weights.axis_iter(Axis(1)).zip(&fitted.bias);
                columns.extend(
                    of_label
                        .map(|(weights, bias)| SparseColumn::new(weights, *bias, &reach, MOST_WEIGHTS_PER_SUBTOPIC)),
                );
            }
        }
        let dimensions = Features::vector_length(self.vectors.dimensions());
        let subtopics =
            SparseLayer::of_columns(&columns, vocabulary.len(), dimensions, columns.len() * SUBTOPIC_WEIGHTS);
        self.bar.inc(1);
        Ok(Fitted { vocabulary, topics, single_topic, subtopics })
    }

    /// The features of some rows, with the word vectors weighed as the setting says.
    fn records(&self, rows: &[&Row], vocabulary: &Vocabulary, setting: Setting) -> SparseRecords {
        let dimensions = Features::vector_length(self.vectors.dimensions());
        let mut records = SparseRecords::with_dense(vocabulary.len(), dimensions);
        for part in rows.chunks(ROWS_AT_ONCE) {
            let features = |row: &&Row| {
                Features::new(vocabulary, self.vectors, &self.rows.lexicon.terms(&row.words, setting.ngrams))
            };
            for mut features in part.par_iter().map(features).collect::<Vec<_>>() {
                features.vector.iter_mut().for_each(|value| *value *= setting.vector_weight);
                records.push(&features.terms, &features.vector);
            }
        }
        records
    }

    /// The terms that enough of the rows have, with how many have each.
    fn terms(&self, rows: &[&Row], setting: Setting) -> Vec<(u64, u32)> {
        let [least_of_word, least_of_other] = if rows.len() < LARGE_ARCHIVE { [2, 3] } else { [3, 6] };
        let terms_of = |row: &&Row| self.rows.lexicon.terms(&row.words, setting.ngrams);
        let others = |terms: ArticleTerms| [terms.pairs, terms.ngrams].concat();
        let most = MOST_TERMS.min(MOST_WEIGHTS / self.rows.topics.len());
        if rows.iter().map(|row| row.words.len()).sum::<usize>() > TERMS_AT_ONCE {
            let all = |row: &&Row| {
                let terms = terms_of(row);
                [terms.words_by_place(), others(terms)].concat()
            };
            return corpus::commonest_terms(rows, all, least_of_other, most);
        }
        let words = rows.par_iter().map(|row| terms_of(row).words_by_place());
        let mut terms = corpus::common_terms(words, least_of_word);
        terms.extend(corpus::common_terms(rows.par_iter().map(|row| others(terms_of(row))), least_of_other));
        if terms.len() > most {
            terms.sort_unstable_by_key(|(hash, rows)| (std::cmp::Reverse(*rows), *hash));
            terms.truncate(most);
        }
        terms
    }
}

/// How far the scores of all articles would be off, in the mean of their squares, without a weight of 1 for a term: its tf-idf
/// times the root of the number of articles that have it.
fn reach(vocabulary: &Vocabulary, terms: &[(u64, u32)]) -> Vec<f32> {
    let mut reach = vec![0.0; vocabulary.len()];
    for (hash, articles) in terms {
        if let Some(term) = vocabulary.find(*hash) {
            reach[term as usize] = vocabulary.idf(term) * (*articles as f32).sqrt();
        }
    }
    reach
}

/// The scores of a layer as it was fitted.
fn scores(layer: &LinearSvm, features: &Features) -> Array1<f64> {
    let mut scores = layer.bias.clone();
    let n_terms = layer.weights.nrows() - features.vector.len();
    for (term, value) in &features.terms {
        scores.scaled_add(*value, &layer.weights.row(*term as usize));
    }
    for (i, value) in features.vector.iter().enumerate() {
        scores.scaled_add(*value, &layer.weights.row(n_terms + i));
    }
    scores.mapv(f64::from)
}

/// The place of the largest value; the first of equals.
pub fn argmax<'v>(values: impl Iterator<Item = &'v f64>) -> usize {
    values
        .enumerate()
        .fold((0, f64::NEG_INFINITY), |best, (i, value)| if *value > best.1 { (i, *value) } else { best })
        .0
}
