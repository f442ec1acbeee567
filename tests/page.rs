//! Classification over plain HTTP, corrections, and the page for editors in a browser.
#![cfg(unix)]

mod common;

use common::{
    Server, TempDir,
    certificates::Authority,
    is_installed, npm_package, printed, project_path, run, sample_articles, stderr, stdout, version_of, wait_until,
    web::{Response, send},
};
use dateline::wire::proto::dateline::v1::{Article, CorrectRequest, Countries, corrections_client::CorrectionsClient};
use serde_json::{Value, json};
use std::{
    fs,
    io::{BufReader, Write},
    net::TcpStream,
    path::PathBuf,
    process::Command,
    time::Duration,
};
use tonic::Code;

const JSON: (&str, &str) = ("Content-Type", "application/json");
const LINES: (&str, &str) = ("Content-Type", "application/x-ndjson");

/// A server with the page; returns the address of the page.
fn start(args: &[&str]) -> (Server, String) {
    let server = Server::start(&[&["--web", "127.0.0.1:0"], args].concat());
    let address = server.logged_field("web");
    (server, address)
}

/// Ends a server; returns its log.
fn stop(mut server: Server) -> String {
    server.terminate();
    assert!(server.wait().success(), "{}", server.log());
    server.log()
}

fn post(address: &str, path: &str, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Response {
    send(address, "POST", path, headers, body.as_ref())
}

fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The rows of a log of corrections.
fn corrections(folder: &str) -> Vec<Value> {
    let mut paths: Vec<_> =
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    let texts = paths.iter().map(|path| fs::read_to_string(path).expect("UTF-8"));
    texts.flat_map(|text| text.lines().map(value).collect::<Vec<_>>()).collect()
}

#[test]
fn answers_are_those_of_the_command() {
    let (_server, address) = start(&[]);
    let input = sample_articles(400);
    let expected = run(&["classify", "--json", "--explain", "-"], input.as_bytes());
    assert!(expected.status.success(), "{}", stderr(&expected));
    let answered = post(&address, "/v1/classify?explain=true", &[LINES], &input);
    assert_eq!(answered.status, 200);
    assert!(answered.head.contains("content-type: application/x-ndjson"), "{}", answered.head);
    assert!(answered.body == stdout(&expected), "the same lines, in the same order");
    let first = input.lines().next().expect("an article");
    let one = post(&address, "/v1/classify?explain=true", &[JSON], first);
    assert_eq!((one.status, Some(one.body.trim_end())), (200, answered.body.lines().next()));
    let short = value(&post(&address, "/v1/classify?max_labels=1&min_confidence=0", &[JSON], first).body);
    assert_eq!(short["topics"].as_array().map(Vec::len), Some(1));
    assert_eq!(short["topics"][0]["evidence"], Value::Null);
}

#[test]
fn invalid_requests_say_what_is_wrong() {
    let (_server, address) = start(&["--max-message-bytes", "2048"]);
    let article = r#"{"body": "The parliament passed the budget."}"#;
    let long = format!("{{\"body\": \"{}\"}}", "word ".repeat(600));
    let form = ("Content-Type", "application/x-www-form-urlencoded");
    for (method, path, header, body, status, reason) in [
        ("POST", "/v1/classify", JSON, "", 400, "the body is empty"),
        ("POST", "/v1/classify", JSON, "{\"body\": ", 400, "cut off"),
        ("POST", "/v1/classify", JSON, "{\"id\": \"7\", \"body\": \" \"}", 400, "no text"),
        ("POST", "/v1/classify", form, article, 415, "application/x-ndjson"),
        ("POST", "/v1/classify?explain=maybe", JSON, article, 400, "invalid query"),
        ("POST", "/v1/classify?color=red", JSON, article, 400, "invalid query"),
        ("POST", "/v1/classify?auto_from=2", JSON, article, 400, "auto_from"),
        ("POST", "/v1/classify", JSON, &long, 413, "2048 bytes"),
        ("GET", "/v1/classify", JSON, "", 405, "POST"),
        ("GET", "/v2/classify", JSON, "", 404, "POST /v1/classify"),
        (
            "POST",
            "/v1/corrections",
            JSON,
            "{\"id\": \"7\", \"topics\": [\"medtop:15000000\"]}",
            400,
            "--corrections-log",
        ),
    ] {
        let answer = send(&address, method, path, &[header], body.as_bytes());
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
        let message = value(&answer.body)["error"]["message"].as_str().expect("a message").to_owned();
        assert!(message.contains(reason), "{path}: {message}");
    }
    // Each line has its own error; one that is too long ends the body.
    let lines = format!("{article}\n\n{{\"id\": \"b\"}}\nno json\n{article}\n{long}\n{article}\n");
    let answer = post(&address, "/v1/classify", &[LINES], lines);
    let answers: Vec<Value> = answer.body.lines().map(value).collect();
    let codes: Vec<_> = answers.iter().map(|answer| (&answer["id"], &answer["error"]["code"])).collect();
    let (invalid, none) = (&json!("INVALID_ARGUMENT"), &Value::Null);
    let ids = ["1", "b", "3", "4", "5"].map(Value::from);
    assert_eq!(
        codes,
        [
            (&ids[0], none),
            (&ids[1], invalid),
            (&ids[2], invalid),
            (&ids[3], none),
            (&ids[4], &json!("RESOURCE_EXHAUSTED"))
        ]
    );
}

#[test]
fn answers_come_while_the_request_goes_on_and_slow_ones_are_ended() {
    let (_server, address) = start(&["--stream-stall", "1"]);
    let mut connection = TcpStream::connect(&address).expect("the server accepts connections");
    connection.set_read_timeout(Some(Duration::from_secs(30))).expect("the time-out can be set");
    let head = format!(
        "POST /v1/classify HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/jsonl\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    connection.write_all(head.as_bytes()).expect("the head is sent");
    let mut chunk = |text: &str| {
        let chunk = format!("{:x}\r\n{text}\r\n", text.len());
        connection.write_all(chunk.as_bytes()).expect("a chunk is sent");
        connection.try_clone().expect("a socket can be cloned")
    };
    let stream = chunk("{\"id\": \"a\", \"body\": \"The parliament passed the budget.\"}\n");
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    while !line.contains("\"id\":\"a\"") {
        line.clear();
        std::io::BufRead::read_line(&mut reader, &mut line).expect("the answer comes before the request ends");
    }
    // Half a line, and no more.
    chunk("{\"id\": \"b\", ");
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut reader, &mut rest).expect("the response ends");
    assert!(rest.contains("was not sent in time"), "{rest}");
}

#[test]
fn a_client_that_reads_no_answers_holds_up_no_other() {
    let (_server, address) = start(&["--max-message-bytes", "1000000", "--max-text-bytes", "10000000"]);
    let text = "The parliament passed the budget. ".repeat(2_500);
    let row = format!("{{\"body\": \"{text}\"}}\n");
    let mut silent = TcpStream::connect(&address).expect("the server accepts connections");
    silent.set_write_timeout(Some(Duration::from_secs(3))).expect("the time-out can be set");
    let head = format!(
        "POST /v1/classify?explain=true HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/x-ndjson\r\nContent-Length: \
         {}\r\n\r\n",
        20_000 * row.len()
    );
    silent.write_all(head.as_bytes()).expect("the head is sent");
    let mut sent = 0;
    while silent.write_all(row.as_bytes()).is_ok() {
        sent += 1;
        assert!(sent < 20_000, "the server reads on although it cannot answer");
    }
    let long = format!("{{\"body\": \"{}\"}}", text.repeat(8));
    for _ in 0..3 {
        let answer = post(&address, "/v1/classify", &[JSON], &long);
        assert_eq!(answer.status, 200, "after {sent} lines: {}", answer.body);
    }
}

#[test]
fn tokens_origins_and_tls_are_those_of_the_server() {
    let folder = TempDir::new();
    let tokens = folder.write("tokens", "desk-token-0123456789");
    let (server, address) = start(&["--tokens", &tokens]);
    let article = r#"{"body": "The parliament passed the budget."}"#;
    let authorized = ("Authorization", "Bearer desk-token-0123456789");
    for (path, method) in
        [("/v1/classify", "POST"), ("/v1/corrections", "POST"), ("/v1/model", "GET"), ("/v1/metrics", "GET")]
    {
        let refused = send(&address, method, path, &[JSON], article.as_bytes());
        assert_eq!(refused.status, 401, "{path}");
        assert!(refused.head.contains("www-authenticate: bearer"), "{}", refused.head);
    }
    assert_eq!(post(&address, "/v1/classify", &[JSON, authorized], article).status, 200);
    assert!(send(&address, "GET", "/v1/metrics", &[authorized], b"").body.contains("dateline_topics_total"));
    let model = value(&send(&address, "GET", "/v1/model", &[authorized], b"").body);
    assert_eq!((model["topics"].as_array().map(Vec::len), &model["corrections"]), (Some(17), &json!("disabled")));
    let foreign = ("Sec-Fetch-Site", "cross-site");
    assert_eq!(post(&address, "/v1/classify", &[JSON, authorized, foreign], article).status, 403);
    // The page itself holds no secret.
    let page = send(&address, "GET", "/", &[], b"");
    assert_eq!(page.status, 200);
    assert!(page.head.contains("content-security-policy: default-src 'none'"), "{}", page.head);
    assert!(page.head.contains("frame-ancestors 'none'"), "{}", page.head);
    let log = stop(server);
    assert!(!log.contains("0123456789") && !log.contains("parliament"), "{log}");

    if is_installed("curl", &["--version"]) {
        let authority = Authority::new();
        let (certificate, key) = authority.write_pair(&folder);
        let ca = folder.write("ca.pem", &authority.pem);
        let (_server, address) = start(&["--tls-cert", &certificate, "--tls-key", &key]);
        let port = address.rsplit(':').next().expect("a port");
        let url = format!("https://localhost:{port}/v1/classify");
        let args =
            ["--silent", "--show-error", "--cacert", &ca, "-H", "content-type: application/json", "-d", article, &url];
        let output = Command::new("curl").args(args).output().expect("curl runs");
        assert!(stdout(&output).contains("\"topics\":[{"), "{}", printed(&output));
    }
    // Another site may give its own name the address of this server.
    let (_server, address) = start(&["--web-host", "desk.example"]);
    let status = |host: &str| post(&address, "/v1/classify", &[JSON, ("Host", host)], article).status;
    assert_eq!(["evil.example", "desk.example:8080", "localhost"].map(status), [403, 200, 200]);
    let refused = run(&["serve", "--web", "0.0.0.0:0"], b"");
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("can be reached from other machines"), "{}", stderr(&refused));
}

