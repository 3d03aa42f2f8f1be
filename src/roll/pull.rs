//! How a pod is doing that only brings an image to its node: it has done so as soon as the kubelet tries to create the
//! container, whatever becomes of that.

use std::collections::VecDeque;
use std::time::Duration;

use super::judge::trouble;
use crate::event::WaitingOn;
use crate::model::{ContainerState, ContainerStatus, Plan, Pod, Pull, same_image};

/// The only container of such a pod; whatever else admission adds does not matter.
pub const CONTAINER: &str = "pull";

/// How many nodes download at the same time: each one image after the other, as a kubelet does by default, and few
/// enough not to flood a registry, or the line that all of them share.
const AT_ONCE: usize = 4;

/// How long the scheduler and the kubelet may leave such a tiny pod without a container. If there is no place for it, the
/// image is left to the pods of the database.
const PLACED: Duration = Duration::from_secs(30);

/// An image on its way to a node. Times are durations since the run started.
#[derive(Debug, Clone, PartialEq)]
pub struct Bringing {
    pub pull: Pull,
    /// The name of the pod.
    pub pod: String,
    /// When the pod was created.
    pub began: Duration,
    /// Since when the kubelet has reported that it cannot download the image.
    troubled: Option<Duration>,
    /// What it said at that time: while it pauses between two attempts, it may only say that it does.
    said: String,
    told: Option<WaitingOn>,
}

/// What is left to bring, and what is on its way.
#[derive(Debug)]
pub struct Pulls {
    left: VecDeque<Pull>,
    pub on_their_way: Vec<Bringing>,
    at_once: usize,
    pub left_out: Option<LeftOut>,
}

/// Images that are left to the pods of the database, because the pods that would bring them were refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// How many, each counted once for each node.
    pub images: usize,
    /// Why the first one was refused.
    pub why: String,
}

/// What the refusal of one pod means for the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// A policy is against this image or this node, and stays so.
    ThisOne,
    /// A quota may have room for fewer pods than are on their way now, or no such pod is admitted at all.
    ForNow,
}

impl Pulls {
    /// Nothing is on its way yet.
    pub fn new(all: impl IntoIterator<Item = Pull>) -> Self {
        Pulls { left: all.into_iter().collect(), on_their_way: Vec::new(), at_once: AT_ONCE, left_out: None }
    }

    /// Takes the image that is brought next; `None` if others have to arrive first.
    pub fn take_next(&mut self) -> Option<Pull> {
        if self.on_their_way.len() >= self.at_once {
            return None;
        }
        let busy = |pull: &Pull| self.on_their_way.iter().any(|other| other.pull.node == pull.node);
        let at = self.left.iter().position(|pull| !busy(pull))?;
        self.left.remove(at)
    }

    /// The image is the next one again: whether its pod was created is not known.
    pub fn again(&mut self, pull: Pull) {
        self.left.push_front(pull);
    }

    /// The pod was refused, in these words. It is tried again when one of the others has arrived; if none is on its way,
    /// no further pod is tried.
    pub fn refused(&mut self, pull: Pull, refused: Refused, why: &str) {
        let images = match refused {
            Refused::ThisOne => 1,
            Refused::ForNow if self.on_their_way.is_empty() => 1 + std::mem::take(&mut self.left).len(),
            Refused::ForNow => {
                self.left.push_front(pull);
                self.at_once = self.on_their_way.len();
                return;
            }
        };
        self.left_out.get_or_insert_with(|| LeftOut { images: 0, why: why.to_owned() }).images += images;
    }

    /// Everything has arrived.
    pub fn done(&self) -> bool {
        self.left.is_empty() && self.on_their_way.is_empty()
    }
}

/// How it is going.
#[derive(Debug, Clone, PartialEq)]
pub enum Brought {
    OnItsWay(WaitingOn),
    /// The node has the image.
    There,
    /// The node cannot download it, so neither could a pod of the database.
    Failed {
        why: String,
    },
    /// There is no place for the pod, or somebody has removed it, which says nothing about the image.
    NotTaken {
        why: String,
    },
}

impl Bringing {
    /// The pod was created just now.
    pub fn new(pull: Pull, pod: String, now: Duration) -> Self {
        Bringing { pull, pod, began: now, troubled: None, said: String::new(), told: None }
    }

