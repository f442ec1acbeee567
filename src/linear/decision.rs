//! Calibrated decision layers for binary questions, fitted by linfa's logistic regression.

use super::LinearError;
use linfa::{Dataset, traits::Fit};
use linfa_logistic::LogisticRegression;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};

/// Maximum number of L-BFGS iterations.
const MAX_ITERATIONS: u64 = 300;
/// The largest correction of an intercept, as log-odds.
const MAX_SHIFT: f64 = 20.0;
/// The steps of its bisection: enough for the precision of the sum.
const HALVINGS: usize = 50;

/// The calibrated decision layer of a binary question: the weights of a `linfa_logistic::LogisticRegression`.
#[derive(Debug, Clone, PartialEq)]
pub struct LogisticLayer {
    /// One weight per feature.
    pub weights: Array1<f64>,
    /// The log-odds if every feature is 0.
    pub intercept: f64,
}

impl LogisticLayer {
    /// Fits the layer on `features` (rows × features) and the answer of each row. The fit has converged if the norm of the
    /// gradient is below `tolerance` times the number of rows, because linfa sums the loss over the rows. With 1e-5,
    /// probabilities are stable to the fourth decimal.
    ///
    /// # Errors
    /// [`LinearError::NothingToLearn`] if all answers are equal; [`LinearError::DecisionLayer`] if linfa-logistic fails, or
    /// returns a model with a higher loss than the constant share of positive answers (version 0.8.1 may return its all-zero
    /// initial weights as success).
    pub fn fit(features: ArrayView2<'_, f64>, answers: &[bool], tolerance: f64) -> Result<Self, LinearError> {
        let yes = answers.iter().filter(|answer| **answer).count();
        if yes == 0 || yes == answers.len() {
            return Err(LinearError::NothingToLearn { rows: answers.len(), labels: 1 });
        }
        let standardiser = Standardiser::fit(features);
        let dataset = Dataset::new(standardiser.apply(features), Array1::from(answers.to_vec()));
        let fitted = LogisticRegression::default()
            .max_iterations(MAX_ITERATIONS)
            .gradient_tolerance(tolerance * answers.len() as f64)
            .fit(&dataset)
            .map_err(|error| LinearError::DecisionLayer(error.to_string()))?;
        // linfa takes the more frequent answer as the positive class.
        let sign = if fitted.labels().pos.class { 1.0 } else { -1.0 };
        let weights = fitted.params() * sign / &standardiser.scale;
        let intercept = fitted.intercept() * sign - weights.dot(&standardiser.mean);
        let layer = LogisticLayer { weights, intercept };

        let rows = answers.len() as f64;
        let loss = answers
            .iter()
            .zip(features.rows())
            .map(|(answer, row)| {
                let p = layer.probability(row);
                -(if *answer { p } else { 1.0 - p }).max(1e-300).ln()
            })
            .sum::<f64>()
            / rows;
        let share = yes as f64 / rows;
        let prior_loss = -share * share.ln() - (1.0 - share) * (1.0 - share).ln();
        if !loss.is_finite() || loss > prior_loss {
            return Err(LinearError::DecisionLayer(format!("loss {loss:.3}, loss of the prior {prior_loss:.3}")));
        }
        Ok(layer)
    }

    /// Moves the intercept until the mean probability of some rows (rows × features) is `share`, between 0 and 1 exclusive: corrects a
    /// layer that was fitted to rows in which positive answers are more or less frequent (prior correction; King & Zeng 2001).
    pub fn set_mean(&mut self, features: ArrayView2<'_, f64>, share: f64) {
        let scores = features.dot(&self.weights) + self.intercept;
        let mean = |shift: f64| scores.iter().map(|score| logistic(score + shift)).sum::<f64>() / scores.len() as f64;
        // The mean rises with the shift.
        let (mut low, mut high) = (-MAX_SHIFT, MAX_SHIFT);
        for _ in 0..HALVINGS {
            let middle = f64::midpoint(low, high);
            if mean(middle) < share {
                low = middle;
            } else {
                high = middle;
            }
        }
        self.intercept += f64::midpoint(low, high);
    }

    /// The probability of a positive answer.
    pub fn probability(&self, features: ArrayView1<'_, f64>) -> f64 {
        logistic(features.dot(&self.weights) + self.intercept)
    }
}

fn logistic(score: f64) -> f64 {
    1.0 / (1.0 + (-score).exp())
}

/// Standardises columns to mean 0 and standard deviation 1, because linfa-logistic may fail to converge on unscaled input.
struct Standardiser {
    mean: Array1<f64>,
    scale: Array1<f64>,
}

impl Standardiser {
    fn fit(records: ArrayView2<'_, f64>) -> Self {
        let mean = records.mean_axis(Axis(0)).unwrap_or_else(|| Array1::zeros(records.ncols()));
        let scale = records.std_axis(Axis(0), 0.0).mapv(|deviation| if deviation > 1e-9 { deviation } else { 1.0 });
        Standardiser { mean, scale }
    }

    fn apply(&self, records: ArrayView2<'_, f64>) -> Array2<f64> {
        (&records - &self.mean) / &self.scale
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linear::SplitMix;

    fn uniform(random: &mut SplitMix) -> f64 {
        (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    #[test]
    fn logistic_probabilities_are_calibrated() {
        // The answer is positive with probability σ(3x ± 1): the fit must find both, whichever answer is more frequent.
        for shift in [-1.0, 1.0] {
            let mut random = SplitMix(3);
            let mut features = Array2::zeros((20_000, 1));
            let mut answers = Vec::new();
            for mut row in features.rows_mut() {
                row[0] = uniform(&mut random) * 2.0 - 1.0;
                let p = 1.0 / (1.0 + (-(3.0 * row[0] + shift)).exp());
                answers.push(uniform(&mut random) < p);
            }
            let layer = LogisticLayer::fit(features.view(), &answers, 1e-5).expect("it fits");
            assert!((layer.weights[0] - 3.0).abs() < 0.15, "{}", layer.weights[0]);
            assert!((layer.intercept - shift).abs() < 0.1, "{}", layer.intercept);
        }
    }

    #[test]
    fn the_intercept_is_moved_to_a_mean_probability() {
        let layer = LogisticLayer { weights: Array1::from(vec![2.0]), intercept: 1.0 };
        let features = Array2::from_shape_fn((400, 1), |(i, _)| i as f64 / 100.0 - 2.0);
        for share in [0.001, 0.2, 0.9] {
            let mut moved = layer.clone();
            moved.set_mean(features.view(), share);
            let mean = features.rows().into_iter().map(|row| moved.probability(row)).sum::<f64>() / 400.0;
            assert!((mean - share).abs() < 1e-9, "{mean}");
            assert_eq!(moved.weights, layer.weights);
        }
    }

    #[test]
    fn a_fit_without_information_is_an_error() {
        let features = Array2::from_elem((10, 1), f64::NAN);
        let answers: Vec<bool> = (0..10).map(|i| i % 2 == 0).collect();
        assert!(LogisticLayer::fit(features.view(), &answers, 1e-5).is_err());
        assert!(LogisticLayer::fit(Array2::zeros((3, 1)).view(), &[true; 3], 1e-5).is_err());
    }
}
