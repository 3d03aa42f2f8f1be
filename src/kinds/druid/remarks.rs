//! What is worth knowing of a Druid before its pods are restarted.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::evidence::druid::{Role, Segments};
use crate::model::{Check, Remark};

use super::cast::{CHECKER, Cast, Process};
use super::leadership::{coordination, ingestion};

pub(super) fn remarks(cast: &Cast) -> Vec<Remark> {
    let roles = [
        Role::Historical,
        Role::MiddleManager,
        Role::Broker,
        Role::Router,
        Role::Overlord,
        Role::Coordinator,
    ];
    let mut remarks: Vec<Remark> = roles.into_iter().filter_map(|role| alone(cast, role)).collect();
    if let Ok(segments) = coordination(cast) {
        remarks.extend(single_replicas(segments));
        if cast.of_role(Role::Historical).count() > 1 {
            remarks.extend(single_historicals(segments));
        }
    }
    remarks.extend(running(cast));
    remarks.extend(versions(cast));
    remarks
}

/// A role of one process, and what is interrupted while that restarts.
fn alone(cast: &Cast, role: Role) -> Option<Remark> {
    let mut processes = cast.of_role(role);
    let (Some(only), None) = (processes.next(), processes.next()) else { return None };
    let interrupted = match role {
        Role::Historical => "segments cannot be queried",
        Role::MiddleManager => "no tasks run",
        Role::Broker => "queries fail",
        Role::Router => "its console and its API are unavailable",
        Role::Overlord => "no tasks are started",
        Role::Coordinator if cast.role_of_overlords() == role => {
            "no segments are assigned and no tasks started"
        }
        Role::Coordinator => "no segments are assigned",
    };
    let message = format!("{} is the only {}: {interrupted} while it restarts", only.pod(), role.name());
    Some(Remark { check: Check::OneReplica, message })
}

fn single_replicas(segments: &Segments) -> impl Iterator<Item = Remark> {
    let rules = segments.single.iter().filter(|(datasource, _)| datasource != CHECKER);
    rules.map(|(datasource, tier)| {
        let segments = match datasource.as_str() {
            "_default" => "by default, segments".to_owned(),
            _ => format!("segments of {datasource}"),
        };
        let message = format!(
            "{segments} have one replica in {tier}: some cannot be queried while a historical restarts"
        );
        Remark { check: Check::Replication, message }
    })
}

fn single_historicals(segments: &Segments) -> impl Iterator<Item = Remark> {
    let mut tiers: BTreeMap<&str, usize> = BTreeMap::new();
    for tier in &segments.historicals {
        *tiers.entry(tier).or_default() += 1;
    }
    let single = tiers.into_iter().filter(|(_, historicals)| *historicals == 1);
    single.map(|(tier, _)| Remark {
        check: Check::Replication,
        message: format!("{tier} has one historical: its segments cannot be queried while that restarts"),
    })
}

/// The tasks that restarts of middleManagers wait for, or end.
fn running(cast: &Cast) -> Option<Remark> {
    let tasks: usize = cast.0.iter().map(|process| process.tasks().len()).sum();
    let supervisors = ingestion(cast).map(|ingestion| ingestion.supervisors.clone()).unwrap_or_default();
    let counted = match (tasks, supervisors.len()) {
        (0, 0) => return None,
        (tasks, 0) => format!("{tasks} tasks are running"),
        (tasks, _) => format!("{tasks} tasks are running, and supervisors ingest: {}", some(&supervisors)),
    };
    Some(Remark { check: Check::DataMoving, message: counted })
}

/// The first three names, and how many there are besides.
fn some(names: &[String]) -> String {
    let shown = names.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(3) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn versions(cast: &Cast) -> Option<Remark> {
    let said = cast.0.iter().filter_map(Process::said);
    let versions: BTreeSet<&str> = said.map(|said| &*said.version).collect();
    (versions.len() > 1).then(|| Remark {
        check: Check::MemberVersions,
        message: format!("processes run {}", versions.into_iter().collect::<Vec<_>>().join(" and ")),
    })
}
