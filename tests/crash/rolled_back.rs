//! Whoever rolls back a run that has died brings everything back to what it was before, revisions included.

use std::collections::BTreeSet;

use kubectl_dbupdate::journal::Direction;
use kubectl_dbupdate::model::{Check, Kind};

use crate::common::invariants::Invariants;
use crate::common::process::Process;
use crate::common::{World, text};
use crate::death::{Death, Fate, dies};
use crate::picture::Picture;
use crate::resumed::deaths_on_the_way;
use crate::scene::{Scene, of_each_kind};

mod after_a_death {
    super::of_each_kind!(super::rolls_back);
}

mod after_a_death_of_the_rollback {
    super::of_each_kind!(super::rolls_back_after_all);
}

/// `rollback`; where it is refused since the new version may have touched the data, with the consent that it asks for.
/// `None` where nothing is unfinished.
async fn rollback(world: &World, when: &str) -> Option<Process> {
    let process = Process::rollback(world, world.cluster(), BTreeSet::new()).await?;
    let refusals = process.refusals();
    if refusals.is_empty() {
        return Some(process);
    }
    assert_eq!(refusals, [Check::DataDowngrade], "{when}");
    let moved = text(&world.database(), "/spec/version") == world.target();
    assert!(moved || world.kind == Kind::Cassandra, "{when}: the data has seen nothing of the new version");
    Process::rollback(world, world.cluster(), consent()).await
}

/// `--allow-data-downgrade`.
fn consent() -> BTreeSet<Check> {
    BTreeSet::from([Check::DataDowngrade])
}

/// Lets a process run to its end, which has to be what was before.
async fn is_back(world: &World, invariants: &Invariants, process: Process, before: &Picture, when: &str) {
    if !process.has_nothing_to_do() {
        let ended = process.start().end().await;
        ended.done();
        invariants.ended(&ended);
        world.no_lease();
    }
    invariants.hold();
    before.equals(&Picture::of(world).await.regardless_of_the_way(), when);
}

/// Nothing is unfinished: nothing was begun, or everything has arrived.
async fn nothing_is_left(world: &World, before: &Picture, end: &Picture, when: &str) {
    let found = Picture::of(world).await;
    if found != *end {
        before.equals(&found.regardless_of_the_way(), when);
    }
}

async fn rolls_back(scene: Scene) {
    let before = scene.before().await.regardless_of_the_way();
    let (end, _) = scene.undisturbed().await;
    let mut tried = 0;
    for death in Death::each() {
        let (world, invariants) = scene.world();
        if let Fate::Ended(_) = dies(&world, Process::update(&world, world.cluster()).await, death).await {
            break;
        }
        tried += 1;
        let when = format!("death {death}");
        match rollback(&world, &when).await {
            Some(process) => is_back(&world, &invariants, process, &before, &when).await,
            None => nothing_is_left(&world, &before, &end, &when).await,
        }
    }
    println!("{}: {tried} deaths, each rolled back", scene.name);
    assert!(tried > 30, "{tried}");
}

/// A rollback that dies is continued by `resume` if it has a journal entry, and else typed again.
async fn rolls_back_after_all(scene: Scene) {
    let before = scene.before().await.regardless_of_the_way();
    let (_, wrote) = scene.undisturbed().await;
    let mut tried = 0;
    for first in deaths_on_the_way(&wrote) {
        for second in Death::each() {
            let when = format!("death {first}, of the rollback {second}");
            let (world, invariants) = scene.world();
            assert!(matches!(
                dies(&world, Process::update(&world, world.cluster()).await, first).await,
                Fate::Died
            ));
            let back = rollback(&world, &when).await.expect("it is half done");
            if let Fate::Ended(ended) = dies(&world, back, second).await {
                ended.done();
                break;
            }
            tried += 1;
            let again = match direction(&world).await {
                Direction::Rollback => Process::resume(&world, world.cluster(), consent()).await,
                Direction::Update | Direction::Finish => rollback(&world, &when).await,
            };
            match again {
                Some(process) => is_back(&world, &invariants, process, &before, &when).await,
                None => before.equals(&Picture::of(&world).await.regardless_of_the_way(), &when),
            }
        }
    }
    println!("{}: {tried} deaths of a rollback, each resumed", scene.name);
    assert!(tried > 30, "{tried}");
}

/// The direction of the last run in the journal.
async fn direction(world: &World) -> Direction {
    let journal = world.journal(&world.cluster()).await;
    journal.last().expect("it is in the journal").run.direction
}
