//! The servers of an ensemble, each with what it said.

use std::collections::BTreeMap;

use crate::kinds::heard::{Heard, Voice};
use crate::model::evidence::zookeeper::{Answers, Monitor, Pod};
use crate::model::{Roster, Verdict};

/// All servers that the workload is to have.
pub struct Ensemble<'a> {
    pub seats: Vec<Seat<'a>>,
    /// How many of them vote. KubeDB makes every server a voter; one that calls itself an observer is none.
    pub voters: usize,
}

/// One server.
pub struct Seat<'a>(pub Voice<'a, Pod>);

impl<'a> Ensemble<'a> {
    /// Each place with the answer of the very pod that is in it.
    pub fn of(answers: &'a Answers, roster: &'a Roster) -> Self {
        let seats: Vec<_> = roster.places.iter().map(|place| Seat(Voice::of(place, &answers.pods))).collect();
        let voters = seats.iter().filter(|seat| seat.votes()).count();
        Ensemble { seats, voters }
    }

    /// Those that say that they lead. For a second after a pause of a process there may be two.
    pub fn leaders(&self) -> impl Iterator<Item = &Seat<'a>> {
        self.seats.iter().filter(|seat| seat.leads())
    }

    /// The leader, if exactly one server says that it is.
    pub fn leader(&self) -> Option<Leader<'_>> {
        let mut leaders = self.leaders();
        match (leaders.next(), leaders.next()) {
            (Some(seat), None) => seat.monitor().map(|monitor| Leader { seat, monitor }),
            _ => None,
        }
    }

    /// Why [`Ensemble::leader`] names none. A server that could not be asked may be it.
    pub fn no_single_leader(&self) -> Verdict {
        let leaders: Vec<_> = self.leaders().map(Seat::pod).collect();
        if !leaders.is_empty() {
            return Verdict::No { why: vec![format!("{} all say that they lead", leaders.join(", "))] };
        }
        let why = vec!["no server says that it leads".to_owned()];
        match self.seats.iter().any(Seat::is_unheard) {
            true => Verdict::Unknown { why },
            false => Verdict::No { why },
        }
    }

    /// How many servers that vote say that they follow and serve.
    pub fn serving_followers(&self) -> usize {
        self.seats.iter().filter(|seat| seat.serves() && seat.votes() && !seat.leads()).count()
    }

    /// The pods of each version.
    pub fn versions(&self) -> BTreeMap<&str, Vec<&str>> {
        let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for seat in self.seats.iter().filter(|seat| !seat.version().is_empty()) {
            versions.entry(seat.version()).or_default().push(seat.pod());
        }
        versions
    }
}

impl Seat<'_> {
    pub fn pod(&self) -> &str {
        &self.0.place.pod
    }

    /// It is Ready, and there is no answer of use.
    pub fn is_unheard(&self) -> bool {
        matches!(self.0.heard, Heard::Nothing(_))
    }

    /// What it says while it serves.
    fn monitor(&self) -> Option<&Monitor> {
        match self.0.said()? {
            Pod::Serving(monitor) => Some(monitor),
            Pod::NotServing => None,
        }
    }

    /// It is missing or not Ready, so it was not asked.
    pub fn is_not_ready(&self) -> bool {
        matches!(self.0.heard, Heard::NotReady)
    }

    /// It takes part: it serves what the leader has committed.
    pub fn serves(&self) -> bool {
        let Some(monitor) = self.monitor() else { return false };
        matches!(
            (monitor.server_state.as_str(), monitor.peer_state.as_str()),
            ("leader", "leading - broadcast")
                | ("follower", "following - broadcast")
                | ("observer", "observing - broadcast")
        )
    }

    /// A server without an ensemble, where one server is all that there is to be.
    pub fn is_alone(&self, voters: usize) -> bool {
        voters == 1 && self.role() == "standalone"
    }

    /// It says that it leads, whether or not it does so by now.
    pub fn leads(&self) -> bool {
        self.role() == "leader"
    }

    pub fn votes(&self) -> bool {
        self.role() != "observer"
    }

    /// What it says that it is.
    pub fn role(&self) -> &str {
        self.monitor().map_or("server", |monitor| &monitor.server_state)
    }

    pub fn version(&self) -> &str {
        self.monitor().map_or("", |monitor| &monitor.version)
    }

    /// For a table of members.
    pub fn state(&self) -> &str {
        match self.0.heard {
            Heard::NotReady if self.0.place.uid.is_empty() => "missing",
            Heard::NotReady => "not Ready",
            Heard::Nothing(_) => "unknown",
            Heard::Said(Pod::NotServing) => "not serving requests",
            Heard::Said(Pod::Serving(monitor)) if monitor.peer_state.is_empty() => &monitor.server_state,
            Heard::Said(Pod::Serving(monitor)) => &monitor.peer_state,
        }
    }

    /// It takes part in an ensemble of so many voters.
    pub fn well(&self, voters: usize) -> Verdict {
        let (pod, state) = (self.pod(), self.state());
        let no = |why: String| Verdict::No { why: vec![why] };
        match self.0.said() {
            None => self.0.silence(),
            Some(Pod::NotServing) => no(format!("{pod} is {state}")),
            Some(Pod::Serving(_)) if !self.serves() => no(format!("{pod} says {state}")),
            Some(Pod::Serving(monitor)) => match monitor.quorum_size {
                Some(size) if size as usize == voters => Verdict::Yes,
                Some(size) => no(format!("{pod} is in an ensemble of {size}, not of {voters}")),
                None => Verdict::Unknown { why: vec![format!("{pod} does not tell its zk_quorum_size")] },
            },
        }
    }
}

/// The one server that says that it leads.
pub struct Leader<'a> {
    pub seat: &'a Seat<'a>,
    monitor: &'a Monitor,
}

impl Leader<'_> {
    /// It counts at least those followers as in sync.
    pub fn counts(&self, followers: usize) -> Verdict {
        let Some(synced) = self.monitor.synced_followers else { return self.silent("zk_synced_followers") };
        let short = (synced as usize) < followers;
        Verdict::unless(short.then(|| self.out_of_sync(synced, followers)).into_iter().collect())
    }

    /// Every follower is in sync, and no client waits for that.
    pub fn followers_are_in_sync(&self, voters: usize) -> Verdict {
        let Some(synced) = self.monitor.synced_followers else { return self.silent("zk_synced_followers") };
        let Some(pending) = self.monitor.pending_syncs else { return self.silent("zk_pending_syncs") };
        let followers = voters.saturating_sub(1);
        let mut why = Vec::new();
        why.extend((synced as usize != followers).then(|| self.out_of_sync(synced, followers)));
        why.extend((pending > 0).then(|| format!("leader {} has pending syncs", self.seat.pod())));
        Verdict::unless(why)
    }

    fn silent(&self, key: &str) -> Verdict {
        Verdict::Unknown { why: vec![format!("leader {} does not tell its {key}", self.seat.pod())] }
    }

    fn out_of_sync(&self, synced: u32, followers: usize) -> String {
        format!("leader {} has {synced} of {followers} followers in sync", self.seat.pod())
    }
}
