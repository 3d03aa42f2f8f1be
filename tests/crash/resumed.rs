//! A run that has died is completed by whoever resumes it.

use std::collections::BTreeSet;

use crate::common::World;
use crate::common::invariants::Invariants;
use crate::common::process::Process;
use crate::common::wrote::Wrote;
use crate::death::{Death, Fate, dies};
use crate::picture::Picture;
use crate::scene::{Scene, of_each_kind};

mod after_a_death {
    super::of_each_kind!(super::resumes);
}

mod after_a_death_of_the_resume {
    super::of_each_kind!(super::resumes_the_resume);
}

mod by_the_same_command {
    super::of_each_kind!(super::is_typed_again);
}

/// `resume`, or the command again where nothing is unfinished. Where that finds nothing to do either, all is done.
async fn goes_on(world: &World) -> Process {
    match Process::resume(world, world.cluster(), BTreeSet::new()).await {
        Some(process) => process,
        None => Process::update(world, world.cluster()).await,
    }
}

/// Lets a process run to its end, which has to be the end of an undisturbed run.
async fn arrives(world: &World, invariants: &Invariants, process: Process, end: &Picture, when: &str) {
    if !process.has_nothing_to_do() {
        let ended = process.start().end().await;
        ended.done();
        invariants.ended(&ended);
        world.no_lease();
    }
    invariants.hold();
    let evictions = world.evictions();
    assert!(evictions.values().all(|times| *times == 1), "{when}: {evictions:?}");
    end.equals(&Picture::of(world).await, when);
}

async fn resumes(scene: Scene) {
    let (end, _) = scene.undisturbed().await;
    let mut tried = 0;
    for death in Death::each() {
        let (world, invariants) = scene.world();
        if let Fate::Ended(ended) = dies(&world, Process::update(&world, world.cluster()).await, death).await
        {
            ended.done();
            break;
        }
        tried += 1;
        let process = goes_on(&world).await;
        arrives(&world, &invariants, process, &end, &format!("death {death}")).await;
    }
    println!("{}: {tried} deaths, each resumed", scene.name);
    assert!(tried > 30, "{tried}");
}

/// The first run dies after its first restart of a pod, and then before it sets the version.
async fn resumes_the_resume(scene: Scene) {
    let (end, wrote) = scene.undisturbed().await;
    let mut tried = 0;
    for first in deaths_on_the_way(&wrote) {
        for second in Death::each() {
            let (world, invariants) = scene.world();
            assert!(matches!(
                dies(&world, Process::update(&world, world.cluster()).await, first).await,
                Fate::Died
            ));
            if let Fate::Ended(ended) = dies(&world, goes_on(&world).await, second).await {
                ended.done();
                break;
            }
            tried += 1;
            let when = format!("death {first}, of the resume {second}");
            let process = goes_on(&world).await;
            arrives(&world, &invariants, process, &end, &when).await;
        }
    }
    println!("{}: {tried} deaths of a resume, each resumed", scene.name);
    assert!(tried > 30, "{tried}");
}

/// Right after the first write that restarts a pod, and right before the version is set; right after it where it comes
/// first.
pub fn deaths_on_the_way(wrote: &[(u64, Wrote)]) -> [Death; 2] {
    let first = |is: fn(&Wrote) -> bool| {
        wrote.iter().find(|(_, wrote)| is(wrote)).map(|(at, _)| *at).expect("every run writes it")
    };
    let restart = wrote.iter().find(|(_, w)| matches!(w, Wrote::Evict { .. })).map(|(at, _)| *at);
    let rolls = || first(|w| matches!(w, Wrote::Images { .. }));
    let (restart, version) = (restart.unwrap_or_else(rolls), first(|w| *w == Wrote::Version));
    [Death { at: restart, carried_out: true }, Death { at: version, carried_out: version < restart }]
}

async fn is_typed_again(scene: Scene) {
    let (end, _) = scene.undisturbed().await;
    let mut tried = 0;
    for death in Death::each() {
        let (world, invariants) = scene.world();
        if let Fate::Ended(_) = dies(&world, Process::update(&world, world.cluster()).await, death).await {
            break;
        }
        tried += 1;
        let again = Process::update(&world, world.cluster()).await;
        arrives(&world, &invariants, again, &end, &format!("death {death}")).await;
    }
    println!("{}: {tried} deaths, each followed by the same command", scene.name);
}
