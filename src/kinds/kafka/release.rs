//! The release of a broker, which does not tell it by any other means.

/// The release whose highest level of `metadata.version` this is, by Kafka's `MetadataVersion`; `None` for a level that is not
/// known.
pub(super) fn of(metadata_level: i16) -> Option<&'static str> {
    Some(match metadata_level {
        7 => "3.3",
        8 => "3.4",
        11 => "3.5",
        14 => "3.6",
        19 => "3.7",
        20 => "3.8",
        21 => "3.9",
        25 => "4.0",
        27 => "4.1",
        29 => "4.2",
        30 => "4.3",
        _ => return None,
    })
}
