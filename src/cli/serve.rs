use super::Failure;
use crate::{
    region::tree,
    service::{Limits, Listening, ModelSlot, Settings, TlsFiles},
};
use std::{
    io::IsTerminal,
    net::{SocketAddr, ToSocketAddrs},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};
#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tracing_subscriber::EnvFilter;

/// Answer articles over gRPC
///
/// Serves dateline.v1.Classifier, the standard health service and server reflection. The log goes to standard error;
/// RUST_LOG=debug says more.
///
/// SIGINT or SIGTERM drains: health turns NOT_SERVING, new streams are refused, open ones are answered to the end of what
/// they have sent. A second signal ends at once. The folder of --model is watched: a new model that loads and passes its
/// self-check takes over without a gap, a broken one is refused and the old one goes on; SIGHUP looks there at once.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  dateline serve\n  dateline serve --listen 127.0.0.1:8080 --model my-model\n  \
                        dateline serve --metrics-listen 127.0.0.1:9464 --drain-timeout 30\n  \
                        grpcurl -plaintext 127.0.0.1:50051 list")]
pub struct Args {
    /// The address to listen on; port 0 takes a free one, and the log tells which
    #[arg(long, env = "DATELINE_LISTEN", default_value = "127.0.0.1:50051", value_name = "ADDRESS:PORT", value_parser = address)]
    listen: SocketAddr,
    /// A folder that `dateline train` wrote, instead of the bundled model; watched for a new one
    #[arg(long, env = "DATELINE_MODEL", value_name = "DIR")]
    model: Option<PathBuf>,
    /// The address of /metrics (Prometheus), /livez and /readyz over HTTP; none without it
    #[arg(long, env = "DATELINE_METRICS_LISTEN", value_name = "ADDRESS:PORT", value_parser = address)]
    metrics_listen: Option<SocketAddr>,
    /// How the log is written: lines for people, or an object of JSON a line
    #[arg(long, env = "DATELINE_LOG", value_enum, default_value_t = LogFormat::Text, value_name = "FORMAT")]
    log: LogFormat,
    /// How long a drain may take, in seconds; what is open then is closed
    #[arg(long, env = "DATELINE_DRAIN_TIMEOUT", default_value_t = Settings::default().drain.as_secs_f64(), value_name = "SECONDS", value_parser = seconds)]
    drain_timeout: f64,
    /// The server's certificate in PEM, with those that signed it; read again when it changes
    #[arg(long, env = "DATELINE_TLS_CERT", value_name = "FILE", requires = "tls_key", help_heading = "Security")]
    tls_cert: Option<PathBuf>,
    /// Its private key in PEM
    #[arg(long, env = "DATELINE_TLS_KEY", value_name = "FILE", requires = "tls_cert", help_heading = "Security")]
    tls_key: Option<PathBuf>,
    /// Certificates in PEM, one of which must have signed that of a client (mutual TLS)
    #[arg(long, env = "DATELINE_CLIENT_CA", value_name = "FILE", requires = "tls_cert", help_heading = "Security")]
    client_ca: Option<PathBuf>,
    /// A file of tokens, one a line; calls must carry one as "authorization: Bearer TOKEN". Read again when it changes
    #[arg(long, env = "DATELINE_TOKENS", value_name = "FILE", help_heading = "Security")]
    tokens: Option<PathBuf>,
    /// Tell nobody the descriptors of the contract
    #[arg(long, env = "DATELINE_NO_REFLECTION", help_heading = "Security")]
    no_reflection: bool,
    /// Listen on addresses of other machines without TLS
    #[arg(long, env = "DATELINE_INSECURE", help_heading = "Security")]
    insecure: bool,
    /// The largest message that is read, in bytes; a larger one ends its stream
    #[arg(long, env = "DATELINE_MAX_MESSAGE_BYTES", default_value_t = Limits::default().message_bytes, value_name = "BYTES", help_heading = "Limits")]
    max_message_bytes: usize,
    /// Open connections; others wait
    #[arg(long, env = "DATELINE_MAX_CONNECTIONS", default_value_t = Limits::default().connections as u32, value_name = "N", value_parser = clap::value_parser!(u32).range(1..1_000_000), help_heading = "Limits")]
    max_connections: u32,
    /// Open streams and calls of one connection
    #[arg(long, env = "DATELINE_MAX_STREAMS", default_value_t = Limits::default().streams_per_connection, value_name = "N", value_parser = clap::value_parser!(u32).range(1..1_000_000), help_heading = "Limits")]
    max_streams: u32,
    /// Articles under way in all; streams wait, single calls are told UNAVAILABLE
    #[arg(long, env = "DATELINE_MAX_ARTICLES", default_value_t = Limits::default().articles as u32, value_name = "N", value_parser = clap::value_parser!(u32).range(1..1_000_000), help_heading = "Limits")]
    max_articles: u32,
    /// Silent connections are asked for a sign of life after so many seconds; 0 is never
    #[arg(long, env = "DATELINE_KEEPALIVE", default_value_t = Limits::default().keepalive.as_secs_f64(), value_name = "SECONDS", value_parser = seconds, help_heading = "Limits")]
    keepalive: f64,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

/// The addresses of other machines are not for plain text.
fn check(args: &Args) -> Result<(), Failure> {
    let open = !args.listen.ip().is_loopback() && args.tls_cert.is_none() && !args.insecure;
    if open {
        return Err(Failure::Usage(format!(
            "{} can be reached from other machines: give --tls-cert and --tls-key, or --insecure where the network is yours",
            args.listen
        )));
    }
    Ok(())
}

/// A time in seconds, from 0 to a day.
fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.0..=86_400.0).contains(seconds));
    seconds.ok_or_else(|| "write a number of seconds from 0 to 86400".to_owned())
}

