//! What the registries of images say: whether an image is there, and which digest its tag stands for now. Asked by the OCI
//! distribution API, anonymously or with the user's own login; nothing of it is read from the cluster.

mod ask;
mod login;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::model::ImageFound;

/// How long all of them together may take, the programs that give the logins included: a plan should not wait for longer.
const TOGETHER: Duration = Duration::from_secs(8);

/// Asks for each image, all side by side. What does not answer in time is unknown.
pub async fn look_up(images: &BTreeSet<String>) -> BTreeMap<String, ImageFound> {
    let unknown =
        || ImageFound::Unknown { why: format!("there was no answer within {} s", TOGETHER.as_secs()) };
    let mut found: BTreeMap<_, _> = images.iter().map(|image| (image.clone(), unknown())).collect();
    // A task for each, so that whatever an answer does to the client ends nothing but its own task.
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
    // What has not come by then stays unknown.
    let _ = timeout(TOGETHER, listening).await;
    found
}
