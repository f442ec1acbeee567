//! The gRPC server: moves messages between the wire and a [`Model`](crate::Model).
//!
//! In: articles on a call or a stream. Out: one answer each, in order. Classification runs on threads of its own, so that a
//! long article does not hold up the network. Models are swapped under running streams, the end is a drain, and what happens
//! is counted for monitors. What a label is worth is not known here.

mod admin;
mod admission;
mod calls;
mod classifier;
mod convert;
mod files;
mod incoming;
mod metrics;
mod outgoing;
mod probes;
mod requests;
mod security;
mod shadow;
mod slot;
mod transport;

/// The contract, as generated from `proto/dateline/v1`.
#[allow(missing_docs, clippy::all)]
pub mod proto {
    /// The package `dateline.v1`.
    pub mod dateline {
        /// Version 1.
        pub mod v1 {
            tonic::include_proto!("dateline.v1");
        }
    }
    /// The package `google.rpc`.
    pub mod google {
        /// Errors.
        pub mod rpc {
            tonic::include_proto!("google.rpc");
        }
    }
}

pub use classifier::WINDOW;
pub(crate) use convert::{answer_from_proto, article_to_proto, options_to_proto};
pub use security::{SecurityError, TlsFiles, Tokens};
pub use slot::{ModelSlot, Reloaded, SelfCheckError, Status};

use admission::Admission;
use calls::Calls;
use http::{HeaderName, HeaderValue, Method, header};
use metrics::Metrics;
pub(crate) use metrics::{Process, text_of};
pub(crate) use probes::{Ready, serve as serve_probes};
use proto::dateline::v1::{admin_server::AdminServer, classifier_server::ClassifierServer};
use requests::StreamEnd;
use security::{Gate, Tls};
use shadow::Shadow;
use std::{future::Future, io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::watch};
use tonic::{codec::CompressionEncoding, service::interceptor::InterceptedService, transport::Server};
use tonic_health::{ServingStatus, server::HealthReporter};
use tower_http::cors::CorsLayer;

/// The descriptors of the contract, for reflection.
const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// How a server serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How long open connections may go on once the server was asked to stop.
    pub drain: Duration,
    /// TLS; plain text without it.
    pub tls: Option<TlsFiles>,
    /// A file of tokens, one of which every call but health checks must carry; anyone may call without it.
    pub tokens: Option<PathBuf>,
    /// A file of tokens, one of which the calls of an operator must carry; there are no such calls without it.
    pub admin_tokens: Option<PathBuf>,
    /// Whether clients may ask for the descriptors of the contract.
    pub reflection: bool,
    /// The origins (`https://desk.example`) whose pages may call through gRPC-Web; it is not spoken without any.
    pub web_origins: Vec<String>,
    /// What a client may ask of the server.
    pub limits: Limits,
}

/// What clients may ask of a server. A time of zero is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The largest message that is read, in bytes, compressed or not. An article over its own limit answers with its own
    /// error; only a message over this ends the stream.
    pub message_bytes: usize,
    /// The largest list of headers that is read, in bytes.
    pub header_bytes: u32,
    /// Open connections; others wait to be accepted.
    pub connections: usize,
    /// Open streams and calls of one connection.
    pub streams_per_connection: u32,
    /// Articles under way in all streams and calls: streams wait for their turn, unary calls are refused with UNAVAILABLE.
    pub articles: usize,
    /// Bytes of requests in work and of answers that clients have not taken, in all; the same holds. At least
    /// [`Limits::least_text_bytes`]. One call may hold a sixteenth of it, or one message with its answer.
    pub text_bytes: usize,
    /// The largest answer, in bytes: explanations that do not fit are left out.
    pub answer_bytes: usize,
    /// A connection is asked for a sign of life after so long without one, and closed where none comes.
    pub keepalive: Duration,
    /// How long a unary call may take, from its first byte to its answer.
    pub call: Duration,
    /// A stream that brings no article for this time ends.
    pub stream_idle: Duration,
    /// A call whose client takes nothing of its answers for this time ends, and so does a stream on which a message stays
    /// incomplete for this time.
    pub stream_stall: Duration,
    /// A connection without an open call for so long is closed.
    pub connection_idle: Duration,
    /// A connection takes no new calls once it is so old, and its streams end as in a drain: their clients go on with
    /// another, perhaps of another server.
    pub connection_age: Duration,
}

