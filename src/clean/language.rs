//! Language detection with whatlang, used to recognise articles in languages that the model was not trained on.

use crate::article::prefix;
use crate::document::UNDETERMINED;
use isolang::Language;
use std::collections::HashSet;
use whatlang::Lang;

/// Number of bytes to detect the language from. Detection time grows with the length, and one paragraph is enough.
const SAMPLE_BYTES: usize = 600;
/// Minimum length of a line that counts as a paragraph, in bytes.
const PARAGRAPH_BYTES: usize = 200;
/// Number of bytes at the beginning of a text that are searched for a paragraph.
const SEARCH_BYTES: usize = 20_000;
/// Whether this is an English word that related languages do not have. Detection among about seventy languages takes longer
/// than all other steps of a classification, so it is skipped if at least [`ENGLISH_SHARE`] of at least
/// [`ENGLISH_MIN_WORDS`] words are these.
#[rustfmt::skip]
fn is_english(word: &str) -> bool {
    matches!(
        word,
        "the" | "and" | "to" | "that" | "with" | "for" | "said" | "from" | "by" | "has" | "have" | "which" | "would" | "their"
    )
}
const ENGLISH_SHARE: f64 = 0.08;
const ENGLISH_MIN_WORDS: usize = 20;

/// A text with at least this share of words with digits is a table.
const FIGURE_SHARE: f64 = 0.2;
/// A text with fewer distinct words than this is a table if the distinct words are less than [`DISTINCT_SHARE`] of all words,
/// because sentences of this length repeat fewer words.
const SENTENCE_WORDS: usize = 40;
const DISTINCT_SHARE: f64 = 0.7;

/// Minimum number of letters to distinguish languages that share a script.
const MIN_LETTERS: usize = 40;

/// The ISO 639 code of a BCP 47 language tag: `en` for both `en-GB` and `eng`. `None` if the tag does not begin with such a
/// code.
pub fn primary(tag: &str) -> Option<String> {
    let primary = tag.trim().split(['-', '_']).next().unwrap_or_default();
    let is_code = (2..=3).contains(&primary.len()) && primary.bytes().all(|byte| byte.is_ascii_alphabetic());
    let primary = is_code.then(|| primary.to_ascii_lowercase())?;
    Some(short_code(&primary).map_or(primary, str::to_owned))
}

/// The ISO 639 code of the language of `text`; [`UNDETERMINED`] if the text is too short, a table, or ambiguous.
pub fn detect(text: &str) -> &'static str {
    let text = prefix(paragraph(text), SAMPLE_BYTES);
    if is_plainly_english(text) {
        return code(Lang::Eng);
    }
    // Use each word once: tables repeat abbreviations and units, which are not evidence of a language.
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
    // A script that determines the language needs no minimum length.
    let by_script =
        !matches!(info.script(), whatlang::Script::Latin | whatlang::Script::Cyrillic | whatlang::Script::Arabic);
    if by_script || (letters >= MIN_LETTERS && info.is_reliable()) { code(info.lang()) } else { UNDETERMINED }
}

/// The first line of at least [`PARAGRAPH_BYTES`], which is likely to be article text rather than page navigation;
/// otherwise the whole text.
fn paragraph(text: &str) -> &str {
    let mut lines = prefix(text, SEARCH_BYTES).lines().map(str::trim);
    lines.find(|line| line.len() >= PARAGRAPH_BYTES).unwrap_or(text)
}

fn is_plainly_english(text: &str) -> bool {
    let (mut words, mut english) = (0, 0);
    for word in text.split_ascii_whitespace() {
        words += 1;
        english += usize::from(is_english(word));
    }
    words >= ENGLISH_MIN_WORDS && english as f64 >= ENGLISH_SHARE * words as f64
}

/// The two-letter code of ISO 639-1 if the language has one, otherwise the three-letter code of ISO 639-3.
fn code(lang: Lang) -> &'static str {
    short_code(lang.code()).unwrap_or(lang.code())
}

/// The ISO 639-1 code of an ISO 639-3 code.
fn short_code(code: &str) -> Option<&'static str> {
    match code {
        // ISO 639-1 has codes for the macrolanguages only.
        "cmn" => Some("zh"),
        "pes" => Some("fa"),
        code => Language::from_639_3(code)?.to_639_1(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_detected() {
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
            assert_eq!(detect(text), language, "{text}");
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
