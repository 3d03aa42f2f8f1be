//! Databases whose ports speak TLS: what their pods show is believed only if the database's own authority has signed it.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kubectl_dbupdate::model::Lookup;
use kubectl_dbupdate::operation;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde_json::{Value, json};
use tokio::io::copy_bidirectional;
use tokio_rustls::TlsAcceptor;

use super::*;

/// A database, and the port at which each of its pods is asked: where TLS is on, and where it is off.
struct Secured {
    database: fn() -> Database,
    name: &'static str,
    pods: &'static [&'static str],
    port: u16,
    plain_port: u16,
}

const KAFKA: Secured = Secured {
    database: || Database::kafka_combined("kf").adjust(with_tls),
    name: "kf",
    pods: &["kf-0", "kf-1", "kf-2"],
    port: 9092,
    plain_port: 9092,
};

const HAZELCAST: Secured = Secured {
    database: || Database::hazelcast("hz").adjust(with_tls),
    name: "hz",
    pods: &["hz-0", "hz-1", "hz-2"],
    port: 5701,
    plain_port: 5701,
};

fn with_tls(database: &mut Value) {
    database["spec"]["enableSSL"] = json!(true);
}

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority")
}

/// A certificate and its key, in PEM.
fn signed(by: &Authority, name: &str, until: i32) -> (String, String) {
    let mut params = CertificateParams::new([name.to_owned()]).expect("a valid name");
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(until, 1, 1));
    let key = KeyPair::generate().expect("a key");
    (params.signed_by(&key, by).expect("it is signed").pem(), key.serialize_pem())
}

const FAR: i32 = 2090;

impl Secured {
    fn host(&self, pod: &str) -> String {
        format!("{pod}.{}-pods.{NAMESPACE}.svc", self.name)
    }

