//! What a person sees, letter by letter.

use super::sample::{self, failed_finish, finish, plan, refused_plan, trials};
use super::{View, final_block, final_words, finish as finishing, tables};
use crate::event::Outcome;
use crate::model::{
    Action, Completion, FinishPlan, FinishStep, Level, Plan, PrePull, Pull, Reversal, Tool, Work,
};
use console::measure_text_width;

fn view(width: u16) -> View {
    View { width: Some(width), color: false }
}

const PIPE: View = View { width: None, color: false };

#[test]
fn a_plan_is_laid_out_for_its_width() {
    let shown = |view| tables::plan(&plan(), None, view);
    assert_eq!(shown(view(80)), include_str!("testdata/plan-80.txt"));
    assert_eq!(shown(view(140)), include_str!("testdata/plan-140.txt"));
    assert_eq!(shown(view(200)), include_str!("testdata/plan-200.txt"));
    assert_eq!(shown(PIPE), include_str!("testdata/plan-pipe.txt"));
}

#[test]
fn a_plan_names_the_nodes_that_download_first() {
    let pull = |node: &str, image: &str| Pull {
        node: node.to_owned(),
        image: image.to_owned(),
        workload: "uid".to_owned(),
    };
    let mut first = plan();
    first.pre_pull = Some(PrePull {
        pulls: vec![pull("n1", "kafka:3.6.1"), pull("n1", "init:2"), pull("n2", "kafka:3.6.1")],
        present: vec![pull("n2", "init:2"), pull("n1", "exporter:1")],
    });
    let shown = tables::plan(&first, None, PIPE);
    let downloads = "\nDownloads before anything is changed\n  exporter:1: already on n1\n  init:2: to n1; already on n2\n  \
                     kafka:3.6.1: to n1, n2\n\n";
    assert!(shown.contains(downloads), "{shown}");
}

#[test]
fn a_refused_plan_says_what_is_in_the_way() {
    let shown = tables::plan(&refused_plan(), Some(&trials()), view(80));
    assert_eq!(shown, include_str!("testdata/refused-80.txt"));
}

#[test]
fn a_run_ends_with_what_came_of_it() {
    let shown = |finish, view| final_block(&finish, &plan(), view);
    assert_eq!(shown(finish(), view(80)), include_str!("testdata/done-80.txt"));
    assert_eq!(shown(failed_finish(), view(80)), include_str!("testdata/failed-80.txt"));
    assert_eq!(shown(failed_finish(), view(45)), include_str!("testdata/failed-45.txt"));
}

/// A plan with a step of each sort.
fn plan_of_a_finish() -> Plan {
    let level = |level, name: &str| Level { level, name: name.to_owned() };
    let words = |text: &str| text.to_owned();
    let works = [
        Work::SetFeature {
            feature: words("metadata.version"),
            from: level(21, "3.9-IV0"),
            to: level(25, "4.0-IV3"),
        },
        Work::RewriteFiles {
            pod: words("my-cas-rack-r0-0"),
            from: vec![words("mc"), words("nb")],
            to: words("oa"),
            files: 12,
            bytes: 3 << 30,
            tool: Tool::Nodetool,
        },
        Work::Await { what: words("the cluster version"), from: words("5.4"), to: words("5.5") },
    ];
    let reversals = [
        Reversal::No { why: words("4.0-IV1 (23) changes the format of the metadata") },
        Reversal::Unknown { why: words("this level is not known here; Kafka says once it is set") },
        Reversal::Yes { why: words("no level above it changes the format of the metadata") },
    ];
    let steps = works.into_iter().zip(reversals).map(|(work, reversal)| FinishStep { work, reversal });
    let completion = Completion {
        steps: steps.collect(),
        obstacles: vec![words("my-kf-broker-1 is not Ready")],
        settled: vec![words("group.version is 1, the highest that every node supports")],
        remarks: vec![words(
            "kraft.version is left as it is: KubeDB configures a static quorum of controllers",
        )],
    };
    let mut plan = Plan { action: Action::Finish, findings: Vec::new(), ..plan() };
    plan.from = plan.to.clone();
    plan.finish = Some(FinishPlan { undo: false, completion });
    plan
}

