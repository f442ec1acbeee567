//! What commands say of labelled files.

use super::output;
use crate::{
    formats::{self, Columns, Reading},
    train::{LeftOut, MAX_BAD},
};
use anstream::eprintln;
use encoding_rs::Encoding;
use std::path::PathBuf;

/// How labelled files are read.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Input")]
pub struct InputArgs {
    /// Which column of CSV, or field of JSON, holds what: body=Text,topics=Section; numbers from 1 where a CSV file has no head.
    /// What is not named is guessed by what columns are called
    #[arg(long, value_name = "FIELD=COLUMN,...", value_parser = str::parse::<Columns>)]
    columns: Option<Columns>,
    /// How files are encoded that are not in UTF-8, such as windows-1252
    #[arg(long, value_name = "NAME", value_parser = formats::encoding)]
    encoding: Option<&'static Encoding>,
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
        Reading { columns: self.columns.clone().unwrap_or_default(), encoding: self.encoding }
    }
}

/// Labels that a map lacks are shown up to so many.
const MOST_UNMAPPED: usize = 20;

/// Tells on standard error what was left out, and why.
pub fn tell(left_out: &LeftOut) {
    for (count, what) in [
        (left_out.unlabelled, "have not what their file was given for"),
        (left_out.unusable, "have no text, or too much"),
        (left_out.unwanted, "have labels that the map leaves out"),
        (left_out.corrected, "gave way to corrections"),
        (left_out.unused_corrections, "are corrections of what is not trained: give its archive too"),
    ] {
        if count > 0 {
            eprintln!("{count} rows {what}");
        }
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
