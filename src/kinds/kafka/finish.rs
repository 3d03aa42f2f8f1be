//! What an update leaves to be done in a Kafka: the features that the old version could not have, and the new one can.
//!
//! `metadata.version` is raised to what every node supports, and so are `group.version` and `transaction.version`, which come
//! with 4.0. `kraft.version` is never touched: it turns the static quorum of controllers, as which KubeDB configures them, into
//! one that they are not configured for. All other features stay as they are too, since no release needs them.

use std::collections::BTreeMap;

use crate::kinds::Examined;
use crate::kinds::heard::{Heard, Voice};
use crate::model::evidence::Evidence;
use crate::model::evidence::kafka::{Answers, Features, Node};
use crate::model::{Completion, FinishStep, Level, Place, Reversal, Roster, Verdict, Work};

use super::release::{self, Descent};
use super::views::Views;

pub(super) const METADATA: &str = "metadata.version";
const KRAFT: &str = "kraft.version";
const GROUP: &str = "group.version";
const TRANSACTION: &str = "transaction.version";

/// The features that are raised besides `metadata.version`, and their highest level up to 4.3.
const OTHERS: [(&str, i16); 2] = [(GROUP, 1), (TRANSACTION, 2)];

/// The nodes of the cluster, and what each of them says of its features.
struct Nodes<'a> {
    said: Vec<(&'a str, &'a Features)>,
    /// Why not all of them have said something, or why it cannot be believed.
    obstacles: Vec<String>,
}

impl<'a> Nodes<'a> {
    fn of(answers: &'a Answers, roster: &'a Roster) -> Self {
        let mut nodes = Nodes { said: Vec::new(), obstacles: Vec::new() };
        for place in &roster.places {
            match heard(answers, place) {
                Ok(features) => nodes.said.push((&place.pod, features)),
                Err(why) => nodes.obstacles.push(why),
            }
        }
        if let Verdict::No { why } = Views::new(answers, roster).credible() {
            nodes.obstacles.extend(why);
        }
        nodes
    }

    /// The level of a feature that is in force. A node that has not followed the metadata to its end may know an older one.
    fn level(&self, feature: &str) -> Result<i16, String> {
        let mut levels: BTreeMap<Option<i16>, Vec<&str>> = BTreeMap::new();
        for (pod, features) in &self.said {
            levels.entry(features.level(feature)).or_default().push(pod);
        }
        if let Some(pods) = levels.get(&None) {
            return Err(format!("the levels of the cluster are not known yet on {}", some(pods)));
        }
        let each = |(level, pods): (&Option<i16>, &Vec<&str>)| {
            format!("{} on {}", words(feature, level.unwrap_or_default()), some(pods))
        };
        match levels.len() {
            0 => Err(format!("no node tells the level of {feature}")),
            1 => Ok(levels.keys().next().copied().flatten().unwrap_or_default()),
            _ => {
                let each: Vec<_> = levels.iter().map(each).collect();
                Err(format!("{feature} is not the same on all nodes: {}", each.join("; ")))
            }
        }
    }

    /// The level of a feature that every node supports; 0 if one does not know the feature.
    fn common(&self, feature: &str) -> i16 {
        let highest = self.said.iter().map(|(_, features)| features.highest(feature).unwrap_or_default());
        highest.min().unwrap_or_default()
    }
}

/// The first two pods, and how many there are besides.
fn some(pods: &[&str]) -> String {
    match pods {
        [first, second, _, ..] => format!("{first}, {second} and {} more", pods.len() - 2),
        _ => pods.join(" and "),
    }
}

