//! The proxy for a server, found as kubectl does: the cluster's `proxy-url`, otherwise the environment.

use http::Uri;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};

/// The proxy for a server; `None` for a direct connection. `var` reads the environment.
///
/// The kubeconfig's `proxy-url` is used regardless of `NO_PROXY`. The environment variables have the meaning of Go's
/// `httpproxy`, which kubectl uses: a server on this machine is always reached directly.
///
/// # Errors
/// The invalid address, without the password in it.
pub(super) fn of(
    server: &Uri,
    configured: Option<&str>,
    var: impl Fn(&str) -> Option<String>,
) -> Result<Option<Uri>, String> {
    if let Some(url) = configured.filter(|url| !url.is_empty()) {
        return parsed(url).map(Some);
    }
    let var = |name: &str| var(name).or_else(|| var(&name.to_lowercase())).filter(|value| !value.is_empty());
    let https = server.scheme_str() == Some("https");
    let Some(url) = var(if https { "HTTPS_PROXY" } else { "HTTP_PROXY" }) else { return Ok(None) };
    if here(server) {
        return Ok(None);
    }
    let proxy = parsed(&url)?;
    // The matcher only decides whether a proxy is used: of a SOCKS address it would drop the user.
    let matcher = Matcher::builder().all("http://proxy").no(var("NO_PROXY").unwrap_or_default()).build();
    Ok(matcher.intercept(server).map(|_| proxy))
}

/// Whether the server is on this machine.
fn here(server: &Uri) -> bool {
    let host = server.host().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Parses a proxy's address. Without a scheme it is HTTP; with `socks5` and `socks5h` alike, the proxy resolves the server's
/// name.
fn parsed(url: &str) -> Result<Uri, String> {
    let full = match url.split_once("://") {
        None => format!("http://{url}"),
        Some(("socks5h", rest)) => format!("socks5://{rest}"),
        Some(_) => url.to_owned(),
    };
    let invalid = |why: &str| format!("{:?} is not a valid proxy address: {why}", without_user(url));
    let uri: Uri = full.parse().map_err(|e: http::uri::InvalidUri| invalid(&e.to_string()))?;
    match (uri.scheme_str(), uri.host()) {
        (Some("http" | "https" | "socks5"), Some(_)) => Ok(uri),
        _ => Err(invalid("it must begin with http://, https:// or socks5://")),
    }
}

/// The proxy for a server with its user and its password decoded, as they are sent; `None` if it cannot be one.
pub(super) fn with_login(proxy: &Uri, server: &Uri) -> Option<Intercept> {
    Matcher::builder().all(proxy.to_string()).build().intercept(server)
}

/// Strips the user and password in front of the host.
pub(super) fn without_user(url: &str) -> &str {
    url.rsplit_once('@').map_or(url, |(_, host)| host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(server: &str, configured: Option<&str>, environment: &[(&str, &str)]) -> String {
        let server: Uri = server.parse().expect(server);
        let var = |name: &str| {
            environment.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        match of(&server, configured, var) {
            Ok(None) => "direct".to_owned(),
            Ok(Some(uri)) => uri.to_string(),
            Err(why) => why,
        }
    }

    #[test]
    fn a_proxy_is_found_as_kubectl_finds_it() {
        let both = [("HTTPS_PROXY", "http://s:1"), ("HTTP_PROXY", "http://p:1")];
        let no = |list: &'static str| [("HTTPS_PROXY", "http://s:1"), ("NO_PROXY", list)];
        let one = |url: &'static str| [("https_proxy", url)];
        for (server, configured, environment, expected) in [
            ("https://api.example:6443", None, &[][..], "direct"),
            ("https://api.example:6443", None, &both, "http://s:1/"),
            ("http://api.example", None, &both, "http://p:1/"),
            ("https://127.0.0.1:6443", None, &both, "direct"),
            ("https://[::1]:6443", None, &both, "direct"),
            ("https://localhost:6443", None, &both, "direct"),
            ("https://127.0.0.1:6443", Some("http://c:1"), &both, "http://c:1/"),
            ("https://api.example", Some(""), &both, "http://s:1/"),
            ("https://api.example", Some("http://c:1"), &no("api.example"), "http://c:1/"),
            ("https://api.example", None, &no("api.example"), "direct"),
            ("https://api.example", None, &no("example"), "direct"),
            ("https://api.example", None, &no("other, .example"), "direct"),
            ("https://api.example", None, &no("xample"), "http://s:1/"),
            ("https://10.1.2.3", None, &no("10.0.0.0/8"), "direct"),
            ("https://10.1.2.3", None, &no("10.1.2.4"), "http://s:1/"),
            ("https://api.example", None, &no("*"), "direct"),
            ("https://api.example", None, &one("proxy:3128"), "http://proxy:3128/"),
            ("https://api.example", None, &one("http://u:p%40@proxy:3128"), "http://u:p%40@proxy:3128/"),
            ("https://api.example", None, &one("socks5h://proxy:1080"), "socks5://proxy:1080/"),
            (
                "https://api.example",
                None,
                &one("ftp://u:secret@proxy"),
                "\"proxy\" is not a valid proxy address: it must begin with http://, https:// or socks5://",
            ),
        ] {
            assert_eq!(
                proxy(server, configured, environment),
                expected,
                "{server} {configured:?} {environment:?}"
            );
        }
    }
}
