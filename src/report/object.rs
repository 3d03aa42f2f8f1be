//! The plan and the result as objects for programs (`-o json`, `-o yaml`).

use serde::Serialize;

use crate::event::Finish;
use crate::model::{
    Auth, Finding, HealthReport, Kind, ObjectRef, OpsRequestManifest, PLAN_SCHEMA, Plan, Trial, VersionRef,
};
use crate::plan::hops::Hops;
use crate::plan::versions::Choice;
use crate::situation::{DatabaseRun, Listed, RunRecord, RunStatus, STATUS_SCHEMA, Status};

/// The form of a printed object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Json,
    Yaml,
}

/// An object could not be serialized.
#[derive(Debug, thiserror::Error)]
pub enum Unprintable {
    #[error("cannot write the answer as JSON")]
    Json(#[from] serde_json::Error),
    #[error("cannot write the answer as YAML")]
    Yaml(#[from] serde_saphyr::SerializeError),
}

/// From where an operation leads to where.
#[derive(Debug, Clone)]
pub struct Way {
    kind: Kind,
    database: ObjectRef,
    from: VersionRef,
    to: VersionRef,
    /// It has several hops.
    several: bool,
}

impl Way {
    /// The way through these hops.
    pub fn of(hops: &Hops) -> Self {
        let Plan { kind, database, from, .. } = hops.first.clone();
        Way { kind, database, from, to: hops.last().to.clone(), several: !hops.later.is_empty() }
    }
}

/// Several hops as one object: their plans; or their results, and the `whole` result.
#[derive(Serialize)]
struct Several<'a, H> {
    schema: &'a str,
    kind: Kind,
    database: &'a ObjectRef,
    from: &'a VersionRef,
    to: &'a VersionRef,
    #[serde(flatten)]
    whole: Option<&'a Finish>,
    hops: &'a [H],
}

impl<'a, H> Several<'a, H> {
    fn on(way: &'a Way, whole: Option<&'a Finish>, hops: &'a [H]) -> Self {
        let Way { kind, database, from, to, .. } = way;
        Several { schema: PLAN_SCHEMA, kind: *kind, database, from, to, whole, hops }
    }
}

/// A plan, as `model::Plan` has it, and `trials` where the server was asked.
#[derive(Serialize)]
struct Planned<'a> {
    #[serde(flatten)]
    plan: &'a Plan,
    #[serde(skip_serializing_if = "Option::is_none")]
    trials: Option<&'a [Trial]>,
}

/// What a database says of itself.
pub fn health(report: &HealthReport, format: Format) -> Result<String, Unprintable> {
    print(report, format)
}

/// The plan of one update.
pub fn plan(plan: &Plan, trials: Option<&[Trial]>, format: Format) -> Result<String, Unprintable> {
    print(&Planned { plan, trials }, format)
}

/// The plan of the only hop, or those of all hops; the server was asked about the first one alone.
pub fn plans(hops: &Hops, trials: Option<&[Trial]>, format: Format) -> Result<String, Unprintable> {
    if hops.later.is_empty() {
        return plan(&hops.first, trials, format);
    }
    let later = hops.later.iter().map(|plan| Planned { plan, trials: None });
    let all: Vec<_> = std::iter::once(Planned { plan: &hops.first, trials }).chain(later).collect();
    print(&Several::on(&Way::of(hops), None, &all), format)
}

/// The ops requests, as they would be created: the only one, or a list that kubectl reads.
pub fn manifests(requests: &[&OpsRequestManifest], format: Format) -> Result<String, Unprintable> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct List<'a> {
        api_version: &'a str,
        kind: &'a str,
        items: &'a [&'a OpsRequestManifest],
    }
    match requests {
        [one] => print(one, format),
        items => print(&List { api_version: "v1", kind: "List", items }, format),
    }
}

/// The state of one database, as `status::Status` has it.
pub fn status(status: &Status, format: Format) -> Result<String, Unprintable> {
    print(status, format)
}

/// The states of many databases, as `items`.
pub fn statuses(all: &[Status], format: Format) -> Result<String, Unprintable> {
    #[derive(Serialize)]
    struct Statuses<'a> {
        schema: &'a str,
        items: &'a [Status],
    }
    print(&Statuses { schema: STATUS_SCHEMA, items: all }, format)
}

/// The databases of a list, as `items`.
pub fn databases(all: &[Listed], format: Format) -> Result<String, Unprintable> {
    #[derive(Serialize)]
    struct Databases<'a> {
        schema: &'a str,
        items: &'a [Listed],
    }
    print(&Databases { schema: STATUS_SCHEMA, items: all }, format)
}

/// The versions of a catalog, newest first, as `items`; and the database that they are judged for, if there is one.
pub fn versions(
    kind: Kind,
    database: Option<&ObjectRef>,
    all: &[Choice],
    format: Format,
) -> Result<String, Unprintable> {
    #[derive(Serialize)]
    struct Versions<'a> {
        schema: &'a str,
        kind: Kind,
        #[serde(skip_serializing_if = "Option::is_none")]
        database: Option<&'a ObjectRef>,
        items: &'a [Choice],
    }
    print(&Versions { schema: STATUS_SCHEMA, kind, database, items: all }, format)
}

