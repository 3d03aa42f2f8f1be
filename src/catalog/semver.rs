//! Versions as the operator parses them.
//!
//! The grammar and the order are those of Go's Masterminds/semver v3.4, which KubeDB's operator uses: semantic versions,
//! parsed leniently. A leading `v`, missing minor and patch numbers and leading zeros are accepted (`v1.2`,
//! `2026.05.0-enterprise`, `2022-cu12`); a fourth number (`8.1.2.2`) is not.

use std::cmp::Ordering;
use std::fmt;

use thiserror::Error;

/// A version of a database, `spec.version` of a catalog entry.
///
/// Equality and order are semver precedence. Spelling and build metadata do not matter, so `v1.2`, `1.2.0` and
/// `1.2.0+build.5` are equal. `Display` prints the original text.
#[derive(Debug, Clone)]
pub struct Version {
    text: String,
    major: u64,
    minor: u64,
    patch: u64,
    prerelease: String,
}

/// A text that is not a version.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("malformed version {}: {reason}", brief(text))]
pub struct VersionError {
    /// The original text.
    pub text: String,
    /// What is wrong with it.
    pub reason: VersionFault,
}

/// What is wrong with a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum VersionFault {
    /// It does not have the form of a version.
    #[error("expected up to three numbers and an optional pre-release, such as 3.6.1 or 2.0.0-rc1")]
    Form,
    /// One of its numbers does not fit into 64 bits.
    #[error("a number is too large")]
    TooLarge,
    /// A numeric identifier of its pre-release has leading zeros, which semver forbids.
    #[error("a numeric part of the pre-release starts with 0")]
    LeadingZero,
}

impl Version {
    /// Parses a version.
    ///
    /// # Errors
    /// The text is not a version (see the module documentation for the grammar), a number exceeds 64 bits, or a numeric
    /// pre-release identifier has leading zeros.
    pub fn parse(text: &str) -> Result<Self, VersionError> {
        Self::read(text).map_err(|reason| VersionError { text: text.to_owned(), reason })
    }

    fn read(text: &str) -> Result<Self, VersionFault> {
        let parts = Parts::scan(text, |c| c.is_ascii_digit())
            .filter(|parts| parts.length == text.len())
            .ok_or(VersionFault::Form)?;
        let (minor, patch) = (parts.minor.unwrap_or("0"), parts.patch.unwrap_or("0"));
        Self::from_parts(text, [parts.major, minor, patch], parts.prerelease)
    }

    /// Makes a version from its parts, for constraints, whose missing numbers are filled in.
    pub(super) fn from_parts(text: &str, numbers: [&str; 3], prerelease: &str) -> Result<Self, VersionFault> {
        let leading_zero = |part: &str| part.len() > 1 && part.starts_with('0') && is_number(part);
        if prerelease.split('.').any(leading_zero) {
            return Err(VersionFault::LeadingZero);
        }
        let [major, minor, patch] = numbers;
        Ok(Self {
            text: text.to_owned(),
            major: number(major)?,
            minor: number(minor)?,
            patch: number(patch)?,
            prerelease: prerelease.to_owned(),
        })
    }

    /// The first number.
    pub fn major(&self) -> u64 {
        self.major
    }

    /// The second number; 0 if it was omitted.
    pub fn minor(&self) -> u64 {
        self.minor
    }

    /// The third number; 0 if it was omitted.
    pub fn patch(&self) -> u64 {
        self.patch
    }

    /// The pre-release without its hyphen, empty for a release.
    pub fn prerelease(&self) -> &str {
        &self.prerelease
    }
}

fn is_number(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

fn number(text: &str) -> Result<u64, VersionFault> {
    if text.is_empty() || !is_number(text) {
        return Err(VersionFault::Form);
    }
    text.parse().map_err(|_| VersionFault::TooLarge)
}

impl std::str::FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Version {}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.major, self.minor, self.patch)
            .cmp(&(other.major, other.minor, other.patch))
            // A release has an empty pre-release and comes after all of them.
            .then_with(|| self.prerelease.is_empty().cmp(&other.prerelease.is_empty()))
            .then_with(|| compare_prereleases(&self.prerelease, &other.prerelease))
    }
}

fn compare_prereleases(left: &str, right: &str) -> Ordering {
    left.split('.').map(Identifier::new).cmp(right.split('.').map(Identifier::new))
}

/// A dot-separated part of a pre-release. Numbers sort before words, by the derived order.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Identifier<'a> {
    Number(u64),
    Word(&'a str),
}

impl<'a> Identifier<'a> {
    /// A number of more than 64 bits counts as a word, as in the operator's library.
    fn new(text: &'a str) -> Self {
        text.parse().map_or(Self::Word(text), Self::Number)
    }
}

/// The longest version at the start of a text, split into parts but not yet validated.
pub(super) struct Parts<'a> {
    pub major: &'a str,
    pub minor: Option<&'a str>,
    pub patch: Option<&'a str>,
    /// Without its hyphen; empty when there is none.
    pub prerelease: &'a str,
    /// How many bytes of the text this takes, a `v` and build metadata included.
    pub length: usize,
}

