//! Operators' tools against a running server: grpcurl, promtool, Prometheus, and the metrics in the docs and the dashboard.

mod common;

use common::{
    ChildGuard, LoggedProcess, Server, TempDir, build_dir, certificates::Authority, classify_all, client, http_get,
    is_installed, printed, project_path, request, succeed, utf8, wait_until,
};
use std::{collections::BTreeSet, fs, io::Write, path::PathBuf, process::Command};

const TOKEN: &str = "desk-token-0123456789";

/// grpcurl, built once; `None` if Go is not installed.
fn grpcurl() -> Option<PathBuf> {
    if !is_installed("go", &["version"]) {
        return None;
    }
    let folder = build_dir("go");
    let program = folder.join("grpcurl");
    if !program.exists() {
        let package = "github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3";
        succeed(Command::new("go").args(["install", package]).env("GOBIN", &folder));
    }
    Some(program)
}

#[test]
fn grpcurl_lists_and_calls_services_and_needs_a_token() {
    let Some(grpcurl) = grpcurl() else { return };
    let (files, authority) = (TempDir::new(), Authority::new());
    let (certificate, key) = authority.write_pair(&files);
    let (ca, tokens) = (files.write("ca.pem", &authority.pem), files.write("tokens", TOKEN));
    let operators = files.write("operators", "operator-0123456789");
    for name in ["manifest.json", "model.safetensors"] {
        let bytes = fs::read(project_path("models").join(name)).expect("the bundled model can be read");
        files.write(&format!("live/{name}"), bytes);
    }
    let model = &files.arg("live");
    let args = ["--tls-cert", &certificate, "--tls-key", &key, "--tokens", &tokens, "--admin-tokens", &operators];
    let server = Server::start(&[&args[..], &["--model", model]].concat());
    let address = &format!("localhost:{}", server.port());
    let run = |token: &str, data: &str, what: &[&str]| {
        let header = format!("authorization: Bearer {token}");
        let args = ["-cacert", &ca, "-H", &header, "-d", data, address];
        printed(&Command::new(&grpcurl).args(args).args(what).output().expect("grpcurl runs"))
    };
    let listed = run(TOKEN, "", &["list"]);
    for service in ["dateline.v1.Admin", "dateline.v1.Classifier", "grpc.health.v1.Health"] {
        assert!(listed.lines().any(|line| line == service), "{listed}");
    }
    let article = r#"{"article": {"id": "1", "body": "NAIROBI (Reuters) - Parliament passed the budget on Tuesday."}}"#;
    let two = format!("{article}\n{article}");
    let answers = run(TOKEN, &two, &["dateline.v1.Classifier/ClassifyStream"]);
    assert_eq!(answers.matches("\"code\": \"KE\"").count(), 2, "{answers}");
    let refused = run("wrong-0123456789abc", "", &["list"]);
    assert!(refused.contains("Unauthenticated") || refused.contains("unknown token"), "{refused}");

    let described = run(TOKEN, "", &["describe", "dateline.v1.Admin"]);
    assert!(described.contains("ReloadModel"), "{described}");
    // Admin takes only an operator's token and reflection only a caller's. With the proto files grpcurl needs no reflection.
    let mut reload = Command::new(&grpcurl);
    reload.args(["-cacert", &ca, "-H", "authorization: Bearer operator-0123456789", "-import-path"]);
    reload.arg(project_path("proto")).args(["-proto", "dateline/v1/admin.proto", address]);
    let answer = succeed(reload.arg("dateline.v1.Admin/ReloadModel"));
    assert!(answer.contains("\"to\""), "{answer}");
}

/// A server that has answered fifty articles and one invalid request, and the address of its metrics.
async fn server_with_metrics() -> (Server, String) {
    let server = Server::start(&["--metrics-listen", "127.0.0.1:0", "--shadow", utf8(&project_path("models"))]);
    let mut requests: Vec<_> = (0..50).map(request).collect();
    requests.push(Default::default());
    assert_eq!(classify_all(&mut client(&server).await, requests).await.len(), 51);
    let metrics = server.logged_field("metrics");
    (server, metrics)
}

