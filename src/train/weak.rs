//! Weak labels: rows without topics get one by rule, for topics that no labelled row teaches, or hardly any.
//!
//! A rule counts words in a row; rows that several rules see, and rows with a word that speaks against it, stay unlabelled.
//! Weak rows teach, and are measured apart from the others: a rule finds what it was written to find.

use super::{TrainError, corpus};
use crate::formats::Record;
use regex::{Regex, RegexBuilder};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// A shorter row, in bytes, is a title without a story.
const SHORTEST: usize = 40;

/// How rows without topics get one.
#[derive(Debug)]
pub struct Rules(Vec<Rule>);

#[derive(Debug)]
struct Rule {
    code: String,
    /// So many rows are taken at most.
    most: usize,
    /// So many different words must be there.
    least_words: usize,
    words: Regex,
    unless: Regex,
}

impl Rules {
    /// The rules that come with the program, for IPTC Media Topics.
    ///
    /// # Errors
    /// [`TrainError::Rule`], which a test rules out.
    pub fn bundled() -> Result<Rules, TrainError> {
        Rules::parse(include_str!("data/weak-labels.tsv"), "the bundled rules")
    }

    /// The rules in a file: lines of five columns with tabs between them, as in `src/train/data/weak-labels.tsv`.
    ///
    /// # Errors
    /// [`TrainError::Read`] and [`TrainError::Rule`].
    pub fn read(path: &Path) -> Result<Rules, TrainError> {
        let text = fs::read_to_string(path).map_err(|source| TrainError::Read { path: path.to_owned(), source })?;
        Rules::parse(&text, &path.display().to_string())
    }

    fn parse(text: &str, name: &str) -> Result<Rules, TrainError> {
        let mut rules = Vec::new();
        for (i, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'))
        {
            let wrong = |reason: String| TrainError::Rule { place: format!("{name}:{}", i + 1), reason };
            let columns: Vec<&str> = line.split('\t').collect();
            let [code, most, least_words, words, unless] = columns[..] else {
                return Err(wrong(format!(
                    "{} columns: code, rows, words, pattern and counter-pattern are expected",
                    columns.len()
                )));
            };
            let number =
                |text: &str| text.parse().map_err(|_| wrong(format!("{text:?} is no number of rows or words")));
            let pattern = |text: &str| {
                let built = RegexBuilder::new(text).case_insensitive(true).build();
                built.map_err(|error| wrong(error.to_string()))
            };
            rules.push(Rule {
                code: code.to_owned(),
                most: number(most)?,
                least_words: number(least_words)?,
                words: pattern(words)?,
                unless: pattern(unless)?,
            });
        }
        Ok(Rules(rules))
    }

    /// The rule that sees a text, where it is just one.
    fn seen_by(&self, text: &str) -> Option<&Rule> {
        let sees = |rule: &&Rule| {
            let words: BTreeSet<String> =
                rule.words.find_iter(text).map(|found| found.as_str().to_lowercase()).collect();
            words.len() >= rule.least_words.max(1) && !rule.unless.is_match(text)
        };
        let mut seeing = self.0.iter().filter(sees);
        let rule = seeing.next()?;
        seeing.next().is_none().then_some(rule)
    }

    /// Labels what rows the rules see, copies once, and drops the others. Which ones are taken where a rule sees more than
    /// its most is as good as random, and the same for the same rows.
    pub fn label(&self, records: Vec<Record>) -> Vec<Record> {
        let mut by_code: BTreeMap<&str, Vec<(u64, Record)>> = BTreeMap::new();
        for mut record in records {
            let text = format!("{}\n{}", record.article.headline, record.article.body);
            let Some(rule) = self.seen_by(&text).filter(|_| text.len() >= SHORTEST) else { continue };
            record.topics = vec![rule.code.clone()];
            let order = corpus::text_hash(&text);
            by_code.entry(&rule.code).or_default().push((order, record));
        }
        let mut labelled = Vec::new();
        for rule in &self.0 {
            let mut rows = by_code.remove(rule.code.as_str()).unwrap_or_default();
            rows.sort_by_key(|row| row.0);
            rows.dedup_by_key(|row| row.0);
            labelled.extend(rows.into_iter().take(rule.most).map(|row| row.1));
        }
        labelled
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::article::Article;

    fn code(text: &str) -> Option<String> {
        let rules = Rules::bundled().expect("the bundled rules are sound");
        let article = Article { body: text.to_owned(), ..Article::default() };
        rules
            .label(vec![Record { article, ..Record::default() }])
            .into_iter()
            .next()
            .map(|record| record.topics.concat())
    }

    #[test]
    fn rules_see_what_they_are_written_for() {
        let cases = [
            ("Bus drivers in Lisbon go on strike for the second day over a pay dispute.", Some("medtop:09000000")),
            ("An air strike on a depot kills four soldiers; workers go on strike.", None),
            ("Forecasters expect a heat wave with 41 degrees Celsius in Seville next week.", Some("medtop:17000000")),
            ("A heat wave in the valley leaves nine people dead.", None),
            ("The bishops of the Anglican Church meet in Kampala to talk about worship.", Some("medtop:12000000")),
            ("Health officials confirm new cases of cholera in the port.", Some("medtop:07000000")),
            ("The minister opens a bridge across the river in the north.", None),
            ("Heat wave.", None),
        ];
        for (text, expected) in cases {
            assert_eq!(code(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn no_more_rows_are_taken_than_a_rule_allows_and_always_the_same() {
        let rules = Rules::parse("# rules\na\t2\t1\t\\brain\\b\t\\bsun\\b\n", "r").expect("they are sound");
        let record = |i: usize| {
            let body = format!("The rain fell on town number {i} for the whole of the day.");
            Record { article: Article { body, ..Article::default() }, ..Record::default() }
        };
        let forwards = rules.label((0..9).map(record).collect());
        let backwards = rules.label((0..9).rev().map(record).collect());
        assert_eq!(forwards.len(), 2);
        assert_eq!(forwards, backwards);
    }

    #[test]
    fn what_is_wrong_with_a_rule_is_told() {
        for (text, reason) in
            [("a\tb", "2 columns"), ("a\tx\t1\tb\tc", "\"x\" is no number"), ("a\t1\t1\t(\tc", "unclosed group")]
        {
            let error = Rules::parse(text, "r.tsv").expect_err("it is wrong").to_string();
            assert!(error.starts_with("r.tsv:1: ") && error.contains(reason), "{error}");
        }
    }
}
