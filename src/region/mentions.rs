//! Finds place names in a document: the longest term at each place, on word boundaries.
//!
//! Terms are written as in the gazetteer ("Turkey", not "turkey"), except in datelines and where a section is all capitals,
//! as the headlines of agencies are. The abbreviation of a word needs its point and a comma before it: "Gary, Ind.", not
//! "Ind" or "Miss Smith". The words are the tokenizer's, so that a name is never found inside a word.

use super::gazetteer::{Gazetteer, ROOT};
use crate::{
    article::Field,
    clean::Document,
    text::{Shape, Word},
};

/// A place name in a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mention {
    /// The gazetteer's term.
    pub term: u32,
    /// The first word of it, as an index.
    pub first: u32,
    /// The last word of it.
    pub last: u32,
    /// The section, as an index into the document's.
    pub section: u8,
    /// What the section is to the model.
    pub role: Field,
    /// How many words of the section stand before it.
    pub position: u32,
}

/// The place names among the words of a document, in order.
pub fn find(gazetteer: &Gazetteer, document: &Document<'_>, words: &[Word]) -> Vec<Mention> {
    let mut mentions = Vec::new();
    let mut start = 0;
    for section in words.chunk_by(|a, b| a.section == b.section) {
        let text = document.sections[section[0].section as usize].text.as_str();
        let role = section[0].role;
        let any_case = role == Field::Dateline || section.iter().all(|word| is_upper(word, text));
        let mut i = 0;
        while i < section.len() {
            if !gazetteer.may_begin(section[i].hash) {
                i += 1;
                continue;
            }
            match longest(gazetteer, text, &section[i..], any_case) {
                Some((term, n_words)) => {
                    mentions.push(Mention {
                        term,
                        first: (start + i) as u32,
                        last: (start + i + n_words - 1) as u32,
                        section: section[0].section,
                        role,
                        position: i as u32,
                    });
                    i += n_words;
                }
                None => i += 1,
            }
        }
        start += section.len();
    }
    mentions
}

/// Of each of `words` words whether it is part of a mention.
pub fn named_words(mentions: &[Mention], words: usize) -> Vec<bool> {
    let mut named = vec![false; words];
    for mention in mentions {
        named[mention.first as usize..=mention.last as usize].fill(true);
    }
    named
}

/// The longest term that the words begin with, and how many words it has.
fn longest(gazetteer: &Gazetteer, text: &str, words: &[Word], any_case: bool) -> Option<(u32, usize)> {
    let mut node = ROOT;
    let mut found = None;
    for (i, word) in words.iter().enumerate() {
        if i > 0 && !joined(text, &words[i - 1], word) {
            break;
        }
        match gazetteer.step(node, word.hash) {
            Some(next) => node = next,
            None => break,
        }
        let span = &text[words[0].token.start as usize..word.token.end as usize];
        let written = gazetteer.ends_at(node).find(|term| {
            let surface = gazetteer.term(*term).surface;
            let case = if any_case { is_name(span) } else { same_case(span, surface) };
            case && (!is_short_for_a_word(surface) || stands_as_abbreviation(text, &words[0], word))
        });
        if let Some(term) = written {
            found = Some((term, i + 1));
        }
    }
    found
}

/// Whether a word is written without small letters.
fn is_upper(word: &Word, text: &str) -> bool {
    match word.token.shape {
        Shape::Upper | Shape::Number => true,
        Shape::Capital => word.token.of(text).chars().nth(1).is_none(),
        Shape::Lower => false,
    }
}

/// Whether a term is the abbreviation of a word ("Miss.", "Ind."), unlike "N.C.", which nothing else is written as.
fn is_short_for_a_word(surface: &str) -> bool {
    surface.strip_suffix('.').is_some_and(|word| !word.contains('.'))
}

/// Whether a comma stands before it and its point behind it; datelines often leave out the point.
fn stands_as_abbreviation(text: &str, first: &Word, last: &Word) -> bool {
    let point = last.role == Field::Dateline || text[last.token.end as usize..].starts_with('.');
    point && text[..first.token.start as usize].trim_end().ends_with(',')
}

/// Whether two words stand side by side as the words of one name do.
fn joined(text: &str, first: &Word, second: &Word) -> bool {
    let between = &text[first.token.end as usize..second.token.start as usize];
    match between {
        " " | "-" | ", " => true,
        ". " => matches!(first.token.of(text).to_ascii_lowercase().as_str(), "st" | "ste" | "mt" | "ft"),
        _ => !between.is_empty() && between.chars().all(char::is_whitespace) && between.matches('\n').count() < 2,
    }
}

/// Whether a name in the text has the capitals of the gazetteer's. White space, hyphens and points may differ.
fn same_case(span: &str, surface: &str) -> bool {
    let letters = |c: &char| c.is_alphanumeric();
    span.chars().filter(letters).eq(surface.chars().filter(letters))
}

/// In text without case a name must still begin with a capital: "us" in a lower-case dateline is no country.
fn is_name(span: &str) -> bool {
    span.starts_with(char::is_uppercase)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{article::Article, clean, region::gazetteer::gazetteer, text::words_into};

    fn found(headline: &str, dateline: &str, body: &str) -> Vec<&'static str> {
        let article =
            Article { headline: headline.into(), dateline: dateline.into(), body: body.into(), ..Article::default() };
        let document = clean::clean(&article, crate::region::known);
        let mut words = Vec::new();
        words_into(&document, &mut words);
        find(gazetteer(), &document, &words)
            .iter()
            .map(|mention| gazetteer().term(mention.term).meanings[0].code)
            .collect()
    }

    fn in_body(body: &str) -> Vec<&'static str> {
        found("", "", body)
    }

    #[test]
    fn the_longest_name_wins() {
        assert_eq!(in_body("he left South Korea for Papua New Guinea"), ["KR", "PG"]);
        assert_eq!(in_body("a town in New Mexico, near Mexico"), ["US", "MX"]);
        assert_eq!(in_body("talks in Guinea-Bissau and Guinea"), ["GW", "GN"]);
        assert_eq!(in_body("the flood in St. Petersburg"), ["RU"]);
    }

    #[test]
    fn names_do_not_reach_over_sentences() {
        assert_eq!(in_body("they went to Guinea. Bissau is a port"), ["GN", "GW"]);
    }

    #[test]
    fn abbreviations_of_words_need_their_point() {
        assert_eq!(in_body("a plant in Gary, Ind., and one in Lima, Ohio"), ["US", "PE", "US"]);
        assert_eq!(in_body("Miss Smith said Mass was held. Wash your hands in Ill health."), [""; 0]);
    }

    #[test]
    fn title_case_is_not_all_capitals() {
        assert_eq!(found("They Told Us Everything", "", ""), [""; 0]);
        assert_eq!(found("A U.S. TEAM WINS 3-1", "", ""), ["US"]);
    }

    #[test]
    fn case_counts_except_in_capitals() {
        assert_eq!(in_body("the turkey and the US team told us of china cups"), ["US"]);
        assert_eq!(found("TURKEY ASKS U.S. FOR AID", "ANKARA, June 2", ""), ["TR", "US", "TR"]);
        assert_eq!(in_body("Washington's envoy and U.S.-led forces, the U.S said"), ["US", "US", "US"]);
    }
}
