//! Version constraints, and the operator's rule which updates they allow.
//!
//! A constraint has the meaning it has in Go's Masterminds/semver v3.4, which KubeDB's operator uses; its oddities are kept,
//! because the operator has the last word. `||` separates alternatives, a comma or whitespace means *and*. `1.2 - 2.3` is a
//! range. A version may be partial (`1.2`), or have `x`, `X` or `*` for a number: `= ~ ^` then mean the whole series, `> 1.2`
//! the versions after the series, and `<= 1.2` those up to its end. A pre-release matches an alternative only if one of its
//! comparisons names a pre-release.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::semver::{Parts, Version, VersionFault, brief};

/// A set of versions, such as `>= 28.0.1 < 31.0.0`.
#[derive(Debug, Clone)]
pub struct Constraint {
    alternatives: Vec<Alternative>,
}

/// Comparisons that must all hold.
#[derive(Debug, Clone)]
struct Alternative {
    comparisons: Vec<Comparison>,
    names_prerelease: bool,
}

#[derive(Debug, Clone)]
struct Comparison {
    operator: Operator,
    /// The version to compare with; open numbers are 0.
    bound: Version,
    open: Open,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterOrEqual,
    LessOrEqual,
    Tilde,
    Caret,
}

/// The first number of a bound that is open, because of a wildcard or because it is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Nothing,
    Patch,
    Minor,
    Everything,
}

/// A text that is not a constraint.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct ConstraintError {
    /// The original text.
    pub text: String,
    /// What is wrong with it.
    pub reason: ConstraintFault,
    /// Its position in a rule, if it was parsed as part of one.
    pub place: Option<Place>,
}

/// What is wrong with a constraint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ConstraintFault {
    /// The text is empty, or one side of `||` is.
    #[error("a constraint is missing; `*` means any version")]
    Empty,
    /// A version is missing.
    #[error("expected a version such as 3.6.1 or 3.x")]
    NoVersion,
    /// A version is followed by something without a separator.
    #[error("expected a comma, a space or || after a version")]
    NoSeparator,
    /// A hyphen is not between two versions.
    #[error("a range is two bare versions, such as 3.5 - 3.6")]
    Range,
    /// A version within it is malformed.
    #[error(transparent)]
    Version(VersionFault),
}

/// The position of an entry in a [`Rule`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the allowlist, counted from 0.
    Allowlist(usize),
    /// In the denylist, counted from 0.
    Denylist(usize),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allowlist(index) => write!(f, "allowlist[{index}]"),
            Self::Denylist(index) => write!(f, "denylist[{index}]"),
        }
    }
}

impl fmt::Display for ConstraintError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "malformed version constraint {}", brief(&self.text))?;
        if let Some(place) = self.place {
            write!(f, " in {place}")?;
        }
        write!(f, ": {}", self.reason)
    }
}

impl Constraint {
    /// Parses a constraint.
    ///
    /// # Errors
    /// The text is empty or malformed, according to the operator's library.
    pub fn parse(text: &str) -> Result<Self, ConstraintError> {
        Self::read(text).map_err(|reason| ConstraintError { text: text.to_owned(), reason, place: None })
    }

    fn read(text: &str) -> Result<Self, ConstraintFault> {
        let text = spell_out_ranges(text)?;
        let alternatives = text.split("||").map(Alternative::read).collect::<Result<_, _>>()?;
        Ok(Self { alternatives })
    }

    /// Whether the version satisfies the constraint.
    pub fn matches(&self, version: &Version) -> bool {
        self.alternatives.iter().any(|alternative| alternative.matches(version))
    }
}

