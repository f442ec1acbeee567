use super::TrainError;
use crate::{
    formats::{self, Record, Source},
    model::{Task, TrainingFile},
    text::pair_hash,
};
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};
use xxhash_rust::xxh3::xxh3_64;

/// What the rows of a file are read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Teaching {
    /// Their topics.
    Topics,
    /// Rules will say their topics (see `weak.rs`), their place names their countries.
    Unlabelled,
    /// Their countries.
    Regions,
}

/// Reads the rows of some files that teach something, and what is to be said of the files. Other rows are left out; the count
/// of rows used tells.
///
/// # Errors
/// [`TrainError::Input`] at the first row that cannot be read, [`TrainError::NoRows`] where a file has no row to learn from.
pub fn read(
    files: &[PathBuf],
    teaching: Teaching,
    mut progress: impl FnMut(u64),
) -> Result<(Vec<Record>, Vec<TrainingFile>), TrainError> {
    let mut rows = Vec::new();
    let mut described = Vec::new();
    for path in files {
        let before = rows.len();
        for record in formats::records(&Source::File(path.clone())) {
            let record = record?;
            let wanted = match teaching {
                Teaching::Topics => !record.topics.is_empty(),
                Teaching::Unlabelled => record.topics.is_empty() && record.regions.is_none(),
                Teaching::Regions => record.regions.is_some(),
            };
            // Rows whose text is blank teach nothing.
            if wanted && record.article.check().is_ok() {
                rows.push(record);
                progress(1);
            }
        }
        if rows.len() == before {
            return Err(match teaching {
                Teaching::Topics => TrainError::NoRows { file: path.clone(), field: "topics" },
                Teaching::Regions => TrainError::NoRows { file: path.clone(), field: "regions" },
                Teaching::Unlabelled => TrainError::NothingUnlabelled { file: path.clone() },
            });
        }
        described.push(TrainingFile {
            name: file_name(path),
            rows: (rows.len() - before) as u64,
            sha256: sha256_of(path)?,
            task: if teaching == Teaching::Regions { Task::Regions } else { Task::Topics },
            weak: teaching == Teaching::Unlabelled,
        });
    }
    Ok((rows, described))
}

fn sha256_of(path: &Path) -> Result<String, TrainError> {
    let fault = |source| TrainError::Read { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(fault)?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer).map_err(fault)? {
            0 => return Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()),
            read => digest.update(&buffer[..read]),
        }
    }
}

/// The file that a row was read from, out of its place.
pub fn file_of(place: &str) -> &Path {
    Path::new(place.rsplit_once(':').filter(|(_, line)| line.parse::<u64>().is_ok()).map_or(place, |(path, _)| path))
}

/// The name of a file, without folders.
pub fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// A hash of a text, for an order that is as good as random.
pub fn text_hash(text: &str) -> u64 {
    xxh3_64(text.as_bytes())
}

/// What tells copies of a text: a hash of its words in order.
pub fn content_hash(words: impl Iterator<Item = u64>) -> u64 {
    words.fold(0, pair_hash)
}

/// The different terms of some rows, and how many rows have each: those that at least `least` rows have, rising.
pub fn common_terms(rows: impl ParallelIterator<Item = Vec<u64>>, least: u32) -> Vec<(u64, u32)> {
    let mut hashes: Vec<u64> = rows
        .flat_map_iter(|mut terms| {
            terms.sort_unstable();
            terms.dedup();
            terms
        })
        .collect();
    hashes.par_sort_unstable();
    let counted = hashes.chunk_by(|a, b| a == b).map(|same| (same[0], same.len() as u32));
    counted.filter(|(_, rows)| *rows >= least).collect()
}

/// The fold of each row, `0..folds`: rows with the same content share a fold, and each label is spread evenly. `rows`
/// gives each row's label and a hash of its content.
pub fn folds(rows: &[(usize, u64)], folds: usize, seed: u64) -> Vec<usize> {
    // The order within a label is that of the mixed content hash: random, and the same for the same rows.
    let mixed = |content: u64| (content ^ seed).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|i| (rows[*i].0, mixed(rows[*i].1), *i));
    let mut fold_of_content = HashMap::new();
    let mut fold = vec![0; rows.len()];
    for i in order {
        // Contents take turns, not rows, so that many copies of a few texts still fill every fold.
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
