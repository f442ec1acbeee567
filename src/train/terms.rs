//! Terms and their document frequencies.

use rayon::prelude::*;
use std::{
    collections::HashMap,
    sync::atomic::{AtomicU32, Ordering},
};

/// The different terms of the rows with their document frequencies, if at least `least`, in ascending order.
pub fn common_terms(rows: impl ParallelIterator<Item = Vec<u64>>, least: u32) -> Vec<(u64, u32)> {
    let mut hashes: Vec<u64> = rows.flat_map_iter(different).collect();
    hashes.par_sort_unstable();
    let counted = hashes.chunk_by(|a, b| a == b).map(|same| (same[0], same.len() as u32));
    counted.filter(|(_, rows)| *rows >= least).collect()
}

fn different(mut terms: Vec<u64>) -> Vec<u64> {
    terms.sort_unstable();
    terms.dedup();
    terms
}

/// The same in two passes, for more rows than can be counted at once: the `most` most frequent terms of those with a
/// document frequency of at least `least`. The first pass counts terms in shared slots, which gives upper bounds; the
/// second counts those terms exactly whose bound is high enough.
pub fn commonest_terms<R: Sync>(
    rows: &[R],
    terms: impl Fn(&R) -> Vec<u64> + Sync,
    least: u32,
    most: usize,
) -> Vec<(u64, u32)> {
    const SLOTS: usize = 1 << 26;
    const ROWS_AT_ONCE: usize = 1 << 15;
    let slots: Vec<AtomicU32> = (0..SLOTS).map(|_| AtomicU32::new(0)).collect();
    let slot = |hash: u64| &slots[(hash >> 38) as usize];
    rows.par_iter().for_each(|row| {
        for hash in different(terms(row)) {
            slot(hash).fetch_add(1, Ordering::Relaxed);
        }
    });
    // A bound that leaves not many more terms than fit.
    let mut counts: Vec<u32> =
        slots.par_iter().map(|slot| slot.load(Ordering::Relaxed)).filter(|count| *count >= least).collect();
    counts.par_sort_unstable_by(|a, b| b.cmp(a));
    let least = counts.get(2 * most).copied().unwrap_or(least).max(least);
    drop(counts);
    let mut exact: HashMap<u64, u32> = HashMap::new();
    for part in rows.chunks(ROWS_AT_ONCE) {
        let may_be = |hash: &u64| slot(*hash).load(Ordering::Relaxed) >= least;
        let found = part.par_iter().map(|row| {
            let mut terms = terms(row);
            terms.retain(may_be);
            terms
        });
        for (hash, rows) in common_terms(found, 1) {
            *exact.entry(hash).or_default() += rows;
        }
    }
    let mut common: Vec<(u64, u32)> = exact.into_iter().filter(|(_, rows)| *rows >= least).collect();
    common.sort_unstable_by_key(|(hash, rows)| (std::cmp::Reverse(*rows), *hash));
    common.truncate(most);
    common.sort_unstable();
    common
}

#[cfg(test)]
mod tests {
    use super::*;
    use xxhash_rust::xxh3::xxh3_64;

    #[test]
    fn the_commonest_terms_are_those_of_all_terms() {
        let rows: Vec<Vec<u64>> = (0..2000_u64)
            .map(|i| (0..40).map(|k| xxh3_64(&((i * k) % (k * k * 7 + 3)).to_le_bytes())).chain([i]).collect())
            .collect();
        let mut all = common_terms(rows.par_iter().cloned(), 3);
        assert_eq!(commonest_terms(&rows, Vec::clone, 3, 1_000_000), all);
        all.sort_unstable_by_key(|(hash, rows)| (std::cmp::Reverse(*rows), *hash));
        all.truncate(100);
        all.sort_unstable();
        assert_eq!(commonest_terms(&rows, Vec::clone, 3, 100), all);
    }
}
