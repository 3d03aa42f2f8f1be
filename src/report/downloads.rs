//! The images that nodes download, as lines of the live part of the screen.

use super::words;
use crate::event::Event;
use crate::model::clean;

/// What is being downloaded.
#[derive(Debug, Default)]
pub(super) struct Downloads(Vec<Download>);

/// One image on its way to one node.
#[derive(Debug)]
struct Download {
    node: String,
    image: String,
    since_ms: u64,
    /// What it waits for, if that is more than the download.
    waits: String,
}

impl Downloads {
    /// Takes an event in, at that time of the run.
    pub fn apply(&mut self, event: &Event, now_ms: u64) {
        match event {
            Event::ImagePullStarted { node, image } => self.0.push(Download {
                node: node.clone(),
                image: image.clone(),
                since_ms: now_ms,
                waits: String::new(),
            }),
            Event::ImagePullWaiting { node, image, on } => {
                let waits = format!("waiting for {}", words::waiting(on));
                self.0.iter_mut().filter(|d| d.is(node, image)).for_each(|d| d.waits.clone_from(&waits));
            }
            Event::ImagePulled { node, image, .. } | Event::ImageNotPulled { node, image, .. } => {
                self.0.retain(|d| !d.is(node, image));
            }
            _ => {}
        }
    }

    /// The step is over.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// What is being downloaded since when, and what that one waits for.
    pub fn said(&self, at: usize, now_ms: u64) -> Option<(String, &str)> {
        let Download { node, image, since_ms, waits } = self.0.get(at)?;
        let time = words::seconds(now_ms.saturating_sub(*since_ms) / 1000);
        Some((format!("node {} ({time}): {}", clean(node), clean(image)), waits))
    }
}

impl Download {
    fn is(&self, node: &str, image: &str) -> bool {
        self.node == node && self.image == image
    }
}
