//! Second stage: fits vocabularies and linear layers to some rows, and scores rows by layers that have not seen them.

use super::rows::{Row, TopicRows, labels_of};
use crate::{
    linear::{LinearSvm, LinearSvmParams, SparseRecords, SplitMix},
    text::Vocabulary,
    topic::{ArticleTerms, Features, SparseColumn, SparseLayer, WordVectors},
    train::{
        FOLDS, Progress, Steps, TrainError, TrainParams,
        terms::{common_terms, commonest_terms},
    },
};
use linfa::{DatasetBase, ParamGuard, traits::Fit};
use ndarray::{Array1, Array2, Axis, Slice};
use rayon::prelude::*;
use serde::Serialize;
use std::{collections::HashSet, time::Instant};

/// The rows of the measured folds together, if the archive has as many: enough to fit decision layers and to measure.
/// Each measured fold costs one fit to the other folds.
const MEASURED_ROWS: usize = 100_000;
/// Passes of the solver over the rows of an archive that is not large. Larger archives get fewer passes, down to the
/// least, because a pass over many rows moves the weights as far as several over few.
const MOST_PASSES: usize = 60;
const LEAST_PASSES: usize = 20;
const ROWS_FOR_MOST_PASSES: usize = 200_000;
/// Terms of archives with more words are counted in two passes.
const TERMS_AT_ONCE: usize = 32 << 20;
/// The most terms of a vocabulary.
const MOST_TERMS: usize = 500_000;
/// The most weights of a model: with many labels, a vocabulary has fewer terms.
const MOST_WEIGHTS: usize = 1 << 28;
/// Words need two rows to be learned, word pairs and n-grams three; in archives of at least this many rows three and
/// six, which halves the model at no cost in quality.
const LARGE_ARCHIVE: usize = 15_000;
/// The number of rows whose features are made at once.
const ROWS_AT_ONCE: usize = 1 << 13;
/// The number of sub-topics that are fitted at once: each needs a weight per term meanwhile.
const SUBTOPICS_AT_ONCE: usize = 64;
/// The cost of an error of sub-topics, which have few rows each.
const SUBTOPIC_COST: f32 = 2.0;
/// The weights that sub-topics keep, on average and at most.
const SUBTOPIC_WEIGHTS: usize = 8_000;
const MOST_WEIGHTS_PER_SUBTOPIC: usize = 20_000;
/// Character n-grams are tried if the archive has at most this many words, each counted once per label.
const MOST_NGRAM_WORK: usize = 50_000_000;
/// Character n-grams are used if they raise accuracy by more than this.
const NGRAM_MARGIN: f64 = 0.005;

/// The hyperparameters of the linear layers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Setting {
    /// The cost of an error; see [`LinearSvmParams::cost`].
    cost: f32,
    /// The weight of the word vectors beside tf-idf, whose norm is 1.
    vector_weight: f32,
    /// Whether character n-grams are among the terms.
    pub ngrams: bool,
}

const fn setting(cost: f32, vector_weight: f32, ngrams: bool) -> Setting {
    Setting { cost, vector_weight, ngrams }
}

/// Word vectors help on other outlets and forms of articles. On long articles of a narrow field, such as newsgroups,
/// they blur; there words alone are used, if they are better in the first fold.
const SETTINGS: [Setting; 2] = [setting(0.5, 0.3, false), setting(1.0, 0.05, false)];
/// Character n-grams help with languages of rich morphology, and with misspelt words.
const NGRAM_SETTINGS: [Setting; 2] = [setting(1.0, 0.05, true), setting(1.0, 0.3, true)];
/// Further settings for tuning, the most promising first.
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

/// A setting that was tried, and its result.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Tried {
    /// The cost of an error of the linear layer.
    pub cost: f32,
    /// The weight of the word vectors beside tf-idf.
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
    /// Scores of topics, from rows with all their topics.
    pub topics: LinearSvm,
    /// Scores of topics, from rows with one topic each.
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
    /// The score of each topic by the layer of rows with one topic each, if there is one.
    pub single_topic: Option<Array1<f64>>,
    /// The score of each sub-topic.
    pub subtopics: Array1<f64>,
    /// The share of its words in the vocabulary.
    pub known: f64,
}

/// The result of cross-fitting.
pub struct CrossFitted {
    /// The scores of the rows of the measured folds, by row.
    pub scored: Vec<Scored>,
    /// The layers fitted to all rows.
    pub fitted: Fitted,
    /// The setting of all fits.
    pub setting: Setting,
    /// The settings that were tried. The one with the best accuracy was taken; of equals, the first.
    pub tried: Vec<Tried>,
    /// Training rows and accuracy on the first fold; empty if not asked for.
    pub learning: Vec<(usize, f64)>,
    /// The number of folds that were measured: in a large archive not all.
    pub measured_folds: usize,
}

/// Fits vocabularies and linear layers.
pub struct Trainer<'a> {
    rows: &'a TopicRows,
    vectors: &'a WordVectors,
    params: &'a TrainParams,
    /// Counts the fits.
    bar: Box<dyn Steps>,
}

impl<'a> Trainer<'a> {
    /// A trainer for some rows.
    pub fn new(
        rows: &'a TopicRows,
        vectors: &'a WordVectors,
        params: &'a TrainParams,
        progress: &dyn Progress,
    ) -> Self {
        Trainer { rows, vectors, params, bar: progress.start("topics: fitting layers", 0) }
    }

