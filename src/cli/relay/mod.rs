//! The workers of message brokers: what their commands have in common.

pub mod jetstream;
#[cfg(feature = "kafka")]
pub mod kafka;

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
    relay::{Labeller, Metrics, Relay, RelayError, Settings, Template},
};
use std::{ffi::OsString, io::Write, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};
use tonic::transport::Endpoint;

/// The arguments that relays of all brokers have.
#[derive(Debug, clap::Args)]
pub struct RelayArgs {
    /// The most deliveries of a message that causes an internal error; then it becomes a dead letter
    #[arg(long, env = "DATELINE_MAX_DELIVER", default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..1000))]
    max_deliver: u32,
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
    /// The format of the log: lines for people, or one JSON object per line
    #[arg(long, env = "DATELINE_LOG", value_enum, default_value_t = LogFormat::Text, value_name = "FORMAT")]
    log: LogFormat,
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

impl RelayArgs {
    fn settings(&self, publish: Template, dead_letter: String) -> Settings {
        Settings {
            publish,
            dead_letter,
            max_deliver: self.max_deliver,
            in_flight: self.in_flight as usize,
            in_flight_bytes: usize::try_from(self.in_flight_bytes).unwrap_or(usize::MAX),
            copies: self.copies,
            drain: Duration::from_secs_f64(self.drain_timeout),
        }
    }

    /// Runs a relay until it is asked to stop, or only checks its settings.
    fn start<R: Relay>(&self, settings: R::Settings, only_check: bool) -> Result<(), Failure> {
        in_runtime(|runtime| {
            if only_check {
                runtime.block_on(R::check(&settings))?;
            }
            let endpoint = self.server.endpoint()?;
            let slot = match &endpoint {
                Some(_) => None,
                None => Some(Arc::new(ModelSlot::open(self.model.clone()).map_err(Failure::failed)?)),
            };
            if only_check {
                let by = match (&slot, &endpoint) {
                    (Some(slot), _) => format!("the model is {}", slot.current().version()),
                    (None, Some(endpoint)) => format!("the server is {}", endpoint.uri()),
                    (None, None) => String::new(),
                };
                return Ok(writeln!(anstream::stderr().lock(), "all settings are valid; {by}")?);
            }
            let _telemetry = Telemetry::start(self.log, None)?;
            observe::log_panics();
            self.server.warn_of_readable_secrets();
            let labeller = match (&slot, endpoint) {
                (Some(slot), _) => Labeller::Local { slot: slot.clone(), isolated: self.isolated()? },
                (None, Some(endpoint)) => Labeller::Server(self.server.client(patient(endpoint).connect_lazy())),
                (None, None) => return Err(Failure::failed("neither a model nor a server is given")),
            };
            runtime.block_on(self.relay::<R>(settings, labeller, slot))
        })
    }

    async fn relay<R: Relay>(
        &self,
        settings: R::Settings,
        labeller: Labeller,
        slot: Option<Arc<ModelSlot>>,
    ) -> Result<(), Failure> {
        let signals = Signals::listen().map_err(Failure::failed)?;
        let reloaded = slot.clone();
        let draining = signals.draining(move || reloaded.iter().for_each(|slot| drop(slot.reload())));
        let metrics = Arc::new(Metrics::default());
        let relay = tokio::select! {
            relay = R::connect(settings, metrics.clone()) => relay?,
            () = drain_requested(draining.clone()) => {
                tracing::info!("stopped before the broker was reached");
                return Ok(());
            }
        };
        let mut listening = None;
        if let Some(address) = self.metrics_listen {
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
            from = %relay,
            metrics = listening.map(tracing::field::display),
            model = slot.as_ref().map(|slot| tracing::field::display(slot.current().version().to_owned())),
            server = self.server.server,
            "relaying"
        );
        if let Some(slot) = &slot {
            tokio::spawn(slot.clone().watch());
        }
        Ok(relay.run(labeller, drain_requested(draining)).await?)
    }

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
}

/// The connection to a server that may vanish silently: that must be noticed, because the broker learns meanwhile that the relay is
/// alive.
fn patient(endpoint: Endpoint) -> Endpoint {
    endpoint
        .connect_timeout(Duration::from_secs(5))
        .http2_keep_alive_interval(Duration::from_secs(10))
        .keep_alive_timeout(Duration::from_secs(5))
        .keep_alive_while_idle(true)
}
