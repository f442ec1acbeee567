//! Tools that others wrote and operators use: grpcurl and Prometheus, against a real server.

mod common;

use common::{
    Server,
    certificates::{Authority, Files},
    client, file, get, request, until,
};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};
use tokio_stream::StreamExt;

const TOKEN: &str = "desk-token-0123456789";

/// grpcurl, built once and kept beside the build; `None` where there is no Go.
fn grpcurl() -> Option<PathBuf> {
    if !Command::new("go").arg("version").output().is_ok_and(|output| output.status.success()) {
        println!("skipped: go is not installed, and grpcurl is built with it");
        return None;
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("go");
    let program = folder.join("grpcurl");
    if !program.exists() {
        let package = "github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3";
        let status = Command::new("go").args(["install", package]).env("GOBIN", &folder).status().expect("go runs");
        assert!(status.success(), "go install {package}");
    }
    Some(program)
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn grpcurl_lists_asks_and_is_refused() {
    let Some(grpcurl) = grpcurl() else { return };
    let (files, ours) = (Files::new(), Authority::new());
    let (certificate, key) = ours.sign(2100);
    let (certificate, key) = (files.put("cert.pem", &certificate), files.put("key.pem", &key));
    let (ca, tokens) = (files.put("ca.pem", &ours.pem), files.put("tokens", TOKEN));
    let operators = files.put("operators", "operator-0123456789");
    let live = files.path("live");
    fs::create_dir(&live).expect("a folder");
    for name in ["manifest.json", "model.safetensors"] {
        fs::copy(file("models").join(name), live.join(name)).expect("it is copied");
    }
    let model = live.to_str().expect("UTF-8");
    let args = ["--tls-cert", &certificate, "--tls-key", &key, "--tokens", &tokens, "--admin-tokens", &operators];
    let server = Server::start(&[&args[..], &["--model", model]].concat());
    let port = server.address.rsplit_once(':').expect("a port").1.to_owned();
    let run = |token: &str, data: &str, what: &[&str]| {
        let header = format!("authorization: Bearer {token}");
        let address = format!("localhost:{port}");
        let before = ["-cacert", &ca, "-H", &header, "-d", data, &address];
        Command::new(&grpcurl).args(before).args(what).output().expect("grpcurl runs")
    };
    let listed = text(&run(TOKEN, "", &["list"]));
    for service in ["dateline.v1.Admin", "dateline.v1.Classifier", "grpc.health.v1.Health"] {
        assert!(listed.lines().any(|line| line == service), "{listed}");
    }
    let article = r#"{"article": {"id": "1", "body": "NAIROBI (Reuters) - Parliament passed the budget on Tuesday."}}"#;
    let two = format!("{article}\n{article}");
    let answers = text(&run(TOKEN, &two, &["dateline.v1.Classifier/ClassifyStream"]));
    assert_eq!(answers.matches("\"code\": \"KE\"").count(), 2, "{answers}");
    let refused = text(&run("wrong-0123456789abc", "", &["list"]));
    assert!(refused.contains("Unauthenticated") || refused.contains("is not known here"), "{refused}");

    let described = text(&run(TOKEN, "", &["describe", "dateline.v1.Admin"]));
    assert!(described.contains("ReloadModel"), "{described}");
    // Its own token opens Admin, and reflection needs the classifier's: with files in its place it does not.
    let (protos, address) = (file("proto"), format!("localhost:{port}"));
    let output = Command::new(&grpcurl)
        .args(["-cacert", &ca, "-H", "authorization: Bearer operator-0123456789", "-import-path"])
        .arg(&protos)
        .args(["-proto", "dateline/v1/admin.proto", &address, "dateline.v1.Admin/ReloadModel"])
        .output()
        .expect("grpcurl runs");
    assert!(output.status.success() && text(&output).contains("\"to\""), "{}", text(&output));
}

/// Whether a program can be run; where it cannot, it says so.
fn there_is(program: &str) -> bool {
    let there = Command::new(program).arg("--version").output().is_ok();
    if !there {
        println!("skipped: {program} is not installed");
    }
    there
}

/// A server that has answered articles, one of them wrong, and where its metrics are.
async fn busy() -> (Server, String) {
    let server =
        Server::start(&["--metrics-listen", "127.0.0.1:0", "--shadow", file("models").to_str().expect("UTF-8")]);
    let mut requests: Vec<_> = (0..50).map(request).collect();
    requests.push(Default::default());
    let answers =
        client(&server).await.classify_stream(tokio_stream::iter(requests)).await.expect("a stream").into_inner();
    assert_eq!(answers.collect::<Vec<_>>().await.len(), 51);
    let metrics = server.told("metrics");
    (server, metrics)
}

/// A process that ends with the test.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn promtool_finds_nothing_wrong() {
    if !there_is("promtool") {
        return;
    }
    let (_server, metrics) = busy().await;
    let mut check = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool runs");
    let text_of_metrics = get(&metrics, "/metrics").1;
    std::io::Write::write_all(&mut check.stdin.take().expect("it is piped"), text_of_metrics.as_bytes())
        .expect("it reads");
    let output = check.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(text(&output), "");
}

#[tokio::test]
async fn prometheus_scrapes_and_answers() {
    if !there_is("prometheus") {
        return;
    }
    let (_server, metrics) = busy().await;
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("prometheus.yml");
    let scrape = format!(
        "scrape_configs:\n- job_name: dateline\n  scrape_interval: 1s\n  static_configs:\n  - targets: ['{metrics}']\n"
    );
    fs::write(&config, scrape).expect("it is written");
    let free =
        std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").to_string();
    let prometheus = Command::new("prometheus")
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
        .arg(format!("--web.listen-address={free}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("prometheus runs");
    let _ends = Ends(prometheus);
    until("prometheus listens", async || std::net::TcpStream::connect(&free).is_ok()).await;
    until("it answers", async || {
        let query = "/api/v1/query?query=dateline_articles_total%7Boutcome%3D%22classified%22%7D";
        let (status, answer) = get(&free, query);
        status == 200 && answer.contains("\"50\"")
    })
    .await;
}

/// The page for operators describes the metrics that there are, and the dashboard asks for these.
#[tokio::test]
async fn dashboard_and_docs_name_the_metrics_that_there_are() {
    let (_server, metrics) = busy().await;
    let there = get(&metrics, "/metrics").1;
    let mut there: BTreeSet<&str> =
        there.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    // The shadow is the live model, so that nothing differs.
    assert!(there.insert("dateline_shadow_topics_differ_total"));
    let docs = fs::read_to_string(file("docs/operations.md")).expect("it is there");
    let described = docs.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let described: BTreeSet<&str> =
        described.filter(|name| name.starts_with("dateline_") || name.starts_with("process_")).collect();
    assert_eq!(described, there);

    let dashboard: serde_json::Value =
        serde_json::from_slice(&fs::read(file("docs/grafana.json")).expect("it is there")).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let mut asked = BTreeSet::new();
    for target in targets {
        let expression = target["expr"].as_str().expect("an expression");
        let words = expression.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        let names = words.filter(|word| word.starts_with("dateline_") || word.starts_with("process_"));
        asked.extend(names.map(|name| name.strip_suffix("_bucket").unwrap_or(name)));
    }
    assert!(asked.len() >= 15, "{asked:?}");
    assert!(asked.is_subset(&described), "{:?}", asked.difference(&described));
}
