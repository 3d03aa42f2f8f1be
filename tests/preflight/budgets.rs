//! Disruption budgets.

use kubectl_dbupdate::model::{Check, Severity};
use serde_json::{Value, json};
use simcluster::world::{Database, Strategy};

use crate::scene::{BUDGETS, NAMESPACE, Scene, of, said};

#[tokio::test]
async fn two_budgets_on_one_pod() {
    let scene = Scene::new(Database::zookeeper("zk"));
    let mut second = (*scene.store().get(BUDGETS, NAMESPACE, "zk").expect("it is there")).clone();
    second["metadata"] = json!({ "name": "mine" });
    second["spec"]["selector"] = json!({ "matchExpressions": [
        { "key": "statefulset.kubernetes.io/pod-name", "operator": "In", "values": ["zk-1"] }
    ] });
    scene.store().create(BUDGETS, second).expect("it is new");
    let message =
        "pod zk-1 is covered by 2 PodDisruptionBudgets (mine, zk): the API server refuses to evict it";
    scene.refuses("3.9.1", &[(Check::TwoBudgets, message, "narrow the selector of one of them")]).await;
}

#[tokio::test]
async fn a_budget_that_never_allows_an_eviction() {
    let message = "PodDisruptionBudget zk never allows a disruption";
    let hint = "make it allow one disruption: kubectl edit poddisruptionbudget zk -n default";
    for spec in [
        json!({ "maxUnavailable": 0 }),
        json!({ "maxUnavailable": "0%" }),
        json!({ "minAvailable": 3 }),
        json!({ "minAvailable": 4 }),
        json!({ "minAvailable": "100%" }),
        json!({ "minAvailable": "67%" }),
    ] {
        let scene = Scene::new(Database::zookeeper("zk"));
        budget(&scene, &spec, 0);
        scene.refuses("3.9.1", &[(Check::BudgetNever, message, hint)]).await;
    }
}

#[tokio::test]
async fn a_budget_that_leaves_room() {
    for spec in [
        json!({ "maxUnavailable": 1 }),
        json!({ "maxUnavailable": "1%" }),
        json!({ "minAvailable": 2 }),
        json!({ "minAvailable": "66%" }),
    ] {
        let scene = Scene::new(Database::zookeeper("zk"));
        budget(&scene, &spec, 1);
        scene.warns("3.9.1", &[]).await;
    }
}

#[tokio::test]
async fn a_budget_that_allows_no_eviction_now() {
    let scene = Scene::new(Database::zookeeper("zk"));
    scene.change_status(BUDGETS, "zk", |b| b["status"]["disruptionsAllowed"] = json!(0));
    let message = "PodDisruptionBudget zk allows no disruption: 2 of 3 pods needed healthy, 3 are";
    scene.warns("3.9.1", &[(Check::BudgetBlocked, message)]).await;
}

/// Its controller has not seen the budget as it is now: the API server refuses evictions until it has.
#[tokio::test]
async fn a_budget_that_nobody_has_looked_at() {
    let scene = Scene::new(Database::zookeeper("zk"));
    scene.change_status(BUDGETS, "zk", |b| b["status"]["observedGeneration"] = json!(0));
    let plan = scene.plan("3.9.1").await;
    assert_eq!(said(&plan, Severity::Refusal), []);
    assert_eq!(of(&plan, Check::BudgetBlocked).len(), 1);
}

/// Where the controller rolls, nothing is evicted, and budgets have no say.
#[tokio::test]
async fn budgets_have_no_say_where_nothing_is_evicted() {
    let scene = Scene::new(Database::zookeeper("zk").strategy(Strategy::RollingUpdate { partition: 0 }));
    budget(&scene, &json!({ "maxUnavailable": 0 }), 0);
    let plan = scene.plan("3.9.1").await;
    assert_eq!(said(&plan, Severity::Refusal), []);
    assert!(of(&plan, Check::BudgetNever).is_empty() && of(&plan, Check::BudgetBlocked).is_empty());
}

#[tokio::test]
async fn budgets_of_others_have_no_say() {
    let scene = Scene::new(Database::zookeeper("zk"));
    let never = |name: &str, selector: Value| {
        json!({
            "metadata": { "name": name },
            "spec": { "maxUnavailable": 0, "selector": selector },
            "status": { "disruptionsAllowed": 0, "observedGeneration": 1 },
        })
    };
    let of_another = json!({ "matchLabels": { "app.kubernetes.io/instance": "zk2" } });
    scene.store().create(BUDGETS, never("another", of_another)).expect("it is new");
    // A budget without a selector covers nothing in policy/v1.
    scene.store().create(BUDGETS, never("nothing", Value::Null)).expect("it is new");
    scene.warns("3.9.1", &[]).await;
}

/// Gives the database's budget other bounds, which its controller has seen.
fn budget(scene: &Scene, bounds: &Value, allowed: i64) {
    scene.change(BUDGETS, "zk", |b| {
        let selector = b["spec"]["selector"].take();
        b["spec"] = bounds.clone();
        b["spec"]["selector"] = selector;
    });
    let generation =
        scene.store().get(BUDGETS, NAMESPACE, "zk").expect("it is there")["metadata"]["generation"].clone();
    scene.change_status(BUDGETS, "zk", |b| {
        b["status"]["observedGeneration"] = generation;
        b["status"]["disruptionsAllowed"] = json!(allowed);
    });
}
