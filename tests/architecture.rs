//! The shape of the source, read from its text: which way dependencies run, and what code must not hold.
//! `docs/architecture.md` explains the rules.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What each module of the package may name of the others. A module that is not listed may name none.
const LAYERS: [(&str, &[&str]); 21] = [
    ("model", &[]),
    ("clock", &[]),
    ("retry", &[]),
    ("catalog", &["model"]),
    ("kinds", &["model"]),
    ("event", &["model"]),
    ("journal", &["event", "model"]),
    ("steps", &["kinds", "journal", "model"]),
    ("roll", &["event", "model"]),
    ("plan", &["steps", "roll", "kinds", "catalog", "journal", "model"]),
    ("situation", &["plan", "steps", "roll", "kinds", "catalog", "journal", "event", "model"]),
    ("cluster", &["kinds", "journal", "model", "clock", "retry"]),
    ("database", &["kinds", "cluster", "model"]),
    ("registry", &["model"]),
    (
        "engine",
        &[
            "situation",
            "plan",
            "steps",
            "roll",
            "database",
            "cluster",
            "journal",
            "kinds",
            "event",
            "model",
            "clock",
            "retry",
        ],
    ),
    ("report", &["plan", "situation", "kinds", "journal", "event", "model"]),
    ("sandbox", &["kinds", "model"]),
    (
        "operation",
        &[
            "engine",
            "plan",
            "steps",
            "situation",
            "registry",
            "database",
            "kinds",
            "cluster",
            "journal",
            "event",
            "model",
            "clock",
            "retry",
        ],
    ),
    (
        "cli",
        &[
            "operation",
            "report",
            "situation",
            "plan",
            "sandbox",
            "cluster",
            "kinds",
            "event",
            "model",
            "clock",
        ],
    ),
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

/// A rule of one kind that stands elsewhere is forgotten when the next kind is added.
#[test]
fn only_kinds_knows_one_kind_from_another() {
    let kinds = variants(&read(&root_of_package().join("src/model/kind.rs")));
    assert!(kinds.len() >= 5, "{kinds:?} are not all kinds");
    assert_none(&ours(|source| match source.module.as_str() {
        // The protocols of the databases, and what is answered in them.
        "kinds" | "database" => Vec::new(),
        _ if source.path.ends_with("src/model/evidence/mod.rs") => Vec::new(),
        _ if source.path.ends_with("src/model/kind.rs") => Vec::new(),
        _ => {
            kinds.iter().filter(|kind| names_kind(&source.code, kind)).map(|k| format!("knows {k}")).collect()
        }
    }));
}

/// Two files that import each other can be understood only together.
#[test]
fn no_files_of_a_folder_import_each_other_in_a_circle() {
    for root in ["src", "crates/simcluster/src"] {
        let files = sources(&root_of_package().join(root));
        let code = files.iter().map(|s| (module_path(&s.path, root), s.code.clone())).collect();
        let circles = circles(&code).into_iter().map(|(folder, files)| {
            let folder = [&[root.to_owned()], folder.as_slice()].concat().join("/");
            (folder, files.join(", "))
        });
        let wrong: Vec<_> =
            circles.map(|(folder, files)| format!("{folder} has a circle: {files}")).collect();
        assert_none(&wrong);
    }
}

/// Standard output and standard error belong to `cli::stream` and the reporters, which tolerate a closed pipe.
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
    let by_method: Vec<_> = modules_named("fn f(k: Kind) { k.facts() }").into_iter().collect();
    assert_eq!(by_method, ["kinds"]);
    let text = "a // crate::x\n/// crate::y\n#[cfg(test)]\nmod tests;\nb\n#[cfg(test)]\nmod tests {\nc\n}\n";
    assert_eq!(without_tests_and_comments(text), "a \n\nb\n");
}

#[test]
fn kinds_are_found_by_variant_and_by_word() {
    let found = variants("/// Text.\npub enum Kind {\n    /// One.\n    Kafka,\n    ZooKeeper,\n}\n");
    assert_eq!(found, ["Kafka", "ZooKeeper"]);
    for (code, named) in [
        ("if kind == Kind::Kafka {", true),
        ("use Kind::*; match kind { Kafka => 1 }", true),
        ("if kind.singular() == \"kafka\" {", true),
        ("\"kubectl dbupdate kafka my-kf\"", false),
        ("let KafkaLike = WorkloadKind::PetSet;", false),
    ] {
        assert_eq!(names_kind(code, "Kafka"), named, "{code}");
    }
}

