//! Trains the topic model: vocabulary, linear layer, decision layer on cross-fitted scores, thresholds.
//!
//! Beside the rows that carry labels two kinds of rows teach, and neither is ever measured with them: weak rows, labelled
//! by rule (by `train --unlabelled`), and made rows. Full articles mostly come with some labels, headlines and one-liners
//! with others; so that the form and the prose of articles are not taken for a topic, each label that has few articles of a
//! form gets some made of its other rows: headlines of first words, bodies of headlines, and full articles of a headline,
//! several rows of one label and fold, and about as many words again, a dozen here and a dozen there, of full articles on
//! anything.

use super::{
    Progress, Rows, TrainError, copies, corpus,
    evaluate::TopicAnswer,
    lexicon::{Found, Lexicon, PackedRow},
    metrics::{self, Outcome, TopicScores},
};
use crate::{
    article::Thresholds,
    clean::UNDETERMINED,
    formats::Record,
    linear::{LinearSvmParams, SoftmaxLayer, SparseRecords, SplitMix},
    model::{LabelEntry, TopicManifest, clean_article},
    text::{Vocabulary, words_into},
    topic::{ArticleTerms, Features, Form, FormKind, LinearLayer, Topic, TopicClassifier, WordVectors, taxonomy},
};
use indicatif::ProgressBar;
use linfa::{DatasetBase, ParamGuard};
use ndarray::{Array1, Array2, Axis, Slice};
use rayon::prelude::*;
use serde::Serialize;
use std::{
    collections::{BTreeMap, HashSet},
    time::{Duration, Instant},
};

/// REVIEW begins here: about two in five of such labels are right, which is worth an editor's look.
const REVIEW_FROM: f32 = 0.4;
/// A correction counts as so many rows of its length.
const CORRECTION_WEIGHT: f32 = 4.0;
/// Folds of the cross-validation.
pub const FOLDS: usize = 5;

/// What can be set about the training of topics.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TopicParams {
    /// Words that fewer articles have are not learned.
    pub min_articles_word: u32,
    /// Word pairs that fewer articles have are not learned.
    pub min_articles_pair: u32,
    /// How much more a long article counts than a short one: rows weigh `(words / median words)^this`, from 0.5 to 8.
    pub length_weight: f32,
    /// The seed of folds and solver.
    pub seed: u64,
    /// Whether to measure what more rows would bring: takes about as long as fitting once.
    pub learning_curve: bool,
    /// How long to go on trying settings beside the usual ones; one that is begun is tried to its end. The same settings tried
    /// give the same bytes, and how many are tried is a matter of the machine.
    pub tune: Duration,
}

impl Default for TopicParams {
    fn default() -> Self {
        TopicParams {
            min_articles_word: 2,
            min_articles_pair: 3,
            length_weight: 1.0,
            seed: 1,
            learning_curve: false,
            tune: Duration::ZERO,
        }
    }
}

/// What the linear layer is fitted with: what an error costs it (see [`LinearSvmParams::cost`]), and how much the word vectors
/// count beside tf-idf, which is of length 1.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Setting {
    cost: f32,
    vector_weight: f32,
}

/// Word vectors carry what is learned over to other outlets and forms of articles. On long articles of a narrow field, such as
/// newsgroups, they blur it; there words decide, where that is better in the first fold.
const SETTINGS: [Setting; 2] = [Setting { cost: 0.5, vector_weight: 1.0 }, Setting { cost: 1.0, vector_weight: 0.05 }];
/// What is tried beside them where there is time for tuning, the likeliest first.
const MORE_SETTINGS: [(f32, f32); 10] = [
    (1.0, 1.0),
    (0.25, 1.0),
    (0.5, 0.3),
    (0.5, 0.05),
    (1.0, 0.3),
    (0.5, 2.0),
    (0.25, 0.3),
    (2.0, 0.05),
    (2.0, 0.3),
    (0.25, 2.0),
];

/// A setting that was tried, and what came of it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Tried {
    /// What an error costs the linear layer.
    pub cost: f32,
    /// How much word vectors count beside tf-idf.
    pub vector_weight: f32,
    /// Accuracy on the first fold, before the decision layer.
    pub accuracy: f64,
    /// Whether the model was trained with it.
    pub taken: bool,
}

