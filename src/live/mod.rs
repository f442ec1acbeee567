//! The models of a running program: the live model, which is reloaded when its folder changes, and a shadow model, whose
//! answers are compared with the live ones and never sent.

mod files;
mod shadow;
mod slot;

pub(crate) use files::Watch;
pub(crate) use shadow::{Compared, Digest, Shadow, ShadowOutcome};
pub use slot::{ModelSlot, ReloadError, Reloaded, SelfCheckError, Status};
