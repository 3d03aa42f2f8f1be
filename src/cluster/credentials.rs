//! Which credentials are sent, and how long they are valid, as far as they contain that.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::HeaderValue;
use jiff::Timestamp;
use kube::config::AuthInfo;
use secrecy::ExposeSecret;
use serde::Deserialize;
use x509_cert::Certificate;
use x509_cert::der::DecodePem;

use super::flags::ConnectError;

/// The same credentials with their tokens as kubectl sends them: without surrounding whitespace, which files and
/// plugins often add. An empty token counts as absent, and a user without a password has an empty one.
///
/// # Errors
/// [`ConnectError::Token`] if a token cannot be sent in a header.
pub(super) fn sendable(mut auth: AuthInfo) -> Result<AuthInfo, ConnectError> {
    if let Some(token) = auth.token.take() {
        let token = token.expose_secret().trim().to_owned();
        fits_a_header(&token)?;
        auth.token = Some(token).filter(|token| !token.is_empty()).map(Into::into);
    }
    if let Some(provider) = &mut auth.auth_provider {
        for name in ["id-token", "access-token"] {
            if let Some(token) = provider.config.get_mut(name) {
                *token = token.trim().to_owned();
                fits_a_header(token)?;
            }
        }
    }
    if auth.username.is_some() && auth.password.is_none() {
        auth.password = Some(String::new().into());
    }
    Ok(auth)
}

fn fits_a_header(token: &str) -> Result<(), ConnectError> {
    HeaderValue::try_from(format!("Bearer {token}")).map(drop).map_err(|_| ConnectError::Token)
}

/// When the first of these credentials expires. `None` if they are renewed automatically (by a plugin, a provider, or a
/// token file), or do not contain an expiry.
pub(super) fn expiry(auth: &AuthInfo) -> Option<Timestamp> {
    if auth.exec.is_some() || auth.auth_provider.is_some() {
        return None;
    }
    let token = auth.token.as_ref().filter(|_| auth.token_file.is_none());
    let token = token.and_then(|token| of_token(token.expose_secret()));
    let certificate = auth.client_certificate_data.as_ref().and_then(|data| STANDARD.decode(data).ok());
    let certificate = certificate.and_then(|pem| of_certificate(&pem));
    token.into_iter().chain(certificate).min()
}

#[derive(Deserialize)]
struct Claims {
    exp: Option<f64>,
}

/// The `exp` claim of a JSON Web Token (RFC 7519, in seconds since 1970). The signature is not verified here; the server does.
fn of_token(token: &str) -> Option<Timestamp> {
    let claims = token.split('.').nth(1)?;
    let claims = URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
    let claims: Claims = serde_json::from_slice(&claims).ok()?;
    Timestamp::from_second(claims.exp? as i64).ok()
}

/// The expiry of the first certificate in a PEM file, which is the client's own.
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

    /// Made for this test, with a key that was discarded; valid until 2036.
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

    /// The token that is sent, `none`, or the error.
    fn sent(token: &str) -> String {
        let auth = AuthInfo { token: Some(token.to_owned().into()), ..AuthInfo::default() };
        match sendable(auth) {
            Ok(auth) => auth.token.map_or_else(|| "none".to_owned(), |t| t.expose_secret().to_owned()),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_token_is_sent_without_the_space_around_it() {
        for (token, expected) in [
            ("t", "t"),
            ("t\n", "t"),
            ("t\r\n\n", "t"),
            (" \tt ", "t"),
            ("\n", "none"),
            ("", "none"),
            ("a b", "a b"),
        ] {
            assert_eq!(sent(token), expected, "{token:?}");
        }
        for token in ["secret\nagain", "secret\u{1}", "secret\u{7f}x", "secret\0x"] {
            let error = sent(token);
            assert!(error.contains("cannot be sent") && !error.contains("secret"), "{token:?}: {error}");
        }
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
