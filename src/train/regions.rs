//! Trains the region model: candidates of each article, stock logistic regression on their features, thresholds.

use super::{
    Progress, Rows, TrainError, copies, corpus,
    metrics::{self, Outcome, RegionAnswer, RegionScores},
    region_text::{self, TextRow},
    topics::FOLDS,
};
use crate::{
    article::{Article, Field, Thresholds},
    formats::Record,
    linear::LogisticLayer,
    model::{RegionManifest, clean_article},
    region::{Candidate, FEATURES, Places, RegionRanker, TextModel, is_about, tree},
    text::{Word, pair_hash, words_into},
};
use ndarray::{Array2, Axis, Slice, concatenate};
use rayon::prelude::*;
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::PathBuf,
};

/// So many rows without labels teach of one country, at most.
const MOST_WEAK_ROWS: usize = 1000;

/// A trained region model and how good it measured in cross-validation.
pub struct TrainedRegions {
    /// The model, trained on all rows.
    pub ranker: RegionRanker,
    /// Scores on held-out folds.
    pub scores: RegionScores,
    /// The answers to held-out rows, in their order.
    pub answers: Vec<RegionAnswer>,
    /// The same by file, by name.
    pub by_file: BTreeMap<String, RegionScores>,
    /// The same measure, on the same folds, of the usual ways to tell countries, by name.
    pub peers: Vec<(&'static str, RegionScores)>,
    /// For each held-out country that was named or answered its probability and whether the article is about it.
    pub outcomes: Vec<Outcome>,
    /// Metric by name.
    pub measured: BTreeMap<String, f64>,
    /// Rows without labels that taught, by file.
    pub weak_rows: BTreeMap<PathBuf, u64>,
}

impl TrainedRegions {
    /// What the manifest says of it.
    pub fn manifest(&self) -> RegionManifest {
        let (text_step, _) = self.ranker.text().step_and_bias();
        RegionManifest {
            features: FEATURES.iter().map(|feature| feature.name.to_owned()).collect(),
            text_countries: self.ranker.text().countries().iter().map(|code| (*code).to_owned()).collect(),
            text_step,
            thresholds: self.ranker.thresholds(),
            home: self.ranker.home_probability(),
            measured: self.measured.clone(),
        }
    }
}

/// An article: what it names and says, and the countries that it is about.
struct Row {
    places: Places,
    /// The hashes of its terms outside place names.
    terms: Vec<u64>,
    /// The hashes of all its words, those of the dateline apart from the others: what a flat classifier reads.
    flat: Vec<u64>,
    /// How often it teaches the ranker.
    times: usize,
    truth: Vec<String>,
    most_mentioned: Option<&'static str>,
    file: String,
    content: u64,
}

/// The candidates of one article, as one text model and one way of reading give them.
struct Described {
    codes: Vec<&'static str>,
    /// Whether the article names it.
    named: Vec<bool>,
    /// Whether headline or body do.
    named_in_text: Vec<bool>,
    /// Whether only the dateline does, and the words do not speak for it.
    filed_from: Vec<bool>,
    features: Array2<f64>,
}

/// A correction teaches the ranker so many times; its regression knows no weights.
const CORRECTION_TIMES: usize = 4;

/// How an article is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    AsIs,
    WithoutDateline,
    WithoutCountryNames,
    WithoutNames,
}

