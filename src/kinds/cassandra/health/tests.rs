use super::*;
use crate::kinds::letters::may_go_and_back;
use crate::model::evidence::Said;
use crate::model::evidence::cassandra::{Answers, Keyspace, Node, Reach, Task};
use crate::model::{Obstacle, Place, Unasked};

const OLD: &str = "4.1.8";
const NEW: &str = "5.0.3";

fn node(number: usize, generation: i64, status: &str) -> Node {
    Node {
        host_id: format!("host-{number}"),
        generation,
        status: status.into(),
        schema: "schema".into(),
        version: OLD.into(),
    }
}

/// A node of a well ring of so many.
fn well(number: usize, nodes: usize) -> Pod {
    let keyspace = |name: &str, factors: &[u32]| Keyspace { name: name.into(), factors: factors.into() };
    Pod {
        cluster: "prod".into(),
        host_id: format!("host-{number}"),
        version: OLD.into(),
        schema: "schema".into(),
        known: (0..nodes).map(|number| node(number, 1, "NORMAL")).collect(),
        reach: Reach::All,
        streams: Vec::new(),
        tasks: vec![Task { kind: "compaction".into(), keyspace: "shop".into(), table: "orders".into() }],
        keyspaces: vec![
            keyspace("system_auth", &[3]),
            keyspace("kubedb_keyspace", &[2]),
            keyspace("shop", &[3]),
        ],
    }
}

/// What a row says of a node: the letters below. `None` if the node does not answer.
fn pod(letter: char, number: usize, nodes: usize) -> Option<Result<Pod, Unasked>> {
    let well = well(number, nodes);
    let needed = 3;
    Some(Ok(match letter {
        'N' | 'z' => well,
        // It sees one or two replicas down; too few nodes for the factor; it gets no answer.
        'd' => Pod { reach: Reach::Alive { alive: 2, needed }, ..well },
        'D' => Pod { reach: Reach::Alive { alive: 1, needed }, ..well },
        'S' => Pod { reach: Reach::Silence, ..well },
        // It knows the first node as leaving, not at all, or by a former address as well; it knows one too many.
        'l' => Pod { known: [vec![node(0, 1, "LEAVING")], well.known[1..].to_vec()].concat(), ..well },
        'k' => Pod { known: well.known[1..].to_vec(), ..well },
        'a' => Pod { known: [vec![node(0, 0, "shutdown")], well.known.clone()].concat(), ..well },
        'b' => Pod { known: (0..=nodes).map(|number| node(number, 1, "NORMAL")).collect(), ..well },
        'c' => Pod { known: [well.known.clone(), vec![node(nodes, 1, "LEFT")]].concat(), ..well },
        // It is of another cluster, by its name or by what it knows; it is the first node once more.
        'x' => Pod { cluster: "other".into(), ..well },
        'y' => Pod {
            host_id: "stranger".into(),
            known: vec![Node { host_id: "stranger".into(), ..node(0, 1, "NORMAL") }],
            ..well
        },
        'w' => Pod { host_id: "host-0".into(), ..well },
        // It has another schema; that, and the next version; it streams.
        'v' => Pod { schema: "another".into(), ..well },
        'o' => Pod { schema: "another".into(), version: NEW.into(), ..well },
        'r' => Pod { streams: vec!["Repair".into(), "Repair".into()], ..well },
        't' => return Some(Err(Unasked::new(Obstacle::TimedOut, "no answer within 5 s"))),
        // It is not Ready, or there is no pod.
        _ => return None,
    }))
}