    /// The ports of all pods speak TLS from now on: each with the certificate that `shows` makes for the pod.
    fn speak_tls(
        &self,
        asked: &Asked,
        shows: impl Fn(&str) -> (String, String),
        of_clients: Option<&Authority>,
    ) {
        for &pod in self.pods {
            let (certificate, key) = shows(pod);
            let config = match of_clients {
                None => ServerConfig::builder().with_no_client_auth(),
                Some(authority) => {
                    let mut roots = RootCertStore::empty();
                    roots.add(authority.der().clone()).expect("an authority");
                    let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build().expect("roots");
                    ServerConfig::builder().with_client_cert_verifier(verifier)
                }
            };
            let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).expect("a certificate");
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
            let config = config.with_single_cert(vec![certificate], key).expect("they belong together");
            let acceptor = TlsAcceptor::from(Arc::new(config));
            let (databases, port) = (asked.world.sim.databases().clone(), self.plain_port);
            asked.world.sim.listeners().answer(NAMESPACE, pod, self.port, move |outside| {
                let (acceptor, inside) = (acceptor.clone(), databases.connect(NAMESPACE, pod, port));
                tokio::spawn(async move {
                    // A client that does not like what it is shown leaves.
                    let (Ok(mut outside), Some(mut inside)) = (acceptor.accept(outside).await, inside) else {
                        return;
                    };
                    let _ = copy_bidirectional(&mut outside, &mut inside).await;
                });
            });
        }
    }

    fn secret(&self, asked: &Asked, data: &[(&str, &str)]) {
        let data: Value =
            data.iter().map(|(key, value)| ((*key).to_owned(), json!(STANDARD.encode(value)))).collect();
        let name = format!("{}-client-cert", self.name);
        let secret = json!({ "metadata": { "name": name, "namespace": NAMESPACE }, "data": data });
        asked.world.store().create("secrets", secret).expect("it is new");
    }

    /// Nobody may go, for this reason; and none of the database's credentials has been asked for in vain.
    async fn is_unknown(&self, asked: &mut Asked, words: &str, case: &str) {
        let before = Instant::now();
        let health = asked.health().await;
        assert_eq!(may_go(&health), "???", "{}, {case}: {health:#?}", self.name);
        let why = health.members[0].may_go.why().join("; ");
        assert!(why.contains(words), "{}, {case}: {why}", self.name);
        assert!(before.elapsed() < Duration::from_secs(6), "{case}: {:?}", before.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_database_is_asked_by_tls_if_its_own_authority_has_signed_what_its_pods_show() {
    for secured in [KAFKA, HAZELCAST] {
        let (mut asked, ours) = (Asked::new((secured.database)()), authority());
        secured.secret(&asked, &[("ca.crt", &ours.pem())]);
        secured.speak_tls(&asked, |pod| signed(&ours, &secured.host(pod), FAR), None);
        let health = asked.health().await;
        assert_eq!(may_go(&health), "yyy", "{}: {health:#?}", secured.name);
        asked.health().await;
        assert_eq!(asked.connections(secured.port), 3, "{}: they are kept", secured.name);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_to_be_trusted_is_not_asked_and_the_reason_is_said_plainly() {
    type Shows = fn(&Secured, &Authority, &str) -> (String, String);
    let cases: [(&str, Shows); 3] = [
        ("certificate has expired", |of, ours, pod| signed(ours, &of.host(pod), 2021)),
        ("is signed by an unknown authority", |of, _, pod| signed(&authority(), &of.host(pod), FAR)),
        ("certificate is for 9.", |of, ours, pod| signed(ours, &of.host(&format!("9.{pod}")), FAR)),
    ];
    for secured in [KAFKA, HAZELCAST] {
        for (words, shows) in cases {
            let (mut asked, ours) = (Asked::new((secured.database)()), authority());
            secured.secret(&asked, &[("ca.crt", &ours.pem())]);
            secured.speak_tls(&asked, |pod| shows(&secured, &ours, pod), None);
            secured.is_unknown(&mut asked, words, words).await;
            let why = asked.health().await.members[0].may_go.why().join("; ");
            assert!(why.contains(&format!("checked with secret/{}-client-cert", secured.name)), "{why}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_secret_without_an_authority_that_can_be_read_trusts_nobody() {
    for secured in [KAFKA, HAZELCAST] {
        for (data, words) in [
            (None, "not found"),
            (Some(("tls.crt", "")), "it has no ca.crt"),
            (Some(("ca.crt", "nothing of the kind")), "ca.crt holds no certificate"),
        ] {
            let (mut asked, ours) = (Asked::new((secured.database)()), authority());
            data.into_iter().for_each(|data| secured.secret(&asked, &[data]));
            secured.speak_tls(&asked, |pod| signed(&ours, &secured.host(pod), FAR), None);
            secured.is_unknown(&mut asked, words, words).await;
        }
        let (mut asked, ours) = (Asked::new((secured.database)()), authority());
        secured.secret(&asked, &[("ca.crt", &ours.pem())]);
        secured.speak_tls(&asked, |pod| signed(&ours, &secured.host(pod), FAR), None);
        asked.world.sim.access().deny("get", "", "secrets", "");
        secured.is_unknown(&mut asked, "forbidden", "forbidden").await;
    }
}

/// A Secret that comes later is read then: no obstacle that may pass is remembered.
#[tokio::test(start_paused = true)]
async fn a_secret_that_is_created_later_is_found() {
    let (mut asked, ours) = (Asked::new((HAZELCAST.database)()), authority());
    HAZELCAST.speak_tls(&asked, |pod| signed(&ours, &HAZELCAST.host(pod), FAR), None);
    assert_eq!(may_go(&asked.health().await), "???");
    HAZELCAST.secret(&asked, &[("ca.crt", &ours.pem())]);
    assert_eq!(may_go(&asked.health().await), "yyy");
}

#[tokio::test(start_paused = true)]
async fn pods_that_speak_no_tls_where_it_is_on_or_speak_it_where_it_is_off_are_not_understood() {
    for (secured, words) in [(KAFKA, "TLS handshake"), (HAZELCAST, "does not speak TLS")] {
        let mut asked = Asked::new((secured.database)());
        secured.secret(&asked, &[("ca.crt", &authority().pem())]);
        secured.is_unknown(&mut asked, words, "no TLS").await;
    }
    let off = |database: &mut Value| database["spec"]["enableSSL"] = json!(false);
    for (secured, words) in [(KAFKA, "the answer to"), (HAZELCAST, "an answer that is not HTTP")] {
        let (mut asked, ours) = (Asked::new((secured.database)().adjust(off)), authority());
        secured.speak_tls(&asked, |pod| signed(&ours, &secured.host(pod), FAR), None);
        secured.is_unknown(&mut asked, words, "TLS").await;
    }
}

#[tokio::test(start_paused = true)]
async fn pods_that_ask_for_a_certificate_are_shown_the_one_of_the_secret() {
    for secured in [KAFKA, HAZELCAST] {
        let (mut asked, ours) = (Asked::new((secured.database)()), authority());
        let (certificate, key) = signed(&ours, "client", FAR);
        let all = [("ca.crt", &*ours.pem()), ("tls.crt", &*certificate), ("tls.key", &*key)];
        secured.secret(&asked, &all);
        secured.speak_tls(&asked, |pod| signed(&ours, &secured.host(pod), FAR), Some(&ours));
        let health = asked.health().await;
        assert_eq!(may_go(&health), "yyy", "{}: {health:#?}", secured.name);

        let mut asked = Asked::new((secured.database)());
        secured.secret(&asked, &[("ca.crt", &ours.pem())]);
        secured.speak_tls(&asked, |pod| signed(&ours, &secured.host(pod), FAR), Some(&ours));
        let words = "does not accept the client's certificate, or wants one: CertificateRequired";
        secured.is_unknown(&mut asked, words, "no certificate of ours").await;
    }
}

/// What a plan says of it with `--health auto`.
#[tokio::test(start_paused = true)]
async fn a_database_with_an_expired_certificate_cannot_be_asked_at_all() {
    let (asked, ours) = (Asked::new((KAFKA.database)()), authority());
    KAFKA.secret(&asked, &[("ca.crt", &ours.pem())]);
    KAFKA.speak_tls(&asked, |pod| signed(&ours, &KAFKA.host(pod), 2021), None);
    let snapshot = asked.world.snapshot(&asked.cluster).await;
    let Lookup::Unreadable(why) = operation::said(&asked.cluster, &snapshot).await else {
        panic!("it has been asked");
    };
    assert_eq!(why, "kf-0: the server's certificate has expired (checked with secret/kf-client-cert)");
}