#[tokio::test]
async fn promtool_accepts_the_metrics() {
    if !is_installed("promtool", &["--version"]) {
        return;
    }
    let (_server, metrics) = server_with_metrics().await;
    let mut check = ChildGuard::spawn_piped(Command::new("promtool").args(["check", "metrics"]));
    let mut input = check.stdin.take().expect("the stream is piped");
    input.write_all(http_get(&metrics, "/metrics").1.as_bytes()).expect("the command reads its input");
    drop(input);
    let output = check.wait_with_output();
    assert!(output.status.success(), "{}", printed(&output));
    assert_eq!(printed(&output), "");
}

#[tokio::test]
async fn prometheus_scrapes_the_metrics() {
    if !is_installed("prometheus", &["--version"]) {
        return;
    }
    let (_server, metrics) = server_with_metrics().await;
    let folder = TempDir::new();
    let scrape = format!(
        "scrape_configs:\n- job_name: dateline\n  scrape_interval: 1s\n  static_configs:\n  - targets: ['{metrics}']\n"
    );
    let prometheus = LoggedProcess::spawn(
        Command::new("prometheus")
            .arg(format!("--config.file={}", folder.write("prometheus.yml", scrape)))
            .arg(format!("--storage.tsdb.path={}", folder.arg("data")))
            .arg("--web.listen-address=127.0.0.1:0"),
    );
    // The configured address, with port 0, may be logged before the actual one.
    let address = prometheus.wait_for_line(|line| {
        let address = line.split_once("address=127.0.0.1:")?.1.split_whitespace().next()?;
        (address != "0").then(|| format!("127.0.0.1:{address}"))
    });
    wait_until("Prometheus has scraped the metrics", async || {
        let query = "/api/v1/query?query=dateline_articles_total%7Boutcome%3D%22classified%22%7D";
        let (status, answer) = http_get(&address, query);
        status == 200 && answer.contains("\"50\"")
    })
    .await;
}

/// The operators' documentation describes exactly the exposed metrics, and dashboard and alerts query only these.
#[tokio::test]
async fn docs_and_dashboard_use_the_exposed_metrics() {
    let (_server, metrics) = server_with_metrics().await;
    let exposed = http_get(&metrics, "/metrics").1;
    let mut exposed: BTreeSet<&str> =
        exposed.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    // The shadow model equals the live model, so that no topic differs and the sample is absent.
    assert!(exposed.insert("dateline_shadow_topics_differ_total"));
    // This server has neither tokens nor certificates.
    assert!(exposed.insert("dateline_credentials_refused"));
    assert!(exposed.insert("dateline_certificate_expiry_timestamp_seconds"));
    let docs = fs::read_to_string(project_path("docs/operations.md")).expect("the file can be read");
    let described = docs.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let described: BTreeSet<&str> =
        described.filter(|name| name.starts_with("dateline_") || name.starts_with("process_")).collect();
    assert_eq!(described, exposed);

    let dashboard: serde_json::Value =
        serde_json::from_slice(&fs::read(project_path("docs/grafana.json")).expect("the file can be read"))
            .expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let alerts = fs::read_to_string(project_path("examples/deploy/alerts.yaml")).expect("the file can be read");
    let expressions = targets.map(|target| target["expr"].as_str().expect("an expression")).chain([&*alerts]);
    let mut queried = BTreeSet::new();
    for expression in expressions {
        let words = expression.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        let names = words.filter(|word| word.starts_with("dateline_") || word.starts_with("process_"));
        queried.extend(names.map(|name| name.strip_suffix("_bucket").unwrap_or(name)));
    }
    assert!(queried.len() >= 15, "{queried:?}");
    assert!(queried.is_subset(&described), "{:?}", queried.difference(&described));
}
