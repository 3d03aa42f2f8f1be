//! Tells the runs apart whose records a reporter shows.

use std::collections::BTreeMap;

use crate::event::{Event, Record};
use crate::model::clean;

/// The databases of the runs that were heard of, by the runs' ids.
#[derive(Debug, Default)]
pub(super) struct Runs {
    databases: BTreeMap<String, String>,
}

impl Runs {
    /// Notes the database of a run that starts.
    pub fn take_in(&mut self, record: &Record) {
        if let Event::Started { plan, .. } = &record.event {
            self.databases.insert(record.run.clone(), clean(&plan.database.to_string()));
        }
    }

    /// What stands before a line of that run: its database, as soon as there is more than one.
    pub fn prefix(&self, run: &str) -> String {
        let mut all = self.databases.values();
        let first = all.next();
        match self.databases.get(run) {
            Some(database) if all.any(|other| Some(other) != first) => format!("{database}: "),
            _ => String::new(),
        }
    }
}
