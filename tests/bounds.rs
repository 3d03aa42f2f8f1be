//! A server that sends without end, or leads from page to page without end, costs neither memory nor time without bound; and
//! an answer that is not about our lock is not taken for it.

#[path = "programs/tls.rs"]
mod tls;

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use kubectl_dbupdate::clock::Clock;
use kubectl_dbupdate::cluster::{Cluster, ClusterError, LockError};
use kubectl_dbupdate::model::{Kind, Lock, ObjectRef};
use tls::{secured, tls};

/// What a server has been asked, and what it has sent.
#[derive(Default)]
struct Told {
    requests: AtomicUsize,
    bytes: AtomicUsize,
}

/// How a server answers: a status line with headers, and a body that is sent once or again and again.
struct Answer {
    head: String,
    body: String,
    endless: bool,
}

fn json(body: &str) -> Answer {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}", body.len());
    Answer { head, body: body.to_owned(), endless: false }
}

fn status(line: &str, body: &str) -> Answer {
    Answer { head: format!("HTTP/1.1 {line}\r\nContent-Length: {}", body.len()), ..json(body) }
}

fn endless(line: &str) -> Answer {
    Answer { head: format!("HTTP/1.1 {line}"), body: "x".repeat(1 << 20), endless: true }
}

/// A cluster that answers each request with what its target asks for.
fn cluster(answer: impl Fn(&str) -> Answer + Send + Sync + 'static) -> (Cluster, Arc<Told>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = format!("https://{}", listener.local_addr().expect("it is bound"));
    let (told, answer) = (Arc::new(Told::default()), Arc::new(answer));
    let telling = Arc::clone(&told);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (told, answer) = (Arc::clone(&telling), Arc::clone(&answer));
            thread::spawn(move || serve(stream, &told, &*answer));
        }
    });
    let mut config = kube::Config::new(address.parse().expect("an address"));
    config.default_retry = false;
    config.root_cert = Some(vec![tls().certificate.to_vec()]);
    let client = kube::Client::try_from(config).expect("a client");
    (Cluster::new(client, "test"), told)
}

fn serve(stream: TcpStream, told: &Told, answer: &dyn Fn(&str) -> Answer) {
    let mut stream = secured(stream);
    let mut lines = BufReader::new(&mut stream).lines();
    let Some(Ok(first)) = lines.next() else { return };
    while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
    told.requests.fetch_add(1, Ordering::Relaxed);
    let answer = answer(first.split(' ').nth(1).unwrap_or_default());
    let head = format!("{}\r\nConnection: close\r\n\r\n", answer.head);
    let mut sent = stream.write_all(head.as_bytes());
    while sent.is_ok() {
        sent = stream.write_all(answer.body.as_bytes());
        told.bytes.fetch_add(answer.body.len(), Ordering::Relaxed);
        if !answer.endless {
            break;
        }
    }
    stream.conn.send_close_notify();
    let _ = stream.flush();
}

const SERVED: &str = r#"{"resources":[{"name":"kafkas"}]}"#;

async fn why_not(cluster: &Cluster) -> String {
    let found = cluster.databases(Kind::Kafka, "default").await;
    found.map(|found| found.len()).expect_err("it cannot be read").to_string()
}

async fn why_not_served(cluster: &Cluster) -> String {
    cluster.database_api(Kind::Kafka).await.expect_err("it cannot be read").to_string()
}

/// More than the limit arrives, because the network buffers some of it.
const BUFFERED: usize = 16 << 20;

#[tokio::test]
async fn an_endless_answer_is_given_up() {
    // Of two answers at once, one may reach the bound of one answer before both reach that of all together.
    let both = ["answers together are larger than 64 MiB", "answer is larger than 64 MiB"];
    for (line, list, call, said, most) in [
        (
            "200 OK",
            false,
            "get /apis/kubedb.com/v1: the API server's ",
            ["answer is larger than 8 MiB"; 2],
            8 << 20,
        ),
        ("200 OK", true, "list kafkas: the API server's ", both, 64 << 20),
        ("403 Forbidden", true, "list kafkas: ", ["forbidden: HTTP 403: xxxx"; 2], 1 << 20),
    ] {
        let (cluster, told) = cluster(move |_| endless(line));
        let error = if list { why_not(&cluster).await } else { why_not_served(&cluster).await };
        let words = error.strip_prefix(call).unwrap_or_default();
        assert!(said.iter().any(|said| words.starts_with(said)), "{error}");
        assert!(error.len() < 1000, "{} bytes of error", error.len());
        let sent = told.bytes.load(Ordering::Relaxed);
        // Both versions of the API are asked for at once.
        assert!(sent <= 2 * (most + BUFFERED), "{call}: {sent} bytes were taken");
    }
}

