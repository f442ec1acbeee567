//! The quality of answers by part of the world, and for countries that the text names and does not name.

use super::table::{Cell, Table, number, share, text};
use crate::{
    article::Decision,
    formats::Record,
    geography,
    model::clean_article,
    region::Places,
    text::words_into,
    train::{Data, Trained, metrics::RegionAnswer, topic_scores::TopicAnswer},
};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// Rows with the answers to them, in the same order.
type Answered<'a, A> = (&'a [&'a Record], &'a [A]);

/// A number of cases, and of those that are right.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Count {
    all: usize,
    right: usize,
}

impl Count {
    fn add(&mut self, is_right: bool) {
        self.all += 1;
        self.right += usize::from(is_right);
    }

    /// Their number and the share that is right.
    fn cells(self) -> [Cell; 2] {
        let right = match self.all {
            0 => Cell::from("-"),
            all => share(self.right as f64 / all as f64),
        };
        [self.all.into(), right]
    }
}

/// The counts of a part of the world.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    /// Articles about one of its countries, and whether their best topic is right.
    best_topics: Count,
    /// AUTO topics of these articles.
    auto_topics: Count,
    /// Its countries that articles are about and name, and whether they are answered.
    named: Count,
    /// The same for those that the text does not name.
    unnamed: Count,
    /// Its countries that are answered.
    answered: Count,
}

/// Quality of a training in cross-validation, by M49 sub-region. Empty if no row has countries.
pub fn of_training(trained: &Trained, data: &Data) -> Table {
    fn rows<'a>(records: &'a [Record], answered: &[usize]) -> Vec<&'a Record> {
        answered.iter().map(|i| &records[*i]).collect()
    }
    let topics = trained.topics.as_ref().map(|part| (rows(&data.topics.records, &part.answered), &part.answers[..]));
    let regions = trained.regions.as_ref().map(|part| (rows(&data.regions.records, &part.answered), &part.answers[..]));
    parts_of_the_world(
        topics.as_ref().map(|(records, answers)| (&records[..], *answers)),
        regions.as_ref().map(|(records, answers)| (&records[..], *answers)),
    )
}

/// Quality by M49 sub-region.
fn parts_of_the_world(topics: Option<Answered<'_, TopicAnswer>>, regions: Option<Answered<'_, RegionAnswer>>) -> Table {
    let mut parts: BTreeMap<&str, Counts> = BTreeMap::new();
    for (record, answer) in topics.into_iter().flat_map(|(records, answers)| records.iter().zip(answers)) {
        let countries = record.regions.iter().flatten();
        let of_article: BTreeSet<&str> = countries.filter_map(|code| part_of(code)).collect();
        for part in of_article {
            let counts = parts.entry(part).or_default();
            counts.best_topics.add(answer.is_right());
            let auto = answer.labels.iter().filter(|label| label.decision == Decision::Auto);
            auto.for_each(|label| counts.auto_topics.add(answer.carries(&label.code)));
        }
    }
    if let Some((records, answers)) = regions {
        let named: Vec<BTreeSet<&str>> = records.par_iter().map(|record| named_countries(record)).collect();
        for (named, answer) in named.iter().zip(answers) {
            for code in &answer.truth {
                let Some(part) = part_of(code) else { continue };
                let counts = parts.entry(part).or_default();
                let count = if named.contains(&**code) { &mut counts.named } else { &mut counts.unnamed };
                count.add(answer.about.contains(code));
            }
            for code in &answer.about {
                let Some(part) = part_of(code) else { continue };
                parts.entry(part).or_default().answered.add(answer.truth.contains(code));
            }
        }
    }
    let mut table = Table::new([
        text("part of the world"),
        number("articles"),
        number("best topic right"),
        number("AUTO topics"),
        number("right"),
        number("named countries"),
        number("found"),
        number("unnamed"),
        number("found"),
        number("answered"),
        number("right"),
    ]);
    for (part, counts) in &parts {
        let Counts { best_topics, auto_topics, named, unnamed, answered } = counts;
        let cells = [best_topics, auto_topics, named, unnamed, answered].map(|count| count.cells());
        table.push([Cell::from(part)].into_iter().chain(cells.into_iter().flatten()));
    }
    table
}

/// The English name of the M49 sub-region that a country is in, such as Western Africa; `None` for other codes, and for
/// Antarctica, which is in none.
fn part_of(code: &str) -> Option<&'static str> {
    let country = geography::country(code)?;
    let [_, part, _, ..] = &country.path[..] else { return None };
    geography::place(part).map(|part| &*part.name)
}

/// The countries that the place names of an article most likely mean.
fn named_countries(record: &Record) -> BTreeSet<&'static str> {
    let document = clean_article(&record.article);
    let mut words = Vec::new();
    words_into(&document, &mut words);
    let places = Places::of(&document, &words);
    places.readings().iter().filter_map(|reading| reading.likeliest()).map(|meaning| meaning.code).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{article::Article, train::topic_scores::AnsweredLabel};

    fn record(body: &str, regions: &[&str]) -> Record {
        let regions = Some(regions.iter().map(|code| (*code).to_owned()).collect());
        Record { article: Article { body: body.to_owned(), ..Article::default() }, regions, ..Record::default() }
    }

    #[test]
    fn counts_are_by_part_of_the_world_and_by_whether_the_text_names_the_country() {
        let records = [
            record("Rain fell in Nairobi and Kampala.", &["KE", "UG"]),
            record("Rain fell on the farms of the valley.", &["KE"]),
            record("Rain fell in Lima.", &["PE"]),
        ];
        let records: Vec<&Record> = records.iter().collect();
        let answer = |about: &[&str], truth: &[&str]| {
            let owned = |codes: &[&str]| codes.iter().map(|code| (*code).to_owned()).collect();
            RegionAnswer { truth: owned(truth), about: owned(about), ..RegionAnswer::default() }
        };
        let regions = [answer(&["KE"], &["KE", "UG"]), answer(&[], &["KE"]), answer(&["PE", "KE"], &["PE"])];
        let topic = |decision| {
            let label = AnsweredLabel { code: "weather".into(), confidence: 0.9, decision };
            TopicAnswer { truth: vec!["weather".to_owned()], labels: vec![label], source: String::new() }
        };
        let topics = [topic(Decision::Auto), topic(Decision::Review), topic(Decision::Auto)];
        let table = parts_of_the_world(Some((&records, &topics)), Some((&records, &regions))).to_markdown();
        let row = |name: &str| -> Vec<String> {
            let line = table.lines().find(|line| line.contains(name)).expect("the part is listed");
            line.split('|').map(|cell| cell.trim().to_owned()).filter(|cell| !cell.is_empty()).collect()
        };
        let africa = ["Eastern Africa", "2", "1.000", "1", "1.000", "2", "0.500", "1", "0.000", "2", "0.500"];
        assert_eq!(row("Eastern Africa"), africa, "{table}");
        assert_eq!(row("South America")[5..], ["1", "1.000", "0", "-", "1", "1.000"], "{table}");
    }
}
