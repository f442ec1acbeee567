//! The versions of a model that were put into service, in one folder.
//!
//! `versions/VERSION/` holds each, whole; `CURRENT` names the one in service and, a line each, those before it. A version is
//! written beside the others and becomes current by one renaming, so that whoever loads the folder finds a whole model at
//! every moment, whatever becomes of the writer. A folder without `CURRENT` is a single model, as `dateline train --out`
//! writes it.

use super::{MANIFEST, Manifest, Model, ModelError, TENSORS};
use std::{
    fs::{self, File, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
    time::SystemTime,
};

/// The file that names the version in service.
pub const CURRENT: &str = "CURRENT";
const VERSIONS: &str = "versions";
const LOCK: &str = ".lock";

/// Why versions cannot be handled.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Somebody else is at it.
    #[error("{}: another run is writing into this folder; wait for it, or choose another", folder.display())]
    Locked {
        /// The folder.
        folder: PathBuf,
    },
    /// There is no such version.
    #[error("{}: there is no version {version}; `dateline models list` shows those that there are", folder.display())]
    NoVersion {
        /// The folder.
        folder: PathBuf,
        /// The version.
        version: String,
    },
    /// There is no version before the one in service.
    #[error("{}: no version was in service before {version}", folder.display())]
    NothingBefore {
        /// The folder.
        folder: PathBuf,
        /// The version in service.
        version: String,
    },
    /// A model cannot be used.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The system says no.
    #[error("{}: {source}; the model in service is as it was", path.display())]
    System {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

fn system(path: &Path) -> impl FnOnce(io::Error) -> StoreError + '_ {
    |source| StoreError::System { path: path.to_owned(), source }
}

/// The folder that holds the files of the model in service: a version's, or the folder itself where it has none.
pub fn in_service(folder: &Path) -> PathBuf {
    match stack(folder).first() {
        Some(version) => folder.join(VERSIONS).join(version),
        None => folder.to_owned(),
    }
}

/// The version in service and those before it.
fn stack(folder: &Path) -> Vec<String> {
    let text = fs::read_to_string(folder.join(CURRENT)).unwrap_or_default();
    // A name that could lead out of the folder is none of ours.
    let names = text
        .lines()
        .map(str::trim)
        .filter(|name| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    names.map(ToOwned::to_owned).collect()
}

/// Keeps others from writing into a folder for as long as it is kept. The lock goes with the process, however that ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Makes the folder where it is missing.
    ///
    /// # Errors
    /// [`StoreError::Locked`], [`StoreError::System`].
    pub fn take(folder: &Path) -> Result<Self, StoreError> {
        fs::create_dir_all(folder).map_err(system(folder))?;
        let path = folder.join(LOCK);
        let file = File::create(&path).map_err(system(&path))?;
        match file.try_lock() {
            Ok(()) => Ok(Lock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(StoreError::Locked { folder: folder.to_owned() }),
            Err(TryLockError::Error(source)) => Err(StoreError::System { path, source }),
        }
    }
}

/// A version, for people and scripts.
#[derive(Debug, Clone, PartialEq)]
pub struct Version {
    /// What it is.
    pub manifest: Manifest,
    /// When its files were written.
    pub written: SystemTime,
    /// Bytes of weights and manifest.
    pub bytes: u64,
    /// 0 for the one in service, 1 for the one before it, and so on; `None` where it is not in line.
    pub place: Option<usize>,
}

/// A folder of versions that nobody else writes into meanwhile.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    _lock: Lock,
}

impl Store {
    /// Opens a folder. A single model in it becomes its first version, still in service.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let lock = Lock::take(folder)?;
        let store = Store { folder: folder.to_owned(), _lock: lock };
        if stack(folder).is_empty() && folder.join(MANIFEST).exists() {
            let single = Model::load(folder)?;
            let version = single.version().to_owned();
            store.keep(&version, &files_of(folder)?)?;
            store.set(&[version])?;
        }
        Ok(store)
    }

    /// Where the files of a version are.
    pub fn path_of(&self, version: &str) -> PathBuf {
        self.folder.join(VERSIONS).join(version)
    }

    /// Keeps files as a version, among them those of its model, and puts it into service.
    ///
    /// # Errors
    /// [`StoreError`]; what was in service is still.
    pub fn publish(&self, version: &str, files: &[(String, Vec<u8>)]) -> Result<(), StoreError> {
        self.keep(version, files)?;
        self.put(version)
    }

    /// The same with the model of a folder and all files beside it. Gives its version.
    ///
    /// # Errors
    /// [`StoreError`]; what was in service is still.
    pub fn publish_folder(&self, from: &Path) -> Result<String, StoreError> {
        let version = Model::load(from)?.version().to_owned();
        self.publish(&version, &files_of(&in_service(from))?)?;
        Ok(version)
    }

    /// Puts a version into service; the one before it can be gone back to.
    ///
    /// # Errors
    /// [`StoreError::NoVersion`], or that it cannot be used; what was in service is still.
    pub fn put(&self, version: &str) -> Result<(), StoreError> {
        self.load(version)?;
        let mut stack = stack(&self.folder);
        if stack.first().is_none_or(|first| first != version) {
            stack.insert(0, version.to_owned());
        }
        self.set(&stack)
    }

    /// Puts the version back that was in service before. Gives both, the one that was and the one that is.
    ///
    /// # Errors
    /// [`StoreError::NothingBefore`], or that it cannot be used.
    pub fn roll_back(&self) -> Result<(String, String), StoreError> {
        let stack = stack(&self.folder);
        match &stack[..] {
            [now, before, ..] => {
                self.load(before)?;
                self.set(&stack[1..])?;
                Ok((now.clone(), before.clone()))
            }
            _ => {
                let version = stack.first().cloned().unwrap_or_else(|| "any".to_owned());
                Err(StoreError::NothingBefore { folder: self.folder.clone(), version })
            }
        }
    }

    /// The model of a version.
    ///
    /// # Errors
    /// [`StoreError::NoVersion`], or that it cannot be used.
    pub fn load(&self, version: &str) -> Result<Model, StoreError> {
        let path = self.path_of(version);
        if version.is_empty() || !version.bytes().all(|byte| byte.is_ascii_alphanumeric()) || !path.is_dir() {
            return Err(StoreError::NoVersion { folder: self.folder.clone(), version: version.to_owned() });
        }
        Ok(Model::load(&path)?)
    }

    /// All versions, those in line first, the others by the time of their writing, the latest first.
    ///
    /// # Errors
    /// [`StoreError::System`]. A version that cannot be read is left out.
    pub fn versions(&self) -> Result<Vec<Version>, StoreError> {
        let folder = self.folder.join(VERSIONS);
        let stack = stack(&self.folder);
        let mut versions = Vec::new();
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(versions),
            Err(source) => return Err(StoreError::System { path: folder, source }),
        };
        for entry in entries {
            let path = entry.map_err(system(&folder))?.path();
            let Ok(text) = fs::read(path.join(MANIFEST)) else { continue };
            let Ok(manifest) = serde_json::from_slice::<Manifest>(&text) else { continue };
            let Ok(tensors) = fs::metadata(path.join(TENSORS)) else { continue };
            // What a killed run left is no version.
            if !path.ends_with(&manifest.version) {
                continue;
            }
            let place = stack.iter().position(|version| *version == manifest.version);
            let written = tensors.modified().map_err(system(&path))?;
            versions.push(Version { bytes: text.len() as u64 + tensors.len(), written, place, manifest });
        }
        versions.sort_by(|a, b| {
            let place = |version: &Version| version.place.unwrap_or(usize::MAX);
            place(a).cmp(&place(b)).then(b.written.cmp(&a.written)).then(a.manifest.version.cmp(&b.manifest.version))
        });
        Ok(versions)
    }

    /// Writes files as a version, all of them or none.
    fn keep(&self, version: &str, files: &[(String, Vec<u8>)]) -> Result<(), StoreError> {
        let kept = self.path_of(version);
        // The same version has the same bytes; one that is damaged is written again.
        if Model::load(&kept).is_ok() {
            return Ok(());
        }
        let begun = self.path_of(&format!("{version}.new"));
        let _ = fs::remove_dir_all(&begun);
        let written = || -> io::Result<()> {
            fs::create_dir_all(&begun)?;
            for (name, bytes) in files {
                write_through(&begun.join(name), bytes)?;
            }
            let _ = fs::remove_dir_all(&kept);
            fs::rename(&begun, &kept)?;
            sync(&self.folder.join(VERSIONS))
        };
        written().map_err(|source| {
            let _ = fs::remove_dir_all(&begun);
            StoreError::System { path: kept.clone(), source }
        })
    }

    fn set(&self, stack: &[String]) -> Result<(), StoreError> {
        let (path, begun) = (self.folder.join(CURRENT), self.folder.join("CURRENT.new"));
        let text: String = stack.iter().map(|version| format!("{version}\n")).collect();
        write_through(&begun, text.as_bytes())
            .and_then(|()| fs::rename(&begun, &path))
            .and_then(|()| sync(&self.folder))
            .map_err(system(&path))
    }
}

