//! `dateline serve`: the gRPC server.

use super::{
    failure::Failure,
    settings,
    shared::in_runtime,
    signals::{Signals, drain_requested},
};
use crate::{
    geography,
    live::ModelSlot,
    observe::{self, LogFormat, Otlp, Telemetry},
    service::{self, Addresses, Corrections, Limits, Listening, Models, OnEmptyTokens, ServeError, Settings, TlsFiles},
};
use clap::builder::BoolishValueParser;
use std::{io::Write, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};
use tokio::runtime::Runtime;

/// Classify articles over gRPC
///
/// Serves dateline.v1.Classifier, the standard health service and server reflection. The log goes to standard error;
/// RUST_LOG=debug logs more.
///
/// Settings come from flags, from the environment and from the file of --config, in this order. In the file, settings
/// have the names of their flags. --check-config prints each setting with its origin.
///
/// SIGINT or SIGTERM drains: health turns NOT_SERVING, new streams are refused, and open streams are answered up to
/// their last article. A second signal exits at once. The folder of --model is watched: a new model that loads and
/// passes its self-check replaces the current one without interruption; an invalid one is refused, and the current one
/// stays. SIGHUP checks the folder at once.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  dateline serve\n  dateline serve --listen 127.0.0.1:8080 --model my-model\n  \
                        dateline serve --metrics-listen 127.0.0.1:9464 --drain-timeout 30\n  \
                        dateline serve --web 127.0.0.1:8080 --corrections-log corrections\n  \
                        dateline serve --config dateline.toml --check-config\n  \
                        dateline serve --model live --shadow candidate --admin-tokens operators.txt\n  \
                        grpcurl -plaintext 127.0.0.1:50051 list")]
