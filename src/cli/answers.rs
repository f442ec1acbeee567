//! Prints the answers to articles: one JSON object per line, or blocks for people.

use super::{
    dedupe::Grouping,
    output::{ERROR, FAINT, TITLE, printable},
};
use crate::{
    article::{Classification, Decision, Evidence, Field, Label, Role},
    formats::{AnswerObject, ArticleFault, Record},
    geography,
};
use anstyle::{AnsiColor, Style};
use serde::Serialize;
use std::io;

fn style_of(decision: Decision) -> Style {
    match decision {
        Decision::Auto => AnsiColor::Green.on_default(),
        Decision::Review => AnsiColor::Yellow.on_default(),
        Decision::Abstain => FAINT,
    }
}

#[derive(Serialize)]
struct JsonLine<'a> {
    #[serde(flatten)]
    answer: AnswerObject<'a>,
    #[serde(flatten)]
    grouping: Option<&'a Grouping>,
}

/// One JSON object and a line break.
pub fn json_line(
    out: &mut dyn io::Write,
    id: &str,
    answer: &Result<Classification, ArticleFault>,
    grouping: Option<&Grouping>,
) -> io::Result<()> {
    let line = JsonLine { answer: AnswerObject::new(id, answer), grouping };
    serde_json::to_writer(&mut *out, &line)?;
    out.write_all(b"\n")
}

/// The most features of a region that are shown to people; JSON has all.
const MOST_CONTRIBUTIONS: usize = 5;

/// The labels of one article, for people, and what it is a copy of. `record` has the text of the parts that were left out.
pub fn block(
    out: &mut dyn io::Write,
    id: &str,
    record: Option<&Record>,
    answer: &Result<Classification, ArticleFault>,
    grouping: Option<&Grouping>,
) -> io::Result<()> {
    writeln!(out, "{TITLE}{}{TITLE:#}", printable(id))?;
    if let Some(grouping) = grouping.map(Grouping::to_string).filter(|text| !text.is_empty()) {
        writeln!(out, "  {grouping}")?;
    }
    let answer = match answer {
        Ok(answer) => answer,
        Err(fault) => {
            return writeln!(
                out,
                "  {ERROR}error{ERROR:#}    {} ({})\n",
                printable(&fault.message),
                printable(&fault.code)
            );
        }
    };
    labels(out, "topics", &answer.topics)?;
    labels(out, "narrower", &answer.subtopics)?;
    let mut what = "regions";
    for region in &answer.regions {
        let label = &region.label;
        let style = style_of(label.decision);
        let up: Vec<&str> = region
            .path
            .iter()
            .skip(1)
            .take(2)
            .filter_map(|code| geography::place(code))
            .map(|place| &*place.name)
            .collect();
        let name = printable(&format!("{} ({})", label.name, label.code));
        let role = match region.role {
            Role::About => "about",
            Role::Mentioned => "mentioned",
            Role::Dateline => "dateline",
        };
        writeln!(
            out,
            "  {what:<8} {name:<44} {:>5.2}  {style}{:<8}{style:#} {role:<10} {FAINT}{}{FAINT:#}",
            label.confidence,
            label.decision.as_str(),
            up.join(", ")
        )?;
        evidence(out, &label.evidence)?;
        for one in region.contributions.iter().take(MOST_CONTRIBUTIONS) {
            writeln!(
                out,
                "           {FAINT}{:>+7.3}  {} = {:.3}{FAINT:#}",
                one.log_odds,
                printable(&one.feature),
                one.value
            )?;
        }
        what = "";
    }
    for note in &answer.notes {
        writeln!(out, "  {:<8} {}", "note", printable(note))?;
    }
    for part in &answer.removed {
        let text =
            record.and_then(|record| record.article.field(part.field).get(part.start as usize..part.end as usize));
        writeln!(
            out,
            "  {:<8} {:<12} {:<9} {:>6}-{:<6} {FAINT}{}{FAINT:#}",
            "left out",
            part.reason.as_str(),
            field(part.field),
            part.start,
            part.end,
            excerpt(text.unwrap_or_default())
        )?;
    }
    writeln!(out)
}

/// Topics or sub-topics, one per line, with their evidence.
fn labels(out: &mut dyn io::Write, title: &str, labels: &[Label]) -> io::Result<()> {
    let mut what = title;
    for label in labels {
        let style = style_of(label.decision);
        writeln!(
            out,
            "  {what:<8} {:<44} {:>5.2}  {style}{}{style:#}",
            printable(&label.name),
            label.confidence,
            label.decision.as_str()
        )?;
        evidence(out, &label.evidence)?;
        if let Some(remainder) = label.evidence_remainder {
            writeln!(out, "           {FAINT}{remainder:>+7.3}  (function words and all other terms){FAINT:#}")?;
        }
        what = "";
    }
    Ok(())
}

fn evidence(out: &mut dyn io::Write, evidence: &[Evidence]) -> io::Result<()> {
    for one in evidence {
        writeln!(
            out,
            "           {FAINT}{:>+7.3}  {:<34} {:<9} {}-{}{FAINT:#}",
            one.weight,
            excerpt(&one.term),
            field(one.field),
            one.start,
            one.end
        )?;
    }
    Ok(())
}

fn field(field: Field) -> &'static str {
    match field {
        Field::Headline => "headline",
        Field::Body => "body",
        Field::Dateline => "dateline",
    }
}

fn excerpt(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let text = printable(&words.join(" "));
    if text.chars().count() > 60 { text.chars().take(57).chain("...".chars()).collect() } else { text }
}
