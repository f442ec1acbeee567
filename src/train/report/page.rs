use super::{LabelRow, Mistake, Report, Slice, Slices, SourceScore, plots};
use crate::train::metrics;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use std::collections::BTreeMap;

/// Nothing is asked of any network, and no script runs.
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

/// The page.
pub fn page(report: &Report) -> String {
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
                (comparisons(report))
                (corrections(&report.corrections))
                @if let Some(topics) = &report.topics {
                    h2 { "Topics" }
                    (measures(topics.rows, &topics.measures))
                    div.plots {
                        (figure(&plots::reliability(&topics.reliability), "Confidence of each topic against how often articles are about it. On the grey line they are the same; larger points stand for more pairs of an article and a topic."))
                        (figure(&plots::coverage(&topics.coverage), "How often the best topic is right where only the surest answers are taken."))
                        @if !topics.learning.is_empty() {
                            (figure(&plots::learning(&topics.learning), "Accuracy on the same articles, learned from more and more of the others, before calibration. Where it still rises, more articles would help."))
                        }
                    }
                    h3 { "Labels" }
                    (labels(&topics.labels))
                    h3 { "What is taken for what" }
                    div.scroll {
                        (figure(&plots::confusion(topics, &names(&topics.confusion_labels, &topics.labels)), "Rows: what the articles carry. Columns: what was answered; blue is right, red is wrong, darker is a larger share of its row."))
                    }
                    @if let Some(subtopics) = &topics.subtopics {
                        h3 { "Sub-topics" }
                        (measures(topics.rows, &subtopics.measures))
                        (labels(&subtopics.labels))
                    }
                    (sources("Sources", &topics.sources))
                    (sources("Sources, each by a model that has seen no row of it", &topics.left_out_sources))
                    (slices(&topics.slices, "share whose best topic is right"))
                    (mistakes(&topics.mistakes))
                }
                @if let Some(regions) = &report.regions {
                    h2 { "Regions" }
                    (measures(regions.rows, &regions.measures))
                    div.plots {
                        (figure(&plots::reliability(&regions.reliability), "Confidence of the first country against how often it is one of the article's."))
                        (figure(&plots::coverage(&regions.coverage), "How often the first country is one of the article's where only the surest answers are taken."))
                    }
                    h3 { "Countries with at least five articles" }
                    (labels(&regions.labels))
                    (sources("Sources", &regions.sources))
                    (sources("Sources, each by a model that has seen no row of it", &regions.left_out_sources))
                    (slices(&regions.slices, "share with exactly the right countries"))
                    (mistakes(&regions.mistakes))
                }
                h2 { "Data" }
                (files(report))
                (left_out(report))
            }
        }
    };
    page.into_string()
}

fn share(value: f64) -> String {
    format!("{value:.3}")
}

fn figure(svg: &str, caption: &str) -> Markup {
    html! { figure { (PreEscaped(svg)) figcaption { (caption) } } }
}

fn names(codes: &[String], labels: &[LabelRow]) -> Vec<String> {
    let name = |code: &String| labels.iter().find(|label| label.code == *code).map(|label| label.name.clone());
    codes.iter().map(|code| name(code).unwrap_or_else(|| "no answer, or another".to_owned())).collect()
}

fn measures(rows: usize, measures: &BTreeMap<String, f64>) -> Markup {
    html! {
        table {
            tr { th.l { "measure" } th { "value" } }
            tr { td.l { "articles" } td { (rows) } }
            @for (name, value) in measures { tr { td.l { (name) } td { (share(*value)) } } }
        }
    }
}

fn labels(labels: &[LabelRow]) -> Markup {
    let terms = labels.iter().any(|label| !label.terms.is_empty());
    html! {
        div.scroll { table {
            tr { th.l { "code" } th.l { "name" } th { "precision" } th { "recall" } th { "F1" } th.l {} th { "articles" } @if terms { th.l { "most telling" } } }
            @for label in labels {
                tr {
                    td.l { (label.code) } td.l { (label.name) }
                    td { (share(label.precision)) } td { (share(label.recall)) } td { (share(label.f1)) }
                    td.l { span.bar style=(format!("width:{:.0}px", label.f1 * 80.0)) {} }
                    td { (label.support) }
                    @if terms { td.l { (label.terms.join(", ")) } }
                }
            }
        } }
    }
}