/// The decision layer learns from so many rows of each form at most, evenly picked: it has some hundred weights a label, and
/// the stock regression passes over all its rows hundreds of times.
const DECISION_ROWS: usize = 12_000;

/// So many words of body, beside a headline, make a full article.
const FULL_ARTICLE_WORDS: usize = 50;
/// A label with fewer articles of a form gets made ones up to this, where another label has as many.
const LEAST_OF_FORM: usize = 250;
/// How many words of other articles a made full article has for each of its own, on average.
const PROSE_SHARE: f64 = 1.0;
/// They come in passages of so many words.
const PASSAGE_WORDS: usize = 12;
/// Of the held-out rows, this share has fewer known words than `least_known`.
const UNFAMILIAR_SHARE: f64 = 0.001;

/// Where a row comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Labelled,
    Weak,
    Made,
}

/// A row: its words, its labels, its weight and its fold.
struct Row {
    kind: Kind,
    words: PackedRow,
    /// A hash of its words in order.
    content: u64,
    /// The same of the first of its copies.
    group: u64,
    form: Form,
    labels: Vec<usize>,
    weight: f32,
    language: String,
    language_is_stated: bool,
    fold: usize,
}

/// The folds that are measured have so many rows together, if the archive has: enough to learn a decision layer from and to
/// measure with, and each fold that is measured takes a fit to the others.
const MEASURED_ROWS: usize = 100_000;
/// The solver passes over the rows of an archive that is not large so often at most, and fewer times over more, for each pass
/// over many rows moves the weights as often as several over few, but never fewer than the least.
const MOST_PASSES: usize = 60;
const LEAST_PASSES: usize = 20;
const ROWS_FOR_MOST_PASSES: usize = 200_000;
/// Of archives with more words the terms are counted in two passes.
const TERMS_AT_ONCE: usize = 32 << 20;
/// A vocabulary has the commonest terms up to this.
const MOST_TERMS: usize = 500_000;
/// Rows are read, and features made, so many at once.
const ROWS_AT_ONCE: usize = 1 << 13;

impl Row {
    fn new(kind: Kind, words: PackedRow, labels: Vec<usize>, lexicon: &Lexicon) -> Self {
        let content = corpus::content_hash(lexicon.words(&words).into_iter());
        Row {
            kind,
            content,
            group: content,
            form: Form::of(words.len(), words.headline()),
            words,
            labels,
            weight: 1.0,
            language: String::new(),
            language_is_stated: false,
            fold: 0,
        }
    }

    /// The form that the row is an example of: a headline with a line of text is none.
    fn example(&self) -> Option<FormKind> {
        let kind = self.form.kind();
        let full = kind != FormKind::Both || self.words.len() - self.words.headline() >= FULL_ARTICLE_WORDS;
        (self.words.len() > 0 && full).then_some(kind)
    }
}

/// A trained topic model and how good it measured in cross-validation.
pub struct TrainedTopics {
    /// The model, trained on all rows.
    pub classifier: TopicClassifier,
    /// Articles by label, in the order of the model's topics.
    pub support: Vec<u64>,
    /// Weak rows by label.
    pub weak_support: Vec<u64>,
    /// The least share of known words; see [`TopicManifest`].
    pub least_known: f64,
    /// Scores on held-out folds.
    pub scores: TopicScores,
    /// Scores on held-out weak rows: how well the model tells what the rules tell.
    pub weak_scores: TopicScores,
    /// How many labelled rows, and how many of them had the right answer, by the file that they came from.
    pub by_file: BTreeMap<String, (usize, usize)>,
    /// For each held-out row its best label's probability and whether it was right.
    pub outcomes: Vec<Outcome>,
    /// Which rows were held out and answered, in their order; of a large archive not all.
    pub answered: Vec<usize>,
    /// The answers to these.
    pub answers: Vec<TopicAnswer>,
    /// The settings that were tried; the one with the best accuracy was taken, the first of equals.
    pub tried: Vec<Tried>,
    /// Rows learned from and accuracy on the first fold, before the decision layer; empty where it was not asked for.
    pub learning: Vec<(usize, f64)>,
    /// Metric by name.
    pub measured: BTreeMap<String, f64>,
    /// ISO 639 codes of the languages that the rows are written in, the commonest first.
    pub languages: Vec<String>,
}

