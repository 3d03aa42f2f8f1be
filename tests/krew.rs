//! krew's manifest and the template of its release bot, held against what krew asks of a plugin.
//!
//! The rules are those of krew's validation and of its reviewers, as of krew 0.4.5:
//! <https://krew.sigs.k8s.io/docs/developer-guide/plugin-manifest/>,
//! <https://krew.sigs.k8s.io/docs/developer-guide/develop/naming-guide/>,
//! <https://krew.sigs.k8s.io/docs/developer-guide/release/submitting-to-krew/>, and krew's `internal/index/validation` and
//! `cmd/validate-krew-manifest`.

mod programs;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

/// What the manifest's file and the plugin are called: `kubectl dbupdate`.
const NAME: &str = "dbupdate";

/// The platforms for which we release.
const PLATFORMS: [(&str, &str); 5] =
    [("linux", "amd64"), ("linux", "arm64"), ("darwin", "amd64"), ("darwin", "arm64"), ("windows", "amd64")];

/// What krew takes for a licence, in lower case.
const LICENCES: [&str; 8] = [
    "license",
    "license.txt",
    "license.md",
    "licenses",
    "licenses.txt",
    "licenses.md",
    "copying",
    "copying.txt",
];

/// krew drops fields that it does not know, so that a misspelt one goes unseen there. Not here.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Manifest {
    api_version: String,
    kind: String,
    metadata: Metadata,
    spec: Spec,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Metadata {
    name: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Spec {
    version: String,
    homepage: String,
    short_description: String,
    description: String,
    caveats: String,
    platforms: Vec<Platform>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Platform {
    selector: Selector,
    uri: String,
    sha256: String,
    files: Vec<FileOperation>,
    bin: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Selector {
    match_labels: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileOperation {
    from: String,
    to: String,
}

/// Everything about a manifest that krew, or a reviewer of its index, would object to.
fn objections(text: &str) -> Vec<String> {
    let manifest: Manifest = match serde_yaml::from_str(text) {
        Ok(manifest) => manifest,
        Err(error) => return vec![format!("cannot be read: {error}")],
    };
    let spec = &manifest.spec;
    let platforms: Vec<_> = spec.platforms.iter().map(platform_of).collect();
    let name = manifest.metadata.name.as_str();
    let lines: Vec<_> = spec.description.lines().collect();
    let mut found: Vec<String> = [
        (manifest.api_version != "krew.googlecontainertools.github.com/v1alpha2", "another apiVersion"),
        (manifest.kind != "Plugin", "another kind"),
        (name != NAME, "the name is not that of the file"),
        (
            !name.chars().all(|c| c.is_ascii_lowercase() || c == '-'),
            "the name is not in lower case and hyphens",
        ),
        (name.starts_with("kube"), "the name repeats kube"),
        (!semantic(&spec.version), "the version is not v and a semantic version"),
        (spec.short_description.is_empty(), "no short description"),
        (spec.short_description.chars().count() >= 50, "the short description has 50 characters or more"),
        (spec.short_description.contains(['\r', '\n']), "the short description has line breaks"),
        (spec.description.trim().is_empty(), "no description"),
        (lines.iter().any(|line| line.chars().count() > 80), "the description has lines over 80 characters"),
        (
            spec.description.contains("kubectl ") || spec.description.contains(" --"),
            "usage in the description",
        ),
        (lines.iter().any(|line| line.trim_start().starts_with('$')), "usage in the description"),
        (spec.caveats.trim().is_empty(), "no caveats"),
        (!spec.homepage.starts_with("https://"), "no homepage"),
        (spec.platforms.is_empty(), "no platform"),
        (platforms.iter().collect::<BTreeSet<_>>().len() != platforms.len(), "a platform is there twice"),
    ]
    .into_iter()
    .filter(|(wrong, _)| *wrong)
    .map(|(_, what)| what.to_owned())
    .collect();
    for platform in &spec.platforms {
        found.extend(platform_objections(platform, &spec.version));
    }
    found
}

fn platform_objections(platform: &Platform, version: &str) -> Vec<String> {
    let (os, arch) = platform_of(platform);
    let labels: BTreeSet<_> = platform.selector.match_labels.keys().map(String::as_str).collect();
    let (bin, archive) = (&platform.bin, format!("/kubectl-{NAME}-{os}-{arch}.tar.gz"));
    let installed: BTreeSet<_> = platform.files.iter().map(installed_as).collect();
    let licence = |file: &String| LICENCES.contains(&file.to_lowercase().as_str());
    let unclean = |path: &str| path.is_empty() || path.starts_with('/') || path.contains("..");
    [
        (labels != BTreeSet::from(["os", "arch"]), "selected by something else than os and arch"),
        (!PLATFORMS.contains(&(&os, &arch)), "a platform that is not released"),
        (!platform.uri.starts_with("https://"), "the archive is not loaded by https"),
        (!platform.uri.ends_with(&archive), "the archive is called otherwise, or is another platform's"),
        (!platform.uri.contains(&format!("/{version}/")), "the archive is another version's"),
        (!hexadecimal(&platform.sha256, 64), "the sum is not 64 hexadecimal digits in lower case"),
        (platform.files.is_empty(), "no files"),
        (
            platform.files.iter().any(|file| unclean(&file.from) || unclean(&file.to)),
            "a path that is not clean",
        ),
        (!installed.contains(bin), "bin is not among the files"),
        (!installed.iter().any(licence), "the licence is not extracted"),
        ((os == "windows") != bin.ends_with(".exe"), "only Windows, and always Windows, has an .exe"),
    ]
    .into_iter()
    .filter(|(wrong, _)| *wrong)
    .map(|(_, what)| format!("{os}/{arch}: {what}"))
    .collect()
}

/// The operating system and the architecture that a platform is selected by.
fn platform_of(platform: &Platform) -> (String, String) {
    let label = |name: &str| platform.selector.match_labels.get(name).cloned().unwrap_or_default();
    (label("os"), label("arch"))
}

/// Below the plugin's folder: `to: .` keeps the file's name.
fn installed_as(file: &FileOperation) -> String {
    match file.to.as_str() {
        "." => file.from.rsplit('/').next().unwrap_or_default().to_owned(),
        to => to.to_owned(),
    }
}

fn hexadecimal(text: &str, length: usize) -> bool {
    text.len() == length && text.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c))
}

fn semantic(version: &str) -> bool {
    let core = version.strip_prefix('v').unwrap_or_default().split(['-', '+']).next().unwrap_or_default();
    let numbers: Vec<_> = core.split('.').collect();
    numbers.len() == 3 && numbers.iter().all(|n| n.parse::<u64>().is_ok_and(|v| v.to_string() == *n))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn manifest() -> Manifest {
    serde_yaml::from_str(&read("krew-manifest.yaml")).expect("the manifest is a manifest")
}

/// The template as krew's release bot renders it: its function writes `uri` and `sha256` for an indent of four.
fn rendered(template: &str, tag: &str, sum: impl Fn(&str) -> String) -> String {
    let line = |line: &str| match line.trim().strip_prefix("{{addURIAndSha \"") {
        Some(call) => {
            let uri = call.split('"').next().unwrap_or_default().replace("{{ .TagName }}", tag);
            format!("    uri: {uri}\n    sha256: {}\n", sum(&uri))
        }
        None => format!("{}\n", line.replace("{{ .TagName }}", tag)),
    };
    template.lines().map(line).collect()
}

#[test]
fn nothing_about_the_manifest_is_to_be_objected_to() {
    assert_eq!(objections(&read("krew-manifest.yaml")), [""; 0]);
}

#[test]
fn the_manifest_has_every_platform_and_this_version() {
    let manifest = manifest();
    let platforms: BTreeSet<_> = manifest.spec.platforms.iter().map(platform_of).collect();
    let released = PLATFORMS.map(|(os, arch)| (os.to_owned(), arch.to_owned()));
    assert_eq!(platforms, released.into_iter().collect());
    assert_eq!(manifest.spec.version, concat!("v", env!("CARGO_PKG_VERSION")));
}

#[test]
fn the_manifest_is_what_the_bot_would_make_of_the_template() {
    let manifest = manifest();
    let sums: BTreeMap<_, _> = manifest.spec.platforms.iter().map(|p| (&p.uri, p.sha256.clone())).collect();
    let made = rendered(&read(".krew.yaml"), &manifest.spec.version, |uri| {
        sums.get(&uri.to_owned()).cloned().unwrap_or_else(|| panic!("{uri} is not in the manifest"))
    });
    let file = read("krew-manifest.yaml");
    let comments: String = file.split_inclusive('\n').take_while(|line| line.starts_with('#')).collect();
    assert_eq!(comments + &made, file);
}

/// `.ci/release manifest` renders the same template, for real archives.
#[test]
#[cfg(target_os = "linux")]
fn a_release_renders_the_manifest_of_the_archives_that_are_there() {
    if !release_can_run() {
        return;
    }
    let dist = Folder::new("manifest");
    let sum = "a948904f2f0f479b8f8197694b30184b0d2ed1c1cd2a1ec0fb85d299a192a447";
    let whole = rendered(&read(".krew.yaml"), &manifest().spec.version, |_| sum.to_owned());
    for (os, arch) in PLATFORMS {
        let archive = dist.0.join(format!("kubectl-dbupdate-{os}-{arch}.tar.gz"));
        fs::write(archive, "hello world\n").expect("it can be written");
    }
    assert_eq!(release(&dist.0, &["manifest"]), whole);
    fs::remove_file(dist.0.join("kubectl-dbupdate-darwin-amd64.tar.gz")).expect("it is there");
    let partial = release(&dist.0, &["manifest"]);
    assert_eq!(objections(&partial), [""; 0]);
    assert_eq!(partial.matches("selector:").count(), PLATFORMS.len() - 1);
    assert!(!partial.contains("darwin-amd64"), "{partial}");
}

/// The workflow builds for these platforms, and for no other.
#[test]
#[cfg(target_os = "linux")]
fn the_workflow_builds_what_the_manifest_offers() {
    if !release_can_run() {
        return;
    }
    let workflow: serde_json::Value =
        serde_yaml::from_str(&read(".github/workflows/release.yml")).expect("the workflow is YAML");
    let builds = workflow["jobs"]["build"]["strategy"]["matrix"]["include"].as_array().expect("a matrix");
    let target = |build: &serde_json::Value| build["target"].as_str().unwrap_or_default().to_owned();
    let targets: Vec<_> = builds.iter().map(target).collect();
    let built: BTreeSet<_> = targets.iter().map(|t| release(root(), &["platform", t])).collect();
    assert_eq!(built, PLATFORMS.map(|(os, arch)| format!("{os}-{arch}\n")).into_iter().collect());
    let dynamic = targets.iter().find(|t| t.contains("linux") && !t.ends_with("-musl"));
    assert_eq!(dynamic, None, "Linux binaries are static");
}

/// The rules above are only as good as this.
#[test]
fn each_objection_is_raised() {
    let good = read("krew-manifest.yaml");
    for (from, to, objection) in [
        ("v1alpha2", "v1", "another apiVersion"),
        ("kind: Plugin", "kind: plugin", "another kind"),
        ("name: dbupdate", "name: kube-Dbupdate", "the name repeats kube"),
        ("name: dbupdate", "name: dbUpdate", "the name is not in lower case and hyphens"),
        ("name: dbupdate", "name: other", "the name is not that of the file"),
        ("  version: v", "  version: ", "the version is not v and a semantic version"),
        ("shortDescription: ", "shortDescription: Very long, and longer ", "the short description has 50"),
        ("  caveats: |", "  caveat: |", "cannot be read: "),
        ("    Updates ", "    kubectl dbupdate kafka\n    Updates ", "usage in the description"),
        ("os: windows", "os: plan9", "plan9/amd64: a platform that is not released"),
        ("arch: arm64", "arch: amd64", "a platform is there twice"),
        ("sha256: ", "sha256: A", "the sum is not 64 hexadecimal digits"),
        ("from: LICENSE", "from: COPYRIGHT", "the licence is not extracted"),
        ("to: .", "to: ../x", "a path that is not clean"),
        ("bin: kubectl-dbupdate.exe", "bin: kubectl-dbupdate", "bin is not among the files"),
        ("download/v", "download/w", "the archive is another version's"),
        ("-linux-amd64.tar.gz", ".tar.gz", "the archive is called otherwise"),
        ("uri: https:", "uri: http:", "the archive is not loaded by https"),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good, "{from} is not in the manifest");
        let found = objections(&bad);
        assert!(found.iter().any(|found| found.contains(objection)), "{from} → {to}: {found:?}");
    }
}

/// `.ci/release` is a script of bash, and reads the version with sed.
fn release_can_run() -> bool {
    ["bash", "sed"].into_iter().all(programs::installed)
}

/// What `.ci/release` prints. It takes the forge's own repository for ours where there is one: not here.
fn release(dist: &Path, arguments: &[&str]) -> String {
    let output = Command::new(root().join(".ci/release"))
        .args(arguments)
        .env("DIST", dist)
        .env_remove("GITHUB_REPOSITORY")
        .output()
        .expect("bash is there");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// A folder that is gone with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("dbupdate-krew-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder can be made");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is left to the system.
        let _ = fs::remove_dir_all(&self.0);
    }
}
