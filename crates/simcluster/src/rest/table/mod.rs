//! Server-side tables, as `kubectl get` prints them.

mod age;
mod builtin;
mod column;
mod custom;
mod pod;

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use self::column::Column;
use super::Server;
use super::call::Call;
use super::path::Target;
use super::view::{Form, View};
use crate::clock::Clock;
use crate::error::ApiError;
use crate::object;
use crate::resources::Resource;

/// How objects of one resource become rows.
pub(super) struct Table {
    columns: &'static [Column],
    include: Include,
    api_version: String,
    clock: Clock,
    /// Whether the columns were already described: a watch does it once.
    described: bool,
}

/// How much of an object comes with its row.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Include {
    Nothing,
    Metadata,
    Object,
}

impl Table {
    pub fn new(server: &Server, call: &Call, target: &Target) -> Result<Self, ApiError> {
        let include = match call.query.get("includeObject") {
            None | Some("Metadata") => Include::Metadata,
            Some("None") => Include::Nothing,
            Some("Object") => Include::Object,
            Some(other) => {
                return Err(ApiError::bad_request(format!("unrecognized includeObject value \"{other}\"")));
            }
        };
        Ok(Self {
            columns: columns(target.resource),
            include,
            api_version: target.api_version(),
            clock: server.store.clock(),
            described: false,
        })
    }

    /// The table of a list.
    pub fn whole(&self, objects: &[Arc<Value>], metadata: Value) -> Value {
        let now = self.clock.now();
        let rows: Vec<Value> = objects.iter().map(|object| self.row(object, now)).collect();
        table(metadata, self.definitions(), rows)
    }

    /// The table of one event of a watch.
    pub fn one(&mut self, object: &Arc<Value>) -> Value {
        let definitions = if self.described { Value::Null } else { self.definitions() };
        self.described = true;
        let metadata = json!({"resourceVersion": object::resource_version(object)});
        table(metadata, definitions, vec![self.row(object, self.clock.now())])
    }

    fn definitions(&self) -> Value {
        self.columns.iter().map(Column::definition).collect()
    }

    fn row(&self, object: &Value, now: Timestamp) -> Value {
        let cells: Vec<Value> = self.columns.iter().map(|column| column.cell(object, now)).collect();
        let form = match self.include {
            Include::Nothing => return json!({"cells": cells, "object": null}),
            Include::Metadata => Form::Metadata,
            Include::Object => Form::Whole,
        };
        let view = View::new(object, &self.api_version, form);
        json!({"cells": cells, "object": serde_json::to_value(view).unwrap_or_default()})
    }
}

fn table(metadata: Value, definitions: Value, rows: Vec<Value>) -> Value {
    json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
        "columnDefinitions": definitions, "rows": rows})
}

fn columns(resource: &Resource) -> &'static [Column] {
    if resource.custom { custom::columns(resource) } else { builtin::columns(resource) }
}
