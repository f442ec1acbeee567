//! A folder of model versions, one of them in service.
//!
//! `versions/VERSION/` holds the files of each version. `CURRENT` lists the version in service and, one per line, those
//! that were in service before it. A version is written to a temporary folder and put into service by an atomic rename of
//! `CURRENT`, so that a reader always finds a complete model, even if the writer is killed. A folder without `CURRENT` is a
//! single model, as `dateline train --out` writes it.

mod error;
mod lock;
mod publish;
mod versions;

pub use error::StoreError;
pub use lock::Lock;
pub use publish::Store;
pub use versions::{Version, in_service, load_version, versions};
