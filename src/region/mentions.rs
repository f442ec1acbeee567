//! Finds the place names of a document: the longest term at each position, on word boundaries.
//!
//! The case of a name must match the gazetteer ("Turkey", not "turkey"), except in datelines, in sections without capitals
//! and in sections that are all capitals, such as the headlines of news agencies. The abbreviation of a word needs its full
//! stop and a comma before it: "Gary, Ind.", not "Ind" or "Miss Smith". Words are the tokenizer's, so a name is never found
//! inside a word.

use super::{
    gazetteer::{Gazetteer, Meaning, NameKind, ROOT},
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
    /// The number of the name: the gazetteer's term, or a number from `FIRST_TOWN` on for a town of `towns.tsv`.
    pub name: u32,
    /// The index of the first word.
    pub first: u32,
    /// The index of the last word.
    pub last: u32,
    /// The index of the section in the document.
    pub section: u8,
    /// The field that the section belongs to.
    pub role: Field,
    /// Whether the section has no capitals.
    pub caseless: bool,
    /// The number of words before it in the section.
    pub position: u32,
}

/// A place name and all its possible meanings.
#[derive(Debug, Clone, PartialEq)]
pub struct Named {
    /// The position of the name.
    pub mention: Mention,
    /// The possible meanings, the likeliest first.
    pub meanings: Cow<'static, [Meaning]>,
}

/// The first number of names that only `towns.tsv` lists.
const FIRST_TOWN: u32 = 1 << 31;
/// The most words of a town's name.
const MOST_TOWN_WORDS: usize = 4;
/// The prior share of a name that only `towns.tsv` lists. Below 1 because many such towns are named like people.
const TOWN_SHARE: f32 = 0.6;

