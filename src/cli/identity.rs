//! Who runs a command, and the commands that continue what it began.

use std::env;
use std::time::Duration;

use super::args;
use super::cluster_args;
use super::options::{Mode, UpdateOptions};
use super::target::Target;
use super::values::Digests;
use crate::model::{Check, Command, Kind, Method, Methods, Plan, WorkloadPlan, clean};
use crate::operation::Commands;

/// `user@host`.
pub fn who() -> String {
    let user = ["USER", "LOGNAME", "USERNAME"].into_iter().find_map(|name| env::var(name).ok());
    let user = user.filter(|user| !user.is_empty()).unwrap_or_else(|| "unknown".to_owned());
    clean(&format!("{user}@{}", gethostname::gethostname().to_string_lossy()))
}

/// The command that goes on with a run, as the user would type it: what was chosen from a list is named, and what
/// only concerns the screen is left out.
fn resuming(options: &UpdateOptions, plan: &Plan, through: Option<&str>) -> Command {
    let command = Command::new(["kubectl", "dbupdate", plan.kind.singular(), plan.database.name.as_str()]);
    let mut command = command.flag("--to", through.unwrap_or(&plan.to.name));
    if let Some(namespace) = &options.namespace {
        command = command.flag("--namespace", namespace);
    }
    command = command.words(through.map(|_| "--through"));
    if let Some(method) = options.methods.all {
        command = command.flag("--via", &method.to_string());
    }
    for (to, method) in &options.methods.to {
        command = command.flag("--via", &format!("{to}={method}"));
    }
    command = times(options, connection(&options.target, command));
    command.words(options.skip.iter().flat_map(skipped)).words(digests(options).iter().copied())
}

/// The commands that continue a run, and the hops that follow it on the way `through` to a version, by the chosen methods.
pub fn commands(options: &UpdateOptions, plan: &Plan, through: Option<&str>, methods: &Methods) -> Commands {
    let other = |command: &str| {
        let (kind, name) = (plan.kind, &plan.database.name);
        named(command, kind, name, options.namespace.as_deref(), &options.target)
    };
    // Nothing that was allowed once is taken from the journal, so it is allowed again.
    let resume = other("resume").words(through.map(|_| "--through"));
    let resume = resume.words(options.skip.iter().flat_map(skipped)).words(digests(options).iter().copied());
    let back = options.skip.iter().filter(|check| !FORWARD_ONLY.contains(check)).flat_map(skipped);
    let (resume, rollback) = (resume.to_string(), other("rollback").words(back).to_string());
    let status = other("status").to_string();
    // The operator renders the old shape again once nobody holds it back: only the Provisioner's way leads there by us.
    let reshapes = plan.workloads.iter().any(WorkloadPlan::reshapes);
    let method = if reshapes { Method::Provisioner } else { Method::Client };
    let mut alone = Methods { all: Some(method), ..Methods::default() };
    if through.is_some() {
        // The hops that follow keep their methods.
        alone = methods.clone();
        alone.to.insert(plan.to.name.clone(), method);
    }
    let by_us = resuming(&UpdateOptions { methods: alone, ..options.clone() }, plan, through);
    let by_us = by_us.to_string();
    let again = match options.mode {
        Mode::Update => resuming(options, plan, through).to_string(),
        Mode::Resume => resume.clone(),
        Mode::Rollback => rollback.clone(),
    };
    Commands { again, resume, rollback, status, by_us }
}

/// What speaks against going to another version, and never against going back.
const FORWARD_ONLY: [Check; 4] =
    [Check::Downgrade, Check::DeprecatedTarget, Check::CurrentVersionMissing, Check::ImageMissing];

/// The update of one database to that version, on the whole way where it is `through`.
pub fn update(options: &UpdateOptions, kind: Kind, name: &str, to: &str, through: bool) -> Command {
    let update = named("", kind, name, options.namespace.as_deref(), &options.target);
    update.flag("--to", to).words(through.then_some("--through"))
}

/// A command about one database: `kubectl dbupdate resume kafka my-kf`, or the update itself where it is empty, with the flags that lead to the same cluster.
pub fn named(command: &str, kind: Kind, name: &str, namespace: Option<&str>, target: &Target) -> Command {
    let ours = Command::new(["kubectl", "dbupdate"]).words(Some(command).filter(|c| !c.is_empty()));
    let mut ours = ours.words([kind.singular(), name]);
    if let Some(namespace) = namespace {
        ours = ours.flag("--namespace", namespace);
    }
    connection(target, ours)
}

/// `kubectl` with the flags that lead to the same cluster.
pub fn kubectl(target: &Target) -> Command {
    let kubectl = Command::new(["kubectl"]);
    match target {
        Target::Cluster(_) => connection(target, kubectl),
        Target::Sandbox(_) => kubectl,
    }
}

/// The command with the flags that lead to the same cluster.
fn connection(target: &Target, command: Command) -> Command {
    let connection = match target {
        Target::Cluster(connection) => connection,
        Target::Sandbox(_) => return command.word("--sandbox"),
    };
    cluster_args::flags(connection).into_iter().fold(command, |command, (name, value)| match value {
        Some(value) => command.flag(&format!("--{name}"), &value),
        None => command.word(format!("--{name}")),
    })
}

