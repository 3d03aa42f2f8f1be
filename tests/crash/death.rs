//! How a process dies.

use std::fmt;
use std::sync::{Arc, Mutex};

use simcluster::{Effect, Fault, RecordedRequest};
use tokio::sync::Notify;

use crate::common::process::Process;
use crate::common::{Ended, Running, World};

/// The moment in which a process dies: at one of its writes.
#[derive(Clone, Copy)]
pub struct Death {
    /// Which of its writes it is, counted from 1. What the lock and the journal need, and trials, count.
    pub at: u64,
    /// The server carries the write out, and the process does not live to hear of it.
    pub carried_out: bool,
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} write {}", if self.carried_out { "after" } else { "before" }, self.at)
    }
}

impl Death {
    /// Every way in which a process may die, the earliest first. It has no end: a run that lives has come to its own.
    pub fn each() -> impl Iterator<Item = Death> {
        let both = |at| [false, true].map(|carried_out| Death { at, carried_out });
        (1..).flat_map(both)
    }
}

/// What became of a process.
pub enum Fate {
    Died,
    Ended(Box<Ended>),
}

#[derive(Default)]
struct Life {
    writes: u64,
    over: bool,
}

/// Starts a process that dies so. From that moment on nothing of it reaches the server.
pub async fn dies(world: &World, process: Process, death: Death) -> Fate {
    let client = process.client().to_owned();
    let (life, died) = (Arc::new(Mutex::new(Life::default())), Arc::new(Notify::new()));
    let (named, counted, last) = (client.clone(), life.clone(), died.clone());
    let unheard = Fault::new(Effect::Hang).always().when(move |r| {
        let mut life = counted.lock().expect("no test has failed in here");
        if r.client != named || life.over || !is_write(r) {
            return r.client == named && life.over;
        }
        life.writes += 1;
        life.over = life.writes == death.at;
        if life.over {
            last.notify_one();
        }
        life.over && !death.carried_out
    });
    let last_answer = Fault::new(Effect::Hang).after_handling().always();
    let last_answer = last_answer.when(move |r| r.client == client && life.lock().is_ok_and(|l| l.over));
    world.sim.faults().add(unheard);
    world.sim.faults().add(last_answer);
    let running = process.start();
    let fate = until(running, died).await;
    world.sim.faults().clear();
    fate
}

async fn until(running: Running, died: Arc<Notify>) -> Fate {
    match running.lives_until(died.notified()).await {
        None => Fate::Died,
        Some(ended) => Fate::Ended(Box::new(ended)),
    }
}

/// Events are notes for whoever reads them; nothing comes after them that depends on them.
pub fn is_write(request: &RecordedRequest) -> bool {
    request.is_mutating() && !request.path.contains("/events")
}
