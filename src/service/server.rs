//! Runs a server from its start to the end of its drain.

use super::{
    admission::Admission,
    backend::{Backend, Health, Models, Services},
    calls::{CallLayer, WATCH_GRACE},
    error::ServeError,
    listen::Listening,
    requests::StreamLimits,
    security::{Tls, TokenGate, Tokens},
    settings::{Limits, Settings, nonzero},
    transport::{self, Connection},
    web,
};
use std::{future::Future, io, sync::Arc, time::Duration};
use tokio::{
    net::TcpListener,
    sync::{oneshot, watch},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{service::Routes, transport::Server};
use tower_http::cors::CorsLayer;

/// The HTTP/2 flow-control window of a stream, in bytes: how far the transport reads ahead. The default of HTTP/2.
const STREAM_WINDOW: u32 = 64 << 10;
/// The window of a connection, as a multiple of those of all its streams. Memory is bounded by the windows of the streams. h2
/// ends a connection if frames below 256 bytes wait whose missing bytes add up to half of its window, and many clients put
/// each message, however short, into its own frame.
const CONNECTION_WINDOW: u32 = 4;
/// Header lists up to this multiple of the limit are read and refused with a gRPC status; the transport refuses longer ones
/// with HTTP status 431.
const REFUSED_HEADERS: u32 = 16;
/// The maximum time for the reply to a keepalive ping.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// Which clients may call.
struct Security {
    cors: Option<CorsLayer>,
    tls: Option<Arc<Tls>>,
    gate: TokenGate,
    admin_gate: TokenGate,
}

impl Security {
    /// Reads the files, and starts to watch them.
    fn open(settings: &Settings) -> Result<Self, ServeError> {
        let cors = web::cors(&settings.web_origins)?;
        let tls = settings.tls.clone().map(|files| Tls::open(files, cors.is_some())).transpose()?.map(Arc::new);
        let gate = TokenGate(settings.tokens.clone().map(Tokens::open).transpose()?.map(Arc::new));
        let admin_gate = TokenGate(settings.admin_tokens.clone().map(Tokens::open).transpose()?.map(Arc::new));
        if let Some(tls) = &tls {
            tokio::spawn(tls.clone().watch());
        }
        for tokens in [&gate, &admin_gate].into_iter().filter_map(|gate| gate.0.as_ref()) {
            tokio::spawn(tokens.clone().watch());
        }
        Ok(Security { cors, tls, gate, admin_gate })
    }
}

/// Serves gRPC on the listeners.
struct Frontend {
    limits: Limits,
    tls: Option<Arc<Tls>>,
    layer: CallLayer,
}

impl Frontend {
    /// Serves the main listener, which also speaks gRPC-Web if `cors` is set, until the drain has ended all calls.
    async fn serve_main(
        &self,
        listener: TcpListener,
        services: Routes,
        cors: Option<CorsLayer>,
    ) -> Result<(), tonic::transport::Error> {
        let grpc_web = cors.is_some();
        let mut server = self.server();
        if let Some(age) = nonzero(self.limits.connection_age) {
            // The streams of an old connection end by themselves; `transport` closes it if the client does not.
            server = server.max_connection_age(age);
        }
        server
            .accept_http1(grpc_web)
            .layer(tower::util::option_layer(cors))
            .layer(tower::util::option_layer(grpc_web.then(tonic_web::GrpcWebLayer::new)))
            .layer(self.layer.clone())
            .add_routes(services)
            .serve_with_incoming_shutdown(self.connections(listener), drain_started(self.layer.draining.clone()))
            .await
    }

    /// Serves the admin listener until `end`.
    async fn serve_admin(
        &self,
        listener: TcpListener,
        services: Routes,
        end: impl Future<Output = ()>,
    ) -> Result<(), tonic::transport::Error> {
        let mut server = self.server().layer(self.layer.clone());
        server.add_routes(services).serve_with_incoming_shutdown(self.connections(listener), end).await
    }

    fn connections(&self, listener: TcpListener) -> ReceiverStream<io::Result<Connection>> {
        let CallLayer { metrics, drain_time, .. } = &self.layer;
        transport::connections(listener, self.tls.clone(), &self.limits, *drain_time, metrics.clone())
    }

    /// A server with the limits for connections.
    fn server(&self) -> Server {
        let limits = &self.limits;
        let window = limits.streams_per_connection.saturating_mul(STREAM_WINDOW * CONNECTION_WINDOW);
        Server::builder()
            .max_concurrent_streams(limits.streams_per_connection)
            .http2_keepalive_interval(nonzero(limits.keepalive))
            .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
            // Header lists over the limit must be read to be refused with a gRPC status.
            .http2_max_header_list_size(limits.header_bytes.saturating_mul(REFUSED_HEADERS).min(16 << 20))
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(window.clamp(8 << 20, 1 << 30))
    }
}

impl Listening {
    /// Answers with the live model until `stop` completes. Then the server drains: health turns NOT_SERVING, and new articles
    /// and streams are refused. Open streams go on until their client pauses, for half of `settings.drain` at most, and end
    /// when all that was read is answered. After `settings.drain` this returns, even if calls are open; these, and the watching
    /// of files, end with the runtime.
    ///
    /// # Errors
    /// [`ServeError`].
    pub async fn serve(
        self,
        models: Models,
        settings: Settings,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), ServeError> {
        let (limits, drain_time) = (settings.limits, settings.drain);
        let Security { cors, tls, gate, admin_gate } = Security::open(&settings)?;
        let backend = Backend::start(models)?;
        let (drain, draining) = watch::channel(false);
        let admission = Arc::new(Admission::new(&limits, &backend.metrics));
        let stream_limits = StreamLimits {
            draining: draining.clone(),
            closing_time: drain_time / 2,
            connection_age: limits.connection_age,
            idle: limits.stream_idle,
        };
        let gates = (gate, admin_gate);
        let services =
            backend.services(&settings, stream_limits, admission.clone(), gates, self.admin.is_some()).await?;
        if let Some(listener) = self.metrics {
            backend.serve_metrics(listener, draining.clone());
        }
        let layer = CallLayer {
            metrics: backend.metrics.clone(),
            admission,
            call_timeout: limits.call,
            stall_timeout: limits.stream_stall,
            message_bytes: limits.message_bytes,
            header_bytes: limits.header_bytes,
            draining: draining.clone(),
            drain_time,
        };
        let Services { main, admin, health } = services;
        let frontend = Frontend { limits, tls, layer };
        tokio::spawn(start_drain(stop, drain, health, drain_time));

        // The admin listener stays open during the drain of the main one, so that operators can observe it.
        let (main_open, main_ended) = oneshot::channel::<()>();
        let serve_main = async {
            let ended = frontend.serve_main(self.classifier, main, cors).await;
            drop(main_open);
            ended
        };
        let serve_admin = async {
            let Some((listener, services)) = self.admin.zip(admin) else { return Ok(()) };
            let end = async {
                let _ = main_ended.await;
            };
            frontend.serve_admin(listener, services, end).await
        };
        tokio::select! {
            ended = futures_util::future::try_join(serve_main, serve_admin) => { ended?; }
            () = drain_ended(draining, drain_time) => {
                tracing::warn!("connections still open at the end of the drain are closed");
            }
        }
        Ok(())
    }
}

/// Waits for `stop`, and starts the drain.
async fn start_drain(stop: impl Future<Output = ()>, drain: watch::Sender<bool>, health: Health, drain_time: Duration) {
    stop.await;
    tracing::info!(seconds = drain_time.as_secs_f64(), "drain started");
    health.set_draining().await;
    drain.send_replace(true);
}

/// Completes when the drain starts.
async fn drain_started(mut draining: watch::Receiver<bool>) {
    // An error means that the task of the drain, and with it the runtime, is gone.
    let _ = draining.wait_for(|draining| *draining).await;
}

/// Completes at the end of the drain, and of the time for its last statuses. tonic would wait for idle connections as long as
/// they stay open.
async fn drain_ended(draining: watch::Receiver<bool>, drain_time: Duration) {
    drain_started(draining).await;
    tokio::time::sleep(drain_time + WATCH_GRACE).await;
}
