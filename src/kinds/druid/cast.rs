//! The processes of a Druid by their roles, and whether each is in service.

use crate::kinds::heard::{Heard, Voice};
use crate::model::evidence::druid::{Answers, Pod, Role};
use crate::model::{Roster, Verdict};

/// The datasource that KubeDB's health checker fills and empties all the time. What becomes of it says nothing.
pub(super) const CHECKER: &str = "kubedb-datasource";

/// A process, and what was heard of it.
pub(super) struct Process<'a> {
    pub voice: Voice<'a, Pod>,
    /// `None` if Druid has no such role.
    pub role: Option<Role>,
}

/// All processes.
pub(super) struct Cast<'a>(pub Vec<Process<'a>>);

impl<'a> Cast<'a> {
    pub fn of(answers: &'a Answers, roster: &'a Roster) -> Self {
        let process = |place| {
            let voice = Voice::of(place, &answers.pods);
            Process { voice, role: Role::named(&place.role) }
        };
        Cast(roster.places.iter().map(process).collect())
    }

    /// The processes of that role.
    pub fn of_role(&self, role: Role) -> impl Iterator<Item = &Process<'a>> {
        self.0.iter().filter(move |process| process.role == Some(role))
    }

    /// The other processes of the same role.
    pub fn others(&self, of: &Process) -> impl Iterator<Item = &Process<'a>> {
        self.0.iter().filter(|other| other.role == of.role && other.pod() != of.pod())
    }

    /// The processes that may lead the coordinators.
    pub fn coordinators(&self) -> impl Iterator<Item = &Process<'a>> {
        self.of_role(Role::Coordinator)
    }

    /// The processes that may lead the overlords: without any of their own, the coordinators.
    pub fn overlords(&self) -> impl Iterator<Item = &Process<'a>> {
        self.of_role(self.role_of_overlords())
    }

    /// The role whose processes are the overlords.
    pub fn role_of_overlords(&self) -> Role {
        Role::of_overlords(self.0.iter().map(|process| &*process.voice.place.role))
    }
}

impl<'a> Process<'a> {
    pub fn pod(&self) -> &'a str {
        &self.voice.place.pod
    }

    pub fn said(&self) -> Option<&'a Pod> {
        self.voice.said()
    }

    /// It leads the coordinators or the overlords.
    pub fn leads(&self) -> bool {
        self.said().is_some_and(|said| {
            said.coordinator.as_ref().is_some_and(|coordinator| coordinator.leads.is_some())
                || said.overlord.as_ref().is_some_and(|overlord| overlord.leads.is_some())
        })
    }

    /// It serves: by what it says itself.
    pub fn well(&self) -> Verdict {
        let Some(said) = self.said() else { return self.voice.silence() };
        let pod = self.pod();
        let complaints = [
            (!said.discovered).then(|| format!("{pod} is not announced to the other processes yet")),
            (said.loaded == Some(false)).then(|| match self.role {
                Some(Role::Broker) => format!("{pod} does not know yet who serves which segments"),
                _ => format!("{pod} is still loading its segments"),
            }),
            said.worker.as_ref().is_some_and(|w| !w.enabled).then(|| format!("{pod} is disabled")),
        ];
        Verdict::unless(complaints.into_iter().flatten().collect())
    }

    /// What it says of itself, in Druid's words.
    pub fn state(&self) -> String {
        let said = match &self.voice.heard {
            Heard::NotReady => return "not Ready".to_owned(),
            Heard::Nothing(_) => return "unknown".to_owned(),
            Heard::Said(said) => said,
        };
        let worker = said.worker.as_ref().map(|w| if w.enabled { "enabled" } else { "disabled" });
        let loaded = said.loaded.map(|loaded| if loaded { "loaded" } else { "loading" });
        let leading = matches!(self.role, Some(Role::Coordinator | Role::Overlord))
            .then(|| if self.leads() { "leader" } else { "standby" });
        let found = if said.discovered { "announced" } else { "not announced" };
        worker.or(loaded).or(leading).unwrap_or(found).to_owned()
    }

    /// The ids of the tasks that it runs for somebody.
    pub fn tasks(&self) -> Vec<String> {
        let worker = self.said().and_then(|said| said.worker.as_ref());
        let tasks = worker.into_iter().flat_map(|worker| &worker.tasks);
        tasks.filter(|id| !is_checkers(id)).cloned().collect()
    }
}

/// The id is that of a task on the health checker's datasource: its type comes first, then the datasource, then when it was
/// made. A type that is not known is taken for a user's.
fn is_checkers(id: &str) -> bool {
    const TYPES: [&str; 10] = [
        "index",
        "index_parallel",
        "single_phase_sub_task",
        "partial_index_generate",
        "partial_range_index_generate",
        "partial_dimension_distribution",
        "partial_index_generic_merge",
        "kill",
        "api-issued_kill",
        "coordinator-issued_kill",
    ];
    let mut rest =
        TYPES.iter().filter_map(|kind| id.strip_prefix(kind)?.strip_prefix('_')?.strip_prefix(CHECKER));
    rest.any(|rest| rest.starts_with('_'))
}
