//! What a list or a watch may ask for. The rules, and their words, are those of apimachinery's `ValidateListOptions`.

use super::options::refuse;
use super::query::Query;
use crate::error::{ApiError, Cause};

/// Refuses parameters of a list that do not go together.
pub(super) fn check_list(query: &Query) -> Result<(), ApiError> {
    let mut causes = Vec::new();
    if let Some(wanted) = query.get("resourceVersionMatch") {
        let mut forbid = |why: &str| causes.push(forbidden("resourceVersionMatch", why));
        if query.get("resourceVersion").is_none() {
            forbid("resourceVersionMatch is forbidden unless resourceVersion is provided");
        }
        if query.get("continue").is_some() {
            forbid("resourceVersionMatch is forbidden when continue is provided");
        }
        if wanted == "Exact" && query.get("resourceVersion") == Some("0") {
            forbid("resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"");
        }
        if !matches!(wanted, "Exact" | "NotOlderThan") {
            causes.push(unsupported(wanted, "\"Exact\", \"NotOlderThan\", \"\""));
        }
    }
    if query.all("sendInitialEvents").next().is_some() {
        causes.push(forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"));
    }
    done(&causes)?;
    // Every parameter is decoded, whether this server needs it or not.
    query.integer("timeoutSeconds").map(drop)
}

/// Refuses parameters of a watch that do not go together.
pub(super) fn check_watch(query: &Query) -> Result<(), ApiError> {
    let mut causes = Vec::new();
    let wanted = query.get("resourceVersionMatch");
    let initial = query.all("sendInitialEvents").next().is_some();
    if initial && wanted != Some("NotOlderThan") {
        let why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
        causes.push(forbidden("resourceVersionMatch", why));
    }
    if let Some(wanted) = wanted {
        if !initial {
            let why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
            causes.push(forbidden("resourceVersionMatch", why));
        } else if wanted != "NotOlderThan" {
            causes.push(unsupported(wanted, "\"NotOlderThan\""));
        }
    }
    if query.get("continue").is_some() {
        let why = "resourceVersionMatch is forbidden when continue is provided";
        causes.push(forbidden("resourceVersionMatch", why));
    }
    done(&causes)
}

fn done(causes: &[Cause]) -> Result<(), ApiError> {
    if causes.is_empty() { Ok(()) } else { Err(refuse("ListOptions", causes)) }
}

fn forbidden(field: &str, why: &str) -> Cause {
    Cause::field("FieldValueForbidden", field, format!("Forbidden: {why}"))
}

fn unsupported(value: &str, known: &str) -> Cause {
    let message = format!("Unsupported value: \"{value}\": supported values: {known}");
    Cause::field("FieldValueNotSupported", "resourceVersionMatch", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(found: Result<(), ApiError>) -> Option<String> {
        let details = found.err()?.details?;
        Some(details["causes"][0]["field"].as_str().unwrap_or_default().to_owned())
    }

    #[test]
    fn parameters_that_do_not_go_together_are_refused() {
        let matched = Some("resourceVersionMatch".to_owned());
        for (query, list, watch) in [
            ("", None, None),
            ("resourceVersion=5&resourceVersionMatch=Exact", None, matched.clone()),
            ("resourceVersion=0&resourceVersionMatch=Exact", matched.clone(), matched.clone()),
            ("resourceVersionMatch=NotOlderThan", matched.clone(), matched.clone()),
            ("resourceVersion=5&resourceVersionMatch=Bogus", matched.clone(), matched.clone()),
            ("sendInitialEvents=true", Some("sendInitialEvents".to_owned()), matched.clone()),
            (
                "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=0",
                Some("sendInitialEvents".to_owned()),
                None,
            ),
            ("continue=x", None, matched.clone()),
        ] {
            let query_of = Query::parse(query);
            assert_eq!(field(check_list(&query_of)), list, "list {query}");
            assert_eq!(field(check_watch(&query_of)), watch, "watch {query}");
        }
    }
}
