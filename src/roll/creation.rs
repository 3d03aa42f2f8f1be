//! Why a pod is not created again: what its workload's controller says of that, and whether it may pass by itself.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::model::{CreationNews, FailedCreate, Lookup, NOT_READY, Pod, refused_by_admission, why_forbidden};

/// A pod that is created as usual is there sooner, and nobody has to be asked.
const ASK_AFTER: Duration = Duration::from_secs(1);

/// How often the controller's Events are read, at first and later: it tries again after pauses of 5 ms, doubled each time.
const ASK_EVERY: Duration = Duration::from_secs(2);
const ASK_SELDOM: Duration = Duration::from_secs(15);

/// From when on they are read seldom.
const AT_FIRST: Duration = Duration::from_secs(30);

/// How long a refusal must stand that does not pass by itself. Within that time the controller tries about ten times.
pub const REFUSED: Duration = Duration::from_secs(5);

/// The longest pause before a controller tries again (`ItemExponentialFailureRateLimiter` of client-go): a pod may come
/// that late after the obstacle is gone.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(1000);

/// What keeps a pod from being created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// In the words of the controller or of the API server.
    pub why: String,
    /// Since when, as the controller has written it; empty if it has not.
    pub since: String,
    /// It stays until somebody changes what refuses the pod.
    pub lasts: bool,
}

/// What was heard of a pod that is missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Heard {
    /// Since when the pod has been missing. Times are durations since the run started.
    missing_since: Option<Duration>,
    asked: Option<Duration>,
    /// The Events that were there when it was first asked: they may be about an earlier pod of that name.
    old: Option<BTreeSet<String>>,
    obstacle: Option<Obstacle>,
    /// Since when the obstacle has been one that lasts.
    refused_since: Option<Duration>,
}

impl Heard {
    /// Records whether the pod is there.
    pub fn observe(&mut self, pod: Option<&Pod>, now: Duration) {
        match pod {
            Some(_) => *self = Heard::default(),
            None => _ = self.missing_since.get_or_insert(now),
        }
    }

    /// When to ask next why the pod is missing; `None` if it is not.
    pub fn ask_at(&self) -> Option<Duration> {
        let since = self.missing_since?;
        let Some(asked) = self.asked else { return Some(since + ASK_AFTER) };
        Some(asked + if asked < since + AT_FIRST { ASK_EVERY } else { ASK_SELDOM })
    }

    /// Takes in what was read about the pod of that name.
    pub fn hear(&mut self, news: CreationNews, pod: &str, policy: Option<&str>, now: Duration) {
        self.asked = Some(now);
        self.obstacle = match (news.policy, policy) {
            (Lookup::Found(false), Some(policy)) => Some(Obstacle {
                why: format!("PlacementPolicy {policy}, which its workload names, does not exist"),
                since: String::new(),
                lasts: true,
            }),
            _ => self.said(news.failures, pod),
        };
        let lasts = self.obstacle.as_ref().is_some_and(|obstacle| obstacle.lasts);
        self.refused_since = lasts.then(|| self.refused_since.unwrap_or(now));
    }

    /// What the controller has said last about that pod.
    fn said(&mut self, failures: Lookup<Vec<FailedCreate>>, pod: &str) -> Option<Obstacle> {
        let failures = match failures {
            Lookup::Found(failures) => failures,
            Lookup::Absent => return None,
            Lookup::Unreadable(why) => {
                let why = format!("the Events of its workload cannot be read: {why}");
                return Some(Obstacle { why, since: String::new(), lasts: false });
            }
        };
        let about: Vec<FailedCreate> = failures.into_iter().filter(|f| names(&f.message, pod)).collect();
        let old = self.old.get_or_insert_with(|| about.iter().map(|f| f.version.clone()).collect());
        let fresh = |f: &FailedCreate| !old.contains(&f.version);
        let last = about.into_iter().max_by(|a, b| (fresh(a), &a.last).cmp(&(fresh(b), &b.last)))?;
        let lasts = fresh(&last) && lasts(&last.message);
        Some(Obstacle { why: without_preamble(&last.message).to_owned(), since: last.first, lasts })
    }

