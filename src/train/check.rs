//! What files hold, and what is odd about them, before anything is trained.

use super::{Data, copies, corpus, data};
use crate::{document::UNDETERMINED, formats::Record, model::clean_article, topic::taxonomy};
use rayon::prelude::*;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Check {
    /// Rows with topics; missing where there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topics: Option<Part>,
    /// Rows with regions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regions: Option<Part>,
    /// Rows without labels.
    pub unlabelled: usize,
    /// What stands in the way of a good model, in sentences.
    pub warnings: Vec<String>,
    /// Rows that were left out, and why.
    pub left_out: super::LeftOut,
}

/// What rows of one kind hold.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Part {
    /// Rows.
    pub rows: usize,
    /// Rows by label.
    pub labels: BTreeMap<String, usize>,
    /// Rows with more than one label.
    pub several_labels: usize,
    /// Words of an article: the least, a quarter, the median, three quarters, the most.
    pub words: [usize; 5],
    /// Rows by language, as an ISO 639 code; `und` where it cannot be told.
    pub languages: BTreeMap<String, usize>,
    /// Rows by year; `-` where the row does not say.
    pub years: BTreeMap<String, usize>,
    /// Rows that have the very words of an earlier one.
    pub duplicates: usize,
    /// Rows that have nearly the words of an earlier one.
    pub near_duplicates: usize,
    /// Copies of one article with different labels: the places of two such rows, the first twenty pairs.
    pub conflicts: Vec<(String, String)>,
    /// How many rows have labels that a copy of theirs does not.
    pub conflicting: usize,
}

/// A label with fewer rows is hardly learned.
const FEW_ROWS: usize = 50;
/// The commonest label has so many times the rows of the rarest.
const UNBALANCED: usize = 50;
const MOST_CONFLICTS: usize = 20;
/// A file in which one row of so many has several topics gives all topics of its articles.
const SEVERAL_IN: usize = 20;

/// What dates look like.
pub const DATES: &str = "write it as 2024-05-31 (a time may follow), as in RFC 2822, or as seconds since 1970";

/// Looks at rows that were read.
pub fn check(data: &Data) -> Check {
    let mut warnings = Vec::new();
    let topics = part(&data.topics.records, |record| record.topics.clone());
    let regions = part(&data.regions.records, |record| record.regions.clone().unwrap_or_default());
    if let Some(topics) = &topics {
        warn("topics", topics, &data.left_out.rare_labels, &mut warnings);
        for [one, other] in &data.left_out.alike {
            warnings.push(format!(
                "the labels {one:?} and {other:?} differ by case alone: are they one? --map makes them one"
            ));
        }
        for (label, rows) in &data.left_out.rare_labels {
            warnings.push(format!(
                "{label} has {rows} different rows and will be left out: --min-rows says how many it needs"
            ));
        }
        let known: BTreeSet<&str> = taxonomy::topics().collect();
        for code in topics.labels.keys().filter(|code| code.starts_with("medtop:") && !known.contains(code.as_str())) {
            warnings.push(format!(
                "{code} is none of the seventeen top Media Topics: is it one of their parts, or misspelt?"
            ));
        }
        warnings.extend(single_topic_files(&data.topics.records));
        let (few, many) = (topics.labels.values().min().copied(), topics.labels.values().max().copied());
        if let (Some(few), Some(many)) = (few, many)
            && many > few * UNBALANCED
        {
            warnings.push(format!("the commonest topic has {many} rows, the rarest {few}: rare ones will be missed"));
        }
        if topics.labels.len() < 2 {
            warnings.push("at least two different topics are needed".to_owned());
        }
    }
    if let Some(regions) = &regions {
        warn("regions", regions, &data.left_out.rare_labels, &mut warnings);
    }
    if let Some(place) = &data.left_out.first_undated {
        let rows = data.left_out.undated;
        warnings.push(format!("{rows} rows have a date that is not understood, the first at {place}: {DATES}"));
    }
    for (part, how) in &data.held_out {
        if let data::HeldOut::Files { leaks } = how
            && *leaks > 0
        {
            warnings.push(format!("{part}: {leaks} training rows are copies of test rows and will be left out"));
        }
    }
    Check { topics, regions, unlabelled: data.unlabelled.len(), warnings, left_out: data.left_out.clone() }
}

