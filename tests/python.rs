//! A client in another language, over the network: Python's grpcio with stubs made from the proto files.
//!
//! The test makes its own virtual environment and installs what it needs there; where there is no Python 3, it says so and
//! is skipped.

mod common;

use common::{
    Server,
    certificates::{Authority, Files},
    file,
};
use std::{path::PathBuf, process::Command};

const PACKAGES: [&str; 5] =
    ["grpcio", "grpcio-tools", "grpcio-health-checking", "grpcio-reflection", "googleapis-common-protos"];

/// The Python of an environment with [`PACKAGES`].
fn python() -> Option<PathBuf> {
    common::environment("python", &PACKAGES).map(|programs| programs.join("python"))
}

fn succeeds(command: &mut Command) -> String {
    let output = command.output().expect("it runs");
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}");
    text
}

#[test]
fn a_python_client_streams_a_thousand_articles() {
    let Some(python) = python() else { return };
    let server = Server::start(&[]);
    let stubs = tempfile::tempdir().expect("a folder");
    succeeds(
        Command::new(python)
            .arg(file("tests/python/client.py"))
            .arg(&server.address)
            .arg(file("proto"))
            .arg(stubs.path()),
    );
}

/// grpcio over mutual TLS with a token, and through a drain.
#[test]
fn a_python_client_shows_who_it_is_and_survives_a_drain() {
    const TOKEN: &str = "desk-token-0123456789";
    let Some(python) = python() else { return };
    let (files, ours, clients) = (Files::new(), Authority::new(), Authority::new());
    let (certificate, key) = ours.sign(2100);
    let (certificate, key) = (files.put("cert.pem", &certificate), files.put("key.pem", &key));
    let (client_certificate, client_key) = clients.sign(2100);
    files.put("client.pem", &client_certificate);
    files.put("client-key.pem", &client_key);
    files.put("ca.pem", &ours.pem);
    files.put("other-ca.pem", &Authority::new().pem);
    files.put("token", TOKEN);
    let (ca, tokens) = (files.put("clients.pem", &clients.pem), files.put("tokens", TOKEN));
    let tls = ["--tls-cert", &certificate, "--tls-key", &key, "--client-ca", &ca, "--tokens", &tokens];
    let mut server = Server::start(&tls);
    let stubs = tempfile::tempdir().expect("a folder");
    let port = server.address.rsplit_once(':').expect("a port").1;
    succeeds(
        Command::new(python)
            .arg(file("tests/python/operations.py"))
            .args([format!("localhost:{port}"), server.id().to_string()])
            .args([files.path(""), file("proto"), stubs.path().to_owned()]),
    );
    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
}

#[test]
fn the_example_of_the_readme_runs_as_it_stands() {
    let Some(python) = python() else { return };
    let readme = std::fs::read_to_string(file("README.md")).expect("the README is there");
    let block = readme.split("```python\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a Python example");
    let command = readme
        .lines()
        .find_map(|line| line.strip_prefix("python -m grpc_tools.protoc "))
        .expect("how to make the stubs");

    let server = Server::start(&[]);
    let folder = tempfile::tempdir().expect("a folder");
    let proto = file("proto");
    let words =
        command.split_whitespace().map(|word| if word == "proto" { proto.to_str().expect("UTF-8") } else { word });
    std::fs::create_dir(folder.path().join("stubs")).expect("a folder");
    succeeds(Command::new(&python).args(["-m", "grpc_tools.protoc"]).args(words).current_dir(&folder));
    std::fs::write(folder.path().join("example.py"), block.replace("127.0.0.1:50051", &server.address))
        .expect("it is written");
    let said = succeeds(Command::new(&python).arg("example.py").env("PYTHONPATH", "stubs").current_dir(&folder));
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 3, "{said}");
    assert!(lines[0].starts_with("1 ['disaster") && lines[0].ends_with("['IT']"), "{said}");
    assert!(lines[1].starts_with("2 error: the article has no text"), "{said}");
    assert!(lines[2].starts_with("3 ['sport") && lines[2].ends_with("['NG']"), "{said}");
}