impl<'a> Parts<'a> {
    /// Splits the version that `text` starts with. `in_number` says which characters a number may contain; constraints accept
    /// more than versions do.
    pub fn scan(text: &'a str, in_number: fn(char) -> bool) -> Option<Self> {
        let (major, rest) = run(text.strip_prefix('v').unwrap_or(text), in_number)?;
        let (minor, rest) = dotted(rest, in_number);
        let (patch, rest) = if minor.is_some() { dotted(rest, in_number) } else { (None, rest) };
        let (prerelease, rest) = identifiers(rest, '-');
        let (_metadata, rest) = identifiers(rest, '+');
        Some(Self { major, minor, patch, prerelease, length: text.len() - rest.len() })
    }
}

fn run(text: &str, in_run: fn(char) -> bool) -> Option<(&str, &str)> {
    let end = text.find(|c| !in_run(c)).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

fn dotted(text: &str, in_run: fn(char) -> bool) -> (Option<&str>, &str) {
    match text.strip_prefix('.').and_then(|rest| run(rest, in_run)) {
        Some((part, rest)) => (Some(part), rest),
        None => (None, text),
    }
}

/// The dot-separated identifiers after `sign`, and the rest; empty if there are none.
fn identifiers(text: &str, sign: char) -> (&str, &str) {
    let in_identifier = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let Some((first, mut rest)) = text.strip_prefix(sign).and_then(|list| run(list, in_identifier)) else {
        return ("", text);
    };
    let mut length = first.len();
    while let (Some(next), after) = dotted(rest, in_identifier) {
        length += 1 + next.len();
        rest = after;
    }
    (&text[1..=length], rest)
}

/// A text from outside, quoted, escaped and truncated to fit into one line.
pub(super) fn brief(text: &str) -> String {
    const LONGEST: usize = 60;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        Version::parse(text).unwrap_or_else(|e| panic!("{e}"))
    }

    #[test]
    fn reads_versions_leniently() {
        for (text, numbers, prerelease) in [
            ("3.6.1", (3, 6, 1), ""),
            ("v3.6.1", (3, 6, 1), ""),
            ("7", (7, 0, 0), ""),
            ("v14.2", (14, 2, 0), ""),
            ("2022-cu12", (2022, 0, 0), "cu12"),
            ("10.4-rc.1", (10, 4, 0), "rc.1"),
            ("2026.05.0-enterprise", (2026, 5, 0), "enterprise"),
            ("1.2.3+build.5", (1, 2, 3), ""),
            ("1.2.3-beta--1.0a.x+001.-", (1, 2, 3), "beta--1.0a.x"),
            ("1.2.3--", (1, 2, 3), "-"),
            ("18446744073709551615.0.0", (u64::MAX, 0, 0), ""),
        ] {
            let read = version(text);
            assert_eq!((read.major(), read.minor(), read.patch()), numbers, "{text}");
            assert_eq!(read.prerelease(), prerelease, "{text}");
            assert_eq!(read.to_string(), text);
        }
    }

    #[test]
    fn refuses_what_is_no_version() {
        use VersionFault::{Form, LeadingZero, TooLarge};
        for (text, reason) in [
            ("", Form),
            ("v", Form),
            ("V1.2.3", Form),
            ("vv1", Form),
            ("abc", Form),
            ("latest", Form),
            ("1.2.3.4", Form),
            ("8.1.2.2", Form),
            ("1.", Form),
            (".1", Form),
            ("1..2", Form),
            ("1.x", Form),
            ("+1", Form),
            ("1.-2", Form),
            ("1.2.3-", Form),
            ("1.2.3+", Form),
            ("1.2.3-a..b", Form),
            ("1.2.3-a.", Form),
            ("1.2.3-é", Form),
            ("1.2.3 ", Form),
            (" 1.2.3", Form),
            ("1.2.3\n", Form),
            ("１.２.３", Form),
            ("1.2.3-01", LeadingZero),
            ("1.2.3-rc.007", LeadingZero),
            ("18446744073709551616", TooLarge),
            ("1.99999999999999999999999.0", TooLarge),
        ] {
            assert_eq!(Version::parse(text).err().map(|e| e.reason), Some(reason), "{text:?}");
        }
    }

    #[test]
    fn orders_by_precedence() {
        let ascending = [
            "0.0.1-0",
            "0.0.1",
            "0.9",
            "1.0.0-1",
            "1.0.0-2",
            "1.0.0-10",
            "1.0.0--1",
            "1.0.0-18446744073709551616",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc1",
            "v1",
            "1.9.9",
            "1.10",
            "2022-cu12",
            "2022-cu9",
            "2022",
        ]
        .map(version);
        for (i, left) in ascending.iter().enumerate() {
            for (j, right) in ascending.iter().enumerate() {
                assert_eq!(left.cmp(right), i.cmp(&j), "{left} and {right}");
            }
        }
    }

    #[test]
    fn metadata_and_spelling_do_not_count() {
        for (left, right) in [("1.2", "v1.2.0"), ("1.2.3", "1.2.3+x"), ("01.2.3-a+1", "1.2.3-a+2")] {
            assert_eq!(version(left), version(right));
        }
    }

    #[test]
    fn errors_stay_short_and_printable() {
        let message = Version::parse(&"\u{1b}[31m".repeat(10_000)).map_err(|e| e.to_string());
        assert!(message.is_err_and(|m| m.len() < 600 && !m.contains('\u{1b}')));
    }
}
