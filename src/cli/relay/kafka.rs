//! `dateline relay-kafka`: the worker of Apache Kafka.

use super::RelayArgs;
use crate::{
    cli::{failure::Failure, settings},
    relay::{
        Template,
        kafka::{Relay, Settings},
    },
};
use std::path::PathBuf;

/// Label the articles of a Kafka cluster, exactly once
///
/// Reads messages from topics, each a JSON row ({"id": "7", "headline": "...", "body": "..."}) or a ninjs, NewsML-G2 or
/// NITF item, and publishes them with labels: "classification" in a row, "subjects" and "places" in an item, all other
/// fields, the key and the headers unchanged. Results and offsets are committed in one transaction: for readers with
/// isolation.level=read_committed, each message has one result. Messages that cannot be labelled go to --dead-letter with
/// the reason in their headers. Relays of one --group share the partitions.
///
/// Settings come from flags, from the environment and from the file of --config, in this order. SIGINT or SIGTERM
/// drains: messages that were read are finished. A second signal exits at once; unfinished messages are read again.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  dateline relay-kafka --create\n  \
                        dateline relay-kafka --brokers kafka-1:9093,kafka-2:9093 --client-config client.properties --topics wire --group desk\n  \
                        dateline relay-kafka --publish 'labelled.{decision}' --dead-letter labels.dead\n  \
                        dateline relay-kafka --server http://127.0.0.1:50051 --metrics-listen 127.0.0.1:9465\n\n\
                        A file for --client-config, for TLS and a password:\n  \
                        security.protocol=SASL_SSL\n  sasl.mechanism=SCRAM-SHA-512\n  sasl.username=dateline\n  \
                        sasl.password=...\n  ssl.ca.location=/etc/dateline/kafka-ca.pem")]
pub struct Args {
    #[command(flatten)]
    config: settings::ConfigArgs,
    /// Brokers of the cluster: HOST:PORT, separated by commas
    #[arg(long, env = "DATELINE_KAFKA_BROKERS", default_value = "127.0.0.1:9092", value_name = "HOST:PORT")]
    brokers: String,
    /// The topics to read
    #[arg(long, env = "DATELINE_KAFKA_TOPICS", default_value = "news", value_name = "TOPIC", value_delimiter = ',')]
    topics: Vec<String>,
    /// The consumer group, whose relays share the work; transactional ids begin with its name
    #[arg(long, env = "DATELINE_KAFKA_GROUP", default_value = "dateline", value_name = "NAME")]
    group: String,
    /// The topic of labelled articles; {topic}, {subtopic}, {country}, {decision} and {language} are those of the answer,
    /// or none
    #[arg(long, env = "DATELINE_KAFKA_PUBLISH", default_value = "labelled", value_name = "TOPIC", value_parser = str::parse::<Template>)]
    publish: Template,
    /// The topic of messages that cannot be labelled
    #[arg(long, env = "DATELINE_KAFKA_DEAD_LETTER", default_value = "dead.dateline", value_name = "TOPIC")]
    dead_letter: String,
    /// Create missing topics
    #[arg(long, env = "DATELINE_KAFKA_CREATE", value_parser = clap::builder::BoolishValueParser::new())]
    create: bool,
    /// The partitions of topics that --create creates: as many relays can share the work
    #[arg(long, env = "DATELINE_KAFKA_PARTITIONS", default_value_t = 6, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    partitions: u16,
    #[command(flatten)]
    relay: RelayArgs,
    /// A file of more settings of the client, such as those of TLS and SASL: lines of name=value, with the names of
    /// librdkafka
    #[arg(long, env = "DATELINE_KAFKA_CLIENT_CONFIG", value_name = "FILE", help_heading = "Security")]
    client_config: Option<PathBuf>,
}

impl Args {
    fn settings(&self) -> Settings {
        Settings {
            relay: self.relay.settings(self.publish.clone(), self.dead_letter.clone()),
            brokers: self.brokers.clone(),
            topics: self.topics.clone(),
            group: self.group.clone(),
            client_config: self.client_config.clone(),
            create: self.create.then_some(self.partitions),
        }
    }
}

pub fn run(args: &Args) -> Result<(), Failure> {
    let args: Args = args.config.read("relay-kafka")?;
    args.relay.start::<Relay>(args.settings(), args.config.check_config)
}
