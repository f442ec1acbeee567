//! Trains the mention model: whether an article is about a place, by the words beside the place's name.

use super::rows::Row;
use crate::{
    linear::{LinearSvmParams, SparseRecords},
    region::{CUE_VALUE, MentionModel, Reading},
    train::{TrainError, terms::common_terms},
};
use linfa::{DatasetBase, ParamGuard, traits::Fit};
use ndarray::{Array1, Array2};
use rayon::prelude::*;
use std::collections::HashMap;

/// The least rows of a cue.
const LEAST_ROWS_OF_CUE: u32 = 4;
/// The most names of a row to learn from, the first ones.
const MOST_NAMES_OF_ROW: usize = 12;
/// Names whose likeliest place has a smaller share of their meanings are not learned from.
const LEAST_SHARE: f32 = 0.4;
/// The cost of an error.
const COST: f32 = 0.3;

/// The names of a row to learn from, each with whether the article is about its place.
fn lessons(row: &Row) -> impl Iterator<Item = (&Reading, bool)> {
    let named = row.places.readings().iter().filter_map(|reading| {
        let meaning = reading.likeliest()?;
        let teaches = row.may_be_about(meaning.code) && meaning.share >= LEAST_SHARE;
        teaches.then(|| (reading, row.is_about(meaning.code)))
    });
    named.take(MOST_NAMES_OF_ROW)
}

/// Fits the model; [`MentionModel::none`] if articles are about all the names, or about none.
///
/// # Errors
/// [`TrainError::Linear`].
pub fn fit(rows: &[&Row], seed: u64) -> Result<MentionModel, TrainError> {
    let cues_of = |row: &&Row| lessons(row).flat_map(|(reading, _)| &reading.cues).copied().collect();
    let cues: Vec<u64> =
        common_terms(rows.par_iter().map(cues_of), LEAST_ROWS_OF_CUE).into_iter().map(|(cue, _)| cue).collect();
    let column: HashMap<u64, u32> = cues.iter().enumerate().map(|(i, cue)| (*cue, i as u32)).collect();
    let (mut targets, mut weights) = (Vec::new(), Vec::new());
    let mut records = SparseRecords::new(cues.len());
    for row in rows {
        let of_row: Vec<(&Reading, bool)> = lessons(row).collect();
        // A long article names a place more often, and is not a better example for that.
        let weight = row.times as f32 / (of_row.len() as f32).sqrt();
        for (reading, is_about) in of_row {
            let mut known: Vec<(u32, f32)> =
                reading.cues.iter().filter_map(|cue| column.get(cue)).map(|at| (*at, CUE_VALUE)).collect();
            known.sort_unstable_by_key(|(at, _)| *at);
            known.dedup_by_key(|(at, _)| *at);
            records.push(&known, &[]);
            targets.push(is_about);
            weights.push(weight);
        }
    }
    let about = targets.iter().filter(|is_about| **is_about).count();
    if about == 0 || about == targets.len() {
        return Ok(MentionModel::none());
    }
    let n = targets.len();
    let targets = Array2::from_shape_vec((n, 1), targets).unwrap_or_else(|_| Array2::from_elem((n, 1), false));
    let dataset = DatasetBase::new(records, targets).with_weights(Array1::from(weights));
    let fitted = LinearSvmParams::default().cost(COST).seed(seed).check()?.fit(&dataset)?;
    Ok(MentionModel::prune(&fitted, &cues))
}
