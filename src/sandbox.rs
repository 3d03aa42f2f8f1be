//! The sandbox: a simulated cluster with databases to try the tool on, and faults on demand.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use clap::ValueEnum;
use serde_json::{Value, json};
use simcluster::{AdmissionRule, Ailment, Behaviour, Endpoint, PodRule, Rewrite, SimCluster, Store, Trouble};
use tokio::net::TcpListener;

use crate::model::Kind;

/// The name of the simulated cluster, shown in the place of a real cluster's context.
pub const NAME: &str = "sandbox";

/// The namespace of the sandbox's databases.
pub const NAMESPACE: &str = "default";

/// Another one, with two databases.
pub use simcluster::world::ANALYTICS;

/// A user of the sandbox who may only read.
pub use simcluster::world::VIEWER;

/// Long enough to see what `--pre-pull` is for, and short enough to wait for it.
const SLOW_PULL: Duration = Duration::from_secs(8);

/// Long enough to read what a run waits for, and short enough to wait for it.
const CATCHING_UP: Duration = Duration::from_secs(15);

/// Longer than it takes to act on an answer at once, and shorter than it takes for a pod to come back.
const RESTLESS: Duration = Duration::from_millis(500);

const BUDGETS: &str = "poddisruptionbudgets.policy";

/// A fault to simulate, so that a failure can be rehearsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Fault {
    /// The second pod of each workload cannot pull its new image
    Pull,
    /// The first pod of each workload cannot pull its new image
    PullFirst,
    /// A node takes 8 s to download an image
    SlowPull,
    /// The second pod of each workload crashes on its new image
    Crash,
    /// Every pod gets its images from a mirror, and sidecars, as webhooks do it
    Mirror,
    /// A policy refuses the pods that controllers create
    RefusePods,
    /// Every PodDisruptionBudget forbids evictions for the first two minutes
    Budget,
    /// A Kafka broker that comes back takes 15 s longer to catch up on one partition
    UnderReplicated,
    /// The second pod of each workload takes 15 s from Ready to being a member again
    SlowRejoin,
    /// Half a second after each question to a database, another member leads it
    LeaderMoves,
    /// KubeDB's operator is down and does not acknowledge the pause
    NoOperator,
    /// You may read everything but secrets, and write nothing
    ReadOnly,
}

/// A running simulated cluster. Dropping it stops the cluster.
pub struct Sandbox {
    cluster: SimCluster,
}

impl Sandbox {
    /// Creates the databases and starts the controllers on the current runtime.
    pub fn start(faults: &[Fault]) -> Self {
        let cluster = SimCluster::new(from_the_start(faults));
        simcluster::world::sandbox(&cluster);
        for fault in faults {
            misbehave(&cluster, *fault);
        }
        cluster.start();
        Self { cluster }
    }

    /// A client that reaches the cluster in process, without a socket.
    pub fn client(&self) -> kube::Client {
        kube::Client::new(self.cluster.transport(), NAMESPACE)
    }

    /// The API on a listener, with clients that are a round trip of `latency` away.
    ///
    /// # Errors
    ///
    /// The listener has no address, or the system has no random numbers for the keys.
    pub fn endpoint(&self, listener: TcpListener, latency: Duration) -> io::Result<Endpoint> {
        Ok(Endpoint::new(&self.cluster, listener)?.at_a_distance(latency))
    }
}

/// What the databases were created under.
fn from_the_start(faults: &[Fault]) -> Behaviour {
    match faults.contains(&Fault::Mirror) {
        true => rewritten().into_iter().fold(Behaviour::default(), Behaviour::admitting),
        false => Behaviour::default(),
    }
}

/// A registry mirror and a service mesh: what admission most often makes of a pod. The order is that of a cluster whose
/// mirror is asked last, so the sidecars come through it as well.
fn rewritten() -> [AdmissionRule; 3] {
    [
        Rewrite::Sidecar {
            name: "log-agent".into(),
            image: "docker.io/fluent/fluent-bit:3.0.4".into(),
            first: true,
        },
        Rewrite::NativeSidecar { name: "istio-proxy".into(), image: "docker.io/istio/proxyv2:1.22.1".into() },
        Rewrite::Images { from: String::new(), to: "mirror.example.com/".into() },
    ]
    .map(AdmissionRule::rewrite)
}

