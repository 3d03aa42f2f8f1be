//! How the simulated cluster behaves: speeds, and what goes wrong.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::admission::AdmissionRule;
use crate::pattern::Pattern;

/// How fast the cluster is and what it does wrong. `Behaviour::default()` is a healthy one.
///
/// It can be changed while the cluster runs, through [`LiveBehaviour::change`]: pods that are waiting or
/// unhealthy are looked at again at once.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// From a pod's creation to its Ready, when nothing is wrong with it.
    pub start_up: Duration,
    /// How long a node takes to download an image that it does not have.
    pub download: Duration,
    /// How long a pod takes to stop; its grace period cuts it short.
    pub stop: Duration,
    /// How long the workload controllers, the scheduler and the garbage collector take to answer a change.
    pub controller_lag: Duration,
    /// How long the budget controller takes to answer a pod's change.
    pub budget_lag: Duration,
    /// How long an eviction takes to write its budget. If somebody else writes it meanwhile, the server begins again after
    /// half a second.
    pub budget_write: Duration,
    /// How long a database's member takes from its pod's Ready to being in the database again.
    pub rejoin: Duration,
    /// What is wrong with which pods; the first rule that matches a pod counts.
    pub pods: Vec<PodRule>,
    /// What becomes of pods when they are created, by whomever.
    pub admission: Vec<AdmissionRule>,
    /// How the KubeDB operator behaves.
    pub provisioner: Provisioner,
    /// How the licensed Ops-manager behaves.
    pub ops_manager: OpsManager,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            start_up: Duration::from_secs(2),
            download: Duration::ZERO,
            stop: Duration::from_millis(200),
            controller_lag: Duration::from_millis(5),
            budget_lag: Duration::from_millis(10),
            budget_write: Duration::from_millis(5),
            rejoin: Duration::from_millis(300),
            pods: Vec::new(),
            admission: Vec::new(),
            provisioner: Provisioner::default(),
            ops_manager: OpsManager::default(),
        }
    }
}

impl Behaviour {
    /// Adds a rule about pods.
    pub fn with(mut self, rule: PodRule) -> Self {
        self.pods.push(rule);
        self
    }

    /// Adds a webhook or policy that rewrites or refuses pods.
    pub fn admitting(mut self, rule: AdmissionRule) -> Self {
        self.admission.push(rule);
        self
    }
}

/// How the KubeDB operator behaves.
#[derive(Clone, Debug)]
pub struct Provisioner {
    /// Whether the operator runs at all. When it does not, nothing is acknowledged, rendered or checked.
    pub alive: bool,
    /// From a `Paused: Unknown` to the flip to `True`; `None` never flips it.
    pub acknowledge: Option<Duration>,
    /// From a change of a database to the reconcile that renders its workloads.
    pub reconcile: Duration,
    /// The health check's period: the phase moves at multiples of it only.
    pub check_period: Duration,
    /// How it renders the workloads of a database whose version has changed.
    pub render: Render,
    /// Whether images are pinned as `repo:tag@sha256:...` when templates are rendered.
    pub pin_digests: bool,
    /// How many more times a fresh `Paused: Unknown` is erased by a status write from an older read.
    pub erase_pause: u32,
    /// How many more times a removed `Paused` is brought back by a status write from an older read.
    pub restore_pause: u32,
    /// From the change of the condition to such a careless write.
    pub careless_after: Duration,
}

impl Default for Provisioner {
    fn default() -> Self {
        Self {
            alive: true,
            acknowledge: Some(Duration::from_millis(300)),
            reconcile: Duration::from_millis(150),
            check_period: Duration::from_secs(10),
            render: Render::AtOnce,
            pin_digests: false,
            erase_pause: 0,
            restore_pause: 0,
            careless_after: Duration::from_millis(50),
        }
    }
}

/// How the KubeDB operator renders workloads.
#[derive(Clone, Debug, PartialEq)]
pub enum Render {
    /// All of them in one reconcile.
    AtOnce,
    /// One after the other, with so long between two: for a while some templates are old.
    Slowly(Duration),
    /// Not at all while a template is not what the version asks for: the database gets a condition `ReconcileFailed`
    /// and a Warning, both with this message.
    Fails(String),
}

/// How the Ops-manager behaves, which works ops requests of type `UpdateVersion`. The other types it leaves alone.
#[derive(Clone, Debug)]
pub struct OpsManager {
    /// Whether it runs at all: most clusters have no license for it.
    pub alive: bool,
    /// How long it waits from one look at a request to the next. It does nothing in between.
    pub poll: Duration,
    /// From the begin of the work to the first eviction, which is at the first look after that.
    pub before_first: Duration,
    /// What becomes of a request.
    pub verdict: Verdict,
}

impl Default for OpsManager {
    fn default() -> Self {
        Self {
            alive: false,
            poll: Duration::from_secs(5),
            before_first: Duration::from_secs(15),
            verdict: Verdict::Succeed,
        }
    }
}

