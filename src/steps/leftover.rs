//! What an unfinished run has left in the cluster. Whatever was done is always observed; the journal only tells what
//! was intended.

use super::s1_pause;
use crate::journal::{Direction, DrainedPod, Entry};
use crate::kinds::{self, Drain};
use crate::model::{
    CatalogVersion, Container, ContainerState, Place, Plan, Pod, Snapshot, Workload, WorkloadPlan, same_image,
};

/// The cluster still shows something of an unfinished run: our pause, its ops request, or what it has [`changed`]. If
/// it shows nothing, the run ended before its first change. If everything is on the target, the verification is still
/// to come. If the database is on a third version by now, others have updated it since.
pub fn half_done(entry: &Entry, snapshot: &Snapshot) -> bool {
    let plan = &entry.run.plan;
    let version = &snapshot.database.version;
    let paused = s1_pause::ours(&snapshot.database).is_some();
    if entry.finishes() {
        // The cluster shows nothing of what is done to the database itself; the database tells how much of it is left.
        return entry.unfinished() && *version == plan.to.name;
    }
    let concerned = *version == plan.to.name || *version == plan.from.name;
    entry.unfinished() && (paused || requested(entry, snapshot) || (concerned && changed(entry, snapshot)))
}

/// The `last` run of a journal, if the cluster still shows something of it that is not finished.
pub fn unfinished<'a>(last: Option<&'a Entry>, snapshot: &Snapshot) -> Option<&'a Entry> {
    last.filter(|entry| half_done(entry, snapshot))
}

/// The ops request that the run has created is in progress.
pub fn requested(entry: &Entry, snapshot: &Snapshot) -> bool {
    entry.ops_request().is_some_and(|made| at_work(snapshot, made, &entry.run.plan.to.name))
}

/// The version or an image of the run's target is present and was not before the run, in a template or only in a pod:
/// an operator whose pause was removed restores the old templates, but restarts no pod.
pub fn changed(entry: &Entry, snapshot: &Snapshot) -> bool {
    let plan = &entry.run.plan;
    let asked = |pod: &Pod, container: &str, image: &str| {
        let is = |(c, i): &(&str, &str)| *c == container && same_image(i, image);
        snapshot.asked_images(pod).iter().any(is)
    };
    let there = |planned: &WorkloadPlan, container: &str, image: &str, is: fn(&str, &str) -> bool| {
        snapshot.workload(&planned.object.uid).is_some_and(|now| {
            now.container(container).is_some_and(|c| is(&c.image, image))
                || snapshot.pods_of(now).any(|p| asked(p, container, image))
        })
    };
    let patched = plan.workloads.iter().any(|planned| {
        planned.images.iter().any(|change| there(planned, &change.container, &change.after, str::eq))
    });
    // A run that was started again found its templates on the target, and so planned no change to them. The operator or
    // the Ops-manager may also have pinned the images to digests.
    let found = plan.workloads.iter().any(|planned| {
        let before = entry.run.before.workloads.get(&planned.object.uid);
        planned.target_images().any(|(container, target)| {
            let was = before.and_then(|images| images.iter().find(|b| b.container == container));
            was.is_some_and(|was| !same_image(&was.image, target))
                && there(planned, container, target, same_image)
        })
    });
    patched || found || (snapshot.database.version == plan.to.name && plan.from.name != plan.to.name)
}

/// Version, templates and pods are on the plan's target.
pub fn arrived(plan: &Plan, snapshot: &Snapshot) -> bool {
    let on_target = |planned: &WorkloadPlan| {
        snapshot.workload(&planned.object.uid).is_some_and(|now| {
            let image = |container: &str| now.container(container).map(|c| c.image.as_str());
            planned.target_images().all(|(c, target)| image(c).is_some_and(|i| same_image(i, target)))
                && snapshot.pods_of(now).all(|p| snapshot.on_target(planned, p))
        })
    };
    snapshot.database.version == plan.to.name && plan.workloads.iter().all(on_target)
}

/// The pods that are still drained, of those that a run has noted. Whatever a journal says, none but pods of the database
/// itself that are drained in that way are told anything. A pod that was restarted since, or is about to be, is another one.
pub fn drained(noted: &[DrainedPod], snapshot: &Snapshot) -> Vec<Place> {
    if noted.is_empty() {
        return Vec::new();
    }
    let drain = snapshot.database.kind.facts().questions.drain;
    let stays = |place: &Place| snapshot.pods.iter().any(|pod| pod.uid == place.uid && !pod.deleting);
    let is_noted = |place: &Place| noted.iter().any(|note| note.pod == place.pod && note.uid == place.uid);
    let mut places = kinds::roster(snapshot).places;
    places.retain(|place| drain(&place.role) == Some(Drain::Work) && is_noted(place) && stays(place));
    places
}