pub struct Args {
    #[command(flatten)]
    config: settings::ConfigArgs,
    /// The address to listen on; port 0 is any free port, which the log shows
    #[arg(long, env = "DATELINE_LISTEN", default_value = "127.0.0.1:50051", value_name = "ADDRESS:PORT", value_parser = settings::address)]
    listen: SocketAddr,
    /// The address of /metrics (Prometheus), /livez and /readyz over HTTP; disabled by default
    #[arg(long, env = "DATELINE_METRICS_LISTEN", value_name = "ADDRESS:PORT", value_parser = settings::address)]
    metrics_listen: Option<SocketAddr>,
    /// The address of the page for editors, and of classification over HTTP (POST /v1/classify); disabled by default
    #[arg(long, env = "DATELINE_WEB", value_name = "ADDRESS:PORT", value_parser = settings::address)]
    web: Option<SocketAddr>,
    /// The folder of a log to which corrections of labels are appended, for `train --corrections`; disabled by default
    #[arg(long, env = "DATELINE_CORRECTIONS_LOG", value_name = "DIR")]
    corrections_log: Option<PathBuf>,
    /// Store the text of corrected articles too, so that they can be trained on without an archive
    #[arg(long, env = "DATELINE_CORRECTIONS_KEEP_TEXT", value_parser = BoolishValueParser::new())]
    corrections_keep_text: bool,
    /// The folder of a model, watched for changes; the bundled model by default
    #[arg(long, env = "DATELINE_MODEL", value_name = "DIR")]
    model: Option<PathBuf>,
    /// The folder of a shadow model, watched for changes: its answers to the same articles are compared, never sent
    #[arg(long, env = "DATELINE_SHADOW", value_name = "DIR")]
    shadow: Option<PathBuf>,
    /// The longest time for a drain, in seconds; connections that are still open then are closed
    #[arg(long, env = "DATELINE_DRAIN_TIMEOUT", default_value_t = Settings::default().drain.as_secs_f64(), value_name = "SECONDS", value_parser = settings::seconds)]
    drain_timeout: f64,
    /// The server's certificate chain in PEM; read again when the file changes
    #[arg(long, env = "DATELINE_TLS_CERT", value_name = "FILE", help_heading = "Security")]
    tls_cert: Option<PathBuf>,
    /// Its private key in PEM
    #[arg(long, env = "DATELINE_TLS_KEY", value_name = "FILE", help_heading = "Security")]
    tls_key: Option<PathBuf>,
    /// CA certificates in PEM; clients need a certificate that one of them signed (mutual TLS)
    #[arg(long, env = "DATELINE_CLIENT_CA", value_name = "FILE", help_heading = "Security")]
    client_ca: Option<PathBuf>,
    /// A file of tokens, one per line; calls need "authorization: Bearer TOKEN". Read again when the file changes
    #[arg(long, env = "DATELINE_TOKENS", value_name = "FILE", help_heading = "Security")]
    tokens: Option<PathBuf>,
    /// A file of tokens for dateline.v1.Admin, which is disabled by default
    #[arg(long, env = "DATELINE_ADMIN_TOKENS", value_name = "FILE", help_heading = "Security")]
    admin_tokens: Option<PathBuf>,
    /// When the last token is removed from a file: refuse all calls that need one, or keep the previous tokens
    #[arg(long, env = "DATELINE_ON_EMPTY_TOKENS", value_enum, default_value_t = OnEmptyTokens::default(), value_name = "ACTION", help_heading = "Security")]
    on_empty_tokens: OnEmptyTokens,
    /// A separate address for dateline.v1.Admin
    #[arg(long, env = "DATELINE_ADMIN_LISTEN", value_name = "ADDRESS:PORT", value_parser = settings::address, help_heading = "Security")]
    admin_listen: Option<SocketAddr>,
    /// Disable server reflection
    #[arg(long, env = "DATELINE_NO_REFLECTION", value_parser = BoolishValueParser::new(), help_heading = "Security")]
    no_reflection: bool,
    /// Allow addresses that other machines can reach, without TLS
    #[arg(long, env = "DATELINE_INSECURE", value_parser = BoolishValueParser::new(), help_heading = "Security")]
    insecure: bool,
    /// Allow gRPC-Web from pages of this origin (`https://desk.example`); may be repeated
    #[arg(long, env = "DATELINE_WEB_ORIGIN", value_name = "ORIGIN", value_delimiter = ',', help_heading = "Security")]
    web_origin: Vec<String>,
    /// Answer under this host name on --web; needed only without TLS and tokens, where localhost and IP addresses are known; may
    /// be repeated
    #[arg(long, env = "DATELINE_WEB_HOST", value_name = "NAME", value_delimiter = ',', help_heading = "Security")]
    web_host: Vec<String>,
    /// The largest message, in bytes, compressed or not; a larger one ends its stream
    #[arg(long, env = "DATELINE_MAX_MESSAGE_BYTES", default_value_t = Limits::default().message_bytes as u32, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(1024..=1 << 30), help_heading = "Limits")]
    max_message_bytes: u32,
    /// The largest list of headers of a call, in bytes
    #[arg(long, env = "DATELINE_MAX_HEADER_BYTES", default_value_t = Limits::default().header_bytes, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(1024..16_777_216), help_heading = "Limits")]
    max_header_bytes: u32,
    /// The most open connections; others wait
    #[arg(long, env = "DATELINE_MAX_CONNECTIONS", default_value_t = Limits::default().connections as u32, value_name = "N", value_parser = clap::value_parser!(u32).range(1..1_000_000), help_heading = "Limits")]
    max_connections: u32,
    /// The most open connections of one peer, an IPv4 address or an IPv6 network of 64 bits; more are closed; 0 is no limit
    #[arg(long, env = "DATELINE_MAX_CONNECTIONS_PER_PEER", default_value_t = Limits::default().connections_per_peer as u32, value_name = "N", value_parser = clap::value_parser!(u32).range(0..1_000_000), help_heading = "Limits")]
    max_connections_per_peer: u32,
    /// The most open streams and calls of one connection
    #[arg(long, env = "DATELINE_MAX_STREAMS", default_value_t = Limits::default().streams_per_connection, value_name = "N", value_parser = clap::value_parser!(u32).range(1..1_000_000), help_heading = "Limits")]
    max_streams: u32,
    /// The most open streams and calls over all connections; more are refused with UNAVAILABLE
    #[arg(long, env = "DATELINE_MAX_CALLS", default_value_t = Limits::default().calls as u32, value_name = "N", value_parser = clap::value_parser!(u32).range(1..1_000_000), help_heading = "Limits")]
    max_calls: u32,
    /// The most calls of one connection that were cancelled before the server took them up; beyond it the connection ends
    #[arg(long, env = "DATELINE_MAX_PENDING_RESETS", default_value_t = Limits::default().pending_resets as u32, value_name = "N", value_parser = clap::value_parser!(u32).range(1..1_000_000), help_heading = "Limits")]
    max_pending_resets: u32,
    /// The most streams of one connection that the server reset because of the client's errors; beyond it the connection
    /// ends
    #[arg(long, env = "DATELINE_MAX_LOCAL_RESETS", default_value_t = Limits::default().local_resets as u32, value_name = "N", value_parser = clap::value_parser!(u32).range(1..1_000_000), help_heading = "Limits")]
    max_local_resets: u32,
    /// The most articles in process over all calls; beyond it streams wait and unary calls are refused with UNAVAILABLE
    #[arg(long, env = "DATELINE_MAX_ARTICLES", default_value_t = Limits::default().articles as u32, value_name = "N", value_parser = clap::value_parser!(u32).range(1..1_000_000), help_heading = "Limits")]
    max_articles: u32,
    /// The most bytes of requests in process and of answers that clients have not read; beyond it as for --max-articles
    #[arg(long, env = "DATELINE_MAX_TEXT_BYTES", default_value_t = Limits::default().text_bytes, value_name = "BYTES", help_heading = "Limits")]
    max_text_bytes: usize,
    /// The largest answer, in bytes; explanations that do not fit are left out
    #[arg(long, env = "DATELINE_MAX_ANSWER_BYTES", default_value_t = Limits::default().answer_bytes as u32, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(65_536..=1 << 30), help_heading = "Limits")]
    max_answer_bytes: u32,
    /// The interval between HTTP/2 keepalive pings on a silent connection, in seconds; 0 disables them
    #[arg(long, env = "DATELINE_KEEPALIVE", default_value_t = Limits::default().keepalive.as_secs_f64(), value_name = "SECONDS", value_parser = settings::seconds, help_heading = "Limits")]
    keepalive: f64,
    /// The longest time for a unary call, in seconds; 0 is no limit
    #[arg(long, env = "DATELINE_CALL_TIMEOUT", default_value_t = Limits::default().call.as_secs_f64(), value_name = "SECONDS", value_parser = settings::seconds, help_heading = "Limits")]
    call_timeout: f64,
    /// The longest time for a stream without a new article, in seconds; 0 is no limit
    #[arg(long, env = "DATELINE_STREAM_IDLE", default_value_t = Limits::default().stream_idle.as_secs_f64(), value_name = "SECONDS", value_parser = settings::seconds, help_heading = "Limits")]
    stream_idle: f64,
    /// The longest time for a client to read no answer, or to leave a message incomplete, in seconds; then the call
    /// ends with ABORTED; 0 is no limit
    #[arg(long, env = "DATELINE_STREAM_STALL", default_value_t = Limits::default().stream_stall.as_secs_f64(), value_name = "SECONDS", value_parser = settings::seconds, help_heading = "Limits")]
    stream_stall: f64,
    /// The longest time for a connection without an open call, in seconds; 0 is no limit
    #[arg(long, env = "DATELINE_CONNECTION_IDLE", default_value_t = Limits::default().connection_idle.as_secs_f64(), value_name = "SECONDS", value_parser = settings::seconds, help_heading = "Limits")]
    connection_idle: f64,
    /// The longest age of a connection, in seconds; then its streams end as in a drain, so that clients spread over new
    /// servers; 0 is no limit
    #[arg(long, env = "DATELINE_CONNECTION_AGE", default_value_t = Limits::default().connection_age.as_secs_f64(), value_name = "SECONDS", value_parser = settings::seconds, help_heading = "Limits")]
    connection_age: f64,
    /// The format of the log: lines for people, or one JSON object per line
    #[arg(long, env = "DATELINE_LOG", value_enum, default_value_t = LogFormat::Text, value_name = "FORMAT", help_heading = "Log and traces")]
    log: LogFormat,
    /// Send a span of each call and stream to this OTLP collector over gRPC (`http://127.0.0.1:4317`)
    #[arg(
        long,
        env = "DATELINE_OTLP_ENDPOINT",
        hide_env_values = true,
        value_name = "URL",
        help_heading = "Log and traces"
    )]
    otlp_endpoint: Option<String>,
    /// Headers for the collector: key=value, several separated by commas
    #[arg(
        long,
        env = "DATELINE_OTLP_HEADERS",
        hide_env_values = true,
        value_name = "HEADERS",
        help_heading = "Log and traces"
    )]
    otlp_headers: Option<String>,
    /// The share of the traces that begin here to sample, from 0 to 1; a client's trace is sampled if the client
    /// samples it
    #[arg(long, env = "DATELINE_TRACE_SHARE", default_value_t = 1.0, value_name = "SHARE", value_parser = share, help_heading = "Log and traces")]
    trace_share: f64,
}

