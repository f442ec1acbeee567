//! Turns an article as it arrived into the text to classify.
//!
//! In: an [`Article`]. Out: a [`Document`]: headline, dateline and body as normalised text, each with its way back to the
//! bytes that the client sent, what was left out and why, and the language. Nothing is classified here.

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

/// The longest first line that counts as a headline, in bytes.
const LONGEST_HEADLINE: usize = 250;

/// Cleans an article. `known` tells what is known of a name; datelines such as "Islamabad: " need it.
pub fn clean<'a>(article: &'a Article, known: impl Fn(&str) -> Known) -> Document<'a> {
    let mut removed = Vec::new();
    let mut more_removed = false;
    let mut note = |field: Field, source: Range<usize>, reason: Reason| {
        // Articles are at most 2 MiB, so offsets fit.
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
        note(Field::Body, range, reason);
    }
    let mut body = page.text;
    let mut origin = Field::Headline;
    if is_blank(&headline) {
        origin = Field::Body;
        headline = page.heading;
        if let Some(heading) = page.heading_in_text {
            // Read as the headline, and not once more as body.
            body = without(&body, &[heading]);
        }
    }
    let mut body = without_boilerplate(unicode::normalise(body), &known, &mut note);
    if is_blank(&headline)
        && article.format == Format::Text
        && let Some(line) = headline_line(body.as_str())
    {
        headline = part(&body, line.clone());
        body = without(&body, &[line]);
    }
    push(Field::Headline, origin, unicode::normalise(headline));

    let own_dateline = !article.dateline.trim().is_empty();
    if own_dateline {
        push(Field::Dateline, Field::Dateline, unicode::normalise(MappedText::whole(&article.dateline)));
    }
    let body = match dateline::find(body.as_str(), &known) {
        None => body,
        Some(found) => {
            note(Field::Body, body.source(found.whole.clone()), Reason::Dateline);
            if !own_dateline {
                push(Field::Dateline, Field::Body, part(&body, found.place));
            }
            without(&body, &[found.whole])
        }
    };
    push(Field::Body, Field::Body, body);

    removed.sort_by_key(|part| (part.field, part.start));
    let is_article = !stands_in_for_article(&sections);
    let stated = language::primary(&article.language);
    let language_is_detected = stated.is_none();
    let language = stated.map_or_else(|| Cow::Borrowed(guess_language(&sections)), Cow::Owned);
    Document { sections, removed, more_removed, language, language_is_detected, is_article }
}

fn is_blank(text: &MappedText<'_>) -> bool {
    text.as_str().trim().is_empty()
}

/// The first line of a plain text, where it is its headline: short, not a sentence, and followed by a blank line.
fn headline_line(text: &str) -> Option<Range<usize>> {
    let start = text.len() - text.trim_start().len();
    let (line, rest) = text[start..].split_once('\n')?;
    let line = line.trim_end();
    let blank_follows = rest.lines().next().is_some_and(|line| line.trim().is_empty());
    let is_headline =
        blank_follows && line.len() <= LONGEST_HEADLINE && !line.ends_with('.') && !rest.trim().is_empty();
    is_headline.then(|| start..start + line.len())
}

/// The text without notices, prompts and lists of places.
fn without_boilerplate<'a>(
    mut text: MappedText<'a>,
    known: impl Fn(&str) -> Known,
    note: &mut impl FnMut(Field, Range<usize>, Reason),
) -> MappedText<'a> {
    let mut leave_out = |text: MappedText<'a>, parts: Vec<Range<usize>>| {
        if parts.is_empty() {
            return text;
        }
        for part in &parts {
            note(Field::Body, text.source(part.clone()), Reason::Boilerplate);
        }
        without(&text, &parts)
    };
    let notices = boilerplate::find(text.as_str());
    text = leave_out(text, notices);
    let lists = lists::find(text.as_str(), known);
    // A text that is mostly a list is an article about one.
    let listed: usize = lists.iter().map(Range::len).sum();
    if listed * 2 > text.as_str().trim().len() { text } else { leave_out(text, lists) }
}

/// The text without some parts of it, given in order.
fn without<'a>(text: &MappedText<'_>, parts: &[Range<usize>]) -> MappedText<'a> {
    let mut kept = MappedText::with_capacity(text.as_str().len());
    let mut from = 0;
    for part in parts {
        kept.push_part(text, from..part.start);
        from = part.end;
    }
    kept.push_part(text, from..text.as_str().len());
    kept
}

fn part<'a>(text: &MappedText<'_>, part: Range<usize>) -> MappedText<'a> {
    let mut kept = MappedText::with_capacity(part.len());
    kept.push_part(text, part);
    kept
}

/// Whether headline and body together are a page in an article's place.
fn stands_in_for_article(sections: &[Section<'_>]) -> bool {
    const MOST: usize = 2000;
    let texts =
        || sections.iter().filter(|section| section.role != Field::Dateline).map(|section| section.text.as_str());
    if texts().map(str::len).sum::<usize>() > MOST {
        return false;
    }
    notices::stands_in_for_article(&texts().map(str::trim).collect::<Vec<_>>().join("\n"))
}

/// The body tells best; a headline has to do where there is no body.
fn guess_language(sections: &[Section<'_>]) -> &'static str {
    sections
        .iter()
        .rev()
        .map(|section| language::guess(section.text.as_str()))
        .find(|code| *code != UNDETERMINED)
        .unwrap_or(UNDETERMINED)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of<'d>(document: &'d Document<'_>, role: Field) -> &'d str {
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
        assert_eq!(text_of(&document, Field::Headline), "Talks open");
        assert_eq!(text_of(&document, Field::Dateline), "ISLAMABAD");
        assert!(text_of(&document, Field::Body).ends_with("The envoy's visit began."));
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
    fn a_first_line_alone_is_the_headline() {
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
                (text_of(&document, Field::Headline), text_of(&document, Field::Body)),
                (headline, rest),
                "{body:?}"
            );
        }
    }

    #[test]
    fn a_dateline_field_wins_over_the_one_in_the_body() {
        let article =
            Article { dateline: "NAIROBI, March 3".into(), body: "LONDON (AP) - Talks".into(), ..Article::default() };
        let document = clean(&article, |_| Known::Nothing);
        assert_eq!(text_of(&document, Field::Dateline), "NAIROBI, March 3");
        assert_eq!(text_of(&document, Field::Body), "Talks");
    }

    #[test]
    fn markup_alone_leaves_nothing() {
        let article = Article { body: "<p> </p><script>x</script>".into(), format: Format::Html, ..Article::default() };
        assert!(clean(&article, |_| Known::Nothing).sections.is_empty());
    }
}
