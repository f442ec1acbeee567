//! Metrics of calls and streams.

use super::register::Register;
use crate::wire::code_name;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};
use tonic::Code;

/// Counts calls and streams.
pub struct CallMetrics {
    calls: Family<CallLabels, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    method: &'static str,
    code: &'static str,
}

impl CallMetrics {
    pub fn register(registry: &mut Registry) -> Self {
        let help = "Completed calls and streams, by method and gRPC code; CANCELLED if the client disconnected";
        CallMetrics { calls: registry.add("calls", help) }
    }

    /// Exports the most important series as 0 from the start, so that their first event is an increase.
    pub fn initialise(&self) {
        for code in [Code::Ok, Code::Internal] {
            ["Classify", "ClassifyStream"].iter().for_each(|method| {
                self.calls.get_or_create(&CallLabels { method, code: code_name(code) }).inc_by(0);
            });
        }
    }

    /// Counts a completed call or stream.
    pub fn count(&self, method: &'static str, code: Code) {
        self.calls.get_or_create(&CallLabels { method, code: code_name(code) }).inc();
    }
}
