//! Objects, their history and who listens: everything under the store's one lock.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::change::{Change, ChangeKind};
use crate::object;
use crate::resources::Resource;

/// Namespace and name; the order is that of lists.
pub(super) type Key = (String, String);

pub(super) type Objects = BTreeMap<Key, Arc<Value>>;

/// How many changes a watch can go back, as the watch cache of a busy server would keep.
const HISTORY: usize = 10_000;

/// How long an old state can be read: a server compacts what is older every five minutes.
const READABLE: Duration = Duration::from_secs(300);

pub(super) struct State {
    pub version: u64,
    pub objects: HashMap<&'static str, Objects>,
    history: VecDeque<Arc<Change>>,
    /// Changes up to this version can no longer be replayed.
    pub compacted: u64,
    subscribers: Vec<Subscriber>,
    random: u64,
}

struct Subscriber {
    res: Option<String>,
    sender: mpsc::UnboundedSender<Arc<Change>>,
}

impl State {
    pub fn new() -> Self {
        Self {
            version: 1,
            objects: HashMap::new(),
            history: VecDeque::new(),
            compacted: 0,
            subscribers: Vec::new(),
            random: 0,
        }
    }

    pub fn get(&self, resource: &Resource, key: &Key) -> Option<&Arc<Value>> {
        self.objects.get(resource.name)?.get(key)
    }

    /// Stores `object` under the next resourceVersion and tells everybody.
    pub fn put(&mut self, resource: &'static Resource, key: Key, mut object: Value) -> Arc<Value> {
        let version = self.stamp(&mut object);
        let object = Arc::new(object);
        let previous = self.objects.entry(resource.name).or_default().insert(key.clone(), object.clone());
        let kind = if previous.is_some() { ChangeKind::Modified } else { ChangeKind::Added };
        self.publish(resource, key, kind, object.clone(), previous, version);
        object
    }

    /// Removes the object; `last` is its state as the deletion shows it.
    pub fn remove(&mut self, resource: &'static Resource, key: Key, mut last: Value) -> Arc<Value> {
        let previous = self.objects.get_mut(resource.name).and_then(|objects| objects.remove(&key));
        let version = self.stamp(&mut last);
        let object = Arc::new(last);
        self.publish(resource, key, ChangeKind::Deleted, object.clone(), previous, version);
        object
    }

    fn stamp(&mut self, object: &mut Value) -> u64 {
        self.version += 1;
        object::metadata_mut(object).insert("resourceVersion".into(), json!(self.version.to_string()));
        self.version
    }

    fn publish(
        &mut self,
        resource: &'static Resource,
        (namespace, name): Key,
        kind: ChangeKind,
        object: Arc<Value>,
        previous: Option<Arc<Value>>,
        version: u64,
    ) {
        let change = Arc::new(Change {
            res: resource.name.to_owned(),
            namespace,
            name,
            kind,
            object,
            previous,
            version,
            at: Instant::now(),
        });
        self.subscribers.retain(|subscriber| {
            let wanted = subscriber.res.as_deref().is_none_or(|res| res == change.res);
            if wanted {
                subscriber.sender.send(change.clone()).is_ok()
            } else {
                !subscriber.sender.is_closed()
            }
        });
        self.history.push_back(change);
        if self.history.len() > HISTORY
            && let Some(oldest) = self.history.pop_front()
        {
            self.compacted = oldest.version;
        }
    }

    /// Forgets the history up to `version`.
    pub fn compact(&mut self, version: u64) {
        self.compacted = self.compacted.max(version.min(self.version));
        let keep = self.history.partition_point(|change| change.version <= self.compacted);
        self.history.drain(..keep);
    }

    /// Changes of `res` (of everything, without one) that are newer than `version`, then those to come.
    pub fn subscribe(&mut self, res: Option<&str>, version: u64) -> mpsc::UnboundedReceiver<Arc<Change>> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let start = self.history.partition_point(|change| change.version <= version);
        for change in self.history.range(start..) {
            if res.is_none_or(|res| res == change.res) {
                // The receiver is in this very function.
                let _ = sender.send(change.clone());
            }
        }
        self.subscribers.push(Subscriber { res: res.map(str::to_owned), sender });
        receiver
    }

    /// The objects of a resource as they were at `version`, by undoing what came later; `None` when that is too long
    /// ago.
    pub fn objects_at(&self, resource: &Resource, version: u64) -> Option<Objects> {
        if version < self.compacted || version < self.forgotten() {
            return None;
        }
        let mut objects = self.objects.get(resource.name).cloned().unwrap_or_default();
        for change in self.history.iter().rev().take_while(|change| change.version > version) {
            if change.res != resource.name {
                continue;
            }
            let key = (change.namespace.clone(), change.name.clone());
            match &change.previous {
                Some(previous) => objects.insert(key, previous.clone()),
                None => objects.remove(&key),
            };
        }
        Some(objects)
    }

    /// The version up to which old states can no longer be read, though watches from there still can be served.
    fn forgotten(&self) -> u64 {
        let Some(since) = Instant::now().checked_sub(READABLE) else { return 0 };
        let recent = self.history.partition_point(|change| change.at <= since);
        recent.checked_sub(1).and_then(|last| self.history.get(last)).map_or(0, |change| change.version)
    }

    /// A uid; the same sequence in every store, so that runs can be compared.
    pub fn next_uid(&mut self) -> String {
        let (high, low) = (self.next_random(), self.next_random());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xfff,
            (low >> 48) & 0x3fff | 0x8000,
            low & 0xffff_ffff_ffff
        )
    }

    /// Five characters for `generateName`, from the alphabet that Kubernetes uses.
    pub fn next_suffix(&mut self) -> String {
        const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        let mut random = self.next_random();
        let mut suffix = String::new();
        for _ in 0..5 {
            suffix.push(char::from(ALPHABET[(random % ALPHABET.len() as u64) as usize]));
            random /= ALPHABET.len() as u64;
        }
        suffix
    }

    /// SplitMix64: well spread and without a dependency; nothing here is a secret.
    fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
