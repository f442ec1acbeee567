//! The sparse linear layer that scores sub-topics.

use super::Features;
use fearless_simd::{Level, dispatch};
use ndarray::{Array1, Array2, ArrayView1, Axis, Slice};
use std::ops::Range;

/// The labels are divided into chunks of this many consecutive ones, which are scored at once.
const LANES: usize = 8;
/// Number of chunks whose presence in a row is stored in one number.
const CHUNKS_PER_ROW: usize = u32::BITS as usize;

/// The linear layer of the sub-topics. Unlike [`LinearLayer`](super::LinearLayer), it keeps only the most influential
/// weights, so that a hundred labels need a few weights per term.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SparseLayer {
    terms: usize,
    labels: usize,
    /// For each [`CHUNKS_PER_ROW`] chunks of labels, one row per term.
    rows: Vec<Row>,
    /// The weights of each chunk in which the term has a weight, in units of the label's scale, in the order of `rows`.
    blocks: Vec<[i8; LANES]>,
    /// The largest absolute weight of each label, divided by 127.
    scales: Vec<f32>,
    /// Dimensions of [`Features::vector`] × labels, padded with zeros to whole chunks.
    dense: Array2<f32>,
    /// One per label.
    bias: Vec<f32>,
}

/// The weights that a layer keeps, as they are stored.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cells {
    /// The number of cells of each term.
    pub lengths: Vec<u16>,
    /// The label of each cell, term by term, in ascending order within a term.
    pub labels: Vec<u16>,
    /// The weight of each cell, in units of the label's scale.
    pub weights: Vec<i8>,
}

impl Cells {
    /// Whether the labels of each term are in ascending order.
    fn are_in_order(&self) -> bool {
        let mut rest = &self.labels[..];
        self.lengths.iter().all(|length| {
            let of_term;
            (of_term, rest) = rest.split_at(usize::from(*length));
            of_term.is_sorted_by(|a, b| a < b)
        })
    }
}

/// The chunks in which a term has a weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Row {
    /// The index of the first block.
    start: u32,
    /// A bit set of chunks; there is one block per bit.
    chunks: u32,
}

impl Row {
    /// The index of the block of a chunk, which must be in the set.
    #[inline(always)]
    fn block(self, chunk: u32) -> usize {
        self.start as usize + (self.chunks & ((1 << chunk) - 1)).count_ones() as usize
    }
}

/// The fitted weights of one label.
#[derive(Debug, Clone, PartialEq)]
pub struct SparseColumn {
    /// Term, weight and influence of the weight, in ascending order of terms.
    cells: Vec<(u32, f32, f32)>,
    dense: Array1<f32>,
    bias: f32,
}

impl SparseColumn {
    /// Keeps the `most` most influential weights of terms. `weights` has one weight per feature, terms first. `reach` has
    /// for each term the Euclidean norm of the score errors over all articles if a weight of 1 is dropped. The influence of
    /// a weight is its absolute value times the reach.
    pub fn new(weights: ArrayView1<'_, f32>, bias: f32, reach: &[f32], most: usize) -> Self {
        let term_weights = weights.iter().zip(reach).enumerate().filter(|(_, (weight, _))| **weight != 0.0);
        let mut cells: Vec<(u32, f32, f32)> =
            term_weights.map(|(term, (weight, reach))| (term as u32, *weight, weight.abs() * reach)).collect();
        if cells.len() > most {
            cells.select_nth_unstable_by(most, |a, b| b.2.total_cmp(&a.2).then(a.0.cmp(&b.0)));
            cells.truncate(most);
            cells.sort_unstable_by_key(|cell| cell.0);
        }
        SparseColumn { cells, dense: weights.iter().skip(reach.len()).copied().collect(), bias }
    }
}

