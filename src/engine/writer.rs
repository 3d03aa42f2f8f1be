//! What is recorded of a run in its journal, and when that was last written.

use std::time::Duration;

use tokio::task::JoinHandle;

use crate::journal::{Progress, Run};

/// The journal of a run in progress.
pub(super) struct Writer {
    pub run: Run,
    pub progress: Progress,
    pub written: Duration,
    pub behind: Option<JoinHandle<()>>,
}
