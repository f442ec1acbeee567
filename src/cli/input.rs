//! Arguments for labelled files, and the rows of them that are left out.

use super::output;
use crate::{
    article::Format,
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
    /// What separates the cells of CSV: one character, or \t for a tab; guessed from the first line by default
    #[arg(long, value_name = "CHAR", value_parser = ascii)]
    delimiter: Option<u8>,
    /// What quotes the cells of CSV: one character [default: "]
    #[arg(long, value_name = "CHAR", value_parser = ascii)]
    quote: Option<u8>,
    /// The format of texts that do not state one; by default rows with HTML in many rows of their file are read as HTML
    #[arg(long, value_name = "FORMAT", value_parser = format)]
    format: Option<Format>,
    /// The language of texts that do not state one, as an ISO 639 code such as so; detected by default
    #[arg(long, value_name = "CODE", value_parser = language)]
    language: Option<String>,
}

/// One ASCII character that may stand between or around cells.
fn ascii(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        b"\\t" => Ok(b'\t'),
        [byte] if byte.is_ascii() && !matches!(byte, b'\n' | b'\r') => Ok(*byte),
        _ => Err("expected one ASCII character, or \\t for a tab".to_owned()),
    }
}

fn format(text: &str) -> Result<Format, String> {
    match text {
        "text" => Ok(Format::Text),
        "html" => Ok(Format::Html),
        _ => Err("expected text or html".to_owned()),
    }
}

fn language(text: &str) -> Result<String, String> {
    let is_code = (2..=3).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase());
    is_code
        .then(|| text.to_owned())
        .ok_or_else(|| "expected an ISO 639 code of two or three letters, such as so".to_owned())
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
        Reading {
            columns: self.columns.clone().unwrap_or_default(),
            encoding: self.encoding,
            delimiter: self.delimiter,
            quote: self.quote,
            format: self.format,
            language: self.language.clone(),
        }
    }
}

/// The most labels that are listed as missing in a map.
const MAX_UNMAPPED: usize = 20;

/// Prints the rows that are left out, and why, on standard error.
pub fn print_left_out(left_out: &LeftOut) {
    print_counts(left_out);
    print_first_places(left_out);
    print_labels(left_out);
    let unknown = tables::unknown_regions(left_out, MAX_UNMAPPED);
    for table in [tables::bad_rows(left_out), tables::unmapped(left_out, MAX_UNMAPPED), unknown] {
        if !table.is_empty() {
            eprintln!("{}", table.to_terminal());
        }
    }
}

fn print_counts(left_out: &LeftOut) {
    for (count, what) in [
        (left_out.unlabelled, "have no label of the kind that their file was given for, and are left out"),
        (left_out.unusable, "have no text, or a field over its limit"),
        (left_out.unwanted, "have labels that the map leaves out"),
        (left_out.of_rare_labels, "have only labels with too few rows to be learned (--min-rows)"),
        (left_out.copied_single_topics, "with a single topic are copies of other rows"),
        (left_out.corrected, "gave way to corrections"),
        (left_out.superseded_corrections, "are corrections that a later correction of the same article replaces"),
        (left_out.unused_corrections, "are corrections of what is not trained: give its archive too"),
    ] {
        if count > 0 {
            eprintln!("{count} rows {what}");
        }
    }
}

/// Prints what rows have in common, with the place of the first.
fn print_first_places(left_out: &LeftOut) {
    let undated = format!("are kept without their date: {DATES}");
    for (rows, place, what) in [
        (left_out.undated, &left_out.first_undated, &*undated),
        (left_out.long, &left_out.first_long, "have a text of more than 200,000 bytes: is a quote missing?"),
        (
            left_out.future,
            &left_out.first_future,
            "are dated in the future, and are used without their date (--last-day)",
        ),
        (
            left_out.unmatched_corrections,
            &left_out.first_unmatched_correction,
            "are corrections without a text, whose id no row of the archive has, or several: they are left out",
        ),
        (
            left_out.clashing_corrections,
            &left_out.first_clashing_correction,
            "are corrections whose id another article of the archive has too: both are used; --correct-by-id replaces the latter",
        ),
    ] {
        if let Some(place) = place {
            eprintln!("{rows} rows {what}; the first is {}", output::printable(&place.to_string()));
        }
    }
    for (file, markup) in &left_out.markup {
        let as_what = if markup.is_converted { "HTML" } else { "text" };
        eprintln!(
            "{}: {} rows have HTML tags and {} others character references; they are read as {as_what} (--format)",
            output::printable(file),
            markup.tags,
            markup.references
        );
    }
}

fn print_labels(left_out: &LeftOut) {
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
}
