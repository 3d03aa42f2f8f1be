//! One member of a simulated database.

use serde_json::Value;
use tokio::time::Instant;

use crate::kubedb::kind::Kind;
use crate::object;
use crate::read::{is_ready, label, list, text};

/// The process of a pod, as its database sees it.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub pod: String,
    pub uid: String,
    /// `broker`, `controller`, `combined`, `rack-r0`, `historicals` and so on, or `standalone`.
    pub role: String,
    pub ordinal: i32,
    pub address: String,
    /// The tag of the database's image.
    pub version: String,
    /// The database's container runs, so that its ports are open.
    pub running: bool,
    /// Since when the pod has been Ready without a break.
    pub ready: Option<Instant>,
    /// Its place in it, while the member is in.
    pub joined: Option<Joined>,
    /// When it was last in.
    pub left: Option<Instant>,
    /// Since when a middleManager takes no new tasks.
    pub disabled: Option<Instant>,
    /// A Cassandra node that has said farewell, and serves nobody until it is started again.
    pub drained: bool,
}

/// What a process is told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    /// A middleManager takes no new tasks.
    Disable,
    /// It takes them again.
    Enable,
    /// A Cassandra node serves nobody any more.
    Drain,
    /// A Cassandra node rewrites its old sstables.
    Rewrite,
}

/// How a member came in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Joined {
    /// Its place in the order of joining.
    pub place: u64,
    /// When; `None` if it was always in.
    pub at: Option<Instant>,
}

impl Member {
    /// A pod that nothing is known of yet.
    pub fn new(pod: &Value) -> Self {
        let name = object::name(pod);
        let ordinal = name.rsplit('-').next().and_then(|digits| digits.parse().ok()).unwrap_or_default();
        Self {
            pod: name.to_owned(),
            uid: object::uid(pod).to_owned(),
            role: role(pod).to_owned(),
            ordinal,
            address: String::new(),
            version: String::new(),
            running: false,
            ready: None,
            joined: None,
            left: None,
            disabled: None,
            drained: false,
        }
    }

    /// Takes in what the store says of the pod at a time. `false` if that has brought the member out.
    pub fn observe(&mut self, kind: Kind, pod: &Value, at: Instant) -> bool {
        text(pod, "/status/podIP").clone_into(&mut self.address);
        self.version = version(kind, pod);
        self.running = !object::is_terminating(pod) && runs(kind, pod);
        if self.running && is_ready(pod) {
            self.ready = self.ready.or(Some(at));
            return true;
        }
        self.ready = None;
        let was_in = self.joined.take().is_some();
        if was_in {
            self.left = Some(at);
        }
        !was_in
    }

    /// Does what the process is told at a time.
    pub fn obey(&mut self, deed: Deed, at: Instant) {
        match deed {
            Deed::Disable => self.disabled = self.disabled.or(Some(at)),
            Deed::Enable => self.disabled = None,
            Deed::Drain => self.drained = true,
            // That is on its disk.
            Deed::Rewrite => {}
        }
    }

    pub fn is_in(&self) -> bool {
        self.joined.is_some()
    }

    /// Whether it is Ready, and still on its way in.
    pub fn is_on_its_way(&self) -> bool {
        self.ready.is_some() && self.joined.is_none()
    }
}

/// What a pod is in its database.
pub(super) fn role(pod: &Value) -> &str {
    let roles = [label(pod, "kubedb.com/role"), label(pod, "kubedb.com/petset")];
    roles.into_iter().find(|role| !role.is_empty()).unwrap_or_default()
}

/// Whether the database's container runs.
fn runs(kind: Kind, pod: &Value) -> bool {
    let mut statuses = list(pod, "/status/containerStatuses").iter();
    statuses.any(|status| status["name"] == kind.container() && status["state"]["running"].is_object())
}

fn version(kind: Kind, pod: &Value) -> String {
    let mut containers = list(pod, "/spec/containers").iter();
    let container = containers.find(|container| container["name"] == kind.container());
    let image = container.map(|container| text(container, "/image")).unwrap_or_default();
    let image = image.split('@').next().unwrap_or_default();
    image.rsplit_once(':').map(|(_, tag)| tag).unwrap_or_default().to_owned()
}
