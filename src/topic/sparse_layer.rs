//! The sparse linear layer that scores sub-topics.

use super::Features;
use ndarray::{Array1, Array2, ArrayView1};

/// The linear layer of the sub-topics. Unlike [`LinearLayer`](super::LinearLayer), it keeps only the most influential
/// weights, so that a hundred labels need a few weights per term.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SparseLayer {
    /// The start of the cells of each term, followed by the number of cells.
    starts: Vec<u32>,
    /// Label and weight, in units of the label's scale; ascending by label within a term.
    cells: Vec<(u16, i8)>,
    /// The largest absolute weight of each label, divided by 127.
    scales: Vec<f32>,
    /// Dimensions of [`Features::vector`] × labels.
    dense: Array2<f32>,
    /// One per label.
    bias: Vec<f32>,
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
    /// Keeps the `most` most influential weights of terms. `weights` has one weight per feature, terms first. `reach` has for each
    /// term the Euclidean norm of the score errors over all articles if a weight of 1 is dropped. The influence of a weight is its
    /// absolute value times the reach.
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
        let mut starts = vec![0_u32];
        let mut cells = Vec::new();
        for term_cells in by_term {
            cells.extend(term_cells);
            starts.push(cells.len() as u32);
        }
        SparseLayer {
            starts,
            cells,
            scales,
            dense: Array2::from_shape_fn((dimensions, columns.len()), |(at, label)| columns[label].dense[at]),
            bias: columns.iter().map(|column| column.bias).collect(),
        }
    }

    /// Restores a layer from its stored parts ([`cells_by_term`](Self::cells_by_term),
    /// [`parts_by_label`](Self::parts_by_label)); `None` if they are inconsistent or not finite.
    pub fn from_parts(
        lengths: &[u16],
        cells: Vec<(u16, i8)>,
        scales: Vec<f32>,
        dense: Array2<f32>,
        bias: Vec<f32>,
    ) -> Option<Self> {
        let mut starts = vec![0_u32];
        for length in lengths {
            starts.push(starts.last()?.checked_add(u32::from(*length))?);
        }
        let is_consistent = starts.last().map(|end| *end as usize) == Some(cells.len())
            && scales.len() == bias.len()
            && dense.ncols() == bias.len()
            && cells.iter().all(|(label, _)| usize::from(*label) < bias.len())
            && scales.iter().chain(&dense).chain(&bias).all(|value| value.is_finite());
        is_consistent.then_some(SparseLayer { starts, cells, scales, dense, bias })
    }

    /// The number of cells of each term, and all cells in the order of terms.
    pub fn cells_by_term(&self) -> (Vec<u16>, &[(u16, i8)]) {
        (self.starts.windows(2).map(|pair| (pair[1] - pair[0]) as u16).collect(), &self.cells)
    }

    /// The scale of each label, the weights of the vector's dimensions (dimensions × labels) and the bias of each label.
    pub fn parts_by_label(&self) -> (&[f32], &Array2<f32>, &[f32]) {
        (&self.scales, &self.dense, &self.bias)
    }

    /// Whether the layer has these sizes.
    pub fn has_shape(&self, terms: usize, dimensions: usize, labels: usize) -> bool {
        self.starts.len() == terms + 1 && self.bias.len() == labels && self.dense.nrows() == dimensions
    }

    /// The cells of a term.
    fn cells(&self, term: u32) -> &[(u16, i8)] {
        &self.cells[self.starts[term as usize] as usize..self.starts[term as usize + 1] as usize]
    }

    /// The weight of a term for a label; 0 if it was not kept.
    pub fn weight(&self, term: u32, label: usize) -> f32 {
        let cell = self.cells(term).iter().find(|(other, _)| usize::from(*other) == label);
        cell.map_or(0.0, |(_, weight)| f32::from(*weight) * self.scales[label])
    }

    /// The weights of the vector's dimensions for a label, and its bias.
    pub fn dense_of(&self, label: usize) -> (ArrayView1<'_, f32>, f32) {
        (self.dense.column(label), self.bias[label])
    }

    /// The score of each label for an article's features.
    pub fn scores(&self, features: &Features) -> Array1<f64> {
        let mut sums = vec![0.0_f32; self.bias.len()];
        for (term, value) in &features.terms {
            for (label, weight) in self.cells(*term) {
                sums[usize::from(*label)] += value * f32::from(*weight);
            }
        }
        let mut scores: Vec<f32> =
            sums.iter().zip(&self.scales).zip(&self.bias).map(|((sum, scale), bias)| sum * scale + bias).collect();
        for (value, weights) in features.vector.iter().zip(self.dense.rows()) {
            scores.iter_mut().zip(weights).for_each(|(score, weight)| *score += value * weight);
        }
        scores.into_iter().map(f64::from).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(layer.cells_by_term().0, [2, 1, 1, 2, 0, 0]);
        assert_eq!(layer.weight(4, 1), 0.0);
        let features =
            Features { terms: (0..6).map(|term| (term, 0.5)).collect(), vector: vec![0.6, 0.8], ..Features::default() };
        let scores = layer.scores(&features);
        for label in 0..2 {
            let terms: f32 = weights.column(label).iter().take(6).map(|weight| 0.5 * weight).sum();
            let exact = terms + 0.6 * weights[[6, label]] + 0.8 * weights[[7, label]] - 0.5;
            assert!((scores[label] - f64::from(exact)).abs() < 0.02, "{} {exact}", scores[label]);
        }
        let (lengths, cells) = layer.cells_by_term();
        let (scales, dense, bias) = layer.parts_by_label();
        let restored = |cells| SparseLayer::from_parts(&lengths, cells, scales.to_vec(), dense.clone(), bias.to_vec());
        assert_eq!(restored(cells.to_vec()), Some(layer.clone()));
        assert_eq!(restored(cells[1..].to_vec()), None);
        assert_eq!(restored(vec![(7, 1); cells.len()]), None, "label 7 does not exist");
    }
}