#[test]
fn a_finish_says_of_each_step_whether_it_can_be_undone() {
    let plan = plan_of_a_finish();
    assert_eq!(tables::plan(&plan, None, view(80)), include_str!("testdata/finish-80.txt"));
    let left = plan.finish.as_ref().map(|finish| finishing::left(&finish.completion, view(80)));
    assert_eq!(left.expect("it is one"), include_str!("testdata/left-80.txt"));
    let done = |undo| {
        let mut plan = plan.clone();
        plan.finish.as_mut().expect("it is one").undo = undo;
        final_words(&finish(), &plan, PIPE)
    };
    assert_eq!(done(false), "done: the update of Kafka my-kf to 3.6.1 is finished after 1m 20s\n");
    assert_eq!(done(true), "done: the finish of the update of Kafka my-kf to 3.6.1 is undone after 1m 20s\n");
}

#[test]
fn an_update_that_no_operator_confirmed_says_so() {
    let mut alone = finish();
    alone.operator_confirmed = false;
    let shown = final_block(&alone, &plan(), PIPE);
    assert!(shown.contains("\nnote: not confirmed by an operator: "), "{shown}");
}

#[test]
fn what_was_rolled_back_is_restored_and_says_so_once() {
    let mut back = failed_finish();
    back.outcome = Outcome::RolledBack;
    back.error = "no image; the update was rolled back".into();
    let shown = final_block(&back, &plan(), view(80));
    assert!(shown.contains("  RESTORED  ") && !shown.contains("UPDATED"), "{shown}");
    assert!(shown.contains("\nfailed: no image; the update was rolled back\n"), "{shown}");
}

#[test]
fn a_quiet_run_keeps_the_command_that_finishes_it() {
    let mut finish = finish();
    finish.next = vec!["kubectl dbupdate finish kafka my-kf".to_owned()];
    let shown = final_words(&finish, &plan(), PIPE);
    assert!(shown.starts_with("done: "), "{shown}");
    assert!(shown.ends_with("\nnext:\n  kubectl dbupdate finish kafka my-kf\n"), "{shown}");
    assert_eq!(shown.matches("longest pod downtime").count(), 1, "{shown}");
}

#[test]
fn colour_changes_no_letter() {
    let colored = View { width: Some(80), color: true };
    for (plain, painted) in [
        (
            tables::plan(&refused_plan(), Some(&trials()), view(80)),
            tables::plan(&refused_plan(), Some(&trials()), colored),
        ),
        (final_block(&failed_finish(), &plan(), view(80)), final_block(&failed_finish(), &plan(), colored)),
    ] {
        assert!(painted.contains("\u{1b}["), "{painted:?}");
        let stripped: Vec<String> =
            console::strip_ansi_codes(&painted).lines().map(|l| l.trim_end().to_owned()).collect();
        assert_eq!(stripped.join("\n"), plain.trim_end());
        assert!(!plain.contains('\u{1b}'));
    }
}

#[test]
fn a_thousand_pods_stay_readable_on_a_terminal_and_whole_on_a_pipe() {
    let mut big = plan();
    big.workloads = (0..100).map(|i| sample::workload(&format!("rack-{i}"), 10)).collect();
    for (n, pod) in big.workloads.iter_mut().flat_map(|w| &mut w.pods).enumerate() {
        pod.waits_for = format!("pod number {n}");
    }
    let on_terminal = tables::plan(&big, None, view(80));
    assert!(on_terminal.contains("     … 4 more\n"), "{on_terminal}");
    assert!(!on_terminal.contains("my-kf-rack-99-7"));
    assert!(on_terminal.contains("my-kf-rack-99-9: "));
    assert!(on_terminal.lines().all(|l| measure_text_width(l) <= 80));
    let piped = tables::plan(&big, None, PIPE);
    assert!(big.pods().all(|p| piped.contains(&format!("{}: ", p.name))));
}

#[test]
fn text_from_the_cluster_steers_no_terminal() {
    let mut hostile = refused_plan();
    hostile.findings[0].message = "\u{1b}[2Jgone".into();
    hostile.findings[0].hint = "\u{9b}31m".into();
    let mut end = failed_finish();
    end.error = "\u{1b}]0;title\u{7}".into();
    for text in [tables::plan(&hostile, None, view(80)), final_block(&end, &hostile, view(80))] {
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    }
}
