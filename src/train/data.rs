//! What a training reads: archives, corrections, and test rows, which no training row is a copy of.

use super::{
    Progress, TrainError, TrainRequest, copies,
    corpus::{self, Intake, LeftOut, Teaching},
    labels::LabelMap,
    subtopics,
    topics::FOLDS,
};
use crate::{
    formats::Record,
    linear::SplitMix,
    model::{Task, TrainingFile, clean_article},
    text::words_into,
    topic::Subtopics,
};
use jiff::civil::Date;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Rows, read and sorted by what they are for.
#[derive(Debug, Default)]
pub struct Data {
    /// Rows with topics, corrections last.
    pub topics: Rows,
    /// Rows that each have one topic though the article may be on more; every topic is one of `topics`.
    pub single_topic: Rows,
    /// The topic of each sub-topic that rows carry.
    pub broader: BTreeMap<String, String>,
    /// Rows with regions, corrections last.
    pub regions: Rows,
    /// Rows without either.
    pub unlabelled: Vec<Record>,
    /// The files of these.
    pub unlabelled_files: Vec<TrainingFile>,
    /// Held-out rows with topics.
    pub test_topics: Vec<Record>,
    /// Held-out rows with regions.
    pub test_regions: Vec<Record>,
    /// How they were held out, by part (`topics`, `regions`).
    pub held_out: BTreeMap<&'static str, HeldOut>,
    /// What was left out, and why.
    pub left_out: LeftOut,
}

/// Rows to learn from.
#[derive(Debug, Default)]
pub struct Rows {
    /// The rows.
    pub records: Vec<Record>,
    /// The files that they came from.
    pub files: Vec<TrainingFile>,
    /// The last so many are corrections.
    pub corrections: usize,
}

/// How test rows were chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum HeldOut {
    /// They were given.
    Files {
        /// Training rows that were left out because a test row is a copy.
        leaks: u64,
    },
    /// They are the newest.
    Date {
        /// The first day that is held out.
        from: String,
        /// Newer rows that were left out because a training row is a copy.
        leaks: u64,
    },
    /// They were drawn, evenly of each label, copies together.
    Lot,
}

