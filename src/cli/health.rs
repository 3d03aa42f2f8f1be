//! `kubectl dbupdate health`: asks a database how it is.

use std::time::Duration;

use tokio::time::sleep;

use super::exit_code::ExitCode;
use super::failure::Failure;
use super::look::{Look, ended};
use super::options::LookOptions;
use super::stream;
use super::terminal::Terminal;
use super::values::format;
use crate::clock::Clock;
use crate::model::HealthReport;
use crate::operation::{Examination, unless_stopped};
use crate::report;
use crate::report::object::Format;

/// The pause between two looks of `--watch`.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Shows what the database says of itself.
pub async fn health(options: LookOptions, terminal: Terminal) -> ExitCode {
    ended(Look::begin(options, terminal).await, async |look| look.health().await).await
}

impl Look {
    async fn health(&mut self) -> Result<ExitCode, Failure> {
        let (Some(kind), Some(name)) = (self.options.kind, self.options.name.clone()) else {
            return Ok(ExitCode::Usage);
        };
        let cluster = self.cluster().clone();
        let namespace = self.options.namespace.clone().unwrap_or_else(|| cluster.default_namespace());
        let beginning = Examination::begin(&cluster, kind, &namespace, &name);
        let mut examination = unless_stopped(&mut self.stop, beginning).await??;
        let mut shown: Option<HealthReport> = None;
        loop {
            let found = unless_stopped(&mut self.stop, examination.report()).await??;
            if shown.as_ref() != Some(&found) {
                self.show(&found)?;
            }
            if self.options.watch.is_none() {
                return Ok(if found.fit { ExitCode::Done } else { ExitCode::Refused });
            }
            shown = Some(found);
            unless_stopped(&mut self.stop, sleep(LOOK_EVERY)).await?;
        }
    }

    fn show(&self, found: &HealthReport) -> Result<(), Failure> {
        let format = format(self.options.output);
        let text = match format {
            None => report::health::report(found, self.view()),
            Some(format) => report::object::health(found, format)?,
        };
        stream::out(&match (self.options.watch.is_some(), format) {
            (true, None) => format!("{}\n{text}\n", Clock::system().rfc3339(0)),
            (true, Some(Format::Yaml)) => format!("---\n{text}"),
            _ => text,
        });
        Ok(())
    }
}
