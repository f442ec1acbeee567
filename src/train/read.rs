//! Reads all files of a training: archives, corrections and test rows.

use super::{
    Progress, TrainError, TrainRequest,
    data::{Data, HeldOut, Rows},
    hold_out::retain_others,
    intake::{Intake, Teaching},
    labels::{self, LabelMap},
    left_out::LeftOut,
    rows::{self, today, words_of},
    subtopics,
};
use crate::{
    copies::content_hash,
    formats::Record,
    model::{Task, TrainingFile},
    topic::Subtopics,
};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Reads all files of a request.
///
/// # Errors
/// [`TrainError`]. All files are read before anything is trained, so that errors in them appear at once.
pub fn read(request: &TrainRequest, progress: &dyn Progress) -> Result<Data, TrainError> {
    let Files { mut data, corrections, correction_files, test } = read_files(request, progress)?;
    data.correct(corrections, request.correct_by_id);
    data.leave_out_rare_labels(request.min_rows.max(1), request.keep_rare_labels)?;
    data.broader = subtopics::resolve(&mut data.topics.records, request.min_subtopic_rows, &mut data.left_out);
    if data.broader.len() > Subtopics::MOST {
        return Err(TrainError::TooManySubtopics { found: data.broader.len(), most: Subtopics::MOST });
    }
    data.left_out.alike = labels::alike(data.topics.records.iter().flat_map(|record| &record.topics));
    data.choose_test_rows(test, request)?;
    data.restrict_single_topics();
    data.count_rows_of_files(request, &correction_files);
    Ok(data)
}

/// What the files hold.
struct Files {
    data: Data,
    corrections: Vec<Record>,
    correction_files: Vec<TrainingFile>,
    test: Vec<Record>,
}

fn read_files(request: &TrainRequest, progress: &dyn Progress) -> Result<Files, TrainError> {
    let map = request.map.as_deref().map(LabelMap::read).transpose()?;
    let mut intake = Intake {
        reading: &request.reading,
        map: map.as_ref(),
        max_bad: request.max_bad,
        last_day: request.last_day.unwrap_or_else(today),
        left_out: LeftOut::default(),
    };
    let mut read = |paths: &[_], teaching, what| {
        let bar = progress.start(what, 0);
        intake.read(paths, teaching, |rows| {
            bar.extend(rows);
            bar.advance(rows);
        })
    };
    let rows = |(records, files)| Rows { records, files, corrections: 0 };
    let topics = rows(read(&request.topics, Teaching::Topics, "topics: opening")?);
    let single_topic = rows(read(&request.single_topic, Teaching::SingleTopic, "single topics: opening")?);
    let (unlabelled, unlabelled_files) = read(&request.unlabelled, Teaching::Unlabelled, "unlabelled: opening")?;
    let regions = rows(read(&request.regions, Teaching::Regions, "regions: opening")?);
    let (corrections, correction_files) = read(&request.corrections, Teaching::Corrections, "corrections: opening")?;
    let (test, test_files) = read(&request.test, Teaching::Test, "test: opening")?;
    let left_out = intake.left_out;
    let data =
        Data { topics, single_topic, regions, unlabelled, unlabelled_files, test_files, left_out, ..Data::default() };
    Ok(Files { data, corrections, correction_files, test })
}

fn of_task(files: &[TrainingFile], task: Task) -> impl Iterator<Item = TrainingFile> {
    files.iter().map(move |file| TrainingFile { task, ..file.clone() })
}

impl Data {
    /// Takes the given test rows, or holds some out, and removes their copies from the training rows.
    ///
    /// # Errors
    /// [`TrainError::NothingLeft`] if no training row is left.
    fn choose_test_rows(&mut self, test: Vec<Record>, request: &TrainRequest) -> Result<(), TrainError> {
        if !test.is_empty() {
            self.test_topics = test.iter().filter(|record| !record.topics.is_empty()).cloned().collect();
            self.test_regions = test.into_iter().filter(|record| record.regions.is_some()).collect();
            for (part, rows, test) in
                [("topics", &mut self.topics, &self.test_topics), ("regions", &mut self.regions, &self.test_regions)]
            {
                if !rows.records.is_empty() && !test.is_empty() {
                    let leaks = rows.without_copies_of(test);
                    self.held_out.insert(part, HeldOut::Files { leaks });
                }
            }
        } else if let Some(share) = request.hold_out {
            let seed = request.params.seed;
            let (of_topics, how) = self.topics.hold_out(share, seed, |record| record.topics.first().cloned());
            let (of_regions, how_regions) =
                self.regions.hold_out(share, seed, |record| record.regions.iter().flatten().next().cloned());
            (self.test_topics, self.test_regions) = (of_topics, of_regions);
            let how = [("topics", how), ("regions", how_regions)];
            self.held_out = how.into_iter().filter_map(|(part, how)| Some((part, how?))).collect();
        }
        let parts = [("topics", &request.topics, &self.topics), ("regions", &request.regions, &self.regions)];
        if let Some((part, ..)) = parts.iter().find(|(_, paths, rows)| !paths.is_empty() && rows.records.is_empty()) {
            return Err(TrainError::NothingLeft { part });
        }
        // A copy of a test row must not teach as an unlabelled row either.
        let tested: Vec<&Record> = self.test_topics.iter().chain(&self.test_regions).collect();
        retain_others(&mut self.unlabelled, &tested);
        Ok(())
    }

    /// Sets the number of rows of each file that are used; corrections are files of the part that they correct.
    fn count_rows_of_files(&mut self, request: &TrainRequest, corrections: &[TrainingFile]) {
        for (rows, paths, task) in
            [(&mut self.topics, &request.topics, Task::Topics), (&mut self.regions, &request.regions, Task::Regions)]
        {
            rows.files.extend(of_task(corrections, task).filter(|_| rows.corrections > 0));
            for (file, path) in rows.files.iter_mut().zip(paths.iter().chain(&request.corrections)) {
                file.rows = rows::rows_of(path, &rows.records);
            }
        }
        for (file, path) in self.single_topic.files.iter_mut().zip(&request.single_topic) {
            file.rows = rows::rows_of(path, &self.single_topic.records);
        }
    }

    /// Removes labels with fewer than `least` different rows, and rows without any other label. With `keep` it only
    /// records these labels.
    ///
    /// # Errors
    /// [`TrainError::AllRare`] if every label is rare.
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

    /// Removes single-topic rows whose topic no archive row has, and copies of archive rows or test rows.
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
}

/// The labels with fewer than `least` rows of different words, and the number of these rows.
fn rare_labels(records: &[Record], least: usize) -> BTreeMap<String, u64> {
    let mut different: HashMap<&String, HashSet<u64>> = HashMap::new();
    for record in records {
        let few = |label: &&String| different.get(*label).is_none_or(|rows| rows.len() < least);
        let few: Vec<&String> = record.topics.iter().filter(few).collect();
        if few.is_empty() {
            continue;
        }
        let content = content_hash(words_of(record).into_iter());
        for label in few {
            different.entry(label).or_default().insert(content);
        }
    }
    let rare = different.into_iter().filter(|(_, rows)| rows.len() < least);
    rare.map(|(label, rows)| (label.clone(), rows.len() as u64)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::data::fixtures::{row, rows};

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
}