fn sources(title: &str, sources: &BTreeMap<String, SourceScore>) -> Markup {
    html! {
        @if sources.len() > 1 {
            h3 { (title) }
            table {
                tr { th.l { "source" } th { "articles" } @for name in metrics::source_measures(sources) { th { (name) } } }
                @for (source, score) in sources {
                    tr {
                        td.l { (source) } td { (score.rows) }
                        @for value in score.measures.values() { td { (share(*value)) } }
                    }
                }
            }
        }
    }
}

fn slices(slices: &Slices, what: &str) -> Markup {
    let table = |name: &str, slices: &[Slice]| {
        html! {
            @if slices.len() > 1 {
                table {
                    tr { th.l { (name) } th { "articles" } th { (what) } th.l {} }
                    @for slice in slices {
                        tr {
                            td.l { (slice.name) } td { (slice.rows) } td { (share(slice.right)) }
                            td.l { span.bar style=(format!("width:{:.0}px", slice.right * 80.0)) {} }
                        }
                    }
                }
            }
        }
    };
    html! {
        h3 { "By length, year and source" }
        div.plots { (table("length", &slices.length)) (table("year", &slices.year)) (table("source", &slices.source)) }
    }
}

fn mistakes(mistakes: &[Mistake]) -> Markup {
    html! {
        h3 { "The surest mistakes" }
        p { "Where the model is sure and the row says something else, the row is often wrong: worth a look." }
        div.scroll { table {
            tr { th.l { "id" } th.l { "row" } th.l { "says" } th.l { "answered" } th { "confidence" } }
            @for one in mistakes {
                tr { td.l { (one.id) } td.l { (one.place) } td.l { (one.label) } td.l { (one.answer) } td { (share(one.confidence)) } }
            }
        } }
    }
}

fn comparisons(report: &Report) -> Markup {
    html! {
        @if !report.comparisons.is_empty() {
            h2 { "Against the model in service" }
            div.scroll { table {
                tr { th.l { "measure" } th { "rows" } th { "in service" } th { "new" } th { "difference" } th { "95 % of resamplings" } th.l { "objection" } }
                @for one in &report.comparisons {
                    tr {
                        td.l { (one.measure) } td { (one.rows) } td { (one.live.map_or_else(|| "-".to_owned(), share)) } td { (share(one.candidate)) }
                        td { (one.live.map_or_else(|| "-".to_owned(), |live| format!("{:+.3}", one.candidate - live))) }
                        td { @if let Some((low, high)) = one.interval { (format!("{low:+.3} to {high:+.3}")) } }
                        td.l.bad { @if let Some(objection) = &one.objection { (objection) } }
                    }
                }
            } }
        }
    }
}

fn corrections(corrections: &BTreeMap<String, [usize; 2]>) -> Markup {
    html! {
        @for (part, [all, right]) in corrections {
            p { "Corrections about " (part) ": the model that learned from them answers " (right) " of " (all) " right." }
        }
    }
}

fn files(report: &Report) -> Markup {
    html! {
        div.scroll { table {
            tr { th.l { "file" } th.l { "task" } th.l { "labels" } th { "rows" } th.l { "sha256" } }
            @for file in &report.trained_on {
                tr {
                    td.l { (file.name) } td.l { (file.task.as_str()) } td.l { (file.labels.as_str()) }
                    td { (file.rows) } td.l { code { (file.sha256.get(..16).unwrap_or_default()) } }
                }
            }
        } }
    }
}

fn left_out(report: &Report) -> Markup {
    let left_out = &report.left_out;
    html! {
        @if left_out.bad_rows() > 0 {
            h3 { "Rows that could not be read" }
            table {
                tr { th { "rows" } th.l { "first at" } th.l { "reason" } }
                @for bad in &left_out.bad { tr { td { (bad.rows) } td.l { (bad.first) } td.l { (bad.reason) } } }
            }
        }
        @if !left_out.unmapped.is_empty() {
            h3 { "Labels that the map lacks" }
            table {
                tr { th.l { "label" } th { "rows" } }
                @for (label, rows) in &left_out.unmapped { tr { td.l { (label) } td { (rows) } } }
            }
        }
    }
}
