//! What is left to do after an update of a Hazelcast: its members work together in the version of the oldest of them, until
//! the cluster raises that by itself. KubeDB has it do so.

use std::collections::BTreeMap;

use crate::kinds::finish::{Examined, Finishing, members_report_it};
use crate::kinds::heard::{Heard, Voice};
use crate::model::evidence::Evidence;
use crate::model::evidence::hazelcast::Answers;
use crate::model::{Completion, FinishStep, Reversal, Work};

/// The rules.
pub const FINISHING: Finishing = Finishing { left, undo, bar: |_, _| None, runs_commands: false };

fn left(examined: &Examined<'_>) -> Completion {
    let Evidence::Hazelcast(answers) = examined.evidence else { return Completion::default() };
    let mut completion = members_report_it(examined);
    let Some(told) = told(examined, answers, &mut completion.obstacles) else { return completion };
    let Some(own) = minor(examined.version) else {
        completion.obstacles.push(format!("this tool does not understand the version {}", examined.version));
        return completion;
    };
    match minor(told) {
        Some(version) if version == own => completion.settled.push(format!("the cluster version is {told}")),
        Some(version) if version < own => completion.steps.push(raise(told, own)),
        // No member of an earlier version can be in such a cluster.
        _ => completion.obstacles.push(format!("the cluster version is {told}, not {}.{}", own.0, own.1)),
    }
    completion
}

fn raise(from: &str, (major, minor): (u32, u32)) -> FinishStep {
    let (to, what) = (format!("{major}.{minor}"), "the cluster version".to_owned());
    let why =
        format!("a member of {from} can no longer join a cluster of version {to}, which cannot be lowered");
    FinishStep { work: Work::Await { what, from: from.to_owned(), to }, reversal: Reversal::No { why } }
}

/// A cluster version that has been raised stays.
fn undo(_: &Examined<'_>, works: &[Work]) -> Completion {
    let raised = works.iter().filter_map(|work| match work {
        Work::Await { to, .. } => Some(format!("the cluster version {to} cannot be lowered")),
        Work::SetFeature { .. } | Work::RewriteFiles { .. } => None,
    });
    Completion { obstacles: raised.collect(), ..Completion::default() }
}

/// The cluster version that all members tell. What is not known, or told otherwise by each, is an obstacle.
fn told<'a>(examined: &Examined<'a>, answers: &'a Answers, obstacles: &mut Vec<String>) -> Option<&'a str> {
    let mut versions: BTreeMap<&'a str, Vec<&str>> = BTreeMap::new();
    let before = obstacles.len();
    for place in &examined.roster.places {
        match Voice::of(place, &answers.cluster_version).heard {
            Heard::NotReady => obstacles.push(format!("{} is not Ready", place.pod)),
            Heard::Nothing(why) => obstacles.push(format!("the cluster version is not known: {why}")),
            Heard::Said(version) => versions.entry(version).or_default().push(&place.pod),
        }
    }
    if versions.len() > 1 {
        let each = versions.iter().map(|(version, pods)| format!("{version} ({})", pods.join(", ")));
        let each = each.collect::<Vec<_>>().join(" and ");
        obstacles.push(format!("the members tell different cluster versions: {each}"));
    }
    versions.into_keys().next().filter(|_| obstacles.len() == before)
}

/// The first two numbers of a version.
fn minor(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split(['.', '-']).map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::evidence::Said;
    use crate::model::{Health, Member, Obstacle, Place, Roster, Unasked, Verdict};

    /// What is left of members that tell these versions of themselves and of the cluster; nothing for one that is not Ready.
    fn completion(members: &[(&str, &str)], version: &str) -> Completion {
        let (mut roster, mut answers, mut health) =
            (Roster::default(), Answers::default(), Health::default());
        for (number, (own, cluster)) in members.iter().enumerate() {
            let (pod, uid) = (format!("hz-{number}"), format!("uid-{number}"));
            health.members.push(Member {
                pod: pod.clone(),
                uid: uid.clone(),
                role: "member".into(),
                id: String::new(),
                version: (*own).into(),
                state: "ACTIVE".into(),
                leader: false,
                back: Verdict::Yes,
                may_go: Verdict::Yes,
                unasked: false,
                busy: Vec::new(),
            });
            let said = match *cluster {
                "?" => Err(Unasked::new(Obstacle::TimedOut, "no answer within 5 s")),
                version => Ok(version.to_owned()),
            };
            answers.cluster_version.push(Said { pod: pod.clone(), uid: uid.clone(), said });
            roster.places.push(Place { pod, uid, role: "all".into(), ordinal: 0, ready: !own.is_empty() });
        }
        let evidence = Evidence::Hazelcast(answers);
        left(&Examined { evidence: &evidence, health: &health, roster: &roster, version })
    }

    #[test]
    fn the_cluster_version_is_compared_with_that_of_the_members() {
        for (members, version, steps, obstacles) in [
            (&[("5.5.6", "5.5"), ("5.5.6", "5.5")][..], "5.5.6", vec![], vec![]),
            (&[("5.6.0", "5.5"), ("5.6.0", "5.5")], "5.6.0", vec!["the cluster version: 5.5 > 5.6"], vec![]),
            (&[("6.0.0-SNAPSHOT", "5.10")], "6.0.0", vec!["the cluster version: 5.10 > 6.0"], vec![]),
            (
                &[("5.5.6", "5.5"), ("5.5.2", "5.5")],
                "5.5.6",
                vec![],
                vec!["hz-1 reports version 5.5.2, not 5.5.6"],
            ),
            (
                &[("5.6.0", "5.5"), ("5.6.0", "5.6")],
                "5.6.0",
                vec![],
                vec!["the members tell different cluster versions: 5.5 (hz-0) and 5.6 (hz-1)"],
            ),
            (&[("5.5.6", "5.6")], "5.5.6", vec![], vec!["the cluster version is 5.6, not 5.5"]),
            (&[("5.5.6", "x")], "5.5.6", vec![], vec!["the cluster version is x, not 5.5"]),
            (
                &[("5.5.6", "?"), ("", "5.5")],
                "5.5.6",
                vec![],
                vec![
                    "hz-1 does not tell its version",
                    "the cluster version is not known: hz-0: no answer within 5 s",
                    "hz-1 is not Ready",
                ],
            ),
        ] {
            let completion = completion(members, version);
            let step = |step: &FinishStep| match (&step.work, &step.reversal) {
                (Work::Await { what, from, to }, Reversal::No { .. }) => format!("{what}: {from} > {to}"),
                other => panic!("{other:?}"),
            };
            assert_eq!(completion.steps.iter().map(step).collect::<Vec<_>>(), steps, "{members:?}");
            assert_eq!(completion.obstacles, obstacles, "{members:?}");
        }
    }
}
