//! Metrics of connections.

use super::register::Register;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// Open, refused and failed connections.
pub struct ConnectionMetrics {
    /// Open connections.
    pub open: Gauge,
    /// The maximum of open connections of one listener.
    pub limit: Gauge,
    /// How often a connection had to wait for another to end.
    pub limit_reached: Counter,
    /// Bytes read, after TLS decryption.
    pub received: Counter,
    /// Bytes written, before TLS encryption.
    pub sent: Counter,
    refused: Family<Reason, Counter>,
    failed_handshakes: Family<Reason, Counter>,
    not_grpc: Family<Reason, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

impl ConnectionMetrics {
    pub fn register(registry: &mut Registry) -> Self {
        ConnectionMetrics {
            open: registry.add("connections_open", "Open connections"),
            limit: registry
                .add("connections_limit", "The maximum of open connections of one address; --max-connections"),
            limit_reached: registry.add(
                "connections_limit_reached",
                "How often the maximum of open connections was reached, so that others had to wait",
            ),
            received: registry.add("received_bytes", "Bytes read from connections, after TLS decryption"),
            sent: registry.add("sent_bytes", "Bytes written to connections, before TLS encryption"),
            refused: registry.add("connections_refused", "Connections closed at once, by reason"),
            failed_handshakes: registry
                .add("handshakes_failed", "Connections that did not complete TLS or did not begin HTTP, by reason"),
            not_grpc: registry.add("requests_not_grpc", "HTTP requests refused because they are not gRPC, by reason"),
        }
    }

    /// Exports all reasons as 0 from the start, so that their first event is an increase.
    pub fn initialise(&self) {
        const HANDSHAKES: [&str; 9] = [
            "no_client_certificate",
            "invalid_client_certificate",
            "refused_by_client",
            "incompatible",
            "not_tls",
            "closed",
            "timeout",
            "no_preface",
            "other",
        ];
        for (family, reasons) in [
            (&self.refused, &["peer_limit"][..]),
            (&self.failed_handshakes, &HANDSHAKES),
            (&self.not_grpc, &["content_type", "method", "http1"]),
        ] {
            for reason in reasons {
                family.get_or_create(&Reason { reason }).inc_by(0);
            }
        }
    }

    /// Counts a connection that was closed at once.
    pub fn count_refused(&self, reason: &'static str) {
        self.refused.get_or_create(&Reason { reason }).inc();
    }

    /// Counts a connection without a complete handshake.
    pub fn count_failed_handshake(&self, reason: &'static str) {
        self.failed_handshakes.get_or_create(&Reason { reason }).inc();
    }

    /// Counts an HTTP request that is not gRPC.
    pub fn count_not_grpc(&self, reason: &'static str) {
        self.not_grpc.get_or_create(&Reason { reason }).inc();
    }
}
