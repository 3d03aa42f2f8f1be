//! Who is in a simulated database, and who leads it.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::member::{Joined, Member};
use super::office::{Office, offices};
use crate::kubedb::kind::Kind;

/// The members and leaders of a simulated database.
#[derive(Clone, Debug)]
pub(super) struct Membership {
    pub kind: Kind,
    /// By the name of the pod.
    pub members: BTreeMap<String, Member>,
    /// By the name of the office: the pod that holds it.
    pub leaders: BTreeMap<&'static str, String>,
    /// By the name of the office: how often a leader was chosen, apart from the first.
    pub elections: BTreeMap<&'static str, u32>,
    /// When a member last joined or left, or a leader changed.
    pub changed: Instant,
    joins: u64,
    /// In which version the members of a Hazelcast work together; `None` before the first one is in.
    common: Option<Minor>,
    /// In which they will, and when.
    rising: Option<(Minor, Instant)>,
}

/// The first two numbers of a version.
pub(super) type Minor = (u32, u32);

/// How long a Hazelcast takes to raise its cluster version once no member is older.
const RISES_AFTER: Duration = Duration::from_secs(5);

impl Membership {
    pub fn new(kind: Kind, now: Instant) -> Self {
        Self {
            kind,
            members: BTreeMap::new(),
            leaders: BTreeMap::new(),
            elections: BTreeMap::new(),
            changed: now,
            joins: 0,
            common: None,
            rising: None,
        }
    }

    /// A member that has become Ready is in from now on. `at` is `None` if it always was.
    pub fn admit(&mut self, pod: &str, at: Option<Instant>) {
        let Some(member) = self.members.get_mut(pod) else { return };
        self.joins += 1;
        member.joined = Some(Joined { place: self.joins, at });
        self.changed = at.unwrap_or(self.changed);
    }

    /// Takes in of which versions the members are at a time. The version in which they work together is never lowered.
    pub fn rise(&mut self, at: Instant) {
        let minor = |member: &Member| -> Minor {
            let mut parts = member.version.split('.').map(|part| part.parse().unwrap_or_default());
            (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
        };
        let Some(lowest) = self.members.values().filter(|member| member.is_in()).map(minor).min() else {
            return;
        };
        let common = self.common_version(at);
        self.common = common.or(Some(lowest));
        self.rising = match self.rising {
            Some((to, due)) if due > at && to == lowest => Some((to, due)),
            _ if common.is_some_and(|common| common < lowest) => Some((lowest, at + RISES_AFTER)),
            _ => None,
        };
    }

    /// In which version the members of a Hazelcast work together.
    pub fn common_version(&self, now: Instant) -> Option<Minor> {
        let risen = self.rising.filter(|(_, due)| *due <= now).map(|(to, _)| to);
        risen.or(self.common)
    }

    /// Fills the offices whose holders have gone. `wanted` says how many members there should be that may hold one.
    pub fn elect(&mut self, wanted: impl Fn(&Office) -> usize) {
        for office in offices(self.kind) {
            let candidates: Vec<&Member> = self.candidates(office).collect();
            let quorum = if office.needs_quorum { wanted(office) / 2 + 1 } else { 1 };
            if candidates.len() < quorum {
                self.leaders.remove(office.name);
                continue;
            }
            let holder = self.leaders.get(office.name);
            if holder.is_some_and(|holder| candidates.iter().any(|member| member.pod == *holder)) {
                continue;
            }
            if let Some(chosen) = office.choose(&candidates).map(str::to_owned) {
                self.install(office, chosen);
            }
        }
    }

    /// Gives an office to the next member that may hold it; `false` where nobody else may.
    pub fn pass_on(&mut self, office: &Office, at: Instant) -> bool {
        let Some(holder) = self.leaders.get(office.name).filter(|_| office.may_move) else { return false };
        let others: Vec<&Member> = self.candidates(office).filter(|member| member.pod != *holder).collect();
        let after = others.iter().find(|member| member.pod > *holder).or_else(|| others.first());
        let Some(next) = after.map(|member| member.pod.clone()) else { return false };
        self.install(office, next);
        self.changed = at;
        true
    }

    fn candidates<'a>(&'a self, office: &'a Office) -> impl Iterator<Item = &'a Member> {
        self.members.values().filter(|member| member.is_in() && office.is_for(&member.role))
    }

    fn install(&mut self, office: &Office, pod: String) {
        self.leaders.insert(office.name, pod);
        *self.elections.entry(office.name).or_default() += 1;
    }
}
