//! The simulated databases over time. What has happened is played back from the changes of the store, each at its own
//! moment, so that it does not matter who asks when.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::address::{Address, PODS};
use super::contents::Contents;
use super::disk::{self, Disk, Volume};
use super::judge;
use super::levels::{self, Levels};
use super::member::{Deed, Member, role};
use super::membership::Membership;
use super::office::{Office, offices};
use super::trouble::{Mishap, Timed, Trouble, means};
use super::view::{View, Wanted, size_for};
use crate::clock::Clock;
use crate::kubedb::kind::Kind;
use crate::kubedb::layout;
use crate::object;
use crate::read::{label, text};
use crate::store::{Change, ChangeKind, Subscription};

/// How many departures are remembered. A test causes far fewer; a served sandbox must not grow for ever.
const REMEMBERED: usize = 10_000;

/// A pod that was deleted or evicted, and whether its database could bear it in that moment.
#[derive(Clone, Debug)]
pub struct Departure {
    /// When.
    pub at: Instant,
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub pod: String,
    /// The pod's uid.
    pub uid: String,
    /// Why its database could not bear it, if it could not.
    pub borne: Result<(), String>,
    /// For how long no member had joined or left and no leader had changed.
    pub quiet: Duration,
}

/// One database.
struct Base {
    object: Arc<Value>,
    wanted: Vec<Wanted>,
    membership: Arc<Membership>,
    /// What is stored in it, if that is not as usual.
    contents: Option<Contents>,
    /// Of a Kafka, the levels of its features that are in force, which outlast its pods.
    features: Levels,
    feature_changes: u32,
    /// The disks of Cassandra's nodes, by the names of their pods, if they are not as usual.
    volumes: Arc<BTreeMap<String, Volume>>,
}

/// All databases up to a moment.
pub(super) struct State {
    changes: Subscription,
    clock: Clock,
    /// From a pod's Ready until it is in.
    rejoin: Duration,
    bases: BTreeMap<Address, Base>,
    troubles: Vec<Timed>,
    departures: VecDeque<Departure>,
    /// When members that are Ready will be in: their database and their pod. Some may have gone since.
    due: BTreeSet<(Instant, Address, String)>,
    /// When the leaders of a database lose that to others.
    moves: BTreeSet<(Instant, Address)>,
    /// Whether Cassandra's nodes have a management API.
    pub managed: bool,
    /// Whether the pods belong to real processes.
    pub retired: bool,
    reached: Instant,
}

impl State {
    pub fn new(changes: Subscription, clock: Clock) -> Self {
        Self {
            changes,
            clock,
            rejoin: Duration::ZERO,
            bases: BTreeMap::new(),
            troubles: Vec::new(),
            departures: VecDeque::new(),
            due: BTreeSet::new(),
            moves: BTreeSet::new(),
            managed: false,
            retired: false,
            reached: Instant::now(),
        }
    }

    /// Plays back all that has happened until now, with this time from a pod's Ready until it is in.
    pub fn catch_up(&mut self, rejoin: Duration) {
        let now = Instant::now();
        if self.rejoin != rejoin {
            self.rejoin = rejoin;
            self.plan();
        }
        while let Some(change) = self.changes.try_next() {
            self.advance(change.at);
            self.apply(&change);
        }
        self.advance(now);
        let before = self.troubles.len();
        self.troubles.retain(|timed| timed.holds_at(now));
        if self.troubles.len() != before {
            self.plan();
        }
    }

    /// Lets time pass: members come in, and leaders move, each when it is due.
    fn advance(&mut self, to: Instant) {
        loop {
            let join = self.due.first().map(|(at, ..)| *at);
            let moves = self.moves.first().map(|(at, _)| *at);
            let Some(at) = join.into_iter().chain(moves).min().filter(|at| *at <= to) else { break };
            self.reached = self.reached.max(at);
            if join == Some(at) {
                self.join_first();
            } else if let Some((_, address)) = self.moves.pop_first() {
                self.pass_on(&address, None);
            }
        }
        self.reached = self.reached.max(to);
    }

