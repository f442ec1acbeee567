//! Metrics and probes over HTTP, for orchestrators and monitors that speak no gRPC.

use axum::{
    Router,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use std::{fmt, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::Semaphore};

/// Open connections; others wait in the system's queue.
const CONNECTIONS: usize = 64;
/// How long a request may take to arrive, and a connection may wait for its next one.
const HEADER_TIME: Duration = Duration::from_secs(10);
/// How long a connection may be open: a client that does not read its answer is closed.
const CONNECTION_TIME: Duration = Duration::from_secs(300);
/// How long accepting waits after an error of the system, such as too many open files.
const AFTER_AN_ERROR: Duration = Duration::from_millis(100);

/// The text format of Prometheus.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Whether work may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ready(pub bool, pub &'static str);

/// Answers `/metrics` with what `metrics` writes, `/livez` (200 as long as the process can answer) and `/readyz` (200 or 503, as
/// `ready` says, with its reason).
pub async fn serve(
    listener: TcpListener,
    metrics: impl Fn() -> Result<String, fmt::Error> + Clone + Send + Sync + 'static,
    ready: impl Fn() -> Ready + Clone + Send + Sync + 'static,
) {
    let text = move || {
        let text = metrics();
        async move {
            match text {
                Ok(text) => ([(header::CONTENT_TYPE, TEXT)], text).into_response(),
                Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            }
        }
    };
    let ready = move || {
        let Ready(is, why) = ready();
        async move { (if is { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, format!("{why}\n")) }
    };
    let app = Router::new()
        .route("/metrics", get(text))
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(ready));
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    // The semaphore is never closed.
    while let Ok(place) = places.clone().acquire_owned().await {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection for metrics and probes");
                tokio::time::sleep(AFTER_AN_ERROR).await;
                continue;
            }
        };
        let service = TowerToHyperService::new(app.clone());
        tokio::spawn(async move {
            let _place = place;
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIME)
                .serve_connection(TokioIo::new(stream), service);
            match tokio::time::timeout(CONNECTION_TIME, connection).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%error, "a connection for metrics and probes failed"),
                Err(_) => tracing::debug!("a connection for metrics and probes was open for too long"),
            }
        });
    }
}
