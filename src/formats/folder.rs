//! Folders: of files that are read one after the other, or of folders, one a label, with an article a file.

use super::{InputError, Kind, reason};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// A file in a folder, and the label of the folder that it stands in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The file.
    pub path: PathBuf,
    /// The name of its folder, where it is one of a label's; then the file is one article.
    pub label: Option<String>,
}

/// The files of a folder by name, those of the folders in it too, hidden ones apart. Where a folder has folders, their names
/// are labels.
///
/// # Errors
/// What the system says, with the path.
pub fn members(folder: &Path) -> Result<Vec<Member>, InputError> {
    let mut members = Vec::new();
    for entry in sorted(folder)? {
        if entry.is_dir() {
            let label = entry.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let files = sorted(&entry)?.into_iter().filter(|path| path.is_file());
            members.extend(files.map(|path| Member { path, label: Some(label.clone()) }));
        } else {
            // Beside folders of labels, only files that hold rows say what they are.
            members.push(Member { path: entry, label: None });
        }
    }
    if members.iter().any(|member| member.label.is_some()) {
        members.retain(|member| {
            let name = member.path.to_string_lossy();
            member.label.is_some() || Kind::of_name(&name).is_some_and(Kind::has_rows)
        });
    }
    if members.is_empty() {
        return Err(InputError::new(&folder.display().to_string(), "there is no file in this folder"));
    }
    Ok(members)
}

fn sorted(folder: &Path) -> Result<Vec<PathBuf>, InputError> {
    let fault = |error: io::Error| InputError::new(&folder.display().to_string(), reason(&error));
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
    fn folders_of_labels_and_folders_of_files() {
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
        let told: Vec<_> = records.iter().map(|record| (&*record.topics[0], &*record.article.body)).collect();
        assert_eq!(told, [("arts", "<p>It hangs.</p>"), ("sport", "They lost."), ("sport", "They won.")]);

        let rows = tempfile::tempdir().expect("a folder");
        fs::write(rows.path().join("b.jsonl"), "{\"body\": \"b\"}\n").expect("it is written");
        fs::write(rows.path().join("a.csv"), "body\na\n").expect("it is written");
        let members = super::members(rows.path()).expect("a folder");
        let bodies: Vec<String> = members.iter().flat_map(self::records).map(|record| record.article.body).collect();
        assert_eq!(bodies, ["a", "b"]);
        assert!(super::members(&rows.path().join("none")).is_err());
    }
}
