//! Trains the topic model: vocabulary, linear layer, decision layer on cross-fitted scores, thresholds.

use super::{
    Progress, TrainError, corpus,
    metrics::{self, Outcome, TopicScores},
};
use crate::{
    article::Thresholds,
    clean::UNDETERMINED,
    formats::Record,
    linear::{LinearSvmParams, SoftmaxLayer, SparseRecords},
    model::{LabelEntry, TopicManifest, clean_article},
    text::words_into,
    topic::{self, Features, LinearLayer, Topic, TopicClassifier, Vocabulary, WordVectors, taxonomy},
};
use linfa::{DatasetBase, traits::Fit};
use ndarray::{Array1, Array2, Axis};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// REVIEW begins here: about two in five of such labels are right, which is worth an editor's look.
const REVIEW_FROM: f32 = 0.4;
/// Folds of the cross-validation.
pub const FOLDS: usize = 5;

/// What can be set about the training of topics.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TopicParams {
    /// Words that fewer articles have are not learned.
    pub min_articles_word: u32,
    /// Word pairs that fewer articles have are not learned.
    pub min_articles_pair: u32,
    /// What an error costs the linear layer; see [`LinearSvmParams::cost`].
    pub cost: f32,
    /// How much more a long article counts than a short one: rows weigh `(words / median words)^this`, from 0.5 to 8.
    pub length_weight: f32,
    /// The seed of folds and solver.
    pub seed: u64,
}

impl Default for TopicParams {
    fn default() -> Self {
        TopicParams { min_articles_word: 2, min_articles_pair: 3, cost: 0.5, length_weight: 1.0, seed: 1 }
    }
}

/// A row: the hashes of its terms (words first, then pairs, each in order), its labels and its weight.
struct Row {
    words: Vec<u64>,
    pairs: Vec<u64>,
    labels: Vec<usize>,
    weight: f32,
    language: String,
}

/// A trained topic model and how good it measured in cross-validation.
pub struct TrainedTopics {
    /// The model, trained on all rows.
    pub classifier: TopicClassifier,
    /// Articles by label, in the order of the model's topics.
    pub support: Vec<u64>,
    /// Scores on held-out folds.
    pub scores: TopicScores,
    /// For each held-out row its best label's probability and whether it was right.
    pub outcomes: Vec<Outcome>,
    /// Metric by name.
    pub measured: BTreeMap<String, f64>,
    /// ISO 639 codes of the languages that the rows are written in, the commonest first.
    pub languages: Vec<String>,
}

impl TrainedTopics {
    /// What the manifest says of it.
    pub fn manifest(&self) -> TopicManifest {
        let labels = self.classifier.topics().iter().zip(&self.support).map(|(topic, support)| LabelEntry {
            code: topic.code.to_string(),
            name: topic.name.to_string(),
            support: *support,
        });
        TopicManifest {
            labels: labels.collect(),
            thresholds: self.classifier.thresholds(),
            measured: self.measured.clone(),
        }
    }
}

/// A language that fewer rows are guessed to be in has not been learned: guesses on short rows go wrong.
const LEAST_LANGUAGE_SHARE: f64 = 0.1;

