//! When a Hazelcast can bear that one of its pods is restarted: while every member sees the same members, all of them,
//! and every partition has its backups.

use std::collections::BTreeSet;

use crate::kinds::heard::{Heard, Voice};
use crate::model::evidence::Evidence;
use crate::model::evidence::hazelcast::Pod;
use crate::model::{Check, Health, Member, Remark, Roster, Verdict};

/// Judges what the pods answered.
pub fn judge(evidence: &Evidence, roster: &Roster) -> Health {
    let Evidence::Hazelcast(answers) = evidence else { return Health::default() };
    let voices: Vec<_> = roster.places.iter().map(|place| Voice::of(place, &answers.pods)).collect();
    let members = voices.iter().map(|voice| member(voice, &voices)).collect();
    Health { members, remarks: remarks(&voices), ..Health::default() }
}

fn member(voice: &Voice<Pod>, all: &[Voice<Pod>]) -> Member {
    let (place, said) = (voice.place, voice.said());
    let itself = said.and_then(Pod::itself);
    Member {
        pod: place.pod.clone(),
        uid: place.uid.clone(),
        role: if itself.is_some_and(|peer| peer.lite) { "lite member" } else { "member" }.to_owned(),
        id: itself.map(|peer| peer.uuid.clone()).unwrap_or_default(),
        version: itself.map(|peer| peer.version.clone()).unwrap_or_default(),
        state: state(voice),
        leader: said.is_some_and(|pod| pod.members.first().is_some_and(|oldest| oldest.local)),
        back: back(voice, all).in_short(),
        may_go: may_go(voice, all).in_short(),
        unasked: false,
        busy: Vec::new(),
    }
}

fn state(voice: &Voice<Pod>) -> String {
    match &voice.heard {
        Heard::NotReady => "not Ready".to_owned(),
        Heard::Nothing(_) => "unknown".to_owned(),
        Heard::Said(pod) if pod.cluster_state == pod.node_state => pod.node_state.clone(),
        Heard::Said(pod) => format!("{}, cluster {}", pod.node_state, pod.cluster_state),
    }
}

/// A member is back when it sees a whole and safe cluster, and every other member counts it.
fn back(voice: &Voice<Pod>, all: &[Voice<Pod>]) -> Verdict {
    let Some(said) = voice.said() else { return voice.silence() };
    let itself = said.itself().map(|peer| &peer.uuid);
    let others = all.iter().filter(|other| other.place.pod != voice.place.pod);
    let forget = others.filter(|other| {
        other.said().is_some_and(|said| !said.members.iter().any(|peer| Some(&peer.uuid) == itself))
    });
    let forgotten = forget.map(|other| format!("{} does not count {} yet", other.place.pod, voice.place.pod));
    complaint(voice, said, all.len()).and(Verdict::unless(forgotten.collect()))
}

/// One member may go while all are there and all partitions have their backups, as seen from every member.
fn may_go(voice: &Voice<Pod>, all: &[Voice<Pod>]) -> Verdict {
    if outside(voice, all) {
        return Verdict::Yes;
    }
    // That the only member is missing meanwhile is remarked.
    if all.len() == 1 {
        return voice.restart_alone();
    }
    let heeded = |other: &&Voice<Pod>| {
        // A pod that is not Ready is restarted for that, so only what the others see of it counts.
        other.place.pod != voice.place.pod || !matches!(other.heard, Heard::NotReady)
    };
    let heard = || all.iter().filter(heeded);
    // Whom the others miss is told before that they miss somebody.
    let silent = heard().map(Voice::silence).fold(Verdict::Yes, Verdict::and);
    let said = heard().filter_map(|other| Some(complaint(other, other.said()?, all.len())));
    said.fold(silent.and(disagreement(all)), Verdict::and)
}

/// The pod is not Ready, and the members that answer list only each other: they have removed it from their cluster.
fn outside(voice: &Voice<Pod>, all: &[Voice<Pod>]) -> bool {
    let said: Vec<&Pod> = all.iter().filter_map(Voice::said).collect();
    let answered: BTreeSet<&str> =
        said.iter().filter_map(|pod| pod.itself()).map(|peer| &*peer.uuid).collect();
    let counted = said.iter().flat_map(|pod| &pod.members);
    matches!(voice.heard, Heard::NotReady)
        && !said.is_empty()
        && counted.into_iter().all(|peer| answered.contains(&*peer.uuid))
}

/// What speaks against a restart in the answer of one member.
fn complaint(voice: &Voice<Pod>, said: &Pod, whole: usize) -> Verdict {
    let pod = &voice.place.pod;
    let listed = said.members.len();
    let complaints = [
        (said.node_state != "ACTIVE").then(|| format!("{pod} is {}", said.node_state)),
        // The pod is not named: this is the state of the whole cluster, whichever member tells it.
        (said.cluster_state != "ACTIVE").then(|| format!("the cluster is {}", said.cluster_state)),
        (said.size != whole as u64).then(|| format!("{pod} counts {} of {whole} members", said.size)),
        (said.size == whole as u64 && listed != whole)
            .then(|| format!("{pod} lists {listed} of {whole} members")),
        said.itself().is_none().then(|| format!("{pod} does not list itself")),
        (said.queued > 0).then(|| format!("{pod} has {} migrations queued", said.queued)),
        (!said.safe).then(|| "the cluster is not safe: backups are missing".to_owned()),
    ];
    Verdict::unless(complaints.into_iter().flatten().collect())
}

/// Members that see different clusters: each of them may look healthy by itself.
fn disagreement(all: &[Voice<Pod>]) -> Verdict {
    let seen = |voice: &Voice<Pod>| {
        let pod = voice.said()?;
        let uuids: BTreeSet<String> = pod.members.iter().map(|peer| peer.uuid.clone()).collect();
        Some((voice.place.pod.clone(), uuids))
    };
    let mut views = all.iter().filter_map(seen);
    let Some((first, uuids)) = views.next() else { return Verdict::Yes };
    let other = views.find(|(_, others)| *others != uuids);
    let split = other.map(|(pod, _)| format!("{first} and {pod} see different members"));
    Verdict::unless(split.into_iter().chain(one_uuid_twice(all)).collect())
}

/// Two pods that claim to be the same member: one of them is something else.
fn one_uuid_twice(all: &[Voice<Pod>]) -> Option<String> {
    let mut seen = BTreeSet::new();
    let itself = |voice: &Voice<Pod>| Some(voice.said()?.itself()?.uuid.clone());
    let twice = all.iter().filter_map(itself).find(|uuid| !seen.insert(uuid.clone()))?;
    Some(format!("two pods say that they are member {twice}"))
}

fn remarks(all: &[Voice<Pod>]) -> Vec<Remark> {
    let alone = (all.len() == 1).then(|| Remark {
        check: Check::OneReplica,
        message: "the only member restarts: the cluster is unavailable meanwhile, and keeps only what it has persisted"
            .to_owned(),
    });
    let said = || all.iter().filter_map(Voice::said);
    let versions: BTreeSet<&str> = said().filter_map(Pod::itself).map(|peer| &*peer.version).collect();
    let mixed = (versions.len() > 1).then(|| Remark {
        check: Check::MemberVersions,
        message: format!("members run {}", versions.into_iter().collect::<Vec<_>>().join(" and ")),
    });
    let queued = said().map(|pod| pod.queued).max().unwrap_or_default();
    let moving = (queued > 0).then(|| Remark {
        check: Check::DataMoving,
        message: format!("{queued} migrations of partitions are queued"),
    });
    [alone, mixed, moving].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests;
