//! `pods/log` and `pods/attach`. A simulated container writes nothing.

use std::sync::Arc;

use serde_json::Value;

use super::Server;
use super::answer::Answer;
use super::call::Call;
use super::path::Target;
use crate::error::ApiError;
use crate::object;

pub(super) fn read(server: &Server, call: &Call, target: &Target) -> Result<Answer, ApiError> {
    let pod = pod(server, target)?;
    for parameter in ["tailLines", "limitBytes", "sinceSeconds"] {
        call.query.integer(parameter)?;
    }
    let (name, container) = (&target.name, container(call, &pod)?);
    match waiting(&pod, container) {
        Some(reason) => Err(ApiError::bad_request(format!(
            "container \"{container}\" in pod \"{name}\" is waiting to start: {reason}"
        ))),
        None => Ok(Answer::text(200, "")),
    }
}

/// The container that a request names; it may leave that out where there is only one.
pub(super) fn container<'a>(call: &'a Call, pod: &'a Value) -> Result<&'a str, ApiError> {
    let name = object::name(pod);
    let (containers, others) = (names(pod, "containers"), names(pod, "initContainers"));
    match (call.query.get("container"), containers.as_slice()) {
        (Some(container), all) if all.contains(&container) || others.contains(&container) => Ok(container),
        (Some(other), _) => {
            Err(ApiError::bad_request(format!("container {other} is not valid for pod {name}")))
        }
        (None, [container]) => Ok(container),
        (None, all) => {
            let all = all.join(" ");
            Err(ApiError::bad_request(format!(
                "a container name must be specified for pod {name}, choose one of: [{all}]"
            )))
        }
    }
}

pub(super) fn attach(server: &Server, target: &Target) -> Result<Answer, ApiError> {
    pod(server, target)?;
    Err(ApiError::internal("error dialing backend: no process runs in a simulated pod"))
}

pub(super) fn pod(server: &Server, target: &Target) -> Result<Arc<Value>, ApiError> {
    let (resource, name) = (target.resource.name, &target.name);
    server.store.get(resource, &target.namespace, name).ok_or_else(|| ApiError::not_found(resource, name))
}

fn names<'a>(pod: &'a Value, list: &str) -> Vec<&'a str> {
    let containers = pod["spec"][list].as_array().into_iter().flatten();
    containers.filter_map(|container| container["name"].as_str()).collect()
}

/// Why a container has not started.
fn waiting<'a>(pod: &'a Value, container: &str) -> Option<&'a str> {
    let lists = ["containerStatuses", "initContainerStatuses"].map(|list| pod["status"][list].as_array());
    let status = lists.into_iter().flatten().flatten().find(|status| status["name"] == container)?;
    status["state"]["waiting"]["reason"].as_str()
}
