//! The dry run: shows what would be done.

use super::args::{DryRun, Output};
use super::exit_code::ExitCode;
use super::failure::Failure;
use super::stop::unless_stopped;
use super::stream;
use super::update::{Outlook, Session, format, refused};
use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::engine;
use crate::model::{OpsRequestManifest, Trial};
use crate::plan::hops::Hops;
use crate::report::object::{self, Format};

impl Session {
    /// Shows what would be done, and changes nothing.
    pub(super) async fn dry_run(
        mut self,
        how: DryRun,
        cluster: &Cluster,
        outlook: &Outlook,
    ) -> Result<ExitCode, Failure> {
        let hops = &outlook.hops;
        let refused = refused(hops).is_some();
        let trials = match how {
            DryRun::Client => None,
            // A refused plan would send nothing, so there is nothing to try.
            DryRun::Server if refused => None,
            DryRun::Server => {
                let clock = Clock::system();
                let trials = engine::trials(cluster, &outlook.snapshot, &hops.first, &clock);
                Some(unless_stopped(&mut self.stop, trials).await??)
            }
        };
        if let Some(request) = hops.first.ops_request.as_ref().filter(|_| !refused)
            && let Some(format) = format(self.options.output)
        {
            return self.manifest(request, format, hops, trials.as_deref());
        }
        stream::out(&self.way(hops, self.view_of_stdout()));
        stream::out(&self.shown(&hops.first, trials.as_deref())?);
        for plan in &hops.later {
            if self.options.output == Output::Table {
                stream::out("\n");
            }
            stream::out(&self.shown(plan, None)?);
        }
        if self.options.output == Output::Table {
            stream::out("dry run: nothing was changed\n");
        }
        let tried = trials.iter().flatten().all(|trial| trial.refused.is_none());
        Ok(if refused || !tried { ExitCode::Refused } else { ExitCode::Done })
    }

    /// Prints the ops request exactly as it would be created, for `kubectl apply -f -` or a Git repository.
    fn manifest(
        &self,
        request: &OpsRequestManifest,
        format: Format,
        hops: &Hops,
        trials: Option<&[Trial]>,
    ) -> Result<ExitCode, Failure> {
        stream::out(&object::manifest(request, format)?);
        if let Some(last) = hops.later.last() {
            let (first, to) = (&hops.first.to.name, &last.to.name);
            stream::err(&format!(
                "this ops request updates to {first}; one more per hop follows, up to {to}\n"
            ));
        }
        let refused: Vec<&str> = trials.into_iter().flatten().filter_map(|t| t.refused.as_deref()).collect();
        if refused.is_empty() {
            return Ok(ExitCode::Done);
        }
        stream::err(&format!("refused: the API server would reject it: {}\n", refused.join("; ")));
        Ok(ExitCode::Refused)
    }
}
