//! Files that are looked at again and again.

use std::{sync::Arc, time::Duration};

/// How often files are looked at. Events of the file system do not reach network mounts and miss the links that orchestrators
/// swap, so that looking is the one way that always works.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Looks at files, for as long as it is asked.
pub struct Watch<T> {
    look: Arc<dyn Fn() -> Option<T> + Send + Sync>,
    seen: Option<T>,
}

impl<T: Clone + PartialEq + Send + 'static> Watch<T> {
    /// `look` says what the files are like; `None` where one is away.
    pub fn new(look: impl Fn() -> Option<T> + Send + Sync + 'static) -> Self {
        Watch { look: Arc::new(look), seen: None }
    }

    /// What the files are like, once two looks in a row have found the same: what is still being written is not.
    pub async fn settled(&mut self) -> T {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let look = self.look.clone();
            // A disk may take its time.
            let now = tokio::task::spawn_blocking(move || look()).await.ok().flatten();
            let before = std::mem::replace(&mut self.seen, now);
            if let Some(now) = self.seen.clone().filter(|now| Some(now) == before.as_ref()) {
                return now;
            }
        }
    }
}
