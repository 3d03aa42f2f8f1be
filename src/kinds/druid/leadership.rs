//! Who leads the coordinators and the overlords: exactly one of each has to.

use std::collections::BTreeSet;

use crate::kinds::heard::Heard;
use crate::model::Verdict;
use crate::model::evidence::druid::{Ingestion, Pod, Segments};

use super::cast::{Cast, Process};

/// The leader's own word, or why there is none that counts.
pub(super) type Led<'a, T> = Result<&'a T, Verdict>;

/// What the leading coordinator says of the segments.
pub(super) fn coordination<'a>(cast: &Cast<'a>) -> Led<'a, Segments> {
    let candidate = |pod: &'a Pod| {
        let coordinator = pod.coordinator.as_ref()?;
        Some((&*coordinator.leader, coordinator.leads.as_ref()))
    };
    led("coordinator", cast.coordinators(), candidate)
}

/// What the leading overlord says of the ingestion.
pub(super) fn ingestion<'a>(cast: &Cast<'a>) -> Led<'a, Ingestion> {
    let candidate = |pod: &'a Pod| {
        let overlord = pod.overlord.as_ref()?;
        Some((&*overlord.leader, overlord.leads.as_ref()))
    };
    led("overlord", cast.overlords(), candidate)
}

/// Finds the one leader. `candidate` tells the address of the leader that a process knows, and its word if it leads itself.
fn led<'a: 'p, 'p, T>(
    role: &str,
    processes: impl Iterator<Item = &'p Process<'a>>,
    candidate: impl Fn(&'a Pod) -> Option<(&'a str, Option<&'a T>)>,
) -> Led<'a, T> {
    let (mut leaders, mut addresses, mut silent) = (Vec::new(), BTreeSet::new(), Verdict::Yes);
    for process in processes {
        match &process.voice.heard {
            Heard::Said(said) => {
                let Some((address, word)) = candidate(said) else { continue };
                addresses.extend(Some(address).filter(|address| !address.is_empty()));
                leaders.extend(word.map(|word| (process.pod(), word)));
            }
            // It might lead as well.
            Heard::Nothing(_) => silent = silent.and(process.voice.silence()),
            Heard::NotReady => {}
        }
    }
    let no = |why: String| Err(Verdict::No { why: vec![why] });
    match leaders.as_slice() {
        [(one, _), (other, _), ..] => no(format!("{one} and {other} both lead the {role}s")),
        _ if addresses.len() > 1 => no(format!("the {role}s do not agree which of them leads")),
        _ if !silent.is_yes() => Err(silent),
        [] => no(format!("no {role} leads")),
        [(_, word)] => Ok(*word),
    }
}
