//! The files for deployment: what checks them offline, and that they say what the program understands.

mod common;

use common::{dateline, environment, file, stderr, stdout};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

fn manifests() -> Vec<PathBuf> {
    let entries = fs::read_dir(file("examples/deploy/kubernetes")).expect("they are there");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a file").path()).collect();
    paths.sort();
    paths
}

#[test]
fn kubernetes_takes_the_manifests() {
    let Some(programs) = environment("kubernetes", &["kubernetes-validate"]) else { return };
    // Kustomize's own file is not one of the API's kinds.
    let paths = manifests().into_iter().filter(|path| !path.ends_with("kustomization.yaml"));
    // From 1.30 on a pod sleeps before it stops.
    for version in ["1.30", "1.34"] {
        let mut check = Command::new(programs.join("kubernetes-validate"));
        let output = check.args(["--strict", "-k", version]).args(paths.clone()).output().expect("it runs");
        assert!(output.status.success(), "{version}: {}{}", stdout(&output), stderr(&output));
        let told = stdout(&output) + &stderr(&output);
        assert!(told.matches(" passed for ").count() >= 8, "{told}");
    }
    let broken = tempfile::NamedTempFile::with_suffix(".yaml").expect("a file");
    let server = fs::read_to_string(file("examples/deploy/kubernetes/server.yaml")).expect("it is there");
    fs::write(broken.path(), server.replace("replicas: 2", "replicas: two")).expect("it is written");
    let mut check = Command::new(programs.join("kubernetes-validate"));
    assert!(!check.arg("--strict").arg(broken.path()).status().expect("it runs").success(), "it can fail");
}

/// Every resource that the kustomization names, or has in a comment to be named, is there, and no other is.
#[test]
fn the_kustomization_names_what_there_is() {
    let text = fs::read_to_string(file("examples/deploy/kubernetes/kustomization.yaml")).expect("it is there");
    let named = text.lines().filter_map(|line| line.trim_start_matches([' ', '#']).strip_prefix("- "));
    let mut named: Vec<String> = named.filter(|name| name.ends_with(".yaml")).map(ToOwned::to_owned).collect();
    named.push("kustomization.yaml".to_owned());
    named.sort();
    let there: Vec<String> =
        manifests().iter().filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned())).collect();
    assert_eq!(named, there);
}

#[test]
fn the_program_understands_what_the_manifests_say() {
    for (path, command) in [("server.yaml", "serve"), ("relay.yaml", "relay")] {
        let text = fs::read_to_string(file("examples/deploy/kubernetes").join(path)).expect("it is there");
        let args = text.lines().filter_map(|line| line.trim().strip_prefix("- --"));
        let args = args.map(|arg| format!("--{}", arg.split(" #").next().unwrap_or_default().trim()));
        // The Secrets are mounted nowhere here.
        let args: Vec<String> = args.filter(|arg| !arg.starts_with("--tls-")).collect();
        assert!(args.len() >= 5, "{args:?}");
        let more: &[&str] = if command == "serve" { &["--insecure"] } else { &[] };
        let output = dateline().arg(command).args(args).args(more).arg("--check-config").output().expect("it runs");
        assert!(output.status.success(), "{path}: {}", stderr(&output));
    }
}

#[test]
fn systemd_is_content_with_the_units_and_the_program_knows_their_settings() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut copies = Vec::new();
    for (name, command) in [("dateline.service", "serve"), ("dateline-relay.service", "relay")] {
        let unit = fs::read_to_string(file("examples/deploy").join(name)).expect("it is there");
        let help = stdout(&dateline().args([command, "--help"]).output().expect("it runs"));
        let settings = unit.lines().filter_map(|line| line.trim_start_matches('#').strip_prefix("Environment="));
        for setting in settings.filter_map(|setting| setting.split('=').next()) {
            assert!(help.contains(&format!("[env: {setting}")), "{setting} of {name}");
        }
        let copy = folder.path().join(name);
        assert!(unit.contains("=/usr/bin/dateline "));
        fs::write(&copy, unit.replace("/usr/bin/dateline", env!("CARGO_BIN_EXE_dateline"))).expect("it is written");
        copies.push(copy);
    }
    let verify = |paths: &[&Path]| Command::new("systemd-analyze").arg("verify").args(paths).output();
    let paths: Vec<&Path> = copies.iter().map(PathBuf::as_path).collect();
    let Ok(output) = verify(&paths) else {
        println!("skipped: systemd-analyze is not installed");
        return;
    };
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
    // What it finds in units of others is not ours.
    let ours = stderr(&output).lines().filter(|line| line.contains("dateline")).count();
    assert_eq!(ours, 0, "{}", stderr(&output));
}