impl TrainedTopics {
    /// What the manifest says of it.
    pub fn manifest(&self) -> TopicManifest {
        let support = self.support.iter().zip(&self.weak_support);
        let labels = self.classifier.topics().iter().zip(support).map(|(topic, (support, weak))| LabelEntry {
            code: topic.code.to_string(),
            name: topic.name.to_string(),
            support: *support,
            weak: *weak,
        });
        TopicManifest {
            labels: labels.collect(),
            thresholds: self.classifier.thresholds(),
            least_known: self.least_known,
            measured: self.measured.clone(),
        }
    }
}

/// A language that fewer rows are guessed to be in has not been learned: guesses on short rows go wrong.
const LEAST_LANGUAGE_SHARE: f64 = 0.1;

/// Trains on labelled rows and weak ones, with word vectors (which may be none).
///
/// # Errors
/// [`TrainError`], if there are fewer than two labels.
pub fn train(
    archive: &Rows,
    weak: &[Record],
    vectors: &WordVectors,
    params: &TopicParams,
    progress: &Progress,
) -> Result<TrainedTopics, TrainError> {
    let labelled = &archive.records[..];
    let codes: Vec<String> = {
        let mut codes: Vec<&String> = labelled.iter().chain(weak).flat_map(|record| &record.topics).collect();
        codes.sort();
        codes.dedup();
        codes.into_iter().cloned().collect()
    };
    if codes.len() < 2 {
        return Err(TrainError::OneLabel { labels: codes });
    }
    let (lexicon, mut rows) = rows(labelled, weak, &codes, params, progress);
    let of_kind = |kind: Kind| move |row: &&Row| row.kind == kind;
    let count = |kind: Kind| {
        let mut counts = vec![0_u64; codes.len()];
        rows.iter().filter(of_kind(kind)).flat_map(|row| &row.labels).for_each(|label| counts[*label] += 1);
        counts
    };
    let (support, weak_support) = (count(Kind::Labelled), count(Kind::Weak));
    let languages = languages(&rows);
    rows.extend(made(&rows, codes.len(), params.seed, &lexicon));
    weigh(&mut rows, params);
    // They stand behind all others that people labelled.
    for row in rows[labelled.len() - archive.corrections..labelled.len()].iter_mut() {
        row.weight *= CORRECTION_WEIGHT;
    }

    // Each fold is scored by a model that has not seen it, quantised as the served model is.
    let measured_folds = (MEASURED_ROWS * FOLDS).div_ceil(rows.len()).clamp(1, FOLDS);
    let steps = measured_folds + 1 + SETTINGS.len() - 1;
    let bar = progress.steps("topics: fitting labels", (steps * codes.len()) as u64);
    let trainer = Trainer { rows: &rows, lexicon: &lexicon, vectors, n_labels: codes.len(), params, bar };
    let (setting, first, tried) = trainer.best_setting()?;
    let learning = if params.learning_curve { trainer.learning(setting, &first)? } else { Vec::new() };
    let mut scored: Vec<Scored> = first;
    for fold in 1..FOLDS {
        // Whatever is measured, the decision layer needs every label.
        let labels = scored.iter().flat_map(|scored| &rows[scored.row].labels).collect::<HashSet<_>>().len();
        if fold >= measured_folds && labels == codes.len() {
            break;
        }
        trainer.bar.inc_length(if fold < measured_folds { 0 } else { codes.len() as u64 });
        scored.extend(trainer.scores(fold, setting)?);
    }
    let given: Vec<Form> = rows.iter().filter(|row| row.kind == Kind::Labelled).map(|row| row.form).collect();
    let n_inputs = if Form::differ(&given) { Form::inputs_for(codes.len()) } else { codes.len() };
    scored.sort_by_key(|scored| scored.row);
    let mut inputs = Array2::<f64>::zeros((scored.len(), n_inputs));
    for (mut inputs, scored) in inputs.rows_mut().into_iter().zip(&scored) {
        // A layer that reads the scores alone has the first inputs alone.
        let input = rows[scored.row].form.inputs(scored.scores.view());
        inputs.iter_mut().zip(input).for_each(|(cell, value)| *cell = value);
    }
    let mut known: Vec<f64> = scored.iter().map(|scored| scored.known).collect();
    // The rows that the decision layer learns from, each with the fold in which it does not.
    let measured: Vec<&Row> = scored.iter().map(|scored| &rows[scored.row]).collect();
    let decision_folds = if measured_folds == FOLDS {
        measured.iter().map(|row| row.fold).collect()
    } else {
        folds(&measured, params.seed + 1)
    };
    let measured: Vec<(&Row, usize)> = measured.into_iter().zip(decision_folds).collect();
    let (vocabulary, linear) = trainer.fit(&rows.iter().collect::<Vec<_>>(), setting)?;
    trainer.bar.finish();

    // The decision layer is cross-fitted in turn, so that its quality too is measured on rows it has not seen.
    let bar = progress.steps("topics: decision layer", FOLDS as u64 + 1);
    let layers: Vec<SoftmaxLayer> = (0..=FOLDS)
        .into_par_iter()
        .map(|held_out| {
            // The last one learns from all folds: it is the one to serve.
            let mut learned: Vec<usize> = (0..measured.len()).filter(|i| measured[*i].1 != held_out).collect();
            // A label whose measured rows are all in one fold is measured by a layer that has seen them.
            let labels: HashSet<usize> = learned.iter().flat_map(|i| measured[*i].0.labels.iter().copied()).collect();
            if labels.len() < codes.len() {
                learned = (0..measured.len()).collect();
            }
            let layer = decision(&inputs, &measured, &learned, codes.len());
            bar.inc(1);
            layer
        })
        .collect::<Result<_, _>>()?;
    bar.finish();
    let [.., decision] = &layers[..] else { return Err(TrainError::NotFinite) };

    let held_out = |kind: Kind| -> (Vec<usize>, Vec<TopicAnswer>) {
        let indices = (0..measured.len()).filter(|i| measured[*i].0.kind == kind);
        indices
            .map(|i| {
                let (row, fold) = measured[i];
                let probabilities = layers[fold].probabilities(inputs.row(i));
                let best = argmax(probabilities.iter());
                let truth = row.labels.iter().map(|label| codes[*label].clone()).collect();
                let answer = TopicAnswer { truth, best: Some(codes[best].clone()), confidence: probabilities[best] };
                (scored[i].row, answer)
            })
            .unzip()
    };
    // Labelled rows stand first.
    let ((answered, answers), (_, weak_answers)) = (held_out(Kind::Labelled), held_out(Kind::Weak));
    let outcomes: Vec<Outcome> = answers.iter().map(|answer| (answer.confidence, answer.is_right())).collect();
    let scores = TopicScores::of_answers(&answers);
    let mut by_file: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for (i, (_, right)) in answered.iter().zip(&outcomes) {
        let file = by_file.entry(corpus::file_name(corpus::file_of(&labelled[*i].place))).or_default();
        *file = (file.0 + 1, file.1 + usize::from(*right));
    }
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
    known.sort_by(f64::total_cmp);
    let least_known = known.get((known.len() as f64 * UNFAMILIAR_SHARE) as usize).copied().unwrap_or(0.0);
    Ok(TrainedTopics {
        classifier,
        support,
        weak_support,
        least_known,
        scores,
        weak_scores: TopicScores::of_answers(&weak_answers),
        by_file,
        outcomes,
        answered,
        answers,
        tried,
        learning,
        measured,
        languages,
    })
}

