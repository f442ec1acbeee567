//! Corrections of editors: they replace the rows that they correct.

use super::{
    copies,
    data::Data,
    left_out::LeftOut,
    rows::{text_hash, words_of},
};
use crate::{copies::content_hash, formats::Record, text::pair_hash};
use std::collections::{HashMap, HashSet};

impl Data {
    /// Replaces the rows that corrections are about. A correction is about the rows with its words; about near-copies with its
    /// headline or its id; with `by_id` about all rows with its id; and without a text about the one row with its id. If
    /// there are several corrections of an article, the last one applies. Corrections alone are not an archive.
    pub(super) fn correct(&mut self, corrections: Vec<Record>, by_id: bool) {
        for (rows, has) in [
            (&mut self.topics, (|record| !record.topics.is_empty()) as fn(&Record) -> bool),
            (&mut self.regions, |record| record.regions.is_some()),
        ] {
            let of_part: Vec<Record> = corrections.iter().filter(|record| has(record)).cloned().collect();
            if of_part.is_empty() {
                continue;
            }
            if rows.records.is_empty() {
                self.left_out.unused_corrections += of_part.len() as u64;
                continue;
            }
            let of_part = with_texts(of_part, &rows.records, &mut self.left_out);
            let archive = std::mem::take(&mut rows.records);
            let (kept, used) = replaced(archive, of_part, by_id, &mut self.left_out);
            rows.corrections = used.len();
            rows.records = kept;
            rows.records.extend(used);
        }
    }
}

fn has_text(record: &Record) -> bool {
    [&record.article.headline, &record.article.body].iter().any(|text| !text.trim().is_empty())
}

/// Corrections without a text get that of the archive row with their id.
fn with_texts(corrections: Vec<Record>, archive: &[Record], left_out: &mut LeftOut) -> Vec<Record> {
    if corrections.iter().all(has_text) {
        return corrections;
    }
    let mut by_id: HashMap<&str, Vec<&Record>> = HashMap::new();
    for record in archive.iter().filter(|record| record.has_own_id()) {
        by_id.entry(&record.article.id).or_default().push(record);
    }
    let mut complete = Vec::with_capacity(corrections.len());
    for correction in corrections {
        if has_text(&correction) {
            complete.push(correction);
            continue;
        }
        match by_id.get(&*correction.article.id).map(Vec::as_slice) {
            Some([row]) => complete.push(Record { article: row.article.clone(), ..correction }),
            // Which of several rows is meant is not known.
            _ => {
                left_out.unmatched_corrections += 1;
                left_out.first_unmatched_correction.get_or_insert_with(|| correction.place.clone());
            }
        }
    }
    complete
}

/// The archive rows that no correction is about, and the corrections that apply.
fn replaced(
    archive: Vec<Record>,
    corrections: Vec<Record>,
    by_id: bool,
    left_out: &mut LeftOut,
) -> (Vec<Record>, Vec<Record>) {
    let all: Vec<&Record> = archive.iter().chain(&corrections).collect();
    let groups = copies::groups(&all, |record| words_of(record).into());
    let keys: Vec<Vec<Key>> = all.iter().zip(groups).map(|(record, group)| keys(record, group, by_id)).collect();
    let (of_archive, of_corrections) = keys.split_at(archive.len());

    let mut corrected: HashSet<&Key> = HashSet::new();
    let mut applies: Vec<bool> = of_corrections
        .iter()
        .rev()
        .map(|keys| {
            let is_last = keys.iter().all(|key| !corrected.contains(key));
            corrected.extend(keys);
            is_last
        })
        .collect();
    applies.reverse();
    left_out.superseded_corrections += applies.iter().filter(|applies| !**applies).count() as u64;

    let stays: Vec<bool> = of_archive.iter().map(|keys| !keys.iter().any(|key| corrected.contains(key))).collect();
    left_out.corrected += stays.iter().filter(|stays| !**stays).count() as u64;
    // An id that another article has too: only its text, or --correct-by-id, would say that it is meant.
    let mut ids: HashMap<&str, bool> = HashMap::new();
    for (record, stays) in archive.iter().zip(&stays).filter(|(record, _)| record.has_own_id()) {
        *ids.entry(&record.article.id).or_insert(true) &= stays;
    }
    for correction in corrections.iter().filter(|record| record.has_own_id()) {
        if ids.get(&*correction.article.id).copied().unwrap_or(false) {
            left_out.clashing_corrections += 1;
            left_out.first_clashing_correction.get_or_insert_with(|| correction.place.clone());
        }
    }
    let kept = archive.into_iter().zip(stays).filter_map(|(record, stays)| stays.then_some(record)).collect();
    let used = corrections.into_iter().zip(applies).filter_map(|(record, applies)| applies.then_some(record)).collect();
    (kept, used)
}

