//! What goes wrong between the server and its clients, on purpose.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::error::ApiError;
use crate::record::RecordedRequest;

/// What happens to a request instead of, or besides, being answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// It is answered with this refusal.
    Answer(ApiError),
    /// It is answered 403, in the words of the server's own authorizer.
    Forbid,
    /// It is never answered.
    Hang,
    /// Its connection breaks before any answer.
    Reset,
    /// It is handled this much later. Further faults apply as well.
    Delay(Duration),
    /// It is handled this much later, even if its client has given up by then: something on the way held it back.
    Late(Duration),
    /// It is handled, and its connection breaks in the middle of the answer's body. No matter for a watch.
    CutBody,
    /// Its answer carries a `Warning` header with this text. Further faults apply as well.
    Warn(String),
    /// It is a watch, and its connection breaks in the middle of the line after this many events.
    CutWatch(usize),
    /// It is a watch, and after this many events its connection is dead though nobody says so: it stays open and silent.
    StallWatch(usize),
}

type Condition = Arc<dyn Fn(&RecordedRequest) -> bool + Send + Sync>;

/// An effect, and the requests that it befalls: by default the next one that matches, once.
#[derive(Clone)]
pub struct Fault {
    effect: Effect,
    conditions: Vec<Condition>,
    first: u64,
    times: u64,
    window: Option<(Instant, Instant)>,
    handled_first: bool,
}

impl Fault {
    /// A fault of any request; narrow it with the other methods.
    pub fn new(effect: Effect) -> Self {
        Self { effect, conditions: Vec::new(), first: 1, times: 1, window: None, handled_first: false }
    }

    /// Only requests for which this holds. Several conditions must all hold.
    pub fn when(mut self, condition: impl Fn(&RecordedRequest) -> bool + Send + Sync + 'static) -> Self {
        self.conditions.push(Arc::new(condition));
        self
    }

    /// Only requests of this HTTP method.
    pub fn method(self, method: &str) -> Self {
        let method = method.to_owned();
        self.when(move |request| request.method == method)
    }

    /// Only requests whose path contains this text.
    pub fn path(self, part: &str) -> Self {
        let part = part.to_owned();
        self.when(move |request| request.path.contains(&part))
    }

    /// Only requests that change something: see [`RecordedRequest::is_mutating`].
    pub fn mutating(self) -> Self {
        self.when(RecordedRequest::is_mutating)
    }

    /// Begins with the `n`-th request that matches, counted from 1.
    pub fn nth(mut self, n: u64) -> Self {
        self.first = n;
        self
    }

    /// Befalls this many matching requests in a row.
    pub fn times(mut self, times: u64) -> Self {
        self.times = times;
        self
    }

    /// Befalls every matching request.
    pub fn always(self) -> Self {
        self.times(u64::MAX)
    }

    /// Befalls the requests that arrive from now on for this long, however many.
    pub fn lasting(self, duration: Duration) -> Self {
        let now = Instant::now();
        self.between(now, now + duration)
    }

    /// The server does what the request asks, and only the answer is lost or replaced.
    pub fn after_handling(mut self) -> Self {
        self.handled_first = true;
        self
    }

    fn between(mut self, from: Instant, until: Instant) -> Self {
        self.window = Some((from, until));
        self.always()
    }

    fn matches(&self, request: &RecordedRequest) -> bool {
        self.window.is_none_or(|(from, until)| from <= request.at && request.at < until)
            && self.conditions.iter().all(|condition| condition(request))
    }
}

/// The faults of a cluster. Clones share them.
#[derive(Clone)]
pub struct Faults {
    armed: Arc<Mutex<Vec<Armed>>>,
    watches: watch::Sender<Hangup>,
}

struct Armed {
    fault: Fault,
    seen: u64,
}

/// How open watches were last ended.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Hangup {
    /// Not at all.
    #[default]
    Never,
    /// As a server does that has reached the watch's time limit.
    Ended,
    /// By a broken connection.
    Broken,
}

