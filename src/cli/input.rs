//! Arguments for labelled files, and the rows of them that are left out.

use super::output;
use crate::{
    formats::{self, Columns, Reading},
    report::tables,
    train::{DATES, LeftOut, MAX_BAD},
};
use anstream::eprintln;
use encoding_rs::Encoding;
use std::path::PathBuf;

/// How to read files that do not describe themselves.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Input")]
pub struct ReadingArgs {
    /// The columns of CSV, or the fields of JSON: body=Text,topics=Section; numbers from 1 if a CSV file has no header.
    /// Other fields are found by the usual names of columns
    #[arg(long, value_name = "FIELD=COLUMN,...", value_parser = str::parse::<Columns>)]
    columns: Option<Columns>,
    /// The encoding of files that are not in UTF-8, such as windows-1252; HTML and XML declare their own
    #[arg(long, value_name = "NAME", value_parser = formats::encoding)]
    encoding: Option<&'static Encoding>,
}

/// How to read labelled files.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Input")]
pub struct InputArgs {
    #[command(flatten)]
    reading: ReadingArgs,
    /// A CSV file that maps the labels of an archive to codes: two cells per row, several codes separated by |, no code
    /// to drop the label
    #[arg(long, value_name = "FILE")]
    pub map: Option<PathBuf>,
    /// The most rows that may be invalid; more end the run
    #[arg(long, value_name = "N", default_value_t = MAX_BAD)]
    pub max_bad: u64,
}

impl InputArgs {
    /// How to read files.
    pub fn reading(&self) -> Reading {
        self.reading.reading()
    }
}

impl ReadingArgs {
    /// How to read files.
    pub fn reading(&self) -> Reading {
        Reading { columns: self.columns.clone().unwrap_or_default(), encoding: self.encoding }
    }
}

/// The most labels that are listed as missing in a map.
const MAX_UNMAPPED: usize = 20;

/// Prints the rows that are left out, and why, on standard error.
pub fn print_left_out(left_out: &LeftOut) {
    for (count, what) in [
        (left_out.unlabelled, "lack the field that this option needs"),
        (left_out.unusable, "have no text, or a field over its limit"),
        (left_out.unwanted, "have labels that the map leaves out"),
        (left_out.of_rare_labels, "have only labels with too few rows to be learned (--min-rows)"),
        (left_out.copied_single_topics, "with a single topic are copies of other rows"),
        (left_out.corrected, "gave way to corrections"),
        (left_out.unused_corrections, "are corrections of what is not trained: give its archive too"),
    ] {
        if count > 0 {
            eprintln!("{count} rows {what}");
        }
    }
    if let Some(place) = &left_out.first_undated {
        let place = output::printable(&place.to_string());
        eprintln!("{} rows are kept without their date, the first at {place}: {DATES}", left_out.undated);
    }
    if let Some(place) = &left_out.first_orphan_subtopic {
        let place = output::printable(&place.to_string());
        let orphans = left_out.orphan_subtopics;
        eprintln!(
            "{orphans} sub-topics stand in rows without their topic and are not learned there, the first at {place}"
        );
    }
    let rare = left_out.rare_subtopics.iter();
    let rare: Vec<String> = rare.map(|(label, rows)| format!("{} ({rows})", output::printable(label))).collect();
    if !rare.is_empty() {
        eprintln!(
            "{} sub-topics have too few rows to be learned (--min-subtopic-rows): {}",
            rare.len(),
            rare.join(", ")
        );
    }
    for (label, rows) in &left_out.unknown_single_topics {
        let label = output::printable(label);
        eprintln!("{rows} rows of --single-topic have the topic {label:?}, which no row of --topics carries");
    }
    for (label, rows) in &left_out.rare_labels {
        eprintln!(
            "the label {:?} has too few rows: it has {rows} different rows (--min-rows)",
            output::printable(label)
        );
    }
    for [one, other] in &left_out.alike {
        let (one, other) = (output::printable(one), output::printable(other));
        eprintln!("the labels {one:?} and {other:?} differ by case alone: --map makes them one");
    }
    for table in [tables::bad_rows(left_out), tables::unmapped(left_out, MAX_UNMAPPED)] {
        if !table.is_empty() {
            eprintln!("{}", table.to_terminal());
        }
    }
}