/// Writes a file to the disk itself.
fn write_through(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Writes the names in a folder to the disk itself, where the system can.
fn sync(folder: &Path) -> io::Result<()> {
    match cfg!(unix) {
        true => File::open(folder)?.sync_all(),
        false => Ok(()),
    }
}

/// The files of a model's folder: those of the model and what was written beside them.
fn files_of(folder: &Path) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(system(folder))? {
        let path = entry.map_err(system(folder))?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if path.is_file() && !name.starts_with('.') && !name.starts_with(CURRENT) {
            files.push((name, fs::read(&path).map_err(system(&path))?));
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn versions_are_put_and_rolled_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let single = bundled(folder.path());
        let live = folder.path().join("live");
        let store = Store::open(&live).expect("it is made");
        assert!(store.roll_back().is_err() && store.versions().expect("none").is_empty());
        assert!(matches!(Store::open(&live), Err(StoreError::Locked { .. })));
        let version = store.publish_folder(&single).expect("a whole model");
        assert_eq!(Model::load(&live).expect("it is in service").version(), version);
        assert!(matches!(store.put("../single"), Err(StoreError::NoVersion { .. })));
        assert!(matches!(store.roll_back(), Err(StoreError::NothingBefore { .. })));
        // One that is damaged does not get into service.
        fs::write(single.join(TENSORS), b"half").expect("it is written");
        assert!(matches!(store.publish_folder(&single), Err(StoreError::Model(_))));
        assert_eq!(Model::load(&live).expect("it is in service").version(), version);
    }

    #[test]
    fn a_single_model_becomes_the_first_version() {
        let folder = tempfile::tempdir().expect("a folder");
        let single = bundled(folder.path());
        let store = Store::open(&single).expect("a model");
        let versions = store.versions().expect("one");
        assert_eq!((versions.len(), versions[0].place), (1, Some(0)));
        assert_eq!(in_service(&single), store.path_of(&versions[0].manifest.version));
        for name in [MANIFEST, TENSORS] {
            let kept = fs::read(in_service(&single).join(name)).expect("it is kept");
            assert_eq!(kept, fs::read(single.join(name)).expect("it is there"));
        }
    }
}
