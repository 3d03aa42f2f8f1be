//! The parameters of a query, read as Kubernetes reads them.

use crate::error::ApiError;

/// The parameters of a query, decoded.
#[derive(Clone, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub fn parse(text: &str) -> Self {
        Self(form_urlencoded::parse(text.as_bytes()).into_owned().collect())
    }

    /// Every parameter, in the order of the query.
    pub fn pairs(&self) -> &[(String, String)] {
        &self.0
    }

    /// All values of a parameter; an empty one counts.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The first value of a parameter; an empty one counts as absent.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// Whether a boolean parameter is set: whatever is there and is neither `false` nor `0` sets it.
    pub fn is_set(&self, name: &str) -> bool {
        self.all(name).next().is_some_and(|value| value != "0" && !value.eq_ignore_ascii_case("false"))
    }

    /// A parameter that is a whole number. What a negative one means depends on the parameter.
    pub fn integer(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let parse = |text: &str| {
            text.parse().map_err(|_| {
                ApiError::bad_request(format!("strconv.ParseInt: parsing \"{text}\": invalid syntax"))
            })
        };
        self.get(name).map(parse).transpose()
    }

    /// A parameter that is a whole number above zero; anything below counts as absent.
    pub fn positive(&self, name: &str) -> Result<Option<u64>, ApiError> {
        let number = self.integer(name)?.and_then(|number| u64::try_from(number).ok());
        Ok(number.filter(|number| *number > 0))
    }

    /// Refuses a `timeout` that is no duration.
    pub fn check_timeout(&self) -> Result<(), ApiError> {
        let Some(text) = self.get("timeout").filter(|text| !is_duration(text)) else { return Ok(()) };
        let why = format!("time: invalid duration \"{text}\"");
        Err(ApiError::bad_request(format!("invalid timeout specified in the request URL - {why}")))
    }

    /// The `resourceVersion`; 0 when it is absent.
    ///
    /// # Errors
    /// 500 without a reason: what every request but a list answers if the version is not a number.
    pub fn version(&self) -> Result<u64, ApiError> {
        let Some(text) = self.get("resourceVersion") else { return Ok(0) };
        text.parse().map_err(|_| {
            let message = format!(
                "resourceVersion: Invalid value: \"{text}\": strconv.ParseUint: parsing \"{text}\": invalid syntax"
            );
            ApiError::new(500, "", message)
        })
    }
}

/// Whether a text is a duration as Go writes it, such as `1m30s`.
fn is_duration(text: &str) -> bool {
    let mut rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    if rest == "0" {
        return true;
    }
    while !rest.is_empty() {
        let unit = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        let known = ["ns", "us", "µs", "ms", "s", "m", "h"].iter().find_map(|name| unit.strip_prefix(name));
        let number = &rest[..rest.len() - unit.len()];
        match known {
            Some(after) if number.parse::<f64>().is_ok() => rest = after,
            _ => return false,
        }
    }
    !text.is_empty()
}

#[cfg(test)]
mod tests {
    use super::Query;

    #[test]
    fn a_boolean_is_set_by_whatever_does_not_deny_it() {
        for (query, expected) in [
            ("watch=1", true),
            ("watch=true", true),
            ("watch=yes", true),
            ("watch=", true),
            ("watch", true),
            ("watch=0", false),
            ("watch=False", false),
            ("", false),
        ] {
            assert_eq!(Query::parse(query).is_set("watch"), expected, "{query}");
        }
    }

    #[test]
    fn a_timeout_is_a_duration() {
        for (text, expected) in
            [("5s", true), ("1m30s", true), ("1.5h", true), ("0", true), ("5", false), ("abc", false)]
        {
            assert_eq!(super::is_duration(text), expected, "{text}");
        }
    }

    #[test]
    fn numbers_below_zero_are_no_limits() {
        let query = Query::parse("limit=-1&timeoutSeconds=5&grace=x");
        assert_eq!(query.positive("limit").unwrap(), None);
        assert_eq!(query.positive("timeoutSeconds").unwrap(), Some(5));
        assert!(query.integer("grace").is_err());
    }
}
