//! Trains the text model of the regions: scores of countries by words.

use super::rows::{Row, WeakRow};
use crate::{
    geography,
    linear::{LinearSvmParams, SparseRecords},
    region::TextModel,
    text::Vocabulary,
    train::{TrainError, terms::common_terms},
};
use linfa::{DatasetBase, traits::Fit};
use ndarray::{Array2, Axis, Slice};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// The least rows of a term.
const LEAST_ROWS_OF_TERM: u32 = 4;
/// The least rows of a country.
const LEAST_ROWS_OF_COUNTRY: usize = 5;
/// The weights that are kept: with the gazetteer they take less than a megabyte. 150,000, chosen by weight alone, cost
/// .002 of micro-F1 and .016 of the accuracy of countries found by words alone.
const MOST_WEIGHTS: usize = 250_000;
/// How similar a served article is assumed to be to the labelled rows, from 0 (like the unlabelled rows) to 1. The two
/// kinds differ in more than their countries ("said", "corp"), so that the fit gets the kind as a feature.
const LIKE_LABELLED: f32 = 0.5;

/// A row to learn from.
struct TextRow<'r> {
    /// The hashes of its terms, with repetitions.
    terms: &'r [u64],
    /// The countries that it is about, or the one that it names most often.
    countries: Vec<&'r str>,
    is_labelled: bool,
}

/// Fits one linear SVM per country, and keeps the most important weights; [`TextModel::none`] if fewer than two
/// countries have enough rows.
///
/// # Errors
/// [`TrainError::Linear`].
pub fn fit(labelled: &[&Row], weak: &[WeakRow], seed: u64) -> Result<TextModel, TrainError> {
    let of_labelled = labelled.iter().map(|row| TextRow {
        terms: &row.terms,
        countries: row.truth.iter().map(String::as_str).collect(),
        is_labelled: true,
    });
    let of_weak =
        weak.iter().map(|row| TextRow { terms: &row.terms, countries: vec![row.country], is_labelled: false });
    let rows: Vec<TextRow<'_>> = of_labelled.chain(of_weak).collect();
    let countries = countries(&rows);
    let terms = common_terms(rows.par_iter().map(|row| row.terms.to_vec()), LEAST_ROWS_OF_TERM);
    if countries.len() < 2 || terms.is_empty() {
        return Ok(TextModel::none());
    }
    let vocabulary = Vocabulary::build(terms.iter().copied(), rows.len());
    let features: Vec<_> = rows.par_iter().map(|row| features(&vocabulary, row.terms)).collect();
    let both_kinds = rows.iter().any(|row| row.is_labelled) && rows.iter().any(|row| !row.is_labelled);
    let mut records = SparseRecords::with_dense(vocabulary.len(), usize::from(both_kinds));
    let mut targets = Array2::from_elem((rows.len(), countries.len()), false);
    for (i, (row, features)) in rows.iter().zip(features).enumerate() {
        let kind = [f32::from(u8::from(row.is_labelled))];
        records.push(&features, if both_kinds { &kind } else { &[] });
        for code in &row.countries {
            if let Ok(country) = countries.binary_search(code) {
                targets[[i, country]] = true;
            }
        }
    }
    let dataset = DatasetBase::new(records, targets);
    let mut svm = LinearSvmParams::default().tolerance(0.3).seed(seed).fit(&dataset)?;
    if both_kinds {
        let of_kind = svm.weights.row(vocabulary.len()).to_owned();
        svm.bias.scaled_add(LIKE_LABELLED, &of_kind);
        svm.weights = svm.weights.slice_axis(Axis(0), Slice::from(..vocabulary.len())).to_owned();
    }
    Ok(TextModel::prune(&svm, &vocabulary, &terms, rows.len(), countries, MOST_WEIGHTS))
}

fn features(vocabulary: &Vocabulary, terms: &[u64]) -> Vec<(u32, f32)> {
    vocabulary.tf_idf(terms.iter().filter_map(|hash| vocabulary.find(*hash)).collect())
}

/// The countries with enough rows, in order; the most frequent if there are too many.
fn countries(rows: &[TextRow<'_>]) -> Vec<&'static str> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    rows.iter().flat_map(|row| &row.countries).for_each(|code| *counts.entry(code).or_default() += 1);
    let mut counts: Vec<_> = counts.into_iter().filter(|(_, rows)| *rows >= LEAST_ROWS_OF_COUNTRY).collect();
    counts.sort_by_key(|(_, rows)| std::cmp::Reverse(*rows));
    counts.truncate(TextModel::MOST_COUNTRIES);
    let mut countries: Vec<&'static str> =
        counts.iter().filter_map(|(code, _)| geography::subject(code)).map(|place| &*place.code).collect();
    countries.sort_unstable();
    countries
}