    /// Lets the first member in that is due, if it still is.
    fn join_first(&mut self) {
        let Some((_, address, pod)) = self.due.pop_first() else { return };
        match self.due(&address, &pod) {
            Some(at) if at <= self.reached => self.admit(&address, &pod, Some(self.reached)),
            Some(at) => drop(self.due.insert((at, address, pod))),
            None => {}
        }
    }

    /// Finds out anew when each member is due.
    fn plan(&mut self) {
        let on_their_way = self.bases.iter().flat_map(|(address, base)| {
            let members = base.membership.members.values().filter(|member| member.is_on_its_way());
            members.map(move |member| (address, &member.pod))
        });
        let due = on_their_way
            .filter_map(|(address, pod)| Some((self.due(address, pod)?, address.clone(), pod.clone())));
        self.due = due.collect();
    }

    /// When a member that is Ready will be in; `None` if nobody knows.
    fn due(&self, address: &Address, pod: &str) -> Option<Instant> {
        let member = self.bases.get(address)?.membership.members.get(pod)?;
        let ready = member.ready.filter(|_| member.is_on_its_way())?;
        let usual = ready.checked_add(self.rejoin)?;
        let slow = self.troubles.iter().find_map(|timed| match &timed.trouble {
            Trouble::SlowRejoin { pods, delay } if means(pods, pod) => Some((*delay, timed.until)),
            _ => None,
        });
        let Some((delay, until)) = slow else { return Some(usual) };
        let late = ready.checked_add(delay).map(|late| late.max(usual));
        let healed = until.map(|until| until.max(usual));
        late.into_iter().chain(healed).min()
    }

    fn admit(&mut self, address: &Address, pod: &str, at: Option<Instant>) {
        let Some(base) = self.bases.get_mut(address) else { return };
        let membership = Arc::make_mut(&mut base.membership);
        membership.admit(pod, at);
        membership.rise(self.reached);
        base.elect();
    }

    /// Moves one office, or all, of a database to other members.
    pub fn pass_on(&mut self, address: &Address, only: Option<&str>) {
        let reached = self.reached;
        let Some(base) = self.bases.get_mut(address) else { return };
        for office in
            offices(address.kind).iter().filter(|office| only.is_none_or(|name| office.name == name))
        {
            Arc::make_mut(&mut base.membership).pass_on(office, reached);
        }
    }

    fn apply(&mut self, change: &Change) {
        if let Some(kind) = Kind::of_resource(&change.res) {
            let address = Address { namespace: change.namespace.clone(), kind, name: change.name.clone() };
            if change.kind == ChangeKind::Deleted {
                self.bases.remove(&address);
                return;
            }
            let base = self.bases.entry(address).or_insert_with(|| Base {
                object: change.object.clone(),
                wanted: Vec::new(),
                membership: Arc::new(Membership::new(kind, change.at)),
                contents: None,
                features: features(kind, &change.object),
                feature_changes: 0,
                volumes: Arc::default(),
            });
            base.object = change.object.clone();
            base.wanted = wanted(kind, &change.object);
        } else if change.res == PODS
            && let Some(address) = self.address_of(&change.object)
        {
            self.apply_pod(&address, change);
        }
    }

    fn apply_pod(&mut self, address: &Address, change: &Change) {
        let (pod, at) = (&change.object, change.at);
        let gone = change.kind == ChangeKind::Deleted;
        let goes = |pod: &Value| object::is_terminating(pod);
        if (gone || goes(pod)) && !change.previous.as_deref().is_some_and(goes) {
            self.note_departure(address, pod, at);
        }
        let Some(base) = self.bases.get_mut(address) else { return };
        if !base.observe(pod, gone, at) {
            let membership = Arc::make_mut(&mut base.membership);
            membership.changed = at;
            membership.rise(at);
            base.elect();
        }
        if let Some(due) = self.due(address, object::name(pod)) {
            self.due.insert((due, address.clone(), object::name(pod).to_owned()));
        }
    }

