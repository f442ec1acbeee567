//! Admission: limits the articles, and the bytes of their text, that a server processes at once.
//!
//! An article holds a [`TextPermit`] from before its whole message is read until the transport has taken its answer, and a
//! [`PlacePermit`] from its admission until it is answered. Permits move with the work: into the thread pool, then into the
//! answer. Dropping them frees their part of the budget.

use super::{metrics::Metrics, settings::Limits};
use prometheus_client::metrics::gauge::Gauge;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The unit of the text budget, in bytes.
const UNIT_BYTES: usize = 1024;
/// One call may hold 1/16 of the text budget, so that a client that takes no answers cannot exhaust it.
const CALL_SHARE: usize = 16;

/// The budgets of a server.
pub struct Admission {
    places: Arc<Semaphore>,
    places_taken: Gauge,
    text: Arc<Semaphore>,
    text_taken: Gauge,
    /// The part of the text budget that large messages may hold until they are answered: three quarters, so that small ones
    /// always have the rest.
    large: Arc<Semaphore>,
    /// The part of the text budget that one call may hold, in units.
    call_units: u32,
    /// The maximum sizes of a request message and of an answer, in bytes.
    message_bytes: usize,
    answer_bytes: usize,
}

/// The part of the text budget that one call may hold.
#[derive(Clone)]
pub struct CallBudget {
    admission: Arc<Admission>,
    units: Arc<Semaphore>,
}

/// A part of the text budget, free again when dropped.
pub struct TextPermit {
    /// Of the budget of the server.
    server: OwnedSemaphorePermit,
    /// Of the budget of the call.
    call: OwnedSemaphorePermit,
    /// Of the budget for large messages, until the message is answered.
    large: Option<OwnedSemaphorePermit>,
    gauge: Gauge,
}

/// The place of one article that is admitted and not yet answered.
pub struct PlacePermit {
    _permit: OwnedSemaphorePermit,
    gauge: Gauge,
}

impl Admission {
    pub fn new(limits: &Limits, metrics: &Metrics) -> Self {
        let largest = units(limits.least_text_bytes());
        let total = units(limits.text_bytes).max(largest);
        Admission {
            places: Arc::new(Semaphore::new(limits.articles)),
            places_taken: metrics.resources.places_taken.clone(),
            text: Arc::new(Semaphore::new(total as usize)),
            text_taken: metrics.resources.text_taken.clone(),
            large: Arc::new(Semaphore::new((total / 4 * 3).max(largest) as usize)),
            call_units: (total / CALL_SHARE as u32).max(largest),
            message_bytes: limits.message_bytes,
            answer_bytes: limits.answer_bytes,
        }
    }

    /// The budget of a new call.
    pub fn call(self: &Arc<Self>) -> CallBudget {
        CallBudget { admission: self.clone(), units: Arc::new(Semaphore::new(self.call_units as usize)) }
    }

    /// The maximum size of an answer, in bytes.
    pub fn answer_bytes(&self) -> usize {
        self.answer_bytes
    }

    /// Waits for a place for an article. Never `None`: the semaphore is never closed.
    pub async fn place(&self) -> Option<PlacePermit> {
        self.places.clone().acquire_owned().await.ok().map(|permit| PlacePermit::new(permit, &self.places_taken))
    }

    /// A place for an article, if one is free now.
    pub fn try_place(&self) -> Option<PlacePermit> {
        self.places.clone().try_acquire_owned().ok().map(|permit| PlacePermit::new(permit, &self.places_taken))
    }
}

impl CallBudget {
    /// Waits for the permit of a received message of `bytes` and of its answer. The caller must hold no other permit for the
    /// same message: one acquisition covers all that it needs, so that two messages cannot wait for each other. Never `None`:
    /// the semaphores are never closed.
    pub async fn acquire(&self, bytes: usize, answer: usize) -> Option<TextPermit> {
        let wanted = self.wanted(bytes, answer);
        let call = self.units.clone().acquire_many_owned(wanted).await.ok()?;
        let server = self.admission.text.clone().acquire_many_owned(wanted).await.ok()?;
        Some(TextPermit::new(server, call, None, &self.admission.text_taken))
    }

    /// As [`CallBudget::acquire`], if the budget allows it now.
    pub fn try_acquire(&self, bytes: usize, answer: usize) -> Option<TextPermit> {
        let wanted = self.wanted(bytes, answer);
        let call = self.units.clone().try_acquire_many_owned(wanted).ok()?;
        let server = self.admission.text.clone().try_acquire_many_owned(wanted).ok()?;
        Some(TextPermit::new(server, call, None, &self.admission.text_taken))
    }

    /// Waits for the permit of a large message, which needs `bytes` when it is read, and of the largest answer.
    pub async fn acquire_large(&self, bytes: usize) -> Option<TextPermit> {
        let wanted = self.wanted(bytes, self.answer_bytes());
        let call = self.units.clone().acquire_many_owned(wanted).await.ok()?;
        let large = self.admission.large.clone().acquire_many_owned(wanted).await.ok()?;
        let server = self.admission.text.clone().acquire_many_owned(wanted).await.ok()?;
        Some(TextPermit::new(server, call, Some(large), &self.admission.text_taken))
    }

    /// As [`CallBudget::acquire_large`], if the budget allows it now.
    pub fn try_acquire_large(&self, bytes: usize) -> Option<TextPermit> {
        let wanted = self.wanted(bytes, self.answer_bytes());
        let call = self.units.clone().try_acquire_many_owned(wanted).ok()?;
        let large = self.admission.large.clone().try_acquire_many_owned(wanted).ok()?;
        let server = self.admission.text.clone().try_acquire_many_owned(wanted).ok()?;
        Some(TextPermit::new(server, call, Some(large), &self.admission.text_taken))
    }