#[tokio::test]
async fn a_list_without_an_end_is_given_up() {
    let page = r#"{"metadata":{"continue":"again"},"items":[]}"#;
    let expired = r#"{"kind":"Status","code":410,"message":"expired","reason":"Expired"}"#;
    for (second, said, most) in [
        (json(page), "the list does not end: a page leads to itself", 4),
        (status("410 Gone", expired), "the list has expired 5 times before it was complete", 12),
    ] {
        let (cluster, told) = cluster(move |target| match target {
            list if list.contains("continue=") => {
                Answer { head: second.head.clone(), body: second.body.clone(), endless: false }
            }
            list if list.contains("/v1/") => json(page),
            _ => status("404 Not Found", ""),
        });
        let error = why_not(&cluster).await;
        assert!(error.contains(said), "{error}");
        let requests = told.requests.load(Ordering::Relaxed);
        assert!(requests <= most, "{requests} requests");
    }
}

#[tokio::test]
async fn an_event_without_an_end_ends_the_watch() {
    let (cluster, told) = cluster(|target| match target.contains("watch=true") {
        true => endless("200 OK"),
        false => status("404 Not Found", r#"{"details":{"name":"x"}}"#),
    });
    let seen = Lock {
        holder: "ann".to_owned(),
        since: String::new(),
        renewed: String::new(),
        duration_seconds: 120,
        resource_version: "1".to_owned(),
        alive: true,
    };
    let found = cluster.watch_lock(Kind::Kafka, "default", "my-kf", seen).await;
    assert!(matches!(found, Ok(None)), "the lease is gone: {found:?}");
    let sent = told.bytes.load(Ordering::Relaxed);
    assert!(sent <= (8 << 20) + BUFFERED, "{sent} bytes were taken");
}

#[tokio::test]
async fn a_name_that_leads_elsewhere_is_not_sent() {
    let (cluster, told) = cluster(|_| json(SERVED));
    for (namespace, name) in [("../../x", "my-kf"), ("default", "../my-kf"), ("default", "my-kf?x")] {
        let error = cluster.database(Kind::Kafka, "kubedb.com/v1", namespace, name).await.err();
        assert!(matches!(error, Some(ClusterError::BadName { .. })), "{namespace} {name}: {error:?}");
    }
    assert_eq!(told.requests.load(Ordering::Relaxed), 0);
}

/// A cache, or a server that is not what it says, may answer with another's lease.
#[tokio::test]
async fn a_lock_of_another_holder_is_not_ours() {
    let lease =
        |holder: &str| format!(r#"{{"metadata":{{"uid":"u"}},"spec":{{"holderIdentity":"{holder}"}}}}"#);
    let database = ObjectRef {
        api_version: "kubedb.com/v1".to_owned(),
        kind: "Kafka".to_owned(),
        plural: "kafkas".to_owned(),
        namespace: "default".to_owned(),
        name: "my-kf".to_owned(),
        uid: "u1".to_owned(),
    };
    let take = async |holder: &str| {
        let answer = lease(holder);
        let (cluster, _) = cluster(move |_| json(&answer));
        cluster.take_lock(Kind::Kafka, &database, None, "me", &Clock::system()).await.map(|_| ())
    };
    assert!(take("me").await.is_ok());
    let Err(LockError::Held(lock)) = take("somebody-else").await else { panic!("it is not ours") };
    assert_eq!(lock.holder, "somebody-else");
    assert!(matches!(take("").await, Err(LockError::Gone)));
    // The same at a renewal.
    let renewals = AtomicUsize::new(0);
    let (ours, theirs) = (lease("me"), lease("somebody-else"));
    let (cluster, _) = cluster(move |_| {
        let first = renewals.fetch_add(1, Ordering::Relaxed) == 0;
        json(if first { &ours } else { &theirs })
    });
    let held = cluster.take_lock(Kind::Kafka, &database, None, "me", &Clock::system()).await.expect("ours");
    assert!(matches!(held.renew().await, Err(LockError::Held(_))));
}
