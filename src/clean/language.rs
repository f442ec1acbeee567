//! A guess at the language, for telling which articles the model was not trained on. whatlang does the guessing.

use crate::article::prefix;
use crate::document::UNDETERMINED;
use isolang::Language;
use std::collections::HashSet;
use whatlang::Lang;

/// Guessing costs time by the byte, and the first paragraph tells as much as ten.
const BYTES_TO_LOOK_AT: usize = 600;
/// A line of this length is a paragraph; one is looked for in the first bytes of a text.
const PARAGRAPH_BYTES: usize = 200;
const BYTES_TO_SEARCH: usize = 20_000;
/// Words of English that are no words of its neighbours. Guessing among seventy languages takes longer than all the rest
/// of an article's way; where so many of its words are these, there is nothing to guess.
const ENGLISH: [&str; 14] =
    ["the", "and", "to", "that", "with", "for", "said", "from", "by", "has", "have", "which", "would", "their"];
const ENGLISH_SHARE: f64 = 0.08;
const ENGLISH_LEAST_WORDS: usize = 20;

/// A text in which this share of words are figures is a table, and so is one with fewer different words than the second, if they
/// are less than the third of all its words: sentences of this length repeat fewer.
const FIGURE_SHARE: f64 = 0.2;
const SENTENCE_WORDS: usize = 40;
const DISTINCT_SHARE: f64 = 0.7;

/// Fewer letters than these tell a script, not a language.
const LEAST_LETTERS: usize = 40;

/// The ISO 639 code of a language tag: `en` of `en-GB`, and of `eng`. `None` where the tag has no such part.
pub fn primary(tag: &str) -> Option<String> {
    let primary = tag.trim().split(['-', '_']).next().unwrap_or_default();
    let is_code = (2..=3).contains(&primary.len()) && primary.bytes().all(|byte| byte.is_ascii_alphabetic());
    let primary = is_code.then(|| primary.to_ascii_lowercase())?;
    Some(short_code(&primary).map_or(primary, str::to_owned))
}

/// The ISO 639 code of the language that `text` is written in, [`UNDETERMINED`] where it is too short or too mixed to tell.
pub fn guess(text: &str) -> &'static str {
    let text = prefix(paragraph(text), BYTES_TO_LOOK_AT);
    if is_plainly_english(text) {
        return code(Lang::Eng);
    }
    // Each word once: what a table repeats, abbreviations and units, is no evidence of a language.
    let mut seen = HashSet::new();
    let words: Vec<&str> = text.split_whitespace().collect();
    let distinct: Vec<&str> = words.iter().copied().filter(|word| seen.insert(*word)).collect();
    let repeats = distinct.len() < SENTENCE_WORDS && (distinct.len() as f64) < DISTINCT_SHARE * words.len() as f64;
    let figures = words.iter().filter(|word| word.contains(char::is_numeric)).count();
    if repeats || figures as f64 >= FIGURE_SHARE * words.len() as f64 {
        return UNDETERMINED;
    }
    let text = distinct.join(" ");
    let Some(info) = whatlang::detect(&text) else { return UNDETERMINED };
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    // Scripts of one language need no length.
    let by_script =
        !matches!(info.script(), whatlang::Script::Latin | whatlang::Script::Cyrillic | whatlang::Script::Arabic);
    if by_script || (letters >= LEAST_LETTERS && info.is_reliable()) { code(info.lang()) } else { UNDETERMINED }
}

/// What tells most of a text: its first long line, which on a page is a paragraph of the article rather than of what surrounds it;
/// otherwise the text as it is.
fn paragraph(text: &str) -> &str {
    let mut lines = prefix(text, BYTES_TO_SEARCH).lines().map(str::trim);
    lines.find(|line| line.len() >= PARAGRAPH_BYTES).unwrap_or(text)
}

fn is_plainly_english(text: &str) -> bool {
    let (mut words, mut english) = (0, 0);
    for word in text.split_ascii_whitespace() {
        words += 1;
        english += usize::from(ENGLISH.contains(&word));
    }
    words >= ENGLISH_LEAST_WORDS && english as f64 >= ENGLISH_SHARE * words as f64
}

/// The two-letter code of ISO 639-1 if the language has one, otherwise the three-letter code of ISO 639-3.
fn code(lang: Lang) -> &'static str {
    short_code(lang.code()).unwrap_or(lang.code())
}

/// The ISO 639-1 code of an ISO 639-3 code.
fn short_code(code: &str) -> Option<&'static str> {
    match code {
        // ISO 639-1 has a code only for the macrolanguage.
        "cmn" => Some("zh"),
        "pes" => Some("fa"),
        code => Language::from_639_3(code)?.to_639_1(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_told_apart() {
        let cases = [
            ("The minister said on Monday that the government would publish the report in full.", "en"),
            ("Der Minister sagte am Montag, die Regierung werde den Bericht vollständig veröffentlichen.", "de"),
            ("قال الوزير يوم الاثنين إن الحكومة ستنشر التقرير كاملا في الأسبوع المقبل", "ar"),
            ("部长周一表示政府将公布报告全文", "zh"),
            ("OK", UNDETERMINED),
            (
                "Shr 41 cts vs 29 cts. Net 3.2 mln vs 2.1 mln. Revs 61.4 mln vs 55.0 mln. Nine mths shr 1.10 dlrs",
                UNDETERMINED,
            ),
            ("shr cts vs cts net vs revs mln vs mln nine mths shr cts vs cts net vs revs mln vs mln", UNDETERMINED),
            ("", UNDETERMINED),
        ];
        for (text, language) in cases {
            assert_eq!(guess(text), language, "{text}");
        }
    }

    #[test]
    fn tags_have_a_primary_language() {
        assert_eq!(primary("en-GB").as_deref(), Some("en"));
        assert_eq!(primary("PT_br").as_deref(), Some("pt"));
        assert_eq!(primary("eng").as_deref(), Some("en"));
        assert_eq!(primary("yue").as_deref(), Some("yue"));
        assert_eq!(primary("english"), None);
        assert_eq!(primary(""), None);
    }
}
