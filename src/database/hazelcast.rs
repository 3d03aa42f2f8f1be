use crate::model::Roster;
use crate::model::evidence::hazelcast::Answers;

use super::door::Door;

/// The connections to the pods.
#[derive(Default)]
pub struct Asker {}

impl Asker {
    /// Asks every pod that is Ready.
    pub async fn ask(&mut self, _door: &Door, _roster: &Roster) -> Answers {
        Answers::default()
    }
}
