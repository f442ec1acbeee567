//! The dense linear layer that scores topics, with quantised weights.

use super::Features;
use fearless_simd::{Level, dispatch};
use ndarray::{Array1, Array2, ArrayView1, Axis, Slice};

/// Bytes of a block: half of a cache line, so that reading one takes one access to memory.
const BLOCK: usize = 32;
/// Bytes of the scale at the beginning of the first block of a row.
const SCALE: usize = size_of::<f32>();
/// Number of weights in the first block of a row.
const IN_FIRST: usize = BLOCK - SCALE;

/// A part of the row of a term.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(align(32))]
struct Block([i8; BLOCK]);

/// The linear layer of the topics: each label's score is the dot product of its weights with an article's [`Features`].
///
/// The weights of terms are quantised to one byte each, with one scale per term; the weights of word vectors are stored as
/// `f32`.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearLayer {
    /// A row of blocks for each term: its scale, then one weight per label in units of the scale, then zeros.
    blocks: Vec<Block>,
    terms: usize,
    labels: usize,
    /// Dimensions of [`Features::vector`] × labels, padded with zeros to the width of `blocks`.
    dense: Array2<f32>,
    /// One per label, padded in the same way.
    bias: Vec<f32>,
}

impl LinearLayer {
    /// Quantises fitted weights (features × labels; the first `n_terms` rows are those of terms). The scale of a term is
    /// its largest absolute weight divided by 127.
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
        // Cannot be `None`: the parts have the same numbers of terms and labels.
        LinearLayer::new(&quantised, &scales, &dense, &bias.to_vec()).unwrap_or_else(|| unreachable!("one shape"))
    }

    /// Creates a layer from weights (terms × labels, in units of each term's scale), scales (one per term), weights of the
    /// vector's dimensions (dimensions × labels) and bias (one per label). `None` if their numbers of terms or labels differ.
    pub fn new(weights: &Array2<i8>, scales: &[f32], dense: &Array2<f32>, bias: &[f32]) -> Option<Self> {
        let (terms, labels) = weights.dim();
        if scales.len() != terms || dense.ncols() != labels || bias.len() != labels {
            return None;
        }
        let blocks_per_row = (SCALE + labels).div_ceil(BLOCK);
        let mut blocks = vec![Block([0; BLOCK]); terms * blocks_per_row];
        let rows = weights.as_standard_layout();
        let rows = rows.as_slice().unwrap_or_default().chunks_exact(labels.max(1));
        for ((row, scale), stored) in rows.zip(scales).zip(blocks.chunks_mut(blocks_per_row)) {
            stored[0].0[..SCALE].copy_from_slice(&scale.to_le_bytes().map(|byte| byte as i8));
            let (in_first, in_others) = row.split_at(labels.min(IN_FIRST));
            stored[0].0[SCALE..SCALE + in_first.len()].copy_from_slice(in_first);
            for (stored, weights) in stored[1..].iter_mut().zip(in_others.chunks(BLOCK)) {
                stored.0[..weights.len()].copy_from_slice(weights);
            }
        }
        let width = blocks_per_row * BLOCK - SCALE;
        let mut padded = Array2::zeros((dense.nrows(), width));
        padded.slice_axis_mut(Axis(1), Slice::from(..labels)).assign(dense);
        let mut bias = bias.to_vec();
        bias.resize(width, 0.0);
        Some(LinearLayer { blocks, terms, labels, dense: padded, bias })
    }

    /// The weights of the terms (terms × labels) in units of their scales, and the scales.
    pub fn term_weights(&self) -> (Array2<i8>, Vec<f32>) {
        let weight = |(term, label)| quantised_weight(self.row(term), label);
        (
            Array2::from_shape_fn((self.terms, self.labels), weight),
            (0..self.terms).map(|term| scale(&self.row(term)[0])).collect(),
        )
    }

    /// The weights of the vector's dimensions (dimensions × labels), and the bias of each label.
    pub fn dense_weights(&self) -> (Array2<f32>, &[f32]) {
        (self.dense.slice_axis(Axis(1), Slice::from(..self.labels)).to_owned(), &self.bias[..self.labels])
    }

    /// Whether the layer has these sizes and only finite weights.
    pub fn has_shape(&self, terms: usize, dimensions: usize, labels: usize) -> bool {
        let are_scales_finite = || (0..self.terms).all(|term| scale(&self.row(term)[0]).is_finite());
        (self.terms, self.dense.nrows(), self.labels) == (terms, dimensions, labels)
            && are_scales_finite()
            && self.dense.iter().chain(&self.bias).all(|value| value.is_finite())
    }

    fn blocks_per_row(&self) -> usize {
        (SCALE + self.labels).div_ceil(BLOCK)
    }

    /// The blocks of a term; at least one.
    fn row(&self, term: usize) -> &[Block] {
        let n = self.blocks_per_row();
        &self.blocks[term * n..][..n]
    }

    /// The weight of a term for a label.
    pub fn weight(&self, term: u32, label: usize) -> f32 {
        let row = self.row(term as usize);
        f32::from(quantised_weight(row, label)) * scale(&row[0])
    }

    /// The weights of the vector's dimensions for a label, and its bias.
    pub fn dense_of(&self, label: usize) -> (ArrayView1<'_, f32>, f32) {
        (self.dense.column(label), self.bias[label])
    }

    /// The score of each label for an article's features.
    pub fn scores(&self, features: &Features) -> Array1<f64> {
        let mut sums = self.bias.clone();
        dispatch!(Level::new(), _simd => self.add_to(&mut sums, features));
        sums.iter().take(self.labels).map(|sum| f64::from(*sum)).collect()
    }

    /// Adds the products of features and weights to the sums, one per label and padded like `bias`.
    #[inline(always)]
    fn add_to(&self, sums: &mut [f32], features: &Features) {
        // A row of one block keeps its sums in registers.
        match self.labels {
            0..=8 => self.add_narrow::<1>(sums, features),
            9..=16 => self.add_narrow::<2>(sums, features),
            17..=24 => self.add_narrow::<3>(sums, features),
            _ => self.add_wide(sums, features),
        }
    }

    /// For labels that fit in one block, `GROUPS` times eight.
    #[inline(always)]
    fn add_narrow<const GROUPS: usize>(&self, sums: &mut [f32], features: &Features) {
        let Some(stored) = sums.as_chunks_mut::<8>().0.first_chunk_mut::<GROUPS>() else { return };
        let mut groups = *stored;
        for (term, value) in &features.terms {
            let block = &self.blocks[*term as usize];
            let value = value * scale(block);
            for (group, weights) in groups.iter_mut().zip(block.0[SCALE..].as_chunks::<8>().0) {
                group.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += value * f32::from(*weight));
            }
        }
        if let Some(dense) = self.dense.as_slice() {
            for (value, weights) in features.vector.iter().zip(dense.chunks_exact(IN_FIRST)) {
                for (group, weights) in groups.iter_mut().zip(weights.as_chunks::<8>().0) {
                    group.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += value * weight);
                }
            }
        }
        *stored = groups;
    }

    #[inline(always)]
    fn add_wide(&self, sums: &mut [f32], features: &Features) {
        for (term, value) in &features.terms {
            let row = self.row(*term as usize);
            let value = value * scale(&row[0]);
            let (in_first, in_others) = sums.split_at_mut(IN_FIRST);
            for (sum, weight) in in_first.iter_mut().zip(&row[0].0[SCALE..]) {
                *sum += value * f32::from(*weight);
            }
            for (sums, block) in in_others.as_chunks_mut::<BLOCK>().0.iter_mut().zip(&row[1..]) {
                for (sum, weight) in sums.iter_mut().zip(&block.0) {
                    *sum += value * f32::from(*weight);
                }
            }
        }
        if let Some(dense) = self.dense.as_slice() {
            for (value, weights) in features.vector.iter().zip(dense.chunks_exact(sums.len())) {
                sums.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += value * weight);
            }
        }
    }
}

