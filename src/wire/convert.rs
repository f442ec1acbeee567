//! Conversion between the messages of the contract and the core's types.

use super::proto::{
    dateline::v1::{self as pb, classify_response::Outcome},
    google::rpc,
};
use crate::article::{
    self, Article, Classification, Contribution, Decision, Evidence, Field, Format, Label, Options, Reason, Region,
    Removed, Role,
};
use tonic::Code;

/// The error of a single article.
pub fn error_to_proto(code: Code, message: &str) -> rpc::Status {
    rpc::Status { code: code as i32, message: message.to_owned(), details: Vec::new() }
}

/// The article of a request; the error is the message for the client. Does not check the limits of [`Article::check`].
pub fn article_from_proto(article: Option<pb::Article>) -> Result<Article, String> {
    let article = article.ok_or("the request has no article")?;
    article::check_length("uri", &article.uri, article::MAX_ID_BYTES).map_err(|error| error.to_string())?;
    let format = match pb::Format::try_from(article.format) {
        Ok(pb::Format::Text) => Format::Text,
        Ok(pb::Format::Html) => Format::Html,
        Err(_) => return Err(format!("invalid format {}: expected TEXT (0) or HTML (1)", article.format)),
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

/// The article of a request, without the fields that only the contract has.
pub fn article_to_proto(article: Article) -> pb::Article {
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

/// The checked options of a request; the error is the message for the client. A `max_labels` of 0 is no limit.
pub fn options_from_proto(options: Option<pb::Options>) -> Result<Options, String> {
    let options = options.unwrap_or_default();
    let max_labels = options.max_labels.filter(|max| *max > 0).map(|max| max as usize);
    let pb::Options { min_confidence, explain, auto_from, review_from, .. } = options;
    let options = Options { max_labels, min_confidence, explain, auto_from, review_from };
    options.check().map_err(|error| error.to_string())?;
    Ok(options)
}

pub fn options_to_proto(options: Options) -> pb::Options {
    pb::Options {
        max_labels: options.max_labels.map(|max| u32::try_from(max).unwrap_or(u32::MAX)),
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
        regions: answer.regions.into_iter().map(region_to_proto).collect(),
        language: answer.language,
        model_version: answer.model_version.to_string(),
        notes: answer.notes,
        removed: answer.removed.into_iter().map(removed_to_proto).collect(),
    }
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

fn region_to_proto(region: Region) -> pb::Region {
    pb::Region {
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
            .map(|contribution| pb::Contribution {
                feature: contribution.feature.to_string(),
                value: contribution.value,
                log_odds: contribution.log_odds,
            })
            .collect(),
    }
}

fn removed_to_proto(removed: Removed) -> pb::Removed {
    pb::Removed {
        field: field_to_proto(removed.field) as i32,
        start: removed.start,
        end: removed.end,
        reason: removed.reason.as_str().to_owned(),
    }
}

fn field_to_proto(field: Field) -> pb::evidence::Field {
    match field {
        Field::Headline => pb::evidence::Field::Headline,
        Field::Body => pb::evidence::Field::Body,
        Field::Dateline => pb::evidence::Field::Dateline,
    }
}

/// The outcome of a response: a classification, or the server's error. `None` if the response does not follow this version of
/// the contract.
pub fn answer_from_proto(response: pb::ClassifyResponse) -> Option<Result<Classification, rpc::Status>> {
    let answer = match response.outcome? {
        Outcome::Error(error) => return Some(Err(error)),
        Outcome::Classification(answer) => answer,
    };
    Some(Ok(Classification {
        topics: answer.topics.into_iter().map(label_from_proto).collect::<Option<_>>()?,
        subtopics: answer.subtopics.into_iter().map(label_from_proto).collect::<Option<_>>()?,
        regions: answer.regions.into_iter().map(region_from_proto).collect::<Option<_>>()?,
        language: answer.language,
        model_version: answer.model_version.into(),
        notes: answer.notes,
        removed: answer.removed.into_iter().map(removed_from_proto).collect::<Option<_>>()?,
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

fn region_from_proto(region: pb::Region) -> Option<Region> {
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
            .map(|contribution| Contribution {
                feature: contribution.feature.into(),
                value: contribution.value,
                log_odds: contribution.log_odds,
            })
            .collect(),
    })
}

fn removed_from_proto(removed: pb::Removed) -> Option<Removed> {
    let reasons = [Reason::Markup, Reason::Boilerplate, Reason::Dateline];
    Some(Removed {
        field: field_from_proto(removed.field())?,
        start: removed.start,
        end: removed.end,
        reason: reasons.into_iter().find(|reason| reason.as_str() == removed.reason)?,
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
