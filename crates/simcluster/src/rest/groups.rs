//! The API groups that are served.

use super::review::REVIEWS;
use crate::apis::Apis;
use crate::resources::RESOURCES;

/// The groups that are served, each with its versions, the preferred one first.
pub(super) fn groups(apis: &Apis) -> Vec<(&'static str, Vec<&'static str>)> {
    let mut groups: Vec<(&'static str, Vec<&'static str>)> = Vec::new();
    let stored = RESOURCES.iter().map(|resource| (resource.group(), apis.versions(resource)));
    let reviews = REVIEWS.iter().map(|review| (review.group, vec!["v1"]));
    for (group, versions) in stored.chain(reviews) {
        if versions.is_empty() {
            continue;
        }
        let at = groups.iter().position(|(known, _)| *known == group).unwrap_or_else(|| {
            groups.push((group, Vec::new()));
            groups.len() - 1
        });
        for version in versions {
            if !groups[at].1.contains(&version) {
                groups[at].1.push(version);
            }
        }
    }
    for (_, versions) in &mut groups {
        // Stable before beta before alpha, which for what is served here is: the shorter name first.
        versions.sort_by_key(|version| version.len());
    }
    groups
}
