use super::{TrainError, labels::LabelMap};
use crate::{
    formats::{self, InputError, Member, Reading, Record, Source, date},
    geography,
    model::{LabelSource, Task, TrainingFile},
    text::pair_hash,
};
use jiff::civil::Date;
use rayon::prelude::*;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};
use unicode_normalization::UnicodeNormalization;
use xxhash_rust::xxh3::xxh3_64;

/// What the rows of a file are read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Teaching {
    /// Their topics.
    Topics,
    /// Their topics, of which each row has one though the article may be on more.
    SingleTopic,
    /// Their place names say their countries.
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
    /// Rows that cannot be read, or hold what cannot be, by reason; reasons that differ in numbers alone are one.
    pub bad: Vec<BadRows>,
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
    /// Corrections about topics, or regions, where no archive of these is trained on.
    pub unused_corrections: u64,
    /// Rows whose date is not understood: they are kept without it.
    pub undated: u64,
    /// Where the first of these is, `file:line`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_undated: Option<String>,
    /// Labels with too few different rows to be learned, and how many they have.
    pub rare_labels: BTreeMap<String, u64>,
    /// Rows that have only such labels.
    pub of_rare_labels: u64,
    /// Pairs of labels that differ by case alone.
    pub alike: Vec<[String; 2]>,
    /// Sub-topics of rows that do not carry the topic that they belong to: the rows teach their topics alone.
    pub orphan_subtopics: u64,
    /// Where the first of these is, `file:line`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_orphan_subtopic: Option<String>,
    /// Sub-topics with too few rows to be learned, and how many they have.
    pub rare_subtopics: BTreeMap<String, u64>,
    /// Topics of rows with a single topic that no row of the archive carries, and how many rows have each.
    pub unknown_single_topics: BTreeMap<String, u64>,
    /// Rows with a single topic that are copies of a row of the archive, or of a test row.
    pub copied_single_topics: u64,
}

/// Rows that are bad for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BadRows {
    /// How many there are.
    pub rows: u64,
    /// Where the first is, `file:line`.
    pub first: String,
    /// What is wrong with it.
    pub reason: String,
}

impl LeftOut {
    /// The first row that is bad, for the end of a message; empty if all are good.
    pub fn first_bad(&self) -> String {
        self.bad.first().map(|bad| format!("; {}: {}", bad.first, bad.reason)).unwrap_or_default()
    }

