//! Who runs a command, and the commands that continue what it started.

use std::env;
use std::time::Duration;

use super::cluster_args;
use super::options::{Mode, UpdateOptions};
use super::run_args;
use super::target::Target;
use super::values::Digests;
use crate::model::{Check, Command, HealthMode, Kind, Methods, clean};
use crate::situation::{Commands, Typed};

/// `user@host`.
pub fn who() -> String {
    let user = ["USER", "LOGNAME", "USERNAME"].into_iter().find_map(|name| env::var(name).ok());
    let user = user.filter(|user| !user.is_empty()).unwrap_or_else(|| "unknown".to_owned());
    clean(&format!("{user}@{}", gethostname::gethostname().to_string_lossy()))
}

/// The commands that continue a run and the hops after it: `through` is the version that they lead to, with the chosen
/// methods.
pub fn commands(options: &UpdateOptions, through: Option<&str>, methods: &Methods) -> Commands {
    let skipped = |kept: fn(&&Check) -> bool| {
        let words = options.skip.iter().filter(kept).flat_map(skipped);
        Command::new(words)
    };
    Commands {
        typed: match options.mode {
            Mode::Update => Typed::Update,
            Mode::Resume => Typed::Resume,
            Mode::Rollback => Typed::Rollback,
            Mode::Finish { undo } => Typed::Finish { undo },
        },
        through: through.map(str::to_owned),
        methods: methods.clone(),
        finish: finish(options),
        times: times(options).words(options.pre_pull.then_some("--pre-pull")).words(care(options)),
        allowed: skipped(|_| true).words(digests(options).iter().copied()),
        allowed_back: skipped(|check| !FORWARD_ONLY.contains(check)),
        ..reach(&options.target, options.namespace.as_deref())
    }
}

/// The update of one database to that version, including the versions in between if `through` is set.
pub fn update(options: &UpdateOptions, kind: Kind, name: &str, to: &str, through: bool) -> Command {
    reach(&options.target, options.namespace.as_deref()).update(kind, name, to, through)
}

/// That command of this tool for one database.
pub fn named(options: &UpdateOptions, command: &str, kind: Kind, name: &str) -> Command {
    reach(&options.target, options.namespace.as_deref()).named(command, kind, name)
}

/// The commands of a user who has connected with these flags and has overridden nothing.
pub fn reach(target: &Target, namespace: Option<&str>) -> Commands {
    let (connection, kubectl) = match target {
        Target::Cluster(connection) => {
            let flags = cluster_args::flags(connection).into_iter();
            let flags = flags.fold(Command::default(), |command, (name, value)| match value {
                Some(value) => command.flag(&format!("--{name}"), &value),
                None => command.word(format!("--{name}")),
            });
            (flags.clone(), flags)
        }
        Target::Sandbox(_) => (Command::new(["--sandbox"]), Command::default()),
    };
    Commands { namespace: namespace.map(str::to_owned), connection, kubectl, ..Commands::default() }
}

/// The overrides that matter for an update to another version, and never for a rollback.
const FORWARD_ONLY: [Check; 5] = [
    Check::Downgrade,
    Check::DowngradeUnchecked,
    Check::DeprecatedTarget,
    Check::CurrentVersionMissing,
    Check::ImageMissing,
];

/// The timeouts that are not the default.
fn times(options: &UpdateOptions) -> Command {
    [
        (step_timeout(options), options.pod_timeout, run_args::POD_TIMEOUT),
        ("--min-ready", options.min_ready, Duration::ZERO),
        ("--pause-timeout", options.pause_timeout, run_args::PAUSE_TIMEOUT),
        ("--wait-ready", options.wait_ready, run_args::WAIT_READY),
        ("--drain-timeout", options.drain, run_args::DRAIN_TIMEOUT),
    ]
    .into_iter()
    // No drain at all has a flag of its own.
    .filter(|(name, time, default)| time != default && (*name != "--drain-timeout" || !time.is_zero()))
    .fold(Command::default(), |command, (name, time, _)| command.flag(name, &typed(time)))
}

/// The flag of the time for a pod, or for a step of a finish.
fn step_timeout(options: &UpdateOptions) -> &'static str {
    if matches!(options.mode, Mode::Finish { .. }) { "--step-timeout" } else { "--pod-timeout" }
}

/// The finish that follows, if it was chosen.
fn finish(options: &UpdateOptions) -> Command {
    match options.finish {
        None => Command::default(),
        Some(Duration::ZERO) => Command::new(["--finish"]),
        Some(soak) => Command::new(["--finish"]).flag("--soak", &typed(soak)),
    }
}

