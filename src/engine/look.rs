//! Rereads what a decision depends on.

use crate::cluster::{ClusterError, Delta};
use crate::model::{Database, Pod, WorkloadPlan};
use crate::steps::Blocked;

use super::run::Run;
use super::stop_reason::StopReason;

impl Run {
    /// Rereads the database and a workload in parallel, because the next write depends on them. While some collection
    /// is not watched, everything is reread.
    pub(super) async fn observe(&mut self, plan: &WorkloadPlan) -> Result<(), StopReason> {
        if !self.observer.watching() {
            // This is rare and its future is large: boxed, so that it does not take space on the stack of every
            // observation.
            return Box::pin(self.observe_all(plan)).await;
        }
        let (cluster, db, object) = (&self.observer.cluster, &self.plan.database, &plan.object);
        let reading = async {
            tokio::join!(
                cluster.database(self.plan.kind, &db.api_version, &db.namespace, &db.name),
                cluster.workload(plan.kind, &object.namespace, &object.name, &db.uid),
            )
        };
        let (database, workload) = self.interrupt.during(reading).await?;
        self.catch_up();
        self.take_in_database(database)?;
        let gone = || Blocked::WorkloadGone { workload: plan.object.to_string() };
        match workload {
            Ok(Some(now)) if now.object.uid == plan.object.uid => {
                self.observer.take_in(Delta::Workload(Box::new(now)));
            }
            Ok(_) | Err(ClusterError::NotFound { .. }) => return Err(gone().into()),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Rereads everything.
    pub(super) async fn observe_all(&mut self, plan: &WorkloadPlan) -> Result<(), StopReason> {
        self.read_everything().await?;
        match self.observer.snapshot.workload(&plan.object.uid) {
            Some(_) => Ok(()),
            None => Err(Blocked::WorkloadGone { workload: plan.object.to_string() }.into()),
        }
    }

    pub(super) async fn read_everything(&mut self) -> Result<(), StopReason> {
        let before = self.observer.snapshot.to_read_anew();
        match self.interrupt.during(self.observer.cluster.read_anew(before)).await? {
            Ok(fresh) => self.observer.snapshot = fresh,
            Err(ClusterError::NotFound { .. }) => return Err(Blocked::DatabaseGone.into()),
            Err(error) => return Err(error.into()),
        }
        self.catch_up();
        Ok(())
    }

    /// Rereads the database.
    pub(super) async fn read_database(&mut self) -> Result<(), StopReason> {
        let db = &self.plan.database;
        let reading =
            self.observer.cluster.database(self.plan.kind, &db.api_version, &db.namespace, &db.name);
        let read = self.interrupt.during(reading).await?;
        self.take_in_database(read)
    }

    fn take_in_database(&mut self, read: Result<Database, ClusterError>) -> Result<(), StopReason> {
        match read {
            Ok(db) => self.observer.take_in(Delta::Database(Box::new(db))),
            Err(ClusterError::NotFound { .. }) => return Err(Blocked::DatabaseGone.into()),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Rereads a pod, in case the watch has missed a change. `known` is the uid that it had.
    pub(super) async fn read_pod(
        &mut self,
        name: &str,
        known: Option<&str>,
    ) -> Result<Option<Pod>, StopReason> {
        let reading = self.observer.cluster.pod(&self.plan.database.namespace, name);
        let fresh = match self.interrupt.during(reading).await? {
            Ok(fresh) => Some(fresh),
            Err(ClusterError::NotFound { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        if let Some(known) = known.filter(|known| fresh.as_ref().is_none_or(|f| f.uid != *known)) {
            self.observer.take_in(Delta::PodGone { uid: known.to_owned() });
        }
        if let Some(fresh) = fresh.clone() {
            self.observer.take_in(Delta::Pod(Box::new(fresh)));
        }
        Ok(fresh)
    }
}