    /// The maximum size of a request message, in bytes.
    pub fn message_bytes(&self) -> usize {
        self.admission.message_bytes
    }

    fn answer_bytes(&self) -> usize {
        self.admission.answer_bytes
    }

    /// The units for a message and its answer, at most those of the call.
    fn wanted(&self, bytes: usize, answer: usize) -> u32 {
        units(bytes.saturating_add(answer)).min(self.admission.call_units)
    }
}

fn units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX >> 1).max(1)
}

impl TextPermit {
    fn new(
        server: OwnedSemaphorePermit,
        call: OwnedSemaphorePermit,
        large: Option<OwnedSemaphorePermit>,
        gauge: &Gauge,
    ) -> Self {
        gauge.inc_by(permit_bytes(&server));
        TextPermit { server, call, large, gauge: gauge.clone() }
    }

    /// Shrinks the permit to an answer of `bytes`, after its message was answered.
    pub fn shrink_to_answer(mut self, bytes: usize) -> Self {
        self.large = None;
        self.shrink_to(bytes)
    }

    /// Splits off a permit for `bytes`; `None` if nothing would remain.
    pub fn split_off(&mut self, bytes: usize) -> Option<TextPermit> {
        let wanted = units(bytes) as usize;
        if self.server.num_permits() <= wanted {
            return None;
        }
        let (server, call) = (self.server.split(wanted)?, self.call.split(wanted)?);
        Some(TextPermit { server, call, large: None, gauge: self.gauge.clone() })
    }

    /// Frees what the permit holds beyond `bytes`.
    pub fn shrink_to(mut self, bytes: usize) -> Self {
        let spare = self.server.num_permits().saturating_sub(units(bytes) as usize);
        self.large.iter_mut().for_each(|large| drop(large.split(spare)));
        if let (Some(server), Some(_call)) = (self.server.split(spare), self.call.split(spare)) {
            self.gauge.dec_by(permit_bytes(&server));
        }
        self
    }
}

impl Drop for TextPermit {
    fn drop(&mut self) {
        self.gauge.dec_by(permit_bytes(&self.server));
    }
}

fn permit_bytes(permit: &OwnedSemaphorePermit) -> i64 {
    permit.num_permits() as i64 * UNIT_BYTES as i64
}

impl PlacePermit {
    fn new(permit: OwnedSemaphorePermit, gauge: &Gauge) -> Self {
        gauge.inc();
        PlacePermit { _permit: permit, gauge: gauge.clone() }
    }
}

impl Drop for PlacePermit {
    fn drop(&mut self) {
        self.gauge.dec();
    }
}

/// The permits of answers on their way to the transport. The service puts them in; the response body releases them when the
/// transport has taken the encoded answers.
#[derive(Clone, Default)]
pub struct Outbox(Arc<Mutex<Vec<TextPermit>>>);

impl Outbox {
    /// Keeps the permit of an answer that leaves the service.
    pub fn put(&self, permit: TextPermit) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(permit);
    }

    /// Drops all permits: the transport has taken their answers.
    pub fn release(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(text_bytes: usize) -> (Arc<Admission>, Gauge) {
        let limits =
            Limits { text_bytes, message_bytes: 64 << 10, answer_bytes: 16 << 10, articles: 1, ..Limits::default() };
        let metrics = Metrics::for_tests();
        let gauge = metrics.resources.text_taken.clone();
        (Arc::new(Admission::new(&limits, &metrics)), gauge)
    }

    #[test]
    fn permits_shrink_and_are_freed() {
        let (admission, gauge) = admission(1 << 20);
        let call = admission.call();
        let permit = call.try_acquire(40_000, 10_000).expect("the budget is free");
        assert_eq!(gauge.get(), 49 << 10);
        let permit = permit.shrink_to(2000);
        assert_eq!(gauge.get(), 2 << 10);
        let permit = permit.shrink_to(9000);
        assert_eq!(gauge.get(), 2 << 10, "a permit does not grow");
        drop(permit);
        assert_eq!(gauge.get(), 0);
        let place = admission.try_place().expect("the place is free");
        assert!(admission.try_place().is_none());
        drop(place);
        assert!(admission.try_place().is_some());
    }

    #[test]
    fn neither_one_call_nor_large_messages_exhaust_the_budget() {
        let (admission, _) = admission(4 << 20);
        let (greedy, modest) = (admission.call(), admission.call());
        let held: Vec<TextPermit> = std::iter::from_fn(|| greedy.try_acquire(32 << 10, 0)).collect();
        assert_eq!(held.len(), 8, "a sixteenth");
        assert!(modest.try_acquire(64 << 10, 16 << 10).is_some());
        // A message over its limit gets the whole budget of its call.
        drop(held);
        assert!(greedy.try_acquire(usize::MAX, 1).is_some());
        let mut large: Vec<TextPermit> = std::iter::from_fn(|| admission.call().try_acquire_large(112 << 10)).collect();
        assert_eq!(large.len(), 24, "three quarters");
        assert!(modest.try_acquire(1 << 10, 1 << 10).is_some());
        let answered = large.pop().map(|permit| permit.shrink_to_answer(1 << 10));
        assert!(modest.try_acquire_large(112 << 10).is_some());
        drop(answered);
    }

    #[test]
    fn a_budget_is_at_least_the_largest_message_with_its_answer() {
        let (admission, gauge) = admission(1);
        let permit = admission.call().try_acquire_large(3 * (64 << 10));
        assert!(permit.is_some());
        assert_eq!(gauge.get(), 208 << 10);
    }
}
