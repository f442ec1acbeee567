//! Trains models: reads labelled articles, cross-fits, calibrates, measures and compares.
//!
//! In: files of labelled rows. Out: a model, and its quality as measured on held-out rows. The same files and the same seed give
//! the same bytes, on any number of threads. Nothing here prints; [`Progress`] reports how far long work has come.

pub mod active;
mod check;
mod copies;
mod corrections;
mod countries;
mod data;
mod error;
pub mod evaluate;
mod fit;
mod folds;
mod hold_out;
mod intake;
mod labels;
mod languages;
mod left_out;
mod lexicon;
mod markup;
pub mod metrics;
mod progress;
pub mod promotion;
mod read;
pub mod regions;
mod request;
mod retrain;
mod rows;
mod subtopics;
mod terms;
pub mod topic_scores;
pub mod topics;

pub use check::{Check, DATES, check};
pub use countries::country_code;
pub use data::{Data, HeldOut, Rows};
pub use error::TrainError;
pub use fit::{Trained, train};
pub use folds::FOLDS;
pub use intake::{Intake, Teaching};
pub use labels::LabelMap;
pub use left_out::{BadRows, LeftOut};
pub use progress::{Progress, Silent, Steps};
pub use read::read;
pub use request::{MAX_BAD, MIN_ROWS, MIN_SUBTOPIC_ROWS, TrainParams, TrainRequest};
pub use retrain::{Outcome, PromotionError, RetrainRequest, TestAnswers, retrain};
pub use rows::day;
