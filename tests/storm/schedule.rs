//! What happens in one storm, drawn from a seed: the same seed is the same storm.

use std::fmt;
use std::time::Duration;

use fastrand::Rng;
use simcluster::Misanswer;
use simcluster::world::{Database, PodManagement, Strategy};
use simcluster::{Ailment, ApiError, Cause, Effect, RecordedRequest};

use crate::command::Command;
use crate::common::secs;

/// The most troubles that befall one update.
const MOST_TROUBLES: usize = 6;

/// An update, and what befalls it.
#[derive(Debug, Clone)]
pub struct Schedule {
    pub seed: u64,
    pub scene: Scene,
    /// In the order in which they were drawn.
    pub troubles: Vec<Trouble>,
    pub roll_back_on_failure: bool,
    /// What the user runs while the storm lasts, one after the other, as long as something is unfinished.
    pub commands: Vec<Command>,
    /// What ends it once the storm is over.
    pub end: Command,
}

/// Which database it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scene {
    ZooKeeper,
    ZooKeeperOrdered,
    ZooKeeperWithoutBudget,
    KafkaCombined,
    KafkaTopology,
    KafkaCruiseControl,
    Druid,
    Cassandra,
    CassandraRacks,
    CassandraRolling,
    Hazelcast,
    HazelcastPinned,
    KafkaRendered,
    DruidRendered,
}

/// Something that goes wrong.
#[derive(Debug, Clone)]
pub struct Trouble {
    pub when: When,
    pub what: What,
}

/// The moment at which something goes wrong.
#[derive(Debug, Clone, Copy)]
pub enum When {
    /// So long after the storm's begin, in simulated time.
    At(Duration),
    /// As soon as the server has handled the n-th such request, before the client hears of it.
    After(Which, u64),
}

/// Which requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    Any,
    Writes,
    Reads,
    Watches,
    Lease,
    Journal,
    Status,
    Templates,
    Version,
    Evictions,
    Pods,
    OpsRequests,
}

/// For how long requests fail.
#[derive(Debug, Clone, Copy)]
pub enum Span {
    Next(u64),
    Lasting(Duration),
}

/// What goes wrong.
#[derive(Clone)]
pub enum What {
    /// Requests fail on the way, or are refused.
    Fault { which: Which, effect: Effect, unheard: bool, span: Span },
    /// The API server goes away for so long, and comes back as a real one does.
    Restart(Duration),
    /// Every watch ends in good order.
    EndWatches,
    /// The connection of every watch breaks.
    BreakWatches,
    /// The same, and what has happened meanwhile is forgotten: 410.
    Forget,
    /// The operator erases that many fresh pauses.
    ErasePause(u32),
    /// The operator brings back that many removed pauses.
    RestorePause(u32),
    /// The operator answers a pause so late; `None` not at all.
    Answers(Option<Duration>),
    /// The operator is down for so long.
    NoOperator(Duration),
    /// A pod is ill for so long, where its image is the new one or any. Pods are counted through all workloads.
    Ill { pod: usize, new_only: bool, ailment: Ailment, lasting: Duration },
    /// The database itself is unwell for so long, or answers what it should not.
    Unwell(simcluster::Trouble, Duration),
    /// Somebody drains a pod.
    Drained { pod: usize },
    /// Every budget forbids evictions for so long.
    Budgets(Duration),
    /// An ops request appears.
    OpsRequest,
    /// Somebody lifts the pause.
    PauseLifted,
    /// Somebody else pauses the database.
    PausedByOther,
    /// Somebody changes something in a workload's template beside the images.
    Template { workload: usize },
    /// Somebody scales a workload by so many pods.
    Scaled { workload: usize, by: i64 },
    /// Somebody writes to the database, which changes nothing that matters but its resourceVersion.
    Touched,
    /// Somebody deletes the lock.
    LeaseGone,
    /// The process is killed.
    Killed,
    /// The user presses Ctrl-C, once or twice.
    Interrupted { now: bool },
    /// The process's machine sleeps for so long.
    Slept(Duration),
}

impl Schedule {
    pub fn draw(seed: u64) -> Self {
        let rng = &mut Rng::with_seed(seed);
        let scene = Scene::ALL[usize::try_from(seed % Scene::ALL.len() as u64).expect("it is small")];
        let troubles = (0..rng.usize(1..=MOST_TROUBLES)).map(|_| Trouble::draw(rng)).collect();
        let mut commands = vec![Command::Update];
        commands.extend((0..rng.usize(0..=2)).map(|_| match rng.u8(0..10) {
            0..6 => Command::Resume,
            6..8 => Command::Update,
            _ => Command::Rollback,
        }));
        Schedule {
            seed,
            scene,
            troubles,
            roll_back_on_failure: rng.u8(0..4) == 0,
            commands,
            end: if rng.u8(0..3) == 0 { Command::Rollback } else { Command::Resume },
        }
    }