    fn note_departure(&mut self, address: &Address, pod: &Value, at: Instant) {
        let Some(view) = self.view(address, at) else { return };
        // A process of an older pod of that name has left before.
        if view.member(object::name(pod)).is_none_or(|member| member.uid != object::uid(pod)) {
            return;
        }
        self.departures.push_back(Departure {
            at,
            namespace: address.namespace.clone(),
            pod: object::name(pod).to_owned(),
            uid: object::uid(pod).to_owned(),
            borne: judge::can_bear(&view, object::name(pod)),
            quiet: at.saturating_duration_since(view.membership.changed),
        });
        if self.departures.len() > REMEMBERED {
            self.departures.pop_front();
        }
    }

    /// The database of a pod, if it is one of its members.
    pub fn address_of(&self, pod: &Value) -> Option<Address> {
        let kind = Kind::of_resource(label(pod, "app.kubernetes.io/name"))?;
        let name = label(pod, "app.kubernetes.io/instance").to_owned();
        let address = Address { namespace: object::namespace(pod).to_owned(), kind, name };
        let wanted = &self.bases.get(&address)?.wanted;
        wanted.iter().any(|wanted| wanted.role == role(pod)).then_some(address)
    }

    /// The databases of a name in a namespace, of which there is one as a rule.
    pub fn addresses(&self, namespace: &str, name: &str) -> Vec<Address> {
        let named = self.bases.keys().filter(|at| at.namespace == namespace && at.name == name);
        named.cloned().collect()
    }

    /// A database at a moment.
    pub fn view(&self, address: &Address, now: Instant) -> Option<View> {
        let base = self.bases.get(address)?;
        let wanted = base.wanted.clone();
        let size_of = |roles: &[&str]| {
            let counted = wanted.iter().filter(|w| roles.is_empty() || roles.contains(&w.role.as_str()));
            counted.map(|wanted| wanted.count).sum()
        };
        let contents = base.contents.clone().unwrap_or_else(|| Contents::usual(address.kind, size_of));
        let troubles = self.troubles.iter().filter(|timed| timed.holds_at(now));
        Some(View {
            namespace: address.namespace.clone(),
            name: address.name.clone(),
            uid: object::uid(&base.object).to_owned(),
            secured: base.object["spec"]["disableSecurity"] != true,
            wanted,
            membership: base.membership.clone(),
            contents,
            features: base.features.clone(),
            feature_changes: base.feature_changes,
            volumes: base.volumes.clone(),
            managed: self.managed,
            troubles: troubles.map(|timed| timed.trouble.clone()).collect(),
            now,
            wall: self.clock.now(),
        })
    }

    /// The database has been up for long: every member that is Ready has always been in.
    pub fn settle(&mut self, address: &Address) {
        let Some(base) = self.bases.get(address) else { return };
        let members = base.membership.members.values().filter(|member| member.is_on_its_way());
        let pods: Vec<String> = members.map(|member| member.pod.clone()).collect();
        for pod in pods {
            self.admit(address, &pod, None);
        }
        if let Some(base) = self.bases.get_mut(address) {
            Arc::make_mut(&mut base.membership).elections.clear();
        }
    }

    /// What is stored in a database from now on.
    pub fn fill(&mut self, address: &Address, contents: Contents) {
        if let Some(base) = self.bases.get_mut(address) {
            base.contents = Some(contents);
        }
    }

    /// The levels of a Kafka's features that are in force from now on.
    pub fn finalize(&mut self, address: &Address, levels: Levels) {
        if let Some(base) = self.bases.get_mut(address) {
            base.features = levels;
            base.feature_changes += 1;
        }
    }

    /// The first mishap to a change of features, which does not happen again.
    pub fn take_mishap(&mut self) -> Option<Mishap> {
        let at = self.troubles.iter().position(|timed| matches!(timed.trouble, Trouble::FeatureUpdate(_)))?;
        match self.troubles.remove(at).trouble {
            Trouble::FeatureUpdate(mishap) => Some(mishap),
            _ => None,
        }
    }

    pub fn trouble(&mut self, trouble: Trouble, until: Option<Instant>) {
        self.troubles.push(Timed { trouble, until });
        self.plan();
    }

