//! The naming rules of the API server. Names are checked before any request, so that a typo is a usage error rather than
//! an error from the server.

/// The longest database name: KubeDB uses it as the value of the label `app.kubernetes.io/instance`, and a label value
/// has at most 63 characters.
const LONGEST_DATABASE: usize = 63;

/// The longest name of a namespace (a DNS label, RFC 1123).
const LONGEST_LABEL: usize = 63;

/// What is wrong with a database's name; `None` if it is valid.
pub fn wrong_with_database(name: &str) -> Option<&'static str> {
    if name.len() > LONGEST_DATABASE {
        return Some("is longer than 63 characters, the limit for a KubeDB database");
    }
    if !name.split('.').all(is_label) {
        return Some(
            "must consist of lower case letters, digits, '-' and '.', and start and end with a letter or digit",
        );
    }
    None
}

/// What is wrong with a namespace's name; `None` if it is valid.
pub fn wrong_with_namespace(name: &str) -> Option<&'static str> {
    if name.len() > LONGEST_LABEL {
        return Some("is longer than 63 characters");
    }
    if !is_label(name) {
        return Some(
            "must consist of lower case letters, digits and '-', and start and end with a letter or digit",
        );
    }
    None
}

fn is_label(text: &str) -> bool {
    let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    !text.is_empty() && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rules_of_the_api() {
        let longest = "a".repeat(63);
        let too_long = "a".repeat(64);
        for (name, database, namespace) in [
            ("my-kf", true, true),
            ("0", true, true),
            ("my.kf", true, false),
            (longest.as_str(), true, true),
            (too_long.as_str(), false, false),
            ("", false, false),
            ("My-kf", false, false),
            ("my_kf", false, false),
            ("-kf", false, false),
            ("kf-", false, false),
            ("a..b", false, false),
            ("a.-b", false, false),
            ("kf\u{1b}[2J", false, false),
            ("ünï", false, false),
            ("a/b", false, false),
        ] {
            assert_eq!(wrong_with_database(name).is_none(), database, "{name:?}");
            assert_eq!(wrong_with_namespace(name).is_none(), namespace, "{name:?}");
        }
    }
}