/// The command with the times that are not the default.
fn times(options: &UpdateOptions, command: Command) -> Command {
    [
        ("--pod-timeout", options.pod_timeout, args::POD_TIMEOUT),
        ("--min-ready", options.min_ready, Duration::ZERO),
        ("--pause-timeout", options.pause_timeout, args::PAUSE_TIMEOUT),
    ]
    .into_iter()
    .filter(|(_, time, default)| time != default)
    .fold(command, |command, (name, time, _)| command.flag(name, &typed(time)))
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
    use crate::cli::terminal::Terminal;
    use crate::model::{
        Action, Kind, ObjectRef, PLAN_SCHEMA, ShapeChange, Strategy, VersionRef, WorkloadKind,
    };

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
            ("kf my-kf --digests auto", "kubectl dbupdate kafka my-kf --to 3.6.1"),
            ("kf my-kf --sandbox --sandbox-fail pull", "kubectl dbupdate kafka my-kf --to 3.6.1 --sandbox"),
        ] {
            let cli = args::parse(std::iter::once("x").chain(typed.split(' '))).expect(typed);
            let everything = Terminal { stdin: true, stdout: true, stderr: true, ..Terminal::default() };
            let options = UpdateOptions::new(cli.update, cli.cluster, &everything).expect(typed);
            assert_eq!(resuming(&options, &plan(), None).to_string(), shown, "{typed}");
        }
    }

    /// A version object's name is whatever its maker has typed.
    #[test]
    fn names_from_a_cluster_are_words_and_no_more() {
        let cli = args::parse(["x", "kf", "my-kf"]).expect("it is right");
        let everything = Terminal { stdin: true, stdout: true, stderr: true, ..Terminal::default() };
        let mut options = UpdateOptions::new(cli.update, cli.cluster, &everything).expect("it is right");
        options.namespace = Some("a b".to_owned());
        let mut plan = plan();
        (plan.to.name, plan.database.name) = ("3.9.1; touch x #".to_owned(), "$(reboot)".to_owned());
        let commands = commands(&options, &plan, None, &Methods::default());
        for (command, shown) in [
            (commands.again, "kubectl dbupdate kafka '$(reboot)' --to '3.9.1; touch x #' --namespace 'a b'"),
            (commands.resume, "kubectl dbupdate resume kafka '$(reboot)' --namespace 'a b'"),
            (commands.rollback, "kubectl dbupdate rollback kafka '$(reboot)' --namespace 'a b'"),
            (commands.status, "kubectl dbupdate status kafka '$(reboot)' --namespace 'a b'"),
        ] {
            assert_eq!(command, shown);
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
            let commands = commands(&options, &plan(), None, &Methods::default());
            assert_eq!(commands.resume, resume);
            assert_eq!(commands.rollback, "kubectl dbupdate rollback kafka my-kf", "it asks nobody");
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
            let commands = commands(&options, &plan(), through, &Methods::default());
            assert_eq!(commands.resume, format!("kubectl dbupdate resume kafka my-kf{resume}"));
            assert_eq!(commands.rollback, format!("kubectl dbupdate rollback kafka my-kf{rollback}"));
            let typed_again = parsed(commands.resume.trim_start_matches("kubectl "));
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
            assert_eq!(commands(&options, &plan(), through, &methods).by_us, expected);
        }
    }

    /// If the Ops-manager fails on a hop that adds or removes containers, only the operator can render the new templates.
    #[test]
    fn this_tool_goes_on_by_a_way_that_is_open() {
        let cli = args::parse(["x", "kf", "my-kf", "--via", "ops-manager"]).expect("it is right");
        let everything = Terminal { stdin: true, stdout: true, stderr: true, ..Terminal::default() };
        let options = UpdateOptions::new(cli.update, cli.cluster, &everything).expect("it is right");
        let mut plan = plan();
        let by_us = |plan: &Plan| commands(&options, plan, None, &Methods::default()).by_us;
        assert_eq!(by_us(&plan), "kubectl dbupdate kafka my-kf --to 3.6.1 --via client");
        let (container, image) = ("kafka-init".to_owned(), "kafka-init:4.0".to_owned());
        let added = vec![ShapeChange { container, init: true, image }];
        plan.workloads.push(WorkloadPlan {
            kind: WorkloadKind::PetSet,
            object: plan.database.clone(),
            role: String::new(),
            strategy: Strategy::OpsManager,
            replicas: 3,
            min_ready_seconds: 0,
            images: Vec::new(),
            kept: Vec::new(),
            added,
            removed: Vec::new(),
            pods: Vec::new(),
        });
        assert_eq!(by_us(&plan), "kubectl dbupdate kafka my-kf --to 3.6.1 --via provisioner");
    }

    fn plan() -> Plan {
        let version = |name: &str| VersionRef { name: name.to_owned(), version: name.to_owned() };
        Plan {
            schema: PLAN_SCHEMA.to_owned(),
            kind: Kind::Kafka,
            database: ObjectRef {
                api_version: "kubedb.com/v1".to_owned(),
                kind: "Kafka".to_owned(),
                plural: "kafkas".to_owned(),
                namespace: "db".to_owned(),
                name: "my-kf".to_owned(),
                uid: String::new(),
            },
            from: version("3.5.2"),
            to: version("3.6.1"),
            action: Action::Update,
            method: Method::Client,
            ops_request: None,
            workloads: Vec::new(),
            findings: Vec::new(),
            missing: Vec::new(),
            path: Vec::new(),
            afterwards: Vec::new(),
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