/// An address, or a name that has one.
fn address(text: &str) -> Result<SocketAddr, String> {
    let found = text.to_socket_addrs().ok().and_then(|mut addresses| addresses.next());
    found.ok_or_else(|| "write ADDRESS:PORT, such as 127.0.0.1:50051 or localhost:0".to_owned())
}

pub fn run(args: Args) -> Result<(), Failure> {
    check(&args)?;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    match args.log {
        LogFormat::Text => log.with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
    // A panic's message may quote the text that it stumbled over, which must not be logged.
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(location, "a fault of the program");
    }));
    let slot = Arc::new(ModelSlot::open(args.model).map_err(Failure::failed)?);
    let runtime = tokio::runtime::Runtime::new().map_err(Failure::failed)?;
    runtime.block_on(async {
        // Before the log says that it listens: what waits for that may signal at once.
        let mut signals = Signals::listen().map_err(Failure::failed)?;
        let listening = Listening::on(args.listen, args.metrics_listen).await.map_err(Failure::failed)?;
        let model = slot.current();
        tracing::info!(
            address = %listening.address(),
            metrics = listening.metrics_address().map(tracing::field::display),
            model = %model.version(),
            topics = model.topics().topics().len(),
            countries = tree::countries(),
            "listening"
        );
        drop(model);
        let (ask, asked) = oneshot::channel();
        let reloaded = slot.clone();
        tokio::spawn(async move {
            signals
                .until_stop(|| {
                    let slot = reloaded.clone();
                    // What came of it is logged and counted.
                    tokio::task::spawn_blocking(move || slot.reload());
                })
                .await;
            let _ = ask.send(());
            signals.until_stop(|| {}).await;
            tracing::warn!("stopped at once by a second signal");
            std::process::exit(STOPPED_AT_ONCE);
        });
        let stop = async move {
            // An error means that the task above is gone, and the runtime with it.
            let _ = asked.await;
        };
        let settings = Settings {
            drain: Duration::from_secs_f64(args.drain_timeout),
            tls: args.tls_cert.zip(args.tls_key).map(|(certificate, key)| TlsFiles {
                certificate,
                key,
                client_ca: args.client_ca,
            }),
            tokens: args.tokens,
            reflection: !args.no_reflection,
            limits: Limits {
                message_bytes: args.max_message_bytes,
                connections: args.max_connections as usize,
                streams_per_connection: args.max_streams,
                articles: args.max_articles as usize,
                keepalive: Duration::from_secs_f64(args.keepalive),
            },
        };
        listening.serve(slot, settings, stop).await.map_err(Failure::failed)
    })
}

/// The exit status of a server that did not drain, as of one that SIGINT ended.
const STOPPED_AT_ONCE: i32 = 130;

/// The signals that a server listens to.
struct Signals {
    #[cfg(unix)]
    interrupt: Signal,
    #[cfg(unix)]
    terminate: Signal,
    #[cfg(unix)]
    hang_up: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Signals {
            #[cfg(unix)]
            interrupt: signal(SignalKind::interrupt())?,
            #[cfg(unix)]
            terminate: signal(SignalKind::terminate())?,
            #[cfg(unix)]
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Done at the next SIGINT or SIGTERM; calls `reload` at every SIGHUP before it.
    #[cfg(unix)]
    async fn until_stop(&mut self, reload: impl Fn()) {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => return,
                _ = self.terminate.recv() => return,
                _ = self.hang_up.recv() => reload(),
            }
        }
    }

    /// Done at the next interrupt from the keyboard.
    #[cfg(not(unix))]
    async fn until_stop(&mut self, _: impl Fn()) {
        let _ = tokio::signal::ctrl_c().await;
    }
}
