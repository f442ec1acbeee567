//! Dateline classifies news articles by topic (IPTC Media Topics) and region (ISO 3166 countries in the UN M49 tree), with
//! calibrated confidence.
//!
//! ```
//! use dateline::{Article, Model, Options};
//!
//! let model = Model::bundled()?;
//! let article = Article {
//!     headline: "Central bank holds rates".into(),
//!     body: "TOKYO (Reuters) - The Bank of Japan left interest rates unchanged on Thursday, and the yen fell.".into(),
//!     ..Article::default()
//! };
//! let answer = model.classify(&article, &Options::default())?;
//! assert_eq!(&*answer.topics[0].name, "economy, business and finance");
//! assert_eq!(&*answer.regions[0].label.code, "JP");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Without default features the crate is what this example needs. The features `train`, `serve`, `relay` and `cli` (default) add
//! training, the gRPC server, the worker of a message broker, and the program with all of them.
//!
//! An article flows in one direction: [`formats`] or [`service`] make an [`Article`], [`clean`] turns it into a document and
//! [`text`] into words, [`topic`] and [`region`] score these with the weights of a [`model`], and the result is a
//! [`Classification`]. [`train`] uses the same steps, so that a model is served the features that it was trained on.

// Input may be anything: no panic.
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod article;
pub mod clean;
#[cfg(feature = "cli")]
pub mod cli;
pub mod copies;
#[cfg(feature = "credentials")]
#[cfg_attr(not(feature = "cli"), allow(dead_code, unused_imports))] // each part uses some of it
pub mod credentials;
pub mod document;
#[cfg(feature = "formats")]
pub mod formats;
pub mod geography;
pub mod linear;
#[cfg(feature = "live")]
#[cfg_attr(not(feature = "cli"), allow(dead_code, unused_imports))] // each part uses some of it
pub mod live;
pub mod model;
#[cfg(feature = "observe")]
#[cfg_attr(not(feature = "cli"), allow(dead_code, unused_imports))] // each part uses some of it
pub mod observe;
pub mod region;
#[cfg(feature = "relay")]
pub mod relay;
#[cfg(feature = "train")]
pub mod report;
#[cfg(feature = "serve")]
pub mod service;
pub mod text;
pub mod topic;
#[cfg(feature = "train")]
pub mod train;
#[cfg(feature = "serve")]
mod web;
#[cfg(feature = "wire")]
#[cfg_attr(not(feature = "cli"), allow(dead_code, unused_imports))] // each part uses some of it
pub mod wire;

pub use article::{Article, ArticleError, Classification, Options};
pub use model::Model;
