use super::{TrainError, labels::LabelMap};
use crate::{
    formats::{self, InputError, Member, Reading, Record, Source},
    model::{Task, TrainingFile},
    region::tree,
    text::pair_hash,
};
use jiff::civil::Date;
use rayon::prelude::*;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
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
    /// Both, where they say both: what editors corrected.
    Corrections,
}

/// How rows are read, and what was left out.
#[derive(Debug)]
pub struct Intake<'a> {
    /// How files are read that do not say it themselves.
    pub reading: &'a Reading,
    /// What an archive's own labels are in codes.
    pub map: Option<&'a LabelMap>,
    /// More bad rows than this end the reading.
    pub max_bad: u64,
    /// What was left out so far.
    pub left_out: LeftOut,
}

/// Rows that were left out, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Rows that cannot be read, or hold what cannot be: with the reason, and where each reason was met first.
    pub bad: BTreeMap<String, Occurrences>,
    /// Rows without what the file was given for.
    pub unlabelled: u64,
    /// Rows whose text is blank or too long.
    pub unusable: u64,
    /// Rows all of whose labels the map leaves out on purpose.
    pub unwanted: u64,
    /// Labels that the map does not have, and how many rows carry each.
    pub unmapped: BTreeMap<String, u64>,
    /// Archive rows that a correction took the place of.
    pub corrected: u64,
}

/// How often something was met, and where first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Occurrences {
    /// How often.
    pub count: u64,
    /// The first place, `file:line`.
    pub first: String,
}

impl LeftOut {
    /// How many rows are bad.
    pub fn bad_rows(&self) -> u64 {
        self.bad.values().map(|reason| reason.count).sum()
    }
}

