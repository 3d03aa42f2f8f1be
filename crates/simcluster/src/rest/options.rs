//! What a write asks for beside its object: a dry run, a field manager, how strictly fields are checked.

use super::call::Call;
use super::path::Target;
use crate::error::{ApiError, Cause};
use crate::managers::Writer;

/// A longer name of a field manager is refused.
const LONGEST_MANAGER: usize = 128;

/// The options in the query of a write.
#[derive(Clone, Debug)]
pub(super) struct WriteOptions {
    pub verb: Verb,
    /// Whether the write is only to be tried.
    pub dry_run: bool,
    /// Who writes: the `fieldManager`, or else what the user agent begins with.
    pub manager: String,
    /// What happens to fields that the schema does not have.
    pub validation: FieldValidation,
    /// Whether an apply takes over the fields of other managers.
    pub force: bool,
}

/// What happens to fields that the schema does not have, or that are there twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FieldValidation {
    /// They are dropped.
    Ignore,
    /// They are dropped, and each is a warning.
    Warn,
    /// They refuse the write.
    Strict,
}

/// Which options object a refusal names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Create,
    Update,
    /// Anything but an apply.
    Patch,
    Apply,
}

impl Verb {
    fn options(self) -> &'static str {
        match self {
            Self::Create => "CreateOptions",
            Self::Update => "UpdateOptions",
            Self::Patch | Self::Apply => "PatchOptions",
        }
    }
}

impl WriteOptions {
    /// Reads the options of a write.
    ///
    /// # Errors
    /// 422 with causes for a value that no server takes.
    pub fn read(call: &Call, verb: Verb) -> Result<Self, ApiError> {
        let query = &call.query;
        let mut causes = Vec::new();
        let dry_run: Vec<&str> = query.all("dryRun").collect();
        causes.extend(dry_run_cause(&dry_run));
        let manager = query.get("fieldManager");
        causes.extend(manager.and_then(manager_cause));
        if verb == Verb::Apply && manager.is_none() {
            let message = "Required value: is required for apply patch";
            causes.push(Cause::field("FieldValueRequired", "fieldManager", message));
        }
        let force = query.all("force").next().is_some();
        if force && verb == Verb::Patch {
            let message = "Forbidden: may not be specified for non-apply patch";
            causes.push(Cause::field("FieldValueForbidden", "force", message));
        }
        let validation = match query.get("fieldValidation") {
            None | Some("Warn") => FieldValidation::Warn,
            Some("Ignore") => FieldValidation::Ignore,
            Some("Strict") => FieldValidation::Strict,
            Some(other) => {
                let message = format!(
                    "Unsupported value: \"{other}\": supported values: \"\", \"Ignore\", \"Strict\", \"Warn\""
                );
                causes.push(Cause::field("FieldValueNotSupported", "fieldValidation", message));
                FieldValidation::Warn
            }
        };
        if !causes.is_empty() {
            return Err(refuse(verb.options(), &causes));
        }
        Ok(Self {
            verb,
            dry_run: !dry_run.is_empty(),
            manager: manager.map_or_else(|| agent_name(&call.user_agent), str::to_owned),
            validation,
            force: query.is_set("force"),
        })
    }
}

impl WriteOptions {
    /// Who writes, as the owner of fields.
    pub fn writer<'a>(&'a self, target: &'a Target, now: &'a str) -> Writer<'a> {
        Writer {
            manager: &self.manager,
            applies: self.verb == Verb::Apply,
            version: target.version,
            status: target.subresource == "status",
            now,
        }
    }
}

/// 422 of an options object.
pub(super) fn refuse(options: &str, causes: &[Cause]) -> ApiError {
    ApiError::invalid(options, "options.meta.k8s.io", "", causes)
}

/// Why a `dryRun` is refused: only `All` is known.
pub(super) fn dry_run_cause(values: &[&str]) -> Option<Cause> {
    let known = values.iter().all(|value| *value == "All");
    (!known).then(|| {
        let values: Vec<String> = values.iter().map(|value| format!("\"{value}\"")).collect();
        let message = format!("Unsupported value: [{}]: supported values: \"All\"", values.join(","));
        Cause::field("FieldValueNotSupported", "dryRun", message)
    })
}

fn manager_cause(manager: &str) -> Option<Cause> {
    if manager.len() > LONGEST_MANAGER {
        let message = format!("Too long: may not be more than {LONGEST_MANAGER} bytes");
        return Some(Cause::field("FieldValueTooLong", "fieldManager", message));
    }
    let (at, character) = manager.char_indices().find(|(_, character)| character.is_control())?;
    let message = format!(
        "Invalid value: {manager:?}: invalid character U+{:04X} (at position {at})",
        u32::from(character)
    );
    Some(Cause::field("FieldValueInvalid", "fieldManager", message))
}

/// The name of a client that gives no field manager: its user agent up to the first slash.
fn agent_name(user_agent: &str) -> String {
    let name = user_agent.split('/').next().unwrap_or_default();
    name.chars().filter(|c| !c.is_control()).take(LONGEST_MANAGER).collect()
}
