//! A log of lines in numbered files of a folder. Each line is on the disk when it is acknowledged.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// A file that has reached this size, in bytes, is followed by a new one.
const MAX_FILE_BYTES: u64 = 16 << 20;
/// The file that a process locks while it writes to the folder. Readers of a folder ignore hidden files.
const LOCK: &str = ".lock";

/// Why a log cannot be opened or written.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Another process writes to the folder.
    #[error("{}: another process writes to this folder: give each server its own", .0.display())]
    Locked(PathBuf),
    /// An error of the operating system.
    #[error("{}: {source}", path.display())]
    System {
        /// The file or folder.
        path: PathBuf,
        /// The error.
        source: io::Error,
    },
}

/// A log of corrections: the files `corrections-000001.jsonl`, `corrections-000002.jsonl` and so on. Names in their order are
/// the order of the lines.
#[derive(Debug)]
pub struct CorrectionLog {
    folder: PathBuf,
    keeps_text: bool,
    max_file_bytes: u64,
    current: Mutex<Current>,
    /// Locked until the log is dropped.
    _lock: File,
}

/// The file that lines are appended to.
#[derive(Debug)]
struct Current {
    number: u64,
    file: File,
    /// The length of its complete lines, in bytes.
    bytes: u64,
}

impl CorrectionLog {
    /// Opens a log; creates the folder if it does not exist. An incomplete last line, left by a power cut, was never
    /// acknowledged, and is removed.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn open(folder: &Path, keeps_text: bool) -> Result<Self, LogError> {
        CorrectionLog::with_files_of(folder, keeps_text, MAX_FILE_BYTES)
    }

    fn with_files_of(folder: &Path, keeps_text: bool, max_file_bytes: u64) -> Result<Self, LogError> {
        fs::create_dir_all(folder).map_err(system_error(folder))?;
        // Canonical, so that a relative path has a parent too.
        let above = folder.canonicalize().ok().and_then(|folder| Some(folder.parent()?.to_owned()));
        above.map_or(Ok(()), |above| sync_folder(&above)).map_err(system_error(folder))?;
        let lock = folder.join(LOCK);
        let file = private().open(&lock).map_err(system_error(&lock))?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => LogError::Locked(folder.to_owned()),
            TryLockError::Error(source) => LogError::System { path: lock, source },
        })?;
        let number = last_number(folder).map_err(system_error(folder))?.unwrap_or(1);
        let path = path(folder, number);
        let current = Current::open(&path, number).map_err(system_error(&path))?;
        let current = Mutex::new(current);
        Ok(CorrectionLog { folder: folder.to_owned(), keeps_text, max_file_bytes, current, _lock: file })
    }

    /// Whether the text of articles is stored.
    pub fn keeps_text(&self) -> bool {
        self.keeps_text
    }

    /// Appends a line, and waits until it is on the disk. After an error, nothing of the line is left.
    ///
    /// # Errors
    /// [`LogError::System`].
    pub fn append(&self, line: &str) -> Result<(), LogError> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.bytes >= self.max_file_bytes {
            let number = current.number + 1;
            let path = path(&self.folder, number);
            *current = Current::open(&path, number).map_err(system_error(&path))?;
        }
        let path = path(&self.folder, current.number);
        current.append(line).map_err(system_error(&path))
    }
}

impl Current {
    /// Opens a file at the end of its last complete line.
    fn open(path: &Path, number: u64) -> io::Result<Self> {
        let mut file = private().open(path)?;
        let bytes = complete_bytes(&mut file)?;
        file.set_len(bytes)?;
        path.parent().map_or(Ok(()), sync_folder)?;
        Ok(Current { number, file, bytes })
    }

    fn append(&mut self, line: &str) -> io::Result<()> {
        let line = format!("{line}\n");
        // A line that failed may have left its beginning.
        self.file.set_len(self.bytes)?;
        self.file.seek(SeekFrom::Start(self.bytes))?;
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data());
        match written {
            Ok(()) => {
                self.bytes += line.len() as u64;
                Ok(())
            }
            Err(error) => {
                // If this fails too, the next line tries again.
                let _ = self.file.set_len(self.bytes);
                Err(error)
            }
        }
    }
}

/// Waits until the entries of a folder are on the disk, as far as the system has this: Windows has not.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) {
        match File::open(folder) {
            Ok(folder) => folder.sync_all(),
            // The folder above may not be readable.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            Err(error) => Err(error),
        }
    } else {
        Ok(())
    }
}

/// The length of the complete lines of a file.
fn complete_bytes(file: &mut File) -> io::Result<u64> {
    const BLOCK: u64 = 64 << 10;
    let mut end = file.metadata()?.len();
    let mut block = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(BLOCK);
        file.seek(SeekFrom::Start(start))?;
        block.clear();
        Read::take(&mut *file, end - start).read_to_end(&mut block)?;
        if let Some(at) = memchr::memrchr(b'\n', &block) {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// Opens files for reading and writing, and creates missing ones, readable by their owner only: corrections may hold text.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("corrections-{number:06}.jsonl"))
}

/// The number of the last file of a folder; `None` if it has none.
fn last_number(folder: &Path) -> io::Result<Option<u64>> {
    let mut last = None;
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let number =
            name.to_str().and_then(|name| name.strip_prefix("corrections-")?.strip_suffix(".jsonl")?.parse().ok());
        last = last.max(number);
    }
    Ok(last)
}

fn system_error(path: &Path) -> impl FnOnce(io::Error) -> LogError + use<> {
    let path = path.to_owned();
    |source| LogError::System { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(folder: &Path) -> String {
        let mut paths: Vec<PathBuf> =
            fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
        paths.sort();
        paths.iter().map(|path| fs::read_to_string(path).expect("UTF-8")).collect()
    }

    #[test]
    fn lines_survive_restarts_in_order_and_incomplete_ones_are_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        let log = CorrectionLog::with_files_of(folder, false, 10).expect("it opens");
        assert!(matches!(CorrectionLog::open(folder, false), Err(LogError::Locked(_))));
        for line in ["one", "two", "three"] {
            log.append(line).expect("it is written");
        }
        drop(log);
        // As a power cut would leave it.
        let mut file = OpenOptions::new()
            .append(true)
            .open(path(folder, 2))
            .or_else(|_| OpenOptions::new().append(true).open(path(folder, 1)));
        file.as_mut().expect("a file").write_all(b"{\"id\": \"ha").expect("it is written");
        let log = CorrectionLog::with_files_of(folder, false, 10).expect("it opens");
        log.append("four").expect("it is written");
        assert_eq!(lines(folder), "one\ntwo\nthree\nfour\n");
        assert!(path(folder, 2).exists(), "a full file is followed by a new one");
    }

    #[cfg(unix)]
    #[test]
    fn files_are_readable_by_their_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        CorrectionLog::open(folder.path(), true).expect("it opens");
        let mode = fs::metadata(path(folder.path(), 1)).expect("a file").permissions().mode();
        assert_eq!(mode & 0o077, 0, "{mode:o}");
    }
}
