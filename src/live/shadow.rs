//! A second model that answers beside the live one without being heard, so that it can be judged on what really comes.

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

/// How many articles may wait for the shadow. Beyond, they are skipped: it never holds up the live model, and takes one
/// core at most.
const WAITING: usize = 32;

/// Who is told what became of each article.
type Watcher = Arc<dyn Fn(&ShadowOutcome) + Send + Sync>;

/// The shadow's thread, seen by those who give it work.
pub struct Shadow {
    slot: Arc<ModelSlot>,
    work: SyncSender<Work>,
    tally: Arc<Mutex<Tally>>,
    watcher: Watcher,
}

struct Work {
    article: Article,
    options: Options,
    live: Digest,
    /// What is held until the shadow is done with the article.
    _held: Box<dyn Send>,
}

/// What is compared of an answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Digest {
    version: Arc<str>,
    topic: Option<Arc<str>>,
    about: BTreeSet<Arc<str>>,
}

impl Digest {
    pub fn of(answer: &Classification) -> Self {
        let about = answer.regions.iter().filter(|region| region.role == Role::About);
        let about = about.filter(|region| region.label.decision != Decision::Abstain);
        Digest {
            version: answer.model_version.clone(),
            topic: answer.topics.first().map(|label| label.code.clone()),
            about: about.map(|region| region.label.code.clone()).collect(),
        }
    }

    fn compared(&self, shadow: &Digest) -> Compared {
        Compared {
            topics: (self.topic != shadow.topic).then(|| [self.topic.clone(), shadow.topic.clone()]),
            regions: self.about != shadow.about,
        }
    }
}

/// What became of an article that the shadow was given.
pub enum ShadowOutcome {
    /// Both models answered it.
    Compared(Compared),
    /// The shadow could not answer it.
    Failed,
    /// Too many were waiting already.
    Skipped,
}

/// How two answers differ.
#[derive(Debug, PartialEq, Eq)]
pub struct Compared {
    /// The best topics of the live model and of the shadow, where they differ.
    pub topics: Option<[Option<Arc<str>>; 2]>,
    /// Whether the countries differ that the article is said to be about, those apart whose decision is ABSTAIN.
    pub regions: bool,
}

/// How often two models differed, for as long as both are in their places.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    versions: [Arc<str>; 2],
    /// Articles that both answered.
    pub articles: u64,
    /// Articles that the shadow had no time for.
    pub skipped: u64,
    /// Articles whose best topics differ.
    pub topics: u64,
    /// Articles whose countries differ.
    pub regions: u64,
}

impl Tally {
    fn count(&mut self, versions: [Arc<str>; 2], kind: &ShadowOutcome) {
        if self.versions != versions {
            *self = Tally { versions, ..Tally::default() };
        }
        match kind {
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
    /// Starts the thread; it ends with the last of those who give it work.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub fn start(
        slot: Arc<ModelSlot>,
        live: Arc<ModelSlot>,
        watcher: impl Fn(&ShadowOutcome) + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let watcher: Watcher = Arc::new(watcher);
        let (work, waiting) = sync_channel(WAITING);
        let tally = Arc::new(Mutex::new(Tally::default()));
        let (counted, told, answering) = (tally.clone(), watcher.clone(), slot.clone());
        thread::Builder::new()
            .name("shadow".to_owned())
            .spawn(move || run(&answering, &live, &waiting, &counted, &told))?;
        Ok(Shadow { slot, work, tally, watcher })
    }

    /// Queues an article that the live model has answered; skips it if too many wait already. `held` is dropped with it.
    pub fn offer(&self, article: Article, options: &Options, live: Digest, held: impl Send + 'static) {
        let work = Work { article, options: Options { explain: false, ..*options }, live, _held: Box::new(held) };
        let Err(TrySendError::Full(work) | TrySendError::Disconnected(work)) = self.work.try_send(work) else { return };
        self.count(work.live.version, &ShadowOutcome::Skipped);
    }

    fn count(&self, live: Arc<str>, kind: &ShadowOutcome) {
        count(&self.tally, &self.watcher, [live, self.slot.current().version().into()], kind);
    }

    /// How two versions compare that are in their places; nothing was counted of others.
    pub fn tally_of(&self, versions: [Arc<str>; 2]) -> Tally {
        let tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if tally.versions == versions { tally } else { Tally { versions, ..Tally::default() } }
    }
}

fn run(slot: &ModelSlot, live_slot: &ModelSlot, waiting: &Receiver<Work>, tally: &Mutex<Tally>, watcher: &Watcher) {
    while let Ok(Work { article, options, live, _held }) = waiting.recv() {
        let model = slot.current();
        // What a model answered that was swapped meanwhile says nothing of the one in its place.
        if *live.version != *live_slot.current().version() {
            watcher(&ShadowOutcome::Skipped);
            continue;
        }
        let answer = catch_unwind(AssertUnwindSafe(|| model.classify(&article, &options)));
        let kind = match answer {
            Ok(Ok(answer)) => ShadowOutcome::Compared(live.compared(&Digest::of(&answer))),
            // What the live model answered is no article's fault.
            Ok(Err(_)) | Err(_) => ShadowOutcome::Failed,
        };
        count(tally, watcher, [live.version, model.version().into()], &kind);
    }
}

fn count(tally: &Mutex<Tally>, watcher: &Watcher, versions: [Arc<str>; 2], kind: &ShadowOutcome) {
    watcher(kind);
    tally.lock().unwrap_or_else(PoisonError::into_inner).count(versions, kind);
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
    fn answers_are_compared_and_counted_for_a_pair_of_models() {
        let live = digest(Some("sport"), &["KE", "IT"]);
        let same = live.compared(&digest(Some("sport"), &["IT", "KE"]));
        assert_eq!(same, Compared { topics: None, regions: false });
        let other = live.compared(&digest(None, &["KE"]));
        assert_eq!(other, Compared { topics: Some([Some("sport".into()), None]), regions: true });

        let mut tally = Tally::default();
        let versions = [Arc::from("a"), Arc::from("b")];
        tally.count(versions.clone(), &ShadowOutcome::Skipped);
        for kind in [ShadowOutcome::Compared(same), ShadowOutcome::Compared(other), ShadowOutcome::Failed] {
            tally.count(versions.clone(), &kind);
        }
        assert_eq!((tally.articles, tally.topics, tally.regions), (2, 1, 1));
        assert_eq!(tally.skipped, 1, "skips before the first comparison count");
        tally.count([Arc::from("a"), Arc::from("c")], &ShadowOutcome::Failed);
        assert_eq!((tally.articles, tally.topics, tally.regions), (0, 0, 0), "another pair");
    }
}
