//! Sparse feature matrices as linfa records.

use linfa::dataset::Records;

/// A matrix in compressed sparse row (CSR) form with optional dense columns after the sparse ones.
///
/// The input of [`LinearSvmParams`](super::LinearSvmParams). The type is needed because linfa's `Records` trait cannot be
/// implemented for the sparse matrix of another crate.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SparseRecords {
    /// The start of each row in `columns` and `values`, followed by their length.
    starts: Vec<usize>,
    /// Ascending within a row.
    columns: Vec<u32>,
    values: Vec<f32>,
    /// Number of sparse columns.
    n_columns: usize,
    /// Rows × `n_dense`.
    dense: Vec<f32>,
    /// Number of dense columns.
    n_dense: usize,
}

impl SparseRecords {
    /// An empty matrix with `n_columns` sparse columns.
    pub fn new(n_columns: usize) -> Self {
        SparseRecords::with_dense(n_columns, 0)
    }

    /// An empty matrix with `n_columns` sparse columns followed by `n_dense` dense ones.
    pub fn with_dense(n_columns: usize, n_dense: usize) -> Self {
        SparseRecords { starts: vec![0], n_columns, n_dense, ..SparseRecords::default() }
    }

    /// Appends a row of (column, value) pairs and the values of its dense columns.
    ///
    /// # Panics
    /// If `dense` does not have one value per dense column; in debug builds, also if the columns are not strictly ascending
    /// or not below the number of sparse columns.
    pub fn push(&mut self, row: &[(u32, f32)], dense: &[f32]) {
        debug_assert!(row.windows(2).all(|pair| pair[0].0 < pair[1].0), "ascending columns");
        debug_assert!(row.last().is_none_or(|last| (last.0 as usize) < self.n_columns), "columns within range");
        assert_eq!(dense.len(), self.n_dense, "one value per dense column");
        self.columns.extend(row.iter().map(|cell| cell.0));
        self.values.extend(row.iter().map(|cell| cell.1));
        self.dense.extend(dense);
        self.starts.push(self.columns.len());
    }

    /// The given rows, in the given order.
    pub fn select(&self, rows: &[usize]) -> Self {
        let mut selected = SparseRecords::with_dense(self.n_columns, self.n_dense);
        for row in rows {
            let cells = self.starts[*row]..self.starts[row + 1];
            selected.columns.extend(&self.columns[cells.clone()]);
            selected.values.extend(&self.values[cells]);
            selected.dense.extend(self.dense(*row));
            selected.starts.push(selected.columns.len());
        }
        selected
    }

    fn sparse(&self, i: usize) -> impl Iterator<Item = (usize, f32)> + '_ {
        let range = self.starts[i]..self.starts[i + 1];
        self.columns[range.clone()].iter().zip(&self.values[range]).map(|(column, value)| (*column as usize, *value))
    }

    fn dense(&self, i: usize) -> &[f32] {
        &self.dense[i * self.n_dense..(i + 1) * self.n_dense]
    }

    /// Row `i` as (column, value) pairs.
    pub fn row(&self, i: usize) -> impl Iterator<Item = (usize, f32)> + '_ {
        let dense = self.dense(i).iter().enumerate();
        self.sparse(i).chain(dense.map(|(column, value)| (self.n_columns + column, *value)))
    }

    /// The sum of squares of row `i`.
    pub fn squared_norm(&self, i: usize) -> f32 {
        self.row(i).map(|(_, value)| value * value).sum()
    }

    /// The dot product of row `i` and `weights`, which has one weight per column.
    pub fn dot(&self, i: usize, weights: &[f32]) -> f32 {
        let (sparse_weights, dense_weights) = weights.split_at(self.n_columns);
        self.sparse(i).map(|(column, value)| sparse_weights[column] * value).sum::<f32>()
            + dense_dot(self.dense(i), dense_weights)
    }

    /// Adds `step` times row `i` to `weights`.
    pub fn add_scaled(&self, i: usize, step: f32, weights: &mut [f32]) {
        let (sparse_weights, dense_weights) = weights.split_at_mut(self.n_columns);
        self.sparse(i).for_each(|(column, value)| sparse_weights[column] += step * value);
        dense_weights.iter_mut().zip(self.dense(i)).for_each(|(weight, value)| *weight += step * value);
    }
}

/// The dot product of `a` and `b`, in sixteen partial sums so that the compiler uses SIMD instructions.
fn dense_dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 16;
    let (a, rest_of_a) = a.as_chunks::<LANES>();
    let (b, rest_of_b) = b.as_chunks::<LANES>();
    let mut sums = [0.0_f32; LANES];
    for (a, b) in a.iter().zip(b) {
        sums.iter_mut().zip(a.iter().zip(b)).for_each(|(sum, (a, b))| *sum += a * b);
    }
    sums.iter().sum::<f32>() + rest_of_a.iter().zip(rest_of_b).map(|(a, b)| a * b).sum::<f32>()
}

impl Records for SparseRecords {
    type Elem = f32;

    fn nsamples(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    fn nfeatures(&self) -> usize {
        self.n_columns + self.n_dense
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dense_columns_follow_the_sparse_ones() {
        let dense: Vec<f32> = (0..19).map(|i| i as f32).collect();
        let mut records = SparseRecords::with_dense(4, dense.len());
        records.push(&[], &[1.0; 19]);
        records.push(&[(1, 0.5), (3, 2.0)], &dense);
        assert_eq!((records.nsamples(), records.nfeatures()), (2, 23));
        let weights: Vec<f32> = (0..23).map(|i| i as f32 * 0.5).collect();
        let by_hand: f32 = records.row(1).map(|(column, value)| weights[column] * value).sum();
        assert!((records.dot(1, &weights) - by_hand).abs() < 1e-3);
        let mut sums = vec![0.0; 23];
        records.add_scaled(1, 2.0, &mut sums);
        assert_eq!((sums[1], sums[2], sums[3], sums[4], sums[22]), (1.0, 0.0, 4.0, 0.0, 36.0));
        let selected = records.select(&[1, 1]);
        assert_eq!(selected.row(1).collect::<Vec<_>>(), records.row(1).collect::<Vec<_>>());
        assert_eq!((selected.nsamples(), records.select(&[]).nsamples()), (2, 0));
        assert!((records.squared_norm(1) - (4.25 + dense.iter().map(|x| x * x).sum::<f32>())).abs() < 1e-3);
    }
}
