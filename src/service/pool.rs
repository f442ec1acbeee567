//! The threads that classify articles: one per core, apart from those of the network, which must never be blocked.

use super::error::ServeError;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// The maximum number of articles that a thread answers together.
const MOST_TOGETHER: usize = 16;
/// A thread hands over its answers when the oldest is this old, so that batches cost no noticeable latency.
const BATCH_TIME: Duration = Duration::from_micros(500);

/// An article of more bytes is only answered alone, or first: others must not wait for it after they are answered.
const MOST_BYTES: usize = 16 << 10;

/// An article to answer.
struct Job {
    /// The size of its text.
    bytes: usize,
    /// Computes the answer, and returns what hands it over.
    run: Box<dyn FnOnce() -> HandOver + Send>,
}

/// Hands an answer over to its call.
pub type HandOver = Box<dyn FnOnce() + Send>;

/// A pool of threads with one queue.
///
/// A thread takes several waiting articles at once, and hands their answers over together: they then wake the thread of the
/// network once, and leave in one write. An article that waits alone is answered at once.
pub struct Pool {
    threads: rayon::ThreadPool,
    waiting: Arc<Mutex<VecDeque<Job>>>,
}

impl Pool {
    /// Starts the threads.
    ///
    /// # Errors
    /// [`ServeError::Threads`].
    pub fn new() -> Result<Self, ServeError> {
        let threads = rayon::ThreadPoolBuilder::new()
            .thread_name(|i| format!("classify-{i}"))
            .build()
            .map_err(|error| ServeError::Threads(error.to_string()))?;
        Ok(Pool { threads, waiting: Arc::default() })
    }

    /// Queues an article of `bytes` bytes. `run` computes its answer. Articles begin in the order in which they are queued.
    pub fn spawn(&self, bytes: usize, run: impl FnOnce() -> HandOver + Send + 'static) {
        lock(&self.waiting).push_back(Job { bytes, run: Box::new(run) });
        let waiting = self.waiting.clone();
        let n_threads = self.threads.current_num_threads();
        // One task per article, so that none is forgotten; a task that finds none left ends at once.
        self.threads.spawn(move || run_batch(&waiting, n_threads));
    }
}

/// Answers some of the waiting articles, and hands their answers over together.
fn run_batch(waiting: &Mutex<VecDeque<Job>>, n_threads: usize) {
    let mut answers = Vec::new();
    let begun = Instant::now();
    // The other threads get their share of what is waiting.
    let most = lock(waiting).len().div_ceil(n_threads).min(MOST_TOGETHER);
    while answers.len() < most && (answers.is_empty() || begun.elapsed() < BATCH_TIME) {
        let next = {
            let mut waiting = lock(waiting);
            let is_next = waiting.front().is_some_and(|next| answers.is_empty() || next.bytes <= MOST_BYTES);
            is_next.then(|| waiting.pop_front()).flatten()
        };
        let Some(next) = next else { break };
        answers.push((next.run)());
    }
    answers.into_iter().for_each(|hand_over| hand_over());
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Cannot be poisoned: no job runs under the lock.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn every_job_is_run_and_handed_over() {
        let pool = Pool::new().expect("threads");
        let (sender, receiver) = mpsc::channel();
        for i in 0..1000 {
            let sender = sender.clone();
            pool.spawn(100, move || Box::new(move || sender.send(i).expect("a receiver")));
        }
        let mut received: Vec<i32> = receiver.iter().take(1000).collect();
        received.sort_unstable();
        assert_eq!(received, (0..1000).collect::<Vec<_>>());
    }

    /// Runs a batch for one of two threads, of articles of these sizes, and returns what was done.
    fn batch(sizes: &[usize]) -> Vec<(&'static str, usize)> {
        let waiting: Mutex<VecDeque<Job>> = Mutex::default();
        let log = Arc::new(Mutex::new(Vec::new()));
        for bytes in sizes.iter().copied() {
            let (run, handed_over) = (log.clone(), log.clone());
            let run = Box::new(move || -> HandOver {
                lock(&run).push(("run", bytes));
                Box::new(move || lock(&handed_over).push(("handed over", bytes)))
            });
            lock(&waiting).push_back(Job { bytes, run });
        }
        run_batch(&waiting, 2);
        lock(&log).clone()
    }

    #[test]
    fn waiting_articles_are_handed_over_together() {
        let (first, second) = (batch(&[1, 2, 3]), [("run", 1), ("run", 2), ("handed over", 1), ("handed over", 2)]);
        // A slow machine may take fewer at once.
        assert!(first == second || first == [("run", 1), ("handed over", 1)], "{first:?}");
    }

    #[test]
    fn no_answer_waits_for_a_long_article() {
        assert_eq!(batch(&[1, MOST_BYTES + 1, 2, 3]), [("run", 1), ("handed over", 1)]);
    }
}
