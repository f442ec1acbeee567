//! The versions of a model that were put into service, in one folder.
//!
//! `versions/VERSION/` holds each, whole; `CURRENT` names the one in service and, a line each, those before it. A version is
//! written beside the others and becomes current by one renaming, so that whoever loads the folder finds a whole model at
//! every moment, whatever becomes of the writer. A folder without `CURRENT` is a single model, as `dateline train --out`
//! writes it.

use super::{CARD, MANIFEST, Manifest, Model, ModelError, TENSORS, bundle};
use std::{
    fs::{self, File, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant, SystemTime},
};

/// The file that names the version in service.
pub const CURRENT: &str = "CURRENT";
const VERSIONS: &str = "versions";
/// Locked while versions are written, and put into service.
const WRITING: &str = ".lock";
/// Locked for as long as a model is trained for the folder.
const TRAINING: &str = ".training";
/// How long to wait for who writes: that takes moments.
const WAIT: Duration = Duration::from_secs(10);
/// What ends the names of folders that are being written.
const BEGUN: &str = ".new";

/// Why versions cannot be handled.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Somebody else is at it.
    #[error("{}: another run is at work on this folder; wait for it, or choose another", folder.display())]
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
///
/// # Errors
/// Where the system does not tell.
pub fn in_service(folder: &Path) -> io::Result<PathBuf> {
    Ok(match stack(folder)?.first() {
        Some(version) => folder.join(VERSIONS).join(version),
        None => folder.to_owned(),
    })
}

/// The version in service and those before it.
fn stack(folder: &Path) -> io::Result<Vec<String>> {
    let text = match fs::read_to_string(folder.join(CURRENT)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        read => read?,
    };
    // A name that could lead out of the folder is none of ours.
    Ok(text.lines().map(str::trim).filter(|name| is_name(name)).map(ToOwned::to_owned).collect())
}

fn is_name(version: &str) -> bool {
    !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The model of a version.
///
/// # Errors
/// [`StoreError::NoVersion`], or that it cannot be used.
pub fn load_version(folder: &Path, version: &str) -> Result<Model, StoreError> {
    let path = folder.join(VERSIONS).join(version);
    if !is_name(version) || !path.is_dir() {
        return Err(StoreError::NoVersion { folder: folder.to_owned(), version: version.to_owned() });
    }
    Ok(Model::load(&path)?)
}

/// All versions, those in line first, the others by the time of their writing, the latest first. The folder of a single model
/// has one.
///
/// # Errors
/// [`StoreError::System`]. A version that cannot be read is left out.
pub fn versions(folder: &Path) -> Result<Vec<Version>, StoreError> {
    let stack = stack(folder).map_err(system(folder))?;
    let path = folder.join(VERSIONS);
    let mut folders = match fs::read_dir(&path) {
        Ok(entries) => {
            let paths = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<PathBuf>>>();
            paths.map_err(system(&path))?
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(source) => return Err(StoreError::System { path, source }),
    };
    // What a killed run left is no version.
    folders.retain(|path| path.file_name().is_some_and(|name| is_name(&name.to_string_lossy())));
    let single = stack.is_empty() && folders.is_empty();
    if single {
        folders.push(folder.to_owned());
    }
    let mut versions = Vec::new();
    for path in folders {
        let Ok(text) = fs::read(path.join(MANIFEST)) else { continue };
        let Ok(manifest) = serde_json::from_slice::<Manifest>(&text) else { continue };
        let Ok(tensors) = fs::metadata(path.join(TENSORS)) else { continue };
        let place = if single { Some(0) } else { stack.iter().position(|version| *version == manifest.version) };
        let written = tensors.modified().map_err(system(&path))?;
        versions.push(Version { bytes: text.len() as u64 + tensors.len(), written, place, manifest });
    }
    versions.sort_by(|a, b| {
        let place = |version: &Version| version.place.unwrap_or(usize::MAX);
        place(a).cmp(&place(b)).then(b.written.cmp(&a.written)).then(a.manifest.version.cmp(&b.manifest.version))
    });
    Ok(versions)
}

/// Keeps others from a folder for as long as it is kept. The lock goes with the process, however that ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
    name: &'static str,
    /// The folder, where it was made for the lock.
    made: Option<PathBuf>,
}

impl Drop for Lock {
    /// A folder that was made for the lock, and in which nothing but locks was made, is removed, unless another process has
    /// locked it.
    fn drop(&mut self) {
        let Some(folder) = &self.made else { return };
        let Ok(entries) = fs::read_dir(folder) else { return };
        let paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        if !paths.iter().all(|path| [WRITING, TRAINING].iter().any(|name| path.ends_with(name))) {
            return;
        }
        // Held until all are removed. Whoever waits for one of them finds that it is gone, and makes it anew.
        let others = paths.iter().filter(|path| !path.ends_with(self.name));
        let Ok(_others) = others.map(|path| try_lock(path)).collect::<Result<Vec<File>, TryLockError>>() else {
            return;
        };
        // Where it cannot be removed, it is in nobody's way.
        paths.iter().for_each(|path| drop(fs::remove_file(path)));
        let _ = fs::remove_dir(folder);
    }
}

/// Locks a file, which is made if it is missing.
fn try_lock(path: &Path) -> Result<File, TryLockError> {
    let file = File::create(path).map_err(TryLockError::Error)?;
    file.try_lock()?;
    match is_at(&file, path) {
        true => Ok(file),
        // Somebody removed it meanwhile: a lock on it keeps nobody out.
        false => Err(TryLockError::WouldBlock),
    }
}

/// Whether a file that was opened is the one that has this path now.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |found: fs::Metadata| (found.dev(), found.ino());
    let (open, named) = (file.metadata().map(identity), fs::metadata(path).map(identity));
    open.is_ok_and(|open| named.is_ok_and(|named| named == open))
}

