//! Decision layers: convert the scores of labels to calibrated probabilities.

use super::Form;
use crate::linear::LogisticLayer;
use ndarray::{Array1, Array2, ArrayView1};
use std::ops::Range;

/// Number of inputs of the layer for one label: its score, the best score of the other labels, its score times each factor
/// of the article's form, and these factors.
pub const DECISION_INPUTS: usize = 2 + 2 * Form::FACTORS;

/// The best other score of a label that has no others: the typical score of a label that does not apply.
const NO_OTHER: f64 = -1.0;

/// The calibrated decision layers: for each label the weights of a `linfa_logistic::LogisticRegression`, fitted on cross-fitted
/// scores. Each label reads only its own and the best other score, so the size is linear in the number of labels.
#[derive(Debug, Clone, PartialEq)]
pub struct DecisionLayer {
    /// Labels × [`DECISION_INPUTS`].
    pub weights: Array2<f64>,
    /// One per label.
    pub intercept: Array1<f64>,
}

/// The inputs of the layer for one label.
pub fn decision_inputs(own: f64, best_other: f64, form: Form) -> [f64; DECISION_INPUTS] {
    let mut inputs = [0.0; DECISION_INPUTS];
    (inputs[0], inputs[1]) = (own, best_other);
    for (i, factor) in form.factors().into_iter().enumerate() {
        inputs[2 + i] = own * factor;
        inputs[2 + Form::FACTORS + i] = factor;
    }
    inputs
}

/// Returns a function that gives, for a label of a group, the other label of the group with the best score, and that score.
pub fn best_others(scores: ArrayView1<'_, f64>, group: Range<usize>) -> impl Fn(usize) -> (Option<usize>, f64) {
    let mut best = [(None, NO_OTHER); 2];
    for label in group {
        let score = scores[label];
        // Of equal scores, the first is the best.
        if best[0].0.is_none() || score > best[0].1 {
            best = [(Some(label), score), best[0]];
        } else if best[1].0.is_none() || score > best[1].1 {
            best[1] = (Some(label), score);
        }
    }
    move |label| if best[0].0 == Some(label) { best[1] } else { best[0] }
}

/// How the log-odds of a label depend on the scores of an article: `own · score + other · best other score + constant`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Direction {
    /// The weight of the label's own score.
    pub own: f64,
    /// The label with the best other score, and the weight of that score.
    pub other: Option<(usize, f64)>,
    /// The part that does not depend on scores.
    pub constant: f64,
}

impl DecisionLayer {
    /// Combines one fitted layer per label.
    pub fn of_labels(layers: &[LogisticLayer]) -> Self {
        DecisionLayer {
            weights: Array2::from_shape_fn((layers.len(), DECISION_INPUTS), |(label, i)| layers[label].weights[i]),
            intercept: layers.iter().map(|layer| layer.intercept).collect(),
        }
    }

    /// Whether the layer has this number of labels and only finite weights.
    pub fn has_shape(&self, labels: usize) -> bool {
        self.weights.dim() == (labels, DECISION_INPUTS)
            && self.intercept.len() == labels
            && self.weights.iter().chain(&self.intercept).all(|weight| weight.is_finite())
    }

    /// The probability of each label of a group, in the order of the group.
    pub fn probabilities(&self, scores: ArrayView1<'_, f64>, group: Range<usize>, form: Form) -> Vec<f64> {
        let best_other = best_others(scores, group.clone());
        group.map(|label| self.probability(label, &decision_inputs(scores[label], best_other(label).1, form))).collect()
    }

    /// The probability of a label from its inputs.
    pub fn probability(&self, label: usize, inputs: &[f64; DECISION_INPUTS]) -> f64 {
        let log_odds = self.weights.row(label).dot(&ArrayView1::from(inputs)) + self.intercept[label];
        1.0 / (1.0 + (-log_odds).exp())
    }

    /// How the log-odds of a label depend on the scores of an article.
    pub fn direction(&self, label: usize, scores: ArrayView1<'_, f64>, group: Range<usize>, form: Form) -> Direction {
        let weights = self.weights.row(label);
        let factors = form.factors();
        let weighted_factors =
            |from: usize| -> f64 { factors.iter().zip(weights.iter().skip(from)).map(|(f, w)| f * w).sum() };
        let (other, best_other) = best_others(scores, group)(label);
        let default_other = if other.is_none() { weights[1] * best_other } else { 0.0 };
        Direction {
            own: weights[0] + weighted_factors(2),
            other: other.map(|other| (other, weights[1])),
            constant: self.intercept[label] + weighted_factors(2 + Form::FACTORS) + default_other,
        }
    }
}

/// Normalises the probabilities of mutually exclusive labels: divides each by their sum (Zadrozny, Elkan:
/// Transforming Classifier Scores into Accurate Multiclass Probability Estimates, KDD 2002).
pub fn normalise(probabilities: &mut [f64]) {
    let sum: f64 = probabilities.iter().sum();
    if sum > 0.0 {
        probabilities.iter_mut().for_each(|p| *p /= sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn the_best_other_label_is_found() {
        let scores = array![0.5, 2.0, 2.0, -1.0, 3.0];
        let others = best_others(scores.view(), 0..4);
        assert_eq!([0, 1, 2, 3].map(|label| others(label).0), [Some(1), Some(2), Some(1), Some(1)]);
        assert_eq!(best_others(scores.view(), 3..4)(3), (None, NO_OTHER));
    }

    #[test]
    fn directions_give_the_log_odds() {
        let weights = Array2::from_shape_fn((3, DECISION_INPUTS), |(i, j)| (i as f64 - 1.0) * 0.3 + j as f64 * 0.11);
        let layer = DecisionLayer { weights, intercept: array![0.2, -0.1, 0.4] };
        let scores = array![0.7, -1.3, 0.2];
        for (form, group) in [(Form::of(60, 5), 0..3), (Form::of(5, 5), 0..3), (Form::of(700, 0), 1..2)] {
            let probabilities = layer.probabilities(scores.view(), group.clone(), form);
            for (label, p) in group.clone().zip(probabilities) {
                let direction = layer.direction(label, scores.view(), group.clone(), form);
                let other = direction.other.map_or(0.0, |(other, weight)| scores[other] * weight);
                let log_odds = direction.own * scores[label] + other + direction.constant;
                assert!((log_odds - (p / (1.0 - p)).ln()).abs() < 1e-9, "{label} {form:?}");
            }
        }
    }

    #[test]
    fn normalised_probabilities_sum_to_one() {
        let mut probabilities = [0.6, 0.3, 0.3];
        normalise(&mut probabilities);
        assert_eq!(probabilities, [0.5, 0.25, 0.25]);
        normalise(&mut [0.0, 0.0]);
    }
}
