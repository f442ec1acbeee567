//! Admission: how many articles, and how many bytes of them, a server works on at once.
//!
//! Every article holds a [`TextPermit`] from before its message is read as a whole until the transport has taken its answer,
//! and a [`PlacePermit`] from its admission until it is answered. Permits move with the work: into the thread pool, into the
//! answer, and back when they are dropped.

use super::{metrics::Metrics, settings::Limits};
use prometheus_client::metrics::gauge::Gauge;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The unit of the text budget, in bytes.
const PIECE: usize = 1024;
/// One call may hold this part of the text budget, so that a client that takes no answers does not hold all of it.
const CALL_SHARE: usize = 16;

/// The budgets of a server.
pub struct Admission {
    places: Arc<Semaphore>,
    places_taken: Gauge,
    text: Arc<Semaphore>,
    text_taken: Gauge,
    /// What large messages may hold of the text budget until they are answered: a quarter is left for small ones.
    large: Arc<Semaphore>,
    /// What one call may hold of the text budget, in pieces.
    call_pieces: u32,
    /// The largest request message and the largest answer, in bytes.
    message_bytes: usize,
    answer_bytes: usize,
}

/// What one call has taken, and may take, of the text budget.
#[derive(Clone)]
pub struct CallBudget {
    admission: Arc<Admission>,
    pieces: Arc<Semaphore>,
}

/// A part of the text budget; it is free again when this is dropped.
pub struct TextPermit {
    whole: OwnedSemaphorePermit,
    of_call: OwnedSemaphorePermit,
    /// Of a large message that was not answered yet.
    large: Option<OwnedSemaphorePermit>,
    gauge: Gauge,
}

/// The place of one article that is read and not yet answered.
pub struct PlacePermit {
    _permit: OwnedSemaphorePermit,
    gauge: Gauge,
}

impl Admission {
    pub fn new(limits: &Limits, metrics: &Metrics) -> Self {
        let largest = pieces(limits.least_text_bytes());
        let whole = pieces(limits.text_bytes).max(largest);
        Admission {
            places: Arc::new(Semaphore::new(limits.articles)),
            places_taken: metrics.places_taken.clone(),
            text: Arc::new(Semaphore::new(whole as usize)),
            text_taken: metrics.text_taken.clone(),
            large: Arc::new(Semaphore::new((whole / 4 * 3).max(largest) as usize)),
            call_pieces: (whole / CALL_SHARE as u32).max(largest),
            message_bytes: limits.message_bytes,
            answer_bytes: limits.answer_bytes,
        }
    }

    /// The budget of a call that begins.
    pub fn call(self: &Arc<Self>) -> CallBudget {
        CallBudget { admission: self.clone(), pieces: Arc::new(Semaphore::new(self.call_pieces as usize)) }
    }

    /// The largest answer, in bytes.
    pub fn answer_bytes(&self) -> usize {
        self.answer_bytes
    }

    /// A place for an article, once there is one.
    pub async fn place(&self) -> Option<PlacePermit> {
        // The semaphore is never closed.
        self.places.clone().acquire_owned().await.ok().map(|permit| PlacePermit::new(permit, &self.places_taken))
    }

    /// A place for an article, if there is one now.
    pub fn try_place(&self) -> Option<PlacePermit> {
        self.places.clone().try_acquire_owned().ok().map(|permit| PlacePermit::new(permit, &self.places_taken))
    }
}

impl CallBudget {
    /// Room for a message of `bytes` that was read, and for an answer, once there is some. A caller must hold no other permit
    /// for the same message: all that a message and its answer may need is taken at once, so that no two wait for each other.
    pub async fn acquire(&self, bytes: usize, answer: usize) -> Option<TextPermit> {
        let wanted = self.wanted(bytes, answer);
        // The semaphores are never closed.
        let of_call = self.pieces.clone().acquire_many_owned(wanted).await.ok()?;
        let whole = self.admission.text.clone().acquire_many_owned(wanted).await.ok()?;
        Some(TextPermit::new(whole, of_call, None, &self.admission.text_taken))
    }

    /// The same, if there is room now.
    pub fn try_acquire(&self, bytes: usize, answer: usize) -> Option<TextPermit> {
        let wanted = self.wanted(bytes, answer);
        let of_call = self.pieces.clone().try_acquire_many_owned(wanted).ok()?;
        let whole = self.admission.text.clone().try_acquire_many_owned(wanted).ok()?;
        Some(TextPermit::new(whole, of_call, None, &self.admission.text_taken))
    }

    /// Room for a large message of `bytes` that is about to be read, and for the largest answer, once there is some.
    pub async fn acquire_large(&self, bytes: usize) -> Option<TextPermit> {
        let wanted = self.wanted(bytes, self.answer_bytes());
        let of_call = self.pieces.clone().acquire_many_owned(wanted).await.ok()?;
        let large = self.admission.large.clone().acquire_many_owned(wanted).await.ok()?;
        let whole = self.admission.text.clone().acquire_many_owned(wanted).await.ok()?;
        Some(TextPermit::new(whole, of_call, Some(large), &self.admission.text_taken))
    }

