//! Lists that do not end and watches that tell nonsense.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::front::FORGED;
use crate::row::{Changes, Row, row};
use crate::rule::{Effect, Rule, change, endless, json_of, list, set, status, watch};

const DRY: &str = "zk my-zk --to 3.9.1 --dry-run";
const BOUNDED: &str = "zk my-zk --to 3.9.1 --yes --timeout 4s";
const ESC: &str = "\u{1b}[2J\u{7}\u{202e}\u{200b}";

pub fn rows() -> Vec<Row> {
    let mut rows = pages();
    rows.extend(items());
    rows.extend(watches());
    rows
}

const LISTED: [&str; 4] = ["pods", "petsets", "poddisruptionbudgets", "zookeeperversions"];

/// Each page names another one.
fn next(token: impl Fn() -> String + Send + Sync + 'static) -> Effect {
    change(move |list| set(list, "/metadata/continue", json!(format!("{FORGED}{}", token()))))
}

fn pages() -> Vec<Row> {
    let mut rows = Vec::new();
    for plural in LISTED {
        let expired = || Rule::new("GET", &format!("*/{plural}?*continue=*"), status(410, "Expired", ESC));
        rows.extend([
            row(format!("a list of {plural} that leads to itself"), DRY)
                .on(list(plural, next(|| "x".to_owned())))
                .ends(1),
            row(format!("a list of {plural} that always leads on"), DRY)
                .on(leading(plural, "a", "b"))
                .on(leading(plural, "b", "a"))
                .on(list(plural, next(|| "a".to_owned())))
                .ends(1)
                .within(60),
            row(format!("a list of {plural} of which each second page has expired"), DRY)
                .on(expired())
                .on(list(plural, next(|| "x".to_owned())))
                .ends(1)
                .says("expired"),
        ]);
    }
    rows.extend([
        row("a list that always leads on, and a timeout", "zk my-zk --to 3.9.1 --dry-run --timeout 2s")
            .on(list("pods", slow_page()))
            .ends(124)
            .says("--timeout"),
        row("a list that always leads on, and Ctrl-C", DRY)
            .on(list("pods", slow_page()))
            .signal(Duration::from_secs(2), "INT")
            .ends(130),
        row("a list whose token steers the terminal", DRY).on(list("pods", next(|| ESC.repeat(2)))).ends(1),
        row("a list whose token is a megabyte", DRY).on(list("pods", next(|| "x".repeat(1 << 20)))).ends(1),
        row("a list of databases that always leads on, for list", "list")
            .on(list("zookeepers", next(|| "x".to_owned())))
            .ends(0)
            .ends(1),
        row("a list of Leases that always leads on, for list", "list -A")
            .on(list("leases", next(|| "x".to_owned())))
            .ends(0)
            .ends(1),
        row("a list of journals that always leads on, for status", "status")
            .on(list("configmaps", next(|| "x".to_owned())))
            .ends(0)
            .ends(1),
        row("a list of databases without an end", "list")
            .on(list("zookeepers", endless("{\"items\":[", "{\"metadata\":{}},")))
            .ends(0)
            .ends(1)
            .within(60),
        row("a list of journals without an end", "status")
            .on(list("configmaps", endless("{\"items\":[", "{\"metadata\":{}},")))
            .ends(0)
            .ends(1)
            .within(60),
    ]);
    rows
}

/// An empty page that leads on. Two of them lead to each other for ever.
fn leading(plural: &str, from: &str, to: &str) -> Rule {
    let page =
        json!({"metadata": {"continue": format!("{FORGED}{to}"), "resourceVersion": "1"}, "items": []});
    Rule::new("GET", &format!("*/{plural}?*continue={FORGED}{from}*"), json_of("200 OK", &page))
}

/// A page that comes late and leads to another one.
fn slow_page() -> Effect {
    let counter = AtomicU64::new(0);
    change(move |list| {
        std::thread::sleep(Duration::from_millis(50));
        let token = counter.fetch_add(1, Ordering::Relaxed);
        set(list, "/metadata/continue", json!(format!("{FORGED}{token}")));
    })
}

fn items() -> Vec<Row> {
    let with = |name: &str, plural: &str, edit: fn(&mut Value), code: i32, said: &str| {
        row(name, DRY).on(list(plural, change(edit))).ends(code).says(said)
    };
    let unexpected = "unexpected response";
    vec![
        with("items that are null", "pods", |l| l["items"] = json!(null), 1, unexpected),
        with("items that are an object", "pods", |l| l["items"] = json!({}), 1, unexpected),
        with("items that are texts", "pods", |l| l["items"] = json!([ESC]), 1, unexpected),
        with("items that are lists", "petsets", |l| l["items"] = json!([[]]), 1, unexpected),
        with("one item that is null", "pods", |l| l["items"][0] = json!(null), 1, unexpected),
        with("no pods at all", "pods", |l| l["items"] = json!([]), 3, "pod-not-ready"),
        with("no workloads at all", "petsets", |l| l["items"] = json!([]), 3, "no-workloads"),
        with(
            "no catalog at all",
            "zookeeperversions",
            |l| l["items"] = json!([]),
            3,
            "has no ZooKeeperVersion objects",
        ),
        with("no list at all", "pods", |l| *l = json!({}), 3, "pod-not-ready"),
        with("a list of another kind", "pods", |l| l["kind"] = json!("SecretList"), 0, ""),
        with("metadata that is null", "pods", |l| l["metadata"] = json!(null), 1, unexpected),
        with("metadata that is a text", "pods", |l| l["metadata"] = json!(ESC), 1, unexpected),
        with(
            "a version of the list that is a number",
            "pods",
            |l| l["metadata"]["resourceVersion"] = json!(1),
            1,
            unexpected,
        ),
        with(
            "a version of the list that steers the terminal",
            "pods",
            |l| l["metadata"]["resourceVersion"] = json!(ESC),
            0,
            "",
        ),
        with("every pod twice", "pods", twice, 3, "two-budgets"),
        // The database is not as large as it is said to be.
        with("every workload twice", "petsets", twice, 3, "quorum"),
        with("every version twice", "zookeeperversions", twice, 0, ""),
        with("two workloads of one uid", "petsets", renamed_twin, 3, "quorum"),
        with("two versions of one name", "zookeeperversions", other_version, 3, ""),
        with(
            "two hundred and fifty pods of one name",
            "pods",
            |l| l["items"] = json!(vec![l["items"][0].clone(); 250]),
            3,
            "two-budgets",
        ),
        with(
            "a hundred thousand empty items",
            "pods",
            |l| l["items"] = json!(vec![json!({}); 100_000]),
            1,
            unexpected,
        ),
        with("a thousand budgets", "poddisruptionbudgets", many, 3, ""),
    ]
}

