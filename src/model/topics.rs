//! The topics of an answer: selects and decides topics and sub-topics, and notes the reason if all are ABSTAIN.

use super::Model;
use crate::{
    article::{DEFAULT_MIN_CONFIDENCE, Decision, Label, Options},
    document::Document,
    text::Word,
    topic::{Explanation, TopicAnswer},
};

/// All topics of shorter texts, in words, are ABSTAIN.
const LEAST_WORDS: usize = 4;
/// If all topics are ABSTAIN, the length is the noted reason for texts of fewer words; a line of a news ticker has more.
const TOO_SHORT: usize = 8;
/// If all topics are ABSTAIN and topics are exclusive, a smaller difference between the two best is the noted reason.
const LOW_MARGIN: f32 = 0.1;

/// The text of an article.
pub struct Text<'a> {
    /// The words.
    pub words: &'a [Word],
    /// The document that the words belong to.
    pub document: &'a Document<'a>,
    /// Whether it is an article in a language of the training data; otherwise every label is ABSTAIN.
    pub is_readable: bool,
}

impl Model {
    /// The topics and sub-topics of an answer, each with the most confident first.
    pub(super) fn topics_of(
        &self,
        answer: &TopicAnswer,
        text: &Text<'_>,
        options: &Options,
        notes: &mut Vec<String>,
    ) -> (Vec<Label>, Vec<Label>) {
        if !answer.knows_a_word {
            notes.push(match text.words {
                [] => "topics: ABSTAIN: no word is left of the text without markup and boilerplate".to_owned(),
                _ => "topics: ABSTAIN: the model knows no word of the text".to_owned(),
            });
            return (Vec::new(), Vec::new());
        }
        let is_usable = self.check_usable(answer, options, notes);
        let decide = |topic: usize, confidence: f32| match is_usable && text.is_readable {
            true => self.decide(self.topics.topics()[topic].auto_from, confidence, options),
            false => Decision::Abstain,
        };
        let least = options.min_confidence.unwrap_or(DEFAULT_MIN_CONFIDENCE);
        let shown = |ranked: &[(usize, f32)]| -> Vec<(usize, f32)> {
            ranked.iter().take_while(|(_, confidence)| *confidence >= least).take(options.most()).copied().collect()
        };
        let listed = shown(&answer.ranked);
        let topics = listed.iter().map(|(index, confidence)| {
            let topic = &self.topics.topics()[*index];
            let explain = || self.topics.explain(answer, *index, text.words, text.document);
            let label = Label {
                code: topic.code.clone(),
                name: topic.name.clone(),
                confidence: *confidence,
                decision: decide(*index, *confidence),
                ..Label::default()
            };
            explained(label, options, explain)
        });
        let topics: Vec<Label> = topics.collect();

        let usable: Vec<(usize, f32)> = listed
            .iter()
            .zip(&topics)
            .filter(|(_, label)| label.decision != Decision::Abstain)
            .map(|(one, _)| *one)
            .collect();
        let found = self.topics.subtopics_within(answer, &usable);
        let subtopics = shown(&found.ranked).into_iter().map(|(index, confidence)| {
            let subtopic = &self.topics.subtopics().labels()[index];
            let broader = &self.topics.topics()[subtopic.topic].code;
            let topic_decision = topics.iter().find(|label| label.code == *broader).map(|label| label.decision);
            let explain = || self.topics.explain_subtopic((answer, &found), index, text.words, text.document);
            let label = Label {
                code: subtopic.code.clone(),
                name: subtopic.name.clone(),
                broader: Some(broader.clone()),
                confidence,
                decision: self.decide_subtopic(subtopic.auto_from, confidence, topic_decision, options),
                ..Label::default()
            };
            explained(label, options, explain)
        });
        let subtopics = subtopics.collect();
        (topics, subtopics)
    }

    /// The decision on a topic with this confidence, whose own AUTO threshold is `auto_from`.
    fn decide(&self, auto_from: f32, confidence: f32, options: &Options) -> Decision {
        let mut thresholds = options.thresholds(self.topics.thresholds());
        if options.auto_from.is_none() {
            thresholds.auto = thresholds.auto.max(auto_from);
        }
        thresholds.decide(confidence)
    }

    /// The decision on a sub-topic, which is never stronger than that on its topic.
    fn decide_subtopic(
        &self,
        auto_from: f32,
        confidence: f32,
        topic_decision: Option<Decision>,
        options: &Options,
    ) -> Decision {
        let auto = options.auto_from.unwrap_or(auto_from);
        let review = options.review_from.unwrap_or(self.topics.subtopics().review_from());
        match topic_decision {
            Some(Decision::Auto) if confidence >= auto => Decision::Auto,
            Some(_) if confidence >= review.min(auto) => Decision::Review,
            _ => Decision::Abstain,
        }
    }

    /// Whether the text has enough words, and enough known ones, for any topic. Adds a note if not, or if all topics are
    /// ABSTAIN.
    fn check_usable(&self, answer: &TopicAnswer, options: &Options, notes: &mut Vec<String>) -> bool {
        if answer.words < LEAST_WORDS {
            notes
                .push(format!("topics: ABSTAIN: too short, {} words; at least {LEAST_WORDS} are needed", answer.words));
            return false;
        }
        if answer.known_share() < self.manifest.topics.least_known {
            notes.push(format!(
                "topics: ABSTAIN: unlike anything seen, the model knows {} of {} words",
                answer.known_words, answer.words
            ));
            return false;
        }
        let is_abstain = |(topic, confidence): &(usize, f32)| {
            self.decide(self.topics.topics()[*topic].auto_from, *confidence, options) == Decision::Abstain
        };
        if let [best, second, ..] = answer.ranked[..]
            && answer.ranked.iter().all(is_abstain)
        {
            let name = |(topic, _): (usize, f32)| &self.topics.topics()[topic].name;
            let reason = if answer.words < TOO_SHORT {
                format!("too short, {} words", answer.words)
            } else if self.topics.layers().exclusive && best.1 - second.1 < LOW_MARGIN {
                format!("low margin, {} has {:.2} and {} {:.2}", name(best), best.1, name(second), second.1)
            } else {
                format!("low confidence, the best is {:.2}", best.1)
            };
            let review = options.thresholds(self.topics.thresholds()).review;
            notes.push(format!("topics: ABSTAIN: {reason}; REVIEW begins at {review:.2}"));
        }
        true
    }
}

/// Adds the explanation to a label if the options request it.
fn explained(label: Label, options: &Options, explain: impl FnOnce() -> Explanation) -> Label {
    if !options.explain {
        return label;
    }
    let Explanation { evidence, remainder } = explain();
    Label { evidence, evidence_remainder: Some(remainder), ..label }
}
