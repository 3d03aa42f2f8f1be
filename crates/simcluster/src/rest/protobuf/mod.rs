//! The protobuf bodies that kubectl sends: its typed clients write nothing else. Answers are always JSON.

mod messages;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map as JsonMap, Value, json};

use self::messages::{TYPE_META, fields_of};

/// The media type of such bodies.
pub(super) const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";

/// What every body begins with, before the envelope.
const MAGIC: &[u8] = b"k8s\0";

/// How deep messages that nobody knows are looked into.
const DEPTH: u8 = 8;

/// The fields of a message: the number, the name in JSON, and what it holds.
type Message = &'static [(u64, &'static str, Kind)];

#[derive(Clone, Copy)]
enum Kind {
    Text,
    /// Base64 in JSON.
    Bytes,
    Texts,
    Number,
    Flag,
    /// An `IntOrString`.
    NumberOrText,
    Message(Message),
    Messages(Message),
    /// From texts to these.
    Map(&'static Kind),
}

/// The object in a protobuf body; `None` when it is malformed, of a kind that is not expected here, or says something that
/// is not understood.
pub(super) fn decode(body: &[u8]) -> Option<Value> {
    let envelope = body.strip_prefix(MAGIC)?;
    let mut raw = &[][..];
    let mut object = JsonMap::new();
    for field in Reader(envelope) {
        match field? {
            (1, Wire::Bytes(bytes)) => object = message(TYPE_META, bytes)?,
            (2, Wire::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let fields = fields_of(object.get("kind")?.as_str()?)?;
    object.extend(message(fields, raw)?);
    Some(Value::Object(object))
}

fn message(fields: Message, bytes: &[u8]) -> Option<JsonMap<String, Value>> {
    let mut map = JsonMap::new();
    for field in Reader(bytes) {
        let (number, wire) = field?;
        match fields.iter().find(|(known, ..)| *known == number) {
            // Go writes texts, numbers and messages that were not set, too.
            Some((_, _, Kind::Text)) if matches!(wire, Wire::Bytes([])) => {}
            None if wire.says_nothing(DEPTH) => {}
            Some((_, name, kind)) => put(&mut map, name, *kind, &wire)?,
            None => return None,
        }
    }
    Some(map)
}

fn put(map: &mut JsonMap<String, Value>, name: &str, kind: Kind, wire: &Wire<'_>) -> Option<()> {
    match kind {
        Kind::Texts | Kind::Messages(_) => {
            let one = match kind {
                Kind::Messages(fields) => Kind::Message(fields),
                _ => Kind::Text,
            };
            map.entry(name).or_insert_with(|| json!([])).as_array_mut()?.push(value(one, wire)?);
        }
        Kind::Map(of) => {
            let Wire::Bytes(bytes) = wire else { return None };
            let (key, held) = entry(*of, bytes)?;
            map.entry(name).or_insert_with(|| json!({})).as_object_mut()?.insert(key, held);
        }
        _ => drop(map.insert(name.to_owned(), value(kind, wire)?)),
    }
    Some(())
}

/// What a field holds that is there once.
fn value(kind: Kind, wire: &Wire<'_>) -> Option<Value> {
    Some(match (kind, wire) {
        (Kind::Text, Wire::Bytes(bytes)) => json!(std::str::from_utf8(bytes).ok()?),
        (Kind::Bytes, Wire::Bytes(bytes)) => json!(STANDARD.encode(bytes)),
        // An int64 travels as its two's complement.
        (Kind::Number, Wire::Varint(number)) => json!(number.cast_signed()),
        (Kind::Flag, Wire::Varint(number)) => json!(*number != 0),
        (Kind::Message(fields), Wire::Bytes(bytes)) => Value::Object(message(fields, bytes)?),
        (Kind::NumberOrText, Wire::Bytes(bytes)) => {
            const FIELDS: Message =
                &[(1, "isText", Kind::Flag), (2, "number", Kind::Number), (3, "text", Kind::Text)];
            let read = message(FIELDS, bytes)?;
            let wanted = if read.get("isText") == Some(&json!(true)) { "text" } else { "number" };
            read.get(wanted).cloned().unwrap_or_default()
        }
        _ => return None,
    })
}

/// One pair of a map. A key or a value that is not there is an empty one.
fn entry(of: Kind, bytes: &[u8]) -> Option<(String, Value)> {
    let (mut key, mut held) = (String::new(), json!(""));
    for field in Reader(bytes) {
        match field? {
            (1, Wire::Bytes(bytes)) => key = String::from_utf8(bytes.to_vec()).ok()?,
            (2, wire) => held = value(of, &wire)?,
            _ => {}
        }
    }
    Some((key, held))
}

/// A value as it travels.
enum Wire<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    Fixed,
}

impl Wire<'_> {
    /// Whether this is what was not set, or a message of nothing else, no deeper than that.
    fn says_nothing(&self, depth: u8) -> bool {
        let nothing = |(_, wire): (u64, Wire<'_>)| depth > 0 && wire.says_nothing(depth - 1);
        match self {
            Wire::Varint(number) => *number == 0,
            Wire::Bytes(bytes) => Reader(bytes).all(|field| field.is_some_and(nothing)),
            Wire::Fixed => false,
        }
    }
}

/// The fields of a message, by number. Yields `None` once, and ends, when the bytes are no message.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, length: u64) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(usize::try_from(length).ok()?)?;
        self.0 = rest;
        Some(taken)
    }

    fn field(&mut self) -> Option<(u64, Wire<'a>)> {
        let tag = self.varint()?;
        let wire = match tag & 7 {
            0 => Wire::Varint(self.varint()?),
            1 => self.take(8).map(|_| Wire::Fixed)?,
            2 => {
                let length = self.varint()?;
                Wire::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Wire::Fixed)?,
            _ => return None,
        };
        Some((tag >> 3, wire))
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = Option<(u64, Wire<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::decode;

    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let length = u8::try_from(bytes.len()).expect("a short field");
        [&[number << 3 | 2, length], bytes].concat()
    }

    fn body(version: &[u8], kind: &[u8], object: &[u8]) -> Vec<u8> {
        let type_meta = [field(1, version), field(2, kind)].concat();
        [b"k8s\0".to_vec(), field(1, &type_meta), field(2, object)].concat()
    }

    #[test]
    fn an_eviction_is_read() {
        let options = [vec![1 << 3, 5], field(2, &field(1, b"u-1")), field(5, b"All")].concat();
        let eviction = [field(1, &field(1, b"pod-0")), field(2, &options)].concat();
        let body = body(b"policy/v1", b"Eviction", &eviction);
        let expected = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "pod-0"},
            "deleteOptions": {"gracePeriodSeconds": 5, "preconditions": {"uid": "u-1"}, "dryRun": ["All"]}});
        assert_eq!(decode(&body), Some(expected));
        assert_eq!(decode(&body[..body.len() - 1]), None);
        assert_eq!(decode(b"k8s"), None);
    }

    #[test]
    fn maps_bytes_and_numbers_or_texts_are_read() {
        let pair = |key: &[u8], value: &[u8]| [field(1, key), field(2, value)].concat();
        let metadata =
            [field(1, b"s"), field(11, &pair(b"app", b"x")), field(11, &pair(b"empty", b""))].concat();
        let secret = [field(1, &metadata), field(2, &pair(b"k", b"v")), field(3, b"")].concat();
        let expected = json!({"apiVersion": "v1", "kind": "Secret", "data": {"k": "dg=="},
            "metadata": {"name": "s", "labels": {"app": "x", "empty": ""}}});
        assert_eq!(decode(&body(b"v1", b"Secret", &secret)), Some(expected));
        let half = [vec![1 << 3, 1, 2 << 3, 0], field(3, b"50%")].concat();
        let none = [vec![1 << 3, 0, 2 << 3, 0], field(3, b"")].concat();
        // A selector that selects all, and a status that was not set.
        let spec = [field(1, &half), field(3, &none), field(2, b"")].concat();
        let budget = [field(2, &spec), field(3, &[4 << 3, 0, 5 << 3, 0])].concat();
        let expected = json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
            "spec": {"minAvailable": "50%", "maxUnavailable": 0, "selector": {}}});
        assert_eq!(decode(&body(b"policy/v1", b"PodDisruptionBudget", &budget)), Some(expected));
    }

    /// Nothing that a client says is left out in silence.
    #[test]
    fn what_is_not_understood_is_not_read() {
        let namespace = [field(1, &field(1, b"n")), field(2, &field(9, b"new"))].concat();
        assert_eq!(decode(&body(b"v1", b"Namespace", &namespace)), None);
        assert_eq!(decode(&body(b"v1", b"Node", b"")), None);
    }
}
