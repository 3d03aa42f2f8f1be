//! Who waits for somebody else's lock, and who comes back to find that it was taken.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use kubectl_dbupdate::clock::Clock;
use simcluster::{Effect, Fault};
use tokio::join;
use tokio::time::sleep;

use crate::common::{LEASES, World, secs};
use crate::contest::{Command, arrives, scene, types, types_with};
use crate::jitter::{draw, seeds, time};

/// Somebody has the lock.
async fn locked(world: &World) {
    world.until("somebody has the lock", || !world.store().list(LEASES, None).is_empty()).await;
}

#[tokio::test(start_paused = true)]
async fn a_live_holder_is_waited_for() {
    let mut tried = 0;
    for seed in seeds() {
        let scene = scene(seed);
        let bob = async {
            scene
                .world
                .until("ann has the lock", || !scene.world.store().list(LEASES, None).is_empty())
                .await;
            types(&scene, "bob", Command::TakeOver, time(seed, "bob", secs(8))).await
        };
        let (ann, bob) = join!(types(&scene, "ann", Command::Update, Duration::ZERO), bob);
        ann.yields();
        bob.yields();
        assert!(ann.is_done());
        arrives(&scene).await;
        tried += 1;
    }
    println!("{tried} times a live holder was waited for");
}

/// Nothing of a client reaches the server for a while; of some requests only the answer is lost.
async fn cut_off(world: &World, seed: u64, client: &'static str) {
    locked(world).await;
    sleep(time(seed, "cut off", secs(12))).await;
    let duration = secs(20) + time(seed, "for so long", secs(60));
    let lost = move |number: u64| draw(seed, &format!("lost {number}")).is_multiple_of(4);
    let answers = Fault::new(Effect::Hang).after_handling();
    let answers = answers.when(move |r| r.client == client && lost(r.number)).lasting(duration);
    let rest =
        Fault::new(Effect::Hang).when(move |r| r.client == client && !lost(r.number)).lasting(duration);
    world.sim.faults().add(answers);
    world.sim.faults().add(rest);
    world.sim.faults().break_watches();
}

/// Wall time that jumps, as it does when a laptop wakes up or its time is set.
fn jumping_clock(world: &World, ahead: &Arc<AtomicI64>) -> Clock {
    let (wall, ahead) = (world.store().clock(), ahead.clone());
    Clock::with_wall(move || {
        let (now, jump) = (SystemTime::from(wall.now()), ahead.load(Ordering::Relaxed));
        let by = Duration::from_secs(jump.unsigned_abs());
        if jump < 0 { now - by } else { now + by }
    })
}

#[tokio::test(start_paused = true)]
async fn a_holder_that_was_cut_off_past_its_lease_writes_nothing_more() {
    let (mut tried, mut overtaken) = (0, 0);
    for seed in seeds() {
        let scene = scene(seed);
        let ahead = Arc::new(AtomicI64::new(0));
        let clock = jumping_clock(&scene.world, &ahead);
        let jumps = async {
            sleep(time(seed, "jump", secs(60))).await;
            ahead.store([0, 90, -90][(draw(seed, "by") % 3) as usize], Ordering::Relaxed);
        };
        let bob = async {
            locked(&scene.world).await;
            types(&scene, "bob", Command::TakeOver, time(seed, "bob", secs(15))).await
        };
        let (ann, bob, (), ()) = join!(
            types_with(&scene, "ann", Command::Update, Duration::ZERO, |o| o.clock = clock),
            bob,
            cut_off(&scene.world, seed, "ann"),
            jumps,
        );
        ann.yields_at_last();
        bob.yields_at_last();
        overtaken += u64::from(!ann.is_done());
        arrives(&scene).await;
        tried += 1;
    }
    println!("{tried} times a holder was cut off, {overtaken} of them overtaken");
    assert!(overtaken > 0 || tried == 1);
}
