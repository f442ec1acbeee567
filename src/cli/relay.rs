//! `dateline relay`: the worker of a message broker.

use super::{
    dedupe,
    failure::Failure,
    remote::ServerArgs,
    settings,
    shared::in_runtime,
    signals::{Signals, drain_requested},
};
use crate::{
    live::ModelSlot,
    observe::{self, LogFormat, Ready, Telemetry, serve_probes},
    relay::{Labeller, Metrics, NewStreams, Relay, RelayError, Settings, Template, is_subject},
};
use std::{ffi::OsString, io::Write, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};
use tokio::runtime::Runtime;
use tonic::transport::Endpoint;

/// Label the articles of a message broker
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
    /// The most deliveries of a message that causes an internal error; then it becomes a dead letter
    #[arg(long, env = "DATELINE_MAX_DELIVER", default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..1000))]
    max_deliver: u32,
    /// The broker redelivers a message after this many seconds without a progress acknowledgement
    #[arg(long, env = "DATELINE_ACK_WAIT", default_value_t = 30.0, value_name = "SECONDS", value_parser = ack_wait)]
    ack_wait: f64,
    /// The most unfinished messages
    #[arg(long, env = "DATELINE_IN_FLIGHT", default_value_t = 256, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    in_flight: u32,
    /// The most bytes of unfinished messages; one message of the largest size always fits
    #[arg(long, env = "DATELINE_IN_FLIGHT_BYTES", default_value_t = 64 << 20, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(1 << 20..=64 << 30))]
    in_flight_bytes: u64,
    /// Look for near-copies of each article among the N most recent ones; headers of published messages name their group
    #[arg(long, env = "DATELINE_COPIES", value_name = "N", value_parser = dedupe::window)]
    copies: Option<usize>,
    /// The longest time for a drain, in seconds
    #[arg(long, env = "DATELINE_DRAIN_TIMEOUT", default_value_t = 10.0, value_name = "SECONDS", value_parser = settings::seconds)]
    drain_timeout: f64,
    /// The folder of a model, watched for changes; the bundled model by default
    #[arg(long, env = "DATELINE_MODEL", value_name = "DIR", conflicts_with = "server")]
    model: Option<PathBuf>,
    #[command(flatten)]
    server: ServerArgs,
    /// The address of /metrics (Prometheus), /livez and /readyz over HTTP; disabled by default
    #[arg(long, env = "DATELINE_METRICS_LISTEN", value_name = "ADDRESS:PORT", value_parser = settings::address)]
    metrics_listen: Option<SocketAddr>,
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
    /// The format of the log: lines for people, or one JSON object per line
    #[arg(long, env = "DATELINE_LOG", value_enum, default_value_t = LogFormat::Text, value_name = "FORMAT")]
    log: LogFormat,
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

impl From<RelayError> for Failure {
    fn from(error: RelayError) -> Self {
        match error {
            RelayError::Setting(_) | RelayError::File { .. } | RelayError::Credential(_) | RelayError::Loop { .. } => {
                Failure::Usage(error.to_string())
            }
            _ => Failure::failed(error),
        }
    }
}

impl Args {
    /// The command line of this program that classifies redelivered articles in a separate process.
    fn isolated(&self) -> Result<Vec<OsString>, Failure> {
        // On Linux the running file, because an upgrade may have replaced the file at its path.
        let program = match cfg!(target_os = "linux") {
            true => PathBuf::from("/proc/self/exe"),
            false => std::env::current_exe().map_err(Failure::failed)?,
        };
        let mut command = vec![program.into_os_string(), "classify".into(), "--json".into()];
        if let Some(folder) = &self.model {
            command.extend(["--model".into(), folder.clone().into_os_string()]);
        }
        command.push("-".into());
        Ok(command)
    }

    fn settings(&self) -> Settings {
        Settings {
            nats: self.nats.clone(),
            credentials: self.credentials.clone(),
            ca: self.nats_ca.clone(),
            certificate: self.nats_cert.clone().zip(self.nats_key.clone()),
            stream: self.stream.clone(),
            durable: self.durable.clone(),
            subjects: self.subjects.clone(),
            publish: self.publish.clone(),
            dead_letter: self.dead_letter.clone(),
            max_deliver: self.max_deliver,
            ack_wait: Duration::from_secs_f64(self.ack_wait),
            in_flight: self.in_flight as usize,
            in_flight_bytes: usize::try_from(self.in_flight_bytes).unwrap_or(usize::MAX),
            create: self
                .create
                .then(|| NewStreams { labelled: self.labelled_stream.clone(), dead_letters: self.dead_stream.clone() }),
            copies: self.copies,
            drain: Duration::from_secs_f64(self.drain_timeout),
        }
    }
}