/// Trains on labelled rows, with word vectors (which may be none).
///
/// # Errors
/// [`TrainError`], where there are fewer than two labels, or a label has fewer rows than there are folds.
pub fn train(
    records: &[Record],
    vectors: &WordVectors,
    params: &TopicParams,
    progress: &Progress,
) -> Result<TrainedTopics, TrainError> {
    let codes: Vec<String> = {
        let mut codes: Vec<&String> = records.iter().flat_map(|record| &record.topics).collect();
        codes.sort();
        codes.dedup();
        codes.into_iter().cloned().collect()
    };
    if codes.len() < 2 {
        return Err(TrainError::OneLabel { labels: codes });
    }
    let rows = rows(records, &codes, params, progress);
    let mut support = vec![0_u64; codes.len()];
    rows.iter().flat_map(|row| &row.labels).for_each(|label| support[*label] += 1);
    let contents: Vec<u64> = rows.iter().map(content_hash).collect();
    for (label, code) in codes.iter().enumerate() {
        let mut different: Vec<u64> = rows
            .iter()
            .zip(&contents)
            .filter(|(row, _)| row.labels.contains(&label))
            .map(|(_, content)| *content)
            .collect();
        different.sort_unstable();
        different.dedup();
        if different.len() < FOLDS {
            return Err(TrainError::RareLabel { label: code.clone(), rows: different.len(), least: FOLDS });
        }
    }

    // Each fold is scored by a model that has not seen it, quantised as the served model is.
    let keys: Vec<(usize, u64)> = rows.iter().zip(&contents).map(|(row, content)| (row.labels[0], *content)).collect();
    let fold = corpus::folds(&keys, FOLDS, params.seed);
    let mut scores = Array2::<f64>::zeros((rows.len(), codes.len()));
    let bar = progress.steps("topics: cross-fitting", FOLDS as u64 + 1);
    for held_out in 0..FOLDS {
        let learned: Vec<&Row> =
            rows.iter().zip(&fold).filter(|(_, fold)| **fold != held_out).map(|(row, _)| row).collect();
        let (vocabulary, linear) = fit(&learned, vectors, codes.len(), params)?;
        let held: Vec<usize> = (0..rows.len()).filter(|i| fold[*i] == held_out).collect();
        let held_scores: Vec<Array1<f64>> =
            held.par_iter().map(|i| linear.scores(&features(&vocabulary, vectors, &rows[*i]))).collect();
        for (i, row) in held.into_iter().zip(held_scores) {
            scores.row_mut(i).assign(&row);
        }
        bar.inc(1);
    }
    let (vocabulary, linear) = fit(&rows.iter().collect::<Vec<_>>(), vectors, codes.len(), params)?;
    bar.inc(1);
    bar.finish();

    // The decision layer is cross-fitted in turn, so that its quality too is measured on rows it has not seen.
    let bar = progress.steps("topics: decision layer", FOLDS as u64 + 1);
    let layers: Vec<SoftmaxLayer> = (0..=FOLDS)
        .into_par_iter()
        .map(|held_out| {
            // The last one learns from all folds: it is the one to serve.
            let learned: Vec<usize> = (0..rows.len()).filter(|i| fold[*i] != held_out).collect();
            let layer = decision(&scores, &rows, &learned, codes.len());
            bar.inc(1);
            layer
        })
        .collect::<Result<_, _>>()?;
    bar.finish();
    let mut probabilities = Array2::<f64>::zeros(scores.dim());
    for (i, mut row) in probabilities.rows_mut().into_iter().enumerate() {
        row.assign(&layers[fold[i]].probabilities(scores.row(i)));
    }
    let [.., decision] = &layers[..] else { return Err(TrainError::NotFinite) };

    let best: Vec<usize> = probabilities.rows().into_iter().map(|row| argmax(row.iter())).collect();
    let outcomes: Vec<Outcome> = best
        .iter()
        .zip(&rows)
        .enumerate()
        .map(|(i, (best, row))| (probabilities[[i, *best]], row.labels.contains(best)))
        .collect();
    let answers: Vec<_> =
        best.iter().zip(records).map(|(best, record)| (record.topics.clone(), Some(codes[*best].clone()))).collect();
    let scores = TopicScores::of(&answers);
    let auto = metrics::auto_threshold(&outcomes);
    let (coverage, precision) = metrics::coverage_and_precision(auto, &outcomes);
    let measured = BTreeMap::from([
        ("accuracy".to_owned(), scores.accuracy),
        ("macro_f1".to_owned(), scores.macro_f1),
        ("calibration_error".to_owned(), metrics::expected_calibration_error(&outcomes)),
        ("auto_coverage".to_owned(), coverage),
        ("auto_precision".to_owned(), precision),
    ]);
    let thresholds = Thresholds { auto: auto as f32, review: REVIEW_FROM.min(auto as f32) };
    let topics = codes
        .iter()
        .map(|code| Topic { code: code.as_str().into(), name: taxonomy::name(code).unwrap_or(code).into() });
    let classifier =
        TopicClassifier::new(topics.collect(), vocabulary, vectors.clone(), linear, decision.clone(), thresholds)
            .map_err(|error| TrainError::Model(error.into()))?;
    Ok(TrainedTopics { classifier, support, scores, outcomes, measured, languages: languages(&rows) })
}

/// Reads the terms of every row, in parallel.
fn rows(records: &[Record], codes: &[String], params: &TopicParams, progress: &Progress) -> Vec<Row> {
    let bar = progress.steps("topics: reading", records.len() as u64);
    let mut rows: Vec<Row> = records
        .par_iter()
        .map(|record| {
            let document = clean_article(&record.article);
            let mut found = Vec::new();
            words_into(&document, &mut found);
            let words = topic::words(&found).map(|term| term.hash).collect();
            let pairs = topic::pairs(&found).map(|term| term.hash).collect();
            let mut labels: Vec<usize> =
                record.topics.iter().filter_map(|topic| codes.binary_search(topic).ok()).collect();
            let mut seen = Vec::new();
            labels.retain(|label| {
                !seen.contains(label) && {
                    seen.push(*label);
                    true
                }
            });
            bar.inc(1);
            Row { words, pairs, labels, weight: 1.0, language: document.language.into_owned() }
        })
        .collect();
    bar.finish();
    let mut lengths: Vec<usize> = rows.iter().map(|row| row.words.len()).collect();
    lengths.sort_unstable();
    let median = lengths[lengths.len() / 2].max(1) as f32;
    for row in &mut rows {
        row.weight = (row.words.len().max(1) as f32 / median).powf(params.length_weight).clamp(0.5, 8.0);
    }
    rows
}

