use super::*;
use crate::kinds::letters::may_go_and_back;
use crate::model::evidence::Said;
use crate::model::evidence::zookeeper::{Answers, Monitor, Pod};
use crate::model::{Obstacle, Place, Unasked};

/// What a row says of a server: the letters below.
fn pod(letter: char, voters: u32) -> Option<Result<Pod, Unasked>> {
    let serving = |state: &str, peer: &str| Monitor {
        version: "3.9.1".into(),
        server_state: state.into(),
        peer_state: peer.into(),
        quorum_size: Some(voters),
        ..Monitor::default()
    };
    let leader = |synced, pending| Monitor {
        synced_followers: Some(synced),
        pending_syncs: Some(pending),
        ..serving("leader", "leading - broadcast")
    };
    let follower = serving("follower", "following - broadcast");
    Some(Ok(Pod::Serving(match letter {
        // Leaders: with all followers in sync, with one too few, with none, with a client that waits, before they lead, without figures.
        'L' => leader(voters - 1, 0),
        'l' => leader(voters - 2, 0),
        'c' => leader(0, 0),
        'p' => leader(voters - 1, 1),
        'e' => serving("leader", "leading - synchronization"),
        '?' => serving("leader", "leading - broadcast"),
        // Followers: well, catching up, of an older version, of an ensemble of another size, of one of an unknown size.
        'F' => follower,
        'f' => serving("follower", "following - synchronization"),
        'o' => Monitor { version: "3.8.3".into(), ..follower },
        'x' => Monitor { quorum_size: Some(voters + 2), ..follower },
        'u' => Monitor { quorum_size: None, ..follower },
        'O' => serving("observer", "observing - broadcast"),
        'S' => serving("standalone", ""),
        '0' => return Some(Ok(Pod::NotServing)),
        // It does not answer in time; it is not Ready; there is no pod; the answer is of an earlier pod of that name.
        't' => return Some(Err(Unasked::new(Obstacle::TimedOut, "no answer within 5 s"))),
        's' => follower,
        _ => return None,
    })))
}

/// The health of an ensemble of the servers `zk-0`, `zk-1` and so on, one for each letter.
fn health(servers: &str) -> Health {
    let voters = servers.chars().filter(|&letter| letter != 'O').count() as u32;
    let (mut roster, mut answers) = (Roster::default(), Answers::default());
    for (ordinal, letter) in (0..).zip(servers.chars()) {
        let pod_name = format!("zk-{ordinal}");
        let uid = if letter == 'm' { String::new() } else { format!("uid-{ordinal}") };
        roster.places.push(Place {
            pod: pod_name.clone(),
            uid: uid.clone(),
            role: "all".into(),
            ordinal,
            ready: !matches!(letter, 'n' | 'm'),
        });
        if let Some(said) = pod(letter, voters) {
            let uid = if letter == 's' { "uid-before".into() } else { uid };
            answers.pods.push(Said { pod: pod_name, uid, said });
        }
    }
    judge(&Evidence::ZooKeeper(answers), &roster)
}

