use std::time::Duration;

use crate::model::Place;

/// A pod that this run has drained and not evicted yet.
pub(super) struct Drained {
    pub place: Place,
    /// When the run wanted to drain it.
    pub since: Duration,
    /// It was told, and can be told otherwise.
    pub told: bool,
    /// It had nothing left to do.
    pub idle: bool,
}
