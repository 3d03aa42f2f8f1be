//! What of the brokers' answers may be believed: who answered, for which cluster, and how well they know it.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::evidence::kafka::{Answers, Broker, Node};
use crate::model::{Roster, Verdict};

/// The answers of the pods that are there now.
pub(super) struct Views<'a> {
    pub said: Vec<View<'a>>,
    /// The brokers that are Ready and gave no answer that is of use, and why.
    silent: BTreeMap<i32, String>,
    /// The nodes whose pods are not Ready.
    away: BTreeSet<i32>,
}

/// What one broker says.
pub(super) struct View<'a> {
    pub pod: &'a str,
    pub id: i32,
    pub broker: &'a Broker,
}

impl<'a> Views<'a> {
    pub fn new(answers: &'a Answers, roster: &'a Roster) -> Self {
        let mut views = Views { said: Vec::new(), silent: BTreeMap::new(), away: BTreeSet::new() };
        for place in &roster.places {
            let Some(Node { id, broker, .. }) = Node::of(place) else { continue };
            if !place.ready {
                views.away.insert(id);
            }
            if !place.ready || !broker {
                continue;
            }
            // What an earlier pod of that name said says nothing about this one.
            let answer = answers.brokers.iter().find(|a| a.pod == place.pod && a.uid == place.uid);
            match answer.map(|answer| &answer.said) {
                Some(Ok(broker)) => views.said.push(View { pod: &place.pod, id, broker }),
                Some(Err(unasked)) => {
                    views.silent.insert(id, format!("{}: {}", place.pod, unasked.message));
                }
                None => {
                    views.silent.insert(id, format!("{}: it has not been asked yet", place.pod));
                }
            }
        }
        views
    }

    /// What forbids to believe any of the answers. One of another cluster comes from a pod that has inherited an address, or
    /// from a broker that was formatted anew; which of them is meant is for a person to find out.
    pub fn credible(&self) -> Verdict {
        if self.said.is_empty() {
            let mut why: Vec<String> = self.silent.values().cloned().collect();
            if why.is_empty() {
                why.push("no broker is Ready, so none can be asked".to_owned());
            }
            return Verdict::Unknown { why };
        }
        let mut clusters: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for view in &self.said {
            clusters.entry(&view.broker.cluster).or_default().push(view.pod);
        }
        if clusters.len() == 1 && !clusters.contains_key("") {
            return Verdict::Yes;
        }
        let each = clusters.iter().map(|(id, pods)| format!("{} to \"{id}\"", pods.join(" and ")));
        Verdict::No {
            why: vec![format!(
                "brokers belong to different clusters: {}",
                each.collect::<Vec<_>>().join(", ")
            )],
        }
    }

    /// Whether a broker answered, and otherwise why not.
    pub fn answered(&self, id: i32) -> Verdict {
        match self.silent.get(&id) {
            Some(why) => Verdict::Unknown { why: vec![why.clone()] },
            None => Verdict::Yes,
        }
    }

    /// The brokers that are Ready and do not answer, and why.
    pub fn silent(&self) -> impl Iterator<Item = (i32, &str)> {
        self.silent.iter().map(|(id, why)| (*id, why.as_str()))
    }

    /// The node has a pod that is not Ready.
    pub fn is_away(&self, id: i32) -> bool {
        self.away.contains(&id)
    }

    /// The broker has a place here, so that a pod of it returns.
    pub fn has(&self, id: i32) -> bool {
        !self.answers(id) || self.said.iter().any(|view| view.id == id)
    }

    /// Nothing is known against the broker's presence; nobody asks one that has no pod here.
    pub fn answers(&self, id: i32) -> bool {
        !self.away.contains(&id) && !self.silent.contains_key(&id)
    }

    /// A broker that anyone takes for one that serves.
    pub fn serves(&self, id: i32) -> bool {
        self.said.iter().any(|view| view.broker.serving.contains(&id))
    }
}
