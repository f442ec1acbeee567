//! Registration of metrics.

use prometheus_client::{
    metrics::histogram::Histogram,
    registry::{Metric, Registry, Unit},
};

/// The buckets of durations, in seconds: from 20 µs, less than a short article takes, to 10 s.
const DURATION_BUCKETS: [f64; 17] =
    [2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// Creates and registers metrics in one step.
pub trait Register {
    /// Registers a metric, and returns it.
    fn add<M: Metric + Clone + Default>(&mut self, name: &str, help: &str) -> M;
    /// Registers a histogram of durations, and returns it.
    fn add_durations(&mut self, name: &str, help: &str) -> Histogram;
}

impl Register for Registry {
    fn add<M: Metric + Clone + Default>(&mut self, name: &str, help: &str) -> M {
        let metric = M::default();
        self.register(name, help, metric.clone());
        metric
    }

    fn add_durations(&mut self, name: &str, help: &str) -> Histogram {
        let histogram = Histogram::new(DURATION_BUCKETS);
        self.register_with_unit(name, help, Unit::Seconds, histogram.clone());
        histogram
    }
}