fn twice(list: &mut Value) {
    if let Some(items) = list["items"].as_array_mut() {
        items.extend(items.clone());
    }
}

fn renamed_twin(list: &mut Value) {
    if let Some(items) = list["items"].as_array_mut() {
        let mut twin = items[0].clone();
        twin["metadata"]["name"] = json!("my-zk-twin");
        items.push(twin);
    }
}

/// The same name with another image: it must not be a matter of chance which one is taken.
fn other_version(list: &mut Value) {
    if let Some(items) = list["items"].as_array_mut() {
        let mut other = items.iter().find(|v| v["metadata"]["name"] == "3.9.1").cloned().unwrap_or_default();
        other["spec"]["version"] = json!("3.0.0");
        items.insert(0, other);
    }
}

fn many(list: &mut Value) {
    let one = list["items"]
        .as_array()
        .and_then(|all| all.iter().find(|b| b["metadata"]["name"] == "my-zk"))
        .cloned();
    let numbered = |n: u32| {
        let mut one = one.clone().unwrap_or_default();
        one["metadata"]["name"] = json!(format!("b{n}"));
        one
    };
    list["items"] = (0..1000).map(numbered).collect();
}

/// What a watch tells. A run that sees nothing through a watch goes on by reading, or stops at its timeout.
fn watches() -> Vec<Row> {
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n";
    let lines = |text: &str| Effect::Raw([head, text.as_bytes()].concat());
    let open = |text: &str| Effect::Open([head, text.as_bytes()].concat());
    let told: Vec<(&str, Effect)> = vec![
        ("a login page", lines("<html>\u{1b}[2J</html>")),
        ("garbage", lines("\u{1b}[2J\n{{{\n\u{7}\n")),
        ("bytes that are no text", Effect::Raw([&head[..], b"\xff\xfe\n"].concat())),
        ("an event of no type", lines("{\"object\":{}}\n")),
        ("an event of an odd type", lines(&format!("{}\n", json!({"type": ESC, "object": {}})))),
        ("an event of nothing", lines("{\"type\":\"ADDED\",\"object\":null}\n")),
        ("an object without metadata", lines("{\"type\":\"MODIFIED\",\"object\":{}}\n")),
        (
            "an object without a uid",
            lines("{\"type\":\"MODIFIED\",\"object\":{\"metadata\":{\"name\":\"my-zk-0\"}}}\n"),
        ),
        ("a bookmark of nothing", lines("{\"type\":\"BOOKMARK\",\"object\":{}}\n")),
        (
            "an error that steers the terminal",
            lines(&format!(
                "{}\n",
                json!({"type": "ERROR", "object": {"kind": "Status", "code": 500, "message": ESC, "status": "Failure", "reason": "x"}})
            )),
        ),
        (
            "an expiry again and again",
            lines(
                "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"status\":\"Failure\",\"message\":\"x\",\"reason\":\"Expired\",\"code\":410}}\n",
            ),
        ),
        ("empty lines without an end", endless("", "\n")),
        ("a line without an end", endless("{\"type\":\"", "x")),
        (
            "the same object without an end",
            endless(
                "",
                "{\"type\":\"MODIFIED\",\"object\":{\"metadata\":{\"name\":\"x\",\"uid\":\"u\",\"resourceVersion\":\"1\"}}}\n",
            ),
        ),
        ("nothing, and ends at once", lines("")),
        ("nothing, and stays open", open("")),
        ("half a line, and stays open", open("{\"type\":\"ADD")),
        ("that it is forbidden", status(403, "Forbidden", ESC)),
        ("that it is not there", status(404, "NotFound", ESC)),
        ("that it has expired", status(410, "Expired", ESC)),
    ];
    let mut rows = Vec::new();
    for (what, effect) in told {
        for plural in ["pods", "zookeepers"] {
            rows.push(
                row(format!("a watch of {plural} that tells {what}"), BOUNDED)
                    .on(watch(plural, effect.clone()))
                    .ends(0)
                    .ends(1)
                    .ends(4)
                    .ends(5)
                    .ends(124)
                    .says("changed: ")
                    .changes(Changes::Anything),
            );
        }
    }
    rows
}
