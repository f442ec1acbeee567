//! The languages of rows.

use super::folds::FOLDS;
use crate::document::{Document, UNDETERMINED};
use std::collections::BTreeMap;

/// A language that is detected in a smaller share of the rows is taken for wrong guesses on short rows.
const LEAST_SHARE: f64 = 0.1;

/// The language of a row.
#[derive(Debug, Clone, Default)]
pub struct RowLanguage {
    /// An ISO 639 code; `und` if undetermined.
    code: String,
    /// Whether the row states it.
    is_stated: bool,
}

impl RowLanguage {
    pub fn of(document: &Document<'_>) -> Self {
        RowLanguage { code: document.language.clone().into_owned(), is_stated: !document.language_is_detected }
    }
}

/// The languages of rows, the most frequent first: those that rows state, and those that are detected often.
pub fn languages<'r>(rows: impl Iterator<Item = &'r RowLanguage>) -> Vec<String> {
    // By language: its number of rows, and how many of them state it.
    let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for row in rows.filter(|row| !row.code.is_empty() && row.code != UNDETERMINED) {
        let (all, stated) = counts.entry(&row.code).or_default();
        *all += 1;
        *stated += usize::from(row.is_stated);
    }
    let least = LEAST_SHARE * counts.values().map(|(all, _)| all).sum::<usize>() as f64;
    let mut languages: Vec<(usize, &str)> = counts
        .into_iter()
        .filter(|(_, (all, stated))| *all as f64 >= least || *stated >= FOLDS)
        .map(|(language, (all, _))| (all, language))
        .collect();
    languages.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
    languages.into_iter().map(|(_, language)| language.to_owned()).collect()
}