/// What becomes of an ops request.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It is worked to its end, which is a success unless the cluster gets in its way.
    Succeed,
    /// A step fails before anything is done for it, and the request with it.
    Fail {
        /// Which step, as its condition is called (`UpdatePetSets`, `EvictPod--my-zk-1`), or the first step of which
        /// pod. `*` stands for any text. The wait for a pod is `CheckPodRunning--<pod>` for a Kafka or a Druid and
        /// `RunningPod--<pod>` for the others.
        at: String,
        /// What the condition says.
        message: String,
    },
    /// It is `Denied` before it begins.
    Deny {
        /// What the condition says.
        message: String,
    },
    /// It is `Skipped` before it begins.
    Skip {
        /// What the condition says.
        message: String,
    },
    /// It is `WaitingForApproval` until somebody writes another phase: `Approved` to have it worked, or `Denied`.
    WaitForApproval,
}

impl Verdict {
    /// The message of a failure at this step of this pod (empty for a step of no pod).
    pub(crate) fn failure_at(&self, step: &str, pod: &str) -> Option<&str> {
        let Verdict::Fail { at, message } = self else { return None };
        let at = Pattern::new(at);
        (at.matches(step) || (!pod.is_empty() && at.matches(pod))).then_some(message)
    }
}

/// What is wrong with the pods that match.
#[derive(Clone, Debug)]
pub struct PodRule {
    name: Option<Pattern>,
    image: Option<Pattern>,
    ailment: Ailment,
}

impl PodRule {
    /// A rule for every pod; narrow it with [`PodRule::name`] and [`PodRule::image`].
    pub fn new(ailment: Ailment) -> Self {
        Self { name: None, image: None, ailment }
    }

    /// Only pods of this name. `*` stands for any text.
    pub fn name(mut self, pattern: &str) -> Self {
        self.name = Some(Pattern::new(pattern));
        self
    }

    /// Only pods with a container or init container of this image. `*` stands for any text.
    ///
    /// What happens to one container happens to the first that matches.
    pub fn image(mut self, pattern: &str) -> Self {
        self.image = Some(Pattern::new(pattern));
        self
    }

    /// What is wrong.
    pub fn ailment(&self) -> &Ailment {
        &self.ailment
    }

    /// Whether the pod's name fits.
    pub(crate) fn fits_name(&self, name: &str) -> bool {
        self.name.as_ref().is_none_or(|pattern| pattern.matches(name))
    }

    /// Whether a container of this image is meant: `None` when the rule is not about images.
    pub(crate) fn fits_image(&self, image: &str) -> Option<bool> {
        self.image.as_ref().map(|pattern| pattern.matches(image))
    }
}

/// What can be wrong with a pod.
#[derive(Clone, Debug, PartialEq)]
pub enum Ailment {
    /// The image cannot be pulled: `ErrImagePull`, then `ImagePullBackOff`.
    PullError,
    /// The image's name cannot be parsed: `InvalidImageName`.
    InvalidImageName,
    /// A Secret or ConfigMap that the container needs is missing: `CreateContainerConfigError`.
    ConfigError,
    /// The container exits this long after it has started: `CrashLoopBackOff`, with a growing `restartCount`.
    Crash {
        /// How long it runs.
        after: Duration,
        /// What it exits with.
        exit_code: i32,
    },
    /// The pod runs and its readiness probe never succeeds.
    NeverReady,
    /// The pod becomes Ready as usual, and loses it again this long afterwards.
    Relapse {
        /// How long it is Ready.
        after: Duration,
    },
    /// No node has room for the pod.
    Unschedulable,
    /// The pod's node is gone: once deleted, the pod stays until it is deleted by force.
    StuckTerminating,
    /// The pod takes this long from its creation to its Ready.
    SlowStart(Duration),
    /// The pod takes this long to stop; its grace period cuts it short.
    SlowStop(Duration),
}

/// The behaviour of a running cluster, which can be changed.
#[derive(Clone, Debug)]
pub struct LiveBehaviour(Arc<watch::Sender<Behaviour>>);

impl LiveBehaviour {
    /// Starts with `behaviour`.
    pub fn new(behaviour: Behaviour) -> Self {
        Self(Arc::new(watch::Sender::new(behaviour)))
    }

    /// The behaviour now.
    pub fn get(&self) -> Behaviour {
        self.0.borrow().clone()
    }

    /// Asks something of the behaviour now.
    pub fn read<T>(&self, ask: impl FnOnce(&Behaviour) -> T) -> T {
        ask(&self.0.borrow())
    }

    /// Changes the behaviour, and has unhealthy and waiting pods looked at again.
    pub fn change(&self, change: impl FnOnce(&mut Behaviour)) {
        self.0.send_modify(change);
    }

    /// Uses up one of a counted misbehaviour; `false` when none is left.
    pub(crate) fn spend(&self, counter: impl FnOnce(&mut Behaviour) -> &mut u32) -> bool {
        let mut spent = false;
        self.0.send_if_modified(|behaviour| {
            let left = counter(behaviour);
            spent = *left > 0;
            *left = left.saturating_sub(1);
            false
        });
        spent
    }

    /// Wakes up at each change.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Behaviour> {
        self.0.subscribe()
    }
}
