//! The measured servers, as child processes.

use crate::{Outcome, child::ChildGuard, machine::Pinning, peers::Peers};
use dateline::wire::proto::dateline::v1::{
    Article, ClassifyRequest, classifier_client::ClassifierClient, classify_response::Outcome as Answer,
};
use serde::Serialize;
use std::{
    env,
    ffi::OsStr,
    fmt,
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};
use tonic::transport::{Channel, Endpoint};

/// The interval between attempts to connect to a server that starts.
const RETRY: Duration = Duration::from_millis(1);
/// The maximum time from the start of a server to its first answer.
const START_TIMEOUT: Duration = Duration::from_secs(120);

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum System {
    /// `dateline serve`.
    Dateline,
    /// The echo server.
    Echo,
    /// grpcio and fastText.
    FastText,
    /// grpcio and LinearSVC of scikit-learn.
    ScikitLearn,
}

impl System {
    /// All systems, in the order of the table.
    pub const ALL: [System; 4] = [System::Dateline, System::Echo, System::FastText, System::ScikitLearn];
}

impl fmt::Display for System {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            System::Dateline => "Dateline",
            System::Echo => "echo",
            System::FastText => "fastText",
            System::ScikitLearn => "scikit-learn",
        })
    }
}

/// Starts servers.
pub struct Launcher<'a> {
    /// The program whose `serve` command is measured.
    pub program: &'a Path,
    pub peers: Option<&'a Peers>,
    pub pinning: &'a Pinning,
}

/// A server that answers; killed when dropped.
pub struct Server {
    child: ChildGuard,
    address: SocketAddr,
    endpoint: Endpoint,
    /// The time from the start of the process to its first answer.
    pub start: Duration,
}

impl Launcher<'_> {
    /// Starts a server, and waits for its first answer.
    pub async fn start(&self, system: System) -> Outcome<Server> {
        self.start_with(system, &[]).await
    }

    /// Starts a server with further arguments, and waits for its first answer.
    pub async fn start_with(&self, system: System, args: &[&str]) -> Outcome<Server> {
        let address = free_address()?;
        let mut command = self.command(system, address)?;
        command.args(args);
        command.stdin(Stdio::null()).stdout(Stdio::null()).env("RUST_LOG", "error");
        // The environment must not change the settings of the measured server.
        for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("DATELINE_")) {
            command.env_remove(name);
        }
        let endpoint = Endpoint::from_shared(format!("http://{address}"))?;
        let begun = Instant::now();
        let mut child = ChildGuard::spawn(&mut command)?;
        while !is_answering(&endpoint).await {
            if let Some(status) = child.process().try_wait()? {
                return Err(format!("the server {system} ended before its first answer: {status}").into());
            }
            if begun.elapsed() > START_TIMEOUT {
                return Err(format!("the server {system} gave no answer within {} s", START_TIMEOUT.as_secs()).into());
            }
            tokio::time::sleep(RETRY).await;
        }
        Ok(Server { child, address, endpoint, start: begun.elapsed() })
    }

    fn command(&self, system: System, address: SocketAddr) -> Outcome<Command> {
        let of = |program: &OsStr| self.pinning.server_command(program);
        let address = address.to_string();
        Ok(match system {
            System::Dateline => {
                let mut command = of(self.program.as_os_str());
                command.args(["serve", "--listen", &address]);
                command
            }
            System::Echo => {
                let mut command = of(env::current_exe()?.as_os_str());
                command.args(["--echo", &address]);
                command
            }
            System::FastText | System::ScikitLearn => {
                let peers = self.peers.ok_or("there are no Python servers without --corpora")?;
                let mut command = of(peers.python().as_os_str());
                peers.add_server_args(&mut command, system, &address);
                command
            }
        })
    }
}

impl Server {
    /// A new connection.
    pub async fn connect(&self) -> Outcome<ClassifierClient<Channel>> {
        Ok(ClassifierClient::new(self.endpoint.connect().await?))
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The identifier of its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

/// An address that was free at the time of the call.
fn free_address() -> Outcome<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// Whether a server classifies an article on a new connection.
async fn is_answering(endpoint: &Endpoint) -> bool {
    let Ok(channel) = endpoint.connect().await else { return false };
    let body = "NAIROBI (Reuters) - Parliament passed the budget on Tuesday after a long debate.".to_owned();
    let article = Article { id: "first".to_owned(), body, ..Article::default() };
    let request = ClassifyRequest { article: Some(article), options: None };
    let answer = ClassifierClient::new(channel).classify(request).await;
    answer.is_ok_and(|answer| matches!(answer.into_inner().outcome, Some(Answer::Classification(_))))
}
