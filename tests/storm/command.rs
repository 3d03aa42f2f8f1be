//! The commands of the tool: operations of a person who confirms whatever is planned.

use std::collections::BTreeSet;

use kubectl_dbupdate::clock::Clock;
use kubectl_dbupdate::event::{Finish, Outcome, Record};
use kubectl_dbupdate::model::{Check, Plan};
use kubectl_dbupdate::operation::{
    Bounds, End, Error, Notice, Operation, Outlook, Question, Request, Stop, Told, Wish,
};
use kubectl_dbupdate::situation::Commands;
use tokio::sync::{mpsc, watch};

use crate::common::invariants::Invariants;
use crate::common::{Ended, World, secs};

/// What the user runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    Update,
    Resume,
    Rollback,
}

/// What a command came to.
pub enum Came {
    /// It has run to an end, whichever.
    Ended(Box<Ended>),
    /// The plan has refusals.
    Refused(Box<Plan>),
    /// There was nothing to do.
    Nothing,
    /// There was nothing unfinished.
    NothingUnfinished,
    /// The cluster could not be read.
    Unread(Box<Error>),
}

/// The options that the schedule decides.
#[derive(Clone)]
pub struct Settings {
    pub roll_back_on_failure: bool,
    /// What the user overrides by name.
    pub skip: BTreeSet<Check>,
    pub clock: Clock,
}

/// Carries out a command as a process of its own.
pub async fn carry_out(
    command: Command,
    world: &World,
    invariants: &Invariants,
    settings: Settings,
    stop: watch::Receiver<Stop>,
) -> Came {
    let usual = world.asked();
    let request = Request {
        wish: match command {
            Command::Update => usual.wish,
            Command::Resume => Wish::Resume { through: false },
            Command::Rollback => Wish::Rollback,
        },
        bounds: Bounds { pod_timeout: secs(180), pause_timeout: secs(10), ..usual.bounds },
        skip: settings.skip,
        roll_back_on_failure: settings.roll_back_on_failure,
        ..usual
    };
    let cluster = world.cluster();
    let client = cluster.name().to_owned();
    let (tell, mut told) = mpsc::unbounded_channel();
    let mut operation = Operation::new(cluster, request, settings.clock, stop, tell);
    let outlook = match operation.outlook().await {
        Ok(outlook) => outlook,
        Err(
            error @ (Error::Cluster(_)
            | Error::Unreachable { .. }
            | Error::Troubled { .. }
            | Error::MayNotRead { .. }
            | Error::Signalled(_)),
        ) => return Came::Unread(Box::new(error)),
        Err(error) => panic!("nothing in a storm leads to this: {error}"),
    };
    if let Some(came) = not_begun(&outlook) {
        return came;
    }
    let plan = outlook.hops.first.clone();
    if plan.health.is_none() {
        invariants.goes_unasked(&client);
    }
    let listening = async {
        let mut records: Vec<Record> = Vec::new();
        while let Some(told) = told.recv().await {
            match told {
                Told::Record(record) => records.push(*record),
                Told::Asked(Question::Confirm { reply, .. }) => reply.send(()).expect("it waits"),
                Told::Notice(Notice::HopEnded { .. }) => break,
                Told::Notice(_) => {}
                Told::Asked(question) => panic!("everything was said, and it asks {question:?}"),
            }
        }
        records
    };
    let (end, records) = tokio::join!(operation.carry_out(outlook), listening);
    let End { finish, between, .. } = end.expect("it was confirmed");
    assert!(between.is_none(), "one hop has no other after it: {between:?}");
    let finish: Finish = *finish;
    Came::Ended(Box::new(Ended { client, plan, finish, records }))
}

fn not_begun(outlook: &Outlook) -> Option<Came> {
    let (finish, plan) = outlook.not_begun(&Commands::default())?;
    Some(match finish.outcome {
        Outcome::Nothing if outlook.idle() => Came::NothingUnfinished,
        Outcome::Nothing => Came::Nothing,
        _ => Came::Refused(Box::new(plan.clone())),
    })
}

impl Came {
    /// In a few words, for whoever reads of a failure.
    pub fn words(&self) -> String {
        match self {
            Came::Ended(ended) => {
                let f = &ended.finish;
                format!("{:?} ({}): {} [{}]", f.outcome, f.exit_code, f.error, f.state)
            }
            Came::Refused(plan) => {
                let against: Vec<_> =
                    plan.refusals().map(|f| format!("{}: {}", f.check, f.message)).collect();
                format!("refused: {}", against.join("; "))
            }
            Came::Nothing => "nothing to do".to_owned(),
            Came::NothingUnfinished => "nothing unfinished".to_owned(),
            Came::Unread(error) => format!("the cluster could not be read: {error}"),
        }
    }

    pub fn refused_for(&self, check: Check) -> bool {
        matches!(self, Came::Refused(plan) if plan.refusals().all(|f| f.check == check))
    }
}