impl Intake<'_> {
    /// Reads the rows of some files or folders, or of standard input (`-`), that teach something, and what is to be said of
    /// the files.
    ///
    /// # Errors
    /// [`TrainError::TooManyBad`], [`TrainError::NoRows`] where a file has no row to learn from, [`TrainError::Read`].
    pub fn read(
        &mut self,
        paths: &[PathBuf],
        teaching: Teaching,
        mut progress: impl FnMut(u64),
    ) -> Result<(Vec<Record>, Vec<TrainingFile>), TrainError> {
        let mut rows = Vec::new();
        let mut described = Vec::new();
        for path in paths {
            let before = rows.len();
            let digest = Arc::new(Mutex::new(Sha256::new()));
            let members = match path.is_dir() {
                true => formats::members(path)?,
                false => vec![Member { path: path.clone(), label: None }],
            };
            for member in &members {
                if path.is_dir() {
                    let name = member.path.strip_prefix(path).unwrap_or(&member.path).to_string_lossy();
                    digest.lock().unwrap_or_else(PoisonError::into_inner).update(name.as_bytes());
                }
                for record in self.records(member, &digest) {
                    // A file that cannot be read at all is no bad row.
                    if let Err(error) = &record
                        && !path.is_dir()
                        && error.place == Source::from(path.as_path()).name()
                    {
                        return Err(TrainError::Input(error.clone()));
                    }
                    if let Some(row) = self.take(record, teaching)? {
                        rows.push(row);
                        progress(1);
                    }
                }
            }
            if rows.len() == before {
                let bad = self.left_out.bad.iter().next();
                let bad = bad.map(|(reason, met)| format!("; {}: {reason}", met.first)).unwrap_or_default();
                let no_rows = |field| TrainError::NoRows { file: path.clone(), field, bad };
                return Err(match teaching {
                    Teaching::Topics => no_rows("topics"),
                    Teaching::Regions => no_rows("regions"),
                    Teaching::Corrections => no_rows("topics\" or a \"regions"),
                    Teaching::Unlabelled => TrainError::NothingUnlabelled { file: path.clone() },
                });
            }
            let digest = digest.lock().unwrap_or_else(PoisonError::into_inner).clone().finalize();
            described.push(TrainingFile {
                name: file_name(path),
                rows: (rows.len() - before) as u64,
                sha256: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
                task: if teaching == Teaching::Regions { Task::Regions } else { Task::Topics },
                weak: teaching == Teaching::Unlabelled,
            });
        }
        Ok((rows, described))
    }

    /// The records of a file, whose bytes are taken into the digest as they stand there, to the last.
    fn records(
        &self,
        member: &Member,
        digest: &Arc<Mutex<Sha256>>,
    ) -> Box<dyn Iterator<Item = Result<Record, InputError>>> {
        let source = Source::from(member.path.as_path());
        let opened: io::Result<Box<dyn Read>> = match &source {
            Source::Stdin => Ok(Box::new(io::stdin())),
            Source::File(path) => File::open(path).map(|file| Box::new(file) as Box<dyn Read>),
        };
        let reader = opened.map(|reader| Box::new(Digesting { reader, digest: digest.clone() }) as Box<dyn Read>);
        formats::records_of(reader, &source, member.label.as_deref(), self.reading)
    }

    /// A row, if it teaches something.
    fn take(&mut self, record: Result<Record, InputError>, teaching: Teaching) -> Result<Option<Record>, TrainError> {
        let mut record = match record.and_then(checked) {
            Ok(record) => record,
            Err(error) => return self.bad(error).map(|()| None),
        };
        if let Some(map) = self.map
            && !record.topics.is_empty()
        {
            let mut known = false;
            let mut codes = Vec::new();
            for label in &record.topics {
                match map.codes(label) {
                    Some(mapped) => {
                        known = true;
                        for code in mapped {
                            if !codes.contains(code) {
                                codes.push(code.clone());
                            }
                        }
                    }
                    None => *self.left_out.unmapped.entry(label.clone()).or_default() += 1,
                }
            }
            if codes.is_empty() && record.regions.is_none() {
                self.left_out.unwanted += u64::from(known);
                return Ok(None);
            }
            record.topics = codes;
        }
        let wanted = match teaching {
            Teaching::Topics => !record.topics.is_empty(),
            Teaching::Unlabelled => record.topics.is_empty() && record.regions.is_none(),
            Teaching::Regions => record.regions.is_some(),
            Teaching::Corrections => !record.topics.is_empty() || record.regions.is_some(),
        };
        if !wanted {
            self.left_out.unlabelled += 1;
            return Ok(None);
        }
        // Rows whose text is blank teach nothing.
        if record.article.check().is_err() {
            self.left_out.unusable += 1;
            return Ok(None);
        }
        Ok(Some(record))
    }

    fn bad(&mut self, error: InputError) -> Result<(), TrainError> {
        // Rows that differ in a number alone have the same fault.
        let number = |c: char| if c.is_ascii_digit() { '#' } else { c };
        let mut reason: String = error.message.chars().map(number).collect();
        while reason.contains("##") {
            reason = reason.replace("##", "#");
        }
        let first = Occurrences { count: 0, first: error.place.clone() };
        self.left_out.bad.entry(reason).or_insert(first).count += 1;
        let bad = self.left_out.bad_rows();
        if bad > self.max_bad { Err(TrainError::TooManyBad { error, bad, most: self.max_bad }) } else { Ok(()) }
    }
}

/// A row whose labels and date can be.
fn checked(record: Record) -> Result<Record, InputError> {
    let fault = |message: String| InputError { place: record.place.clone(), message };
    day(&record).map_err(fault)?;
    if let Some(code) = record.regions.iter().flatten().find(|code| tree::country(code).is_none()) {
        return Err(fault(format!("{code:?} is no ISO 3166-1 alpha-2 country code")));
    }
    match record.topics.iter().chain(record.regions.iter().flatten()).find(|label| label.trim().is_empty()) {
        Some(_) => Err(fault("a label is blank".to_owned())),
        None => Ok(record),
    }
}

/// The day on which an article was published; `None` where the row does not say.
///
/// # Errors
/// Where it says what is no day.
pub fn day(record: &Record) -> Result<Option<Date>, String> {
    let text = record.published.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let date: Option<Date> = text.get(..10).and_then(|day| day.parse().ok());
    date.map(Some).ok_or_else(|| "published is no day: write it as 2024-05-31, a time may follow".to_owned())
}

/// A reader that takes what it reads into a digest.
struct Digesting {
    reader: Box<dyn Read>,
    digest: Arc<Mutex<Sha256>>,
}

impl Read for Digesting {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.digest.lock().unwrap_or_else(PoisonError::into_inner).update(&buffer[..read]);
        Ok(read)
    }
}

impl Drop for Digesting {
    /// What nobody read belongs to the file as well.
    fn drop(&mut self) {
        let mut buffer = vec![0; 1 << 16];
        while matches!(self.read(&mut buffer), Ok(read) if read > 0) {}
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
