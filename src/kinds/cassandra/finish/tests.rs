use super::*;
use crate::model::evidence::Said;
use crate::model::{Health, Member, Obstacle, Place, Roster, Unasked, Verdict};

const GIB: u64 = 1 << 30;

fn format(letters: &str, files: u64) -> Format {
    Format {
        letters: letters.into(),
        files,
        bytes: files * GIB,
        table: "shop.orders".into(),
        largest: (files - 1) * GIB,
    }
}

/// What is on the disk of a node that a letter stands for.
fn files(letter: char) -> Option<Result<Files, Unasked>> {
    let well = Files { formats: vec![format("nb", 5)], free: 100 * GIB, ..Files::default() };
    let of_5_0 = |mode: &str| Files { mode: Some(mode.into()), selected: Some("big".into()), ..well.clone() };
    Some(Ok(match letter {
        // 4.1 with files of its own; with older ones as well; the same with a management API; with little room.
        'w' | 's' | 'a' | 'v' | 'u' => well,
        'o' | 'O' => Files { formats: vec![format("md", 3), format("me", 2), format("nb", 5)], ..well },
        'm' => Files { formats: vec![format("md", 3)], managed: true, ..well },
        'f' => Files { formats: vec![format("md", 3), format("me", 2)], free: 2 * GIB, ..well },
        // Names that are none of an sstable, and letters that nobody knows.
        'x' => Files { formats: vec![format("", 2), format("zz", 1)], ..well },
        // 5.0 with its mode not set; in each other; with files of each.
        '5' => of_5_0(""),
        'N' => of_5_0("NONE"),
        'U' => Files { formats: vec![format("nb", 5), format("oa", 2)], ..of_5_0("UPGRADING") },
        '?' => Files { mode: None, ..of_5_0("") },
        't' => return Some(Err(Unasked::new(Obstacle::Forbidden, "exec is forbidden"))),
        _ => return None,
    }))
}

/// What is left of the nodes `r-0`, `r-1` and so on, one for each letter.
fn completion(letters: &str, version: &str) -> Completion {
    let (mut roster, mut answers, mut health) = (Roster::default(), Answers::default(), Health::default());
    for (number, letter) in letters.chars().enumerate() {
        let (pod, uid) = (format!("r-{number}"), format!("uid-{number}"));
        roster.places.push(Place {
            pod: pod.clone(),
            uid: uid.clone(),
            role: "rack-r".into(),
            ordinal: 0,
            ready: letter != 'n',
        });
        let back = match letter {
            'a' => Verdict::No { why: vec![format!("r-0 sees {pod} as LEAVING")] },
            _ => Verdict::Yes,
        };
        health.members.push(Member {
            pod: pod.clone(),
            uid: uid.clone(),
            role: "node".into(),
            id: String::new(),
            version: if matches!(letter, 'v' | 'n') { "4.0.13".into() } else { version.into() },
            state: "UN".into(),
            leader: false,
            back,
            may_go: Verdict::Yes,
            unasked: false,
            busy: Vec::new(),
        });
        // The answer of `u` is of an earlier pod.
        let uid = if letter == 'u' { "uid-before".into() } else { uid };
        answers.files.extend(files(letter).map(|said| Said { pod: pod.clone(), uid: uid.clone(), said }));
        let streams = if letter == 's' { vec!["Repair".into(), "Repair".into()] } else { Vec::new() };
        answers.pods.push(Said { pod, uid, said: Ok(node(streams)) });
    }
    let evidence = Evidence::Cassandra(answers);
    (FINISHING.left)(&Examined { evidence: &evidence, health: &health, roster: &roster, version })
}

fn node(streams: Vec<String>) -> crate::model::evidence::cassandra::Pod {
    crate::model::evidence::cassandra::Pod {
        cluster: "prod".into(),
        host_id: "host".into(),
        version: "4.1.8".into(),
        schema: "schema".into(),
        known: Vec::new(),
        reach: crate::model::evidence::cassandra::Reach::All,
        streams,
        tasks: Vec::new(),
        keyspaces: Vec::new(),
    }
}

/// The steps in short: `pod: from > to, files, tool`.
fn steps(completion: &Completion) -> Vec<String> {
    let step = |step: &FinishStep| match &step.work {
        Work::RewriteFiles { pod, from, to, files, bytes, tool } => {
            assert_eq!(*bytes, files * GIB);
            assert!(matches!(&step.reversal, Reversal::No { why } if why.contains(to)));
            format!("{pod}: {} > {to}, {files}, {tool:?}", from.join("+"))
        }
        other => panic!("{other:?}"),
    };
    completion.steps.iter().map(step).collect()
}