/// What identifies an article. Two rows that share one of their keys are one article.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    /// Its words in order, whatever their case and the spaces between them.
    Words(u64),
    /// The group of its near-copies, and the words of its headline.
    NearWithHeadline(u64, u64),
    /// The group of its near-copies, and its id.
    NearWithId(u64, String),
    Id(String),
}

fn keys(record: &Record, group: u64, by_id: bool) -> Vec<Key> {
    let mut keys = vec![Key::Words(content_hash(words_of(record).into_iter()))];
    let headline: Vec<String> = record.article.headline.split_whitespace().map(str::to_lowercase).collect();
    if !headline.is_empty() {
        keys.push(Key::NearWithHeadline(group, headline.iter().fold(0, |hash, word| pair_hash(hash, text_hash(word)))));
    }
    if record.has_own_id() {
        keys.push(Key::NearWithId(group, record.article.id.clone()));
        if by_id {
            keys.push(Key::Id(record.article.id.clone()));
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::data::fixtures::{row, rows};

    fn corrected(corrections: Vec<Record>, by_id: bool) -> Data {
        let mut data = Data { topics: rows(10, false), ..Data::default() };
        data.correct(corrections, by_id);
        data
    }

    fn last_topics(data: &Data) -> Vec<&str> {
        let rows = &data.topics;
        rows.records[rows.records.len() - rows.corrections..].iter().map(|record| &*record.topics[0]).collect()
    }

    fn body(i: usize) -> String {
        rows(10, false).records[i].article.body.clone()
    }

    #[test]
    fn corrections_take_the_places_of_what_they_correct_and_the_last_one_applies() {
        // The third has other case and spaces.
        let other_form = format!("  {} ", body(3).to_uppercase().replace(' ', "\n"));
        let data = corrected(
            vec![
                row("5", body(5), "x", String::new()),
                row("5", body(5), "y", String::new()),
                row("new", other_form, "z", String::new()),
            ],
            false,
        );
        assert_eq!(
            (data.topics.records.len(), data.left_out.corrected, data.left_out.superseded_corrections),
            (10, 2, 1)
        );
        assert_eq!(last_topics(&data), ["y", "z"]);
    }

    #[test]
    fn an_id_alone_does_not_identify_an_article_unless_that_is_stated() {
        let unrelated = || vec![row("5", "quite another story".into(), "x", String::new())];
        let data = corrected(unrelated(), false);
        assert_eq!(
            (data.topics.records.len(), data.left_out.corrected, data.left_out.clashing_corrections),
            (11, 0, 1)
        );
        let data = corrected(unrelated(), true);
        assert_eq!(
            (data.topics.records.len(), data.left_out.corrected, data.left_out.clashing_corrections),
            (10, 1, 0)
        );
        // Repeated ids of different articles.
        let data = corrected(
            vec![
                row("7", "one story".into(), "x", String::new()),
                row("7", "another story".into(), "y", String::new()),
            ],
            false,
        );
        assert_eq!((last_topics(&data), data.left_out.superseded_corrections), (vec!["x", "y"], 0));
    }

    #[test]
    fn edited_texts_with_the_same_id_or_headline_are_the_same_article() {
        let edited = format!("{} updated", body(4));
        let data = corrected(vec![row("4", edited.clone(), "x", String::new())], false);
        assert_eq!((data.topics.records.len(), data.left_out.corrected), (10, 1));
        let mut data = Data { topics: rows(10, false), ..Data::default() };
        data.topics.records[4].article.headline = "A budget".to_owned();
        let mut correction = row("new", edited, "x", String::new());
        correction.article.headline = "a  Budget".to_owned();
        data.correct(vec![correction], false);
        assert_eq!((data.topics.records.len(), data.left_out.corrected), (10, 1));
    }

    #[test]
    fn corrections_without_a_text_take_that_of_their_row() {
        let data = corrected(
            vec![row("5", String::new(), "x", String::new()), row("unknown", " ".into(), "y", String::new())],
            false,
        );
        assert_eq!(
            (data.topics.records.len(), data.left_out.corrected, data.left_out.unmatched_corrections),
            (10, 1, 1)
        );
        assert_eq!(data.topics.records[9].article.body, body(5));
        assert_eq!(last_topics(&data), ["x"]);
    }

    #[test]
    fn corrections_hold_for_what_they_say_and_for_what_is_trained() {
        let mut data = Data { topics: rows(10, false), regions: rows(10, false), ..Data::default() };
        let about_regions =
            Record { regions: Some(vec!["KE".into()]), topics: Vec::new(), ..row("5", body(5), "", String::new()) };
        data.correct(vec![about_regions.clone(), row("5", body(5), "topic", String::new())], false);
        assert_eq!((data.topics.corrections, data.regions.corrections), (1, 1));
        let mut without = Data { topics: rows(10, false), ..Data::default() };
        without.correct(vec![about_regions], false);
        assert_eq!((without.regions.records.len(), without.left_out.unused_corrections), (0, 1));
    }
}