/// Trains on labelled rows, whose codes are those of countries, and on rows without labels.
///
/// # Errors
/// [`TrainError`], where no candidate, or every candidate, is what an article is about.
pub fn train(
    archive: &Rows,
    unlabelled: &[Record],
    seed: u64,
    progress: &Progress,
) -> Result<TrainedRegions, TrainError> {
    let rows = rows(archive, progress);
    let known: HashSet<u64> = rows.iter().map(|row| row.content).collect();
    let weak = weak_rows(unlabelled, &known, progress);
    let groups = copies::groups(&rows, |row| row.flat[..].into());
    let keys: Vec<(usize, u64)> =
        rows.iter().zip(groups).map(|(row, group)| (usize::from(row.truth.len() > 1), group)).collect();
    let fold = corpus::folds(&keys, FOLDS, seed);

    // First the text models: one a fold, one that has seen no labelled row, one that has seen all.
    let bar = progress.steps("regions: text models", FOLDS as u64 + 2);
    let text_rows = labelled(&rows, |row| &row.terms);
    let weak_text_rows: Vec<TextRow<'_>> =
        weak.iter().map(|row| TextRow { terms: &row.terms, countries: vec![row.country], labelled: false }).collect();
    let text_model = |learns: &dyn Fn(usize) -> bool| -> Result<TextModel, TrainError> {
        let labelled = text_rows.iter().enumerate().filter(|(i, _)| learns(*i)).map(|(_, row)| row);
        let rows: Vec<&TextRow<'_>> = labelled.chain(&weak_text_rows).collect();
        let machines = region_text::fit(&rows, seed)?;
        bar.inc(1);
        Ok(machines.map_or_else(TextModel::none, region_text::Machines::text_model))
    };
    let of_fold: Vec<TextModel> =
        (0..FOLDS).map(|held_out| text_model(&|i| fold[i] != held_out)).collect::<Result<_, _>>()?;
    // Without unlabelled rows there is none: then this one knows no country, and articles also teach how to do without scores.
    let stranger = text_model(&|_| false)?;
    let text = text_model(&|_| true)?;
    bar.finish();

    let own = |i: usize| &of_fold[fold[i]];
    let as_is = describe(&rows, Way::AsIs, own);
    let without_dateline = describe(&rows, Way::WithoutDateline, own);
    let without_country_names = describe(&rows, Way::WithoutCountryNames, own);
    let without_names = describe(&rows, Way::WithoutNames, own);
    // Each article teaches as it came, and once more in one of three ways, in turn: without its dateline (wire copy nearly
    // always has one, articles on the web seldom do), or with the scores of a text model that does not know its source (what
    // is served may come from anywhere), or both.
    let others: Vec<Described> = rows
        .par_iter()
        .enumerate()
        .map(|(i, row)| match i % 3 {
            0 => Described::of(row, Way::WithoutDateline, own(i)),
            1 => Described::of(row, Way::WithoutDateline, &stranger),
            _ => Described::of(row, Way::AsIs, &stranger),
        })
        .collect();
    let lessons = [&as_is, &others];

    let bar = progress.steps("regions: cross-validation", FOLDS as u64 + 1);
    let layers: Vec<LogisticLayer> = (0..=FOLDS)
        .into_par_iter()
        .map(|held_out| {
            let layer = fit(&lessons, &rows, |i| fold[i] != held_out);
            bar.inc(1);
            layer
        })
        .collect::<Result<_, _>>()?;
    bar.finish();
    let probabilities = |described: &[Described]| -> Vec<Vec<f64>> {
        described.iter().zip(&fold).map(|(one, fold)| one.probabilities(&layers[*fold])).collect()
    };

    let as_is_probabilities = probabilities(&as_is);
    let all: Vec<Outcome> = rows
        .iter()
        .zip(&as_is)
        .zip(&as_is_probabilities)
        .flat_map(|((row, one), p)| p.iter().copied().zip(one.answers(&row.truth)))
        .collect();
    let gold: usize = rows.iter().map(|row| row.truth.len()).sum();
    let about = metrics::review_threshold(&all, gold);
    let scores_of = |described: &[Described]| {
        let answers = rows.iter().zip(described).zip(probabilities(described));
        let answers: Vec<RegionAnswer> = answers.map(|((row, one), p)| answer(row, one.with(p), about)).collect();
        (RegionScores::of(&answers), answers)
    };
    let (scores, answers) = scores_of(&as_is);
    let mut by_file: BTreeMap<String, Vec<RegionAnswer>> = BTreeMap::new();
    for (row, answer) in rows.iter().zip(&answers) {
        by_file.entry(row.file.clone()).or_default().push(answer.clone());
    }
    let by_file = by_file.into_iter().map(|(file, answers)| (file, RegionScores::of(&answers))).collect();
    let found = |described: &[Described]| found(&rows, described, &probabilities(described));
    let (masked, masked_others) = found(&without_country_names);
    let (words, words_others) = found(&without_names);
    let (without_dateline, _) = scores_of(&without_dateline);

    let most_mentioned: Vec<RegionAnswer> =
        rows.iter().map(|row| answer(row, row.most_mentioned.map(|code| (code, 1.0, true)), 0.5)).collect();
    let peers = vec![
        ("most mentioned", RegionScores::of(&most_mentioned)),
        ("one-vs-rest SVM", RegionScores::of(&flat_svm(&rows, &fold, seed, progress)?)),
    ];

    // What is listed, with whether it is named.
    let listed: Vec<(Outcome, bool)> = rows
        .iter()
        .zip(&as_is)
        .zip(&as_is_probabilities)
        .flat_map(|((row, one), p)| {
            let outcomes = p.iter().copied().zip(one.answers(&row.truth)).zip(one.named.iter().copied());
            outcomes.filter(|((p, _), named)| *named || is_about(*p, false, about)).collect::<Vec<_>>()
        })
        .collect();
    let outcomes: Vec<Outcome> = listed.iter().map(|(outcome, _)| *outcome).collect();
    let answered: Vec<Outcome> = outcomes.iter().copied().filter(|(p, _)| *p >= about).collect();
    // Only named countries can be AUTO.
    let named: Vec<Outcome> =
        listed.iter().filter(|((p, _), named)| *named && *p >= about).map(|(outcome, _)| *outcome).collect();
    let auto = metrics::auto_threshold(&named, metrics::AUTO).max(about);
    let (coverage, precision) = metrics::coverage_and_precision(auto, &named);
    let coverage = coverage * named.len() as f64 / answered.len().max(1) as f64;
    let thresholds = Thresholds { auto: auto as f32, review: about as f32 };
    let measured = [
        ("micro_f1", scores.micro_f1),
        ("macro_f1", scores.macro_f1),
        ("macro_f1_five", scores.macro_f1_five),
        ("micro_f1_others", scores.micro_f1_others),
        ("exact", scores.exact),
        ("top1", scores.top1),
        ("calibration_error", metrics::expected_calibration_error(&outcomes)),
        ("calibration_error_about", metrics::expected_calibration_error(&answered)),
        ("auto_coverage", coverage),
        ("auto_precision", precision),
        ("without_dateline_micro_f1", without_dateline.micro_f1),
        ("without_dateline_macro_f1", without_dateline.macro_f1),
        ("without_country_names_top1", masked),
        ("without_country_names_top1_others", masked_others),
        ("without_names_top1", words),
        ("without_names_top1_others", words_others),
    ];
    let measured = measured.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    // The last layer has no fold held out.
    let layer = layers.into_iter().next_back().ok_or(TrainError::NotFinite)?;
    let home = home_share(&rows, &as_is) as f32;
    let ranker = RegionRanker::new(text, layer, thresholds, home).ok_or(TrainError::NotFinite)?;
    let mut weak_rows = BTreeMap::new();
    weak.iter().for_each(|row| *weak_rows.entry(row.file.clone()).or_default() += 1);
    Ok(TrainedRegions { ranker, scores, answers, by_file, peers, outcomes, measured, weak_rows })
}

