//! The shadow model: classifies the articles of the live model on a thread of its own. Its answers are compared, never sent.

use super::slot::ModelSlot;
use crate::article::{Article, Classification, Decision, Options, Role};
use std::{
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
};

/// The capacity of the queue. Articles beyond it are skipped: the shadow model never delays the live one, and uses at most one
/// core.
const QUEUE_CAPACITY: usize = 32;

/// Called with the outcome of each article.
type Observer = Arc<dyn Fn(&ShadowOutcome) + Send + Sync>;

/// A handle of the shadow thread.
pub struct Shadow {
    slot: Arc<ModelSlot>,
    queue: SyncSender<Work>,
    tally: Arc<Mutex<Tally>>,
    observer: Observer,
}

/// An article to classify, with the live answer to compare.
struct Work {
    article: Article,
    options: Options,
    live: Digest,
    /// Dropped when the shadow has finished with the article.
    _guard: Box<dyn Send>,
}

/// The parts of an answer that are compared.
#[derive(Debug, PartialEq, Eq)]
pub struct Digest {
    version: Arc<str>,
    /// The code of the best topic.
    topic: Option<Arc<str>>,
    /// The codes of the ABOUT regions whose decision is not ABSTAIN.
    about: BTreeSet<Arc<str>>,
}

impl Digest {
    /// Extracts the compared parts of an answer.
    pub fn of(answer: &Classification) -> Self {
        let about = answer.regions.iter().filter(|region| region.role == Role::About);
        let about = about.filter(|region| region.label.decision != Decision::Abstain);
        Digest {
            version: answer.model_version.clone(),
            topic: answer.topics.first().map(|label| label.code.clone()),
            about: about.map(|region| region.label.code.clone()).collect(),
        }
    }

    /// Compares a live answer with that of the shadow.
    fn compare(&self, shadow: &Digest) -> Compared {
        Compared {
            topics: (self.topic != shadow.topic).then(|| [self.topic.clone(), shadow.topic.clone()]),
            regions: self.about != shadow.about,
        }
    }
}

/// The outcome of an article that was offered to the shadow.
pub enum ShadowOutcome {
    /// Both models answered.
    Compared(Compared),
    /// The shadow model failed.
    Failed,
    /// Skipped: the queue was full, or the live model was replaced in the meantime.
    Skipped,
}

/// The differences of two answers.
#[derive(Debug, PartialEq, Eq)]
pub struct Compared {
    /// The best topics of the live and the shadow model, if they differ.
    pub topics: Option<[Option<Arc<str>>; 2]>,
    /// Whether the ABOUT regions differ; those with the decision ABSTAIN are ignored.
    pub regions: bool,
}

/// Counts of comparisons between two model versions. A new version of either model resets them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// The versions of the live and the shadow model.
    versions: [Arc<str>; 2],
    /// Articles that both models answered.
    pub articles: u64,
    /// Articles that were skipped because the queue was full.
    pub skipped: u64,
    /// Articles whose best topics differ.
    pub topics: u64,
    /// Articles whose ABOUT regions differ.
    pub regions: u64,
}

impl Tally {
    fn count(&mut self, versions: [Arc<str>; 2], outcome: &ShadowOutcome) {
        if self.versions != versions {
            *self = Tally { versions, ..Tally::default() };
        }
        match outcome {
            ShadowOutcome::Compared(compared) => {
                self.articles += 1;
                self.topics += u64::from(compared.topics.is_some());
                self.regions += u64::from(compared.regions);
            }
            ShadowOutcome::Skipped => self.skipped += 1,
            ShadowOutcome::Failed => {}
        }
    }
}

impl Shadow {
    /// Starts the shadow thread, which ends when the handle is dropped. `slot` holds the shadow model.
    ///
    /// # Errors
    /// If the operating system cannot start a thread.
    pub fn start(
        slot: Arc<ModelSlot>,
        live: Arc<ModelSlot>,
        observer: impl Fn(&ShadowOutcome) + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let observer: Observer = Arc::new(observer);
        let (queue, receiver) = sync_channel(QUEUE_CAPACITY);
        let tally = Arc::new(Mutex::new(Tally::default()));
        let (thread_tally, thread_observer, thread_slot) = (tally.clone(), observer.clone(), slot.clone());
        thread::Builder::new()
            .name("shadow".to_owned())
            .spawn(move || run(&thread_slot, &live, &receiver, &thread_tally, &thread_observer))?;
        Ok(Shadow { slot, queue, tally, observer })
    }

