//! What monitors are told: metrics in the text format of Prometheus, figures of the process, probes over HTTP, log and traces.

mod exposition;
mod probes;
mod process;
mod telemetry;

pub(crate) use exposition::text_of;
pub(crate) use probes::{Ready, serve as serve_probes};
pub(crate) use process::Process;
pub(crate) use telemetry::{LogFormat, Otlp, Telemetry, TelemetryError, log_panics};