    /// Finds the best setting, and scores the rows of each fold by layers fitted to the others.
    ///
    /// # Errors
    /// [`TrainError::Linear`] if the solver fails.
    pub fn cross_fit(&self) -> Result<CrossFitted, TrainError> {
        let labelled = &self.rows.labelled;
        let measured_folds = (MEASURED_ROWS * FOLDS).div_ceil(labelled.len()).clamp(1, FOLDS);
        let settings = self.settings();
        self.bar.extend((settings.len() + measured_folds) as u64);
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
        Ok(CrossFitted { scored, fitted, setting, tried, learning, measured_folds })
    }

    /// Scores the rows of a source by layers that have seen no row of it, nor a copy of one.
    ///
    /// # Errors
    /// As of [`cross_fit`](Self::cross_fit).
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

    /// The settings that are always tried.
    fn settings(&self) -> Vec<Setting> {
        let words: usize = self.rows.labelled.iter().map(|row| row.words.len()).sum();
        let with_ngrams = self.rows.lexicon.with_ngrams() && words * self.rows.topics.len() <= MOST_NGRAM_WORK;
        let ngram_settings = NGRAM_SETTINGS.into_iter().filter(|_| with_ngrams);
        // Without word vectors their weight has no effect.
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

    /// The setting with the best accuracy in the first fold, the scores of that fold, and all settings that were tried.
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
                self.bar.extend(1);
            }
            let scored = self.score_all(&first, &self.fit(&learned, setting, false)?, setting);
            let accuracy = self.accuracy(&scored);
            let Setting { cost, vector_weight, ngrams } = setting;
            tried.push(Tried { cost, vector_weight, ngrams, accuracy, taken: false });
            // N-grams multiply the terms of an article: they must gain enough.
            let pays = |best: &(f64, Setting, _)| {
                let costs = if setting.ngrams && !best.1.ngrams { NGRAM_MARGIN } else { 0.0 };
                accuracy > best.0 + costs
            };
            if best.as_ref().is_none_or(pays) {
                best = Some((accuracy, setting, scored));
            }
        }
        let (_, setting, mut scored) = best.ok_or(TrainError::NotFinite)?;
        // Fits that are no longer needed.
        if !self.rows.subtopics.is_empty() || !self.rows.single_topic.is_empty() {
            scored = self.scores_of_fold(0, setting)?;
        }
        let is_taken = |one: &Tried| {
            (one.cost, one.vector_weight, one.ngrams) == (setting.cost, setting.vector_weight, setting.ngrams)
        };
        tried.iter_mut().for_each(|one| one.taken = is_taken(one));
        Ok((setting, scored, tried))
    }

    /// The share of rows whose highest score is that of one of their topics.
    fn accuracy(&self, scored: &[Scored]) -> f64 {
        let is_right = |one: &&Scored| self.rows.labelled[one.row].topics.contains(&argmax(one.topics.iter()));
        scored.iter().filter(is_right).count() as f64 / scored.len().max(1) as f64
    }

    /// The learning curve: training rows and accuracy on the first fold, for an eighth, a quarter, a half and all of
    /// the other folds. `whole` are the scores of the last. The rows are a random sample.
    fn learning(&self, setting: Setting, whole: &[Scored]) -> Result<Vec<(usize, f64)>, TrainError> {
        const PARTS: u64 = 8;
        let others = || self.rows.labelled.iter().filter(|row| row.fold != 0);
        let mut points = Vec::new();
        self.bar.extend(3);
        for parts in [1, 2, 4] {
            let learned: Vec<&Row> = others().filter(|row| SplitMix(row.content).next_u64() % PARTS < parts).collect();
            // A part of a small archive may be empty.
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

    /// Scores the rows of a fold by layers of the others.
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
                subtopics: fitted.subtopics.all_scores(&features),
                known: features.known_words as f64 / row.words.len().max(1) as f64,
            }
        };
        rows.par_iter().map(score).collect()
    }

    /// Fits vocabulary and linear layers to some rows, and to all rows with one topic each. Unless `whole`, only the
    /// vocabulary and the layer of the topics are fitted.
    fn fit(&self, rows: &[&Row], setting: Setting, whole: bool) -> Result<Fitted, TrainError> {
        self.fit_without(None, rows, setting, whole)
    }

    /// The same, without single-topic rows of a source.
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
            // Word vectors are served with norm 1.
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
                // A topic without rows is never answered.
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
        self.bar.advance(1);
        Ok(Fitted { vocabulary, topics, single_topic, subtopics })
    }

    /// The features of some rows, with word vectors weighted by the setting.
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

    /// The terms of enough rows, with their document frequencies.
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
            return commonest_terms(rows, all, least_of_other, most);
        }
        let words = rows.par_iter().map(|row| terms_of(row).words_by_place());
        let mut terms = common_terms(words, least_of_word);
        terms.extend(common_terms(rows.par_iter().map(|row| others(terms_of(row))), least_of_other));
        if terms.len() > most {
            terms.sort_unstable_by_key(|(hash, rows)| (std::cmp::Reverse(*rows), *hash));
            terms.truncate(most);
        }
        terms
    }
}

/// The importance of a term: the mean square change of all scores without a weight of 1 for it, which is its tf-idf
/// times the root of its document frequency.
fn reach(vocabulary: &Vocabulary, terms: &[(u64, u32)]) -> Vec<f32> {
    let mut reach = vec![0.0; vocabulary.len()];
    for (hash, articles) in terms {
        if let Some(term) = vocabulary.find(*hash) {
            reach[term as usize] = vocabulary.idf(term) * (*articles as f32).sqrt();
        }
    }
    reach
}

/// The scores of a layer.
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

/// The index of the largest value; of equals, the first.
pub fn argmax<'v>(values: impl Iterator<Item = &'v f64>) -> usize {
    values
        .enumerate()
        .fold((0, f64::NEG_INFINITY), |best, (i, value)| if *value > best.1 { (i, *value) } else { best })
        .0
}
