//! Writes versions of a model to a folder, puts them into service, and rolls back.

use super::{
    error::{StoreError, system_error},
    lock::{Lock, WAIT_FOR_WRITER},
    versions::{VERSIONS, in_service, load_version, read_current},
};
use crate::model::{CARD, CURRENT, MANIFEST, Model, ModelError, TENSORS, bundle};
use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// The suffix of temporary folders, in which versions are written.
const TEMPORARY: &str = ".new";

/// Names and contents of files.
type Files = Vec<(String, Vec<u8>)>;

/// A folder of versions, locked for writing.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    _lock: Lock,
}

impl Store {
    /// Opens a folder, which is created if it does not exist. A single model in it becomes the first version, in service.
    /// Temporary folders of killed runs are removed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let lock = Lock::writing(folder, WAIT_FOR_WRITER)?;
        let store = Store { folder: folder.to_owned(), _lock: lock };
        if let Ok(entries) = fs::read_dir(folder.join(VERSIONS)) {
            let paths = entries.flatten().map(|entry| entry.path());
            // Failures are harmless: the folder remains, and is not a version.
            paths
                .filter(|path| path.to_string_lossy().ends_with(TEMPORARY))
                .for_each(|path| drop(fs::remove_dir_all(path)));
        }
        if store.read_current()?.is_empty() && folder.join(MANIFEST).exists() {
            let (version, files) = read_files(folder)?;
            store.write_version(&version, &files)?;
            store.write_current(&[version])?;
        }
        Ok(store)
    }

    fn read_current(&self) -> Result<Vec<String>, StoreError> {
        read_current(&self.folder).map_err(system_error(&self.folder))
    }

    /// The version in service, if any.
    ///
    /// # Errors
    /// [`StoreError::System`].
    pub fn current(&self) -> Result<Option<String>, StoreError> {
        Ok(self.read_current()?.into_iter().next())
    }

    /// The folder with the files of a version.
    pub fn path_of(&self, version: &str) -> PathBuf {
        self.folder.join(VERSIONS).join(version)
    }

    /// Writes files, including those of the model, as a version, and puts it into service.
    ///
    /// # Errors
    /// [`StoreError`]; the model in service is unchanged.
    pub fn publish(&self, version: &str, files: &[(String, Vec<u8>)]) -> Result<(), StoreError> {
        self.write_version(version, files)?;
        self.put(version)
    }

    /// Publishes the model in another folder and returns its version.
    ///
    /// # Errors
    /// [`StoreError`]; the model in service is unchanged.
    pub fn publish_folder(&self, from: &Path) -> Result<String, StoreError> {
        let (version, files) = read_files(&in_service(from).map_err(system_error(from))?)?;
        self.publish(&version, &files)?;
        Ok(version)
    }

    /// Puts an existing version into service. [`Store::roll_back`] returns to the previous one.
    ///
    /// # Errors
    /// [`StoreError::NoVersion`], or [`StoreError::Model`] if the model is invalid; the model in service is unchanged.
    pub fn put(&self, version: &str) -> Result<(), StoreError> {
        load_version(&self.folder, version)?;
        let mut current = self.read_current()?;
        if current.first().is_none_or(|first| first != version) {
            current.insert(0, version.to_owned());
        }
        self.write_current(&current)
    }

    /// Puts the previous version back into service. Returns the version that was in service, and the one that is now.
    ///
    /// # Errors
    /// [`StoreError::NothingBefore`], or [`StoreError::Model`] if the previous model is invalid.
    pub fn roll_back(&self) -> Result<(String, String), StoreError> {
        let current = self.read_current()?;
        match &current[..] {
            [now, before, ..] => {
                load_version(&self.folder, before)?;
                self.write_current(&current[1..])?;
                Ok((now.clone(), before.clone()))
            }
            _ => {
                let version = current.first().cloned().unwrap_or_else(|| "now".to_owned());
                Err(StoreError::NothingBefore { folder: self.folder.clone(), version })
            }
        }
    }

    /// Writes files as a version, atomically: all of them or none.
    fn write_version(&self, version: &str, files: &[(String, Vec<u8>)]) -> Result<(), StoreError> {
        let path = self.path_of(version);
        // Equal versions have equal bytes. A damaged version is written again.
        if Model::load(&path).is_ok() {
            return Ok(());
        }
        let temporary = self.path_of(&format!("{version}{TEMPORARY}"));
        let _ = fs::remove_dir_all(&temporary);
        let write = || -> io::Result<()> {
            fs::create_dir_all(&temporary)?;
            for (name, bytes) in files {
                write_durably(&temporary.join(name), bytes)?;
            }
            sync_folder(&temporary)?;
            let _ = fs::remove_dir_all(&path);
            fs::rename(&temporary, &path)?;
            sync_folder(&self.folder.join(VERSIONS))
        };
        write().map_err(|source| {
            let _ = fs::remove_dir_all(&temporary);
            StoreError::System { path: path.clone(), source }
        })
    }

    /// Replaces `CURRENT` atomically.
    fn write_current(&self, versions: &[String]) -> Result<(), StoreError> {
        let (path, temporary) = (self.folder.join(CURRENT), self.folder.join("CURRENT.new"));
        let text: String = versions.iter().map(|version| format!("{version}\n")).collect();
        write_durably(&temporary, text.as_bytes())
            .and_then(|()| fs::rename(&temporary, &path))
            .and_then(|()| sync_folder(&self.folder))
            .map_err(system_error(&path))
    }
}

