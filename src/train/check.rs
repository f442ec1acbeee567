//! Describes the rows of a training, and warns of problems, without training.

use super::{
    TrainError, copies,
    data::{Data, HeldOut},
    left_out::LeftOut,
    markup::Markup,
    regions,
    rows::{day, file_name, words_of},
};
use crate::{
    copies::content_hash,
    document::UNDETERMINED,
    formats::{Place, Record},
    model::clean_article,
    topic::taxonomy,
};
use rayon::prelude::*;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The description of a training's rows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Check {
    /// Rows with topics; `None` if there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topics: Option<Part>,
    /// Rows with regions; `None` if there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regions: Option<Part>,
    /// Rows without labels.
    pub unlabelled: usize,
    /// Why a training of these rows would end with an error; empty if nothing is in its way.
    pub obstacles: Vec<String>,
    /// Warnings, each with what to do.
    pub warnings: Vec<String>,
    /// Rows that were left out, and why.
    pub left_out: LeftOut,
}

/// Rows of one kind.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Part {
    /// Their number.
    pub rows: usize,
    /// Rows by label.
    pub labels: BTreeMap<String, usize>,
    /// Rows with more than one label.
    pub several_labels: usize,
    /// Words per article: minimum, quartiles, maximum.
    pub words: [usize; 5],
    /// Rows by language, as an ISO 639 code; `und` if undetermined.
    pub languages: BTreeMap<String, usize>,
    /// Rows by year; `-` without a date.
    pub years: BTreeMap<String, usize>,
    /// Rows with exactly the words of an earlier row.
    pub duplicates: usize,
    /// Rows with nearly the words of an earlier row.
    pub near_duplicates: usize,
    /// Rows with the id of an earlier row.
    pub repeated_ids: usize,
    /// The place of the first of these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_repeated_id: Option<Place>,
    /// Places of two copies of an article with different labels; the first twenty pairs.
    pub conflicts: Vec<(Place, Place)>,
    /// The number of rows whose labels a copy lacks.
    pub conflicting: usize,
}

/// A label with fewer rows is learned badly.
const FEW_ROWS: usize = 50;
/// Warn if the most frequent label has this many times the rows of the rarest.
const UNBALANCED: usize = 50;
const MOST_CONFLICTS: usize = 20;
/// A file in which at least one of this many rows has several topics is taken to have all topics of its articles.
const SEVERAL_IN: usize = 20;

/// The formats of dates.
pub const DATES: &str = "write it as 2024-05-31 (a time may follow), as in RFC 2822, or as seconds since 1970";

/// Describes rows that were read.
pub fn check(data: &Data) -> Check {
    let mut warnings = file_warnings(&data.left_out);
    let topics = part(&data.topics.records, |record| record.topics.clone());
    let regions = part(&data.regions.records, |record| record.regions.clone().unwrap_or_default());
    if let Some(topics) = &topics {
        warn("topics", topics, &data.left_out.rare_labels, &mut warnings);
        for [one, other] in &data.left_out.alike {
            warnings.push(format!(
                "the labels {one:?} and {other:?} differ in case only: if they are one label, merge them with --map"
            ));
        }
        for (label, rows) in &data.left_out.rare_labels {
            warnings.push(format!("{label} has {rows} different rows and will be left out: the minimum is --min-rows"));
        }
        let known: BTreeSet<&str> = taxonomy::topics().collect();
        for code in topics.labels.keys().filter(|code| code.starts_with("medtop:") && !known.contains(code.as_str())) {
            warnings
                .push(format!("{code} is not one of the seventeen first-level Media Topics: check that it is meant"));
        }
        warnings.extend(single_topic_files(&data.topics.records));
        let (few, many) = (topics.labels.values().min().copied(), topics.labels.values().max().copied());
        if let (Some(few), Some(many)) = (few, many)
            && many > few * UNBALANCED
        {
            warnings.push(format!(
                "the most frequent topic has {many} rows, the rarest {few}: rare topics will often be missed"
            ));
        }
    }
    if let Some(regions) = &regions {
        warn("regions", regions, &data.left_out.rare_labels, &mut warnings);
    }
    if let Some(place) = &data.left_out.first_undated {
        let rows = data.left_out.undated;
        warnings.push(format!("{rows} rows have an invalid date, the first at {place}: {DATES}"));
    }
    for (part, how) in &data.held_out {
        if let HeldOut::Files { leaks } = how
            && *leaks > 0
        {
            warnings.push(format!("{part}: {leaks} training rows are copies of test rows and will be left out"));
        }
    }
    let (unlabelled, left_out) = (data.unlabelled.len(), data.left_out.clone());
    Check { obstacles: obstacles(data), topics, regions, unlabelled, warnings, left_out }
}

