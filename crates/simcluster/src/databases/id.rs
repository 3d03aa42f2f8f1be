//! Ids that stay the same from run to run.

use crate::kubedb::digest;

/// The sixteen bytes of a uuid that belongs to a text.
pub(super) fn bytes(seed: &str) -> [u8; 16] {
    let halves = ["a", "b"].map(|half| digest::hash(format!("{half}/{seed}").as_bytes()));
    let mut bytes = (u128::from(halves[0]) << 64 | u128::from(halves[1])).to_be_bytes();
    // Version 4 and the usual variant.
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    bytes
}

/// The uuid that belongs to a text, written out.
pub(super) fn uuid(seed: &str) -> String {
    let hex: String = bytes(seed).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// Twenty-two letters and digits that belong to a text.
pub(super) fn short(seed: &str) -> String {
    uuid(seed).replace('-', "").chars().take(22).collect()
}
