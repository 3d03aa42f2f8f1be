//! The documentation names what the program has, and nothing else where that can be told.

#[cfg(unix)]
mod served;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use clap::CommandFactory;
use kubectl_dbupdate::cli::args::Cli;
use kubectl_dbupdate::cli::exit_code::ExitCode;
use kubectl_dbupdate::engine::Signal;
use kubectl_dbupdate::model::Check;
use kubectl_dbupdate::report::words;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The cells of every row of every table of a page.
fn rows(page: &str) -> Vec<Vec<String>> {
    let row = |line: &str| {
        let cells = line.strip_prefix('|')?.strip_suffix('|')?;
        Some(cells.split('|').map(|cell| cell.trim().to_owned()).collect())
    };
    page.lines().filter_map(row).collect()
}

/// What stands in backticks.
fn quoted(text: &str) -> BTreeSet<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The structs and enums of a source file: name, then the names of fields or variants with those in their braces, as serde
/// was told to rename them.
fn types(source: &str) -> Vec<(String, BTreeSet<String>)> {
    let mut found = Vec::new();
    let mut lines = source.lines();
    while let Some(line) = lines.next() {
        let opened = line.strip_prefix("pub struct ").or_else(|| line.strip_prefix("pub enum "));
        let Some(name) = opened.and_then(|rest| rest.strip_suffix(" {")) else { continue };
        let (mut members, mut renamed, mut flattened) = (BTreeSet::new(), None, false);
        for line in lines.by_ref().take_while(|line| *line != "}").map(str::trim) {
            if line.starts_with("#[") {
                let to = line.split_once("rename = \"").and_then(|(_, name)| name.split('"').next());
                renamed = to.or(renamed);
                flattened |= line.contains("flatten");
            } else if line.starts_with("pub ") && std::mem::take(&mut flattened) {
                // Its members stand in its place.
            } else if !line.starts_with("//") {
                let mut declared = names(line);
                if let (Some(to), Some(first)) = (renamed.take(), declared.first_mut()) {
                    to.clone_into(first);
                }
                members.extend(declared);
            }
        }
        found.push((name.to_owned(), members));
    }
    found
}

/// The names that a line of a definition declares: `pub field: T,`, `field: T,`, `Variant,`, `Variant { field: T },`.
fn names(line: &str) -> Vec<String> {
    let line = line.strip_prefix("pub ").unwrap_or(line);
    let word = |text: &str| -> String {
        text.trim().chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
    };
    let (head, braces) = line.split_once('{').unwrap_or((line, ""));
    let fields = braces.split(',').filter(|field| field.contains(':'));
    std::iter::once(head).chain(fields).map(word).filter(|name| !name.is_empty()).collect()
}

/// As serde spells it with `rename_all = "camelCase"`.
fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default();
    let capital = |word: &str| format!("{}{}", word[..1].to_ascii_uppercase(), &word[1..]);
    let lower = format!("{}{}", first[..1].to_ascii_lowercase(), &first[1..]);
    words.fold(lower, |name, word| name + &capital(word))
}

/// As serde spells it with `rename_all = "kebab-case"`.
fn kebab(name: &str) -> String {
    let mut spelt = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !spelt.is_empty() {
            spelt.push('-');
        }
        spelt.push(c.to_ascii_lowercase());
    }
    spelt
}

/// Every page that is written by hand: the README and `docs/`, by path.
fn pages() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let entries = fs::read_dir(folder).expect("docs/ is there");
    let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    let written = names.filter(|name| name.ends_with(".md") && name != "reference.md");
    let paths = written.map(|name| format!("docs/{name}")).chain(["README.md".to_owned()]);
    paths.map(|path| (path.clone(), read(&path))).collect()
}

/// A command of ours that a page shows: its arguments, and the exit code that the page says it ends with.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Shown {
    words: Vec<String>,
    code: i32,
}