impl Settings {
    /// Reads all files that the settings name.
    ///
    /// # Errors
    /// Where one cannot be used.
    pub fn check(&self) -> Result<(), ServeError> {
        cors(&self.web_origins)?;
        if let Some(files) = self.tls.clone() {
            Tls::open(files, false)?;
        }
        for tokens in [&self.tokens, &self.admin_tokens].into_iter().flatten() {
            Tokens::open(tokens.clone())?;
        }
        Ok(())
    }
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            drain: Duration::from_secs(10),
            tls: None,
            tokens: None,
            admin_tokens: None,
            reflection: true,
            web_origins: Vec::new(),
            limits: Limits::default(),
        }
    }
}

impl Limits {
    /// The least text budget that is enough for the largest message and its answer, in bytes: a compressed message takes room as
    /// it comes, as it is decompressed, and as it is decoded.
    pub fn least_text_bytes(&self) -> usize {
        3 * self.message_bytes + self.answer_bytes
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            message_bytes: MAX_MESSAGE_BYTES,
            header_bytes: 16 << 10,
            connections: 1024,
            streams_per_connection: 256,
            articles: 4096,
            text_bytes: 32 << 20,
            answer_bytes: 256 << 10,
            keepalive: Duration::from_secs(60),
            call: Duration::from_secs(60),
            stream_idle: Duration::ZERO,
            stream_stall: Duration::from_secs(60),
            connection_idle: Duration::from_secs(900),
            connection_age: Duration::ZERO,
        }
    }
}

/// The largest message that is read where nothing else is set (4 MiB): an article may have half of it.
pub const MAX_MESSAGE_BYTES: usize = 4 << 20;
/// The largest message of the services beside the classifier.
const SMALL_MESSAGE: usize = 4 << 10;
/// Streams that watch are told that the server drains, and end so long after.
const LAST_NEWS: Duration = Duration::from_millis(500);
/// How many bytes of one stream are read ahead by the transport, as HTTP/2 proposes.
const STREAM_WINDOW: u32 = 64 << 10;
/// How much larger the window of a connection is than those of all its streams together. It bounds nothing, as they do, but
/// h2 measures by it: it ends a connection on which frames below 256 bytes wait whose missing bytes add up to half this
/// window, and many clients put each message, be it a headline, into a frame of its own.
const CONNECTION_WINDOW: u32 = 4;
/// Headers of up to this many times the limit are read to be refused with a status; the transport refuses longer ones with
/// HTTP status 431.
const REFUSED_HEADERS: u32 = 16;
/// How long a client has for a sign of life.
const SIGN_OF_LIFE: Duration = Duration::from_secs(20);
/// What health checks ask for to learn whether the folder's model is the one that answers.
pub const MODEL_HEALTH: &str = "dateline.model";

/// Why the server stopped, or never began.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {source}; choose another address with {flag}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What sets it on the command line.
        flag: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// What should be the origin of web pages is none.
    #[error("{0:?} is no origin: write it as browsers do, such as https://desk.example")]
    Origin(String),
    /// Certificates, keys or tokens cannot be used.
    #[error(transparent)]
    Security(#[from] SecurityError),
    /// Threads cannot be started.
    #[error("cannot start threads: {0}")]
    Threads(String),
    /// The transport failed.
    #[error("the server failed: {0}")]
    Transport(#[from] tonic::transport::Error),
}

/// Where a server listens; port 0 takes a free one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// For the classifier, health and reflection.
    pub classifier: SocketAddr,
    /// For the calls of an operator; that of the classifier without it.
    pub admin: Option<SocketAddr>,
    /// For metrics and probes over HTTP; there are none without it.
    pub metrics: Option<SocketAddr>,
}

/// The models of a server.
pub struct Models {
    /// The one that answers.
    pub live: Arc<ModelSlot>,
    /// One that answers beside it without being heard.
    pub shadow: Option<Arc<ModelSlot>>,
}

