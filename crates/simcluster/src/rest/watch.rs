//! Watches: a line of JSON for each change.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::Server;
use super::answer::{Answer, Broken};
use super::call::Call;
use super::list_options::check_watch;
use super::path::Target;
use super::read::{in_scope, selector, too_large};
use super::selector::Selector;
use super::table::Table;
use super::view::{Form, View};
use crate::error::ApiError;
use crate::faults::{Hangup, WatchFate};
use crate::store::{Change, ChangeKind, Store, Subscription};

/// A server ends a watch after 30 to 60 minutes when the client does not say.
const LONGEST: Duration = Duration::from_secs(30 * 60);

/// How often a client that asks for bookmarks gets one.
const BOOKMARK_PERIOD: Duration = Duration::from_secs(60);

/// A last bookmark comes this long before the end.
const BOOKMARK_BEFORE_END: Duration = Duration::from_secs(2);

pub(super) fn watch(
    server: &Server,
    call: &Call,
    target: &Target,
    fate: Option<WatchFate>,
) -> Result<Answer, ApiError> {
    let mut watch = Watch::open(server, call, target)?;
    let (lines, subscription) = watch.first(&server.store, call)?;
    let running = Running { watch, subscription, lines, fate, ending: Ending::Open };
    let chunks = stream::unfold(running, |mut running| async move {
        let chunk = running.next_chunk().await?;
        Some((chunk, running))
    });
    Ok(Answer::watch(chunks.boxed()))
}

/// A watch that is being answered.
struct Running {
    watch: Watch,
    subscription: Option<Subscription>,
    lines: VecDeque<Bytes>,
    /// What befalls it, and after how many more lines.
    fate: Option<WatchFate>,
    ending: Ending,
}

/// How far a watch is from its end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    Open,
    /// Half a line was sent, and nothing follows it.
    Breaking,
    Over,
}

impl Running {
    /// What is sent next: a line, or half of one and then a break; `None` at the end.
    async fn next_chunk(&mut self) -> Option<Result<Bytes, Broken>> {
        if self.ending != Ending::Open {
            let breaks = self.ending == Ending::Breaking;
            self.ending = Ending::Over;
            return breaks.then_some(Err(Broken));
        }
        if self.fate == Some(WatchFate::Stall(0)) {
            // Whoever breaks connections later finds this one dead already.
            std::future::pending::<()>().await;
        }
        let line = match self.next_line().await {
            Ok(line) => line?,
            Err(broken) => {
                self.ending = Ending::Over;
                return Some(Err(broken));
            }
        };
        match &mut self.fate {
            Some(WatchFate::Cut(0)) => {
                self.ending = Ending::Breaking;
                return Some(Ok(line.slice(..line.len() / 2)));
            }
            Some(WatchFate::Cut(left) | WatchFate::Stall(left)) => *left -= 1,
            None => {}
        }
        Some(Ok(line))
    }

    /// Waits for the next line; `None` when the watch ends in good order.
    async fn next_line(&mut self) -> Result<Option<Bytes>, Broken> {
        while self.lines.is_empty() {
            let Some(subscription) = &mut self.subscription else { return Ok(None) };
            tokio::select! {
                biased;
                change = subscription.next() => match change {
                    Some(change) => self.lines.extend(self.watch.take_in(&change)),
                    None => return Ok(None),
                },
                () = sleep_until(self.watch.bookmark_at.unwrap_or(self.watch.deadline)) => {
                    if Instant::now() >= self.watch.deadline {
                        return Ok(None);
                    }
                    self.lines.extend(self.watch.bookmark(subscription));
                }
                changed = self.watch.hangups.changed() => {
                    let breaks = changed.is_ok() && *self.watch.hangups.borrow() == Hangup::Broken;
                    return if breaks { Err(Broken) } else { Ok(None) };
                }
            }
        }
        Ok(self.lines.pop_front())
    }
}

/// The lines that a watch begins with, and where the others come from.
type First = (VecDeque<Bytes>, Option<Subscription>);

/// What a watch is about, and until when.
struct Watch {
    target: Target,
    selector: Selector,
    form: Form,
    table: Option<Table>,
    deadline: Instant,
    bookmark_at: Option<Instant>,
    /// The version that it was opened at, and the newest of its resource since.
    opened_at: u64,
    newest: u64,
    hangups: watch::Receiver<Hangup>,
}

impl Watch {
    fn open(server: &Server, call: &Call, target: &Target) -> Result<Self, ApiError> {
        let form = call.form()?;
        check_watch(&call.query)?;
        let timeout = call.query.positive("timeoutSeconds")?;
        let deadline = Instant::now() + timeout.map_or(LONGEST, Duration::from_secs);
        let mut watch = Self {
            target: target.clone(),
            selector: selector(call, target)?,
            form,
            table: (form == Form::Table).then(|| Table::new(server, call, target)).transpose()?,
            deadline,
            bookmark_at: None,
            opened_at: 0,
            newest: 0,
            hangups: server.faults.hangups(),
        };
        if call.query.is_set("allowWatchBookmarks") {
            watch.schedule_bookmark();
        }
        Ok(watch)
    }

