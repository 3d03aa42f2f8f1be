//! The whole of the golden files, which were computed by the library that the operator uses. They
//! lie beside the repository, not in it: where they are absent, these tests are skipped.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use kubectl_dbupdate::catalog::constraint::{Constraint, Rule, Verdict};
use kubectl_dbupdate::catalog::semver::Version;
use serde::Deserialize;

fn golden(path: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/kubedb").join(path);
    let found = path.exists();
    if !found {
        println!("skipped: {} is absent", path.display());
    }
    found.then_some(path)
}

fn outcome(constraint: &str, version: &str) -> &'static str {
    let Ok(constraint) = Constraint::parse(constraint) else {
        return "bad-constraint";
    };
    match Version::parse(version) {
        Err(_) => "bad-version",
        Ok(version) if constraint.matches(&version) => "true",
        Ok(_) => "false",
    }
}

#[test]
fn constraints_agree_with_the_operator() {
    let Some(path) = golden("golden/constraint-cases.tsv") else {
        return;
    };
    let table = fs::read_to_string(path).expect("the golden table is readable");
    let mut cases = 0;
    let mut wrong = Vec::new();
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let &[constraint, version, expected] = line.split('\t').collect::<Vec<_>>().as_slice() else {
            panic!("not three columns: {line:?}");
        };
        cases += 1;
        let found = outcome(constraint, version);
        if found != expected {
            wrong.push(format!("{constraint:?} on {version:?}: expected {expected}, found {found}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {cases} cases:\n{}", wrong.len(), wrong.join("\n"));
    assert!(cases > 1000, "only {cases} cases");
}

#[derive(Deserialize)]
struct Entry {
    kind: String,
    metadata: Metadata,
    spec: Spec,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    version: String,
    #[serde(default)]
    update_constraints: Rule,
}

/// For each kind and version, the versions that may follow it.
type Matrix = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

fn read_catalog(folder: &Path) -> Vec<Entry> {
    let files =
        fs::read_dir(folder).expect("the catalog is readable").map(|file| file.expect("an entry").path());
    let yaml = files.map(|file| fs::read_to_string(file).expect("a readable entry"));
    yaml.map(|yaml| serde_yaml::from_str(&yaml).expect("a version object")).collect()
}

fn may_follow(entry: &Entry, next: &Entry) -> bool {
    let target = Version::parse(&next.spec.version).expect("a version");
    entry.kind == next.kind
        && entry.spec.update_constraints.verdict(&target).expect("a rule") == Verdict::Allowed
}

#[test]
fn the_upgrade_matrix_agrees_with_the_operator() {
    let (Some(matrix), Some(catalog)) = (golden("golden/upgrade-matrix.json"), golden("catalog")) else {
        return;
    };
    let matrix = fs::read_to_string(matrix).expect("the golden matrix is readable");
    let expected: Matrix = serde_json::from_str(&matrix).expect("the golden matrix is JSON");
    let catalog = read_catalog(&catalog);
    let mut found = Matrix::new();
    for entry in &catalog {
        let followers =
            catalog.iter().filter(|next| may_follow(entry, next)).map(|next| next.metadata.name.clone());
        found.entry(entry.kind.clone()).or_default().insert(entry.metadata.name.clone(), followers.collect());
    }
    assert_eq!(found, expected);
}
