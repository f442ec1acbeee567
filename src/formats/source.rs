//! Where bytes come from: standard input or a file, plain or compressed with gzip or zstd.

use super::Place;
use flate2::bufread::MultiGzDecoder;
use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

/// Where articles are read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Standard input: `-`.
    Stdin,
    /// A file.
    File(PathBuf),
}

impl From<&Path> for Source {
    fn from(path: &Path) -> Self {
        if path.as_os_str() == "-" { Source::Stdin } else { Source::File(path.to_owned()) }
    }
}

impl Source {
    /// The name in error messages: the path, or `standard input`.
    pub fn name(&self) -> String {
        match self {
            Source::Stdin => "standard input".to_owned(),
            Source::File(path) => path.display().to_string(),
        }
    }

    /// The source as a whole, as a place.
    pub(super) fn place(&self) -> Place {
        Place::of_file(self.name())
    }
}

/// Opens a file; its bytes are read as stored, compressed or not.
///
/// # Errors
/// The system's error; a folder is an error too.
pub fn open(path: &Path) -> io::Result<Box<dyn Read>> {
    let file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "is a folder: name the files in it"));
    }
    Ok(Box::new(file))
}

/// Decompresses data that begins with the magic bytes of gzip or zstd; other data is unchanged.
pub(super) fn decompressed(reader: Box<dyn Read>) -> io::Result<Box<dyn BufRead>> {
    const BUFFER: usize = 1 << 16;
    let mut reader = BufReader::with_capacity(BUFFER, reader);
    let start = reader.fill_buf()?;
    if start.starts_with(&[0x1F, 0x8B]) {
        Ok(Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(reader))))
    } else if start.starts_with(&[0x28, 0xB5, 0x2F, 0xFD]) {
        Ok(Box::new(BufReader::with_capacity(BUFFER, zstd::Decoder::with_buffer(reader)?)))
    } else {
        Ok(Box::new(reader))
    }
}

/// The message of a system error.
pub(super) fn explain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}

/// The message of an error in the middle of a source.
pub(super) fn explain_interruption(error: &io::Error) -> String {
    format!("reading failed: {error}")
}
