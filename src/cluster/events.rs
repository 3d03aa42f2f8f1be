//! Events, in which components say what became of an object, and whatever else tells why a pod is not created.

use std::collections::BTreeSet;
use std::time::Duration;

use kube::core::Request;
use kube::core::params::ListParams;
use serde::Deserialize;
use tokio::time::timeout;

use crate::model::{CreationNews, FailedCreate, Lookup, Workload, WorkloadKind, clean};

use super::pages::{PAGE, Page};
use super::request::{Call, MANAGER, built, path};
use super::wire::{Named, or_default};
use super::{Cluster, ClusterError};

/// What is said of every pod that starts as usual: as the last word on a pod that is not Ready, it explains nothing.
const ROUTINE: [&str; 7] = [
    "Scheduled",
    "Pulled",
    "Created",
    "Started",
    "SuccessfulCreate",
    "SuccessfulAttachVolume",
    "AddedInterface",
];

/// How long to wait for what only explains a delay.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct EventWire {
    metadata: EventMeta,
    #[serde(rename = "type")]
    kind: String,
    reason: String,
    message: String,
    first_timestamp: Option<String>,
    last_timestamp: Option<String>,
    event_time: Option<String>,
    reporting_component: Option<String>,
    #[serde(deserialize_with = "or_default")]
    series: Series,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct EventMeta {
    uid: String,
    resource_version: String,
}

/// How an Event of `events.k8s.io` counts its repetitions.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Series {
    last_observed_time: Option<String>,
}

impl EventWire {
    fn last(&self) -> &str {
        let times = [&self.series.last_observed_time, &self.last_timestamp, &self.event_time];
        times.into_iter().flatten().next().map_or("", String::as_str)
    }

    fn rank(&self) -> (bool, &str) {
        (self.kind == "Warning", self.last())
    }

    fn said(&self) -> String {
        clean(&format!("{}: {}", self.reason, self.message))
    }

    fn failed_create(self) -> FailedCreate {
        let first = self.first_timestamp.as_ref().or(self.event_time.as_ref());
        FailedCreate {
            version: format!("{}/{}", self.metadata.uid, self.metadata.resource_version),
            first: clean(first.map_or("", String::as_str)),
            last: self.last().to_owned(),
            message: clean(&self.message),
        }
    }
}

/// An attempt has begun, and no word of its end has come. They may be said in the same second.
fn pulling(events: &[EventWire]) -> bool {
    let last = |reasons: &[&str]| {
        events.iter().filter(|e| reasons.contains(&e.reason.as_str())).map(EventWire::last).max()
    };
    last(&["Pulling"]) > last(&["Pulled", "Failed", "BackOff"])
}

impl Cluster {
    /// Reason and message of a pod's newest Warning event, or else of its newest event, unless that is what every pod's
    /// start is accompanied by. `None` if there is none, or events cannot be read.
    pub async fn last_event(&self, namespace: &str, pod_uid: &str) -> Option<String> {
        let events = self.events(namespace, pod_uid).await.ok()?;
        let last = events.into_iter().max_by(|a, b| a.rank().cmp(&b.rank()))?;
        let routine = last.kind != "Warning" && ROUTINE.contains(&last.reason.as_str());
        (!routine).then(|| last.said())
    }

    /// Whether the kubelet is downloading an image for this pod, by what it has said last: `Pulling` comes before each
    /// attempt, and the status of the pod shows none but the first. `false` if its Events cannot be read.
    pub async fn is_pulling(&self, namespace: &str, pod_uid: &str) -> bool {
        let events = timeout(PATIENCE, self.events(namespace, pod_uid)).await;
        events.is_ok_and(|events| events.is_ok_and(|events| pulling(&events)))
    }