/// Checks settings against each other, from whatever origin.
fn check(args: &Args) -> Result<(), Failure> {
    let wrong = |reason: String| Err(Failure::Usage(reason));
    match (&args.tls_cert, &args.tls_key) {
        (Some(_), None) => {
            return wrong("tls-cert needs tls-key".to_owned());
        }
        (None, Some(_)) => {
            return wrong("tls-key needs tls-cert".to_owned());
        }
        _ => {}
    }
    if args.client_ca.is_some() && args.tls_cert.is_none() {
        return wrong("client-ca needs tls-cert and tls-key".to_owned());
    }
    if args.corrections_keep_text && args.corrections_log.is_none() {
        return wrong("corrections-keep-text needs corrections-log".to_owned());
    }
    if args.admin_listen.is_some() && args.admin_tokens.is_none() {
        return wrong("admin-listen needs admin-tokens".to_owned());
    }
    let least = args.settings().limits.least_text_bytes();
    if args.max_text_bytes < least {
        return wrong(format!(
            "max-text-bytes is {}: with these max-message-bytes and max-answer-bytes it must be at least {least}, for one message \
             compressed, decompressed and decoded, and its answer",
            args.max_text_bytes
        ));
    }
    // Plain text is for loopback addresses only.
    let plain = args.tls_cert.is_none() && !args.insecure;
    let mut open = [Some(args.listen), args.admin_listen, args.web].into_iter().flatten();
    match open.find(|address| plain && !address.ip().is_loopback()) {
        Some(address) => wrong(format!(
            "{address} can be reached from other machines: give --tls-cert and --tls-key, or --insecure on a trusted \
             network"
        )),
        None => Ok(()),
    }
}

