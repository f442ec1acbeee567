//! The record of a call: its span, and its count by method and status.

use super::{metrics::Metrics, status::message_too_large};
use crate::wire::code_name;
use http::{HeaderMap, header::HeaderName};
use opentelemetry::{global, propagation::Extractor};
use std::sync::Arc;
use tonic::{Code, Status};
use tracing::{Span, field};
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// An open call. Counted when dropped, as CANCELLED (the client disconnected) if no status was observed.
pub struct CallRecord {
    metrics: Arc<Metrics>,
    /// The maximum size of a message, in bytes, for the status of a call that exceeds it.
    message_bytes: usize,
    method: &'static str,
    pub span: Span,
    code: Code,
}

impl CallRecord {
    /// Starts the span of a call, as a child of the client's span if the headers name one.
    pub fn begin(
        metrics: Arc<Metrics>,
        message_bytes: usize,
        service: &'static str,
        method: &'static str,
        headers: &HeaderMap,
    ) -> Self {
        let span = tracing::info_span!(
            "call",
            otel.name = format!("{service}/{method}"),
            otel.kind = "server",
            otel.status_code = field::Empty,
            rpc.system = "grpc",
            rpc.service = service,
            rpc.method = method,
            rpc.grpc.status_code = field::Empty,
            classified = field::Empty,
            errors = field::Empty,
        );
        let parent = global::get_text_map_propagator(|propagator| propagator.extract(&TraceHeaders(headers)));
        // Fails if traces are disabled.
        let _ = span.set_parent(parent);
        CallRecord { metrics, message_bytes, method, span, code: Code::Cancelled }
    }

    /// Records the status in headers or trailers, if there is one.
    pub fn observe(&mut self, headers: &mut HeaderMap) {
        let Some(code) = headers.get(Status::GRPC_STATUS) else { return };
        self.code = Code::from_bytes(code.as_bytes());
        // tonic uses OUT_OF_RANGE, and nothing else does, for a message over the limit.
        if self.code == Code::OutOfRange && self.method.starts_with("Classify") {
            self.code = Code::ResourceExhausted;
            // Never fails: this status is valid in headers.
            let _ = message_too_large(self.message_bytes).add_header(headers);
        }
    }
}

impl Drop for CallRecord {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.code = Code::Internal;
        }
        self.metrics.calls.count(self.method, self.code);
        self.span.record("rpc.grpc.status_code", self.code as i32);
        // Only errors of the server, not of the client, mark the span as failed.
        if matches!(
            self.code,
            Code::Unknown | Code::Internal | Code::DataLoss | Code::Unavailable | Code::DeadlineExceeded
        ) {
            self.span.record("otel.status_code", "ERROR");
        }
        self.span.in_scope(|| tracing::debug!(code = code_name(self.code), "call ended"));
    }
}

/// Reads the trace of a client from W3C Trace Context headers.
struct TraceHeaders<'h>(&'h HeaderMap);

impl Extractor for TraceHeaders<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}