/// The languages of the rows, the commonest first.
fn languages(rows: &[Row]) -> Vec<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let told = rows.iter().map(|row| row.language.as_str()).filter(|language| *language != UNDETERMINED);
    told.for_each(|language| *counts.entry(language).or_default() += 1);
    let least = LEAST_LANGUAGE_SHARE * counts.values().sum::<usize>() as f64;
    let mut languages: Vec<(usize, &str)> = counts
        .into_iter()
        .filter(|(_, count)| *count as f64 >= least)
        .map(|(language, count)| (count, language))
        .collect();
    languages.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
    languages.into_iter().map(|(_, language)| language.to_owned()).collect()
}

fn content_hash(row: &Row) -> u64 {
    corpus::content_hash(row.words.iter().copied())
}

fn features(vocabulary: &Vocabulary, vectors: &WordVectors, row: &Row) -> Features {
    Features::new(vocabulary, vectors, row.words.iter().copied(), row.pairs.iter().copied())
}

/// Vocabulary and linear layer from some rows.
fn fit(
    rows: &[&Row],
    vectors: &WordVectors,
    n_labels: usize,
    params: &TopicParams,
) -> Result<(Vocabulary, LinearLayer), TrainError> {
    let common = |of: fn(&Row) -> &Vec<u64>, least: u32| {
        let mut hashes: Vec<u64> = rows
            .par_iter()
            .flat_map_iter(|row| {
                let mut hashes = of(row).clone();
                hashes.sort_unstable();
                hashes.dedup();
                hashes
            })
            .collect();
        hashes.par_sort_unstable();
        let counted: Vec<(u64, u32)> =
            hashes.chunk_by(|a, b| a == b).map(|same| (same[0], same.len() as u32)).collect();
        counted.into_iter().filter(move |(_, df)| *df >= least)
    };
    let words = common(|row| &row.words, params.min_articles_word);
    let pairs = common(|row| &row.pairs, params.min_articles_pair);
    let vocabulary = Vocabulary::build(words.chain(pairs), rows.len());

    // The dimensions of the vector are columns behind those of the terms.
    let mut records = SparseRecords::new(vocabulary.len() + vectors.dimensions());
    let mut targets = Array2::from_elem((rows.len(), n_labels), false);
    let features: Vec<_> = rows.par_iter().map(|row| features(&vocabulary, vectors, row)).collect();
    for (i, (row, mut features)) in rows.iter().zip(features).enumerate() {
        let dimensions = features.vector.iter().enumerate().filter(|(_, value)| **value != 0.0);
        features.terms.extend(dimensions.map(|(d, value)| ((vocabulary.len() + d) as u32, *value)));
        records.push(&features.terms);
        row.labels.iter().for_each(|label| targets[[i, *label]] = true);
    }
    let weights: Array1<f32> = rows.iter().map(|row| row.weight).collect();
    let dataset = DatasetBase::new(records, targets).with_weights(weights);
    let fitted = LinearSvmParams::default().cost(params.cost).seed(params.seed).fit(&dataset)?;
    let linear = LinearLayer::quantise(&fitted, vocabulary.len());
    Ok((vocabulary, linear))
}

/// The decision layer from the cross-fitted scores of some rows. A row with several labels counts once for each.
fn decision(
    scores: &Array2<f64>,
    rows: &[Row],
    learned: &[usize],
    n_labels: usize,
) -> Result<SoftmaxLayer, TrainError> {
    let pairs: Vec<(usize, usize)> =
        learned.iter().flat_map(|i| rows[*i].labels.iter().map(move |label| (*i, *label))).collect();
    let indices: Vec<usize> = pairs.iter().map(|pair| pair.0).collect();
    let labels: Vec<usize> = pairs.iter().map(|pair| pair.1).collect();
    Ok(SoftmaxLayer::fit(scores.select(Axis(0), &indices).view(), &labels, n_labels)?)
}

fn argmax<'v>(values: impl Iterator<Item = &'v f64>) -> usize {
    // The first of equals, as the served order has it.
    values
        .enumerate()
        .fold((0, f64::NEG_INFINITY), |best, (i, value)| if *value > best.1 { (i, *value) } else { best })
        .0
}
