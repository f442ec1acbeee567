//! The page of a report: one HTML file without scripts and without requests.

use super::{
    data::{LabelRow, RegionReport, Report, Slice, Slices, TopicReport},
    plots,
    table::Table,
    tables,
};
use crate::train::metrics::SourceScore;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use std::{collections::BTreeMap, io, path::Path};

/// The most labels that are listed as missing in a map.
const MAX_UNMAPPED: usize = 100;

/// No requests, and no scripts.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

const STYLE: &str = "
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
h1, h2, h3 { line-height: 1.2; } h2 { border-top: 1px solid #ccc; padding-top: 1rem; margin-top: 2.5rem; }
table { border-collapse: collapse; margin: .5rem 0 1.5rem; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .7rem; border-bottom: 1px solid #e4e4e4; text-align: right; vertical-align: top; }
th { background: #f4f6f9; } .l { text-align: left; } .bad { color: #b3391f; font-weight: 600; }
.plots { display: flex; flex-wrap: wrap; gap: 1rem; } figure { margin: 0; } figcaption { color: #555; max-width: 26rem; }
.scroll { overflow-x: auto; } .bar { display: inline-block; height: .7rem; background: #264678; vertical-align: middle; }
@media print { figure, table { break-inside: avoid; } }
";

impl Report {
    /// Writes the page to `path`, and the report's JSON form beside it with the ending `.json`.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        std::fs::write(path, page(self))?;
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        std::fs::write(path.with_extension("json"), json)
    }
}

fn page(report: &Report) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                title { "Dateline model " (report.version) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "Dateline model " (report.version) }
                @for how in &report.how { p { (how) } }
                @if !report.comparisons.is_empty() {
                    (section("Against the model in service", &tables::comparisons(&report.comparisons, false)))
                }
                (corrections(&report.corrections))
                @if let Some(topics) = &report.topics { (topic_section(topics)) }
                @if let Some(regions) = &report.regions { (region_section(regions)) }
                (section("Data", &tables::files(&report.trained_on)))
                (subsection("Rows that could not be read", &tables::bad_rows(&report.left_out)))
                (subsection("Labels that the map lacks", &tables::unmapped(&report.left_out, MAX_UNMAPPED)))
            }
        }
    };
    page.into_string()
}

fn topic_section(topics: &TopicReport) -> Markup {
    html! {
        h2 { "Topics" }
        p { (topics.rows) " articles." }
        (tables::measures("measure", &topics.measures).to_html())
        div.plots {
            (figure(&plots::reliability(&topics.reliability), "Confidence of each topic, and the share of articles about it. On the grey line they are equal; larger points stand for more pairs of an article and a topic."))
            (figure(&plots::coverage(&topics.coverage), "Precision of the best topic for the most confident share of the answers."))
            @if !topics.learning.is_empty() {
                (figure(&plots::learning(&topics.learning), "Accuracy on the same articles by number of training rows, before calibration. Where it still rises, more articles would help."))
            }
        }
        (subsection("Labels", &tables::labels(&topics.labels)))
        h3 { "Confusion" }
        div.scroll {
            (figure(&plots::confusion(topics, &names(&topics.confusion_labels, &topics.labels)), "Rows: labels of the articles. Columns: labels answered. Blue is right, red is wrong; darker is a larger share of its row."))
        }
        @if let Some(subtopics) = &topics.subtopics {
            h3 { "Sub-topics" }
            (tables::measures("measure", &subtopics.measures).to_html())
            (tables::labels(&subtopics.labels).to_html())
        }
        (sources(&topics.sources, &topics.left_out_sources))
        (slices(&topics.slices, "best topic right"))
        (mistakes(&tables::mistakes(&topics.mistakes)))
    }
}

fn region_section(regions: &RegionReport) -> Markup {
    html! {
        h2 { "Regions" }
        p { (regions.rows) " articles." }
        (tables::measures("measure", &regions.measures).to_html())
        div.plots {
            (figure(&plots::reliability(&regions.reliability), "Confidence of the first country, and the share of articles about it."))
            (figure(&plots::coverage(&regions.coverage), "Precision of the first country for the most confident share of the answers."))
        }
        (subsection("Countries with at least five articles", &tables::labels(&regions.labels)))
        (sources(&regions.sources, &regions.left_out_sources))
        (slices(&regions.slices, "countries exactly right"))
        (mistakes(&tables::mistakes(&regions.mistakes)))
    }
}

fn section(title: &str, table: &Table) -> Markup {
    html! { h2 { (title) } (table.to_html()) }
}

/// Nothing for an empty table.
fn subsection(title: &str, table: &Table) -> Markup {
    html! { @if !table.is_empty() { h3 { (title) } (table.to_html()) } }
}

fn figure(svg: &str, caption: &str) -> Markup {
    html! { figure { (PreEscaped(svg)) figcaption { (caption) } } }
}

fn names(codes: &[String], labels: &[LabelRow]) -> Vec<String> {
    let name = |code: &String| labels.iter().find(|label| label.code == *code).map(|label| label.name.clone());
    codes.iter().map(|code| name(code).unwrap_or_else(|| "no answer, or another".to_owned())).collect()
}

fn sources(sources: &BTreeMap<String, SourceScore>, left_out: &BTreeMap<String, SourceScore>) -> Markup {
    html! {
        @if sources.len() > 1 { (subsection("Sources", &tables::sources(sources))) }
        @if left_out.len() > 1 {
            (subsection("Sources, each by a model that has seen no row of it", &tables::sources(left_out)))
        }
    }
}

fn slices(slices: &Slices, what: &str) -> Markup {
    let table = |property: &str, slices: &[Slice]| {
        html! { @if slices.len() > 1 { (tables::slices(property, what, slices).to_html()) } }
    };
    html! {
        h3 { "By length, year and source" }
        div.plots { (table("length", &slices.length)) (table("year", &slices.year)) (table("source", &slices.source)) }
    }
}

fn mistakes(table: &Table) -> Markup {
    html! {
        h3 { "The most confident mistakes" }
        p { "If the model is confident and the row has another label, the label of the row is often wrong." }
        (table.to_html())
    }
}

fn corrections(corrections: &BTreeMap<String, [usize; 2]>) -> Markup {
    html! {
        @for (part, [all, right]) in corrections {
            p { "Corrections of " (part) ": the model that learned from them answers " (right) " of " (all) " right." }
        }
    }
}
