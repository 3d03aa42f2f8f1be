use std::borrow::Cow;

/// The registry of images whose name has none.
const DOCKER_HUB: &str = "docker.io";

/// The name of an image, taken apart as a registry reads it: an image without a registry is on Docker Hub, where one
/// segment means `library/`, and one without a tag or digest is `latest`. No crate does this: that of the OCI specifications
/// refuses names that a cluster may well hold, and compiles a regular expression of ten megabytes for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageName<'a> {
    /// The host that serves the image; `docker.io` stands for Docker Hub.
    pub registry: &'a str,
    pub repository: Cow<'a, str>,
    /// `None` if the digest alone tells the content.
    pub tag: Option<&'a str>,
    pub digest: Option<&'a str>,
}

impl<'a> ImageName<'a> {
    /// Takes any text apart. Whether a registry can have such an image, its client checks.
    pub fn of(image: &'a str) -> Self {
        let (name, digest) = match image.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (image, None),
        };
        let last = name.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match name[last..].split_once(':') {
            Some((repository, tag)) => (&name[..last + repository.len()], Some(tag)),
            None => (name, digest.is_none().then_some("latest")),
        };
        let (registry, repository) = match name.split_once('/') {
            Some(("index.docker.io", rest)) => (DOCKER_HUB, rest),
            Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => (host, rest),
            _ => (DOCKER_HUB, name),
        };
        let repository = match registry == DOCKER_HUB && !repository.contains('/') {
            true => Cow::Owned(format!("library/{repository}")),
            false => Cow::Borrowed(repository),
        };
        ImageName { registry, repository, tag, digest }
    }

    /// The registry and the parts of the repository.
    pub fn segments(&self) -> Vec<&str> {
        std::iter::once(self.registry).chain(self.repository.split('/')).collect()
    }

    /// Both have the same tag; without a tag, the same digest.
    fn same_content(&self, other: &ImageName<'_>) -> bool {
        match (self.tag, other.tag) {
            (Some(tag), Some(other)) => tag == other,
            _ => self.digest.is_some() && self.digest == other.digest,
        }
    }
}

/// Whether two images are the same, however they are spelled. KubeDB pins the images of its workloads while the catalog
/// holds tags, so the digests of images with a tag are ignored.
pub fn same_image(a: &str, b: &str) -> bool {
    if a == b {
        return true;
    }
    let (a, b) = (ImageName::of(a), ImageName::of(b));
    a.registry == b.registry && a.repository == b.repository && a.same_content(&b)
}

/// The image is pinned to a digest.
pub fn pinned(image: &str) -> bool {
    image.contains('@')
}

/// Whether a node that reports these names of its images has this one. A pinned image is there if its digest is, under
/// whatever name.
pub fn among(image: &str, names: &[String]) -> bool {
    match ImageName::of(image).digest {
        Some(digest) => names.iter().any(|name| ImageName::of(name).digest == Some(digest)),
        None => names.iter().any(|name| !pinned(name) && same_image(name, image)),
    }
}

/// The host that serves an image; an image without one is on Docker Hub, as for every container runtime.
pub fn registry(image: &str) -> &str {
    ImageName::of(image).registry
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
    fn images_are_compared_as_a_registry_reads_them() {
        for (a, b, same) in [
            ("r/kafka:3.6.1", "r/kafka:3.6.1", true),
            ("r/kafka:3.6.1@sha256:ab", "r/kafka:3.6.1", true),
            ("r/kafka:3.6.1@sha256:ab", "r/kafka:3.6.1@sha256:cd", true),
            ("r/kafka:3.6.1", "r/kafka:3.6.0", false),
            ("r:5000/kafka", "r:5000/kafka:latest", true),
            ("r:5000/kafka", "r:5001/kafka", false),
            ("hazelcast/hazelcast:5.5.6", "docker.io/hazelcast/hazelcast:5.5.6", true),
            ("index.docker.io/hazelcast/hazelcast:5.5.6", "hazelcast/hazelcast:5.5.6@sha256:ab", true),
            ("ghcr.io/hazelcast/hazelcast:5.5.6", "hazelcast/hazelcast:5.5.6", false),
            ("zookeeper", "docker.io/library/zookeeper:latest", true),
            ("library/zookeeper:3.9", "zookeeper:3.9", true),
            ("localhost/zookeeper:3.9", "zookeeper:3.9", false),
            ("localhost/zookeeper:3.9", "localhost/library/zookeeper:3.9", false),
            ("r/kafka@sha256:ab", "docker.io/r/kafka@sha256:ab", true),
            ("r/kafka@sha256:ab", "r/kafka@sha256:cd", false),
            ("r/kafka@sha256:ab", "r/kafka:3.6.1@sha256:ab", true),
            ("r/kafka@sha256:ab", "r/kafka:3.6.1", false),
            ("r/kafka@sha256:ab", "r/kafka", false),
            ("", "library/:latest", true),
            ("", "kafka", false),
        ] {
            assert_eq!(same_image(a, b), same, "{a} {b}");
            assert_eq!(same_image(b, a), same, "{b} {a}");
        }
    }

    #[test]
    fn a_node_has_an_image_by_its_tag_or_by_its_digest() {
        let names = ["r/kafka@sha256:ab", "r/kafka:3.6.1", "r/other@sha256:ef"].map(str::to_owned);
        for (image, there) in [
            ("r/kafka:3.6.1", true),
            ("docker.io/r/kafka:3.6.1", true),
            ("r/kafka:3.6.2", false),
            ("r/kafka:3.6.1@sha256:ab", true),
            // The tag has moved since.
            ("r/kafka:3.6.1@sha256:cd", false),
            ("mirror/kafka@sha256:ab", true),
            // A digest without a tag says nothing about the tag.
            ("r/other", false),
        ] {
            assert_eq!(among(image, &names), there, "{image}");
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
