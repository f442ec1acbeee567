//! The wire's messages to the core's types, and back.

use super::proto::{
    dateline::v1::{self as pb, classify_response::Outcome},
    google::rpc,
};
use crate::article::{
    self, Article, Classification, Contribution, Decision, Evidence, Field, Format, Label, Options, Reason, Region,
    Removed, Role,
};
use prost::Message;
use tonic::Code;

pub fn error_to_proto(code: Code, message: &str) -> rpc::Status {
    rpc::Status { code: code as i32, message: message.to_owned(), details: Vec::new() }
}

pub fn article_from_proto(article: Option<pb::Article>) -> Result<Article, String> {
    let article = article.ok_or("the request has no article")?;
    article::check_length("uri", &article.uri, article::MAX_ID_BYTES).map_err(|error| error.to_string())?;
    let format = match pb::Format::try_from(article.format) {
        Ok(pb::Format::Text) => Format::Text,
        Ok(pb::Format::Html) => Format::Html,
        Err(_) => return Err(format!("{} is no format: use TEXT (0) or HTML (1)", article.format)),
    };
    Ok(Article {
        id: article.id,
        headline: article.headline,
        body: article.body,
        format,
        dateline: article.dateline,
        language: article.language,
        source_country: article.source_country,
    })
}

pub(crate) fn article_to_proto(article: Article) -> pb::Article {
    pb::Article {
        id: article.id,
        headline: article.headline,
        body: article.body,
        format: match article.format {
            Format::Text => pb::Format::Text,
            Format::Html => pb::Format::Html,
        } as i32,
        dateline: article.dateline,
        language: article.language,
        source_country: article.source_country,
        uri: String::new(),
        published: None,
    }
}

pub fn options_from_proto(options: Option<pb::Options>) -> Result<Options, String> {
    let options = options.unwrap_or_default();
    let max_labels = options.max_labels.filter(|most| *most > 0).map(|most| most as usize);
    let pb::Options { min_confidence, explain, auto_from, review_from, .. } = options;
    let options = Options { max_labels, min_confidence, explain, auto_from, review_from };
    options.check().map_err(|error| error.to_string())?;
    Ok(options)
}

pub(crate) fn options_to_proto(options: Options) -> pb::Options {
    pb::Options {
        max_labels: options.max_labels.map(|most| u32::try_from(most).unwrap_or(u32::MAX)),
        min_confidence: options.min_confidence,
        explain: options.explain,
        auto_from: options.auto_from,
        review_from: options.review_from,
    }
}

pub fn answer_to_proto(answer: Classification) -> pb::Classification {
    pb::Classification {
        topics: answer.topics.into_iter().map(label_to_proto).collect(),
        subtopics: answer.subtopics.into_iter().map(label_to_proto).collect(),
        regions: answer
            .regions
            .into_iter()
            .map(|region| pb::Region {
                label: Some(label_to_proto(region.label)),
                path: region.path.iter().map(|code| code.to_string()).collect(),
                role: match region.role {
                    Role::About => pb::Role::About,
                    Role::Mentioned => pb::Role::Mentioned,
                    Role::Dateline => pb::Role::Dateline,
                } as i32,
                contributions: region
                    .contributions
                    .into_iter()
                    .map(|one| pb::Contribution {
                        feature: one.feature.to_string(),
                        value: one.value,
                        log_odds: one.log_odds,
                    })
                    .collect(),
            })
            .collect(),
        language: answer.language,
        model_version: answer.model_version.to_string(),
        notes: answer.notes,
        removed: answer
            .removed
            .into_iter()
            .map(|part| pb::Removed {
                field: field_to_proto(part.field) as i32,
                start: part.start,
                end: part.end,
                reason: part.reason.as_str().to_owned(),
            })
            .collect(),
    }
}

/// The identifier that an answer carries: that of the article, cut off at the limit for identifiers.
pub fn shortened_id(id: &str) -> String {
    article::prefix(id, article::MAX_ID_BYTES).to_owned()
}

/// The answer within `most` bytes: explanations go first, those of the least confident labels before others, and then the least
/// confident labels. A note says so. The same answer is always cut in the same way.
pub fn fitted(mut answer: pb::Classification, most: usize) -> pb::Classification {
    /// Room for the note and for lengths that take more bytes than before.
    const NOTE: usize = 256;
    if answer.encoded_len() <= most {
        return answer;
    }
    let most = most.saturating_sub(NOTE);
    let fits = |answer: &pb::Classification| answer.encoded_len() <= most;
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
    answer
        .notes
        .push("the answer was cut to the size limit of answers: ask for fewer labels with max_labels".to_owned());
    answer
}

