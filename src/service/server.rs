//! Runs a server from its start to the end of its drain.

use super::{
    accept::connections,
    access::Access,
    admission::Admission,
    backend::{Backend, Models, Services},
    calls::{CORRECTIONS_AT_ONCE, CallLayer, WATCH_GRACE},
    connection::Connection,
    error::ServeError,
    listen::Listening,
    not_grpc::GrpcOnlyLayer,
    requests::StreamLimits,
    security::{Tls, TokenGate},
    settings::{Limits, nonzero},
};
use crate::web;
use std::{future::Future, io, sync::Arc, time::Duration};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, oneshot, watch},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{service::Routes, transport::Server};
use tower::{Layer, util::BoxCloneSyncService};
use tower_http::cors::CorsLayer;

/// The HTTP/2 flow-control window of a stream, in bytes: how far the transport reads ahead. The default of HTTP/2.
const STREAM_WINDOW: u32 = 64 << 10;
/// The window of a connection, as a multiple of those of all its streams. Memory is bounded by the windows of the streams. h2
/// ends a connection if frames below 256 bytes wait whose missing bytes add up to half of its window, and many clients put
/// each message, however short, into its own frame.
const CONNECTION_WINDOW: u32 = 4;
/// Header lists up to this multiple of the limit are read and refused with a gRPC status; the transport refuses longer ones
/// with HTTP status 431. A list at the limit takes several times its size in memory until it is refused.
const REFUSED_HEADERS: u32 = 4;
/// The maximum time for the reply to a keepalive ping.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

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
        let is_web_enabled = cors.is_some();
        let mut server = self.limits.transport();
        if let Some(age) = nonzero(self.limits.connection_age) {
            // The streams of an old connection end by themselves; `transport` closes it if the client does not.
            server = server.max_connection_age(age);
        }
        server
            .layer(tower::util::option_layer(cors))
            .layer(GrpcOnlyLayer { is_web_enabled, metrics: self.layer.metrics.clone() })
            .layer(tower::util::option_layer(is_web_enabled.then(tonic_web::GrpcWebLayer::new)))
            .layer(self.layer.clone())
            .add_routes(services)
            .serve_with_incoming_shutdown(self.connections(listener), drain_started(self.layer.draining.clone()))
            .await
    }

    /// Serves the page for editors and classification over HTTP, by the services of the main listener, until the drain has ended
    /// all calls.
    async fn serve_web(
        &self,
        listener: TcpListener,
        services: Routes,
        gate: TokenGate,
        hosts: Vec<String>,
        corrections: Option<web::KeepsText>,
    ) -> Result<(), tonic::transport::Error> {
        let metrics = self.layer.metrics.clone();
        let limits = &self.limits;
        // A page that uses this server under another name has no token, and no certificate fits its name.
        let is_open = gate.0.is_none() && self.tls.is_none();
        let routes = web::router(web::Backend {
            calls: BoxCloneSyncService::new(self.layer.layer(services)),
            authorize: Arc::new(move |metadata| gate.check(metadata)),
            metrics: Arc::new(move || metrics.text()),
            corrections,
            hosts: is_open.then_some(hosts),
            limits: web::MessageLimits {
                message_bytes: limits.message_bytes,
                total_bytes: limits.text_bytes / 4,
                time: limits.stream_stall,
            },
        });
        limits
            .transport()
            .add_routes(routes.into())
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
        let only = GrpcOnlyLayer { is_web_enabled: false, metrics: self.layer.metrics.clone() };
        let mut server = self.limits.transport().layer(only).layer(self.layer.clone());
        server.add_routes(services).serve_with_incoming_shutdown(self.connections(listener), end).await
    }

    fn connections(&self, listener: TcpListener) -> ReceiverStream<io::Result<Connection>> {
        let CallLayer { metrics, drain_time, .. } = &self.layer;
        connections(listener, self.tls.clone(), &self.limits, *drain_time, metrics.clone())
    }
}

impl Limits {
    /// The transport of the gRPC server: HTTP/2 with these limits of connections, streams, windows and header lists.
    pub fn transport(&self) -> Server {
        let window = self.streams_per_connection.saturating_mul(STREAM_WINDOW * CONNECTION_WINDOW);
        Server::builder()
            // gRPC-Web needs HTTP/1.1, and so does an answer that other clients can read.
            .accept_http1(true)
            .http2_max_pending_accept_reset_streams(Some(self.pending_resets))
            .http2_max_local_error_reset_streams(Some(self.local_resets))
            .max_concurrent_streams(self.streams_per_connection)
            .http2_keepalive_interval(nonzero(self.keepalive))
            .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
            // Header lists over the limit must be read to be refused with a gRPC status.
            .http2_max_header_list_size(self.header_bytes.saturating_mul(REFUSED_HEADERS).min(16 << 20))
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
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), ServeError> {
        let Listening { settings, access, corrections, .. } = self;
        let (limits, drain_time, hosts) = (settings.limits, settings.drain, settings.web_hosts.clone());
        let backend = Backend::start(models)?;
        access.watch(&backend.metrics);
        let Access { cors, tls, gate, admin_gate } = access;
        let (drain, draining) = watch::channel(false);
        let admission = Arc::new(Admission::new(&limits, &backend.metrics));
        let stream_limits = StreamLimits {
            draining: draining.clone(),
            closing_time: drain_time / 2,
            connection_age: limits.connection_age,
            idle: limits.stream_idle,
        };
        let gates = (gate.clone(), admin_gate);
        let records_corrections = corrections.as_ref().map(|log| web::KeepsText(log.keeps_text()));
        let services =
            backend.services(&settings, stream_limits, admission.clone(), corrections, gates, self.admin.is_some())?;
        if let Some(listener) = self.metrics {
            backend.serve_metrics(listener, draining.clone());
        }
        let layer = CallLayer {
            metrics: backend.metrics.clone(),
            admission,
            places: Arc::new(Semaphore::new(limits.calls)),
            correction_places: Arc::new(Semaphore::new(CORRECTIONS_AT_ONCE)),
            call_timeout: limits.call,
            stall_timeout: limits.stream_stall,
            message_bytes: limits.message_bytes,
            header_bytes: limits.header_bytes,
            draining: draining.clone(),
            drain_time,
        };
        let Services { main, admin } = services;
        let frontend = Frontend { limits, tls, layer };
        tokio::spawn(start_drain(stop, drain, drain_time));

        // The admin listener stays open during the drain of the main one, so that operators can observe it.
        let (main_open, main_ended) = oneshot::channel::<()>();
        let web_services = main.clone();
        let serve_web = async {
            match self.web {
                Some(listener) => frontend.serve_web(listener, web_services, gate, hosts, records_corrections).await,
                None => Ok(()),
            }
        };
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
            ended = futures_util::future::try_join3(serve_main, serve_web, serve_admin) => { ended?; }
            () = drain_ended(draining, drain_time) => {
                tracing::warn!("connections still open at the end of the drain are closed");
            }
        }
        Ok(())
    }
}

/// Waits for `stop`, and starts the drain.
async fn start_drain(stop: impl Future<Output = ()>, drain: watch::Sender<bool>, drain_time: Duration) {
    stop.await;
    tracing::info!(seconds = drain_time.as_secs_f64(), "drain started");
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