/// The missing permissions, as `model::Auth` has them.
pub fn auth(auth: &Auth, format: Format) -> Result<String, Unprintable> {
    print(auth, format)
}

/// The runs of a database, the last one first, as `items`.
pub fn history(database: &ObjectRef, runs: &[RunStatus], format: Format) -> Result<String, Unprintable> {
    #[derive(Serialize)]
    struct History<'a> {
        schema: &'a str,
        database: &'a ObjectRef,
        items: &'a [RunStatus],
    }
    print(&History { schema: STATUS_SCHEMA, database, items: runs }, format)
}

/// The runs of several databases, the last one first, as `items`.
pub fn histories(runs: &[DatabaseRun], format: Format) -> Result<String, Unprintable> {
    #[derive(Serialize)]
    struct Histories<'a> {
        schema: &'a str,
        items: &'a [DatabaseRun],
    }
    print(&Histories { schema: STATUS_SCHEMA, items: runs }, format)
}

/// One run, as `situation::RunRecord` has it.
pub fn run(record: &RunRecord, format: Format) -> Result<String, Unprintable> {
    print(record, format)
}

/// The result of a run: its schema, its id, the database, both versions, the preflight's findings, and all of
/// `event::Finish`.
#[derive(Serialize)]
pub struct Ran<'a> {
    schema: &'a str,
    run: &'a str,
    kind: Kind,
    database: &'a ObjectRef,
    from: &'a VersionRef,
    to: &'a VersionRef,
    findings: &'a [Finding],
    #[serde(flatten)]
    finish: &'a Finish,
}

impl<'a> Ran<'a> {
    /// The result of the run with that plan and that id.
    pub fn of(plan: &'a Plan, run: &'a str, finish: &'a Finish) -> Self {
        let Plan { kind, database, from, to, findings, .. } = plan;
        Ran { schema: PLAN_SCHEMA, run, kind: *kind, database, from, to, findings, finish }
    }
}

/// The result of the only hop, or the results of those that were carried out or refused, with the `whole` result.
pub fn results(runs: &[Ran<'_>], whole: &Finish, way: &Way, format: Format) -> Result<String, Unprintable> {
    match runs {
        [one] if !way.several => print(one, format),
        _ => print(&Several::on(way, Some(whole), runs), format),
    }
}

fn print(object: &impl Serialize, format: Format) -> Result<String, Unprintable> {
    match format {
        Format::Json => Ok(serde_json::to_string_pretty(object)? + "\n"),
        Format::Yaml => {
            // Block scalars would fold messages; a line for each field is easier to find things in.
            let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
            Ok(serde_saphyr::to_string_with_options(object, options)?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn both_forms_hold_the_whole_plan() {
        let before = sample::plan();
        let json = plan(&before, None, Format::Json).unwrap();
        assert_eq!(serde_json::from_str::<Plan>(&json).unwrap(), before);
        let yaml = plan(&before, None, Format::Yaml).unwrap();
        assert_eq!(serde_yaml::from_str::<Plan>(&yaml).unwrap(), before);
        assert!(!json.contains("trials"));
        let tried = plan(&before, Some(&sample::trials()), Format::Yaml).unwrap();
        assert!(tried.contains("\ntrials:\n- write: requestPause\n"), "{tried}");
    }

    #[test]
    fn readers_of_yaml_1_1_get_strings_back() {
        for tricky in ["on", "no", "y", "1_000", "0x1F", "1:30", "2026-01-02", "~", "1e3"] {
            let mut odd = sample::plan();
            odd.to.name = tricky.into();
            odd.to.version = "3.10".into();
            let yaml = plan(&odd, None, Format::Yaml).unwrap();
            let shown = format!("\nto:\n  name: \"{tricky}\"\n  version: \"3.10\"\n");
            assert!(yaml.replace('\'', "\"").contains(&shown), "{tricky}: {yaml}");
            assert_eq!(serde_yaml::from_str::<Plan>(&yaml).unwrap(), odd, "{tricky}");
        }
    }

    #[test]
    fn a_long_message_stays_on_its_line() {
        let mut long = sample::plan();
        long.findings[0].message = "word ".repeat(60).trim().to_owned();
        let yaml = plan(&long, None, Format::Yaml).unwrap();
        assert!(yaml.contains(&format!("message: {}\n", long.findings[0].message)));
    }

    #[test]
    fn the_result_names_its_run_and_its_end() {
        let (plan, finish) = (sample::plan(), sample::finish());
        let (runs, way) = ([Ran::of(&plan, "r1", &finish)], Way::of(&Hops::one(plan.clone())));
        let text = results(&runs, &finish, &way, Format::Json).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        for (path, expected) in [
            ("/schema", "dbupdate/v1"),
            ("/run", "r1"),
            ("/kind", "Kafka"),
            ("/database/name", "my-kf"),
            ("/from/name", "3.5.2"),
            ("/to/name", "3.6.1"),
            ("/outcome", "done"),
        ] {
            assert_eq!(value.pointer(path), Some(&expected.into()), "{path}");
        }
        assert_eq!(value.pointer("/exitCode"), Some(&0.into()));
    }
}
