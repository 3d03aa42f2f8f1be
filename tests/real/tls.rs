//! Real servers that speak TLS: they are asked and updated if the database's own authority has signed what they show for the pod,
//! and otherwise nothing is sent to them.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, copy};
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::certificates::{EC, EXPIRED, MISNAMED};
use crate::load::Load;
use crate::roll::Outcome;
use crate::servers::{CASSANDRA_TLS, KAFKA_TLS, KEYSTORE, LISTENERS, Listener};
use crate::site::{LOGIN, NAME, Site};
use crate::{there, update};

/// What has been sent to a server, connection by connection.
type Sent = Arc<Mutex<Vec<Arc<Mutex<Vec<u8>>>>>>;

impl Site {
    /// Has a port of the pods lead to another port of their servers, and keeps what is sent there.
    fn lead(&self, pods: &str, port: u16, to: u16) -> Sent {
        let sent = Sent::default();
        for seat in self.seats.iter().filter(|seat| seat.pod.contains(pods)) {
            let (address, sent) = (seat.address, Arc::clone(&sent));
            let accept = move |client: DuplexStream| {
                let connection = Arc::default();
                lock(&sent).push(Arc::clone(&connection));
                tokio::spawn(relay(client, address, to, connection));
            };
            self.cluster.listeners().answer("default", &seat.pod, port, accept);
        }
        sent
    }

    /// What the database says of itself.
    async fn health(&self) -> Outcome {
        let outcome = self.run(&["health", self.server.kind, NAME]).await;
        eprintln!("{}", outcome.said);
        outcome
    }

    /// Every pod could go.
    async fn is_well(&self, case: &str) {
        assert_eq!(self.health().await.code, Some(0), "{case}");
    }

    /// It is not asked, for this reason.
    async fn is_not_asked(&self, sent: &Sent, why: &str) {
        let health = self.health().await;
        assert_eq!(health.code, Some(3), "{why}");
        assert!(health.said.contains(why), "{why}");
        assert_nothing_was_said(sent, why);
    }

    /// It is asked by nobody whose password is another one, and that is not shown.
    async fn wants_its_password(&self, words: &str) {
        const OTHER: &str = "not-the-password";
        self.set_secret("auth", "password", OTHER);
        let health = self.health().await;
        self.set_secret("auth", "password", LOGIN[1]);
        assert_eq!(health.code, Some(3));
        assert!(health.said.contains(words) && !health.said.contains(OTHER), "{words}");
    }

    /// It is asked by nobody who has no certificate to show.
    async fn wants_a_certificate(&self) {
        let mut whole = Value::Null;
        self.change_secret("client-cert", |data| {
            let authority = json!({ "ca.crt": data["ca.crt"] });
            whole = std::mem::replace(data, authority);
        });
        let health = self.health().await;
        self.change_secret("client-cert", |data| *data = whole);
        assert_eq!(health.code, Some(3));
        assert!(health.said.contains("the pod does not accept the client's certificate, or wants one"));
    }

    /// Has one of the database's Secrets hold this.
    fn set_secret(&self, which: &str, key: &str, value: &str) {
        self.change_secret(which, |data| data[key] = json!(STANDARD.encode(value)));
    }

    fn change_secret(&self, which: &str, change: impl FnOnce(&mut Value)) {
        let name = format!("{NAME}-{which}");
        let change = |secret: &mut Value| change(&mut secret["data"]);
        self.cluster.store().update("secrets", "default", &name, change).expect("it is there");
    }

