//! The folds of cross-validation.

use std::collections::HashMap;

/// Folds of the cross-validation.
pub const FOLDS: usize = 5;

/// If fewer rows than this were not selected by label, all are taken.
pub const LEAST_USUAL_ROWS: usize = 100;

/// The indices of the rows whose labels are as frequent as in the source: those that were not selected by label.
pub fn usual(rows: usize, is_selected: impl Fn(usize) -> bool) -> Vec<usize> {
    let usual: Vec<usize> = (0..rows).filter(|row| !is_selected(*row)).collect();
    if usual.len() < LEAST_USUAL_ROWS { (0..rows).collect() } else { usual }
}

/// The fold of each row, from 0 to `folds` - 1. Rows with the same content share a fold, and each label is spread
/// evenly. `rows` has each row's label and content hash.
pub fn folds(rows: &[(usize, u64)], folds: usize, seed: u64) -> Vec<usize> {
    // Within a label, rows are in the order of their mixed content hashes: random, but the same for the same rows.
    let mixed = |content: u64| (content ^ seed).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|i| (rows[*i].0, mixed(rows[*i].1), *i));
    let mut fold_of_content = HashMap::new();
    let mut fold = vec![0; rows.len()];
    for i in order {
        // The next fold is for the next content, not the next row: many copies of a few texts still fill all folds.
        let next = fold_of_content.len() % folds;
        fold[i] = *fold_of_content.entry(rows[i].1).or_insert(next);
    }
    fold
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_are_even_within_labels_and_keep_copies_together() {
        let rows: Vec<(usize, u64)> = (0..1000).map(|i| (i % 3, (i / 2) as u64 * 7919)).collect();
        let fold = folds(&rows, 5, 1);
        for (i, row) in rows.iter().enumerate() {
            assert_eq!(fold[i], fold[rows.iter().position(|other| other.1 == row.1).expect("itself")]);
        }
        for label in 0..3 {
            for one in 0..5 {
                let count = (0..1000).filter(|i| rows[*i].0 == label && fold[*i] == one).count();
                assert!((40..95).contains(&count), "label {label} fold {one}: {count}");
            }
        }
        assert_ne!(fold, folds(&rows, 5, 2));
    }
}
