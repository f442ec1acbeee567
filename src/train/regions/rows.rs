//! First stage: articles with the places that they name, their words, their countries and their folds.

use crate::{
    article::{Article, Field},
    copies::content_hash,
    formats::Record,
    geography,
    model::clean_article,
    region::Places,
    text::{Word, pair_hash, words_into},
    train::{
        FOLDS, Progress, Rows, copies,
        folds::{folds, usual},
        languages::{RowLanguage, languages},
        rows::file_name,
    },
};
use rayon::prelude::*;
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    path::{Path, PathBuf},
};

/// The most unlabelled rows of one country to learn from.
const MOST_WEAK_ROWS: usize = 1000;
/// The most rows of one source to fit the ranker to, so that a large archive of one outlet does not dominate.
const MOST_OF_SOURCE: usize = 6000;
/// How many times a correction is repeated for the ranker: linfa's regression has no row weights.
const CORRECTION_TIMES: usize = 4;

/// An article: the places that it names, its terms, and its countries.
pub struct Row {
    /// The places that it names.
    pub places: Places,
    /// The hashes of its terms outside place names.
    pub terms: Vec<u64>,
    /// Whether the ranker is fitted to it.
    pub teaches_ranker: bool,
    /// How many times it is repeated for that.
    pub times: usize,
    /// Its countries, in order.
    pub truth: Vec<String>,
    /// Whether any row of its file carries the European Union.
    pub knows_union: bool,
    /// Its source, or its file if the source is unknown.
    pub source: String,
    /// Whether it was selected by label: then it does not show how frequent countries are.
    pub is_selected: bool,
    /// The fold in which it is held out.
    pub fold: usize,
    /// Its index among the records.
    pub record: usize,
    /// Its language.
    language: RowLanguage,
}

impl Row {
    /// Whether a place is one of its countries.
    pub fn is_about(&self, code: &str) -> bool {
        self.truth.iter().any(|truth| truth == code)
    }

    /// Whether its labels would include the place, if the article were about it.
    pub fn may_be_about(&self, code: &str) -> bool {
        geography::is_subject(code) && (self.knows_union || code != geography::EUROPEAN_UNION)
    }
}

/// A row without labels, and the country that it names most often.
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
    /// Rows with labels.
    pub labelled: Vec<Row>,
    /// Rows without labels.
    pub weak: Vec<WeakRow>,
    /// The languages of the labelled rows as ISO 639 codes, the most frequent first.
    pub languages: Vec<String>,
}

impl RegionRows {
    /// Reads all articles.
    pub fn read(archive: &Rows, unlabelled: &[Record], seed: u64, progress: &dyn Progress) -> Self {
        let read = labelled_rows(archive, progress);
        let known: HashSet<u64> = read.iter().map(|(_, words)| content_hash(words.iter().copied())).collect();
        let groups = copies::groups(&read, |(_, words)| words[..].into());
        let keys: Vec<(usize, u64)> =
            read.iter().zip(&groups).map(|((row, _), group)| (usize::from(row.truth.len() > 1), *group)).collect();
        let folds = folds(&keys, FOLDS, seed);
        let mut labelled: Vec<Row> = read.into_iter().zip(folds).map(|((row, _), fold)| Row { fold, ..row }).collect();
        let mut rows_of: HashMap<String, usize> = HashMap::new();
        labelled.iter().for_each(|row| *rows_of.entry(row.source.clone()).or_default() += 1);
        let mut seen: HashMap<String, usize> = HashMap::new();
        for row in &mut labelled {
            let (all, seen) = (rows_of[&row.source], seen.entry(row.source.clone()).or_default());
            // An even sample.
            let taken = |seen: usize| seen * MOST_OF_SOURCE / all.max(MOST_OF_SOURCE);
            row.teaches_ranker = row.times > 1 || taken(*seen) < taken(*seen + 1);
            *seen += 1;
        }
        let languages = languages(labelled.iter().map(|row| &row.language));
        RegionRows { labelled, languages, weak: weak_rows(unlabelled, &known, progress) }
    }

    /// The rows that show how frequent countries are: those not selected by label.
    pub fn usual(&self) -> Vec<&Row> {
        let usual = usual(self.labelled.len(), |i| self.labelled[i].is_selected);
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

/// The words of an article, the places that it names, and its language.
fn read(article: &Article) -> (Vec<Word>, Places, RowLanguage) {
    let document = clean_article(article);
    let mut words = Vec::new();
    words_into(&document, &mut words);
    let places = Places::of(&document, &words);
    (words, places, RowLanguage::of(&document))
}

/// The labelled rows, each with the hashes of its words; words of the dateline differ from the same words elsewhere.
fn labelled_rows(archive: &Rows, progress: &dyn Progress) -> Vec<(Row, Vec<u64>)> {
    let bar = progress.start("regions: reading", archive.records.len() as u64);
    let corrections_from = archive.records.len() - archive.corrections;
    let is_union = |code: &String| code == geography::EUROPEAN_UNION;
    let with_union: BTreeSet<&Path> = archive
        .records
        .iter()
        .filter(|record| record.regions.iter().flatten().any(is_union))
        .map(|record| record.place.path())
        .collect();
    archive
        .records
        .par_iter()
        .enumerate()
        .map(|(i, record)| {
            let (words, places, language) = read(&record.article);
            bar.advance(1);
            const DATELINE: u64 = 0x6461_7465_6C69_6E65;
            let hashes = words.iter().map(|word| match word.role {
                Field::Dateline => pair_hash(DATELINE, word.hash),
                Field::Headline | Field::Body => word.hash,
            });
            let path = record.place.path();
            let file = file_name(path);
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
                language,
                places,
            };
            (row, hashes.collect())
        })
        .collect()
}

/// The unlabelled rows that name one country most often: without duplicates and without texts of labelled rows, limited
/// per country. The rows taken are a random sample that depends on the rows only.
fn weak_rows(records: &[Record], known: &HashSet<u64>, progress: &dyn Progress) -> Vec<WeakRow> {
    let bar = progress.start("regions: unlabelled", records.len() as u64);
    let mut rows: Vec<WeakRow> = records
        .par_iter()
        .filter_map(|record| {
            bar.advance(1);
            let (words, places, _) = read(&record.article);
            let country = places.dominant()?;
            let content = content_hash(words.iter().map(|word| word.hash));
            let terms = places.terms().iter().map(|term| term.hash).collect();
            let file = record.place.path().to_owned();
            (!known.contains(&content)).then_some(WeakRow { content, terms, country, file })
        })
        .collect();
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
