//! A linear support vector machine for sparse records, and the random number generator of its row order.

use super::{LinearError, SparseRecords};
use linfa::{
    DatasetBase, ParamGuard,
    dataset::{AsMultiTargets, Records},
    traits::{Fit, PredictInplace},
};
use ndarray::{Array1, Array2, ArrayView1};
use rayon::prelude::*;

/// Unchecked parameters of a one-vs-rest linear support vector machine on sparse records.
///
/// For each label, the fit minimises `½‖w‖² + Σ cᵢ max(0, 1 − yᵢ(w·xᵢ + b))²`, with the bias as an additional feature of
/// value 1, by dual coordinate descent (Hsieh, Chang, Lin, Keerthi, Sundararajan: A Dual Coordinate Descent Method for
/// Large-scale Linear SVM, ICML 2008); `cᵢ` is [`cost`](Self::cost) times the weight of row i in the dataset. Labels are
/// independent, so a row may have any number of them.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearSvmParams(LinearSvmValidParams);

/// Checked parameters; see [`LinearSvmParams`].
#[derive(Debug, Clone, PartialEq)]
pub struct LinearSvmValidParams {
    cost: f32,
    tolerance: f32,
    max_passes: usize,
    seed: u64,
}

impl Default for LinearSvmParams {
    fn default() -> Self {
        LinearSvmParams(LinearSvmValidParams { cost: 1.0, tolerance: 0.1, max_passes: 60, seed: 1 })
    }
}

impl LinearSvmParams {
    /// The cost of an error relative to the regularisation; above 0. Default: 1.
    pub fn cost(mut self, cost: f32) -> Self {
        self.0.cost = cost;
        self
    }

    /// Stops when the largest violation of the optimality conditions is at most this; above 0. Default: 0.1.
    pub fn tolerance(mut self, tolerance: f32) -> Self {
        self.0.tolerance = tolerance;
        self
    }

    /// Maximum number of passes over the rows; at least 1. Default: 60.
    pub fn max_passes(mut self, max_passes: usize) -> Self {
        self.0.max_passes = max_passes;
        self
    }

    /// The seed of the order in which rows are visited. Default: 1.
    pub fn seed(mut self, seed: u64) -> Self {
        self.0.seed = seed;
        self
    }
}

impl ParamGuard for LinearSvmParams {
    type Checked = LinearSvmValidParams;
    type Error = LinearError;

    fn check_ref(&self) -> Result<&Self::Checked, LinearError> {
        for (name, value) in [("cost", self.0.cost), ("tolerance", self.0.tolerance)] {
            if !(value.is_finite() && value > 0.0) {
                return Err(LinearError::Parameter { name, value: f64::from(value), range: "above 0" });
            }
        }
        if self.0.max_passes == 0 {
            return Err(LinearError::Parameter { name: "max_passes", value: 0.0, range: "at least 1" });
        }
        Ok(&self.0)
    }

    fn check(self) -> Result<Self::Checked, LinearError> {
        self.check_ref()?;
        Ok(self.0)
    }
}

/// A fitted one-vs-rest linear model.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearSvm {
    /// Weights, features × labels.
    pub weights: Array2<f32>,
    /// One bias per label.
    pub bias: Array1<f32>,
}

impl<T: AsMultiTargets<Elem = bool>> Fit<SparseRecords, T, LinearError> for LinearSvmValidParams {
    type Object = LinearSvm;