/// The words of an article and the places that they name.
fn read(article: &Article) -> (Vec<Word>, Places) {
    let document = clean_article(article);
    let mut words = Vec::new();
    words_into(&document, &mut words);
    let places = Places::of(&document, &words);
    (words, places)
}

fn rows(archive: &Rows, progress: &Progress) -> Vec<Row> {
    let bar = progress.steps("regions: reading", archive.records.len() as u64);
    let corrections_from = archive.records.len() - archive.corrections;
    let rows = archive
        .records
        .par_iter()
        .enumerate()
        .map(|(i, record)| {
            let (words, places) = read(&record.article);
            let mut truth: Vec<String> = record
                .regions
                .iter()
                .flatten()
                .filter_map(|code| tree::country(code))
                .map(|place| place.code.to_string())
                .collect();
            truth.sort();
            truth.dedup();
            bar.inc(1);
            const DATELINE: u64 = 0x6461_7465_6C69_6E65;
            let flat = words.iter().map(|word| match word.role {
                Field::Dateline => pair_hash(DATELINE, word.hash),
                Field::Headline | Field::Body => word.hash,
            });
            Row {
                terms: places.terms().iter().map(|term| term.hash).collect(),
                flat: flat.collect(),
                times: if i < corrections_from { 1 } else { CORRECTION_TIMES },
                truth,
                most_mentioned: most_mentioned(&places),
                file: corpus::file_name(corpus::file_of(&record.place)),
                content: corpus::content_hash(words.iter().map(|word| word.hash)),
                places,
            }
        })
        .collect();
    bar.finish();
    rows
}

/// The rows as people labelled them, to learn from some of their terms.
fn labelled<'r>(rows: &'r [Row], terms: impl Fn(&'r Row) -> &'r [u64]) -> Vec<TextRow<'r>> {
    let countries = |row: &'r Row| row.truth.iter().map(String::as_str).collect();
    rows.iter().map(|row| TextRow { terms: terms(row), countries: countries(row), labelled: true }).collect()
}

/// A row without labels and the country that it names most.
struct WeakRow {
    content: u64,
    terms: Vec<u64>,
    country: &'static str,
    file: PathBuf,
}

