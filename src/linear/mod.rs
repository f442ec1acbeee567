//! Sparse linear learning behind linfa's traits, and the calibrated decision layers.
//!
//! Datasets, training and prediction traits, metrics and the decision layers are linfa's: [`LogisticLayer`]
//! holds the weights of its stock logistic regression. linfa has no estimator for sparse input, so the
//! sparse solver, [`LinearSvmParams`], is ours and implements linfa's `ParamGuard`, `Fit` and `PredictInplace`. Nothing here
//! knows articles, words or countries.

mod decision;
mod error;
mod records;
mod svm;

pub use decision::LogisticLayer;
pub use error::LinearError;
pub use records::SparseRecords;
pub use svm::{LinearSvm, LinearSvmParams, LinearSvmValidParams, SplitMix};