fn label_to_proto(label: Label) -> pb::Label {
    pb::Label {
        code: label.code.to_string(),
        name: label.name.to_string(),
        broader: label.broader.map_or_else(String::new, |code| code.to_string()),
        confidence: label.confidence,
        decision: match label.decision {
            Decision::Auto => pb::Decision::Auto,
            Decision::Review => pb::Decision::Review,
            Decision::Abstain => pb::Decision::Abstain,
        } as i32,
        evidence: label
            .evidence
            .into_iter()
            .map(|evidence| pb::Evidence {
                term: evidence.term,
                field: field_to_proto(evidence.field) as i32,
                start: evidence.start,
                end: evidence.end,
                weight: evidence.weight,
            })
            .collect(),
        evidence_remainder: label.evidence_remainder,
    }
}

fn field_to_proto(field: Field) -> pb::evidence::Field {
    match field {
        Field::Headline => pb::evidence::Field::Headline,
        Field::Body => pb::evidence::Field::Body,
        Field::Dateline => pb::evidence::Field::Dateline,
    }
}

/// The outcome of a response as the core has it; the error is the message of the server. `None` where the response is not
/// one of this contract.
pub(crate) fn answer_from_proto(response: pb::ClassifyResponse) -> Option<Result<Classification, rpc::Status>> {
    let answer = match response.outcome? {
        Outcome::Error(error) => return Some(Err(error)),
        Outcome::Classification(answer) => answer,
    };
    Some(Ok(Classification {
        topics: answer.topics.into_iter().map(label_from_proto).collect::<Option<_>>()?,
        subtopics: answer.subtopics.into_iter().map(label_from_proto).collect::<Option<_>>()?,
        regions: answer
            .regions
            .into_iter()
            .map(|region| {
                Some(Region {
                    role: match region.role() {
                        pb::Role::About => Role::About,
                        pb::Role::Mentioned => Role::Mentioned,
                        pb::Role::Dateline => Role::Dateline,
                        pb::Role::Unspecified => return None,
                    },
                    label: label_from_proto(region.label?)?,
                    path: region.path.iter().map(|code| code.as_str().into()).collect(),
                    contributions: region
                        .contributions
                        .into_iter()
                        .map(|one| Contribution {
                            feature: one.feature.into(),
                            value: one.value,
                            log_odds: one.log_odds,
                        })
                        .collect(),
                })
            })
            .collect::<Option<_>>()?,
        language: answer.language,
        model_version: answer.model_version.into(),
        notes: answer.notes,
        removed: answer
            .removed
            .into_iter()
            .map(|part| {
                let reason = [Reason::Markup, Reason::Boilerplate, Reason::Dateline];
                Some(Removed {
                    field: field_from_proto(part.field())?,
                    start: part.start,
                    end: part.end,
                    reason: reason.into_iter().find(|reason| reason.as_str() == part.reason)?,
                })
            })
            .collect::<Option<_>>()?,
    }))
}

fn label_from_proto(label: pb::Label) -> Option<Label> {
    Some(Label {
        decision: match label.decision() {
            pb::Decision::Auto => Decision::Auto,
            pb::Decision::Review => Decision::Review,
            pb::Decision::Abstain => Decision::Abstain,
            pb::Decision::Unspecified => return None,
        },
        code: label.code.into(),
        name: label.name.into(),
        broader: Some(label.broader).filter(|code| !code.is_empty()).map(Into::into),
        confidence: label.confidence,
        evidence: label
            .evidence
            .into_iter()
            .map(|evidence| {
                Some(Evidence {
                    field: field_from_proto(evidence.field())?,
                    term: evidence.term,
                    start: evidence.start,
                    end: evidence.end,
                    weight: evidence.weight,
                })
            })
            .collect::<Option<_>>()?,
        evidence_remainder: label.evidence_remainder,
    })
}

fn field_from_proto(field: pb::evidence::Field) -> Option<Field> {
    match field {
        pb::evidence::Field::Headline => Some(Field::Headline),
        pb::evidence::Field::Body => Some(Field::Body),
        pb::evidence::Field::Dateline => Some(Field::Dateline),
        pb::evidence::Field::Unspecified => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_answers_lose_explanations_before_labels() {
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
        assert_eq!(fitted(whole.clone(), usize::MAX), whole);
        let mut before = usize::MAX;
        for most in [200_000, 100_000, 40_000, 10_000, 2_000, 300] {
            let cut = fitted(whole.clone(), most);
            assert!(cut.encoded_len() <= most, "{most}: {}", cut.encoded_len());
            assert_eq!(cut.notes.len(), 1);
            let explained =
                cut.regions.iter().filter(|region| region.label.as_ref().is_some_and(|l| !l.evidence.is_empty()));
            let explained = explained.count();
            assert!(explained <= before);
            before = explained;
            assert!(most < 40_000 || (cut.topics.len(), cut.regions.len()) == (17, 100), "{most}: labels stay");
        }
    }

    #[test]
    fn identifiers_are_cut_at_characters() {
        assert_eq!(shortened_id("a"), "a");
        let long = "é".repeat(3000);
        assert_eq!(shortened_id(&long).len(), article::MAX_ID_BYTES);
        assert!(shortened_id(&format!("a{long}")).len() <= article::MAX_ID_BYTES);
    }
}
