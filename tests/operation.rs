//! Operations on databases of a simulated cluster, in tokio's paused time: several in one process, and what they ask.

mod common;

use std::collections::BTreeSet;

use common::{NAMESPACE, World, secs};
use kubectl_dbupdate::event::{Event, Outcome, Record};
use kubectl_dbupdate::model::{Kind, Methods};
use kubectl_dbupdate::operation::{
    End, Error, Notice, Operation, Question, Request, Stop, Told, Which, Wish,
};
use simcluster::world::Database;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

/// What an operation came to, and what it has told.
struct Came {
    end: Result<End, Error>,
    records: Vec<Record>,
    asked: Vec<&'static str>,
    /// The ids of its runs, as each was told at its end.
    runs: Vec<String>,
}

impl Came {
    fn done(&self) -> &Self {
        let Ok(End::Ended(finish)) = &self.end else { panic!("{:?}", self.end) };
        assert_eq!(finish.outcome, Outcome::Done, "{}; {}", finish.error, finish.state);
        self
    }
}

fn to(version: Option<&str>) -> Wish {
    Wish::Update { to: version.map(str::to_owned), through: false, methods: Methods::default() }
}

/// An operation from its begin to its end, by a person who takes the last of what there is to choose, and confirms or not.
async fn carried_out(world: &World, client: &str, which: Which, wish: Wish, confirms: bool) -> Came {
    let (tell, mut told) = mpsc::unbounded_channel();
    let (_stop, stopped) = watch::channel(Stop::Go);
    let request = Request { which, wish, ..world.asked() };
    let mut operation = Operation::new(world.cluster_of(client), request, world.clock(), stopped, tell);
    let working = async move {
        let outlook = operation.outlook().await?;
        assert_eq!(outlook.refused(), None);
        operation.carry_out(outlook).await
    };
    let listening = async {
        let (mut records, mut asked, mut runs) = (Vec::new(), Vec::new(), Vec::new());
        while let Some(told) = told.recv().await {
            match told {
                Told::Record(record) => records.push(*record),
                Told::Notice(Notice::HopEnded { run, .. }) => runs.push(run),
                Told::Notice(_) => {}
                Told::Asked(Question::Database { found, reply, .. }) => {
                    asked.push("database");
                    reply.send(found.len() - 1).expect("it waits");
                }
                Told::Asked(Question::Version { choices, reply, .. }) => {
                    asked.push("version");
                    let latest = choices.iter().position(|choice| choice.latest).expect("there is one");
                    reply.send(latest).expect("it waits");
                }
                Told::Asked(Question::Confirm { reply, .. }) => {
                    asked.push("confirm");
                    if confirms {
                        reply.send(()).expect("it waits");
                    }
                }
            }
        }
        (records, asked, runs)
    };
    let both = async { tokio::join!(working, listening) };
    let (end, (records, asked, runs)) = timeout(secs(24 * 3600), both).await.expect("it ends");
    Came { end, records, asked, runs }
}

fn named(kind: Kind, name: &str) -> Which {
    Which { namespace: Some(NAMESPACE.to_owned()), kind: Some(kind), name: Some(name.to_owned()) }
}

/// Each has its own lock, journal, request and run, and nothing of one is taken for the other's.
#[tokio::test(start_paused = true)]
async fn two_operations_run_in_one_process_at_the_same_time() {
    let world = World::new(Database::kafka_combined("one"));
    Database::zookeeper("other").install(&world.sim);
    // The kubelet starts its pods, since this world is running already.
    sleep(secs(120)).await;
    let (one, other) = tokio::join!(
        carried_out(&world, "first", named(Kind::Kafka, "one"), to(Some("3.6.1")), true),
        carried_out(&world, "second", named(Kind::ZooKeeper, "other"), to(Some("3.9.1")), true),
    );
    one.done();
    other.done();
    let runs = |came: &Came| came.records.iter().map(|r| r.run.clone()).collect::<BTreeSet<_>>();
    assert_eq!(
        (runs(&one), runs(&other)),
        (one.runs.iter().cloned().collect(), other.runs.iter().cloned().collect())
    );
    assert!(one.runs.len() == 1 && other.runs.len() == 1 && one.runs != other.runs);
    for (came, database) in [(&one, "kafka/one"), (&other, "zookeeper/other")] {
        let Some(Record { event: Event::Started { plan, .. }, .. }) = came.records.first() else {
            panic!("it begins with its plan")
        };
        assert_eq!(plan.database.to_string(), database);
    }
    // They were under way at the same time: each has restarted a pod before the other was done.
    let moments = |client: &str| {
        let requests = world.sim.requests();
        let at = requests.iter().enumerate();
        at.filter(|(_, r)| r.client == client && r.path.ends_with("/eviction"))
            .map(|(i, _)| i)
            .collect::<Vec<_>>()
    };
    let (first, second) = (moments("first"), moments("second"));
    assert!(first.first() < second.last() && second.first() < first.last(), "{first:?} {second:?}");
}

#[tokio::test(start_paused = true)]
async fn what_was_not_said_is_asked_and_nothing_begins_without_an_answer() {
    let world = World::new(Database::zookeeper("db"));
    let which = || Which { namespace: Some(NAMESPACE.to_owned()), ..Which::default() };
    let declined = carried_out(&world, "first", which(), to(None), false).await;
    assert!(matches!(declined.end, Err(Error::Unanswered)), "{:?}", declined.end);
    assert_eq!(declined.asked, ["database", "version", "confirm"]);
    assert!(declined.records.is_empty() && world.sent().is_empty());
    let came = carried_out(&world, "second", which(), to(None), true).await;
    assert_eq!(came.done().asked, declined.asked);
    let nothing =
        carried_out(&world, "third", named(Kind::ZooKeeper, "db"), Wish::Resume { through: false }, true)
            .await;
    assert!(matches!(nothing.end, Err(Error::NothingUnfinished { .. })), "{:?}", nothing.end);
}