fn misbehave(cluster: &SimCluster, fault: Fault) {
    match fault {
        Fault::Mirror => {}
        Fault::Pull => fail_to_pull(cluster, "*-1"),
        Fault::PullFirst => fail_to_pull(cluster, "*-0"),
        Fault::SlowPull => cluster.behaviour().change(|b| b.download = SLOW_PULL),
        Fault::Crash => {
            let crash = Ailment::Crash { after: Duration::from_millis(100), exit_code: 1 };
            spoil_new_images(cluster, "*-1", &crash);
        }
        Fault::RefusePods => cluster.behaviour().change(|b| b.admission.push(refusal())),
        Fault::UnderReplicated => cluster.databases().trouble(Trouble::SlowReplica {
            topic: "orders".into(),
            partition: 3,
            delay: CATCHING_UP,
        }),
        Fault::SlowRejoin => {
            cluster.databases().trouble(Trouble::SlowRejoin { pods: "*-1".into(), delay: CATCHING_UP });
        }
        Fault::LeaderMoves => cluster.databases().trouble(Trouble::LeaderMoves { after: RESTLESS }),
        Fault::Budget => spend_budgets(cluster.store()),
        Fault::NoOperator => cluster.behaviour().change(|b| b.provisioner.alive = false),
        Fault::ReadOnly => cluster.access().only_reads(simcluster::USER),
    }
}

/// As PodSecurity words it. Whoever types a command is no controller, so pods of their own are admitted.
fn refusal() -> AdmissionRule {
    AdmissionRule::refuse(
        "violates PodSecurity \"restricted:latest\": runAsNonRoot != true (pod or container must set \
         securityContext.runAsNonRoot=true)",
    )
    .user("system:serviceaccount:*")
}

/// What these pods cannot pull, no pod can that is created to pull it first.
fn fail_to_pull(cluster: &SimCluster, pods: &str) {
    for pods in [pods, "dbupdate-pull-*"] {
        spoil_new_images(cluster, pods, &Ailment::PullError);
    }
}

/// The second pod of each workload leaves a partial update. After the first one, nothing of the new version has started.
fn spoil_new_images(cluster: &SimCluster, pods: &str, ailment: &Ailment) {
    let images = new_images(cluster.store());
    cluster.behaviour().change(|behaviour| {
        for image in &images {
            // The operator may pin images to digests.
            for pattern in [image.clone(), format!("{image}@*")] {
                let rule = PodRule::new(ailment.clone()).name(pods).image(&pattern);
                behaviour.pods.push(rule);
            }
        }
    });
}

/// The images of the versions that no database runs yet. The current images must keep working, so that a rollback can
/// be rehearsed as well.
fn new_images(store: &Store) -> BTreeSet<String> {
    let image = |version: &Value| version.pointer("/spec/db/image")?.as_str().map(str::to_owned);
    let mut images = BTreeSet::new();
    for kind in Kind::ALL {
        let databases = store.list(&format!("{}.kubedb.com", kind.plural()), None);
        let in_use = |version: &Value| {
            databases.iter().any(|db| db.pointer("/spec/version") == version.pointer("/metadata/name"))
        };
        let versions = format!("{}.catalog.kubedb.com", kind.facts().version_plural);
        let unused = store.list(&versions, None);
        images.extend(unused.iter().filter(|v| !in_use(v)).filter_map(|v| image(v)));
    }
    images
}

/// Records in each budget an eviction of its last pod that was granted but never happened: the disruption controller
/// waits two minutes for such a pod to disappear.
fn spend_budgets(store: &Store) {
    for budget in store.list(BUDGETS, None) {
        let text = |path| budget.pointer(path).and_then(Value::as_str).unwrap_or_default();
        let name = text("/metadata/name");
        let pods = budget.pointer("/status/expectedPods").and_then(Value::as_i64).unwrap_or(1);
        // A budget has the same name as its workload.
        let pod = format!("{name}-{}", pods - 1);
        let since = store.now().to_string();
        // A budget that was deleted in the meantime can be skipped.
        let _ = store.update_status(BUDGETS, text("/metadata/namespace"), name, |object| {
            object["status"]["disruptedPods"] = json!({ pod: since });
            object["status"]["disruptionsAllowed"] = json!(0);
        });
    }
}

