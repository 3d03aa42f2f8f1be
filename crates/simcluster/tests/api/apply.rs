//! Server-side apply, and who owns the fields of an object.

use serde_json::{Value, json};

use crate::client::*;

fn managers(object: &Value) -> Vec<(&str, &str)> {
    let entries = object["metadata"]["managedFields"].as_array().into_iter().flatten();
    entries
        .map(|entry| {
            let text = |field: &str| entry[field].as_str().expect("text");
            (text("manager"), text("operation"))
        })
        .collect()
}

fn map(data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": data})
}

#[tokio::test(start_paused = true)]
async fn managers_share_an_object_and_conflict_over_a_field() {
    let sim = cluster();
    let path = format!("{CONFIGMAPS}/m");
    let apply =
        async |query: &str, data: Value| patch(&sim, &format!("{path}?{query}"), "apply", map(data)).await;
    let created = apply("fieldManager=a", json!({"x": "1", "y": "1"})).await;
    assert_eq!((created.code, managers(&created.body)), (201, vec![("a", "Apply")]));
    let refused = apply("fieldManager=b", json!({"x": "2"})).await;
    assert_eq!((refused.code, refused.reason()), (409, "Conflict"));
    let cause = &refused.body["details"]["causes"][0];
    assert_eq!((&cause["reason"], &cause["field"]), (&json!("FieldManagerConflict"), &json!(".data.x")));
    let forced = apply("fieldManager=b&force=true", json!({"x": "3"})).await.body;
    assert_eq!(
        (&forced["data"], managers(&forced)),
        (&json!({"x": "3", "y": "1"}), vec![("a", "Apply"), ("b", "Apply")])
    );
    let less = apply("fieldManager=a", json!({"x": "3"})).await.body;
    assert_eq!(less["data"], json!({"x": "3"}), "what is given no more goes");
    let mine = format!("{path}?fieldManager=a");
    let mut odd = map(json!({"x": "3"}));
    odd["nope"] = json!(1);
    assert_eq!(patch(&sim, &mine, "apply", odd).await.code, 500);
    let mut claimed = map(json!({"x": "3"}));
    claimed["metadata"]["managedFields"] = json!([{"manager": "a"}]);
    assert_eq!(patch(&sim, &mine, "apply", claimed).await.code, 400);
}

#[tokio::test(start_paused = true)]
async fn every_write_says_who_has_made_it() {
    let sim = cluster();
    let created = post(&sim, &format!("{KAFKAS}?fieldManager=maker"), kafka("k")).await.body;
    assert_eq!(managers(&created), [("maker", "Update")]);
    let path = format!("{KAFKAS}/k");
    let version = json!({"spec": {"version": "3.6.1"}});
    let patched = patch(&sim, &format!("{path}?fieldManager=changer"), "merge", version.clone()).await.body;
    let entries = patched["metadata"]["managedFields"].as_array().expect("entries");
    let owners: Vec<&Value> =
        entries.iter().filter(|entry| !entry["fieldsV1"]["f:spec"]["f:version"].is_null()).collect();
    assert_eq!((owners.len(), &owners[0]["manager"]), (1, &json!("changer")));
    let again = patch(&sim, &format!("{path}?fieldManager=other"), "merge", version).await.body;
    assert_eq!(again["metadata"], patched["metadata"], "what changes nothing has no owner");
    let status = json!({"status": {"phase": "Ready"}});
    let written = patch(&sim, &format!("{path}/status?fieldManager=teller"), "merge", status).await.body;
    let entry = written["metadata"]["managedFields"].as_array().and_then(|all| all.last()).expect("an entry");
    assert_eq!((&entry["manager"], &entry["subresource"]), (&json!("teller"), &json!("status")));
    for (list, left) in [(json!([]), 3), (json!([{}]), 0)] {
        let written = patch(&sim, &path, "merge", json!({"metadata": {"managedFields": list}})).await.body;
        assert_eq!(managers(&written).len(), left, "{list}");
    }
}
