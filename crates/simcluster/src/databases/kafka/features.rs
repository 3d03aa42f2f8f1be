//! How the features of a Kafka are told and changed. The rules and the words are those of real controllers, 3.9.0 and 4.0.0.

use super::replicas::{self, node_id};
use super::wire::{Reader, Writer};
use crate::databases::asker::Asked;
use crate::databases::levels::{Levels, METADATA, release, supported};
use crate::databases::member::Member;
use crate::databases::office::CONTROLLER;

/// Error codes.
const REQUEST_TIMED_OUT: i16 = 7;
const INVALID_UPDATE_VERSION: i16 = 95;

const UPGRADE: i8 = 1;

/// The levels that bring records of another format than the one before.
const FORMATS: [i16; 13] = [1, 3, 5, 6, 7, 8, 11, 13, 14, 15, 17, 23, 30];

/// The tagged fields of `ApiVersions` 3 and 4: what the node supports, how far it is, and what is in force.
pub(super) fn write_tagged(asked: &Asked, version: i16, out: &mut Writer) {
    let mut support = supported(&asked.me.version);
    // Older clients believe that no feature begins at level 0.
    support.retain(|(_, lowest, _)| version >= 4 || *lowest > 0);
    let mut levels: Vec<_> = asked.view.features.iter().filter(|(_, level)| **level > 0).collect();
    if asked.view.is_foreign(&asked.me.pod) {
        levels.clear();
    }
    let list = |write: &dyn Fn(&mut Writer)| {
        let mut out = Writer::new(true);
        write(&mut out);
        out.into_bytes()
    };
    let supports = list(&|out| {
        out.list(&support, |out, (name, lowest, highest)| {
            out.string(name);
            out.int16(*lowest);
            out.int16(*highest);
            out.end();
        });
    });
    let in_force = list(&|out| {
        out.list(&levels, |out, (name, level)| {
            out.string(name);
            out.int16(**level);
            out.int16(**level);
            out.end();
        });
    });
    let epoch = list(&|out| out.int64(i64::from(asked.view.feature_changes) + EPOCH));
    let mut fields = vec![(1, epoch)];
    if !support.is_empty() {
        fields.insert(0, (0, supports));
    }
    if !levels.is_empty() {
        fields.push((2, in_force));
    }
    out.tagged(&fields);
}

/// How far a cluster is before its features are changed for the first time.
const EPOCH: i64 = 1820;

/// A change that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Update {
    feature: String,
    level: i16,
    kind: i8,
}

/// `UpdateFeatures` as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    updates: Vec<Update>,
    pub only_try: bool,
}

impl Request {
    /// The same, and nothing is changed.
    pub fn as_a_try(&self) -> Self {
        Self { only_try: true, ..self.clone() }
    }
}

/// Reads the body of `UpdateFeatures`, version 1.
pub(super) fn read(request: &mut Reader) -> Option<Request> {
    request.int32()?;
    let updates = request.list(|request| {
        let update = Update { feature: request.string()?, level: request.int16()?, kind: request.int8()? };
        request.end()?;
        Some(update)
    })?;
    Some(Request { updates: updates?, only_try: request.bool()? })
}

/// What comes of a request: what is in force then, and what is answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    /// `None` if nothing is changed.
    pub levels: Option<Levels>,
    pub answer: Vec<u8>,
}

/// What controllers make of it.
pub(super) fn update(asked: &Asked, request: &Request) -> Outcome {
    let mut levels = asked.view.features.clone();
    for update in &request.updates {
        if let Err(why) = check(asked, &levels, update) {
            return Outcome { levels: None, answer: refusal(asked, request, update, &why) };
        }
        levels.insert(update.feature.clone(), update.level);
    }
    levels.retain(|_, level| *level > 0);
    let ok = request.updates.iter().map(|update| (update.feature.as_str(), 0, None)).collect::<Vec<_>>();
    Outcome { levels: (!request.only_try).then_some(levels), answer: answer((0, None), &ok) }
}

/// What a broker says that gets no answer out of the controllers.
pub(super) fn timed_out() -> Vec<u8> {
    answer((REQUEST_TIMED_OUT, None), &[])
}

/// What a broker says to whom an error has happened.
pub(super) fn error(code: i16) -> Vec<u8> {
    answer((code, None), &[])
}

/// Every node that is registered has to support the level, the active controller first.
fn check(asked: &Asked, levels: &Levels, update: &Update) -> Result<(), String> {
    let Update { feature, level, kind } = update;
    let version = |why: String| format!("Invalid update version {level} for feature {feature}. {why}");
    let active = asked.view.leader(&CONTROLLER);
    let local = active.into_iter().map(|member| ("Local controller", member));
    let brokers = asked.view.present(&replicas::BROKERS).into_iter().map(|member| ("Broker", member));
    let controllers = asked.view.present(&["controller"]).into_iter().map(|member| ("Controller", member));
    for (what, member) in local.chain(brokers).chain(controllers) {
        supports(what, member, feature, *level).map_err(version)?;
    }
    let now = levels.get(feature).copied().unwrap_or_default();
    if *level < now && *kind == UPGRADE {
        return Err(version(
            "Can't downgrade the version of this feature without setting the upgrade type to either safe or unsafe \
             downgrade."
                .to_owned(),
        ));
    }
    let changed = |format: &i16| (level + 1..=now).contains(format);
    if feature == METADATA && FORMATS.iter().any(changed) {
        return Err(format!(
            "Invalid metadata.version {level}. Refusing to perform the requested downgrade because it might delete \
             metadata information."
        ));
    }
    Ok(())
}

fn supports(what: &str, member: &Member, feature: &str, level: i16) -> Result<(), String> {
    let id = node_id(member);
    match supported(&member.version).into_iter().find(|(name, ..)| *name == feature) {
        None => Err(format!("{what} {id} does not support this feature.")),
        Some((_, lowest, highest)) if !(lowest..=highest).contains(&level) => {
            Err(format!("{what} {id} only supports versions {lowest}-{highest}"))
        }
        Some(_) => Ok(()),
    }
}

/// 3.9 says it beside the feature, 4.0 beside the request.
fn refusal(asked: &Asked, request: &Request, update: &Update, why: &str) -> Vec<u8> {
    if release(&asked.me.version) >= (4, 0) {
        let why =
            format!("The update failed for all features since the following feature had an error: {why}");
        return answer((INVALID_UPDATE_VERSION, Some(&why)), &[]);
    }
    let each: Vec<_> = request
        .updates
        .iter()
        .map(|each| match each == update {
            true => (each.feature.as_str(), INVALID_UPDATE_VERSION, Some(why)),
            false => (each.feature.as_str(), 0, None),
        })
        .collect();
    answer((0, None), &each)
}

/// The body of an answer, version 1.
fn answer((code, why): (i16, Option<&str>), each: &[(&str, i16, Option<&str>)]) -> Vec<u8> {
    let mut out = Writer::new(true);
    out.int32(0);
    out.int16(code);
    out.nullable(why);
    out.list(each, |out, (feature, code, why)| {
        out.string(feature);
        out.int16(*code);
        out.nullable(*why);
        out.end();
    });
    out.end();
    out.into_bytes()
}