/// Reads the words of every row and gives it a fold: labelled rows first, then weak ones.
fn rows(
    labelled: &[Record],
    weak: &[Record],
    codes: &[String],
    params: &TopicParams,
    progress: &Progress,
) -> (Lexicon, Vec<Row>) {
    let bar = progress.steps("topics: reading", (labelled.len() + weak.len()) as u64);
    let mut lexicon = Lexicon::default();
    let mut rows: Vec<Row> = Vec::with_capacity(labelled.len() + weak.len());
    for (kind, records) in [(Kind::Labelled, labelled), (Kind::Weak, weak)] {
        for part in records.chunks(ROWS_AT_ONCE) {
            let read = part.par_iter().map_init(Vec::new, |words, record| {
                let document = clean_article(&record.article);
                words_into(&document, words);
                (Found::of(words), document.language.into_owned(), !document.language_is_detected)
            });
            for ((found, language, language_is_stated), record) in read.collect::<Vec<_>>().iter().zip(part) {
                let mut labels: Vec<usize> =
                    record.topics.iter().filter_map(|topic| codes.binary_search(topic).ok()).collect();
                let mut seen = HashSet::new();
                labels.retain(|label| seen.insert(*label));
                let packed = lexicon.pack(found);
                let (language, language_is_stated) = (language.clone(), *language_is_stated);
                rows.push(Row { language, language_is_stated, ..Row::new(kind, packed, labels, &lexicon) });
            }
            bar.inc(part.len() as u64);
        }
    }
    bar.finish();
    let groups = copies::groups(&rows, |row| lexicon.words(&row.words).into());
    rows.iter_mut().zip(groups).for_each(|(row, group)| row.group = group);
    let folds = folds(&rows.iter().collect::<Vec<_>>(), params.seed);
    rows.iter_mut().zip(folds).for_each(|(row, fold)| row.fold = fold);
    (lexicon, rows)
}

