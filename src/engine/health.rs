//! Whether the database can bear the next restart: wanting to know, and hearing its answers.

use crate::kinds;
use crate::model::{Check, Lookup, Pod, Strategy};
use crate::roll::Asked;

use super::asking::Answered;
use super::roll::Roll;
use super::run::Run;

impl Run {
    /// Asks the database from now on, as long as no pod of it is being replaced: before the first eviction, and again as soon
    /// as the new pod is Ready. `true` if the pods have changed, so that all answers so far are out of date.
    pub(super) fn ask_database(&mut self, roll: &Roll<'_>) -> bool {
        if self.plan.health.is_none() || roll.plan.strategy != Strategy::Evict {
            return false;
        }
        let snapshot = &self.observer.snapshot;
        let back = |pod: &Pod| pod.healthy() && !self.memory.evicted.contains(&pod.uid);
        let calm = roll.flights.iter().all(|flight| flight.in_place(snapshot).is_some_and(back));
        let roster = calm.then(|| kinds::roster(snapshot));
        let news = self.observer.begin_asking().want(roster);
        if news {
            self.memory.vitals.outdate(self.narrator.now());
        }
        news
    }

    /// No pod is restarted any more, so nobody is asked.
    pub(super) async fn ask_no_more(&mut self) {
        self.undrain().await;
        self.observer.asking = None;
    }

    /// Takes in what the database has answered.
    pub(super) fn hear_answer(&mut self, answered: Answered) {
        let Answered { asked, health, .. } = answered;
        let health = health.told(|text| self.observer.cluster.without_secrets(text));
        let asked = asked.saturating_duration_since(self.narrator.emitter.began());
        self.memory.vitals.hear(asked, &health);
        self.observer.snapshot.health = Lookup::Found(health);
    }

    /// What it says; `None` if it is not asked, or the user has overridden it by name.
    pub(super) fn asked(&self) -> Option<Asked<'_>> {
        let questions = &self.plan.kind.facts().questions;
        let binds = !self.options.skip.contains(&Check::Quorum);
        self.plan.health.as_ref().filter(|_| binds).map(|before| Asked {
            database: self.plan.kind.name(),
            before,
            last: self.observer.snapshot.said(),
            vitals: &self.memory.vitals,
            apart: match self.memory.vitals.hung {
                true => questions.apart_after_a_hang,
                false => questions.apart,
            },
        })
    }
}
