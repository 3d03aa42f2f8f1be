//! `docs/reference.md` is what `--help` says: `REFERENCE=write cargo test --test reference` writes it anew.

use std::fs;
use std::path::Path;

use kubectl_dbupdate::cli::args;

const HEAD: &str = "\
# Reference

What `--help` says, written by `REFERENCE=write cargo test --test reference`. The same as manual pages:
`kubectl dbupdate man | man -l -`, and `kubectl dbupdate man resume | man -l -`. What the commands print is in
[output](output.md), how they end in [exit codes](exit-codes.md).

The flags under Cluster and Sandbox are taken by every command that looks at a cluster; they are listed once.
";

/// The plugin's help, and that of each of its commands.
fn reference() -> String {
    let mut definition = args::definition().term_width(110);
    let mut page = format!("{HEAD}\n## kubectl dbupdate\n\n{}", block(&mut definition));
    for command in definition.get_subcommands().filter(|command| !command.is_hide_set()) {
        // They take the same flags of the cluster, which stand above.
        let above = |arg: clap::Arg| if arg.is_global_set() { arg.hide(true) } else { arg };
        let mut command = command.clone().mut_args(above).term_width(110);
        let name = command.get_name().to_owned();
        page.push_str(&format!("\n## {name}\n\n{}", block(&mut command)));
    }
    page
}

fn block(command: &mut clap::Command) -> String {
    let help = command.render_long_help().to_string();
    let lines = help.trim_end().lines().map(str::trim_end);
    format!("```text\n{}\n```\n", lines.collect::<Vec<_>>().join("\n"))
}

#[test]
fn the_reference_is_what_help_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference.md");
    let reference = reference();
    if std::env::var_os("REFERENCE").is_some() {
        fs::write(&path, &reference).expect("it can be written");
    }
    let written = fs::read_to_string(&path).expect("docs/reference.md is there");
    assert!(
        written == reference,
        "docs/reference.md is out of step: REFERENCE=write cargo test --test reference"
    );
}