/// Reads all that a request names.
///
/// # Errors
/// [`TrainError`]; all files are read before anything is trained, so that what is wrong is told at once.
pub fn read(request: &TrainRequest, progress: &Progress) -> Result<Data, TrainError> {
    let map = request.map.as_deref().map(LabelMap::read).transpose()?;
    let mut intake =
        Intake { reading: &request.reading, map: map.as_ref(), max_bad: request.max_bad, left_out: LeftOut::default() };
    let mut read = |files: &[_], teaching, what| {
        let bar = progress.steps(what, 0);
        let rows = intake.read(files, teaching, |rows| {
            bar.inc_length(rows);
            bar.inc(rows);
        });
        bar.finish();
        rows
    };
    let (topics, mut topic_files) = read(&request.topics, Teaching::Topics, "topics: opening")?;
    let (single_topic, mut single_files) =
        read(&request.single_topic, Teaching::SingleTopic, "single topics: opening")?;
    let (unlabelled, unlabelled_files) = read(&request.unlabelled, Teaching::Unlabelled, "unlabelled: opening")?;
    let (regions, mut region_files) = read(&request.regions, Teaching::Regions, "regions: opening")?;
    let (corrections, correction_files) = read(&request.corrections, Teaching::Corrections, "corrections: opening")?;
    let (test, _) = read(&request.test, Teaching::Corrections, "test: opening")?;
    let mut data = Data {
        topics: Rows { records: topics, ..Rows::default() },
        single_topic: Rows { records: single_topic, ..Rows::default() },
        regions: Rows { records: regions, ..Rows::default() },
        unlabelled,
        unlabelled_files,
        left_out: intake.left_out,
        ..Data::default()
    };
    data.correct(corrections);
    data.leave_out_rare_labels(request.min_rows.max(1), request.keep_rare_labels)?;
    data.broader = subtopics::resolve(&mut data.topics.records, request.min_subtopic_rows, &mut data.left_out);
    if data.broader.len() > Subtopics::MOST {
        return Err(TrainError::TooManySubtopics { found: data.broader.len(), most: Subtopics::MOST });
    }
    data.left_out.alike = corpus::alike(data.topics.records.iter().flat_map(|record| &record.topics));
    if !test.is_empty() {
        data.test_topics = test.iter().filter(|record| !record.topics.is_empty()).cloned().collect();
        data.test_regions = test.into_iter().filter(|record| record.regions.is_some()).collect();
        for (part, rows, test) in
            [("topics", &mut data.topics, &data.test_topics), ("regions", &mut data.regions, &data.test_regions)]
        {
            if !rows.records.is_empty() && !test.is_empty() {
                let leaks = rows.without_copies_of(test);
                data.held_out.insert(part, HeldOut::Files { leaks });
            }
        }
    } else if let Some(share) = request.hold_out {
        let seed = request.params.seed;
        let (of_topics, how) = data.topics.hold_out(share, seed, |record| record.topics.first().cloned());
        let (of_regions, how_regions) =
            data.regions.hold_out(share, seed, |record| record.regions.iter().flatten().next().cloned());
        (data.test_topics, data.test_regions) = (of_topics, of_regions);
        let how = [("topics", how), ("regions", how_regions)];
        data.held_out = how.into_iter().filter_map(|(part, how)| Some((part, how?))).collect();
    }
    for (part, files, rows) in [("topics", &request.topics, &data.topics), ("regions", &request.regions, &data.regions)]
    {
        if !files.is_empty() && rows.records.is_empty() {
            return Err(TrainError::NothingLeft { part });
        }
    }
    // A copy of a test row must not teach in any other way either.
    let tested: Vec<&Record> = data.test_topics.iter().chain(&data.test_regions).collect();
    retain_others(&mut data.unlabelled, &tested);
    data.restrict_single_topics();
    // The files say how many of their rows are used.
    topic_files.extend(of_task(&correction_files, Task::Topics).filter(|_| data.topics.corrections > 0));
    region_files.extend(of_task(&correction_files, Task::Regions).filter(|_| data.regions.corrections > 0));
    for (file, path) in single_files.iter_mut().zip(&request.single_topic) {
        file.rows = corpus::rows_of(path, &data.single_topic.records);
    }
    data.single_topic.files = single_files;
    for (rows, mut files, paths) in
        [(&mut data.topics, topic_files, &request.topics), (&mut data.regions, region_files, &request.regions)]
    {
        for (file, path) in files.iter_mut().zip(paths.iter().chain(&request.corrections)) {
            file.rows = corpus::rows_of(path, &rows.records);
        }
        rows.files = files;
    }
    Ok(data)
}

fn of_task(files: &[TrainingFile], task: Task) -> impl Iterator<Item = TrainingFile> {
    files.iter().map(move |file| TrainingFile { task, ..file.clone() })
}

impl Data {
    /// Takes labels with fewer than `least` different rows from the rows that have them, and rows with no other label away;
    /// only notes these labels, if they are to be kept.
    ///
    /// # Errors
    /// [`TrainError::AllRare`] if no label has so many.
    fn leave_out_rare_labels(&mut self, least: usize, keep: bool) -> Result<(), TrainError> {
        let rows = &mut self.topics;
        let rare = rare_labels(&rows.records, least);
        if rare.is_empty() || keep {
            self.left_out.rare_labels = rare;
            return Ok(());
        }
        if rows.records.iter().flat_map(|record| &record.topics).all(|label| rare.contains_key(label)) {
            let (most, bad) = (rare.values().copied().max().unwrap_or(0), self.left_out.first_bad());
            return Err(TrainError::AllRare { most, least, bad });
        }
        let (archive, mut i) = (rows.records.len() - rows.corrections, 0);
        let (corrections, removed) = (&mut rows.corrections, &mut self.left_out.of_rare_labels);
        rows.records.retain_mut(|record| {
            record.topics.retain(|label| !rare.contains_key(label));
            let stays = !record.topics.is_empty();
            if !stays {
                *removed += 1;
                *corrections -= usize::from(i >= archive);
            }
            i += 1;
            stays
        });
        self.left_out.rare_labels = rare;
        Ok(())
    }