/// What the node in a place says of its features. It is asked itself: what others know of it is what it told them once.
fn heard<'a>(answers: &'a Answers, place: &'a Place) -> Result<&'a Features, String> {
    let said = match Node::of(place) {
        Some(node) if node.broker => match Voice::of(place, &answers.brokers).heard {
            Heard::Said(broker) => Heard::Said(&broker.features),
            Heard::NotReady => Heard::NotReady,
            Heard::Nothing(why) => Heard::Nothing(why),
        },
        Some(_) => Voice::of(place, &answers.controllers).heard,
        None => return Err(format!("{} is of no role of Kafka, so it is not asked", place.pod)),
    };
    match said {
        Heard::Said(features) => Ok(features),
        Heard::NotReady => Err(format!("{} is not Ready", place.pod)),
        Heard::Nothing(why) => Err(why),
    }
}

/// What the version still allows or needs.
pub(super) fn left(examined: &Examined<'_>) -> Completion {
    let Evidence::Kafka(answers) = examined.evidence else { return Completion::default() };
    let nodes = Nodes::of(answers, examined.roster);
    let mut completion = Completion { obstacles: nodes.obstacles.clone(), ..Completion::default() };
    if nodes.said.is_empty() {
        return completion;
    }
    let goal = goal(&nodes, examined.version, &mut completion);
    raise(&nodes, METADATA, goal, &mut completion);
    for (feature, _) in OTHERS {
        match nodes.common(feature) {
            ..=0 => {}
            goal => raise(&nodes, feature, goal, &mut completion),
        }
    }
    completion.remarks = remarks(&nodes);
    completion
}

/// The level that `metadata.version` is to have: that of the database's version, if it is known, otherwise the highest that
/// any node supports. Nodes that support less, or more, run something else than the database's version.
fn goal(nodes: &Nodes<'_>, version: &str, completion: &mut Completion) -> i16 {
    let supported = nodes.said.iter().map(|(pod, features)| (pod, features.highest(METADATA)));
    let of_version = release::highest(version);
    let goal = of_version.or_else(|| supported.clone().filter_map(|(_, level)| level).max());
    let goal = goal.unwrap_or_default();
    let other = supported.filter_map(|(pod, level)| match level {
        Some(level) if level == goal => None,
        Some(level) => Some(format!(
            "{pod} supports {METADATA} up to {}, and {version} up to {}",
            words(METADATA, level),
            words(METADATA, goal)
        )),
        None => Some(format!("{pod} does not tell which levels of {METADATA} it supports")),
    });
    completion.obstacles.extend(other);
    goal
}

/// Raises a feature to that level, unless it is there.
fn raise(nodes: &Nodes<'_>, feature: &str, goal: i16, completion: &mut Completion) {
    match nodes.level(feature) {
        Err(why) => completion.hinder(why),
        Ok(level) if level < goal => completion
            .steps
            .push(FinishStep { work: set(feature, level, goal), reversal: reversal(feature, level, goal) }),
        Ok(level) if level == goal => {
            let now = words(feature, level);
            completion.settled.push(format!("{feature} is {now}, the highest that every node supports"));
        }
        Ok(level) => completion.obstacles.push(format!(
            "{feature} is {} already, and {} is the highest that every node supports",
            words(feature, level),
            words(feature, goal)
        )),
    }
}

/// Whether Kafka will take a feature back from a level to a lower one.
fn reversal(feature: &str, low: i16, high: i16) -> Reversal {
    let known = OTHERS.iter().any(|(name, highest)| *name == feature && high <= *highest);
    match (feature, release::descent(high, low)) {
        (METADATA, Descent::Free) => Reversal::Yes {
            why: format!(
                "no level above {} up to {} changes the format of the metadata",
                words(feature, low),
                words(feature, high)
            ),
        },
        (METADATA, Descent::Blocked(level)) => {
            Reversal::No { why: format!("{} changes the format of the metadata", words(feature, level)) }
        }
        // Kafka 4.0 to 4.3 accept it whatever is stored: https://cwiki.apache.org/confluence/display/KAFKA/KIP-848 says what
        // becomes of the consumers.
        (GROUP, _) if known => Reversal::Yes {
            why: "Kafka lowers it again; consumers with group.protocol=consumer are not served below level 1"
                .to_owned(),
        },
        (TRANSACTION, _) if known => Reversal::Yes { why: "Kafka lowers it again".to_owned() },
        _ => Reversal::Unknown { why: "this level is not known here; Kafka says once it is set".to_owned() },
    }
}

