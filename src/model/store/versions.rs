//! The versions of a folder: the list of those in service, and all of them.

use super::error::{StoreError, system_error};
use crate::model::{CURRENT, MANIFEST, Manifest, Model, TENSORS};
use std::{
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// The folder of the versions.
pub const VERSIONS: &str = "versions";

/// The folder with the files of the model in service: that of a version, or `folder` itself if it has no versions.
///
/// # Errors
/// If `CURRENT` exists but cannot be read.
pub fn in_service(folder: &Path) -> io::Result<PathBuf> {
    Ok(match read_current(folder)?.first() {
        Some(version) => folder.join(VERSIONS).join(version),
        None => folder.to_owned(),
    })
}

/// The versions that `CURRENT` lists: the one in service, then those before it. Empty if the file does not exist.
pub fn read_current(folder: &Path) -> io::Result<Vec<String>> {
    let text = match fs::read_to_string(folder.join(CURRENT)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        read => read?,
    };
    // Skip invalid names, such as paths that lead out of the folder.
    Ok(text.lines().map(str::trim).filter(|name| is_version(name)).map(ToOwned::to_owned).collect())
}

/// Whether a name has the form of a version.
fn is_version(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Loads the model of a version.
///
/// # Errors
/// [`StoreError::NoVersion`], or [`StoreError::Model`] if the model is invalid.
pub fn load_version(folder: &Path, version: &str) -> Result<Model, StoreError> {
    let path = folder.join(VERSIONS).join(version);
    if !is_version(version) || !path.is_dir() {
        return Err(StoreError::NoVersion { folder: folder.to_owned(), version: version.to_owned() });
    }
    Ok(Model::load(&path)?)
}

/// A version of a model, as it is listed.
#[derive(Debug, Clone, PartialEq)]
pub struct Version {
    /// The manifest of the model.
    pub manifest: Manifest,
    /// The modification time of its weights.
    pub written: SystemTime,
    /// The size of weights and manifest in bytes.
    pub bytes: u64,
    /// The index in `CURRENT`: 0 for the version in service, 1 for the one before it, and so on; `None` if it is not listed
    /// there.
    pub place: Option<usize>,
}

/// Lists all versions: first those in `CURRENT`, in its order, then the others, the most recently written first. The folder
/// of a single model has one version.
///
/// # Errors
/// [`StoreError::System`]. Versions that cannot be read are omitted.
pub fn versions(folder: &Path) -> Result<Vec<Version>, StoreError> {
    let current = read_current(folder).map_err(system_error(folder))?;
    let path = folder.join(VERSIONS);
    let mut folders = match fs::read_dir(&path) {
        Ok(entries) => {
            let paths = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<PathBuf>>>();
            paths.map_err(system_error(&path))?
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(source) => return Err(StoreError::System { path, source }),
    };
    // Skip the temporary folders of killed runs.
    folders.retain(|path| path.file_name().is_some_and(|name| is_version(&name.to_string_lossy())));
    let is_single = current.is_empty() && folders.is_empty();
    if is_single {
        folders.push(folder.to_owned());
    }
    let mut versions = Vec::new();
    for path in folders {
        let Ok(text) = fs::read(path.join(MANIFEST)) else { continue };
        let Ok(manifest) = serde_json::from_slice::<Manifest>(&text) else { continue };
        let Ok(tensors) = fs::metadata(path.join(TENSORS)) else { continue };
        let place = if is_single { Some(0) } else { current.iter().position(|version| *version == manifest.version) };
        let written = tensors.modified().map_err(system_error(&path))?;
        versions.push(Version { bytes: text.len() as u64 + tensors.len(), written, place, manifest });
    }
    versions.sort_by(|a, b| {
        let place = |version: &Version| version.place.unwrap_or(usize::MAX);
        place(a).cmp(&place(b)).then(b.written.cmp(&a.written)).then(a.manifest.version.cmp(&b.manifest.version))
    });
    Ok(versions)
}