    /// The same, if there is room now.
    pub fn try_acquire_large(&self, bytes: usize) -> Option<TextPermit> {
        let wanted = self.wanted(bytes, self.answer_bytes());
        let of_call = self.pieces.clone().try_acquire_many_owned(wanted).ok()?;
        let large = self.admission.large.clone().try_acquire_many_owned(wanted).ok()?;
        let whole = self.admission.text.clone().try_acquire_many_owned(wanted).ok()?;
        Some(TextPermit::new(whole, of_call, Some(large), &self.admission.text_taken))
    }

    /// The largest request message, in bytes.
    pub fn message_bytes(&self) -> usize {
        self.admission.message_bytes
    }

    fn answer_bytes(&self) -> usize {
        self.admission.answer_bytes
    }

    fn wanted(&self, bytes: usize, answer: usize) -> u32 {
        pieces(bytes.saturating_add(answer)).min(self.admission.call_pieces)
    }
}

fn pieces(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(PIECE)).unwrap_or(u32::MAX >> 1).max(1)
}

impl TextPermit {
    fn new(
        whole: OwnedSemaphorePermit,
        of_call: OwnedSemaphorePermit,
        large: Option<OwnedSemaphorePermit>,
        gauge: &Gauge,
    ) -> Self {
        gauge.inc_by(bytes_of(&whole));
        TextPermit { whole, of_call, large, gauge: gauge.clone() }
    }

    /// What the answer of `bytes` to an answered message takes.
    pub fn of_answer(mut self, bytes: usize) -> Self {
        self.large = None;
        self.shrunk_to(bytes)
    }

    /// A permit of its own for `bytes` of what is held.
    pub fn split_off(&mut self, bytes: usize) -> Option<TextPermit> {
        let wanted = pieces(bytes) as usize;
        if self.whole.num_permits() <= wanted {
            return None;
        }
        let (whole, of_call) = (self.whole.split(wanted)?, self.of_call.split(wanted)?);
        Some(TextPermit { whole, of_call, large: None, gauge: self.gauge.clone() })
    }

    /// The same with what is held beyond `bytes` given back.
    pub fn shrunk_to(mut self, bytes: usize) -> Self {
        let spare = self.whole.num_permits().saturating_sub(pieces(bytes) as usize);
        self.large.iter_mut().for_each(|large| drop(large.split(spare)));
        if let (Some(whole), Some(_of_call)) = (self.whole.split(spare), self.of_call.split(spare)) {
            self.gauge.dec_by(bytes_of(&whole));
        }
        self
    }
}

impl Drop for TextPermit {
    fn drop(&mut self) {
        self.gauge.dec_by(bytes_of(&self.whole));
    }
}

fn bytes_of(permit: &OwnedSemaphorePermit) -> i64 {
    permit.num_permits() as i64 * PIECE as i64
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

/// The permits of answers that are on their way into the transport: the service puts them in, whoever hands the encoded answers
/// to the transport takes them out.
#[derive(Clone, Default)]
pub struct Outbox(Arc<Mutex<Vec<TextPermit>>>);

impl Outbox {
    /// An answer leaves the service.
    pub fn put(&self, permit: TextPermit) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(permit);
    }

    /// The transport has taken all that was put in.
    pub fn taken(&self) {
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
        let gauge = metrics.text_taken.clone();
        (Arc::new(Admission::new(&limits, &metrics)), gauge)
    }

    #[test]
    fn permits_shrink_and_come_back() {
        let (admission, gauge) = admission(1 << 20);
        let call = admission.call();
        let permit = call.try_acquire(40_000, 10_000).expect("it is all free");
        assert_eq!(gauge.get(), 49 << 10);
        let permit = permit.shrunk_to(2000);
        assert_eq!(gauge.get(), 2 << 10);
        let permit = permit.shrunk_to(9000);
        assert_eq!(gauge.get(), 2 << 10, "it does not grow");
        drop(permit);
        assert_eq!(gauge.get(), 0);
        let place = admission.try_place().expect("it is free");
        assert!(admission.try_place().is_none());
        drop(place);
        assert!(admission.try_place().is_some());
    }

    #[test]
    fn neither_one_call_nor_large_messages_take_all() {
        let (admission, _) = admission(4 << 20);
        let (greedy, modest) = (admission.call(), admission.call());
        let held: Vec<TextPermit> = std::iter::from_fn(|| greedy.try_acquire(32 << 10, 0)).collect();
        assert_eq!(held.len(), 8, "a sixteenth");
        assert!(modest.try_acquire(64 << 10, 16 << 10).is_some());
        // A message over its limit is given what there is for one.
        drop(held);
        assert!(greedy.try_acquire(usize::MAX, 1).is_some());
        let mut large: Vec<TextPermit> = std::iter::from_fn(|| admission.call().try_acquire_large(112 << 10)).collect();
        assert_eq!(large.len(), 24, "three quarters");
        assert!(modest.try_acquire(1 << 10, 1 << 10).is_some());
        let answered = large.pop().map(|permit| permit.of_answer(1 << 10));
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