/// The commands of ours on a page. In a block a command ends at a comment, a pipe or a redirection; in a sentence at its
/// backtick.
fn commands(page: &str) -> Vec<Shown> {
    let mut found = Vec::new();
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        // As in `$ kubectl dbupdate …; echo $?`, with the code on the next line.
        let code = lines.peek().filter(|_| line.ends_with("; echo $?")).and_then(|next| next.parse().ok());
        for piece in line.split(['`', '(']).map(|piece| piece.trim().trim_start_matches("$ ")) {
            let typed = ["kubectl dbupdate ", "cargo run -- "].iter().find_map(|c| piece.strip_prefix(c));
            // With an ellipsis it is a pattern, not a command.
            let Some(typed) = typed.filter(|typed| !typed.contains(['…', '<'])) else { continue };
            let operator = |word: &str| word.starts_with(['#', '|', '>', ';']) || word.starts_with("2>");
            let words = typed.split_whitespace().take_while(|word| !operator(word));
            let words = words.map(|word| word.trim_end_matches([';', ')']).to_owned()).collect();
            found.push(Shown { words, code: code.unwrap_or(0) });
        }
    }
    found
}

#[test]
fn every_check_stands_in_the_findings_tables_with_its_flag() {
    let source = read("src/model/finding.rs");
    let (_, checks) =
        types(&source).into_iter().find(|(name, _)| name == "Check").expect("the enum is there");
    let checks: Vec<String> = checks.iter().map(|variant| kebab(variant)).collect();
    let page = read("docs/findings.md");
    let table: Vec<_> = rows(&page).into_iter().filter(|row| row[0].starts_with('`')).collect();
    let mut documented: Vec<String> = table.iter().map(|row| row[0].trim_matches('`').to_owned()).collect();
    documented.sort();
    let sorted: BTreeSet<String> = checks.into_iter().collect();
    assert_eq!(documented, sorted.into_iter().collect::<Vec<_>>());
    for row in table {
        let name = row[0].trim_matches('`');
        let flag = Check::overridable(name).and_then(words::flag).map(|flag| format!("`{flag}`"));
        // The table of warnings has no column for flags.
        assert_eq!(row.get(3).cloned().unwrap_or_default(), flag.unwrap_or_default(), "{name}");
    }
}

#[test]
fn every_exit_code_is_documented() {
    let documented: BTreeSet<u8> =
        rows(&read("docs/exit-codes.md")).iter().flat_map(|row| row[0].parse()).collect();
    let codes = [
        ExitCode::Done,
        ExitCode::Failed,
        ExitCode::Usage,
        ExitCode::Refused,
        ExitCode::Unfinished,
        ExitCode::SomebodyElse,
        ExitCode::NotReady,
        ExitCode::TimedOut,
        ExitCode::Signal(Signal::HangUp),
        ExitCode::Signal(Signal::Interrupt),
        ExitCode::Signal(Signal::Terminate),
    ];
    assert_eq!(documented, codes.map(ExitCode::code).into_iter().collect());
}

#[test]
fn every_field_and_value_of_the_output_is_named() {
    let page = read("docs/output.md");
    let named = quoted(&page);
    let files = [
        "src/event.rs",
        "src/model/plan.rs",
        "src/model/finding.rs",
        "src/model/write.rs",
        "src/model/auth.rs",
        "src/model/health.rs",
        "src/model/finish.rs",
    ];
    // Checks have a table of their own; writes are not printed, only what they are for; what is lacking is printed flat.
    let elsewhere = [
        "Check",
        "Write",
        "WriteAction",
        "PatchOp",
        "Lacking",
        "HealthMode",
        "Roster",
        "Place",
        "Unasked",
        "Obstacle",
        "Bar",
    ];
    let mut seen = 0;
    for (file, (name, members)) in
        files.iter().flat_map(|file| types(&read(file)).into_iter().map(move |t| (file, t)))
    {
        for member in members.iter().filter(|_| !elsewhere.contains(&name.as_str())) {
            let spelt = camel(member);
            seen += 1;
            assert!(
                named.contains(spelt.as_str()),
                "{file}: {name} has {spelt}, and docs/output.md does not name it"
            );
        }
    }
    assert!(seen > 100, "only {seen} names were found: the source is not read rightly");
}

