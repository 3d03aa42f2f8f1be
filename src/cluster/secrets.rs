//! The credentials that are sent, so that none of them is shown when somebody repeats it: a proxy shows the request in its
//! error page, a plugin prints the token that it has got.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper_util::client::proxy::matcher::Intercept;
use kube::Config;
use secrecy::{ExposeSecret, SecretString};

use super::{ClusterError, proxy};

/// What is shown in the place of a secret.
const HIDDEN: &str = "[hidden]";

/// A shorter text is no secret, and occurs in ordinary words.
const SHORTEST: usize = 4;

/// The credentials of one connection, and all that it had before. Clones share them.
#[derive(Clone, Default)]
pub struct Secrets(Arc<Mutex<BTreeSet<String>>>);

impl Secrets {
    /// Adds the credentials of this configuration.
    pub(super) fn learn(&self, config: &Config) {
        let auth = &config.auth_info;
        let shown = |secret: &SecretString| secret.expose_secret().trim().to_owned();
        let mut learned: Vec<String> = auth.token.iter().chain(&auth.password).map(shown).collect();
        if let (Some(user), Some(password)) = (&auth.username, &auth.password) {
            learned.push(STANDARD.encode(format!("{user}:{}", password.expose_secret())));
        }
        if let Some(provider) = &auth.auth_provider {
            let secret = |name: &str| name.ends_with("-token") || name.ends_with("-secret");
            learned.extend(provider.config.iter().filter(|(name, _)| secret(name)).map(|(_, v)| v.clone()));
        }
        let proxy = config.proxy_url.as_ref().and_then(|url| url.authority());
        if let Some((login, _)) = proxy.and_then(|authority| authority.as_str().rsplit_once('@')) {
            learned.push(STANDARD.encode(login));
            learned.extend(login.split_once(':').map(|(_, password)| password.to_owned()));
        }
        let sent = config.proxy_url.as_ref().and_then(|url| proxy::with_login(url, &config.cluster_url));
        learned.extend(sent.iter().flat_map(decoded_login));
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(learned.into_iter().filter(|secret| secret.len() >= SHORTEST));
    }

    /// Adds a value of a database's Secret, as it is and as it is stored.
    pub(super) fn add(&self, secret: &str) {
        if secret.trim().len() >= SHORTEST {
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            known.extend([secret.trim().to_owned(), STANDARD.encode(secret)]);
        }
    }

    /// The text without the secrets.
    pub(super) fn masked(&self, text: &str) -> String {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut longest_first: Vec<&String> = known.iter().filter(|secret| text.contains(*secret)).collect();
        longest_first.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        longest_first.into_iter().fold(text.to_owned(), |text, secret| text.replace(secret, HIDDEN))
    }

    /// The error without the secrets.
    pub(super) fn hidden_in(&self, error: ClusterError) -> ClusterError {
        error.told(|text| self.masked(&text))
    }
}

/// The password of a proxy as it is sent: its address has it encoded.
fn decoded_login(proxy: &Intercept) -> Vec<String> {
    let header = proxy.basic_auth().and_then(|header| header.to_str().ok()?.strip_prefix("Basic "));
    let login = header.and_then(|sent| String::from_utf8(STANDARD.decode(sent).ok()?).ok());
    let basic = login.as_deref().and_then(|login| Some(login.split_once(':')?.1.to_owned()));
    let socks = proxy.raw_auth().map(|(_, password)| password.to_owned());
    header.map(str::to_owned).into_iter().chain(basic).chain(socks).collect()
}

#[cfg(test)]
mod tests {
    use kube::config::{AuthInfo, AuthProviderConfig};

    use super::*;

    #[test]
    fn what_is_sent_is_not_shown() {
        let mut config = Config::new("https://h".parse().expect("an address"));
        config.proxy_url = "http://ann:pr0xy-word@proxy:1".parse().ok();
        config.auth_info = AuthInfo {
            token: Some("abc.def\n".to_owned().into()),
            username: Some("ann".to_owned()),
            password: Some("hunter2".to_owned().into()),
            auth_provider: Some(AuthProviderConfig {
                name: "oidc".to_owned(),
                config: [("refresh-token", "r-e-f"), ("idp-issuer-url", "https://issuer")]
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .into(),
                other: Default::default(),
            }),
            ..AuthInfo::default()
        };
        let secrets = Secrets::default();
        secrets.learn(&config);
        config.auth_info = AuthInfo { token: Some("abc.def.ghi".to_owned().into()), ..AuthInfo::default() };
        secrets.learn(&config);
        config.auth_info = AuthInfo { token: Some("abc".to_owned().into()), ..AuthInfo::default() };
        secrets.learn(&config);
        for (said, shown) in [
            ("Authorization: Bearer abc.def", "Authorization: Bearer [hidden]"),
            ("abc.def.ghi and abc.def", "[hidden] and [hidden]"),
            ("Basic YW5uOmh1bnRlcjI= of ann", "Basic [hidden] of ann"),
            ("ann:hunter2", "ann:[hidden]"),
            ("Proxy-Authorization: Basic YW5uOnByMHh5LXdvcmQ=", "Proxy-Authorization: Basic [hidden]"),
            ("at ann:pr0xy-word@proxy", "at ann:[hidden]@proxy"),
            ("r-e-f from https://issuer", "[hidden] from https://issuer"),
            ("abc", "abc"),
        ] {
            assert_eq!(secrets.masked(said), shown);
        }
        for proxy in ["http://ann:p%40ss-word@proxy:1", "socks5://ann:p%40ss-word@proxy:1"] {
            let (secrets, mut config) =
                (Secrets::default(), Config::new("https://h".parse().expect("an address")));
            config.proxy_url = proxy.parse().ok();
            secrets.learn(&config);
            assert_eq!(secrets.masked("ann:p@ss-word, p%40ss-word"), "ann:[hidden], [hidden]", "{proxy}");
            let sent = secrets.masked("Basic YW5uOnBAc3Mtd29yZA==");
            assert_eq!(sent == "Basic [hidden]", proxy.starts_with("http"), "{proxy}: {sent}");
        }
        let error = ClusterError::lost("get x", "proxy said abc.def");
        assert_eq!(secrets.hidden_in(error).to_string(), "get x: proxy said [hidden]");
    }
}
