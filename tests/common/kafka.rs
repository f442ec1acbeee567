//! A Kafka broker of one node, which the tests install with Maven, and relays that read from it.

use super::{ChildGuard, LoggedProcess, TempDir, build_dir, dateline, is_installed, printed, project_path, wait_until};
use rdkafka::{
    ClientConfig, Message, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer},
    message::{Header, Headers, OwnedHeaders, OwnedMessage},
    producer::{BaseProducer, BaseRecord, Producer},
};
use std::{
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Command, Stdio},
    sync::{Mutex, PoisonError},
    time::Duration,
};

const TIMEOUT: Duration = Duration::from_secs(30);

/// A Kafka broker, killed when dropped. Its data survives a restart.
pub struct Kafka {
    libraries: PathBuf,
    pub folder: TempDir,
    /// The ports for plain text, of the controller, for passwords, and for passwords over TLS.
    ports: [u16; 4],
    pub child: ChildGuard,
}

impl Kafka {
    /// Starts a broker; `None`, with the reason printed, if its parts cannot be had.
    pub async fn start() -> Option<Kafka> {
        let libraries = install()?;
        let folder = TempDir::new();
        // All are held until all are known, so that they differ.
        let listeners: Vec<TcpListener> =
            (0..4).map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port")).collect();
        let port = |at: usize| listeners[at].local_addr().expect("an address").port();
        let ports = [port(0), port(1), port(2), port(3)];
        drop(listeners);
        let child = Kafka::spawn(&libraries, &folder, ports);
        let kafka = Kafka { libraries, folder, ports, child };
        kafka.wait_until_it_answers().await;
        Some(kafka)
    }

    fn spawn(libraries: &PathBuf, folder: &TempDir, ports: [u16; 4]) -> ChildGuard {
        let mut command = Command::new(project_path("tests/kafka/broker.sh"));
        command.arg("run").arg(libraries).arg(folder.join("data")).args(ports.map(|port| port.to_string()));
        ChildGuard::spawn(command.stdout(Stdio::null()).stderr(Stdio::null()))
    }

    /// Kills the broker and starts it again.
    pub async fn restart(&mut self) {
        self.child.kill();
        self.child = Kafka::spawn(&self.libraries, &self.folder, self.ports);
        self.wait_until_it_answers().await;
    }

    async fn wait_until_it_answers(&self) {
        let address = self.address();
        wait_until("the broker accepts connections", async || TcpStream::connect(&address).is_ok()).await;
    }

    /// `HOST:PORT` for plain text.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.ports[0])
    }

    /// `HOST:PORT` for passwords, without TLS.
    pub fn password_address(&self) -> String {
        format!("127.0.0.1:{}", self.ports[2])
    }

    /// `HOST:PORT` for passwords over TLS.
    pub fn tls_address(&self) -> String {
        format!("localhost:{}", self.ports[3])
    }

    /// A configuration of clients for plain text.
    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.address()).set("group.id", "test").set("enable.auto.commit", "false");
        config
    }

    /// Creates a topic of three partitions that takes messages of at most this size.
    pub async fn create_topic(&self, name: &str, max_bytes: usize) {
        let admin: AdminClient<DefaultClientContext> = self.config().create().expect("a client");
        let max_bytes = max_bytes.to_string();
        let topic = NewTopic::new(name, 3, TopicReplication::Fixed(1)).set("max.message.bytes", &max_bytes);
        let created = admin.create_topics([&topic], &AdminOptions::new()).await.expect("the broker answers");
        created[0].as_ref().expect("the topic is created");
    }

    /// Publishes messages, each with a key and headers.
    pub fn publish(&self, topic: &str, messages: impl IntoIterator<Item = (String, Vec<u8>, OwnedHeaders)>) {
        let producer: BaseProducer = self.config().set("acks", "all").create().expect("a producer");
        for (key, payload, headers) in messages {
            let mut record = BaseRecord::to(topic).key(&key).payload(&payload).headers(headers);
            while let Err((error, same)) = producer.send(record) {
                assert_eq!(error.rdkafka_error_code(), Some(rdkafka::types::RDKafkaErrorCode::QueueFull), "{error}");
                producer.poll(Duration::from_millis(50));
                record = same;
            }
            producer.poll(Duration::ZERO);
        }
        producer.flush(TIMEOUT).expect("the broker takes the messages");
    }

    /// All committed messages of a topic, by its partitions and their order.
    pub fn all(&self, topic: &str) -> Vec<OwnedMessage> {
        let consumer: BaseConsumer = self
            .config()
            .set("isolation.level", "read_committed")
            .set("enable.partition.eof", "true")
            .create()
            .expect("a consumer");
        let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT).expect("the broker answers");
        let mut partitions = TopicPartitionList::new();
        for partition in metadata.topics()[0].partitions() {
            let beginning = rdkafka::Offset::Beginning;
            partitions.add_partition_offset(topic, partition.id(), beginning).expect("an offset");
        }
        consumer.assign(&partitions).expect("the partitions are there");
        let (mut messages, mut open) = (Vec::new(), partitions.count());
        while open > 0 {
            match consumer.poll(TIMEOUT).expect("the broker answers") {
                Ok(message) => messages.push(message.detach()),
                Err(rdkafka::error::KafkaError::PartitionEOF(_)) => open -= 1,
                Err(error) => println!("reading {topic}: {error}"),
            }
        }
        messages.sort_by_key(|message| (message.partition(), message.offset()));
        messages
    }

    /// Starts `dateline relay-kafka`, with short time limits, and creates its topics.
    pub fn start_relay(&self, args: &[&str]) -> LoggedProcess {
        let config = self.folder.write("client.properties", "session.timeout.ms=6000\ntransaction.timeout.ms=5000\n");
        let mut command = dateline();
        command.args(["relay-kafka", "--brokers", &self.address(), "--create", "--client-config", &config]).args(args);
        LoggedProcess::spawn(&mut command)
    }
}

/// The value of a header; empty if absent.
pub fn header(message: &OwnedMessage, name: &str) -> String {
    let headers = message.headers().into_iter().flat_map(Headers::iter);
    let value = headers.filter(|header| header.key == name).find_map(|header| header.value);
    String::from_utf8_lossy(value.unwrap_or_default()).into_owned()
}

/// Headers with these names and values.
pub fn headers(pairs: &[(&str, &str)]) -> OwnedHeaders {
    let each = pairs.iter().map(|(key, value)| Header { key, value: Some(*value) });
    each.fold(OwnedHeaders::new(), OwnedHeaders::insert)
}

/// The folder of the broker's libraries; `None`, with the reason printed, if they cannot be had.
fn install() -> Option<PathBuf> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    if !is_installed("java", &["-version"]) || !is_installed("mvn", &["--version"]) {
        return None;
    }
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = build_dir("kafka");
    let output = Command::new(project_path("tests/kafka/broker.sh")).arg("install").arg(&folder).output();
    let output = output.expect("the script runs");
    if !output.status.success() {
        println!("skipped: Maven cannot download Kafka: {}", printed(&output));
        return None;
    }
    Some(folder)
}