/// Files that are open cannot be removed elsewhere.
#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    true
}

impl Lock {
    /// Keeps others from training for the folder, which is made where it is missing. Versions may be put and rolled back
    /// meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Locked`], [`StoreError::System`].
    pub fn training(folder: &Path) -> Result<Self, StoreError> {
        Lock::take(folder, TRAINING, Duration::ZERO)
    }

    fn take(folder: &Path, name: &'static str, wait: Duration) -> Result<Self, StoreError> {
        const LOOK_AGAIN: Duration = Duration::from_millis(20);
        let made = (!folder.exists()).then(|| folder.to_owned());
        let path = folder.join(name);
        let begun = Instant::now();
        loop {
            fs::create_dir_all(folder).map_err(system(folder))?;
            match try_lock(&path) {
                Ok(file) => return Ok(Lock { _file: file, name, made }),
                Err(TryLockError::WouldBlock) if begun.elapsed() < wait => thread::sleep(LOOK_AGAIN),
                Err(TryLockError::WouldBlock) => return Err(StoreError::Locked { folder: folder.to_owned() }),
                Err(TryLockError::Error(error))
                    if error.kind() == io::ErrorKind::NotFound && begun.elapsed() < WAIT =>
                {
                    // The folder was removed meanwhile.
                    thread::sleep(LOOK_AGAIN);
                }
                Err(TryLockError::Error(source)) => return Err(StoreError::System { path, source }),
            }
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

/// Names and contents of files.
type Files = Vec<(String, Vec<u8>)>;

/// A folder of versions that nobody else writes into meanwhile.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    _lock: Lock,
}

impl Store {
    /// Opens a folder. A single model in it becomes its first version, still in service; what killed runs left is removed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let lock = Lock::take(folder, WRITING, WAIT)?;
        let store = Store { folder: folder.to_owned(), _lock: lock };
        if let Ok(entries) = fs::read_dir(folder.join(VERSIONS)) {
            let begun = entries.flatten().map(|entry| entry.path());
            // What cannot be removed is in nobody's way.
            begun
                .filter(|path| path.to_string_lossy().ends_with(BEGUN))
                .for_each(|path| drop(fs::remove_dir_all(path)));
        }
        if store.stack()?.is_empty() && folder.join(MANIFEST).exists() {
            let (version, files) = files_of(folder)?;
            store.keep(&version, &files)?;
            store.set(&[version])?;
        }
        Ok(store)
    }

    fn stack(&self) -> Result<Vec<String>, StoreError> {
        stack(&self.folder).map_err(system(&self.folder))
    }

    /// The version in service.
    ///
    /// # Errors
    /// [`StoreError::System`].
    pub fn current(&self) -> Result<Option<String>, StoreError> {
        Ok(self.stack()?.into_iter().next())
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

    /// The same with the model of a folder. Gives its version.
    ///
    /// # Errors
    /// [`StoreError`]; what was in service is still.
    pub fn publish_folder(&self, from: &Path) -> Result<String, StoreError> {
        let (version, files) = files_of(&in_service(from).map_err(system(from))?)?;
        self.publish(&version, &files)?;
        Ok(version)
    }

    /// Puts a version into service; the one before it can be gone back to.
    ///
    /// # Errors
    /// [`StoreError::NoVersion`], or that it cannot be used; what was in service is still.
    pub fn put(&self, version: &str) -> Result<(), StoreError> {
        load_version(&self.folder, version)?;
        let mut stack = self.stack()?;
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
        let stack = self.stack()?;
        match &stack[..] {
            [now, before, ..] => {
                load_version(&self.folder, before)?;
                self.set(&stack[1..])?;
                Ok((now.clone(), before.clone()))
            }
            _ => {
                let version = stack.first().cloned().unwrap_or_else(|| "any".to_owned());
                Err(StoreError::NothingBefore { folder: self.folder.clone(), version })
            }
        }
    }

    /// Writes files as a version, all of them or none.
    fn keep(&self, version: &str, files: &[(String, Vec<u8>)]) -> Result<(), StoreError> {
        let kept = self.path_of(version);
        // The same version has the same bytes; one that is damaged is written again.
        if Model::load(&kept).is_ok() {
            return Ok(());
        }
        let begun = self.path_of(&format!("{version}{BEGUN}"));
        let _ = fs::remove_dir_all(&begun);
        let written = || -> io::Result<()> {
            fs::create_dir_all(&begun)?;
            for (name, bytes) in files {
                write_through(&begun.join(name), bytes)?;
            }
            sync(&begun)?;
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

/// The files of a model's folder and the version that they are: the model, and its card where there is one.
fn files_of(folder: &Path) -> Result<(String, Files), StoreError> {
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
    fn a_lock_that_goes_takes_no_other_one_with_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let made = folder.path().join("made");
        let training = Lock::training(&made).expect("nobody trains");
        let writing = Lock::take(&made, WRITING, Duration::ZERO).expect("nobody writes");
        drop(training);
        assert!(made.exists(), "it is locked by another");
        assert!(matches!(Lock::take(&made, WRITING, Duration::ZERO), Err(StoreError::Locked { .. })), "it still is");
        drop(writing);
        // One that is waited for, and removed meanwhile, keeps nobody out.
        let made = folder.path().join("another");
        let training = Lock::training(&made).expect("nobody trains");
        let waited_for = File::create(made.join(TRAINING)).expect("it is there");
        drop(training);
        assert!(!made.exists(), "nothing was made in it");
        waited_for.try_lock().expect("nobody has it");
        let again = Lock::training(&made).expect("nobody trains");
        assert!(matches!(Lock::training(&made), Err(StoreError::Locked { .. })));
        drop((again, waited_for));
    }

    #[test]
    fn versions_are_put_and_rolled_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let single = bundled(folder.path());
        let live = folder.path().join("live");
        let store = Store::open(&live).expect("it is made");
        assert!(store.roll_back().is_err() && versions(&live).expect("none").is_empty());
        assert!(matches!(Lock::take(&live, WRITING, Duration::ZERO), Err(StoreError::Locked { .. })));
        let _training = Lock::training(&live).expect("nobody trains");
        assert!(matches!(Lock::training(&live), Err(StoreError::Locked { .. })));
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
        fs::write(single.join("archive.jsonl"), b"somebody's articles").expect("it is written");
        let place = |versions: &[Version]| (versions.len(), versions[0].place);
        assert_eq!(place(&versions(&single).expect("one")), (1, Some(0)), "it is told as it is");
        assert!(!single.join(VERSIONS).exists());
        let store = Store::open(&single).expect("a model");
        let versions = versions(&single).expect("one");
        assert_eq!(place(&versions), (1, Some(0)));
        let kept = in_service(&single).expect("it is told");
        assert_eq!(kept, store.path_of(&versions[0].manifest.version));
        for name in [MANIFEST, TENSORS] {
            let kept = fs::read(kept.join(name)).expect("it is kept");
            assert_eq!(kept, fs::read(single.join(name)).expect("it is there"));
        }
        assert!(!kept.join("archive.jsonl").exists(), "articles are not kept");
    }

    #[test]
    fn what_killed_runs_left_does_no_harm() {
        let folder = tempfile::tempdir().expect("a folder");
        let single = bundled(folder.path());
        let live = folder.path().join("live");
        // Killed after the first version was written, and before it was put into service; and while a second was written.
        let version = Store::open(&live).expect("it is made").publish_folder(&single).expect("a whole model");
        fs::remove_file(live.join(CURRENT)).expect("it is there");
        let begun = live.join(VERSIONS).join(format!("abc{BEGUN}"));
        fs::create_dir(&begun).expect("it is made");
        let store = Store::open(&live).expect("it opens");
        assert_eq!(store.current().expect("it is told"), None);
        assert!(!begun.exists());
        assert_eq!(store.publish_folder(&single).expect("once more"), version);
        assert_eq!(store.current().expect("it is told"), Some(version));
        // A pointer that cannot be read is no empty place.
        fs::remove_file(live.join(CURRENT)).expect("it is there");
        fs::create_dir(live.join(CURRENT)).expect("it is made");
        assert!(store.current().is_err() && Model::load(&live).is_err());
    }
}
