//! Reads labelled files, and checks their rows.

use super::{
    TrainError,
    countries::country_code,
    labels::{LabelMap, normalised_label},
    left_out::{BadRows, LeftOut},
    markup,
    rows::{day, file_name},
};
use crate::{
    formats::{self, InputError, Member, Reading, Record, Source},
    geography,
    model::{LabelSource, Task, TrainingFile},
};
use jiff::civil::Date;
use sha2::{Digest, Sha256};
use std::{
    collections::HashSet,
    fs::File,
    io::{self, Read},
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// A longer text, in bytes, is probably not one article.
const LONG_TEXT: usize = 200_000;
/// The longest label, in bytes.
const LONGEST_LABEL: usize = 200;

/// The most unknown labels of regions in an error.
const MOST_UNKNOWN: usize = 10;

/// What the rows of a file teach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Teaching {
    /// Topics: all that the article is about.
    Topics,
    /// One topic per row, even if the article is about several.
    SingleTopic,
    /// Countries, by the places that the article names.
    Unlabelled,
    /// Countries.
    Regions,
    /// Topics, countries or both: corrections of editors.
    Corrections,
    /// Nothing: topics, countries or both, to test with.
    Test,
}

impl Teaching {
    fn reads_regions(self) -> bool {
        matches!(self, Teaching::Regions | Teaching::Corrections | Teaching::Test)
    }
}

/// Reads labelled files, and counts the rows that are left out.
#[derive(Debug)]
pub struct Intake<'a> {
    /// How to read files that do not describe themselves.
    pub reading: &'a Reading,
    /// The map from an archive's labels to codes.
    pub map: Option<&'a LabelMap>,
    /// The most rows that may be invalid.
    pub max_bad: u64,
    /// Later dates are wrong: a row is then taken as undated.
    pub last_day: Date,
    /// The rows left out so far.
    pub left_out: LeftOut,
}

