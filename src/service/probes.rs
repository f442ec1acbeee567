//! Metrics and probes over HTTP, for orchestrators and monitors that speak no gRPC.

use axum::{
    Router,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use std::fmt;
use tokio::net::TcpListener;

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
    if let Err(error) = axum::serve(listener, app).await {
        tracing::error!(%error, "metrics and probes have stopped");
    }
}
