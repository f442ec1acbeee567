//! Finds the dateline at the beginning of a body: where the story was filed, by which agency, and when.
//!
//! Examples: `WASHINGTON (Reuters) - `, `GROSSETO, Italy (AP) -- `, `TROY, N.C. (AP) --`, `Islamabad: `,
//! `Beijing/Moscow, June 2 - `.
//!
//! A match of the pattern is accepted if
//!
//! - it has a known agency,
//! - it has a date or another name in brackets, and the place is in capitals or known, or
//! - it is in the first line and has the form `CITY - ` with a known place in it, or `City: ` with a known city.
//!
//! "Analysis: ", "Mr Smith (left) - " and "Jordan: " are not datelines.

use super::rules::case_sensitive_rule;
use crate::{article::prefix, geography::Known};
use regex::Regex;
use std::{ops::Range, sync::LazyLock};

/// The position of a dateline in the text, as byte ranges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dateline {
    /// The dateline with agency, date and dash.
    pub whole: Range<usize>,
    /// The places only; empty if the dateline names only an agency: `(Reuters) - `.
    pub place: Range<usize>,
}

/// Number of non-blank lines to search, because some feeds put headline or credit lines before the dateline.
const LINES_TO_SEARCH: usize = 8;
/// Maximum length of a dateline in bytes.
const MAX_BYTES: usize = 140;
/// Minimum length of the text after `City: ` on its line, in bytes; with less text, the line is an entry of a list.
const MIN_TEXT_BYTES: usize = 40;

/// The dateline of `text`, if any. `known` looks up place names.
pub fn find(text: &str, known: impl Fn(&str) -> Known) -> Option<Dateline> {
    let mut start = 0;
    let mut lines_seen = 0;
    for line in text.split_inclusive('\n') {
        let offset = start + (line.len() - line.trim_start().len());
        start += line.len();
        let line = line.trim_start();
        if line.is_empty() {
            continue;
        }
        if let Some(dateline) = in_line(line, lines_seen == 0, &known) {
            let shift = |range: Range<usize>| range.start + offset..range.end + offset;
            return Some(Dateline { whole: shift(dateline.whole), place: shift(dateline.place) });
        }
        lines_seen += 1;
        if lines_seen == LINES_TO_SEARCH {
            break;
        }
    }
    None
}

/// The dateline at the beginning of a line. `is_first` is true for the first non-blank line of the text.
fn in_line(line: &str, is_first: bool, known: &impl Fn(&str) -> Known) -> Option<Dateline> {
    let head = prefix(line, MAX_BYTES);
    if head.starts_with('(') {
        return AGENCY_ALONE.find(head).map(|agency| Dateline { whole: 0..agency.end(), place: 0..0 });
    }
    if !may_match(head, is_first) {
        return None;
    }
    let parts = DATELINE.captures(head)?;
    let (whole, place) = (parts.get(0)?, parts.name("place")?);
    let (date, mark) = (parts.name("date").is_some(), parts.name("mark").map_or("", |mark| mark.as_str().trim()));
    let agency = parts.name("agency").map(|agency| AGENCY.is_match(agency.as_str()));

    let names = || place.as_str().split([',', '/']).map(str::trim);
    // The pattern takes any letter beyond ASCII for a capital.
    let begins_in_lower_case = |word: &str| word.starts_with(|c: char| !c.is_ascii() && !c.is_uppercase());
    if place.as_str().split([' ', '-', ',', '/']).any(begins_in_lower_case) {
        return None;
    }
    let capitals = names().next().is_some_and(|first| !first.contains(char::is_lowercase));
    let any_known = || names().any(|name| known(name) != Known::Nothing);
    let is_dateline = match (agency, date) {
        (Some(true), _) => true,
        (None, true) if mark.is_empty() => false,
        (Some(false), _) | (None, true) => capitals || any_known(),
        (None, false) if !is_first => false,
        (None, false) => match mark {
            ":" => known(place.as_str()) == Known::City && line.len() - whole.end() >= MIN_TEXT_BYTES,
            "." | "" => false,
            _ => capitals && any_known(),
        },
    };
    is_dateline.then(|| Dateline { whole: 0..whole.end(), place: place.range() })
}

