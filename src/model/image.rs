/// An image without its digest: `repo:tag@sha256:…` is `repo:tag`. KubeDB pins the images of its workloads while the
/// catalog holds tags, so images are compared without digests.
fn without_digest(image: &str) -> &str {
    image.split_once('@').map_or(image, |(name, _)| name)
}

/// Whether two images are the same, ignoring their digests.
pub fn same_image(a: &str, b: &str) -> bool {
    without_digest(a) == without_digest(b)
}

/// The image is pinned to a digest.
pub fn pinned(image: &str) -> bool {
    image.contains('@')
}

/// The host that serves an image; an image without one is on Docker Hub, as for every container runtime.
pub fn registry(image: &str) -> &str {
    match image.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
        _ => "docker.io",
    }
}

/// What a registry reports about an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageFound {
    /// The image exists.
    Exists {
        /// `sha256:…` of its manifest; of the index, if there are several platforms.
        digest: String,
    },
    /// The registry has no such repository, or no such tag in it.
    Missing { why: String },
    /// The registry could not be asked, or refused to tell.
    Unknown { why: String },
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
    #[test]
    fn an_image_without_a_host_is_docker_hubs() {
        for (image, host) in [
            ("ghcr.io/appscode-images/zookeeper:3.9.1", "ghcr.io"),
            ("127.0.0.1:5000/zk", "127.0.0.1:5000"),
            ("[::1]:5000/zk", "[::1]:5000"),
            ("localhost/zk:1", "localhost"),
            ("hazelcast/hazelcast:5.5.6", "docker.io"),
            ("zookeeper:3.9", "docker.io"),
        ] {
            assert_eq!(registry(image), host, "{image}");
        }
    }
}
