//! Which requests are distorted, and how.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

type Edit = Arc<dyn Fn(&mut Value) + Send + Sync>;

/// What becomes of a request.
#[derive(Clone)]
pub enum Effect {
    Forward,
    /// The answer, changed. Also each line of a watch.
    Change(Edit),
    /// These bytes.
    Raw(Vec<u8>),
    /// These bytes, with a pause after each.
    Drip(Vec<u8>, Duration),
    /// A head, and then the same piece for ever.
    Endless(Vec<u8>, Vec<u8>),
    /// These bytes, and then nothing more on an open connection.
    Open(Vec<u8>),
    /// No answer on an open connection.
    Silence,
    /// The connection is closed.
    Hangup,
    /// The server does what was asked, and its answer is lost.
    Handled,
    /// Only so many bytes of the body.
    Cut(usize),
    /// The right body under this head (without the empty line at its end).
    Under(String),
    /// A page that shows the request with its headers, under this status.
    Echo(&'static str),
    /// The same as the message of a `Status`.
    EchoStatus(&'static str),
}

impl Effect {
    /// The server gets the request.
    pub fn reaches(&self) -> bool {
        use Effect::{Change, Cut, Forward, Handled, Under};
        matches!(self, Forward | Change(_) | Handled | Cut(_) | Under(_))
    }
}

/// One distortion.
#[derive(Clone)]
pub struct Rule {
    method: &'static str,
    /// With `*` for any text; compared with path and query.
    target: String,
    /// How many matching requests are left alone first.
    after: usize,
    /// How many are distorted.
    times: usize,
    pub effect: Effect,
}

impl Rule {
    pub fn new(method: &'static str, target: &str, effect: Effect) -> Self {
        Rule { method, target: target.to_owned(), after: 0, times: usize::MAX, effect }
    }

    /// Leaves the first ones alone.
    pub fn after(self, requests: usize) -> Self {
        Rule { after: requests, ..self }
    }

    /// Only so many.
    pub fn times(self, requests: usize) -> Self {
        Rule { times: requests, ..self }
    }

    pub fn matches(&self, method: &str, target: &str) -> bool {
        (self.method.is_empty() || self.method == method) && glob(&self.target, target)
    }

    /// What it is about.
    pub fn about(&self) -> String {
        format!("{} {}", self.method, self.target)
    }

    /// Whether it has distorted anything, after so many requests that match.
    pub fn held(&self, hits: usize) -> bool {
        hits > self.after
    }

    pub fn holds_at(&self, hit: usize) -> bool {
        hit >= self.after && hit - self.after < self.times
    }

    /// With what the row's texts stand for.
    pub fn filled(mut self, fill: impl Fn(&str) -> String) -> Self {
        if let Effect::Raw(bytes) = &mut self.effect
            && let Ok(text) = std::str::from_utf8(bytes)
        {
            *bytes = fill(text).into_bytes();
        }
        self
    }
}

fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// Every request.
pub fn any(effect: Effect) -> Rule {
    Rule::new("", "*", effect)
}

/// A list of that resource, or a page of one.
pub fn list(plural: &str, effect: Effect) -> Rule {
    Rule::new("GET", &format!("*/{plural}?*limit=*"), effect)
}

/// A read of one object.
pub fn get(plural: &str, name: &str, effect: Effect) -> Rule {
    Rule::new("GET", &format!("*/{plural}/{name}"), effect)
}

/// A watch of that resource.
pub fn watch(plural: &str, effect: Effect) -> Rule {
    Rule::new("GET", &format!("*/{plural}?*watch=true*"), effect)
}

pub fn post(target: &str, effect: Effect) -> Rule {
    Rule::new("POST", target, effect)
}

pub fn patch(target: &str, effect: Effect) -> Rule {
    Rule::new("PATCH", target, effect)
}

/// Changes the answer as a whole.
pub fn change(edit: impl Fn(&mut Value) + Send + Sync + 'static) -> Effect {
    Effect::Change(Arc::new(edit))
}

/// Changes one object wherever the API tells of it: alone, in a list, in a watch.
pub fn object(plural: &str, name: &'static str, edit: impl Fn(&mut Value) + Send + Sync + 'static) -> Rule {
    let edit = move |answer: &mut Value| {
        for object in objects(answer) {
            if object.pointer("/metadata/name").is_some_and(|found| found == name) {
                edit(object);
            }
        }
    };
    Rule::new("GET", &format!("*/{plural}*"), change(edit))
}

fn objects(answer: &mut Value) -> Vec<&mut Value> {
    if answer["items"].is_array() {
        return answer["items"].as_array_mut().into_iter().flatten().collect();
    }
    if answer["object"].is_object() {
        return vec![&mut answer["object"]];
    }
    vec![answer]
}

/// Sets the value at a JSON pointer, whose last part may be missing or be `-` for a new last element.
pub fn set(object: &mut Value, pointer: &str, value: Value) {
    let Some((parent, field)) = pointer.rsplit_once('/') else {
        *object = value;
        return;
    };
    let field = field.replace("~1", "/").replace("~0", "~");
    match object.pointer_mut(parent) {
        Some(Value::Object(fields)) => {
            fields.insert(field, value);
        }
        Some(Value::Array(all)) => match field.parse::<usize>() {
            Ok(index) if index < all.len() => all[index] = value,
            _ => all.push(value),
        },
        Some(other) => *other = json!({ field: value }),
        None => panic!("{pointer}: there is nothing at {parent} of {object}"),
    }
}

/// An answer with this status line and body.
pub fn says(status: &str, kind: &str, body: &str) -> Effect {
    let length = body.len();
    Effect::Raw(
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .into_bytes(),
    )
}

/// A JSON answer.
pub fn json_of(status: &str, body: &Value) -> Effect {
    says(status, "application/json", &body.to_string())
}

/// An error as the API server tells it.
pub fn status(code: u16, reason: &str, message: &str) -> Effect {
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
        "reason": reason, "code": code,
    });
    json_of(&format!("{code} {reason}"), &body)
}

/// A head that promises a body of unknown length.
pub const OPEN_HEAD: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n";

/// A body without an end.
pub fn endless(begin: &str, piece: &str) -> Effect {
    Effect::Endless([OPEN_HEAD, begin.as_bytes()].concat(), piece.as_bytes().to_vec())
}
