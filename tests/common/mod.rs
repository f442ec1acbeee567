//! What the end-to-end tests share: the real binary, a real server on a free port, samples.
#![allow(dead_code)] // each test file uses its part

pub mod certificates;

use dateline::wire::proto::dateline::v1::{
    Article, ClassifyRequest, ClassifyResponse, classifier_client::ClassifierClient, classify_response::Outcome,
};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

/// A file of the project.
pub fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The `dateline` command.
pub fn dateline() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dateline"));
    command.env_remove("RUST_LOG");
    command
}

/// Runs `dateline` with arguments and standard input.
pub fn run(args: &[&str], input: &[u8]) -> Output {
    let mut child = dateline()
        .args(args)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("dateline starts");
    let mut stdin = child.stdin.take().expect("standard input is piped");
    let input = input.to_vec();
    // A command that does not read its input closes it: that is its right.
    let writer = thread::spawn(move || stdin.write_all(&input).ok());
    let output = child.wait_with_output().expect("dateline ends");
    writer.join().expect("the input is written");
    output
}

/// Standard output as text.
pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("the output is UTF-8")
}

/// Standard error as text.
pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("the errors are UTF-8")
}

/// Standard output as JSON, a value a line.
pub fn json_lines(output: &Output) -> Vec<serde_json::Value> {
    stdout(output).lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
}

/// Waits until something is so.
pub async fn until(what: &str, is: impl AsyncFn() -> bool) {
    let begun = Instant::now();
    while !is().await {
        assert!(begun.elapsed() < Duration::from_secs(30), "{what} within thirty seconds");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The programs of a virtual environment of Python with some packages; made once, and kept beside the build. `None`, with the
/// reason printed, where there is no Python.
pub fn environment(name: &str, packages: &[&str]) -> Option<PathBuf> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let found = Command::new("python3").args(["-c", "import sys, venv; assert sys.version_info >= (3, 9)"]).status();
    if !found.is_ok_and(|status| status.success()) {
        println!("skipped: python3 (3.9 or later, with venv) is not installed");
        return None;
    }
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let (programs, complete) = (folder.join("bin"), folder.join("complete"));
    let wanted = packages.join("\n");
    if std::fs::read_to_string(&complete).ok().as_ref() != Some(&wanted) {
        let run = |command: &mut Command| assert!(command.status().expect("it runs").success(), "{command:?}");
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder));
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
        run(Command::new(programs.join("python")).args(pip).args(packages));
        std::fs::write(&complete, wanted).expect("the folder can be written");
    }
    Some(programs)
}

/// A running `dateline serve`, killed when dropped.
pub struct Server {
    child: Child,
    pub address: String,
    log: Arc<Mutex<String>>,
}

impl Server {
    /// Starts a server on a free port and waits until it listens.
    pub fn start(args: &[&str]) -> Server {
        Server::start_at("127.0.0.1:0", args)
    }