    /// Queues an article that the live model has answered, or skips it if the queue is full. `guard` is dropped when the
    /// article is finished or skipped.
    pub fn offer(&self, article: Article, options: &Options, live: Digest, guard: impl Send + 'static) {
        let work = Work { article, options: Options { explain: false, ..*options }, live, _guard: Box::new(guard) };
        let Err(TrySendError::Full(work) | TrySendError::Disconnected(work)) = self.queue.try_send(work) else {
            return;
        };
        self.count(work.live.version, &ShadowOutcome::Skipped);
    }

    fn count(&self, live: Arc<str>, outcome: &ShadowOutcome) {
        count(&self.tally, &self.observer, [live, self.slot.current().version().into()], outcome);
    }

    /// The tally of two versions, live and shadow; zero unless both are the counted ones.
    pub fn tally_of(&self, versions: [Arc<str>; 2]) -> Tally {
        let tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if tally.versions == versions { tally } else { Tally { versions, ..Tally::default() } }
    }
}

/// The loop of the shadow thread.
fn run(slot: &ModelSlot, live_slot: &ModelSlot, queue: &Receiver<Work>, tally: &Mutex<Tally>, observer: &Observer) {
    while let Ok(Work { article, options, live, _guard }) = queue.recv() {
        let model = slot.current();
        // The answer of a live model that was replaced in the meantime is not compared.
        if *live.version != *live_slot.current().version() {
            observer(&ShadowOutcome::Skipped);
            continue;
        }
        let answer = catch_unwind(AssertUnwindSafe(|| model.classify(&article, &options)));
        let outcome = match answer {
            Ok(Ok(answer)) => ShadowOutcome::Compared(live.compare(&Digest::of(&answer))),
            // The live model answered, so the article is valid.
            Ok(Err(_)) | Err(_) => ShadowOutcome::Failed,
        };
        count(tally, observer, [live.version, model.version().into()], &outcome);
    }
}

/// Reports an outcome to the observer and counts it.
fn count(tally: &Mutex<Tally>, observer: &Observer, versions: [Arc<str>; 2], outcome: &ShadowOutcome) {
    observer(outcome);
    tally.lock().unwrap_or_else(PoisonError::into_inner).count(versions, outcome);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(topic: Option<&str>, about: &[&str]) -> Digest {
        Digest {
            version: "a".into(),
            topic: topic.map(Arc::from),
            about: about.iter().map(|code| Arc::from(*code)).collect(),
        }
    }

    #[test]
    fn answers_are_compared_and_counted_per_pair_of_versions() {
        let live = digest(Some("sport"), &["KE", "IT"]);
        let same = live.compare(&digest(Some("sport"), &["IT", "KE"]));
        assert_eq!(same, Compared { topics: None, regions: false });
        let other = live.compare(&digest(None, &["KE"]));
        assert_eq!(other, Compared { topics: Some([Some("sport".into()), None]), regions: true });

        let mut tally = Tally::default();
        let versions = [Arc::from("a"), Arc::from("b")];
        tally.count(versions.clone(), &ShadowOutcome::Skipped);
        for outcome in [ShadowOutcome::Compared(same), ShadowOutcome::Compared(other), ShadowOutcome::Failed] {
            tally.count(versions.clone(), &outcome);
        }
        assert_eq!((tally.articles, tally.topics, tally.regions), (2, 1, 1));
        assert_eq!(tally.skipped, 1, "skips before the first comparison count");
        tally.count([Arc::from("a"), Arc::from("c")], &ShadowOutcome::Failed);
        assert_eq!((tally.articles, tally.topics, tally.regions), (0, 0, 0), "another pair");
    }
}
