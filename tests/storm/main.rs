//! Storms: updates that random troubles befall, one schedule for each seed, all in tokio's paused time.
//!
//! Whatever happens, the invariants hold at the server after every request, what a run says at its end is true, and
//! once the storm is over one command ends what was begun: `resume` with everything updated, `rollback` with everything
//! as it was before.
//!
//! `STORM_SCHEDULES=20000 cargo test --test storm` tries more than CI does; `STORM_SEED=123 cargo test --test storm`
//! repeats one, and shows what happened.

#[path = "../common/mod.rs"]
mod common;

mod command;
mod course;
mod schedule;
mod weather;

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use course::{Course, Fate};
use schedule::Schedule;

/// How many schedules are tried where nobody says otherwise.
const SCHEDULES: u64 = 2000;

/// More failures than this tell nothing new.
const MOST_FAILURES: usize = 12;

#[test]
fn a_storm_ends_well() {
    let asked = |name: &str| std::env::var(name).ok().map(|n| n.parse::<u64>().expect("a number"));
    let first = asked("STORM_SEED");
    let count = asked("STORM_SCHEDULES").unwrap_or(if first.is_some() { 1 } else { SCHEDULES });
    let first = first.unwrap_or(0);
    let (next, failures, fates) =
        (AtomicU64::new(first), Mutex::new(Vec::new()), Mutex::new(BTreeMap::new()));
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    let enough = failures.lock().expect("no panic holds it").len() >= MOST_FAILURES;
                    if seed >= first + count || enough {
                        return;
                    }
                    match storm(seed, count == 1) {
                        Ok(fate) => *fates.lock().expect("no panic holds it").entry(fate).or_insert(0) += 1,
                        Err(failure) => failures.lock().expect("no panic holds it").push(failure),
                    }
                }
            });
        }
    });
    println!("{fates:?}");
    let mut failures = failures.into_inner().expect("no panic holds it");
    failures.sort();
    assert!(failures.is_empty(), "{} storms end badly:\n\n{}", failures.len(), failures.join("\n\n"));
}

/// One storm, in a runtime and a time of its own.
fn storm(seed: u64, aloud: bool) -> Result<Fate, String> {
    let schedule = Schedule::draw(seed);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime can be built");
    let (came, trail) = runtime.block_on(async {
        let mut course = Course::new(&schedule);
        let came = futures::FutureExt::catch_unwind(AssertUnwindSafe(course.run())).await;
        (came.unwrap_or_else(|_| Err("it panicked".to_owned())), course.trail())
    });
    if aloud {
        println!("{schedule}{}", trail.join("\n"));
    }
    came.map_err(|why| {
        format!("STORM_SEED={seed} cargo test --test storm\n  {why}\n{schedule}{}", trail.join("\n"))
    })
}
