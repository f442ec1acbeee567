//! The rows of a training, by purpose.

use super::left_out::LeftOut;
use crate::{formats::Record, model::TrainingFile};
use serde::Serialize;
use std::collections::BTreeMap;

/// The rows of a training, by purpose.
#[derive(Debug, Default)]
pub struct Data {
    /// Rows with topics, corrections last.
    pub topics: Rows,
    /// Rows with one topic each, even if the article is about several; each topic is one of `topics`.
    pub single_topic: Rows,
    /// The topic of each sub-topic of the rows.
    pub broader: BTreeMap<String, String>,
    /// Rows with regions, corrections last.
    pub regions: Rows,
    /// Rows without labels.
    pub unlabelled: Vec<Record>,
    /// The files of the rows without labels.
    pub unlabelled_files: Vec<TrainingFile>,
    /// Held-out rows with topics.
    pub test_topics: Vec<Record>,
    /// Held-out rows with regions.
    pub test_regions: Vec<Record>,
    /// The files of test rows, if they were given.
    pub test_files: Vec<TrainingFile>,
    /// How test rows were chosen, by part (`topics`, `regions`).
    pub held_out: BTreeMap<&'static str, HeldOut>,
    /// Rows that were left out.
    pub left_out: LeftOut,
}

/// Rows to learn from.
#[derive(Debug, Default)]
pub struct Rows {
    /// The rows.
    pub records: Vec<Record>,
    /// Their files.
    pub files: Vec<TrainingFile>,
    /// The number of corrections, which are the last rows.
    pub corrections: usize,
}

/// How test rows were chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum HeldOut {
    /// They were given as files.
    Files {
        /// Training rows that were left out as copies of test rows.
        leaks: u64,
    },
    /// They are the newest rows.
    Date {
        /// The first day held out.
        from: String,
        /// Newer rows that were left out as copies of training rows.
        leaks: u64,
    },
    /// They were drawn at random, evenly from each label, copies together.
    Lot,
}

#[cfg(test)]
pub mod fixtures {
    use super::*;
    use crate::{article::Article, formats::Place};

    pub fn row(id: &str, body: String, topic: &str, published: String) -> Record {
        let article = Article { id: id.to_owned(), body, ..Article::default() };
        Record {
            article,
            topics: vec![topic.to_owned()],
            published,
            place: Place::of_file(format!("a:{id}")),
            ..Record::default()
        }
    }

    /// Bodies of thirty words each, all different.
    pub fn rows(count: usize, dated: bool) -> Rows {
        let body = |i: usize| (0..30).map(|k| format!("w{} ", i * 100 + k)).collect::<String>();
        let day =
            |i: usize| if dated { format!("2024-{:02}-{:02}", i / 28 % 12 + 1, i % 28 + 1) } else { String::new() };
        let records = (0..count).map(|i| row(&i.to_string(), body(i), ["a", "b"][i % 2], day(i))).collect();
        Rows { records, ..Rows::default() }
    }
}