#[test]
fn a_server_may_go_if_the_others_are_a_quorum_without_it() {
    let mut wrong = Vec::new();
    for (servers, may_go, back) in [
        ("FFL", "yyy", "yyy"),
        ("LFFFF", "yyyyy", "yyyyy"),
        ("FFOL", "yyyy", "yyyy"),
        // Another server is away: only that one may go.
        ("FnL", "nyn", "yny"),
        ("Fnl", "nyn", "yny"),
        ("Fml", "nyn", "yny"),
        // Another server is Ready and does not serve yet: that one is waited for, too.
        ("F0l", "nnn", "yny"),
        ("Ffl", "nnn", "yny"),
        // Of five, two are away: the three others stay.
        ("FnmFl", "nyynn", "ynnyy"),
        // All serve, but the leader does not count them, or clients wait for it.
        ("FFl", "nnn", "nnn"),
        ("FFp", "nnn", "yyy"),
        // The leader has not begun, or there is none: whoever is Ready stays, to become a quorum with those that return.
        ("FFe", "nnn", "nnn"),
        ("000", "nnn", "nnn"),
        ("0n0", "nyn", "nnn"),
        ("0n", "ny", "nn"),
        ("0", "n", "n"),
        ("FF0", "nnn", "nnn"),
        // A leader that has just lost its quorum, and does not know it yet.
        ("nnc", "nnn", "nnn"),
        // Two lead, as after a pause of the process.
        ("FLL", "nnn", "nnn"),
        ("nLL", "nnn", "nnn"),
        // What is not known is not fine.
        ("FtL", "???", "y?y"),
        ("FFt", "???", "???"),
        ("Ft?", "???", "???"),
        ("FF?", "???", "???"),
        ("FsL", "???", "y?y"),
        ("FuL", "???", "y?y"),
        ("nt0", "?nn", "n?n"),
        ("ntF", "?nn", "n??"),
        // A member of another ensemble.
        ("FxL", "nnn", "yny"),
        // Ensembles that no restart leaves a quorum of.
        ("FL", "yy", "yy"),
        ("nL", "nn", "ny"),
        ("L", "y", "y"),
        ("S", "y", "y"),
        ("n", "y", "n"),
        ("t", "?", "?"),
        // Alone beside others is no ensemble.
        ("FSl", "nnn", "yny"),
    ] {
        let health = health(servers);
        let found = may_go_and_back(&health, |_| true);
        if found != (may_go.to_owned(), back.to_owned()) {
            wrong.push((servers, found));
        }
    }
    assert_eq!(wrong, []);
}

#[test]
fn the_reasons_are_in_the_words_of_zookeeper() {
    for (servers, reasons) in [
        ("Fnl", "zk-1 is not Ready; leader zk-2 has 1 of 2 followers in sync"),
        ("Fml", "zk-1 is not Ready; leader zk-2 has 1 of 2 followers in sync"),
        ("F0l", "zk-1 is not serving requests; leader zk-2 has 1 of 2 followers in sync"),
        ("Ffl", "zk-1 says following - synchronization; leader zk-2 has 1 of 2 followers in sync"),
        ("FFl", "leader zk-2 has 1 of 2 followers in sync"),
        ("FFp", "leader zk-2 has pending syncs"),
        ("FLL", "zk-1, zk-2 all say that they lead"),
        ("FtL", "zk-1: no answer within 5 s"),
        ("FsL", "zk-1 has not been asked yet"),
        ("FxL", "zk-1 is in an ensemble of 5, not of 3"),
        ("FuL", "zk-1 does not tell its zk_quorum_size"),
        ("FF?", "leader zk-2 does not tell its zk_synced_followers"),
        ("FFt", "zk-2: no answer within 5 s; no server says that it leads"),
        ("Fnnnnl0", "zk-1 is not Ready; zk-2 is not Ready; zk-3 is not Ready; and 3 more"),
    ] {
        let health = health(servers);
        assert_eq!(health.members[0].may_go.why().join("; "), reasons, "{servers}");
    }
}

#[test]
fn a_server_is_shown_as_it_calls_itself() {
    let health = health("oOfLnmt0S");
    let shown: Vec<_> =
        health.members.iter().map(|m| format!("{} {} {} {}", m.role, m.version, m.state, m.leader)).collect();
    assert_eq!(
        shown,
        [
            "follower 3.8.3 following - broadcast false",
            "observer 3.9.1 observing - broadcast false",
            "follower 3.9.1 following - synchronization false",
            "leader 3.9.1 leading - broadcast true",
            "server  not Ready false",
            "server  missing false",
            "server  unknown false",
            "server  not serving requests false",
            "standalone 3.9.1 standalone false",
        ]
    );
}

#[test]
fn what_a_restart_means_is_said_before_it() {
    for (servers, remarks) in [
        ("FFL", ""),
        ("L", "one-replica: the only server: nobody is served while it restarts"),
        ("FL", "replication: an ensemble of two has no quorum while either restarts: nobody is served then"),
        ("FoL", "member-versions: the servers run different versions: 3.8.3 (zk-1); 3.9.1 (zk-0, zk-2)"),
    ] {
        let remarks_made: Vec<_> =
            health(servers).remarks.iter().map(|r| format!("{}: {}", r.check, r.message)).collect();
        assert_eq!(remarks_made.join("; "), remarks, "{servers}");
    }
}