impl SparseLayer {
    /// Builds a layer from the `most` most influential weights of all labels.
    pub fn of_columns(columns: &[SparseColumn], n_terms: usize, dimensions: usize, most: usize) -> Self {
        let mut influences: Vec<f32> =
            columns.iter().flat_map(|column| column.cells.iter().map(|cell| cell.2)).collect();
        let threshold = match influences.len().checked_sub(most) {
            Some(at) if at > 0 => *influences.select_nth_unstable_by(at, f32::total_cmp).1,
            _ => 0.0,
        };
        let mut by_term: Vec<Vec<(u16, i8)>> = vec![Vec::new(); n_terms];
        let mut scales = Vec::with_capacity(columns.len());
        for (label, column) in columns.iter().enumerate() {
            let kept = || column.cells.iter().filter(|(_, _, influence)| *influence >= threshold);
            let scale = kept().fold(0.0_f32, |most, (_, weight, _)| most.max(weight.abs())) / 127.0;
            scales.push(scale);
            for (term, weight, _) in kept() {
                let steps = (weight / scale).round() as i8;
                if steps != 0 {
                    by_term[*term as usize].push((label as u16, steps));
                }
            }
        }
        let lengths: Vec<u16> = by_term.iter().map(|cells| cells.len() as u16).collect();
        let cells = by_term.into_iter().flatten().unzip();
        let dense = Array2::from_shape_fn((dimensions, columns.len()), |(at, label)| columns[label].dense[at]);
        let bias = columns.iter().map(|column| column.bias).collect();
        SparseLayer::new(Cells { lengths, labels: cells.0, weights: cells.1 }, scales, &dense, bias)
    }

    /// Packs consistent cells.
    fn new(cells: Cells, scales: Vec<f32>, dense: &Array2<f32>, bias: Vec<f32>) -> Self {
        let labels = bias.len();
        let n_chunks = labels.div_ceil(LANES);
        let (mut rows, mut blocks) =
            (Vec::with_capacity(cells.lengths.len()), Vec::with_capacity(cells.labels.len() / 2));
        for first_chunk in (0..n_chunks).step_by(CHUNKS_PER_ROW) {
            let mut start = 0;
            for length in &cells.lengths {
                let of_term = start..start + usize::from(*length);
                start = of_term.end;
                let mut row = Row { start: blocks.len() as u32, chunks: 0 };
                for (label, weight) in cells.labels[of_term.clone()].iter().zip(&cells.weights[of_term]) {
                    let (chunk, lane) = (usize::from(*label) / LANES, usize::from(*label) % LANES);
                    let Some(bit) = chunk.checked_sub(first_chunk).and_then(|bit| 1_u32.checked_shl(bit as u32)) else {
                        continue;
                    };
                    if row.chunks & bit == 0 {
                        row.chunks |= bit;
                        blocks.push([0; LANES]);
                    }
                    if let Some(block) = blocks.last_mut() {
                        block[lane] = *weight;
                    }
                }
                rows.push(row);
            }
        }
        blocks.shrink_to_fit();
        let mut padded = Array2::zeros((dense.nrows(), n_chunks * LANES));
        padded.slice_axis_mut(Axis(1), Slice::from(..labels)).assign(dense);
        SparseLayer { terms: cells.lengths.len(), labels, rows, blocks, scales, dense: padded, bias }
    }

    /// Restores a layer from its stored parts ([`cells`](Self::cells), [`parts_by_label`](Self::parts_by_label)); `None` if
    /// they are inconsistent or not finite.
    pub fn from_parts(cells: Cells, scales: Vec<f32>, dense: &Array2<f32>, bias: Vec<f32>) -> Option<Self> {
        let n: usize = cells.lengths.iter().map(|length| usize::from(*length)).sum();
        let is_consistent = (cells.labels.len(), cells.weights.len()) == (n, n)
            && scales.len() == bias.len()
            && dense.ncols() == bias.len()
            && cells.are_in_order()
            && cells.labels.iter().all(|label| usize::from(*label) < bias.len())
            && scales.iter().chain(dense).chain(&bias).all(|value| value.is_finite());
        is_consistent.then(|| SparseLayer::new(cells, scales, dense, bias))
    }

    /// The cells, for storage.
    pub fn cells(&self) -> Cells {
        let mut cells = Cells::default();
        for term in 0..self.terms as u32 {
            let before = cells.labels.len();
            let weights = (0..self.labels).map(|label| (label as u16, self.quantised_weight(term, label)));
            for (label, weight) in weights.filter(|(_, weight)| *weight != 0) {
                cells.labels.push(label);
                cells.weights.push(weight);
            }
            cells.lengths.push((cells.labels.len() - before) as u16);
        }
        cells
    }

