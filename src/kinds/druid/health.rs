//! When a Druid can bear that one of its pods is restarted: each role has its own rule, and none but that of its own
//! processes and of those that manage them.

use crate::kinds::heard::Heard;
use crate::model::evidence::Evidence;
use crate::model::evidence::druid::{Role, Segments};
use crate::model::{Health, Member, Roster, Verdict};

use super::cast::{CHECKER, Cast, Process};
use super::leadership::{coordination, ingestion};
use super::remarks::remarks;
use super::replicas::replicated;

/// Judges what the pods answered.
pub fn judge(evidence: &Evidence, roster: &Roster) -> Health {
    let Evidence::Druid(answers) = evidence else { return Health::default() };
    let cast = Cast::of(answers, roster);
    Health {
        members: cast.0.iter().map(|process| member(process, &cast)).collect(),
        remarks: remarks(&cast),
        ..Health::default()
    }
}

fn member(process: &Process, cast: &Cast) -> Member {
    let (place, said) = (process.voice.place, process.said());
    Member {
        pod: place.pod.clone(),
        uid: place.uid.clone(),
        role: process.role.map_or_else(|| place.role.clone(), |role| role.name().to_owned()),
        id: said.and_then(|said| said.worker.as_ref()).map(|worker| worker.host.clone()).unwrap_or_default(),
        version: said.map(|said| said.version.clone()).unwrap_or_default(),
        state: process.state(),
        leader: process.leads(),
        back: back(process, cast).in_short(),
        may_go: may_go(process, cast).in_short(),
        unasked: false,
        busy: process.tasks(),
    }
}

/// A process is back when it serves, and is counted by the one that gives it its work.
fn back(process: &Process, cast: &Cast) -> Verdict {
    let managed = match process.role {
        Some(Role::Coordinator) => master(cast, Role::Coordinator),
        Some(Role::Overlord) => master(cast, Role::Overlord),
        Some(Role::Historical) => {
            let ready = cast.of_role(Role::Historical).filter(|other| other.voice.place.ready).count();
            coordination(cast)
                .map_or_else(|why| why, |segments| counted(segments, ready).and(replicated(segments, cast)))
        }
        Some(Role::MiddleManager) => employed(process, cast),
        Some(Role::Broker | Role::Router) => Verdict::Yes,
        None => stranger(process),
    };
    process.well().and(managed)
}

/// Whether the role's part in Druid goes on while the process is restarted. What the restart of a role's only
/// process interrupts is remarked.
fn may_go(process: &Process, cast: &Cast) -> Verdict {
    let alone = process.role.is_some() && cast.others(process).next().is_none();
    match process.role {
        _ if alone => process.voice.restart_alone(),
        // Its successor is one that serves already.
        Some(role @ (Role::Coordinator | Role::Overlord)) => {
            let led = if process.voice.place.ready { master(cast, role) } else { Verdict::Yes };
            led.and(one_well(process, cast))
        }
        Some(Role::Historical) => historical_may_go(process, cast),
        Some(Role::MiddleManager) => {
            ingestion(cast).map_or_else(|why| why, |_| Verdict::Yes).and(all_well(process, cast))
        }
        Some(Role::Broker | Role::Router) => one_well(process, cast),
        None => stranger(process),
    }
}

/// Every segment has its replicas, and every other historical serves its own.
fn historical_may_go(process: &Process, cast: &Cast) -> Verdict {
    let all = cast.of_role(Role::Historical).count();
    let others = all_well(process, cast);
    let segments = match coordination(cast) {
        Ok(segments) => segments,
        Err(why) => return others.and(why),
    };
    // One that serves nothing takes nothing with it. What it lacks is what the others cannot have loaded.
    if matches!(process.voice.heard, Heard::NotReady) && segments.historicals.len() < all {
        return others;
    }
    others.and(counted(segments, all)).and(loaded(segments)).and(replicated(segments, cast))
}

/// The coordinator gives work to that many historicals.
fn counted(segments: &Segments, historicals: usize) -> Verdict {
    let counts = segments.historicals.len();
    let short = (counts < historicals)
        .then(|| format!("the coordinator counts {counts} of {historicals} historicals"));
    Verdict::unless(short.into_iter().collect())
}

fn loaded(segments: &Segments) -> Verdict {
    let uncounted = segments.uncounted.then(|| "the coordinator has not counted the segments yet".to_owned());
    let missing = segments.missing.iter().filter(|(datasource, _)| datasource != CHECKER);
    let missing = missing
        .map(|(datasource, segments)| format!("{segments} segments of {datasource} are not available"));
    let lacking = segments.lacking.iter().filter(|lacking| lacking.datasource != CHECKER);
    let lacking = lacking.map(|lacking| {
        let (replicas, datasource, tier) = (lacking.replicas, &lacking.datasource, &lacking.tier);
        format!("{replicas} replicas of segments of {datasource} are missing in {tier}")
    });
    Verdict::unless(uncounted.into_iter().chain(missing).chain(lacking).collect())
}

/// Exactly one process of the role leads; where coordinators are overlords as well, also of those.
fn master(cast: &Cast, role: Role) -> Verdict {
    let coordinated = match role {
        Role::Coordinator => coordination(cast).err().unwrap_or(Verdict::Yes),
        _ => Verdict::Yes,
    };
    let managed = match cast.role_of_overlords() == role {
        true => ingestion(cast).err().unwrap_or(Verdict::Yes),
        false => Verdict::Yes,
    };
    coordinated.and(managed)
}

/// The overlord lists the middleManager, so that it is given tasks.
fn employed(process: &Process, cast: &Cast) -> Verdict {
    let Some(worker) = process.said().and_then(|said| said.worker.as_ref()) else { return Verdict::Yes };
    ingestion(cast).map_or_else(
        |why| why,
        |ingestion| {
            let listed = ingestion.workers.contains(&worker.host);
            let absent = (!listed).then(|| format!("the overlord does not list {} yet", process.pod()));
            Verdict::unless(absent.into_iter().collect())
        },
    )
}

fn all_well(process: &Process, cast: &Cast) -> Verdict {
    cast.others(process).map(Process::well).fold(Verdict::Yes, Verdict::and)
}

fn one_well(process: &Process, cast: &Cast) -> Verdict {
    match cast.others(process).any(|other| other.well().is_yes()) {
        true => Verdict::Yes,
        false => all_well(process, cast),
    }
}

fn stranger(process: &Process) -> Verdict {
    let place = process.voice.place;
    Verdict::Unknown { why: vec![format!("{}: {} is no role of Druid", place.pod, place.role)] }
}

#[cfg(test)]
mod tests;