#[test]
fn every_command_in_the_documentation_can_be_typed() {
    let mut tried = 0;
    for (file, page) in pages() {
        for Shown { words, .. } in commands(&page) {
            let typed = std::iter::once("kubectl-dbupdate").chain(words.iter().map(String::as_str));
            let wrong = kubectl_dbupdate::cli::args::parse(typed).err().filter(clap::Error::use_stderr);
            assert!(
                wrong.is_none(),
                "{file}: {words:?}: {}",
                wrong.map(|e| e.to_string()).unwrap_or_default()
            );
            tried += 1;
        }
    }
    assert!(tried > 60, "only {tried} commands were found");
}

/// These take most of a minute, as the page says of the one and shows of the other: the Ops-manager polls, and an image that
/// cannot be pulled is waited for. Other tests run both, in simulated time.
#[cfg(unix)]
const SLOW: [&str; 3] = ["ops-manager", "pull", "pull-first"];

/// They wait for pods most of the time, and do it together.
#[test]
#[cfg(unix)]
fn every_example_of_the_sandbox_ends_as_the_page_says() {
    let all: BTreeSet<Shown> = pages().iter().flat_map(|(_, page)| commands(page)).collect();
    let inside = |shown: &&Shown| shown.words.iter().any(|word| word == "--sandbox");
    let quick = |shown: &&Shown| !shown.words.iter().any(|word| SLOW.contains(&word.as_str()));
    let all: Vec<&Shown> = all.iter().filter(inside).filter(quick).collect();
    assert!(all.len() >= 10, "only {} examples were found", all.len());
    std::thread::scope(|scope| {
        for Shown { words, code } in all {
            scope.spawn(move || {
                served::run(served::dbupdate(&words.join(" "))).ended(*code, "");
            });
        }
    });
}

/// The words of a text with `N` for each duration.
#[cfg(unix)]
fn timeless(text: &str) -> String {
    let mut words: Vec<&str> = Vec::new();
    for word in text.split_whitespace() {
        let number = words.last().is_some_and(|last| last.parse::<f64>().is_ok());
        match word.trim_end_matches(';') {
            "s" | "ms" if number => *words.last_mut().expect("it has a last word") = "N",
            _ => words.push(word),
        }
    }
    words.join(" ")
}

#[test]
#[cfg(unix)]
fn the_sample_of_the_readme_is_what_its_command_prints() {
    let readme = read("README.md");
    let block = |from: &str| {
        let text = readme.split(from).nth(1).and_then(|rest| rest.split("```").next());
        format!("{from}{}", text.unwrap_or_else(|| panic!("README.md has no {from:?}")))
    };
    let ran = served::run(served::dbupdate("kafka my-kf --to 3.6.1 --sandbox --yes --progress plain"));
    let printed = timeless(&ran.ended(0, "").stdout);
    let end = timeless(&block("WORKLOAD "));
    assert!(printed.ends_with(&end), "README.md: {end}\nprinted: {printed}");
    let during = block("```text\nKafka my-kf");
    let waiting =
        during.split("): ").nth(1).and_then(|rest| rest.lines().next()).expect("a pod waits for something");
    ran.ended(0, &format!("pod my-kf-controller-2: {waiting}\n"));
    ran.ended(0, during.lines().nth(1).expect("a heading"));
}

#[test]
fn every_flag_in_the_documentation_exists() {
    let command = Cli::command();
    let arguments =
        command.get_arguments().chain(command.get_subcommands().flat_map(clap::Command::get_arguments));
    let mut flags: BTreeSet<String> =
        arguments.filter_map(|a| a.get_long()).map(|l| format!("--{l}")).collect();
    flags.extend(["--help", "--version"].map(str::to_owned));
    for (file, page) in pages() {
        for flag in quoted(&page).into_iter().filter(|text| text.starts_with("--")) {
            let name = flag.split([' ', '=']).next().unwrap_or_default();
            assert!(flags.contains(name), "{file}: there is no {name}");
        }
    }
}

