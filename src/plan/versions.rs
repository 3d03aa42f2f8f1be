//! The versions of the catalog, and what one database may do with each of them.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::catalog::{self, newest_first};
use crate::model::{CatalogVersion, Check, Method, Methods, Plan, Snapshot};

use super::hops;
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

/// A version newer than the one that `--to latest` means, and the flags that lead to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Further {
    /// The version object's name, which `--to` takes.
    pub version: String,
    /// It is reached through the versions in between.
    pub through: bool,
    /// It is reached with this method, which differs from the chosen one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<Method>,
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

/// The newest version that `--to latest` with these methods leaves out, although other flags lead to it.
pub fn further(snapshot: &Snapshot, skip: &BTreeSet<Check>, methods: &Methods) -> Option<Further> {
    let request = Request { skip: skip.clone(), methods: methods.clone(), ..Request::to("latest") };
    let latest = update::plan(snapshot, &request).ok()?.to.name;
    let newer = sorted(&snapshot.catalog).into_iter().take_while(|version| version.name != latest);
    let ways = |version: &CatalogVersion| {
        [(true, None), (false, Some(Method::Provisioner)), (true, Some(Method::Provisioner))]
            .map(|(through, via)| Further { version: version.name.clone(), through, via })
    };
    newer.flat_map(ways).find(|further| leads(snapshot, &request, further))
}

/// Those flags lead to that version.
fn leads(snapshot: &Snapshot, request: &Request, further: &Further) -> bool {
    let methods = further.methods(&request.methods);
    let asked = Request { to: further.version.clone(), methods, ..request.clone() };
    hops::plan(snapshot, &asked)
        .is_ok_and(|hops| hops.later.is_empty() != further.through && hops.all().all(hops::open))
}

impl Further {
    /// The chosen methods, as they must be to reach it.
    pub fn methods(&self, chosen: &Methods) -> Methods {
        Methods { all: self.via.or(chosen.all), ..chosen.clone() }
    }
}

/// The version that is meant by its first one or two numbers, such as `3.6`: the newest one that begins with them and can
/// be reached, or else the newest one. `None` if the catalog has a version of that very name, or none that begins so.
pub fn meant(snapshot: &Snapshot, asked: &Request, through: bool) -> Option<String> {
    let numbers: Vec<u64> = asked.to.split('.').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    if numbers.len() > 2 || snapshot.version(&asked.to).is_some() {
        return None;
    }
    let begins = |version: &&CatalogVersion| {
        let parsed = catalog::parse(version).ok();
        parsed.is_some_and(|v| [v.major(), v.minor()].starts_with(&numbers))
    };
    let reached = |version: &&&CatalogVersion| {
        let to = Request { to: version.name.clone(), ..asked.clone() };
        let hops = hops::plan(snapshot, &to);
        hops.is_ok_and(|hops| (through || hops.later.is_empty()) && hops.all().all(hops::open))
    };
    let newest: Vec<_> = sorted(&snapshot.catalog).into_iter().filter(begins).collect();
    newest.iter().find(reached).or(newest.first()).map(|version| version.name.clone())
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