/// A server that listens already, and has not begun to answer.
pub struct Listening {
    classifier: TcpListener,
    admin: Option<TcpListener>,
    metrics: Option<TcpListener>,
    addresses: Addresses,
}

impl Listening {
    /// Listens.
    ///
    /// # Errors
    /// [`ServeError::Listen`].
    pub async fn on(addresses: Addresses) -> Result<Self, ServeError> {
        let listen = async |address: SocketAddr, flag| {
            let fault = |source| ServeError::Listen { address, flag, source };
            let listener = TcpListener::bind(address).await.map_err(fault)?;
            let address = listener.local_addr().map_err(fault)?;
            Ok::<_, ServeError>((listener, address))
        };
        let (classifier, address) = listen(addresses.classifier, "--listen").await?;
        let mut listening = Listening { classifier, admin: None, metrics: None, addresses };
        listening.addresses.classifier = address;
        if let Some(address) = addresses.admin {
            let (listener, address) = listen(address, "--admin-listen").await?;
            (listening.admin, listening.addresses.admin) = (Some(listener), Some(address));
        }
        if let Some(address) = addresses.metrics {
            let (listener, address) = listen(address, "--metrics-listen").await?;
            (listening.metrics, listening.addresses.metrics) = (Some(listener), Some(address));
        }
        Ok(listening)
    }

