//! How admission makes a pod differ from the template that it was created from: a registry mirror, digests, injected
//! containers.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::image::ImageName;
use super::{Container, Pod};

/// One difference between a pod and the template that it was created from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rewriting {
    pub container: String,
    pub how: Rewritten,
}

/// In which way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Rewritten {
    /// The image comes from another place: its name begins with `to` instead of `from`, which is empty if `to` was put in
    /// front.
    Elsewhere { from: String, to: String },
    /// The image is pinned to a digest.
    Digest,
    /// It is another image.
    Other { asked: String, found: String },
    /// The template has no such container.
    Added { image: String },
    /// The pod has no such container.
    Removed,
}

impl Rewriting {
    /// How the pod differs from the template.
    pub fn of(template: &[Container], pod: &Pod) -> Vec<Rewriting> {
        let mut all = Vec::new();
        for container in template {
            let how = match pod.image(&container.name) {
                Some(found) => rewritten(&container.image, found),
                None => vec![Rewritten::Removed],
            };
            all.extend(how.into_iter().map(|how| Rewriting { container: container.name.clone(), how }));
        }
        for (name, image) in &pod.images {
            if !template.iter().any(|c| c.name == *name) {
                let how = Rewritten::Added { image: image.clone() };
                all.push(Rewriting { container: name.clone(), how });
            }
        }
        all
    }

    /// What is not as with the pods before, whose rewriting is `known`: the differences that are new, and those that are
    /// gone.
    pub fn unlike(known: &[Rewriting], template: &[Container], pod: &Pod) -> Vec<Unlike> {
        let now = Rewriting::of(template, pod);
        let new = now.iter().filter(|r| !r.how.is_among(known, &r.container));
        let there = |name: &str| template.iter().any(|c| c.name == name);
        let gone = known.iter().filter(|k| {
            let asked = matches!(k.how, Rewritten::Elsewhere { .. } | Rewritten::Digest);
            let lasting = asked && there(&k.container) || matches!(k.how, Rewritten::Added { .. });
            let same = |r: &&Rewriting| r.container == k.container && r.how.is_like(&k.how);
            lasting && !now.iter().any(|r| same(&r) || r.container == k.container && r.how.replaces())
        });
        let mut all: Vec<Unlike> = new.chain(gone).map(|r| Unlike::of(&r.container, template, pod)).collect();
        all.sort();
        all.dedup();
        all
    }
}

impl Rewritten {
    /// Admission has done the same to the pods before: to that container, or to any, if the container is new.
    fn is_among(&self, known: &[Rewriting], container: &str) -> bool {
        known.iter().any(|k| match self {
            Rewritten::Elsewhere { .. } | Rewritten::Digest => self.is_like(&k.how),
            Rewritten::Added { .. } | Rewritten::Removed => k.container == container && self.is_like(&k.how),
            Rewritten::Other { .. } => false,
        })
    }

    fn is_like(&self, other: &Rewritten) -> bool {
        match (self, other) {
            (Rewritten::Elsewhere { to, .. }, Rewritten::Elsewhere { to: before, .. }) => to == before,
            (Rewritten::Digest, Rewritten::Digest)
            | (Rewritten::Added { .. }, Rewritten::Added { .. })
            | (Rewritten::Removed, Rewritten::Removed) => true,
            _ => false,
        }
    }

    fn replaces(&self) -> bool {
        matches!(self, Rewritten::Other { .. } | Rewritten::Removed)
    }
}

/// A container of a pod that is not rewritten as those of the other pods are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unlike {
    pub container: String,
    /// The template's image; empty if it has no such container.
    pub asked: String,
    /// The pod's image; empty if it has no such container.
    pub found: String,
}

impl Unlike {
    fn of(container: &str, template: &[Container], pod: &Pod) -> Self {
        let asked = template.iter().find(|c| c.name == container).map(|c| c.image.clone());
        Unlike {
            container: container.to_owned(),
            asked: asked.unwrap_or_default(),
            found: pod.image(container).unwrap_or_default().to_owned(),
        }
    }
}

impl fmt::Display for Unlike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Unlike { container, asked, found } = self;
        match (asked.as_str(), found.as_str()) {
            ("", "") => write!(f, "container {container} is no longer added to it"),
            ("", found) => write!(f, "container {container} ({found}) was added to it"),
            (asked, "") => write!(f, "container {container} ({asked}) was removed from it"),
            (asked, found) if asked == found => {
                write!(f, "container {container} runs {found}, as its pod template has it")
            }
            (asked, found) => {
                write!(f, "container {container} runs {found}, and its pod template has {asked}")
            }
        }
    }
}

/// A pod has another image than was asked for, and not the same from another place or by its digest.
pub fn is_another(asked: &str, found: &str) -> bool {
    rewritten(asked, found).iter().any(|how| matches!(how, Rewritten::Other { .. }))
}

