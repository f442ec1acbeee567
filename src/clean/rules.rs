//! Compiles the regular expressions of the cleaning rules.
//!
//! Classes of characters are approximated by ranges of whole scripts, for which automata are a tenth of the size of those
//! for the exact Unicode classes. Only rare symbols within these ranges are classified differently.

use regex::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};

/// Letters and marks beyond ASCII, as the inside of a class.
const LETTERS: &str =
    r"\u{C0}-\u{1FFF}\u{2C00}-\u{2DFF}\u{3040}-\u{FDFF}\u{FE70}-\u{FFEF}\u{10000}-\u{1EFFF}\u{20000}-\u{3FFFF}";

/// Compiles a built-in pattern, case-insensitive. White space in it is ignored.
///
/// # Panics
/// If the pattern is invalid.
pub fn rule(pattern: &str) -> Regex {
    compile(pattern, true)
}

/// Compiles patterns that are searched together, like [`rule`].
///
/// # Panics
/// If a pattern is invalid.
pub fn rules<'p>(patterns: impl IntoIterator<Item = &'p str>) -> RegexSet {
    RegexSetBuilder::new(patterns.into_iter().map(approximate))
        .case_insensitive(true)
        .ignore_whitespace(true)
        .build()
        .unwrap_or_else(|error| unreachable!("invalid built-in pattern: {error}"))
}

/// Compiles a pattern like [`rule`], but with distinction of capitals.
///
/// # Panics
/// If the pattern is invalid.
pub fn case_sensitive_rule(pattern: &str) -> Regex {
    compile(pattern, false)
}

fn compile(pattern: &str, ignores_case: bool) -> Regex {
    RegexBuilder::new(&approximate(pattern))
        .case_insensitive(ignores_case)
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

/// Replaces classes of characters by ranges, and word boundaries by those of ASCII, because Unicode word boundaries disable
/// the fast engines of the regex crate.
fn approximate(pattern: &str) -> String {
    // Both cases of all letters are in these classes; to look for the other case of each letter would take long.
    let class = |inside: &str| format!("(?-i:[{inside}])");
    pattern
        .replace(r"\b", r"(?-u:\b)")
        .replace(r"[\W_]", &class(&format!("^0-9A-Za-z{LETTERS}")))
        .replace(r"[\W\d_]", &class(&format!("^A-Za-z{LETTERS}")))
        .replace(r"[\w.]", &class(&format!("0-9A-Za-z_.{LETTERS}")))
        .replace(r"\w", &class(&format!("0-9A-Za-z_{LETTERS}")))
        .replace(r"\W", &class(&format!("^0-9A-Za-z_{LETTERS}")))
        .replace(r"\p{Lu}", &class(&format!("A-Z{LETTERS}")))
        .replace(r"\p{L}", &format!("[A-Za-z{LETTERS}]"))
        .replace(r"\d", "[0-9]")
}
