//! Runs the example clients in six languages against a server that is killed and restarted in the middle of a stream. A test
//! is skipped, with a message, if its language is not installed.

mod common;

use common::{
    ChildGuard, Server, TempDir, build_dir, is_installed, printed, project_path, sample_articles, succeed,
    virtual_environment,
};
use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::Command,
};

const ARTICLES: usize = 12_000;

/// Runs a client, with a file and an address as its last arguments, while its server is killed twice and drained once.
fn check_client_across_restarts(mut client: Command, scheme: &str) {
    let folder = TempDir::new();
    let path = folder.write("articles.jsonl", sample_articles(ARTICLES));
    let mut server = Server::start(&[]);
    let address = server.address.clone();
    client.arg(&path).arg(format!("{scheme}{address}")).env("DATELINE_PROTO", project_path("proto"));
    let mut child = ChildGuard::spawn_piped(&mut client);
    let mut stderr = child.stderr.take().expect("the stream is piped");
    let errors = std::thread::spawn(move || {
        let mut text = String::new();
        stderr.read_to_string(&mut text).map(|_| text)
    });
    let mut ids = Vec::new();
    // The pipe holds a fraction of the output and is not read during a restart, so that the client cannot finish meanwhile.
    for line in BufReader::new(child.stdout.take().expect("the stream is piped")).lines() {
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
    let status = child.wait();
    let errors = errors.join().expect("the thread ends").expect("standard error is UTF-8");
    assert!(status.success(), "{errors}");
    assert!(!errors.is_empty(), "the client reports the broken streams");
    let sent: Vec<String> = fs::read_to_string(&path)
        .expect("the file can be read")
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).expect("JSON")["id"].as_str().expect("an id").to_owned()
        })
        .collect();
    assert_eq!(ids.len(), ARTICLES, "no answer is lost or repeated: {errors}");
    assert!(ids == sent, "the answers are in order");
}

#[test]
fn rust() {
    // Cargo builds examples before tests.
    let test = std::env::current_exe().expect("the test has a path");
    let client = test.parent().and_then(Path::parent).expect("the build has a directory").join("examples/client");
    check_client_across_restarts(Command::new(client), "http://");
}

fn python(script: &str) {
    let requirements =
        fs::read_to_string(project_path("examples/clients/python/requirements.txt")).expect("the file can be read");
    let packages: Vec<&str> = requirements.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    let Some(programs) = virtual_environment("python-client", &packages) else { return };
    let python = programs.join("python");
    if script == "async_client.py" {
        let check = Command::new(&python).args(["-c", "import asyncio; asyncio.timeout"]).status();
        if !check.is_ok_and(|status| status.success()) {
            println!("skipped: the asyncio client needs Python 3.11 or later");
            return;
        }
    }
    let mut client = Command::new(python);
    client.arg(project_path("examples/clients/python").join(script));
    check_client_across_restarts(client, "");
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
    if !is_installed("node", &["--version"]) || !is_installed("npm", &["--version"]) {
        return;
    }
    let folder = build_dir("node");
    for name in ["client.mjs", "package.json"] {
        fs::copy(project_path("examples/clients/node").join(name), folder.join(name)).expect("the file can be copied");
    }
    succeed(
        Command::new("npm").args(["install", "--no-audit", "--no-fund", "--loglevel", "error"]).current_dir(&folder),
    );
    let mut client = Command::new("node");
    client.arg(folder.join("client.mjs"));
    check_client_across_restarts(client, "");
}

#[test]
fn go() {
    if !is_installed("go", &["version"]) {
        return;
    }
    let program = build_dir("go").join("client");
    succeed(
        Command::new("go")
            .arg("build")
            .arg("-o")
            .arg(&program)
            .arg(".")
            .current_dir(project_path("examples/clients/go")),
    );
    check_client_across_restarts(Command::new(program), "");
}

#[test]
fn java() {
    if !is_installed("mvn", &["--version"]) || !is_installed("javac", &["--release", "17", "--version"]) {
        return;
    }
    let folder = build_dir("java");
    fs::create_dir_all(folder.join("src/main/java/dateline")).expect("the directory can be created");
    for name in ["pom.xml", "src/main/java/dateline/Client.java"] {
        fs::copy(project_path("examples/clients/java").join(name), folder.join(name)).expect("the file can be copied");
    }
    let mut build = Command::new("mvn");
    build.args(["--batch-mode", "--quiet", "package"]).current_dir(&folder);
    build.arg(format!("-Ddateline.proto={}", project_path("proto").display()));
    let output = build.output().expect("mvn runs");
    if !output.status.success() {
        let errors = printed(&output);
        let no_download =
            ["Could not transfer artifact", "could not be resolved", "Unable to resolve artifact", "in offline mode"];
        assert!(no_download.iter().any(|reason| errors.contains(reason)), "{errors}");
        println!("skipped: Maven cannot download a plugin or a library: {errors}");
        return;
    }
    let mut client = Command::new("java");
    client.arg("-jar").arg(folder.join("target/dateline-client.jar"));
    check_client_across_restarts(client, "");
}

#[test]
fn cpp() {
    let programs = ["cmake", "c++", "protoc", "pkg-config"];
    // The plugin has no option that prints its version; it exits with success if its input is empty.
    if !programs.iter().all(|program| is_installed(program, &["--version"])) || !is_installed("grpc_cpp_plugin", &[]) {
        return;
    }
    let libraries = ["grpc++", "protobuf", "nlohmann_json"];
    if !Command::new("pkg-config").arg("--exists").args(libraries).status().is_ok_and(|status| status.success()) {
        println!("skipped: the development files of grpc++, protobuf or nlohmann_json are not installed");
        return;
    }
    let folder = build_dir("cpp");
    // CMake refuses the cache of another directory, as after a move.
    let _ = fs::remove_file(folder.join("CMakeCache.txt"));
    let mut configure = Command::new("cmake");
    configure.arg("-S").arg(project_path("examples/clients/cpp")).arg("-B").arg(&folder);
    succeed(configure.arg(format!("-DDATELINE_PROTO={}", project_path("proto").display())));
    succeed(Command::new("cmake").arg("--build").arg(&folder));
    check_client_across_restarts(Command::new(folder.join("client")), "");
}