    /// How many rows are bad.
    pub fn bad_rows(&self) -> u64 {
        self.bad.iter().map(|reason| reason.rows).sum()
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
                let whole = Arc::new(AtomicBool::new(false));
                let mut records = self.records(member, &digest, &whole);
                for record in &mut records {
                    // A file that cannot be read at all, or to its end, is no bad row.
                    if let Err(error) = &record
                        && (error.cut_off || !path.is_dir() && error.place == Source::from(path.as_path()).name())
                    {
                        return Err(TrainError::Input(error.clone()));
                    }
                    if let Some(row) = self.take(record, teaching)? {
                        rows.push(row);
                        progress(1);
                    }
                }
                whole.store(true, Ordering::Relaxed);
            }
            if rows.len() == before {
                let bad = self.left_out.first_bad();
                let no_rows = |field| TrainError::NoRows { file: path.clone(), field, bad };
                return Err(match teaching {
                    Teaching::Topics | Teaching::SingleTopic => no_rows("topics"),
                    Teaching::Regions => no_rows("regions"),
                    Teaching::Corrections => no_rows("topics\" or a \"regions"),
                    Teaching::Unlabelled => TrainError::NothingUnlabelled { file: path.clone() },
                });
            }
            let digest = digest.lock().unwrap_or_else(PoisonError::into_inner).clone().finalize();
            described.push(TrainingFile {
                name: file_name(path),
                // Counted at the end, when it is known which are used.
                rows: 0,
                sha256: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
                task: match teaching {
                    Teaching::Regions | Teaching::Unlabelled => Task::Regions,
                    _ => Task::Topics,
                },
                labels: match teaching {
                    Teaching::SingleTopic => LabelSource::SingleTopic,
                    Teaching::Unlabelled => LabelSource::Rule,
                    _ => LabelSource::Given,
                },
            });
        }
        Ok((rows, described))
    }

    /// The records of a file, whose bytes are taken into the digest as they stand there: to the last, if `whole` is set before
    /// the records are dropped.
    fn records(
        &self,
        member: &Member,
        digest: &Arc<Mutex<Sha256>>,
        whole: &Arc<AtomicBool>,
    ) -> Box<dyn Iterator<Item = Result<Record, InputError>>> {
        let source = Source::from(member.path.as_path());
        let opened: io::Result<Box<dyn Read>> = match &source {
            Source::Stdin => Ok(Box::new(io::stdin())),
            Source::File(path) => File::open(path).map(|file| Box::new(file) as Box<dyn Read>),
        };
        let reader = opened.map(|reader| {
            Box::new(Digesting { reader, digest: digest.clone(), whole: whole.clone() }) as Box<dyn Read>
        });
        formats::records_of(reader, &source, member.label.as_deref(), self.reading)
    }

    /// A row, if it teaches something.
    fn take(&mut self, record: Result<Record, InputError>, teaching: Teaching) -> Result<Option<Record>, TrainError> {
        let mut record = match record.and_then(|record| checked(record, teaching)) {
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
            Teaching::Topics | Teaching::SingleTopic => !record.topics.is_empty(),
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
        if !record.published.trim().is_empty() && day(&record).is_none() {
            self.left_out.undated += 1;
            self.left_out.first_undated.get_or_insert_with(|| record.place.clone());
        }
        Ok(Some(record))
    }

    fn bad(&mut self, error: InputError) -> Result<(), TrainError> {
        // As without its numbers.
        let kind = |reason: &str| reason.chars().filter(|c| !c.is_ascii_digit()).collect::<String>();
        let this = kind(&error.message);
        match self.left_out.bad.iter_mut().find(|bad| kind(&bad.reason) == this) {
            Some(bad) => bad.rows += 1,
            None => {
                let (first, reason) = (error.place.clone(), error.message.clone());
                self.left_out.bad.push(BadRows { rows: 1, first, reason });
            }
        }
        let bad = self.left_out.bad_rows();
        if bad > self.max_bad { Err(TrainError::TooManyBad { error, bad, most: self.max_bad }) } else { Ok(()) }
    }
}

/// A label in the one form in which it is compared: NFC, single spaces, none around it.
pub fn normalised_label(label: &str) -> String {
    let label: String = label.nfc().collect();
    label.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Pairs of labels that differ by case alone.
pub fn alike<'r>(labels: impl Iterator<Item = &'r String>) -> Vec<[String; 2]> {
    let mut first: BTreeMap<String, &String> = BTreeMap::new();
    let mut alike = BTreeSet::new();
    for label in labels {
        let one = first.entry(label.to_lowercase()).or_insert(label);
        if *one != label {
            alike.insert([(*one).clone(), label.clone()]);
        }
    }
    alike.into_iter().collect()
}

/// If fewer rows than this tell how frequent labels are, all are taken for such.
const LEAST_USUAL_ROWS: usize = 100;
/// The longest label that is taken for one, in bytes.
const LONGEST_LABEL: usize = 200;

