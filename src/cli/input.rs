//! What commands say of labelled files.

use super::output;
use crate::{
    formats::{self, Columns, Reading},
    train::{DATES, LeftOut, MAX_BAD},
};
use anstream::eprintln;
use encoding_rs::Encoding;
use std::path::PathBuf;

/// How files are read that do not say it themselves.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Input")]
pub struct ReadingArgs {
    /// Which column of CSV, or field of JSON, holds what: body=Text,topics=Section; numbers from 1 where a CSV file has no head.
    /// What is not named is guessed by what columns are called
    #[arg(long, value_name = "FIELD=COLUMN,...", value_parser = str::parse::<Columns>)]
    columns: Option<Columns>,
    /// The encoding of files that are not in UTF-8, such as windows-1252; pages and XML say it themselves
    #[arg(long, value_name = "NAME", value_parser = formats::encoding)]
    encoding: Option<&'static Encoding>,
}

/// How labelled files are read.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Input")]
pub struct InputArgs {
    #[command(flatten)]
    reading: ReadingArgs,
    /// A CSV file with an archive's own labels and their codes: two cells a row, several codes with | between, none where rows
    /// are not wanted
    #[arg(long, value_name = "FILE")]
    pub map: Option<PathBuf>,
    /// So many rows that cannot be read are left out; one more ends the run
    #[arg(long, value_name = "N", default_value_t = MAX_BAD)]
    pub max_bad: u64,
}

impl InputArgs {
    /// How files are read.
    pub fn reading(&self) -> Reading {
        self.reading.reading()
    }
}

impl ReadingArgs {
    /// How files are read.
    pub fn reading(&self) -> Reading {
        Reading { columns: self.columns.clone().unwrap_or_default(), encoding: self.encoding }
    }
}

/// Labels that a map lacks are shown up to so many.
const MOST_UNMAPPED: usize = 20;

/// Tells on standard error what was left out, and why.
pub fn tell(left_out: &LeftOut) {
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
        let place = output::printable(place);
        eprintln!("{} rows are kept without their date, the first at {place}: {DATES}", left_out.undated);
    }
    if let Some(place) = &left_out.first_orphan_subtopic {
        let place = output::printable(place);
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
    if !left_out.bad.is_empty() {
        let mut table = output::table(&["bad rows", "first at", "reason"], 0);
        output::to_the_left(&mut table, &[1, 2]);
        for bad in &left_out.bad {
            table.add_row([bad.rows.to_string(), output::printable(&bad.first), output::printable(&bad.reason)]);
        }
        eprintln!("{table}");
    }
    if !left_out.unmapped.is_empty() {
        let mut labels: Vec<(&String, &u64)> = left_out.unmapped.iter().collect();
        labels.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        let mut table = output::table(&["rows", "label that the map lacks"], 0);
        output::to_the_left(&mut table, &[1]);
        for (label, count) in labels.iter().take(MOST_UNMAPPED) {
            table.add_row([count.to_string(), output::printable(label)]);
        }
        let more = labels.len().saturating_sub(MOST_UNMAPPED);
        if more > 0 {
            table.add_row([String::new(), format!("and {more} more")]);
        }
        eprintln!("{table}");
    }
}
