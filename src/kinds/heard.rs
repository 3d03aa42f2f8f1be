//! What was heard from a place of a database, if anything.

use crate::model::evidence::Said;
use crate::model::{Place, Verdict};

/// A place, and what the pod in it answered.
pub(super) struct Voice<'a, T> {
    pub place: &'a Place,
    pub heard: Heard<'a, T>,
}

/// What was heard of a pod.
pub(super) enum Heard<'a, T> {
    /// It is missing or not Ready, so it was not asked.
    NotReady,
    /// It is Ready, and there is no answer of use. Why.
    Nothing(String),
    Said(&'a T),
}

impl<'a, T> Voice<'a, T> {
    /// What was heard from that place. The answer of an earlier pod of the same name is none.
    pub fn of(place: &'a Place, said: &'a [Said<T>]) -> Self {
        let pod = &place.pod;
        let answer = said.iter().find(|said| said.pod == *pod && said.uid == place.uid);
        let heard = match answer.map(|answer| &answer.said) {
            _ if !place.ready => Heard::NotReady,
            Some(Ok(said)) => Heard::Said(said),
            Some(Err(unasked)) => Heard::Nothing(format!("{pod}: {}", unasked.message)),
            None => Heard::Nothing(format!("{pod} has not been asked yet")),
        };
        Voice { place, heard }
    }

    /// What the pod said, if it said something.
    pub fn said(&self) -> Option<&'a T> {
        match self.heard {
            Heard::Said(said) => Some(said),
            Heard::NotReady | Heard::Nothing(_) => None,
        }
    }

    /// Why the pod is not known to be well, before anything of what it says is judged.
    pub fn silence(&self) -> Verdict {
        match &self.heard {
            Heard::NotReady => Verdict::No { why: vec![format!("{} is not Ready", self.place.pod)] },
            Heard::Nothing(why) => Verdict::Unknown { why: vec![why.clone()] },
            Heard::Said(_) => Verdict::Yes,
        }
    }

    /// Whether it may be restarted as the only one that does what it does: others are not affected, so it only has to answer.
    pub fn restart_alone(&self) -> Verdict {
        match self.heard {
            Heard::Nothing(_) => self.silence(),
            Heard::NotReady | Heard::Said(_) => Verdict::Yes,
        }
    }
}
