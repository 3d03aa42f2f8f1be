//! As much of CQL as it takes to read a table.

/// A query of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Query {
    /// The columns; empty for all.
    pub columns: Vec<String>,
    /// The keyspace and the table.
    pub table: String,
    /// The columns that must have one of these texts.
    pub conditions: Vec<(String, Vec<String>)>,
}

/// Reads a query; `None` if it is anything but a plain `SELECT`.
pub(super) fn parse(text: &str) -> Option<Query> {
    let text = text.trim().trim_end_matches(';');
    let lower = text.to_ascii_lowercase();
    let columns = lower.strip_prefix("select ")?;
    let (columns, rest) = columns.split_once(" from ")?;
    let table = rest.split_whitespace().next()?.to_owned();
    let columns: Vec<String> =
        columns.split(',').map(|column| column.trim().trim_matches('"').to_owned()).collect();
    let columns = if columns == ["*"] { Vec::new() } else { columns };
    let conditions = match lower.find(" where ") {
        // A literal keeps its case.
        Some(at) => text[at + " where ".len()..].split(" AND ").flat_map(|part| part.split(" and ")),
        None => return Some(Query { columns, table, conditions: Vec::new() }),
    };
    let condition = |part: &str| {
        let (column, values) = match part.split_once('=') {
            Some((column, value)) => (column, value),
            None => part.split_once(" IN ").or_else(|| part.split_once(" in "))?,
        };
        // What is between the apostrophes.
        let values: Vec<String> = values.split('\'').skip(1).step_by(2).map(str::to_owned).collect();
        Some((column.trim().to_ascii_lowercase(), values)).filter(|(_, values)| !values.is_empty())
    };
    Some(Query { columns, table, conditions: conditions.filter_map(condition).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_read_as_they_are_usually_written() {
        let query = |columns: &[&str], table: &str, conditions: &[(&str, &str)]| Query {
            columns: columns.iter().map(|column| (*column).to_owned()).collect(),
            table: table.to_owned(),
            conditions: conditions
                .iter()
                .map(|(c, v)| ((*c).to_owned(), v.split(' ').map(str::to_owned).collect()))
                .collect(),
        };
        for (text, wanted) in [
            ("SELECT * FROM system.local", Some(query(&[], "system.local", &[]))),
            (
                "select rack, host_id from system.peers_v2;",
                Some(query(&["rack", "host_id"], "system.peers_v2", &[])),
            ),
            (
                r#"SELECT "schema", rack FROM system_views.gossip_info"#,
                Some(query(&["schema", "rack"], "system_views.gossip_info", &[])),
            ),
            (
                "SELECT value FROM system_views.settings WHERE name = 'Some' AND value='x' LIMIT 1",
                Some(query(&["value"], "system_views.settings", &[("name", "Some"), ("value", "x")])),
            ),
            (
                "SELECT name FROM system_views.settings WHERE name IN ('a', 'b')",
                Some(query(&["name"], "system_views.settings", &[("name", "a b")])),
            ),
            ("INSERT INTO x (a) VALUES (1)", None),
            ("SELECT 1", None),
        ] {
            assert_eq!(parse(text), wanted, "{text}");
        }
    }
}
