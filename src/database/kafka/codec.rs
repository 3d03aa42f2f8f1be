//! The primitives of Kafka's protocol, as its guide describes them: <https://kafka.apache.org/protocol>.
//!
//! Reading trusts no number: nothing is allocated by a count or a length before the bytes for it are there. That is why these
//! few messages are read here and not by a general crate, which would allocate by a count of four billion and end the process.

/// The bytes of a request.
#[derive(Default)]
pub struct Writer {
    pub bytes: Vec<u8>,
}

impl Writer {
    pub fn int8(mut self, value: i8) -> Self {
        self.bytes.extend(value.to_be_bytes());
        self
    }

    pub fn int16(mut self, value: i16) -> Self {
        self.bytes.extend(value.to_be_bytes());
        self
    }

    pub fn int32(mut self, value: i32) -> Self {
        self.bytes.extend(value.to_be_bytes());
        self
    }

    pub fn bool(self, value: bool) -> Self {
        self.int8(value.into())
    }

    /// A string with a length of two bytes. A longer one, which no name is, is cut off.
    pub fn string(self, text: &str) -> Self {
        let length = i16::try_from(text.len()).unwrap_or(i16::MAX);
        let mut writer = self.int16(length);
        writer.bytes.extend(text.bytes().take(length.unsigned_abs().into()));
        writer
    }

    /// Bytes with a length of four.
    pub fn blob(self, bytes: &[u8]) -> Self {
        let mut writer = self.int32(i32::try_from(bytes.len()).unwrap_or(i32::MAX));
        writer.bytes.extend(bytes);
        writer
    }

    pub fn compact_string(self, text: &str) -> Self {
        let mut writer = self.count(text.len());
        writer.bytes.extend(text.bytes());
        writer
    }

    /// The number of the elements that follow.
    pub fn count(mut self, elements: usize) -> Self {
        let mut rest = elements.saturating_add(1);
        while rest >= 0x80 {
            self.bytes.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        self.bytes.push(rest as u8);
        self
    }

    /// No array at all, which means all there are.
    pub fn null(self) -> Self {
        self.int8(0)
    }

    /// The end of a structure, without tagged fields.
    pub fn end(self) -> Self {
        self.int8(0)
    }
}

/// What is left of an answer. Every method is `None` where it is cut short or makes no sense.
pub struct Reader<'a> {
    left: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader { left: bytes }
    }

    pub fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, left) = self.left.split_at_checked(length)?;
        self.left = left;
        Some(taken)
    }

    pub fn int8(&mut self) -> Option<i8> {
        Some(i8::from_be_bytes(self.take(1)?.try_into().ok()?))
    }

    pub fn int16(&mut self) -> Option<i16> {
        Some(i16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    pub fn int32(&mut self) -> Option<i32> {
        Some(i32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    pub fn int64(&mut self) -> Option<i64> {
        Some(i64::from_be_bytes(self.take(8)?.try_into().ok()?))
    }

    pub fn varint(&mut self) -> Option<usize> {
        let mut value = 0_u32;
        for shift in [0, 7, 14, 21, 28] {
            let byte = u32::from(*self.take(1)?.first()?);
            value |= (byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return usize::try_from(value).ok();
            }
        }
        None
    }

    /// A compact string; null is an empty one.
    pub fn compact_string(&mut self) -> Option<&'a str> {
        match self.varint()? {
            0 => Some(""),
            length => std::str::from_utf8(self.take(length - 1)?).ok(),
        }
    }

    /// The elements of a compact array; null is an empty one.
    pub fn array<T>(&mut self, element: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = self.varint()?.saturating_sub(1);
        let mut elements = Vec::new();
        for _ in 0..count {
            elements.push(element(self)?);
        }
        Some(elements)
    }

    /// An array of structures, each of which ends with tagged fields that are of no interest.
    pub fn structs<T>(&mut self, element: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        self.array(|reader| {
            let read = element(reader)?;
            reader.tagged(|_, _| Some(()))?;
            Some(read)
        })
    }

    pub fn ids(&mut self) -> Option<Vec<i32>> {
        self.array(Self::int32)
    }

    /// The tagged fields at the end of a structure: their numbers and contents.
    pub fn tagged(&mut self, mut field: impl FnMut(usize, &mut Reader<'a>) -> Option<()>) -> Option<()> {
        for _ in 0..self.varint()? {
            let tag = self.varint()?;
            let length = self.varint()?;
            field(tag, &mut Reader::new(self.take(length)?))?;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_written_and_read_in_seven_bits_a_byte() {
        for (elements, bytes) in [
            (0, &[1][..]),
            (126, &[127]),
            (127, &[0x80, 1]),
            (16_382, &[0xff, 0x7f]),
            (16_383, &[0x80, 0x80, 1]),
        ] {
            assert_eq!(Writer::default().count(elements).bytes, bytes);
            assert_eq!(Reader::new(bytes).varint(), Some(elements + 1));
        }
        assert_eq!(Reader::new(&[0xff; 5]).varint(), None);
        assert_eq!(Reader::new(&[0x80]).varint(), None);
    }

    #[test]
    fn nothing_is_believed_that_is_not_there() {
        let four_billion = [0xff, 0xff, 0xff, 0xff, 0x0f];
        assert_eq!(Reader::new(&four_billion).ids(), None);
        assert_eq!(Reader::new(&four_billion).compact_string(), None);
        assert!(Reader::new(&four_billion).structs(Reader::int8).is_none());
        assert!(Reader::new(&four_billion).tagged(|_, _| Some(())).is_none());
        assert_eq!(Reader::new(&[2, 0xff]).compact_string(), None);
    }

    #[test]
    fn strings_arrays_and_tagged_fields_are_read() {
        let mut reader = Reader::new(&[3, b'h', b'o', 0, 3, 0, 0, 0, 1, 0, 0, 0, 2]);
        assert_eq!((reader.compact_string(), reader.compact_string()), (Some("ho"), Some("")));
        assert_eq!(reader.ids(), Some(vec![1, 2]));
        let mut found = Vec::new();
        let mut reader = Reader::new(&[2, 0, 1, 7, 5, 2, 0, 9, 1]);
        let read = reader.tagged(|tag, field| {
            found.push((tag, field.left.len()));
            Some(())
        });
        assert_eq!((read, found, reader.left), (Some(()), vec![(0, 1), (5, 2)], &[1][..]));
    }
}
