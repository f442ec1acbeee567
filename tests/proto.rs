//! Checks the contract with buf. The test is skipped, with a message, if buf cannot be installed.

mod common;

use common::{build_dir, is_installed, printed, project_path, succeed};
use std::process::Command;

#[test]
fn contract_passes_the_lint() {
    if !is_installed("node", &["--version"]) || !is_installed("npm", &["--version"]) {
        return;
    }
    let folder = build_dir("buf");
    let mut install = Command::new("npm");
    install.args(["install", "--no-audit", "--no-fund", "--loglevel", "error", "--prefix"]).arg(&folder);
    let output = install.arg("@bufbuild/buf@1.75.0").output().expect("npm runs");
    if !output.status.success() {
        println!("skipped: npm cannot install @bufbuild/buf: {}", printed(&output));
        return;
    }
    // The rules and their exceptions are in proto/buf.yaml.
    let mut lint = Command::new(folder.join("node_modules/.bin/buf"));
    succeed(lint.arg("lint").current_dir(project_path("proto")).env("BUF_CACHE_DIR", folder.join("cache")));
}
