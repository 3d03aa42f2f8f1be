//! Asks image registries whether an image exists and which digest its tag points to now. Uses the OCI distribution API,
//! anonymously or with the user's own login; nothing is read from the cluster.

mod ask;
mod docker;
mod fetch;
mod login;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::model::ImageFound;

/// The time limit for all images together, including credential helpers: a plan should not wait longer.
const TOGETHER: Duration = Duration::from_secs(8);

/// Looks up all images in parallel. An image without an answer in time is unknown.
pub async fn look_up(images: &BTreeSet<String>) -> BTreeMap<String, ImageFound> {
    let unknown = || ImageFound::Unknown { why: format!("no answer within {} s", TOGETHER.as_secs()) };
    let mut found: BTreeMap<_, _> = images.iter().map(|image| (image.clone(), unknown())).collect();
    // One task per image, so that a panic in a library ends only that task.
    let mut asked = JoinSet::new();
    for image in images.clone() {
        asked.spawn(async move {
            let answer = ask::ask(&image).await;
            (image, answer)
        });
    }
    let listening = async {
        while let Some(answer) = asked.join_next().await {
            found.extend(answer);
        }
    };
    // Images without an answer by then stay unknown.
    let _ = timeout(TOGETHER, listening).await;
    found
}