/// Whether a line may begin with a dateline. Much faster than [`DATELINE`], and false for most lines: before the mark or
/// the agency, a dateline has only capitalised words, particles, dates and separators. Without agency, it has a date or is
/// in the first line.
fn may_match(line: &str, is_first: bool) -> bool {
    let mut has_date = false;
    for word in line.split_whitespace() {
        has_date |= word.contains(char::is_numeric);
        let has_mark = || {
            word.contains([':', '\u{2013}', '\u{2014}'])
                || word.contains("--")
                || word.ends_with('-')
                || (has_date && word.contains('.'))
        };
        if word.contains('(') || ((has_date || is_first) && has_mark()) {
            return true;
        }
        let begins_like_month =
            || word.get(..3).is_some_and(|begin| MONTHS.iter().any(|month| begin.eq_ignore_ascii_case(month)));
        let may_continue = || word.starts_with("d'") || PARTICLES.contains(&word) || begins_like_month();
        if word.starts_with(char::is_lowercase) && !may_continue() {
            return false;
        }
    }
    false
}

/// Lower-case words within the names of places.
const PARTICLES: [&str; 26] = [
    "de", "del", "da", "do", "dos", "das", "la", "le", "las", "los", "el", "al", "au", "aux", "of", "the", "and", "es",
    "sur", "am", "an", "der", "den", "en", "upon", "on",
];
/// The first letters of the months.
const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// News agencies named in brackets in datelines. A desk may follow: "Reuters Health".
const AGENCIES: &str = r"(?:Thomson\ )?Reuters|AP|Associated\ Press|AFP|dpa|DPA|UPI|Xinhua|PTI|ANI|IANS|TASS|Interfax|RIA|Sputnik|Bloomberg|CNN|BBC|Kyodo|Yonhap|EFE|ANSA|APA|Anadolu|AA|MENA|SANA|IRNA|WAM|SPA|NAN|PNA|KUNA|Belga|Lusa|CP|AAP|NZPA|PA|UNB|APP|GNA|VNA|Antara|Bernama|CNA|MTI|PAP|CTK|STT|NTB|TT|Ritzau|Prensa\ Latina";

static AGENCY: LazyLock<Regex> = LazyLock::new(|| case_sensitive_rule(&format!(r"^(?:{AGENCIES})\b")));

static AGENCY_ALONE: LazyLock<Regex> =
    LazyLock::new(|| case_sensitive_rule(&format!(r"^\((?:{AGENCIES})\)\s*(?:--|[-\u{{2013}}\u{{2014}}])\s*")));