pub fn run(args: &Args) -> Result<(), Failure> {
    let settings = settings::read::<Args>("relay", args.config.config.as_deref())?;
    let args = &settings.args;
    if args.config.check_config {
        settings.print(&mut anstream::stdout().lock(), args.config.json)?;
    }
    in_runtime(|runtime| start(args, runtime))
}

fn start(args: &Args, runtime: &Runtime) -> Result<(), Failure> {
    if args.config.check_config {
        runtime.block_on(args.settings().check())?;
    }
    let endpoint = args.server.endpoint()?;
    let slot = match &endpoint {
        Some(_) => None,
        None => Some(Arc::new(ModelSlot::open(args.model.clone()).map_err(Failure::failed)?)),
    };
    if args.config.check_config {
        let by = match (&slot, &endpoint) {
            (Some(slot), _) => format!("the model is {}", slot.current().version()),
            (None, Some(endpoint)) => format!("the server is {}", endpoint.uri()),
            (None, None) => String::new(),
        };
        return Ok(writeln!(anstream::stderr().lock(), "all settings are valid; {by}")?);
    }
    let _telemetry = Telemetry::start(args.log, None)?;
    observe::log_panics();
    args.server.warn_of_readable_secrets();
    let labeller = match (&slot, endpoint) {
        (Some(slot), _) => Labeller::Local { slot: slot.clone(), isolated: args.isolated()? },
        (None, Some(endpoint)) => Labeller::Server(args.server.client(patient(endpoint).connect_lazy())),
        (None, None) => return Err(Failure::failed("neither a model nor a server is given")),
    };
    runtime.block_on(relay(args, labeller, slot))
}

/// The connection to a server that may vanish silently: that must be noticed, because the broker gets progress acknowledgements
/// meanwhile.
fn patient(endpoint: Endpoint) -> Endpoint {
    endpoint
        .connect_timeout(Duration::from_secs(5))
        .http2_keep_alive_interval(Duration::from_secs(10))
        .keep_alive_timeout(Duration::from_secs(5))
        .keep_alive_while_idle(true)
}

async fn relay(args: &Args, labeller: Labeller, slot: Option<Arc<ModelSlot>>) -> Result<(), Failure> {
    let signals = Signals::listen().map_err(Failure::failed)?;
    let reloaded = slot.clone();
    let draining = signals.draining(move || reloaded.iter().for_each(|slot| drop(slot.reload())));
    let metrics = Arc::new(Metrics::default());
    let relay = tokio::select! {
        relay = Relay::connect(args.settings(), metrics.clone()) => relay?,
        () = drain_requested(draining.clone()) => {
            tracing::info!("stopped before the broker was reached");
            return Ok(());
        }
    };
    let mut listening = None;
    if let Some(address) = args.metrics_listen {
        let refused = |error: std::io::Error| Failure::Failed(format!("cannot listen on {address}: {error}"));
        let listener = tokio::net::TcpListener::bind(address).await.map_err(refused)?;
        listening = listener.local_addr().ok();
        let (health, draining) = (relay.health(), draining.clone());
        let ready = move || match (*draining.borrow(), health.problem()) {
            (true, _) => Ready(false, "draining"),
            (false, Some(problem)) => Ready(false, problem),
            (false, None) => Ready(true, "ready"),
        };
        tokio::spawn(serve_probes(listener, move || metrics.text(), ready));
    }
    tracing::info!(
        stream = args.stream,
        durable = args.durable,
        publish = %args.publish,
        metrics = listening.map(tracing::field::display),
        model = slot.as_ref().map(|slot| tracing::field::display(slot.current().version().to_owned())),
        server = args.server.server,
        "relaying"
    );
    if let Some(slot) = &slot {
        tokio::spawn(slot.clone().watch());
    }
    Ok(relay.run(labeller, drain_requested(draining)).await?)
}