#[test]
fn only_nodes_with_older_files_have_work() {
    for (letters, version, expected) in [
        ("www", "4.1.8", vec![]),
        ("wow", "4.1.8", vec!["r-1: md+me > nb, 5, Nodetool"]),
        (
            "omo",
            "4.1.8",
            vec![
                "r-0: md+me > nb, 5, Nodetool",
                "r-1: md > nb, 3, ManagementApi",
                "r-2: md+me > nb, 5, Nodetool",
            ],
        ),
        ("555", "5.0.3", vec![]),
        ("NN", "5.0.3", vec!["r-0: nb > oa, 5, Nodetool", "r-1: nb > oa, 5, Nodetool"]),
        ("UU", "5.0.3", vec!["r-0: nb > oa, 5, Nodetool", "r-1: nb > oa, 5, Nodetool"]),
    ] {
        let completion = completion(letters, version);
        assert_eq!(steps(&completion), expected, "{letters}");
        assert_eq!(completion.obstacles, Vec::<String>::new(), "{letters}");
        assert_eq!(completion.complete(), expected.is_empty(), "{letters}");
    }
}

#[test]
fn what_is_not_known_or_not_well_is_an_obstacle() {
    for (letters, version, obstacles) in [
        ("wtw", "4.1.8", vec!["r-1: exec is forbidden, so its files are not known"]),
        (
            "wnw",
            "4.1.8",
            vec!["r-1 reports version 4.0.13, not 4.1.8", "r-1 is not Ready, so its files are not known"],
        ),
        ("wuw", "4.1.8", vec!["r-1 has not been asked yet, so its files are not known"]),
        ("wvw", "4.1.8", vec!["r-1 reports version 4.0.13, not 4.1.8"]),
        ("wxw", "4.1.8", vec!["r-1 has 3 files of a format that is not known (zz)"]),
        ("wfw", "4.1.8", vec!["r-1 has 2.0 GiB of free disk, and rewriting shop.orders takes up to 3.0 GiB"]),
        ("ws", "4.1.8", vec![]),
        ("os", "4.1.8", vec!["r-1 streams: Repair"]),
        ("wa", "4.1.8", vec![]),
        ("oa", "4.1.8", vec!["r-0 sees r-1 as LEAVING"]),
        (
            "?",
            "5.0.3",
            vec![
                "it is not known in which format r-0 writes files: it does not tell its storage_compatibility_mode",
            ],
        ),
        (
            "w",
            "3.11.17",
            vec!["it is not known in which format r-0 writes files: this tool does not know version 3.11.17"],
        ),
    ] {
        assert_eq!(completion(letters, version).obstacles, obstacles, "{letters}");
    }
}

#[test]
fn what_is_done_and_worth_knowing_is_said() {
    let told = |letters: &str, version: &str| {
        let Completion { settled, remarks, .. } = completion(letters, version);
        [settled, remarks].concat().join("\n")
    };
    assert_eq!(
        told("www", "4.1.8"),
        "all 3 members report 4.1.8\nno files of an older format than nb on any of the 3 nodes"
    );
    assert!(told("wow", "4.1.8").contains("no files of an older format than nb on r-0, r-2\n"));
    assert!(told("wow", "4.1.8").contains("nodetool is run in the database's container"));
    assert!(!told("wmw", "4.1.8").contains("nodetool"));
    assert!(
        told("55", "5.0.3")
            .contains("storage_compatibility_mode is CASSANDRA_4: new files stay in the format nb")
    );
    assert!(told("UU", "5.0.3").contains("storage_compatibility_mode is UPGRADING: "));
    assert!(told("NN", "5.0.3").contains("storage_compatibility_mode is NONE: "));
    assert!(
        told("5N", "5.0.3").contains("storage_compatibility_mode is CASSANDRA_4 on r-0, and NONE on r-1")
    );
}

#[test]
fn nothing_leads_back() {
    let completion = completion("wo", "4.1.8");
    let works: Vec<_> = completion.steps.into_iter().map(|step| step.work).collect();
    let (evidence, health, roster) =
        (Evidence::Cassandra(Answers::default()), Health::default(), Roster::default());
    let examined = Examined { evidence: &evidence, health: &health, roster: &roster, version: "4.1.8" };
    let undone = (FINISHING.undo)(&examined, &works);
    assert_eq!(
        undone.obstacles,
        ["the files of r-1 that have got the format nb cannot get an older one again"]
    );
    assert!(undone.steps.is_empty());
}
