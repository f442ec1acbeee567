//! First stage: articles as packed rows, each with its labels, its fold and its weight.

use crate::{
    copies::content_hash,
    formats::Record,
    model::clean_article,
    text::words_into,
    topic::Form,
    train::{
        FOLDS, Progress, Rows, TrainError, TrainParams, copies, folds,
        languages::{RowLanguage, languages},
        lexicon::{Found, Lexicon, PackedRow},
        rows::text_hash,
    },
};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// The weight of a row is its length in words divided by the median length, within these bounds.
const LEAST_WEIGHT: f32 = 0.5;
const MOST_WEIGHT: f32 = 8.0;
/// A correction weighs as much as this many rows of its length.
const CORRECTION_WEIGHT: f32 = 4.0;
/// The number of rows that are read at once.
const ROWS_AT_ONCE: usize = 1 << 13;
/// If a smaller share of the rows has several topics, the topics of the archive are exclusive.
const SEVERAL_TOPICS_SHARE: f64 = 0.005;
/// The most bytes of text of an archive for which character n-grams may be learned: they cost several times as much as
/// words.
const MOST_NGRAM_BYTES: usize = 32 << 20;

/// The rows to learn topics from.
#[derive(Debug, Clone, Copy)]
pub struct TopicSource<'a> {
    /// Rows with all their topics.
    pub archive: &'a Rows,
    /// Rows with one topic each, even if the article is about several.
    pub single_topic: &'a [Record],
    /// The topic of each sub-topic of the archive.
    pub broader: &'a BTreeMap<String, String>,
}

/// A row: its words, its labels, its weight and its fold.
pub struct Row {
    /// Its words.
    pub words: PackedRow,
    /// A hash of its words in order.
    pub content: u64,
    /// The content hash of the first of its copies.
    pub group: u64,
    /// The hash of its source's name.
    pub source: u64,
    /// The form of the article.
    pub form: Form,
    /// Its topics, as indices into [`TopicRows::topics`].
    pub topics: Vec<usize>,
    /// Its sub-topics, as indices into [`TopicRows::subtopics`].
    pub subtopics: Vec<usize>,
    /// Its weight, in rows.
    pub weight: f32,
    /// The fold in which it is held out.
    pub fold: usize,
    /// Whether it was selected by label: then it does not show how frequent labels are.
    pub is_selected: bool,
    language: RowLanguage,
}

/// A sub-topic among the labels of the rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowSubtopic {
    /// Its code.
    pub code: String,
    /// Its topic, as an index into [`TopicRows::topics`].
    pub topic: usize,
}

/// The rows of an archive.
pub struct TopicRows {
    /// The codes of the topics, in order.
    pub topics: Vec<String>,
    /// The sub-topics, by topic, then by code.
    pub subtopics: Vec<RowSubtopic>,
    /// The different words of all rows.
    pub lexicon: Lexicon,
    /// Rows with all their topics, in the order of the archive.
    pub labelled: Vec<Row>,
    /// Rows with one topic each, even if the article is about several; they are in no fold.
    pub single_topic: Vec<Row>,
    /// Whether each labelled row has one topic, so that topics are exclusive.
    pub exclusive: bool,
    /// Whether the forms of the rows differ, so that the form is informative.
    pub forms_differ: bool,
    /// The languages of the rows as ISO 639 codes, the most frequent first.
    pub languages: Vec<String>,
}

impl TopicRows {
    /// Reads the words of every article.
    ///
    /// # Errors
    /// [`TrainError::OneLabel`] if there are fewer than two topics.
    pub fn read(source: &TopicSource<'_>, params: &TrainParams, progress: &dyn Progress) -> Result<Self, TrainError> {
        let records = &source.archive.records;
        let mut topics: Vec<String> = records.iter().flat_map(|record| &record.topics).cloned().collect();
        topics.sort();
        topics.dedup();
        let set = |record: &Record| record.topics.iter().cloned().collect::<BTreeSet<String>>();
        let all_alike = records.first().map(set).is_none_or(|first| records.iter().all(|record| set(record) == first));
        if topics.len() < 2 || all_alike {
            return Err(TrainError::OneLabel { labels: topics });
        }
        let mut subtopics: Vec<RowSubtopic> = source
            .broader
            .iter()
            .filter_map(|(code, topic)| {
                Some(RowSubtopic { code: code.clone(), topic: topics.binary_search(topic).ok()? })
            })
            .collect();
        subtopics.sort_by(|a, b| a.topic.cmp(&b.topic).then_with(|| a.code.cmp(&b.code)));

        let bytes: usize = records.iter().map(|record| record.article.headline.len() + record.article.body.len()).sum();
        let mut lexicon = Lexicon::new(bytes <= MOST_NGRAM_BYTES && source.single_topic.is_empty());
        let bar = progress.start("topics: reading", (records.len() + source.single_topic.len()) as u64);
        let mut read = |records: &[Record]| -> Vec<Row> {
            let mut rows = Vec::with_capacity(records.len());
            for part in records.chunks(ROWS_AT_ONCE) {
                rows.extend(read_part(part, &topics, &subtopics, &mut lexicon));
                bar.advance(part.len() as u64);
            }
            rows
        };
        let (mut labelled, mut single_topic) = (read(records), read(source.single_topic));

        let groups = copies::groups(&labelled, |row: &Row| lexicon.words(&row.words).into());
        labelled.iter_mut().zip(groups).for_each(|(row, group)| row.group = group);
        let folds = folds_of(&labelled, params.seed);
        labelled.iter_mut().zip(folds).for_each(|(row, fold)| row.fold = fold);
        weigh(&mut labelled);
        weigh(&mut single_topic);
        // Corrections are the last rows.
        let corrections = records.len() - source.archive.corrections;
        labelled[corrections..].iter_mut().for_each(|row| row.weight *= CORRECTION_WEIGHT);
        let several = labelled.iter().filter(|row| row.topics.len() > 1).count();
        Ok(TopicRows {
            exclusive: (several as f64) < SEVERAL_TOPICS_SHARE * labelled.len() as f64,
            forms_differ: Form::differ(labelled.iter().map(|row| row.form)),
            languages: languages(labelled.iter().map(|row| &row.language)),
            topics,
            subtopics,
            lexicon,
            labelled,
            single_topic,
        })
    }

