//! One run of an operation.

use crate::event::{Finish, Outcome};
use crate::model::Plan;

/// One run of an operation.
#[derive(Debug, Clone)]
pub struct Ran {
    pub plan: Box<Plan>,
    /// Its id.
    pub run: String,
    pub finish: Box<Finish>,
}

impl Ran {
    /// It was refused, and has changed nothing.
    pub(super) fn refused(&self) -> bool {
        self.finish.outcome == Outcome::Refused
    }
}