impl Intake<'_> {
    /// Reads the usable rows of files, folders or standard input (`-`), and describes the files.
    ///
    /// # Errors
    /// [`TrainError::TooManyBad`], [`TrainError::NoRows`] if a file has no usable row, [`TrainError::Read`].
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
                    // A file that cannot be opened, or read to its end, is an error; it is not a bad row.
                    if let Err(error) = &record
                        && (error.cut_off || !path.is_dir() && error.place.is_whole_file())
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
                let columns = members.first().and_then(|member| formats::describe_columns(&member.path, self.reading));
                let unknown = self.left_out.unknown_regions.iter().map(|(label, rows)| format!("{label:?} ({rows})"));
                let unknown: Vec<String> = unknown.take(MOST_UNKNOWN).collect();
                let no_rows = |field: &'static str| match (field, &unknown[..]) {
                    ("regions", [_, ..]) => TrainError::NoCountries { file: path.clone(), labels: unknown.clone() },
                    _ => TrainError::NoRows { file: path.clone(), field, columns, bad },
                };
                return Err(match teaching {
                    Teaching::Topics | Teaching::SingleTopic => no_rows("topics"),
                    Teaching::Regions => no_rows("regions"),
                    Teaching::Corrections | Teaching::Test => no_rows("topics or regions"),
                    Teaching::Unlabelled => TrainError::NothingUnlabelled { file: path.clone() },
                });
            }
            if self.reading.format.is_none() {
                markup::convert(&mut rows[before..], &mut self.left_out.markup, path.display().to_string());
            }
            let digest = digest.lock().unwrap_or_else(PoisonError::into_inner).clone().finalize();
            described.push(TrainingFile {
                name: file_name(path),
                // Set at the end, when it is known which rows are used.
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

    /// The records of a file. Its bytes are added to the digest: all of them if `whole` is set before the records are
    /// dropped.
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

    /// Checks a row; `None` if it is left out.
    fn take(&mut self, record: Result<Record, InputError>, teaching: Teaching) -> Result<Option<Record>, TrainError> {
        let mut record = match record.and_then(|record| checked(record, teaching)) {
            Ok(record) => record,
            Err(error) => return self.bad(error).map(|()| None),
        };
        if teaching.reads_regions()
            && let Some(labels) = record.regions.take()
        {
            record.regions = self.countries(&labels);
            if record.regions.is_none() && (teaching == Teaching::Regions || record.topics.is_empty()) {
                return Ok(None);
            }
        }
        let article = &mut record.article;
        if let (Some(language), true) = (&self.reading.language, article.language.trim().is_empty()) {
            article.language.clone_from(language);
        }
        if let (Some(format), false) = (self.reading.format, record.is_format_stated) {
            article.format = format;
        }
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
            if codes.is_empty() && !(teaching.reads_regions() && record.regions.is_some()) {
                self.left_out.unwanted += u64::from(known);
                return Ok(None);
            }
            record.topics = codes;
        }
        let wanted = match teaching {
            Teaching::Topics | Teaching::SingleTopic => !record.topics.is_empty(),
            // Their topics do not matter.
            Teaching::Unlabelled => record.regions.is_none(),
            Teaching::Regions => record.regions.is_some(),
            Teaching::Corrections | Teaching::Test => !record.topics.is_empty() || record.regions.is_some(),
        };
        if !wanted {
            self.left_out.unlabelled += 1;
            return Ok(None);
        }
        // A blank text teaches nothing, but a correction may mean the archive row with its id.
        let is_correction_by_id =
            || teaching == Teaching::Corrections && record.has_own_id() && record.article.body.trim().is_empty();
        if record.article.check().is_err() && !is_correction_by_id() {
            self.left_out.unusable += 1;
            return Ok(None);
        }
        if record.article.body.len() > LONG_TEXT {
            self.left_out.long += 1;
            self.left_out.first_long.get_or_insert_with(|| record.place.clone());
        }
        if day(&record).is_some_and(|day| day > self.last_day) {
            record.published.clear();
            self.left_out.future += 1;
            self.left_out.first_future.get_or_insert_with(|| record.place.clone());
        }
        if !record.published.trim().is_empty() && day(&record).is_none() {
            self.left_out.undated += 1;
            self.left_out.first_undated.get_or_insert_with(|| record.place.clone());
        }
        Ok(Some(record))
    }

    /// The codes of the countries of a row, sorted; `None` if one is unknown, which is counted.
    fn countries(&mut self, labels: &[String]) -> Option<Vec<String>> {
        let mut codes = Vec::with_capacity(labels.len());
        let mut all_known = true;
        for label in labels {
            match country_code(label) {
                Some(code) => codes.push(code.to_owned()),
                None => {
                    all_known = false;
                    *self.left_out.unknown_regions.entry(normalised_label(label)).or_default() += 1;
                }
            }
        }
        codes.sort();
        codes.dedup();
        all_known.then_some(codes)
    }

    fn bad(&mut self, error: InputError) -> Result<(), TrainError> {
        // Messages that differ in numbers only count as one reason.
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

/// Normalises the labels of a row, and checks them.
fn checked(mut record: Record, teaching: Teaching) -> Result<Record, InputError> {
    let fault = |message: String| Err(InputError::new(&record.place, message));
    // Fields that the file is not read for may be invalid.
    if matches!(teaching, Teaching::Regions | Teaching::Unlabelled) {
        record.topics.clear();
        record.subtopics.clear();
    }
    if matches!(teaching, Teaching::Topics | Teaching::SingleTopic) {
        // They teach nothing here, but tell which part of the world the article is about.
        let are_codes = |codes: &Vec<String>| codes.iter().all(|code| geography::subject(code).is_some());
        record.regions = record.regions.filter(are_codes);
    }
    let mut labels: Vec<String> = record.topics.iter().map(|label| normalised_label(label)).collect();
    if labels.iter().any(String::is_empty) {
        return fault("invalid topic: a label is blank".to_owned());
    }
    let mut seen = HashSet::new();
    labels.retain(|label| seen.insert(label.clone()));
    record.topics = labels;
    // Sub-topics are used only in rows that are read for topics.
    let teaches_topics = matches!(teaching, Teaching::Topics | Teaching::Corrections | Teaching::Test);
    let mut subtopics: Vec<String> = record.subtopics.iter().map(|label| normalised_label(label)).collect();
    subtopics.retain(|label| teaches_topics && !label.is_empty() && seen.insert(label.clone()));
    record.subtopics = subtopics;
    if record.topics.iter().chain(&record.subtopics).any(|label| label.len() > LONGEST_LABEL) {
        return fault(format!(
            "a topic has more than {LONGEST_LABEL} bytes: is it read from the right column (--columns)?"
        ));
    }
    // Training needs the text and the labels only.
    record.item = None;
    Ok(record)
}

/// A reader that adds what it reads to a digest.
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
    /// Reads the rest of the file into the digest, if the file is to be read as a whole. After an error it does not: a
    /// pipe may have no end.
    fn drop(&mut self) {
        if !self.whole.load(Ordering::Relaxed) {
            return;
        }
        let mut buffer = vec![0; 1 << 16];
        while matches!(self.read(&mut buffer), Ok(read) if read > 0) {}
    }
}
