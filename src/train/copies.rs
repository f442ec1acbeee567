//! Groups the copies among the articles of an archive; see [`copies`](crate::copies).

use crate::copies::{Signature, content_hash, shingles};
use rayon::prelude::*;
use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

/// Hashes of a signature, and of a band: finds 98 of 100 pairs that share four fifths of their shingles.
const HASHES: usize = 32;
const BAND: usize = 4;
/// The estimated share of common shingles from which articles are copies.
const ALIKE: f32 = 0.625;

/// The number of articles in which boilerplate is looked for: an even sample of larger archives.
const SAMPLE: usize = 5000;
/// A shingle is boilerplate if at least this share of the sample has it, and at least this many articles. No story of an archive
/// has so many copies: the most frequent shingle of the bundled model's archive is in 1.6 of 100 articles.
const COMMON_SHARE: f64 = 0.05;
const COMMON_LEAST: usize = 20;

/// For each article the group of its copies: the content hash of the group's first article. `words` returns the hashes
/// of an article's words in order; they are not kept.
pub fn groups<'a, A: Sync>(articles: &'a [A], words: impl Fn(&'a A) -> Cow<'a, [u64]> + Sync) -> Vec<u64> {
    let boilerplate = boilerplate(articles, &words);
    let read = articles.par_iter().map(|article| {
        let words = words(article);
        let signature = Signature::<HASHES>::of(&words, |shingle| boilerplate.contains(&shingle));
        (content_hash(words.iter().copied()), signature)
    });
    let (contents, signatures): (Vec<u64>, Vec<Option<Signature<HASHES>>>) = read.unzip();
    let mut parent: Vec<u32> = (0..articles.len() as u32).collect();
    // Articles with equal words first: they need no signature.
    let mut first_of: HashMap<u64, u32> = HashMap::new();
    for (i, content) in contents.iter().enumerate() {
        let first = *first_of.entry(*content).or_insert(i as u32);
        parent[i] = first;
    }
    let mut first_of = HashMap::new();
    for (i, signature) in signatures.iter().enumerate() {
        let Some(signature) = signature else { continue };
        for band in signature.bands::<BAND>().iter().enumerate() {
            let first = *first_of.entry(band).or_insert(i as u32);
            let alike = signatures[first as usize].as_ref().is_some_and(|other| signature.similarity(other) >= ALIKE);
            if alike {
                let (a, b) = (root(&mut parent, i as u32), root(&mut parent, first));
                let (low, high) = (a.min(b), a.max(b));
                parent[high as usize] = low;
            }
        }
    }
    (0..articles.len() as u32).map(|i| contents[root(&mut parent, i) as usize]).collect()
}

fn root(parent: &mut [u32], mut i: u32) -> u32 {
    while parent[i as usize] != i {
        parent[i as usize] = parent[parent[i as usize] as usize];
        i = parent[i as usize];
    }
    i
}

/// The shingles that many articles of different words share.
fn boilerplate<'a, A: Sync>(articles: &'a [A], words: &(impl Fn(&'a A) -> Cow<'a, [u64]> + Sync)) -> HashSet<u64> {
    if articles.len() < COMMON_LEAST {
        return HashSet::new();
    }
    let step = articles.len().div_ceil(SAMPLE);
    let sampled: Vec<&A> = articles.iter().step_by(step).collect();
    let read = sampled.into_par_iter().map(|article| {
        let words = words(article);
        (content_hash(words.iter().copied()), shingles(&words).collect::<HashSet<u64>>())
    });
    // Repeated rows count once.
    let different: HashMap<u64, HashSet<u64>> = read.collect();
    let least = ((different.len() as f64 * COMMON_SHARE) as usize).max(COMMON_LEAST);
    let mut counts: HashMap<u64, usize> = HashMap::new();
    different.values().flatten().for_each(|shingle| *counts.entry(*shingle).or_default() += 1);
    counts.into_iter().filter(|(_, count)| *count >= least).map(|(shingle, _)| shingle).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{linear::SplitMix, text::pair_hash};

    #[test]
    fn copies_are_found_and_others_are_not() {
        let mut random = SplitMix(7);
        // Frequencies of words as in news: few words are frequent.
        let mut article = |words: usize| -> Vec<u64> {
            (0..words).map(|_| pair_hash(1, (random.below(1000) * random.below(1000) / 500) as u64)).collect()
        };
        let originals: Vec<Vec<u64>> = (0..200).map(|_| article(200)).collect();
        let mut all = originals.clone();
        for original in &originals {
            // The story with another first sentence and without its end; and with a word changed here and there.
            let mut cut = original[12..190].to_vec();
            cut.splice(0..0, article(6));
            let mut edited = original.clone();
            (0..4).for_each(|i| edited[i * 45 + 7] = pair_hash(2, i as u64));
            all.extend([cut, edited]);
        }
        all.push(vec![1, 2, 3]);
        all.push(vec![1, 2, 4]);
        all.push(vec![1, 2, 3]);
        let groups = groups(&all, |words| words.into());
        let found = (0..200)
            .flat_map(|i| [(i, 200 + 2 * i), (i, 201 + 2 * i)])
            .filter(|(a, b)| groups[*a] == groups[*b])
            .count();
        assert!(found >= 380, "{found} of 400");
        let mut different: Vec<u64> = groups[..200].to_vec();
        different.sort_unstable();
        different.dedup();
        assert_eq!(different.len(), 200, "no two originals are one");
        assert_ne!(groups[600], groups[601]);
        assert_eq!(groups[600], groups[602]);
    }

    #[test]
    fn a_shared_footer_does_not_make_copies() {
        let words =
            |from: u64, count: u64| -> Vec<u64> { (from..from + count).map(|word| pair_hash(3, word)).collect() };
        // Stories of forty words over a footer of four hundred; and a copy of the first with another ending.
        let footer = words(1_000_000, 400);
        let mut all: Vec<Vec<u64>> = (0..100).map(|i| [words(i * 100, 40), footer.clone()].concat()).collect();
        all.push([words(0, 38), words(50_000, 1), footer].concat());
        let groups = groups(&all, |words| words.into());
        assert_eq!(groups.iter().collect::<HashSet<_>>().len(), 100);
        assert_eq!(groups[0], groups[100]);
    }
}
