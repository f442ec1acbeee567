//! The example clients, in four languages, against a real server that is killed and comes back in the middle of a stream. What they
//! need is installed beside the build; where a language is missing, its test says so and is skipped.

mod common;

use common::{Server, articles, environment, file};
use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

const ARTICLES: usize = 12_000;

/// Whether a program is there.
fn is_there(program: &str, args: &[&str]) -> bool {
    let found = Command::new(program).args(args).output().is_ok_and(|output| output.status.success());
    if !found {
        println!("skipped: {program} is not installed");
    }
    found
}

fn succeeds(command: &mut Command) {
    let output = command.output().expect("it runs");
    let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {told}");
}

/// A folder for what a client needs, kept beside the build.
fn beside(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder).expect("it is made");
    folder
}

/// Runs a client with a file and an address behind its own arguments, kills its server twice in the middle, and lets it drain once.
fn streams_through_breaks(mut client: Command, scheme: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("articles.jsonl");
    fs::write(&path, articles(ARTICLES)).expect("it is written");
    let mut server = Server::start(&[]);
    let address = server.address.clone();
    let mut child = client
        .arg(&path)
        .arg(format!("{scheme}{address}"))
        .env("DATELINE_PROTO", file("proto"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut told = child.stderr.take().expect("it is piped");
    let errors = std::thread::spawn(move || {
        let mut text = String::new();
        std::io::Read::read_to_string(&mut told, &mut text).map(|_| text)
    });
    let mut ids = Vec::new();
    // Nothing is read while the server dies, so that the client cannot have come to the end: the pipe holds a fraction.
    for line in BufReader::new(child.stdout.take().expect("it is piped")).lines() {
        let line = line.expect("UTF-8");
        let cells: Vec<&str> = line.split('\t').collect();
        assert_eq!(cells.len(), 4, "{line}");
        ids.push(cells[0].to_owned());
        match ids.len() {
            500 | 3500 => {
                drop(server);
                server = Server::start_at(&address, &[]);
            }
            6500 => {
                server.terminate();
                server.wait();
                server = Server::start_at(&address, &[]);
            }
            _ => {}
        }
    }
    let status = child.wait().expect("it ends");
    let errors = errors.join().expect("it is read").expect("UTF-8");
    assert!(status.success(), "{errors}");
    assert!(!errors.is_empty(), "it tells of the breaks");
    let sent: Vec<String> = fs::read_to_string(&path)
        .expect("it is there")
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).expect("JSON")["id"].as_str().expect("an id").to_owned()
        })
        .collect();
    assert_eq!(ids.len(), ARTICLES, "none is lost and none shown twice: {errors}");
    assert!(ids == sent, "they come in their order");
}

#[test]
fn rust() {
    // Cargo builds examples before tests.
    let test = std::env::current_exe().expect("this file");
    let client = test.parent().and_then(Path::parent).expect("the build").join("examples/client");
    streams_through_breaks(Command::new(client), "http://");
}

fn python(script: &str) {
    let requirements = fs::read_to_string(file("examples/clients/python/requirements.txt")).expect("it is there");
    let packages: Vec<&str> = requirements.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    let Some(programs) = environment("python-client", &packages) else { return };
    let python = programs.join("python");
    if script == "async_client.py" {
        let check = Command::new(&python).args(["-c", "import asyncio; asyncio.timeout"]).status();
        if !check.is_ok_and(|status| status.success()) {
            println!("skipped: the client with asyncio needs Python 3.11");
            return;
        }
    }
    let mut client = Command::new(python);
    client.arg(file("examples/clients/python").join(script));
    streams_through_breaks(client, "");
}

#[test]
fn python_with_threads() {
    python("sync_client.py");
}

#[test]
fn python_with_asyncio() {
    python("async_client.py");
}

#[test]
fn node() {
    if !is_there("node", &["--version"]) || !is_there("npm", &["--version"]) {
        return;
    }
    let folder = beside("node");
    for name in ["client.mjs", "package.json"] {
        fs::copy(file("examples/clients/node").join(name), folder.join(name)).expect("it is copied");
    }
    succeeds(
        Command::new("npm").args(["install", "--no-audit", "--no-fund", "--loglevel", "error"]).current_dir(&folder),
    );
    let mut client = Command::new("node");
    client.arg(folder.join("client.mjs"));
    streams_through_breaks(client, "");
}

#[test]
fn go() {
    if !is_there("go", &["version"]) {
        return;
    }
    let program = beside("go").join("client");
    succeeds(Command::new("go").arg("build").arg("-o").arg(&program).arg(".").current_dir(file("examples/clients/go")));
    streams_through_breaks(Command::new(program), "");
}
