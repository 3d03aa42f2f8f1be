//! What the pods of a Kafka answer.

use super::Said;

/// The answers of all pods that were asked.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answers {
    pub pods: Vec<Said<Pod>>,
}

/// What one pod says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pod {}
