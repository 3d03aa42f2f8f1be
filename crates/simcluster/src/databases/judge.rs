//! Whether a simulated database can bear that a pod goes now. This is the judge of whoever evicts pods, so it knows what is
//! true, whatever the members may have answered.

use super::kafka;
use super::member::Member;
use super::office::{CONTROLLER, COORDINATOR, LEADER, OVERLORD};
use super::trouble::{Trouble, means};
use super::view::View;
use crate::kubedb::kind::Kind;

/// Why the pod must not go now, if it must not.
pub(super) fn can_bear(view: &View, pod: &str) -> Result<(), String> {
    let Some(member) = view.member(pod) else { return Ok(()) };
    // Who is not Ready is no loss.
    if member.ready.is_none() {
        return Ok(());
    }
    // A node that was drained has nobody to serve: the others must do without it already.
    if !view.is_in(member) && !member.drained {
        return Err(format!("{pod} is Ready, and not back in its database yet"));
    }
    match view.membership.kind {
        Kind::Kafka => kafka(view, member),
        Kind::ZooKeeper => zookeeper(view),
        Kind::Cassandra => cassandra(view, member),
        Kind::Hazelcast => hazelcast(view),
        Kind::Druid => druid(view, member),
    }
}

fn kafka(view: &View, member: &Member) -> Result<(), String> {
    let voters = view.size_for(&CONTROLLER);
    if view.leader(&CONTROLLER).is_none() && voters > 1 {
        return Err("no controller is active".to_owned());
    }
    if CONTROLLER.is_for(&member.role) && voters > 1 {
        let others = view.count(&["controller", "combined"]) - 1;
        // Of two voters both are needed, and so the one that stays must at least be there.
        let needed = if voters == 2 { 1 } else { usize::midpoint(voters, 2) };
        if others < needed {
            return Err(format!("{others} other controllers have caught up, {needed} are needed"));
        }
    }
    match kafka::holds_back(view, member) {
        Some(why) => Err(why),
        None => Ok(()),
    }
}

fn zookeeper(view: &View) -> Result<(), String> {
    match view.leaders(&LEADER) {
        1 => all_in(view, &[]),
        _ if view.size() == 1 => Ok(()),
        leaders => Err(format!("{leaders} servers lead")),
    }
}

fn cassandra(view: &View, member: &Member) -> Result<(), String> {
    if view.any(|trouble| matches!(trouble, Trouble::OtherSchema { .. })) {
        return Err("the nodes have different schemas".to_owned());
    }
    if view.any(|trouble| matches!(trouble, Trouble::SeesDown { pod, .. } if view.member(pod).is_some())) {
        return Err("a node takes another for dead".to_owned());
    }
    match member.drained && view.count(&[]) + 1 == view.size() {
        true => Ok(()),
        false => all_in(view, &[]),
    }
}

fn hazelcast(view: &View) -> Result<(), String> {
    for trouble in &view.troubles {
        match trouble {
            Trouble::Migrating { pods } if view.membership.members.keys().any(|pod| means(pods, pod)) => {
                return Err("partitions are migrating".to_owned());
            }
            Trouble::Island { pod } if view.member(pod).is_some() => {
                return Err(format!("{pod} has lost the others"));
            }
            _ => {}
        }
    }
    all_in(view, &[])
}

fn druid(view: &View, member: &Member) -> Result<(), String> {
    for office in [COORDINATOR, OVERLORD] {
        let leaders = view.leaders(&office);
        if office.is_for(&member.role) && leaders != 1 {
            return Err(format!("there are {leaders} leading {}s", office.name));
        }
    }
    if member.role == "middlemanagers" && druid_task(view, &member.pod) {
        return Err(format!("a task runs on {}", member.pod));
    }
    let loads =
        |pod: &str| view.any(|trouble| matches!(trouble, Trouble::Loading { pods } if means(pods, pod)));
    if member.role == "historicals" && view.members(&["historicals"]).iter().any(|other| loads(&other.pod)) {
        return Err("segments are still loading".to_owned());
    }
    if member.role == "historicals" && view.any(|trouble| matches!(trouble, Trouble::Unbalanced)) {
        return Err("a segment is served once less than it should be".to_owned());
    }
    all_in(view, &[member.role.as_str()])
}

/// Whether a user's task runs on a middleManager.
pub(super) fn druid_task(view: &View, pod: &str) -> bool {
    let disabled = view.member(pod).and_then(|member| member.disabled);
    view.any(|trouble| match trouble {
        Trouble::Task { pod: on, hand_off } if means(on, pod) => {
            // A hand-off that takes for ever never ends.
            disabled.and_then(|since| since.checked_add(*hand_off)).is_none_or(|end| view.now < end)
        }
        _ => false,
    })
}

/// Whether all members of some roles are in.
fn all_in(view: &View, roles: &[&str]) -> Result<(), String> {
    let wanted = match roles {
        [] => view.size(),
        roles => roles.iter().map(|role| view.size_of(role)).sum(),
    };
    let present = view.count(roles);
    match present < wanted {
        true => Err(format!("{present} of {wanted} members are in")),
        false => Ok(()),
    }
}
