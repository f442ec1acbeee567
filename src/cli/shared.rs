//! What several commands need: a runtime, and the model of a folder.

use super::failure::Failure;
use crate::model::{Model, ModelError};
use std::{path::PathBuf, time::Duration};
use tokio::runtime::Runtime;

/// Runs a command inside a tokio runtime. At its end, work that still blocks a thread, such as reading a model from a file system that
/// hangs, is abandoned.
pub fn in_runtime(command: impl FnOnce(&Runtime) -> Result<(), Failure>) -> Result<(), Failure> {
    const LAST_WORK: Duration = Duration::from_secs(1);
    let runtime = Runtime::new().map_err(Failure::failed)?;
    let outcome = {
        let _inside = runtime.enter();
        command(&runtime)
    };
    runtime.shutdown_timeout(LAST_WORK);
    outcome
}

/// The model in `folder`, or the bundled one.
pub fn model(folder: Option<&PathBuf>) -> Result<Model, ModelError> {
    match folder {
        Some(folder) => Model::load(folder),
        None => Model::bundled(),
    }
}
