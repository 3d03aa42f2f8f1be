//! `kubectl dbupdate auth`: checks whether the user has the permissions that an update needs.

use super::exit_code::ExitCode;
use super::failure::Failure;
use super::look::{Look, ended};
use super::options::LookOptions;
use super::stream;
use super::terminal::Terminal;
use super::values::format;
use crate::cluster::{Cluster, ClusterError};
use crate::model::{Auth, Kind, Lookup, ObjectRef};
use crate::operation::{self, Error, unless_stopped};
use crate::plan::permissions;
use crate::report;

/// Shows the permissions that the user lacks.
pub async fn auth(options: LookOptions, terminal: Terminal) -> ExitCode {
    ended(Look::begin(options, terminal).await, async |look| look.auth().await).await
}

impl Look {
    async fn auth(&mut self) -> Result<ExitCode, Failure> {
        let (Some(kind), Some(name)) = (self.options.kind, self.options.name.clone()) else {
            return Ok(ExitCode::Usage);
        };
        let cluster = self.cluster().clone();
        let namespace = self.options.namespace.clone().unwrap_or_else(|| cluster.default_namespace());
        let asking = ask(&cluster, kind, &namespace, &name);
        let auth = unless_stopped(&mut self.stop, asking).await??;
        let text = match format(self.options.output) {
            None => report::auth::auth(&auth, self.view()),
            Some(format) => report::object::auth(&auth, format)?,
        };
        stream::out(&text);
        Ok(if auth.allowed { ExitCode::Done } else { ExitCode::Refused })
    }
}

async fn ask(cluster: &Cluster, kind: Kind, namespace: &str, name: &str) -> Result<Auth, Failure> {
    let (apis, read) =
        tokio::join!(cluster.served_versions(), operation::snapshot(cluster, kind, namespace, name));
    let (apis, (read, unread)) = (
        apis?,
        match read {
            Ok(snapshot) => (Some(snapshot), None),
            Err(Error::Cluster(error @ ClusterError::Forbidden { .. })) => (None, Some(error.to_string())),
            Err(error) => return Err(error.into()),
        },
    );
    let asked = permissions::all(kind, name, read.as_ref(), &apis);
    let denied = match cluster.denied(namespace, &asked).await? {
        Lookup::Found(denied) => denied,
        Lookup::Absent => Vec::new(),
        Lookup::Unreadable(why) => return Err(Failure::PermissionsUnknown { why }),
    };
    let database = match read {
        Some(snapshot) => snapshot.database.object,
        None => ObjectRef {
            api_version: cluster.database_api(kind).await?,
            kind: kind.name().to_owned(),
            plural: kind.plural().to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            uid: String::new(),
        },
    };
    Ok(permissions::auth(kind, database, unread, asked.len(), &denied))
}