/// The errors with which a training would end, as far as the rows show them.
fn obstacles(data: &Data) -> Vec<String> {
    let mut found = Vec::new();
    let rare = &data.left_out.rare_labels;
    let labels: BTreeSet<&String> = data.topics.records.iter().flat_map(|record| &record.topics).collect();
    let learned: Vec<String> =
        labels.iter().filter(|label| !rare.contains_key(**label)).map(|l| (**l).clone()).collect();
    match learned.len() {
        _ if data.topics.records.is_empty() => {}
        0 => found.push("no topic has enough different rows to be learned (--min-rows)".to_owned()),
        1 => found.push(TrainError::OneLabel { labels: learned }.to_string()),
        _ => {}
    }
    if !data.regions.records.is_empty()
        && let Err(error) = regions::check(&data.regions)
    {
        found.push(error.to_string());
    }
    found
}

/// Warnings of files whose rows may have been read otherwise than they are meant.
fn file_warnings(left_out: &LeftOut) -> Vec<String> {
    let mut warnings = Vec::new();
    for (file, markup) in &left_out.markup {
        let Markup { tags, references, first, is_converted } = markup;
        let found = format!(
            "{file}: {tags} rows have HTML tags and {references} others character references, the first at {first}"
        );
        warnings.push(match is_converted {
            true => format!("{found}; they are read as HTML. If that is wrong, give --format text or a column format"),
            false => format!("{found}; they are read as text. If they are HTML, give --format html or a column format"),
        });
    }
    if let Some(place) = &left_out.first_long {
        let rows = left_out.long;
        warnings.push(format!(
            "{rows} rows have a text of more than 200,000 bytes, the first at {place}: is a quote missing, or are they more than one article?"
        ));
    }
    if let Some(place) = &left_out.first_future {
        let rows = left_out.future;
        warnings.push(format!("{rows} rows are dated in the future, the first at {place}: they are used as rows without a date (--last-day)"));
    }
    warnings
}

/// Warnings of files whose rows all have one topic, while rows of other files have several: the articles may have more
/// topics than the rows.
fn single_topic_files(records: &[Record]) -> Vec<String> {
    let mut files: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for record in records {
        let (rows, several) = files.entry(file_name(record.place.path())).or_default();
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
    if let Some(place) = &part.first_repeated_id {
        let rows = part.repeated_ids;
        warnings.push(format!(
            "{what}: {rows} rows have the id of an earlier row, the first at {place}: corrections without a text cannot name them"
        ));
    }
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
    let groups = copies::groups(records, |record| words_of(record).into());
    let read = records.par_iter().map(|record| {
        let words = words_of(record);
        let language = clean_article(&record.article).language.into_owned();
        (content_hash(words.iter().copied()), (words.len(), language))
    });
    let (contents, (mut lengths, languages)): (Vec<u64>, (Vec<usize>, Vec<String>)) = read.unzip();
    let count = |values: &mut dyn Iterator<Item = String>| {
        let mut counts = BTreeMap::new();
        values.for_each(|value| *counts.entry(value).or_insert(0) += 1);
        counts
    };
    let year = |record: &Record| day(record).map_or_else(|| "-".to_owned(), |day| day.year().to_string());
    let mut ids = BTreeSet::new();
    let repeated: Vec<&Record> =
        records.iter().filter(|record| record.has_own_id() && !ids.insert(&record.article.id)).collect();
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
        repeated_ids: repeated.len(),
        first_repeated_id: repeated.first().map(|record| record.place.clone()),
        conflicts,
        conflicting,
    })
}
