//! Asks image registries whether an image exists and which digest its tag points to now. Uses the OCI distribution API,
//! anonymously or with the user's own login; nothing is read from the cluster.

mod ask;
mod docker;
mod fetch;
mod login;
mod name;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::model::ImageFound;

use fetch::Clients;

/// Looks up all images in parallel. An image without an answer within that time is unknown; it is the limit for all images
/// together, including credential helpers. `remark` is added to what is said of it.
pub async fn look_up(
    images: &BTreeSet<String>,
    within: Duration,
    remark: &str,
) -> BTreeMap<String, ImageFound> {
    let why = format!("no answer within {} s{remark}", within.as_secs());
    let unknown = || ImageFound::Unknown { why: why.clone() };
    let mut found: BTreeMap<_, _> = images.iter().map(|image| (image.clone(), unknown())).collect();
    let clients = Arc::new(Clients::default());
    // One task per image, so that a panic in a library ends only that task.
    let mut asked = JoinSet::new();
    for image in images.clone() {
        let clients = Arc::clone(&clients);
        asked.spawn(async move {
            let answer = ask::ask(&image, &clients).await;
            (image, answer)
        });
    }
    let listening = async {
        while let Some(answer) = asked.join_next().await {
            found.extend(answer);
        }
    };
    // Images without an answer by then stay unknown.
    let _ = timeout(within, listening).await;
    found
}
