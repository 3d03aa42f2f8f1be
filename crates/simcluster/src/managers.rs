//! Who owns which fields of an object: `metadata.managedFields`.
//!
//! The rules are those of Kubernetes' structured merge: whoever changes a field by an update owns it alone; an apply owns
//! what it gives, may not change what others own unless it is forced, and takes away what it gave before and
//! gives no more.

use serde_json::{Value, json};

use crate::error::{ApiError, Cause};
use crate::object;
use crate::resources::Resource;
use crate::schema::apply::lay;
use crate::schema::fields::{self, Set, common, compare, keep_ownable, union, without};
use crate::schema::{self, Object};

/// Who writes, and how.
#[derive(Clone, Debug)]
pub(crate) struct Writer<'a> {
    pub manager: &'a str,
    /// Whether it applies; otherwise it updates.
    pub applies: bool,
    /// The version that it writes in.
    pub version: &'a str,
    /// Whether it writes the status alone.
    pub status: bool,
    /// Now, as objects show it.
    pub now: &'a str,
}

/// One owner of fields.
#[derive(Clone)]
struct Owner {
    entry: Value,
    fields: Set,
}

impl Owner {
    fn new(resource: &Resource, writer: &Writer<'_>) -> Self {
        let mut entry = json!({
            "manager": writer.manager,
            "operation": if writer.applies { "Apply" } else { "Update" },
            "apiVersion": resource.api_version(writer.version),
            "fieldsType": "FieldsV1",
        });
        if writer.status {
            entry["subresource"] = json!("status");
        }
        Self { entry, fields: Set::new() }
    }

    /// Whether two entries are of the same manager, writing in the same way.
    fn is(&self, other: &Self) -> bool {
        ["manager", "operation", "apiVersion", "subresource"]
            .iter()
            .all(|field| self.entry[*field] == other.entry[*field])
    }

    /// As a conflict names it.
    fn name(&self) -> String {
        let manager = self.entry["manager"].as_str().unwrap_or_default();
        let mut name = format!("{manager:?}");
        if self.entry["subresource"] == "status" {
            name.push_str(" with subresource \"status\"");
        }
        if self.entry["operation"] == "Update" {
            name.push_str(&format!(" using {}", self.entry["apiVersion"].as_str().unwrap_or_default()));
        }
        name
    }
}

fn owners(object: &Value) -> Vec<Owner> {
    let entries = object["metadata"]["managedFields"].as_array().into_iter().flatten();
    let owner = |entry: &Value| Owner {
        entry: entry.clone(),
        fields: entry["fieldsV1"].as_object().cloned().unwrap_or_default(),
    };
    entries.map(owner).collect()
}

fn write(object: &mut Value, owners: Vec<Owner>) {
    let entries: Vec<Value> = owners
        .into_iter()
        .filter(|owner| !owner.fields.is_empty())
        .map(|Owner { mut entry, fields }| {
            entry["fieldsV1"] = Value::Object(fields);
            entry
        })
        .collect();
    let entries = (!entries.is_empty()).then_some(Value::Array(entries));
    object::put(object::metadata_mut(object), "managedFields", entries);
}

/// Notes in a new object who owns what.
pub(crate) fn created(resource: &Resource, writer: &Writer<'_>, object: &mut Value) {
    let schema = schema::of(resource, writer.version);
    let mut mine = Owner::new(resource, writer);
    mine.fields = fields::of(schema, object);
    keep_ownable(&mut mine.fields, resource.status, writer.status);
    mine.entry["time"] = json!(writer.now);
    write(object, vec![mine]);
}

/// Notes in an object that a component creates that it owns all of it.
pub(crate) fn made_by(resource: &Resource, manager: &str, now: &str, object: &mut Value) {
    let version = resource.versions[0];
    created(resource, &Writer { manager, applies: false, version, status: false, now }, object);
}

/// Notes in `next` who owns what after an update of `stored`. A write that changes nothing changes no owner either.
pub(crate) fn updated(resource: &Resource, writer: &Writer<'_>, stored: &Value, next: &mut Value) {
    let schema = schema::of(resource, writer.version);
    // A client that knows nothing of owners may drop the list. To forget them, one sets it to a single empty entry.
    let forgotten = next["metadata"]["managedFields"] == json!([{}]);
    let mut all = if forgotten { Vec::new() } else { owners(stored) };
    let (set, gone) = changes(resource, schema, writer, stored, next);
    if !set.is_empty() || !gone.is_empty() {
        let mut mine = Owner::new(resource, writer);
        for owner in &mut all {
            owner.fields = without(&owner.fields, &gone);
            if owner.is(&mine) {
                mine.fields = std::mem::take(&mut owner.fields);
            } else {
                owner.fields = without(&owner.fields, &set);
            }
        }
        mine.fields = union(&mine.fields, &set);
        mine.entry["time"] = json!(writer.now);
        all.push(mine);
    }
    write(next, all);
}

fn changes(
    resource: &Resource,
    schema: &'static Object,
    writer: &Writer<'_>,
    stored: &Value,
    next: &Value,
) -> (Set, Set) {
    let (mut set, mut gone) = compare(schema, stored, next);
    for part in [&mut set, &mut gone] {
        keep_ownable(part, resource.status, writer.status);
    }
    (set, gone)
}