/// The health of the nodes `r-0`, `r-1` and so on, one for each letter.
fn health(letters: &str) -> Health {
    let (mut roster, mut answers) = (Roster::default(), Answers::default());
    for (number, letter) in letters.chars().enumerate() {
        let name = format!("r-{number}");
        let uid = if letter == 'm' { String::new() } else { format!("uid-{number}") };
        roster.places.push(Place {
            pod: name.clone(),
            uid: uid.clone(),
            role: "rack-r".into(),
            ordinal: 0,
            ready: !matches!(letter, 'n' | 'm'),
        });
        // The answer of `z` is of an earlier pod.
        let uid = if letter == 'z' { "uid-before".into() } else { uid };
        answers.pods.extend(pod(letter, number, letters.len()).map(|said| Said { pod: name, uid, said }));
    }
    judge(&Evidence::Cassandra(answers), &roster)
}

#[test]
fn a_node_may_go_while_every_node_sees_all_of_them() {
    let mut wrong = Vec::new();
    for (nodes, may_go, back) in [
        ("NNN", "yyy", "yyy"),
        ("NNNNNN", "yyyyyy", "yyyyyy"),
        // A node is away: that one may go, the others stay.
        ("dnd", "nyn", "yny"),
        ("dmd", "nyn", "yny"),
        // It is not Ready, but it takes part.
        ("NnN", "nyn", "yny"),
        ("NnS", "nnn", "nnn"),
        ("Nnr", "nnn", "yny"),
        // Two are away, and of one of them it is not known whether it is down.
        ("Dnn", "nyy", "ynn"),
        ("dnn", "n??", "ynn"),
        ("Nnn", "nyy", "ynn"),
        ("nnn", "yyy", "nnn"),
        // One node does not see what the others see.
        ("NdN", "nnn", "nnn"),
        ("NSN", "nnn", "nnn"),
        ("NlN", "nnn", "nyy"),
        ("NkN", "nnn", "nyy"),
        ("NbN", "nnn", "yyy"),
        // A node known by a former address, or as one that has left, does not count.
        ("NaN", "yyy", "yyy"),
        ("NcN", "yyy", "yyy"),
        // What is not known is not fine.
        ("NtN", "???", "???"),
        ("tnt", "n?n", "?n?"),
        ("NzN", "???", "???"),
        ("ttt", "???", "???"),
        ("ntd", "?nn", "n??"),
        // A node of another cluster, and one that there is twice.
        ("NxN", "nnn", "nnn"),
        ("NyN", "nnn", "nnn"),
        ("nyN", "nnn", "nnn"),
        ("NwN", "nnn", "nnn"),
        // Schemas that differ, and those of different versions, which always do.
        ("NvN", "nnn", "nnn"),
        ("NoN", "yyy", "yyy"),
        ("NrN", "nnn", "yyy"),
        // Fewer nodes than `system_distributed` has replicas.
        ("dd", "yy", "yy"),
        ("Dn", "ny", "yn"),
        ("D", "y", "y"),
        ("n", "y", "n"),
        ("t", "?", "?"),
    ] {
        let health = health(nodes);
        let found = may_go_and_back(&health, |_| true);
        if found != (may_go.to_owned(), back.to_owned()) {
            wrong.push((nodes, found));
        }
    }
    assert_eq!(wrong, []);
}

#[test]
fn the_reasons_are_in_the_words_of_cassandra() {
    let mut wrong = Vec::new();
    for (nodes, reasons) in [
        ("dnd", "r-0 sees 2 of 3 replicas alive; r-1 is not Ready; r-2 sees 2 of 3 replicas alive"),
        ("NSN", "r-1 gets no answer from every replica (consistency level ALL)"),
        ("NlN", "r-1 sees r-0 as LEAVING"),
        ("lNN", "r-0 is LEAVING"),
        ("NkN", "r-1 does not know r-0 yet"),
        ("NbN", "r-1 knows nodes that are none of the pods: 1"),
        ("NtN", "r-1: no answer within 5 s"),
        ("NzN", "r-1 has not been asked yet"),
        ("NxN", "the pods are nodes of different clusters: other, prod"),
        (
            "NwN",
            "two pods say that they are node host-0; r-0 knows nodes that are none of the pods: 1; \
             r-1 knows nodes that are none of the pods: 1; and 1 more",
        ),
        ("NvN", "nodes of version 4 have 2 different schemas"),
        ("NrN", "r-1 streams: Repair"),
        ("nnd", "1 of 2 pods that are not Ready are down for r-2, and it is not known which"),
        ("Nnnnn", "r-1 is not Ready; r-2 is not Ready; r-3 is not Ready; and 1 more"),
    ] {
        let found = health(nodes).members[0].may_go.why().join("; ");
        if found != reasons {
            wrong.push((nodes, found));
        }
    }
    assert_eq!(wrong, []);
}

