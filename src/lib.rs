//! Dateline tells what news articles are about: topics (IPTC Media Topics) and regions (ISO 3166 countries in the UN M49
//! tree), with calibrated confidence.
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
pub mod service;
pub mod text;
pub mod topic;
pub mod train;

pub use article::{Article, ArticleError, Classification, Options};
pub use model::Model;
