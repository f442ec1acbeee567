//! Cleans articles: extracts the text to classify from HTML or plain text and detects its language.
//!
//! Input: an [`Article`]. Output: a [`Document`] with the normalised headline, dateline and body, each mapped to the bytes that
//! the client sent, the removed parts with their reasons, and the language.

mod boilerplate;
mod dateline;
mod html;
mod json_ld;
pub mod language;
mod lists;
mod notices;
mod rules;
mod unicode;
mod visibility;

use crate::{
    article::{Article, Field, Format, Reason, Removed},
    document::{Document, MOST_REMOVED, MappedText, Section, UNDETERMINED},
    geography::Known,
};
use std::{borrow::Cow, ops::Range};

/// Maximum length of a first line that is read as the headline, in bytes.
const MAX_HEADLINE_BYTES: usize = 250;

/// Cleans an article. `known` looks up place names, which datelines such as "Islamabad: " and lists of places depend on.
pub fn clean<'a>(article: &'a Article, known: impl Fn(&str) -> Known) -> Document<'a> {
    let mut removed = Vec::new();
    let mut more_removed = false;
    let mut record_removed = |field: Field, source: Range<usize>, reason: Reason| {
        // Offsets fit in u32: articles have at most 2 MiB.
        match removed.len() < MOST_REMOVED {
            true => removed.push(Removed { field, start: source.start as u32, end: source.end as u32, reason }),
            false => more_removed = true,
        }
    };
    let mut sections = Vec::with_capacity(3);
    let mut push = |role: Field, origin: Field, text: MappedText<'a>| {
        if !is_blank(&text) {
            sections.push(Section { role, origin, text });
        }
    };

    let mut headline = match article.format {
        Format::Text => MappedText::whole(&article.headline),
        Format::Html => html::headline_to_text(&article.headline).text,
    };
    let page = match article.format {
        Format::Text => html::HtmlText { text: MappedText::whole(&article.body), ..html::HtmlText::default() },
        Format::Html => html::to_text(&article.body),
    };
    for (range, reason) in page.removed {
        record_removed(Field::Body, range, reason);
    }
    let mut body = page.text;
    let mut origin = Field::Headline;
    if is_blank(&headline) {
        origin = Field::Body;
        headline = page.heading;
        if let Some(heading) = page.heading_in_text {
            // The heading is the headline and must not be repeated in the body.
            body = remove_ranges(&body, &[heading]);
        }
    }
    let mut body = remove_boilerplate(unicode::normalise(body), &known, &mut record_removed);
    if is_blank(&headline)
        && article.format == Format::Text
        && let Some(line) = headline_line(body.as_str())
    {
        headline = extract(&body, line.clone());
        body = remove_ranges(&body, &[line]);
    }
    push(Field::Headline, origin, unicode::normalise(headline));

    let has_dateline_field = !article.dateline.trim().is_empty();
    if has_dateline_field {
        push(Field::Dateline, Field::Dateline, unicode::normalise(MappedText::whole(&article.dateline)));
    }
    let body = match dateline::find(body.as_str(), &known) {
        None => body,
        Some(dateline) => {
            record_removed(Field::Body, body.source(dateline.whole.clone()), Reason::Dateline);
            if !has_dateline_field {
                push(Field::Dateline, Field::Body, extract(&body, dateline.place));
            }
            remove_ranges(&body, &[dateline.whole])
        }
    };
    push(Field::Body, Field::Body, body);

    removed.sort_by_key(|part| (part.field, part.start));
    let is_article = !is_non_article_page(&sections);
    let stated = language::primary(&article.language);
    let language_is_detected = stated.is_none();
    let language = stated.map_or_else(|| Cow::Borrowed(detect_language(&sections)), Cow::Owned);
    Document { sections, removed, more_removed, language, language_is_detected, is_article }
}

fn is_blank(text: &MappedText<'_>) -> bool {
    text.as_str().trim().is_empty()
}

/// The first line of a plain text if it is a headline: short, without a final full stop, and followed by a blank line and text.
fn headline_line(text: &str) -> Option<Range<usize>> {
    let start = text.len() - text.trim_start().len();
    let (line, rest) = text[start..].split_once('\n')?;
    let line = line.trim_end();
    let blank_follows = rest.lines().next().is_some_and(|line| line.trim().is_empty());
    let is_headline =
        blank_follows && line.len() <= MAX_HEADLINE_BYTES && !line.ends_with('.') && !rest.trim().is_empty();
    is_headline.then(|| start..start + line.len())
}

/// Removes notices, prompts and lists of places.
fn remove_boilerplate<'a>(
    mut text: MappedText<'a>,
    known: impl Fn(&str) -> Known,
    record_removed: &mut impl FnMut(Field, Range<usize>, Reason),
) -> MappedText<'a> {
    let mut remove = |text: MappedText<'a>, parts: Vec<Range<usize>>| {
        if parts.is_empty() {
            return text;
        }
        for part in &parts {
            record_removed(Field::Body, text.source(part.clone()), Reason::Boilerplate);
        }
        remove_ranges(&text, &parts)
    };
    let notices = boilerplate::find(text.as_str());
    text = remove(text, notices);
    let lists = lists::find(text.as_str(), known);
    // Keep the lists if they are more than half of the text: then the list is the article.
    let listed: usize = lists.iter().map(Range::len).sum();
    if listed * 2 > text.as_str().trim().len() { text } else { remove(text, lists) }
}

