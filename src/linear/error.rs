//! Errors of fitting linear models.

use thiserror::Error;

/// A linear model could not be fitted.
#[derive(Debug, Error)]
pub enum LinearError {
    /// A parameter is out of its range.
    #[error("invalid parameter {name} {value}: expected a number {range}")]
    Parameter {
        /// The name of the parameter.
        name: &'static str,
        /// The invalid value.
        value: f64,
        /// The valid range.
        range: &'static str,
    },
    /// Records and targets have different numbers of rows.
    #[error("{targets} rows of targets for {records} records: expected one row per record")]
    Shape {
        /// Number of records.
        records: usize,
        /// Number of target rows.
        targets: usize,
    },
    /// Fewer than two labels, or no rows.
    #[error("nothing to learn: {rows} rows with {labels} different labels, expected at least two labels")]
    NothingToLearn {
        /// Number of rows.
        rows: usize,
        /// Number of different labels among them.
        labels: usize,
    },
    /// The logistic regression failed, or its model is no better than the prior.
    #[error("the decision layer did not converge ({0}): scores may be constant or not finite")]
    DecisionLayer(String),
    /// An error of linfa.
    #[error(transparent)]
    Linfa(#[from] linfa::Error),
}
