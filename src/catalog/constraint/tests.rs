use super::*;

fn version(text: &str) -> Version {
    Version::parse(text).unwrap_or_else(|e| panic!("{e}"))
}

/// A constraint, versions that it matches, versions that it does not.
type Case = (&'static str, &'static str, &'static str);

fn check(cases: &[Case]) {
    for (text, inside, outside) in cases {
        let constraint = Constraint::parse(text).unwrap_or_else(|e| panic!("{e}"));
        for (versions, expected) in [(inside, true), (outside, false)] {
            for target in versions.split_whitespace() {
                assert_eq!(constraint.matches(&version(target)), expected, "{text:?}: {target}");
            }
        }
    }
}

#[test]
fn compares_with_whole_versions() {
    check(&[
        ("3.6.1", "3.6.1 v3.6.1 3.6.1+b", "3.6.0 3.6.2 3.6.1-rc1"),
        ("v3.6.1", "3.6.1", "3.6.2"),
        ("= 3.6.1", "3.6.1", "3.6.0"),
        ("=03.6.01", "3.6.1", "3.6.0"),
        ("!=3.6.1", "3.6.0 4.0.0", "3.6.1 v3.6.1+b 4.0.0-rc1"),
        (">3.6.1", "3.6.2 4", "3.6.1 3.6.0"),
        ("<3.6.1", "3.6.0 0", "3.6.1 3.6.1-rc1"),
        (">=3.6.1", "3.6.1 3.10", "3.6.0"),
        ("=>3.6.1", "3.6.1 3.10", "3.6.0"),
        ("<=3.6.1", "3.6.1 3.6", "3.6.2"),
        ("=<3.6.1", "3.6.1 3.6", "3.6.2"),
        ("~3.6.1", "3.6.1 3.6.9", "3.6.0 3.7.0 4.6.1"),
        ("~>3.6.1", "3.6.1 3.6.9", "3.6.0 3.7.0"),
        ("^3.6.1", "3.6.1 3.9.0", "3.6.0 4.0.0"),
        ("^0.6.1", "0.6.1 0.6.9", "0.6.0 0.7.0 1.6.1"),
        ("^0.0.3", "0.0.3", "0.0.2 0.0.4 0.3.0"),
        ("^0.0.0", "0.0.0", "0.0.1 1.2.3"),
        ("~0.0.0", "0.0.0 0.1.0 9.9.9", ""),
        ("\t>=\n3.6.1\r", "3.6.1", "3.6.0"),
    ]);
}

#[test]
fn leaves_open_what_is_short_or_wild() {
    check(&[
        ("3.6", "3.6.0 3.6.9", "3.5.9 3.7.0"),
        ("3.6.x", "3.6.0 3.6.9", "3.7.0"),
        ("3.X", "3.0.0 3.9.9", "4.0.0 2.9.9"),
        ("=3", "3.0.0 3.9.9", "4.0.0"),
        ("3.x.7", "3.0.0 3.9.9", "4.0.0"),
        ("*", "0.0.0 9.9.9", "4.0.0-rc1"),
        ("x.1.2", "0.0.0 9.9.9", ""),
        ("!=3", "2.9.9 4.0.0", "3.0.0 3.9.9"),
        ("!=3.6", "3.5.9 3.7.0 4.6.0", "3.6.0 3.6.9"),
        ("!=*", "0.0.1 9.9.9", "0.0.0"),
        (">3", "4.0.0", "3.0.0 3.9.9 2"),
        (">3.6", "3.7.0 4.0.0", "3.6.9 3.5.0"),
        (">*", "0.0.1 9.9.9", "0.0.0"),
        (">=3", "3.0.0 4", "2.9.9"),
        (">=3.6.*", "3.6.0 4", "3.5.9"),
        ("<3", "2.9.9", "3.0.0"),
        ("<3.6", "3.5.9", "3.6.0"),
        ("<*", "", "0.0.0 1.0.0"),
        ("<=3", "3.9.9 0.1", "4.0.0"),
        ("<=3.6", "3.6.9 2.7", "3.7.0 4.0.0"),
        ("<=*", "0.0.0 0.0.9", "0.1.0 1.0.0"),
        ("~3", "3.0.0 3.9.9", "4.0.0 2.9.9"),
        ("~3.6", "3.6.0 3.6.9", "3.7.0"),
        ("~>3.x", "3.0.0 3.9.9", "4.0.0"),
        ("~*", "0.0.0 9.9.9", ""),
        ("~0.0", "0.0.0 0.0.9", "0.1.0"),
        ("^3", "3.0.0 3.9.9", "4.0.0"),
        ("^3.6", "3.6.0 3.9.9", "3.5.9 4.0.0"),
        ("^0", "0.0.0 0.9.9", "1.0.0"),
        ("^0.6", "0.6.0 0.6.9", "0.7.0 1.6.0"),
        ("^0.0", "0.0.9", "0.1.0 1.0.0"),
        ("^*", "0.0.0", "0.0.1 1.0.0"),
    ]);
}

#[test]
fn combines() {
    check(&[
        (">= 28.0.1 < 31.0.0", "28.0.1 30.0.1", "28.0.0 31.0.0"),
        (">= 28.0.1, < 31.0.0", "28.0.1 30.0.1", "28.0.0 31.0.0"),
        (">=28.0.1,<31.0.0 , !=30", "29.0.0", "30.0.1 31.0.0"),
        ("< 2 || >= 3, < 4", "1.9.9 3.9.9", "2.0.0 4.0.0"),
        ("1.2.3||2.x||>5", "1.2.3 2.9.9 6.0.0", "1.2.4 5.9.9"),
        (">2 <1", "", "0 1 2 3"),
        ("1.2 - 2.3.4", "1.2.0 2.3.4", "1.1.9 2.3.5"),
        ("1.2.3 - 2", "1.2.3 2.9.9", "1.2.2 3.0.0"),
        ("  1  -  2  ", "1.0.0 2.9.9", "3.0.0"),
        ("1 - 2, !=1.5", "1.4.0 2.9.9", "1.5.1 3.0.0"),
        ("!=1.5, 1 - 2", "1.4.0 2.9.9", "1.5.1 3.0.0"),
        ("1 - 2 || 4 - 5", "1.0.0 2.9.9 4.0.0 5.9.9", "0.9.9 3.0.0 6.0.0"),
        ("1 || 3 - 4", "1.5.0 3.0.0 4.9.9", "2.0.0 5.0.0"),
        ("1||2 - 3", "1.5.0 3.0.0 9.9.9", "0.9.9"),
    ]);
}

#[test]
fn a_prerelease_needs_to_be_named_by_its_alternative() {
    check(&[
        (">= 2.0.0-beta.1", "2.0.0-beta.2 2.0.0 4.0.0-rc1", "2.0.0-alpha 1.9.9"),
        (">= 4.0.0-0", "4.0.0-rc1 4.0.0", "3.9.9"),
        (">= 2.0.0-0, < 3", "2.1.0-rc1 2.1.0", "3.0.0"),
        ("< 3, >= 2.0.0-0", "2.1.0-rc1", "3.0.0"),
        (">= 2.0.0-0 || >= 1", "2.1.0-rc1 1.0.0", "1.1.0-rc1"),
        ("2.0.0-rc1", "2.0.0-rc1", "2.0.0 2.0.0-rc2"),
        ("!= 2.0.0-rc1", "2.0.0 2.0.0-rc2", "2.0.0-rc1"),
        ("!= 2.0-rc1", "2.0.0 2.0.7-rc2 2.1.0-rc1", "2.0.7-rc1"),
        ("*-0", "1.2.3-alpha 1.2.3", ""),
        ("~1.2-beta", "1.2.0-beta 1.2.9-alpha", "1.2.0-alpha 1.3.0-beta"),
        ("^1.2.0-beta", "1.2.0-rc 1.9.0-alpha", "2.0.0-beta 1.2.0-alpha"),
        (">= 2022-cu14, < 2025-cu1", "2022-cu16 2025-cu0 2025-cu02", "2022-cu12 2025-cu1 16.12"),
        ("<= 2.7.3-debian", "2.7.3-centos 2.7.3-debian 2.6.1", "2.7.3 3.0.1-debian"),
    ]);
}

#[test]
fn refuses_what_the_operator_refuses() {
    use ConstraintFault::{Empty, NoSeparator, NoVersion, Range, Version};
    for (text, reason) in [
        ("", Empty),
        (" \t", Empty),
        ("1 ||", Empty),
        ("|| 1", Empty),
        ("1 |||| 2", Empty),
        (">", NoVersion),
        ("foo", NoVersion),
        ("==1", NoVersion),
        ("> =1", NoVersion),
        ("!1", NoVersion),
        (">=1,", NoVersion),
        (",1", NoVersion),
        ("1,,2", NoVersion),
        (">=é1", NoVersion),
        ("1 -2", NoVersion),
        ("8.1.2.2", NoSeparator),
        (">=1<2", NoSeparator),
        ("1.2.3-", NoSeparator),
        ("1\u{a0}2", NoSeparator),
        ("1\u{b}2", NoSeparator),
        ("3.6.1é", NoSeparator),
        ("0.5 1 - 2", NoSeparator),
        (">1 - 2", Range),
        ("1 - >2", Range),
        ("1 - - 2", Range),
        ("1.2.3.4 - 5", Range),
        ("1 | 2", Version(VersionFault::Form)),
        ("1|2", Version(VersionFault::Form)),
        ("1.xx", Version(VersionFault::Form)),
        ("1.2.3-01", Version(VersionFault::LeadingZero)),
        ("*-00", Version(VersionFault::LeadingZero)),
        ("18446744073709551616", Version(VersionFault::TooLarge)),
    ] {
        assert_eq!(Constraint::parse(text).err().map(|e| e.reason), Some(reason), "{text:?}");
    }
}

fn rule(allowlist: &[&str], denylist: &[&str]) -> Rule {
    let owned = |list: &[&str]| list.iter().map(ToString::to_string).collect();
    Rule { allowlist: owned(allowlist), denylist: owned(denylist) }
}

#[test]
fn a_rule_needs_one_of_the_allowlist_and_none_of_the_denylist() {
    let denied = |text: &str| Verdict::DeniedBy { constraint: text.to_owned() };
    let outside = |rule: &Rule| Verdict::NotInAllowlist { allowlist: rule.allowlist.clone() };
    let open = rule(&[], &[]);
    let kafka = rule(&[">= 3.5.2"], &["< 3.5.2"]);
    let two = rule(&["3.6.0", "3.7.x"], &[">5", "3.7.1"]);
    let deny = rule(&[], &["< 5.7.44", "6"]);
    for (rule, target, expected) in [
        (&open, "0.0.1", Verdict::Allowed),
        (&open, "4.0.0-rc1", Verdict::Allowed),
        (&kafka, "3.5.2", Verdict::Allowed),
        (&kafka, "3.4.0", outside(&kafka)),
        (&kafka, "4.0.0-rc1", outside(&kafka)),
        (&two, "3.6.0", Verdict::Allowed),
        (&two, "3.7.2", Verdict::Allowed),
        (&two, "3.7.1", denied("3.7.1")),
        (&two, "3.6.1", outside(&two)),
        (&deny, "6.1.0", denied("6")),
        (&deny, "5.7.43", denied("< 5.7.44")),
        (&deny, "5.7.44", Verdict::Allowed),
    ] {
        assert_eq!(rule.verdict(&version(target)), Ok(expected), "{rule:?}: {target}");
    }
}

#[test]
fn a_malformed_entry_is_named_with_its_place() {
    for (rule, place, message) in [
        (rule(&["*", ">"], &["foo"]), Place::Allowlist(1), "\">\" in allowlist[1]: expected a version"),
        (rule(&["1"], &["foo"]), Place::Denylist(0), "\"foo\" in denylist[0]: expected a version"),
        (rule(&[], &["9", "9", ""]), Place::Denylist(2), "\"\" in denylist[2]: a constraint is missing"),
    ] {
        let error = rule.verdict(&version("3.6.1")).expect_err("the rule is malformed");
        assert_eq!(error.place, Some(place));
        assert!(error.to_string().contains(message), "{error}");
    }
}

#[test]
fn garbage_is_refused_or_read_but_never_panics() {
    let pieces = "0·1·99999999999999999999·x·*·|·||·.·-· - ·+·,· ·<·>·=·~·^·v·rc·\u{b}·é·\u{3000}·\0";
    let pieces: Vec<&str> = pieces.split('·').collect();
    let mut state: u64 = 42;
    let mut next = |limit: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % limit
    };
    let target = version("1.2.3-rc");
    for _ in 0..20_000 {
        let text: String = (0..next(9)).map(|_| pieces[next(pieces.len())]).collect();
        if let Ok(constraint) = Constraint::parse(&text) {
            constraint.matches(&target);
        }
        let _ = Version::parse(&text);
    }
    for piece in pieces.iter().chain(&["1 - 2 ", "1-", "1.", "1 || ", ">=1, "]) {
        let _ = Constraint::parse(&piece.repeat(20_000));
    }
}
