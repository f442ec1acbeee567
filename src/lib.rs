//! Dateline tells what news articles are about: topics (IPTC Media Topics) and regions (ISO 3166 countries in the UN M49
//! tree), with calibrated confidence.
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
//! The way of an article goes one direction only: [`formats`] or [`service`] make an [`Article`], [`clean`] makes a document of
//! it, [`text`] its words; [`topic`] and [`region`] score them with the weights of a [`model`], and a [`Classification`] comes
//! back. [`train`] makes models through the same steps, so that a model never sees other features than it was trained on.

pub mod article;
pub mod clean;
pub mod cli;
pub mod formats;
pub mod linear;
pub mod model;
pub mod region;
pub mod relay;
pub mod service;
pub mod text;
pub mod topic;
pub mod train;

pub use article::{Article, ArticleError, Classification, Options};
pub use model::Model;
