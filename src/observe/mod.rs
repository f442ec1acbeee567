//! Observability: the Prometheus text format, process metrics, HTTP probes, log and traces.

mod exposition;
mod probes;
mod process;
mod telemetry;

pub(crate) use exposition::encode;
pub(crate) use probes::{Ready, serve as serve_probes};
pub(crate) use process::Process;
pub(crate) use telemetry::{LogFormat, Otlp, Telemetry, TelemetryError, log_panics};