#[tokio::test]
async fn corrections_are_stored_as_rows_with_text_only_if_asked_for() {
    let folder = TempDir::new();
    let log = folder.arg("corrections");
    let (server, address) = start(&["--corrections-log", &log]);
    let row = json!({
        "id": "a7", "headline": "Embargoed", "body": "A secret text.", "topics": ["medtop:15000000"],
        "subtopics": ["medtop:20001065"], "regions": ["KE"], "author": "Ada",
    });
    let answer = post(&address, "/v1/corrections", &[JSON], row.to_string());
    assert_eq!((answer.status, &*answer.body), (200, "{\"id\":\"a7\"}\n"));
    let mut client = CorrectionsClient::new(server.channel());
    let request = CorrectRequest {
        article: Some(Article { id: "a8".to_owned(), body: "Another secret.".to_owned(), ..Article::default() }),
        countries: Some(Countries { codes: Vec::new() }),
        ..CorrectRequest::default()
    };
    assert_eq!(client.correct(request.clone()).await.expect("it is recorded").into_inner().id, "a8");
    let wrong = CorrectRequest { topics: vec!["sport".to_owned()], ..request };
    let refused = client.correct(wrong).await.expect_err("no such topic");
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("no topic \"sport\""), "{}", refused.message());
    let no_id = post(&address, "/v1/corrections", &[JSON], json!({"topics": ["medtop:15000000"]}).to_string());
    assert!(no_id.status == 400 && no_id.body.contains("no id"), "{}", no_id.body);
    let rows = corrections(&log);
    assert_eq!(rows.len(), 2);
    assert_eq!(
        (&rows[0]["regions"], &rows[0]["author"], &rows[1]["regions"]),
        (&json!(["KE"]), &json!("Ada"), &json!([]))
    );
    let other = run(&["serve", "--listen", "127.0.0.1:0", "--corrections-log", &log], b"");
    assert!(stderr(&other).contains("another process writes to this folder"), "{}", stderr(&other));
    let logged = stop(server);
    let stored: String = rows.iter().map(Value::to_string).collect();
    assert!(!stored.contains("secret") && !logged.contains("secret"), "the text is neither stored nor logged");

    let (_server, address) = start(&["--corrections-log", &log, "--corrections-keep-text"]);
    assert_eq!(post(&address, "/v1/corrections", &[JSON], row.to_string()).status, 200);
    let rows = corrections(&log);
    assert_eq!((rows.len(), &rows[2]["body"]), (3, &json!("A secret text.")));
}