    /// Somebody changes the number of the database's pods.
    pub fn scales(&self) -> bool {
        self.troubles.iter().any(|trouble| matches!(trouble.what, What::Scaled { .. }))
    }
}

impl Scene {
    const ALL: [Scene; 14] = [
        Scene::ZooKeeper,
        Scene::KafkaCombined,
        Scene::CassandraRacks,
        Scene::Hazelcast,
        Scene::Druid,
        Scene::KafkaTopology,
        Scene::CassandraRolling,
        Scene::ZooKeeperOrdered,
        Scene::HazelcastPinned,
        Scene::ZooKeeperWithoutBudget,
        Scene::KafkaCruiseControl,
        Scene::Cassandra,
        Scene::KafkaRendered,
        Scene::DruidRendered,
    ];

    pub fn database(self) -> Database {
        let racks = || Database::cassandra_racks("db", &[("r0", 2), ("r1", 1)]);
        match self {
            Scene::ZooKeeper => Database::zookeeper("db"),
            Scene::ZooKeeperOrdered => Database::zookeeper("db").pod_management(PodManagement::OrderedReady),
            Scene::ZooKeeperWithoutBudget => Database::zookeeper("db").replicas(2).no_budget(),
            Scene::KafkaCombined => Database::kafka_combined("db"),
            Scene::KafkaTopology => Database::kafka_topology("db").controllers(2).brokers(2),
            Scene::KafkaCruiseControl => {
                Database::kafka_topology("db").controllers(1).brokers(2).cruise_control()
            }
            Scene::Druid => Database::druid("db").without("routers").replicas_of("historicals", 2),
            Scene::Cassandra => Database::cassandra("db").replicas(2),
            Scene::CassandraRacks => racks(),
            Scene::CassandraRolling => racks().strategy(Strategy::RollingUpdate { partition: 0 }),
            Scene::Hazelcast => Database::hazelcast("db").replicas(2),
            Scene::HazelcastPinned => Database::hazelcast("db").pinned(),
            Scene::KafkaRendered => {
                Database::kafka_topology("db").version("3.9.0").controllers(2).brokers(2).cruise_control()
            }
            Scene::DruidRendered => Database::druid("db").version("25.0.0").without("routers").pinned(),
        }
    }

    /// The version to which it goes through the Provisioner, where it does.
    pub fn rendered_to(self) -> Option<&'static str> {
        match self {
            Scene::KafkaRendered => Some("4.0.0"),
            Scene::DruidRendered => Some("28.0.1"),
            _ => None,
        }
    }

    /// The operator pins images to digests when it renders templates.
    pub fn pins(self) -> bool {
        matches!(self, Scene::HazelcastPinned | Scene::DruidRendered)
    }
}

impl Trouble {
    fn draw(rng: &mut Rng) -> Self {
        let what = match rng.u8(0..23) {
            20..23 => database(rng),
            0..9 => fault(rng),
            9..11 => operator(rng),
            11..14 => pods(rng),
            14..17 => somebody(rng),
            _ => ourselves(rng),
        };
        Trouble { when: when(rng), what }
    }
}

fn when(rng: &mut Rng) -> When {
    match rng.u8(0..10) {
        0..3 => When::At(Duration::from_millis(rng.u64(0..20_000))),
        3..6 => When::After(Which::Writes, rng.u64(1..40)),
        6..8 => When::After(Which::Any, rng.u64(1..160)),
        8 => When::After(Which::Evictions, rng.u64(1..6)),
        _ => When::After(pick(rng, &[Which::Status, Which::Templates, Which::Version]), rng.u64(1..4)),
    }
}

fn pick<T: Clone>(rng: &mut Rng, from: &[T]) -> T {
    from[rng.usize(0..from.len())].clone()
}

fn millis(rng: &mut Rng, from: u64, to: u64) -> Duration {
    Duration::from_millis(rng.u64(from..to))
}

