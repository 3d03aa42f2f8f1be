//! The images that the nodes have, as their kubelets report them.

use serde_json::{Value, json};

use crate::kubedb::digest;
use crate::object;
use crate::read::list;
use crate::store::Store;

const NODES: &str = "nodes";

/// How many images a kubelet reports by default (`nodeStatusMaxImages`).
const REPORTED: usize = 50;

/// Whether the node has the image. Under the tag of a pinned one it may have another.
pub(super) fn has(node: &Value, image: &str) -> bool {
    let name = if image.contains('@') { digest::image_id(image) } else { image.to_owned() };
    list(node, "/status/images").iter().flat_map(|entry| list(entry, "/names")).any(|known| *known == *name)
}

/// The node has the image from now on.
pub(crate) fn add(store: &Store, node: &str, image: &str) {
    let missing = |node: &Value| !has(node, image);
    if !store.get(NODES, "", node).is_some_and(|node| missing(&node)) {
        return;
    }
    // A node that has left the cluster keeps no images.
    let _ = store.update_status(NODES, "", node, |node| {
        let images = object::map_mut(&mut node["status"]).entry("images").or_insert_with(|| json!([]));
        if let Some(images) = images.as_array_mut() {
            images.insert(0, json!({ "names": names(image), "sizeBytes": 1_000_000_000 }));
            images.truncate(REPORTED);
        }
    });
}

/// By its digest, and by its tag.
fn names(image: &str) -> [String; 2] {
    [digest::image_id(image), digest::without_digest(image).to_owned()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_known_by_its_tag_and_by_its_digest() {
        let node = json!({ "status": { "images": [{ "names": names("r/kafka:3.6.1") }] } });
        for (image, there) in [
            ("r/kafka:3.6.1", true),
            (digest::pinned("r/kafka:3.6.1").as_str(), true),
            ("r/kafka:3.6.1@sha256:ab", false),
            ("r/kafka:3.6.2", false),
            ("kafka:3.6.1", false),
        ] {
            assert_eq!(has(&node, image), there, "{image}");
        }
    }
}
