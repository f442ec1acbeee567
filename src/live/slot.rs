//! A slot that holds the current model and reloads it from its folder without interruption.

use super::files::Watch;
use crate::{
    article::{Article, Options},
    model::{MANIFEST, Model, ModelError, TENSORS, in_service, warm_up},
};
use arc_swap::ArcSwap;
use std::{
    fs, io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};
use tokio::sync::watch;

/// A load that takes longer is reported. The bundled model takes a tenth of a second.
const STALLED: Duration = Duration::from_secs(10);
/// The interval between checks of a load.
const LOAD_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// The current model, and the folder from which it is reloaded.
pub struct ModelSlot {
    current: ArcSwap<Model>,
    /// `None` for the bundled model.
    folder: Option<PathBuf>,
    /// Since when a load is under way; loads do not overlap.
    loading: Mutex<Option<Instant>>,
    /// Notified at the end of a load.
    load_ended: Condvar,
    /// The fingerprint of the folder at the last load, successful or not.
    last_tried: Mutex<Option<Fingerprint>>,
    status: watch::Sender<Status>,
}

/// The state of a slot, and counts since the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The version of the current model.
    pub version: String,
    /// The number of models that became current by a reload.
    pub loaded: u64,
    /// The number of models that were refused.
    pub refused: u64,
    /// The reason why the candidate model in the folder was refused; `None` if the folder holds the current model.
    pub refusal: Option<String>,
    /// Whether a load has been under way for longer than ten seconds, such as from a file system that hangs.
    pub is_load_stalled: bool,
}

impl Status {
    /// The status of a slot that has just been opened.
    pub(crate) fn new(version: &str) -> Self {
        Status { version: version.to_owned(), loaded: 0, refused: 0, refusal: None, is_load_stalled: false }
    }
}

/// The result of a reload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reloaded {
    /// Another model became current.
    Swapped {
        /// The previous version.
        from: String,
        /// The current version.
        to: String,
    },
    /// The folder holds the current model; its version.
    Unchanged(String),
    /// The slot has no folder and keeps the bundled model.
    Bundled,
}

/// Errors of loading and checking a candidate model.
#[derive(Debug, thiserror::Error)]
pub enum SelfCheckError {
    /// The model cannot be loaded.
    #[error(transparent)]
    Load(#[from] ModelError),
    /// The model does not classify the test article correctly.
    #[error("{}: the model failed its self-check: {reason}; train it again", folder.display())]
    Answer {
        /// The folder of the model.
        folder: PathBuf,
        /// What failed.
        reason: &'static str,
    },
}

/// Errors of a reload.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The candidate model is refused.
    #[error(transparent)]
    Refused(#[from] SelfCheckError),
    /// Another load is under way and does not end.
    #[error(
        "another load of the model has been under way for {seconds} s: is the file system of its folder reachable?"
    )]
    Busy {
        /// Since when, in seconds.
        seconds: u64,
    },
}

/// The folder of the model in service, and of its two files the size, the modification time and the number of the inode.
/// Changes with the model, also if a folder or a symbolic link is replaced by another.
type Fingerprint = (PathBuf, [(u64, SystemTime, u64); 2]);

