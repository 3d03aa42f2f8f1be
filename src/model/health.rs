use serde::{Deserialize, Serialize};

use super::{Check, Completion, Database, Feature, Kind, Lookup, ObjectRef, clean};

/// What a database says about itself, judged by the rules of its kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// In the order of the workloads and their ordinals, which is not yet that of restarts.
    pub members: Vec<Member>,
    /// What is worth knowing before pods are restarted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<Remark>,
    /// The features of the cluster that are in force at a level, where the kind has such.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<Feature>,
}

/// The version of the schema in which a [`HealthReport`] is printed.
pub const HEALTH_SCHEMA: &str = "dbupdate/v1";

/// The answer to the question how a database is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthReport {
    /// [`HEALTH_SCHEMA`].
    pub schema: String,
    pub kind: Kind,
    pub database: ObjectRef,
    /// Every pod could be restarted now, one after the other.
    pub fit: bool,
    #[serde(flatten)]
    pub health: Health,
    /// What the last update leaves to be done in the database itself; `None` if that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish: Option<Completion>,
    /// Why the database could not be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unasked: Option<String>,
}

impl HealthReport {
    /// The report on what was said.
    pub fn new(database: &Database, said: Lookup<Health>, left: &Lookup<Completion>) -> Self {
        let (health, unasked) = match said {
            Lookup::Found(health) => (health, None),
            Lookup::Unreadable(why) => (Health::default(), Some(why)),
            Lookup::Absent => (Health::default(), Some("it was not asked".to_owned())),
        };
        HealthReport {
            schema: HEALTH_SCHEMA.to_owned(),
            kind: database.kind,
            database: database.object.clone(),
            fit: unasked.is_none() && health.fit(),
            health,
            finish: left.found().cloned(),
            unasked,
        }
    }
}

/// A pod of the database, as the database sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    pub pod: String,
    /// The uid of the pod that answered, or is spoken of; empty if there is no such pod.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub uid: String,
    /// What it is in the database, e.g. `controller`, `follower`, `historical`.
    pub role: String,
    /// What the database calls it, e.g. `1001`; empty if it is not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// The version that it reports itself; empty if it is not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// In the database's own words, e.g. `leading - broadcast`, `UN`.
    pub state: String,
    /// It leads, so it is the last of its workload to be restarted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub leader: bool,
    /// It is a full member: after a restart the next pod waits for that.
    pub back: Verdict,
    /// The database can bear that it is restarted now.
    pub may_go: Verdict,
    /// It cannot be asked, for a reason that does not pass by itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unasked: bool,
    /// What it still does for its users and is to end before its pod is drained, e.g. the ids of ingestion tasks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub busy: Vec<String>,
}

/// An answer of the database to a question about a pod, with the reasons in its own terms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "camelCase")]
pub enum Verdict {
    Yes,
    No {
        why: Vec<String>,
    },
    /// It could not be asked, or its answer was not understood. That is never taken for yes.
    Unknown {
        why: Vec<String>,
    },
}

impl Verdict {
    /// Yes, unless there are reasons against it.
    pub fn unless(why: Vec<String>) -> Self {
        if why.is_empty() { Verdict::Yes } else { Verdict::No { why } }
    }

    /// Whether it is a yes.
    pub fn is_yes(&self) -> bool {
        *self == Verdict::Yes
    }

    /// The reasons why it is not a yes.
    pub fn why(&self) -> &[String] {
        match self {
            Verdict::Yes => &[],
            Verdict::No { why } | Verdict::Unknown { why } => why,
        }
    }

    fn reasons(&mut self) -> &mut [String] {
        match self {
            Verdict::Yes => &mut [],
            Verdict::No { why } | Verdict::Unknown { why } => why,
        }
    }

    /// Both are required: what is known to speak against it counts more than what is not known.
    pub fn and(self, other: Verdict) -> Self {
        match (self, other) {
            (Verdict::Yes, verdict) | (verdict, Verdict::Yes) => verdict,
            (Verdict::No { why }, Verdict::No { why: more }) => Verdict::No { why: joined(why, more) },
            (Verdict::Unknown { why }, Verdict::Unknown { why: more }) => {
                Verdict::Unknown { why: joined(why, more) }
            }
            (no @ Verdict::No { .. }, Verdict::Unknown { .. })
            | (Verdict::Unknown { .. }, no @ Verdict::No { .. }) => no,
        }
    }

    /// The first three reasons, and how many there are besides: what fits on a line.
    pub fn in_short(self) -> Self {
        let shorten = |mut why: Vec<String>| {
            let more = why.len().saturating_sub(3);
            why.truncate(3);
            why.extend((more > 0).then(|| format!("and {more} more")));
            why
        };
        match self {
            Verdict::Yes => Verdict::Yes,
            Verdict::No { why } => Verdict::No { why: shorten(why) },
            Verdict::Unknown { why } => Verdict::Unknown { why: shorten(why) },
        }
    }
}

/// The longest text of a database that is shown, in characters: names and sentences of people are shorter.
const LONGEST: usize = 500;

fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

