//! One column of a table.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::age;

/// A column: its heading, and how its cell is read from an object.
pub(super) struct Column {
    name: &'static str,
    kind: &'static str,
    /// Shown by `-o wide` only.
    wide: bool,
    cell: Cell,
}

enum Cell {
    Text(fn(&Value) -> String),
    Number(fn(&Value) -> i64),
    Timed(fn(&Value, Timestamp) -> String),
    /// The value at a path, whatever it is.
    Path(&'static str),
    /// How long ago the time at a path was.
    Since(&'static str),
}

impl Column {
    pub const fn text(name: &'static str, cell: fn(&Value) -> String) -> Self {
        Self { name, kind: "string", wide: false, cell: Cell::Text(cell) }
    }

    pub const fn number(name: &'static str, cell: fn(&Value) -> i64) -> Self {
        Self { name, kind: "integer", wide: false, cell: Cell::Number(cell) }
    }

    /// A number in a column that is text, as some built-in kinds have it.
    pub const fn count(name: &'static str, cell: fn(&Value) -> i64) -> Self {
        Self { name, kind: "string", wide: false, cell: Cell::Number(cell) }
    }

    pub const fn timed(name: &'static str, cell: fn(&Value, Timestamp) -> String) -> Self {
        Self { name, kind: "string", wide: false, cell: Cell::Timed(cell) }
    }

    pub const fn path(name: &'static str, kind: &'static str, path: &'static str) -> Self {
        Self { name, kind, wide: false, cell: Cell::Path(path) }
    }

    /// Time since something, in a column that is text, as built-in kinds have it.
    pub const fn since(name: &'static str, path: &'static str) -> Self {
        Self { name, kind: "string", wide: false, cell: Cell::Since(path) }
    }

    /// The age of a custom resource.
    pub const fn date(name: &'static str) -> Self {
        Self { name, kind: "date", wide: false, cell: Cell::Since(CREATED) }
    }

    pub const fn wide(self) -> Self {
        Self { wide: true, ..self }
    }

    pub fn definition(&self) -> Value {
        let format = if self.name == "Name" { "name" } else { "" };
        json!({"name": self.name, "type": self.kind, "format": format, "description": "",
            "priority": i32::from(self.wide)})
    }

    pub fn cell(&self, object: &Value, now: Timestamp) -> Value {
        match &self.cell {
            Cell::Text(read) => json!(read(object)),
            Cell::Number(read) => json!(read(object)),
            Cell::Timed(read) => json!(read(object, now)),
            Cell::Path(path) => at(object, path).clone(),
            Cell::Since(path) => json!(age::since(at(object, path), now)),
        }
    }
}

/// Where every object says when it was created.
pub(super) const CREATED: &str = "metadata.creationTimestamp";

/// The name, with which every table begins.
pub(super) const NAME: Column = Column::path("Name", "string", "metadata.name");

/// The age of a built-in kind.
pub(super) const AGE: Column = Column::since("Age", CREATED);

/// The value at a dotted path; null when it is not there.
pub(super) fn at<'a>(object: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(object, |value, key| &value[key])
}
