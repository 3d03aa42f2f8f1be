//! What an operation reports to its caller, in the order in which it happens.

use tokio::sync::oneshot;

use super::ran::Ran;
use crate::event::Record;
use crate::model::{ObjectRef, Plan};
use crate::plan::versions::Choice;
use crate::situation::Listed;

/// What an operation reports to its caller.
#[derive(Debug)]
pub enum Told {
    Notice(Notice),
    /// A question; the operation waits for the answer.
    Asked(Question),
    /// An event of the run in progress.
    Record(Box<Record>),
}

/// What is reported besides the events of a run.
#[derive(Debug)]
pub enum Notice {
    /// Another run holds the lock. It is free in so many seconds, unless that run renews it: only watching tells whether
    /// it is still alive. Told every second.
    LockWatched { holder: String, left: u64 },
    /// It was renewed, released, or has expired.
    LockWatchOver,
    /// The registries take their time to answer.
    RegistriesAsked { registries: Vec<String> },
    /// The database takes its time to say how it is.
    DatabaseAsked { database: String },
    /// The version was not named, but its first numbers were.
    VersionMeant { typed: String, version: String },
    /// The next hop begins once this is over, which the last one may have left behind.
    HopWaits { why: String },
    /// The next of several hops begins; the first one is not announced.
    HopBegins { number: usize, count: usize, plan: Box<Plan> },
    /// The run is over; its last event came before this.
    HopEnded(Ran),
    /// The database has to be healthy for that long before it is finished.
    Soaks { seconds: u64 },
    /// After the update, nothing is left to be done to the database itself.
    NothingToFinish { plan: Box<Plan> },
    /// What has become of the pods that an earlier run has left, which pre-pulled images.
    LeftPods { said: String },
    /// The run was to lead further than this operation, which was not asked to go there.
    LeadsFurther { done: Box<Plan>, to: String },
}

/// What only a person can decide. Dropping the reply declines.
#[derive(Debug)]
pub enum Question {
    /// Which of these databases.
    Database { namespace: String, found: Vec<Listed>, reply: oneshot::Sender<usize> },
    /// To which of these versions.
    Version { database: Box<ObjectRef>, current: String, choices: Vec<Choice>, reply: oneshot::Sender<usize> },
    /// Whether to do it. `to` is where the last hop leads.
    Confirm { first: Box<Plan>, to: String, reply: oneshot::Sender<()> },
}

impl From<Notice> for Told {
    fn from(notice: Notice) -> Self {
        Told::Notice(notice)
    }
}

impl From<Question> for Told {
    fn from(question: Question) -> Self {
        Told::Asked(question)
    }
}

impl From<Record> for Told {
    fn from(record: Record) -> Self {
        Told::Record(Box::new(record))
    }
}
