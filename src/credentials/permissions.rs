//! Permissions of files with secrets.

use std::path::Path;

/// Logs a warning if every user of the machine may read a file with secrets.
#[cfg(unix)]
pub fn warn_if_readable_by_others(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    const READ_BY_OTHERS: u32 = 0o004;
    if std::fs::metadata(path).is_ok_and(|found| found.permissions().mode() & READ_BY_OTHERS != 0) {
        tracing::warn!(file = %path.display(), "every user of this machine can read this secret: chmod o-rwx");
    }
}

/// Other systems have other permissions, which are not checked.
#[cfg(not(unix))]
pub fn warn_if_readable_by_others(_: &Path) {}