    /// Reason and message of the newest Warning event on an object that this tool did not create itself. `None` if there is
    /// none, or events cannot be read.
    pub async fn last_warning(&self, namespace: &str, uid: &str) -> Option<String> {
        let events = self.events(namespace, uid).await.ok()?;
        let others = events
            .into_iter()
            .filter(|e| e.kind == "Warning" && e.reporting_component.as_deref() != Some(MANAGER));
        others.max_by(|a, b| a.rank().cmp(&b.rank())).map(|e| e.said())
    }

    /// Why the controller of a workload may not have created a pod: what it has said, and whether the PlacementPolicy exists
    /// that the workload names, of which it says nothing.
    pub async fn creation_news(&self, workload: &Workload) -> CreationNews {
        let object = &workload.object;
        let policy = async {
            match &workload.placement_policy {
                Some(name) => self.placement_policies().await.map(|all| all.contains(name)),
                None => Lookup::Absent,
            }
        };
        let reading = async { tokio::join!(self.events(&object.namespace, &object.uid), policy) };
        let Ok((events, policy)) = timeout(PATIENCE, reading).await else {
            let late = || format!("no response within {} s", PATIENCE.as_secs());
            return CreationNews { failures: Lookup::Unreadable(late()), policy: Lookup::Unreadable(late()) };
        };
        let failed = |e: &EventWire| e.reason == "FailedCreate";
        let failures = events.map(|e| e.into_iter().filter(failed).map(EventWire::failed_create).collect());
        CreationNews {
            failures: failures.map_or_else(|error| Lookup::Unreadable(error.to_string()), Lookup::Found),
            policy,
        }
    }

    /// The names of the PlacementPolicies. They are cluster-scoped, and many users may not list them. They only explain, so a
    /// cluster that does not list them now is not an error either: nothing waits for them.
    pub(super) async fn placement_policies(&self) -> Lookup<BTreeSet<String>> {
        let api = WorkloadKind::PetSet.api_version();
        match self.list::<Named>(api, "", "placementpolicies", "", "").await {
            Ok((found, _)) => Lookup::Found(found.into_iter().map(|p| clean(&p.metadata.name)).collect()),
            Err(error) if error.absent() => Lookup::Absent,
            Err(error) => Lookup::Unreadable(error.to_string()),
        }
    }

    async fn events(&self, namespace: &str, uid: &str) -> Result<Vec<EventWire>, ClusterError> {
        let selector = format!("involvedObject.uid={uid}");
        let params = ListParams::default().fields(&selector).limit(PAGE);
        let what = "list events".to_owned();
        let request = built(Request::new(path("v1", namespace, "events")?).list(&params), "events")?;
        let call = Call { what: what.clone(), verb: "list", resource: "events".to_owned(), request };
        // Whoever asks does so again soon, or has no time: an answer that may be better later is not waited for. One object
        // has few Events.
        let page: Page<EventWire> = self.once(&call).await?.parse(&what)?;
        page.fits(&what)?;
        Ok(page.items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_download_has_begun_and_not_ended() {
        for (said, expected) in [
            (&[][..], false),
            (&[("Scheduled", "10:00:00")], false),
            (&[("Scheduled", "10:00:00"), ("Pulling", "10:00:00")], true),
            (&[("Pulling", "10:00:01"), ("Failed", "10:00:01")], false),
            (&[("Failed", "10:00:02"), ("BackOff", "10:00:13"), ("Pulling", "10:00:27")], true),
            (&[("Failed", "10:00:28"), ("BackOff", "10:00:13"), ("Pulling", "10:00:27")], false),
            (&[("Pulled", "10:00:30"), ("Pulling", "10:00:27")], false),
        ] {
            let event = |(reason, at): &(&str, &str)| EventWire {
                reason: (*reason).to_owned(),
                last_timestamp: Some(format!("2026-01-02T{at}Z")),
                ..EventWire::default()
            };
            let events: Vec<_> = said.iter().map(event).collect();
            assert_eq!(pulling(&events), expected, "{said:?}");
        }
    }
}
