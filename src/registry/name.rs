//! Which names of images are sent to a registry.

use crate::model::ImageName;

/// Whether a registry can have an image of that name, by the grammar of the OCI distribution specification. The name becomes a
/// part of a URL, so whatever could lead elsewhere is refused.
pub fn valid(name: &ImageName<'_>) -> bool {
    let (host, port) = name.registry.split_once(':').unwrap_or((name.registry, "0"));
    host.split('.').all(label)
        && port.parse::<u16>().is_ok()
        && name.repository.split('/').all(component)
        && name.tag.is_none_or(tag)
        && name.digest.is_none_or(digest)
}

/// The host that serves the images of that registry: Docker Hub's has another name.
pub fn host<'a>(name: &ImageName<'a>) -> &'a str {
    if name.registry == "docker.io" { "index.docker.io" } else { name.registry }
}

/// A part of a host's name.
fn label(text: &str) -> bool {
    !text.is_empty() && consists(text, "-") && !text.starts_with('-') && !text.ends_with('-')
}

/// A part of a repository's name.
fn component(text: &str) -> bool {
    let ends = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let inside = |c: char| ends(c) || matches!(c, '.' | '_' | '-');
    text.starts_with(ends) && text.ends_with(ends) && text.chars().all(inside)
}

fn tag(text: &str) -> bool {
    (1..=128).contains(&text.len()) && consists(text, "_.-") && !text.starts_with(['.', '-'])
}

fn digest(text: &str) -> bool {
    text.split_once(':').is_some_and(|(algorithm, hex)| {
        let hexadecimal = hex.len() >= 32 && hex.chars().all(|c| c.is_ascii_hexdigit());
        !algorithm.is_empty() && consists(algorithm, "+._-") && hexadecimal
    })
}

/// It has nothing but letters, digits and these.
fn consists(text: &str, others: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_to_its_registry_only() {
        let hex = "0a".repeat(32);
        for (image, good) in [
            ("zookeeper", true),
            ("ghcr.io/appscode-images/zoo_keeper:3.9.1", true),
            ("localhost:5000/a/b--c.d:V_1.2-x", true),
            (&*format!("r.example.com/zk:1@sha256:{hex}"), true),
            (&*format!("r.example.com/zk@sha256:{hex}"), true),
            ("r.example.com/zk@sha256:0a", false),
            ("r.example.com/zk@nonsense", false),
            ("ann@r.example.com/zk", false),
            ("r.example.com:port/zk", false),
            ("r.example.com:/zk", false),
            ("r.example.com:99999/zk", false),
            ("-r.example.com/zk", false),
            ("r..example.com/zk", false),
            ("[::1]:5000/zk", false),
            ("r.example.com/../zk", false),
            ("r.example.com//zk", false),
            ("r.example.com/", false),
            ("r.example.com/Zk", false),
            ("r.example.com/z%2fk", false),
            ("r.example.com/zk?a", false),
            ("r.example.com/zk:", false),
            ("r.example.com/zk:.1", false),
            ("r.example.com/zk:1?a=b", false),
            ("r.example.com/zk:\u{e4}", false),
            ("Not An Image", false),
            ("", false),
        ] {
            assert_eq!(valid(&ImageName::of(image)), good, "{image:?}");
        }
        assert_eq!(host(&ImageName::of("zookeeper")), "index.docker.io");
        assert_eq!(host(&ImageName::of("ghcr.io/a/b")), "ghcr.io");
    }
}
