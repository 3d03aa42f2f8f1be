//! The versions of the catalog, and what one database may do with each of them.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::catalog::newest_first;
use crate::model::{CatalogVersion, Check, Plan, Snapshot};

use super::update::{self, Request};

/// A version of the catalog, in relation to a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Choice {
    /// The version object's name, which `--to` takes.
    pub name: String,
    /// What the version rule compares.
    pub version: String,
    /// It is what `--to latest` means for the database.
    pub latest: bool,
    pub deprecated: bool,
    pub end_of_life: bool,
    /// What the database may do with it; `None` if no database was given.
    #[serde(flatten)]
    pub reach: Option<Reach>,
}

/// Whether a database may be updated to a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "reach", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Reach {
    /// The database is on it.
    Current,
    Allowed,
    /// Not in one step; the versions that lead to it, the current one first.
    InSteps {
        path: Vec<String>,
    },
    /// The check that failed, and its message.
    Refused {
        check: Check,
        why: String,
    },
}

/// The versions of a catalog, newest first.
pub fn catalog(versions: &[CatalogVersion]) -> Vec<Choice> {
    sorted(versions).into_iter().map(|version| choice(version, false, None)).collect()
}

/// The versions of the catalog, newest first, each with the findings that its plan would have. Failed checks that
/// concern the database, and so apply to every version, are left out.
pub fn choices(snapshot: &Snapshot, skip: &BTreeSet<Check>) -> Vec<Choice> {
    let latest = latest(snapshot, skip);
    let reach = |version: &CatalogVersion| match plan(snapshot, skip, &version.name) {
        _ if version.name == snapshot.database.version => Reach::Current,
        Some(plan) => reach(plan),
        None => Reach::Allowed,
    };
    let versions = sorted(&snapshot.catalog).into_iter();
    versions.map(|v| choice(v, latest.as_ref() == Some(&v.name), Some(reach(v)))).collect()
}

/// What `--to latest` means for a database; `None` if there is no such version.
pub fn latest(snapshot: &Snapshot, skip: &BTreeSet<Check>) -> Option<String> {
    plan(snapshot, skip, "latest").map(|plan| plan.to.name)
}

fn plan(snapshot: &Snapshot, skip: &BTreeSet<Check>, to: &str) -> Option<Plan> {
    let skip = skip.clone();
    let request = Request { skip, ..Request::to(to) };
    update::plan(snapshot, &request).ok()
}

fn sorted(versions: &[CatalogVersion]) -> Vec<&CatalogVersion> {
    let mut versions: Vec<&CatalogVersion> = versions.iter().collect();
    versions.sort_by(|a, b| newest_first(a, b));
    versions
}

fn choice(version: &CatalogVersion, latest: bool, reach: Option<Reach>) -> Choice {
    Choice {
        name: version.name.clone(),
        version: version.version.clone(),
        latest,
        deprecated: version.deprecated,
        end_of_life: version.end_of_life,
        reach,
    }
}

fn reach(plan: Plan) -> Reach {
    let against = plan.refusals().filter(|f| update::about_the_version(f.check));
    // Deprecated versions have a mark of their own, so any other refusal is shown instead.
    let Some(finding) = against.min_by_key(|f| f.check == Check::DeprecatedTarget) else {
        return Reach::Allowed;
    };
    match finding.check {
        Check::VersionDenied if plan.path.len() > 2 => Reach::InSteps { path: plan.path },
        check => Reach::Refused { check, why: finding.message.clone() },
    }
}