/// The text without the given ranges, which are in ascending order.
fn remove_ranges<'a>(text: &MappedText<'_>, parts: &[Range<usize>]) -> MappedText<'a> {
    let mut kept = MappedText::with_capacity(text.as_str().len());
    let mut from = 0;
    for part in parts {
        kept.push_part(text, from..part.start);
        from = part.end;
    }
    kept.push_part(text, from..text.as_str().len());
    kept
}

/// A range of the text with its mapping to the source.
fn extract<'a>(text: &MappedText<'_>, part: Range<usize>) -> MappedText<'a> {
    let mut kept = MappedText::with_capacity(part.len());
    kept.push_part(text, part);
    kept
}

/// Whether headline and body together are a page that is not an article; see [`notices::is_non_article_page`].
fn is_non_article_page(sections: &[Section<'_>]) -> bool {
    const MAX_BYTES: usize = 2000;
    let texts =
        || sections.iter().filter(|section| section.role != Field::Dateline).map(|section| section.text.as_str());
    if texts().map(str::len).sum::<usize>() > MAX_BYTES {
        return false;
    }
    notices::is_non_article_page(&texts().map(str::trim).collect::<Vec<_>>().join("\n"))
}

/// Detects the language from the body, then from the dateline and the headline if the body is undetermined.
fn detect_language(sections: &[Section<'_>]) -> &'static str {
    sections
        .iter()
        .rev()
        .map(|section| language::detect(section.text.as_str()))
        .find(|code| *code != UNDETERMINED)
        .unwrap_or(UNDETERMINED)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section_text<'d>(document: &'d Document<'_>, role: Field) -> &'d str {
        document.sections.iter().find(|section| section.role == role).map_or("", |section| section.text.as_str().trim())
    }

    #[test]
    fn a_scraped_page_becomes_headline_dateline_and_body() {
        let article = Article {
            body: "<title>Talks open | Paper</title><h1>Talks&nbsp;open</h1><p>Share this article</p>\
                   <p>ISLAMABAD (Reuters) &ndash; The envoy&rsquo;s visit began.</p><p>Related Articles</p><p>Cup final drawn</p>"
                .into(),
            format: Format::Html,
            ..Article::default()
        };
        let document = clean(&article, |_| Known::Nothing);
        assert_eq!(section_text(&document, Field::Headline), "Talks open");
        assert_eq!(section_text(&document, Field::Dateline), "ISLAMABAD");
        assert!(section_text(&document, Field::Body).ends_with("The envoy's visit began."));
        let reasons: Vec<_> = document
            .removed
            .iter()
            .map(|part| (part.reason, &article.body[part.start as usize..part.end as usize]))
            .collect();
        assert_eq!(
            reasons,
            [
                (Reason::Boilerplate, "Share this article"),
                (Reason::Dateline, "ISLAMABAD (Reuters) &ndash; "),
                (Reason::Boilerplate, "Related Articles"),
                (Reason::Boilerplate, "Cup final drawn"),
            ]
        );
    }

    #[test]
    fn a_separate_first_line_is_the_headline() {
        let cases = [
            ("\u{FEFF}Flood in the valley\r\n\r\nRain fell.\n", "Flood in the valley", "Rain fell."),
            ("Share this article\n\nFlood\n\nOSLO (AP) - Rain fell.", "Flood", "Rain fell."),
            ("Rain fell.\n\nIt fell again.", "", "Rain fell.\n\nIt fell again."),
            ("Flood\n\n", "", "Flood"),
        ];
        for (body, headline, rest) in cases {
            let article = Article { body: body.into(), ..Article::default() };
            let document = clean(&article, |_| Known::Nothing);
            assert_eq!(
                (section_text(&document, Field::Headline), section_text(&document, Field::Body)),
                (headline, rest),
                "{body:?}"
            );
        }
    }

    #[test]
    fn a_dateline_field_takes_precedence_over_the_body() {
        let article =
            Article { dateline: "NAIROBI, March 3".into(), body: "LONDON (AP) - Talks".into(), ..Article::default() };
        let document = clean(&article, |_| Known::Nothing);
        assert_eq!(section_text(&document, Field::Dateline), "NAIROBI, March 3");
        assert_eq!(section_text(&document, Field::Body), "Talks");
    }

    #[test]
    fn markup_without_text_gives_no_sections() {
        let article = Article { body: "<p> </p><script>x</script>".into(), format: Format::Html, ..Article::default() };
        assert!(clean(&article, |_| Known::Nothing).sections.is_empty());
    }
}
