//! When a Cassandra can bear that one of its nodes is restarted: every node sees every other one up and normal, reads
//! from all of them, and they agree on the schema. That is what the operator of K8ssandra asks for between two pods, and what
//! an upgrade needs (Cassandra's documentation, "Upgrading").

mod remarks;
mod ring;

use std::cmp::Reverse;

use crate::kinds::heard::{Heard, Voice};
use crate::model::evidence::Evidence;
use crate::model::evidence::cassandra::Pod;
use crate::model::{Health, Member, Roster, Verdict};

use ring::Ring;

/// Judges what the pods answered.
pub fn judge(evidence: &Evidence, roster: &Roster) -> Health {
    let Evidence::Cassandra(answers) = evidence else { return Health::default() };
    let voices = roster.places.iter().map(|place| Voice::of(place, &answers.pods)).collect();
    let ring = Ring { voices };
    Health {
        members: ring.voices.iter().map(|voice| member(&ring, voice)).collect(),
        remarks: remarks::of(&ring),
        ..Health::default()
    }
}

fn member(ring: &Ring<'_>, voice: &Voice<'_, Pod>) -> Member {
    let said = voice.said();
    Member {
        pod: voice.place.pod.clone(),
        uid: voice.place.uid.clone(),
        role: "node".to_owned(),
        id: said.map(|pod| pod.host_id.clone()).unwrap_or_default(),
        version: said.map(|pod| pod.version.clone()).unwrap_or_default(),
        state: state(voice),
        leader: false,
        back: back(ring, voice).in_short(),
        may_go: may_go(ring, voice).in_short(),
        unasked: false,
        busy: Vec::new(),
    }
}

/// As `nodetool status` abbreviates it, where it does.
fn state(voice: &Voice<'_, Pod>) -> String {
    let said = match &voice.heard {
        Heard::NotReady if voice.place.uid.is_empty() => return "missing".to_owned(),
        Heard::NotReady => return "not Ready".to_owned(),
        Heard::Nothing(_) => return "unknown".to_owned(),
        Heard::Said(pod) => pod,
    };
    match ring::latest(said, &said.host_id).map(|itself| itself.status.as_str()) {
        Some("NORMAL") => "UN".to_owned(),
        Some("BOOT" | "BOOT_REPLACE") => "UJ".to_owned(),
        Some("LEAVING") => "UL".to_owned(),
        Some("MOVING") => "UM".to_owned(),
        Some("") | None => "unknown to itself".to_owned(),
        Some(other) => other.to_owned(),
    }
}

/// Every node, itself included, sees it up and normal, and it reads from all that are there.
fn back(ring: &Ring<'_>, voice: &Voice<'_, Pod>) -> Verdict {
    let seen = ring.voices.iter().map(|other| match other.said() {
        Some(said) => {
            Verdict::unless(ring::sees(other, said, voice).into_iter().collect()).and(ring.reads(other, said))
        }
        // Who is away as well does not have to know it, and waits for its own return.
        None if matches!(other.heard, Heard::NotReady) && other.place.pod != voice.place.pod => Verdict::Yes,
        None => other.silence(),
    });
    seen.fold(ring.disagreement(), Verdict::and)
}

/// One node may go while all are there, as seen from every node. How many replicas each keyspace has is no condition but a
/// remark, since waiting does not change it.
fn may_go(ring: &Ring<'_>, voice: &Voice<'_, Pod>) -> Verdict {
    if matches!(voice.heard, Heard::NotReady) {
        return without_it(ring, voice);
    }
    let whole = ring.voices.iter().map(|other| match other.said() {
        Some(said) => ring.sees_all(other, said),
        None => other.silence(),
    });
    whole.fold(ring.disagreement(), Verdict::and)
}

/// Whether a pod that is not Ready is down, so that its restart takes nothing; or takes part all the same, as one that may go
/// because all are there.
fn without_it(ring: &Ring<'_>, voice: &Voice<'_, Pod>) -> Verdict {
    let others = || ring.voices.iter().filter(|other| other.place.pod != voice.place.pod);
    let answered: Vec<_> = others().filter_map(|other| Some((other, other.said()?))).collect();
    let unasked = others().filter(|other| matches!(other.heard, Heard::Nothing(_))).map(Voice::silence);
    let known = unasked.fold(ring.disagreement(), Verdict::and);
    let silent = answered.iter().filter_map(|(other, said)| ring.silence(other, said));
    let known = known.and(Verdict::unless(silent.collect()));
    // The one that misses the most: gossip reaches some nodes later than others.
    let mut missing: Vec<_> = answered.iter().map(|(other, said)| (ring.missing(said), *other)).collect();
    missing.sort_by_key(|(down, _)| Reverse(*down));
    match missing.first() {
        Some((0, _)) => answered
            .iter()
            .map(|(other, said)| ring.sees_the_others(other, said, voice))
            .fold(known, Verdict::and),
        Some((down, other)) if *down < ring.away() => known.and(Verdict::Unknown {
            why: vec![format!(
                "{} of {} pods that are not Ready are down for {}, and it is not known which",
                down,
                ring.away(),
                other.place.pod
            )],
        }),
        _ => known,
    }
}

#[cfg(test)]
mod tests;
