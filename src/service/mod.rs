//! The gRPC server: moves messages between the wire and a [`Model`](crate::Model).
//!
//! In: articles on a call or a stream. Out: one answer each, in order. Classification runs on threads of its own, so that a
//! long article does not hold up the network. Models are swapped under running streams, the end is a drain, and what happens
//! is counted for monitors. What a label is worth is not known here.

mod classifier;
mod convert;
mod files;
mod metrics;
mod probes;
mod security;
mod slot;
mod transport;

/// The contract, as generated from `proto/dateline/v1/classifier.proto`.
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
pub use slot::{ModelSlot, Reloaded, SelfCheckError};

use classifier::Drain;
use proto::dateline::v1::classifier_server::ClassifierServer;
use security::{Gate, Tls};
use std::{future::Future, io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::watch};
use tonic::{service::interceptor::InterceptedService, transport::Server};

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
    /// Whether clients may ask for the descriptors of the contract.
    pub reflection: bool,
    /// What a client may ask of the server.
    pub limits: Limits,
}

/// What clients may ask of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The largest message that is read, in bytes. An article over its own limit answers with its own error; only a message
    /// over this ends the stream.
    pub message_bytes: usize,
    /// Open connections; others wait to be accepted.
    pub connections: usize,
    /// Open streams and calls of one connection.
    pub streams_per_connection: u32,
    /// Articles under way in all streams and calls: streams wait for their turn, single calls are told UNAVAILABLE.
    pub articles: usize,
    /// A connection is asked for a sign of life after so long without one, and closed where none comes; never, if zero.
    pub keepalive: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            drain: Duration::from_secs(10),
            tls: None,
            tokens: None,
            reflection: true,
            limits: Limits::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            message_bytes: MAX_MESSAGE_BYTES,
            connections: 1024,
            streams_per_connection: 256,
            articles: 4096,
            keepalive: Duration::from_secs(60),
        }
    }
}

/// The largest message that is read where nothing else is set (16 MiB).
pub const MAX_MESSAGE_BYTES: usize = 16 << 20;
/// The largest list of headers that is read, in bytes.
const HEADER_BYTES: u32 = 16 << 10;
/// How long a client has for a sign of life.
const SIGN_OF_LIFE: Duration = Duration::from_secs(20);

/// Why the server stopped, or never began.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}; choose another address with --listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The address of metrics and probes cannot be listened on.
    #[error("cannot listen on {address} for metrics: {source}; choose another address with --metrics-listen")]
    ListenMetrics {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
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

/// A server that listens already, and has not begun to answer.
pub struct Listening {
    listener: TcpListener,
    address: SocketAddr,
    metrics: Option<TcpListener>,
}

impl Listening {
    /// Listens on an address, and for metrics and probes on another, where one is given; port 0 takes a free one.
    ///
    /// # Errors
    /// [`ServeError::Listen`] and [`ServeError::ListenMetrics`].
    pub async fn on(address: SocketAddr, metrics: Option<SocketAddr>) -> Result<Self, ServeError> {
        let fault = |source| ServeError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(fault)?;
        let address = listener.local_addr().map_err(fault)?;
        let metrics = match metrics {
            Some(address) => {
                let fault = |source| ServeError::ListenMetrics { address, source };
                Some(TcpListener::bind(address).await.map_err(fault)?)
            }
            None => None,
        };
        Ok(Listening { listener, address, metrics })
    }

    /// The address of metrics and probes.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().and_then(|listener| listener.local_addr().ok())
    }

    /// The address that is listened on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers with the slot's model until `stop` is done. Then the server drains: health turns NOT_SERVING, new articles and
    /// streams are refused, open streams go on as long as their clients keep sending without a pause, for half of
    /// `settings.drain` at most, and end when all that was read is answered. After `settings.drain` this returns, whatever is
    /// open; what is open then, and the watching of files, ends with the runtime.
    ///
    /// # Errors
    /// [`ServeError`].
    pub async fn serve(
        self,
        slot: Arc<ModelSlot>,
        settings: Settings,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), ServeError> {
        let Settings { drain: drain_for, limits, .. } = settings;
        let tls = settings.tls.map(Tls::open).transpose()?.map(Arc::new);
        let tokens = settings.tokens.map(Tokens::open).transpose()?.map(Arc::new);
        if let Some(tls) = &tls {
            tokio::spawn(tls.clone().watch());
        }
        if let Some(tokens) = &tokens {
            tokio::spawn(tokens.clone().watch());
        }
        let gate = Gate(tokens);

        let (drain, draining) = watch::channel(false);
        let streams = Drain { draining: draining.clone(), read_on: drain_for / 2 };
        let classifier = ClassifierServer::new(classifier::Service::new(slot.clone(), streams, limits.articles)?)
            .max_decoding_message_size(limits.message_bytes)
            .max_encoding_message_size(usize::MAX);
        let classifier = InterceptedService::new(classifier, gate.clone());
        let (health, health_service) = tonic_health::server::health_reporter();
        health.set_serving::<ClassifierServer<classifier::Service>>().await;
        tokio::spawn(slot.clone().watch());
        if let Some(metrics) = self.metrics {
            tokio::spawn(probes::serve(metrics, slot, draining.clone()));
        }
        let reflection = settings.reflection.then(|| {
            (
                InterceptedService::new(reflection_v1(), gate.clone()),
                InterceptedService::new(reflection_v1alpha(), gate),
            )
        });
        let (v1, v1alpha) = reflection.unzip();

        let mut stopping = draining.clone();
        let stop = async move {
            stop.await;
            tracing::info!(seconds = drain_for.as_secs_f64(), "draining");
            health.set_not_serving::<ClassifierServer<classifier::Service>>().await;
            health.set_service_status("", tonic_health::ServingStatus::NotServing).await;
            drain.send_replace(true);
        };
        let connections = transport::connections(self.listener, tls, limits.connections);
        let server = Server::builder()
            .max_concurrent_streams(limits.streams_per_connection)
            .http2_keepalive_interval((!limits.keepalive.is_zero()).then_some(limits.keepalive))
            .http2_keepalive_timeout(Some(SIGN_OF_LIFE))
            .http2_max_header_list_size(HEADER_BYTES)
            .add_service(health_service)
            .add_optional_service(v1)
            .add_optional_service(v1alpha)
            .add_service(classifier)
            .serve_with_incoming_shutdown(connections, stop);
        // tonic waits for idle connections for as long as they stay open.
        let deadline = async move {
            match stopping.wait_for(|draining| *draining).await {
                Ok(_) => tokio::time::sleep(drain_for).await,
                Err(_) => std::future::pending().await,
            }
        };
        tokio::select! {
            ended = server => ended?,
            () = deadline => tracing::warn!("connections were still open at the end of the drain and are closed"),
        }
        Ok(())
    }
}

fn reflection_v1()
-> tonic_reflection::server::v1::ServerReflectionServer<impl tonic_reflection::server::v1::ServerReflection> {
    reflection().build_v1().unwrap_or_else(|error| unreachable!("the descriptors come from build.rs: {error}"))
}

fn reflection_v1alpha()
-> tonic_reflection::server::v1alpha::ServerReflectionServer<impl tonic_reflection::server::v1alpha::ServerReflection> {
    reflection().build_v1alpha().unwrap_or_else(|error| unreachable!("the descriptors come from build.rs: {error}"))
}

fn reflection() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}