#[test]
fn circles_are_found_through_every_form_of_import() {
    let house = |files: &[(&str, &str)]| {
        let path = |p: &str| p.split('/').filter(|s| !s.is_empty()).map(str::to_owned).collect::<Vec<_>>();
        circles(&files.iter().map(|(p, code)| (path(p), (*code).to_owned())).collect())
    };
    for (a, b, in_circle) in [
        ("use super::b::B;", "use super::a;", true),
        ("use super::{c::C, b::{self, B as X}};", "fn f() { crate::room::a::f() }", true),
        // By a name that the folder hands on.
        ("use super::Handed;", "use crate::room::a::A;", true),
        ("use super::b::B;", "use super::c::C;", false),
        ("use super::b::B;", "use super::Own;", false),
        ("use super::b::B;", "pub(super) struct B; fn f() { Self::g(); self::g() }", false),
    ] {
        let room = "mod a;\npub use b::{B as Handed};\npub use self::c::C;\npub struct Own;";
        let found = house(&[("", ""), ("room", room), ("room/a", a), ("room/b", b), ("room/c", "")]);
        let expected = in_circle.then(|| (vec!["room".to_owned()], vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(found, Vec::from_iter(expected), "{a} {b}");
    }
    // A folder counts as one, and a circle may be long.
    let (a, c) = ("use crate::b::x::X;", "use super::super::a::A;");
    let found = house(&[("a", a), ("b", ""), ("b/x", "use crate::c::y;"), ("c", ""), ("c/y", c)]);
    assert_eq!(found, [(vec![], ["a", "b", "c"].map(str::to_owned).to_vec())]);
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
    // An inherent method needs no import.
    if code.contains(".facts()") {
        found.insert("kinds".to_owned());
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

/// The variants of the only enum in a text.
fn variants(text: &str) -> Vec<String> {
    let body =
        text.split_once("enum Kind {").map_or("", |(_, after)| after.split('}').next().unwrap_or_default());
    let lines = body.lines().map(str::trim).filter(|line| !line.starts_with("//"));
    lines.filter_map(|line| line.strip_suffix(',')).map(str::to_owned).collect()
}

/// The code names that kind as a variant or compares a word with its name. A longer text that mentions it is an example.
fn names_kind(code: &str, kind: &str) -> bool {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let whole = code
        .match_indices(kind)
        .any(|(at, _)| !code[..at].ends_with(word) && !code[at + kind.len()..].starts_with(word));
    whole || code.contains(&format!("\"{}\"", kind.to_ascii_lowercase()))
}

/// Where a module stands in its crate, from the names of folders and files; the root is empty.
type ModulePath = Vec<String>;

fn module_path(path: &Path, root: &str) -> ModulePath {
    let below = path.strip_prefix(root_of_package().join(root)).expect("it lies below").with_extension("");
    let mut names: ModulePath = below.iter().map(|name| name.to_string_lossy().into_owned()).collect();
    names.pop_if(|name| matches!(name.as_str(), "mod" | "lib" | "main"));
    names
}

/// The circles in each folder: its files, and its folders taken as one, that import each other. The file that stands for a
/// folder (`mod.rs`) hands on what the others hold, so that it counts for none of them.
fn circles(code: &BTreeMap<ModulePath, String>) -> Vec<(ModulePath, Vec<String>)> {
    let paths: BTreeMap<_, _> = code.iter().map(|(module, text)| (module, paths_named(text))).collect();
    let mut folders: BTreeMap<ModulePath, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for (module, named) in &paths {
        for path in named {
            let Some(target) = resolve(module, path, &paths, 0) else { continue };
            let shared = module.iter().zip(&target).take_while(|(a, b)| a == b).count();
            if let (Some(one), Some(other)) = (module.get(shared), target.get(shared)) {
                let folder = folders.entry(module[..shared].to_vec()).or_default();
                folder.entry(one.clone()).or_default().insert(other.clone());
            }
        }
    }
    let in_folder = |(folder, imports): (ModulePath, BTreeMap<String, BTreeSet<String>>)| {
        let mut found = BTreeSet::new();
        for file in imports.keys() {
            let ahead = reached(file, &imports);
            if ahead.contains(file) {
                let back = |other: &String| reached(other, &imports).contains(file);
                found.insert(ahead.into_iter().filter(back).collect::<Vec<_>>());
            }
        }
        found.into_iter().map(move |circle| (folder.clone(), circle)).collect::<Vec<_>>()
    };
    folders.into_iter().flat_map(in_folder).collect()
}

/// Whatever a file imports, and what that imports.
fn reached(from: &str, imports: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<String> {
    let (mut found, mut left) = (BTreeSet::new(), vec![from.to_owned()]);
    while let Some(file) = left.pop() {
        let new = imports.get(&file).into_iter().flatten().filter(|next| !found.contains(*next));
        left.extend(new.cloned().collect::<Vec<_>>());
        found.extend(imports.get(&file).into_iter().flatten().cloned());
    }
    found
}

/// A path as it stands in the code, from `crate`, `super` or `self` on, and the name under which a `use` brings it.
#[derive(Debug, Clone)]
struct Named {
    path: Vec<String>,
    brings: Option<String>,
}

/// The paths of a text, those of `use` lines one by one.
fn paths_named(code: &str) -> Vec<Named> {
    let mut found = Vec::new();
    for start in ["crate::", "super::", "self::"] {
        for (at, _) in code.match_indices(start) {
            let before = &code[..at];
            if !before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':') {
                spread(Vec::new(), &code[at..], is_use(before), &mut found);
            }
        }
    }
    // `use child::Item`, as a folder's file hands its children's items on.
    for (at, _) in code.match_indices("use ") {
        let after = &code[at + "use ".len()..];
        if !["crate::", "super::", "self::"].iter().any(|start| after.starts_with(start)) {
            spread(vec!["self".to_owned()], after, true, &mut found);
        }
    }
    found
}

fn is_use(before: &str) -> bool {
    before.trim_end().ends_with("use")
}

/// One path for each leaf of a `use` tree.
fn spread(mut path: Vec<String>, text: &str, brought: bool, found: &mut Vec<Named>) {
    let text = text.trim_start();
    if let Some(list) = text.strip_prefix('{') {
        items(list).into_iter().for_each(|item| spread(path.clone(), item, brought, found));
        return;
    }
    let name = first_word(text);
    let rest = &text[name.len()..];
    if name != "self" || path.is_empty() {
        path.push(name);
    }
    match (rest.strip_prefix("::"), rest.trim_start().strip_prefix("as ")) {
        (Some(further), _) => spread(path, further, brought, found),
        (None, alias) => {
            let name = alias.map(first_word).or_else(|| path.last().cloned());
            found.push(Named { path, brings: name.filter(|_| brought) });
        }
    }
}

/// The file in which what a path names is written, through the files that hand it on.
fn resolve(
    from: &[String],
    named: &Named,
    paths: &BTreeMap<&ModulePath, Vec<Named>>,
    depth: usize,
) -> Option<ModulePath> {
    let mut at = from.to_vec();
    let mut names = named.path.iter().peekable();
    while let Some(word) = names.next_if(|word| ["crate", "super", "self"].contains(&word.as_str())) {
        match word.as_str() {
            "crate" => at.clear(),
            "super" => drop(at.pop()?),
            _ => {}
        }
    }
    for name in names {
        let child = [at.as_slice(), std::slice::from_ref(name)].concat();
        if paths.contains_key(&child) {
            at = child;
            continue;
        }
        let handed_on = paths.get(&at)?.iter().find(|n| n.brings.as_ref() == Some(name));
        // A path that begins with no module of ours is another crate's.
        return match handed_on.filter(|n| depth < 5 && n.path != named.path) {
            Some(n) => resolve(&at, n, paths, depth + 1).or(Some(at)),
            None if named.path.first().is_some_and(|f| f == "self") && named.path.len() > 1 && at == from => {
                None
            }
            None => Some(at),
        };
    }
    Some(at)
}