impl std::str::FromStr for Constraint {
    type Err = ConstraintError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl Alternative {
    fn read(text: &str) -> Result<Self, ConstraintFault> {
        let mut rest = text.trim_start_matches(is_space);
        if rest.is_empty() {
            return Err(ConstraintFault::Empty);
        }
        let mut comparisons = Vec::new();
        loop {
            let (comparison, after) = Comparison::read(rest)?;
            comparisons.push(comparison);
            let next = after.trim_start_matches(is_space);
            rest = match next.strip_prefix(',') {
                Some(next) => next.trim_start_matches(is_space),
                None if next.is_empty() => break,
                None if next.len() < after.len() => next,
                None => return Err(ConstraintFault::NoSeparator),
            };
        }
        let names_prerelease = comparisons.iter().any(|comparison| !comparison.bound.prerelease().is_empty());
        Ok(Self { comparisons, names_prerelease })
    }

    fn matches(&self, version: &Version) -> bool {
        (version.prerelease().is_empty() || self.names_prerelease)
            && self.comparisons.iter().all(|comparison| comparison.holds(version))
    }
}

impl Comparison {
    /// The comparison that a text starts with, and the rest.
    fn read(text: &str) -> Result<(Self, &str), ConstraintFault> {
        let (operator, rest) = Operator::read(text);
        let rest = rest.trim_start_matches(is_space);
        let parts = Parts::scan(rest, in_number).ok_or(ConstraintFault::NoVersion)?;
        let (text, after) = rest.split_at(parts.length);
        let (open, numbers) = close(&parts);
        let bound = Version::from_parts(text, numbers, parts.prerelease).map_err(ConstraintFault::Version)?;
        Ok((Self { operator, bound, open }, after))
    }

    fn holds(&self, version: &Version) -> bool {
        let bound = &self.bound;
        match self.operator {
            Operator::Equal if self.open == Open::Nothing => version == bound,
            Operator::Equal | Operator::Tilde => version >= bound && self.in_tilde_series(version),
            Operator::Caret => version >= bound && self.in_caret_series(version),
            Operator::NotEqual => self.differs(version),
            Operator::Less => version < bound,
            Operator::GreaterOrEqual => version >= bound,
            Operator::Greater => match self.open {
                Open::Minor => version.major() > bound.major(),
                Open::Patch => series(version) > series(bound),
                Open::Nothing | Open::Everything => version > bound,
            },
            Operator::LessOrEqual => match self.open {
                Open::Nothing => version <= bound,
                Open::Minor => version.major() <= bound.major(),
                // `<= *` means 0.0 to the operator's library, not everything.
                Open::Patch | Open::Everything => series(version) <= series(bound),
            },
        }
    }

    fn in_tilde_series(&self, version: &Version) -> bool {
        match self.open {
            Open::Everything => true,
            // `~0.0.0` is no limit to the operator's library, unlike `~0.0`.
            Open::Nothing if (series(&self.bound), self.bound.patch()) == ((0, 0), 0) => true,
            Open::Minor => version.major() == self.bound.major(),
            Open::Nothing | Open::Patch => series(version) == series(&self.bound),
        }
    }

    /// The same up to the first number that is not 0. `^*` has none, and means 0.0.0 to the
    /// operator's library.
    fn in_caret_series(&self, version: &Version) -> bool {
        let bound = &self.bound;
        if bound.major() > 0 || self.open == Open::Minor {
            version.major() == bound.major()
        } else if bound.minor() > 0 || self.open == Open::Patch {
            series(version) == series(bound)
        } else {
            (series(version), version.patch()) == (series(bound), bound.patch())
        }
    }

