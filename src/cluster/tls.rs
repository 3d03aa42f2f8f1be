//! What TLS says of a server or of a kubeconfig, in the words of its user.

use std::error::Error;
use std::io;

use rustls::{CertificateError, InconsistentKeys, InvalidMessage};

use crate::model::clean;

/// How many names of a certificate are shown; one for many servers may have hundreds.
const NAMES: usize = 5;

const OTHER_SERVER: &str = "check the cluster's address and tls-server-name in the kubeconfig";

/// Why TLS does not connect, and what to check. An authority that is not known is no matter of whether the server is running.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Distrust {
    pub why: String,
    pub check: &'static str,
}

impl Distrust {
    /// What TLS says in this error or in one of its causes; `None` if it is not about TLS, or TLS says it well enough.
    pub fn of(error: &(dyn Error + 'static)) -> Option<Self> {
        let mut cause = Some(error);
        while let Some(error) = cause {
            // An I/O error does not count what is in it among its causes, and that may be another one.
            let inside = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
            let found = inside.and_then(|inside| Self::of(inside));
            if let Some(said) = found.or_else(|| error.downcast_ref().and_then(said)) {
                return Some(said);
            }
            cause = error.source();
        }
        None
    }
}

fn said(error: &rustls::Error) -> Option<Distrust> {
    let (why, check) = match error {
        rustls::Error::InvalidCertificate(error) => certificate(error),
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => (
            "the server does not speak TLS".to_owned(),
            "check whether its address should begin with http://, and that the port is correct",
        ),
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => (
            "the client key does not belong to the client certificate".to_owned(),
            "check the user's client-certificate and client-key",
        ),
        _ => return None,
    };
    Some(Distrust { why, check })
}

fn certificate(error: &CertificateError) -> (String, &'static str) {
    let of_the_server = |what: &str| format!("the server's certificate {what}");
    match error {
        // A new authority of the same name has another key: what the old one signed has a bad signature, not an unknown issuer.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => (
            of_the_server("is signed by an unknown authority"),
            "check the cluster's certificate-authority in the kubeconfig, and that the address is correct",
        ),
        CertificateError::NotValidForName => (of_the_server("is for another server"), OTHER_SERVER),
        CertificateError::NotValidForNameContext { expected, presented } => {
            let names = format!("is for {}, and not for {}", listed(presented), expected.to_str());
            (of_the_server(&names), OTHER_SERVER)
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            (of_the_server("has expired"), "have it renewed, and check the clock of this machine")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            (of_the_server("is not valid yet"), "check the clock of this machine")
        }
        other => (
            of_the_server(&format!("is not accepted: {other}")),
            "check the cluster's certificate-authority in the kubeconfig",
        ),
    }
}

/// The names in a certificate, which rustls tells as `DnsName("x")` or `IpAddress(x)`.
fn listed(names: &[String]) -> String {
    let inside = |name: &String| {
        let inside = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
        clean(inside.unwrap_or(name).trim_matches('"'))
    };
    let shown: Vec<String> = names.iter().take(NAMES).map(inside).collect();
    match names.len().saturating_sub(NAMES) {
        _ if names.is_empty() => "no server at all".to_owned(),
        0 => shown.join(", "),
        others => format!("{} and {others} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tls_says_is_found_and_said_plainly() {
        let refused = |error| rustls::Error::InvalidCertificate(error);
        for (error, why) in [
            (refused(CertificateError::UnknownIssuer), Some("is signed by an unknown authority")),
            (refused(CertificateError::NotValidForName), Some("is for another server")),
            (refused(CertificateError::BadSignature), Some("is signed by an unknown authority")),
            (refused(CertificateError::Expired), Some("has expired")),
            (refused(CertificateError::NotValidYet), Some("is not valid yet")),
            (refused(CertificateError::Revoked), Some("is not accepted: ")),
            (InvalidMessage::InvalidContentType.into(), Some("does not speak TLS")),
            (InconsistentKeys::KeyMismatch.into(), Some("does not belong to the client certificate")),
            (rustls::Error::DecryptError, None),
        ] {
            let inside = io::Error::other(error.clone());
            for found in [Distrust::of(&error), Distrust::of(&io::Error::other(inside))] {
                assert_eq!(found.is_some(), why.is_some(), "{error:?}");
                let said = found.map(|found| found.why).unwrap_or_default();
                assert!(said.contains(why.unwrap_or_default()), "{error:?}: {said}");
            }
        }
        assert_eq!(Distrust::of(&io::Error::other("a broken pipe")), None);
    }

    #[test]
    fn the_names_of_a_certificate_are_told_as_they_are_in_it() {
        let many: Vec<String> = (0..9).map(|i| format!("DnsName(\"n{i}\")")).collect();
        for (presented, said) in [
            (vec![], "is for no server at all, and not for x.example.com"),
            (
                vec!["IpAddress(127.0.0.1)".to_owned(), "DnsName(\"\u{1b}[2Jlocalhost\")".to_owned()],
                "is for 127.0.0.1, [2Jlocalhost, and not for x.example.com",
            ),
            (many, "is for n0, n1, n2, n3, n4 and 4 more, and not for x.example.com"),
        ] {
            let expected = "x.example.com".try_into().expect("a name");
            let error = CertificateError::NotValidForNameContext { expected, presented };
            assert_eq!(certificate(&error).0, format!("the server's certificate {said}"));
        }
    }
}
