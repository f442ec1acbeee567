//! Metrics and probes over plain HTTP, for orchestrators and monitoring systems.

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

/// The most open connections; others wait in the system's accept queue.
const MAX_CONNECTIONS: usize = 64;
/// The longest time for a request's headers to arrive, counted from the request before.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest time for a connection to be open, even if the client does not read.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(300);
/// The pause after a failed accept, such as one by too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The content type of the Prometheus text format.
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Whether the process accepts work, and the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ready(pub bool, pub &'static str);

/// Serves `/metrics` with the text of `metrics`, `/livez` (always 200) and `/readyz` (200 or 503, with the reason of `ready`).
pub async fn serve(
    listener: TcpListener,
    metrics: impl Fn() -> Result<String, fmt::Error> + Clone + Send + Sync + 'static,
    ready: impl Fn() -> Ready + Clone + Send + Sync + 'static,
) {
    let text = move || {
        let text = metrics();
        async move {
            match text {
                Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
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
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    // The semaphore is never closed.
    while let Ok(permit) = permits.clone().acquire_owned().await {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection for metrics and probes");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let service = TowerToHyperService::new(app.clone());
        tokio::spawn(async move {
            let _permit = permit;
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIMEOUT)
                .serve_connection(TokioIo::new(stream), service);
            match tokio::time::timeout(CONNECTION_TIMEOUT, connection).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%error, "connection for metrics and probes failed"),
                Err(_) => tracing::debug!("connection for metrics and probes timed out"),
            }
        });
    }
}
