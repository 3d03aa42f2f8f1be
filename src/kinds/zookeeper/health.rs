//! When a ZooKeeper can bear that one of its servers is restarted: one leader, every server serving, and all followers in
//! sync, so that the quorum stands without any one of them (ZooKeeper Administrator's Guide, "Clustered Setup").

mod ensemble;

use crate::model::evidence::Evidence;
use crate::model::{Check, Health, Member, Remark, Roster, Verdict};

use ensemble::{Ensemble, Seat};

/// Judges what the pods answered.
pub fn judge(evidence: &Evidence, roster: &Roster) -> Health {
    let Evidence::ZooKeeper(answers) = evidence else { return Health::default() };
    let ensemble = Ensemble::of(answers, roster);
    let members = ensemble.seats.iter().map(|seat| member(&ensemble, seat)).collect();
    Health { members, remarks: remarks(&ensemble), ..Health::default() }
}

fn member(ensemble: &Ensemble<'_>, seat: &Seat<'_>) -> Member {
    Member {
        pod: seat.pod().to_owned(),
        uid: seat.0.place.uid.clone(),
        role: seat.role().to_owned(),
        id: String::new(),
        version: seat.version().to_owned(),
        state: seat.state().to_owned(),
        leader: seat.leads(),
        back: back(ensemble, seat).in_short(),
        may_go: may_go(ensemble, seat).in_short(),
        unasked: false,
        busy: Vec::new(),
    }
}

/// It serves, and the leader has a quorum and counts it. A leader counts a returning follower some 40 ms before that
/// serves, and one that hangs for as long as `syncLimit` lasts, so both are asked.
fn back(ensemble: &Ensemble<'_>, seat: &Seat<'_>) -> Verdict {
    if seat.is_alone(ensemble.voters) {
        return Verdict::Yes;
    }
    let well = seat.well(ensemble.voters);
    let Some(leader) = ensemble.leader() else { return well.and(ensemble.no_single_leader()) };
    let followers = ensemble.serving_followers().max(ensemble.voters / 2);
    well.and(leader.seat.well(ensemble.voters)).and(leader.counts(followers))
}

/// A server that Kubernetes sees to be broken may go if that takes nothing from the others. One that is Ready may go only if
/// all is well, as then the others are a quorum without it: one that does not serve yet may be about to.
fn may_go(ensemble: &Ensemble<'_>, seat: &Seat<'_>) -> Verdict {
    if ensemble.leaders().nth(1).is_some() {
        return ensemble.no_single_leader();
    }
    if seat.is_alone(ensemble.voters) {
        return Verdict::Yes;
    }
    if seat.is_not_ready() {
        return without_effect(ensemble, seat);
    }
    let all_well = ensemble.seats.iter().map(|seat| seat.well(ensemble.voters));
    let all_well = all_well.fold(Verdict::Yes, Verdict::and);
    match ensemble.leader() {
        Some(leader) => all_well.and(leader.followers_are_in_sync(ensemble.voters)),
        None => all_well.and(ensemble.no_single_leader()),
    }
}

/// Whether the others are a quorum, or there is none to lose.
fn without_effect(ensemble: &Ensemble<'_>, seat: &Seat<'_>) -> Verdict {
    let others = || ensemble.seats.iter().filter(|other| other.pod() != seat.pod());
    let serving = others().filter(|other| other.votes() && other.serves()).count();
    let needed = ensemble.voters / 2 + 1;
    if serving >= needed && others().any(|other| other.leads() && other.serves()) {
        return Verdict::Yes;
    }
    let unknown = others().filter(|other| other.is_unheard());
    let unknown = unknown.map(|other| other.well(ensemble.voters)).fold(Verdict::Yes, Verdict::and);
    if serving == 0 || !unknown.is_yes() {
        return unknown;
    }
    Verdict::No {
        why: vec![format!("the others are no quorum yet: {serving} of {needed} servers, or no leader")],
    }
}

fn remarks(ensemble: &Ensemble<'_>) -> Vec<Remark> {
    let mut found = Vec::new();
    let mut remark = |check, message| found.push(Remark { check, message });
    match ensemble.seats.len() {
        1 => remark(Check::OneReplica, "the only server: nobody is served while it restarts".to_owned()),
        2 => remark(
            Check::Replication,
            "an ensemble of two has no quorum while either restarts: nobody is served then".to_owned(),
        ),
        _ => {}
    }
    let versions = ensemble.versions();
    if versions.len() > 1 {
        let each = versions.iter().map(|(version, pods)| format!("{version} ({})", pods.join(", ")));
        let each: Vec<_> = each.collect();
        remark(Check::MemberVersions, format!("the servers run different versions: {}", each.join("; ")));
    }
    found
}

#[cfg(test)]
mod tests;
