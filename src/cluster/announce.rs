//! Events on the database object, where `kubectl describe` shows them.

use kube::core::params::PostParams;
use serde_json::json;

use crate::model::ObjectRef;

use super::request::{Call, MANAGER, built, path};
use super::{Cluster, ClusterError};

/// The longest message of an Event, in bytes, according to the API's validation.
const LONGEST: usize = 1024;

/// The content of an Event on a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// The Event's type is Warning.
    pub warning: bool,
    /// One word in CamelCase, for programs.
    pub reason: &'static str,
    pub message: String,
}

impl Cluster {
    /// Creates an Event on a database. `name` is unique among the Events of the database, `now` is the wall-clock time in
    /// RFC 3339.
    ///
    /// # Errors
    /// The Event cannot be created. An existing Event of that name is not an error: an earlier attempt succeeded although its
    /// response was lost.
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
        let base = kube::core::Request::new(path("v1", &about.namespace, "events")?);
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