    pub fn heal(&mut self, is_over: impl Fn(&Trouble) -> bool) {
        self.troubles.retain(|timed| !is_over(&timed.trouble));
        self.plan();
    }

    /// A member was asked, which some leaders do not stand for long.
    pub fn asked(&mut self, address: &Address) {
        let after = self.troubles.iter().find_map(|timed| match timed.trouble {
            Trouble::LeaderMoves { after } => Some(after),
            _ => None,
        });
        let moves = self.moves.iter().any(|(_, other)| other == address);
        if let Some(at) = after.filter(|_| !moves).and_then(|after| Instant::now().checked_add(after)) {
            self.moves.insert((at, address.clone()));
        }
    }

    /// A process is told to do something.
    pub fn obey(&mut self, address: &Address, pod: &str, deed: Deed) {
        let now = Instant::now();
        if deed == Deed::Rewrite {
            self.rewrite(address, pod, now);
        }
        let membership = self.bases.get_mut(address).map(|base| Arc::make_mut(&mut base.membership));
        if let Some(member) = membership.and_then(|membership| membership.members.get_mut(pod)) {
            member.obey(deed, now);
        }
    }

    /// A Cassandra node begins to rewrite its old sstables.
    fn rewrite(&mut self, address: &Address, pod: &str, now: Instant) {
        let Some(view) = self.view(address, now) else { return };
        let Some(to) = view.member(pod).map(|member| disk::written(&member.version, &view.contents)) else {
            return;
        };
        let breaks =
            view.any(|trouble| matches!(trouble, Trouble::CannotRewrite { pods } if means(pods, pod)));
        drop(view);
        if let Some(base) = self.bases.get_mut(address) {
            let volumes = Arc::make_mut(&mut base.volumes);
            volumes.entry(pod.to_owned()).or_default().rewrite(to, breaks, now);
        }
    }

    /// From now on this is on the disk of a Cassandra node.
    pub fn put(&mut self, address: &Address, pod: &str, disk: Disk) {
        if let Some(base) = self.bases.get_mut(address) {
            Arc::make_mut(&mut base.volumes).insert(pod.to_owned(), Volume::new(disk));
        }
    }

    pub fn departures(&self) -> Vec<Departure> {
        self.departures.iter().cloned().collect()
    }
}

impl Base {
    /// Takes in what the store says of a pod at a time; `false` if that has brought a member out.
    fn observe(&mut self, pod: &Value, gone: bool, at: Instant) -> bool {
        let kind = self.membership.kind;
        let members = &mut Arc::make_mut(&mut self.membership).members;
        let name = object::name(pod);
        let known = members.get(name).is_some_and(|member| member.uid == object::uid(pod));
        if gone {
            let left = if known { members.remove(name) } else { None };
            self.stop(name, at);
            return !left.is_some_and(|member| member.is_in());
        }
        if !known {
            members.insert(name.to_owned(), Member::new(pod));
        }
        let Some(member) = members.get_mut(name) else { return true };
        let unchanged = member.observe(kind, pod, at);
        if !member.running {
            self.stop(name, at);
        }
        unchanged
    }

    /// The process of a pod has ended, and what it did to its disk.
    fn stop(&mut self, pod: &str, at: Instant) {
        if self.volumes.get(pod).is_some_and(|volume| volume.rewriting.is_some())
            && let Some(volume) = Arc::make_mut(&mut self.volumes).get_mut(pod)
        {
            volume.stop(at);
        }
    }

    fn elect(&mut self) {
        Arc::make_mut(&mut self.membership).elect(|office: &Office| size_for(&self.wanted, office));
    }
}

/// What is in force in a database that is created.
fn features(kind: Kind, database: &Value) -> Levels {
    match kind {
        Kind::Kafka => levels::of_a_new_cluster(text(database, "/spec/version")),
        _ => Levels::new(),
    }
}

/// How many members of which roles a database should have.
fn wanted(kind: Kind, database: &Value) -> Vec<Wanted> {
    let members = layout::members(kind, database).into_iter();
    members
        .map(|member| Wanted {
            role: member.label.1,
            count: usize::try_from(member.replicas).unwrap_or_default(),
        })
        .collect()
}
