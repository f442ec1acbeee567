//! Properties of rows: the day, the file, the words.

use crate::{
    formats::{Record, Source, date},
    model::word_hashes,
};
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use std::path::Path;
use xxhash_rust::xxh3::xxh3_64;

/// The day of publication; `None` if the row has none, or an invalid one.
pub fn day(record: &Record) -> Option<Date> {
    date::day(&record.published)
}

/// The day in UTC.
pub fn today() -> Date {
    Timestamp::now().to_zoned(TimeZone::UTC).date()
}

/// The number of records that were read from a file, or from the files of a folder.
pub fn rows_of(path: &Path, records: &[Record]) -> u64 {
    let name = Source::from(path).name();
    let of_it = |record: &&Record| {
        let file = record.place.path();
        file == Path::new(&name) || file.starts_with(path)
    };
    records.iter().filter(of_it).count() as u64
}

/// The name of a file, without folders.
pub fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// A hash of a text, for an order that is as good as random.
pub fn text_hash(text: &str) -> u64 {
    xxh3_64(text.as_bytes())
}

/// The hashes of an article's words, in order.
pub fn words_of(record: &Record) -> Vec<u64> {
    word_hashes(&record.article)
}
