//! Reading one object, and lists of them.

use std::sync::Arc;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Value, json};

use super::Server;
use super::answer::Answer;
use super::call::Call;
use super::list_options::check_list;
use super::path::Target;
use super::selector::Selector;
use super::table;
use super::view::{Form, View};
use crate::error::{ApiError, Cause};
use crate::object;

pub(super) fn get(server: &Server, call: &Call, target: &Target) -> Result<Answer, ApiError> {
    let form = call.form()?;
    let resource = target.resource;
    let wanted = call.query.version()?;
    if wanted > server.store.version() {
        return Err(too_large(wanted, server.store.version()));
    }
    let object = server
        .store
        .get(resource.name, &target.namespace, &target.name)
        .ok_or_else(|| ApiError::not_found(resource.name, &target.name))?;
    written(server, call, target, 200, &object, form)
}

/// An object as an answer, in the form that was asked for.
pub(super) fn written(
    server: &Server,
    call: &Call,
    target: &Target,
    code: u16,
    object: &Arc<Value>,
    form: Form,
) -> Result<Answer, ApiError> {
    let api_version = target.api_version();
    if form == Form::Table {
        let metadata = json!({"resourceVersion": object::resource_version(object)});
        let table = table::Table::new(server, call, target)?.whole(std::slice::from_ref(object), metadata);
        return Ok(Answer::json(code, &table));
    }
    Ok(Answer::json(code, &View::new(object, &api_version, form)))
}

pub(super) fn list(server: &Server, call: &Call, target: &Target) -> Result<Answer, ApiError> {
    let form = call.form()?;
    check_list(&call.query)?;
    let page = Page::read(server, call, target)?;
    if form == Form::Table {
        let table = table::Table::new(server, call, target)?.whole(&page.objects, page.metadata(false));
        return Ok(Answer::json(200, &table));
    }
    Ok(Answer::json(200, &ListView { page: &page, target, form }))
}

/// The selector of a query; with a namespace in the path, only objects there.
pub(super) fn selector(call: &Call, target: &Target) -> Result<Selector, ApiError> {
    let parameter = |name| call.query.get(name).unwrap_or_default();
    Selector::parse(target.resource, parameter("labelSelector"), parameter("fieldSelector"))
}

pub(super) fn in_scope(target: &Target, object: &Value) -> bool {
    target.namespace.is_empty() || object::namespace(object) == target.namespace
}

/// One page of a list.
struct Page {
    objects: Vec<Arc<Value>>,
    version: u64,
    /// Where the next page starts, if there is one.
    next: Option<Arc<Value>>,
    /// How many objects follow this page; a server does not count them when it filters.
    remaining: Option<usize>,
}

impl Page {
    fn read(server: &Server, call: &Call, target: &Target) -> Result<Self, ApiError> {
        let selector = selector(call, target)?;
        let (all, version, start) = snapshot(server, call, target)?;
        let wanted = |object: &Arc<Value>| {
            let key = (object::namespace(object), object::name(object));
            let reached = start.as_ref().is_none_or(|(ns, name)| key >= (ns.as_str(), name.as_str()));
            reached && in_scope(target, object) && selector.matches(object)
        };
        let mut objects: Vec<Arc<Value>> = all.into_iter().filter(wanted).collect();
        // What is read from the watch cache, as any state that there is, comes whole.
        let cached = call.query.get("resourceVersion") == Some("0");
        let limit = call.query.positive("limit")?.filter(|_| !cached);
        let rest = match limit.and_then(|limit| usize::try_from(limit).ok()) {
            Some(limit) if objects.len() > limit => objects.split_off(limit),
            _ => Vec::new(),
        };
        let filtered = ["labelSelector", "fieldSelector"].iter().any(|name| call.query.get(name).is_some());
        let remaining = (!rest.is_empty() && !filtered).then_some(rest.len());
        Ok(Self { objects, version, next: rest.into_iter().next(), remaining })
    }