    /// The scale of each label, the weights of the vector's dimensions (dimensions × labels) and the bias of each label.
    pub fn parts_by_label(&self) -> (&[f32], Array2<f32>, &[f32]) {
        (&self.scales, self.dense.slice_axis(Axis(1), Slice::from(..self.labels)).to_owned(), &self.bias)
    }

    /// Whether the layer has these sizes.
    pub fn has_shape(&self, terms: usize, dimensions: usize, labels: usize) -> bool {
        (self.terms, self.dense.nrows(), self.labels) == (terms, dimensions, labels)
    }

    /// The weight of a term for a label in units of the label's scale; 0 if it was not kept.
    fn quantised_weight(&self, term: u32, label: usize) -> i8 {
        let chunk = label / LANES;
        let row = self.rows[chunk / CHUNKS_PER_ROW * self.terms + term as usize];
        let chunk = (chunk % CHUNKS_PER_ROW) as u32;
        if row.chunks >> chunk & 1 == 1 { self.blocks[row.block(chunk)][label % LANES] } else { 0 }
    }

    /// The weight of a term for a label; 0 if it was not kept.
    pub fn weight(&self, term: u32, label: usize) -> f32 {
        f32::from(self.quantised_weight(term, label)) * self.scales[label]
    }

    /// The weights of the vector's dimensions for a label, and its bias.
    pub fn dense_of(&self, label: usize) -> (ArrayView1<'_, f32>, f32) {
        (self.dense.column(label), self.bias[label])
    }

    /// The score of each label for an article's features.
    pub fn all_scores(&self, features: &Features) -> Array1<f64> {
        self.scores(features, std::iter::once(0..self.labels))
    }

    /// The score of each label of some groups of consecutive labels for an article's features. The scores of other labels
    /// have no meaning.
    pub fn scores(&self, features: &Features, groups: impl Iterator<Item = Range<usize>>) -> Array1<f64> {
        let mut sums = vec![[0.0_f32; LANES]; self.labels.div_ceil(LANES)];
        let mut chunks: Vec<usize> = groups.flat_map(|group| group.start / LANES..group.end.div_ceil(LANES)).collect();
        chunks.sort_unstable();
        chunks.dedup();
        dispatch!(Level::new(), _simd => self.add_to(&mut sums, &chunks, features));
        sums.as_flattened().iter().take(self.labels).map(|sum| f64::from(*sum)).collect()
    }

    /// Computes the scores of the labels of some chunks, which are in ascending order.
    #[inline(always)]
    fn add_to(&self, sums: &mut [[f32; LANES]], chunks: &[usize], features: &Features) {
        for in_row in chunks.chunk_by(|a, b| a / CHUNKS_PER_ROW == b / CHUNKS_PER_ROW) {
            let first = in_row[0] / CHUNKS_PER_ROW * CHUNKS_PER_ROW;
            let wanted = in_row.iter().fold(0, |set, chunk| set | 1 << (chunk - first));
            let rows = &self.rows[first / CHUNKS_PER_ROW * self.terms..][..self.terms];
            // Three loops, each of which only reads what the one before it found, so that the processor can fetch many
            // rows, and then many blocks, at the same time.
            let rows: Vec<Row> = features.terms.iter().map(|(term, _)| rows[*term as usize]).collect();
            let mut products = Vec::with_capacity(2 * rows.len());
            for (row, (_, value)) in rows.iter().zip(&features.terms) {
                let mut present = row.chunks & wanted;
                while present != 0 {
                    let chunk = present.trailing_zeros();
                    products.push((row.block(chunk), first + chunk as usize, *value));
                    present &= present - 1;
                }
            }
            for (block, chunk, value) in products {
                // Copies, so that the sums may be in registers while the weights are read.
                let weights = self.blocks[block];
                let mut lanes = sums[chunk];
                lanes.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += value * f32::from(weight));
                sums[chunk] = lanes;
            }
        }
        let Some(dense) = self.dense.as_slice() else { return };
        for chunk in chunks {
            let labels = chunk * LANES..self.labels.min((chunk + 1) * LANES);
            let mut lanes = sums[*chunk];
            for ((sum, scale), bias) in lanes.iter_mut().zip(&self.scales[labels.clone()]).zip(&self.bias[labels]) {
                *sum = *sum * scale + bias;
            }
            for (value, weights) in features.vector.iter().zip(dense.as_chunks().0.chunks_exact(sums.len())) {
                let weights: &[f32; LANES] = &weights[*chunk];
                lanes.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += value * weight);
            }
            sums[*chunk] = lanes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linear::SplitMix;

