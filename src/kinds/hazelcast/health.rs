//! When a Hazelcast can bear that one of its pods is restarted.

use crate::model::evidence::Evidence;
use crate::model::{Health, Roster};

/// Judges what the pods answered.
pub fn judge(evidence: &Evidence, _roster: &Roster) -> Health {
    let Evidence::Hazelcast(_answers) = evidence else { return Health::default() };
    Health::default()
}