/// How far the database itself is asked and spared, if not as usual.
fn care(options: &UpdateOptions) -> Vec<&'static str> {
    let health = match options.health {
        HealthMode::Auto => &[][..],
        HealthMode::Require => &["--health", "require"],
        HealthMode::Off => &["--health", "off"],
    };
    health.iter().copied().chain(options.drain.is_zero().then_some("--no-drain")).collect()
}

fn digests(options: &UpdateOptions) -> &'static [&'static str] {
    if options.digests == Digests::KeepTags { &["--digests", "keep-tags"] } else { &[] }
}

/// A duration in the form that [`super::duration::parse`] reads.
fn typed(time: Duration) -> String {
    match time.subsec_millis() {
        0 => format!("{}s", time.as_secs()),
        _ => format!("{}ms", time.as_millis()),
    }
}

fn skipped(check: &Check) -> Vec<String> {
    let flag = crate::report::words::flag(*check).unwrap_or_else(|| format!("--skip-check {check}"));
    flag.split(' ').map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::cli::args;
    use crate::cli::terminal::Terminal;
    use crate::model::{Kind, Method, ObjectRef};
    use crate::situation::Next;

    #[test]
    fn the_command_says_what_was_chosen_and_not_how_it_was_shown() {
        for (typed, shown) in [
            ("kafka", "kubectl dbupdate kafka my-kf --to 3.6.1"),
            (
                "kf/my-kf --to latest --yes -o json --timeout 1h --pod-timeout 20m",
                "kubectl dbupdate kafka my-kf --to 3.6.1",
            ),
            (
                "kf my-kf -n db --context a(b) -s https://h:6443 --kubeconfig /k",
                "kubectl dbupdate kafka my-kf --to 3.6.1 --namespace db --kubeconfig /k --context 'a(b)' \
                 --server https://h:6443",
            ),
            (
                "kf my-kf --min-ready 5 --pod-timeout 90s --allow-downgrade --skip-check drift",
                "kubectl dbupdate kafka my-kf --to 3.6.1 --pod-timeout 90s --min-ready 5s --allow-downgrade \
                 --skip-check drift",
            ),
            (
                "kf my-kf --token secret --as eve --as-group a --as-group b --insecure-skip-tls-verify -v 6",
                "kubectl dbupdate kafka my-kf --to 3.6.1 --token TOKEN --as eve --as-group a --as-group b \
                 --insecure-skip-tls-verify",
            ),
            (
                "kf my-kf --digests keep-tags --dry-run",
                "kubectl dbupdate kafka my-kf --to 3.6.1 --digests keep-tags",
            ),
            (
                "kf my-kf --health require --no-drain",
                "kubectl dbupdate kafka my-kf --to 3.6.1 --health require --no-drain",
            ),
            (
                "kf my-kf --health off --drain-timeout 1h",
                "kubectl dbupdate kafka my-kf --to 3.6.1 --drain-timeout 3600s --health off",
            ),
            ("kf my-kf --digests auto", "kubectl dbupdate kafka my-kf --to 3.6.1"),
            ("kf my-kf --sandbox --sandbox-fail pull", "kubectl dbupdate kafka my-kf --to 3.6.1 --sandbox"),
        ] {
            let cli = args::parse(std::iter::once("x").chain(typed.split(' '))).expect(typed);
            let everything = Terminal { stdin: true, stdout: true, stderr: true, ..Terminal::default() };
            let options = UpdateOptions::new(cli.update, cli.cluster, &everything).expect(typed);
            let commands = commands(&options, None, &options.methods);
            assert_eq!(text(&commands, &Next::Again("3.6.1".to_owned())), shown, "{typed}");
        }
    }

    /// A version object's name is whatever its maker has typed.
    #[test]
    fn names_from_a_cluster_are_words_and_no_more() {
        let cli = args::parse(["x", "kf", "my-kf"]).expect("it is right");
        let everything = Terminal { stdin: true, stdout: true, stderr: true, ..Terminal::default() };
        let mut options = UpdateOptions::new(cli.update, cli.cluster, &everything).expect("it is right");
        options.namespace = Some("a b".to_owned());
        let database = ObjectRef { name: "$(reboot)".to_owned(), ..database() };
        let commands = commands(&options, None, &Methods::default());
        for (next, shown) in [
            (
                Next::Again("3.9.1; touch x #".to_owned()),
                "kubectl dbupdate kafka '$(reboot)' --to '3.9.1; touch x #' --namespace 'a b'",
            ),
            (Next::Resume, "kubectl dbupdate resume kafka '$(reboot)' --namespace 'a b'"),
            (Next::Rollback, "kubectl dbupdate rollback kafka '$(reboot)' --namespace 'a b'"),
            (Next::Status, "kubectl dbupdate status kafka '$(reboot)' --namespace 'a b'"),
            (Next::Follow, "kubectl dbupdate status kafka '$(reboot)' --namespace 'a b' -w"),
        ] {
            assert_eq!(commands.command(&next, Kind::Kafka, &database).to_string(), shown);
        }
    }

    #[test]
    fn a_registry_that_was_not_asked_is_not_asked_later() {
        for (typed, resume) in [
            ("kf my-kf --digests keep-tags", "kubectl dbupdate resume kafka my-kf --digests keep-tags"),
            ("kf my-kf", "kubectl dbupdate resume kafka my-kf"),
        ] {
            let cli = args::parse(std::iter::once("x").chain(typed.split(' '))).expect(typed);
            let everything = Terminal { stdin: true, stdout: true, stderr: true, ..Terminal::default() };
            let options = UpdateOptions::new(cli.update, cli.cluster, &everything).expect(typed);
            let commands = commands(&options, None, &Methods::default());
            assert_eq!(text(&commands, &Next::Resume), resume);
            let back = text(&commands, &Next::Rollback);
            assert_eq!(back, "kubectl dbupdate rollback kafka my-kf", "it asks nobody");
        }
    }

    /// Nothing is taken from the journal that lowers a guard, so the commands that go on hold it themselves.
    #[test]
    fn what_was_allowed_is_allowed_again_by_what_goes_on() {
        for (typed, through, resume, rollback) in [
            (
                "kf my-kf --allow-downgrade --skip-check drift",
                None,
                " --allow-downgrade --skip-check drift",
                " --skip-check drift",
            ),
            ("kf my-kf --allow-deprecated --through", Some("4.2.0"), " --through --allow-deprecated", ""),
        ] {
            let everything = Terminal { stdin: true, stdout: true, stderr: true, ..Terminal::default() };
            let parsed = |line: &str| args::parse(line.split(' ')).expect("it is right");
            let cli = parsed(&format!("x {typed}"));
            let options = UpdateOptions::new(cli.update, cli.cluster, &everything).expect(typed);
            let commands = commands(&options, through, &Methods::default());
            let resumed = text(&commands, &Next::Resume);
            assert_eq!(resumed, format!("kubectl dbupdate resume kafka my-kf{resume}"));
            let back = text(&commands, &Next::Rollback);
            assert_eq!(back, format!("kubectl dbupdate rollback kafka my-kf{rollback}"));
            let typed_again = parsed(resumed.trim_start_matches("kubectl "));
            let Some(args::Command::Resume(again)) = typed_again.command else { panic!("it is a resume") };
            let again = UpdateOptions::resume(again, typed_again.cluster, &everything).expect("it is right");
            assert_eq!((again.skip, again.through), (options.skip, through.is_some()));
        }
    }

    #[test]
    fn only_the_update_that_has_failed_is_done_by_this_tool_alone() {
        let (typed, all) = ("kf my-kf --to 4.2.0 --through --via ops-manager", Some(Method::OpsManager));
        let cli = args::parse(std::iter::once("x").chain(typed.split(' '))).expect(typed);
        let everything = Terminal { stdin: true, stdout: true, stderr: true, ..Terminal::default() };
        let options = UpdateOptions::new(cli.update, cli.cluster, &everything).expect(typed);
        let to = [("4.0.0".to_owned(), Method::Provisioner)].into();
        for (through, expected) in [
            (None, "kubectl dbupdate kafka my-kf --to 3.6.1 --via client"),
            (
                Some("4.2.0"),
                "kubectl dbupdate kafka my-kf --to 4.2.0 --through --via ops-manager --via 3.6.1=client --via \
                 4.0.0=provisioner",
            ),
        ] {
            let methods = Methods { all, to: BTreeMap::clone(&to) };
            let commands = commands(&options, through, &methods);
            assert_eq!(text(&commands, &Next::Method("3.6.1".to_owned(), Method::Client)), expected);
        }
    }

    fn text(commands: &Commands, next: &Next) -> String {
        commands.command(next, Kind::Kafka, &database()).to_string()
    }

    fn database() -> ObjectRef {
        ObjectRef {
            api_version: "kubedb.com/v1".to_owned(),
            kind: "Kafka".to_owned(),
            plural: "kafkas".to_owned(),
            namespace: "db".to_owned(),
            name: "my-kf".to_owned(),
            uid: String::new(),
        }
    }

    #[test]
    fn times_are_read_back_as_they_were() {
        for millis in [0, 250, 1000, 90_000, 90_500] {
            let time = Duration::from_millis(millis);
            assert_eq!(crate::cli::duration::parse(&typed(time)), Ok(time));
        }
    }
}