fn fault(rng: &mut Rng) -> What {
    match rng.u8(0..12) {
        0..2 => {
            let down = if rng.u8(0..6) == 0 { millis(rng, 20_000, 400_000) } else { millis(rng, 0, 20_000) };
            return What::Restart(down);
        }
        2 => return pick(rng, &[What::EndWatches, What::BreakWatches, What::Forget]),
        _ => {}
    }
    let which = pick(rng, Which::ALL);
    let refusal = |code, reason, text: &str| Effect::Answer(ApiError::new(code, reason, text));
    let budget =
        Cause { reason: "DisruptionBudget".to_owned(), message: "not now".to_owned(), field: String::new() };
    let effect = match rng.u8(0..18) {
        0..2 => Effect::Reset,
        2 => Effect::CutBody,
        3 => Effect::Hang,
        4 => Effect::Delay(millis(rng, 100, 12_000)),
        // No later than a client waits for an answer: the lock is held for so long after the last write.
        5..7 => Effect::Late(millis(rng, 100, 10_000)),
        7 => Effect::Forbid,
        8 => refusal(401, "Unauthorized", "Unauthorized"),
        9 => refusal(500, "InternalError", "etcdserver: leader changed"),
        10 => Effect::Answer(ApiError::unavailable("the server is currently unable to handle the request")),
        11 => Effect::Answer(ApiError::too_many_requests("storage is (re)initializing").retry_after(1)),
        12 => refusal(504, "Timeout", "request did not complete within requested timeout"),
        13 => Effect::Answer(ApiError::stale("things", "db")),
        14 => refusal(410, "Expired", "The provided continue parameter is too old"),
        15 => Effect::CutWatch(rng.usize(0..5)),
        16 => Effect::StallWatch(rng.usize(0..5)),
        _ => {
            let refused = ApiError::too_many_requests("it would violate the pod's disruption budget.");
            let effect = Effect::Answer(refused.because(&[budget]));
            return What::Fault { which: Which::Evictions, effect, unheard: false, span: span(rng) };
        }
    };
    let which = match effect {
        Effect::CutWatch(_) | Effect::StallWatch(_) => Which::Watches,
        Effect::Answer(ApiError { code: 409, .. }) => pick(rng, Which::WRITES),
        Effect::Answer(ApiError { code: 410, .. }) => pick(rng, &[Which::Watches, Which::Reads, Which::Pods]),
        _ => which,
    };
    // The server has done it, and the client hears otherwise.
    let doubtful = match &effect {
        Effect::Reset | Effect::Hang => true,
        Effect::Answer(error) => matches!(error.code, 500 | 504),
        _ => false,
    };
    What::Fault { which, unheard: doubtful && rng.bool(), effect, span: span(rng) }
}

fn span(rng: &mut Rng) -> Span {
    match rng.u8(0..8) {
        0..5 => Span::Next(rng.u64(1..4)),
        5..7 => Span::Lasting(millis(rng, 50, 15_000)),
        _ => Span::Lasting(millis(rng, 15_000, 90_000)),
    }
}

fn operator(rng: &mut Rng) -> What {
    match rng.u8(0..5) {
        0 => What::ErasePause(rng.u32(1..8)),
        1 => What::RestorePause(rng.u32(1..8)),
        2 => What::Answers(None),
        3 => What::Answers(Some(millis(rng, 1_000, 20_000))),
        _ => What::NoOperator(millis(rng, 1_000, 60_000)),
    }
}

fn pods(rng: &mut Rng) -> What {
    let pod = rng.usize(0..6);
    let ailment = match rng.u8(0..12) {
        0..2 => Ailment::SlowStart(millis(rng, 3_000, 120_000)),
        2 => Ailment::SlowStop(millis(rng, 1_000, 60_000)),
        3 => Ailment::Crash { after: millis(rng, 100, 5_000), exit_code: 1 },
        4 => Ailment::PullError,
        5 => Ailment::ConfigError,
        6 => Ailment::NeverReady,
        7 => Ailment::Relapse { after: millis(rng, 100, 8_000) },
        8 => Ailment::Unschedulable,
        9 => Ailment::StuckTerminating,
        10 => return What::Drained { pod },
        _ => return What::Budgets(millis(rng, 1_000, 120_000)),
    };
    // Longer than the run bears, or soon over.
    let lasting = if rng.u8(0..3) == 0 { millis(rng, 60_000, 600_000) } else { millis(rng, 500, 30_000) };
    What::Ill { pod, new_only: rng.bool(), ailment, lasting }
}

/// What a database says of itself is not always true, nor is there always an answer.
fn database(rng: &mut Rng) -> What {
    let pods = pick(rng, &["*", "*-0", "*-1", "*-2"]).to_owned();
    let trouble = match rng.u8(0..6) {
        0..2 => simcluster::Trouble::SlowRejoin { pods, delay: millis(rng, 500, 60_000) },
        2 => simcluster::Trouble::LeaderMoves { after: millis(rng, 10, 2_000) },
        3 => simcluster::Trouble::ClaimsToLead { pods },
        _ => {
            let how = [
                Misanswer::Refuse,
                Misanswer::Reset,
                Misanswer::Garbage,
                Misanswer::Hang,
                Misanswer::RejectCredentials,
            ];
            simcluster::Trouble::Answers { pods, how: pick(rng, &how) }
        }
    };
    What::Unwell(trouble, millis(rng, 500, 60_000))
}