/// How the image of a template became that of a pod; nothing if both are one image.
fn rewritten(asked: &str, found: &str) -> Vec<Rewritten> {
    let other = || vec![Rewritten::Other { asked: asked.to_owned(), found: found.to_owned() }];
    let (from, to) = (ImageName::of(asked), ImageName::of(found));
    let Some((front, in_front)) = fronts(&from, &to) else { return other() };
    // A digest alone says nothing of the tag that it stands for.
    let retagged = to.tag.is_some() && from.tag.is_some() && to.tag != from.tag;
    let changed = from.digest.is_some() && to.digest.is_some() && from.digest != to.digest;
    if retagged || changed || (from.digest.is_some() && to.digest.is_none() && to.tag != from.tag) {
        return other();
    }
    let elsewhere = (front != in_front).then_some(Rewritten::Elsewhere { from: front, to: in_front });
    let pinned = (from.digest.is_none() && to.digest.is_some()).then_some(Rewritten::Digest);
    elsewhere.into_iter().chain(pinned).collect()
}

/// The different beginnings of two names whose ends are the same; `None` if not even the last part is.
fn fronts(from: &ImageName<'_>, to: &ImageName<'_>) -> Option<(String, String)> {
    let (from, to) = (from.segments(), to.segments());
    let same = from.iter().rev().zip(to.iter().rev()).take_while(|(a, b)| a == b).count();
    let front = |all: &[&str]| all[..all.len() - same].join("/");
    (same > 0).then(|| (front(&from), front(&to)))
}

/// A pod has the target's image through a mirror: the whole name, with something put in front of it.
pub fn mirrors(found: &str, target: &str) -> bool {
    let how = rewritten(target, found);
    let through = |how: &Rewritten| matches!(how, Rewritten::Elsewhere { from, .. } if from.is_empty());
    ImageName::of(found).tag.is_some()
        && how.iter().any(through)
        && how.iter().all(|how| through(how) || *how == Rewritten::Digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elsewhere(from: &str, to: &str) -> Rewritten {
        Rewritten::Elsewhere { from: from.to_owned(), to: to.to_owned() }
    }

    #[test]
    fn an_image_is_rewritten_in_ways_that_are_told_apart() {
        let other = |asked: &str, found: &str| Rewritten::Other { asked: asked.into(), found: found.into() };
        for (asked, found, how) in [
            ("ghcr.io/x/db:1", "ghcr.io/x/db:1", vec![]),
            ("x/db:1", "docker.io/x/db:1", vec![]),
            ("ghcr.io/x/db:1", "mirror.local/ghcr.io/x/db:1", vec![elsewhere("", "mirror.local")]),
            ("ghcr.io/x/db:1", "mirror:5000/proxy/x/db:1", vec![elsewhere("ghcr.io", "mirror:5000/proxy")]),
            ("db:1", "mirror.local/library/db:1", vec![elsewhere("docker.io", "mirror.local")]),
            ("db:1", "mirror.local/docker.io/library/db:1", vec![elsewhere("", "mirror.local")]),
            ("ghcr.io/x/db:1", "ghcr.io/x/db:1@sha256:ab", vec![Rewritten::Digest]),
            ("ghcr.io/x/db:1", "ghcr.io/x/db@sha256:ab", vec![Rewritten::Digest]),
            ("ghcr.io/x/db:1@sha256:ab", "ghcr.io/x/db@sha256:ab", vec![]),
            ("ghcr.io/x/db:1@sha256:ab", "ghcr.io/x/db:1", vec![]),
            (
                "ghcr.io/x/db:1",
                "m/ghcr.io/x/db@sha256:ab",
                vec![elsewhere("", "docker.io/m"), Rewritten::Digest],
            ),
            (
                "ghcr.io/x/db:1@sha256:ab",
                "ghcr.io/x/db:1@sha256:cd",
                vec![other("ghcr.io/x/db:1@sha256:ab", "ghcr.io/x/db:1@sha256:cd")],
            ),
            ("ghcr.io/x/db:1", "ghcr.io/x/db:2", vec![other("ghcr.io/x/db:1", "ghcr.io/x/db:2")]),
            ("ghcr.io/x/db:1", "mirror.local/other:1", vec![other("ghcr.io/x/db:1", "mirror.local/other:1")]),
        ] {
            assert_eq!(rewritten(asked, found), how, "{asked} {found}");
        }
    }

    #[test]
    fn only_a_whole_name_with_its_tag_behind_a_mirror_is_the_target() {
        for (found, is) in [
            ("mirror.local/ghcr.io/x/db:2", true),
            ("mirror.local/ghcr.io/x/db:2@sha256:ab", true),
            ("mirror.local/ghcr.io/x/db:1", false),
            ("mirror.local/x/db:2", false),
            ("mirror.local/ghcr.io/x/db@sha256:ab", false),
            ("ghcr.io/x/db:2", false),
        ] {
            assert_eq!(mirrors(found, "ghcr.io/x/db:2"), is, "{found}");
        }
    }
}
