//! The primitive types of Kafka's protocol. From the version on that makes a message flexible, lengths are written compactly
//! and structures end in tagged fields.

/// Writes a message.
pub(super) struct Writer {
    bytes: Vec<u8>,
    flexible: bool,
}

impl Writer {
    pub fn new(flexible: bool) -> Self {
        Self { bytes: Vec::new(), flexible }
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub fn bool(&mut self, value: bool) {
        self.raw(&[u8::from(value)]);
    }

    pub fn int8(&mut self, value: i8) {
        self.raw(&value.to_be_bytes());
    }

    pub fn int16(&mut self, value: i16) {
        self.raw(&value.to_be_bytes());
    }

    pub fn uint16(&mut self, value: u16) {
        self.raw(&value.to_be_bytes());
    }

    pub fn int32(&mut self, value: i32) {
        self.raw(&value.to_be_bytes());
    }

    pub fn int64(&mut self, value: i64) {
        self.raw(&value.to_be_bytes());
    }

    /// A number in groups of seven bits, the lowest first.
    pub fn varint(&mut self, mut value: usize) {
        while value >= 0x80 {
            self.bytes.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push((value & 0x7f) as u8);
    }

    pub fn string(&mut self, text: &str) {
        self.short_length(text.len());
        self.raw(text.as_bytes());
    }

    pub fn nullable(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.string(text),
            None if self.flexible => self.varint(0),
            None => self.int16(-1),
        }
    }

    pub fn blob(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.raw(bytes);
    }

    /// A list: its length, then each item as `write` writes it.
    pub fn list<T>(&mut self, items: &[T], mut write: impl FnMut(&mut Self, &T)) {
        self.length(items.len());
        for item in items {
            write(self, item);
        }
    }

    pub fn ids(&mut self, ids: &[i32]) {
        self.list(ids, |writer, id| writer.int32(*id));
    }

    /// The end of a structure: no tagged fields.
    pub fn end(&mut self) {
        if self.flexible {
            self.varint(0);
        }
    }

    /// The end of a structure with tagged fields: their numbers and contents, in order.
    pub fn tagged(&mut self, fields: &[(usize, Vec<u8>)]) {
        self.varint(fields.len());
        for (tag, content) in fields {
            self.varint(*tag);
            self.varint(content.len());
            self.raw(content);
        }
    }

    fn length(&mut self, length: usize) {
        match self.flexible {
            true => self.varint(length + 1),
            // Nothing that a simulated broker says is that long.
            false => self.int32(i32::try_from(length).unwrap_or(i32::MAX)),
        }
    }

    fn short_length(&mut self, length: usize) {
        match self.flexible {
            true => self.varint(length + 1),
            false => self.int16(i16::try_from(length).unwrap_or(i16::MAX)),
        }
    }
}

/// Reads a message. Whatever cannot be read is `None`.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    flexible: bool,
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, flexible: false }
    }

    /// What follows is written as in flexible versions.
    pub fn flexible(&mut self, flexible: bool) {
        self.flexible = flexible;
    }

    /// How many bytes are left.
    pub fn left(&self) -> usize {
        self.bytes.len()
    }

    pub fn raw(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(count)?;
        self.bytes = rest;
        Some(taken)
    }

    pub fn bool(&mut self) -> Option<bool> {
        Some(self.raw(1)?[0] != 0)
    }

    pub fn int8(&mut self) -> Option<i8> {
        Some(i8::from_be_bytes(self.raw(1)?.try_into().ok()?))
    }

    pub fn int16(&mut self) -> Option<i16> {
        Some(i16::from_be_bytes(self.raw(2)?.try_into().ok()?))
    }

    pub fn int32(&mut self) -> Option<i32> {
        Some(i32::from_be_bytes(self.raw(4)?.try_into().ok()?))
    }

    pub fn varint(&mut self) -> Option<usize> {
        let mut value = 0;
        for shift in (0..35).step_by(7) {
            let byte = self.raw(1)?[0];
            value |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// A string that may be null.
    pub fn nullable(&mut self) -> Option<Option<String>> {
        let length = match self.flexible {
            true => self.varint()?.checked_sub(1),
            false => usize::try_from(self.int16()?).ok(),
        };
        let Some(length) = length else { return Some(None) };
        String::from_utf8(self.raw(length)?.to_vec()).ok().map(Some)
    }

    pub fn string(&mut self) -> Option<String> {
        self.nullable()?
    }

    pub fn blob(&mut self) -> Option<&'a [u8]> {
        let length = self.length()??;
        self.raw(length)
    }

    /// A list that may be null.
    pub fn list<T>(&mut self, mut read: impl FnMut(&mut Self) -> Option<T>) -> Option<Option<Vec<T>>> {
        let Some(length) = self.length()? else { return Some(None) };
        // An item has at least a byte, so that a lie about the length ends soon.
        let items: Option<Vec<T>> = (0..length).map(|_| read(self)).collect();
        Some(Some(items?))
    }

    /// The end of a structure, with whatever tagged fields there are.
    pub fn end(&mut self) -> Option<()> {
        if !self.flexible {
            return Some(());
        }
        for _ in 0..self.varint()? {
            self.varint()?;
            let length = self.varint()?;
            self.raw(length)?;
        }
        Some(())
    }

    fn length(&mut self) -> Option<Option<usize>> {
        Some(match self.flexible {
            true => self.varint()?.checked_sub(1),
            false => usize::try_from(self.int32()?).ok(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_compact_in_flexible_messages() {
        let written = |flexible: bool| {
            let mut writer = Writer::new(flexible);
            writer.string("ab");
            writer.nullable(None);
            writer.ids(&[7]);
            writer.end();
            writer.into_bytes()
        };
        assert_eq!(written(false), [0, 2, b'a', b'b', 0xff, 0xff, 0, 0, 0, 1, 0, 0, 0, 7]);
        assert_eq!(written(true), [3, b'a', b'b', 0, 2, 0, 0, 0, 7, 0]);
    }

    #[test]
    fn what_is_written_is_read_and_a_lie_about_a_length_is_not() {
        for flexible in [false, true] {
            let mut writer = Writer::new(flexible);
            writer.list(&["x", "yz"], |writer, text| writer.string(text));
            writer.varint(300);
            writer.end();
            let bytes = writer.into_bytes();
            let mut reader = Reader::new(&bytes);
            reader.flexible(flexible);
            assert_eq!(reader.list(Reader::string), Some(Some(vec!["x".to_owned(), "yz".to_owned()])));
            assert_eq!(reader.varint(), Some(300));
            assert_eq!((reader.end(), reader.raw(1)), (Some(()), None));
        }
        let mut reader = Reader::new(&[0x7f, 0xff, 0xff, 0xff, 0, 1]);
        assert_eq!(reader.list(Reader::string), None);
    }
}
