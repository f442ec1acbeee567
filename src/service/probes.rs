//! Metrics and probes over HTTP, for orchestrators and monitors that speak no gRPC.

use super::{metrics::Metrics, slot::Status};
use axum::{
    Router,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use std::sync::Arc;
use tokio::{net::TcpListener, sync::watch};

/// The text format of Prometheus.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Answers `/metrics`, `/livez` (200 as long as the process can answer) and `/readyz` (503 once the server drains). A server
/// whose folder holds a model that was refused is ready, and says so.
pub async fn serve(
    listener: TcpListener,
    metrics: Arc<Metrics>,
    model: watch::Receiver<Status>,
    draining: watch::Receiver<bool>,
) {
    let ready = move || {
        let (draining, refused) = (*draining.borrow(), model.borrow().refusal.is_some());
        async move {
            match (draining, refused) {
                (true, _) => (StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
                (false, true) => (StatusCode::OK, "ready, with an old model: the new one was refused\n"),
                (false, false) => (StatusCode::OK, "ready\n"),
            }
        }
    };
    let app = Router::new()
        .route("/metrics", get(move || text(metrics.clone())))
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(ready));
    if let Err(error) = axum::serve(listener, app).await {
        tracing::error!(%error, "metrics and probes have stopped");
    }
}

async fn text(metrics: Arc<Metrics>) -> Response {
    match metrics.text() {
        Ok(text) => ([(header::CONTENT_TYPE, TEXT)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
