//! The levels of `metadata.version`, which are the only thing by which a node tells its release: what each is called, which
//! release brought it, and which of them the metadata cannot be brought back from.

/// A level, as Kafka's own `MetadataVersion` lists them.
struct Known {
    level: i16,
    name: &'static str,
    /// The records that it brings have another format than those before it (`didMetadataChange`).
    changes_format: bool,
}

const fn known(level: i16, name: &'static str) -> Known {
    Known { level, name, changes_format: false }
}

const fn format(level: i16, name: &'static str) -> Known {
    Known { level, name, changes_format: true }
}

/// All levels of production releases up to 4.3, without gaps: printed by the classes of 3.9.0, 4.0.0, 4.1.1, 4.2.0 and 4.3.0.
const LEVELS: [Known; 30] = [
    format(1, "3.0-IV1"),
    known(2, "3.1-IV0"),
    format(3, "3.2-IV0"),
    known(4, "3.3-IV0"),
    format(5, "3.3-IV1"),
    format(6, "3.3-IV2"),
    format(7, "3.3-IV3"),
    format(8, "3.4-IV0"),
    known(9, "3.5-IV0"),
    known(10, "3.5-IV1"),
    format(11, "3.5-IV2"),
    known(12, "3.6-IV0"),
    format(13, "3.6-IV1"),
    format(14, "3.6-IV2"),
    format(15, "3.7-IV0"),
    known(16, "3.7-IV1"),
    format(17, "3.7-IV2"),
    known(18, "3.7-IV3"),
    known(19, "3.7-IV4"),
    known(20, "3.8-IV0"),
    known(21, "3.9-IV0"),
    known(22, "4.0-IV0"),
    format(23, "4.0-IV1"),
    known(24, "4.0-IV2"),
    known(25, "4.0-IV3"),
    known(26, "4.1-IV0"),
    known(27, "4.1-IV1"),
    known(28, "4.2-IV0"),
    known(29, "4.2-IV1"),
    format(30, "4.3-IV0"),
];

impl Known {
    fn release(&self) -> &'static str {
        self.name.split_once('-').map_or(self.name, |(release, _)| release)
    }
}

fn find(level: i16) -> Option<&'static Known> {
    LEVELS.iter().find(|known| known.level == level)
}

/// The release whose highest level of `metadata.version` this is; `None` for a level that is not known, or is no release's
/// highest.
pub(super) fn of(level: i16) -> Option<&'static str> {
    let release = find(level)?.release();
    (highest(release) == Some(level)).then_some(release)
}

/// The highest level of `metadata.version` that a version of Kafka, such as `3.9.1`, supports; `None` if it is not known.
pub(super) fn highest(version: &str) -> Option<i16> {
    let (major, minor) = numbers(version)?;
    let release = format!("{major}.{minor}");
    LEVELS.iter().rev().find(|known| known.release() == release).map(|known| known.level)
}

/// The lowest level that a version of Kafka can start from.
pub(super) fn lowest(version: &str) -> Option<i16> {
    let (major, _) = numbers(version)?;
    Some(if major >= 4 { 7 } else { 1 })
}

/// The version is older than that release.
pub(super) fn before(version: &str, release: (u32, u32)) -> bool {
    numbers(version).is_some_and(|numbers| numbers < release)
}

fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split(['.', '-']).map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

/// What Kafka calls a level of `metadata.version`; empty if it is not known.
pub(super) fn name(level: i16) -> &'static str {
    find(level).map_or("", |known| known.name)
}

/// Whether the metadata can be brought back from a level of `metadata.version` to a lower one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Descent {
    Free,
    /// This level, which is the first above the lower one to do so, has changed the format. Kafka refuses.
    Blocked(i16),
    /// One of the levels is not known.
    Unknown,
}

/// The rule of Kafka's controllers: none of the levels above the lower one may have changed the format.
pub(super) fn descent(from: i16, to: i16) -> Descent {
    if find(from).is_none() || find(to).is_none() {
        return Descent::Unknown;
    }
    let between = LEVELS.iter().filter(|known| known.level > to && known.level <= from);
    let first = between.filter(|known| known.changes_format).map(|known| known.level).next();
    first.map_or(Descent::Free, Descent::Blocked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_have_the_levels_of_kafkas_own_list() {
        for (version, lowest_level, highest_level) in [
            ("3.3.2", Some(1), Some(7)),
            ("3.4.0", Some(1), Some(8)),
            ("3.5.2", Some(1), Some(11)),
            ("3.6.1", Some(1), Some(14)),
            ("3.7.2", Some(1), Some(19)),
            ("3.8.1", Some(1), Some(20)),
            ("3.9.0", Some(1), Some(21)),
            ("4.0.0", Some(7), Some(25)),
            ("4.1.1", Some(7), Some(27)),
            ("4.2.0", Some(7), Some(29)),
            ("4.3.0", Some(7), Some(30)),
            ("4.0.0-rc1", Some(7), Some(25)),
            ("4.9.0", Some(7), None),
            ("5.0.0", Some(7), None),
            ("latest", None, None),
            ("4", None, None),
        ] {
            assert_eq!((lowest(version), highest(version)), (lowest_level, highest_level), "{version}");
        }
    }

    #[test]
    fn only_the_highest_level_of_a_release_tells_that_release() {
        for (level, release, called) in [
            (7, Some("3.3"), "3.3-IV3"),
            (11, Some("3.5"), "3.5-IV2"),
            (18, None, "3.7-IV3"),
            (19, Some("3.7"), "3.7-IV4"),
            (25, Some("4.0"), "4.0-IV3"),
            (30, Some("4.3"), "4.3-IV0"),
            (31, None, ""),
            (0, None, ""),
        ] {
            assert_eq!((of(level), name(level)), (release, called), "{level}");
        }
    }

    #[test]
    fn the_metadata_comes_back_as_far_as_real_controllers_let_it() {
        use Descent::{Blocked, Free, Unknown};
        // What 3.9.0, 4.0.0, 4.1.1, 4.2.0 and 4.3.0 answered to a safe downgrade.
        for (from, to, answer) in [
            (21, 20, Free),
            (21, 19, Free),
            (21, 11, Blocked(13)),
            (19, 14, Blocked(15)),
            (11, 10, Blocked(11)),
            (25, 24, Free),
            (25, 22, Blocked(23)),
            (25, 21, Blocked(23)),
            (27, 24, Free),
            (29, 25, Free),
            (30, 29, Blocked(30)),
            (21, 17, Free),
            (31, 30, Unknown),
            (21, 0, Unknown),
        ] {
            assert_eq!(descent(from, to), answer, "{from} to {to}");
        }
    }
}
