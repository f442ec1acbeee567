//! The file of labelled rows: each row is on the disk when the next article is shown.

use super::Labels;
use crate::{
    cli::failure::Failure,
    formats::{ArticleFields, Reading, Record, Source, records},
};
use serde::Serialize;
use std::{
    collections::HashSet,
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

/// A labelled row. It was chosen, and says so: the frequencies of labels are not taken from it.
#[derive(Serialize)]
struct Row<'a> {
    id: &'a str,
    #[serde(flatten)]
    article: ArticleFields<'a>,
    #[serde(skip_serializing_if = "str::is_empty")]
    published: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    source: &'a str,
    topics: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    regions: Option<&'a [String]>,
    how: &'static str,
}

/// A file of labelled rows.
pub struct LabelFile {
    path: PathBuf,
    file: File,
    /// The id and the start of each row of this run, in order.
    written: Vec<(String, u64)>,
    /// All ids of the file.
    ids: HashSet<String>,
}

impl LabelFile {
    /// Opens a file, or creates it. Until it is dropped, no other process can open it so.
    ///
    /// # Errors
    /// If it cannot be opened, another process writes to it, or a row of it cannot be read.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let fault = |error: std::io::Error| Failure::failed(format!("{}: {error}", path.display()));
        let mut options = OpenOptions::new();
        let mut file = options.read(true).write(true).create(true).truncate(false).open(path).map_err(fault)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => {
                let path = path.display();
                Failure::failed(format!("{path}: another process writes to this file: give each its own --out"))
            }
            TryLockError::Error(error) => fault(error),
        })?;
        let mut ids = HashSet::new();
        if file.metadata().map_err(fault)?.len() > 0 {
            for record in records(&Source::from(path), &Reading::default()) {
                let record = record.map_err(|error| Failure::BadInput(format!("{error}; mend this row first")))?;
                ids.insert(record.article.id);
            }
        }
        end_last_line(&mut file).map_err(fault)?;
        Ok(LabelFile { path: path.to_owned(), file, written: Vec::new(), ids })
    }

    /// Whether an article is labelled.
    pub fn contains(&self, record: &Record) -> bool {
        self.ids.contains(&record.article.id)
    }

    /// The number of labelled articles.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Appends a row.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn append(&mut self, record: &Record, labels: &Labels) -> Result<(), Failure> {
        let article = &record.article;
        let row = Row {
            id: &article.id,
            article: article.into(),
            published: &record.published,
            source: &record.source,
            topics: &labels.topics,
            regions: labels.countries.as_deref(),
            how: "selected",
        };
        let line = serde_json::to_string(&row).map_err(Failure::failed)? + "\n";
        let start = self.write(&line).map_err(|error| Failure::failed(format!("{}: {error}", self.path.display())))?;
        self.written.push((article.id.clone(), start));
        self.ids.insert(article.id.clone());
        Ok(())
    }

    /// Writes a line at the end; returns its start.
    fn write(&mut self, line: &str) -> std::io::Result<u64> {
        let start = self.file.seek(SeekFrom::End(0))?;
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data());
        if written.is_err() {
            // Half a row would be an invalid one.
            let _ = self.file.set_len(start);
        }
        written.map(|()| start)
    }

    /// Removes the row of an article, if it is the last one of this run; whether it was there.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn take_back(&mut self, record: &Record) -> Result<bool, Failure> {
        let Some((_, start)) = self.written.pop_if(|(id, _)| *id == record.article.id) else { return Ok(false) };
        self.ids.remove(&record.article.id);
        self.file.set_len(start).map_err(|error| Failure::failed(format!("{}: {error}", self.path.display())))?;
        Ok(true)
    }
}

/// Ends the last line of a file, if it has no end.
fn end_last_line(file: &mut File) -> std::io::Result<()> {
    if file.seek(SeekFrom::End(0))? > 0 {
        file.seek(SeekFrom::End(-1))?;
        let mut last = [0];
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Article;

    fn record(id: &str) -> Record {
        Record {
            article: Article { id: id.to_owned(), body: "A text.".to_owned(), ..Article::default() },
            ..Record::default()
        }
    }

    #[test]
    fn rows_are_appended_and_taken_back_and_found_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("labels.jsonl");
        std::fs::write(&path, "{\"id\": \"0\", \"body\": \"b\", \"topics\": [\"x\"]}").expect("it is written");
        let labels = Labels { topics: vec!["sport".to_owned()], countries: Some(Vec::new()) };
        let mut file = LabelFile::open(&path).expect("it opens");
        file.append(&record("1"), &labels).expect("it is written");
        file.append(&record("2"), &labels).expect("it is written");
        assert!(LabelFile::open(&path).is_err(), "it is locked");
        assert!(!file.take_back(&record("1")).expect("it is not the last"));
        assert!(file.take_back(&record("2")).expect("it is written"));
        assert!(!file.take_back(&record("0")).expect("it is of another run"));
        drop(file);
        let file = LabelFile::open(&path).expect("it opens");
        assert_eq!((file.len(), ["0", "1", "2"].map(|id| file.contains(&record(id)))), (2, [true, true, false]));
        let text = std::fs::read_to_string(&path).expect("UTF-8");
        assert!(text.ends_with("\"topics\":[\"sport\"],\"regions\":[],\"how\":\"selected\"}\n"), "{text}");
        assert_eq!(text.lines().count(), 2);
    }
}
