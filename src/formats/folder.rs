//! Folders of input: files with rows, or one folder per label with one article per file.

use super::{InputError, Place, kind::FileKind, source};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// A file in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The file.
    pub path: PathBuf,
    /// The label, if the file is in the folder of one; the file is then one article.
    pub label: Option<String>,
}

/// The files of a folder and of its direct subfolders, without hidden ones, in the order of their names. The names of
/// subfolders are labels; files next to subfolders are included only if their names are those of files with rows.
///
/// # Errors
/// If the folder cannot be read, or has no files.
pub fn members(folder: &Path) -> Result<Vec<Member>, InputError> {
    let mut members = Vec::new();
    for entry in sorted(folder)? {
        if entry.is_dir() {
            let label = entry.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let files = sorted(&entry)?.into_iter().filter(|path| path.is_file());
            members.extend(files.map(|path| Member { path, label: Some(label.clone()) }));
        } else {
            members.push(Member { path: entry, label: None });
        }
    }
    if members.iter().any(|member| member.label.is_some()) {
        members.retain(|member| {
            let name = member.path.to_string_lossy();
            member.label.is_some() || FileKind::of_name(&name).is_some_and(FileKind::has_rows)
        });
    }
    if members.is_empty() {
        return Err(InputError::new(&place(folder), "the folder has no files"));
    }
    Ok(members)
}

fn place(folder: &Path) -> Place {
    Place::of_file(folder.display().to_string())
}

/// The entries of a folder that are not hidden, in the order of their names.
fn sorted(folder: &Path) -> Result<Vec<PathBuf>, InputError> {
    let fault = |error: io::Error| InputError::new(&place(folder), source::explain(&error));
    let entries = fs::read_dir(folder).map_err(fault)?;
    let mut paths: Vec<PathBuf> =
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<_>>().map_err(fault)?;
    paths.retain(|path| !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')));
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::{Reading, Record, Source, open, records_of};

    fn records(member: &Member) -> impl Iterator<Item = Record> {
        let source = Source::File(member.path.clone());
        let records = records_of(open(&member.path), &source, member.label.as_deref(), &Reading::default());
        records.map(|record| record.expect("text"))
    }

    #[test]
    fn subfolders_are_labels_and_other_folders_have_rows() {
        let folder = tempfile::tempdir().expect("a folder");
        let put = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("it is made");
            fs::write(path, text).expect("it is written");
        };
        put("sport/2", "They won.");
        put("sport/1.txt", "They lost.");
        put("arts/1", "<p>It hangs.</p>");
        put("README", "what this is");
        put(".hidden/1", "no");
        let members = members(folder.path()).expect("a folder");
        let records: Vec<Record> = members.iter().flat_map(records).collect();
        let labelled: Vec<_> = records.iter().map(|record| (&*record.topics[0], &*record.article.body)).collect();
        assert_eq!(labelled, [("arts", "<p>It hangs.</p>"), ("sport", "They lost."), ("sport", "They won.")]);

        let rows = tempfile::tempdir().expect("a folder");
        fs::write(rows.path().join("b.jsonl"), "{\"body\": \"b\"}\n").expect("it is written");
        fs::write(rows.path().join("a.csv"), "body\na\n").expect("it is written");
        let members = super::members(rows.path()).expect("a folder");
        let bodies: Vec<String> = members.iter().flat_map(self::records).map(|record| record.article.body).collect();
        assert_eq!(bodies, ["a", "b"]);
        assert!(super::members(&rows.path().join("none")).is_err());
    }
}
