//! Invented hashes that stay the same from run to run.

use serde_json::Value;

/// The alphabet of Kubernetes' generated names: no vowels and no digits that look like them.
const SAFE: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// A 64-bit hash (FNV-1a) that needs no secret and is the same on every machine.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// A short text for names, as the controllers append it: ten letters and digits.
pub(crate) fn name_suffix(seed: u64, length: usize) -> String {
    let mut rest = seed;
    let mut suffix = String::with_capacity(length);
    for _ in 0..length {
        suffix.push(char::from(SAFE[(rest % SAFE.len() as u64) as usize]));
        rest = (rest / SAFE.len() as u64) ^ rest.rotate_left(29).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    suffix
}

/// A hash of a JSON value that does not depend on the order of keys.
pub(crate) fn of_value(value: &Value) -> u64 {
    let mut text = String::new();
    write_sorted(value, &mut text);
    hash(text.as_bytes())
}

fn write_sorted(value: &Value, text: &mut String) {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<_> = map.iter().collect();
            keys.sort_by_key(|(key, _)| key.as_str());
            for (key, value) in keys {
                text.push_str(key);
                text.push('\u{1}');
                write_sorted(value, text);
            }
            text.push('\u{2}');
        }
        Value::Array(items) => {
            for item in items {
                write_sorted(item, text);
            }
            text.push('\u{3}');
        }
        other => {
            text.push_str(&other.to_string());
            text.push('\u{4}');
        }
    }
}

/// An invented sha256 of `seed`, as 64 hexadecimal digits.
pub(crate) fn sha256(seed: &str) -> String {
    let mut state = hash(seed.as_bytes());
    let mut digits = String::with_capacity(64);
    for round in 0u64..4 {
        state = hash(&(state ^ round).to_be_bytes());
        digits.push_str(&format!("{state:016x}"));
    }
    digits
}

/// The image without its digest.
pub(crate) fn without_digest(image: &str) -> &str {
    image.split_once('@').map_or(image, |(image, _)| image)
}

/// The image with the digest that its tag stands for here: `repo:tag@sha256:...`.
pub(crate) fn pinned(image: &str) -> String {
    let tagged = without_digest(image);
    format!("{tagged}@sha256:{}", sha256(tagged))
}

/// What a node reports as `imageID` for the image: the repository and the digest.
pub(crate) fn image_id(image: &str) -> String {
    let tagged = without_digest(image);
    let slash = tagged.rfind('/').map_or(0, |at| at + 1);
    let repository = tagged[slash..].find(':').map_or(tagged, |colon| &tagged[..slash + colon]);
    let digest = image
        .split_once('@')
        .map_or_else(|| format!("sha256:{}", sha256(tagged)), |(_, digest)| digest.to_owned());
    format!("{repository}@{digest}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn key_order_does_not_change_a_hash_and_nesting_does() {
        let mut forward = serde_json::Map::new();
        forward.insert("a".into(), json!(1));
        forward.insert("b".into(), json!([1, 2]));
        let mut backward = serde_json::Map::new();
        backward.insert("b".into(), json!([1, 2]));
        backward.insert("a".into(), json!(1));
        assert_eq!(of_value(&Value::Object(forward)), of_value(&Value::Object(backward)));
        assert_ne!(of_value(&json!([[1], [2]])), of_value(&json!([[1, 2], []])));
        assert_ne!(of_value(&json!("1")), of_value(&json!(1)));
    }

    #[test]
    fn pinning_keeps_the_tag_and_agrees_with_the_image_id() {
        let pin = pinned("host:5000/db:1.2");
        assert!(pin.starts_with("host:5000/db:1.2@sha256:"));
        assert_eq!(pinned(&pin), pin);
        assert_eq!(image_id(&pin), image_id("host:5000/db:1.2"));
        assert!(image_id(&pin).starts_with("host:5000/db@sha256:"));
        assert_eq!(without_digest(&pin), "host:5000/db:1.2");
    }

    #[test]
    fn suffixes_use_the_safe_alphabet() {
        let suffix = name_suffix(hash(b"x"), 10);
        assert_eq!(suffix.len(), 10);
        assert!(suffix.bytes().all(|byte| SAFE.contains(&byte)));
        assert_ne!(suffix, name_suffix(hash(b"y"), 10));
    }
}
