//! Sets of fields, in the form in which `managedFields` tells them (`FieldsV1`): a tree of maps in which `f:name` is a
//! field, `k:{…}` an element of a list by its keys, `v:…` an element that is its own key. The end of a branch is a
//! member, and so is a place that has a `.`.

use serde_json::{Map, Value, json};

use super::{Keys, Object, Type};

/// A set of fields.
pub(crate) type Set = Map<String, Value>;

const ITSELF: &str = ".";

/// The parts of a value by their names in a set, each with its type; empty for what is one value.
fn parts<'a>(kind: &Type, value: &'a Value) -> Vec<(String, Type, &'a Value)> {
    match (kind, value) {
        (Type::Object(schema), _) if schema.atomic => Vec::new(),
        (Type::Object(_) | Type::Map(_) | Type::Any, Value::Object(map)) => {
            map.iter().map(|(key, value)| (format!("f:{key}"), kind.field(key), value)).collect()
        }
        (Type::List(kind, keys), Value::Array(list)) => {
            list.iter().filter_map(|item| Some((element(*keys, item)?, **kind, item))).collect()
        }
        _ => Vec::new(),
    }
}

/// The name of a list's element in a set; `None` in a list that is one value.
pub(super) fn element(keys: Keys, item: &Value) -> Option<String> {
    match keys {
        Keys::None => None,
        Keys::Value => Some(format!("v:{item}")),
        Keys::Fields(keys) => {
            let given = keys.iter().filter(|key| !item[**key].is_null());
            let key: Map<String, Value> = given.map(|key| ((*key).to_owned(), item[*key].clone())).collect();
            Some(format!("k:{}", Value::Object(key)))
        }
    }
}

/// The fields of an object: the ends of its branches, and the elements of its lists.
pub(crate) fn of(schema: &'static Object, object: &Value) -> Set {
    tree(&Type::Object(schema), object)
}

fn tree(kind: &Type, value: &Value) -> Set {
    let branch = |(name, kind, value): (String, Type, &Value)| {
        let mut below = tree(&kind, value);
        if name.starts_with("k:") {
            below.insert(ITSELF.into(), json!({}));
        }
        (name, Value::Object(below))
    };
    parts(kind, value).into_iter().map(branch).collect()
}

/// What differs between two states of an object: the fields that were set, and those that are gone.
pub(crate) fn compare(schema: &'static Object, old: &Value, new: &Value) -> (Set, Set) {
    let (set, gone) = differences(&Type::Object(schema), old, new);
    (set.unwrap_or_default(), gone.unwrap_or_default())
}

type Difference = (Option<Set>, Option<Set>);

fn differences(kind: &Type, old: &Value, new: &Value) -> Difference {
    if old == new {
        return (None, None);
    }
    let (before, after) = (parts(kind, old), parts(kind, new));
    if before.is_empty() || after.is_empty() {
        let lost = tree(kind, old);
        return (Some(tree(kind, new)), (!lost.is_empty()).then_some(lost));
    }
    let (mut set, mut gone) = (Set::new(), Set::new());
    let mut note = |name: &str, (more, less): Difference| {
        set.extend(more.map(|more| (name.to_owned(), Value::Object(more))));
        gone.extend(less.map(|less| (name.to_owned(), Value::Object(less))));
    };
    for (name, kind, new) in &after {
        match before.iter().find(|(known, ..)| known == name) {
            Some((_, _, old)) => note(name, differences(kind, old, new)),
            None => note(name, (Some(with_itself(tree(kind, new))), None)),
        }
    }
    for (name, kind, old) in &before {
        if !after.iter().any(|(kept, ..)| kept == name) {
            note(name, (None, Some(with_itself(tree(kind, old)))));
        }
    }
    ((!set.is_empty()).then_some(set), (!gone.is_empty()).then_some(gone))
}

/// A branch that has come or gone whole.
fn with_itself(mut set: Set) -> Set {
    if !set.is_empty() {
        set.insert(ITSELF.into(), json!({}));
    }
    set
}

/// Whether the place of this branch is a member itself.
fn is_member(branch: &Set) -> bool {
    branch.is_empty() || branch.contains_key(ITSELF)
}

