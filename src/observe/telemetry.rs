//! The log, and traces over OTLP (OpenTelemetry protocol).

use opentelemetry::{KeyValue, global, trace::TracerProvider as _};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithTonicConfig};
use opentelemetry_sdk::{
    Resource,
    propagation::TraceContextPropagator,
    trace::{Sampler, SdkTracerProvider},
};
use std::{io::IsTerminal, str::FromStr, time::Duration};
use tonic::{
    metadata::{MetadataKey, MetadataMap},
    transport::ClientTlsConfig,
};
use tracing::{Level, level_filters::LevelFilter};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{Directive, Targets},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

/// The longest time to send the last spans at shutdown.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// Why telemetry cannot start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// A setting is invalid.
    #[error("{0}")]
    Setting(String),
    /// The exporter of traces cannot be created.
    #[error("{0}")]
    Endpoint(String),
}

/// The format of the log.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Logs the location of panics. Their messages may quote text of an article, which must not be logged.
pub fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(location, "internal error: panic");
    }));
}

/// The collector of traces, and the share of traces to send.
pub struct Otlp {
    endpoint: String,
    headers: MetadataMap,
    share: f64,
}

impl Otlp {
    /// `endpoint` is the URL of a collector that accepts OTLP over gRPC; `headers` are comma-separated `key=value` pairs. `share`, from
    /// 0 to 1, of the traces that begin here is sampled; a trace that a client began is sampled if the client samples it.
    ///
    /// # Errors
    /// If the endpoint or the headers are invalid; the message does not quote them.
    pub fn new(endpoint: &str, headers: &str, share: f64) -> Result<Self, TelemetryError> {
        let url: Option<http::Uri> = endpoint.parse().ok();
        let Some(authority) = url.and_then(|url| url.scheme().and(url.authority()).cloned()) else {
            return Err(TelemetryError::Setting(
                "otlp-endpoint is not a valid URL: write one such as http://127.0.0.1:4317".to_owned(),
            ));
        };
        if authority.as_str().contains('@') {
            return Err(TelemetryError::Setting(
                "otlp-endpoint contains a user and password: use --otlp-headers instead".to_owned(),
            ));
        }
        Ok(Otlp { endpoint: endpoint.to_owned(), headers: metadata(headers)?, share })
    }
}

/// The running telemetry; the last spans are sent when it is dropped.
pub struct Telemetry(Option<SdkTracerProvider>);

impl Telemetry {
    /// Starts the log and, with `otlp`, the export of traces. Must be called inside a tokio runtime, which the exporter uses.
    ///
    /// # Errors
    /// If the exporter cannot be created.
    pub fn start(log: LogFormat, otlp: Option<Otlp>) -> Result<Self, TelemetryError> {
        // At its debug level the exporter logs the headers, which may hold a secret.
        let quiet = Directive::from_str("opentelemetry=warn").unwrap_or_else(|_| LevelFilter::WARN.into());
        let filter = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).from_env_lossy();
        // The relay logs the broker's events itself.
        let filter = match std::env::var_os("RUST_LOG") {
            None => {
                filter.add_directive(Directive::from_str("async_nats=off").unwrap_or_else(|_| LevelFilter::WARN.into()))
            }
            Some(_) => filter,
        };
        let filter = filter.add_directive(quiet);
        let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
        let lines = match log {
            LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
            LogFormat::Json => lines.json().flatten_event(true).boxed(),
        };
        let provider = otlp.map(provider).transpose()?;
        let spans = provider.as_ref().map(|provider| {
            global::set_text_map_propagator(TraceContextPropagator::new());
            // Only Dateline's own spans: otherwise the exporter's transport would trace itself.
            let ours = Targets::new().with_target(env!("CARGO_CRATE_NAME"), Level::INFO);
            tracing_opentelemetry::layer().with_tracer(provider.tracer("dateline")).with_filter(ours)
        });
        tracing_subscriber::registry().with(lines.with_filter(filter)).with(spans).init();
        Ok(Telemetry(provider))
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(provider) = &self.0
            && let Err(error) = provider.shutdown_with_timeout(SHUTDOWN_TIMEOUT)
        {
            tracing::warn!(%error, "last spans not sent");
        }
    }
}

fn provider(otlp: Otlp) -> Result<SdkTracerProvider, TelemetryError> {
    let Otlp { endpoint, headers, share } = otlp;
    let exporter = SpanExporter::builder().with_tonic().with_endpoint(&endpoint).with_metadata(headers);
    // Without root certificates every certificate would be refused.
    let exporter = match endpoint.starts_with("https:") {
        true => exporter.with_tls_config(ClientTlsConfig::new().with_enabled_roots()),
        false => exporter,
    };
    let exporter = exporter.build();
    let exporter = exporter.map_err(|error| TelemetryError::Endpoint(format!("{endpoint}: {error}")))?;
    let resource = Resource::builder()
        .with_service_name("dateline")
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(share))))
        .with_resource(resource)
        .build())
}

fn metadata(headers: &str) -> Result<MetadataMap, TelemetryError> {
    let mut map = MetadataMap::new();
    for pair in headers.split(',').filter(|pair| !pair.trim().is_empty()) {
        let read = pair.split_once('=').and_then(|(key, value)| {
            let key = MetadataKey::from_bytes(key.trim().to_ascii_lowercase().as_bytes()).ok()?;
            Some((key, value.trim().parse().ok()?))
        });
        let Some((key, value)) = read else {
            return Err(TelemetryError::Setting(
                "invalid --otlp-headers: write key=value, several separated by commas".to_owned(),
            ));
        };
        map.insert(key, value);
    }
    Ok(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_pairs() {
        let map = metadata("Authorization=Bearer x, tenant = news ,").expect("pairs");
        assert_eq!(map.get("authorization").and_then(|value| value.to_str().ok()), Some("Bearer x"));
        assert_eq!(map.get("tenant").and_then(|value| value.to_str().ok()), Some("news"));
        assert!(matches!(metadata("nothing"), Err(TelemetryError::Setting(reason)) if !reason.contains("nothing")));
        assert!(metadata("a b=c").is_err());
    }
}
