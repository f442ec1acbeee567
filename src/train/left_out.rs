//! Rows that a training leaves out, and why.

use super::markup::Markup;
use crate::formats::Place;
use serde::Serialize;
use std::collections::BTreeMap;

/// Rows that were left out, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Invalid rows, by reason; reasons that differ in numbers only are one.
    pub bad: Vec<BadRows>,
    /// Rows without the field that the file is read for.
    pub unlabelled: u64,
    /// Rows with a blank or an overlong text.
    pub unusable: u64,
    /// Rows all of whose labels the map drops on purpose.
    pub unwanted: u64,
    /// Labels that the map lacks, and their number of rows.
    pub unmapped: BTreeMap<String, u64>,
    /// Labels of regions that are no country, and their number of rows; the rows are left out.
    pub unknown_regions: BTreeMap<String, u64>,
    /// Files with HTML in rows that do not state their format.
    pub markup: BTreeMap<String, Markup>,
    /// Rows with a text that is longer than articles are; they are kept.
    pub long: u64,
    /// The place of the first of these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_long: Option<Place>,
    /// Archive rows that corrections replaced.
    pub corrected: u64,
    /// Corrections of topics, or regions, without an archive of these.
    pub unused_corrections: u64,
    /// Corrections that a later correction of the same article replaced.
    pub superseded_corrections: u64,
    /// Corrections without a text whose id no row of the archive has, or several.
    pub unmatched_corrections: u64,
    /// The place of the first of these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_unmatched_correction: Option<Place>,
    /// Corrections whose id an archive row with another text has; the row is kept beside the correction.
    pub clashing_corrections: u64,
    /// The place of the first of these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_clashing_correction: Option<Place>,
    /// Rows dated after the last day that counts; they are kept without their date.
    pub future: u64,
    /// The place of the first of these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_future: Option<Place>,
    /// Rows with an invalid date; they are kept without it.
    pub undated: u64,
    /// The place of the first of these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_undated: Option<Place>,
    /// Labels with too few different rows to be learned, and the number of these.
    pub rare_labels: BTreeMap<String, u64>,
    /// Rows with only such labels.
    pub of_rare_labels: u64,
    /// Pairs of labels that differ by case alone.
    pub alike: Vec<[String; 2]>,
    /// Sub-topics in rows without their topic; these rows teach their topics only.
    pub orphan_subtopics: u64,
    /// The place of the first of these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_orphan_subtopic: Option<Place>,
    /// Sub-topics with too few rows to be learned, and the number of these.
    pub rare_subtopics: BTreeMap<String, u64>,
    /// Topics of single-topic rows that no archive row has, and their number of rows.
    pub unknown_single_topics: BTreeMap<String, u64>,
    /// Single-topic rows that are copies of an archive row or a test row.
    pub copied_single_topics: u64,
}

/// Rows that are invalid for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BadRows {
    /// Their number.
    pub rows: u64,
    /// The place of the first.
    pub first: Place,
    /// Why it is invalid.
    pub reason: String,
}

impl LeftOut {
    /// The first invalid row, for the end of a message; empty if there is none.
    pub fn first_bad(&self) -> String {
        self.bad.first().map(|bad| format!("; {}: {}", bad.first, bad.reason)).unwrap_or_default()
    }

    /// The number of invalid rows.
    pub fn bad_rows(&self) -> u64 {
        self.bad.iter().map(|reason| reason.rows).sum()
    }
}