/// Finds the place names among the words of a document, in order.
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
            let after_name = names.last().and_then(|name| (name.mention.last as usize + 1).checked_sub(start));
            let follows_name = after_name.is_some_and(|next| {
                let has_town_type = || next + 1 == i && is_town_type(section.word(next)) && section.gap(next) == " ";
                i > 0 && section.gap(i) == ", " && (next == i || has_town_type())
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

/// A name at some position: its number, its possible meanings, and its length in words.
type Found = (u32, Cow<'static, [Meaning]>, usize);

/// The words of a section.
struct Section<'d> {
    text: &'d str,
    words: &'d [Word],
    role: Field,
    /// Whether the case of names is ignored: a dateline, or all capitals.
    any_case: bool,
    /// Whether all words are lower-case or numbers.
    caseless: bool,
}

impl Section<'_> {
    fn word(&self, i: usize) -> &str {
        self.words[i].token.of(self.text)
    }

    /// The text between a word and the one before it; the word must not be the first.
    fn gap(&self, i: usize) -> &str {
        &self.text[self.words[i - 1].token.end as usize..self.words[i].token.start as usize]
    }

    /// Whether the word is at the beginning of a line.
    fn begins_line(&self, i: usize) -> bool {
        i == 0 || self.gap(i).contains('\n')
    }

    /// Whether the neighbouring words mark the `n_words` words from `i` on as a place: "in Mayo", "Mayo County".
    fn is_marked_as_place(&self, i: usize, n_words: usize) -> bool {
        let after = i + n_words;
        let has_subdivision_type = || {
            after < self.words.len()
                && self.gap(after) == " "
                && SUBDIVISIONS.contains(&self.word(after).to_ascii_lowercase().as_str())
        };
        let has_preposition = || i > 0 && self.gap(i) == " " && LOCATIVE.contains(&self.word(i - 1));
        (self.role == Field::Dateline && i == 0) || has_preposition() || has_subdivision_type()
    }

    /// The longest term of the gazetteer that starts at word `i`. `follows_name`: whether a place name and a comma precede
    /// it.
    fn longest(&self, gazetteer: &'static Gazetteer, i: usize, follows_name: bool) -> Option<Found> {
        if !gazetteer.may_begin(self.words[i].hash) {
            return None;
        }
        let words = &self.words[i..];
        let mut node = ROOT;
        let mut found = None;
        for (n, word) in words.iter().enumerate() {
            if n > 0 && !may_be_joined(self.text, &words[n - 1], word) {
                break;
            }
            match gazetteer.step(node, word.hash) {
                Some(next) => node = next,
                None => break,
            }
            if gazetteer.ends_at(node).next().is_none() {
                continue;
            }
            let span = &self.text[words[0].token.start as usize..word.token.end as usize];
            let genitive = self.genitive(word);
            let written = |whole: &str| {
                // Of spellings that differ only in hyphens, prefer the one in the text.
                let terms = || gazetteer.ends_at(node);
                let same = terms().filter(|term| gazetteer.term(*term).surface.eq_ignore_ascii_case(whole));
                same.chain(terms()).find(|term| {
                    let surface = gazetteer.term(*term).surface;
                    let any_case = self.any_case || (self.begins_line(i) && is_slug(span));
                    let case = if self.caseless {
                        !PRONOUNS.contains(&whole) && same_letters(whole, surface)
                    } else if any_case {
                        begins_with_capital(whole) && same_letters(whole, surface)
                    } else {
                        same_case(whole, surface)
                    };
                    case && (!is_short_for_a_word(surface) || is_written_as_abbreviation(self.text, &words[0], word))
                })
            };
            // Try with the genitive first: "St. George's" and "St. George" are different towns.
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
        let is_ambiguous = is_postal && (!follows_name || (self.any_case && self.role != Field::Dateline));
        if is_ambiguous || (!follows_name && !self.is_marked_as_place(i, n_words)) {
            return None;
        }
        // Add the towns of this name.
        let mut meanings = meanings.to_vec();
        for town in self.towns(i, i + n_words - 1).1 {
            match meanings.iter_mut().find(|one| one.code == town.code) {
                // A dateline begins with a town, not with the county of the same name.
                Some(one) if one.kind == NameKind::Part && self.role == Field::Dateline && i == 0 => {
                    one.kind = NameKind::Town
                }
                Some(_) => {}
                None => meanings.push(town),
            }
        }
        let all: f32 = meanings.iter().map(|one| one.share).sum();
        meanings.iter_mut().for_each(|one| one.share /= all.max(1.0));
        Some((term, Cow::Owned(meanings), n_words))
    }

    /// The end of the genitive ending after a word, if any; the tokenizer's words exclude it.
    fn genitive(&self, word: &Word) -> Option<usize> {
        let end = word.token.end as usize;
        let rest = &self.text[end..];
        ["'s", "’s", "'S", "’S"]
            .iter()
            .find(|genitive| rest.starts_with(**genitive))
            .map(|genitive| end + genitive.len())
    }

    /// Looks up the words from `first` to `last` in the list of towns: the number of the name and its meanings, which are
    /// empty if the list lacks it.
    fn towns(&self, first: usize, last: usize) -> (u32, Vec<Meaning>) {
        let begin = self.words[first].token.start as usize;
        let meaning = |town: Town| Meaning { code: town.country, kind: NameKind::Town, share: TOWN_SHARE * town.share };
        let look_up = |end: usize| {
            let name = TownName::of(&self.text[begin..end]);
            (FIRST_TOWN | name.hash() as u32, name.towns().map(meaning).collect::<Vec<_>>())
        };
        let with_genitive = self.genitive(&self.words[last]).map(look_up).filter(|(_, towns)| !towns.is_empty());
        with_genitive.unwrap_or_else(|| look_up(self.words[last].token.end as usize))
    }

    /// The longest town of the list that starts at word `i`, if the neighbouring words mark it as a place.
    fn town(&self, i: usize) -> Option<Found> {
        let is_capital = |i: usize| {
            self.words.get(i).is_some_and(|word| match word.token.shape {
                Shape::Capital => true,
                Shape::Upper => self.any_case,
                Shape::Lower | Shape::Number => false,
            })
        };
        if !is_capital(i) || !self.is_marked_as_place(i, 1) || CALENDAR.contains(&self.word(i)) {
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

/// The most letters of a postal abbreviation of a subdivision. It counts only after a town, in text with lower-case letters.
pub const MOST_POSTAL_LETTERS: usize = 3;
/// The fewest words of a section that counts as text without capitals.
const LEAST_CASELESS_WORDS: usize = 3;
/// Words that are not names in text without capitals.
const PRONOUNS: [&str; 2] = ["us", "us'"];
/// Prepositions before a place.
const LOCATIVE: [&str; 14] =
    ["in", "at", "near", "from", "of", "outside", "around", "to", "across", "throughout", "off", "In", "At", "Near"];
/// Types of subdivisions, after the name of one.
const SUBDIVISIONS: [&str; 9] =
    ["county", "district", "state", "province", "region", "governorate", "prefecture", "parish", "oblast"];
/// Lower-case words within the names of towns.
const CONNECTING: [&str; 16] =
    ["de", "del", "la", "le", "les", "of", "on", "upon", "am", "an", "sur", "do", "da", "dos", "el", "the"];
/// Capitalised words that are not towns.
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

/// For each of `words` words, whether it is part of a name.
pub fn named_words(names: &[Named], words: usize) -> Vec<bool> {
    let mut named = vec![false; words];
    for Named { mention, .. } in names {
        named[mention.first as usize..=mention.last as usize].fill(true);
    }
    named
}

/// Whether a word has no lower-case letters.
fn is_upper(word: &Word, text: &str) -> bool {
    match word.token.shape {
        Shape::Upper | Shape::Number => true,
        Shape::Capital => word.token.of(text).chars().nth(1).is_none(),
        Shape::Lower => false,
    }
}

/// Whether a term is the abbreviation of a single word ("Miss.", "Ind."), unlike the unambiguous "N.C.".
fn is_short_for_a_word(surface: &str) -> bool {
    surface.strip_suffix('.').is_some_and(|word| !word.contains('.'))
}

/// Whether a comma precedes the words and a full stop follows them. Datelines often omit the full stop, so it is optional
/// there.
fn is_written_as_abbreviation(text: &str, first: &Word, last: &Word) -> bool {
    let has_full_stop = last.role == Field::Dateline || text[last.token.end as usize..].starts_with('.');
    has_full_stop && text[..first.token.start as usize].trim_end().ends_with(',')
}

/// Whether the text between two words may occur within a name.
fn may_be_joined(text: &str, first: &Word, second: &Word) -> bool {
    let between = &text[first.token.end as usize..second.token.start as usize];
    match between {
        " " | "-" | ", " => true,
        ". " => matches!(first.token.of(text).to_ascii_lowercase().as_str(), "st" | "ste" | "mt" | "ft"),
        _ => !between.is_empty() && between.chars().all(char::is_whitespace) && between.matches('\n').count() < 2,
    }
}

/// Whether a name in the text equals the gazetteer's including case. White space, hyphens and full stops are ignored.
fn same_case(span: &str, surface: &str) -> bool {
    let letters = |c: &char| c.is_alphanumeric();
    span.chars().filter(letters).eq(surface.chars().filter(letters))
}

/// Whether a word is a type of town, as between a town and its subdivision: "Valencia City, Bukidnon".
pub fn is_town_type(word: &str) -> bool {
    ["city", "town", "municipality"].iter().any(|kind| word.eq_ignore_ascii_case(kind))
}

/// Whether a name is in capitals and too long for an abbreviation.
fn is_slug(span: &str) -> bool {
    const LEAST_LETTERS: usize = 4;
    let letters = || span.chars().filter(|c| c.is_alphabetic());
    letters().count() >= LEAST_LETTERS && letters().all(char::is_uppercase)
}

/// Whether a name in the text equals the gazetteer's except for case, white space and punctuation.
fn same_letters(span: &str, surface: &str) -> bool {
    let letters =
        |text: &str| text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect::<String>();
    letters(span).replace('\u{307}', "") == letters(surface)
}

/// Whether a name begins with a capital, as it must even where case is ignored: "us" in a lower-case dateline is not a
/// country.
fn begins_with_capital(span: &str) -> bool {
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
    fn names_do_not_span_sentences() {
        assert_eq!(in_body("they went to Guinea. Bissau is a port"), ["GN", "GW"]);
    }

    #[test]
    fn abbreviations_of_words_need_their_full_stop() {
        assert_eq!(in_body("the plant of old Gary, Ind., and one in Lima, Ohio"), ["US", "PE", "US"]);
        assert_eq!(in_body("Miss Smith said Mass was held. Wash your hands in Ill health."), [""; 0]);
    }

    #[test]
    fn title_case_is_not_all_capitals() {
        assert_eq!(found("They Told Us Everything", "", ""), [""; 0]);
        assert_eq!(found("A U.S. TEAM WINS 3-1", "", ""), ["US"]);
    }

    #[test]
    fn case_matters_except_in_capitals() {
        assert_eq!(in_body("the turkey and the US team told us of china cups"), ["US"]);
        assert_eq!(found("TURKEY ASKS U.S. FOR AID", "ANKARA, June 2", ""), ["TR", "US", "TR"]);
        assert_eq!(in_body("Washington's envoy and U.S.-led forces, the U.S said"), ["US", "US", "US"]);
    }
}