/// One of the pod's main containers has run.
pub fn has_started(pod: &Pod) -> bool {
    pod.containers.iter().filter(|c| !c.init).any(|c| {
        c.restarts > 0 || matches!(c.state, ContainerState::Running | ContainerState::Terminated { .. })
    })
}

/// The cluster itself shows something of an update `from` one version `to` another: our pause for it, its ops request
/// in progress, `spec.version`, or an image of the target that the current version does not use.
pub fn shows(snapshot: &Snapshot, from: &str, to: &str, ops_request: Option<&str>) -> bool {
    let db = &snapshot.database;
    paused_for(snapshot, from, to)
        || ops_request.is_some_and(|name| at_work(snapshot, name, to))
        || db.version == to
        || shows_images(snapshot, to)
}

/// The same for the run of a journal entry.
pub fn shows_run(snapshot: &Snapshot, entry: &Entry) -> bool {
    let plan = &entry.run.plan;
    let (from, to) = (&plan.from.name, &plan.to.name);
    // The version that a rollback goes to may never have been left. Where nothing of the other one is there any more, only
    // verifying is left to do.
    let request = match entry.run.direction {
        Direction::Update => entry.ops_request(),
        Direction::Rollback | Direction::Finish => None,
    };
    shows(snapshot, from, to, request)
}

/// An ops request of that name is in progress, and updates to that version.
fn at_work(snapshot: &Snapshot, name: &str, to: &str) -> bool {
    snapshot.ops_in_flight().any(|r| r.name == name && r.target == to)
}

/// Our pause is there, for an update `from` one version `to` the other, or for its rollback, or without saying for
/// which.
fn paused_for(snapshot: &Snapshot, from: &str, to: &str) -> bool {
    let Some((_, condition)) = s1_pause::our(&snapshot.database) else { return false };
    let fits = |(came_from, goes_to)| goes_to == to || (goes_to == from && came_from == to);
    s1_pause::ends_of(condition).is_none_or(fits)
}

/// A template or a pod has an image of that version that the current version does not use.
fn brought(snapshot: &Snapshot, target: &CatalogVersion) -> bool {
    let present = snapshot.version(&snapshot.database.version);
    let of = |v: &CatalogVersion, w: &Workload, container: &str, image: &str| {
        fields(snapshot, w, container).any(|field| v.images.get(field).is_some_and(|i| same_image(i, image)))
    };
    in_use(snapshot).any(|(w, container, image)| {
        of(target, w, container, image) && !present.is_some_and(|v| of(v, w, container, image))
    })
}

/// A template or a pod has an image of that version which is not also the present version's; not where the catalog does not
/// know the version.
pub fn shows_images(snapshot: &Snapshot, version: &str) -> bool {
    snapshot.version(version).is_some_and(|version| brought(snapshot, version))
}

/// Every image of every container, of the templates and of the pods.
fn in_use(snapshot: &Snapshot) -> impl Iterator<Item = (&Workload, &str, &str)> {
    snapshot.workloads.iter().flat_map(move |w| images_of(snapshot, w).map(move |(c, image)| (w, c, image)))
}

/// The images of a workload's containers, in its template and in those that its pods were created from.
pub fn images_of<'a>(
    snapshot: &'a Snapshot,
    workload: &'a Workload,
) -> impl Iterator<Item = (&'a str, &'a str)> {
    let template = workload.containers.iter().map(|c: &Container| (c.name.as_str(), c.image.as_str()));
    let pods = snapshot.pods_of(workload).flat_map(|pod| snapshot.asked_images(pod));
    template.chain(pods)
}

/// The fields of a version object from which that container of the workload gets its image.
pub fn fields<'a>(
    snapshot: &Snapshot,
    workload: &Workload,
    container: &'a str,
) -> impl Iterator<Item = &'static str> + use<'a> {
    let facts = snapshot.database.kind.facts();
    // An update that adds containers may have added one by which another shape is recognized.
    let own = facts.shape(workload);
    let shapes = facts.shapes.iter().filter(move |s| own.is_none_or(|own| own.anchor == s.anchor));
    shapes.flat_map(|s| s.containers).filter(move |m| m.container == container).map(|m| m.field)
}
