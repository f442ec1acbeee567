//! Finds place names in a document: the longest term at each place, on word boundaries.
//!
//! Terms are written as in the gazetteer ("Turkey", not "turkey"), except in datelines and where a section is all capitals,
//! as the headlines of agencies are. The abbreviation of a word needs its point and a comma before it: "Gary, Ind.", not
//! "Ind" or "Miss Smith". The words are the tokenizer's, so that a name is never found inside a word.

use super::{
    gazetteer::{Gazetteer, Kind, Meaning, ROOT},
    towns::{Town, TownName},
};
use crate::{
    article::Field,
    document::Document,
    text::{Shape, Word},
};
use std::borrow::Cow;

/// A place name in a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mention {
    /// The name: the number of the gazetteer's term, or one of its own for a town that only the lists know.
    pub name: u32,
    /// The first word of it, as an index.
    pub first: u32,
    /// The last word of it.
    pub last: u32,
    /// The section, as an index into the document's.
    pub section: u8,
    /// What the section is to the model.
    pub role: Field,
    /// Whether its section has no capital at all.
    pub caseless: bool,
    /// How many words of the section stand before it.
    pub position: u32,
}

/// A place name and all that it may mean.
#[derive(Debug, Clone, PartialEq)]
pub struct Named {
    /// Where it stands.
    pub mention: Mention,
    /// What it may mean, the likeliest first.
    pub meanings: Cow<'static, [Meaning]>,
}

/// Towns that only the lists know have numbers from here on.
const FIRST_TOWN: u32 = 1 << 31;
/// The most words of a town's name.
const MOST_TOWN_WORDS: usize = 4;
/// A town that only the lists know is the place of its name so often, before anything is known of the article: many are
/// named like people.
const TOWN_SHARE: f32 = 0.6;

/// The place names among the words of a document, in order.
pub fn find(gazetteer: &'static Gazetteer, document: &Document<'_>, words: &[Word]) -> Vec<Named> {
    let mut names: Vec<Named> = Vec::new();
    let mut start = 0;
    for section in words.chunk_by(|a, b| a.section == b.section) {
        let text = document.sections[section[0].section as usize].text.as_str();
        let role = section[0].role;
        let any_case = role == Field::Dateline || section.iter().all(|word| is_upper(word, text));
        let caseless = section.len() >= LEAST_CASELESS_WORDS
            && section.iter().all(|word| matches!(word.token.shape, Shape::Lower | Shape::Number));
        let section = Section { text, words: section, role, any_case, caseless };
        let mut i = 0;
        while i < section.words.len() {
            let behind_name = names.last().and_then(|name| (name.mention.last as usize + 1).checked_sub(start));
            let follows_name = behind_name.is_some_and(|next| {
                let of_a_kind = || next + 1 == i && is_kind_of_town(section.word(next)) && section.gap(next) == " ";
                i > 0 && section.gap(i) == ", " && (next == i || of_a_kind())
            });
            match section.longest(gazetteer, i, follows_name).or_else(|| section.town(i)) {
                Some((name, meanings, n_words)) => {
                    let mention = Mention {
                        name,
                        first: (start + i) as u32,
                        last: (start + i + n_words - 1) as u32,
                        section: section.words[0].section,
                        role,
                        caseless: section.caseless,
                        position: i as u32,
                    };
                    names.push(Named { mention, meanings });
                    i += n_words;
                }
                None => i += 1,
            }
        }
        start += section.words.len();
    }
    names
}

/// The number of a name, what it may mean, and how many words it has.
type Found = (u32, Cow<'static, [Meaning]>, usize);

/// The words of a section.
struct Section<'d> {
    text: &'d str,
    words: &'d [Word],
    role: Field,
    /// Whether names may be written in any case.
    any_case: bool,
    /// Whether all its words begin with small letters or are numbers.
    caseless: bool,
}