    /// The same at an address, where another one was before.
    pub fn start_at(address: &str, args: &[&str]) -> Server {
        let mut child = dateline()
            .args(["serve", "--listen", address])
            .args(args)
            .env("RUST_LOG", "debug")
            .env("NO_COLOR", "1")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut lines = BufReader::new(child.stderr.take().expect("standard error is piped")).lines();
        let log = Arc::new(Mutex::new(String::new()));
        let mut address = None;
        while address.is_none() {
            let line = lines.next().expect("the server says where it listens").expect("the log is UTF-8");
            let text = line.split_once("listening address=").map(|(_, rest)| rest.split_whitespace().next());
            let json =
                line.split_once("\"message\":\"listening\",\"address\":\"").map(|(_, rest)| rest.split('"').next());
            address = text.or(json).flatten().map(ToOwned::to_owned);
            log.lock().expect("the log").push_str(&(line + "\n"));
        }
        let kept = log.clone();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                kept.lock().expect("the log").push_str(&(line + "\n"));
            }
        });
        Server { child, address: address.expect("found above"), log }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// An address that the log tells: `metrics` or `admin`.
    pub fn told(&self, what: &str) -> String {
        let log = self.log();
        let rest = log.split_once(&format!(" {what}=")).expect("the log says where").1;
        rest.split_whitespace().next().expect("an address").to_owned()
    }

    /// A channel that connects when it is used.
    pub fn channel(&self) -> Channel {
        channel(&self.address)
    }

    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What the server has logged so far.
    pub fn log(&self) -> String {
        self.log.lock().expect("the log").clone()
    }

    /// Asks the server to stop, as an orchestrator does.
    #[cfg(unix)]
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// Sends the server a signal.
    #[cfg(unix)]
    pub fn signal(&self, name: &str) {
        let signal = format!("-{name}");
        let done = Command::new("kill").args([&signal, &self.child.id().to_string()]).status().expect("kill runs");
        assert!(done.success());
    }

    /// Waits until the server has ended by itself.
    pub fn wait(&mut self) -> std::process::ExitStatus {
        self.child.wait().expect("the server ends")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `count` different short articles as JSON Lines, some of them HTML, with datelines, or without a body.
pub fn articles(count: usize) -> String {
    let places = ["Nairobi", "Lima", "Oslo", "Hanoi", "Warsaw", "Dakar", "Quito", "Manila"];
    let events = [
        "parliament passed the budget by two votes after a long debate",
        "the home side won the cup final on penalties before a full stadium",
        "an earthquake damaged houses and cut the road to the coast",
        "the central bank raised interest rates as inflation climbed",
        "a new vaccine halved infections in a trial, doctors said",
        "police arrested four men over a bank robbery",
    ];
    let mut lines = String::new();
    for i in 0..count {
        let (place, event) = (places[i % places.len()], events[i % events.len()]);
        let row = match i % 4 {
            0 => {
                serde_json::json!({"id": format!("a{i}"), "headline": format!("Report {i} from {place}"), "body": format!("In {place} {event}.")})
            }
            1 => {
                serde_json::json!({"id": format!("a{i}"), "body": format!("{} (Reuters) - On day {i} {event}.", place.to_uppercase())})
            }
            2 => {
                serde_json::json!({"id": format!("a{i}"), "format": "html", "body": format!("<h1>News {i} &amp; more</h1><p>{place}: {event}.</p><p>Share this article</p>")})
            }
            _ => {
                serde_json::json!({"id": format!("a{i}"), "headline": format!("{place}: {event}"), "dateline": place, "source_country": "KE"})
            }
        };
        lines.push_str(&(row.to_string() + "\n"));
    }
    lines
}

/// A channel in plain text that connects when it is used.
pub fn channel(address: &str) -> Channel {
    Channel::from_shared(format!("http://{address}")).expect("a URL").connect_lazy()
}

/// A client of a server.
pub type Client = ClassifierClient<Channel>;

pub async fn client(server: &Server) -> Client {
    ClassifierClient::connect(server.url()).await.expect("the server takes connections")
}

pub fn request(id: usize) -> ClassifyRequest {
    let body = format!("NAIROBI (Reuters) - On day {id} Kenya's parliament passed the budget after a long debate.");
    ClassifyRequest { article: Some(Article { id: id.to_string(), body, ..Article::default() }), options: None }
}

/// A stream that requests can be sent on one by one.
pub async fn stream(
    client: &mut ClassifierClient<Channel>,
) -> (tokio::sync::mpsc::Sender<ClassifyRequest>, Streaming<ClassifyResponse>) {
    let (send, requests) = tokio::sync::mpsc::channel(8);
    let answers = client.classify_stream(ReceiverStream::new(requests)).await.expect("a stream").into_inner();
    (send, answers)
}

pub fn version(answer: &ClassifyResponse) -> String {
    match answer.outcome.as_ref().expect("an outcome") {
        Outcome::Classification(answer) => answer.model_version.clone(),
        Outcome::Error(error) => panic!("{}", error.message),
    }
}

/// The status and the body of a GET.
pub fn get(address: &str, path: &str) -> (u16, String) {
    let mut connection = TcpStream::connect(address).expect("it listens");
    connection.set_read_timeout(Some(Duration::from_secs(10))).expect("a time-out");
    write!(connection, "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").expect("it is sent");
    let mut answer = String::new();
    connection.read_to_string(&mut answer).expect("an answer");
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
    (status, body)
}

/// The value of a sample, by its whole name with labels; 0 where there is none.
pub fn sample(text: &str, name: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().expect("a number"))
}

/// Resident memory of a server, in bytes.
pub fn resident(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") << 10
}

/// Open file descriptors of a server.
pub fn descriptors(server: &Server) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", server.id())).expect("Linux").count()
}

/// The health of a service.
pub async fn health(address: &str, service: &str) -> Result<ServingStatus, Status> {
    let check = HealthCheckRequest { service: service.into() };
    HealthClient::new(channel(address)).check(check).await.map(|answer| answer.into_inner().status())
}