    /// The lines to begin with, and where the others come from; nothing more when the start is too old.
    fn first(&mut self, store: &Store, call: &Call) -> Result<First, ApiError> {
        let version = call.query.version()?;
        let initial = call.query.all("sendInitialEvents").next().is_some();
        let streamed = call.query.is_set("sendInitialEvents");
        if call.query.integer("timeoutSeconds")?.is_some_and(|seconds| seconds < 0) {
            let error = ApiError::new(500, "InternalError", "context deadline exceeded");
            return Ok(only_error(&error));
        }
        if version > 0 && !streamed {
            (self.opened_at, self.newest) = (version, version);
            return Ok(match store.subscribe_after(self.target.resource, version) {
                Some(subscription) => (VecDeque::new(), Some(subscription)),
                None => only_error(&too_old(version, store)),
            });
        }
        if version > store.version() {
            return Ok(only_error(&too_large(version, store.version())));
        }
        let (objects, at, subscription) = store.list_and_subscribe(self.target.resource);
        self.newest = at;
        let mut lines = VecDeque::new();
        if streamed || !initial {
            for object in &objects {
                if self.selects(object) {
                    lines.push_back(self.line("ADDED", object));
                }
            }
        }
        if streamed && call.query.is_set("allowWatchBookmarks") {
            lines.push_back(self.bookmark_line(at, true));
        }
        Ok((lines, Some(subscription)))
    }

    fn selects(&self, object: &Value) -> bool {
        in_scope(&self.target, object) && self.selector.matches(object)
    }

    fn take_in(&mut self, change: &Change) -> Option<Bytes> {
        self.newest = self.newest.max(change.version);
        self.line_of(change)
    }

    /// The line of a change, as this watch sees it: an object that stops being selected is deleted for it.
    fn line_of(&mut self, change: &Change) -> Option<Bytes> {
        let was = change.previous.as_ref().is_some_and(|previous| self.selects(previous));
        let is = change.kind != ChangeKind::Deleted && self.selects(&change.object);
        match (was, is) {
            (false, true) => Some(self.line("ADDED", &change.object)),
            (true, true) => Some(self.line("MODIFIED", &change.object)),
            (true, false) if change.kind == ChangeKind::Deleted => Some(self.line("DELETED", &change.object)),
            (true, false) => {
                // The last state that was selected, at the version of the change.
                let mut last = change.previous.as_deref().cloned().unwrap_or_default();
                last["metadata"]["resourceVersion"] = json!(change.version.to_string());
                Some(self.line("DELETED", &Arc::new(last)))
            }
            (false, false) => None,
        }
    }

    fn line(&mut self, kind: &str, object: &Arc<Value>) -> Bytes {
        if let Some(table) = &mut self.table {
            return json_line(kind, &table.one(object));
        }
        json_line(kind, &View::new(object, &self.target.api_version(), self.form))
    }

    /// What has already happened, then a bookmark at the last change of the resource. A server may not learn of changes of
    /// others (etcd tells of them every 10 minutes by default): then a watch of what does not change gets none.
    fn bookmark(&mut self, subscription: &mut Subscription) -> Vec<Bytes> {
        let mut lines = Vec::new();
        while let Some(change) = subscription.try_next() {
            lines.extend(self.take_in(&change));
        }
        if self.newest > self.opened_at {
            lines.push(self.bookmark_line(self.newest, false));
        }
        self.schedule_bookmark();
        lines
    }

    fn bookmark_line(&self, version: u64, ends_initial_events: bool) -> Bytes {
        let mut metadata = json!({"resourceVersion": version.to_string(), "creationTimestamp": null});
        if ends_initial_events {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let (api_version, kind) = match self.form {
            Form::Whole => (self.target.api_version(), self.target.resource.kind),
            Form::Metadata => ("meta.k8s.io/v1".to_owned(), "PartialObjectMetadata"),
            Form::Table => {
                let row = json!({"cells": [], "object": {"metadata": metadata}});
                let table = json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1",
                    "metadata": {"resourceVersion": version.to_string()},
                    "columnDefinitions": null, "rows": [row]});
                return json_line("BOOKMARK", &table);
            }
        };
        json_line("BOOKMARK", &json!({"kind": kind, "apiVersion": api_version, "metadata": metadata}))
    }

    fn schedule_bookmark(&mut self) {
        let now = Instant::now();
        let last = self.deadline.checked_sub(BOOKMARK_BEFORE_END).filter(|last| *last > now);
        let next = now + BOOKMARK_PERIOD;
        self.bookmark_at = last.map(|last| last.min(next));
    }
}

/// A watch that begins with its end.
fn only_error(error: &ApiError) -> First {
    (VecDeque::from([json_line("ERROR", &error.to_status())]), None)
}

fn too_old(version: u64, store: &Store) -> ApiError {
    ApiError::expired(format!("too old resource version: {version} ({})", store.version()))
}

fn json_line(kind: &str, object: &impl Serialize) -> Bytes {
    let mut line = serde_json::to_vec(&Event { kind, object }).unwrap_or_default();
    line.push(b'\n');
    line.into()
}

struct Event<'a, T> {
    kind: &'a str,
    object: &'a T,
}

impl<T: Serialize> Serialize for Event<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("type", self.kind)?;
        map.serialize_entry("object", self.object)?;
        map.end()
    }
}
