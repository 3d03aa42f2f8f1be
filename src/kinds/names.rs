//! The names of kinds, and how the user's input is matched to a kind.

use std::str::FromStr;

use crate::model::{Command, Kind, ObjectRef, clean};

impl Kind {
    /// The kind as the API spells it, e.g. `ZooKeeper`.
    pub fn name(self) -> &'static str {
        self.facts().names.kind
    }

    /// The kind as a user types it, e.g. `zookeeper`.
    pub fn singular(self) -> &'static str {
        self.facts().names.singular
    }

    /// The resource name, e.g. `zookeepers`.
    pub fn plural(self) -> &'static str {
        self.facts().names.plural
    }

    /// The short name that the CRD declares, e.g. `zk`.
    pub fn short(self) -> &'static str {
        self.facts().names.short
    }

    /// The name of the Lease and of the ConfigMap that belong to a database: its lock and its journal.
    pub fn lock_and_journal(self, database: &str) -> String {
        format!("dbupdate-{}-{database}", self.singular())
    }

    /// The command that shows a database's journal.
    pub fn show_journal(self, database: &ObjectRef) -> Command {
        let map = self.lock_and_journal(&database.name);
        Command::kubectl(["get", "configmap"])
            .word(map)
            .in_namespace(&database.namespace)
            .words(["-o", "yaml"])
    }
}

/// A word that names no kind of database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown kind of database {typed:?}{}", nearest.map(|k| format!("; did you mean {}?", k.singular())).unwrap_or_default())]
pub struct UnknownKind {
    /// What was typed.
    pub typed: String,
    /// The kind with the most similar name, if one is similar enough.
    pub nearest: Option<Kind>,
}

impl FromStr for Kind {
    type Err = UnknownKind;

    /// Accepts what kubectl accepts: singular, plural, short name, and either with the API group
    /// (`kafkas.kubedb.com`, `kafkas.v1.kubedb.com`), in any case.
    fn from_str(typed: &str) -> Result<Self, UnknownKind> {
        let lower = typed.to_ascii_lowercase();
        let word = match lower.split_once('.') {
            Some((word, group)) if group == "kubedb.com" || group.ends_with(".kubedb.com") => word,
            Some(_) => lower.as_str(),
            None => lower.as_str(),
        };
        Kind::ALL
            .into_iter()
            .find(|k| [k.singular(), k.plural(), k.short()].contains(&word))
            .ok_or_else(|| UnknownKind { typed: clean(typed), nearest: nearest(word) })
    }
}

fn nearest(word: &str) -> Option<Kind> {
    let distance = |k: Kind| {
        let names = [k.singular(), k.plural()];
        names.map(|n| strsim::osa_distance(word, n)).into_iter().min()
    };
    Kind::ALL
        .into_iter()
        .filter_map(|k| Some((distance(k)?, k)))
        .filter(|(d, k)| *d <= 1 + k.singular().len() / 4)
        .min()
        .map(|(_, k)| k)
}

#[cfg(test)]
mod tests {
    use super::Kind;

    /// The variants' names are printed and stored in the journal, so they must be the API's own names.
    #[test]
    fn variants_are_named_as_the_api_names_kinds() {
        for kind in Kind::ALL {
            assert_eq!(kind.to_string(), kind.name());
            assert_eq!(serde_json::json!(kind), kind.name());
            assert_eq!(kind.name().to_ascii_lowercase(), kind.singular());
        }
    }

    #[test]
    fn kinds_are_read_as_kubectl_reads_them() {
        for (typed, kind) in [
            ("kafka", Kind::Kafka),
            ("kf", Kind::Kafka),
            ("kafkas", Kind::Kafka),
            ("kafkas.kubedb.com", Kind::Kafka),
            ("Kafkas.v1.kubedb.com", Kind::Kafka),
            ("dr", Kind::Druid),
            ("cas", Kind::Cassandra),
            ("hazelcasts", Kind::Hazelcast),
            ("ZooKeeper", Kind::ZooKeeper),
        ] {
            assert_eq!(typed.parse(), Ok(kind), "{typed}");
        }
    }

    #[test]
    fn an_unknown_kind_names_the_nearest_one() {
        for (typed, nearest) in [
            ("kafak", Some(Kind::Kafka)),
            ("zokeeper", Some(Kind::ZooKeeper)),
            ("casandra", Some(Kind::Cassandra)),
            ("postgres", None),
            ("kafkas.strimzi.io", None),
            ("", None),
        ] {
            let error = typed.parse::<Kind>().unwrap_err();
            assert_eq!(error.nearest, nearest, "{typed}");
        }
    }
}