    /// The pod has been missing for so long that the controller's pauses are long.
    pub fn seldom(&self, now: Duration) -> bool {
        self.missing_since.is_some_and(|since| now >= since + AT_FIRST)
    }

    pub fn obstacle(&self) -> Option<&Obstacle> {
        self.obstacle.as_ref()
    }

    /// When the run gives up; `None` if the obstacle may pass by itself.
    pub fn gives_up_at(&self) -> Option<Duration> {
        self.refused_since.map(|since| since + REFUSED)
    }
}

/// Whether a message names that pod, and not only one whose name begins with it.
fn names(message: &str, pod: &str) -> bool {
    message.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '.'))).any(|word| word == pod)
}

/// What the API server said, without the controller's `create Pod db-1 in PetSet db failed error: `, and without a
/// ReplicaSet's `Error creating: `.
pub fn without_preamble(message: &str) -> &str {
    let said = message.split_once(" failed error: ").map(|(_, said)| said);
    said.or_else(|| message.strip_prefix("Error creating: ")).unwrap_or(message)
}

/// Whether what an API server says against the creation of a pod stands until somebody changes the policy, the template
/// or the objects that it names. A quota is freed when another pod goes, and a webhook that cannot be called may be back.
/// What is not known is not taken for lasting.
pub fn lasts(message: &str) -> bool {
    let said = without_preamble(message);
    if refused_by_admission(said) {
        return true;
    }
    let may_pass = [
        "exceeded quota: ",
        "status unknown for quota: ",
        "failed calling webhook",
        "Internal error occurred: ",
        NOT_READY,
        "object is being deleted",
        "already exists",
        "the object has been modified",
        "imed out",
        "timeout",
        "context deadline exceeded",
        "connection refused",
    ];
    if let Some(why) = why_forbidden(said) {
        return why.contains("denied request: ") || !may_pass.iter().any(|word| why.starts_with(word));
    }
    said.contains(" is invalid: ") && !may_pass.iter().any(|word| said.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn what_stands_until_somebody_changes_it_is_told_from_what_may_pass() {
        for (said, expected) in [
            ("policy 'mirror' with binding 'mirror' denied request: expression failed", true),
            (
                r#"pods "db-1" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true"#,
                true,
            ),
            (
                r#"admission webhook "guard.example.com" denied the request: exceeded quota: of the team"#,
                true,
            ),
            (r#"admission webhook "guard.example.com" denied the request without explanation"#, true),
            (
                r#"pods "db-1" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: timeout too long"#,
                true,
            ),
            (
                r#"pods "db-1" is forbidden: User "system:serviceaccount:kubedb:petset" cannot create resource "pods""#,
                true,
            ),
            (
                r#"pods "db-1" is forbidden: error looking up service account db/kf: serviceaccount "kf" not found"#,
                true,
            ),
            (r#"pods "db-1" is forbidden: no PriorityClass with name high was found"#, true),
            (
                r#"pods "db-1" is forbidden: maximum memory usage per Container is 1Gi, but limit is 2Gi"#,
                true,
            ),
            (r#"pods "db-1" is forbidden: failed quota: q: must specify limits.cpu for: kafka"#, true),
            (
                r#"pods "db-1" is forbidden: unable to create new content in namespace db because it is being terminated"#,
                true,
            ),
            (r#"Pod "db-1" is invalid: spec.containers[0].image: Required value"#, true),
            (
                r#"pods "db-1" is forbidden: exceeded quota: q, requested: pods=1, used: pods=3, limited: pods=3"#,
                false,
            ),
            (r#"pods "db-1" is forbidden: status unknown for quota: q, resources: pods"#, false),
            (r#"pods "db-1" is forbidden: not yet ready to handle request"#, false),
            (
                r#"Internal error occurred: failed calling webhook "guard.example.com": context deadline exceeded"#,
                false,
            ),
            (r#"object is being deleted: pods "db-1" already exists"#, false),
            ("Timeout: request did not complete within requested timeout", false),
            ("something new", false),
        ] {
            assert_eq!(lasts(said), expected, "{said}");
            assert_eq!(
                lasts(&format!("create Pod db-1 in PetSet db failed error: {said}")),
                expected,
                "{said}"
            );
            assert_eq!(lasts(&format!("Error creating: {said}")), expected, "{said}");
        }
    }

    #[test]
    fn a_message_names_a_pod_by_its_whole_name() {
        let said = r#"create Claim data-db-1 for Pod db-1 in PetSet db failed error: persistentvolumeclaims "data-db-1" is forbidden"#;
        assert!(names(said, "db-1"));
        for other in ["db", "db-", "data-db", "db-10"] {
            assert_eq!(names(said, other), other == "db", "{other}");
        }
        assert_eq!(without_preamble(said), r#"persistentvolumeclaims "data-db-1" is forbidden"#);
    }

    /// News with Events of these versions, last written at that time.
    fn news(events: &[(&str, &str)]) -> CreationNews {
        let failed = |(version, last): &(&str, &str)| FailedCreate {
            version: (*version).to_owned(),
            message: r#"create Pod db-1 in PetSet db failed error: pods "db-1" is forbidden: no"#.to_owned(),
            first: "t0".to_owned(),
            last: (*last).to_owned(),
        };
        let failures = Lookup::Found(events.iter().map(failed).collect());
        CreationNews { failures, policy: Lookup::Absent }
    }

    /// An Event from before does not tell that the pod is refused now.
    #[test]
    fn only_what_the_controller_says_again_counts_as_said_now() {
        let mut heard = Heard::default();
        heard.observe(None, secs(10));
        assert_eq!(heard.ask_at(), Some(secs(11)));
        heard.hear(news(&[("a1", "t1")]), "db-1", None, secs(11));
        assert_eq!(
            heard.obstacle().map(|o| (o.why.as_str(), o.lasts)),
            Some((r#"pods "db-1" is forbidden: no"#, false))
        );
        assert_eq!((heard.ask_at(), heard.gives_up_at()), (Some(secs(13)), None));
        heard.hear(news(&[("a2", "t2")]), "db-1", None, secs(13));
        assert!(heard.obstacle().is_some_and(|o| o.lasts && o.since == "t0"));
        heard.hear(news(&[("a3", "t3")]), "db-1", None, secs(15));
        assert_eq!(heard.gives_up_at(), Some(secs(18)), "since it was first heard");
        heard.hear(news(&[]), "db-1", None, secs(41));
        assert_eq!((heard.obstacle(), heard.gives_up_at(), heard.ask_at()), (None, None, Some(secs(56))));
    }

    #[test]
    fn a_pod_that_is_there_is_not_asked_about() {
        let mut heard = Heard::default();
        heard.observe(None, secs(1));
        let gone = CreationNews { policy: Lookup::Found(false), ..news(&[("a1", "t1")]) };
        heard.hear(gone, "db-1", Some("spread"), secs(2));
        assert_eq!(heard.gives_up_at(), Some(secs(7)), "a policy that is missing is seen, not heard");
        assert!(heard.obstacle().is_some_and(|o| o.why.starts_with("PlacementPolicy spread")));
        heard.observe(Some(&super::super::testworld::pod("db", 1, "new")), secs(3));
        assert_eq!((heard.ask_at(), heard.obstacle()), (None, None));
    }

    #[test]
    fn events_that_cannot_be_read_are_said_to_be() {
        let mut heard = Heard::default();
        heard.observe(None, secs(1));
        let unreadable = Lookup::Unreadable("forbidden".to_owned());
        heard.hear(CreationNews { failures: unreadable, policy: Lookup::Absent }, "db-1", None, secs(2));
        assert!(heard.obstacle().is_some_and(|o| o.why.ends_with("cannot be read: forbidden") && !o.lasts));
    }
}
