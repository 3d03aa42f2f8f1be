//! Pods whose containers run outside of the simulation, as real processes for example.
//!
//! The kubelet brings such a pod up to the point at which its containers start. Then it gives an [`Order`], and the
//! [`Report`]s that come back decide when the pod is Ready, when its containers have exited, and when it is gone.

use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::object;
use crate::pattern::Pattern;

/// What the kubelet wants of whoever runs a pod's containers. Pods are told apart by uid: the next pod of the same name is
/// another one, and its containers start only when those of the one before have exited.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    /// Start the containers of this pod. Given again after each [`Report::Exited`] of a pod that is to go on.
    Start(Arc<Value>),
    /// Ask the containers to exit.
    Stop {
        /// The pod's uid.
        uid: String,
    },
    /// End the containers now: the pod's grace is over, or the pod has been deleted by force.
    Kill {
        /// The pod's uid.
        uid: String,
    },
}

/// What has become of a pod's containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// The readiness probe has succeeded, or fails.
    Ready(bool),
    /// The first container has exited with this code, and the others with it.
    Exited(i32),
}

/// The pods that are run from outside. None at first. Clones share them.
#[derive(Clone)]
pub struct Outside(Arc<Shared>);

struct Shared {
    pods: Mutex<Option<Taken>>,
    commands: Mutex<Option<Commands>>,
    reports: UnboundedSender<(String, Report)>,
    /// Until the controllers take it.
    heard: Mutex<Option<Reports>>,
}

/// The reports as they come in, with the uid of their pod.
pub(crate) type Reports = UnboundedReceiver<(String, Report)>;

/// What is run for a command: given the pod, the container and the words.
type Commands = Arc<dyn Fn(&Value, &str, &[String]) -> Command + Send + Sync>;

struct Taken {
    namespace: String,
    names: Pattern,
    orders: UnboundedSender<Order>,
}

impl Default for Outside {
    fn default() -> Self {
        let (reports, heard) = unbounded_channel();
        let heard = Mutex::new(Some(heard));
        Self(Arc::new(Shared { pods: Mutex::default(), commands: Mutex::default(), reports, heard }))
    }
}

impl Outside {
    /// From now on whoever reads the orders runs the pods of this namespace whose names match. `*` stands for any text. A later
    /// call takes the place of an earlier one.
    ///
    /// A pod that is there already and Ready gets no [`Order::Start`]: its containers run.
    pub fn take(&self, namespace: &str, names: &str) -> UnboundedReceiver<Order> {
        let (orders, given) = unbounded_channel();
        *lock(&self.0.pods) =
            Some(Taken { namespace: namespace.to_owned(), names: Pattern::new(names), orders });
        given
    }

    /// Tells the kubelet what has become of the containers of the pod with this uid. About a pod that is gone it is not heard.
    pub fn report(&self, uid: &str, report: Report) {
        // Without controllers nobody listens.
        let _ = self.0.reports.send((uid.to_owned(), report));
    }

    /// From now on a command that is to be run in a container of such a pod is the process that this makes of the pod, the name
    /// of the container and the words. Its input, output and standard error are the client's.
    pub fn run_commands(&self, command: impl Fn(&Value, &str, &[String]) -> Command + Send + Sync + 'static) {
        *lock(&self.0.commands) = Some(Arc::new(command));
    }

    /// The process that a command in this pod is, if it is run from outside.
    pub(crate) fn execution(&self, pod: &Value, container: &str, words: &[String]) -> Option<Command> {
        let commands = lock(&self.0.commands).clone().filter(|_| self.runs(pod))?;
        Some(commands(pod, container, words))
    }

    /// Whether this pod is run from outside.
    pub(crate) fn runs(&self, pod: &Value) -> bool {
        lock(&self.0.pods).as_ref().is_some_and(|taken| taken.fits(pod))
    }

    pub(crate) fn order(&self, order: Order) {
        if let Some(taken) = lock(&self.0.pods).as_ref() {
            // Whoever ran the pods may have left: then they stay as they are.
            let _ = taken.orders.send(order);
        }
    }

    /// The reports; for whoever calls first.
    pub(crate) fn reports(&self) -> Option<Reports> {
        lock(&self.0.heard).take()
    }
}

impl Taken {
    fn fits(&self, pod: &Value) -> bool {
        object::namespace(pod) == self.namespace && self.names.matches(object::name(pod))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