fn branch(value: &Value) -> &Set {
    static END: std::sync::LazyLock<Set> = std::sync::LazyLock::new(Set::new);
    value.as_object().unwrap_or(&END)
}

/// The branches below a place, without the place itself.
fn branches(set: &Set) -> impl Iterator<Item = (&String, &Set)> {
    set.iter().filter(|(name, _)| *name != ITSELF).map(|(name, value)| (name, branch(value)))
}

/// What is in either of two sets.
pub(crate) fn union(one: &Set, other: &Set) -> Set {
    let mut all = one.clone();
    for (name, more) in branches(other) {
        let both = match one.get(name).map(branch) {
            Some(here) => {
                let mut both = union(here, more);
                if !both.is_empty() && (is_member(here) || is_member(more)) {
                    both.insert(ITSELF.into(), json!({}));
                }
                both
            }
            None => more.clone(),
        };
        all.insert(name.clone(), Value::Object(both));
    }
    all
}

/// What is in the first set and not in the other.
pub(crate) fn without(set: &Set, other: &Set) -> Set {
    let mut left = Set::new();
    for (name, here) in branches(set) {
        let Some(gone) = other.get(name).map(branch) else {
            left.insert(name.clone(), Value::Object(here.clone()));
            continue;
        };
        let mut rest = without(here, gone);
        let stays = is_member(here) && !is_member(gone);
        if stays && !rest.is_empty() {
            rest.insert(ITSELF.into(), json!({}));
        }
        if stays || !rest.is_empty() {
            left.insert(name.clone(), Value::Object(rest));
        }
    }
    left
}

/// What two sets have in common, as paths: `.spec.version`, `.spec.containers[name="c"].image`.
pub(crate) fn common(one: &Set, other: &Set) -> Vec<String> {
    let mut paths = Vec::new();
    collect(one, other, "", &mut paths);
    paths
}

fn collect(one: &Set, other: &Set, at: &str, paths: &mut Vec<String>) {
    for (name, here) in branches(one) {
        let Some(there) = other.get(name).map(branch) else { continue };
        let path = format!("{at}{}", readable(name));
        if is_member(here) && is_member(there) {
            paths.push(path.clone());
        }
        collect(here, there, &path, paths);
    }
}

/// A part of a path as Kubernetes writes it.
fn readable(name: &str) -> String {
    match name.split_at_checked(2) {
        Some(("k:", key)) => {
            let key: Map<String, Value> = serde_json::from_str(key).unwrap_or_default();
            let terms: Vec<String> = key.iter().map(|(field, value)| format!("{field}={value}")).collect();
            format!("[{}]", terms.join(","))
        }
        Some(("v:", value)) => format!("[={value}]"),
        Some((_, field)) => format!(".{field}"),
        None => name.to_owned(),
    }
}

/// Takes the fields of a set out of an object, and what is empty then.
pub(crate) fn remove(schema: &'static Object, object: &mut Value, set: &Set) {
    cut(&Type::Object(schema), object, set);
}

fn cut(kind: &Type, value: &mut Value, set: &Set) {
    match (kind, value) {
        (Type::List(kind, keys), Value::Array(list)) => list.retain_mut(|item| {
            let name = element(*keys, item).unwrap_or_default();
            let gone = set.get(&name).map(branch);
            gone.is_none_or(|gone| !is_member(gone) && survives(kind, item, gone))
        }),
        (kind, Value::Object(map)) => map.retain(|key, value| {
            let kind = kind.field(key);
            let gone = set.get(&format!("f:{key}")).map(branch);
            gone.is_none_or(|gone| !gone.is_empty() && survives(&kind, value, gone))
        }),
        _ => {}
    }
}

/// Cuts below a place; whether anything is left there.
fn survives(kind: &Type, value: &mut Value, gone: &Set) -> bool {
    cut(kind, value, gone);
    match value {
        Value::Object(map) => !map.is_empty(),
        Value::Array(list) => !list.is_empty(),
        _ => true,
    }
}

