//! Whether the segments of a Druid have their replicas at this moment. The coordinator's own count is of its last run, which may
//! have been before a historical came back with an empty disk, or before it had one historical too many drop a segment, as it
//! does while it balances (seen with 25.0.0).

use std::collections::BTreeSet;

use crate::kinds::heard::Heard;
use crate::model::evidence::druid::{Role, Segments, Served, Spread};
use crate::model::{Lookup, Verdict};

use super::cast::{CHECKER, Cast, Process};

/// The historicals of each tier serve its segments as often as the rules ask for. Of segments that are to have one replica nothing
/// can be told.
pub(super) fn replicated(segments: &Segments, cast: &Cast) -> Verdict {
    let names: BTreeSet<&str> = segments.historicals.iter().map(String::as_str).collect();
    let tiers = names.into_iter().map(|name| Tier::of(segments, name));
    tiers.map(|tier| tier.replicated(cast)).fold(Verdict::Yes, Verdict::and)
}

struct Tier<'a> {
    name: &'a str,
    /// Its historicals.
    historicals: u64,
    /// What they serve, without the health checker's own.
    served: Vec<&'a Served>,
}

impl<'a> Tier<'a> {
    fn of(segments: &'a Segments, name: &'a str) -> Self {
        let served = segments.served.iter().filter(|it| it.tier == name && it.datasource != CHECKER);
        let historicals = segments.historicals.iter().filter(|tier| *tier == name).count() as u64;
        Tier { name, historicals, served: served.collect() }
    }

    /// Neither count is enough alone: the sizes are of each datasource, and the brokers' numbers of each segment.
    fn replicated(&self, cast: &Cast) -> Verdict {
        self.by_size().and(self.by_brokers(cast))
    }

    /// By the word of the brokers, which count the historicals of each segment. Where none can, nothing speaks against it.
    fn by_brokers(&self, cast: &Cast) -> Verdict {
        let brokers = || cast.of_role(Role::Broker);
        let counts: Vec<_> = brokers()
            .filter(|broker| broker.well().is_yes())
            .filter_map(|broker| Some((broker.pod(), broker.said()?.spread.found()?)))
            .filter(|(_, spread)| self.seen(spread, |_| true) >= self.to_be(1))
            .collect();
        if counts.is_empty() {
            return brokers().map(unknown).fold(Verdict::Yes, Verdict::and);
        }
        Verdict::unless(counts.iter().filter_map(|(pod, spread)| self.short(pod, spread)).collect())
    }

    /// How many segments a broker sees on a number of historicals. One that watches some of the segments only sees too few in all
    /// (`druid.broker.segment.watchedTiers`).
    fn seen(&self, spread: &[Spread], replicas: impl Fn(u64) -> bool) -> u64 {
        let there = spread.iter().filter(|it| it.tier == self.name && replicas(it.replicas));
        sum(there.map(|it| it.segments))
    }

    /// How many segments are to be on so many historicals or more. The coordinator counts those that a stream still fills as well.
    fn to_be(&self, replicas: u64) -> u64 {
        let there = self.served.iter().filter(|served| replicas == 1 || self.wanted(served) >= replicas);
        sum(there.map(|served| served.segments))
    }

    /// There cannot be more replicas than historicals.
    fn wanted(&self, served: &Served) -> u64 {
        served.promised.min(self.historicals)
    }

    /// Fewer segments are on some number of historicals than are to be, of all datasources together. A segment that is on none is
    /// with the tasks of a stream, which no restart of a historical takes away.
    fn short(&self, broker: &str, spread: &[Spread]) -> Option<String> {
        (2..=self.historicals).find_map(|replicas| {
            let enough = self.seen(spread, |on| on == 0 || on >= replicas);
            let short = self.to_be(replicas).saturating_sub(enough);
            let tier = self.name;
            (short > 0).then(|| {
                format!("{broker} sees {short} segments on fewer than {replicas} historicals of {tier}")
            })
        })
    }

    /// They serve as many bytes of each datasource as they are to, which one segment too few and another one too many can hide.
    fn by_size(&self) -> Verdict {
        let thin = self.served.iter().filter(|it| it.replicated < it.once.saturating_mul(self.wanted(it)));
        let thin = thin.map(|it| {
            format!("historicals in {} still have to load replicas of {}", self.name, it.datasource)
        });
        Verdict::unless(thin.collect())
    }
}

/// A broker that might see too few replicas, if it could be heard. One that never answers such questions would not.
fn unknown(broker: &Process) -> Verdict {
    match (&broker.voice.heard, broker.said().map(|said| &said.spread)) {
        (Heard::Nothing(_), _) => broker.voice.silence(),
        (_, Some(Lookup::Unreadable(why))) => {
            Verdict::Unknown { why: vec![format!("{}: {why}", broker.pod())] }
        }
        _ => Verdict::Yes,
    }
}

fn sum(numbers: impl Iterator<Item = u64>) -> u64 {
    numbers.fold(0, u64::saturating_add)
}
