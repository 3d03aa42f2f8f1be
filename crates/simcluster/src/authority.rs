//! A certificate authority that lives as long as the process, and what it signs.

use jiff::{Span, Timestamp, civil::Date, tz::TimeZone};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use x509_cert::Certificate;
use x509_cert::der::Decode;

use crate::caller::Caller;

/// Signs the certificates of a served cluster. Its key never leaves the process.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A client's certificate and its key, as a kubeconfig holds them.
pub struct Credentials {
    /// PEM.
    pub certificate: String,
    /// PEM, PKCS #8.
    pub key: String,
}

impl Authority {
    /// An authority with a new key.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn new() -> Result<Self, rcgen::Error> {
        let mut params = valid_for_a_year(CertificateParams::default());
        params.distinguished_name.push(DnType::CommonName, "simulated cluster");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        Ok(Self(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?))
    }

    /// Its own certificate, in PEM, by which a client knows the server.
    pub fn certificate(&self) -> String {
        self.0.pem()
    }

    pub(crate) fn der(&self) -> &CertificateDer<'static> {
        self.0.der()
    }

    /// A certificate for a client. As Kubernetes has it, the common name is the user, and the organization a group.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn client(&self, name: &str, group: &str) -> Result<Credentials, rcgen::Error> {
        let mut params = valid_for_a_year(CertificateParams::default());
        params.distinguished_name.push(DnType::CommonName, name);
        if !group.is_empty() {
            params.distinguished_name.push(DnType::OrganizationName, group);
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let (certificate, key) = self.sign(params)?;
        Ok(Credentials { certificate: certificate.pem(), key: key.serialize_pem() })
    }

    /// What a server on this machine shows.
    pub(crate) fn server(&self) -> Result<(CertificateDer<'static>, PrivateKeyDer<'static>), rcgen::Error> {
        let names = ["127.0.0.1", "::1", "localhost"].map(str::to_owned);
        let mut params = valid_for_a_year(CertificateParams::new(names)?);
        params.distinguished_name.push(DnType::CommonName, "simulated API server");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let (certificate, key) = self.sign(params)?;
        Ok((certificate.der().clone(), PrivatePkcs8KeyDer::from(key.serialize_der()).into()))
    }

    fn sign(&self, mut params: CertificateParams) -> Result<(rcgen::Certificate, KeyPair), rcgen::Error> {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        Ok((params.signed_by(&key, &self.0)?, key))
    }
}

/// A served cluster lives as long as its process, and clients with clocks that are a little slow should take it too.
fn valid_for_a_year(mut params: CertificateParams) -> CertificateParams {
    let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
    let moment = |date: Date| {
        let part = |part: i8| u8::try_from(part).unwrap_or(1);
        date_time_ymd(date.year().into(), part(date.month()), part(date.day()))
    };
    let (from, to) = (today.saturating_sub(Span::new().days(1)), today.saturating_add(Span::new().years(1)));
    (params.not_before, params.not_after) = (moment(from), moment(to));
    params
}

/// The user and the group that a client's certificate names; `None` if it names no user.
pub(crate) fn named_in(certificate: &CertificateDer<'_>) -> Option<Caller> {
    let certificate = Certificate::from_der(certificate).ok()?;
    let subject = certificate.tbs_certificate().subject();
    let name = subject.common_name().ok()??;
    let group = subject.organization().ok()?;
    Some(Caller::new(&name.value(), &group.map(|group| group.value().into_owned()).unwrap_or_default()))
}
