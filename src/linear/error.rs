use thiserror::Error;

/// Why a linear model could not be fitted.
#[derive(Debug, Error)]
pub enum LinearError {
    /// A parameter is out of its range.
    #[error("{name} is {value}, it must be {range}")]
    Parameter {
        /// Its name.
        name: &'static str,
        /// What it was set to.
        value: f64,
        /// What it may be.
        range: &'static str,
    },
    /// Records and targets do not fit each other.
    #[error("{records} records have {targets} rows of targets: each record needs one")]
    Shape {
        /// Number of records.
        records: usize,
        /// Number of target rows.
        targets: usize,
    },
    /// Fewer than two labels, or no rows.
    #[error(
        "there is nothing to learn from: {rows} rows with {labels} different labels; at least two labels are needed"
    )]
    NothingToLearn {
        /// Number of rows.
        rows: usize,
        /// Number of different labels among them.
        labels: usize,
    },
    /// The stock logistic regression gave up, or gave back a model that has learned nothing.
    #[error("the decision layer did not converge ({0}): scores may be constant or not finite")]
    DecisionLayer(String),
    /// An error of linfa's own.
    #[error(transparent)]
    Linfa(#[from] linfa::Error),
}
