//! Metrics of articles: outcomes, labels and durations.

use super::register::Register;
use crate::article::{Classification, Decision, Role};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};
use std::time::Duration;

/// Counts articles and their labels, and measures durations.
pub struct ArticleMetrics {
    articles: Family<Outcome, Counter>,
    topics: Family<LabelDecision, Counter>,
    subtopics: Family<LabelDecision, Counter>,
    regions: Family<LabelDecision, Counter>,
    abstained: Family<Part, Counter>,
    reviewed: Family<Part, Counter>,
    queue: Histogram,
    clean: Histogram,
    classify: Histogram,
    article: Histogram,
}

/// The durations of the stages of an article.
pub struct StageTimes {
    /// From reading the article until a thread takes it.
    pub queued: Duration,
    /// Extracting its text.
    pub cleaned: Duration,
    /// Classifying the text.
    pub classified: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LabelDecision {
    code: String,
    decision: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Part {
    part: &'static str,
}

impl ArticleMetrics {
    pub fn register(registry: &mut Registry) -> Self {
        ArticleMetrics {
            articles: registry.add(
                "articles",
                "Articles answered, by outcome: classified, error (invalid article) or fault (internal error)",
            ),
            topics: registry.add(
                "topics",
                "Best topics of articles, by code and decision; a change of their distribution indicates drift",
            ),
            subtopics: registry.add(
                "subtopics",
                "Best sub-topics of articles, by code and decision; articles without one are not counted",
            ),
            regions: registry.add("regions", "ABOUT countries of articles, by code and decision"),
            abstained: registry.add("abstained", "Articles whose topics or regions are all ABSTAIN or missing"),
            reviewed: registry.add("reviewed", "Articles whose topics or regions include REVIEW but not AUTO"),
            queue: registry.add_durations("queue", "Time from reading an article until a thread takes it"),
            clean: registry.add_durations("clean", "Time to extract the text of an article"),
            classify: registry.add_durations("classify", "Time to classify the text of an article"),
            article: registry.add_durations("article", "Time from reading an article until its answer is ready"),
        }
    }

    /// Exports all outcomes and parts as 0 from the start, so that their first event is an increase.
    pub fn initialise(&self) {
        for outcome in ["classified", "error", "fault"] {
            self.articles.get_or_create(&Outcome { outcome }).inc_by(0);
        }
        for part in ["topics", "regions"] {
            self.reviewed.get_or_create(&Part { part }).inc_by(0);
            self.abstained.get_or_create(&Part { part }).inc_by(0);
        }
    }

    /// Counts a classified article.
    pub fn count_classified(&self, answer: &Classification, times: &StageTimes) {
        self.articles.get_or_create(&Outcome { outcome: "classified" }).inc();
        self.queue.observe(times.queued.as_secs_f64());
        self.clean.observe(times.cleaned.as_secs_f64());
        self.classify.observe(times.classified.as_secs_f64());
        self.article.observe((times.queued + times.cleaned + times.classified).as_secs_f64());
        for (family, labels) in [(&self.topics, &answer.topics), (&self.subtopics, &answer.subtopics)] {
            if let Some(best) = labels.first() {
                let (code, decision) = (best.code.to_string(), best.decision.as_str());
                family.get_or_create(&LabelDecision { code, decision }).inc();
            }
        }
        for region in answer.regions.iter().filter(|region| region.role == Role::About) {
            let (code, decision) = (region.label.code.to_string(), region.label.decision.as_str());
            self.regions.get_or_create(&LabelDecision { code, decision }).inc();
        }
        self.count_decisions("topics", answer.topics.iter().map(|label| label.decision));
        self.count_decisions("regions", answer.regions.iter().map(|region| region.label.decision));
    }

    /// Counts an article with its own error, or with an internal error (`fault`).
    pub fn count_failed(&self, fault: bool) {
        self.articles.get_or_create(&Outcome { outcome: if fault { "fault" } else { "error" } }).inc();
    }

    fn count_decisions(&self, part: &'static str, decisions: impl Iterator<Item = Decision> + Clone) {
        let has = |wanted| decisions.clone().any(|decision| decision == wanted);
        if has(Decision::Auto) {
            return;
        }
        let family = if has(Decision::Review) { &self.reviewed } else { &self.abstained };
        family.get_or_create(&Part { part }).inc();
    }
}