/// The rows without labels that name one country most: copies once, none that a labelled row has the text of, of one country
/// a limited number. Which ones are taken is as good as random, and the same for the same rows.
fn weak_rows(records: &[Record], known: &HashSet<u64>, progress: &Progress) -> Vec<WeakRow> {
    let bar = progress.steps("regions: unlabelled", records.len() as u64);
    let mut rows: Vec<WeakRow> = records
        .par_iter()
        .filter_map(|record| {
            bar.inc(1);
            let (words, places) = read(&record.article);
            let country = places.dominant()?;
            let content = corpus::content_hash(words.iter().map(|word| word.hash));
            let terms = places.terms().iter().map(|term| term.hash).collect();
            let file = corpus::file_of(&record.place).to_owned();
            (!known.contains(&content)).then_some(WeakRow { content, terms, country, file })
        })
        .collect();
    bar.finish();
    rows.sort_by(|a, b| (a.content, &a.terms, a.country).cmp(&(b.content, &b.terms, b.country)));
    rows.dedup_by_key(|row| row.content);
    let mut taken: HashMap<&str, usize> = HashMap::new();
    rows.retain(|row| {
        let taken = taken.entry(row.country).or_default();
        *taken += 1;
        *taken <= MOST_WEAK_ROWS
    });
    rows
}

/// All rows as one way of reading and the text model of each give them.
fn describe<'t>(rows: &[Row], way: Way, text: impl Fn(usize) -> &'t TextModel + Sync) -> Vec<Described> {
    rows.par_iter().enumerate().map(|(i, row)| Described::of(row, way, text(i))).collect()
}

impl Described {
    fn of(row: &Row, way: Way, text: &TextModel) -> Self {
        let (candidates, features) = match way {
            Way::AsIs => row.places.candidates(text, None),
            Way::WithoutDateline => row.places.without_dateline().candidates(text, None),
            Way::WithoutCountryNames => row.places.without_country_names().candidates(text, None),
            Way::WithoutNames => row.places.without_names().candidates(text, None),
        };
        // Rows carry countries only, and these come first.
        let countries: Vec<&Candidate> = candidates.iter().take_while(|candidate| candidate.is_country()).collect();
        Described {
            codes: countries.iter().map(|candidate| candidate.code).collect(),
            named: countries.iter().map(|candidate| !candidate.mentions.is_empty()).collect(),
            named_in_text: countries.iter().map(|candidate| candidate.weight() > 0.0).collect(),
            filed_from: countries
                .iter()
                .map(|candidate| candidate.dateline >= 0.5 && candidate.weight() == 0.0 && candidate.score < 0.0)
                .collect(),
            features: features.slice_axis(Axis(0), Slice::from(..countries.len())).to_owned(),
        }
    }

    /// Each with its probability and whether it is named.
    fn with(&self, probabilities: Vec<f64>) -> impl Iterator<Item = (&'static str, f64, bool)> + '_ {
        let named = self.codes.iter().copied().zip(&self.named);
        named.zip(probabilities).map(|((code, named), p)| (code, p, *named))
    }

    /// The probability of each.
    fn probabilities(&self, layer: &LogisticLayer) -> Vec<f64> {
        self.features.rows().into_iter().map(|features| layer.probability(features)).collect()
    }

    /// What the ranker is to learn of each. Indexers of wires tag where a story was filed, nearly always, and readers ask
    /// what it is about: where headline or body name another of the article's countries, the one that only the dateline
    /// names, and no other word speaks for, is taught as not meant. Scores are measured against the tags as they are.
    fn lessons<'c>(&'c self, truth: &'c [String]) -> impl Iterator<Item = bool> + 'c {
        let another = self.answers(truth).zip(&self.named_in_text).any(|(is, named)| is && *named);
        self.answers(truth).zip(&self.filed_from).map(move |(is, filed)| is && !(another && *filed))
    }

    /// Whether the article is about each.
    fn answers<'c>(&'c self, truth: &'c [String]) -> impl Iterator<Item = bool> + 'c {
        self.codes.iter().map(|code| truth.iter().any(|truth| truth == code))
    }
}

/// The country that headline and body name most, where they name none the dateline's.
fn most_mentioned(places: &Places) -> Option<&'static str> {
    let (candidates, _) = places.candidates(&TextModel::none(), None);
    candidates
        .iter()
        .filter(|candidate| candidate.is_country())
        .map(|candidate| (candidate.code, candidate.weight() + 1e-3 * candidate.dateline))
        .reduce(|a, b| if b.1 > a.1 { b } else { a })
        .map(|best| best.0)
}