impl Section<'_> {
    fn word(&self, i: usize) -> &str {
        self.words[i].token.of(self.text)
    }

    /// What stands before a word that is not the first.
    fn gap(&self, i: usize) -> &str {
        &self.text[self.words[i - 1].token.end as usize..self.words[i].token.start as usize]
    }

    /// Whether a line begins with the word.
    fn begins_line(&self, i: usize) -> bool {
        i == 0 || self.gap(i).contains('\n')
    }

    /// Whether the words beside the `n_words` words from `i` on make a place of them: "in Mayo", "Mayo County".
    fn is_placed(&self, i: usize, n_words: usize) -> bool {
        let behind = i + n_words;
        let of_a_kind = || {
            behind < self.words.len()
                && self.gap(behind) == " "
                && SUBDIVISIONS.contains(&self.word(behind).to_ascii_lowercase().as_str())
        };
        let where_ = || i > 0 && self.gap(i) == " " && LOCATIVE.contains(&self.word(i - 1));
        (self.role == Field::Dateline && i == 0) || where_() || of_a_kind()
    }

    /// The longest of the gazetteer's terms that the words from `i` on begin with. `follows_name`: behind a place name and a
    /// comma.
    fn longest(&self, gazetteer: &'static Gazetteer, i: usize, follows_name: bool) -> Option<Found> {
        if !gazetteer.may_begin(self.words[i].hash) {
            return None;
        }
        let words = &self.words[i..];
        let mut node = ROOT;
        let mut found = None;
        for (n, word) in words.iter().enumerate() {
            if n > 0 && !joined(self.text, &words[n - 1], word) {
                break;
            }
            match gazetteer.step(node, word.hash) {
                Some(next) => node = next,
                None => break,
            }
            let span = &self.text[words[0].token.start as usize..word.token.end as usize];
            let genitive = self.genitive(word);
            let written = |whole: &str| {
                // Of spellings that differ in hyphens alone the one that is in the text.
                let terms = || gazetteer.ends_at(node);
                let same = terms().filter(|term| gazetteer.term(*term).surface.eq_ignore_ascii_case(whole));
                same.chain(terms()).find(|term| {
                    let surface = gazetteer.term(*term).surface;
                    let any_case = self.any_case || (self.begins_line(i) && is_slug(span));
                    let case = if self.caseless {
                        !PRONOUNS.contains(&whole) && same_letters(whole, surface)
                    } else if any_case {
                        is_name(whole) && same_letters(whole, surface)
                    } else {
                        same_case(whole, surface)
                    };
                    case && (!is_short_for_a_word(surface) || stands_as_abbreviation(self.text, &words[0], word))
                })
            };
            // "St. George's" is a town, and so is "St. George".
            let term = genitive.and_then(|end| written(&self.text[words[0].token.start as usize..end]));
            if let Some(term) = term.or_else(|| written(span)) {
                found = Some((term, n + 1));
            }
        }
        let (term, n_words) = found?;
        let meanings = gazetteer.term(term).meanings.as_slice();
        if !meanings.iter().all(|meaning| meaning.kind.is_weak()) {
            return Some((term, Cow::Borrowed(meanings), n_words));
        }
        let is_postal = self.words[i].token.of(self.text).len() <= MOST_POSTAL_LETTERS && n_words == 1;
        let says_nothing = is_postal && (!follows_name || (self.any_case && self.role != Field::Dateline));
        if says_nothing || (!follows_name && !self.is_placed(i, n_words)) {
            return None;
        }
        // Towns of this name are as likely.
        let mut meanings = meanings.to_vec();
        for town in self.towns(i, i + n_words - 1).1 {
            match meanings.iter_mut().find(|one| one.code == town.code) {
                // A dateline begins with a town, not with the county of its name.
                Some(one) if one.kind == Kind::Part && self.role == Field::Dateline && i == 0 => one.kind = Kind::Town,
                Some(_) => {}
                None => meanings.push(town),
            }
        }
        let all: f32 = meanings.iter().map(|one| one.share).sum();
        meanings.iter_mut().for_each(|one| one.share /= all.max(1.0));
        Some((term, Cow::Owned(meanings), n_words))
    }

    /// The end of the genitive of a word, if it is one: the tokenizer leaves it out.
    fn genitive(&self, word: &Word) -> Option<usize> {
        let end = word.token.end as usize;
        let rest = &self.text[end..];
        ["'s", "’s", "'S", "’S"]
            .iter()
            .find(|genitive| rest.starts_with(**genitive))
            .map(|genitive| end + genitive.len())
    }

    /// The number of the name that some words are in the lists of towns, and what it may mean; nothing, if it is none.
    fn towns(&self, first: usize, last: usize) -> (u32, Vec<Meaning>) {
        let begin = self.words[first].token.start as usize;
        let meaning = |town: Town| Meaning { code: town.country, kind: Kind::Town, share: TOWN_SHARE * town.share };
        let look_up = |end: usize| {
            let name = TownName::of(&self.text[begin..end]);
            (FIRST_TOWN | name.hash() as u32, name.towns().map(meaning).collect::<Vec<_>>())
        };
        let with_genitive = self.genitive(&self.words[last]).map(look_up).filter(|(_, towns)| !towns.is_empty());
        with_genitive.unwrap_or_else(|| look_up(self.words[last].token.end as usize))
    }

    /// The longest town of the lists that the words from `i` on begin with, where they stand as a place does.
    fn town(&self, i: usize) -> Option<Found> {
        let is_capital = |i: usize| {
            self.words.get(i).is_some_and(|word| match word.token.shape {
                Shape::Capital => true,
                Shape::Upper => self.any_case,
                Shape::Lower | Shape::Number => false,
            })
        };
        if !is_capital(i) || !self.is_placed(i, 1) || CALENDAR.contains(&self.word(i)) {
            return None;
        }
        let mut ends = vec![i];
        let mut next = i + 1;
        while next < self.words.len() && next - i < MOST_TOWN_WORDS && matches!(self.gap(next), " " | "-" | ". ") {
            if is_capital(next) {
                ends.push(next);
            } else if !CONNECTING.contains(&self.word(next)) {
                break;
            }
            next += 1;
        }
        ends.into_iter().rev().find_map(|last| {
            let (number, towns) = self.towns(i, last);
            (!towns.is_empty()).then_some((number, Cow::Owned(towns), last - i + 1))
        })
    }
}

