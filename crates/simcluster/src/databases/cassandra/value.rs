//! The values of a row, as the native protocol writes them.

use std::net::IpAddr;

/// A type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Text,
    Int,
    BigInt,
    Boolean,
    Double,
    Uuid,
    Inet,
    TextSet,
    TextList,
    TextMap,
}

impl Type {
    /// How it is written: its number, and those of its parts.
    fn ids(self) -> &'static [u16] {
        const VARCHAR: u16 = 0x0d;
        match self {
            Type::Text => &[VARCHAR],
            Type::Int => &[0x09],
            Type::BigInt => &[0x02],
            Type::Boolean => &[0x04],
            Type::Double => &[0x07],
            Type::Uuid => &[0x0c],
            Type::Inet => &[0x10],
            Type::TextSet => &[0x22, VARCHAR],
            Type::TextList => &[0x20, VARCHAR],
            Type::TextMap => &[0x21, VARCHAR, VARCHAR],
        }
    }
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    Null,
    Text(String),
    Int(i32),
    BigInt(u64),
    Boolean(bool),
    Double(f64),
    Uuid([u8; 16]),
    Inet(IpAddr),
    Texts(Vec<String>),
    Map(Vec<(String, String)>),
}

impl Cell {
    fn bytes(&self) -> Option<Vec<u8>> {
        Some(match self {
            Cell::Null => return None,
            Cell::Text(text) => text.as_bytes().to_vec(),
            Cell::Int(value) => value.to_be_bytes().to_vec(),
            Cell::BigInt(value) => value.to_be_bytes().to_vec(),
            Cell::Boolean(value) => vec![u8::from(*value)],
            Cell::Double(value) => value.to_be_bytes().to_vec(),
            Cell::Uuid(bytes) => bytes.to_vec(),
            Cell::Inet(IpAddr::V4(address)) => address.octets().to_vec(),
            Cell::Inet(IpAddr::V6(address)) => address.octets().to_vec(),
            Cell::Texts(texts) => collection(texts.len(), texts),
            Cell::Map(pairs) => collection(pairs.len(), pairs.iter().flat_map(|(key, value)| [key, value])),
        })
    }
}

fn collection<'a>(count: usize, texts: impl IntoIterator<Item = &'a String>) -> Vec<u8> {
    let mut bytes = int(count).to_vec();
    for text in texts {
        bytes.extend_from_slice(&int(text.len()));
        bytes.extend_from_slice(text.as_bytes());
    }
    bytes
}

/// A table with all its columns and rows.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Table {
    pub keyspace: &'static str,
    pub name: &'static str,
    pub columns: Vec<(&'static str, Type)>,
    pub rows: Vec<Vec<Cell>>,
}

impl Table {
    /// Only the rows in which a column has one of these texts.
    pub fn filter(&mut self, column: &str, texts: &[String]) {
        let Some(at) = self.columns.iter().position(|(name, _)| *name == column) else { return };
        self.rows.retain(|row| matches!(&row[at], Cell::Text(text) if texts.contains(text)));
    }

    /// Only these columns, in this order; `Err` names one that the table does not have.
    pub fn project(&self, names: &[String]) -> Result<Self, String> {
        let at = |name: &String| {
            let found = self.columns.iter().position(|(column, _)| column == name);
            found.ok_or_else(|| name.clone())
        };
        let places: Vec<usize> = names.iter().map(at).collect::<Result<_, _>>()?;
        Ok(Self {
            columns: places.iter().map(|at| self.columns[*at]).collect(),
            rows: self.rows.iter().map(|row| places.iter().map(|at| row[*at].clone()).collect()).collect(),
            ..*self
        })
    }

    /// The body of a result of rows.
    pub fn result(&self) -> Vec<u8> {
        const ROWS: usize = 2;
        const ONE_TABLE: usize = 1;
        let mut body = [int(ROWS), int(ONE_TABLE), int(self.columns.len())].concat();
        body.extend(short_text(self.keyspace));
        body.extend(short_text(self.name));
        for (name, kind) in &self.columns {
            body.extend(short_text(name));
            body.extend(kind.ids().iter().flat_map(|id| id.to_be_bytes()));
        }
        body.extend(int(self.rows.len()));
        for cell in self.rows.iter().flatten() {
            match cell.bytes() {
                Some(bytes) => {
                    body.extend(int(bytes.len()));
                    body.extend(bytes);
                }
                None => body.extend((-1_i32).to_be_bytes()),
            }
        }
        body
    }
}

fn int(value: usize) -> [u8; 4] {
    // Nothing that a simulated node says is that long.
    i32::try_from(value).unwrap_or(i32::MAX).to_be_bytes()
}

/// A text after its length in two bytes.
pub(super) fn short_text(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    [&length.to_be_bytes(), text.as_bytes()].concat()
}
