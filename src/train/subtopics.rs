//! The sub-topics of an archive: the topic of each, and those that cannot be learned.

use super::LeftOut;
use crate::{formats::Record, topic::taxonomy};
use std::collections::{BTreeMap, HashMap, HashSet};

/// The topic of each sub-topic. Sub-topics that cannot be learned are removed: those in rows without their topic, and
/// those of fewer than `least` rows.
///
/// A Media Topic belongs to its first-level topic; any other sub-topic to the topic that most of its rows carry, the first by
/// code of equals.
pub fn resolve(records: &mut [Record], least: usize, left_out: &mut LeftOut) -> BTreeMap<String, String> {
    let mut together: BTreeMap<String, HashMap<String, u64>> = BTreeMap::new();
    for record in records.iter() {
        for subtopic in &record.subtopics {
            let topics = together.entry(subtopic.clone()).or_default();
            record.topics.iter().for_each(|topic| *topics.entry(topic.clone()).or_default() += 1);
        }
    }
    let mut broader: BTreeMap<String, String> = BTreeMap::new();
    for (subtopic, topics) in together {
        let commonest = topics.into_iter().max_by(|a, b| a.1.cmp(&b.1).then(b.0.cmp(&a.0)));
        let topic = match taxonomy::topic_of(&subtopic) {
            Some(topic) => Some(topic.to_owned()),
            None => commonest.map(|(topic, _)| topic),
        };
        broader.extend(topic.map(|topic| (subtopic, topic)));
    }
    let all_topics: HashSet<String> = records.iter().flat_map(|record| &record.topics).cloned().collect();
    let mut rows: BTreeMap<String, u64> = BTreeMap::new();
    for record in records.iter_mut() {
        let Record { topics, subtopics, place, .. } = record;
        subtopics.retain(|subtopic| {
            let topic = broader.get(subtopic);
            let has_topic = !all_topics.contains(subtopic) && topic.is_some_and(|topic| topics.contains(topic));
            match has_topic {
                true => *rows.entry(subtopic.clone()).or_default() += 1,
                false => {
                    left_out.orphan_subtopics += 1;
                    left_out.first_orphan_subtopic.get_or_insert_with(|| place.clone());
                }
            }
            has_topic
        });
    }
    left_out.rare_subtopics =
        rows.iter().filter(|(_, rows)| **rows < least as u64).map(|(l, n)| (l.clone(), *n)).collect();
    let is_learned = |subtopic: &String| rows.get(subtopic).is_some_and(|rows| *rows >= least as u64);
    records.iter_mut().for_each(|record| record.subtopics.retain(is_learned));
    broader.retain(|subtopic, _| is_learned(subtopic));
    broader
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::Place;

    fn row(topics: &[&str], subtopics: &[&str]) -> Record {
        let list = |labels: &[&str]| labels.iter().map(|label| (*label).to_owned()).collect();
        Record {
            topics: list(topics),
            subtopics: list(subtopics),
            place: Place::of_file("a").at_line(1),
            ..Record::default()
        }
    }

    #[test]
    fn subtopics_belong_to_topics() {
        let mut rows = vec![
            row(&["medtop:15000000", "b"], &["medtop:20001065", "x"]),
            row(&["medtop:15000000"], &["medtop:20001065"]),
            row(&["b"], &["medtop:20001065", "x", "y"]),
            row(&["c", "b"], &["x", "b"]),
        ];
        let mut left_out = LeftOut::default();
        let broader = resolve(&mut rows, 2, &mut left_out);
        assert_eq!(
            broader,
            BTreeMap::from([("medtop:20001065".into(), "medtop:15000000".into()), ("x".into(), "b".into())])
        );
        assert_eq!(rows[2].subtopics, ["x"], "soccer is not in this row's topics");
        assert_eq!(rows[3].subtopics, ["x"], "a topic is no sub-topic");
        assert_eq!(left_out.orphan_subtopics, 2);
        assert_eq!(left_out.first_orphan_subtopic, Some(Place::of_file("a").at_line(1)));
        assert_eq!(left_out.rare_subtopics, BTreeMap::from([("y".to_owned(), 1)]));
    }
}
