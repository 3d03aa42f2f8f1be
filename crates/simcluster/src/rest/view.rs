//! How objects are written: whole, as metadata alone, or as a table; in the version that was asked for.

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

use crate::error::ApiError;

/// The form in which a client wants objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As they are.
    Whole,
    /// `PartialObjectMetadata`.
    Metadata,
    /// A `Table`, as kubectl prints it.
    Table,
}

impl Form {
    /// Picks the first entry of an `Accept` header that the server can write.
    pub fn negotiate(accept: &str) -> Result<Self, ApiError> {
        if accept.trim().is_empty() {
            return Ok(Self::Whole);
        }
        accept.split(',').find_map(Self::of_media_type).ok_or_else(ApiError::not_acceptable)
    }

    fn of_media_type(entry: &str) -> Option<Self> {
        let mut parts = entry.split(';').map(str::trim);
        let kind = parts.next()?;
        if !matches!(kind, "application/json" | "application/*" | "*/*") {
            return None;
        }
        let parameters: Vec<(&str, &str)> = parts.filter_map(|part| part.split_once('=')).collect();
        let get = |name: &str| parameters.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        match get("as") {
            None => Some(Self::Whole),
            Some(_) if get("v") != Some("v1") => None,
            Some("Table") => Some(Self::Table),
            Some("PartialObjectMetadata" | "PartialObjectMetadataList") => Some(Self::Metadata),
            Some(_) => None,
        }
    }
}

/// An object as it is written to a client.
pub(super) struct View<'a> {
    object: &'a Value,
    style: Style<'a>,
}

#[derive(Clone, Copy)]
enum Style<'a> {
    /// In this `apiVersion`.
    Whole(&'a str),
    /// Without `apiVersion` and `kind`, as in the lists of built-in kinds.
    Bare,
    Metadata,
}

impl<'a> View<'a> {
    /// The object in `form`; a table's rows are not its business.
    pub fn new(object: &'a Value, api_version: &'a str, form: Form) -> Self {
        let style = if form == Form::Metadata { Style::Metadata } else { Style::Whole(api_version) };
        Self { object, style }
    }

    /// The object as an item of a list.
    pub fn item(object: &'a Value, api_version: &'a str, form: Form, custom: bool) -> Self {
        let view = Self::new(object, api_version, form);
        match view.style {
            Style::Whole(_) if !custom => Self { style: Style::Bare, ..view },
            _ => view,
        }
    }
}

impl Serialize for View<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self.style {
            Style::Whole(api_version) => {
                map.serialize_entry("apiVersion", api_version)?;
                map.serialize_entry("kind", &self.object["kind"])?;
            }
            Style::Metadata => {
                map.serialize_entry("apiVersion", "meta.k8s.io/v1")?;
                map.serialize_entry("kind", "PartialObjectMetadata")?;
            }
            Style::Bare => {}
        }
        let only_metadata = matches!(self.style, Style::Metadata);
        for (key, value) in self.object.as_object().into_iter().flatten() {
            let type_meta = key == "apiVersion" || key == "kind";
            if !type_meta && (!only_metadata || key == "metadata") {
                map.serialize_entry(key, value)?;
            }
        }
        map.end()
    }
}
