//! Sorting of evenly spread keys, such as hashes, in linear time.

/// Fewer values are sorted by comparisons.
const LEAST_DISTRIBUTED: usize = 32;

/// Sorts hashes.
pub fn sort_hashes(hashes: &mut Vec<u64>) {
    // The product of the high half of a hash and the number of buckets, divided by 2³².
    sort_evenly_spread(hashes, |hash, n_buckets| (((hash >> 32) * n_buckets as u64) >> 32) as usize);
}

/// Sorts positions in an index of `length` entries. They are evenly spread, because they are in the order of hashes.
pub fn sort_positions(positions: &mut Vec<u32>, length: usize) {
    // The number of buckets for each position, times 2³².
    let factor = ((positions.len() as u64) << 32) / length.max(1) as u64;
    sort_evenly_spread(positions, |position, _| ((u64::from(position) * factor) >> 32) as usize);
}

/// Distributes the values over as many buckets as there are values, and sorts each bucket. `bucket_of` gives the bucket of a
/// value from the number of buckets; it must be monotonic. Takes linear time for evenly spread values and n log n for any.
fn sort_evenly_spread<T: Ord + Copy + Default>(values: &mut Vec<T>, bucket_of: impl Fn(T, usize) -> usize) {
    let n = values.len();
    if n < LEAST_DISTRIBUTED {
        values.sort_unstable();
        return;
    }
    let mut ends = vec![0_u32; n];
    for value in values.iter() {
        ends[bucket_of(*value, n)] += 1;
    }
    let mut sum = 0;
    for end in &mut ends {
        // First the start of the bucket; the distribution below turns it into the end.
        (*end, sum) = (sum, sum + *end);
    }
    let mut sorted = vec![T::default(); n];
    for value in values.iter() {
        let end = &mut ends[bucket_of(*value, n)];
        sorted[*end as usize] = *value;
        *end += 1;
    }
    let mut start = 0;
    for end in ends {
        if end > start + 1 {
            sort_few(&mut sorted[start as usize..end as usize]);
        }
        start = end;
    }
    *values = sorted;
}

/// Sorts the values of one bucket, of which there are few unless they are equal or a text was made to have many.
fn sort_few<T: Ord + Copy>(values: &mut [T]) {
    const MOST: usize = 16;
    if values.len() > MOST {
        return values.sort_unstable();
    }
    for i in 1..values.len() {
        let mut at = i;
        while at > 0 && values[at - 1] > values[at] {
            values.swap(at - 1, at);
            at -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linear::SplitMix;

    #[test]
    fn any_values_are_sorted() {
        let mut random = SplitMix(5);
        for n in [0, 1, 31, 32, 33, 1000] {
            let spread: Vec<u64> = (0..n).map(|_| random.next_u64()).collect();
            let repeated = spread.iter().map(|value| value << 60).collect();
            let close = spread.iter().map(|value| u64::MAX - (value >> 40)).collect();
            for mut hashes in [spread, repeated, close] {
                let mut expected = hashes.clone();
                expected.sort_unstable();
                sort_hashes(&mut hashes);
                assert_eq!(hashes, expected);
            }
            for length in [1, 7, 100_000, u32::MAX as usize] {
                let mut positions: Vec<u32> = (0..n).map(|_| (random.next_u64() % length as u64) as u32).collect();
                let mut expected = positions.clone();
                expected.sort_unstable();
                sort_positions(&mut positions, length);
                assert_eq!(positions, expected);
            }
        }
    }
}
