//! How the rules of cleaning are written: patterns without case, with white space for the eye.

use regex::{Regex, RegexBuilder};

/// A pattern of this program. White space in it stands for nothing.
///
/// # Panics
/// If it is not valid.
pub fn rule(pattern: &str) -> Regex {
    // ASCII word boundaries: those of Unicode keep the regex engine from its fast ways.
    RegexBuilder::new(&pattern.replace(r"\b", r"(?-u:\b)"))
        .case_insensitive(true)
        .ignore_whitespace(true)
        .build()
        .unwrap_or_else(|error| unreachable!("the patterns of this program are valid: {error}"))
}

/// A pattern of whole words.
///
/// # Panics
/// If it is not valid.
pub fn words(pattern: &str) -> Regex {
    rule(&format!(r"\b(?:{})\b", pattern.trim()))
}
