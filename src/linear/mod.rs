//! Sparse linear models behind linfa's traits, and calibrated decision layers. Independent of articles and labels.
//!
//! Datasets, training and prediction traits, metrics and the logistic regression of [`LogisticLayer`] are linfa's. linfa
//! has no estimator for sparse input, so this module adds a sparse solver: [`LinearSvmParams`] implements linfa's
//! `ParamGuard`, and its checked parameters and model implement `Fit` and `PredictInplace`.

mod decision;
mod error;
mod records;
mod svm;

pub use decision::LogisticLayer;
pub use error::LinearError;
pub use records::SparseRecords;
pub use svm::{LinearSvm, LinearSvmParams, LinearSvmValidParams, SplitMix};
