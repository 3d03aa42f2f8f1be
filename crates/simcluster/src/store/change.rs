//! What subscribers of a store hear.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::Stream;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It was created.
    Added,
    /// It was changed.
    Modified,
    /// It is gone.
    Deleted,
}

/// One change of one object.
#[derive(Clone, Debug)]
pub struct Change {
    /// The resource, `plural[.group]`.
    pub res: String,
    /// The object's namespace; empty for cluster-scoped objects.
    pub namespace: String,
    /// The object's name.
    pub name: String,
    /// What happened.
    pub kind: ChangeKind,
    /// The object after the change; for a deletion its last state, with the resourceVersion of the deletion.
    pub object: Arc<Value>,
    /// The object before the change; `None` when it was created.
    pub previous: Option<Arc<Value>>,
    /// The resourceVersion of this change.
    pub version: u64,
    /// When it was stored, before anybody was told.
    pub at: Instant,
}

/// A stream of changes in the order in which they happened. It never ends while the store lives.
#[derive(Debug)]
pub struct Subscription {
    pub(super) receiver: mpsc::UnboundedReceiver<Arc<Change>>,
}

impl Subscription {
    /// The next change; `None` once the store is gone.
    pub async fn next(&mut self) -> Option<Arc<Change>> {
        self.receiver.recv().await
    }

    /// A change that is already there, without waiting.
    pub fn try_next(&mut self) -> Option<Arc<Change>> {
        self.receiver.try_recv().ok()
    }
}

impl Stream for Subscription {
    type Item = Arc<Change>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.receiver.poll_recv(context)
    }
}