/// The most letters of an abbreviated subdivision. It is a name only behind a town, in text that has small letters.
pub const MOST_POSTAL_LETTERS: usize = 3;
/// A section of fewer words is not taken for one without capitals.
const LEAST_CASELESS_WORDS: usize = 3;
/// What is no country where there are no capitals.
const PRONOUNS: [&str; 2] = ["us", "us'"];
/// Words before a place.
const LOCATIVE: [&str; 14] =
    ["in", "at", "near", "from", "of", "outside", "around", "to", "across", "throughout", "off", "In", "At", "Near"];
/// Words behind the name of a subdivision.
const SUBDIVISIONS: [&str; 9] =
    ["county", "district", "state", "province", "region", "governorate", "prefecture", "parish", "oblast"];
/// Small words within the names of towns.
const CONNECTING: [&str; 16] =
    ["de", "del", "la", "le", "les", "of", "on", "upon", "am", "an", "sur", "do", "da", "dos", "el", "the"];
/// Capitals that are no names.
const CALENDAR: [&str; 19] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];

/// Of each of `words` words whether it is part of a mention.
pub fn named_words(names: &[Named], words: usize) -> Vec<bool> {
    let mut named = vec![false; words];
    for Named { mention, .. } in names {
        named[mention.first as usize..=mention.last as usize].fill(true);
    }
    named
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

/// Whether a word stands between the name of a town and what the town lies in: "Valencia City, Bukidnon".
pub fn is_kind_of_town(word: &str) -> bool {
    ["city", "town", "municipality"].iter().any(|kind| word.eq_ignore_ascii_case(kind))
}

/// Whether a name is written in capitals, and long enough to be no abbreviation.
fn is_slug(span: &str) -> bool {
    const LEAST_LETTERS: usize = 4;
    let letters = || span.chars().filter(|c| c.is_alphabetic());
    letters().count() >= LEAST_LETTERS && letters().all(char::is_uppercase)
}

/// Whether a name in the text has the letters of the gazetteer's, in any case.
fn same_letters(span: &str, surface: &str) -> bool {
    let letters =
        |text: &str| text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect::<String>();
    letters(span).replace('\u{307}', "") == letters(surface)
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
        find(gazetteer(), &document, &words).iter().map(|name| name.meanings[0].code).collect()
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
        assert_eq!(in_body("the plant of old Gary, Ind., and one in Lima, Ohio"), ["US", "PE", "US"]);
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
