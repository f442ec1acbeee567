//! Compiles the regular expressions of the cleaning rules: case-insensitive, with insignificant white space.

use regex::{Regex, RegexBuilder};

/// Compiles a built-in pattern. White space in it is ignored.
///
/// # Panics
/// If the pattern is invalid.
pub fn rule(pattern: &str) -> Regex {
    // ASCII word boundaries, because Unicode word boundaries disable the fast engines of the regex crate.
    RegexBuilder::new(&pattern.replace(r"\b", r"(?-u:\b)"))
        .case_insensitive(true)
        .ignore_whitespace(true)
        .build()
        .unwrap_or_else(|error| unreachable!("invalid built-in pattern: {error}"))
}

/// Compiles a built-in pattern that matches whole words only.
///
/// # Panics
/// If the pattern is invalid.
pub fn words(pattern: &str) -> Regex {
    rule(&format!(r"\b(?:{})\b", pattern.trim()))
}
