//! Checks the contract with buf: its form, and that it is compatible with the last release. A test is skipped, with a message, if
//! buf cannot be installed.

mod common;

use common::{TempDir, build_dir, npm_package, printed, project_path, succeed};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// buf; `None` if it cannot be installed.
fn buf() -> Option<PathBuf> {
    npm_package("buf", "@bufbuild/buf@1.75.0").map(|folder| folder.join("node_modules/.bin/buf"))
}

/// The command with a cache of its own.
fn command(buf: &Path) -> Command {
    let mut command = Command::new(buf);
    command.env("BUF_CACHE_DIR", build_dir("buf").join("cache"));
    command
}

/// Compares a contract with the released one.
fn compare(buf: &Path, contract: &Path) -> Output {
    let mut breaking = command(buf);
    breaking.arg("breaking").arg(contract).arg("--against").arg(project_path("tests/data/released-proto"));
    breaking.output().expect("buf runs")
}

#[test]
fn contract_passes_the_lint() {
    let Some(buf) = buf() else { return };
    // The rules and their exceptions are in proto/buf.yaml.
    succeed(command(&buf).arg("lint").current_dir(project_path("proto")));
}

#[test]
fn contract_is_compatible_with_the_last_release() {
    let Some(buf) = buf() else { return };
    let same = compare(&buf, &project_path("proto"));
    assert!(same.status.success(), "{}", printed(&same));
    // A renumbered field is found.
    let folder = TempDir::new();
    for file in [
        "buf.yaml",
        "dateline/v1/classifier.proto",
        "dateline/v1/admin.proto",
        "dateline/v1/corrections.proto",
        "google/rpc/status.proto",
    ] {
        let text = fs::read_to_string(project_path("proto").join(file)).expect("the file can be read");
        folder.write(file, text.replace("string language = 6;", "string language = 16;"));
    }
    let changed = compare(&buf, folder.path());
    assert!(!changed.status.success() && printed(&changed).contains("classifier.proto"), "{}", printed(&changed));
}