/// The scale of the row that begins with this block.
#[inline(always)]
fn scale(first: &Block) -> f32 {
    let [a, b, c, d, ..] = first.0;
    f32::from_le_bytes([a, b, c, d].map(|byte| byte as u8))
}

/// The weight of a label, in units of the scale.
fn quantised_weight(row: &[Block], label: usize) -> i8 {
    let at = SCALE + label;
    row[at / BLOCK].0[at % BLOCK]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linear::SplitMix;

    #[test]
    fn any_number_of_labels_is_scored() {
        let mut random = SplitMix(3);
        let mut number = || (random.next_u64() >> 40) as f32 / (1 << 24) as f32 - 0.5;
        for labels in [2, 8, 9, 17, 24, 25, 28, 29, 60, 61, 100] {
            let weights = Array2::from_shape_fn((7, labels), |_| (number() * 250.0) as i8);
            let scales: Vec<f32> = (0..7).map(|_| number()).collect();
            let dense = Array2::from_shape_fn((4, labels), |_| number());
            let bias: Vec<f32> = (0..labels).map(|_| number()).collect();
            let layer = LinearLayer::new(&weights, &scales, &dense, &bias).expect("consistent parts");
            assert_eq!(layer.term_weights(), (weights.clone(), scales.clone()));
            assert_eq!(layer.dense_weights(), (dense.clone(), &bias[..]));
            assert!(layer.has_shape(7, 4, labels) && !layer.has_shape(6, 4, labels));
            let terms = vec![(1, number()), (6, number())];
            let features = Features { terms, vector: (0..4).map(|_| number()).collect(), ..Features::default() };
            let scores = layer.scores(&features);
            for label in 0..labels {
                let of_terms = features.terms.iter().map(|(term, value)| value * layer.weight(*term, label));
                let of_vector = features.vector.iter().zip(dense.column(label)).map(|(value, weight)| value * weight);
                let expected = bias[label] + of_terms.sum::<f32>() + of_vector.sum::<f32>();
                assert!((scores[label] - f64::from(expected)).abs() < 1e-4, "{labels} {label}");
            }
            assert!(LinearLayer::new(&weights, &scales[1..], &dense, &bias).is_none());
            assert!(LinearLayer::new(&weights, &scales, &dense, &bias[1..]).is_none());
        }
    }
}
