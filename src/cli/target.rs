use crate::cluster::ConnectOptions;
use crate::sandbox::Fault;

/// The cluster to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A real cluster.
    Cluster(Box<ConnectOptions>),
    /// The simulated cluster inside this process.
    Sandbox(Vec<Fault>),
}
