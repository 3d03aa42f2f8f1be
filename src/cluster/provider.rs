//! The command of an auth-provider, the predecessor of credential plugins: `gcp`, which kubectl knew until 1.25.

use jiff::{Timestamp, ToSpan};
use kube::config::AuthProviderConfig;
use serde_json::Value;

/// Where a token comes from.
#[derive(Debug, PartialEq)]
pub(super) enum Source {
    Token(String),
    /// The program that has to be run for it.
    Command(String),
}

/// Where this provider's token comes from; `None` if it is a provider without a command.
pub(super) fn source(provider: &AuthProviderConfig) -> Option<Source> {
    let setting = |name: &str| provider.config.get(name).cloned();
    if provider.name != "gcp" {
        return None;
    }
    let soon = Timestamp::now() + 1.minute();
    let valid = |expiry: String| expiry.parse::<Timestamp>().is_ok_and(|expiry| soon < expiry);
    let access = setting("access-token").filter(|_| setting("expiry").is_some_and(valid));
    let command = || setting("cmd-path").map(Source::Command);
    setting("id-token").or(access).map(Source::Token).or_else(command)
}

/// Its arguments.
pub(super) fn arguments(provider: &AuthProviderConfig) -> impl Iterator<Item = &str> {
    words(provider, "cmd-args")
}

/// The environment variables that it must not see.
pub(super) fn dropped(provider: &AuthProviderConfig) -> impl Iterator<Item = &str> {
    words(provider, "cmd-drop-env")
}

fn words<'a>(provider: &'a AuthProviderConfig, setting: &str) -> impl Iterator<Item = &'a str> {
    provider.config.get(setting).into_iter().flat_map(|text| text.split_whitespace())
}

/// The token in the command's output: the output itself, or the field that `token-key` names.
///
/// # Errors
/// Why there is none; nothing of the output is in it.
pub(super) fn token(provider: &AuthProviderConfig, output: &[u8]) -> Result<String, String> {
    let Some(key) = provider.config.get("token-key") else {
        return String::from_utf8(output.to_vec()).map_err(|_| "its output is not text".to_owned());
    };
    let output: Value =
        serde_json::from_slice(output).map_err(|_| "its output is not valid JSON".to_owned())?;
    let path = key.trim_matches(['"', '{', '}']).trim_start_matches('$').split('.');
    let found = path.filter(|part| !part.is_empty()).fold(&output, |value, part| &value[part]);
    found.as_str().map(str::to_owned).ok_or_else(|| format!("its output has no text at {key}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provider(name: &str, config: &[(&str, &str)]) -> AuthProviderConfig {
        let config = config.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        AuthProviderConfig { name: name.to_owned(), config, other: Default::default() }
    }

    #[test]
    fn a_command_is_run_where_there_is_no_token() {
        let path = ("cmd-path", "gcloud");
        let command = || Some(Source::Command("gcloud".to_owned()));
        let token = || Some(Source::Token("t".to_owned()));
        for (name, config, from) in [
            ("gcp", &[path][..], command()),
            ("gcp", &[path, ("access-token", "t")], command()),
            ("gcp", &[path, ("access-token", "t"), ("expiry", "2020-01-01T00:00:00Z")], command()),
            ("gcp", &[path, ("access-token", "t"), ("expiry", "2190-01-01T00:00:00Z")], token()),
            ("gcp", &[path, ("id-token", "t")], token()),
            ("gcp", &[], None),
            ("oidc", &[path], None),
        ] {
            assert_eq!(source(&provider(name, config)), from, "{name} {config:?}");
        }
        let one = provider("gcp", &[path, ("cmd-args", " config  helper "), ("cmd-drop-env", "A B")]);
        assert_eq!(arguments(&one).collect::<Vec<_>>(), ["config", "helper"]);
        assert_eq!(dropped(&one).collect::<Vec<_>>(), ["A", "B"]);
    }

    #[test]
    fn the_token_is_found_in_the_output() {
        let json = r#"{"credential":{"access_token":"t"}}"#;
        for (key, output, token) in [
            (None, "t\n", Ok("t\n")),
            (Some("{.credential.access_token}"), json, Ok("t")),
            (Some("credential.access_token"), json, Ok("t")),
            (Some("$.credential.access_token"), json, Ok("t")),
            (Some("{.credential}"), json, Err("its output has no text at {.credential}")),
            (Some("{.a}"), "secret", Err("its output is not valid JSON")),
        ] {
            let config: Vec<_> = key.into_iter().map(|key| ("token-key", key)).collect();
            let found = super::token(&provider("gcp", &config), output.as_bytes());
            assert_eq!(found.as_deref().map_err(String::as_str), token, "{key:?}");
        }
    }
}
