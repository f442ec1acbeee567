//! Finds the dateline at the beginning of a body: where the story was filed, by which agency, and when.
//!
//! `WASHINGTON (Reuters) - `, `GROSSETO, Italy (AP) -- `, `TROY, N.C. (AP) --`, `Islamabad: `, `Beijing/Moscow, June 2 - `.
//! A bare `Word: ` or `WORD - ` counts only where the word is a known place, so that "Analysis: " stays text.

use regex::Regex;
use std::{ops::Range, sync::LazyLock};

/// Where a dateline stands in the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The whole of it, with agency, date and dash.
    pub whole: Range<usize>,
    /// The places alone; empty where only an agency is named: `(Reuters) - `.
    pub place: Range<usize>,
}

/// Some feeds put headline or credit lines before it.
const LINES_TO_LOOK_IN: usize = 4;
/// The longest dateline, in bytes.
const LONGEST: usize = 120;

/// The dateline of `text`, where it has one. `is_place` tells whether a name is a place.
pub fn find(text: &str, is_place: impl Fn(&str) -> bool) -> Option<Found> {
    let mut start = 0;
    let mut lines_seen = 0;
    for line in text.split_inclusive('\n') {
        let offset = start + (line.len() - line.trim_start().len());
        start += line.len();
        let line = line.trim_start();
        if line.is_empty() {
            continue;
        }
        if let Some(found) = in_line(line, &is_place) {
            let shift = |range: Range<usize>| range.start + offset..range.end + offset;
            return Some(Found { whole: shift(found.whole), place: shift(found.place) });
        }
        lines_seen += 1;
        if lines_seen == LINES_TO_LOOK_IN {
            break;
        }
    }
    None
}

fn in_line(line: &str, is_place: &impl Fn(&str) -> bool) -> Option<Found> {
    let mut end = line.len().min(LONGEST);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    let head = &line[..end];
    if let Some(agency) = AGENCY_ALONE.find(head) {
        return Some(Found { whole: 0..agency.end(), place: 0..0 });
    }
    let parts = DATELINE.captures(head)?;
    let place = parts.name("place")?;
    let first = place.as_str().split([',', '/']).next().unwrap_or_default().trim();
    let sure = parts.name("agency").is_some() || parts.name("date").is_some();
    if !(sure || is_place(first)) {
        return None;
    }
    // "Word. " ends a sentence, and "Word: " introduces one; only a date or an agency before it makes it a dateline.
    let mark = parts.name("mark")?.as_str();
    if (mark == "." && !sure) || (mark == ":" && !sure && !is_place(place.as_str().trim())) {
        return None;
    }
    Some(Found { whole: 0..parts.get(0)?.end(), place: place.range() })
}

fn rule(pattern: &str) -> Regex {
    Regex::new(pattern).unwrap_or_else(|error| unreachable!("the patterns of this file are valid: {error}"))
}

static AGENCY_ALONE: LazyLock<Regex> = LazyLock::new(|| {
    rule(r"^\((?:Reuters|AP|AFP|dpa|UPI|Xinhua|PTI|ANI|TASS|Bloomberg|CNN|IANS)\)\s*(?:--|[-\u{2013}\u{2014}])\s*")
});

static DATELINE: LazyLock<Regex> = LazyLock::new(|| {
    let word = r"(?:[\p{Lu}][\p{L}'.\u{2019}]*|d'[\p{Lu}][\p{L}]*)";
    let particle = r"(?:de|del|da|do|dos|das|la|le|las|los|el|al|of|the|and|es|sur|am|an|der|den|en|upon|on)";
    let name = format!(r"{word}(?:[ -](?:{particle}[ -])*{word}){{0,4}}");
    let month = r"(?i:jan(?:uary|\.)?|feb(?:ruary|\.)?|mar(?:ch|\.)?|apr(?:il|\.)?|may|june?\.?|july?\.?|aug(?:ust|\.)?|sept?(?:ember|\.)?|oct(?:ober|\.)?|nov(?:ember|\.)?|dec(?:ember|\.)?)";
    rule(&format!(
        r"(?x)^
        (?P<place> {name} (?: \s?/\s? {name} )* (?: \s?,\s {name} ){{0,2}}? )
        (?: \s?,?\s (?P<date> {month}\s\d{{1,2}} (?: ,?\s\d{{4}} )? | \d{{1,2}}\s{month} (?: \s\d{{4}} )? ) )?
        (?: \s? \( (?P<agency> [\p{{L}}][\p{{L}}\s./&-]{{1,39}} ) \) )?
        \s? (?P<mark> -- | [\u{{2013}}\u{{2014}}] | \s-\s | -\s | : | \. ) \s*",
        name = name.replace(' ', r"\x20"),
    ))
});

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Option<(&str, &str)> {
        let known = ["Islamabad", "LONDON", "Paris", "New Delhi", "NEW YORK"];
        find(text, |name| known.contains(&name)).map(|found| (&text[found.place], &text[found.whole.end..]))
    }

    #[test]
    fn datelines_of_agencies_and_papers() {
        let cases = [
            ("WASHINGTON (Reuters) - The senate", "WASHINGTON", "The senate"),
            ("GROSSETO, Italy (AP) -- A flood", "GROSSETO, Italy", "A flood"),
            ("TROY, N.C. (AP) --A man", "TROY, N.C.", "A man"),
            ("Islamabad: The visit", "Islamabad", "The visit"),
            ("Beijing/Moscow, June 2 - Trade", "Beijing/Moscow", "Trade"),
            ("Berlin (dpa) - Der Bundestag", "Berlin", "Der Bundestag"),
            ("BEIRUT, Lebanon, June 2. Shops", "BEIRUT, Lebanon", "Shops"),
            ("NEW YORK — Stocks fell", "NEW YORK", "Stocks fell"),
            ("RIO DE JANEIRO, Feb 26 - Coffee", "RIO DE JANEIRO", "Coffee"),
            ("New Delhi: Prices rose", "New Delhi", "Prices rose"),
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
    fn below_a_headline_line() {
        assert_eq!(
            parts("Flood warning\n\nGROSSETO, Italy (AP) -- A flood").map(|found| found.0),
            Some("GROSSETO, Italy")
        );
    }

    #[test]
    fn what_is_no_dateline_stays() {
        let cases = [
            "Analysis: what the vote means",
            "UPDATE 1 - Shares fall",
            "The minister said: we will",
            "Paris. The city of light",
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
