//! Events on the database object, where `kubectl describe` shows them.

use kube::core::params::PostParams;
use serde_json::json;

use crate::model::ObjectRef;

use super::call::Call;
use super::read::path;
use super::send::{MANAGER, built};
use super::{Cluster, ClusterError};

/// The most bytes that an Event's message may have, by the API's own validation.
const LONGEST: usize = 1024;

/// Something that is said of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// Something went wrong.
    pub warning: bool,
    /// One word in camel case, for programs.
    pub reason: &'static str,
    pub message: String,
}

impl Cluster {
    /// Posts an Event about a database. `name` tells it from every other Event of the database, `now` is the wall-clock
    /// time in RFC 3339.
    ///
    /// # Errors
    /// What keeps us from it. That an Event of that name is there already is none: an earlier try went through unheard.
    pub(crate) async fn announce(
        &self,
        about: &ObjectRef,
        said: &Announcement,
        name: &str,
        now: &str,
    ) -> Result<(), ClusterError> {
        let event = json!({
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": { "name": name, "namespace": about.namespace },
            "involvedObject": {
                "apiVersion": about.api_version,
                "kind": about.kind,
                "namespace": about.namespace,
                "name": about.name,
                "uid": about.uid,
            },
            "type": if said.warning { "Warning" } else { "Normal" },
            "reason": said.reason,
            "message": shortened(&said.message),
            "source": { "component": MANAGER },
            "reportingComponent": MANAGER,
            "reportingInstance": "",
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        });
        let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        let base = kube::core::Request::new(path("v1", &about.namespace, "events"));
        let what = format!("create event of {about}");
        let request = built(base.create(&params, event.to_string().into_bytes()), &what)?;
        let call = Call { what, verb: "create", resource: "events".to_owned(), request };
        match self.once(&call).await {
            Ok(_) | Err(ClusterError::Conflict { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn shortened(message: &str) -> String {
    if message.len() <= LONGEST {
        return message.to_owned();
    }
    let room = LONGEST - '…'.len_utf8();
    let ends = message.char_indices().map(|(at, _)| at).take_while(|at| *at <= room);
    format!("{}…", &message[..ends.last().unwrap_or_default()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_cut_between_characters() {
        for (message, length) in [("a".repeat(1024), 1024), ("a".repeat(1025), 1024), ("é".repeat(600), 1023)]
        {
            let short = shortened(&message);
            assert_eq!(short.len(), length);
            assert_eq!(short.ends_with('…'), message.len() > LONGEST);
        }
    }
}