#[cfg(test)]
mod tests {
    use simcluster::DeleteOptions;
    use tokio::time::sleep;

    use super::*;

    /// Whoever adds a kind adds a simulated database of it.
    #[test]
    fn the_sandbox_has_a_database_of_each_kind() {
        let cluster = SimCluster::new(Behaviour::default());
        simcluster::world::sandbox(&cluster);
        for kind in Kind::ALL {
            let databases = cluster.store().list(&format!("{}.kubedb.com", kind.plural()), Some(NAMESPACE));
            let versions = format!("{}.catalog.kubedb.com", kind.facts().version_plural);
            assert_eq!(databases.len(), 1, "{kind}");
            assert!(
                cluster.store().list(&versions, None).len() > 1,
                "{kind}: an update needs a second version"
            );
        }
    }

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

    /// As if admission had always rewritten them: every pod has its sidecars, and every node what its pods run.
    #[tokio::test(start_paused = true)]
    async fn pods_have_always_come_through_the_mirror() {
        let sandbox = Sandbox::start(&[Fault::Mirror]);
        let store = sandbox.cluster.store();
        let pods = store.list("pods", Some(NAMESPACE));
        assert!(!pods.is_empty());
        for pod in pods {
            let node = pod["spec"]["nodeName"].as_str().expect("it is scheduled");
            let node = store.get("nodes", "", node).expect("it is there").to_string();
            for (list, injected) in [("initContainers", "istio-proxy"), ("containers", "log-agent")] {
                let containers = pod["spec"][list].as_array().expect("it has some");
                assert_eq!(containers[0]["name"], injected);
                for image in containers.iter().filter_map(|c| c["image"].as_str()) {
                    assert!(image.starts_with("mirror.example.com/") && node.contains(image), "{image}");
                }
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn only_pods_of_controllers_are_refused() {
        let sandbox = Sandbox::start(&[Fault::RefusePods]);
        let store = sandbox.cluster.store();
        let before = store.list("pods", Some(NAMESPACE)).len();
        store.delete("pods", NAMESPACE, "my-zk-0", DeleteOptions::now()).expect("it is there");
        sleep(Duration::from_secs(60)).await;
        assert_eq!(store.list("pods", Some(NAMESPACE)).len(), before - 1);
    }

    /// Whatever else goes wrong, the databases of the sandbox are well at the start: every pod could go.
    #[tokio::test(start_paused = true)]
    async fn every_pod_could_go_at_the_start() {
        let faults = [Fault::UnderReplicated, Fault::SlowRejoin, Fault::LeaderMoves];
        let sandbox = Sandbox::start(&faults);
        for pod in sandbox.cluster.store().list("pods", None) {
            let text = |path| pod.pointer(path).and_then(Value::as_str).unwrap_or_default();
            let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
            assert_eq!(sandbox.cluster.databases().can_bear(namespace, name), Ok(()), "{namespace}/{name}");
        }
    }

    /// The faults strike pods that come back: their database holds others back until it is over.
    #[tokio::test(start_paused = true)]
    async fn a_pod_that_comes_back_holds_others_back() {
        for (fault, pod, other) in [
            (Fault::UnderReplicated, "my-kf-broker-0", "my-kf-broker-2"),
            (Fault::SlowRejoin, "my-zk-1", "my-zk-2"),
        ] {
            let sandbox = Sandbox::start(&[fault]);
            sandbox
                .cluster
                .store()
                .delete("pods", NAMESPACE, pod, DeleteOptions::now())
                .expect("it is there");
            let bears = || sandbox.cluster.databases().can_bear(NAMESPACE, other).is_ok();
            for (wait, borne) in [(10, false), (30, true)] {
                sleep(Duration::from_secs(wait)).await;
                assert_eq!(bears(), borne, "{fault:?} after {wait} s");
            }
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
