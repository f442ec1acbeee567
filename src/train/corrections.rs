//! Corrections of editors: they replace the rows that they correct.

use super::{data::Data, rows::text_hash};
use crate::formats::Record;
use std::collections::HashSet;

impl Data {
    /// Replaces the rows with the same id or text as a correction. If there are several corrections of an article, the
    /// last one applies. Corrections alone are not an archive.
    pub(super) fn correct(&mut self, corrections: Vec<Record>) {
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

/// What identifies an article: its id, if its row has one, and its text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Id(String),
    Text(u64),
}

fn keys(record: &Record) -> Vec<Key> {
    let article = &record.article;
    let text = text_hash(&format!("{}\n{}", article.headline.trim(), article.body.trim()));
    let id = record.has_own_id().then(|| article.id.clone());
    id.map(Key::Id).into_iter().chain([Key::Text(text)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::data::fixtures::{row, rows};

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
}
