//! The simulated databases: the processes in the pods of KubeDB's databases.
//!
//! Each has members that are in or out, leaders, contents, and troubles on demand. A member is in once its pod has been
//! Ready for a while ([`Behaviour::rejoin`](crate::Behaviour)), and out the moment its pod is no longer Ready. The pods
//! answer on the ports and in the protocol of their database, written from its specification. Besides, the truth can be
//! asked: who leads, and whether a database can bear that a pod goes.

mod address;
mod answers;
mod asker;
mod cassandra;
mod contents;
mod disk;
mod druid;
mod hazelcast;
mod http;
mod id;
mod judge;
mod kafka;
mod levels;
mod member;
mod membership;
mod office;
mod serve;
mod state;
mod trouble;
mod view;
mod zookeeper;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::DuplexStream;
use tokio::time::Instant;

use self::address::{Address, PODS};
use self::asker::Asker;
use self::state::State;
use self::view::View;
use crate::behaviour::LiveBehaviour;
use crate::execution::Ended;
use crate::kubedb::kind::Kind;
use crate::store::Store;

pub use self::contents::{Contents, Datasource, Keyspace, Topic};
pub use self::disk::{Disk, Sstable};
pub use self::state::Departure;
pub use self::trouble::{Misanswer, Mishap, Trouble};

/// The simulated databases of a cluster. Clones are the same ones.
#[derive(Clone)]
pub struct Databases(Arc<Shared>);

struct Shared {
    store: Store,
    behaviour: LiveBehaviour,
    state: Mutex<State>,
}

impl Databases {
    pub(crate) fn new(store: &Store, behaviour: &LiveBehaviour) -> Self {
        Self(Arc::new(Shared {
            state: Mutex::new(State::new(store.subscribe(), store.clock())),
            store: store.clone(),
            behaviour: behaviour.clone(),
        }))
    }