#[test]
fn a_node_is_shown_as_nodetool_shows_it() {
    let members = health("lonmty").members;
    let shown: Vec<_> = members.iter().map(|m| format!("{} {} {}", m.id, m.version, m.state)).collect();
    let expected =
        ["host-0 4.1.8 UL", "host-1 5.0.3 UN", "  not Ready", "  missing", "  unknown", "stranger 4.1.8 UN"];
    assert_eq!(shown, expected);
    assert!(members.iter().all(|member| !member.leader));
}

#[test]
fn what_a_restart_means_is_said_before_it() {
    let keyspaces = |few: &[(&str, &[u32])]| {
        let keyspace =
            |(name, factors): &(&str, &[u32])| Keyspace { name: (*name).into(), factors: (*factors).into() };
        Pod { keyspaces: few.iter().map(keyspace).collect(), ..well(0, 2) }
    };
    let task = |kind: &str| Task { kind: kind.into(), keyspace: "shop".into(), table: "orders".into() };
    for (first, remarks) in [
        (well(0, 2), ""),
        (keyspaces(&[("system", &[]), ("system_traces", &[2]), ("kubedb_keyspace", &[2])]), ""),
        (
            keyspaces(&[("a", &[1]), ("b", &[3, 1]), ("c", &[2]), ("d", &[3])]),
            "replication: keyspaces with 1 replica: a, b: the data of a node is unavailable while it restarts; \
             replication: keyspaces with 2 replicas: c: no quorum for the data of a node while it restarts",
        ),
        (
            keyspaces(&[("a", &[2]), ("b", &[2]), ("c", &[2]), ("d", &[2]), ("e", &[2])]),
            "replication: keyspaces with 2 replicas: a, b, c and 2 more: \
             no quorum for the data of a node while it restarts",
        ),
        (
            keyspaces(&[("system_auth", &[1])]),
            "replication: system_auth has 1 replica: users whose role is on a node are refused while it restarts",
        ),
        (
            Pod { streams: vec!["Repair".into()], tasks: vec![task("upgrade sstables")], ..well(0, 2) },
            "data-moving: r-0: stream of Repair, upgrade sstables of shop.orders",
        ),
        (
            Pod {
                version: NEW.into(),
                tasks: vec![task("key cache save"), task("tombstone compaction")],
                ..well(0, 2)
            },
            "member-versions: the nodes run 4.1.8 and 5.0.3",
        ),
    ] {
        assert_eq!(remarks_of(&[first, well(1, 2)]), remarks);
    }
    let alone = "one-replica: the only node: nobody is served while it restarts";
    assert_eq!(remarks_of(&[keyspaces(&[("a", &[1])])]), alone);
}

fn remarks_of(pods: &[Pod]) -> String {
    let (mut roster, mut answers) = (Roster::default(), Answers::default());
    for (number, said) in pods.iter().enumerate() {
        let (pod, role) = (format!("r-{number}"), "rack-r".to_owned());
        let place = Place { pod, uid: String::new(), role, ordinal: 0, ready: true };
        answers.pods.push(Said { pod: place.pod.clone(), uid: String::new(), said: Ok(said.clone()) });
        roster.places.push(place);
    }
    let remarks = judge(&Evidence::Cassandra(answers), &roster).remarks;
    remarks.iter().map(|r| format!("{}: {}", r.check, r.message)).collect::<Vec<_>>().join("; ")
}
