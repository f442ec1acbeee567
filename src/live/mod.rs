//! The models of a running program: the one that answers, swapped as its folder changes, and one beside it that is only compared.

mod files;
mod shadow;
mod slot;

pub(crate) use files::Watch;
pub(crate) use shadow::{Compared, Digest, Shadow, ShadowOutcome};
pub use slot::{ModelSlot, Reloaded, SelfCheckError, Status};
