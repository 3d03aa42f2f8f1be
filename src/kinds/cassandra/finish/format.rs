//! The formats of sstables, by the two letters with which the names of their files begin.

use crate::model::evidence::cassandra::Files;

/// What a node writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// The format of new files.
    pub name: &'static str,
    /// The version that was the first to read it.
    pub since: &'static str,
    /// The format that files of the kind `big` are kept in. `nodetool upgradesstables` rewrites those of another.
    big: &'static str,
}

const NB: Written = Written { name: "nb", since: "4.0", big: "nb" };
const OA: Written = Written { name: "oa", since: "5.0", big: "oa" };
const DA: Written = Written { name: "da", since: "5.0", big: "oa" };

/// The mode in which a node is that is told so; nothing is told by default (seen with 5.0.3).
pub fn mode(told: &str) -> &str {
    if told.is_empty() { "CASSANDRA_4" } else { told }
}

impl Written {
    /// What a node of this version with these settings writes.
    ///
    /// # Errors
    /// Why that is not known.
    pub fn of(version: &str, files: &Files) -> Result<Self, String> {
        let mut numbers = version.split(['.', '-']).map(str::parse::<u32>);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(4)), Some(Ok(0 | 1))) => Ok(NB),
            (Some(Ok(5)), Some(Ok(0))) => Self::of_5_0(files),
            _ if version.is_empty() => Err("it does not tell its version".to_owned()),
            _ => Err(format!("this tool does not know version {version}")),
        }
    }

    fn of_5_0(files: &Files) -> Result<Self, String> {
        match (files.mode.as_deref().map(mode), files.selected.as_deref()) {
            (Some("CASSANDRA_4"), Some("big")) => Ok(NB),
            (Some("UPGRADING" | "NONE"), Some("big")) => Ok(OA),
            (Some("UPGRADING" | "NONE"), Some("bti")) => Ok(DA),
            (None, _) => Err("it does not tell its storage_compatibility_mode".to_owned()),
            (_, None) => Err("it does not tell its sstable.selected_format".to_owned()),
            (Some(mode), Some(selected)) => Err(format!(
                "storage_compatibility_mode is {mode}, and sstable.selected_format is {selected}"
            )),
        }
    }

    /// Whether files of that format are older; `None` if that is not known. The letters of later versions come later in the
    /// alphabet, except for those of the kind `bti`, which came with 5.0 and has had one format so far.
    pub fn is_newer_than(&self, letters: &str) -> Option<bool> {
        match letters {
            "da" => Some(false),
            "hc" | "ib" | "ic" | "ja" | "jb" | "ka" | "la" | "lb" | "ma" | "mb" | "mc" | "md" | "me"
            | "na" | "nb" | "oa" => Some(letters < self.big),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_node_writes_follows_from_its_version_and_its_settings() {
        let letters = |version: &str, mode: Option<&str>, selected: Option<&str>| {
            let files = Files {
                mode: mode.map(str::to_owned),
                selected: selected.map(str::to_owned),
                ..Files::default()
            };
            Written::of(version, &files).map_or("", |written| written.name)
        };
        for (version, mode, selected, expected) in [
            ("4.0.13", None, None, "nb"),
            ("4.1.8", None, None, "nb"),
            ("4.1-rc1", None, None, "nb"),
            ("5.0.3", Some(""), Some("big"), "nb"),
            ("5.0.3", Some("CASSANDRA_4"), Some("big"), "nb"),
            ("5.0.3", Some("UPGRADING"), Some("big"), "oa"),
            ("5.0.3", Some("NONE"), Some("big"), "oa"),
            ("5.0.3-SNAPSHOT", Some("NONE"), Some("bti"), "da"),
            // A node does not start so.
            ("5.0.3", Some("CASSANDRA_4"), Some("bti"), ""),
            ("5.0.3", None, Some("big"), ""),
            ("5.0.3", Some("NONE"), None, ""),
            ("5.0.3", Some("LATER"), Some("big"), ""),
            ("3.11.17", None, None, ""),
            ("5.1.0", Some("NONE"), Some("big"), ""),
            ("", None, None, ""),
            ("x", None, None, ""),
        ] {
            assert_eq!(letters(version, mode, selected), expected, "{version} {mode:?} {selected:?}");
        }
    }

    #[test]
    fn older_formats_come_before_in_the_alphabet() {
        for (written, letters, newer) in [
            (NB, "ka", Some(true)),
            (NB, "md", Some(true)),
            (NB, "me", Some(true)),
            (NB, "na", Some(true)),
            (NB, "nb", Some(false)),
            // Written while the mode was another.
            (NB, "oa", Some(false)),
            (NB, "da", Some(false)),
            (OA, "nb", Some(true)),
            (OA, "oa", Some(false)),
            (OA, "da", Some(false)),
            (DA, "nb", Some(true)),
            (DA, "oa", Some(false)),
            (DA, "da", Some(false)),
            (OA, "ob", None),
            (OA, "db", None),
            (NB, "", None),
            (NB, "aa", None),
            (NB, "zz", None),
        ] {
            assert_eq!(written.is_newer_than(letters), newer, "{written:?} {letters}");
        }
    }
}
