//! Admission of pods, whoever creates them.

use simcluster::{AdmissionRule, Rewrite};

use super::*;

const MIRROR: &str = "mirror.local/";

/// Every image comes through a mirror, and every pod gets a proxy that keeps running beside it.
fn rewriting() -> Behaviour {
    let images = Rewrite::Images { from: String::new(), to: MIRROR.into() };
    let proxy = Rewrite::NativeSidecar { name: "proxy".into(), image: "mesh/proxy:1".into() };
    let rules = [images, proxy].map(AdmissionRule::rewrite);
    rules.into_iter().fold(Behaviour::default(), Behaviour::admitting)
}

/// The pod is Ready, and was rewritten; its template was not.
fn is_rewritten(pod: &Value, template: &Value) {
    assert!(holds(pod, "Ready"), "{pod:#}");
    assert_eq!(text(pod, "/spec/initContainers/0/name"), "proxy", "{pod:#}");
    let image = |object, pointer| text(object, pointer).to_owned();
    let wanted = image(template, "/spec/template/spec/containers/0/image");
    assert_eq!(image(pod, "/spec/containers/0/image"), format!("{MIRROR}{wanted}"));
    assert!(!wanted.starts_with(MIRROR));
    let proxy = &pod["status"]["initContainerStatuses"][0];
    assert!(proxy["state"]["running"].is_object() && proxy["ready"] == true, "{proxy:#}");
}

#[tokio::test(start_paused = true)]
async fn pods_are_rewritten_from_the_start_and_when_they_come_back() {
    for (database, res, name) in [
        (Database::zookeeper("db"), PETSETS, "db-1"),
        (Database::hazelcast("db"), STATEFUL_SETS, "db-1"),
        (Database::kafka_combined("db").cruise_control(), "deployments.apps", "cruise"),
    ] {
        let cluster = running(rewriting(), database);
        let store = cluster.store();
        let pods = || store.list(PODS, Some("default"));
        let found = || pods().into_iter().find(|pod| text(pod, "/metadata/name").contains(name));
        let workload = store.list(res, Some("default")).remove(0);
        let before = found().expect("it is installed");
        is_rewritten(&before, &workload);
        delete(store, PODS, text(&before, "/metadata/name"));
        let back = || found().filter(|pod| pod["metadata"]["uid"] != before["metadata"]["uid"]);
        until(store, "ready again", || back().is_some_and(|pod| holds(&pod, "Ready"))).await;
        is_rewritten(&back().expect("it is back"), &workload);
    }
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_is_refused_is_not_made() {
    let cluster = running(Behaviour::default(), Database::zookeeper("zk"));
    let refusal = AdmissionRule::refuse("exceeded quota: pods").user("system:serviceaccount:*");
    cluster.behaviour().change(|behaviour| behaviour.admission.push(refusal));
    delete(cluster.store(), PODS, "zk-1");
    tokio::time::sleep(60 * SECOND).await;
    assert!(cluster.store().get(PODS, "default", "zk-1").is_none());
}
