//! All metrics of the server, exported in the Prometheus text format.

use super::{
    articles::ArticleMetrics, calls::CallMetrics, connections::ConnectionMetrics, credentials::CredentialMetrics,
    models::ModelMetrics, resources::ResourceMetrics,
};
use crate::{
    live::Status,
    observe::{Process, encode},
};
use prometheus_client::registry::Registry;
use std::sync::{Mutex, PoisonError};
use tokio::sync::watch;

/// The metrics of a server.
pub struct Metrics {
    registries: Vec<Registry>,
    pub calls: CallMetrics,
    pub articles: ArticleMetrics,
    pub resources: ResourceMetrics,
    pub connections: ConnectionMetrics,
    pub credentials: CredentialMetrics,
    pub models: ModelMetrics,
    process: Process,
    /// Held during a scrape, so that scrapes do not overlap.
    scrape: Mutex<()>,
}

impl Metrics {
    /// Metrics of a server with these models.
    pub fn new(live: watch::Receiver<Status>, shadow: Option<watch::Receiver<Status>>) -> Self {
        let (process, process_registry) = Process::new();
        let mut registry = Registry::with_prefix("dateline");
        let metrics = Metrics {
            calls: CallMetrics::register(&mut registry),
            articles: ArticleMetrics::register(&mut registry),
            resources: ResourceMetrics::register(&mut registry),
            connections: ConnectionMetrics::register(&mut registry),
            credentials: CredentialMetrics::register(&mut registry),
            models: ModelMetrics::register(&mut registry, live, shadow),
            process,
            scrape: Mutex::new(()),
            registries: vec![registry, process_registry],
        };
        metrics.calls.initialise();
        metrics.articles.initialise();
        metrics.connections.initialise();
        metrics.models.initialise();
        metrics
    }

    /// Metrics of a server without models.
    #[cfg(test)]
    pub fn for_tests() -> Self {
        let status = Status::new("v1");
        Metrics::new(watch::Sender::new(status).subscribe(), None)
    }

    /// All metrics in the Prometheus text format, version 0.0.4.
    ///
    /// # Errors
    /// If a label cannot be encoded.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let _scrape = self.scrape.lock().unwrap_or_else(PoisonError::into_inner);
        self.process.update();
        self.models.update();
        encode(&self.registries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_described_by_the_names_of_their_samples() {
        let status = Status { refused: 2, refusal: Some("half a file".to_owned()), ..Status::new("v1") };
        let metrics = Metrics::new(watch::Sender::new(status).subscribe(), None);
        metrics.articles.count_failed(false);
        let text = metrics.text().expect("the metrics are encoded");
        for line in [
            "# TYPE dateline_articles_total counter",
            "dateline_articles_total{outcome=\"error\"} 1",
            "dateline_model_loads_total{slot=\"live\",outcome=\"refused\"} 2",
            "dateline_model_refused{slot=\"live\"} 1",
            "dateline_model_info{slot=\"live\",version=\"v1\"} 1",
            "# TYPE process_cpu_seconds_total counter",
        ] {
            assert!(text.lines().any(|other| other == line), "{line} in\n{text}");
        }
        assert!(text.contains("# HELP dateline_articles_total Articles answered"), "{text}");
        assert!(text.contains("# TYPE dateline_queue_seconds histogram"), "{text}");
        assert!(!text.contains("# UNIT") && !text.contains("# EOF"), "{text}");
    }
}
