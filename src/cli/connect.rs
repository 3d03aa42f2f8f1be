//! Connects to the cluster that the command line chooses: a real one, or the simulated one inside this process.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::failure::Failure;
use super::target::Target;
use crate::cluster::{self, Cluster};
use crate::operation::{Stop, unless_stopped};
use crate::sandbox::{self, Sandbox};

/// A connected cluster. A simulated one exists for as long as this value.
pub struct Connected {
    pub cluster: Cluster,
    _sandbox: Option<Sandbox>,
}

/// Connects, unless a signal or the run's timeout comes first: a plugin that provides the credentials may prompt the
/// user, or hang.
///
/// # Errors
///
/// The signal, the timeout, or why there is no connection.
pub async fn connect(
    target: &Target,
    stop: &mut watch::Receiver<Stop>,
    limit: Option<Duration>,
) -> Result<Connected, Failure> {
    let to = match target {
        Target::Sandbox(faults) => {
            let sandbox = Sandbox::start(faults);
            let cluster = Cluster::new(sandbox.client(), sandbox::NAME);
            return Ok(Connected { cluster, _sandbox: Some(sandbox) });
        }
        Target::Cluster(to) => to,
    };
    let connecting = unless_stopped(stop, cluster::connect(to));
    let connected = match limit {
        None => connecting.await,
        Some(limit) => {
            let late = |_| Failure::TimedOut { seconds: limit.as_secs() };
            timeout(limit, connecting).await.map_err(late)?
        }
    };
    Ok(Connected { cluster: connected??, _sandbox: None })
}
