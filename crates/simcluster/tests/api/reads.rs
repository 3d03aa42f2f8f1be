use serde_json::json;

use crate::client::*;

async fn three_maps() -> simcluster::SimCluster {
    let sim = cluster();
    for name in ["a", "b", "c"] {
        let mut map = configmap(name);
        map["metadata"]["labels"] = json!({"name": name});
        sim.store().create("configmaps", map).expect("created");
    }
    sim
}

#[tokio::test(start_paused = true)]
async fn a_list_comes_in_pages_of_one_moment() {
    let sim = three_maps().await;
    let first = get(&sim, &format!("{CONFIGMAPS}?limit=2")).await;
    assert_eq!(first.names(), ["a", "b"]);
    assert_eq!(first.body["metadata"]["remainingItemCount"], 1);
    sim.store().create("configmaps", configmap("bb")).expect("created");
    sim.store().delete("configmaps", "default", "c", Default::default()).expect("deleted");
    let token = first.body["metadata"]["continue"].as_str().expect("a token");
    let next = format!("{CONFIGMAPS}?limit=2&continue={token}");
    let second = get(&sim, &next).await;
    assert_eq!(second.names(), ["c"]);
    assert!(second.body["metadata"].get("continue").is_none());
    sim.store().compact();
    let expired = get(&sim, &next).await;
    assert_eq!((expired.code, expired.reason()), (410, "Expired"));
}

#[tokio::test(start_paused = true)]
async fn lists_obey_selectors_and_versions() {
    let sim = three_maps().await;
    let version = get(&sim, CONFIGMAPS).await.body["metadata"]["resourceVersion"].clone();
    sim.store().create("configmaps", configmap("d")).expect("created");
    let cases = [
        ("labelSelector=name%20in%20(a,c)", vec!["a", "c"]),
        ("labelSelector=!name", vec!["d"]),
        ("fieldSelector=metadata.name=b", vec!["b"]),
        (
            &format!("resourceVersionMatch=Exact&resourceVersion={}", version.as_str().unwrap_or("")),
            vec!["a", "b", "c"],
        ),
    ];
    for (query, expected) in cases {
        assert_eq!(get(&sim, &format!("{CONFIGMAPS}?{query}")).await.names(), expected, "{query}");
    }
    let unknown = get(&sim, &format!("{CONFIGMAPS}?fieldSelector=data.k=v")).await;
    assert_eq!((unknown.code, unknown.message()), (400, "field label not supported: data.k"));
    let future = get(&sim, &format!("{CONFIGMAPS}?resourceVersion=999")).await;
    assert_eq!((future.code, future.reason()), (504, "Timeout"));
}

#[tokio::test(start_paused = true)]
async fn items_of_built_in_lists_have_no_kind_and_custom_ones_do() {
    let sim = three_maps().await;
    sim.store().create("kafkas.kubedb.com", kafka("k")).expect("created");
    let maps = get(&sim, CONFIGMAPS).await.body;
    assert_eq!((&maps["kind"], maps["items"][0].get("kind")), (&json!("ConfigMapList"), None));
    let kafkas = get(&sim, KAFKAS).await.body;
    assert_eq!(kafkas["items"][0]["kind"], "Kafka");
    let old = get(&sim, "/apis/kubedb.com/v1alpha2/kafkas").await.body;
    assert_eq!(
        (&old["apiVersion"], &old["items"][0]["apiVersion"]),
        (&json!("kubedb.com/v1alpha2"), &json!("kubedb.com/v1alpha2"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_table_has_the_columns_of_its_kind() {
    let sim = cluster();
    sim.store().create("kafkas.kubedb.com", kafka("k")).expect("created");
    tokio::time::sleep(std::time::Duration::from_secs(185)).await;
    let accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
    let table = get_as(&sim, KAFKAS, accept).await.body;
    let columns: Vec<&str> = table["columnDefinitions"]
        .as_array()
        .expect("columns")
        .iter()
        .filter_map(|column| column["name"].as_str())
        .collect();
    assert_eq!(columns, ["Name", "Version", "Status", "Age"]);
    assert_eq!(table["rows"][0]["cells"], json!(["k", "3.5.2", null, "3m5s"]));
    assert_eq!(table["rows"][0]["object"]["kind"], "PartialObjectMetadata");
    assert!(table["rows"][0]["object"].get("spec").is_none());
}

#[tokio::test(start_paused = true)]
async fn metadata_alone_can_be_asked_for() {
    let sim = three_maps().await;
    let accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
    let list = get_as(&sim, CONFIGMAPS, accept).await.body;
    assert_eq!(list["kind"], "PartialObjectMetadataList");
    assert_eq!(list["items"][0]["kind"], "PartialObjectMetadata");
    assert!(list["items"][0].get("data").is_none());
    assert_eq!(get_as(&sim, CONFIGMAPS, "application/vnd.kubernetes.protobuf").await.code, 406);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_is_refused_as_a_server_does() {
    let sim = cluster();
    let object = get(&sim, &format!("{KAFKAS}/none")).await;
    assert_eq!((object.code, object.reason()), (404, "NotFound"));
    assert_eq!(object.message(), "kafkas.kubedb.com \"none\" not found");
    assert_eq!(object.body["details"], json!({"name": "none", "group": "kubedb.com", "kind": "kafkas"}));
    let paths = [
        "/apis/no.such.group/v1/things",
        "/apis/kubedb.com/v1/namespaces/default/druids",
        "/apis/kubedb.com/v1/kafkas/my-kf",
        "/apis/catalog.kubedb.com/v1alpha1/namespaces/default/kafkaversions/3.5.2",
        "/nowhere",
    ];
    for path in paths {
        let reply = get(&sim, path).await;
        assert_eq!((reply.code, reply.text.as_str()), (404, "404 page not found\n"), "{path}");
    }
    let built_in = get(&sim, "/apis/apps/v1/namespaces/default/things").await;
    assert_eq!(built_in.message(), "the server could not find the requested resource");
}
