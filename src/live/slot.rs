//! The model that answers, and how the next one takes its place.

use super::files::Watch;
use crate::{
    article::{Article, Options},
    model::{MANIFEST, Model, ModelError, TENSORS, in_service},
};
use arc_swap::ArcSwap;
use std::{
    fs, io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};
use tokio::sync::watch;

/// A model that answers, and where the next one comes from.
pub struct ModelSlot {
    current: ArcSwap<Model>,
    folder: Option<PathBuf>,
    /// Held during a load: one at a time.
    loading: Mutex<()>,
    /// What the folder looked like when it was last tried, well or not.
    tried: Mutex<Option<Fingerprint>>,
    status: watch::Sender<Status>,
}

/// What a slot holds, and what became of the models that it was given since the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The version that answers.
    pub version: String,
    /// How many models took over.
    pub loaded: u64,
    /// How many were refused.
    pub refused: u64,
    /// Why the folder's model was refused; `None` where it is the one that answers.
    pub refusal: Option<String>,
}

/// What came of a reload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reloaded {
    /// Another model took over.
    Swapped {
        /// The version that answered before.
        from: String,
        /// The version that answers now.
        to: String,
    },
    /// The folder holds the model that answers already; its version.
    Unchanged(String),
    /// There is no folder: the bundled model answers.
    Bundled,
}

/// Why a model that was loaded does not take over.
#[derive(Debug, thiserror::Error)]
pub enum SelfCheckError {
    /// It cannot be loaded.
    #[error(transparent)]
    Load(#[from] ModelError),
    /// It does not answer an article as a model should.
    #[error("{}: the model loads, and fails its self-check: {reason}; train it again", folder.display())]
    Answer {
        /// Its folder.
        folder: PathBuf,
        /// What went wrong.
        reason: &'static str,
    },
}

/// Where the model in service is, and length and time of change of both its files: another model has another one.
type Fingerprint = (PathBuf, [(u64, SystemTime); 2]);

fn fingerprint(folder: &Path) -> io::Result<Fingerprint> {
    let folder = in_service(folder)?;
    let of = |name: &str| {
        let metadata = fs::metadata(folder.join(name))?;
        Ok::<_, io::Error>((metadata.len(), metadata.modified()?))
    };
    let files = [of(MANIFEST)?, of(TENSORS)?];
    Ok((folder, files))
}

impl ModelSlot {
    /// A slot with the model of a folder, or the bundled one.
    ///
    /// # Errors
    /// [`SelfCheckError`].
    pub fn open(folder: Option<PathBuf>) -> Result<Self, SelfCheckError> {
        let tried = folder.as_deref().and_then(|folder| fingerprint(folder).ok());
        let model = match &folder {
            Some(folder) => load(folder)?,
            None => Model::bundled()?,
        };
        model.warm_up();
        let status = Status { version: model.version().to_owned(), loaded: 0, refused: 0, refusal: None };
        Ok(ModelSlot {
            current: ArcSwap::from_pointee(model),
            folder,
            loading: Mutex::new(()),
            tried: Mutex::new(tried),
            status: watch::Sender::new(status),
        })
    }

    /// The model that answers now.
    pub fn current(&self) -> Arc<Model> {
        self.current.load_full()
    }

    /// What the slot holds now and will hold.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Loads the folder's model, checks it and lets it take over. Takes as long as a load does; articles are answered by the
    /// old model meanwhile, and after an error.
    ///
    /// # Errors
    /// [`SelfCheckError`]; the old model goes on.
    pub fn reload(&self) -> Result<Reloaded, SelfCheckError> {
        let Some(folder) = &self.folder else { return Ok(Reloaded::Bundled) };
        let _one_at_a_time = self.loading.lock().unwrap_or_else(PoisonError::into_inner);
        // Before the load: what changes during it is loaded again.
        let found = fingerprint(folder).ok();
        *self.tried() = found;
        let model = load(folder).inspect_err(|error| {
            tracing::error!(%error, "the model is refused, the old one goes on");
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
        tracing::info!(from, to, "the model was swapped");
        Ok(Reloaded::Swapped { from, to })
    }

    fn tried(&self) -> MutexGuard<'_, Option<Fingerprint>> {
        self.tried.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the folder for ever, and reloads what changed there once it has stopped changing.
    pub async fn watch(self: Arc<Self>) {
        let Some(folder) = self.folder.clone() else { return };
        let mut files = Watch::new(move || fingerprint(&folder).ok());
        loop {
            let now = files.settled().await;
            if Some(now) != *self.tried() {
                let slot = self.clone();
                // What came of it is logged and counted; a model that cannot be used is tried again when it changes.
                let _ = tokio::task::spawn_blocking(move || slot.reload()).await;
            }
        }
    }
}

/// A folder's model, if it answers an article.
fn load(folder: &Path) -> Result<Model, SelfCheckError> {
    let model = Model::load(folder)?;
    let article = Article {
        headline: "Kenya votes on new budget".to_owned(),
        body: "NAIROBI (Reuters) - Parliament passed the budget on Tuesday after a long debate.".to_owned(),
        ..Article::default()
    };
    let failed = |reason| SelfCheckError::Answer { folder: folder.to_owned(), reason };
    let answer = catch_unwind(AssertUnwindSafe(|| model.classify(&article, &Options::default())))
        .map_err(|_| failed("it stumbles over an article"))?
        .map_err(|_| failed("it refuses an article"))?;
    let topics = answer.topics.iter().map(|label| label.confidence);
    let regions = answer.regions.iter().map(|region| region.label.confidence);
    if !topics.chain(regions).all(|confidence| (0.0..=1.0).contains(&confidence)) {
        return Err(failed("a confidence is no probability"));
    }
    Ok(model)
}
