//! Which of the known APIs this cluster serves.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::resources::{RESOURCES, Resource};

/// The APIs that a cluster serves: all of them, except for those that were removed and those that few clusters have.
/// Clones share them.
#[derive(Clone, Default)]
pub struct Apis {
    removed: Arc<Mutex<HashSet<(String, String)>>>,
    added: Arc<Mutex<HashSet<String>>>,
}

impl Apis {
    /// Serves every optional resource of a group (`core.kubestash.com`), as if its operator was installed.
    pub fn add(&self, group: &str) {
        self.added.lock().unwrap_or_else(PoisonError::into_inner).insert(group.to_owned());
    }

    /// Stops serving a resource (`petsets.apps.k8s.appscode.com`), as if its definition was never installed.
    pub fn remove(&self, res: &str) {
        for resource in RESOURCES.iter().filter(|resource| resource.name == res) {
            for version in resource.versions {
                self.remove_version(res, version);
            }
        }
    }

    /// Stops serving one version of a resource, as on an older cluster. Objects show up in the versions that are left.
    pub fn remove_version(&self, res: &str, version: &str) {
        self.removed().insert((res.to_owned(), version.to_owned()));
    }

    /// The versions of a resource that are served, the preferred one first.
    pub(crate) fn versions(&self, resource: &Resource) -> Vec<&'static str> {
        if resource.optional && !self.has_added(resource.group()) {
            return Vec::new();
        }
        let removed = self.removed();
        let served =
            |version: &&&str| !removed.contains(&(resource.name.to_owned(), (**version).to_string()));
        resource.versions.iter().filter(served).copied().collect()
    }

    /// Whether a resource is served in a version.
    pub(crate) fn serves(&self, resource: &Resource, version: &str) -> bool {
        self.versions(resource).contains(&version)
    }

    fn has_added(&self, group: &str) -> bool {
        self.added.lock().unwrap_or_else(PoisonError::into_inner).contains(group)
    }

    fn removed(&self) -> MutexGuard<'_, HashSet<(String, String)>> {
        self.removed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
