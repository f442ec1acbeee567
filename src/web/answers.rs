//! The answers to articles, as lines of JSON.

use crate::{
    article::Classification,
    formats::{AnswerObject, ArticleFault},
    wire::{answer_from_proto, code_name, proto::dateline::v1::ClassifyResponse},
};
use tonic::{Code, Status};

/// The labels of an article, or its error.
pub type Answer = Result<Classification, ArticleFault>;

/// The answer in a response of the classifier.
pub fn of_response(response: ClassifyResponse) -> Answer {
    match answer_from_proto(response) {
        Some(answer) => answer.map_err(|error| ArticleFault {
            code: code_name(Code::from(error.code)).to_owned(),
            message: error.message,
        }),
        None => Err(of_status(&Status::internal("the server gave no answer"))),
    }
}

/// A status as the error of an article.
pub fn of_status(status: &Status) -> ArticleFault {
    ArticleFault { code: code_name(status.code()).to_owned(), message: status.message().to_owned() }
}

/// The object of an answer, and a line break.
pub fn line(id: &str, answer: &Answer) -> Vec<u8> {
    let mut line = serde_json::to_vec(&AnswerObject::new(id, answer)).unwrap_or_default();
    line.push(b'\n');
    line
}