#[test]
fn a_correction_that_cannot_be_written_is_an_error_and_leaves_nothing_behind() {
    let folder = TempDir::new();
    let log = folder.arg("corrections");
    // A limit of 4 KiB per file makes writes fail as on a full disk.
    let server = Server::start_in_shell(&format!(
        "trap '' XFSZ; ulimit -f 4; exec \"$0\" serve --listen 127.0.0.1:0 --web 127.0.0.1:0 --corrections-log {log}"
    ));
    let address = server.logged_field("web");
    let correct = |id: usize| {
        let row = json!({"id": format!("{id}{}", "x".repeat(1500)), "topics": ["medtop:15000000"]});
        post(&address, "/v1/corrections", &[JSON], row.to_string()).status
    };
    assert_eq!([1, 2, 3, 4].map(correct), [200, 200, 503, 503]);
    assert_eq!(corrections(&log).len(), 2);
}

#[tokio::test]
async fn a_correction_teaches_the_model_in_service_without_a_restart() {
    let folder = TempDir::new();
    let (live, log) = (folder.arg("live"), folder.arg("corrections"));
    let archive = project_path("tests/data/topics.jsonl");
    let archive = archive.to_str().expect("UTF-8");
    let promote = |more: &[&str]| {
        let args = ["train", "--json", "--topics", archive, "--promote", &live, "--hold-out", "0.2"];
        let output = run(&[&args, more].concat(), b"");
        assert!(output.status.success(), "{}", stderr(&output));
    };
    promote(&[]);
    let (_server, address) = start(&["--model", &live, "--corrections-log", &log, "--corrections-keep-text"]);
    let article = json!({
        "id": "gliders", "headline": "Gliders over Okerlund ridge",
        "body": "Forty gliders circled above the ridge at dawn while their pilots waited for warm air to carry them across the valley and back.",
    });
    let best = || {
        let answer = value(&post(&address, "/v1/classify", &[JSON], article.to_string()).body);
        (answer["topics"][0]["code"].as_str().unwrap_or_default().to_owned(), answer["model_version"].clone())
    };
    let (before, version) = best();
    let labels = ["medtop:07000000", "medtop:04000000"];
    let right = *labels.iter().find(|label| **label != before).expect("one of two");
    let mut correction = article.clone();
    correction["topics"] = json!([right]);
    let answer = post(&address, "/v1/corrections", &[JSON], correction.to_string());
    assert_eq!(answer.status, 200, "{}", answer.body);
    promote(&["--corrections", &log, "--tolerance", "1", "--label-tolerance", "1"]);
    let new = version_of(&live);
    assert_ne!(version, json!(new));
    wait_until("the server has loaded the new model", async || best().1 == json!(new)).await;
    assert_eq!(best().0, right);
}