    /// Servers that another authority has signed are not asked. Clients are shown the right one afterwards.
    async fn wants_its_authority(&self, sent: &Sent) {
        self.set_secret("client-cert", "ca.crt", &self.certificates().another_authority());
        self.is_not_asked(sent, "is signed by an unknown authority").await;
        self.set_secret("client-cert", "ca.crt", &self.certificates().authority("authority"));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Carries bytes both ways until one side ends, and keeps those of the client.
async fn relay(client: DuplexStream, address: Ipv4Addr, port: u16, sent: Arc<Mutex<Vec<u8>>>) {
    let server = TcpStream::connect(SocketAddr::from((address, port))).await.expect("the server listens");
    let ((from_server, to_server), (from_client, mut to_client)) =
        (server.into_split(), tokio::io::split(client));
    let (mut from_server, forth) = (from_server, keep(from_client, to_server, sent));
    let back = async {
        let _ = copy(&mut from_server, &mut to_client).await;
        let _ = to_client.shutdown().await;
    };
    tokio::join!(forth, back);
}

async fn keep(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, sent: Arc<Mutex<Vec<u8>>>) {
    let mut bytes = [0; 4096];
    while let Ok(count) = from.read(&mut bytes).await {
        lock(&sent).extend(&bytes[..count]);
        if count == 0 || to.write_all(&bytes[..count]).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}

/// Nothing but a greeting and an alert has been sent, on any connection (RFC 8446, 5.1): the greeting is a record of type 22, an
/// alert takes 2 bytes, or 19 where it is encrypted, which makes it a record of type 23, and between the two a 1.3 client
/// may say that it changes its cipher, for those who know 1.2 only.
#[track_caller]
fn assert_nothing_was_said(sent: &Sent, case: &str) {
    let connections = lock(sent);
    assert!(!connections.is_empty(), "{case}: nobody was asked");
    for connection in &*connections {
        let bytes = lock(connection).clone();
        let records = records(&bytes);
        let (greeting, rest) = records.split_first().expect("a greeting");
        let harmless = |record: &(u8, usize)| matches!(record, (20, 1) | (21, 2) | (23, 19));
        assert!(greeting.0 == 22 && rest.iter().all(harmless), "{case}: {records:?}");
    }
}

/// The records of TLS in these bytes: the type of each, and its length.
fn records(mut bytes: &[u8]) -> Vec<(u8, usize)> {
    let mut records = Vec::new();
    while let [kind, _, _, high, low, rest @ ..] = bytes {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        records.push((*kind, length));
        bytes = rest.get(length..).unwrap_or_default();
    }
    records
}

#[tokio::test]
async fn kafka_is_asked_and_updated_by_tls() {
    if !there() {
        return;
    }
    let site = Site::start(&KAFKA_TLS).await;
    let load = Load::start(&site).await;
    for Listener { port, keystore, name, .. } in &LISTENERS {
        let sent = site.lead("broker", 9092, *port);
        match *keystore {
            EXPIRED => site.is_not_asked(&sent, "certificate has expired").await,
            MISNAMED => site.is_not_asked(&sent, "certificate is for *.other-db-pods.default.svc").await,
            _ => site.is_well(name).await,
        }
        if *name == "clients" {
            site.wants_a_certificate().await;
        }
    }
    site.wants_its_authority(&site.lead("broker", 9092, 9092)).await;
    site.wants_its_password("the broker rejects user and password").await;
    update(site, load).await;
}

#[tokio::test]
async fn cassandra_is_asked_and_updated_by_tls() {
    if !there() {
        return;
    }
    let site = Site::start(&CASSANDRA_TLS).await;
    let load = Load::start(&site).await;
    site.is_well("RSA and EC, TLS 1.2 and 1.3").await;
    site.wants_its_authority(&site.lead("", 9042, 9042)).await;
    site.wants_its_password("password are incorrect").await;
    for (shown, why) in [(EXPIRED, "certificate has expired"), (MISNAMED, "certificate is for *.other-db")] {
        show(&site, shown).await;
        site.is_not_asked(&site.lead("", 9042, 9042), why).await;
    }
    show(&site, EC).await;
    update(site, load).await;
}

/// From now on, every node shows the certificate of this keystore.
async fn show(site: &Site, keystore: &str) {
    for seat in &site.seats {
        std::fs::copy(site.certificates().path(keystore), seat.directory.join(KEYSTORE)).expect("a file");
        let told = Command::new(seat.directory.join("bin/nodetool")).arg("reloadssl").output().await;
        let told = told.expect("it starts");
        assert!(told.status.success(), "{told:?}");
    }
}