/// Metadata that the server sets, or that says which object it is.
const OWNED_BY_NOBODY: [&str; 10] = [
    "f:creationTimestamp",
    "f:deletionGracePeriodSeconds",
    "f:deletionTimestamp",
    "f:generation",
    "f:managedFields",
    "f:name",
    "f:namespace",
    "f:resourceVersion",
    "f:selfLink",
    "f:uid",
];

/// Leaves in a set only what a write can own: of the status, or of everything else.
pub(crate) fn keep_ownable(set: &mut Set, has_status: bool, status: bool) {
    set.retain(|name, _| match name.as_str() {
        "f:apiVersion" | "f:kind" => false,
        "f:status" => status || !has_status,
        "f:metadata" => true,
        _ => !status,
    });
    if let Some(Value::Object(metadata)) = set.get_mut("f:metadata") {
        metadata.retain(|name, _| !OWNED_BY_NOBODY.contains(&name.as_str()));
        if metadata.is_empty() {
            set.remove("f:metadata");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::find;
    use crate::schema;

    fn pods() -> &'static Object {
        schema::of(find("pods").expect("a resource"), "v1")
    }

    fn pod(image: &str) -> Value {
        json!({"spec": {"containers": [{"name": "a", "image": image}, {"name": "b", "image": "b:1"}]}})
    }

    fn set(value: Value) -> Set {
        value.as_object().cloned().expect("a map")
    }

    #[test]
    fn an_element_of_a_list_is_known_by_its_keys() {
        let fields = of(pods(), &json!({"spec": {"containers": [{"name": "a", "image": "a:1"}]}}));
        let container = json!({"k:{\"name\":\"a\"}": {".": {}, "f:name": {}, "f:image": {}}});
        assert_eq!(Value::Object(fields), json!({"f:spec": {"f:containers": container}}));
    }

    #[test]
    fn only_what_differs_is_set_or_gone() {
        let (more, less) = compare(pods(), &pod("a:1"), &pod("a:2"));
        assert_eq!(common(&more, &more), [".spec.containers[name=\"a\"].image"]);
        assert!(less.is_empty());
        let mut fewer = pod("a:1");
        fewer["spec"]["containers"].as_array_mut().expect("a list").pop();
        let (more, less) = compare(pods(), &pod("a:1"), &fewer);
        assert!(more.is_empty(), "{more:?}");
        assert!(common(&less, &less).contains(&".spec.containers[name=\"b\"]".to_owned()));
        let labels = |labels: Value| json!({"metadata": {"labels": labels}});
        let (more, _) = compare(pods(), &json!({"metadata": {}}), &labels(json!({"a": "b"})));
        assert_eq!(Value::Object(more), json!({"f:metadata": {"f:labels": {"f:a": {}}}}));
    }

    #[test]
    fn sets_are_joined_and_taken_apart() {
        let one = set(json!({"f:data": {"f:a": {}, "f:b": {}}}));
        let other = set(json!({"f:data": {"f:b": {}, "f:c": {}}, "f:kind": {}}));
        assert_eq!(
            Value::Object(union(&one, &other)),
            json!({"f:data": {"f:a": {}, "f:b": {}, "f:c": {}}, "f:kind": {}})
        );
        assert_eq!(Value::Object(without(&one, &other)), json!({"f:data": {"f:a": {}}}));
        assert!(without(&one, &one).is_empty());
        assert_eq!(common(&one, &other), [".data.b"]);
        let own = set(json!({"f:data": {".": {}, "f:a": {}}}));
        let rest = without(&own, &set(json!({"f:data": {"f:a": {}}})));
        assert_eq!(Value::Object(rest), json!({"f:data": {}}), "the map itself");
    }

    #[test]
    fn what_is_removed_takes_empty_places_along() {
        let mut object = json!({"metadata": {"name": "x", "labels": {"a": "1"}}, "spec": pod("a:1")["spec"]});
        let gone = set(json!({"f:metadata": {"f:labels": {"f:a": {}}},
            "f:spec": {"f:containers": {"k:{\"name\":\"b\"}": {".": {}, "f:image": {}, "f:name": {}}}}}));
        remove(pods(), &mut object, &gone);
        let containers = json!([{"name": "a", "image": "a:1"}]);
        assert_eq!(object, json!({"metadata": {"name": "x"}, "spec": {"containers": containers}}));
    }
}
