//! Which methods are possible: patching images is not enough for an update that adds or removes containers, the
//! operator's rendering must not restart any pod, and an Ops-manager must be installed.

use std::collections::BTreeMap;

use crate::model::{
    Check, Command, Finding, Lookup, Method, Permission, Severity, ShapeChange, Strategy, Workload,
    WorkloadPlan,
};

use super::context::Context;
use super::templates;
use super::workload::Changes;
use crate::steps::s1_pause;

/// The failed checks of the chosen method, and which methods are possible.
pub(super) fn findings(context: &Context<'_>, found: &mut Vec<Finding>) {
    for workload in &context.snapshot.workloads {
        if context.facts().shape(workload).is_none() {
            unknown_shape(context, workload, found);
        }
    }
    shape_change(context, found);
    match context.method {
        Method::Client => {}
        Method::Provisioner => found.extend(rolls_by_itself(context).map(|workload| {
            context.refusal(
                Check::Via,
                format!(
                    "--via provisioner is not possible: {workload} has update strategy RollingUpdate, so its controller \
                     would restart pods as soon as the operator renders its pod template, without any checks between them"
                ),
                "use another method, or set its spec.updateStrategy.type to OnDelete first",
            )
        })),
        Method::OpsManager => {
            found.extend(no_ops_manager(context).map(|why| {
                context.refusal(
                    Check::Via,
                    format!("--via ops-manager is not possible: {why}"),
                    "use another method",
                )
            }));
            found.extend(request_that_has_failed(context));
            found.extend(begun_otherwise(context));
        }
    }
    if !context.on_target_version() {
        found.push(Finding::note(Check::Via, Severity::Info, methods(context)));
    }
}

/// The checks of a rollback with the method provisioner.
pub(super) fn findings_of_a_rollback(
    context: &Context<'_>,
    planned: &[WorkloadPlan],
    found: &mut Vec<Finding>,
) {
    let rendered = |w: &&WorkloadPlan| {
        context.method == Method::Provisioner
            && !w.kind.serves_only()
            && w.strategy == Strategy::Follow
            && (w.reshapes() || !w.images.is_empty())
    };
    found.extend(planned.iter().filter(rendered).map(|workload| {
        context.refusal(
            Check::Via,
            format!(
                "{} now has update strategy RollingUpdate: its controller would restart pods as soon as the operator \
                 renders the old pod template, without any checks between them",
                workload.object
            ),
            "set its spec.updateStrategy.type to OnDelete first",
        )
    }));
}

/// The ops request of the resumed run has failed: the Ops-manager will not continue it.
fn request_that_has_failed(context: &Context<'_>) -> Option<Finding> {
    let request = context.snapshot.ops_request(context.ops_request?)?;
    if !request.ended() || request.phase == "Successful" {
        return None;
    }
    let why = request.why();
    let why = if why.is_empty() { why } else { format!(": {why}") };
    let (name, namespace) = (&request.name, &context.snapshot.database.object.namespace);
    let method = if reshaped(context).is_some() { Method::Provisioner } else { Method::Client };
    Some(context.refusal(
        Check::Via,
        format!("ops request {name} ended: {}{why}", request.phase),
        format!(
            "continue without it: the same update with --via {method}; or roll back; or delete the request, and resume will \
             recreate it: {}",
            Command::kubectl(["delete", context.facts().ops_plural, name]).in_namespace(namespace)
        ),
    ))
}

/// An ops request that fails removes any pause: the operator would then reconcile a database that this tool has left
/// half updated, and restore the old pod templates.
fn begun_otherwise(context: &Context<'_>) -> Option<Finding> {
    let paused = s1_pause::ours(&context.snapshot.database).is_some();
    (paused || context.resuming && context.ops_request.is_none()).then(|| {
        context.refusal(
            Check::Via,
            "--via ops-manager cannot continue an update that this tool has started by another method: if its request fails, \
             nothing stops the operator from restoring old pod templates"
                .to_owned(),
            "resume it or roll it back: use the resume or rollback command",
        )
    })
}