/// The path of Chromium, if it is installed.
fn chromium() -> Option<PathBuf> {
    let folders: Vec<PathBuf> = std::env::split_paths(&std::env::var_os("PATH")?).collect();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let mut paths = names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    paths.find(|path| path.is_file())
}

#[test]
fn the_page_works_in_a_browser() {
    let Some(chromium) = chromium() else {
        println!("skipped: chromium is not installed");
        return;
    };
    let Some(folder) = npm_package("page", "puppeteer-core@24.8.2") else { return };
    let script = folder.join("page.mjs");
    fs::copy(project_path("tests/page/page.mjs"), &script).expect("the file can be copied");
    let files = TempDir::new();
    let log = files.arg("corrections");
    let pool = files.write("pool.jsonl", sample_articles(60));
    let tokens = files.write("tokens", "desk-token-0123456789");
    let (_server, address) = start(&["--corrections-log", &log, "--tokens", &tokens]);
    let mut browser = Command::new("node");
    browser.arg(&script).args([&format!("http://{address}/"), "desk-token-0123456789", &pool]).arg(&folder);
    let output = browser.env("CHROMIUM", chromium).output().expect("node runs");
    assert!(output.status.success(), "{}", printed(&output));
    let rows = corrections(&log);
    assert_eq!(rows.len(), 2, "one of the article and one of the queue: {rows:?}");
    assert_eq!(rows[0]["author"], "Ada");
    assert_eq!(rows[0]["regions"], json!(["KE", "TZ"]));
}