    /// Leaves out rows with a single topic that the archive does not know, and copies of rows of the archive or of test rows.
    fn restrict_single_topics(&mut self) {
        let rows = &mut self.single_topic.records;
        if rows.is_empty() {
            return;
        }
        let known: HashSet<&String> = self.topics.records.iter().flat_map(|record| &record.topics).collect();
        for record in rows.iter_mut() {
            record.topics.retain(|topic| {
                let is_known = known.contains(topic);
                if !is_known {
                    *self.left_out.unknown_single_topics.entry(topic.clone()).or_default() += 1;
                }
                is_known
            });
        }
        rows.retain(|record| !record.topics.is_empty());
        let before = rows.len();
        let others: Vec<&Record> =
            self.topics.records.iter().chain(&self.test_topics).chain(&self.test_regions).collect();
        retain_others(rows, &others);
        self.left_out.copied_single_topics += (before - rows.len()) as u64;
    }

    /// Lets corrections take the places of the rows that they correct: those with the same id, or the same text. Of several
    /// corrections of one article's topics, or regions, the last holds. An archive of corrections alone is none.
    fn correct(&mut self, corrections: Vec<Record>) {
        for (rows, has) in [
            (&mut self.topics, (|record| !record.topics.is_empty()) as fn(&Record) -> bool),
            (&mut self.regions, |record| record.regions.is_some()),
        ] {
            let mut seen = HashSet::new();
            let mut of_part: Vec<Record> = corrections
                .iter()
                .rev()
                .filter(|record| has(record))
                .filter(|record| {
                    let keys = keys(record);
                    let new = keys.iter().all(|key| !seen.contains(key));
                    seen.extend(keys);
                    new
                })
                .cloned()
                .collect();
            of_part.reverse();
            if of_part.is_empty() {
                continue;
            }
            if rows.records.is_empty() {
                self.left_out.unused_corrections += of_part.len() as u64;
                continue;
            }
            let corrected: HashSet<Key> = of_part.iter().flat_map(keys).collect();
            let before = rows.records.len();
            rows.records.retain(|record| !keys(record).iter().any(|key| corrected.contains(key)));
            self.left_out.corrected += (before - rows.records.len()) as u64;
            rows.corrections = of_part.len();
            rows.records.extend(of_part);
        }
    }
}

/// The labels with fewer than `least` rows of different words, and how many they have.
fn rare_labels(records: &[Record], least: usize) -> BTreeMap<String, u64> {
    let mut different: HashMap<&String, HashSet<u64>> = HashMap::new();
    for record in records {
        let few = |label: &&String| different.get(*label).is_none_or(|rows| rows.len() < least);
        let few: Vec<&String> = record.topics.iter().filter(few).collect();
        if few.is_empty() {
            continue;
        }
        let content = corpus::content_hash(words_of(record).into_iter());
        for label in few {
            different.entry(label).or_default().insert(content);
        }
    }
    let rare = different.into_iter().filter(|(_, rows)| rows.len() < least);
    rare.map(|(label, rows)| (label.clone(), rows.len() as u64)).collect()
}

/// What an article is known by: its id, where its row has one, and its text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Id(String),
    Text(u64),
}

fn keys(record: &Record) -> Vec<Key> {
    let article = &record.article;
    let text = corpus::text_hash(&format!("{}\n{}", article.headline.trim(), article.body.trim()));
    let id = Some(&article.id).filter(|id| **id != record.place).cloned();
    id.map(Key::Id).into_iter().chain([Key::Text(text)]).collect()
}

