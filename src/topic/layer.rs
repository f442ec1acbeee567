//! The dense linear layer that scores topics, with quantised weights.

use super::Features;
use ndarray::{Array1, Array2, ArrayView1, Axis};

/// The weights of a term are padded to a multiple of this, so that the inner loop uses full SIMD vectors.
const LANES: usize = 16;

/// The linear layer of the topics: each label's score is the dot product of its weights with an article's [`Features`].
///
/// The weights of terms are quantised to one byte each, with one scale per term; the weights of word vectors are stored as
/// `f32`.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearLayer {
    /// Terms × labels, each row padded with zeros to a multiple of [`LANES`], in units of the term's scale.
    weights: Vec<i8>,
    /// The largest absolute weight of each term, divided by 127.
    scales: Vec<f32>,
    /// Dimensions of [`Features::vector`] × labels.
    dense: Array2<f32>,
    /// One per label.
    bias: Vec<f32>,
}

impl LinearLayer {
    /// Quantises fitted weights (features × labels; the first `n_terms` rows are those of terms).
    pub fn quantise(weights: &Array2<f32>, bias: &Array1<f32>, n_terms: usize) -> Self {
        let (term_weights, dense) = weights.view().split_at(Axis(0), n_terms);
        let scales: Vec<f32> = term_weights
            .rows()
            .into_iter()
            .map(|row| row.iter().fold(0.0_f32, |most, weight| most.max(weight.abs())) / 127.0)
            .collect();
        let mut quantised = Array2::zeros(term_weights.dim());
        for ((row, scale), mut stored) in term_weights.rows().into_iter().zip(&scales).zip(quantised.rows_mut()) {
            if *scale > 0.0 {
                stored.assign(&row.mapv(|weight| (weight / scale).round() as i8));
            }
        }
        // Not `to_owned`, because ndarray 0.16 panics on views without rows.
        let dense = Array2::from_shape_fn(dense.dim(), |at| dense[at]);
        LinearLayer::new(&quantised, scales, dense, bias.to_vec())
    }

    /// Creates a layer from weights (terms × labels, in units of each term's scale), scales (one per term), weights of the
    /// vector's dimensions (dimensions × labels) and bias (one per label).
    pub fn new(weights: &Array2<i8>, scales: Vec<f32>, dense: Array2<f32>, bias: Vec<f32>) -> Self {
        let padding = vec![0; weights.ncols().next_multiple_of(LANES) - weights.ncols()];
        let padded = weights.rows().into_iter().flat_map(|row| row.into_iter().chain(&padding)).copied().collect();
        LinearLayer { weights: padded, scales, dense, bias }
    }

    /// The weights of the terms (terms × labels) in units of their scales, and the scales.
    pub fn term_weights(&self) -> (Array2<i8>, &[f32]) {
        (
            Array2::from_shape_fn((self.scales.len(), self.bias.len()), |(term, label)| self.row(term)[label]),
            &self.scales,
        )
    }

    /// The weights of the vector's dimensions (dimensions × labels), and the bias.
    pub fn dense_weights(&self) -> (&Array2<f32>, &[f32]) {
        (&self.dense, &self.bias)
    }

    /// Whether the layer has these sizes and only finite weights.
    pub fn has_shape(&self, terms: usize, dimensions: usize, labels: usize) -> bool {
        self.scales.len() == terms
            && self.bias.len() == labels
            && self.dense.dim() == (dimensions, labels)
            && self.weights.len() == terms * labels.next_multiple_of(LANES)
            && self.scales.iter().chain(&self.dense).chain(&self.bias).all(|value| value.is_finite())
    }

    /// The weights of a term, padded.
    fn row(&self, term: usize) -> &[i8] {
        let width = self.bias.len().next_multiple_of(LANES);
        &self.weights[term * width..][..width]
    }

    /// The weight of a term for a label.
    pub fn weight(&self, term: u32, label: usize) -> f32 {
        f32::from(self.row(term as usize)[label]) * self.scales[term as usize]
    }

    /// The weights of the vector's dimensions for a label, and its bias.
    pub fn dense_of(&self, label: usize) -> (ArrayView1<'_, f32>, f32) {
        (self.dense.column(label), self.bias[label])
    }

    /// The score of each label for an article's features.
    pub fn scores(&self, features: &Features) -> Array1<f64> {
        let mut sums = self.bias.clone();
        sums.resize(self.bias.len().next_multiple_of(LANES), 0.0);
        for (term, value) in &features.terms {
            let value = value * self.scales[*term as usize];
            let row = self.row(*term as usize);
            for (sums, weights) in sums.as_chunks_mut::<LANES>().0.iter_mut().zip(row.as_chunks::<LANES>().0) {
                for (sum, weight) in sums.iter_mut().zip(weights) {
                    *sum += value * f32::from(*weight);
                }
            }
        }
        for (value, weights) in features.vector.iter().zip(self.dense.rows()) {
            sums.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += value * weight);
        }
        sums.iter().take(self.bias.len()).map(|sum| f64::from(*sum)).collect()
    }
}