    fn differs(&self, version: &Version) -> bool {
        let bound = &self.bound;
        match self.open {
            Open::Minor => version.major() != bound.major(),
            // A bound with a pre-release excludes only versions with the same pre-release from the series.
            Open::Patch => series(version) != series(bound) || version.prerelease() != bound.prerelease(),
            Open::Nothing | Open::Everything => version != bound,
        }
    }
}

fn series(version: &Version) -> (u64, u64) {
    (version.major(), version.minor())
}

/// The open part of a bound, and its numbers with 0 for the open ones. Anything after a wildcard is ignored.
fn close<'a>(parts: &Parts<'a>) -> (Open, [&'a str; 3]) {
    let fixed = |part: Option<&'a str>| part.filter(|part| !matches!(*part, "x" | "X" | "*"));
    let Some(major) = fixed(Some(parts.major)) else {
        return (Open::Everything, ["0"; 3]);
    };
    let Some(minor) = fixed(parts.minor) else {
        return (Open::Minor, [major, "0", "0"]);
    };
    match fixed(parts.patch) {
        Some(patch) => (Open::Nothing, [major, minor, patch]),
        None => (Open::Patch, [major, minor, "0"]),
    }
}

impl Operator {
    /// The operator at the start of a text, and the rest; no operator means equal.
    fn read(text: &str) -> (Self, &str) {
        // Longer spellings come first.
        const SPELLINGS: [(&str, Operator); 11] = [
            ("!=", Operator::NotEqual),
            (">=", Operator::GreaterOrEqual),
            ("=>", Operator::GreaterOrEqual),
            ("<=", Operator::LessOrEqual),
            ("=<", Operator::LessOrEqual),
            ("~>", Operator::Tilde),
            ("=", Operator::Equal),
            (">", Operator::Greater),
            ("<", Operator::Less),
            ("~", Operator::Tilde),
            ("^", Operator::Caret),
        ];
        SPELLINGS
            .iter()
            .find_map(|(spelling, operator)| Some((*operator, text.strip_prefix(spelling)?)))
            .unwrap_or((Self::Equal, text))
    }
}

/// Rewrites each `low - high` in the text as two comparisons, as the operator's library does. The meaning of `1 || 2 - 3`, or
/// of an operator before a range, follows from that.
fn spell_out_ranges(text: &str) -> Result<String, ConstraintFault> {
    let mut spelt = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(hyphen) = lone_hyphen(rest) {
        let before = rest[..hyphen].trim_end_matches(is_space);
        let start = before.rfind(|c| is_space(c) || c == ',').map_or(0, |separator| separator + 1);
        let (before, low) = before.split_at(start);
        let after = rest[hyphen + 1..].trim_start_matches(is_space);
        let low_length = Parts::scan(low, in_number).map(|parts| parts.length);
        let (Some(high), true) = (Parts::scan(after, in_number), low_length == Some(low.len())) else {
            return Err(ConstraintFault::Range);
        };
        let (high, after) = after.split_at(high.length);
        spelt.extend([before.trim_end_matches(is_space), ">= ", low, ", <= ", high, " "]);
        rest = after.trim_start_matches(is_space);
    }
    spelt.push_str(rest);
    Ok(spelt)
}

/// The position of the first hyphen with whitespace on both sides.
fn lone_hyphen(text: &str) -> Option<usize> {
    let space_before = |place: usize| text[..place].ends_with(is_space);
    let space_after = |place: usize| text[place + 1..].starts_with(is_space);
    text.match_indices('-').map(|(place, _)| place).find(|&place| space_before(place) && space_after(place))
}

/// The whitespace of Go's regular expressions, which is ASCII without the vertical tab.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\x0c' | '\r')
}

/// The operator's library accepts a single `|` as part of a number. The number is then malformed, unless a wildcard before it
/// makes it irrelevant. In a range, this applies to the `||` of `1||2 - 3` too, which is parsed as `>= 1||2, <= 3`.
fn in_number(c: char) -> bool {
    c.is_ascii_digit() || matches!(c, 'x' | 'X' | '*' | '|')
}

/// `spec.updateConstraints` of the current version of a database.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// If there are any, one of these must match the target.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowlist: Vec<String>,
    /// None of these may match the target.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub denylist: Vec<String>,
}

/// Whether a rule allows an update to a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The operator allows the update.
    Allowed,
    /// The allowlist has entries, and none matches.
    NotInAllowlist {
        /// The entries.
        allowlist: Vec<String>,
    },
    /// An entry of the denylist matches.
    DeniedBy {
        /// The first one that matches.
        constraint: String,
    },
}

impl Rule {
    /// The operator's rule for an update to the version `target` (a catalog entry's `spec.version`): allowed if the allowlist
    /// is empty or one of its entries matches, and no entry of the denylist matches. A target that fails both is reported as
    /// not in the allowlist.
    ///
    /// # Errors
    /// Any entry is malformed: the operator parses all of them before it compares any.
    pub fn verdict(&self, target: &Version) -> Result<Verdict, ConstraintError> {
        let allowed = read_list(&self.allowlist, Place::Allowlist)?;
        let denied = read_list(&self.denylist, Place::Denylist)?;
        if !allowed.is_empty() && !allowed.iter().any(|constraint| constraint.matches(target)) {
            return Ok(Verdict::NotInAllowlist { allowlist: self.allowlist.clone() });
        }
        let refusal = denied.iter().zip(&self.denylist).find(|(constraint, _)| constraint.matches(target));
        Ok(refusal.map_or(Verdict::Allowed, |(_, text)| Verdict::DeniedBy { constraint: text.clone() }))
    }
}

fn read_list(list: &[String], place: fn(usize) -> Place) -> Result<Vec<Constraint>, ConstraintError> {
    let read = |(index, text): (usize, &String)| {
        Constraint::parse(text).map_err(|error| ConstraintError { place: Some(place(index)), ..error })
    };
    list.iter().enumerate().map(read).collect()
}

#[cfg(test)]
mod tests;
