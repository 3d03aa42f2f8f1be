//! The controllers: who leads, who keeps up with it, and which of them may be restarted.

use crate::model::evidence::kafka::{Follower, Quorum};
use crate::model::{Obstacle, Unasked, Verdict};

use super::views::Views;

/// A node that is further behind than this has not caught up, in milliseconds: Kafka's default for
/// `controller.quorum.fetch.timeout.ms`. Nodes that keep up fetch twice a second.
const FETCH_TIMEOUT: i64 = 2_000;

/// The answers of the one leader that everyone names, one for each broker through which it was asked.
pub(super) struct Controllers<'a> {
    pub leader: i32,
    said: Vec<&'a Quorum>,
    views: &'a Views<'a>,
}

impl<'a> Controllers<'a> {
    /// # Errors
    /// Nobody leads, nobody could be asked, or not all name the same leader: the answer to any question that depends on it.
    pub fn agreed(views: &'a Views<'a>) -> Result<Self, Verdict> {
        let said: Vec<_> = views.said.iter().filter_map(|view| view.broker.quorum.as_ref().ok()).collect();
        if said.is_empty() {
            let unasked = views.said.iter().filter_map(|view| view.broker.quorum.as_ref().err());
            return Err(unasked.map(silence).fold(Verdict::Yes, Verdict::and));
        }
        let mut leaders = Vec::new();
        for quorum in &said {
            let Some(leader) = quorum.leader else {
                return Err(no("the controllers have no leader".to_owned()));
            };
            leaders.push((leader, quorum.epoch));
        }
        leaders.sort_unstable();
        leaders.dedup_by_key(|(leader, _)| *leader);
        match leaders[..] {
            [(leader, _)] => Ok(Controllers { leader, said, views }),
            _ => Err(no(format!(
                "brokers do not agree on the active controller: {}",
                leaders
                    .iter()
                    .map(|(leader, epoch)| format!("{leader} in epoch {epoch}"))
                    .collect::<Vec<_>>()
                    .join(", ")
            ))),
        }
    }

    /// A controller may go if enough of the others have caught up to be a quorum without it, by every answer. The numbers are
    /// those of Strimzi's `KafkaQuorumCheck`.
    pub fn may_go(&self, id: i32) -> Verdict {
        self.said.iter().map(|quorum| self.bears_loss(quorum, id)).fold(Verdict::Yes, Verdict::and)
    }

    fn bears_loss(&self, quorum: &Quorum, id: i32) -> Verdict {
        let Some(leader) = quorum.voters.iter().find(|voter| voter.id == self.leader) else {
            return unknown(format!("the active controller {} is not among the voters", self.leader));
        };
        let others: Vec<_> = quorum.voters.iter().filter(|voter| voter.id != id).collect();
        let (late, in_time): (Vec<_>, Vec<_>) =
            others.into_iter().partition(|voter| self.lag(leader, voter).is_err());
        let needed = match quorum.voters.len() {
            0 | 1 => 0,
            2 => 1,
            n => (n + 2) / 2,
        };
        if in_time.len() >= needed {
            return Verdict::Yes;
        }
        let mut why = vec![format!(
            "without controller {id} only {} of {} controllers would be caught up, and {needed} are needed",
            in_time.len(),
            quorum.voters.len(),
        )];
        why.extend(late.into_iter().filter_map(|voter| self.lag(leader, voter).err()));
        Verdict::No { why }
    }

    /// A controller is back when it votes and has caught up, by every answer.
    pub fn back(&self, id: i32) -> Verdict {
        let votes = |quorum: &&Quorum| {
            let find = |id: i32| quorum.voters.iter().find(|voter| voter.id == id);
            match (find(self.leader), find(id)) {
                (None, _) => {
                    unknown(format!("the active controller {} is not among the voters", self.leader))
                }
                (_, None) => no(format!("controller {id} is not among the voters")),
                (Some(leader), Some(voter)) => {
                    Verdict::unless(self.lag(leader, voter).err().into_iter().collect())
                }
            }
        };
        self.said.iter().map(votes).fold(Verdict::Yes, Verdict::and)
    }

    /// The node's view of the topics is that of the active controller, up to a fetch: it follows the metadata in time, as
    /// the active controller itself says.
    pub fn is_current(&self, id: i32) -> bool {
        self.said.iter().all(|quorum| {
            let leader = quorum.voters.iter().find(|voter| voter.id == self.leader);
            // A broker that was restarted may be listed twice among the observers, once as it was before.
            let mut nodes = quorum.voters.iter().chain(&quorum.observers).filter(|node| node.id == id);
            leader.is_some_and(|leader| nodes.any(|node| self.lag(leader, node).is_ok()))
        })
    }

    /// The voters that have not caught up, in words.
    pub fn late(&self) -> Vec<String> {
        let mut late: Vec<String> = Vec::new();
        for quorum in &self.said {
            let Some(leader) = quorum.voters.iter().find(|voter| voter.id == self.leader) else { continue };
            late.extend(quorum.voters.iter().filter_map(|voter| self.lag(leader, voter).err()));
        }
        late.sort();
        late.dedup();
        late
    }

    /// The leader goes on counting on a node that has died until it misses its fetches.
    fn lag(&self, leader: &Follower, node: &Follower) -> Result<(), String> {
        if self.views.is_away(node.id) {
            return Err(format!("the pod of controller {} is not Ready", node.id));
        }
        if node.id == self.leader {
            return Ok(());
        }
        match (leader.caught_up, node.caught_up) {
            (Some(now), Some(then)) if now.saturating_sub(then) < FETCH_TIMEOUT => Ok(()),
            // Not by how much: a reason that changes with every question would be a new one each time.
            _ => Err(format!("controller {} has not caught up with the active controller", node.id)),
        }
    }
}

/// What it means that a broker, which answers itself, has no answer of the active controller. A quorum that is lost is no
/// reason to go by the readiness of pods.
fn silence(unasked: &Unasked) -> Verdict {
    let why = &unasked.message;
    match unasked.obstacle {
        Obstacle::Unreachable | Obstacle::TimedOut => no(format!("the controllers do not answer: {why}")),
        _ => unknown(format!("the active controller: {why}")),
    }
}

fn no(why: String) -> Verdict {
    Verdict::No { why: vec![why] }
}

fn unknown(why: String) -> Verdict {
    Verdict::Unknown { why: vec![why] }
}
