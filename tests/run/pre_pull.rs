//! `--pre-pull`: the images are on the nodes before anything is changed, and none of our own pods remains.

use std::collections::BTreeMap;

use kubectl_dbupdate::event::{Event, Outcome, Step};
use kubectl_dbupdate::model::{Action, Check, Lookup, Method, PRE_PULL_LABEL, Permission};
use kubectl_dbupdate::operation::{Notice, Operation, Request, Stop, Told, Wish};
use kubectl_dbupdate::plan::update;
use kubectl_dbupdate::situation::{self, Commands, Seen};
use serde_json::{Value, json};
use simcluster::world::{Database, NODES};
use simcluster::{Ailment, ApiError, Behaviour, Effect, Fault, PodRule, RecordedRequest, object};

use tokio::sync::{mpsc, watch};

use crate::common::{BUDGETS, Ended, NAMESPACE, Running, WORKLOADS, World, overview, secs, text};

/// A cluster whose nodes take a minute to download an image.
fn far_registry(database: Database) -> World {
    pre_pulling(Behaviour { download: secs(60), ..Behaviour::default() }, database)
}

fn pre_pulling(behaviour: Behaviour, database: Database) -> World {
    let mut world = World::behaving(behaviour, database);
    world.pre_pull = true;
    world
}

/// The run has created so many pods, and none of them is left.
fn created_and_removed(world: &World, pods: usize) {
    let created = created(world);
    assert_eq!(created.len(), pods, "{created:#?}");
    assert_eq!(world.pull_pods().len(), 0, "a pod is left");
}

/// The pods that were admitted, as they were sent.
fn created(world: &World) -> Vec<Value> {
    let requests = world.sim.requests();
    requests.iter().filter(|r| creates(r) && r.status == Some(201)).map(|r| r.body.clone()).collect()
}

fn creates(request: &RecordedRequest) -> bool {
    request.method == "POST" && request.path.ends_with("/pods")
}

/// Nothing of the database was changed, and nothing of ours is left.
fn untouched(world: &World) {
    assert_eq!(world.sent(), Vec::<String>::new());
    assert_eq!(world.pull_pods().len(), 0, "a pod is left");
    world.no_lease();
}

fn notices(ended: &Ended) -> Vec<&str> {
    fn notice(event: &Event) -> Option<&str> {
        match event {
            Event::Notice { message } => Some(message),
            _ => None,
        }
    }
    ended.events().filter_map(notice).collect()
}

#[tokio::test(start_paused = true)]
async fn no_pod_is_away_while_its_node_downloads() {
    let mut away = BTreeMap::new();
    for pre_pull in [false, true] {
        let mut world = far_registry(Database::zookeeper("db"));
        world.pre_pull = pre_pull;
        let ended = world.update().await;
        ended.done();
        world.is_updated();
        away.insert(pre_pull, ended.finish.longest_away_ms);
        created_and_removed(&world, if pre_pull { 3 } else { 0 });
    }
    assert!(away[&false] > 60_000 && away[&true] < 3_000, "{away:?}");
}

#[tokio::test(start_paused = true)]
async fn the_images_come_first_whoever_restarts_the_pods() {
    for method in Method::ALL {
        let mut world = far_registry(Database::kafka_topology("db"));
        world.sim.behaviour().change(|behaviour| behaviour.ops_manager.alive = true);
        world.method = method;
        let ended = world.update().await;
        ended.done();
        assert!(ended.finish.longest_away_ms < 10_000, "{method}: {}", ended.finish.longest_away_ms);
        created_and_removed(&world, 3);
        let steps = ended.events().filter_map(|e| match e {
            Event::StepStarted { step } => Some(*step),
            _ => None,
        });
        assert_eq!(steps.take(2).collect::<Vec<_>>(), [Step::Lock, Step::PrePull], "{method}");
        // The last of them is gone before the first change.
        let requests = world.sim.requests();
        let last = requests.iter().rposition(|r| r.path.contains("/pods/dbupdate-pull-"));
        let changes = |r: &RecordedRequest| kubectl_changes(&world, r);
        let first = requests.iter().position(changes);
        assert!(last < first, "{method}: {last:?} {first:?}");
    }
}