    /// The sub-topics of a topic, as a range of indices.
    pub fn subtopics_of(&self, topic: usize) -> std::ops::Range<usize> {
        let from = self.subtopics.partition_point(|one| one.topic < topic);
        from..self.subtopics.partition_point(|one| one.topic <= topic)
    }

    /// The number of labelled rows of each topic, and of each sub-topic.
    pub fn support(&self) -> (Vec<u64>, Vec<u64>) {
        let count = |labels: usize, of: fn(&Row) -> &Vec<usize>| {
            let mut counts = vec![0; labels];
            self.labelled.iter().flat_map(of).for_each(|label| counts[*label] += 1);
            counts
        };
        (count(self.topics.len(), |row| &row.topics), count(self.subtopics.len(), |row| &row.subtopics))
    }
}

#[cfg(test)]
impl Row {
    /// A row with these words and topics.
    pub fn for_tests(words: PackedRow, topics: Vec<usize>) -> Self {
        Row {
            content: 0,
            group: 0,
            source: 0,
            form: Form::of(words.len(), words.headline()),
            words,
            topics,
            subtopics: Vec::new(),
            weight: 1.0,
            fold: 0,
            is_selected: false,
            language: RowLanguage::default(),
        }
    }
}

fn read_part(part: &[Record], topics: &[String], subtopics: &[RowSubtopic], lexicon: &mut Lexicon) -> Vec<Row> {
    let with_ngrams = lexicon.with_ngrams();
    let places: HashMap<&str, usize> = subtopics.iter().enumerate().map(|(i, one)| (&*one.code, i)).collect();
    let read = part.par_iter().map_init(Vec::new, |words, record| {
        let document = clean_article(&record.article);
        words_into(&document, words);
        let found = Found::of(words, &document, with_ngrams);
        (found, RowLanguage::of(&document))
    });
    let read: Vec<_> = read.collect();
    let rows = read.into_iter().zip(part).map(|((found, language), record)| {
        let words = lexicon.pack(&found);
        let content = content_hash(lexicon.words(&words).into_iter());
        let place = |code: &String| places.get(code.as_str()).copied();
        Row {
            content,
            group: content,
            source: source_hash(&record.source),
            form: Form::of(words.len(), words.headline()),
            words,
            topics: record.topics.iter().filter_map(|topic| topics.binary_search(topic).ok()).collect(),
            subtopics: record.subtopics.iter().filter_map(place).collect(),
            weight: 1.0,
            fold: 0,
            is_selected: record.is_selected,
            language,
        }
    });
    rows.collect()
}

/// Sets the weight of each row: a long article has more evidence of its topics than a short one.
fn weigh(rows: &mut [Row]) {
    let mut lengths: Vec<usize> = rows.iter().map(|row| row.words.len()).collect();
    lengths.sort_unstable();
    let median = lengths.get(lengths.len() / 2).map_or(1, |length| (*length).max(1)) as f32;
    for row in rows {
        row.weight = (row.words.len().max(1) as f32 / median).clamp(LEAST_WEIGHT, MOST_WEIGHT);
    }
}

/// The fold of each row: copies share one, and each first topic is spread evenly.
fn folds_of(rows: &[Row], seed: u64) -> Vec<usize> {
    let keys: Vec<(usize, u64)> =
        rows.iter().map(|row| (row.topics.first().copied().unwrap_or(0), row.group)).collect();
    folds::folds(&keys, FOLDS, seed)
}

/// The hash of a source's name.
pub fn source_hash(source: &str) -> u64 {
    text_hash(source.trim())
}

/// The different labels of some rows.
pub fn labels_of<'r>(rows: impl Iterator<Item = &'r Row>) -> HashSet<usize> {
    rows.flat_map(|row| row.topics.iter().copied()).collect()
}
