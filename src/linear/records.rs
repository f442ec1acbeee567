use linfa::dataset::Records;

/// Sparse records in compressed row form: for each row the columns that are not zero, in rising order, with their values.
///
/// linfa has no estimator for sparse input, and its `Records` cannot be implemented for a foreign matrix; this type is what
/// our solver's `Fit` takes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SparseRecords {
    starts: Vec<usize>,
    columns: Vec<u32>,
    values: Vec<f32>,
    n_columns: usize,
}

impl SparseRecords {
    /// No rows yet, `n_columns` columns.
    pub fn new(n_columns: usize) -> Self {
        SparseRecords { starts: vec![0], columns: Vec::new(), values: Vec::new(), n_columns }
    }

    /// Appends a row of (column, value) pairs.
    ///
    /// # Panics
    /// In debug builds, where columns do not rise or reach past the last column.
    pub fn push(&mut self, row: &[(u32, f32)]) {
        debug_assert!(row.windows(2).all(|pair| pair[0].0 < pair[1].0), "columns rise");
        debug_assert!(row.last().is_none_or(|last| (last.0 as usize) < self.n_columns), "columns exist");
        self.columns.extend(row.iter().map(|cell| cell.0));
        self.values.extend(row.iter().map(|cell| cell.1));
        self.starts.push(self.columns.len());
    }

    /// Row `i` as (column, value) pairs.
    pub fn row(&self, i: usize) -> impl Iterator<Item = (usize, f32)> + '_ {
        let range = self.starts[i]..self.starts[i + 1];
        self.columns[range.clone()].iter().zip(&self.values[range]).map(|(column, value)| (*column as usize, *value))
    }

    /// The sum of squares of row `i`.
    pub fn squared_norm(&self, i: usize) -> f32 {
        self.values[self.starts[i]..self.starts[i + 1]].iter().map(|value| value * value).sum()
    }
}

impl Records for SparseRecords {
    type Elem = f32;

    fn nsamples(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    fn nfeatures(&self) -> usize {
        self.n_columns
    }
}