impl From<ServeError> for Failure {
    fn from(error: ServeError) -> Self {
        match error {
            ServeError::Origin(_) | ServeError::Security(_) => Failure::Usage(error.to_string()),
            ServeError::Listen { .. }
            | ServeError::Corrections(_)
            | ServeError::Threads(_)
            | ServeError::Transport(_) => Failure::failed(error),
        }
    }
}

/// A share from 0 to 1.
fn share(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|share| (0.0..=1.0).contains(share)).ok_or_else(|| "write a number from 0 to 1".to_owned())
}

impl Args {
    fn settings(&self) -> Settings {
        let files = self.tls_cert.clone().zip(self.tls_key.clone());
        let time = Duration::from_secs_f64;
        Settings {
            drain: time(self.drain_timeout),
            tls: files.map(|(certificate, key)| TlsFiles { certificate, key, client_ca: self.client_ca.clone() }),
            tokens: self.tokens.clone(),
            admin_tokens: self.admin_tokens.clone(),
            on_empty_tokens: self.on_empty_tokens,
            corrections: self
                .corrections_log
                .clone()
                .map(|folder| Corrections { folder, keep_text: self.corrections_keep_text }),
            reflection: !self.no_reflection,
            web_origins: self.web_origin.clone(),
            web_hosts: self.web_host.clone(),
            limits: Limits {
                message_bytes: self.max_message_bytes as usize,
                header_bytes: self.max_header_bytes,
                connections: self.max_connections as usize,
                connections_per_peer: self.max_connections_per_peer as usize,
                streams_per_connection: self.max_streams,
                calls: self.max_calls as usize,
                pending_resets: self.max_pending_resets as usize,
                local_resets: self.max_local_resets as usize,
                articles: self.max_articles as usize,
                text_bytes: self.max_text_bytes,
                answer_bytes: self.max_answer_bytes as usize,
                keepalive: time(self.keepalive),
                call: time(self.call_timeout),
                stream_idle: time(self.stream_idle),
                stream_stall: time(self.stream_stall),
                connection_idle: time(self.connection_idle),
                connection_age: time(self.connection_age),
            },
        }
    }

