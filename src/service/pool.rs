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

/// Computes an answer, and returns what hands it over.
type Job = Box<dyn FnOnce() -> HandOver + Send>;
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

    /// Queues a job. Jobs begin in the order in which they are queued.
    pub fn spawn(&self, job: impl FnOnce() -> HandOver + Send + 'static) {
        lock(&self.waiting).push_back(Box::new(job));
        let waiting = self.waiting.clone();
        let n_threads = self.threads.current_num_threads();
        // One task per job, so that no job is forgotten; a task that finds no job left ends at once.
        self.threads.spawn(move || run_batch(&waiting, n_threads));
    }
}

/// Runs some of the waiting jobs, and hands over their answers together.
fn run_batch(waiting: &Mutex<VecDeque<Job>>, n_threads: usize) {
    let mut answers = Vec::new();
    let begun = Instant::now();
    // The other threads get their share of what is waiting.
    let most = lock(waiting).len().div_ceil(n_threads).min(MOST_TOGETHER);
    while answers.len() < most && (answers.is_empty() || begun.elapsed() < BATCH_TIME) {
        // The lock is released before the job runs.
        let next = lock(waiting).pop_front();
        let Some(job) = next else { break };
        answers.push(job());
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
            pool.spawn(move || Box::new(move || sender.send(i).expect("a receiver")));
        }
        let mut received: Vec<i32> = receiver.iter().take(1000).collect();
        received.sort_unstable();
        assert_eq!(received, (0..1000).collect::<Vec<_>>());
    }

    #[test]
    fn waiting_jobs_are_handed_over_together() {
        let waiting: Mutex<VecDeque<Job>> = Mutex::default();
        let log = Arc::new(Mutex::new(Vec::new()));
        for i in 0..3 {
            let (run, handed_over) = (log.clone(), log.clone());
            lock(&waiting).push_back(Box::new(move || {
                lock(&run).push(("run", i));
                Box::new(move || lock(&handed_over).push(("handed over", i)))
            }));
        }
        // Two of three jobs for one of two threads; a slow machine may take fewer at once.
        run_batch(&waiting, 2);
        let done = lock(&log).clone();
        assert!(
            done == [("run", 0), ("run", 1), ("handed over", 0), ("handed over", 1)] || done.len() == 2,
            "{done:?}"
        );
        while !lock(&waiting).is_empty() {
            run_batch(&waiting, 2);
        }
        assert_eq!(lock(&log).len(), 6);
    }
}
