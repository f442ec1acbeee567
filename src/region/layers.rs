//! The two calibrated decision layers of the ranker: the first scores each candidate alone, the second compares them.
//!
//! The first layer reads the features of a candidate. The second reads them again, together with the first layer's
//! probabilities of the candidate and of the other candidates of the article: next to a more probable country, a country is
//! less often what the article is about.

use super::candidates::{FEATURES, Feature, feature, indicator};
use crate::linear::LogisticLayer;
use ndarray::{Array2, ArrayView2, Axis};

/// The features that the second layer reads in addition to [`FEATURES`], in order. "Probability" is the first layer's.
#[rustfmt::skip]
pub const BESIDE: [Feature<Comparison>; 11] = [
    feature("beside_log_odds", "-14 to 14", "the log-odds of its probability", |v| log_odds(v.own)),
    feature("beside_best", "0 to 1", "the probability of the most probable, which may be it", |v| v.own.max(v.best_other)),
    feature("beside_first", "0 or 1", "it is the most probable", |v| indicator(v.rank == 0)),
    feature("beside_second", "0 or 1", "it is the second", |v| indicator(v.rank == 1)),
    feature("beside_third", "0 or 1", "it is the third", |v| indicator(v.rank == 2)),
    feature("beside_lead", "-14 to 14", "the log-odds of the most probable, if it is another", |v| if v.rank == 0 { 0.0 } else { log_odds(v.best_other) }),
    feature("beside_own_and_best", "0 to 1", "its probability × beside_best", |v| v.own * v.own.max(v.best_other)),
    feature("beside_own_and_later", "0 to 1", "its probability, if another is more probable", |v| if v.rank == 0 { 0.0 } else { v.own }),
    feature("beside_others", "0 to n", "the probabilities of the others, in all", |v| v.others),
    feature("beside_others_squared", "0 to n²", "beside_others, squared", |v| v.others * v.others),
    feature("beside_own_and_others", "0 to n", "its probability × beside_others", |v| v.own * v.others),
];

/// The names of all features of the second layer, in order.
pub fn feature_names() -> impl Iterator<Item = &'static str> {
    FEATURES.iter().map(|feature| feature.name).chain(BESIDE.iter().map(|feature| feature.name))
}

/// The first layer's probabilities of a candidate and of the other candidates of its article.
pub struct Comparison {
    own: f64,
    best_other: f64,
    /// The sum of the others' probabilities.
    others: f64,
    /// From 0, the most probable; equal ones keep their order.
    rank: usize,
}

fn log_odds(probability: f64) -> f64 {
    const LEAST: f64 = 1e-6;
    let p = probability.clamp(LEAST, 1.0 - LEAST);
    (p / (1.0 - p)).ln()
}

/// Appends [`BESIDE`], computed with the first layer `alone`, to the [`FEATURES`] of the candidates of one article
/// (candidates × features).
pub fn beside(alone: &LogisticLayer, features: ArrayView2<'_, f64>) -> Array2<f64> {
    let probabilities: Vec<f64> = features.rows().into_iter().map(|row| alone.probability(row)).collect();
    let mut values = Array2::zeros((probabilities.len(), FEATURES.len() + BESIDE.len()));
    for (i, (own, mut row)) in probabilities.iter().zip(values.rows_mut()).enumerate() {
        let (mut alone, mut beside) = row.view_mut().split_at(Axis(0), FEATURES.len());
        alone.assign(&features.row(i));
        let others = || probabilities.iter().enumerate().filter(move |(other, _)| *other != i);
        let is_before = |other: usize, p: f64| p > *own || (p == *own && other < i);
        let comparison = Comparison {
            own: *own,
            best_other: others().map(|(_, p)| *p).fold(0.0, f64::max),
            others: others().map(|(_, p)| p).sum(),
            rank: others().filter(|(other, p)| is_before(*other, **p)).count(),
        };
        beside.iter_mut().zip(&BESIDE).for_each(|(cell, feature)| *cell = (feature.value)(&comparison));
    }
    values
}

/// The two layers.
#[derive(Debug, Clone, PartialEq)]
pub struct RankerLayers {
    /// The first layer, over [`FEATURES`].
    pub alone: LogisticLayer,
    /// The second layer, over [`FEATURES`] and [`BESIDE`].
    pub beside: LogisticLayer,
}

impl RankerLayers {
    /// Whether each layer has one finite weight per feature, and a finite intercept.
    pub fn are_valid(&self) -> bool {
        let finite =
            |layer: &LogisticLayer| layer.weights.iter().chain([&layer.intercept]).all(|weight| weight.is_finite());
        self.alone.weights.len() == FEATURES.len()
            && self.beside.weights.len() == FEATURES.len() + BESIDE.len()
            && finite(&self.alone)
            && finite(&self.beside)
    }

    /// The features of the second layer for the candidates of one article; see [`beside`].
    pub fn read(&self, features: ArrayView2<'_, f64>) -> Array2<f64> {
        beside(&self.alone, features)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array1;

    #[test]
    fn the_second_layer_compares_candidates() {
        // Only the first feature has a weight, so that it equals the log-odds.
        let mut weights = Array1::zeros(FEATURES.len());
        weights[0] = 1.0;
        let alone = LogisticLayer { weights, intercept: 0.0 };
        let mut features = Array2::zeros((3, FEATURES.len()));
        for (i, log_odds) in [-1.0, 2.0, -1.0].into_iter().enumerate() {
            features[[i, 0]] = log_odds;
        }
        let read = beside(&alone, features.view());
        assert_eq!(read.shape(), [3, FEATURES.len() + BESIDE.len()]);
        let value = |row: usize, name: &str| {
            let at = feature_names().position(|one| one == name).expect("there is one");
            read[[row, at]]
        };
        for (row, log_odds) in [-1.0, 2.0, -1.0].into_iter().enumerate() {
            assert!((value(row, "beside_log_odds") - log_odds).abs() < 1e-9);
        }
        // Ties keep their order.
        assert_eq!([0, 1, 2].map(|row| value(row, "beside_first")), [0.0, 1.0, 0.0]);
        assert_eq!([0, 1, 2].map(|row| value(row, "beside_second")), [1.0, 0.0, 0.0]);
        assert_eq!([0, 1, 2].map(|row| value(row, "beside_third")), [0.0, 0.0, 1.0]);
        assert!((value(0, "beside_lead") - 2.0).abs() < 1e-9);
        assert_eq!(value(1, "beside_lead"), 0.0);
    }

    #[test]
    fn names_of_features_are_unique() {
        let names: std::collections::BTreeSet<&str> = feature_names().collect();
        assert_eq!(names.len(), FEATURES.len() + BESIDE.len());
    }
}
