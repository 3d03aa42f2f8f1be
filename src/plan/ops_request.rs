//! The ops request that a plan creates, for the method ops-manager.

use crate::model::{
    Apply, Check, DatabaseRef, ManifestMeta, ManifestSpec, OPS_API, OpsRequestManifest, UpdateVersion,
};
use crate::steps::ops_request::UPDATE_VERSION;

use super::context::Context;

/// The default in the CRD.
const MAX_RETRIES: i32 = 1;

/// The longest name of a request: the Ops-manager uses it as a label value.
const LONGEST_NAME: usize = 63;

/// The request that a plan creates. Its name depends only on the cluster, so that a dry run shows the exact manifest.
/// If the resumed run has created a request already, it is that one.
pub(super) fn manifest(context: &Context<'_>, timeout_seconds: i64) -> OpsRequestManifest {
    let db = &context.snapshot.database;
    let target = &context.target.name;
    let name = match context.ops_request {
        Some(name) => name.to_owned(),
        None => name(&db.object.name, target, &|name| context.snapshot.ops_request(name).is_some()),
    };
    let unhealthy = context.skip.contains(&Check::Phase) || context.skip.contains(&Check::PodNotReady);
    OpsRequestManifest {
        api_version: OPS_API.to_owned(),
        kind: context.facts().ops_kind.to_owned(),
        metadata: ManifestMeta { name, namespace: db.object.namespace.clone() },
        spec: ManifestSpec {
            operation: UPDATE_VERSION.to_owned(),
            database_ref: DatabaseRef { name: db.object.name.clone() },
            update_version: UpdateVersion { target_version: target.clone() },
            timeout: go_duration(timeout_seconds),
            apply: if unhealthy { Apply::Always } else { Apply::IfReady },
            max_retries: MAX_RETRIES,
        },
    }
}

/// `my-kf-to-3-6-1`, with a number appended if that name was used before.
fn name(database: &str, target: &str, taken: &dyn Fn(&str) -> bool) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let target: String = target.chars().map(plain).collect();
    let numbered = |n: u32| {
        let number = if n == 1 { String::new() } else { format!("-{n}") };
        let end = format!("-to-{}{number}", target.trim_matches('-'));
        let room = LONGEST_NAME.saturating_sub(end.len());
        let start: String = database.chars().take(room).collect();
        start.trim_end_matches(['-', '.']).to_owned() + &end
    };
    (1..).map(numbered).find(|name| !taken(name)).unwrap_or_default()
}

/// Seconds in Go's duration format.
fn go_duration(seconds: i64) -> String {
    if seconds % 60 == 0 { format!("{}m", seconds / 60) } else { format!("{seconds}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_named_after_what_it_asks_for() {
        let long = "a-database-whose-name-is-quite-as-long-as-names-can-be-at-all";
        for (database, target, taken, expected) in [
            ("my-kf", "3.6.1", &[][..], "my-kf-to-3-6-1"),
            ("my-kf", "3.6.1", &["my-kf-to-3-6-1"], "my-kf-to-3-6-1-2"),
            ("my-kf", "3.6.1", &["my-kf-to-3-6-1", "my-kf-to-3-6-1-2"], "my-kf-to-3-6-1-3"),
            ("my-kf", "3.6.1-Debian_v2", &[], "my-kf-to-3-6-1-debian-v2"),
            (long, "3.6.1", &[], "a-database-whose-name-is-quite-as-long-as-names-can-be-to-3-6-1"),
        ] {
            let found = name(database, target, &|name| taken.contains(&name));
            assert_eq!(found, expected);
            assert!(found.len() <= LONGEST_NAME);
        }
    }

    #[test]
    fn durations_are_as_go_reads_them() {
        for (seconds, text) in [(1200, "20m"), (90, "90s"), (60, "1m")] {
            assert_eq!(go_duration(seconds), text);
        }
    }
}