fn joined(mut why: Vec<String>, more: Vec<String>) -> Vec<String> {
    for reason in more {
        if !why.contains(&reason) {
            why.push(reason);
        }
    }
    why
}

/// Something that only the database knows and a user should know before pods are restarted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Remark {
    /// The name of the finding that it becomes in a plan.
    pub check: Check,
    pub message: String,
}

impl Health {
    /// The member that is a pod of that name.
    pub fn member(&self, pod: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.pod == pod)
    }

    /// Every pod could be restarted now, one after the other.
    pub fn fit(&self) -> bool {
        self.members.iter().all(|member| member.back.is_yes() && member.may_go.is_yes())
    }

    /// The same, with every text that the database may have written changed so, and none longer than a reader bears.
    pub fn told(mut self, change: impl Fn(&str) -> String) -> Self {
        let tell = |text: &mut String| *text = shortened(&change(text));
        for member in &mut self.members {
            let words = [&mut member.role, &mut member.id, &mut member.version, &mut member.state];
            words.into_iter().for_each(tell);
            member.busy.iter_mut().for_each(tell);
            member.back.reasons().iter_mut().chain(member.may_go.reasons()).for_each(tell);
        }
        self.remarks.iter_mut().map(|remark| &mut remark.message).for_each(tell);
        self
    }

    /// Notes that these pods cannot be asked, for a reason that does not pass by itself.
    pub fn cannot_ask(&mut self, pods: &[&str]) {
        for member in self.members.iter_mut().filter(|member| pods.contains(&member.pod.as_str())) {
            member.unasked = true;
        }
    }

    /// The pod leads, so it goes last.
    pub fn leads(&self, pod: &str) -> bool {
        self.member(pod).is_some_and(|member| member.leader)
    }
}

/// How far a run relies on what the database says of itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HealthMode {
    /// The database is asked; if that is not possible, pods are restarted by their readiness and budgets.
    #[default]
    Auto,
    /// A database that cannot be asked is not updated.
    Require,
    /// It is not asked.
    Off,
}

/// The pods that a database consists of, as Kubernetes shows them: who is asked, and who has to be there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roster {
    /// In the order of the workloads and their ordinals. A pod that its workload is to have and that is missing is there
    /// as well.
    pub places: Vec<Place>,
}

/// One place in a workload, and the pod in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub pod: String,
    /// The uid of the pod; empty if there is none.
    pub uid: String,
    /// The role of its workload, e.g. `broker`, `rack-r0`, `all`.
    pub role: String,
    pub ordinal: u32,
    /// Kubernetes calls it Running and Ready, and it is not terminating. Others are not asked.
    pub ready: bool,
}

impl Roster {
    /// The pods that can be asked.
    pub fn ready(&self) -> impl Iterator<Item = &Place> {
        self.places.iter().filter(|place| place.ready)
    }
}

/// Why a pod could not be asked, or its answer is of no use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unasked {
    pub obstacle: Obstacle,
    /// What exactly happened, without control characters and secrets.
    pub message: String,
}

impl Unasked {
    /// For text from outside: it is cleaned.
    pub fn new(obstacle: Obstacle, message: &str) -> Self {
        Unasked { obstacle, message: clean(message) }
    }
}

/// What prevents a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Obstacle {
    /// The user lacks a permission for `pods/portforward`, `pods/proxy` or a Secret.
    Forbidden,
    /// The API server or a proxy before it carries no WebSockets.
    NoUpgrade,
    /// The database rejects the credentials, or there are none.
    Credentials,
    /// The certificate that the pod shows is not trusted.
    Certificate,
    /// An answer that this tool does not understand, or that is too large.
    Unintelligible,
    /// The pod refuses the connection, or breaks it.
    Unreachable,
    /// No answer in time.
    TimedOut,
}

impl Obstacle {
    /// It does not pass by itself: somebody has to change something first.
    pub fn lasts(self) -> bool {
        match self {
            Obstacle::Forbidden | Obstacle::NoUpgrade | Obstacle::Credentials | Obstacle::Certificate => true,
            Obstacle::Unintelligible | Obstacle::Unreachable | Obstacle::TimedOut => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_database_writes_is_told_in_bounds_and_without_secrets() {
        let long = || format!("hunter2{}", "é".repeat(1 << 20));
        let member = Member {
            pod: "db-0".into(),
            uid: "u".into(),
            role: long(),
            id: long(),
            version: long(),
            state: long(),
            leader: true,
            back: Verdict::No { why: vec![long(), long()] },
            may_go: Verdict::Unknown { why: vec![long()] },
            unasked: false,
            busy: vec![long()],
        };
        let remark = Remark { check: Check::Replication, message: long() };
        let health = Health { members: vec![member], remarks: vec![remark], ..Health::default() };
        let told = serde_json::to_string(&health.told(|text| text.replace("hunter2", "[hidden]")));
        let told = told.expect("it can be written");
        assert!(!told.contains("hunter2"), "{told}");
        assert_eq!(told.matches("[hidden]é").count(), 9, "{told}");
        assert_eq!(told.matches("é…\"").count(), 9, "{told}");
        assert!(told.len() < 9 * 2 * LONGEST + 1000, "{} bytes", told.len());
    }
}