/// A fold for each row, copies in one, evenly for each label.
fn folds(rows: &[&Row], seed: u64) -> Vec<usize> {
    let keys: Vec<(usize, u64)> = rows.iter().map(|row| (row.labels[0], row.group)).collect();
    corpus::folds(&keys, FOLDS, seed)
}

/// Takes weak rows away whose label no labelled row has, if too few are different: every label needs rows in every fold.
pub fn leave_out_rare_labels(labelled: &[Record], weak: &mut Vec<Record>) {
    let learned: HashSet<&String> = labelled.iter().flat_map(|record| &record.topics).collect();
    let mut different: BTreeMap<String, HashSet<u64>> = BTreeMap::new();
    for record in weak.iter() {
        for label in record.topics.iter().filter(|label| !learned.contains(label)) {
            different.entry(label.clone()).or_default().insert(corpus::text_hash(&record.article.body));
        }
    }
    different.retain(|_, rows| rows.len() < FOLDS);
    weak.retain(|record| !record.topics.iter().any(|label| different.contains_key(label)));
}

/// Rows of each form for labels that have few of it, each made of rows of one label and one fold.
fn made(rows: &[Row], n_labels: usize, seed: u64, lexicon: &Lexicon) -> Vec<Row> {
    let mut count: BTreeMap<FormKind, Vec<usize>> = BTreeMap::new();
    let mut by_label: BTreeMap<(usize, usize), Vec<&PackedRow>> = BTreeMap::new();
    let mut prose: Vec<Vec<&PackedRow>> = vec![Vec::new(); FOLDS];
    for row in rows {
        let Some(form) = row.example() else { continue };
        let counts = count.entry(form).or_insert_with(|| vec![0; n_labels]);
        row.labels.iter().for_each(|label| counts[*label] += 1);
        if form == FormKind::Both {
            prose[row.fold].push(&row.words);
        } else if let [label] = row.labels[..] {
            by_label.entry((label, row.fold)).or_default().push(&row.words);
        }
    }
    // A form that no label has often says nothing.
    count.retain(|_, counts| counts.iter().any(|count| *count >= LEAST_OF_FORM));
    let mut random = SplitMix(seed);
    let mut made = Vec::new();
    for (form, counts) in count {
        for ((label, fold), sources) in &by_label {
            let missing = LEAST_OF_FORM.saturating_sub(counts[*label]) / FOLDS;
            for _ in 0..missing.min(sources.len()) {
                let words = match form {
                    FormKind::Headline => headline_of(sources[random.below(sources.len())]),
                    FormKind::Body => sources[random.below(sources.len())].body(),
                    FormKind::Both => join(sources, &prose[*fold], &mut random),
                };
                made.push(Row { fold: *fold, ..Row::new(Kind::Made, words, vec![*label], lexicon) });
            }
        }
    }
    made
}

/// The headline of a row, or its first words for one.
fn headline_of(row: &PackedRow) -> PackedRow {
    const HEADLINE_WORDS: usize = 9;
    row.first(if row.headline() > 0 { row.headline() } else { row.len().min(HEADLINE_WORDS) })
}

