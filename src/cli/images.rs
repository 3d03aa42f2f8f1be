//! The registries of the images that an update brings, asked before its plan is shown.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::timeout;

use super::args::Digests;
use super::failure::Failure;
use super::stop::unless_stopped;
use super::stream;
use super::update::{Going, Session};
use crate::model::{Snapshot, registry};
use crate::registry::look_up;
use crate::update::journey::Journey;
use crate::update::s0_images;

/// After that time without an answer the user is told what is waited for.
const SILENCE: Duration = Duration::from_secs(1);

impl Session {
    /// The updates as they were planned, or planned once more with what the registries say of their images.
    pub(super) async fn with_images(
        &mut self,
        snapshot: &mut Snapshot,
        going: &Going,
        journey: Journey,
    ) -> Result<Journey, Failure> {
        let images = match (self.options.digests, going) {
            (Digests::Auto, Going::To { .. }) => s0_images::to_ask(snapshot, journey.all()),
            // A way back leads to what was there.
            (Digests::KeepTags, _) | (_, Going::Back { .. }) => BTreeSet::new(),
        };
        if images.is_empty() {
            return Ok(journey);
        }
        let asking = async {
            let mut asking = std::pin::pin!(look_up(&images));
            if let Ok(found) = timeout(SILENCE, &mut asking).await {
                return found;
            }
            let registries: BTreeSet<_> = images.iter().map(|image| registry(image)).collect();
            let names: Vec<_> = registries.into_iter().collect();
            stream::err(&format!("asking {} for the new images\n", names.join(", ")));
            asking.await
        };
        snapshot.around.images = unless_stopped(&mut self.stop, asking).await?;
        self.journey(snapshot, going)
    }
}