/// The words of an article, as hashes in their order.
pub fn words_of(record: &Record) -> Vec<u64> {
    let document = clean_article(&record.article);
    let mut words = Vec::new();
    words_into(&document, &mut words);
    words.iter().map(|word| word.hash).collect()
}

/// Rows with so few days are held out by lot.
const DATED_SHARE: f64 = 0.9;
/// Where the day on which the share begins would hold out so many times the share, the next one is taken.
const TOO_MANY: f64 = 2.0;
/// Where that would hold out less than this part of the share, rows are held out by lot.
const TOO_FEW: f64 = 0.25;

/// The day from which on rows are held out; `None` where days are too coarse for that. Days rise.
fn first_held_out(days: &[Date], share: f64) -> Option<Date> {
    let wanted = days.len() as f64 * share;
    let from = *days.get((days.len() as f64 - wanted) as usize)?;
    let held_out = |from: Date| (days.len() - days.partition_point(|day| *day < from)) as f64;
    if held_out(from) <= wanted * TOO_MANY {
        return Some(from);
    }
    days.iter().copied().find(|day| *day > from).filter(|next| held_out(*next) >= wanted * TOO_FEW)
}

/// Which rows are copies of a test row.
fn copies_of(test: &[&Record], rows: &[Record]) -> Vec<bool> {
    if test.is_empty() || rows.is_empty() {
        return vec![false; rows.len()];
    }
    let all: Vec<&Record> = test.iter().copied().chain(rows).collect();
    let groups = copies::groups(&all, |record| words_of(record).into());
    let (of_test, of_rows) = groups.split_at(test.len());
    let tested: HashSet<u64> = of_test.iter().copied().collect();
    of_rows.iter().map(|group| tested.contains(group)).collect()
}

/// Leaves out rows that are copies of some others.
fn retain_others(rows: &mut Vec<Record>, others: &[&Record]) {
    let mut copies = copies_of(others, rows).into_iter();
    rows.retain(|_| !copies.next().unwrap_or(false));
}

impl Rows {
    /// Leaves out what test rows are copies of. Gives how many rows that were.
    fn without_copies_of(&mut self, test: &[Record]) -> u64 {
        let copied = copies_of(&test.iter().collect::<Vec<_>>(), &self.records);
        let before = self.records.len();
        let corrections_from = before - self.corrections;
        self.corrections = copied[corrections_from..].iter().filter(|copied| !**copied).count();
        let mut copied = copied.into_iter();
        self.records.retain(|_| !copied.next().unwrap_or(false));
        (before - self.records.len()) as u64
    }