/// A full article of some rows, two to ten that stand close to each other, as rows of one time and source do, and of
/// passages of full articles.
fn join(rows: &[&PackedRow], prose: &[&PackedRow], random: &mut SplitMix) -> PackedRow {
    const CLOSE: usize = 30;
    let start = random.below(rows.len());
    let first = rows[start];
    let mut joined = headline_of(first);
    let others = 1 + random.below(9);
    let near: Vec<_> = (0..others).map(|_| rows[(start + random.below(CLOSE)) % rows.len()]).collect();
    for part in std::iter::once(first).chain(near) {
        joined.append(part, 0, part.len());
    }
    let told = joined.len();
    let with_prose = told + (told as f64 * PROSE_SHARE * (0.5 + random.below(100) as f64 / 100.0)) as usize;
    while joined.len() < with_prose && !prose.is_empty() {
        let other = prose[random.below(prose.len())];
        let body = other.len() - other.headline();
        joined.append(other, other.headline() + random.below(body - PASSAGE_WORDS), PASSAGE_WORDS);
    }
    joined
}

/// Gives each row its weight by its length.
fn weigh(rows: &mut [Row], params: &TopicParams) {
    let mut lengths: Vec<usize> = rows.iter().map(|row| row.words.len()).collect();
    lengths.sort_unstable();
    let median = lengths[lengths.len() / 2].max(1) as f32;
    for row in rows {
        row.weight = (row.words.len().max(1) as f32 / median).powf(params.length_weight).clamp(0.5, 8.0);
    }
}

/// The languages of the rows, the commonest first: those that rows state, and those that are detected often.
fn languages(rows: &[Row]) -> Vec<String> {
    // How many rows are in it, and how many of them say so.
    let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for row in rows.iter().filter(|row| !row.language.is_empty() && row.language != UNDETERMINED) {
        let (all, stated) = counts.entry(&row.language).or_default();
        *all += 1;
        *stated += usize::from(row.language_is_stated);
    }
    let least = LEAST_LANGUAGE_SHARE * counts.values().map(|(all, _)| all).sum::<usize>() as f64;
    let mut languages: Vec<(usize, &str)> = counts
        .into_iter()
        .filter(|(_, (all, stated))| *all as f64 >= least || *stated >= FOLDS)
        .map(|(language, (all, _))| (all, language))
        .collect();
    languages.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
    languages.into_iter().map(|(_, language)| language.to_owned()).collect()
}

/// Fits vocabularies and linear layers.
struct Trainer<'a> {
    rows: &'a [Row],
    lexicon: &'a Lexicon,
    vectors: &'a WordVectors,
    n_labels: usize,
    params: &'a TopicParams,
    /// A step a label of each fit.
    bar: ProgressBar,
}

/// What a model that has not seen a row says of it.
struct Scored {
    /// The row, as an index.
    row: usize,
    scores: Array1<f64>,
    /// The share of its words that the vocabulary knows.
    known: f64,
}

