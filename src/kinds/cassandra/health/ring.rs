//! The nodes of a Cassandra, and how each of them sees the others.

use std::collections::{BTreeMap, BTreeSet};

use crate::kinds::heard::{Heard, Voice};
use crate::model::Verdict;
use crate::model::evidence::cassandra::{Node, Pod, Reach};

/// All nodes that the workloads are to have.
pub struct Ring<'a> {
    pub voices: Vec<Voice<'a, Pod>>,
}

impl Ring<'_> {
    /// What the pods said.
    pub fn said(&self) -> impl Iterator<Item = &Pod> {
        self.voices.iter().filter_map(Voice::said)
    }

    /// How many pods are not Ready, so that nobody expects them to answer.
    pub fn away(&self) -> u32 {
        let away = self.voices.iter().filter(|voice| matches!(voice.heard, Heard::NotReady)).count();
        u32::try_from(away).unwrap_or(u32::MAX)
    }

    /// How many replicas of one range a node takes for down. More are needed than there are nodes where a keyspace is to be
    /// kept more often than there are nodes, as `system_distributed` is in a small cluster.
    pub fn missing(&self, said: &Pod) -> u32 {
        let nodes = u32::try_from(self.voices.len()).unwrap_or(u32::MAX);
        match said.reach {
            Reach::Alive { alive, needed } => needed.min(nodes).saturating_sub(alive),
            Reach::All | Reach::Silence => 0,
        }
    }

    /// Some node does not answer that one, though it takes it for alive.
    pub fn silence(&self, voice: &Voice<'_, Pod>, said: &Pod) -> Option<String> {
        let silent = said.reach == Reach::Silence;
        silent
            .then(|| format!("{} gets no answer from every replica (consistency level ALL)", voice.place.pod))
    }

    /// A node reads from all others, except for those that are not expected to answer.
    pub fn reads(&self, voice: &Voice<'_, Pod>, said: &Pod) -> Verdict {
        let missing = self.missing(said) > self.away();
        let missing = missing.then(|| self.takes_for_down(voice, said));
        Verdict::unless(self.silence(voice, said).into_iter().chain(missing).collect())
    }

    /// A node sees all others, and reads from each.
    pub fn sees_all(&self, voice: &Voice<'_, Pod>, said: &Pod) -> Verdict {
        let mut why: Vec<_> = self.voices.iter().filter_map(|other| sees(voice, said, other)).collect();
        why.extend(self.strangers(voice, said));
        why.extend(self.silence(voice, said));
        why.extend((self.missing(said) > 0).then(|| self.takes_for_down(voice, said)));
        why.extend(streams(voice, said));
        Verdict::unless(why)
    }

    /// The same, whatever it sees of one that is not Ready.
    pub fn sees_the_others(&self, voice: &Voice<'_, Pod>, said: &Pod, but: &Voice<'_, Pod>) -> Verdict {
        let others = self.voices.iter().filter(|other| other.place.pod != but.place.pod);
        let mut why: Vec<_> = others.filter_map(|other| sees(voice, said, other)).collect();
        why.extend(streams(voice, said));
        Verdict::unless(why)
    }

    /// Where the answers contradict each other: they are of different clusters, or the cluster is still changing.
    pub fn disagreement(&self) -> Verdict {
        let clusters: BTreeSet<_> = self.said().map(|pod| pod.cluster.as_str()).collect();
        let mut hosts = BTreeSet::new();
        let twice = self.said().map(|pod| pod.host_id.as_str()).find(|host| !hosts.insert(*host));
        let mut why = Vec::new();
        why.extend((clusters.len() > 1).then(|| {
            format!(
                "the pods are nodes of different clusters: {}",
                clusters.into_iter().collect::<Vec<_>>().join(", ")
            )
        }));
        why.extend(twice.map(|host| format!("two pods say that they are node {host}")));
        for (release, schemas) in self.schemas().into_iter().filter(|(_, schemas)| schemas.len() > 1) {
            why.push(format!("nodes of version {release} have {} different schemas", schemas.len()));
        }
        Verdict::unless(why)
    }

    /// The schemas that nodes of each major version have, as seen by all. Nodes of different major versions never agree: a
    /// new one has tables in its system keyspaces that the old one does not know (seen with 4.1.8 and 5.0.3).
    fn schemas(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut schemas: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for pod in self.said() {
            let known =
                hosts(pod).into_iter().filter_map(|host| latest(pod, host)).filter(|node| is_up(node));
            let own = (pod.version.as_str(), pod.schema.as_str());
            for (version, schema) in
                known.map(|node| (node.version.as_str(), node.schema.as_str())).chain([own])
            {
                let major = version.split('.').next().unwrap_or_default();
                schemas.entry(major).or_default().insert(schema);
            }
        }
        schemas
    }

    /// Nodes that no pod is: more than there are pods that have not answered.
    fn strangers(&self, voice: &Voice<'_, Pod>, said: &Pod) -> Option<String> {
        let answered: BTreeSet<_> = self.said().map(|pod| pod.host_id.as_str()).collect();
        let known = hosts(said).into_iter().filter(|host| latest(said, host).is_some_and(is_there));
        let strange = known.filter(|host| !answered.contains(host)).count();
        let unheard = self.voices.iter().filter(|voice| voice.said().is_none()).count();
        let more = strange.checked_sub(unheard).filter(|more| *more > 0)?;
        Some(format!("{} knows nodes that are none of the pods: {more}", voice.place.pod))
    }

    fn takes_for_down(&self, voice: &Voice<'_, Pod>, said: &Pod) -> String {
        let Reach::Alive { alive, needed } = said.reach else { return String::new() };
        let needed = needed.min(u32::try_from(self.voices.len()).unwrap_or(u32::MAX));
        format!("{} sees {alive} of {needed} replicas alive", voice.place.pod)
    }
}

/// What speaks against that a node sees another up and normal, or itself. Of one that said nothing, its host is not known.
pub fn sees(voice: &Voice<'_, Pod>, said: &Pod, other: &Voice<'_, Pod>) -> Option<String> {
    let (pod, other, host) = (&voice.place.pod, &other.place.pod, &other.said()?.host_id);
    match latest(said, host).map(|node| node.status.as_str()) {
        Some("NORMAL") => None,
        Some("") | None => Some(format!("{pod} does not know {other} yet")),
        Some(status) if pod == other => Some(format!("{pod} is {status}")),
        Some(status) => Some(format!("{pod} sees {other} as {status}")),
    }
}

fn streams(voice: &Voice<'_, Pod>, said: &Pod) -> Option<String> {
    let streams: BTreeSet<_> = said.streams.iter().map(String::as_str).collect();
    (!streams.is_empty()).then(|| {
        format!("{} streams: {}", voice.place.pod, streams.into_iter().collect::<Vec<_>>().join(", "))
    })
}

/// What a node knows of another since that was last started: it may be known by an earlier address as well.
pub fn latest<'a>(said: &'a Pod, host: &str) -> Option<&'a Node> {
    said.known.iter().filter(|node| node.host_id == host).max_by_key(|node| node.generation)
}

fn hosts(said: &Pod) -> BTreeSet<&str> {
    said.known.iter().map(|node| node.host_id.as_str()).collect()
}

/// It has not been removed from the cluster, which gossip remembers for three days.
fn is_there(node: &Node) -> bool {
    !matches!(node.status.as_str(), "LEFT" | "removed" | "")
}

/// It is there and has not announced its end.
fn is_up(node: &Node) -> bool {
    is_there(node) && node.status != "shutdown"
}
