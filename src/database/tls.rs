//! TLS to the pods of a database: whom it trusts, what it shows, and what is said of a connection that breaks.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use rustls::{AlertDescription, ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

use crate::cluster::Distrust;
use crate::model::{Obstacle, Unasked};

/// TLS by a database's Secret: it trusts the authority in `ca.crt` and nobody else. Pods that ask for a client's certificate
/// are shown `tls.crt`, if the Secret has it.
///
/// # Errors
/// What is wrong with the Secret, without anything that it holds.
pub fn connector(secret: &BTreeMap<String, Vec<u8>>) -> Result<TlsConnector, String> {
    let mut roots = RootCertStore::empty();
    for authority in certificates(secret, "ca.crt")? {
        roots.add(authority).map_err(|error| format!("ca.crt: {error}"))?;
    }
    let config = ClientConfig::builder().with_root_certificates(roots);
    let config = match secret.get("tls.key") {
        None => config.with_no_client_auth(),
        Some(key) => {
            // What is said of a key might quote it.
            let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| "tls.key is no private key in PEM")?;
            let shown = certificates(secret, "tls.crt")?;
            config.with_client_auth_cert(shown, key).map_err(|error| format!("tls.crt: {error}"))?
        }
    };
    Ok(TlsConnector::from(Arc::new(config)))
}

fn certificates(
    secret: &BTreeMap<String, Vec<u8>>,
    key: &str,
) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = secret.get(key).ok_or_else(|| format!("it has no {key}"))?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match read {
        Ok(certificates) if certificates.is_empty() => Err(format!("{key} holds no certificate")),
        read => read.map_err(|_| format!("{key} is not PEM")),
    }
}

/// Why a connection broke. With TLS 1.3, a server that rejects a client's certificate says so only after the handshake.
pub fn broken(error: &io::Error) -> Unasked {
    use rustls::Error::{AlertReceived, InvalidCertificate, NoCertificatesPresented};
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
    let said = match cause {
        Some(AlertReceived(alert)) if is_about_the_client(*alert) => {
            format!("the pod does not accept the client's certificate, or wants one: {alert:?}")
        }
        _ => Distrust::of(error).map_or_else(|| error.to_string(), |distrust| distrust.why),
    };
    let obstacle = match cause {
        Some(InvalidCertificate(_) | NoCertificatesPresented | AlertReceived(_)) => Obstacle::Certificate,
        Some(_) => Obstacle::Unintelligible,
        None => Obstacle::Unreachable,
    };
    Unasked::new(obstacle, &said)
}

/// The server tells that the client's certificate is at fault. Some call it bad where they have been shown none: so does Java, as
/// seen with Kafka 3.9.
fn is_about_the_client(alert: AlertDescription) -> bool {
    use AlertDescription::{
        BadCertificate, CertificateExpired, CertificateRequired, CertificateRevoked, CertificateUnknown,
        UnknownCA, UnsupportedCertificate,
    };
    matches!(
        alert,
        BadCertificate
            | CertificateExpired
            | CertificateRequired
            | CertificateRevoked
            | CertificateUnknown
            | UnknownCA
            | UnsupportedCertificate
    )
}
