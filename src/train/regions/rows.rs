//! First stage: articles with their names, their words, the countries that they are about, and their fold.

use crate::{
    article::{Article, Field},
    formats::Record,
    geography,
    model::clean_article,
    region::Places,
    text::{Word, pair_hash, words_into},
    train::{Progress, Rows, copies, corpus, topics::FOLDS},
};
use rayon::prelude::*;
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    path::{Path, PathBuf},
};

/// So many rows without labels teach of one country, at most.
const MOST_WEAK_ROWS: usize = 1000;
/// So many rows of one source teach the ranker, at most: a large archive of one outlet is not what all articles are like.
const MOST_OF_SOURCE: usize = 6000;
/// A correction teaches the ranker so many times; its regression knows no weights.
const CORRECTION_TIMES: usize = 4;

/// An article: what it names and says, and the countries that it is about.
pub struct Row {
    /// Its names.
    pub places: Places,
    /// The hashes of its terms outside place names.
    pub terms: Vec<u64>,
    /// Whether it teaches the ranker.
    pub teaches_ranker: bool,
    /// How often it does.
    pub times: usize,
    /// The countries that it is about, in order, as the reading of archives leaves them.
    pub truth: Vec<String>,
    /// Whether its file ever says that an article is about the European Union.
    pub knows_union: bool,
    /// Where it comes from, if it says so; else its file.
    pub source: String,
    /// Whether it was picked for what it is about: then it tells nothing about how frequent countries are.
    pub is_selected: bool,
    /// The fold that it is held out in.
    pub fold: usize,
    /// Its place among the records.
    pub record: usize,
}

impl Row {
    /// Whether it is about a place.
    pub fn is_about(&self, code: &str) -> bool {
        self.truth.iter().any(|truth| truth == code)
    }

    /// Whether its labels would say so, if it were about a place.
    pub fn may_be_about(&self, code: &str) -> bool {
        geography::is_subject(code) && (self.knows_union || code != geography::EUROPEAN_UNION)
    }
}

/// A row without labels and the country that it names most.
pub struct WeakRow {
    content: u64,
    /// The hashes of its terms outside place names.
    pub terms: Vec<u64>,
    /// The country.
    pub country: &'static str,
    /// Its file.
    pub file: PathBuf,
}

/// The rows of an archive.
pub struct RegionRows {
    /// Rows with the countries that they are about.
    pub labelled: Vec<Row>,
    /// Rows without labels.
    pub weak: Vec<WeakRow>,
}

impl RegionRows {
    /// Reads all articles.
    pub fn read(archive: &Rows, unlabelled: &[Record], seed: u64, progress: &Progress) -> Self {
        let read = labelled_rows(archive, progress);
        let known: HashSet<u64> = read.iter().map(|(_, words)| corpus::content_hash(words.iter().copied())).collect();
        let groups = copies::groups(&read, |(_, words)| words[..].into());
        let keys: Vec<(usize, u64)> =
            read.iter().zip(&groups).map(|((row, _), group)| (usize::from(row.truth.len() > 1), *group)).collect();
        let folds = corpus::folds(&keys, FOLDS, seed);
        let mut labelled: Vec<Row> = read.into_iter().zip(folds).map(|((row, _), fold)| Row { fold, ..row }).collect();
        let mut rows_of: HashMap<String, usize> = HashMap::new();
        labelled.iter().for_each(|row| *rows_of.entry(row.source.clone()).or_default() += 1);
        let mut seen: HashMap<String, usize> = HashMap::new();
        for row in &mut labelled {
            let (all, seen) = (rows_of[&row.source], seen.entry(row.source.clone()).or_default());
            // Evenly picked.
            let taken = |seen: usize| seen * MOST_OF_SOURCE / all.max(MOST_OF_SOURCE);
            row.teaches_ranker = row.times > 1 || taken(*seen) < taken(*seen + 1);
            *seen += 1;
        }
        RegionRows { labelled, weak: weak_rows(unlabelled, &known, progress) }
    }

    /// The rows that tell how frequent countries are: those that were not picked for what they are about.
    pub fn usual(&self) -> Vec<&Row> {
        let usual = corpus::usual(self.labelled.len(), |i| self.labelled[i].is_selected);
        usual.into_iter().map(|i| &self.labelled[i]).collect()
    }

    /// The country that most articles are about.
    pub fn commonest(&self) -> Option<&str> {
        let mut counts: HashMap<&str, usize> = HashMap::new();
        let codes = self.labelled.iter().flat_map(|row| &row.truth);
        codes.for_each(|code| *counts.entry(code).or_default() += 1);
        counts.into_iter().max_by_key(|(code, count)| (*count, std::cmp::Reverse(*code))).map(|(code, _)| code)
    }
}

/// The words of an article and the places that they name.
fn read(article: &Article) -> (Vec<Word>, Places) {
    let document = clean_article(article);
    let mut words = Vec::new();
    words_into(&document, &mut words);
    let places = Places::of(&document, &words);
    (words, places)
}

/// The rows, each with the hashes of its words, those of the dateline apart from the others.
fn labelled_rows(archive: &Rows, progress: &Progress) -> Vec<(Row, Vec<u64>)> {
    let bar = progress.steps("regions: reading", archive.records.len() as u64);
    let corrections_from = archive.records.len() - archive.corrections;
    let is_union = |code: &String| code == geography::EUROPEAN_UNION;
    let with_union: BTreeSet<&Path> = archive
        .records
        .iter()
        .filter(|record| record.regions.iter().flatten().any(is_union))
        .map(|record| corpus::file_of(&record.place))
        .collect();
    let rows = archive
        .records
        .par_iter()
        .enumerate()
        .map(|(i, record)| {
            let (words, places) = read(&record.article);
            bar.inc(1);
            const DATELINE: u64 = 0x6461_7465_6C69_6E65;
            let hashes = words.iter().map(|word| match word.role {
                Field::Dateline => pair_hash(DATELINE, word.hash),
                Field::Headline | Field::Body => word.hash,
            });
            let path = corpus::file_of(&record.place);
            let file = corpus::file_name(path);
            let source = if record.source.trim().is_empty() { file } else { record.source.trim().to_owned() };
            let row = Row {
                terms: places.terms().iter().map(|term| term.hash).collect(),
                teaches_ranker: true,
                times: if i < corrections_from { 1 } else { CORRECTION_TIMES },
                truth: record.regions.clone().unwrap_or_default(),
                knows_union: with_union.contains(path),
                source,
                is_selected: record.is_selected,
                fold: 0,
                record: i,
                places,
            };
            (row, hashes.collect())
        })
        .collect();
    bar.finish();
    rows
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
            let file = PathBuf::from(corpus::file_of(&record.place));
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
