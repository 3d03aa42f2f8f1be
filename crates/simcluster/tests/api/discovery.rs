use serde_json::json;

use crate::client::*;

#[tokio::test(start_paused = true)]
async fn both_forms_of_discovery_agree() {
    let sim = cluster();
    let list = get(&sim, "/apis/kubedb.com/v1alpha2").await.body;
    let plain: Vec<&str> =
        list["resources"].as_array().expect("resources").iter().filter_map(|r| r["name"].as_str()).collect();
    assert!(plain.contains(&"kafkas") && plain.contains(&"druids/status"), "{plain:?}");
    let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let reply = get_as(&sim, "/apis", accept).await;
    assert_eq!(reply.headers["content-type"], accept);
    let groups = reply.body["items"].as_array().expect("groups").clone();
    let kubedb = groups.iter().find(|group| group["metadata"]["name"] == "kubedb.com").expect("the group");
    let versions: Vec<&str> = kubedb["versions"]
        .as_array()
        .expect("versions")
        .iter()
        .filter_map(|v| v["version"].as_str())
        .collect();
    assert_eq!(versions, ["v1", "v1alpha2"]);
    let kafka = &kubedb["versions"][0]["resources"][0];
    assert_eq!((&kafka["resource"], &kafka["shortNames"]), (&json!("kafkas"), &json!(["kf"])));
}

#[tokio::test(start_paused = true)]
async fn an_api_that_is_removed_was_never_there() {
    let sim = cluster();
    let petsets = "/apis/apps.k8s.appscode.com/v1/namespaces/default/petsets";
    assert_eq!(get(&sim, petsets).await.code, 200);
    for resource in ["petsets", "placementpolicies"] {
        sim.apis().remove(&format!("{resource}.apps.k8s.appscode.com"));
    }
    assert_eq!(get(&sim, petsets).await.text, "404 page not found\n");
    assert_eq!(get(&sim, "/apis/apps.k8s.appscode.com").await.code, 404);
    post(&sim, KAFKAS, kafka("k")).await;
    sim.apis().remove_version("kafkas.kubedb.com", "v1");
    assert_eq!(get(&sim, &format!("{KAFKAS}/k")).await.code, 404);
    let old = get(&sim, "/apis/kubedb.com/v1alpha2/namespaces/default/kafkas/k").await.body;
    assert_eq!(old["apiVersion"], "kubedb.com/v1alpha2");
    let group = get(&sim, "/apis/kubedb.com").await.body;
    assert_eq!(group["preferredVersion"]["version"], "v1alpha2");
}

#[tokio::test(start_paused = true)]
async fn a_server_says_how_it_is() {
    let sim = cluster();
    assert_eq!(get(&sim, "/readyz").await.text, "ok");
    assert_eq!(get(&sim, "/version").await.body["major"], "1");
    let api = get(&sim, "/openapi/v3/apis/kubedb.com/v1").await.body;
    let path = &api["paths"]["/apis/kubedb.com/v1/namespaces/{namespace}/kafkas/{name}"];
    assert_eq!(path["patch"]["parameters"][2]["name"], "fieldValidation");
}

#[tokio::test(start_paused = true)]
async fn the_fields_of_a_kind_are_described() {
    let sim = cluster();
    let index = get(&sim, "/openapi/v3").await.body;
    let url = index["paths"]["apis/kubedb.com/v1"]["serverRelativeURL"].as_str().expect("a path").to_owned();
    assert!(url.starts_with("/openapi/v3/apis/kubedb.com/v1?hash="), "{url}");
    let document = get(&sim, &url).await.body;
    let kafka = &document["components"]["schemas"]["com.kubedb.v1.Kafka"];
    assert_eq!(kafka["x-kubernetes-group-version-kind"][0]["kind"], "Kafka");
    let spec = &kafka["properties"]["spec"];
    assert_eq!(spec["properties"]["version"]["type"], "string");
    assert_eq!(spec["required"], json!(["version"]));
    assert_eq!(
        kafka["properties"]["metadata"]["properties"]["labels"]["additionalProperties"]["type"],
        "string"
    );
    let old = get(&sim, "/openapi/v2").await.body;
    assert_eq!(old["definitions"]["com.kubedb.v1.Kafka"], *kafka);
    // kubectl asks again once the hash is another one.
    let alpha = async || get(&sim, "/openapi/v3").await.body["paths"]["apis/kubedb.com/v1alpha2"].clone();
    let before = alpha().await;
    assert_eq!(alpha().await, before);
    sim.apis().remove_version("kafkas.kubedb.com", "v1alpha2");
    assert_ne!(alpha().await, before);
}
