//! Finds, in a stream of articles, the shingles that many different articles share.

/// Counters of a row, a power of two.
const WIDTH: usize = 1 << 19;
/// Rows: a shingle has a counter in each, and the least of them counts.
const ROWS: usize = 2;
/// A shingle is boilerplate if at least this share of the recent articles has it, and at least this many: a story has fewer
/// copies.
const COMMON_SHARE: f32 = 0.05;
const COMMON_LEAST: u16 = 40;
/// After this many articles, all counts are halved, so that they follow the stream.
const HALVE_AFTER: u32 = 4000;

/// Approximate counts of the shingles of a stream, in 2 MiB (Cormode, Muthukrishnan: An improved data stream summary, the
/// count-min sketch and its applications, Journal of Algorithms 2005).
#[derive(Debug, Clone)]
pub struct Boilerplate {
    counts: Vec<u16>,
    /// The number of counted articles, halved together with the counts.
    articles: u32,
    /// The count from which a shingle is boilerplate.
    least: u16,
}

impl Boilerplate {
    pub fn new() -> Self {
        Boilerplate { counts: vec![0; ROWS * WIDTH], articles: 0, least: COMMON_LEAST }
    }

    /// Whether many of the counted articles have a shingle.
    pub fn is_common(&self, shingle: u64) -> bool {
        counters(shingle).into_iter().all(|at| self.counts[at] >= self.least)
    }

    /// Counts the shingles of an article.
    pub fn count(&mut self, shingles: impl Iterator<Item = u64>) {
        for shingle in shingles {
            for at in counters(shingle) {
                self.counts[at] = self.counts[at].saturating_add(1);
            }
        }
        self.articles += 1;
        if self.articles == HALVE_AFTER {
            self.counts.iter_mut().for_each(|count| *count /= 2);
            self.articles /= 2;
        }
        self.least = ((self.articles as f32 * COMMON_SHARE) as u16).max(COMMON_LEAST);
    }
}

/// The counters of a shingle, one in each row.
fn counters(shingle: u64) -> [usize; ROWS] {
    let mixed = shingle ^ (shingle >> 29);
    [mixed as usize % WIDTH, WIDTH + (mixed >> 32) as usize % WIDTH]
}