/// A warning for each file whose rows all have one topic, if others have several: the articles may have more than the rows say.
fn single_topic_files(records: &[Record]) -> Vec<String> {
    let mut files: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for record in records {
        let (rows, several) = files.entry(corpus::file_name(corpus::file_of(&record.place))).or_default();
        *rows += 1;
        *several += usize::from(record.topics.len() > 1);
    }
    let is_mixed = files.values().any(|(rows, several)| several * SEVERAL_IN >= *rows);
    let single = files.iter().filter(|(_, (_, several))| is_mixed && *several == 0);
    single
        .map(|(file, (rows, _))| {
            format!("{file}: each of its {rows} rows has one topic, rows of other files have several: if its articles may have more, give it with --single-topic")
        })
        .collect()
}

fn warn(what: &str, part: &Part, rare: &BTreeMap<String, u64>, warnings: &mut Vec<String>) {
    if part.conflicting > 0 {
        warnings.push(format!("{what}: {} rows have other labels than a copy of theirs", part.conflicting));
    }
    let other: usize = part
        .languages
        .iter()
        .filter(|(language, _)| !["en", UNDETERMINED].contains(&language.as_str()))
        .map(|(_, rows)| rows)
        .sum();
    if other * 10 > part.rows {
        warnings.push(format!("{what}: {other} rows are not in English; place names are found in English text alone"));
    }
    if what == "topics" {
        for (label, rows) in &part.labels {
            if *rows < FEW_ROWS && !rare.contains_key(label) {
                warnings.push(format!("{label} has {rows} rows, which is few: it will often be missed"));
            }
        }
    }
}

fn part(records: &[Record], labels: impl Fn(&Record) -> Vec<String>) -> Option<Part> {
    if records.is_empty() {
        return None;
    }
    let groups = copies::groups(records, |record| data::words_of(record).into());
    let read = records.par_iter().map(|record| {
        let words = data::words_of(record);
        let language = clean_article(&record.article).language.into_owned();
        (corpus::content_hash(words.iter().copied()), (words.len(), language))
    });
    let (contents, (mut lengths, languages)): (Vec<u64>, (Vec<usize>, Vec<String>)) = read.unzip();
    let count = |values: &mut dyn Iterator<Item = String>| {
        let mut counts = BTreeMap::new();
        values.for_each(|value| *counts.entry(value).or_insert(0) += 1);
        counts
    };
    let year = |record: &Record| corpus::day(record).map_or_else(|| "-".to_owned(), |day| day.year().to_string());
    lengths.sort_unstable();
    let at = |share: f64| lengths[((lengths.len() - 1) as f64 * share).round() as usize];

    let sets: Vec<BTreeSet<String>> = records.iter().map(|record| labels(record).into_iter().collect()).collect();
    let mut first_of: HashMap<u64, usize> = HashMap::new();
    let mut seen = BTreeSet::new();
    let (mut duplicates, mut near_duplicates, mut conflicting, mut conflicts) = (0, 0, 0, Vec::new());
    for (i, (group, content)) in groups.iter().zip(&contents).enumerate() {
        let first = *first_of.entry(*group).or_insert(i);
        let new = seen.insert(*content);
        if first != i {
            match new {
                true => near_duplicates += 1,
                false => duplicates += 1,
            }
            if sets[first] != sets[i] {
                conflicting += 1;
                if conflicts.len() < MOST_CONFLICTS {
                    conflicts.push((records[first].place.clone(), records[i].place.clone()));
                }
            }
        }
    }
    Some(Part {
        rows: records.len(),
        labels: count(&mut records.iter().flat_map(&labels)),
        several_labels: sets.iter().filter(|set| set.len() > 1).count(),
        words: [at(0.0), at(0.25), at(0.5), at(0.75), at(1.0)],
        languages: count(&mut languages.into_iter()),
        years: count(&mut records.iter().map(year)),
        duplicates,
        near_duplicates,
        conflicts,
        conflicting,
    })
}