    fn models(&self) -> Result<Models, Failure> {
        let open = |folder: Option<PathBuf>| ModelSlot::open(folder).map(Arc::new).map_err(Failure::failed);
        let shadow = self.shadow.clone().map(|folder| open(Some(folder))).transpose()?;
        Ok(Models { live: open(self.model.clone())?, shadow })
    }

    fn otlp(&self) -> Result<Option<Otlp>, Failure> {
        let headers = self.otlp_headers.as_deref().unwrap_or_default();
        let otlp = self.otlp_endpoint.as_deref().map(|endpoint| Otlp::new(endpoint, headers, self.trace_share));
        Ok(otlp.transpose()?)
    }
}

/// Runs the server until it is asked to stop.
pub fn run(args: &Args) -> Result<(), Failure> {
    let args: Args = args.config.read("serve")?;
    check(&args)?;
    in_runtime(|runtime| serve(&args, runtime))
}

fn serve(args: &Args, runtime: &Runtime) -> Result<(), Failure> {
    let otlp = args.otlp()?;
    if args.config.check_config {
        service::check(&args.settings())?;
        let models = args.models()?;
        let model = models.live.current();
        return writeln!(anstream::stderr().lock(), "all settings are valid; the model is {}", model.version())
            .map_err(Failure::from);
    }
    // To the very end, for the last spans.
    let _telemetry = Telemetry::start(args.log, otlp)?;
    observe::log_panics();
    let models = args.models()?;
    runtime.block_on(async {
        // Before the log line "listening", after which signals may come.
        let signals = Signals::listen().map_err(Failure::failed)?;
        let addresses = Addresses {
            classifier: args.listen,
            admin: args.admin_listen,
            metrics: args.metrics_listen,
            web: args.web,
        };
        let listening = Listening::on(addresses, args.settings()).await?;
        let model = models.live.current();
        let addresses = listening.addresses();
        tracing::info!(
            address = %addresses.classifier,
            metrics = addresses.metrics.map(tracing::field::display),
            admin = addresses.admin.map(tracing::field::display),
            web = addresses.web.map(tracing::field::display),
            model = %model.version(),
            shadow = models.shadow.as_ref().map(|slot| tracing::field::display(slot.current().version().to_owned())),
            topics = model.topics().topics().len(),
            countries = geography::subjects(),
            "listening"
        );
        drop(model);
        let reloaded = models.live.clone();
        let draining = signals.draining(move || drop(reloaded.reload()));
        Ok(listening.serve(models, drain_requested(draining)).await?)
    })
}
