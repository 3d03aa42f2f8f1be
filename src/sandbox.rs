//! The simulated cluster, put up for a person: the databases to try the tool on, and what goes wrong on demand.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use clap::ValueEnum;
use serde_json::{Value, json};
use simcluster::{Ailment, Behaviour, PodRule, SimCluster, Store};
use tokio::net::TcpListener;

use crate::model::Kind;

/// What the simulated cluster is called where a real one shows its context.
pub const NAME: &str = "sandbox";

/// The namespace in which the sandbox's databases live.
pub const NAMESPACE: &str = "default";

const BUDGETS: &str = "poddisruptionbudgets.policy";

/// What goes wrong in a sandbox on demand, so that a failure can be rehearsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Fault {
    /// The second pod of each workload cannot pull its new image
    Pull,
    /// The second pod of each workload crashes on its new image
    Crash,
    /// Each disruption budget forbids evictions for the first two minutes
    Budget,
    /// KubeDB's operator is down, and answers no pause
    NoOperator,
}

/// A simulated cluster that runs. It ends when this is dropped.
pub struct Sandbox {
    cluster: SimCluster,
}

impl Sandbox {
    /// Puts up the databases and starts the controllers on the current runtime.
    pub fn start(faults: &[Fault]) -> Self {
        let cluster = SimCluster::new(Behaviour::default());
        simcluster::world::sandbox(&cluster);
        for fault in faults {
            misbehave(&cluster, *fault);
        }
        cluster.start();
        Self { cluster }
    }

    /// A client of it, without a socket in between.
    pub fn client(&self) -> kube::Client {
        kube::Client::new(self.cluster.transport(), NAMESPACE)
    }

    /// Answers whoever connects, until it fails or is dropped.
    ///
    /// # Errors
    ///
    /// The listener fails.
    pub async fn serve(&self, listener: TcpListener) -> io::Result<()> {
        self.cluster.serve(listener).await
    }
}

fn misbehave(cluster: &SimCluster, fault: Fault) {
    match fault {
        Fault::Pull => spoil_new_images(cluster, &Ailment::PullError),
        Fault::Crash => {
            let crash = Ailment::Crash { after: Duration::from_millis(100), exit_code: 1 };
            spoil_new_images(cluster, &crash);
        }
        Fault::Budget => spend_budgets(cluster.store()),
        Fault::NoOperator => cluster.behaviour().change(|b| b.provisioner.alive = false),
    }
}

/// The second pod, so that a rehearsed failure leaves an update half done.
fn spoil_new_images(cluster: &SimCluster, ailment: &Ailment) {
    let images = new_images(cluster.store());
    cluster.behaviour().change(|behaviour| {
        for image in &images {
            // The operator pins images to digests.
            for pattern in [image.clone(), format!("{image}@*")] {
                let rule = PodRule::new(ailment.clone()).name("*-1").image(&pattern);
                behaviour.pods.push(rule);
            }
        }
    });
}

/// The images of the versions that no database runs: those of the others have to go on working, so that a rollback
/// can be rehearsed as well.
fn new_images(store: &Store) -> BTreeSet<String> {
    let image = |version: &Value| version.pointer("/spec/db/image")?.as_str().map(str::to_owned);
    let mut images = BTreeSet::new();
    for kind in Kind::ALL {
        let databases = store.list(&format!("{}.kubedb.com", kind.plural()), None);
        let in_use = |version: &Value| {
            databases.iter().any(|db| db.pointer("/spec/version") == version.pointer("/metadata/name"))
        };
        let versions = format!("{}versions.catalog.kubedb.com", kind.singular());
        let unused = store.list(&versions, None);
        images.extend(unused.iter().filter(|v| !in_use(v)).filter_map(|v| image(v)));
    }
    images
}

/// Has each budget hold an eviction of its last pod that was granted and never happened: the disruption controller
/// waits two minutes for such a pod.
fn spend_budgets(store: &Store) {
    for budget in store.list(BUDGETS, None) {
        let text = |path| budget.pointer(path).and_then(Value::as_str).unwrap_or_default();
        let name = text("/metadata/name");
        let pods = budget.pointer("/status/expectedPods").and_then(Value::as_i64).unwrap_or(1);
        // A budget has the name of its workload.
        let pod = format!("{name}-{}", pods - 1);
        let since = store.now().to_string();
        // One that is gone meanwhile needs no spending.
        let _ = store.update_status(BUDGETS, text("/metadata/namespace"), name, |object| {
            object["status"]["disruptedPods"] = json!({ pod: since });
            object["status"]["disruptionsAllowed"] = json!(0);
        });
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    #[test]
    fn only_images_that_no_database_runs_are_spoiled() {
        let cluster = SimCluster::new(Behaviour::default());
        simcluster::world::sandbox(&cluster);
        let images = new_images(cluster.store());
        for (image, spoiled) in [
            ("ghcr.io/appscode-images/kafka-kraft:3.6.1", true),
            ("ghcr.io/appscode-images/kafka-kraft:3.5.2", false),
            ("ghcr.io/appscode-images/zookeeper:3.9.1", true),
            ("ghcr.io/appscode-images/zookeeper:3.8.3", false),
        ] {
            assert_eq!(images.contains(image), spoiled, "{image}");
        }
    }

    /// The disruption controller forgets an eviction after two minutes.
    #[tokio::test(start_paused = true)]
    async fn budgets_allow_nothing_for_two_minutes() {
        let sandbox = Sandbox::start(&[Fault::Budget]);
        for (wait, allowed) in [(60, 0), (55, 0), (10, 1)] {
            sleep(Duration::from_secs(wait)).await;
            let budgets = sandbox.cluster.store().list(BUDGETS, None);
            assert!(!budgets.is_empty());
            for budget in budgets {
                assert_eq!(budget["status"]["disruptionsAllowed"], allowed, "{}", budget["metadata"]["name"]);
            }
        }
    }
}