    #[test]
    fn the_most_influential_weights_approximate_the_scores() {
        // Two labels, six terms and two dimensions; term 4 is rare and has small weights.
        let weights = ndarray::array![
            [1.0, -0.5],
            [0.0, 0.25],
            [-0.75, 0.0],
            [0.5, 0.5],
            [0.001, -0.002],
            [0.0, 0.0],
            [0.3, -0.1],
            [0.2, 0.4]
        ];
        let reach = [3.0, 3.0, 3.0, 3.0, 1.0, 3.0];
        let columns: Vec<SparseColumn> =
            (0..2).map(|label| SparseColumn::new(weights.column(label), -0.5, &reach, 4)).collect();
        let layer = SparseLayer::of_columns(&columns, 6, 2, 6);
        assert_eq!(layer.cells().lengths, [2, 1, 1, 2, 0, 0]);
        assert_eq!(layer.weight(4, 1), 0.0);
        let features =
            Features { terms: (0..6).map(|term| (term, 0.5)).collect(), vector: vec![0.6, 0.8], ..Features::default() };
        let scores = layer.all_scores(&features);
        for label in 0..2 {
            let terms: f32 = weights.column(label).iter().take(6).map(|weight| 0.5 * weight).sum();
            let exact = terms + 0.6 * weights[[6, label]] + 0.8 * weights[[7, label]] - 0.5;
            assert!((scores[label] - f64::from(exact)).abs() < 0.02, "{} {exact}", scores[label]);
        }
        let (scales, dense, bias) = layer.parts_by_label();
        let restored = |cells| SparseLayer::from_parts(cells, scales.to_vec(), &dense, bias.to_vec());
        assert_eq!(restored(layer.cells()), Some(layer.clone()));
        let mut fewer = layer.cells();
        fewer.labels.pop();
        assert_eq!(restored(fewer), None);
        let mut other = layer.cells();
        other.labels[0] = 7;
        assert_eq!(restored(other), None, "label 7 does not exist");
        let mut unordered = layer.cells();
        unordered.labels.swap(0, 1);
        assert_eq!(restored(unordered), None);
    }

    #[test]
    fn any_number_of_labels_is_scored() {
        let mut random = SplitMix(3);
        let mut number = || (random.next_u64() >> 40) as f32 / (1 << 24) as f32 - 0.5;
        for labels in [1, 7, 8, 9, 140, 256, 257, 300, 600] {
            let columns: Vec<SparseColumn> = (0..labels)
                .map(|_| SparseColumn::new(Array1::from_shape_fn(12, |_| number()).view(), number(), &[1.0; 10], 6))
                .collect();
            let layer = SparseLayer::of_columns(&columns, 10, 2, 4 * labels);
            let terms = (0..10).map(|term| (term, number())).collect();
            let features = Features { terms, vector: vec![number(), number()], ..Features::default() };
            let scores = layer.all_scores(&features);
            for label in 0..labels {
                let of_terms = features.terms.iter().map(|(term, value)| value * layer.weight(*term, label));
                let (dense, bias) = layer.dense_of(label);
                let of_vector = features.vector.iter().zip(dense).map(|(value, weight)| value * weight);
                let expected = of_terms.chain(of_vector).sum::<f32>() + bias;
                assert!((scores[label] - f64::from(expected)).abs() < 1e-4, "{labels} {label}");
            }
            let group = labels / 3..labels * 2 / 3;
            let of_group = layer.scores(&features, [group.clone(), 0..1].into_iter());
            assert!(group.chain([0]).all(|label| of_group[label] == scores[label]), "{labels}");
            let (scales, dense, bias) = layer.parts_by_label();
            let restored = SparseLayer::from_parts(layer.cells(), scales.to_vec(), &dense, bias.to_vec());
            assert_eq!(restored, Some(layer.clone()), "{labels}");
        }
    }
}
