use serde_json::{Value, json};
use simcluster::SimCluster;

use crate::client::*;

async fn can_i(sim: &SimCluster, verb: &str, group: &str, resource: &str, subresource: &str) -> Value {
    let attributes = json!({"verb": verb, "group": group, "resource": resource,
        "subresource": subresource, "namespace": "default"});
    let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let reply = post(sim, path, json!({"spec": {"resourceAttributes": attributes}})).await;
    assert_eq!(reply.code, 201);
    reply.body["status"]["allowed"].clone()
}

#[tokio::test(start_paused = true)]
async fn reviews_and_requests_obey_the_same_rules() {
    let sim = cluster();
    sim.store().create("pods", running_pod("p", true)).expect("created");
    assert_eq!(can_i(&sim, "create", "", "pods", "eviction").await, true);
    assert_eq!(can_i(&sim, "create", "policy", "pods", "eviction").await, false, "the wrong group");
    sim.access().deny("create", "", "pods", "eviction");
    assert_eq!(can_i(&sim, "create", "", "pods", "eviction").await, false);
    assert_eq!(can_i(&sim, "create", "", "pods", "").await, true);
    let reply = post(&sim, &format!("{PODS}/p/eviction"), json!({"metadata": {"name": "p"}})).await;
    assert_eq!((reply.code, reply.reason()), (403, "Forbidden"));
    assert_eq!(
        reply.message(),
        "pods \"p\" is forbidden: User \"sandbox-user\" cannot create resource \"pods/eviction\" \
         in API group \"\" in the namespace \"default\""
    );
    sim.access().allow_all();
    assert_eq!(post(&sim, &format!("{PODS}/p/eviction"), json!({"metadata": {"name": "p"}})).await.code, 201);
}

#[tokio::test(start_paused = true)]
async fn verbs_are_told_apart() {
    let sim = cluster();
    sim.access().deny("list", "kubedb.com", "kafkas", "");
    sim.access().deny("*", "catalog.kubedb.com", "*", "*");
    assert_eq!(get(&sim, KAFKAS).await.code, 403);
    assert_eq!(get(&sim, &format!("{KAFKAS}/k")).await.code, 404);
    let versions = get(&sim, "/apis/catalog.kubedb.com/v1alpha1/kafkaversions").await;
    assert_eq!(
        versions.message(),
        "kafkaversions.catalog.kubedb.com is forbidden: User \"sandbox-user\" cannot list resource \
         \"kafkaversions\" in API group \"catalog.kubedb.com\" at the cluster scope"
    );
}
