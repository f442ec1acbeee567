//! Third-party programs: whether they are installed, and where the tests install their own.

use super::command::{printed, succeed};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
};

/// A directory that is kept between runs, next to the build, for what the tests install or train once.
pub fn build_dir(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder).expect("the directory can be created");
    folder
}

/// Whether a program can be run with these arguments; if not, prints that the test is skipped.
pub fn is_installed(program: &str, args: &[&str]) -> bool {
    let found = Command::new(program).args(args).output().is_ok_and(|output| output.status.success());
    if !found {
        println!("skipped: {program} is not installed");
    }
    found
}

/// The directory `name` with an npm package in it. `None`, with the reason printed, if it cannot be installed.
pub fn npm_package(name: &str, package: &str) -> Option<PathBuf> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    if !is_installed("node", &["--version"]) || !is_installed("npm", &["--version"]) {
        return None;
    }
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = build_dir(name);
    let mut install = Command::new("npm");
    install.args(["install", "--no-audit", "--no-fund", "--loglevel", "error", "--prefix"]).arg(&folder);
    let output = install.arg(package).output().expect("npm runs");
    if !output.status.success() {
        println!("skipped: npm cannot install {package}: {}", printed(&output));
        return None;
    }
    Some(folder)
}

/// The `bin` directory of a Python virtual environment with these packages, created once. `None`, with the reason printed, if
/// Python 3.9 or later is missing.
pub fn virtual_environment(name: &str, packages: &[&str]) -> Option<PathBuf> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let found = Command::new("python3").args(["-c", "import sys, venv; assert sys.version_info >= (3, 9)"]).status();
    if !found.is_ok_and(|status| status.success()) {
        println!("skipped: python3 (3.9 or later, with venv) is not installed");
        return None;
    }
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = build_dir(name);
    let (programs, complete) = (folder.join("bin"), folder.join("complete"));
    let wanted = packages.join("\n");
    if fs::read_to_string(&complete).ok().as_ref() != Some(&wanted) {
        succeed(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder));
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
        succeed(Command::new(programs.join("python")).args(pip).args(packages));
        fs::write(&complete, wanted).expect("the directory is writable");
    }
    Some(programs)
}
