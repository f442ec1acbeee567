//! `dateline relay`: the worker of NATS JetStream.

use super::RelayArgs;
use crate::{
    cli::{failure::Failure, settings},
    relay::{
        Template, is_subject,
        jetstream::{NewStreams, Relay, Settings},
    },
};
use std::{path::PathBuf, time::Duration};

/// Label the articles of a message broker, NATS JetStream
///
/// Reads messages from a NATS JetStream stream, each a JSON row ({"id": "7", "headline": "...", "body": "..."}) or a
/// ninjs, NewsML-G2 or NITF item, and publishes them with labels: "classification" in a row, "subjects" and "places" in
/// an item, all other fields unchanged. Delivery is at least once: a message is acknowledged after its publication,
/// which carries an id by which the broker drops duplicates. Messages that cannot be labelled go to --dead-letter with
/// the reason in their headers. Relays with the same --durable share the work.
///
/// Settings come from flags, from the environment and from the file of --config, in this order. SIGINT or SIGTERM
/// drains: messages that were received are finished. A second signal exits at once, and the broker redelivers
/// unfinished messages.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  dateline relay --create --subjects 'news.in.>'\n  \
                        dateline relay --nats tls://nats.example:4222 --credentials relay.creds --stream WIRE --durable desk\n  \
                        dateline relay --publish 'labelled.{topic}.{country}' --dead-letter labels.dead\n  \
                        dateline relay --server http://127.0.0.1:50051 --metrics-listen 127.0.0.1:9465")]
pub struct Args {
    #[command(flatten)]
    config: settings::ConfigArgs,
    /// The address of the broker; several of one cluster are separated by commas
    #[arg(
        long,
        env = "DATELINE_NATS",
        hide_env_values = true,
        default_value = "nats://127.0.0.1:4222",
        value_name = "URL"
    )]
    nats: String,
    /// The stream to read articles from
    #[arg(long, env = "DATELINE_STREAM", default_value = "NEWS", value_name = "NAME", value_parser = name)]
    stream: String,
    /// The subjects of the stream to read, such as news.in.>; with --create also the subjects of the created stream
    #[arg(long, env = "DATELINE_SUBJECTS", default_value = "news.in.>", value_name = "SUBJECT", value_delimiter = ',')]
    subjects: Vec<String>,
    /// The durable consumer, which relays share to share the work
    #[arg(long, env = "DATELINE_DURABLE", default_value = "dateline", value_name = "NAME", value_parser = name)]
    durable: String,
    /// The subject of labelled articles; {topic}, {subtopic}, {country}, {decision} and {language} are those of the
    /// answer, or none
    #[arg(long, env = "DATELINE_PUBLISH", default_value = "labelled.{topic}.{country}", value_name = "SUBJECT", value_parser = str::parse::<Template>)]
    publish: Template,
    /// The subject of messages that cannot be labelled
    #[arg(long, env = "DATELINE_DEAD_LETTER", default_value = "dead.dateline", value_name = "SUBJECT", value_parser = subject)]
    dead_letter: String,
    /// Create missing streams and the consumer
    #[arg(long, env = "DATELINE_CREATE", value_parser = clap::builder::BoolishValueParser::new())]
    create: bool,
    /// The stream of labelled articles that --create creates
    #[arg(long, env = "DATELINE_LABELLED_STREAM", default_value = "LABELLED", value_name = "NAME", value_parser = name)]
    labelled_stream: String,
    /// The stream of dead letters that --create creates
    #[arg(long, env = "DATELINE_DEAD_STREAM", default_value = "DEAD", value_name = "NAME", value_parser = name)]
    dead_stream: String,
    /// The broker redelivers a message after this many seconds without a progress acknowledgement
    #[arg(long, env = "DATELINE_ACK_WAIT", default_value_t = 30.0, value_name = "SECONDS", value_parser = ack_wait)]
    ack_wait: f64,
    #[command(flatten)]
    relay: RelayArgs,
    /// A file of NATS credentials (.creds)
    #[arg(long, env = "DATELINE_CREDENTIALS", value_name = "FILE", help_heading = "Security")]
    credentials: Option<PathBuf>,
    /// CA certificates in PEM to verify the broker with; those of the system by default
    #[arg(long, env = "DATELINE_NATS_CA", value_name = "FILE", help_heading = "Security")]
    nats_ca: Option<PathBuf>,
    /// The relay's client certificate in PEM
    #[arg(long, env = "DATELINE_NATS_CERT", value_name = "FILE", requires = "nats_key", help_heading = "Security")]
    nats_cert: Option<PathBuf>,
    /// Its private key in PEM
    #[arg(long, env = "DATELINE_NATS_KEY", value_name = "FILE", requires = "nats_cert", help_heading = "Security")]
    nats_key: Option<PathBuf>,
}

/// The name of a stream or a consumer.
fn name(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    match !text.is_empty() && text.chars().all(fits) {
        true => Ok(text.to_owned()),
        false => Err("write a name of letters, digits, - and _".to_owned()),
    }
}

fn subject(text: &str) -> Result<String, String> {
    is_subject(text).map(|()| text.to_owned())
}

fn ack_wait(text: &str) -> Result<f64, String> {
    let wrong = || "write a number of seconds from 1 to 3600".to_owned();
    text.parse().ok().filter(|seconds| (1.0..=3600.0).contains(seconds)).ok_or_else(wrong)
}

impl Args {
    fn settings(&self) -> Settings {
        Settings {
            relay: self.relay.settings(self.publish.clone(), self.dead_letter.clone()),
            nats: self.nats.clone(),
            credentials: self.credentials.clone(),
            ca: self.nats_ca.clone(),
            certificate: self.nats_cert.clone().zip(self.nats_key.clone()),
            stream: self.stream.clone(),
            durable: self.durable.clone(),
            subjects: self.subjects.clone(),
            ack_wait: Duration::from_secs_f64(self.ack_wait),
            create: self
                .create
                .then(|| NewStreams { labelled: self.labelled_stream.clone(), dead_letters: self.dead_stream.clone() }),
        }
    }
}

pub fn run(args: &Args) -> Result<(), Failure> {
    let args: Args = args.config.read("relay")?;
    args.relay.start::<Relay>(args.settings(), args.config.check_config)
}