/// What is not raised, and why.
fn remarks(nodes: &Nodes<'_>) -> Vec<String> {
    let mut remarks = Vec::new();
    if nodes.said.iter().any(|(_, features)| features.highest(KRAFT).is_some_and(|level| level > 0)) {
        let level = nodes.level(KRAFT).map_or_else(|_| String::new(), |level| format!(" {level}"));
        remarks.push(format!(
            "{KRAFT}{level} is left as it is: from level 1 on the quorum of controllers is a dynamic one, and KubeDB \
             configures a static one (controller.quorum.voters)"
        ));
    }
    let raised =
        |name: &str| name == METADATA || name == KRAFT || OTHERS.iter().any(|(other, _)| *other == name);
    let mut others: BTreeMap<&str, i16> = BTreeMap::new();
    for supported in nodes.said.iter().flat_map(|(_, features)| &features.supported) {
        if !raised(&supported.name) {
            others.insert(&supported.name, nodes.common(&supported.name));
        }
    }
    others.retain(|name, common| nodes.level(name).is_ok_and(|level| level < *common));
    let others: Vec<_> = others.into_keys().take(MOST_NAMED).collect();
    if !others.is_empty() {
        remarks.push(format!("not needed by any release, and left as they are: {}", others.join(", ")));
    }
    remarks
}

/// No more features than these are named in a remark.
const MOST_NAMED: usize = 8;

/// The safe downgrades that lead back from these works, the last one first.
pub(super) fn undo(examined: &Examined<'_>, works: &[Work]) -> Completion {
    let Evidence::Kafka(answers) = examined.evidence else { return Completion::default() };
    let nodes = Nodes::of(answers, examined.roster);
    let mut completion = Completion { obstacles: nodes.obstacles.clone(), ..Completion::default() };
    for work in works.iter().rev() {
        if let Work::SetFeature { feature, from, to } = work {
            lower(&nodes, feature, to.level, from.level, &mut completion);
        }
    }
    completion
}

/// Lowers a feature that was raised, unless it is low already.
fn lower(nodes: &Nodes<'_>, feature: &str, high: i16, low: i16, completion: &mut Completion) {
    let level = match nodes.level(feature) {
        Ok(level) => level,
        Err(why) => {
            completion.hinder(why);
            return;
        }
    };
    let (to, now) = (words(feature, low), words(feature, level));
    if level == low {
        completion.settled.push(format!("{feature} is {to}"));
        return;
    }
    if level != high {
        let then = words(feature, high);
        completion.obstacles.push(format!("{feature} is {now} by now, not {then} as it was set"));
        return;
    }
    if let Reversal::No { why } = reversal(feature, low, high) {
        completion.obstacles.push(format!("Kafka does not take {feature} back to {to}: {why}"));
        return;
    }
    let unable = nodes.said.iter().filter(|(_, features)| {
        features.supported(feature).is_none_or(|supported| !(supported.min..=supported.max).contains(&low))
    });
    let unable: Vec<_> = unable.map(|(pod, _)| format!("{pod} does not support {feature} {to}")).collect();
    completion.obstacles.extend(unable);
    completion.steps.push(FinishStep {
        work: set(feature, high, low),
        reversal: Reversal::Yes { why: "it can be raised again".to_owned() },
    });
}

fn set(feature: &str, from: i16, to: i16) -> Work {
    Work::SetFeature { feature: feature.to_owned(), from: called(feature, from), to: called(feature, to) }
}

/// A level, with what Kafka calls it.
pub(super) fn called(feature: &str, level: i16) -> Level {
    let name = if feature == METADATA { release::name(level) } else { "" };
    Level { level, name: name.to_owned() }
}

/// The same in words, e.g. `3.9-IV0 (21)`.
pub(super) fn words(feature: &str, level: i16) -> String {
    called(feature, level).to_string()
}

#[cfg(test)]
mod tests;