    /// Whether the database of a pod can bear that it goes now.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn can_bear(&self, namespace: &str, pod: &str) -> Result<(), String> {
        let view = self.address_of(namespace, pod).and_then(|address| self.view(&address));
        view.map_or(Ok(()), |view| judge::can_bear(&view, pod))
    }

    /// Every pod that was deleted or evicted so far (the last 10,000), with the judgement of that moment.
    pub fn departures(&self) -> Vec<Departure> {
        self.now().departures()
    }

    /// The pod that holds an office in a database: `controller` of a Kafka, `leader` of a ZooKeeper, `master` of a
    /// Hazelcast, `coordinator` and `overlord` of a Druid.
    pub fn leader(&self, namespace: &str, database: &str, office: &str) -> Option<String> {
        self.views(namespace, database).find_map(|view| view.membership.leaders.get(office).cloned())
    }

    /// How often an office of a database has got another holder.
    pub fn elections(&self, namespace: &str, database: &str, office: &str) -> u32 {
        self.views(namespace, database)
            .filter_map(|view| view.membership.elections.get(office).copied())
            .sum()
    }

    /// The pods that are in their database, by name.
    pub fn present(&self, namespace: &str, database: &str) -> Vec<String> {
        let present = |view: View| -> Vec<String> {
            view.present(&[]).into_iter().map(|member| member.pod.clone()).collect()
        };
        self.views(namespace, database).flat_map(present).collect()
    }

    /// The middleManagers of a Druid that were told to take no new tasks, by name.
    pub fn disabled(&self, namespace: &str, database: &str) -> Vec<String> {
        let disabled = |view: View| -> Vec<String> {
            let members = view.membership.members.values().filter(|member| member.disabled.is_some());
            members.map(|member| member.pod.clone()).collect()
        };
        self.views(namespace, database).flat_map(disabled).collect()
    }

    /// Gives an office of a database to another member, which nobody has asked for.
    pub fn move_leader(&self, namespace: &str, database: &str, office: &str) {
        let mut state = self.now();
        for address in state.addresses(namespace, database) {
            state.pass_on(&address, Some(office));
        }
    }

    /// From now on this is stored in a database.
    pub fn fill(&self, namespace: &str, database: &str, contents: &Contents) {
        let mut state = self.now();
        for address in state.addresses(namespace, database) {
            state.fill(&address, contents.clone());
        }
    }

    /// What is stored in a database.
    pub fn contents(&self, namespace: &str, database: &str) -> Contents {
        self.views(namespace, database).map(|view| view.contents).next().unwrap_or_default()
    }

    /// From now on these levels of features are in force in a Kafka. Those at level 0 are not listed.
    pub fn finalize(&self, namespace: &str, database: &str, levels: &[(&str, i16)]) {
        let mut state = self.now();
        for address in state.addresses(namespace, database) {
            let levels = levels.iter().map(|(feature, level)| ((*feature).to_owned(), *level));
            state.finalize(&address, levels.collect());
        }
    }

    /// The levels of features that are in force in a Kafka.
    pub fn features(&self, namespace: &str, database: &str) -> BTreeMap<String, i16> {
        self.views(namespace, database).map(|view| view.features).next().unwrap_or_default()
    }

    /// How often the features of a Kafka have been changed.
    pub fn feature_changes(&self, namespace: &str, database: &str) -> u32 {
        self.views(namespace, database).map(|view| view.feature_changes).sum()
    }

    /// From now on this is on the disk of a Cassandra node.
    pub fn put(&self, namespace: &str, pod: &str, disk: Disk) {
        if let Some(address) = self.address_of(namespace, pod) {
            self.now().put(&address, pod, disk);
        }
    }

    /// What is on the disk of a Cassandra node.
    pub fn disk(&self, namespace: &str, pod: &str) -> Disk {
        let view = self.address_of(namespace, pod).and_then(|address| self.view(&address));
        view.map(|view| view.disk(pod)).unwrap_or_default()
    }

    /// Something is wrong from now on.
    pub fn trouble(&self, trouble: Trouble) {
        self.now().trouble(trouble, None);
    }

    /// Something is wrong for a time.
    pub fn trouble_for(&self, trouble: Trouble, duration: Duration) {
        self.now().trouble(trouble, Instant::now().checked_add(duration));
    }

    /// This trouble is over.
    pub fn heal(&self, trouble: &Trouble) {
        self.now().heal(|other| other == trouble);
    }

    /// All troubles are over.
    pub fn heal_all(&self) {
        self.now().heal(|_| true);
    }

    /// From now on Cassandra's nodes have a management API on port 8081.
    pub fn serve_management_api(&self) {
        self.now().managed = true;
    }

    /// From now on no simulated process answers in any pod: the pods belong to real ones.
    pub fn retire(&self) {
        self.now().retired = true;
    }

    /// A database has been up for long: every member that is Ready has always been in.
    pub(crate) fn settle(&self, kind: Kind, namespace: &str, name: &str) {
        let address = Address { namespace: namespace.to_owned(), kind, name: name.to_owned() };
        self.now().settle(&address);
    }

    /// Takes in what happens while nobody asks, so that it does not pile up.
    pub(crate) fn follow(&self) -> impl Future<Output = ()> + Send + 'static {
        let (mut changes, databases) = (self.0.store.subscribe(), self.clone());
        async move {
            while changes.next().await.is_some() {
                while changes.try_next().is_some() {}
                drop(databases.now());
            }
        }
    }

    /// A connection to the process in a pod, if one listens there.
    pub fn connect(&self, namespace: &str, pod: &str, port: u16) -> Option<DuplexStream> {
        if self.now().retired {
            return None;
        }
        let address = self.address_of(namespace, pod)?;
        let uid = self.view(&address)?.member(pod)?.uid.clone();
        serve::connect(Asker::new(self.clone(), address, pod, uid), port)
    }

    /// Runs a command in a container of a pod.
    pub(crate) async fn execute(
        &self,
        namespace: &str,
        pod: &str,
        container: &str,
        words: &[String],
    ) -> Ended {
        let retired = self.now().retired;
        let address = self.address_of(namespace, pod).filter(|_| !retired);
        let asker = address.and_then(|address| {
            let uid = self.view(&address)?.member(pod)?.uid.clone();
            Some((address.kind, Asker::new(self.clone(), address, pod, uid)))
        });
        match asker {
            Some((Kind::Cassandra, asker)) if container == Kind::Cassandra.container() => {
                cassandra::execute(&asker, words).await
            }
            _ => {
                let program = words.first().map(String::as_str).unwrap_or_default();
                Ended::failed(127, &format!("{program}: not simulated"))
            }
        }
    }

    fn address_of(&self, namespace: &str, pod: &str) -> Option<Address> {
        let pod = self.0.store.get(PODS, namespace, pod)?;
        self.now().address_of(&pod)
    }

    fn view(&self, address: &Address) -> Option<View> {
        self.now().view(address, Instant::now())
    }

    fn views(&self, namespace: &str, database: &str) -> impl Iterator<Item = View> {
        let state = self.now();
        let now = Instant::now();
        let addresses = state.addresses(namespace, database).into_iter();
        let views: Vec<View> = addresses.filter_map(|address| state.view(&address, now)).collect();
        views.into_iter()
    }

    /// The user and the password of a database, from its Secret.
    fn credentials(&self, address: &Address) -> Option<(String, String)> {
        let secret = self.0.store.get("secrets", &address.namespace, &format!("{}-auth", address.name))?;
        let decoded = |key: &str| {
            let text = secret["data"][key].as_str()?;
            String::from_utf8(STANDARD.decode(text).ok()?).ok()
        };
        Some((decoded("username")?, decoded("password")?))
    }

    /// The state, up to this moment.
    fn now(&self) -> MutexGuard<'_, State> {
        // A panic cannot leave it half changed in a way that matters to a test, which has failed by then.
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.catch_up(self.0.behaviour.read(|behaviour| behaviour.rejoin));
        state
    }
}
