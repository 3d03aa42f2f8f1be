//! A simulated database at one moment: what its members answer from, and what judges it.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::time::Instant;

use super::contents::Contents;
use super::disk::{Disk, Progress, Rewriting, Volume};
use super::levels::Levels;
use super::member::Member;
use super::membership::Membership;
use super::office::Office;
use super::trouble::{Misanswer, Trouble, means};

/// How many members of a role there should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub role: String,
    pub count: usize,
}

/// A database now.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub namespace: String,
    pub name: String,
    pub uid: String,
    /// Whether it wants credentials.
    pub secured: bool,
    pub wanted: Vec<Wanted>,
    pub membership: Arc<Membership>,
    pub contents: Contents,
    /// Of a Kafka, the levels of its features that are in force.
    pub features: Levels,
    /// How often those have been changed.
    pub feature_changes: u32,
    /// Whether Cassandra's nodes have a management API.
    pub managed: bool,
    /// What Cassandra's nodes have on their disks, by the names of their pods, if that is not as usual.
    pub volumes: Arc<BTreeMap<String, Volume>>,
    /// What is wrong now.
    pub troubles: Vec<Trouble>,
    pub now: Instant,
    pub wall: Timestamp,
}

impl View {
    /// How many members there should be.
    pub fn size(&self) -> usize {
        self.wanted.iter().map(|wanted| wanted.count).sum()
    }

    /// How many members of a role there should be.
    pub fn size_of(&self, role: &str) -> usize {
        self.wanted.iter().filter(|wanted| wanted.role == role).map(|wanted| wanted.count).sum()
    }

    /// How many members there should be that may hold an office.
    pub fn size_for(&self, office: &Office) -> usize {
        size_for(&self.wanted, office)
    }

    pub fn member(&self, pod: &str) -> Option<&Member> {
        self.membership.members.get(pod)
    }

    /// Those of some roles, by role and ordinal; of all roles if none is named.
    pub fn members(&self, roles: &[&str]) -> Vec<&Member> {
        let all = self.membership.members.values();
        let mut members: Vec<_> =
            all.filter(|member| roles.is_empty() || roles.contains(&member.role.as_str())).collect();
        members.sort_by(|a, b| (&a.role, a.ordinal).cmp(&(&b.role, b.ordinal)));
        members
    }

    /// Whether a member is in, and in this database, and serves.
    pub fn is_in(&self, member: &Member) -> bool {
        member.is_in() && !member.drained && !self.is_foreign(&member.pod)
    }

    /// Those of some roles that are in.
    pub fn present(&self, roles: &[&str]) -> Vec<&Member> {
        let mut members = self.members(roles);
        members.retain(|member| self.is_in(member));
        members
    }

    /// How many of some roles are in.
    pub fn count(&self, roles: &[&str]) -> usize {
        let all = self.membership.members.values();
        let fits = |member: &&Member| roles.is_empty() || roles.contains(&member.role.as_str());
        all.filter(fits).filter(|member| self.is_in(member)).count()
    }

    /// Who holds an office.
    pub fn leader(&self, office: &Office) -> Option<&Member> {
        self.membership.leaders.get(office.name).and_then(|pod| self.member(pod))
    }

    /// Whether a member holds an office, or says so.
    pub fn leads(&self, member: &Member, office: &Office) -> bool {
        let holds = self.leader(office).is_some_and(|leader| leader.pod == member.pod);
        let claims = || {
            office.is_for(&member.role)
                && self.any(
                    |trouble| matches!(trouble, Trouble::ClaimsToLead { pods } if means(pods, &member.pod)),
                )
        };
        holds || (self.is_in(member) && claims())
    }

    /// How many of the members that are in say that they hold an office.
    pub fn leaders(&self, office: &Office) -> usize {
        let all = self.membership.members.values();
        all.filter(|member| self.is_in(member) && self.leads(member, office)).count()
    }

    /// How many leaders there have been, the first one included.
    pub fn epoch(&self, office: &Office) -> u32 {
        1 + self.membership.elections.get(office.name).copied().unwrap_or_default()
    }

    pub fn any(&self, holds: impl Fn(&Trouble) -> bool) -> bool {
        self.troubles.iter().any(holds)
    }

    /// What a node has on its disk.
    pub fn disk(&self, pod: &str) -> Disk {
        self.volumes.get(pod).map_or_else(Disk::default, |volume| volume.disk(self.now))
    }

    /// The last rewriting of a node.
    pub fn rewriting(&self, pod: &str) -> Option<&Rewriting> {
        self.volumes.get(pod)?.rewriting.as_ref()
    }

    /// How often a node has begun to rewrite.
    pub fn rewritings(&self, pod: &str) -> u32 {
        self.volumes.get(pod).map_or(0, |volume| volume.count)
    }

    /// What a node does to its disk.
    pub fn progress(&self, pod: &str) -> Option<Progress> {
        self.volumes.get(pod)?.progress(self.now)
    }

    /// Whether the process of a pod is one of another cluster.
    pub fn is_foreign(&self, pod: &str) -> bool {
        self.any(|trouble| matches!(trouble, Trouble::OtherCluster { pods } if means(pods, pod)))
    }

    /// What a pod does instead of answering.
    pub fn misanswer(&self, pod: &str) -> Option<Misanswer> {
        self.troubles.iter().find_map(|trouble| match trouble {
            Trouble::Answers { pods, how } if means(pods, pod) => Some(*how),
            _ => None,
        })
    }

    /// Whether a pod takes nobody's credentials.
    pub fn rejects(&self, pod: &str) -> bool {
        self.misanswer(pod) == Some(Misanswer::RejectCredentials)
    }
}

/// How many members there should be that may hold an office.
pub(super) fn size_for(wanted: &[Wanted], office: &Office) -> usize {
    wanted.iter().filter(|wanted| office.is_for(&wanted.role)).map(|wanted| wanted.count).sum()
}