/// As GitHub spells the anchor of a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

#[test]
fn every_link_leads_to_a_page_and_a_heading() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut followed = 0;
    let others =
        ["CHANGELOG.md", "CONTRIBUTING.md", "docs/reference.md"].map(|path| (path.to_owned(), read(path)));
    for (file, page) in pages().into_iter().chain(others) {
        let folder = root.join(&file).parent().expect("a folder").to_owned();
        let targets = page.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.contains("://")) {
            let (path, heading) = target.split_once('#').unwrap_or((target, ""));
            let there = if path.is_empty() { root.join(&file) } else { folder.join(path) };
            assert!(there.exists(), "{file}: {target} is not there");
            followed += 1;
            if heading.is_empty() {
                continue;
            }
            let text = fs::read_to_string(&there).expect("a page");
            let headings = text.lines().filter_map(|line| line.strip_prefix('#'));
            let found = headings.map(|line| anchor(line.trim_start_matches('#'))).any(|a| a == heading);
            assert!(found, "{file}: {target} has no such heading");
        }
    }
    assert!(followed > 60, "only {followed} links were found");
}

#[test]
fn the_marked_commands_of_the_readme_are_the_ones_that_ci_runs() {
    let (readme, ci) = (read("README.md"), read(".ci/run"));
    for name in ["try", "test"] {
        let after = readme.split(&format!("<!-- command: {name} -->\n```sh\n")).nth(1);
        let command = after.and_then(|text| text.split("\n```").next()).unwrap_or_default();
        assert!(command.starts_with("cargo ") && !command.contains('\n'), "{name}: {command}");
        assert!(ci.contains(&format!("readme_command {name}")), "{name} is not run");
    }
}

/// The reading of source above is only as good as this.
#[test]
fn definitions_are_read_whole() {
    let source = "/// x\npub enum On {\n    /// y\n    A { b_c: u64, d: String },\n    Ef,\n}\npub struct G {\n    #[z]\n    pub h_i: u8,\n    #[serde(default)]\n    #[serde(rename = \"j\")]\n    pub k: u8,\n}\n";
    let read: Vec<_> =
        types(source).into_iter().map(|(n, m)| (n, m.into_iter().collect::<Vec<_>>())).collect();
    let owned = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        read,
        [("On".to_owned(), owned(&["A", "Ef", "b_c", "d"])), ("G".to_owned(), owned(&["h_i", "j"]))]
    );
    assert_eq!(
        (camel("HalfDone"), camel("in_ms"), kebab("PodNotReady")),
        ("halfDone".into(), "inMs".into(), "pod-not-ready".into())
    );
}

/// Every `.rs` file below a folder, as one text.
fn sources(folder: &Path) -> String {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let text = |path: &Path| match path.extension() {
        _ if path.is_dir() => sources(path),
        Some(extension) if extension == "rs" => fs::read_to_string(path).expect("a source file"),
        _ => String::new(),
    };
    entries.map(|entry| text(&entry.expect("an entry").path())).collect()
}

#[test]
fn each_promise_names_a_test_that_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = sources(&root.join("tests"));
    let page = read("docs/safety.md");
    let promises = rows(&page).into_iter().filter(|row| row.len() == 2 && row[0] != "promise");
    let mut named = 0;
    for row in promises.filter(|row| !row[1].starts_with("--")) {
        for test in quoted(&row[1]) {
            named += 1;
            match test {
                "Invariants" => assert!(sources.contains("struct Invariants"), "{row:?}"),
                path if path.contains('/') => assert!(root.join(path).exists(), "{path} is not there"),
                name => assert!(sources.contains(&format!("fn {name}(")), "there is no test {name}"),
            }
        }
    }
    assert!(named >= 30, "only {named} tests are named");
}
