//! Finds lists of place names that are not article text: choosers of editions, countries and languages, and remains of menus.
//!
//! A list is a sequence of place names with only separators between them. On a line that is not a sentence, a short list is
//! enough. In a sentence, only a list of at least [`LONG_LIST`] names is removed, and the rest of the sentence is kept.

use super::rules::rule;
use crate::geography::Known;
use regex::Regex;
use std::{ops::Range, sync::LazyLock};

/// Minimum number of names of a list in any context.
const LONG_LIST: usize = 9;
/// Minimum number of names of a list that is alone on its line.
const LINE_OF_NAMES: usize = 5;
/// Minimum number of names of a list on a line that is not a sentence.
const LINE_WITH_NAMES: usize = 3;
/// Minimum number of consecutive lines, each with a single name, that are a list.
const SINGLE_NAME_LINES: usize = 4;
/// Maximum number of words of a place name.
const MAX_NAME_WORDS: usize = 5;

/// A line that prompts the reader to choose an edition, country or language; two names are then enough for a list.
static CHOOSER: LazyLock<Regex> = LazyLock::new(|| {
    rule(
        r"^[\W_]*(?:
        (?:please\s)?(?:choose|select|change|switch|pick|set)\s(?:(?:your|a|an|the|another|to)\s)?(?:\w+\s){0,2}(?:editions?|countr(?:y|ies)|regions?|locations?|languages?|markets?|territor(?:y|ies)|sites?|stores?)
      | (?:you\s(?:are|'re)\s(?:viewing|reading|on|in)|switch\sto|go\sto)\s(?:the|our|your)\s
      | (?:international|other|global|local|regional|our)\s(?:editions?|sites?|websites?|stores?)
      | (?:edition|country|region|location|language|shipping|deliver(?:y|\sto)|ship\sto)s?\s?:
    )",
    )
});

/// Consecutive names with only separators between them.
struct Run {
    range: Range<usize>,
    names: usize,
}

/// The kind of a line, judged by its place names.
enum Line {
    /// A single name.
    Name,
    /// A list that is not part of a sentence.
    List,
    /// Text, with the ranges of the long lists in it.
    Text(Vec<Range<usize>>),
}

/// The byte ranges of `text` that are lists of places, in ascending order. `known` looks up place names.
pub fn find(text: &str, known: impl Fn(&str) -> Known) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut names: Vec<Range<usize>> = Vec::new();
    let mut start = 0;
    let flush_names = |names: &mut Vec<Range<usize>>, found: &mut Vec<Range<usize>>| {
        if names.len() >= SINGLE_NAME_LINES {
            found.append(names);
        }
        names.clear();
    };
    for line in text.split_inclusive('\n') {
        let from = start + (line.len() - line.trim_start().len());
        start += line.len();
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        match classify(line, &known) {
            Line::Name => names.push(from..from + line.len()),
            Line::List => {
                flush_names(&mut names, &mut found);
                found.push(from..from + line.len());
            }
            Line::Text(lists) => {
                flush_names(&mut names, &mut found);
                found.extend(lists.into_iter().map(|list| from + list.start..from + list.end));
            }
        }
    }
    flush_names(&mut names, &mut found);
    found
}

fn classify(line: &str, known: &impl Fn(&str) -> Known) -> Line {
    // Return early for most lines, which are sentences.
    let has_text = line.split_whitespace().any(|word| word.starts_with(char::is_lowercase) && !is_connective(word));
    let is_chooser = CHOOSER.is_match(line);
    if has_text && !is_chooser && !may_hold_long_list(line) {
        return Line::Text(Vec::new());
    }
    let runs = runs(line, known);
    let names: usize = runs.iter().map(|run| run.names).sum();
    let sentence = line.ends_with(['.', '!', '?']) || has_text;
    let whole = runs.len() == 1 && is_blank(&line[..runs[0].range.start]) && is_blank(&line[runs[0].range.end..]);
    if whole && names == 1 {
        return Line::Name;
    }
    let covered: usize = runs.iter().map(|run| run.range.len()).sum();
    let mostly_names = covered * 5 >= line.len() * 3;
    let separated_by_commas = line.contains(',');
    let is_list = (whole && names >= LINE_OF_NAMES)
        || (is_chooser && names >= 2)
        || (!sentence && !separated_by_commas && names >= LINE_WITH_NAMES && mostly_names);
    if is_list {
        return Line::List;
    }
    Line::Text(runs.into_iter().filter(|run| run.names >= LONG_LIST).map(|run| run.range).collect())
}

