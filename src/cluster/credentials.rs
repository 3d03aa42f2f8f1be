//! Until when credentials are good, as far as they say it themselves.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use kube::config::AuthInfo;
use secrecy::ExposeSecret;
use serde::Deserialize;
use x509_cert::Certificate;
use x509_cert::der::DecodePem;

/// The first moment at which one of these credentials is no longer good. `None` where they renew themselves (a plugin, a
/// provider, a token in a file) or do not say.
pub(super) fn expiry(auth: &AuthInfo) -> Option<Timestamp> {
    if auth.exec.is_some() || auth.auth_provider.is_some() {
        return None;
    }
    let token = auth.token.as_ref().and_then(|token| of_token(token.expose_secret()));
    let certificate = certificate(auth).and_then(|pem| of_certificate(&pem));
    token.into_iter().chain(certificate).min()
}

#[derive(Deserialize)]
struct Claims {
    exp: Option<f64>,
}

/// The `exp` of a JSON Web Token (RFC 7519, in seconds since 1970). Its signature is the server's to check.
fn of_token(token: &str) -> Option<Timestamp> {
    let claims = token.split('.').nth(1)?;
    let claims = URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
    let claims: Claims = serde_json::from_slice(&claims).ok()?;
    Timestamp::from_second(claims.exp? as i64).ok()
}

fn certificate(auth: &AuthInfo) -> Option<Vec<u8>> {
    match (&auth.client_certificate_data, &auth.client_certificate) {
        (Some(data), _) => STANDARD.decode(data).ok(),
        (None, Some(file)) => std::fs::read(file).ok(),
        (None, None) => None,
    }
}

/// The end of the validity of the first certificate in a PEM file: the client's own.
fn of_certificate(pem: &[u8]) -> Option<Timestamp> {
    const END: &str = "-----END CERTIFICATE-----";
    let text = std::str::from_utf8(pem).ok()?;
    let from = text.find("-----BEGIN CERTIFICATE-----")?;
    let to = text[from..].find(END)? + from + END.len();
    let certificate = Certificate::from_pem(&text.as_bytes()[from..to]).ok()?;
    let end = certificate.tbs_certificate().validity().not_after.to_unix_duration();
    Timestamp::from_second(i64::try_from(end.as_secs()).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made for this test, with a key that nobody has kept; good until 2036.
    const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\n\
        MIIBczCCARmgAwIBAgIUEhT9ouK4EFz5RxQd9suWwr7jFF8wCgYIKoZIzj0EAwIw\n\
        DzENMAsGA1UEAwwEdGVzdDAeFw0yNjExMjEwNTI3MDFaFw0zNjExMTgwNTI3MDFa\n\
        MA8xDTALBgNVBAMMBHRlc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARkkWeH\n\
        gPf2tH0VyQIPbpdSQB9jSMJMm931VJ3eVcl1JV3Mp1psXPBknjTUD0vc4X2KvHLO\n\
        5s+BFW8UFIEc8WGpo1MwUTAdBgNVHQ4EFgQUiPA4K0bNwg+GfUS5XTRJu4Tbdvsw\n\
        HwYDVR0jBBgwFoAUiPA4K0bNwg+GfUS5XTRJu4TbdvswDwYDVR0TAQH/BAUwAwEB\n\
        /zAKBggqhkjOPQQDAgNIADBFAiEA3MGk6ceniMWwpTSA0FUuoeRkFGAaKDjE54/L\n\
        PCcmObQCIFWuOInaWjwxxrRxPUYXyrrlT1YXb3P1Q0vz64i2Dbc8\n\
        -----END CERTIFICATE-----";

    fn token(claims: &str) -> String {
        format!("e30.{}.c2lnbmF0dXJl", URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn a_token_says_until_when_it_is_good() {
        for (token, exp) in [
            (token(r#"{"exp":1790000000}"#), Some(1_790_000_000)),
            (token(r#"{"exp":1790000000.5,"sub":"x"}"#), Some(1_790_000_000)),
            (token(r#"{"sub":"x"}"#), None),
            (token("nonsense"), None),
            ("opaque".to_owned(), None),
            (String::new(), None),
            ("a.!.c".to_owned(), None),
        ] {
            assert_eq!(of_token(&token).map(|t| t.as_second()), exp, "{token}");
        }
    }

    #[test]
    fn a_certificate_says_until_when_it_is_good() {
        let end = "2036-11-18T05:27:01Z".parse::<Timestamp>().ok();
        assert_eq!(of_certificate(CERTIFICATE.as_bytes()), end);
        assert_eq!(of_certificate(format!("{CERTIFICATE}\n{CERTIFICATE}").as_bytes()), end);
        assert_eq!(of_certificate(b"-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----"), None);
        assert_eq!(of_certificate(b""), None);
    }

    #[test]
    fn what_ends_first_counts_and_what_renews_itself_does_not() {
        let auth = AuthInfo {
            token: Some(token(r#"{"exp":1790000000}"#).into()),
            client_certificate_data: Some(STANDARD.encode(CERTIFICATE)),
            ..AuthInfo::default()
        };
        assert_eq!(expiry(&auth).map(|t| t.as_second()), Some(1_790_000_000));
        let plugin = AuthInfo { exec: Some(kube::config::ExecConfig::default()), ..auth };
        assert_eq!(expiry(&plugin), None);
    }
}
