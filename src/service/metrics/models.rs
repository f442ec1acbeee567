//! Metrics of the live and the shadow model.

use super::register::Register;
use crate::live::{Compared, ShadowOutcome, Status};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use std::sync::atomic::Ordering;
use tokio::sync::watch;

/// Counts comparisons with the shadow model, and exports the status of both models.
pub struct ModelMetrics {
    compared: Family<Outcome, Counter>,
    differ: Family<Part, Counter>,
    topics_differ: Family<TopicPair, Counter>,
    loads: Family<Load, Counter>,
    refused: Family<SlotName, Gauge>,
    load_stalled: Family<SlotName, Gauge>,
    info: Family<Version, Gauge>,
    slots: Vec<Slot>,
    has_shadow: bool,
}

/// A model slot, with the name in its labels.
struct Slot {
    name: &'static str,
    status: watch::Receiver<Status>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Part {
    part: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TopicPair {
    live: String,
    shadow: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Load {
    slot: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SlotName {
    slot: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Version {
    slot: &'static str,
    version: String,
}

impl ModelMetrics {
    pub fn register(
        registry: &mut Registry,
        live: watch::Receiver<Status>,
        shadow: Option<watch::Receiver<Status>>,
    ) -> Self {
        ModelMetrics {
            compared: registry.add(
                "shadow_articles",
                "Articles by outcome of the shadow model: compared, error (it failed) or skipped (its queue was full)",
            ),
            differ: registry.add("shadow_differs", "Compared articles whose best topic, or ABOUT countries, differ"),
            topics_differ: registry
                .add("shadow_topics_differ", "Compared articles whose best topic differs, by both topics"),
            loads: registry.add("model_loads", "Models that were loaded or refused"),
            refused: registry.add("model_refused", "1 if the watched folder holds a model that was refused"),
            load_stalled: registry
                .add("model_load_stalled", "1 if a load of a model has been under way for longer than ten seconds"),
            info: registry.add("model_info", "1 for the current model"),
            has_shadow: shadow.is_some(),
            slots: [("live", Some(live)), ("shadow", shadow)]
                .into_iter()
                .filter_map(|(name, status)| Some(Slot { name, status: status? }))
                .collect(),
        }
    }

    /// Exports the outcomes of the shadow model, if there is one, as 0 from the start, so that their first event is an
    /// increase.
    pub fn initialise(&self) {
        if !self.has_shadow {
            return;
        }
        for part in ["topics", "regions"] {
            self.differ.get_or_create(&Part { part }).inc_by(0);
        }
        for outcome in ["compared", "error", "skipped"] {
            self.compared.get_or_create(&Outcome { outcome }).inc_by(0);
        }
    }

    /// Counts an article that was offered to the shadow model.
    pub fn count_shadowed(&self, shadowed: &ShadowOutcome) {
        let outcome = match shadowed {
            ShadowOutcome::Compared(_) => "compared",
            ShadowOutcome::Failed => "error",
            ShadowOutcome::Skipped => "skipped",
        };
        self.compared.get_or_create(&Outcome { outcome }).inc();
        let ShadowOutcome::Compared(Compared { topics, regions }) = shadowed else { return };
        if let Some([live, shadow]) = topics {
            self.differ.get_or_create(&Part { part: "topics" }).inc();
            let name = |code: &Option<_>| code.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string);
            self.topics_differ.get_or_create(&TopicPair { live: name(live), shadow: name(shadow) }).inc();
        }
        if *regions {
            self.differ.get_or_create(&Part { part: "regions" }).inc();
        }
    }

    /// Copies the status of the models.
    pub fn update(&self) {
        self.info.clear();
        for Slot { name: slot, status } in &self.slots {
            let status = status.borrow().clone();
            for (outcome, count) in [("loaded", status.loaded), ("refused", status.refused)] {
                self.loads.get_or_create(&Load { slot, outcome }).inner().store(count, Ordering::Relaxed);
            }
            self.refused.get_or_create(&SlotName { slot }).set(status.refusal.is_some().into());
            self.load_stalled.get_or_create(&SlotName { slot }).set(status.is_load_stalled.into());
            self.info.get_or_create(&Version { slot, version: status.version }).set(1);
        }
    }
}