/// Writes a file and flushes it to the disk.
fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Flushes the entries of a folder to the disk, on systems that support it.
fn sync_folder(folder: &Path) -> io::Result<()> {
    match cfg!(unix) {
        true => File::open(folder)?.sync_all(),
        false => Ok(()),
    }
}

/// Reads and checks the model in a folder: its version and files, including the model card if there is one.
fn read_files(folder: &Path) -> Result<(String, Files), StoreError> {
    let (manifest, tensors) = bundle::read(folder)
        .map_err(|source| ModelError::In { folder: folder.to_owned(), source: Box::new(source) })?;
    let version = Model::open(&manifest, &tensors)
        .map_err(|source| ModelError::In { folder: folder.to_owned(), source: Box::new(source) })?
        .version()
        .to_owned();
    let mut files = vec![(MANIFEST.to_owned(), manifest), (TENSORS.to_owned(), tensors)];
    let card = folder.join(CARD);
    match fs::read(&card) {
        Ok(bytes) => files.push((CARD.to_owned(), bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(source) => return Err(StoreError::System { path: card, source }),
    }
    Ok((version, files))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Version, versions};
    use std::time::Duration;

    fn bundled(folder: &Path) -> PathBuf {
        let single = folder.join("single");
        fs::create_dir(&single).expect("a folder");
        for name in [MANIFEST, TENSORS] {
            fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("models").join(name), single.join(name))
                .expect("a copy");
        }
        single
    }

    #[test]
    fn versions_are_published_and_rolled_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let single = bundled(folder.path());
        let live = folder.path().join("live");
        let store = Store::open(&live).expect("a new folder");
        assert!(store.roll_back().is_err() && versions(&live).expect("a list").is_empty());
        assert!(matches!(Lock::writing(&live, Duration::ZERO), Err(StoreError::Locked { .. })));
        let _training = Lock::training(&live).expect("not locked");
        assert!(matches!(Lock::training(&live), Err(StoreError::Locked { .. })));
        let version = store.publish_folder(&single).expect("a valid model");
        assert_eq!(Model::load(&live).expect("a model in service").version(), version);
        assert!(matches!(store.put("../single"), Err(StoreError::NoVersion { .. })));
        assert!(matches!(store.roll_back(), Err(StoreError::NothingBefore { .. })));
        // A damaged model is not put into service.
        fs::write(single.join(TENSORS), b"half").expect("a written file");
        assert!(matches!(store.publish_folder(&single), Err(StoreError::Model(_))));
        assert_eq!(Model::load(&live).expect("a model in service").version(), version);
    }

    #[test]
    fn a_single_model_becomes_the_first_version() {
        let folder = tempfile::tempdir().expect("a folder");
        let single = bundled(folder.path());
        fs::write(single.join("archive.jsonl"), b"somebody's articles").expect("a written file");
        let place = |versions: &[Version]| (versions.len(), versions[0].place);
        assert_eq!(place(&versions(&single).expect("a list")), (1, Some(0)), "listed as a single model");
        assert!(!single.join(VERSIONS).exists());
        let store = Store::open(&single).expect("a model");
        let versions = versions(&single).expect("a list");
        assert_eq!(place(&versions), (1, Some(0)));
        let kept = in_service(&single).expect("a version");
        assert_eq!(kept, store.path_of(&versions[0].manifest.version));
        for name in [MANIFEST, TENSORS] {
            let kept = fs::read(kept.join(name)).expect("a file of the version");
            assert_eq!(kept, fs::read(single.join(name)).expect("a file of the single model"));
        }
        assert!(!kept.join("archive.jsonl").exists(), "other files are not copied");
    }

    #[test]
    fn remains_of_killed_runs_are_harmless() {
        let folder = tempfile::tempdir().expect("a folder");
        let single = bundled(folder.path());
        let live = folder.path().join("live");
        // One run was killed after writing the first version, before putting it into service; another while writing a
        // second one.
        let version = Store::open(&live).expect("a new folder").publish_folder(&single).expect("a valid model");
        fs::remove_file(live.join(CURRENT)).expect("a removed file");
        let temporary = live.join(VERSIONS).join(format!("abc{TEMPORARY}"));
        fs::create_dir(&temporary).expect("a folder");
        let store = Store::open(&live).expect("an open store");
        assert_eq!(store.current().expect("no version"), None);
        assert!(!temporary.exists());
        assert_eq!(store.publish_folder(&single).expect("published again"), version);
        assert_eq!(store.current().expect("a version"), Some(version));
        // An unreadable CURRENT is an error, not a folder without versions.
        fs::remove_file(live.join(CURRENT)).expect("a removed file");
        fs::create_dir(live.join(CURRENT)).expect("a folder");
        assert!(store.current().is_err() && Model::load(&live).is_err());
    }
}
