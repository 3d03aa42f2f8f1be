use super::*;
use crate::kinds::letters::may_go_and_back;
use crate::model::evidence::Said;
use crate::model::evidence::hazelcast::{Answers, Peer};
use crate::model::{Obstacle, Place, Unasked};

/// What a letter says of the member with that number; `seen` are the numbers of the members that it lists.
fn pod(letter: char, number: u32, seen: &[u32]) -> Option<Result<Pod, Unasked>> {
    let peer = |other: &u32| Peer {
        uuid: format!("uuid-{other}"),
        version: if letter == 'o' && *other == number { "5.5.2" } else { "5.5.6" }.into(),
        local: *other == number,
        lite: false,
    };
    let well = Pod {
        node_state: "ACTIVE".into(),
        cluster_state: "ACTIVE".into(),
        safe: true,
        queued: 0,
        size: seen.len() as u64,
        members: seen.iter().map(peer).collect(),
    };
    Some(Ok(match letter {
        // Well, also with an older version, and with an answer of an earlier pod of that name.
        'w' | 'o' | 's' => well,
        // Shutting down; no migrations while a member is away; frozen; backups missing; migrations queued.
        'p' => Pod { node_state: "PASSIVE".into(), ..well },
        'm' => Pod { cluster_state: "NO_MIGRATION".into(), ..well },
        'f' => Pod { cluster_state: "FROZEN".into(), ..well },
        'b' => Pod { safe: false, ..well },
        'q' => Pod { queued: 12, ..well },
        // It counts one member fewer than it lists, and the other way round.
        'c' => Pod { size: well.size - 1, ..well },
        'l' => Pod { members: well.members[1..].to_vec(), ..well },
        // An island: it sees none but itself. Another cluster of as many members. It claims to be member 0.
        'i' => Pod { size: 1, members: vec![peer(&number)], ..well },
        'x' => Pod {
            members: seen
                .iter()
                .map(|other| Peer { uuid: format!("other-{other}"), ..peer(other) })
                .collect(),
            ..well
        },
        '0' => Pod {
            members: seen.iter().map(|other| Peer { local: *other == 0, ..peer(other) }).collect(),
            ..well
        },
        // No answer in time; not Ready and still counted, or gone.
        't' => return Some(Err(Unasked::new(Obstacle::TimedOut, "no answer within 5 s"))),
        _ => return None,
    }))
}

/// The health of a cluster of the members `hz-0`, `hz-1` and so on, one for each letter.
fn health(members: &str) -> Health {
    let (mut roster, mut answers) = (Roster::default(), Answers::default());
    let numbered: Vec<(u32, char)> = (0..).zip(members.chars()).collect();
    // The youngest comes first in the roster's order: what leads is not what has the lowest number.
    let seen: Vec<u32> =
        numbered.iter().rev().filter(|(_, c)| *c != 'g').map(|(number, _)| *number).collect();
    for (number, letter) in numbered {
        let name = format!("hz-{number}");
        let uid = format!("uid-{number}");
        let ready = !matches!(letter, 'n' | 'g');
        roster.places.push(Place {
            pod: name.clone(),
            uid: uid.clone(),
            role: "all".into(),
            ordinal: number,
            ready,
        });
        if let Some(said) = pod(letter, number, &seen) {
            let uid = if letter == 's' { "uid-before".into() } else { uid };
            answers.pods.push(Said { pod: name, uid, said });
        }
    }
    judge(&Evidence::Hazelcast(answers), &roster)
}

#[test]
fn a_member_may_go_while_every_member_sees_all_of_them_and_all_backups() {
    for (members, may_go, back) in [
        ("www", "yyy", "yyy"),
        ("ww", "yy", "yy"),
        ("oww", "yyy", "yyy"),
        ("wwp", "nnn", "yyn"),
        ("mmm", "nnn", "nnn"),
        ("wfw", "nnn", "yny"),
        ("wwb", "nnn", "yyn"),
        ("qww", "nnn", "nyy"),
        ("wcw", "nnn", "yny"),
        // Who is not listed is not counted either, and is not back.
        ("wwl", "nnn", "yyn"),
        ("lww", "nnn", "nyn"),
        // Islands of one, all of which call themselves safe; another cluster behind the name of a pod.
        ("iii", "nnn", "nnn"),
        ("wwi", "nnn", "nnn"),
        ("wwx", "nnn", "nnn"),
        ("w0w", "nnn", "yyy"),
        // What is not known is not yes, and what is known to be wrong counts more.
        ("wwt", "???", "yy?"),
        ("wwa", "???", "yy?"),
        ("wws", "???", "yy?"),
        ("wtb", "nnn", "y?n"),
        // A pod that is not Ready may be restarted if the other members are well, or if they have removed it from their cluster.
        ("wwn", "nny", "yyn"),
        ("wbn", "nnn", "ynn"),
        ("wtn", "nn?", "y?n"),
        ("wwg", "nny", "nnn"),
        ("bmg", "nny", "nnn"),
        ("wgg", "nyy", "nnn"),
        ("wtg", "nnn", "n?n"),
        ("ggg", "nnn", "nnn"),
        // The only member: that it is unavailable meanwhile is a remark.
        ("w", "y", "y"),
        ("b", "y", "n"),
        ("g", "y", "n"),
        ("t", "?", "?"),
    ] {
        let health = health(members);
        let said = may_go_and_back(&health, |_| true);
        assert_eq!(said, (may_go.to_owned(), back.to_owned()), "{members}: {health:#?}");
    }
}

#[test]
fn the_reasons_are_hazelcasts_own() {
    for (members, pod, reasons) in [
        ("wwi", 0, "hz-0 and hz-2 see different members; hz-2 counts 1 of 3 members"),
        ("wwx", 0, "hz-0 and hz-2 see different members"),
        ("w0w", 0, "two pods say that they are member uuid-0"),
        ("mmm", 0, "the cluster is NO_MIGRATION"),
        ("bbb", 0, "the cluster is not safe: backups are missing"),
        ("wqw", 0, "hz-1 has 12 migrations queued"),
        ("wlw", 0, "hz-0 and hz-1 see different members; hz-1 lists 2 of 3 members"),
        ("wwt", 0, "hz-2: no answer within 5 s"),
        ("wwg", 0, "hz-2 is not Ready; hz-0 counts 2 of 3 members; hz-1 counts 2 of 3 members"),
        ("pppp", 0, "hz-0 is PASSIVE; hz-1 is PASSIVE; hz-2 is PASSIVE; and 1 more"),
    ] {
        let health = health(members);
        assert_eq!(health.members[pod].may_go.why().join("; "), reasons, "{members}: {health:#?}");
    }
}

#[test]
fn the_oldest_member_leads() {
    for (members, leaders) in
        [("www", vec!["hz-2"]), ("wwg", vec!["hz-1"]), ("iii", vec!["hz-0", "hz-1", "hz-2"])]
    {
        let health = health(members);
        let led: Vec<_> = health.members.iter().filter(|m| m.leader).map(|m| m.pod.as_str()).collect();
        assert_eq!(led, leaders, "{members}");
    }
}

#[test]
fn what_is_worth_knowing_is_remarked() {
    for (members, checks) in [
        ("www", vec![]),
        ("w", vec![Check::OneReplica]),
        ("oww", vec![Check::MemberVersions]),
        ("qww", vec![Check::DataMoving]),
    ] {
        let told: Vec<_> = health(members).remarks.into_iter().map(|remark| remark.check).collect();
        assert_eq!(told, checks, "{members}");
    }
}
