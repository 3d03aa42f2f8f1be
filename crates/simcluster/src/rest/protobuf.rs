//! The few protobuf bodies that kubectl sends: its typed clients write nothing else. Answers are always JSON.

use serde_json::{Map, Value, json};

/// The media type of such bodies.
pub(super) const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";

/// What every body begins with, before the envelope.
const MAGIC: &[u8] = b"k8s\0";

/// A field of a message: its number, its name in JSON, and what it holds.
type Field = (u64, &'static str, Kind);

#[derive(Clone, Copy)]
enum Kind {
    Text,
    Texts,
    Number,
    Message(&'static [Field]),
}

use Kind::{Message, Number, Text, Texts};

static TYPE_META: &[Field] = &[(1, "apiVersion", Text), (2, "kind", Text)];

static METADATA: &[Field] = &[(1, "name", Text), (2, "generateName", Text), (3, "namespace", Text)];

static DELETE_OPTIONS: &[Field] = &[
    (1, "gracePeriodSeconds", Number),
    (2, "preconditions", Message(&[(1, "uid", Text), (2, "resourceVersion", Text)])),
    (4, "propagationPolicy", Text),
    (5, "dryRun", Texts),
];

static EVICTION: &[Field] =
    &[(1, "metadata", Message(METADATA)), (2, "deleteOptions", Message(DELETE_OPTIONS))];

static RESOURCE_ATTRIBUTES: &[Field] = &[
    (1, "namespace", Text),
    (2, "verb", Text),
    (3, "group", Text),
    (4, "version", Text),
    (5, "resource", Text),
    (6, "subresource", Text),
    (7, "name", Text),
];

static ACCESS_SPEC: &[Field] = &[
    (1, "resourceAttributes", Message(RESOURCE_ATTRIBUTES)),
    (2, "nonResourceAttributes", Message(&[(1, "path", Text), (2, "verb", Text)])),
];

static ACCESS_REVIEW: &[Field] = &[(1, "metadata", Message(METADATA)), (2, "spec", Message(ACCESS_SPEC))];

static RULES_REVIEW: &[Field] =
    &[(1, "metadata", Message(METADATA)), (2, "spec", Message(&[(1, "namespace", Text)]))];

static SUBJECT_REVIEW: &[Field] = &[(1, "metadata", Message(METADATA))];

/// The object in a protobuf body; `None` when it is malformed or of a kind that is not expected here.
pub(super) fn decode(body: &[u8]) -> Option<Value> {
    let envelope = body.strip_prefix(MAGIC)?;
    let mut object = Value::Null;
    let mut kind = json!({});
    for field in Reader(envelope) {
        match field? {
            (1, Wire::Bytes(bytes)) => kind = message(TYPE_META, bytes)?,
            (2, Wire::Bytes(bytes)) => object = message(fields_of(&kind)?, bytes)?,
            _ => {}
        }
    }
    let Value::Object(map) = &mut object else { return None };
    map.extend(kind.as_object()?.clone());
    Some(object)
}

fn fields_of(kind: &Value) -> Option<&'static [Field]> {
    match kind["kind"].as_str()? {
        "DeleteOptions" => Some(DELETE_OPTIONS),
        "Eviction" => Some(EVICTION),
        "SelfSubjectAccessReview" => Some(ACCESS_REVIEW),
        "SelfSubjectRulesReview" => Some(RULES_REVIEW),
        "SelfSubjectReview" => Some(SUBJECT_REVIEW),
        _ => None,
    }
}

fn message(fields: &[Field], bytes: &[u8]) -> Option<Value> {
    let mut map = Map::new();
    for field in Reader(bytes) {
        let (number, wire) = field?;
        let Some((_, name, kind)) = fields.iter().find(|(known, ..)| *known == number) else { continue };
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
        match (kind, wire) {
            (Text, Wire::Bytes(bytes)) => drop(map.insert((*name).into(), json!(text(bytes)?))),
            (Texts, Wire::Bytes(bytes)) => {
                let list = map.entry(*name).or_insert_with(|| json!([]));
                list.as_array_mut()?.push(json!(text(bytes)?));
            }
            (Number, Wire::Varint(number)) => {
                // An int64 travels as its two's complement.
                drop(map.insert((*name).into(), json!(number.cast_signed())));
            }
            (Message(fields), Wire::Bytes(bytes)) => {
                drop(map.insert((*name).into(), message(fields, bytes)?));
            }
            _ => return None,
        }
    }
    Some(Value::Object(map))
}

/// A value as it travels.
enum Wire<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    Fixed,
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

    #[test]
    fn an_eviction_is_read() {
        let type_meta = [field(1, b"policy/v1"), field(2, b"Eviction")].concat();
        let options = [vec![1 << 3, 5], field(2, &field(1, b"u-1")), field(5, b"All")].concat();
        let eviction = [field(1, &field(1, b"pod-0")), field(2, &options)].concat();
        let body = [b"k8s\0".to_vec(), field(1, &type_meta), field(2, &eviction)].concat();
        let expected = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "pod-0"},
            "deleteOptions": {"gracePeriodSeconds": 5, "preconditions": {"uid": "u-1"}, "dryRun": ["All"]}});
        assert_eq!(decode(&body), Some(expected));
        assert_eq!(decode(&body[..body.len() - 1]), None);
        assert_eq!(decode(b"k8s"), None);
    }
}