    /// Where it listens, with the ports that were taken.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Answers with the live model until `stop` is done. Then the server drains: health turns NOT_SERVING, new articles and
    /// streams are refused, open streams go on as long as their clients keep sending without a pause, for half of
    /// `settings.drain` at most, and end when all that was read is answered. After `settings.drain` this returns, whatever is
    /// open; what is open then, and the watching of files, ends with the runtime.
    ///
    /// # Errors
    /// [`ServeError`].
    pub async fn serve(
        self,
        models: Models,
        settings: Settings,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), ServeError> {
        let Settings { drain: drain_for, limits, .. } = settings;
        let cors = cors(&settings.web_origins)?;
        let web = cors.is_some();
        let tls = settings.tls.map(|files| Tls::open(files, web)).transpose()?.map(Arc::new);
        let gate = Gate(settings.tokens.map(Tokens::open).transpose()?.map(Arc::new));
        let admin_gate = Gate(settings.admin_tokens.map(Tokens::open).transpose()?.map(Arc::new));
        if let Some(tls) = &tls {
            tokio::spawn(tls.clone().watch());
        }
        for tokens in [&gate, &admin_gate].into_iter().filter_map(|gate| gate.0.as_ref()) {
            tokio::spawn(tokens.clone().watch());
        }

        let Models { live, shadow } = models;
        let metrics = Arc::new(Metrics::new(live.status(), shadow.as_ref().map(|slot| slot.status())));
        let shadow = match shadow {
            Some(slot) => {
                tokio::spawn(slot.clone().watch());
                let shadow = Shadow::start(slot.clone(), live.clone(), metrics.clone());
                Some((slot, Arc::new(shadow.map_err(|error| ServeError::Threads(error.to_string()))?)))
            }
            None => None,
        };
        tokio::spawn(live.clone().watch());
        let (drain, draining) = watch::channel(false);
        let streams = StreamEnd {
            draining: draining.clone(),
            read_on: drain_for / 2,
            connection_age: limits.connection_age,
            idle: limits.stream_idle,
        };
        let heard = shadow.as_ref().map(|(_, shadow)| shadow.clone());
        let admission = Arc::new(Admission::new(&limits, &metrics));
        let classifier = classifier::Service::new(live.clone(), heard, metrics.clone(), streams, admission.clone())?;
        let classifier = ClassifierServer::new(classifier)
            .accept_compressed(CompressionEncoding::Gzip)
            .accept_compressed(CompressionEncoding::Zstd)
            .max_decoding_message_size(limits.message_bytes)
            .max_encoding_message_size(usize::MAX);
        let classifier = InterceptedService::new(classifier, gate.clone());
        let admin = admin_gate.0.is_some().then(|| {
            let service = admin::Service { live: live.clone(), shadow, draining: draining.clone() };
            InterceptedService::new(AdminServer::new(service).max_decoding_message_size(SMALL_MESSAGE), admin_gate)
        });
        let (health, health_service) = tonic_health::server::health_reporter();
        let health_service = health_service.max_decoding_message_size(SMALL_MESSAGE);
        health.set_serving::<ClassifierServer<classifier::Service>>().await;
        tokio::spawn(tell_of_refusals(live.status(), health.clone()));
        if let Some(listener) = self.metrics {
            let (metrics, status, draining) = (metrics.clone(), live.status(), draining.clone());
            // A server whose folder holds a model that was refused is ready, and says so.
            let ready = move || match (*draining.borrow(), status.borrow().refusal.is_some()) {
                (true, _) => Ready(false, "draining"),
                (false, true) => Ready(true, "ready, with an old model: the new one was refused"),
                (false, false) => Ready(true, "ready"),
            };
            tokio::spawn(probes::serve(listener, move || metrics.text(), ready));
        }
        let mut spoken = vec!["dateline.v1.Classifier", "grpc.health.v1.Health"];
        spoken.extend((admin.is_some() && self.admin.is_none()).then_some("dateline.v1.Admin"));
        let reflection = settings.reflection.then(|| {
            (
                InterceptedService::new(reflection_v1(&spoken).max_decoding_message_size(SMALL_MESSAGE), gate.clone()),
                InterceptedService::new(reflection_v1alpha(&spoken).max_decoding_message_size(SMALL_MESSAGE), gate),
            )
        });
        let (v1, v1alpha) = reflection.unzip();

        let windows = limits.streams_per_connection.saturating_mul(STREAM_WINDOW * CONNECTION_WINDOW);
        let connection_window = windows.clamp(8 << 20, 1 << 30);
        let server = || {
            Server::builder()
                .max_concurrent_streams(limits.streams_per_connection)
                .http2_keepalive_interval(nonzero(limits.keepalive))
                .http2_keepalive_timeout(Some(SIGN_OF_LIFE))
                // Calls over the limit must be read to be refused with a status of gRPC.
                .http2_max_header_list_size(limits.header_bytes.saturating_mul(REFUSED_HEADERS).min(16 << 20))
                .initial_stream_window_size(STREAM_WINDOW)
                .initial_connection_window_size(connection_window)
        };
        let calls = Calls {
            metrics: metrics.clone(),
            admission,
            longest: limits.call,
            stall: limits.stream_stall,
            largest: limits.message_bytes,
            header_bytes: limits.header_bytes,
            draining: draining.clone(),
            drain: drain_for,
        };
        let mut aged = server();
        if let Some(age) = nonzero(limits.connection_age) {
            // Its streams end by themselves; whoever takes no end is closed where connections are read.
            aged = aged.max_connection_age(age);
        }
        let router = aged
            .accept_http1(web)
            .layer(tower::util::option_layer(cors))
            .layer(tower::util::option_layer(web.then(tonic_web::GrpcWebLayer::new)))
            .layer(calls.clone())
            .add_service(health_service.clone())
            .add_optional_service(v1)
            .add_optional_service(v1alpha)
            .add_service(classifier);
        let own_admin = self.admin.zip(admin.clone());
        // Done with the classifier.
        let (classifying, classified) = tokio::sync::oneshot::channel::<()>();
        let router = router.add_optional_service(admin.filter(|_| own_admin.is_none()));

        let connections = transport::connections(self.classifier, tls.clone(), &limits, drain_for, metrics.clone());
        let drained = |mut draining: watch::Receiver<bool>| async move {
            // An error means that the task below is gone, and the runtime with it.
            let _ = draining.wait_for(|draining| *draining).await;
        };
        let classifier = router.serve_with_incoming_shutdown(connections, drained(draining.clone()));
        let admin = async {
            let Some((listener, admin)) = own_admin else { return Ok(()) };
            let connections = transport::connections(listener, tls, &limits, drain_for, metrics);
            let router = server().layer(calls).add_service(health_service).add_service(admin);
            // An operator looks at a drain as well.
            let over = async {
                let _ = classified.await;
            };
            router.serve_with_incoming_shutdown(connections, over).await
        };
        let classifier = async {
            let ended = classifier.await;
            drop(classifying);
            ended
        };
        tokio::spawn(async move {
            stop.await;
            tracing::info!(seconds = drain_for.as_secs_f64(), "draining");
            health.set_not_serving::<ClassifierServer<classifier::Service>>().await;
            health.set_service_status("", ServingStatus::NotServing).await;
            drain.send_replace(true);
        });
        // tonic waits for idle connections for as long as they stay open.
        let deadline = async {
            drained(draining.clone()).await;
            // What can be told its end is told at the end of the drain.
            tokio::time::sleep(drain_for + LAST_NEWS).await;
        };
        tokio::select! {
            ended = futures_util::future::try_join(classifier, admin) => { ended?; }
            () = deadline => tracing::warn!("connections were still open at the end of the drain and are closed"),
        }
        Ok(())
    }
}