/// It changes the database, or asks the Ops-manager to.
fn kubectl_changes(world: &World, request: &RecordedRequest) -> bool {
    crate::common::changes::sent(request).is_some()
        && request.client.starts_with("client")
        && request.path.contains(world.kind.plural().trim_end_matches('s'))
}

#[tokio::test(start_paused = true)]
async fn each_node_downloads_each_image_in_a_line_of_its_own() {
    let world = far_registry(Database::kafka_topology("db").version("3.9.0")).rendered_to("4.0.0");
    let ended = world.update().await;
    ended.done();
    let pulled = |e: &Event| match e {
        Event::ImagePulled { node, image, took_ms } if *took_ms >= 60_000 => {
            Some((node.clone(), image.clone()))
        }
        _ => None,
    };
    let pulled: Vec<_> = ended.events().filter_map(pulled).collect();
    // The main image, and that of the init container which the target adds.
    assert_eq!(pulled.len(), 6, "{pulled:#?}");
    created_and_removed(&world, 6);
    for node in NODES {
        let images: Vec<_> = pulled.iter().filter(|(on, _)| on == node).map(|(_, image)| image).collect();
        assert!(images.iter().any(|image| image.contains("kafka-init")), "{images:?}");
    }
    // One after the other on each node, and the nodes at the same time.
    let took = ended.at("pulled", |e| *e == Event::StepStarted { step: Step::Render });
    assert!(took > secs(120) && took < secs(130), "{took:?}");
}

