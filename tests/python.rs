//! Python clients with grpcio and stubs generated from the proto files: streams, mutual TLS, tokens, a drain, and the README's
//! example. The packages are installed in a virtual environment; the tests are skipped, with a message, without Python 3.

mod common;

use common::{Server, TempDir, certificates::Authority, project_path, succeed, utf8, virtual_environment};
use std::{path::PathBuf, process::Command};

const PACKAGES: [&str; 5] =
    ["grpcio", "grpcio-tools", "grpcio-health-checking", "grpcio-reflection", "googleapis-common-protos"];

/// A Python interpreter with [`PACKAGES`].
fn python() -> Option<PathBuf> {
    virtual_environment("python", &PACKAGES).map(|programs| programs.join("python"))
}

#[test]
fn a_python_client_streams_a_thousand_articles() {
    let Some(python) = python() else { return };
    let server = Server::start(&[]);
    let stubs = TempDir::new();
    succeed(
        Command::new(python)
            .arg(project_path("tests/python/client.py"))
            .arg(&server.address)
            .arg(project_path("proto"))
            .arg(stubs.path()),
    );
}

/// Mutual TLS, tokens, and a drain in the middle of a stream.
#[test]
fn a_python_client_authenticates_and_handles_a_drain() {
    const TOKEN: &str = "desk-token-0123456789";
    let Some(python) = python() else { return };
    let (files, servers, clients) = (TempDir::new(), Authority::new(), Authority::new());
    let (certificate, key) = servers.write_pair(&files);
    let (client_certificate, client_key) = clients.sign();
    files.write("client.pem", client_certificate);
    files.write("client-key.pem", client_key);
    files.write("ca.pem", &servers.pem);
    files.write("other-ca.pem", Authority::new().pem);
    files.write("token", TOKEN);
    let (ca, tokens) = (files.write("clients.pem", &clients.pem), files.write("tokens", TOKEN));
    let tls = ["--tls-cert", &certificate, "--tls-key", &key, "--client-ca", &ca, "--tokens", &tokens];
    let mut server = Server::start(&tls);
    let stubs = TempDir::new();
    succeed(
        Command::new(python)
            .arg(project_path("tests/python/operations.py"))
            .args([format!("localhost:{}", server.port()), server.id().to_string()])
            .args([files.path(), &project_path("proto"), stubs.path()]),
    );
    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
}

#[test]
fn the_readme_example_runs() {
    let Some(python) = python() else { return };
    let readme = std::fs::read_to_string(project_path("README.md")).expect("the README can be read");
    let block = readme
        .split("```python\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .expect("the README has a Python example");
    let command = readme
        .lines()
        .find_map(|line| line.strip_prefix("python -m grpc_tools.protoc "))
        .expect("the README has the command that generates the stubs");

    let server = Server::start(&[]);
    let folder = TempDir::new();
    let proto = project_path("proto");
    let args = command.split_whitespace().map(|arg| if arg == "proto" { utf8(&proto) } else { arg });
    std::fs::create_dir(folder.join("stubs")).expect("the directory can be created");
    succeed(Command::new(&python).args(["-m", "grpc_tools.protoc"]).args(args).current_dir(&folder));
    folder.write("example.py", block.replace("127.0.0.1:50051", &server.address));
    let output = succeed(Command::new(&python).arg("example.py").env("PYTHONPATH", "stubs").current_dir(&folder));
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines.len(), 3, "{output}");
    assert!(lines[0].starts_with("1 ['disaster") && lines[0].ends_with("['IT']"), "{output}");
    assert!(lines[1].starts_with("2 error: the article has no text"), "{output}");
    assert!(lines[2].starts_with("3 ['sport") && lines[2].ends_with("['NG']"), "{output}");
}