/// A row whose labels and date can be, its countries as the tree writes them.
fn checked(mut record: Record, teaching: Teaching) -> Result<Record, InputError> {
    let fault = |message: String| Err(InputError::new(&record.place, message));
    // What the file was not given for need not be understood.
    if !matches!(teaching, Teaching::Regions | Teaching::Corrections) {
        record.regions = record.regions.filter(|_| teaching == Teaching::Unlabelled);
    } else if let Some(codes) = &record.regions {
        let Some(known) = codes.iter().map(|code| geography::subject(code)).collect::<Option<Vec<_>>>() else {
            return fault("a region is no ISO 3166-1 alpha-2 country code, such as KE, and not EU".to_owned());
        };
        let mut codes: Vec<String> = known.into_iter().map(|place| place.code.to_string()).collect();
        codes.sort();
        codes.dedup();
        record.regions = Some(codes);
    }
    let mut labels: Vec<String> = record.topics.iter().map(|label| normalised_label(label)).collect();
    if labels.iter().any(String::is_empty) {
        return fault("a label is blank".to_owned());
    }
    let mut seen = HashSet::new();
    labels.retain(|label| seen.insert(label.clone()));
    record.topics = labels;
    // Sub-topics of rows that are not given for their topics need not be understood.
    let teaches_topics = matches!(teaching, Teaching::Topics | Teaching::Corrections);
    let mut subtopics: Vec<String> = record.subtopics.iter().map(|label| normalised_label(label)).collect();
    subtopics.retain(|label| teaches_topics && !label.is_empty() && seen.insert(label.clone()));
    record.subtopics = subtopics;
    if record.topics.iter().chain(&record.subtopics).any(|label| label.len() > LONGEST_LABEL) {
        return fault(format!(
            "a topic has more than {LONGEST_LABEL} bytes: is it read from the right column (--columns)?"
        ));
    }
    // Only its text and its labels teach.
    record.item = None;
    Ok(record)
}

/// The day on which an article was published, if the row says so in a form that is understood.
pub fn day(record: &Record) -> Option<Date> {
    date::day(&record.published)
}

/// A reader that takes what it reads into a digest.
struct Digesting {
    reader: Box<dyn Read>,
    digest: Arc<Mutex<Sha256>>,
    whole: Arc<AtomicBool>,
}

impl Read for Digesting {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.digest.lock().unwrap_or_else(PoisonError::into_inner).update(&buffer[..read]);
        Ok(read)
    }
}

impl Drop for Digesting {
    /// What nobody read belongs to the file as well. After an error nothing is read on: a pipe may have no end.
    fn drop(&mut self) {
        if !self.whole.load(Ordering::Relaxed) {
            return;
        }
        let mut buffer = vec![0; 1 << 16];
        while matches!(self.read(&mut buffer), Ok(read) if read > 0) {}
    }
}

/// How many of some rows were read from a file, or from the files of a folder.
pub fn rows_of(path: &Path, records: &[Record]) -> u64 {
    let name = Source::from(path).name();
    let of_it = |record: &&Record| {
        let file = file_of(&record.place);
        file == Path::new(&name) || file.starts_with(path)
    };
    records.iter().filter(of_it).count() as u64
}

/// The file that a row was read from, out of its place: `file:line`, or `file:line:column`.
pub fn file_of(place: &str) -> &Path {
    let without_number = |place: &'_ str| {
        place.rsplit_once(':').filter(|(_, number)| number.parse::<u64>().is_ok()).map(|(path, _)| path.len())
    };
    let file = without_number(place).map_or(place, |end| &place[..end]);
    Path::new(without_number(file).map_or(file, |end| &file[..end]))
}

/// The name of a file, without folders.
pub fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// A hash of a text, for an order that is as good as random.
pub fn text_hash(text: &str) -> u64 {
    xxh3_64(text.as_bytes())
}

/// Of so many rows those that tell how frequent labels are, as indices: those that were not picked for what they are about.
pub fn usual(rows: usize, is_selected: impl Fn(usize) -> bool) -> Vec<usize> {
    let usual: Vec<usize> = (0..rows).filter(|row| !is_selected(*row)).collect();
    if usual.len() < LEAST_USUAL_ROWS { (0..rows).collect() } else { usual }
}

/// What tells copies of a text: a hash of its words in order.
pub fn content_hash(words: impl Iterator<Item = u64>) -> u64 {
    words.fold(0, pair_hash)
}

/// The different terms of some rows, and how many rows have each: those that at least `least` rows have, rising.
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

/// The same of more rows than can be counted at once, in two passes over them: the `most` commonest terms, as many as at least
/// `least` rows have. First terms are counted in slots that some share, which tells which cannot be common; then those that
/// may be are counted one by one.
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
    // How common a term must be, so that not many more may be than there is room for.
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
