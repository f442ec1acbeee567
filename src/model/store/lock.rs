//! Exclusive locks of a model folder: one for training, one for writing and publishing versions.

use super::error::{StoreError, system_error};
use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

/// The lock file for writing and publishing versions.
const WRITING: &str = ".lock";
/// The lock file for training a model for the folder.
const TRAINING: &str = ".training";
/// How long to wait for another writer, which holds the lock only briefly.
pub(super) const WAIT_FOR_WRITER: Duration = Duration::from_secs(10);

/// Locks a folder until it is dropped. The operating system releases the lock when the process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
    name: &'static str,
    /// The folder, if it was created for the lock.
    created: Option<PathBuf>,
}

impl Drop for Lock {
    /// Removes the folder if it was created for the lock, contains nothing but lock files, and no other process has locked it.
    fn drop(&mut self) {
        let Some(folder) = &self.created else { return };
        let Ok(entries) = fs::read_dir(folder) else { return };
        let paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        if !paths.iter().all(|path| [WRITING, TRAINING].iter().any(|name| path.ends_with(name))) {
            return;
        }
        // Hold the other locks until all files are removed. A process that waits for one of them finds that its file was
        // removed, and creates it again.
        let others = paths.iter().filter(|path| !path.ends_with(self.name));
        let Ok(_others) = others.map(|path| try_lock(path)).collect::<Result<Vec<File>, TryLockError>>() else {
            return;
        };
        // Failures are harmless: an empty folder may remain.
        paths.iter().for_each(|path| drop(fs::remove_file(path)));
        let _ = fs::remove_dir(folder);
    }
}

impl Lock {
    /// Locks a folder for training; creates the folder if it does not exist. Versions can still be published and rolled back.
    ///
    /// # Errors
    /// [`StoreError::Locked`], [`StoreError::System`].
    pub fn training(folder: &Path) -> Result<Self, StoreError> {
        Lock::take(folder, TRAINING, Duration::ZERO)
    }

    /// Locks a folder for writing versions; creates the folder if it does not exist. Waits for another writer up to `wait`.
    pub(super) fn writing(folder: &Path, wait: Duration) -> Result<Self, StoreError> {
        Lock::take(folder, WRITING, wait)
    }

    fn take(folder: &Path, name: &'static str, wait: Duration) -> Result<Self, StoreError> {
        const RETRY_INTERVAL: Duration = Duration::from_millis(20);
        let created = (!folder.exists()).then(|| folder.to_owned());
        let path = folder.join(name);
        let begun = Instant::now();
        loop {
            fs::create_dir_all(folder).map_err(system_error(folder))?;
            match try_lock(&path) {
                Ok(file) => return Ok(Lock { _file: file, name, created }),
                Err(TryLockError::WouldBlock) if begun.elapsed() < wait => thread::sleep(RETRY_INTERVAL),
                Err(TryLockError::WouldBlock) => return Err(StoreError::Locked { folder: folder.to_owned() }),
                Err(TryLockError::Error(error))
                    if error.kind() == io::ErrorKind::NotFound && begun.elapsed() < WAIT_FOR_WRITER =>
                {
                    // Another process removed the folder in the meantime.
                    thread::sleep(RETRY_INTERVAL);
                }
                Err(TryLockError::Error(source)) => return Err(StoreError::System { path, source }),
            }
        }
    }
}

/// Locks a file; creates it if it does not exist.
fn try_lock(path: &Path) -> Result<File, TryLockError> {
    let file = File::create(path).map_err(TryLockError::Error)?;
    file.try_lock()?;
    match is_at(&file, path) {
        true => Ok(file),
        // Another process removed the file in the meantime: a lock on it excludes nobody.
        false => Err(TryLockError::WouldBlock),
    }
}

/// Whether an open file is still the one at this path.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |found: fs::Metadata| (found.dev(), found.ino());
    let (open, named) = (file.metadata().map(identity), fs::metadata(path).map(identity));
    open.is_ok_and(|open| named.is_ok_and(|named| named == open))
}

/// Always true: other systems do not allow the removal of open files.
#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropping_a_lock_keeps_other_locks() {
        let folder = tempfile::tempdir().expect("a folder");
        let created = folder.path().join("created");
        let training = Lock::training(&created).expect("not locked");
        let writing = Lock::writing(&created, Duration::ZERO).expect("not locked");
        drop(training);
        assert!(created.exists(), "the other lock is held");
        let again = Lock::writing(&created, Duration::ZERO);
        assert!(matches!(again, Err(StoreError::Locked { .. })), "still locked");
        drop(writing);
        // A lock file that is removed while another process waits for it excludes nobody.
        let created = folder.path().join("another");
        let training = Lock::training(&created).expect("not locked");
        let waited_for = File::create(created.join(TRAINING)).expect("the lock file");
        drop(training);
        assert!(!created.exists(), "it contained nothing but locks");
        waited_for.try_lock().expect("not locked");
        let again = Lock::training(&created).expect("not locked");
        assert!(matches!(Lock::training(&created), Err(StoreError::Locked { .. })));
        drop((again, waited_for));
    }
}
