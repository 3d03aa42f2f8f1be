//! What a status shows besides its sentence.

use std::collections::BTreeMap;

use crate::journal::Entry;
use crate::kinds::role;
use crate::model::{CatalogVersion, Container, Database, Lookup, Workload, same_image};
use crate::steps::s1_pause;

use super::{ImageOf, ImageStatus, LockStatus, OpsStatus, PauseStatus, RevisionStatus, Seen, WorkloadStatus};

/// The workloads in the order in which they are rolled.
pub(super) fn workloads(seen: &Seen, unfinished: Option<&Entry>) -> Vec<WorkloadStatus> {
    let db = &seen.snapshot.database;
    let all = db.kind.facts().in_order(&db.object.name, &seen.snapshot.workloads);
    let status = |w: &Workload| WorkloadStatus {
        workload: w.object.to_string(),
        role: role(&db.object.name, w),
        images: images(seen, w, unfinished),
        revisions: revisions(seen, w),
    };
    all.into_iter().map(status).collect()
}

fn images(seen: &Seen, workload: &Workload, unfinished: Option<&Entry>) -> Vec<ImageStatus> {
    let status = |c: &Container| ImageStatus {
        container: c.name.clone(),
        init: c.init,
        image: c.image.clone(),
        of: image_of(seen, workload, c, unfinished),
    };
    workload.containers.iter().map(status).collect()
}

/// Which version a container's image belongs to.
pub(super) fn image_of(
    seen: &Seen,
    workload: &Workload,
    container: &Container,
    unfinished: Option<&Entry>,
) -> ImageOf {
    let snapshot = &seen.snapshot;
    let Some(shape) = snapshot.database.kind.facts().shape(workload) else { return ImageOf::Unmapped };
    let Some(mapped) = shape.mapping(container) else { return ImageOf::Unmapped };
    let has =
        |v: &CatalogVersion| v.images.get(mapped.field).is_some_and(|i| same_image(i, &container.image));
    let of_run = unfinished.is_some_and(|e| e.images().iter().any(|i| same_image(i, &container.image)));
    match snapshot.version(&snapshot.database.version) {
        Some(version) if has(version) => ImageOf::Version,
        _ if of_run => ImageOf::Run,
        _ => ImageOf::Other,
    }
}

fn revisions(seen: &Seen, workload: &Workload) -> Vec<RevisionStatus> {
    let mut by_revision: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for pod in seen.snapshot.pods_of(workload) {
        let (pods, ready) = by_revision.entry(&pod.revision).or_default();
        (*pods, *ready) = (*pods + 1, *ready + u64::from(pod.healthy()));
    }
    let status = |(revision, (pods, ready)): (&str, (u64, u64))| RevisionStatus {
        revision: revision.to_owned(),
        current: revision == workload.update_revision,
        pods,
        ready,
    };
    by_revision.into_iter().map(status).collect()
}

pub(super) fn paused(db: &Database) -> Option<PauseStatus> {
    let (_, condition) = s1_pause::deciding(db)?;
    Some(PauseStatus {
        ours: s1_pause::run_of(condition).is_some(),
        acknowledged: condition.status == "True",
        message: condition.message.clone(),
    })
}

pub(super) fn ops_requests(seen: &Seen) -> Vec<OpsStatus> {
    let status = |r: &crate::model::OpsRequest| OpsStatus {
        kind: r.kind.clone(),
        name: r.name.clone(),
        operation: r.operation.clone(),
        phase: r.phase.clone(),
    };
    seen.snapshot.ops_in_flight().map(status).collect()
}

pub(super) fn lock(seen: &Seen) -> Option<LockStatus> {
    let lock = seen.snapshot.lock.as_ref()?;
    Some(LockStatus {
        holder: lock.holder.clone(),
        since: lock.since.clone(),
        silent_seconds: seen.lock_age,
        duration_seconds: lock.duration_seconds,
    })
}

pub(super) fn not_checked(seen: &Seen) -> Vec<String> {
    let mut all = seen.unread.clone();
    if let Lookup::Unreadable(why) = &seen.runs {
        all.push(format!("the journal: {why}"));
    }
    if let Lookup::Unreadable(why) = &seen.snapshot.ops_requests {
        all.push(format!("ops requests: {why}"));
    }
    all
}