/// What an apply of `config` makes of `stored`, with its owners.
///
/// # Errors
/// 409 with a cause for each field that another manager owns and `config` would change, unless `force` is set.
pub(crate) fn applied(
    resource: &Resource,
    writer: &Writer<'_>,
    stored: &Value,
    config: &Value,
    force: bool,
) -> Result<Value, ApiError> {
    let schema = schema::of(resource, writer.version);
    let mut given = fields::of(schema, config);
    keep_ownable(&mut given, resource.status, writer.status);
    let mut next = stored.clone();
    lay(schema, &mut next, config);
    let (changed, _) = changes(resource, schema, writer, stored, &next);
    let mut mine = Owner::new(resource, writer);
    let (before, mut others): (Vec<Owner>, Vec<Owner>) =
        owners(stored).into_iter().partition(|owner| owner.is(&mine));
    if !force {
        refuse_conflicts(&others, &changed)?;
    }
    for owner in &mut others {
        owner.fields = without(&owner.fields, &changed);
    }
    let before = before.into_iter().next();
    if let Some(before) = &before {
        let kept = others.iter().fold(given.clone(), |kept, owner| union(&kept, &owner.fields));
        fields::remove(schema, &mut next, &without(&before.fields, &kept));
    }
    mine.entry["time"] = match before {
        Some(before) if before.fields == given && changed.is_empty() => before.entry["time"].clone(),
        _ => json!(writer.now),
    };
    mine.fields = given;
    others.push(mine);
    write(&mut next, others);
    Ok(next)
}

fn refuse_conflicts(others: &[Owner], changed: &Set) -> Result<(), ApiError> {
    let mut causes = Vec::new();
    let mut said = Vec::new();
    for owner in others {
        for field in common(&owner.fields, changed) {
            let message = format!("conflict with {}", owner.name());
            said.push(format!("{message}: {field}"));
            causes.push(Cause::field("FieldManagerConflict", &field, message));
        }
    }
    if causes.is_empty() {
        return Ok(());
    }
    let plural = if causes.len() == 1 { "" } else { "s" };
    let message = format!("Apply failed with {} conflict{plural}: {}", causes.len(), said.join(", "));
    Err(ApiError::new(409, "Conflict", message).because(&causes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::find;

    fn writer(manager: &str, applies: bool) -> Writer<'_> {
        Writer { manager, applies, version: "v1", status: false, now: "2026-01-01T00:00:00Z" }
    }

    fn map(data: Value) -> Value {
        json!({"metadata": {"name": "m"}, "data": data})
    }

    fn apply(manager: &str, stored: &Value, data: Value, force: bool) -> Result<Value, ApiError> {
        applied(find("configmaps").expect("a resource"), &writer(manager, true), stored, &map(data), force)
    }

    fn update(manager: &str, stored: &Value, data: Value) -> Value {
        let mut next = stored.clone();
        next["data"] = data;
        updated(find("configmaps").expect("a resource"), &writer(manager, false), stored, &mut next);
        next
    }

    /// Each manager with its fields.
    fn told(object: &Value) -> Vec<(String, Vec<String>)> {
        let all = owners(object);
        let name = |owner: &Owner| owner.entry["manager"].as_str().unwrap_or_default().to_owned();
        all.iter().map(|owner| (name(owner), common(&owner.fields, &owner.fields))).collect()
    }

    fn owns(manager: &str, fields: &[&str]) -> (String, Vec<String>) {
        (manager.to_owned(), fields.iter().map(|field| (*field).to_owned()).collect())
    }

    #[test]
    fn an_apply_takes_away_what_it_gives_no_more() {
        let first = apply("a", &map(json!({})), json!({"x": "1", "y": "1"}), false).expect("no conflict");
        assert_eq!(told(&first), [owns("a", &[".data.x", ".data.y"])]);
        let second = apply("a", &first, json!({"x": "1"}), false).expect("no conflict");
        assert_eq!(second["data"], json!({"x": "1"}));
        let shared = apply("b", &first, json!({"y": "1"}), false).expect("the same value");
        let less = apply("a", &shared, json!({"x": "1"}), false).expect("no conflict");
        assert_eq!(less["data"], json!({"x": "1", "y": "1"}), "another manager still owns it");
        assert_eq!(apply("a", &less, json!({"x": "1"}), false).expect("no conflict"), less);
    }

    #[test]
    fn an_apply_needs_force_to_change_what_another_owns() {
        let first = apply("a", &map(json!({})), json!({"x": "1"}), false).expect("no conflict");
        let refusal = apply("b", &first, json!({"x": "2"}), false).expect_err("a conflict");
        assert_eq!(refusal.code, 409);
        assert_eq!(refusal.message, "Apply failed with 1 conflict: conflict with \"a\": .data.x");
        let forced = apply("b", &first, json!({"x": "2"}), true).expect("forced");
        assert_eq!((&forced["data"]["x"], told(&forced)), (&json!("2"), vec![owns("b", &[".data.x"])]));
        let updated = update("m", &first, json!({"x": "1", "m": "1"}));
        let refusal = apply("a", &updated, json!({"x": "1", "m": "2"}), false).expect_err("a conflict");
        assert_eq!(refusal.message, "Apply failed with 1 conflict: conflict with \"m\" using v1: .data.m");
    }

    #[test]
    fn an_update_takes_over_what_it_changes_and_nothing_else() {
        let first = apply("a", &map(json!({})), json!({"x": "1", "y": "1"}), false).expect("no conflict");
        let changed = update("m", &first, json!({"x": "2", "y": "1"}));
        assert_eq!(told(&changed), [owns("a", &[".data.y"]), owns("m", &[".data.x"])]);
        let fewer = update("m", &changed, json!({"x": "2"}));
        assert_eq!(told(&fewer), [owns("m", &[".data.x"])]);
        assert_eq!(update("n", &fewer, json!({"x": "2"})), fewer, "nothing changes");
    }
}
