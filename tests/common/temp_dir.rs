//! A temporary directory, with helpers for the files in it.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A temporary directory, removed when dropped.
pub struct TempDir(tempfile::TempDir);

impl TempDir {
    pub fn new() -> Self {
        TempDir(tempfile::tempdir().expect("a temporary directory can be created"))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// The path of a file in the directory.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// The path of a file in the directory as text, for command lines and settings.
    pub fn arg(&self, name: &str) -> String {
        utf8(&self.join(name)).to_owned()
    }

    /// Writes a file, with the directories above it, and returns its path as text.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.join(name);
        fs::create_dir_all(path.parent().expect("a file has a parent")).expect("the directory can be created");
        fs::write(&path, bytes).expect("the file can be written");
        self.arg(name)
    }
}

impl AsRef<Path> for TempDir {
    fn as_ref(&self) -> &Path {
        self.path()
    }
}

/// A path as text.
pub fn utf8(path: &Path) -> &str {
    path.to_str().expect("the path is UTF-8")
}