/// What a flat classifier answers on held-out folds: one linear machine a country on the tf-idf of all words, place names
/// and datelines among them. Every country with a score above 0, or the best where none has.
fn flat_svm(rows: &[Row], fold: &[usize], seed: u64, progress: &Progress) -> Result<Vec<RegionAnswer>, TrainError> {
    let bar = progress.steps("regions: peers", FOLDS as u64);
    let text_rows = labelled(rows, |row| &row.flat);
    let mut answers = vec![RegionAnswer::default(); rows.len()];
    for held_out in 0..FOLDS {
        let learned: Vec<&TextRow<'_>> =
            text_rows.iter().zip(fold).filter(|(_, fold)| **fold != held_out).map(|(row, _)| row).collect();
        let machines = region_text::fit(&learned, seed)?;
        for (i, row) in rows.iter().enumerate().filter(|(i, _)| fold[*i] == held_out) {
            let mut scored: Vec<(&'static str, f64, bool)> = match &machines {
                Some(machines) => {
                    let scores = machines.scores(&row.flat).mapv(f64::from);
                    machines.countries.iter().zip(scores).map(|(code, score)| (*code, score, true)).collect()
                }
                None => Vec::new(),
            };
            scored.sort_by(|a, b| b.1.total_cmp(&a.1));
            let above = scored.iter().filter(|(_, score, _)| *score > 0.0).count().max(1);
            answers[i] = answer(row, scored.into_iter().take(above), f64::NEG_INFINITY);
        }
        bar.inc(1);
    }
    bar.finish();
    Ok(answers)
}

/// The share of articles whose most probable candidate is one of their countries, and the same for those that are not about
/// the commonest country.
fn found(rows: &[Row], described: &[Described], probabilities: &[Vec<f64>]) -> (f64, f64) {
    let commonest = commonest(rows).map(|(code, _)| code);
    let (mut right, mut others, mut right_others) = (0, 0, 0);
    for ((row, one), p) in rows.iter().zip(described).zip(probabilities) {
        let best = one.codes.iter().zip(p).reduce(|a, b| if b.1 > a.1 { b } else { a });
        let is_right = best.is_some_and(|(code, _)| row.truth.iter().any(|truth| truth == code));
        let other = !row.truth.iter().any(|truth| Some(truth.as_str()) == commonest);
        right += usize::from(is_right);
        others += usize::from(other);
        right_others += usize::from(is_right && other);
    }
    (right as f64 / rows.len().max(1) as f64, right_others as f64 / others.max(1) as f64)
}

fn fit(lessons: &[&Vec<Described>], rows: &[Row], learns: impl Fn(usize) -> bool) -> Result<LogisticLayer, TrainError> {
    let (mut blocks, mut answers) = (Vec::new(), Vec::new());
    for lesson in lessons {
        for (_, (described, row)) in lesson.iter().zip(rows).enumerate().filter(|(i, _)| learns(*i)) {
            for _ in 0..row.times {
                blocks.push(described.features.view());
                answers.extend(described.lessons(&row.truth));
            }
        }
    }
    let features = concatenate(Axis(0), &blocks).unwrap_or_else(|_| Array2::zeros((0, FEATURES.len())));
    Ok(LogisticLayer::fit(features.view(), &answers)?)
}

/// What an article is answered with, from its countries with their probabilities and whether each is named.
fn answer(row: &Row, ranked: impl IntoIterator<Item = (&'static str, f64, bool)>, review: f64) -> RegionAnswer {
    let mut ranked: Vec<(&str, f64, bool)> = ranked.into_iter().collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    let about = ranked.iter().enumerate().filter(
        |(rank, (_, p, named))| {
            if *rank == 0 { *p >= review } else { is_about(*p, *named, review) }
        },
    );
    RegionAnswer {
        truth: row.truth.clone(),
        about: about.map(|(_, (code, _, _))| (*code).to_owned()).collect(),
        top: ranked.first().map(|(code, _, _)| (*code).to_owned()),
        confidence: ranked.first().map_or(0.0, |(_, p, _)| *p),
    }
}

fn commonest(rows: &[Row]) -> Option<(&str, usize)> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    rows.iter().flat_map(|row| &row.truth).for_each(|code| *counts.entry(code).or_default() += 1);
    counts.into_iter().max_by_key(|(_, count)| *count)
}

/// Of the articles that name no place, the share that is about the country that is commonest in all: how far an outlet's
/// own country can be taken for granted. With fewer than twenty such articles nothing is known, and half is said.
fn home_share(rows: &[Row], described: &[Described]) -> f64 {
    let Some((home, _)) = commonest(rows) else { return 0.5 };
    let silent = rows.iter().zip(described).filter(|(_, one)| !one.named.contains(&true));
    let silent: Vec<&Row> = silent.map(|(row, _)| row).collect();
    if silent.len() < 20 {
        return 0.5;
    }
    silent.iter().filter(|row| row.truth.iter().any(|code| code == home)).count() as f64 / silent.len() as f64
}
