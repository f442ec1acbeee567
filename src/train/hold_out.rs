//! Rows that are held out to test with, and their copies, from which nothing is learned.

use super::{
    copies,
    data::{HeldOut, Rows},
    folds::FOLDS,
    rows::{day, words_of},
};
use crate::{formats::Record, linear::SplitMix};
use jiff::civil::Date;
use std::collections::{HashMap, HashSet};

/// If a smaller share of the rows has a day, test rows are drawn at random.
const DATED_SHARE: f64 = 0.9;
/// If the day at which the share begins would hold out more than this multiple of the share, the next day is taken.
const TOO_MANY: f64 = 2.0;
/// If that would hold out less than this part of the share, test rows are drawn at random.
const TOO_FEW: f64 = 0.25;

/// The first day to hold out; `None` if there are too few different days. `days` are in ascending order.
fn first_held_out(days: &[Date], share: f64) -> Option<Date> {
    let wanted = days.len() as f64 * share;
    let from = *days.get((days.len() as f64 - wanted) as usize)?;
    let held_out = |from: Date| (days.len() - days.partition_point(|day| *day < from)) as f64;
    if held_out(from) <= wanted * TOO_MANY {
        return Some(from);
    }
    days.iter().copied().find(|day| *day > from).filter(|next| held_out(*next) >= wanted * TOO_FEW)
}

/// Whether each row is a copy of a test row.
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

/// Removes rows that are copies of others.
pub fn retain_others(rows: &mut Vec<Record>, others: &[&Record]) {
    let mut copies = copies_of(others, rows).into_iter();
    rows.retain(|_| !copies.next().unwrap_or(false));
}

impl Rows {
    /// Removes rows that are copies of test rows; returns their number.
    pub(super) fn without_copies_of(&mut self, test: &[Record]) -> u64 {
        let copied = copies_of(&test.iter().collect::<Vec<_>>(), &self.records);
        let before = self.records.len();
        let corrections_from = before - self.corrections;
        self.corrections = copied[corrections_from..].iter().filter(|copied| !**copied).count();
        let mut copied = copied.into_iter();
        self.records.retain(|_| !copied.next().unwrap_or(false));
        (before - self.records.len()) as u64
    }

    /// Takes a share of the rows as test rows: the newest if nearly all have a day, otherwise a random sample, evenly
    /// from each label. Copies of an article stay together. Corrections are kept.
    pub(super) fn hold_out(
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
        let days: Vec<Option<Date>> = self.records[..archive].iter().map(day).collect();
        let mut dated: Vec<Date> = days.iter().flatten().copied().collect();
        dated.sort_unstable();
        let by_date = dated.len() as f64 >= DATED_SHARE * archive as f64;
        let from = first_held_out(&dated, share).filter(|_| by_date);
        let (copied, tested, how): (HashSet<usize>, HashSet<usize>, HeldOut) = if let Some(from) = from {
            let is_new = |i: usize| days[i].is_some_and(|day| day >= from);
            let old: HashSet<u64> =
                (0..self.records.len()).filter(|i| *i >= archive || !is_new(*i)).map(|i| groups[i]).collect();
            // A new row that is a copy of an old one is neither trained on nor tested.
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
                // Cross-validation needs a row for each fold.
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
    use crate::train::data::fixtures::rows;

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
        // The last article repeats the first with one more word.
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