/// The number of the inode of a file.
#[cfg(unix)]
fn inode(metadata: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

/// Other systems have no inodes.
#[cfg(not(unix))]
fn inode(_: &fs::Metadata) -> u64 {
    0
}

fn fingerprint(folder: &Path) -> io::Result<Fingerprint> {
    let folder = in_service(folder)?;
    let of = |name: &str| {
        let metadata = fs::metadata(folder.join(name))?;
        Ok::<_, io::Error>((metadata.len(), metadata.modified()?, inode(&metadata)))
    };
    let files = [of(MANIFEST)?, of(TENSORS)?];
    Ok((folder, files))
}

impl ModelSlot {
    /// Opens a slot with the model of a folder, or with the bundled one if `None`.
    ///
    /// # Errors
    /// [`SelfCheckError`].
    pub fn open(folder: Option<PathBuf>) -> Result<Self, SelfCheckError> {
        let last_tried = folder.as_deref().and_then(|folder| fingerprint(folder).ok());
        let open = || match &folder {
            Some(folder) => load(folder),
            None => Ok(Model::bundled()?),
        };
        let (model, ()) = rayon::join(open, warm_up);
        let model = model?;
        let status = Status::new(model.version());
        Ok(ModelSlot {
            current: ArcSwap::from_pointee(model),
            folder,
            loading: Mutex::new(None),
            load_ended: Condvar::new(),
            last_tried: Mutex::new(last_tried),
            status: watch::Sender::new(status),
        })
    }

    /// The current model.
    pub fn current(&self) -> Arc<Model> {
        self.current.load_full()
    }

    /// Subscribes to the status of the slot.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Loads the candidate model from the folder, checks it and makes it current. Blocks during the load; the old model stays
    /// current until then, and after an error.
    ///
    /// # Errors
    /// [`ReloadError`]; the current model is unchanged.
    pub fn reload(&self) -> Result<Reloaded, ReloadError> {
        let Some(folder) = &self.folder else { return Ok(Reloaded::Bundled) };
        let _load = self.begin_load()?;
        // Taken before the load, so that changes during the load trigger another one.
        let found = fingerprint(folder).ok();
        *self.last_tried() = found;
        let model = load(folder).inspect_err(|error| {
            tracing::error!(%error, "model refused, the current model is unchanged");
            self.status.send_modify(|status| {
                status.refused += 1;
                status.refusal = Some(error.to_string());
            });
        })?;
        let from = self.current().version().to_owned();
        let to = model.version().to_owned();
        if from == to {
            self.status.send_modify(|status| status.refusal = None);
            return Ok(Reloaded::Unchanged(to));
        }
        self.current.store(Arc::new(model));
        self.status.send_modify(|status| {
            status.version = to.clone();
            status.loaded += 1;
            status.refusal = None;
        });
        tracing::info!(from, to, "model swapped");
        Ok(Reloaded::Swapped { from, to })
    }

    /// Waits until no other load is under way, and begins one.
    fn begin_load(&self) -> Result<Load<'_>, ReloadError> {
        let loading = self.loading.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.load_ended.wait_timeout_while(loading, STALLED, |loading| loading.is_some());
        let (mut loading, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if let Some(since) = *loading {
            return Err(ReloadError::Busy { seconds: since.elapsed().as_secs() });
        }
        *loading = Some(Instant::now());
        Ok(Load(self))
    }

    fn last_tried(&self) -> MutexGuard<'_, Option<Fingerprint>> {
        self.last_tried.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Watches the folder forever, and reloads the model after each change, once the files have settled. Reports loads that
    /// do not end.
    pub async fn watch(self: Arc<Self>) {
        let Some(folder) = self.folder.clone() else { return };
        tokio::join!(self.watch_folder(folder), self.watch_loads());
    }

    async fn watch_folder(self: &Arc<Self>, folder: PathBuf) {
        let mut files = Watch::new(move || fingerprint(&folder).ok());
        loop {
            let now = files.settled().await;
            if Some(now) != *self.last_tried() {
                let slot = self.clone();
                // The result is logged and counted. A refused model is tried again when it changes.
                let _ = tokio::task::spawn_blocking(move || slot.reload()).await;
            }
        }
    }

    async fn watch_loads(&self) {
        loop {
            tokio::time::sleep(LOAD_CHECK_INTERVAL).await;
            let since = *self.loading.lock().unwrap_or_else(PoisonError::into_inner);
            let is_stalled = since.is_some_and(|since| since.elapsed() >= STALLED);
            self.status.send_if_modified(|status| {
                let is_new = status.is_load_stalled != is_stalled;
                status.is_load_stalled = is_stalled;
                if is_new {
                    match is_stalled {
                        true => tracing::error!(
                            folder = self.folder.as_deref().map(|folder| tracing::field::display(folder.display())),
                            seconds = since.map(|since| since.elapsed().as_secs()),
                            "the load of a model takes too long, the current model stays: is the file system reachable?"
                        ),
                        false => tracing::info!("the load of the model has ended"),
                    }
                }
                is_new
            });
        }
    }
}

/// A load that is under way until it is dropped.
struct Load<'a>(&'a ModelSlot);

impl Drop for Load<'_> {
    fn drop(&mut self) {
        *self.0.loading.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.0.load_ended.notify_one();
    }
}

/// Loads the model of a folder and checks that it classifies a test article.
fn load(folder: &Path) -> Result<Model, SelfCheckError> {
    let model = Model::load(folder)?;
    let article = Article {
        headline: "Kenya votes on new budget".to_owned(),
        body: "NAIROBI (Reuters) - Parliament passed the budget on Tuesday after a long debate.".to_owned(),
        ..Article::default()
    };
    let failed = |reason| SelfCheckError::Answer { folder: folder.to_owned(), reason };
    let answer = catch_unwind(AssertUnwindSafe(|| model.classify(&article, &Options::default())))
        .map_err(|_| failed("it panics on an article"))?
        .map_err(|_| failed("it rejects a valid article"))?;
    let topics = answer.topics.iter().map(|label| label.confidence);
    let regions = answer.regions.iter().map(|region| region.label.confidence);
    if !topics.chain(regions).all(|confidence| (0.0..=1.0).contains(&confidence)) {
        return Err(failed("a confidence is outside 0 to 1"));
    }
    Ok(model)
}