/// `methods: client, provisioner; not ops-manager: the cluster has no kafkaopsrequests.ops.kubedb.com`.
fn methods(context: &Context<'_>) -> String {
    let against = |method| match method {
        Method::Client => reshaped(context),
        Method::Provisioner => {
            rolls_by_itself(context).next().map(|w| format!("{w} has update strategy RollingUpdate"))
        }
        Method::OpsManager => no_ops_manager(context),
    };
    let (mut open, mut closed) = (Vec::new(), String::new());
    for method in Method::ALL {
        match against(method) {
            None => open.push(method.to_string()),
            Some(why) => closed += &format!("; not {method}: {why}"),
        }
    }
    let open = if open.is_empty() { "none".to_owned() } else { open.join(", ") };
    format!("methods: {open}{closed}")
}

/// Why patching images is not enough.
fn reshaped(context: &Context<'_>) -> Option<String> {
    context.snapshot.workloads.iter().find_map(|workload| {
        let Changes { added, removed, .. } = templates::changes(context, workload);
        let name = |c: &ShapeChange| c.container.clone();
        let added = added.first().map(|c| format!("{} lacks container {}", workload.object, name(c)));
        added.or_else(|| {
            removed
                .first()
                .map(|c| format!("{} has container {}, which must be removed", workload.object, name(c)))
        })
    })
}

/// The workloads whose controllers restart pods when their template changes. A Deployment's pods do not count: they
/// serve the database and are no part of it.
fn rolls_by_itself(context: &Context<'_>) -> impl Iterator<Item = String> {
    context.snapshot.members().filter(|w| w.rolls_by_itself()).map(|w| w.object.to_string())
}

fn no_ops_manager(context: &Context<'_>) -> Option<String> {
    let plural = context.facts().ops_plural;
    match &context.snapshot.ops_requests {
        Lookup::Absent => Some(format!("the cluster has no {plural}.ops.kubedb.com")),
        Lookup::Unreadable(_) => Some(format!("{plural}.ops.kubedb.com cannot be read")),
        Lookup::Found(_) => {
            let denied = |p: &&Permission| p.resource == plural && p.verb == "create";
            let denied = context.snapshot.environment.denied().iter().find(denied);
            denied.map(|permission| format!("you cannot {permission}"))
        }
    }
}

fn unknown_shape(context: &Context<'_>, workload: &Workload, found: &mut Vec<Finding>) {
    let anchors: Vec<_> = context.facts().shapes.iter().map(|s| s.anchor).collect();
    let message = format!(
        "{} has none of the containers that the catalog names ({})",
        workload.object,
        anchors.join(", ")
    );
    found.push(if workload.kind.serves_only() {
        Finding::note(Check::Sidecar, Severity::Info, message + ": left unchanged")
    } else {
        context.refusal(Check::ShapeChange, message, SHAPE_HINT)
    });
}

const SHAPE_HINT: &str =
    "patching images is not enough for this update: the operator has to render the new pod templates";

const PROVISIONER_HINT: &str = "patching images is not enough for this update. With --via provisioner, spec.version is \
     set first and the operator renders the new pod templates, which does not restart any pod; then the operator is \
     paused and the pods are restarted as usual";

/// Patching images cannot add or remove a container; rendering the templates can. One finding for each container,
/// however many workloads it concerns.
fn shape_change(context: &Context<'_>, found: &mut Vec<Finding>) {
    let target = &context.target.name;
    let mut comes: BTreeMap<(&str, String), Vec<String>> = BTreeMap::new();
    let mut goes = comes.clone();
    for workload in &context.snapshot.workloads {
        let Changes { added, removed, .. } = templates::changes(context, workload);
        for (changes, all) in [(added, &mut comes), (removed, &mut goes)] {
            for c in changes {
                let kind = if c.init { "init container" } else { "container" };
                all.entry((kind, c.container)).or_default().push(workload.object.to_string());
            }
        }
    }
    let comes = comes.into_iter().map(|((kind, container), workloads)| {
        format!("{target} needs {kind} {container}, which is missing from {}", workloads.join(", "))
    });
    let goes = goes.into_iter().map(|((kind, container), workloads)| {
        format!("{target} has no image for {kind} {container} of {}", workloads.join(", "))
    });
    found.extend(comes.chain(goes).map(|message| match context.method {
        Method::Client => context.refusal(Check::ShapeChange, message, PROVISIONER_HINT),
        Method::Provisioner => {
            Finding::note(Check::ShapeChange, Severity::Info, message + ": the operator renders it")
        }
        Method::OpsManager => {
            Finding::note(Check::ShapeChange, Severity::Info, message + ": the Ops-manager renders it")
        }
    }));
}