/// Whether the line has enough separators close together for a long list. Faster than [`runs`].
fn may_hold_long_list(line: &str) -> bool {
    /// Number of names between the first and the last separator; "and" may replace the last one.
    const BETWEEN: usize = LONG_LIST - 3;
    /// Upper bound of the mean length of country names, in bytes.
    const MEAN_NAME_BYTES: usize = 30;
    let mut last = [usize::MAX; BETWEEN];
    let is_separator = |byte: u8| matches!(byte, b',' | b';' | b'|' | b'/');
    if line.bytes().filter(|byte| is_separator(*byte)).count() <= BETWEEN {
        return false;
    }
    line.bytes().enumerate().filter(|(_, byte)| is_separator(*byte)).enumerate().any(|(i, (at, _))| {
        let first = std::mem::replace(&mut last[i % BETWEEN], at);
        first != usize::MAX && at - first <= BETWEEN * MEAN_NAME_BYTES
    })
}

/// Whether a word may stand between the names of a list.
fn is_connective(word: &str) -> bool {
    matches!(word, "and" | "or" | "of" | "the")
}

fn is_blank(text: &str) -> bool {
    !text.contains(char::is_alphanumeric)
}

/// The names of a line, grouped into runs in which only separators, connectives and the word "edition" stand between names.
fn runs(line: &str, known: &impl Fn(&str) -> Known) -> Vec<Run> {
    let words: Vec<Range<usize>> = words(line);
    let mut runs: Vec<Run> = Vec::new();
    // Whether only connectives have occurred since the last name.
    let mut joined = false;
    let mut i = 0;
    while i < words.len() {
        let name = line[words[i].start..].starts_with(char::is_uppercase).then(|| {
            (i..(i + MAX_NAME_WORDS).min(words.len())).rev().find(|last| {
                let range = words[i].start..words[*last].end;
                let one_part = !line[range.clone()].contains([',', ';', '|', '/', '·', '•', '\t']);
                one_part && matches!(known(&line[range]), Known::City | Known::Place)
            })
        });
        match name.flatten() {
            Some(last) => {
                let range = words[i].start..words[last].end;
                match runs.last_mut().filter(|_| joined) {
                    Some(run) => (run.range.end, run.names) = (range.end, run.names + 1),
                    None => runs.push(Run { range, names: 1 }),
                }
                (joined, i) = (true, last + 1);
            }
            None => {
                let word = &line[words[i].clone()];
                joined &= is_connective(word) || word.to_lowercase().starts_with("edition");
                i += 1;
            }
        }
    }
    runs
}

/// The byte ranges of the words of a line, without separators. Full stops are kept because of abbreviations such as "U.S."
fn words(line: &str) -> Vec<Range<usize>> {
    let mut words = Vec::new();
    let mut start = None;
    for (at, c) in line.char_indices().chain([(line.len(), ' ')]) {
        let inside = c.is_alphanumeric() || matches!(c, '.' | '\'' | '’' | '-' | '&');
        match (inside, start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                let word = line[from..at].trim_end_matches(['-', '\'']);
                if word.contains(char::is_alphanumeric) {
                    words.push(from..from + word.len());
                }
                start = None;
            }
            _ => {}
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region;

    fn kept_text(text: &str) -> String {
        let mut kept = String::new();
        let mut from = 0;
        for range in find(text, region::known) {
            kept.push_str(&text[from..range.start]);
            from = range.end;
        }
        kept.push_str(&text[from..]);
        kept.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn choosers_and_menus_are_lists() {
        for list in [
            "Choose your edition: Australia, Canada, India, New Zealand",
            "Select a country: Kenya, Uganda",
            "You are viewing the India edition. Switch to Kenya or Nigeria",
            "Australia | Brazil | Canada | France",
            "US Edition UK Edition Australia Brazil",
            "Albania, Algeria, Angola, Argentina, Armenia",
            "Kenya\n\nUganda\n\nTanzania\n\nRwanda",
            "International editions Germany / France / Spain",
        ] {
            assert_eq!(kept_text(list), "", "{list}");
        }
        let form = "Offers hold in Albania, Algeria, Angola, Argentina, Armenia, Austria, Belgium, Benin and Bolivia.";
        let far = "Rain fell, it is said, for long, ".repeat(20);
        assert_eq!(kept_text(&format!("{far}{form}")).trim_end_matches('.'), format!("{far}Offers hold in").trim());
        let form =
            "Offer valid in Albania, Algeria, Angola, Argentina, Armenia, Austria, Belgium, Benin and Bolivia only.";
        assert_eq!(kept_text(form), "Offer valid in only.");
    }

    #[test]
    fn names_in_sentences_are_kept() {
        for text in [
            "Ministers from Kenya, Uganda, Tanzania, Rwanda and Burundi met in Arusha on Monday.",
            "Against: Belarus, Eritrea, Mali, Nicaragua, North Korea, Russia, Syria.",
            "The ban covers Chad, Eritrea, Haiti, Iran, Libya, Somalia, Sudan and Yemen.",
            "France, Germany and Italy",
            "Kenya",
            "Kenya\nUganda\nTrade talks between both failed.",
            "Kenya 3 Uganda 1 Tanzania 0 Rwanda 2 in the cup, and more games follow",
            "Germany beat France in Paris",
        ] {
            assert_eq!(kept_text(text), text.split_whitespace().collect::<Vec<_>>().join(" "), "{text}");
        }
    }
}