static DATELINE: LazyLock<Regex> = LazyLock::new(|| {
    let word = r"(?:\p{Lu}[\p{L}'.]*|d'\p{Lu}\p{L}*)";
    let particle = format!("(?:{})", PARTICLES.join("|"));
    let name = format!(r"{word}(?:[\ -](?:{particle}[\ -])*{word}){{0,4}}");
    let month = r"(?i:jan(?:uary|\.)?|feb(?:ruary|\.)?|mar(?:ch|\.)?|apr(?:il|\.)?|may|june?\.?|july?\.?|aug(?:ust|\.)?|sept?(?:ember|\.)?|oct(?:ober|\.)?|nov(?:ember|\.)?|dec(?:ember|\.)?)";
    case_sensitive_rule(&format!(
        r"^
        (?: [*\u{{2022}}] \s? )? (?: (?: UPDATE | WRAPUP | CORRECTED | REFILE | RPT ) \s? \d* \s? -+ \s? )?
        (?P<place> {name} (?: \s?/\s? {name} )* (?: \s?,\s {name} ){{0,2}}? )
        (?: \s?,?\s (?P<date> {month}\s\d{{1,2}} (?: ,?\s\d{{4}} )? | \d{{1,2}}\s{month} (?: \s\d{{4}} )? ) )?
        (?:
            ,? \s? \( (?P<agency> [\p{{L}}][\p{{L}}\s./&-]{{1,39}} ) \) (?: \s? (?: -- | [-\u{{2013}}\u{{2014}}:] ) )?
          | (?P<mark> \s?-- | \s?[\u{{2013}}\u{{2014}}] | \s-\s | -\s | : | \. )
        ) \s*"
    ))
});

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Option<(&str, &str)> {
        let known = |name: &str| match name {
            "Islamabad" | "LONDON" | "Paris" | "Beijing" | "New Delhi" | "NEW YORK" => Known::City,
            "Germany" | "Jordan" | "S.C." | "Russia" => Known::Place,
            _ => Known::Nothing,
        };
        find(text, known).map(|dateline| (&text[dateline.place], &text[dateline.whole.end..]))
    }

    #[test]
    fn datelines_of_agencies_and_newspapers() {
        let cases = [
            ("WASHINGTON (Reuters) - The senate", "WASHINGTON", "The senate"),
            ("GROSSETO, Italy (AP) -- A flood", "GROSSETO, Italy", "A flood"),
            ("TROY, N.C. (AP) --A man", "TROY, N.C.", "A man"),
            (
                "Islamabad: The visit of the envoy began on Monday with talks.",
                "Islamabad",
                "The visit of the envoy began on Monday with talks.",
            ),
            ("Port-au-Prince (AFP) - Aid", "Port-au-Prince", "Aid"),
            ("DUBAI (Reuters) -Oil", "DUBAI", "Oil"),
            ("LONDON, (Reuters) - Oil", "LONDON", "Oil"),
            ("LONDON, July 4 (Reuters) - Oil", "LONDON", "Oil"),
            ("COLUMBIA, S.C. -- A judge", "COLUMBIA, S.C.", "A judge"),
            ("*LONDON (Reuters) - Oil", "LONDON", "Oil"),
            ("UPDATE 2-LONDON (Reuters) - Oil", "LONDON", "Oil"),
            ("NEW DELHI, Nov 24 (PTI) The court", "NEW DELHI", "The court"),
            ("HINTERTUPFING (Der Bote) - Snow", "HINTERTUPFING", "Snow"),
            ("Beijing/Moscow, June 2 - Trade", "Beijing/Moscow", "Trade"),
            ("Berlin (dpa) - Der Bundestag", "Berlin", "Der Bundestag"),
            ("BEIRUT, Lebanon, June 2. Shops", "BEIRUT, Lebanon", "Shops"),
            ("NEW YORK — Stocks fell", "NEW YORK", "Stocks fell"),
            ("RIO DE JANEIRO, Feb 26 - Coffee", "RIO DE JANEIRO", "Coffee"),
            ("PORT-AU-PRINCE, Haiti (AP) — Aid", "PORT-AU-PRINCE, Haiti", "Aid"),
            ("LONDON - Oil prices", "LONDON", "Oil prices"),
            ("(Reuters) - Shares rose", "", "Shares rose"),
            ("ST. LOUIS (AP) - The river", "ST. LOUIS", "The river"),
        ];
        for (text, place, rest) in cases {
            assert_eq!(parts(text), Some((place, rest)), "{text}");
        }
    }

    #[test]
    fn a_dateline_may_follow_a_headline_line() {
        assert_eq!(
            parts("Flood warning\n\nGROSSETO, Italy (AP) -- A flood").map(|parts| parts.0),
            Some("GROSSETO, Italy")
        );
    }

    #[test]
    fn other_openings_are_not_datelines() {
        let cases = [
            "Analysis: what the vote means",
            "UPDATE 1 - Shares fall",
            "The minister said: we will",
            "Paris. The city of light",
            "Mr. Smith (left) - who spoke",
            "Boris Johnson (Conservative) - 12,000 votes",
            "World Cup, July 4 - the draw",
            "Germany - the largest economy of the bloc - shrank",
            "Paris: The Memoir",
            "Jordan: I will retire at the end of the season, he said.",
            "A market report\nLONDON - shares up",
            "Mr Smith - who left in May - said",
            "Pakistan's minister arrived",
            "",
            ": -",
        ];
        for text in cases {
            assert_eq!(parts(text), None, "{text}");
        }
    }
}
