use std::time::Duration;

use crate::event::WaitingOn;
use crate::model::{Health, Member, Plan, Pod, Snapshot, Verdict};

use super::Vitals;

/// For how long an answer of the database is waited for in silence.
const SILENCE: Duration = Duration::from_secs(2);

/// What is said while no answer has come.
const SILENT: &str = "no answer yet";

/// What the database says of its pods, for whoever asks whether one may be restarted, or is back.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Its kind, as a person writes it.
    pub database: &'a str,
    /// What it said before the start. Whoever could not be asked then is not waited for, which the plan says.
    pub before: &'a Health,
    /// What it said last.
    pub last: Option<&'a Health>,
    pub vitals: &'a Vitals,
    /// For how long its answers have to be good before they are believed.
    pub apart: Duration,
}

impl Asked<'_> {
    /// The pod's answer has to be waited for: it could be asked before the start.
    pub fn answers_for(&self, pod: &Pod) -> bool {
        !self.before.member(&pod.name).is_some_and(|member| member.unasked)
    }

    /// What keeps a pod that is Ready from being a member of the database again; `None` if nothing does.
    pub fn not_back(&self, pod: &Pod, now: Duration) -> Option<WaitingOn> {
        match self.answer(pod, now, |member| &member.back) {
            _ if !self.answers_for(pod) => None,
            Ok(()) => None,
            Err(on) => Some(on),
        }
    }

    /// A pod that was restarted, by whichever process, and is Ready, but no member of the database again.
    pub fn returning(&self, plan: &Plan, snapshot: &Snapshot, now: Duration) -> Option<WaitingOn> {
        let restarted = |pod: &&Pod| {
            plan.workload(&pod.owner).is_some_and(|planned| snapshot.on_target(planned, pod)) && pod.healthy()
        };
        snapshot.pods.iter().filter(restarted).find_map(|pod| self.not_back(pod, now))
    }

    /// For a moment after a change there is no answer yet, which is not worth a word.
    pub fn in_a_moment(&self, on: &WaitingOn, now: Duration) -> bool {
        matches!(on, WaitingOn::Answer { .. }) && self.vitals.awaited(now) < SILENCE
    }

    /// Why an answer that is good is not believed yet, if it is worth a word.
    pub fn not_believed_yet(&self) -> Option<WaitingOn> {
        let (database, seconds) = (self.database.to_owned(), self.apart.as_secs());
        let why = format!(
            "it has to stay good for {seconds} s, since the pod that was restarted last may not have ended by itself"
        );
        (self.vitals.hung && self.apart > SILENCE).then(|| WaitingOn::Answer { database, why: vec![why] })
    }

    /// The database can bear that the pod is restarted.
    ///
    /// # Errors
    /// What to wait for: that it can, or that it says so.
    pub fn may_go(&self, pod: &Pod, now: Duration) -> Result<(), WaitingOn> {
        self.answer(pod, now, |member| &member.may_go)
    }

    fn answer(
        &self,
        pod: &Pod,
        now: Duration,
        verdict: impl Fn(&Member) -> &Verdict,
    ) -> Result<(), WaitingOn> {
        let database = self.database.to_owned();
        let last = self.last.filter(|_| self.vitals.fresh(now));
        match last.and_then(|last| last.member(&pod.name)).filter(|member| member.uid == pod.uid).map(verdict)
        {
            Some(Verdict::Yes) => Ok(()),
            Some(Verdict::No { why }) => Err(WaitingOn::Database { database, why: why.clone() }),
            Some(Verdict::Unknown { why }) => Err(WaitingOn::Answer { database, why: why.clone() }),
            None => Err(WaitingOn::Answer { database, why: vec![SILENT.to_owned()] }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roll::testworld::{health, pod};

    const NOW: Duration = Duration::from_secs(10);

    fn words(on: Option<WaitingOn>) -> &'static str {
        match on {
            None => "nothing",
            Some(WaitingOn::Database { .. }) => "the database",
            Some(WaitingOn::Answer { .. }) => "an answer",
            Some(_) => "something else",
        }
    }

    #[test]
    fn unknown_and_old_answers_are_waited_for() {
        for (before, last, asked, may_go, back) in [
            ("yes", "yes", 9, "nothing", "nothing"),
            ("yes", "yes-away", 9, "nothing", "the database"),
            ("yes", "no", 9, "the database", "nothing"),
            ("yes", "unknown", 9, "an answer", "nothing"),
            ("no", "yes", 9, "nothing", "nothing"),
            ("yes", "yes", 1, "an answer", "an answer"),
            ("yes", "", 9, "an answer", "an answer"),
            // A pod that was silent before the start is waited for, one that cannot be asked is not.
            ("unknown", "unknown-away", 9, "an answer", "the database"),
            ("unasked", "unknown-away", 9, "an answer", "nothing"),
        ] {
            let mut vitals = Vitals::default();
            let before = health(&[("a-0", before)]);
            let last = if last.is_empty() { Health::default() } else { health(&[("a-0", last)]) };
            vitals.hear(Duration::from_secs(asked), &last);
            let (database, apart) = ("Kafka", Duration::ZERO);
            let asked = Asked { database, before: &before, last: Some(&last), vitals: &vitals, apart };
            let pod = Pod { uid: "uid-a-0".into(), ..pod("a", 0, "old") };
            let found = (words(asked.may_go(&pod, NOW).err()), words(asked.not_back(&pod, NOW)));
            assert_eq!(found, (may_go, back), "{before:?} {last:?}");
            let another = Pod { uid: "another".into(), ..pod };
            assert_eq!(words(asked.may_go(&another, NOW).err()), "an answer", "another pod of that name");
        }
    }
}
