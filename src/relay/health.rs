//! What a relay needs to work, and whether it is there: the connection to the broker, the consumer, the streams to publish to.

use super::metrics::Metrics;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use tokio::sync::Notify;

/// What a relay needs. All is taken to be there until it is found missing.
pub struct Health {
    metrics: Arc<Metrics>,
    connected: AtomicBool,
    consumer: AtomicBool,
    outputs: AtomicBool,
    changed: Notify,
}

/// A part of what a relay needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// The connection to the broker.
    Broker,
    /// The consumer, and its stream.
    Consumer,
    /// The streams of labelled articles and of dead letters.
    Outputs,
}

impl Need {
    /// Its name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Need::Broker => "broker",
            Need::Consumer => "consumer",
            Need::Outputs => "outputs",
        }
    }

    /// Why the relay is not ready without it.
    fn reason(self) -> &'static str {
        match self {
            Need::Broker => "disconnected from the broker",
            Need::Consumer => "the consumer or its stream is missing",
            Need::Outputs => "cannot publish: a stream or topic to publish to is missing, or the broker refuses it",
        }
    }
}

const NEEDS: [Need; 3] = [Need::Broker, Need::Consumer, Need::Outputs];

impl Health {
    /// All is there but the connection.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        let health = Health {
            metrics,
            connected: AtomicBool::new(false),
            consumer: AtomicBool::new(true),
            outputs: AtomicBool::new(true),
            changed: Notify::new(),
        };
        NEEDS.into_iter().for_each(|need| health.count(need));
        health
    }

    fn flag(&self, need: Need) -> &AtomicBool {
        match need {
            Need::Broker => &self.connected,
            Need::Consumer => &self.consumer,
            Need::Outputs => &self.outputs,
        }
    }

    fn count(&self, need: Need) {
        self.metrics.available(need.as_str()).set(i64::from(self.has(need)));
    }

    /// Whether a part is there.
    pub fn has(&self, need: Need) -> bool {
        self.flag(need).load(Ordering::Acquire)
    }

    /// Sets whether a part is there; whether that is new.
    pub fn set(&self, need: Need, there: bool) -> bool {
        let is_new = self.flag(need).swap(there, Ordering::AcqRel) != there;
        if is_new {
            self.count(need);
            self.changed.notify_waiters();
        }
        is_new
    }

    /// The first part that is missing, as a reason.
    pub fn problem(&self) -> Option<&'static str> {
        NEEDS.into_iter().find(|need| !self.has(*need)).map(Need::reason)
    }

    /// Completes when a part is missing.
    pub async fn missing(&self, need: Need) {
        self.until(need, false).await;
    }

    /// Completes when a part is there, or when it is missing.
    pub async fn until(&self, need: Need, there: bool) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Before the flag is read, so that no change is missed.
            changed.as_mut().enable();
            if self.has(need) == there {
                return;
            }
            changed.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_missing_part_is_a_reason_and_wakes_who_waits() {
        let health = Arc::new(Health::new(Arc::new(Metrics::default())));
        assert_eq!(health.problem(), Some("disconnected from the broker"));
        assert!(health.set(Need::Broker, true) && !health.set(Need::Broker, true));
        assert_eq!(health.problem(), None);
        let waiting = tokio::spawn({
            let health = health.clone();
            async move { health.missing(Need::Consumer).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        health.set(Need::Consumer, false);
        waiting.await.expect("it wakes");
        assert!(health.problem().is_some_and(|reason| reason.contains("consumer")));
    }
}
