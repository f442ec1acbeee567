//! Checks the deployment files with offline validators, and that the program accepts the settings in them.

mod common;

use common::{TempDir, dateline, printed, project_path, stderr, stdout, succeed, virtual_environment};
use std::{fs, path::PathBuf, process::Command};

/// The text of a deployment file.
fn read(name: &str) -> String {
    fs::read_to_string(project_path("examples/deploy").join(name)).expect("the file can be read")
}

/// The paths of the Kubernetes manifests, sorted.
fn manifests() -> Vec<PathBuf> {
    let entries = fs::read_dir(project_path("examples/deploy/kubernetes")).expect("the directory can be read");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("the entry can be read").path()).collect();
    paths.sort();
    paths
}

#[test]
fn the_manifests_are_valid() {
    let Some(programs) = virtual_environment("kubernetes", &["kubernetes-validate"]) else { return };
    // The Kustomize file is not a resource of the Kubernetes API.
    let paths = manifests().into_iter().filter(|path| !path.ends_with("kustomization.yaml"));
    // 1.30 is the first version that supports `sleep` in a `preStop` hook by default.
    for version in ["1.30", "1.34"] {
        let mut check = Command::new(programs.join("kubernetes-validate"));
        let report = succeed(check.args(["--strict", "-k", version]).args(paths.clone()));
        assert!(report.matches(" passed for ").count() >= 8, "{version}: {report}");
    }
    let folder = TempDir::new();
    let broken = folder.write("broken.yaml", read("kubernetes/server.yaml").replace("replicas: 2", "replicas: two"));
    let mut check = Command::new(programs.join("kubernetes-validate"));
    let status = check.args(["--strict", &broken]).status().expect("the command runs");
    assert!(!status.success(), "an invalid manifest is refused");
}

/// The kustomization lists every manifest, some of them in comments, and nothing else.
#[test]
fn the_kustomization_lists_all_manifests() {
    let text = read("kubernetes/kustomization.yaml");
    let named = text.lines().filter_map(|line| line.trim_start_matches([' ', '#']).strip_prefix("- "));
    let mut named: Vec<String> = named.filter(|name| name.ends_with(".yaml")).map(ToOwned::to_owned).collect();
    named.push("kustomization.yaml".to_owned());
    named.sort();
    let existing: Vec<String> =
        manifests().iter().filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned())).collect();
    assert_eq!(named, existing);
}

#[test]
fn the_program_accepts_the_arguments_in_the_manifests() {
    for (path, command) in [("server.yaml", "serve"), ("relay.yaml", "relay")] {
        let text = read(&format!("kubernetes/{path}"));
        let args = text.lines().filter_map(|line| line.trim().strip_prefix("- --"));
        let args = args.map(|arg| format!("--{}", arg.split(" #").next().unwrap_or_default().trim()));
        // The files of the Secrets do not exist here.
        let is_secret = |arg: &String| arg.starts_with("--tls-") || arg.starts_with("--credentials");
        let args: Vec<String> = args.filter(|arg| !is_secret(arg)).collect();
        assert!(args.len() >= 5, "{args:?}");
        let more: &[&str] = if command == "serve" { &["--insecure"] } else { &[] };
        let output =
            dateline().arg(command).args(args).args(more).arg("--check-config").output().expect("the command runs");
        assert!(output.status.success(), "{path}: {}", stderr(&output));
    }
}

#[test]
fn systemd_accepts_the_units_and_the_program_accepts_their_settings() {
    let folder = TempDir::new();
    let mut copies = Vec::new();
    for (name, command) in [("dateline.service", "serve"), ("dateline-relay.service", "relay")] {
        let unit = read(name);
        let help = stdout(&dateline().args([command, "--help"]).output().expect("the command runs"));
        let settings = unit.lines().filter_map(|line| line.trim_start_matches('#').strip_prefix("Environment="));
        for setting in settings.filter_map(|setting| setting.split('=').next()) {
            assert!(help.contains(&format!("[env: {setting}")), "{setting} of {name}");
        }
        assert!(unit.contains("=/usr/bin/dateline "));
        copies.push(folder.write(name, unit.replace("/usr/bin/dateline", env!("CARGO_BIN_EXE_dateline"))));
    }
    let Ok(output) = Command::new("systemd-analyze").arg("verify").args(&copies).output() else {
        println!("skipped: systemd-analyze is not installed");
        return;
    };
    assert!(output.status.success(), "{}", printed(&output));
    // Warnings about other units of the system are ignored.
    let ours = stderr(&output).lines().filter(|line| line.contains("dateline")).count();
    assert_eq!(ours, 0, "{}", stderr(&output));
}