impl Trainer<'_> {
    /// The setting that does best in the first fold, with the scores of that fold, and all that were tried.
    fn best_setting(&self) -> Result<(Setting, Vec<Scored>, Vec<Tried>), TrainError> {
        let begun = Instant::now();
        let mut best: Option<(f64, Setting, Vec<Scored>)> = None;
        let mut tried = Vec::new();
        let more = MORE_SETTINGS.into_iter().map(|(cost, vector_weight)| Setting { cost, vector_weight });
        // Without vectors their weight makes no difference.
        let more = more.filter(|setting| self.vectors.dimensions() > 0 || setting.vector_weight == 1.0);
        for (i, setting) in SETTINGS.into_iter().chain(more).enumerate() {
            if i >= SETTINGS.len() {
                if begun.elapsed() >= self.params.tune {
                    break;
                }
                self.bar.inc_length(self.n_labels as u64);
            }
            let scored = self.scores(0, setting)?;
            let accuracy = self.accuracy(&scored);
            let Setting { cost, vector_weight } = setting;
            tried.push(Tried { cost, vector_weight, accuracy, taken: false });
            if best.as_ref().is_none_or(|best| accuracy > best.0) {
                best = Some((accuracy, setting, scored));
            }
        }
        let (_, setting, scored) = best.ok_or(TrainError::NotFinite)?;
        let taken = |tried: &Tried| Setting { cost: tried.cost, vector_weight: tried.vector_weight } == setting;
        tried.iter_mut().for_each(|one| one.taken = taken(one));
        Ok((setting, scored, tried))
    }

    /// The share of the labelled rows among some whose best score is that of one of their labels.
    fn accuracy(&self, scored: &[Scored]) -> f64 {
        let labelled = scored.iter().filter(|scored| self.rows[scored.row].kind == Kind::Labelled);
        let right: Vec<bool> =
            labelled.map(|scored| self.rows[scored.row].labels.contains(&argmax(scored.scores.iter()))).collect();
        right.iter().filter(|right| **right).count() as f64 / right.len().max(1) as f64
    }

    /// Rows learned from and accuracy on the first fold: an eighth, a quarter, half, and all of the other folds. `whole` are
    /// the scores of the last. The rows that are taken are as good as drawn by lot.
    fn learning(&self, setting: Setting, whole: &[Scored]) -> Result<Vec<(usize, f64)>, TrainError> {
        const PARTS: u64 = 8;
        let others = || self.rows.iter().filter(|row| row.fold != 0);
        let labelled = |rows: &[&Row]| rows.iter().filter(|row| row.kind == Kind::Labelled).count();
        let mut points = Vec::new();
        self.bar.inc_length(3 * self.n_labels as u64);
        for parts in [1, 2, 4] {
            let taken = |row: &&Row| SplitMix(row.content).next_u64() % PARTS < parts;
            let learned: Vec<&Row> = others().filter(taken).collect();
            // Of a small archive a part may be empty.
            if labelled(&learned) > 0 {
                points.push((labelled(&learned), self.accuracy(&self.scored(0, &learned, setting)?)));
            }
        }
        points.push((labelled(&others().collect::<Vec<_>>()), self.accuracy(whole)));
        Ok(points)
    }

    /// The rows of a fold, scored by a model of the others.
    fn scores(&self, fold: usize, setting: Setting) -> Result<Vec<Scored>, TrainError> {
        let learned: Vec<&Row> = self.rows.iter().filter(|row| row.fold != fold).collect();
        self.scored(fold, &learned, setting)
    }

    /// The rows of a fold, scored by a model of some others.
    fn scored(&self, fold: usize, learned: &[&Row], setting: Setting) -> Result<Vec<Scored>, TrainError> {
        let (vocabulary, linear) = self.fit(learned, setting)?;
        let scored = self.rows.par_iter().enumerate().filter(|(_, row)| row.fold == fold).map(|(i, row)| {
            let features = Features::new(&vocabulary, self.vectors, &self.lexicon.terms(&row.words));
            let known = features.known_words as f64 / row.words.len().max(1) as f64;
            Scored { row: i, scores: linear.scores(&features), known }
        });
        Ok(scored.collect())
    }

    /// Vocabulary and linear layer from some rows.
    fn fit(&self, rows: &[&Row], setting: Setting) -> Result<(Vocabulary, LinearLayer), TrainError> {
        let Trainer { lexicon, vectors, n_labels, params, bar, .. } = self;
        let learned: Vec<&&Row> = rows.iter().filter(|row| row.kind != Kind::Made).collect();
        let terms = if rows.iter().map(|row| row.words.len()).sum::<usize>() <= TERMS_AT_ONCE {
            let common = |of: fn(&ArticleTerms) -> Vec<u64>, least: u32| {
                corpus::common_terms(learned.par_iter().map(|row| of(&lexicon.terms(&row.words))), least)
            };
            let mut terms = common(ArticleTerms::words_by_place, params.min_articles_word);
            terms.extend(common(|terms| terms.pairs.clone(), params.min_articles_pair));
            if terms.len() > MOST_TERMS {
                terms.sort_unstable_by_key(|(hash, rows)| (std::cmp::Reverse(*rows), *hash));
                terms.truncate(MOST_TERMS);
            }
            terms
        } else {
            let of = |row: &&&Row| {
                let terms = lexicon.terms(&row.words);
                [terms.words_by_place(), terms.pairs.clone()].concat()
            };
            corpus::commonest_terms(&learned, of, params.min_articles_pair, MOST_TERMS)
        };
        let vocabulary = Vocabulary::build(terms, rows.len());

        let mut records = SparseRecords::with_dense(vocabulary.len(), vectors.dimensions());
        let mut targets = Array2::from_elem((rows.len(), *n_labels), false);
        for part in rows.chunks(ROWS_AT_ONCE) {
            let features: Vec<_> =
                part.par_iter().map(|row| Features::new(&vocabulary, vectors, &lexicon.terms(&row.words))).collect();
            for mut features in features {
                features.vector.iter_mut().for_each(|value| *value *= setting.vector_weight);
                records.push(&features.terms, &features.vector);
            }
        }
        for (i, row) in rows.iter().enumerate() {
            row.labels.iter().for_each(|label| targets[[i, *label]] = true);
        }
        let weights: Array1<f32> = rows.iter().map(|row| row.weight).collect();
        let dataset = DatasetBase::new(records, targets).with_weights(weights);
        let passes = (MOST_PASSES * ROWS_FOR_MOST_PASSES / rows.len().max(1)).clamp(LEAST_PASSES, MOST_PASSES);
        let solver = LinearSvmParams::default().cost(setting.cost).seed(params.seed).max_passes(passes);
        let mut fitted = solver.check()?.fit_and_tell(&dataset, || bar.inc(1))?;
        // Served vectors have length 1.
        fitted
            .weights
            .slice_axis_mut(Axis(0), Slice::from(vocabulary.len()..))
            .mapv_inplace(|weight| weight * setting.vector_weight);
        let linear = LinearLayer::quantise(&fitted, vocabulary.len());
        Ok((vocabulary, linear))
    }
}

