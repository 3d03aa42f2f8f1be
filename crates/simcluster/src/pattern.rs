//! Texts with wildcards.

/// A text in which `*` stands for anything.
#[derive(Clone, Debug)]
pub(crate) struct Pattern(Vec<String>);

impl Pattern {
    /// The pattern, as it is written.
    pub fn new(pattern: &str) -> Self {
        Self(pattern.split('*').map(str::to_owned).collect())
    }

    /// Whether the whole text fits.
    pub fn matches(&self, text: &str) -> bool {
        let [first, middle @ .., last] = self.0.as_slice() else {
            return self.0.first().is_none_or(|only| only == text);
        };
        let Some(mut rest) = text.strip_prefix(first.as_str()) else {
            return false;
        };
        for part in middle {
            let Some(at) = rest.find(part.as_str()) else {
                return false;
            };
            rest = &rest[at + part.len()..];
        }
        rest.ends_with(last.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn a_star_stands_for_anything() {
        let cases = [
            ("my-kf-0", "my-kf-0", true),
            ("my-kf-0", "my-kf-01", false),
            ("my-kf-*", "my-kf-broker-1", true),
            ("*-broker-*", "my-kf-broker-1", true),
            ("*-broker-*", "my-kf-controller-1", false),
            ("*:3.6.1", "repo/kafka:3.6.1", true),
            ("*:3.6.1", "repo/kafka:3.6.1-alpine", false),
            ("*:3.6.1*", "repo/kafka:3.6.1@sha256:ab", true),
            ("a*a", "a", false),
            ("*", "", true),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(Pattern::new(pattern).matches(text), expected, "{pattern} on {text}");
        }
    }
}