/// As admission demands it, and so that nothing of the database takes it for one of its pods.
#[tokio::test(start_paused = true)]
async fn the_pods_are_restricted_and_belong_to_nothing_that_selects() {
    let secrets = |set: &mut Value| {
        let spec = &mut set["spec"]["template"]["spec"];
        spec["imagePullSecrets"] = json!([{ "name": "registry" }]);
        spec["serviceAccountName"] = json!("db");
        spec["tolerations"] = json!([{ "key": "databases", "operator": "Exists" }]);
    };
    let world = far_registry(Database::kafka_topology("db").adjust_workload(secrets));
    world.update().await.done();
    let uid = object::uid(&world.database()).to_owned();
    let pods = created(&world);
    assert_eq!(pods.len(), 3);
    for pod in &pods {
        let (spec, container) = (&pod["spec"], &pod["spec"]["containers"][0]);
        assert_eq!(spec["securityContext"]["runAsNonRoot"], true);
        assert_eq!(spec["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
        assert_eq!(container["securityContext"]["allowPrivilegeEscalation"], false);
        assert_eq!(container["securityContext"]["capabilities"]["drop"], json!(["ALL"]));
        assert_eq!(spec["automountServiceAccountToken"], false);
        assert_eq!(spec["imagePullSecrets"], json!([{ "name": "registry" }]));
        assert_eq!(spec["serviceAccountName"], "db");
        assert_eq!(spec["tolerations"], json!([{ "key": "databases", "operator": "Exists" }]));
        assert_eq!(
            (&spec["restartPolicy"], &spec["terminationGracePeriodSeconds"]),
            (&json!("Never"), &json!(0))
        );
        for (kind, of) in
            [("requests", "cpu"), ("requests", "memory"), ("limits", "cpu"), ("limits", "memory")]
        {
            assert!(container["resources"][kind][of].is_string(), "{kind} {of}");
        }
        let owner = &pod["metadata"]["ownerReferences"][0];
        assert_eq!((text(owner, "/uid"), owner.get("controller")), (uid.as_str(), None));
        assert_eq!(pod["metadata"]["labels"][PRE_PULL_LABEL], uid);
        let labels = &pod["metadata"]["labels"];
        let selects = |selector: &Value| {
            let wanted = selector.as_object().filter(|wanted| !wanted.is_empty());
            wanted.is_some_and(|wanted| wanted.iter().all(|(key, value)| labels.get(key) == Some(value)))
        };
        for res in WORKLOADS.into_iter().chain([BUDGETS]) {
            for selecting in world.store().list(res, Some(NAMESPACE)) {
                let selector = &selecting["spec"]["selector"]["matchLabels"];
                assert!(selector.is_object() && !selects(selector), "{res}: {selector}");
            }
        }
        // By these, this tool and KubeDB's Services find the pods of a database.
        assert!(labels.get("app.kubernetes.io/instance").is_none());
        assert!(labels.get("app.kubernetes.io/managed-by").is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_node_has_already_is_not_brought() {
    let world = far_registry(Database::zookeeper("db"));
    let mut snapshot = world.snapshot(&world.cluster()).await;
    let plan = update::plan(&snapshot, &world.request()).expect("the target is in the catalog");
    let all = plan.pre_pull.expect("it is asked for");
    assert_eq!((all.pulls.len(), all.present.len()), (3, 0), "{all:?}");
    let image = all.pulls[0].image.clone();
    let images = [
        (NODES[0], Lookup::Found(vec!["other@sha256:ab".to_owned(), image.clone()])),
        (NODES[1], Lookup::Found(vec!["other@sha256:ab".to_owned()])),
        (NODES[2], Lookup::Unreadable("no".to_owned())),
    ];
    snapshot.environment.nodes = images.map(|(node, images)| (node.to_owned(), images)).into();
    let plan = update::plan(&snapshot, &world.request()).expect("the target is in the catalog");
    let rest = plan.pre_pull.clone().expect("it is asked for");
    let nodes = |pulls: &[kubectl_dbupdate::model::Pull]| -> Vec<String> {
        pulls.iter().map(|pull| pull.node.clone()).collect()
    };
    assert_eq!(
        (nodes(&rest.pulls), nodes(&rest.present)),
        (vec![NODES[1].into(), NODES[2].into()], vec![NODES[0].into()])
    );
    let ended = Running::start(world.cluster(), snapshot, plan, world.options("run1")).end().await;
    ended.done();
    created_and_removed(&world, 2);
    let note = |e: &Event| matches!(e, Event::StepFinished { step: Step::PrePull, note, .. } if note == "1 already there");
    assert!(ended.has(note));
}

/// Who does not ask for it is told that it would help, where that is known.
#[tokio::test(start_paused = true)]
async fn the_plan_suggests_it_where_an_image_is_not_known_to_be() {
    let mut world = far_registry(Database::zookeeper("db"));
    world.pre_pull = false;
    let mut snapshot = world.snapshot(&world.cluster()).await;
    let plan = update::plan(&snapshot, &world.request()).expect("the target is in the catalog");
    let image = plan.workloads[0].images[0].after.clone();
    let found = |names: &[&str]| Lookup::Found(names.iter().map(|name| (*name).to_owned()).collect());
    for (images, check, says) in [
        (found(&["x:1"]), Some(Check::PrePull), "3 nodes are not known to have the new image"),
        (found(&["x:1", &image]), None, ""),
        (found(&[]), Some(Check::NotChecked), "reports no images"),
        (Lookup::Unreadable("nodes is forbidden".into()), Some(Check::NotChecked), "nodes is forbidden"),
    ] {
        snapshot.environment.nodes = NODES.map(|node| (node.to_owned(), images.clone())).into();
        let plan = update::plan(&snapshot, &world.request()).expect("the target is in the catalog");
        let about = |message: &str| message.contains("the new image");
        let finding = plan.findings.iter().find(|f| about(&f.message));
        assert_eq!(finding.map(|f| f.check), check, "{:?}", plan.findings);
        assert!(finding.is_none_or(|f| f.message.contains(says)), "{finding:?}");
        assert_eq!(plan.pre_pull, None);
    }
}

#[tokio::test(start_paused = true)]
async fn an_image_that_cannot_be_downloaded_stops_the_run_before_it_changes_anything() {
    let missing = PodRule::new(Ailment::PullError).image("*:3.9.1*");
    let world = pre_pulling(Behaviour::default().with(missing), Database::zookeeper("db"));
    let ended = world.update().await;
    ended.ended(Outcome::Refused, 3, false, false);
    ended.says(&["cannot download", "zookeeper:3.9.1", "failed to resolve reference", "nothing was changed"]);
    untouched(&world);
    // Once it can be, the same command goes on.
    world.sim.behaviour().change(|behaviour| behaviour.pods.clear());
    world.goes_on().await;
    assert_eq!(world.pull_pods().len(), 0);
}

/// The second attempt of a slow download is not a failure, however long the first one is the last that the pod tells of.
#[tokio::test(start_paused = true)]
async fn an_image_that_is_being_downloaded_again_is_waited_for() {
    let missing = PodRule::new(Ailment::PullError).image("*:3.9.1*");
    let world = pre_pulling(Behaviour::default().with(missing), Database::zookeeper("db"));
    let mut run = world.start_with(|options| options.bounds.pod_timeout = secs(300)).await;
    let fails = |e: &Event| matches!(e, Event::ImagePullWaiting { .. });
    run.event("it fails", fails).await;
    for pod in world.pull_pods() {
        let pulling = json!({
            "metadata": { "name": object::name(&pod), "namespace": NAMESPACE },
            "involvedObject": { "kind": "Pod", "namespace": NAMESPACE, "uid": object::uid(&pod) },
            "reason": "Pulling", "lastTimestamp": "2999-01-01T00:00:00Z",
        });
        world.store().create("events", pulling).unwrap();
    }
    tokio::time::sleep(secs(200)).await;
    assert_eq!(world.pull_pods().len(), 3, "none was given up");
    let ended = run.end().await;
    ended.ended(Outcome::Refused, 3, false, false).says(&["failed to resolve reference"]);
    assert!((secs(300)..secs(305)).contains(&ended.took()), "{:?}", ended.took());
    untouched(&world);
}

#[tokio::test(start_paused = true)]
async fn a_download_that_does_not_end_is_given_up_in_time() {
    let world =
        pre_pulling(Behaviour { download: secs(3600), ..Behaviour::default() }, Database::zookeeper("db"));
    let ended = world.start_with(|options| options.bounds.pod_timeout = secs(300)).await.end().await;
    ended.ended(Outcome::Refused, 3, false, false).says(&["not downloaded within 300 s"]);
    assert!(ended.took() < secs(305), "{:?}", ended.took());
    untouched(&world);
}

fn exceeded(world: &World, room: usize) {
    let store = world.store().clone();
    let why = "pods \"dbupdate-pull\" is forbidden: exceeded quota: pods, requested: pods=1, used: pods=3, limited: pods=3";
    let full = move |r: &RecordedRequest| {
        let ours = |pod: &std::sync::Arc<Value>| pod["metadata"]["labels"].get(PRE_PULL_LABEL).is_some();
        creates(r) && store.list("pods", Some(NAMESPACE)).iter().filter(|pod| ours(pod)).count() >= room
    };
    let refusal = ApiError::new(403, "Forbidden", why);
    world.sim.faults().add(Fault::new(Effect::Answer(refusal)).when(full).always());
}

#[tokio::test(start_paused = true)]
async fn where_such_pods_are_not_admitted_the_run_goes_on_without_them() {
    let world = far_registry(Database::zookeeper("db"));
    exceeded(&world, 0);
    let ended = world.update().await;
    ended.done();
    world.is_updated();
    created_and_removed(&world, 0);
    let told: Vec<_> = notices(&ended).into_iter().filter(|n| n.contains("exceeded quota")).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("3 of 3 images are not pre-pulled"), "{told:?}");
}

/// A policy may be against one node or one registry.
#[tokio::test(start_paused = true)]
async fn a_pod_that_a_policy_refuses_leaves_the_others_to_be_brought() {
    let world = far_registry(Database::zookeeper("db"));
    let refused = |r: &RecordedRequest| creates(r) && r.body.to_string().contains(NODES[1]);
    let policy = || ApiError::denied_by_policy("pods", "dbupdate-pull", "no-edge", "not on this node");
    world.sim.faults().add(Fault::new(Effect::Answer(policy())).when(refused).always());
    let ended = world.update().await;
    ended.done();
    created_and_removed(&world, 2);
    let told: Vec<_> = notices(&ended).into_iter().filter(|n| n.contains("not on this node")).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("1 of 3 images are not pre-pulled"), "{told:?}");
}

/// A quota that others write at the same moment is a conflict, and says nothing about the pod.
#[tokio::test(start_paused = true)]
async fn a_conflict_is_not_taken_for_a_pod() {
    let world = far_registry(Database::zookeeper("db"));
    let why = "Operation cannot be fulfilled on resourcequotas \"few\": the object has been modified";
    let conflict = Effect::Answer(ApiError::new(409, "Conflict", why));
    world.sim.faults().add(Fault::new(conflict).when(creates).times(2));
    let ended = world.update().await;
    ended.done();
    assert!(ended.finish.longest_away_ms < 3_000, "every image was brought");
    created_and_removed(&world, 3);
}

#[tokio::test(start_paused = true)]
async fn a_quota_with_room_for_one_pod_lets_them_in_one_by_one() {
    let world = far_registry(Database::zookeeper("db"));
    exceeded(&world, 1);
    let ended = world.update().await;
    ended.done();
    assert!(ended.finish.longest_away_ms < 3_000);
    assert!(!notices(&ended).iter().any(|n| n.contains("quota")));
    created_and_removed(&world, 3);
}

#[tokio::test(start_paused = true)]
async fn a_stop_removes_the_pods_and_changes_nothing() {
    for at_once in [false, true] {
        let world = far_registry(Database::zookeeper("db"));
        let mut run = world.start().await;
        run.event("pulling", |e| matches!(e, Event::ImagePullStarted { node, .. } if node == NODES[2])).await;
        assert_eq!(world.pull_pods().len(), 3);
        if at_once {
            use kubectl_dbupdate::engine::{Signal, Stop};
            run.stop(Stop::Now(Signal::Interrupt));
        } else {
            run.interrupt();
        }
        run.end().await.ended(Outcome::Stopped, 130, false, false).says(&["nothing was changed"]);
        untouched(&world);
        world.goes_on().await;
    }
}

/// What `status` would show.
async fn left_pods(world: &World) -> Vec<String> {
    let found = overview(&world.cluster(), world.kind, NAMESPACE, Some(&world.name)).await;
    let found = found.expect("it can be read");
    let found = found.into_iter().next().expect("it is there");
    let runs = found.journal.map(|journal| journal.entries);
    let seen = Seen { snapshot: found.snapshot, runs, lock_age: Some(3600), unread: Vec::new() };
    situation::status(&seen, |_| String::new()).left_pods
}

#[tokio::test(start_paused = true)]
async fn what_a_killed_run_has_left_is_shown_and_the_next_one_removes_it() {
    for pre_pull in [false, true] {
        let mut world = far_registry(Database::zookeeper("db"));
        assert_eq!(left_pods(&world).await, Vec::<String>::new());
        let mut run = world.start().await;
        run.event("pulling", |e| matches!(e, Event::ImagePullStarted { node, .. } if node == NODES[2])).await;
        run.crash().await;
        assert_eq!(world.pull_pods().len(), 3);
        assert_eq!(left_pods(&world).await.len(), 3);
        world.pre_pull = pre_pull;
        let ended = world.goes_on().await;
        assert!(
            notices(&ended).contains(&"3 pods were removed, left by an earlier run that pre-pulled images")
        );
        assert_eq!((world.pull_pods().len(), left_pods(&world).await.len()), (0, 0));
    }
}

/// The commands that may find nothing to do while a run pre-pulls images, or after it was killed.
fn idle_commands(world: &World) -> [Request; 3] {
    let here = text(&world.database(), "/spec/version").to_owned();
    let stay = Wish::Update { to: Some(here), through: false, methods: world.request().methods };
    [Wish::Resume { through: false }, Wish::Rollback, stay].map(|wish| Request { wish, ..world.asked() })
}

/// What such a command says that it will do, what it says afterwards, and what it tells.
async fn found_idle(world: &World, request: Request) -> (String, String, Vec<String>) {
    let (tell, mut told) = mpsc::unbounded_channel();
    let (_, stop) = watch::channel(Stop::Go);
    let mut operation = Operation::new(world.cluster_of("second"), request, world.clock(), stop, tell);
    let mut outlook = operation.outlook().await.expect("it can be read");
    let says = |outlook: &kubectl_dbupdate::operation::Outlook| {
        let (finish, _) = outlook.not_begun(&Commands::default()).expect("there is nothing to do");
        assert_eq!((finish.outcome, finish.exit_code), (Outcome::Nothing, 0));
        finish.state
    };
    let before = says(&outlook);
    let pods = world.pull_pods().len();
    assert_eq!(pods, 3, "a dry run ends here");
    operation.remove_left_pods(&mut outlook).await.expect("nobody stops it");
    drop(operation);
    let mut notices = Vec::new();
    while let Some(told) = told.recv().await {
        if let Told::Notice(Notice::LeftPods { said }) = told {
            notices.push(said);
        }
    }
    (before, says(&outlook), notices)
}

#[tokio::test(start_paused = true)]
async fn a_command_with_nothing_else_to_do_removes_what_a_killed_run_has_left() {
    for nth in 0..3 {
        let world = far_registry(Database::zookeeper("db"));
        let mut run = world.start().await;
        run.event("pulling", |e| matches!(e, Event::ImagePullStarted { node, .. } if node == NODES[2])).await;
        run.crash().await;
        let request = idle_commands(&world)[nth].clone();
        let (before, after, notices) = found_idle(&world, request).await;
        let says = "nothing to do but to remove 3 pods that an earlier --pre-pull has left";
        assert!(before.ends_with(says), "{before}");
        assert!(after.ends_with("nothing to do"), "{after}");
        assert_eq!(notices, ["3 pods were removed, left by an earlier run that pre-pulled images"]);
        untouched(&world);
    }
}

/// Who may not remove them is told how somebody else can.
#[tokio::test(start_paused = true)]
async fn what_cannot_be_removed_is_told_with_the_command_that_removes_it() {
    let world = far_registry(Database::zookeeper("db"));
    let mut run = world.start().await;
    run.event("pulling", |e| matches!(e, Event::ImagePullStarted { node, .. } if node == NODES[2])).await;
    run.crash().await;
    let forbidden = Effect::Answer(ApiError::new(403, "Forbidden", "you may not"));
    let fault = Fault::new(forbidden).method("DELETE").path("/pods/dbupdate-pull-").always();
    world.sim.faults().add(fault);
    let (_, after, notices) = found_idle(&world, idle_commands(&world)[0].clone()).await;
    assert_eq!(notices.len(), 1, "{notices:?}");
    for part in ["may be left", "you may not", "kubectl delete pods -l kubectl-dbupdate/pre-pull="] {
        assert!(notices[0].contains(part), "{part}: {notices:?}");
    }
    assert!(after.ends_with("has left"), "{after}");
    assert_eq!(world.pull_pods().len(), 3);
    world.no_lease();
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_alive_keeps_its_pods() {
    for nth in 0..3 {
        let world = far_registry(Database::zookeeper("db"));
        let mut run = world.start().await;
        run.event("pulling", |e| matches!(e, Event::ImagePullStarted { node, .. } if node == NODES[2])).await;
        let request = idle_commands(&world)[nth].clone();
        let (before, _, notices) = found_idle(&world, request).await;
        assert!(!before.contains("to remove"), "{before}");
        assert_eq!((notices.len(), world.pull_pods().len()), (0, 3), "{notices:?}");
        run.end().await.done();
        created_and_removed(&world, 3);
    }
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_goes_to_another_node_is_told() {
    let world = far_registry(Database::zookeeper("db").replicas(2));
    let mut run = world.start().await;
    run.step(Step::Pause).await;
    let pods = world.pods();
    let nodes: Vec<&str> = pods.iter().map(|pod| text(pod, "/spec/nodeName")).collect();
    let cordon = |node: &mut Value| node["spec"]["unschedulable"] = json!(true);
    for node in nodes {
        world.store().update("nodes", "", node, cordon).expect("it is there");
    }
    let ended = run.end().await;
    ended.done();
    let told = notices(&ended);
    assert!(told.iter().any(|n| n.starts_with("pod db-0 was scheduled to node ")), "{told:?}");
    assert!(ended.finish.longest_away_ms > 60_000);
}

/// A new pod cannot return to a cordoned node, so nothing is brought there.
#[tokio::test(start_paused = true)]
async fn cordoned_nodes_and_missing_permissions_are_left_out() {
    let world = far_registry(Database::zookeeper("db"));
    let mut snapshot = world.snapshot(&world.cluster()).await;
    snapshot.cordoned = Lookup::Found(vec![NODES[0].to_owned()]);
    let plan = update::plan(&snapshot, &world.request()).expect("the target is in the catalog");
    assert_eq!(plan.pre_pull.as_ref().map(|p| p.pulls.len()), Some(2));
    let told = plan.findings.iter().find(|f| f.check == Check::PrePull).expect("it is told");
    assert!(told.message.contains(NODES[0]), "{told:?}");
    for verb in ["create", "delete"] {
        snapshot.environment.denied = Lookup::Found(vec![Permission::new(verb, "", "pods")]);
        let plan = update::plan(&snapshot, &world.request()).expect("the target is in the catalog");
        assert_eq!((plan.action, plan.pre_pull), (Action::Update, None), "{verb}");
        assert!(plan.findings.iter().any(|f| f.message.contains("pre-pull")), "{verb}: {:?}", plan.findings);
    }
}

#[tokio::test(start_paused = true)]
async fn a_pod_without_a_place_does_not_hold_up_the_run() {
    let nowhere = PodRule::new(Ailment::Unschedulable).name("dbupdate-pull-*");
    let behaviour = Behaviour { download: secs(10), ..Behaviour::default() }.with(nowhere);
    let world = pre_pulling(behaviour, Database::zookeeper("db"));
    let ended = world.update().await;
    ended.done();
    let not_pulled =
        |e: &&Event| matches!(e, Event::ImageNotPulled { why, .. } if why.starts_with("not scheduled: "));
    assert_eq!(ended.events().filter(not_pulled).count(), 3);
    created_and_removed(&world, 3);
}

/// A response that is lost, a server that is busy: no image is brought twice, and no pod is left.
#[tokio::test(start_paused = true)]
async fn a_shaky_server_leaves_no_pod() {
    let busy = || Effect::Answer(ApiError::unavailable("busy"));
    for fault in [
        Fault::new(busy()).when(creates).times(2),
        Fault::new(Effect::Reset).when(creates).after_handling(),
        Fault::new(busy()).method("DELETE").path("/pods/dbupdate-pull-").times(3),
        Fault::new(Effect::Reset).method("DELETE").path("/pods/dbupdate-pull-").after_handling(),
        Fault::new(busy()).method("GET").path("/pods").times(2),
    ] {
        let world = far_registry(Database::zookeeper("db"));
        world.sim.faults().add(fault);
        world.update().await.done();
        world.is_updated();
        created_and_removed(&world, 3);
    }
}

/// A webhook that cannot be called refuses every pod: the run ends before it changes anything, and does not try for ever.
#[tokio::test(start_paused = true)]
async fn a_pod_that_can_be_created_at_no_time_stops_the_run() {
    let world = far_registry(Database::zookeeper("db"));
    let down = || {
        let why = "Internal error occurred: failed calling webhook \"guard.example.com\": connection refused";
        Effect::Answer(ApiError::new(500, "InternalError", why))
    };
    world.sim.faults().add(Fault::new(down()).when(creates).always());
    let ended = world.start_with(|options| options.bounds.timeout = Some(secs(600))).await.end().await;
    ended.ended(Outcome::Failed, 1, false, false).says(&["failed calling webhook", "nothing was changed"]);
    assert!(ended.took() < secs(310), "{:?}", ended.took());
    untouched(&world);
}

/// Where its pods cannot be removed, a run still writes down how it ended, and releases the lock.
#[tokio::test(start_paused = true)]
async fn pods_that_cannot_be_removed_hold_up_nothing_else() {
    let world = far_registry(Database::zookeeper("db"));
    let busy = Effect::Answer(ApiError::unavailable("busy"));
    world.sim.faults().add(Fault::new(busy).method("DELETE").path("/pods/dbupdate-pull-").always());
    let mut run = world.start().await;
    run.event("pulling", |e| matches!(e, Event::ImagePullStarted { node, .. } if node == NODES[2])).await;
    run.interrupt();
    let ended = run.end().await;
    ended.ended(Outcome::Stopped, 130, false, false);
    let told: Vec<_> = notices(&ended);
    assert!(told.iter().any(|n| n.contains("kubectl delete pods -l ")), "{told:?}");
    assert!(!told.iter().any(|n| n.contains("in flight") || n.contains("journal")), "{told:?}");
    world.no_lease();
}
