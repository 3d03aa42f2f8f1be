//! The shape of the source, read from its text: which way dependencies run, and what code must not hold.
//! `docs/architecture.md` explains the rules.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What each module of the package may name of the others. A module that is not listed may name none.
const LAYERS: [(&str, &[&str]); 19] = [
    ("model", &[]),
    ("clock", &[]),
    ("catalog", &["model"]),
    ("kinds", &["model"]),
    ("event", &["model"]),
    ("journal", &["event", "model"]),
    ("steps", &["kinds", "journal", "model"]),
    ("roll", &["event", "model"]),
    ("plan", &["steps", "roll", "kinds", "catalog", "journal", "model"]),
    ("situation", &["plan", "steps", "kinds", "catalog", "journal", "event", "model"]),
    ("cluster", &["kinds", "journal", "model", "clock"]),
    ("registry", &["model"]),
    ("engine", &["plan", "steps", "roll", "cluster", "journal", "kinds", "event", "model", "clock"]),
    ("report", &["plan", "situation", "journal", "event", "model"]),
    ("sandbox", &["model"]),
    (
        "operation",
        &[
            "engine",
            "plan",
            "steps",
            "situation",
            "registry",
            "cluster",
            "journal",
            "event",
            "model",
            "clock",
        ],
    ),
    ("cli", &["operation", "report", "situation", "plan", "sandbox", "cluster", "event", "model", "clock"]),
    ("lib", &[]),
    ("main", &["cli"]),
];

/// Modules that decide and do nothing else: time, randomness and the cluster come in as values.
const PURE: [&str; 9] =
    ["model", "kinds", "catalog", "event", "journal", "plan", "steps", "roll", "situation"];

/// What a pure module must not name. The client's plain data types (`kube::core`) are none of it.
const IMPURE: [&str; 15] = [
    "tokio::",
    "kube::Client",
    "kube::Api",
    "kube::client",
    "kube::config",
    "kube::runtime",
    "hyper",
    "Instant",
    "SystemTime",
    "Timestamp::now",
    "RandomState",
    "std::env",
    "std::fs",
    "std::io",
    "simcluster",
];

/// A simulated world that cannot be put up was written wrongly: that is a bug, and a bug panics.
const MAY_PANIC: [&str; 2] = ["crates/simcluster/src/lib.rs", "crates/simcluster/src/world/install.rs"];

const LONGEST_FILE: usize = 600;

/// A source file, its tests and comments left out.
struct Source {
    path: PathBuf,
    /// The first part of its path below `src`, without `.rs`.
    module: String,
    lines: usize,
    code: String,
}

#[test]
fn dependencies_run_one_way() {
    let allowed: BTreeMap<_, _> = LAYERS.into_iter().collect();
    let wrong = ours(|source| {
        let may = allowed.get(source.module.as_str()).copied().unwrap_or_default();
        let named = modules_named(&source.code);
        let strange = named.into_iter().filter(|m| *m != source.module && !may.contains(&m.as_str()));
        strange.map(|m| format!("names crate::{m}")).collect()
    });
    assert_none(&wrong);
}

#[test]
fn deciding_knows_no_client_no_clock_and_no_runtime() {
    let wrong = ours(|source| {
        let pure = PURE.contains(&source.module.as_str());
        let named = IMPURE.into_iter().filter(|what| pure && source.code.contains(what));
        named.map(|what| format!("names {what}")).collect()
    });
    assert_none(&wrong);
}

#[test]
fn only_the_cluster_speaks_to_the_api_server() {
    let wrong = ours(|source| match source.module.as_str() {
        // The sandbox hands out a client; it makes no call with it.
        "cluster" | "sandbox" => Vec::new(),
        _ if source.code.contains("kube::Client") => vec!["names kube::Client".to_owned()],
        _ => Vec::new(),
    });
    assert_none(&wrong);
}

/// Standard output and standard error belong to `cli::stream` and the reporters, which bear a closed pipe.
#[test]
fn nothing_prints_by_macro() {
    assert_none(&everywhere(|source| forbidden(source, &["println!", "print!(", "dbg!"])));
}

#[test]
fn nothing_from_outside_ends_in_a_panic() {
    let panics = [".unwrap()", ".expect(", "panic!(", "todo!(", "unimplemented!("];
    assert_none(&everywhere(|source| match MAY_PANIC.iter().any(|path| source.path.ends_with(path)) {
        true => Vec::new(),
        false => forbidden(source, &panics),
    }));
}

#[test]
fn files_are_short() {
    let too_long = |source: &Source| {
        let long = source.lines > LONGEST_FILE;
        long.then(|| format!("has {} lines", source.lines)).into_iter().collect()
    };
    assert_none(&everywhere(too_long));
}

#[test]
fn no_crate_has_unsafe_code() {
    for root in ["src/lib.rs", "src/main.rs", "crates/simcluster/src/lib.rs"] {
        let text = read(&root_of_package().join(root));
        assert!(text.contains("#![forbid(unsafe_code)]"), "{root} does not forbid unsafe code");
    }
}

