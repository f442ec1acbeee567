//! Lists of place names that are not text: choosers of editions, countries and languages, and what is left of menus.
//!
//! A list is told by its shape: place names with nothing but separators between them. A chooser has no sentence around it; in a
//! sentence only a list as long as those of forms is left out, and the sentence stays.

use super::rules::rule;
use crate::geography::Known;
use regex::Regex;
use std::{ops::Range, sync::LazyLock};

/// This many names with only separators between them are a list, whatever surrounds them.
const LONG_LIST: usize = 9;
/// This many names are a list if nothing else stands on the line, and this many if what stands there is no sentence.
const LINE_OF_NAMES: usize = 5;
const LINE_WITH_NAMES: usize = 3;
/// This many lines in a row, each with one name and nothing else, are a list.
const LINES_OF_ONE: usize = 4;
/// Names of places have up to this many words.
const MOST_WORDS: usize = 5;

/// A line that asks its reader to choose, and needs only two names.
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

/// Names with only separators between them.
struct Run {
    range: Range<usize>,
    names: usize,
}

/// What a line is, as far as its place names say it.
enum Line {
    /// One name and nothing else.
    Name,
    /// A list and nothing that makes a sentence of it.
    List,
    /// Text, with long lists in it.
    Text(Vec<Range<usize>>),
}

/// The parts of `text` that are lists of places, in order.
pub fn find(text: &str, known: impl Fn(&str) -> Known) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut names: Vec<Range<usize>> = Vec::new();
    let mut start = 0;
    let end_of_names = |names: &mut Vec<Range<usize>>, found: &mut Vec<Range<usize>>| {
        if names.len() >= LINES_OF_ONE {
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
                end_of_names(&mut names, &mut found);
                found.push(from..from + line.len());
            }
            Line::Text(lists) => {
                end_of_names(&mut names, &mut found);
                found.extend(lists.into_iter().map(|list| from + list.start..from + list.end));
            }
        }
    }
    end_of_names(&mut names, &mut found);
    found
}

fn classify(line: &str, known: &impl Fn(&str) -> Known) -> Line {
    // Most lines are sentences.
    let has_text = line.split_whitespace().any(|word| word.starts_with(char::is_lowercase) && !is_joint(word));
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

/// Whether separators stand as close together somewhere as in a long list.
fn may_hold_long_list(line: &str) -> bool {
    /// The names between the first separator and the last; a joint may stand before the last name.
    const BETWEEN: usize = LONG_LIST - 3;
    /// Names of countries are shorter in the mean, in bytes.
    const MEAN_NAME: usize = 30;
    let mut last = [usize::MAX; BETWEEN];
    let is_separator = |byte: u8| matches!(byte, b',' | b';' | b'|' | b'/');
    line.bytes().enumerate().filter(|(_, byte)| is_separator(*byte)).enumerate().any(|(i, (at, _))| {
        let first = std::mem::replace(&mut last[i % BETWEEN], at);
        first != usize::MAX && at - first <= BETWEEN * MEAN_NAME
    })
}

fn is_joint(word: &str) -> bool {
    matches!(word, "and" | "or" | "of" | "the")
}

fn is_blank(text: &str) -> bool {
    !text.contains(char::is_alphanumeric)
}

/// The names of a line, grouped where only separators, joints and the word "edition" stand between them.
fn runs(line: &str, known: &impl Fn(&str) -> Known) -> Vec<Run> {
    let words: Vec<Range<usize>> = words(line);
    let mut runs: Vec<Run> = Vec::new();
    // Whether nothing but joints came since the last name.
    let mut joined = false;
    let mut i = 0;
    while i < words.len() {
        let name = line[words[i].start..].starts_with(char::is_uppercase).then(|| {
            (i..(i + MOST_WORDS).min(words.len())).rev().find(|last| {
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
                joined &= is_joint(word) || word.to_lowercase().starts_with("edition");
                i += 1;
            }
        }
    }
    runs
}

/// Words without the separators around them; a point stays, for "U.S." has two.
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

    fn left(text: &str) -> String {
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
            assert_eq!(left(list), "", "{list}");
        }
        let form = "Offers hold in Albania, Algeria, Angola, Argentina, Armenia, Austria, Belgium, Benin and Bolivia.";
        let far = "Rain fell, it is said, for long, ".repeat(20);
        assert_eq!(left(&format!("{far}{form}")).trim_end_matches('.'), format!("{far}Offers hold in").trim());
        let form =
            "Offer valid in Albania, Algeria, Angola, Argentina, Armenia, Austria, Belgium, Benin and Bolivia only.";
        assert_eq!(left(form), "Offer valid in only.");
    }

    #[test]
    fn names_in_text_stay() {
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
            assert_eq!(left(text), text.split_whitespace().collect::<Vec<_>>().join(" "), "{text}");
        }
    }
}
