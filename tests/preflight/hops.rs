//! `--through`: the way to a version that is not reachable at once.

use kubectl_dbupdate::model::{Action, Check, Method, Methods, Plan, PodAction};
use kubectl_dbupdate::plan::hops::{self, Hops};
use kubectl_dbupdate::plan::update::{Request, Unfinished};
use serde_json::json;
use simcluster::world::Database;

use crate::scene::Scene;

fn request(to: &str) -> Request {
    Request::to(to)
}

async fn hops(scene: &Scene, request: &Request) -> Hops {
    let snapshot = scene.read().await.expect("the database can be read");
    hops::plan(&snapshot, request).expect("the target is in the catalog")
}

/// `from > to`, and what refuses it.
fn hop(plan: &Plan) -> String {
    let refused: Vec<_> = plan.refusals().map(|f| f.check.to_string()).collect();
    format!("{} > {} {}", plan.from.name, plan.to.name, refused.join(" ")).trim_end().to_owned()
}

fn each_hop(hops: &Hops) -> Vec<String> {
    hops.all().map(hop).collect()
}

#[tokio::test]
async fn every_step_of_the_way_is_planned_as_if_those_before_had_arrived() {
    let scene = Scene::new(Database::druid("dr"));
    for (to, expected) in [
        ("30.0.1", &["28.0.1 > 30.0.1"][..]),
        ("31.0.0", &["28.0.1 > 30.0.1", "30.0.1 > 31.0.0"]),
        ("36.0.0", &["28.0.1 > 30.0.1", "30.0.1 > 31.0.0", "31.0.0 > 35.0.1", "35.0.1 > 36.0.0"]),
        ("latest", &["28.0.1 > 30.0.1", "30.0.1 > 31.0.0", "31.0.0 > 35.0.1", "35.0.1 > 36.0.0"]),
        ("28.0.1", &["28.0.1 > 28.0.1"]),
        ("25.0.0", &["28.0.1 > 25.0.0 deprecated-target downgrade version-denied"]),
    ] {
        let hops = hops(&scene, &request(to)).await;
        assert_eq!(each_hop(&hops), expected, "{to}");
        assert_eq!(hops.barred(), None, "{to}");
        let mut images = hops.all().flat_map(|plan| &plan.workloads).flat_map(|w| &w.images);
        assert!(images.all(|i| i.now != i.after), "{to}");
        for plan in
            hops.all().filter(|plan| plan.action == Action::Update && plan.refusals().next().is_none())
        {
            assert!(
                plan.workloads.iter().all(|w| w.images.iter().all(|i| i.after.ends_with(&plan.to.name))),
                "{to}"
            );
            assert_eq!(plan.pods().count(), 6, "{to}");
        }
    }
}

#[tokio::test]
async fn a_hop_that_is_barred_later_is_known_at_once() {
    let scene = Scene::new(Database::druid("dr"));
    scene.change_version("36.0.0", |v| v["spec"]["deprecated"] = json!(true));
    let hops = hops(&scene, &request("36.0.0")).await;
    let barred = hops.barred().map(hop);
    assert_eq!(barred.as_deref(), Some("35.0.1 > 36.0.0 deprecated-target"), "{:?}", each_hop(&hops));
    assert_eq!(hops.first.refusals().count(), 0);
}

#[tokio::test]
async fn what_is_unfinished_on_the_way_is_finished_first() {
    let scene = Scene::new(Database::druid("dr"));
    let unfinished = |from: &str, to: &str, rollback: bool| Unfinished {
        method: Default::default(),
        ops_request: None,
        run: "r1".to_owned(),
        who: "ann@laptop".to_owned(),
        began: "2026-11-21T07:00:00Z".to_owned(),
        from: from.to_owned(),
        to: to.to_owned(),
        rollback,
        images: Vec::new(),
        pins: Vec::new(),
    };
    let on_the_way = ["28.0.1 > 30.0.1", "30.0.1 > 31.0.0"];
    for (to, unfinished, expected) in [
        ("31.0.0", unfinished("28.0.1", "30.0.1", false), &on_the_way[..]),
        ("31.0.0", unfinished("30.0.1", "28.0.1", true), &on_the_way),
        ("30.0.1", unfinished("28.0.1", "30.0.1", false), &["28.0.1 > 30.0.1"]),
    ] {
        let hops = hops(&scene, &Request { unfinished: Some(unfinished), ..request(to) }).await;
        assert_eq!(each_hop(&hops), expected, "{to}");
        assert!(hops.first.findings.iter().any(|f| f.check == Check::UnfinishedRun), "{to}");
    }
    // From 36.0.0 no way leads to 31.0.0.
    let elsewhere = Request { unfinished: Some(unfinished("28.0.1", "36.0.0", false)), ..request("31.0.0") };
    let hops = hops(&scene, &elsewhere).await;
    assert!(hops.later.is_empty());
    assert!(hops.first.refusals().any(|f| f.check == Check::UnfinishedOther), "{:?}", each_hop(&hops));
}

/// What one update has rendered is there for those after it, by whichever way they go.
#[tokio::test]
async fn containers_that_one_update_brings_are_there_for_the_next() {
    let scene = Scene::new(Database::druid("dr").version("25.0.0"));
    scene
        .change_version("25.0.0", |v| v["spec"]["updateConstraints"] = json!({ "allowlist": ["<= 28.0.1"] }));
    let to = [("28.0.1".to_owned(), Method::Provisioner)].into();
    let asked = Request { methods: Methods { all: None, to }, ..request("31.0.0") };
    let hops = hops(&scene, &asked).await;
    assert_eq!(each_hop(&hops), ["25.0.0 > 28.0.1", "28.0.1 > 30.0.1", "30.0.1 > 31.0.0"]);
    assert_eq!(hops.barred(), None);
    for plan in &hops.later {
        assert!(
            plan.workloads.iter().all(|w| !w.reshapes() && w.images.iter().any(|i| i.container == "druid"))
        );
        assert!(plan.pods().all(|p| p.action == PodAction::Evict), "{:?}", plan.to);
    }
}
