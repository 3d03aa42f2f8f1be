//! The cluster: the only user of the Kubernetes client. Reads a `Snapshot`, keeps it up to date by watches, sends a `Write`
//! (or tries it with `dryRun=All`), and holds the lock.

mod access;
mod announce;
mod body;
mod call;
mod connect;
mod connection;
mod credentials;
mod environment;
mod error;
mod file;
mod flags;
mod journal;
mod lease;
mod ops_request;
mod overrides;
mod overview;
mod own_images;
mod pages;
mod plugin;
mod provider;
mod proxy;
mod read;
mod renew;
mod request;
mod secrets;
mod send;
mod stream;
mod transport;
mod usable;
mod watch;
mod wire;
mod writer;

pub use announce::Announcement;
pub use call::{Aside, CALL_TIMEOUT, Cluster, FORBIDDEN_DOUBT, Retry};
pub use connect::{Names, connect, names};
pub use connection::Renew;
pub use error::{ClusterError, Refusal};
pub use flags::{ConnectError, ConnectOptions, Token};
pub use journal::Journal;
pub use lease::{HeldLease, LEASE_DURATION, LockError, RENEW_EVERY, lease_duration};
pub use overview::Found;
pub use send::Sent;
pub use watch::{Delta, Watches};
pub use writer::Part;
