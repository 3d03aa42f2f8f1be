use serde_json::{Value, json};
use simcluster::{AdmissionRule, Caller, Rewrite, SimCluster, USER};

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

#[tokio::test(start_paused = true)]
async fn a_user_may_be_one_who_only_reads() {
    let sim = cluster();
    sim.access().only_reads("viewer");
    sim.store().create("pods", running_pod("p", true)).expect("created");
    let pod = format!("{PODS}/p");
    let (viewer, admin, nobody) = (("viewer", ""), ("somebody", "system:masters"), ("somebody", ""));
    for (user, method, path, code) in [
        (viewer, "GET", pod.as_str(), 200),
        (viewer, "GET", PODS, 200),
        (viewer, "GET", "/api/v1/namespaces/default/secrets", 403),
        (viewer, "DELETE", pod.as_str(), 403),
        (admin, "DELETE", pod.as_str(), 200),
        (nobody, "GET", PODS, 403),
    ] {
        assert_eq!(send_as(&sim, user, method, path, None).await.code, code, "{user:?}: {method} {path}");
    }
    let refused = send_as(&sim, viewer, "POST", PODS, Some(running_pod("q", true))).await;
    assert!(refused.message().contains("User \"viewer\" cannot create resource \"pods\""), "{refused:?}");
    let reviews = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    for (user, verb, resource, allowed) in [
        (viewer, "list", "pods", true),
        (viewer, "get", "secrets", false),
        (viewer, "patch", "pods", false),
        (viewer, "*", "*", false),
        (admin, "patch", "pods", true),
        (nobody, "get", "pods", false),
    ] {
        let attributes = json!({"verb": verb, "group": "", "resource": resource, "namespace": "default"});
        let body = json!({"spec": {"resourceAttributes": attributes}});
        let reply = send_as(&sim, user, "POST", reviews, Some(body)).await;
        assert_eq!(reply.body["status"]["allowed"], allowed, "{user:?}: {verb} {resource}");
    }
    let whoami = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    let reply = send_as(&sim, viewer, "POST", whoami, Some(json!({}))).await;
    assert_eq!(reply.body["status"]["userInfo"]["username"], "viewer");
}

#[tokio::test(start_paused = true)]
async fn a_users_pod_goes_through_admission_in_a_dry_run_too() {
    let sim = cluster();
    let mirror = Rewrite::Images { from: String::new(), to: "mirror.local/".into() };
    let refusal = AdmissionRule::refuse("exceeded quota: pods").name("q*").user(USER);
    sim.behaviour().change(|behaviour| behaviour.admission = vec![AdmissionRule::rewrite(mirror), refusal]);
    let pod = |name: &str| json!({"metadata": {"name": name}, "spec": {"containers": [{"name": "db", "image": "db:1"}]}});
    for dry_run in ["?dryRun=All", ""] {
        let path = format!("{PODS}{dry_run}");
        let created = post(&sim, &path, pod("p")).await;
        assert_eq!(created.code, 201);
        assert_eq!(created.body["spec"]["containers"][0]["image"], "mirror.local/db:1");
        let refused = post(&sim, &path, pod("q")).await;
        assert_eq!((refused.code, refused.reason()), (403, "Forbidden"));
        assert_eq!(refused.message(), "pods \"q\" is forbidden: exceeded quota: pods");
        assert_eq!(send_as(&sim, ("other", "system:masters"), "POST", &path, Some(pod("q"))).await.code, 201);
    }
}

/// An administrator asks about others.
#[tokio::test(start_paused = true)]
async fn the_rights_of_others_are_reviewed() {
    let sim = cluster();
    sim.access().only_reads("viewer");
    let pods = |verb: &str| json!({"verb": verb, "resource": "pods", "namespace": "default"});
    let group = "/apis/authorization.k8s.io/v1";
    for (path, user, groups, verb, allowed) in [
        ("subjectaccessreviews", "viewer", json!([]), "get", true),
        ("subjectaccessreviews", "viewer", json!([]), "delete", false),
        ("subjectaccessreviews", "somebody", json!(["system:masters"]), "delete", true),
        ("namespaces/default/localsubjectaccessreviews", "somebody", json!([]), "get", false),
    ] {
        let spec = json!({"user": user, "groups": groups, "resourceAttributes": pods(verb)});
        let reply = post(&sim, &format!("{group}/{path}"), json!({"spec": spec})).await;
        assert_eq!((reply.code, &reply.body["status"]["allowed"]), (201, &json!(allowed)), "{user} {verb}");
    }
    let path = format!("{group}/subjectaccessreviews");
    let spec = json!({"spec": {"user": "somebody", "resourceAttributes": pods("get")}});
    assert_eq!(send_as(&sim, ("viewer", ""), "POST", &path, Some(spec)).await.code, 403);
    for spec in
        [json!({}), json!({"resourceAttributes": pods("get"), "nonResourceAttributes": {"path": "/"}})]
    {
        let reply = post(&sim, &format!("{group}/selfsubjectaccessreviews"), json!({"spec": spec})).await;
        assert_eq!(reply.code, 422, "{spec}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_of_a_service_account_is_good_for_a_while() {
    let sim = cluster();
    sim.store()
        .create("serviceaccounts", json!({"metadata": {"name": "robot", "namespace": "default"}}))
        .expect("created");
    sim.tokens().accept("for-ever", Caller::new("ann", ""));
    let account = "/api/v1/namespaces/default/serviceaccounts/robot/token";
    assert_eq!(post(&sim, &account.replace("robot", "nobody"), json!({"spec": {}})).await.code, 404);
    assert_eq!(post(&sim, account, json!({"spec": {"expirationSeconds": 5}})).await.code, 422);
    let reply = post(&sim, account, json!({"spec": {"expirationSeconds": 900}})).await;
    assert_eq!(reply.code, 201, "{}", reply.text);
    let token = reply.body["status"]["token"].as_str().expect("a token").to_owned();
    let reviews = "/apis/authentication.k8s.io/v1/tokenreviews";
    let owner = async |token: &str| {
        let status = post(&sim, reviews, json!({"spec": {"token": token}})).await.body["status"].take();
        status["user"]["username"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(owner(&token).await, "system:serviceaccount:default:robot");
    tokio::time::advance(std::time::Duration::from_secs(901)).await;
    assert_eq!(owner(&token).await, "");
    assert_eq!(owner("for-ever").await, "ann");
    assert_eq!(owner("nonsense").await, "");
}