    /// Fits one machine per column of the targets (rows × labels: whether the row has the label), in parallel. The result does
    /// not depend on the number of threads.
    ///
    /// # Errors
    /// [`LinearError::Shape`] if records and targets differ in rows; [`LinearError::NothingToLearn`] without rows or labels.
    fn fit(&self, dataset: &DatasetBase<SparseRecords, T>) -> Result<LinearSvm, LinearError> {
        let records = dataset.records();
        let targets = dataset.targets().as_multi_targets();
        let (rows, labels) = targets.dim();
        if rows != records.nsamples() {
            return Err(LinearError::Shape { records: records.nsamples(), targets: rows });
        }
        if rows == 0 || labels == 0 {
            return Err(LinearError::NothingToLearn { rows, labels });
        }
        let costs: Vec<f32> = match dataset.weights() {
            Some(weights) => weights.iter().map(|weight| weight * self.cost).collect(),
            None => vec![self.cost; rows],
        };
        let norms: Vec<f32> = (0..rows).map(|i| records.squared_norm(i) + 1.0).collect();
        let columns: Vec<_> = targets.columns().into_iter().collect();
        let fitted: Vec<(Vec<f32>, f32)> =
            columns.into_par_iter().map(|column| self.fit_label(records, &norms, &costs, column)).collect();

        let mut weights = Array2::zeros((records.nfeatures(), labels));
        let mut bias = Array1::zeros(labels);
        for (label, (w, b)) in fitted.into_iter().enumerate() {
            weights.column_mut(label).assign(&ArrayView1::from(&w));
            bias[label] = b;
        }
        Ok(LinearSvm { weights, bias })
    }
}

impl LinearSvmValidParams {
    /// Fits one label. `norms` are the squared norms of the rows with the bias feature. Returns weights and bias.
    fn fit_label(
        &self,
        records: &SparseRecords,
        norms: &[f32],
        costs: &[f32],
        targets: ArrayView1<'_, bool>,
    ) -> (Vec<f32>, f32) {
        let rows = norms.len();
        let mut w = vec![0.0_f32; records.nfeatures()];
        let mut bias = 0.0_f32;
        let mut alpha = vec![0.0_f32; rows];
        let mut order: Vec<u32> = (0..rows as u32).collect();
        let mut active = rows;
        let mut random = SplitMix(self.seed);
        // Shrinking: skip rows whose multiplier is 0 and whose gradient exceeds the largest projected gradient of the last
        // pass.
        let mut shrink_above = f32::INFINITY;
        let mut passes = 0;
        while passes < self.max_passes {
            passes += 1;
            let (mut max_projected, mut min_projected) = (f32::NEG_INFINITY, f32::INFINITY);
            for i in (1..active).rev() {
                order.swap(i, random.below(i + 1));
            }
            let mut k = 0;
            while k < active {
                let i = order[k] as usize;
                let y = if targets[i] { 1.0 } else { -1.0 };
                let diagonal = 0.5 / costs[i];
                let gradient = y * (records.dot(i, &w) + bias) - 1.0 + alpha[i] * diagonal;
                let projected = if alpha[i] > 0.0 {
                    gradient
                } else if gradient > shrink_above {
                    active -= 1;
                    order.swap(k, active);
                    continue;
                } else {
                    gradient.min(0.0)
                };
                max_projected = max_projected.max(projected);
                min_projected = min_projected.min(projected);
                if projected.abs() > 1e-12 {
                    let old = alpha[i];
                    alpha[i] = (old - gradient / (norms[i] + diagonal)).max(0.0);
                    let step = (alpha[i] - old) * y;
                    records.add_scaled(i, step, &mut w);
                    bias += step;
                }
                k += 1;
            }
            if active == 0 || max_projected - min_projected <= self.tolerance {
                if active == rows {
                    break;
                }
                active = rows;
                shrink_above = f32::INFINITY;
            } else {
                shrink_above = if max_projected > 0.0 { max_projected } else { f32::INFINITY };
            }
        }
        (w, bias)
    }
}

impl PredictInplace<SparseRecords, Array2<f32>> for LinearSvm {
    /// The score of each label for each row: `w·x + b`, rows × labels.
    fn predict_inplace<'a>(&'a self, records: &'a SparseRecords, scores: &mut Array2<f32>) {
        for (i, mut scores) in scores.rows_mut().into_iter().enumerate() {
            scores.assign(&self.bias);
            for (column, value) in records.row(i) {
                scores.scaled_add(value, &self.weights.row(column));
            }
        }
    }

    fn default_target(&self, records: &SparseRecords) -> Array2<f32> {
        Array2::zeros((records.nsamples(), self.bias.len()))
    }
}

/// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014). Its
/// sequence is fixed, so that a seed gives the same model independent of library versions.
#[derive(Debug, Clone)]
pub struct SplitMix(pub u64);

impl SplitMix {
    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number from 0 to `bound` - 1; `bound` is at least 1.
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next_u64()) * bound as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    /// Two labels, two features that determine them, and a third feature that is noise.
    fn dataset() -> DatasetBase<SparseRecords, Array2<bool>> {
        let mut records = SparseRecords::new(3);
        let mut targets = Array2::from_elem((60, 2), false);
        for i in 0..60_usize {
            let label = i % 2;
            records.push(&[(label as u32, 0.9), (2, if i % 3 == 0 { 0.4 } else { 0.1 })], &[]);
            targets[[i, label]] = true;
        }
        DatasetBase::new(records, targets)
    }

    #[test]
    fn separable_labels_are_separated() {
        let dataset = dataset();
        let svm = LinearSvmParams::default().fit(&dataset).expect("it fits");
        let mut scores = svm.default_target(dataset.records());
        svm.predict_inplace(dataset.records(), &mut scores);
        for (score, target) in scores.iter().zip(dataset.targets()) {
            assert_eq!(*score > 0.0, *target);
        }
    }

    #[test]
    fn the_fit_finds_the_optimum() {
        // One feature of value 1 with its sign as label: by symmetry b = 0, and w minimises ½w² + 2 max(0, 1 - w)²,
        // so w = 4 (1 - w), w = 0.8.
        let mut records = SparseRecords::new(1);
        records.push(&[(0, 1.0)], &[]);
        records.push(&[(0, -1.0)], &[]);
        let dataset = DatasetBase::new(records, array![[true, false], [false, true]]);
        let svm = LinearSvmParams::default().tolerance(1e-5).max_passes(1000).fit(&dataset).expect("it fits");
        assert!((svm.weights[[0, 0]] - 0.8).abs() < 1e-3, "{}", svm.weights);
        assert!((svm.weights[[0, 1]] + 0.8).abs() < 1e-3, "{}", svm.weights);
        assert!(svm.bias.iter().all(|bias| bias.abs() < 1e-3));
    }

    #[test]
    fn a_row_weight_equals_repetition() {
        let mut records = SparseRecords::new(1);
        let mut twice = SparseRecords::new(1);
        for (value, times) in [(1.0, 2), (0.5, 1), (-1.0, 1)] {
            records.push(&[(0, value)], &[]);
            (0..times).for_each(|_| twice.push(&[(0, value)], &[]));
        }
        let fit = |dataset: &DatasetBase<_, _>| {
            LinearSvmParams::default().tolerance(1e-6).max_passes(5000).fit(dataset).expect("it fits").weights[[0, 0]]
        };
        let weighted = DatasetBase::new(records, array![[true, false], [false, true], [false, true]])
            .with_weights(array![2.0, 1.0, 1.0]);
        let repeated = DatasetBase::new(twice, array![[true, false], [true, false], [false, true], [false, true]]);
        assert!((fit(&weighted) - fit(&repeated)).abs() < 1e-3);
    }

    #[test]
    fn fits_are_deterministic() {
        let dataset = dataset();
        let fit = || LinearSvmParams::default().fit(&dataset).expect("it fits");
        let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a pool");
        assert_eq!(fit(), one_thread.install(fit));
    }

    #[test]
    fn invalid_parameters_are_rejected() {
        let error = LinearSvmParams::default().cost(-1.0).fit(&dataset()).expect_err("a negative cost is invalid");
        assert_eq!(error.to_string(), "invalid parameter cost -1: expected a number above 0");
    }
}