    /// Whether it has something new to tell: it is not the usual download that it waits for.
    pub fn news(&mut self, on: &WaitingOn) -> bool {
        let usual = match on {
            WaitingOn::Scheduling { message } => message.is_empty(),
            WaitingOn::Container { reason, .. } => trouble(reason).is_none(),
            _ => false,
        };
        let new = !usual && self.told.as_ref() != Some(on);
        self.told = Some(on.clone());
        new
    }

    /// It is given up for what the kubelet reports, and not because it has taken too long.
    pub fn has_time(&self, limit: Duration, now: Duration) -> bool {
        self.troubled.is_some() && now < self.began + limit
    }

    /// The kubelet downloads the image again: what the container reports is about the attempt before.
    pub fn pulls_again(&mut self, now: Duration) {
        self.troubled = Some(now);
    }

    /// Records the pod as it is now, and judges it. It may take as long as `limit`.
    pub fn judge(&mut self, pod: Option<&Pod>, limit: Duration, now: Duration) -> Brought {
        let Some(pod) = pod.filter(|pod| !pod.deleting) else {
            return Brought::NotTaken { why: "its pod was deleted".to_owned() };
        };
        let container = pod.containers.iter().find(|c| c.name == CONTAINER && !c.init);
        match container.map(|c| &c.state) {
            Some(ContainerState::Running) => Brought::There,
            Some(ContainerState::Terminated { reason, .. }) if reason != "ContainerStatusUnknown" => {
                Brought::There
            }
            Some(ContainerState::Waiting { reason, .. }) if creates(reason) => Brought::There,
            _ if pod.phase == "Failed" || pod.phase == "Succeeded" => {
                Brought::NotTaken { why: "its node did not start the pod".to_owned() }
            }
            Some(ContainerState::Waiting { reason, message }) => {
                self.waits(container, reason, message, limit, now)
            }
            _ => self.unplaced(pod, now),
        }
    }

    fn waits(
        &mut self,
        container: Option<&ContainerStatus>,
        reason: &str,
        message: &str,
        limit: Duration,
        now: Duration,
    ) -> Brought {
        let on = WaitingOn::Container {
            container: container.map(|c| c.name.clone()).unwrap_or_default(),
            reason: reason.to_owned(),
            message: message.to_owned(),
        };
        let deadline = self.began + limit;
        let Some(patience) = trouble(reason) else {
            self.troubled = None;
            return match (now >= deadline, reason) {
                (false, _) => Brought::OnItsWay(on),
                // Init containers were added, and they do not end.
                (true, "PodInitializing") => Brought::NotTaken {
                    why: format!("other containers held it up for {} s", limit.as_secs()),
                },
                (true, _) => Brought::Failed { why: format!("not downloaded within {} s", limit.as_secs()) },
            };
        };
        let since = *self.troubled.get_or_insert(now);
        if !message.is_empty() && (self.said.is_empty() || reason != "ImagePullBackOff") {
            self.said = format!("{reason}: {message}");
        }
        let until = deadline.min(since + patience);
        match now >= until {
            false => Brought::OnItsWay(on),
            true if self.said.is_empty() => Brought::Failed { why: reason.to_owned() },
            true => Brought::Failed { why: self.said.clone() },
        }
    }

    fn unplaced(&self, pod: &Pod, now: Duration) -> Brought {
        let condition = pod.conditions.iter().find(|c| c.kind == "PodScheduled" && c.status != "True");
        let message = condition.map(|c| if c.message.is_empty() { &c.reason } else { &c.message });
        let until = self.began + PLACED;
        match (now >= until, message) {
            (false, message) => {
                let message = message.cloned().unwrap_or_default();
                Brought::OnItsWay(WaitingOn::Scheduling { message })
            }
            (true, Some(message)) => Brought::NotTaken { why: format!("not scheduled: {message}") },
            (true, None) => {
                let seconds = PLACED.as_secs();
                Brought::NotTaken { why: format!("its node did not start the pod within {seconds} s") }
            }
        }
    }
}

/// The kubelet has the image, and fails at what comes after it. See `startContainer` of the kubelet's runtime manager.
fn creates(reason: &str) -> bool {
    matches!(
        reason,
        "CreateContainerConfigError"
            | "PreCreateHookError"
            | "CreateContainerError"
            | "PreStartHookError"
            | "RunContainerError"
            | "PostStartHookError"
            | "CrashLoopBackOff"
    )
}

