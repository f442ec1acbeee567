//! Truncates answers and identifiers to their size limits.

use super::proto::dateline::v1 as pb;
use crate::article;
use prost::Message;

/// Space for the note in a truncated answer, and for length prefixes that get longer, in bytes.
const RESERVED_BYTES: usize = 256;

/// The identifier of an answer: that of its article, truncated to [`article::MAX_ID_BYTES`].
pub fn truncate_id(id: &str) -> String {
    article::prefix(id, article::MAX_ID_BYTES).to_owned()
}

/// Truncates an answer to `max_bytes`, deterministically, and adds a note to a truncated one.
///
/// Removes the explanations first, beginning with those of the least confident labels, then the list of removed parts, then
/// the least confident labels.
pub fn truncate_answer(mut answer: pb::Classification, max_bytes: usize) -> pb::Classification {
    if answer.encoded_len() <= max_bytes {
        return answer;
    }
    let max_bytes = max_bytes.saturating_sub(RESERVED_BYTES);
    let fits = |answer: &pb::Classification| answer.encoded_len() <= max_bytes;
    for i in (0..answer.regions.len()).rev() {
        if fits(&answer) {
            break;
        }
        answer.regions[i].contributions.clear();
        answer.regions[i].label.iter_mut().for_each(|label| label.evidence.clear());
    }
    for i in (0..answer.subtopics.len()).rev() {
        if fits(&answer) {
            break;
        }
        answer.subtopics[i].evidence.clear();
    }
    for i in (0..answer.topics.len()).rev() {
        if fits(&answer) {
            break;
        }
        answer.topics[i].evidence.clear();
    }
    if !fits(&answer) {
        answer.removed.clear();
    }
    while !fits(&answer) && !answer.regions.is_empty() {
        answer.regions.truncate(answer.regions.len() / 2);
    }
    while !fits(&answer) && !answer.subtopics.is_empty() {
        answer.subtopics.truncate(answer.subtopics.len() / 2);
    }
    while !fits(&answer) && !answer.topics.is_empty() {
        answer.topics.truncate(answer.topics.len() / 2);
    }
    answer.notes.push("answer truncated to the size limit: request fewer labels with max_labels".to_owned());
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn explanations_are_removed_before_labels() {
        let evidence = vec![pb::Evidence { term: "term".repeat(20), ..pb::Evidence::default() }; 20];
        let label =
            |i: usize| pb::Label { code: format!("code-{i}"), evidence: evidence.clone(), ..pb::Label::default() };
        let region = |i| pb::Region { label: Some(label(i)), ..pb::Region::default() };
        let whole = pb::Classification {
            topics: (0..17).map(label).collect(),
            regions: (0..100).map(region).collect(),
            removed: vec![pb::Removed { reason: "markup".into(), ..pb::Removed::default() }; 1000],
            ..pb::Classification::default()
        };
        assert_eq!(truncate_answer(whole.clone(), usize::MAX), whole);
        let mut before = usize::MAX;
        for max_bytes in [200_000, 100_000, 40_000, 10_000, 2_000, 300] {
            let cut = truncate_answer(whole.clone(), max_bytes);
            assert!(cut.encoded_len() <= max_bytes, "{max_bytes}: {}", cut.encoded_len());
            assert_eq!(cut.notes.len(), 1);
            let explained =
                cut.regions.iter().filter(|region| region.label.as_ref().is_some_and(|l| !l.evidence.is_empty()));
            let explained = explained.count();
            assert!(explained <= before);
            before = explained;
            assert!(
                max_bytes < 40_000 || (cut.topics.len(), cut.regions.len()) == (17, 100),
                "{max_bytes}: labels stay"
            );
        }
    }

    #[test]
    fn identifiers_are_truncated_at_character_boundaries() {
        assert_eq!(truncate_id("a"), "a");
        let long = "é".repeat(3000);
        assert_eq!(truncate_id(&long).len(), article::MAX_ID_BYTES);
        assert!(truncate_id(&format!("a{long}")).len() <= article::MAX_ID_BYTES);
    }
}