fn somebody(rng: &mut Rng) -> What {
    match rng.u8(0..9) {
        0 => What::OpsRequest,
        1 => What::PauseLifted,
        2 => What::PausedByOther,
        3 => What::Template { workload: rng.usize(0..3) },
        4..6 => What::Scaled { workload: rng.usize(0..3), by: pick(rng, &[-1, 1, 2]) },
        6..8 => What::Touched,
        _ => What::LeaseGone,
    }
}

fn ourselves(rng: &mut Rng) -> What {
    match rng.u8(0..6) {
        0..4 => What::Killed,
        4 => What::Interrupted { now: rng.bool() },
        _ => What::Slept(secs(rng.u64(1..120))),
    }
}

impl Which {
    const ALL: &[Which] = &[
        Which::Any,
        Which::Writes,
        Which::Reads,
        Which::Watches,
        Which::Lease,
        Which::Journal,
        Which::Status,
        Which::Templates,
        Which::Version,
        Which::Evictions,
        Which::Pods,
        Which::OpsRequests,
    ];

    const WRITES: &[Which] =
        &[Which::Writes, Which::Lease, Which::Journal, Which::Status, Which::Templates, Which::Version];

    pub fn matches(self, request: &RecordedRequest) -> bool {
        let (path, watch) = (request.path.as_str(), request.parameter("watch").is_some());
        let writes = request.is_mutating();
        match self {
            Which::Any => true,
            Which::Writes => writes,
            Which::Reads => !writes && !watch,
            Which::Watches => watch,
            Which::Lease => path.contains("/leases"),
            Which::Journal => path.contains("/configmaps"),
            Which::Status => writes && path.ends_with("/status"),
            Which::Templates => {
                writes && ["/petsets/", "/statefulsets/", "/deployments/"].iter().any(|p| path.contains(p))
            }
            Which::Version => writes && path.contains("/kubedb.com/") && !path.ends_with("/status"),
            Which::Evictions => path.ends_with("/eviction"),
            Which::Pods => path.contains("/pods"),
            Which::OpsRequests => path.contains("opsrequests"),
        }
    }
}

impl fmt::Debug for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            What::Fault { which, effect, unheard, span } => {
                let how = if *unheard { " after it was handled" } else { "" };
                match effect {
                    Effect::Answer(e) => write!(f, "{which:?} {span:?}: {} {}{how}", e.code, e.message),
                    effect => write!(f, "{which:?} {span:?}: {effect:?}{how}"),
                }
            }
            What::Restart(down) => write!(f, "the API server restarts, down for {down:?}"),
            What::EndWatches => write!(f, "every watch ends"),
            What::BreakWatches => write!(f, "every watch breaks"),
            What::Forget => write!(f, "every watch breaks and is too old"),
            What::ErasePause(times) => write!(f, "the operator erases {times} fresh pauses"),
            What::RestorePause(times) => write!(f, "the operator brings back {times} removed pauses"),
            What::Answers(None) => write!(f, "the operator answers no pause"),
            What::Answers(Some(after)) => write!(f, "the operator answers a pause after {after:?}"),
            What::NoOperator(down) => write!(f, "the operator is down for {down:?}"),
            What::Ill { pod, new_only, ailment, lasting } => {
                let image = if *new_only { "the new image" } else { "any image" };
                write!(f, "pod {pod} with {image} for {lasting:?}: {ailment:?}")
            }
            What::Unwell(trouble, lasting) => write!(f, "the database for {lasting:?}: {trouble:?}"),
            What::Drained { pod } => write!(f, "somebody drains pod {pod}"),
            What::Budgets(lasting) => write!(f, "budgets allow nothing for {lasting:?}"),
            What::OpsRequest => write!(f, "an ops request appears"),
            What::PauseLifted => write!(f, "somebody lifts the pause"),
            What::PausedByOther => write!(f, "somebody else pauses the database"),
            What::Template { workload } => write!(f, "somebody changes the template of workload {workload}"),
            What::Scaled { workload, by } => write!(f, "somebody scales workload {workload} by {by}"),
            What::Touched => write!(f, "somebody writes to the database"),
            What::LeaseGone => write!(f, "somebody deletes the lock"),
            What::Killed => write!(f, "the process is killed"),
            What::Interrupted { now } => write!(f, "Ctrl-C{}", if *now { " twice" } else { "" }),
            What::Slept(time) => write!(f, "the machine sleeps for {time:?}"),
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let back = if self.roll_back_on_failure { " --on-failure rollback" } else { "" };
        writeln!(
            f,
            "storm {} over {:?}: {:?}{back}, then {:?}",
            self.seed, self.scene, self.commands, self.end
        )?;
        for Trouble { when, what } in &self.troubles {
            writeln!(f, "  {when:?}: {what:?}")?;
        }
        Ok(())
    }
}