/// What befalls one request.
#[derive(Debug, Default)]
pub(crate) struct Fate {
    pub delay: Duration,
    pub warnings: Vec<String>,
    pub before: Option<Effect>,
    pub after: Option<Effect>,
    pub late: Option<Duration>,
    pub cut_body: bool,
    pub watch: Option<WatchFate>,
}

/// What befalls a watch, and after how many events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WatchFate {
    /// Its connection breaks.
    Cut(usize),
    /// It falls silent.
    Stall(usize),
}

impl Default for Faults {
    fn default() -> Self {
        Self { armed: Arc::default(), watches: watch::Sender::new(Hangup::Never) }
    }
}

impl Faults {
    /// Arms a fault. Where several would end the same request, the first that was armed does.
    pub fn add(&self, fault: Fault) {
        self.armed().push(Armed { fault, seen: 0 });
    }

    /// Disarms all faults.
    pub fn clear(&self) {
        self.armed().clear();
    }

    /// Ends every open watch in good order, as at its time limit.
    pub fn end_watches(&self) {
        self.watches.send_replace(Hangup::Ended);
    }

    /// Breaks the connection of every open watch.
    pub fn break_watches(&self) {
        self.watches.send_replace(Hangup::Broken);
    }

    /// The server goes away for `down` and comes back as a real one does: for some moments its authorizer knows
    /// nobody (403), then it is not ready (503), then its storage is not (429). Objects survive.
    pub fn restart_server(&self, down: Duration) {
        self.break_watches();
        let storage = ApiError::too_many_requests("storage is (re)initializing").retry_after(1);
        let phases = [
            (down, Effect::Reset),
            (Duration::from_millis(50), Effect::Forbid),
            (Duration::from_millis(200), Effect::Answer(ApiError::unavailable("apiserver not ready"))),
            (Duration::from_millis(200), Effect::Answer(storage)),
        ];
        let mut from = Instant::now();
        for (duration, effect) in phases {
            self.add(Fault::new(effect).between(from, from + duration));
            from += duration;
        }
    }

    /// Decides what befalls a request, and counts it.
    pub(crate) fn draw(&self, request: &RecordedRequest) -> Fate {
        let mut fate = Fate::default();
        let mut armed = self.armed();
        for Armed { fault, seen } in armed.iter_mut() {
            if !fault.matches(request) {
                continue;
            }
            *seen += 1;
            if *seen >= fault.first && *seen - fault.first < fault.times {
                fate.befall(fault);
            }
        }
        armed.retain(|Armed { fault, seen }| {
            let spent =
                *seen >= fault.first.saturating_add(fault.times.saturating_sub(1)) && fault.times != u64::MAX;
            let past = fault.window.is_some_and(|(_, until)| until <= request.at);
            !spent && !past
        });
        fate
    }

    /// How watches are ended from now on.
    pub(crate) fn hangups(&self) -> watch::Receiver<Hangup> {
        self.watches.subscribe()
    }

    fn armed(&self) -> MutexGuard<'_, Vec<Armed>> {
        self.armed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fate {
    fn befall(&mut self, fault: &Fault) {
        match &fault.effect {
            Effect::Delay(delay) => self.delay += *delay,
            Effect::Warn(text) => self.warnings.push(text.clone()),
            Effect::Late(delay) => self.late = self.late.max(Some(*delay)),
            Effect::CutBody => self.cut_body = true,
            Effect::CutWatch(events) => self.watch = self.watch.or(Some(WatchFate::Cut(*events))),
            Effect::StallWatch(events) => self.watch = self.watch.or(Some(WatchFate::Stall(*events))),
            effect => {
                let slot = if fault.handled_first { &mut self.after } else { &mut self.before };
                slot.get_or_insert_with(|| effect.clone());
            }
        }
    }
}