    /// The list of a custom resource says that nothing follows where that of a built-in kind says nothing.
    fn metadata(&self, custom: bool) -> Value {
        let mut metadata = json!({"resourceVersion": self.version.to_string()});
        if custom {
            metadata["continue"] = json!("");
        }
        if let Some(next) = &self.next {
            let token = format!("{}:{}:{}", self.version, object::namespace(next), object::name(next));
            metadata["continue"] = json!(token);
        }
        if let Some(remaining) = self.remaining {
            metadata["remainingItemCount"] = json!(remaining);
        }
        metadata
    }
}

type Snapshot = (Vec<Arc<Value>>, u64, Option<(String, String)>);

/// All objects at the version that the query asks for, and where to start among them.
fn snapshot(server: &Server, call: &Call, target: &Target) -> Result<Snapshot, ApiError> {
    let resource = target.resource;
    if let Some(token) = call.query.get("continue") {
        if !matches!(call.query.get("resourceVersion"), None | Some("0")) {
            let message = "specifying resource version is not allowed when using continue";
            return Err(ApiError::bad_request(message));
        }
        let (version, ns, name) = read_token(token)?;
        let expired = "The provided continue parameter is too old to display a consistent list result. \
                       You can start a new list without the continue parameter.";
        let objects = server.store.list_at(resource, version).ok_or_else(|| ApiError::expired(expired))?;
        return Ok((objects, version, Some((ns, name))));
    }
    let wanted = wanted_version(call)?;
    let (objects, version) = server.store.list_now(resource);
    if wanted > version {
        return Err(too_large(wanted, version));
    }
    if call.query.get("resourceVersionMatch") == Some("Exact") {
        let expired = "The resourceVersion for the provided list is too old.";
        let objects = server.store.list_at(resource, wanted).ok_or_else(|| ApiError::expired(expired))?;
        return Ok((objects, wanted, None));
    }
    Ok((objects, version, None))
}

/// The `resourceVersion` of a list.
fn wanted_version(call: &Call) -> Result<u64, ApiError> {
    call.query.version().map_err(|error| ApiError::bad_request(error.message))
}

fn read_token(token: &str) -> Result<(u64, String, String), ApiError> {
    let parts: Vec<&str> = token.split(':').collect();
    let (version, place) = match parts.as_slice() {
        [version, ns, name] => (version.parse().ok(), (*ns, *name)),
        _ => (None, ("", "")),
    };
    let version = version.ok_or_else(|| ApiError::bad_request("continue key is not valid"))?;
    Ok((version, place.0.to_owned(), place.1.to_owned()))
}

pub(super) fn too_large(wanted: u64, current: u64) -> ApiError {
    let message = format!("Timeout: Too large resource version: {wanted}, current: {current}");
    let cause = Cause::field("ResourceVersionTooLarge", "", "Too large resource version");
    ApiError::new(504, "Timeout", message).retry_after(1).because(&[cause])
}

struct ListView<'a> {
    page: &'a Page,
    target: &'a Target,
    form: Form,
}

impl Serialize for ListView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let api_version = self.target.api_version();
        let custom = self.target.resource.custom;
        let mut map = serializer.serialize_map(None)?;
        if self.form == Form::Metadata {
            map.serialize_entry("kind", "PartialObjectMetadataList")?;
            map.serialize_entry("apiVersion", "meta.k8s.io/v1")?;
        } else {
            map.serialize_entry("kind", &format!("{}List", self.target.resource.kind))?;
            map.serialize_entry("apiVersion", &api_version)?;
        }
        map.serialize_entry("metadata", &self.page.metadata(custom))?;
        let view = |object| View::item(object, &api_version, self.form, custom);
        let items: Vec<View<'_>> = self.page.objects.iter().map(|object| view(object)).collect();
        map.serialize_entry("items", &items)?;
        map.end()
    }
}
