/// An image without its digest: `repo:tag@sha256:…` is `repo:tag`. KubeDB pins the images of its workloads while the
/// catalog holds tags, so images are compared without digests.
fn without_digest(image: &str) -> &str {
    image.split_once('@').map_or(image, |(name, _)| name)
}

/// Two images are the same but for their digests.
pub fn same_image(a: &str, b: &str) -> bool {
    without_digest(a) == without_digest(b)
}

/// The image is pinned to a digest.
pub fn pinned(image: &str) -> bool {
    image.contains('@')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_compared_without_their_digest() {
        for (a, b, same) in [
            ("r/kafka:3.6.1", "r/kafka:3.6.1", true),
            ("r/kafka:3.6.1@sha256:ab", "r/kafka:3.6.1", true),
            ("r/kafka:3.6.1@sha256:ab", "r/kafka:3.6.1@sha256:cd", true),
            ("r/kafka:3.6.1", "r/kafka:3.6.0", false),
            ("r:5000/kafka", "r:5000/kafka:latest", false),
        ] {
            assert_eq!(same_image(a, b), same, "{a} {b}");
        }
    }
}
