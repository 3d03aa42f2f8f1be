//! Two people who do not know of each other.

use kubectl_dbupdate::event::Event;
use tokio::join;
use tokio::time::sleep;

use crate::common::process::Process;
use crate::common::{World, secs};
use crate::contest::{Came, Command, Scene, arrives, scene, types};
use crate::jitter::{seeds, time};

/// Both commands, each typed at a time of its own.
async fn at_once(scene: &Scene, seed: u64, one: Command, other: Command) -> (Came, Came) {
    let (first, second) = (time(seed, "ann", secs(4)), time(seed, "bob", secs(4)));
    join!(types(scene, "ann", one, first), types(scene, "bob", other, second))
}

/// A run that has died somewhere on its way, and for so long that its lock has run out.
async fn half_done(world: &World, seed: u64) {
    let mut run = Process::update(world, world.cluster_of("zoe")).await.start();
    run.event("it has begun", |e| matches!(e, Event::PauseRequested { .. })).await;
    tokio::select! {
        () = sleep(time(seed, "death", secs(9))) => {}
        () = std::future::pending() => {}
    }
    run.crash().await;
    sleep(time(seed, "a while", secs(40))).await;
}

fn both_yield(came: &(Came, Came)) {
    came.0.yields();
    came.1.yields();
}

#[tokio::test(start_paused = true)]
async fn of_two_updates_at_once_one_acts() {
    let mut tried = 0;
    for seed in seeds() {
        let scene = scene(seed);
        let came = at_once(&scene, seed, Command::Update, Command::Update).await;
        both_yield(&came);
        assert!(came.0.is_done() || came.1.is_done());
        arrives(&scene).await;
        tried += 1;
    }
    println!("{tried} times two updates at once");
}

#[tokio::test(start_paused = true)]
async fn of_two_resumes_at_once_one_acts() {
    let mut tried = 0;
    for seed in seeds() {
        let scene = scene(seed);
        half_done(&scene.world, seed).await;
        let came = at_once(&scene, seed, Command::Resume, Command::Resume).await;
        both_yield(&came);
        arrives(&scene).await;
        tried += 1;
    }
    println!("{tried} times two resumes at once");
}

#[tokio::test(start_paused = true)]
async fn of_a_resume_and_a_rollback_at_once_one_acts() {
    let mut tried = 0;
    for seed in seeds() {
        let scene = scene(seed);
        half_done(&scene.world, seed).await;
        let came = at_once(&scene, seed, Command::Resume, Command::Rollback).await;
        both_yield(&came);
        arrives(&scene).await;
        tried += 1;
    }
    println!("{tried} times a resume and a rollback at once");
}
