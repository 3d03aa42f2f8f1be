use std::time::Duration;

use crate::model::Place;

/// A pod that this run has drained, or has tried to, and has not evicted yet.
pub(super) struct Drained {
    pub place: Place,
    /// When the run wanted to drain it.
    pub since: Duration,
    pub how: How,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// It cannot be drained, or has not said that it was: it may be all the same.
    Not,
    /// It takes on no new work; what it does is waited for.
    Work,
    /// It serves nobody any more.
    Service,
    /// It was waited for long enough.
    Late,
}