#[test]
fn the_simulated_cluster_knows_nothing_of_ours() {
    let package = root_of_package().join("crates/simcluster");
    assert!(!read(&package.join("Cargo.toml")).contains("kubectl-dbupdate"));
    let code = sources(&package.join("src"));
    assert_none(&complaints(&code, |source| forbidden(source, &["kubectl_dbupdate"])));
}

/// The rules above are only as good as this reading of `use` lines.
#[test]
fn names_of_modules_are_found_wherever_they_stand() {
    let code = "use crate::model::{Plan, Pod};\nuse crate::{clock::Clock, event::{self, Event}};\n\
                fn f() { crate::kinds::role() }";
    let found: Vec<_> = modules_named(code).into_iter().collect();
    assert_eq!(found, ["clock", "event", "kinds", "model"]);
    let text = "a // crate::x\n/// crate::y\n#[cfg(test)]\nmod tests;\nb\n#[cfg(test)]\nmod tests {\nc\n}\n";
    assert_eq!(without_tests_and_comments(text), "a \n\nb\n");
}

fn root_of_package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What is wrong with the package's own files.
fn ours(wrong: impl Fn(&Source) -> Vec<String>) -> Vec<String> {
    complaints(&sources(&root_of_package().join("src")), wrong)
}

/// What is wrong with the files of both crates.
fn everywhere(wrong: impl Fn(&Source) -> Vec<String>) -> Vec<String> {
    let mut all = sources(&root_of_package().join("src"));
    all.extend(sources(&root_of_package().join("crates/simcluster/src")));
    complaints(&all, wrong)
}

fn complaints(sources: &[Source], wrong: impl Fn(&Source) -> Vec<String>) -> Vec<String> {
    let of_one = |source: &Source| {
        let path = source.path.display().to_string();
        wrong(source).into_iter().map(move |what| format!("{path} {what}")).collect::<Vec<_>>()
    };
    sources.iter().flat_map(of_one).collect()
}

fn assert_none(wrong: &[String]) {
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn forbidden(source: &Source, words: &[&str]) -> Vec<String> {
    words.iter().filter(|word| source.code.contains(*word)).map(|word| format!("has {word}")).collect()
}

/// Every file below a `src` folder that is not compiled for tests alone.
fn sources(src: &Path) -> Vec<Source> {
    let (mut files, mut tests) = (Vec::new(), BTreeSet::new());
    let mut folders = vec![src.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the folder can be listed") {
            let path = entry.expect("the folder can be listed").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                tests.extend(test_files(&path));
                files.push(path);
            }
        }
    }
    assert!(files.len() > 10, "{} holds too few files to be the right folder", src.display());
    let real = files.into_iter().filter(|path| !tests.contains(path));
    real.map(|path| source(src, path)).collect()
}

fn source(src: &Path, path: PathBuf) -> Source {
    let text = read(&path);
    let below = path.strip_prefix(src).expect("it lies below");
    let first = Path::new(below.iter().next().expect("it has a name"));
    let module = first.with_extension("").display().to_string();
    Source { module, lines: text.lines().count(), code: without_tests_and_comments(&text), path }
}

/// The files that a file declares as modules for tests alone.
fn test_files(path: &Path) -> Vec<PathBuf> {
    let folder = match path.file_stem().and_then(|s| s.to_str()) {
        Some("mod" | "lib" | "main") => path.with_file_name(""),
        _ => path.with_extension(""),
    };
    let text = read(path);
    let lines: Vec<&str> = text.lines().collect();
    let declared = lines.windows(2).filter(|pair| pair[0] == "#[cfg(test)]");
    let named = declared.filter_map(|pair| pair[1].strip_prefix("mod ")?.strip_suffix(';'));
    named.map(|name| folder.join(name).with_extension("rs")).collect()
}

/// A module of tests stands at the end of its file.
fn without_tests_and_comments(text: &str) -> String {
    let mut code = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let next = lines.peek().copied().unwrap_or_default();
        if line == "#[cfg(test)]" && next.starts_with("mod ") {
            if next.ends_with('{') {
                break;
            }
            lines.next();
            continue;
        }
        // A URL in a string is cut as well, which no rule minds.
        code.push_str(line.split("//").next().unwrap_or_default());
        code.push('\n');
    }
    code
}

/// The modules that follow `crate::`, one by one or in braces.
fn modules_named(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for after in code.split("crate::").skip(1) {
        match after.strip_prefix('{') {
            Some(list) => found.extend(items(list).into_iter().map(first_word)),
            None => {
                found.insert(first_word(after));
            }
        }
    }
    // The crate's own items, such as a macro, are no modules.
    found.retain(|name| name.starts_with(|c: char| c.is_ascii_lowercase()));
    found
}

/// What stands in braces, split at the commas that are not in further ones.
fn items(list: &str) -> Vec<&str> {
    let (mut depth, mut start, mut items) = (0, 0, Vec::new());
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                items.push(&list[start..at]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                items.push(&list[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    items
}

fn first_word(text: &str) -> String {
    text.trim_start().chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
}
