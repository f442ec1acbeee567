//! Output shared by commands: styles, text of articles made safe for a terminal, the file of a report.

use super::failure::Failure;
use crate::train::evaluate::Evaluation;
use anstyle::{AnsiColor, Style};
use std::path::{Path, PathBuf};

/// For the word "error".
pub const ERROR: Style = AnsiColor::Red.on_default().bold();
/// For the word "warning".
pub const WARNING: Style = AnsiColor::Yellow.on_default().bold();
/// For titles.
pub const TITLE: Style = Style::new().bold();
/// For details.
pub const FAINT: Style = Style::new().dimmed();

/// Text of an article or a file on one line: control characters, which could steer the terminal, become blanks.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Parses the name of a report's page; the JSON form is written beside it with another ending.
pub fn report_path(name: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(name);
    match path.extension().is_some_and(|end| end == "html" || end == "htm") {
        true => Ok(path),
        false => Err("write a name that ends in .html".to_owned()),
    }
}

/// Checks that a report overwrites no input file, and that its folder exists.
pub fn check_not_overwriting<'a>(report: &Path, read: impl Iterator<Item = &'a PathBuf>) -> Result<(), Failure> {
    let same = |a: &Path, b: &Path| a.canonicalize().is_ok_and(|a| b.canonicalize().is_ok_and(|b| a == b));
    let written = [report.to_owned(), report.with_extension("json")];
    for path in read {
        if let Some(written) = written.iter().find(|written| same(written, path)) {
            return Err(Failure::Usage(format!("the report would overwrite {}: give another name", written.display())));
        }
    }
    match report.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()) {
        Some(folder) => Err(Failure::Usage(format!("no such folder for the report: {}", folder.display()))),
        None => Ok(()),
    }
}

/// How many test rows have topics that the model lacks, and its quality on the others; `None` if there are none.
pub fn unknown_topics(evaluation: &Evaluation) -> Option<String> {
    const MOST_SHOWN: usize = 10;
    let labels = &evaluation.unknown_topics;
    if labels.is_empty() {
        return None;
    }
    let shown = labels.iter().take(MOST_SHOWN).map(|(label, rows)| format!("{} {rows}", printable(label)));
    let shown: Vec<String> = shown.collect();
    let more = if labels.len() > MOST_SHOWN { ", ..." } else { "" };
    let rest = match &evaluation.topics_of_known_labels {
        Some(scores) => format!(
            "without these rows: {} rows, accuracy {:.3}, micro-F1 {:.3}, macro-F1 {:.3}",
            scores.rows, scores.accuracy, scores.micro_f1, scores.macro_f1
        ),
        None => "no row has only topics of the model".to_owned(),
    };
    Some(format!("the model lacks topics of these rows, which count as wrong ({}{more}); {rest}", shown.join(", ")))
}
