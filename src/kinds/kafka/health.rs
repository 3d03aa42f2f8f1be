//! When a Kafka can bear that one of its pods is restarted, and when a pod is back.
//!
//! A broker's word on the topics is only as good as its view of the cluster's metadata, so the active controller is asked how
//! far each broker has followed it. The view of one that is up to date is enough to judge all pods, and what the others say can
//! only make the verdict worse; but a replica counts only if its broker answers.

use crate::model::evidence::Evidence;
use crate::model::evidence::kafka::Node;
use crate::model::{Feature, Health, Member, Place, Roster, Verdict};

use super::finish::{METADATA, called};
use super::partitions::{Partitions, topics};
use super::quorum::Controllers;
use super::views::Views;
use super::{release, remarks};

/// Judges what the pods answered.
pub fn judge(evidence: &Evidence, roster: &Roster) -> Health {
    let Evidence::Kafka(answers) = evidence else { return Health::default() };
    let views = Views::new(answers, roster);
    let partitions = Partitions::of(&views);
    let ground = match views.credible() {
        Verdict::Yes => Controllers::agreed(&views),
        verdict => Err(verdict),
    };
    let remarks = remarks::of(&views, ground.as_ref().ok(), roster);
    let judge = Judge { views: &views, partitions, ground };
    Health {
        members: roster.places.iter().map(|place| judge.member(place)).collect(),
        remarks,
        features: features(&views),
    }
}

/// The features that are in force, by the broker whose view of the metadata is the newest. None if the brokers are not of one
/// cluster.
fn features(views: &Views<'_>) -> Vec<Feature> {
    let known =
        views.said.iter().filter_map(|view| Some((view.broker.features.epoch?, &view.broker.features)));
    let newest = known.max_by_key(|(epoch, _)| *epoch).filter(|_| views.credible().is_yes());
    let finalized = newest.into_iter().flat_map(|(_, features)| &features.finalized);
    let feature =
        |(name, level): &(String, i16)| Feature { feature: name.clone(), level: called(name, *level) };
    let mut features: Vec<Feature> = finalized.map(feature).collect();
    features.sort_by(|a, b| a.feature.cmp(&b.feature));
    features
}

/// What the verdicts on all pods rest upon.
struct Judge<'a> {
    views: &'a Views<'a>,
    partitions: Partitions<'a>,
    /// The controllers, or why nothing can be said about any pod.
    ground: Result<Controllers<'a>, Verdict>,
}

impl<'a> Judge<'a> {
    fn member(&self, place: &Place) -> Member {
        let Some(node) = Node::of(place) else { return other(place) };
        let ready = ready(place);
        let back = if ready.is_yes() { self.back(node) } else { ready };
        let may_go = self.may_go(place, node);
        let own = self.views.said.iter().find(|view| view.pod == place.pod);
        Member {
            pod: place.pod.clone(),
            uid: place.uid.clone(),
            role: place.role.clone(),
            id: node.id.to_string(),
            version: own
                .and_then(|view| release::of(view.broker.features.highest(METADATA)?))
                .unwrap_or_default()
                .to_owned(),
            state: self.state(node),
            leader: self.leads(node),
            back: back.in_short(),
            may_go: may_go.in_short(),
            unasked: false,
            busy: Vec::new(),
        }
    }

    /// What is known against a broker by the partitions counts even if nothing can be said of the controllers.
    fn may_go(&self, place: &Place, node: Node) -> Verdict {
        let quorum = self.controllers(node, Controllers::may_go);
        if !node.broker {
            return quorum;
        }
        // Nobody counts on a broker that serves nobody and does not run properly.
        let counts = place.ready || self.views.serves(node.id);
        let replicas = if counts { self.partitions.may_go(node.id) } else { Verdict::Yes };
        quorum.and(replicas).and(self.current())
    }

    fn back(&self, node: Node) -> Verdict {
        let quorum = self.controllers(node, Controllers::back);
        if !node.broker {
            return quorum;
        }
        let fenced = self.views.said.iter().find(|view| !view.broker.serving.contains(&node.id));
        let replicas = match fenced {
            Some(view) => {
                Verdict::unless(vec![format!("broker {} does not serve yet, says {}", node.id, view.pod)])
            }
            None => self.partitions.back(node.id),
        };
        quorum.and(self.views.answered(node.id)).and(replicas).and(self.current())
    }

    /// The verdict of the controllers, which they have only on one of themselves, or why there is none on any pod.
    fn controllers(&self, node: Node, verdict: impl Fn(&Controllers<'a>, i32) -> Verdict) -> Verdict {
        match &self.ground {
            Ok(controllers) if node.controller => verdict(controllers, node.id),
            Ok(_) => Verdict::Yes,
            Err(why) => why.clone(),
        }
    }

    /// At least one broker's view of the topics is known not to be an old one.
    fn current(&self) -> Verdict {
        let Ok(controllers) = &self.ground else { return Verdict::Yes };
        match self.views.said.iter().any(|view| controllers.is_current(view.id)) {
            true => Verdict::Yes,
            false => Verdict::Unknown {
                why: vec!["no broker that answers has caught up with the active controller".to_owned()],
            },
        }
    }

    fn leads(&self, node: Node) -> bool {
        node.controller && self.ground.as_ref().is_ok_and(|controllers| controllers.leader == node.id)
    }

    /// In the words of Kafka's own tools.
    fn state(&self, node: Node) -> String {
        let mut words = Vec::new();
        if let (true, Ok(controllers)) = (node.controller, &self.ground) {
            words.push(match (self.leads(node), controllers.back(node.id)) {
                (true, _) => "Leader".to_owned(),
                (false, Verdict::Yes) => "Follower".to_owned(),
                (false, _) => "Follower, behind".to_owned(),
            });
        }
        if node.broker && !self.views.said.is_empty() {
            words.push(match (self.views.serves(node.id), self.partitions.behind(node.id)) {
                (false, _) => "fenced".to_owned(),
                (true, 0) => "in sync".to_owned(),
                (true, behind) => format!("{behind} of {} replicas not in sync", self.replicas(node.id)),
            });
        }
        if words.is_empty() { "unknown".to_owned() } else { words.join(", ") }
    }

    /// How many partitions the broker holds, by the view that knows most.
    fn replicas(&self, broker: i32) -> usize {
        let held = |view| {
            let partitions = topics(view).flat_map(|topic| &topic.partitions);
            partitions.filter(|partition| partition.replicas.contains(&broker)).count()
        };
        self.views.said.iter().map(|view| held(view.broker)).max().unwrap_or_default()
    }
}

fn ready(place: &Place) -> Verdict {
    let why = match (place.ready, place.uid.is_empty()) {
        (true, _) => return Verdict::Yes,
        (false, true) => format!("pod {} does not exist", place.pod),
        (false, false) => format!("pod {} is not Ready", place.pod),
    };
    Verdict::No { why: vec![why] }
}

/// A pod of a role that is not known, so that nobody knows what depends on it. The Cruise Control is none of them: it runs as
/// a Deployment, which has no places.
fn other(place: &Place) -> Member {
    let unknown = Verdict::Unknown { why: vec![format!("{} is no role of Kafka", place.role)] };
    Member {
        pod: place.pod.clone(),
        uid: place.uid.clone(),
        role: place.role.clone(),
        id: String::new(),
        version: String::new(),
        state: if place.ready { "Ready" } else { "not Ready" }.to_owned(),
        leader: false,
        back: ready(place).and(unknown.clone()),
        may_go: unknown,
        unasked: false,
        busy: Vec::new(),
    }
}

#[cfg(test)]
mod tests;
