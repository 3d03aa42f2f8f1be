//! The versions of the catalog, and what one database may do with each of them.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::catalog::newest_first;
use crate::model::{CatalogVersion, Check, Plan, Snapshot};

use super::s1_plan::{self, Request};

/// A version of the catalog, as a database sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Choice {
    /// The version object's name, which `--to` takes.
    pub name: String,
    /// What the version rule compares.
    pub version: String,
    /// It is what `--to latest` means.
    pub latest: bool,
    pub deprecated: bool,
    pub end_of_life: bool,
    #[serde(flatten)]
    pub reach: Reach,
}

/// Whether a database may go to a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "reach", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Reach {
    /// It is on it.
    Current,
    Allowed,
    /// Not in one step; the versions that lead there, the current one first.
    InSteps {
        path: Vec<String>,
    },
    /// What the preflight has against it, and its words.
    Refused {
        check: Check,
        why: String,
    },
}

/// The versions of the catalog, newest first. What is said of a version is what its plan would say; what is in the way of
/// every version is said of none.
pub fn choices(snapshot: &Snapshot, skip: &BTreeSet<Check>) -> Vec<Choice> {
    let plan = |to: &str| {
        let skip = skip.clone();
        let request = Request { to: to.to_owned(), skip, min_ready_seconds: 0, unfinished: None };
        s1_plan::plan(snapshot, &request).ok()
    };
    let latest = plan("latest").map(|plan| plan.to.name);
    let mut versions: Vec<&CatalogVersion> = snapshot.catalog.iter().collect();
    versions.sort_by(|a, b| newest_first(a, b));
    let choice = |version: &CatalogVersion| Choice {
        name: version.name.clone(),
        version: version.version.clone(),
        latest: latest.as_ref() == Some(&version.name),
        deprecated: version.deprecated,
        end_of_life: version.end_of_life,
        reach: match plan(&version.name) {
            _ if version.name == snapshot.database.version => Reach::Current,
            Some(plan) => reach(plan),
            None => Reach::Allowed,
        },
    };
    versions.into_iter().map(choice).collect()
}

fn reach(plan: Plan) -> Reach {
    let against = plan.refusals().filter(|f| s1_plan::about_the_version(f.check));
    // That it is deprecated is told beside it; what else there is weighs more.
    let Some(finding) = against.min_by_key(|f| f.check == Check::DeprecatedTarget) else {
        return Reach::Allowed;
    };
    match finding.check {
        Check::VersionDenied if plan.path.len() > 2 => Reach::InSteps { path: plan.path },
        check => Reach::Refused { check, why: finding.message.clone() },
    }
}
