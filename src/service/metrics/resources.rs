//! Metrics of the server's limited resources.

use super::register::Register;
use prometheus_client::{metrics::gauge::Gauge, registry::Registry};

/// Resources in use. Their owners update them.
pub struct ResourceMetrics {
    /// Articles read and not yet answered.
    pub in_flight: Gauge,
    /// Articles admitted and not yet answered.
    pub places_taken: Gauge,
    /// Bytes of the text budget in use.
    pub text_taken: Gauge,
    /// Open streams.
    pub streams: Gauge,
}

impl ResourceMetrics {
    pub fn register(registry: &mut Registry) -> Self {
        ResourceMetrics {
            in_flight: registry.add(
                "articles_in_flight",
                "Articles read and not yet answered, including those that wait for admission",
            ),
            places_taken: registry
                .add("places_taken", "Articles admitted and not yet answered; limited by --max-articles"),
            text_taken: registry.add(
                "text_taken_bytes",
                "Bytes of requests in process and of answers not yet taken by clients; limited by --max-text-bytes",
            ),
            streams: registry.add("streams_open", "Open streams"),
        }
    }
}
