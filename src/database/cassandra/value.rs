//! The notations of the CQL native protocol, and values in them. Lengths are those that a server says: nothing is reserved
//! by them.

use crate::model::brief;

/// The values of a row, in the order in which the columns were asked for; null is `None`.
pub type Row = Vec<Option<Vec<u8>>>;

/// What of a body is not read yet.
pub struct Bytes<'a>(pub &'a [u8]);

impl<'a> Bytes<'a> {
    pub fn short(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub fn int(&mut self) -> Option<i32> {
        self.array().map(i32::from_be_bytes)
    }

    /// A text with its length before it, in a short.
    pub fn string(&mut self) -> Option<&'a str> {
        let length = self.short()?;
        std::str::from_utf8(self.take(length.into())?).ok()
    }

    /// A value with its length before it, in an int; a negative one is null.
    pub fn value(&mut self) -> Option<Option<Vec<u8>>> {
        match usize::try_from(self.int()?) {
            Ok(length) => self.take(length).map(|value| Some(value.to_vec())),
            Err(_) => Some(None),
        }
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*array)
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }
}

/// A text, cleaned and cut. Null is an empty text; `None` stands for what is no text.
pub fn text(value: Option<&[u8]>) -> Option<String> {
    std::str::from_utf8(value.unwrap_or_default()).ok().map(brief)
}

/// A UUID as it is written: 8, 4, 4, 4 and 12 digits.
pub fn uuid(value: Option<&[u8]>) -> Option<String> {
    let value: [u8; 16] = value?.try_into().ok()?;
    let digits = format!("{:032x}", u128::from_be_bytes(value));
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32];
    Some(parts.map(|part| digits.get(part).unwrap_or_default().to_owned()).join("-"))
}

/// A number of 4 bytes.
pub fn int(value: Option<&[u8]>) -> Option<i32> {
    value?.try_into().ok().map(i32::from_be_bytes)
}

/// A number of 8 bytes.
pub fn long(value: Option<&[u8]>) -> Option<i64> {
    value?.try_into().ok().map(i64::from_be_bytes)
}

/// A map of texts, in the order of the server.
pub fn texts(value: Option<&[u8]>) -> Option<Vec<(String, String)>> {
    let mut body = Bytes(value?);
    let pairs = body.int()?;
    let mut next = || text(body.value()?.as_deref());
    (0..pairs).map(|_| Some((next()?, next()?))).collect()
}
