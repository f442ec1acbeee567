//! The requests of a call on their way from the body, which reads them, to the service, which answers them.

use super::super::admission::{CallBudget, TextPermit};
use crate::wire::proto::dateline::v1::ClassifyRequest;
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// The requests of a call, with their permits. The body pushes and the service takes, in the same order.
#[derive(Clone)]
pub struct RequestQueue {
    budget: CallBudget,
    /// The messages that the body has passed on and the service has not taken.
    entries: Arc<Mutex<VecDeque<Entry>>>,
    waiting: Arc<AtomicBool>,
}

enum Entry {
    /// The number of consecutive small messages, which passed unchanged.
    Small(usize),
    /// A charged and decoded message; an empty one passed in its place.
    Large(Box<ClassifyRequest>, TextPermit),
}

impl RequestQueue {
    pub fn new(budget: CallBudget) -> Self {
        RequestQueue { budget, entries: Arc::default(), waiting: Arc::default() }
    }

    /// The next request, for which `message` passed through the body, and its permit if it is already charged.
    pub fn take(&self, message: ClassifyRequest) -> (ClassifyRequest, Option<TextPermit>) {
        let mut entries = self.lock();
        match entries.pop_front() {
            Some(Entry::Large(request, permit)) => (*request, Some(permit)),
            Some(Entry::Small(left)) if left > 1 => {
                entries.push_front(Entry::Small(left - 1));
                (message, None)
            }
            Some(Entry::Small(_)) | None => (message, None),
        }
    }

    /// Whether a message waits for its permit. The client is not idle then.
    pub fn is_waiting(&self) -> bool {
        self.waiting.load(Ordering::Relaxed)
    }

    pub fn set_waiting(&self, waiting: bool) {
        self.waiting.store(waiting, Ordering::Relaxed);
    }

    /// The budget of the call.
    pub fn budget(&self) -> &CallBudget {
        &self.budget
    }

    pub fn push_small(&self) {
        let mut entries = self.lock();
        match entries.back_mut() {
            Some(Entry::Small(count)) => *count += 1,
            _ => entries.push_back(Entry::Small(1)),
        }
    }

    pub fn push_large(&self, request: ClassifyRequest, permit: TextPermit) {
        self.lock().push_back(Entry::Large(Box::new(request), permit));
    }

    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