    /// Takes a share of the rows away to test with: the newest where nearly all have a day, otherwise by lot, evenly of each
    /// label. Copies of an article stay together. Corrections stay.
    fn hold_out(
        &mut self,
        share: f64,
        seed: u64,
        label: impl Fn(&Record) -> Option<String>,
    ) -> (Vec<Record>, Option<HeldOut>) {
        let archive = self.records.len() - self.corrections;
        if archive == 0 {
            return (Vec::new(), None);
        }
        let groups = copies::groups(&self.records, |record| words_of(record).into());
        let days: Vec<Option<Date>> = self.records[..archive].iter().map(corpus::day).collect();
        let mut dated: Vec<Date> = days.iter().flatten().copied().collect();
        dated.sort_unstable();
        let by_date = dated.len() as f64 >= DATED_SHARE * archive as f64;
        let from = first_held_out(&dated, share).filter(|_| by_date);
        let (copied, tested, how): (HashSet<usize>, HashSet<usize>, HeldOut) = if let Some(from) = from {
            let is_new = |i: usize| days[i].is_some_and(|day| day >= from);
            let old: HashSet<u64> =
                (0..self.records.len()).filter(|i| *i >= archive || !is_new(*i)).map(|i| groups[i]).collect();
            // What is new and a copy of something old is neither learned nor tested.
            let (copied, tested): (HashSet<usize>, HashSet<usize>) =
                (0..archive).filter(|i| is_new(*i)).partition(|i| old.contains(&groups[*i]));
            let leaks = copied.len() as u64;
            (copied, tested, HeldOut::Date { from: from.to_string(), leaks })
        } else {
            let corrected: HashSet<u64> = groups[archive..].iter().copied().collect();
            let mut by_label: HashMap<Option<String>, Vec<u64>> = HashMap::new();
            let mut seen = HashSet::new();
            for (group, record) in groups.iter().zip(&self.records[..archive]) {
                if !corrected.contains(group) && seen.insert(*group) {
                    by_label.entry(label(record)).or_default().push(*group);
                }
            }
            let mut picked = HashSet::new();
            for groups in by_label.into_values() {
                let mut order = groups.clone();
                order.sort_unstable_by_key(|group| (SplitMix(group ^ seed).next_u64(), *group));
                // Enough must be left for cross-validation.
                let spare = groups.len().saturating_sub(FOLDS);
                picked.extend(order.into_iter().take(((groups.len() as f64 * share).round() as usize).min(spare)));
            }
            let tested: HashSet<usize> = (0..archive).filter(|i| picked.contains(&groups[*i])).collect();
            (HashSet::new(), tested, HeldOut::Lot)
        };
        let mut test = Vec::new();
        let rows = std::mem::take(&mut self.records).into_iter().enumerate();
        self.records = rows
            .filter_map(|(i, record)| match (tested.contains(&i), copied.contains(&i)) {
                (true, _) => {
                    test.push(record);
                    None
                }
                (false, true) => None,
                (false, false) => Some(record),
            })
            .collect();
        (test, Some(how))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::article::Article;

    fn row(id: &str, body: String, topic: &str, published: String) -> Record {
        let article = Article { id: id.to_owned(), body, ..Article::default() };
        Record { article, topics: vec![topic.to_owned()], published, place: format!("a:{id}"), ..Record::default() }
    }

    /// Bodies of thirty words each, all different.
    fn rows(count: usize, dated: bool) -> Rows {
        let body = |i: usize| (0..30).map(|k| format!("w{} ", i * 100 + k)).collect::<String>();
        let day =
            |i: usize| if dated { format!("2024-{:02}-{:02}", i / 28 % 12 + 1, i % 28 + 1) } else { String::new() };
        let records = (0..count).map(|i| row(&i.to_string(), body(i), ["a", "b"][i % 2], day(i))).collect();
        Rows { records, ..Rows::default() }
    }

    #[test]
    fn corrections_take_the_places_of_what_they_correct_and_the_last_one_holds() {
        let mut data = Data { topics: rows(10, false), ..Data::default() };
        let same_text = data.topics.records[3].article.body.clone();
        data.correct(vec![
            row("5", "anything".into(), "x", String::new()),
            row("5", "anything".into(), "y", String::new()),
            row("new", same_text, "z", String::new()),
        ]);
        let rows = &data.topics;
        assert_eq!((rows.records.len(), rows.corrections, data.left_out.corrected), (10, 2, 2));
        let last: Vec<&str> = rows.records[8..].iter().map(|record| &*record.topics[0]).collect();
        assert_eq!(last, ["y", "z"]);
    }

    #[test]
    fn labels_with_few_different_rows_are_left_out() {
        let mut data = Data { topics: rows(20, false), ..Data::default() };
        let copy = row("copy", "the same words".into(), "copied", String::new());
        data.topics.records.extend(vec![copy; 30]);
        data.topics.records[0].topics.push("rare".to_owned());
        data.topics.records.push(row("last", "other words".into(), "rare", String::new()));
        data.topics.corrections = 1;
        data.leave_out_rare_labels(5, false).expect("some have more");
        let rare = BTreeMap::from([("copied".to_owned(), 1), ("rare".to_owned(), 2)]);
        assert_eq!((data.left_out.rare_labels, data.left_out.of_rare_labels), (rare, 31));
        assert_eq!((data.topics.records.len(), data.topics.corrections), (20, 0));
        assert_eq!(data.topics.records[0].topics, ["a"], "it has another label");
    }

    #[test]
    fn corrections_hold_for_what_they_say_and_for_what_is_trained() {
        let mut data = Data { topics: rows(10, false), regions: rows(10, false), ..Data::default() };
        let about_regions =
            Record { regions: Some(vec!["KE".into()]), topics: Vec::new(), ..row("5", "x".into(), "", String::new()) };
        data.correct(vec![about_regions.clone(), row("5", "y".into(), "topic", String::new())]);
        assert_eq!((data.topics.corrections, data.regions.corrections), (1, 1));
        let mut without = Data { topics: rows(10, false), ..Data::default() };
        without.correct(vec![about_regions]);
        assert_eq!((without.regions.records.len(), without.left_out.unused_corrections), (0, 1));
    }

    #[test]
    fn days_that_are_too_coarse_hold_out_nothing() {
        let day = |text: &str| text.parse::<Date>().expect("a day");
        let days = |counts: &[(&str, usize)]| -> Vec<Date> {
            counts.iter().flat_map(|(text, count)| std::iter::repeat_n(day(text), *count)).collect()
        };
        assert_eq!(first_held_out(&days(&[("2024-05-01", 100)]), 0.1), None);
        let years = days(&[("2022-01-01", 40), ("2023-01-01", 55), ("2024-01-01", 5)]);
        assert_eq!(first_held_out(&years, 0.1), Some(day("2024-01-01")), "half of what was asked for");
        assert_eq!(first_held_out(&days(&[("2023-01-01", 99), ("2024-01-01", 1)]), 0.1), None);
        assert_eq!(first_held_out(&[], 0.1), None);
    }

    #[test]
    fn the_newest_are_held_out_and_copies_of_old_ones_left_out() {
        let mut rows = rows(300, true);
        // The last one tells again what the first one told, with a word more.
        let again = format!("{} again", rows.records[0].article.body);
        rows.records[299].article.body = again;
        let (test, how) = rows.hold_out(0.2, 1, |record| record.topics.first().cloned());
        let Some(HeldOut::Date { from, leaks }) = how else { panic!("they have days") };
        assert_eq!(leaks, 1);
        assert_eq!(rows.records.len() + test.len(), 299);
        assert!((50..=62).contains(&test.len()), "{}", test.len());
        assert!(test.iter().all(|record| record.published >= from));
        assert!(rows.records.iter().all(|record| record.published < from));
    }

    #[test]
    fn without_days_each_label_is_held_out_evenly_and_copies_stay_together() {
        let mut rows = rows(400, false);
        let copies: Vec<Record> = rows.records[..50].to_vec();
        rows.records.extend(copies);
        let (test, how) = rows.hold_out(0.25, 1, |record| record.topics.first().cloned());
        assert_eq!(how, Some(HeldOut::Lot));
        for label in ["a", "b"] {
            let count = test.iter().filter(|record| record.topics[0] == label).count();
            assert!((48..=65).contains(&count), "{count}");
        }
        let tested: HashSet<&str> = test.iter().map(|record| &*record.article.body).collect();
        assert!(rows.records.iter().all(|record| !tested.contains(&*record.article.body)), "no copy on both sides");
    }

    #[test]
    fn training_rows_that_test_rows_are_copies_of_are_left_out() {
        let mut rows = rows(20, false);
        rows.corrections = 2;
        let test = vec![rows.records[4].clone(), rows.records[19].clone()];
        assert_eq!(rows.without_copies_of(&test), 2);
        assert_eq!((rows.records.len(), rows.corrections), (18, 1));
    }
}
