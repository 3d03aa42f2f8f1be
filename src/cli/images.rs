//! The registries of the images that an update brings, asked before its plan is shown.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::timeout;

use super::args::Digests;
use super::failure::Failure;
use super::stop::unless_stopped;
use super::stream;
use super::update::{Goal, Session};
use crate::model::{Snapshot, registry};
use crate::plan::hops::Hops;
use crate::plan::images;
use crate::registry::look_up;

/// After this time without an answer, the user is told what the tool is waiting for.
const SILENCE: Duration = Duration::from_secs(1);

impl Session {
    /// The planned hops, planned again if the registries were asked about their images.
    pub(super) async fn with_images(
        &mut self,
        snapshot: &mut Snapshot,
        goal: &Goal,
        hops: Hops,
    ) -> Result<Hops, Failure> {
        let images = match (self.options.digests, goal) {
            (Digests::Auto, Goal::To { .. }) => images::to_ask(snapshot, hops.all()),
            // A rollback restores the previous images as they were.
            (Digests::KeepTags, _) | (_, Goal::Back { .. }) => BTreeSet::new(),
        };
        if images.is_empty() {
            return Ok(hops);
        }
        let asking = async {
            let mut asking = std::pin::pin!(look_up(&images));
            if let Ok(found) = timeout(SILENCE, &mut asking).await {
                return found;
            }
            let registries: BTreeSet<_> = images.iter().map(|image| registry(image)).collect();
            let names: Vec<_> = registries.into_iter().collect();
            stream::err(&format!("looking up the new images in {}\n", names.join(", ")));
            asking.await
        };
        snapshot.environment.images = unless_stopped(&mut self.stop, asking).await?;
        self.hops(snapshot, goal)
    }
}
