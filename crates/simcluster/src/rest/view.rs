//! How objects are written: whole, as metadata alone, or as a table; in the version that was asked for.

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

use super::yaml;
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

/// How an answer is spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Syntax {
    Json,
    Yaml,
}

/// What the server can write that the client wants most: the first of the entries with the highest `q`.
///
/// # Errors
/// 406 if it can write none.
pub(super) fn negotiate(accept: &str) -> Result<(Form, Syntax), ApiError> {
    if accept.trim().is_empty() {
        return Ok((Form::Whole, Syntax::Json));
    }
    let mut entries: Vec<Entry<'_>> = accept.split(',').map(Entry::read).collect();
    entries.sort_by(|one, other| other.quality().total_cmp(&one.quality()));
    entries.iter().find_map(Entry::served).ok_or_else(ApiError::not_acceptable)
}

/// One entry of an `Accept` header.
struct Entry<'a> {
    media_type: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
}

impl<'a> Entry<'a> {
    fn read(text: &'a str) -> Self {
        let mut parts = text.split(';').map(str::trim);
        let media_type = parts.next().unwrap_or_default();
        Self { media_type, parameters: parts.filter_map(|part| part.split_once('=')).collect() }
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        self.parameters.iter().find(|(key, _)| *key == name).map(|(_, value)| *value)
    }

    fn quality(&self) -> f32 {
        self.get("q").and_then(|q| q.parse().ok()).unwrap_or(1.0)
    }

    fn served(&self) -> Option<(Form, Syntax)> {
        let syntax = match self.media_type {
            "application/json" | "application/*" | "*/*" => Syntax::Json,
            yaml::MEDIA_TYPE => Syntax::Yaml,
            _ => return None,
        };
        let form = match self.get("as") {
            None => Form::Whole,
            Some(_) if self.get("v") != Some("v1") => return None,
            Some("Table") => Form::Table,
            Some("PartialObjectMetadata" | "PartialObjectMetadataList") => Form::Metadata,
            Some(_) => return None,
        };
        Some((form, syntax))
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