/// The decision layer from the inputs of some rows, made of cross-fitted scores. A row with several labels counts once for
/// each.
fn decision(
    inputs: &Array2<f64>,
    rows: &[(&Row, usize)],
    learned: &[usize],
    n_labels: usize,
) -> Result<SoftmaxLayer, TrainError> {
    let mut by_form: BTreeMap<FormKind, Vec<usize>> = BTreeMap::new();
    learned.iter().for_each(|i| by_form.entry(rows[*i].0.form.kind()).or_default().push(*i));
    let picked = by_form.values().flat_map(|rows| rows.iter().step_by(rows.len().div_ceil(DECISION_ROWS)));
    let mut picked: Vec<usize> = picked.copied().collect();
    // The layer needs every label: of one so rare that none of its rows was picked, all are.
    let found: HashSet<usize> = picked.iter().flat_map(|i| rows[*i].0.labels.iter().copied()).collect();
    picked.extend(learned.iter().filter(|i| rows[**i].0.labels.iter().any(|label| !found.contains(label))));
    let pairs: Vec<(usize, usize)> =
        picked.into_iter().flat_map(|i| rows[i].0.labels.iter().map(move |label| (i, *label))).collect();
    let indices: Vec<usize> = pairs.iter().map(|pair| pair.0).collect();
    let labels: Vec<usize> = pairs.iter().map(|pair| pair.1).collect();
    Ok(SoftmaxLayer::fit(inputs.select(Axis(0), &indices).view(), &labels, n_labels)?)
}

fn argmax<'v>(values: impl Iterator<Item = &'v f64>) -> usize {
    // The first of equals, as the served order has it.
    values
        .enumerate()
        .fold((0, f64::NEG_INFINITY), |best, (i, value)| if *value > best.1 { (i, *value) } else { best })
        .0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rare_label_among_many_rows_is_not_passed_over() {
        // So many rows of one form that every third is picked, and five rows of a label that stand between those.
        let label = |i: usize| if i % 6 == 1 && i < 30 { 2 } else { i % 2 };
        let lexicon = Lexicon::default();
        let rows: Vec<Row> = (0..2 * DECISION_ROWS + 6)
            .map(|i| Row::new(Kind::Labelled, PackedRow::default(), vec![label(i)], &lexicon))
            .collect();
        let rows: Vec<(&Row, usize)> = rows.iter().map(|row| (row, 0)).collect();
        let inputs = Array2::from_shape_fn((rows.len(), 3), |(i, score)| if score == label(i) { 1.0 } else { -1.0 });
        let learned: Vec<usize> = (0..rows.len()).collect();
        let layer = decision(&inputs, &rows, &learned, 3).expect("every label has rows");
        let probabilities = layer.probabilities(ndarray::array![-1.0, -1.0, 1.0].view());
        assert_eq!(argmax(probabilities.iter()), 2, "{probabilities}");
    }
}
