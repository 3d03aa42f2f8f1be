//! What a pod was created from. Admission rewrites pods, not templates, so a pod's own images do not tell which version it
//! is of: its revision does.

use super::{
    Container, Lookup, Pod, Revision, Rewriting, Snapshot, Workload, WorkloadPlan, mirrors, same_image,
};

impl Snapshot {
    /// A pod is not known to be on its workload's current revision, so that the current template does not tell what it was
    /// created from. While a controller has not observed a changed template, that is every pod of it.
    pub fn has_outdated_pods(&self) -> bool {
        let unobserved =
            |w: &Workload| w.kind.owns_pods() && !w.observed() && self.pods_of(w).next().is_some();
        self.workloads.iter().any(|w| unobserved(w) || self.outdated_pods(w).next().is_some())
    }

    /// The workload's pods on another revision than its current one; none while its controller has not observed its template.
    pub fn outdated_pods<'a>(&'a self, workload: &'a Workload) -> impl Iterator<Item = &'a Pod> {
        let known = workload.kind.owns_pods() && workload.observed() && !workload.update_revision.is_empty();
        let outdated = move |p: &&Pod| !p.deleting && p.revision != workload.update_revision;
        self.pods_of(workload).filter(move |p| known && outdated(p))
    }

    /// Remembers the current revision of every workload: pods stay on it when the template changes.
    pub fn learn_revisions(&mut self) {
        let known = match &mut self.revisions {
            Lookup::Found(known) => known,
            unread => {
                *unread = Lookup::Found(Vec::new());
                return self.learn_revisions();
            }
        };
        for workload in self.workloads.iter().filter(|w| w.observed() && !w.update_revision.is_empty()) {
            let (name, owner) = (&workload.update_revision, &workload.object.uid);
            if !known.iter().any(|r| r.name == *name && r.owner == *owner) {
                known.push(Revision {
                    name: name.clone(),
                    owner: owner.clone(),
                    containers: workload.containers.clone(),
                    template: None,
                });
            }
        }
    }

    /// The revision of that name.
    pub fn revision(&self, workload: &Workload, name: &str) -> Option<&Revision> {
        self.revisions.iter().find(|r| r.name == name && r.owner == workload.object.uid)
    }

    /// The containers of the template that a pod was created from; `None` if that template is not known.
    pub fn template_of(&self, pod: &Pod) -> Option<&[Container]> {
        let workload = self.workload_of(pod)?;
        if !workload.kind.owns_pods() {
            // A Deployment's pods name no revision of its own; once it has no old ones, all are of its template.
            let all = workload.observed()
                && workload.updated_replicas == workload.replicas
                && workload.status_replicas == workload.replicas;
            return all.then_some(workload.containers.as_slice());
        }
        if workload.observed() && !pod.revision.is_empty() && pod.revision == workload.update_revision {
            return Some(&workload.containers);
        }
        self.revision(workload, &pod.revision).map(|r| r.containers.as_slice())
    }

    /// The workload that runs the pod.
    pub fn workload_of(&self, pod: &Pod) -> Option<&Workload> {
        self.workloads.iter().find(|w| self.runs(w, pod))
    }

    /// The images that a pod was to have, by container: those of the template that it was created from, otherwise those
    /// that it has.
    pub fn asked_images<'a>(&'a self, pod: &'a Pod) -> Vec<(&'a str, &'a str)> {
        match self.template_of(pod) {
            Some(containers) => containers.iter().map(|c| (c.name.as_str(), c.image.as_str())).collect(),
            None => pod.images.iter().map(|(name, image)| (name.as_str(), image.as_str())).collect(),
        }
    }

    /// The pod was created with the target image of every container that the plan names. Where that is not known, its own
    /// images tell, as far as a mirror lets them; digests are ignored.
    pub fn on_target(&self, planned: &WorkloadPlan, pod: &Pod) -> bool {
        let template = self.template_of(pod);
        planned.target_images().all(|(container, target)| match template {
            Some(containers) => {
                containers.iter().any(|c| c.name == container && same_image(&c.image, target))
            }
            None => pod.image(container).is_some_and(|i| same_image(i, target) || mirrors(i, target)),
        })
    }

    /// How admission rewrites the pods of a workload, as far as it is known what they were created from.
    pub fn rewriting(&self, workload: &Workload) -> Vec<Rewriting> {
        let mut all: Vec<Rewriting> = self
            .pods_of(workload)
            .filter_map(|pod| Some(Rewriting::of(self.template_of(pod)?, pod)))
            .flatten()
            .collect();
        all.sort();
        all.dedup();
        all
    }
}
