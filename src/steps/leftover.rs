//! What an unfinished run has left in the cluster. What is done is always observed; the journal only tells what was meant.

use super::s1_pause;
use crate::journal::Entry;
use crate::model::{ContainerState, Plan, Pod, Snapshot, WorkloadPlan, same_image};

/// The cluster still shows something of an unfinished run: our pause, its ops request, or what it has [`changed`]. Where it shows nothing the
/// run has ended before its first change. Where everything has arrived the verification is
/// still to come. A database that is on a third version by now has been moved on by others.
pub fn half_done(entry: &Entry, snapshot: &Snapshot) -> bool {
    let plan = &entry.run.plan;
    let version = &snapshot.database.version;
    let paused = s1_pause::ours(&snapshot.database).is_some();
    let concerned = *version == plan.to.name || *version == plan.from.name;
    entry.unfinished() && (paused || requested(entry, snapshot) || (concerned && changed(entry, snapshot)))
}

/// The ops request that the run has made is at work.
pub fn requested(entry: &Entry, snapshot: &Snapshot) -> bool {
    entry.ops_request().is_some_and(|made| snapshot.ops_in_flight().any(|r| r.name == made))
}

/// The version or an image of a run's target is there that was not there before it, in a template or in a pod alone: an
/// operator whose pause was lifted writes the old templates back, and restarts nothing.
pub fn changed(entry: &Entry, snapshot: &Snapshot) -> bool {
    let plan = &entry.run.plan;
    let there = |planned: &WorkloadPlan, container: &str, image: &str, is: fn(&str, &str) -> bool| {
        snapshot.workload(&planned.object.uid).is_some_and(|now| {
            now.container(container).is_some_and(|c| is(&c.image, image))
                || snapshot.pods_of(now).any(|p| p.image(container).is_some_and(|i| same_image(i, image)))
        })
    };
    let patched = plan.workloads.iter().any(|planned| {
        planned.images.iter().any(|change| there(planned, &change.container, &change.after, str::eq))
    });
    // A run that is begun anew finds its templates on the target, and has nothing to change in them. Whoever renders them may
    // pin them to digests.
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

/// Version, templates and pods are where the plan was going.
pub fn arrived(plan: &Plan, snapshot: &Snapshot) -> bool {
    let on_target = |planned: &WorkloadPlan| {
        snapshot.workload(&planned.object.uid).is_some_and(|now| {
            let image = |container: &str| now.container(container).map(|c| c.image.as_str());
            planned.target_images().all(|(c, target)| image(c).is_some_and(|i| same_image(i, target)))
                && snapshot.pods_of(now).all(|p| planned.has_images(p))
        })
    };
    snapshot.database.version == plan.to.name && plan.workloads.iter().all(on_target)
}

/// One of the pod's main containers has run.
pub fn has_started(pod: &Pod) -> bool {
    pod.containers.iter().filter(|c| !c.init).any(|c| {
        c.restarts > 0 || matches!(c.state, ContainerState::Running | ContainerState::Terminated { .. })
    })
}
