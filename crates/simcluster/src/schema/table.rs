//! The pieces that descriptions of resources are made of.

use serde_json::{Map, Value, json};

/// What a field may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Type {
    /// Anything, as it is.
    Any,
    Text,
    /// One of these texts, in a custom resource. Built-in kinds have rules of their own for that.
    Choice(&'static [&'static str]),
    /// Text that is base64.
    Bytes,
    /// RFC 3339.
    Time,
    /// RFC 3339 with six decimals.
    MicroTime,
    /// A whole number of 32 bits.
    Whole,
    /// A whole number of 64 bits.
    Long,
    Flag,
    /// A whole number or a text, such as `1` and `50%`, or a quantity.
    NumberOrText,
    /// Free keys.
    Map(&'static Type),
    List(&'static Type, Keys),
    Object(&'static Object),
}

impl Type {
    /// The type of a field of what has this type.
    pub fn field(&self, key: &str) -> Type {
        match self {
            Self::Object(schema) => schema.field(key).map_or(Self::Any, |field| field.kind),
            Self::Map(kind) => **kind,
            _ => Self::Any,
        }
    }
}

/// How the elements of a list are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keys {
    /// Not at all: the list is one value.
    None,
    /// Each is its own key.
    Value,
    /// By these fields. A strategic merge knows the first alone.
    Fields(&'static [&'static str]),
}

/// The fields of a map whose keys are known.
#[derive(Debug)]
pub(crate) struct Object {
    pub fields: &'static [Field],
    /// Whether it is one value, for those who own fields.
    pub atomic: bool,
}

impl Object {
    pub const fn new(fields: &'static [Field]) -> Self {
        Self { fields, atomic: false }
    }

    /// One value for those who own fields.
    pub const fn atomic(fields: &'static [Field]) -> Self {
        Self { fields, atomic: true }
    }

    /// The field of a name.
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

/// One field of an object.
#[derive(Debug)]
pub(crate) struct Field {
    pub name: &'static str,
    pub kind: Type,
    pub required: bool,
    pub default: Option<Default>,
    /// Whether the default is a part of the schema, which custom resources have as well where they borrow a type of a
    /// built-in kind, or of the built-in kind's own code.
    pub default_in_schema: bool,
}

/// What a field holds that is not given.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Default {
    Text(&'static str),
    Whole(i64),
    Flag(bool),
    /// An object without fields, which get their own defaults then.
    Empty,
    /// What follows from the other fields of its object, if anything does.
    From(fn(&Map<String, Value>) -> Option<Value>),
}

impl Default {
    /// The value in an object.
    pub fn value(&self, object: &Map<String, Value>) -> Option<Value> {
        match self {
            Self::Text(text) => Some(json!(text)),
            Self::Whole(number) => Some(json!(number)),
            Self::Flag(flag) => Some(json!(flag)),
            Self::Empty => Some(json!({})),
            Self::From(read) => read(object),
        }
    }
}

impl Field {
    /// It has to be there.
    pub const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    /// A default that the code of a built-in kind fills in.
    pub const fn or(self, default: Default) -> Self {
        Self { default: Some(default), default_in_schema: false, ..self }
    }

    /// A default of the schema.
    pub const fn default(self, default: Default) -> Self {
        Self { default: Some(default), default_in_schema: true, ..self }
    }
}

pub(super) const fn field(name: &'static str, kind: Type) -> Field {
    Field { name, kind, required: false, default: None, default_in_schema: false }
}

pub(super) const fn any(name: &'static str) -> Field {
    field(name, Type::Any)
}

pub(super) const fn text(name: &'static str) -> Field {
    field(name, Type::Text)
}

pub(super) const fn choice(name: &'static str, choices: &'static [&'static str]) -> Field {
    field(name, Type::Choice(choices))
}

pub(super) const fn time(name: &'static str) -> Field {
    field(name, Type::Time)
}

pub(super) const fn micro_time(name: &'static str) -> Field {
    field(name, Type::MicroTime)
}

pub(super) const fn whole(name: &'static str) -> Field {
    field(name, Type::Whole)
}

pub(super) const fn long(name: &'static str) -> Field {
    field(name, Type::Long)
}

pub(super) const fn flag(name: &'static str) -> Field {
    field(name, Type::Flag)
}

pub(super) const fn number_or_text(name: &'static str) -> Field {
    field(name, Type::NumberOrText)
}

/// Texts by free keys, such as labels.
pub(super) const fn texts(name: &'static str) -> Field {
    field(name, Type::Map(&Type::Text))
}

/// Quantities by free keys.
pub(super) const fn quantities(name: &'static str) -> Field {
    field(name, Type::Map(&Type::NumberOrText))
}

pub(super) const fn object(name: &'static str, object: &'static Object) -> Field {
    field(name, Type::Object(object))
}

/// A list that is one value.
pub(super) const fn list(name: &'static str, item: &'static Type) -> Field {
    field(name, Type::List(item, Keys::None))
}

/// A list of texts that is one value.
pub(super) const fn words(name: &'static str) -> Field {
    list(name, &Type::Text)
}

/// A list of objects that are told apart by these fields.
pub(super) const fn keyed(name: &'static str, item: &'static Type, keys: &'static [&'static str]) -> Field {
    field(name, Type::List(item, Keys::Fields(keys)))
}
