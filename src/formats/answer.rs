//! The JSON form of answers: one object per article, with its labels or with its error.

use crate::article::Classification;
use serde::Serialize;

/// Why an article has no labels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ArticleFault {
    /// The name of a gRPC status code: `INVALID_ARGUMENT`, `INTERNAL`.
    pub code: String,
    /// What is wrong, and what to do.
    pub message: String,
}

impl ArticleFault {
    /// The error of invalid input.
    pub fn invalid(reason: impl std::fmt::Display) -> Self {
        ArticleFault { code: "INVALID_ARGUMENT".to_owned(), message: reason.to_string() }
    }
}

/// The answer to an article: an object with its id, and with the fields of its [`Classification`] or a field `error`.
#[derive(Debug, Serialize)]
pub struct AnswerObject<'a> {
    id: &'a str,
    #[serde(flatten)]
    answer: Option<&'a Classification>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a ArticleFault>,
}

impl<'a> AnswerObject<'a> {
    /// The answer to the article with this id.
    pub fn new(id: &'a str, answer: &'a Result<Classification, ArticleFault>) -> Self {
        AnswerObject { id, answer: answer.as_ref().ok(), error: answer.as_ref().err() }
    }
}
