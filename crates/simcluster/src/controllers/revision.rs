//! Revisions of PetSets and StatefulSets: the history of their templates.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::kubedb::digest::{name_suffix, of_value};
use crate::object;
use crate::read::{controlled_by, number, text};

pub(crate) const REVISIONS: &str = "controllerrevisions.apps";

/// The label that tells a pod's revision.
pub(crate) const HASH_LABEL: &str = "controller-revision-hash";

/// The name of the revision of a set's template: the same template has the same name again.
pub(crate) fn name_of(set: &Value) -> String {
    let hash = name_suffix(of_value(&set["spec"]["template"]), 10);
    format!("{}-{hash}", object::name(set))
}

/// The ControllerRevision object of a set's template.
pub(crate) fn object_of(set: &Value, number: i64) -> Value {
    let name = name_of(set);
    let hash = name.rsplit('-').next().unwrap_or_default().to_owned();
    let mut labels = set.pointer("/spec/template/metadata/labels").cloned().unwrap_or_else(|| json!({}));
    object::map_mut(&mut labels).insert("controller.kubernetes.io/hash".into(), json!(hash));
    let mut template = set["spec"]["template"].clone();
    object::map_mut(&mut template).insert("$patch".into(), json!("replace"));
    json!({
        "metadata": {
            "name": name,
            "namespace": object::namespace(set),
            "labels": labels,
            "ownerReferences": [controlled_by(set)],
        },
        "data": { "spec": { "template": template } },
        "revision": number,
    })
}

/// The pod template that a revision stands for.
pub(crate) fn template_of(revision: &Value) -> Value {
    let mut template = revision["data"]["spec"]["template"].clone();
    object::map_mut(&mut template).remove("$patch");
    template
}

/// The number of the newest revision; 0 without any.
pub(crate) fn newest(revisions: &[Arc<Value>]) -> i64 {
    revisions.iter().filter_map(|revision| number(revision, "/revision")).max().unwrap_or_default()
}

/// The revision that pods of the set are counted as current by: the one in its status, if it still exists.
pub(crate) fn current<'a>(set: &'a Value, revisions: &[Arc<Value>], update: &'a str) -> &'a str {
    let named = text(set, "/status/currentRevision");
    if revisions.iter().any(|revision| object::name(revision) == named) { named } else { update }
}

/// The names of revisions that nothing uses and that exceed the set's limit, oldest first.
pub(crate) fn surplus(set: &Value, revisions: &[Arc<Value>], live: &[&str]) -> Vec<String> {
    let limit = number(set, "/spec/revisionHistoryLimit").unwrap_or(10).max(0) as usize;
    let mut history: Vec<_> =
        revisions.iter().filter(|revision| !live.contains(&object::name(revision))).collect();
    history.sort_by_key(|revision| number(revision, "/revision"));
    let surplus = history.len().saturating_sub(limit);
    history[..surplus].iter().map(|revision| object::name(revision).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(image: &str) -> Value {
        let template = json!({"spec": {"containers": [{"name": "a", "image": image}]}});
        json!({"metadata": {"name": "db"}, "spec": {"template": template, "revisionHistoryLimit": 1}})
    }

    #[test]
    fn the_old_template_has_its_old_revision_again() {
        let (old, new) = (set("a:1"), set("a:2"));
        assert_ne!(name_of(&old), name_of(&new));
        assert_eq!(name_of(&old), name_of(&set("a:1")));
        assert_eq!(template_of(&object_of(&old, 1)), old["spec"]["template"]);
    }

    #[test]
    fn only_unused_revisions_beyond_the_limit_go() {
        let revision =
            |name: &str, number: i64| Arc::new(json!({"metadata": {"name": name}, "revision": number}));
        let revisions = [revision("c", 3), revision("a", 1), revision("b", 2), revision("d", 4)];
        assert_eq!(surplus(&set("a:1"), &revisions, &["d"]), ["a", "b"]);
        assert!(surplus(&set("a:1"), &revisions, &["a", "b", "d"]).is_empty());
    }
}