/// Images of the workload were brought to nodes, but not to the one that the new pod is on.
pub fn moved_away(plan: &Plan, workload: &str, pod: &Pod) -> bool {
    let (Some(pre_pull), Some(node)) = (&plan.pre_pull, &pod.node) else { return false };
    let Some(planned) = plan.workload(workload) else { return false };
    let cared_for = || pre_pull.pulls.iter().chain(&pre_pull.present);
    let brought = |image: &str| cared_for().any(|pull| same_image(&pull.image, image));
    planned.target_images().any(|(_, image)| brought(image) && !pre_pull.covers(node, image))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::PodCondition;
    use crate::roll::testworld;

    const LIMIT: Duration = Duration::from_secs(600);

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn bringing() -> Bringing {
        let pull = Pull { node: "n".into(), image: "i:1".into(), workload: "w".into() };
        Bringing::new(pull, "p".into(), secs(0))
    }

    fn pod(state: Option<ContainerState>) -> Pod {
        let mut pod = testworld::pod("p", 0, "ill-new");
        pod.phase = "Pending".into();
        let one = |name: &str, state| ContainerStatus {
            name: name.into(),
            init: false,
            restarts: 0,
            state,
            last_end: String::new(),
        };
        pod.containers = state.into_iter().map(|state| one(CONTAINER, state)).collect();
        // What admission has added starts or not, which does not matter.
        pod.containers.insert(0, one("sidecar", ContainerState::Running));
        pod
    }

    fn waiting(reason: &str, message: &str) -> Option<ContainerState> {
        Some(ContainerState::Waiting { reason: reason.into(), message: message.into() })
    }

    fn terminated(reason: &str) -> Option<ContainerState> {
        Some(ContainerState::Terminated { reason: reason.into(), exit_code: 128, message: String::new() })
    }

    #[test]
    fn a_node_downloads_one_image_after_the_other_and_only_some_nodes_at_once() {
        let pull = |(node, image): (&str, &str)| Pull {
            node: node.into(),
            image: image.into(),
            workload: "w".into(),
        };
        let all = [("a", "1"), ("a", "2"), ("b", "1"), ("c", "1"), ("d", "1"), ("e", "1")];
        let mut pulls = Pulls::new(all.map(pull));
        let taken = |pulls: &mut Pulls| {
            let next = pulls.take_next()?;
            let name = format!("{} {}", next.node, next.image);
            pulls.on_their_way.push(Bringing::new(next, name.clone(), secs(0)));
            Some(name)
        };
        let begun: Vec<_> = std::iter::from_fn(|| taken(&mut pulls)).collect();
        assert_eq!(begun, ["a 1", "b 1", "c 1", "d 1"]);
        pulls.on_their_way.remove(1);
        assert_eq!(taken(&mut pulls).as_deref(), Some("e 1"));
        pulls.on_their_way.remove(0);
        assert_eq!(taken(&mut pulls).as_deref(), Some("a 2"));
        assert_eq!((taken(&mut pulls), pulls.done()), (None, false));
        pulls.on_their_way.clear();
        assert!(pulls.done());
    }

    #[test]
    fn a_quota_with_room_for_one_pod_is_used_one_by_one() {
        let mut pulls = Pulls::new(["a", "b", "c"].map(|node| Pull {
            node: node.into(),
            image: "1".into(),
            workload: "w".into(),
        }));
        let first = pulls.take_next().expect("it is the first");
        pulls.on_their_way.push(Bringing::new(first, "p".into(), secs(0)));
        let second = pulls.take_next().expect("another node is free");
        pulls.refused(second, Refused::ForNow, "no room");
        assert_eq!((pulls.take_next(), &pulls.left_out), (None, &None));
        pulls.on_their_way.clear();
        // As many as before were too many, and none of them is left.
        let second = pulls.take_next().expect("there is room");
        assert_eq!(second.node, "b");
        pulls.refused(second, Refused::ForNow, "no room at all");
        assert!(pulls.done());
        assert_eq!(pulls.left_out, Some(LeftOut { images: 2, why: "no room at all".into() }));
    }

    #[test]
    fn an_image_that_a_policy_refuses_leaves_the_others_to_be_brought() {
        let mut pulls = Pulls::new(["a", "b", "c"].map(|node| Pull {
            node: node.into(),
            image: "1".into(),
            workload: "w".into(),
        }));
        for (node, why) in [("a", "no a"), ("b", "no b")] {
            let next = pulls.take_next().expect("one is left");
            assert_eq!(next.node, node);
            pulls.refused(next, Refused::ThisOne, why);
        }
        assert_eq!(pulls.left_out, Some(LeftOut { images: 2, why: "no a".into() }));
        assert_eq!(pulls.take_next().map(|next| next.node).as_deref(), Some("c"));
    }

    #[test]
    fn an_image_is_there_once_the_kubelet_tries_to_create_the_container() {
        for (state, there) in [
            (None, false),
            (waiting("ContainerCreating", ""), false),
            (waiting("PodInitializing", ""), false),
            (waiting("ErrImagePull", "not found"), false),
            (waiting("ImagePullBackOff", "not found"), false),
            (waiting("InvalidImageName", ""), false),
            (waiting("SomethingNew", ""), false),
            (waiting("CreateContainerConfigError", "runs as root"), true),
            (waiting("CreateContainerError", ""), true),
            (waiting("RunContainerError", ""), true),
            (waiting("CrashLoopBackOff", ""), true),
            (Some(ContainerState::Running), true),
            (terminated("StartError"), true),
            (terminated("Completed"), true),
            (terminated("ContainerStatusUnknown"), false),
            (Some(ContainerState::Unknown), false),
        ] {
            let judged = bringing().judge(Some(&pod(state.clone())), LIMIT, secs(1));
            assert_eq!(judged == Brought::There, there, "{state:?}: {judged:?}");
        }
    }

    #[test]
    fn a_registry_may_fail_briefly_and_its_own_word_is_kept() {
        let mut bringing = bringing();
        let on_its_way = |judged: Brought| matches!(judged, Brought::OnItsWay(_));
        let failed = pod(waiting("ErrImagePull", "manifest unknown"));
        let pauses = pod(waiting("ImagePullBackOff", "Back-off pulling image"));
        assert!(on_its_way(bringing.judge(Some(&failed), LIMIT, secs(10))));
        // It tries again, and fails again.
        assert!(on_its_way(bringing.judge(Some(&pod(waiting("ContainerCreating", ""))), LIMIT, secs(54))));
        assert!(on_its_way(bringing.judge(Some(&failed), LIMIT, secs(60))));
        assert!(on_its_way(bringing.judge(Some(&pauses), LIMIT, secs(104))));
        let why = "ErrImagePull: manifest unknown".to_owned();
        assert_eq!(bringing.judge(Some(&pauses), LIMIT, secs(105)), Brought::Failed { why: why.clone() });
        // It turns out to download at this moment.
        assert!(bringing.has_time(LIMIT, secs(105)));
        bringing.pulls_again(secs(105));
        assert!(on_its_way(bringing.judge(Some(&pauses), LIMIT, secs(149))));
        assert_eq!(bringing.judge(Some(&pauses), LIMIT, secs(150)), Brought::Failed { why });
        assert!(!bringing.has_time(LIMIT, LIMIT), "it is late, whatever it does");
    }

    #[test]
    fn a_pod_that_has_no_place_says_nothing_about_the_image() {
        let mut unscheduled = pod(None);
        unscheduled.conditions = vec![PodCondition {
            kind: "PodScheduled".into(),
            status: "False".into(),
            reason: "Unschedulable".into(),
            message: "no room".into(),
        }];
        let mut rejected = pod(None);
        rejected.phase = "Failed".into();
        let mut deleted = pod(waiting("ContainerCreating", ""));
        deleted.deleting = true;
        for (pod, at, why) in [
            (None, 1, "its pod was deleted"),
            (Some(&deleted), 1, "its pod was deleted"),
            (Some(&rejected), 1, "its node did not start the pod"),
            (Some(&unscheduled), 30, "not scheduled: no room"),
            (Some(&pod(None)), 30, "its node did not start the pod within 30 s"),
            (Some(&pod(waiting("PodInitializing", ""))), 600, "other containers held it up for 600 s"),
        ] {
            let judged = bringing().judge(pod, LIMIT, secs(at));
            assert_eq!(judged, Brought::NotTaken { why: why.to_owned() });
        }
        let slow = bringing().judge(Some(&pod(waiting("ContainerCreating", ""))), LIMIT, secs(600));
        assert_eq!(slow, Brought::Failed { why: "not downloaded within 600 s".to_owned() });
    }
}
