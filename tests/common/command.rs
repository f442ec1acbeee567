//! Runs the `dateline` program to completion, and reads what it printed.

use super::ChildGuard;
use std::{
    io::Write,
    process::{Command, Output},
    thread,
};

/// The `dateline` command.
pub fn dateline() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dateline"));
    command.env_remove("RUST_LOG");
    command
}

/// The `dateline` command, run from the project's root, with arguments.
pub fn dateline_in_project(args: &[&str]) -> Command {
    let mut command = dateline();
    command.args(args).current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

/// Runs `dateline` from the project's root with arguments and standard input.
pub fn run(args: &[&str], input: &[u8]) -> Output {
    let mut child = ChildGuard::spawn_piped(&mut dateline_in_project(args));
    let mut stdin = child.stdin.take().expect("standard input is piped");
    let input = input.to_vec();
    // A command may close its standard input without reading it: write errors are ignored.
    let writer = thread::spawn(move || stdin.write_all(&input).ok());
    let output = child.wait_with_output();
    writer.join().expect("the input is written");
    output
}

/// Standard output as text.
pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("standard output is UTF-8")
}

/// Standard error as text.
pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("standard error is UTF-8")
}

/// Standard output, then standard error, as text; invalid UTF-8 is replaced.
pub fn printed(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Standard output as JSON, one value per line.
pub fn json_lines(output: &Output) -> Vec<serde_json::Value> {
    stdout(output).lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
}

/// Runs a command that must succeed, and returns what it printed.
pub fn succeed(command: &mut Command) -> String {
    let output = command.output().expect("the command runs");
    assert!(output.status.success(), "{command:?}: {}", printed(&output));
    printed(&output)
}