/// A duration, unless it is zero, which stands for no limit.
fn nonzero(time: Duration) -> Option<Duration> {
    Some(time).filter(|time| !time.is_zero())
}

/// Says in health whether the folder's model was refused.
async fn tell_of_refusals(mut status: watch::Receiver<Status>, health: HealthReporter) {
    loop {
        let serving = match status.borrow_and_update().refusal {
            None => ServingStatus::Serving,
            Some(_) => ServingStatus::NotServing,
        };
        health.set_service_status(MODEL_HEALTH, serving).await;
        if status.changed().await.is_err() {
            return;
        }
    }
}

/// Lets pages of these origins call, and no others; `None` where there are none.
fn cors(origins: &[String]) -> Result<Option<CorsLayer>, ServeError> {
    if origins.is_empty() {
        return Ok(None);
    }
    let allowed = origins.iter().map(|origin| {
        let uri: Option<http::Uri> = origin.parse().ok();
        let named = uri.is_some_and(|uri| {
            let plain = origin.trim_start_matches(|other| other != ':').strip_prefix("://");
            uri.scheme().is_some() && plain.is_some_and(|host| uri.authority().is_some_and(|name| name == host))
        });
        // As browsers write it.
        let value = HeaderValue::from_str(&origin.to_ascii_lowercase()).ok().filter(|_| named);
        value.ok_or_else(|| ServeError::Origin(origin.clone()))
    });
    let allowed: Vec<HeaderValue> = allowed.collect::<Result<_, _>>()?;
    let names = |names: &[&'static str]| names.iter().copied().map(HeaderName::from_static).collect::<Vec<_>>();
    let mut asked = names(&[
        "x-grpc-web",
        "x-user-agent",
        "grpc-timeout",
        "grpc-encoding",
        "grpc-accept-encoding",
        "traceparent",
        "tracestate",
    ]);
    asked.extend([header::CONTENT_TYPE, header::AUTHORIZATION]);
    let layer = CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([Method::POST])
        .allow_headers(asked)
        .expose_headers(names(&["grpc-status", "grpc-message", "grpc-status-details-bin", "grpc-retry-pushback-ms"]))
        .max_age(Duration::from_secs(3600));
    Ok(Some(layer))
}

fn reflection_v1(
    spoken: &[&str],
) -> tonic_reflection::server::v1::ServerReflectionServer<impl tonic_reflection::server::v1::ServerReflection> {
    reflection(spoken).build_v1().unwrap_or_else(|error| unreachable!("the descriptors come from build.rs: {error}"))
}

fn reflection_v1alpha(
    spoken: &[&str],
) -> tonic_reflection::server::v1alpha::ServerReflectionServer<impl tonic_reflection::server::v1alpha::ServerReflection>
{
    reflection(spoken)
        .build_v1alpha()
        .unwrap_or_else(|error| unreachable!("the descriptors come from build.rs: {error}"))
}

/// The descriptors of the services that are spoken.
fn reflection(spoken: &[&str]) -> tonic_reflection::server::Builder<'static> {
    let builder = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET);
    let builder = builder.with_service_name("grpc.reflection.v1.ServerReflection");
    spoken.iter().fold(builder, |builder, service| builder.with_service_name(*service))
}
