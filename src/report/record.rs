//! One run of the journal, for a change ticket: as Markdown, or as text for a terminal.
//!
//! Anybody who may write ConfigMaps can write the journal. In Markdown, all text from it stands in code spans, where
//! neither Markdown nor HTML nor a mention of a user means anything, and nothing stands in a table, whose cells a pipe
//! would end.

use jiff::{SignedDuration, Timestamp};

use super::layout::View;
use super::status::came_to;
use super::words;
use crate::event::WorkloadResult;
use crate::journal::{Direction, StepEntry};
use crate::model::{Finding, Method, clean, epoch_millis};
use crate::situation::{PodsRecord, Resumed, RunRecord};

/// A part of a line.
enum Word {
    /// Our own words.
    Ours(String),
    /// Text from the journal.
    Theirs(String),
}

use Word::{Ours, Theirs};

/// A line, and the lines that belong to it.
struct Line {
    words: Vec<Word>,
    /// Numbered lines, or a plain list.
    numbered: bool,
    below: Vec<Vec<Word>>,
}

/// The run as Markdown.
pub fn markdown(record: &RunRecord) -> String {
    let mut out = format!("## {}\n\n", marked(&title(record)));
    for line in lines(record) {
        out.push_str(&format!("- {}\n", marked(&line.words)));
        for (i, words) in line.below.iter().enumerate() {
            let bullet = if line.numbered { format!("{}.", i + 1) } else { "-".to_owned() };
            out.push_str(&format!("  {bullet} {}\n", marked(words)));
        }
    }
    out
}

/// The run as text.
pub fn text(record: &RunRecord, view: View) -> String {
    let mut out = format!("{}\n", view.bold(&plain(&title(record))));
    for line in lines(record) {
        out.push_str(&view.hanging("", 2, &plain(&line.words)));
        line.below.iter().for_each(|words| out.push_str(&view.hanging("  ", 4, &plain(words))));
    }
    out
}

fn marked(words: &[Word]) -> String {
    let word = |word: &Word| match word {
        Ours(text) => text.clone(),
        Theirs(text) => code(text),
    };
    words.iter().map(word).collect()
}

fn plain(words: &[Word]) -> String {
    let word = |word: &Word| match word {
        Ours(text) => text.clone(),
        Theirs(text) => clean(text),
    };
    words.iter().map(word).collect()
}

/// A code span: a fence that is longer than any run of backticks in the text, which ends it nowhere.
fn code(text: &str) -> String {
    let text = clean(text);
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    let (fence, gap) = ("`".repeat(longest + 1), if longest > 0 { " " } else { "" });
    if text.is_empty() { "-".to_owned() } else { format!("{fence}{gap}{text}{gap}{fence}") }
}

fn ours(text: impl Into<String>) -> Word {
    Ours(text.into())
}

fn theirs(text: &str) -> Word {
    Theirs(text.to_owned())
}

fn title(record: &RunRecord) -> Vec<Word> {
    let (run, database) = (&record.run, &record.database);
    let what = match run.direction {
        Direction::Update => "Update of ",
        Direction::Rollback => "Rollback of ",
        Direction::Finish => "Finish of ",
    };
    vec![
        ours(what),
        theirs(&database.to_string()),
        ours(" in namespace "),
        theirs(&database.namespace),
        ours(": "),
        theirs(&run.from),
        ours(" → "),
        theirs(&run.to),
    ]
}

fn lines(record: &RunRecord) -> Vec<Line> {
    let run = &record.run;
    let ended = ended(record);
    let after = ended.and_then(|ended| milliseconds(&run.began, ended));
    let after = after.map(|ms| format!(" after {}", words::duration(ms))).unwrap_or_default();
    let mut lines = vec![line(vec![ours(format!("Result: {}", came_to(run, &after)))])];
    let state = record.result.as_ref().map_or("", |result| &result.state);
    let said = [("Error: ", run.error.as_str()), ("State at the end: ", state)];
    let said = said.into_iter().filter(|(_, text)| !text.is_empty());
    lines.extend(said.map(|(label, text)| line(vec![ours(label), theirs(text)])));
    lines.push(line(vec![ours("Run: "), theirs(&run.run)]));
    lines.push(line(vec![ours("Started: "), ours(time(&run.began)), ours(" by "), theirs(&run.who)]));
    lines.extend(record.resumed.iter().map(|resumed| resumption(resumed, run.method)));
    lines.extend(ended.map(|ended| line(vec![ours(format!("Ended: {}", utc(ended)))])));
    lines.push(line(vec![ours(format!("Method: {}", run.method))]));
    lines.push(pods(record));
    lines.push(overridden(&record.overridden));
    if !record.steps.is_empty() {
        let below = record.steps.iter().map(|entry| vec![ours(step(entry))]).collect();
        lines.push(Line { words: vec![ours("Steps:")], numbered: true, below });
    }
    lines
}

fn line(words: Vec<Word>) -> Line {
    Line { words, numbered: false, below: Vec::new() }
}

/// When its last process ended.
fn ended(record: &RunRecord) -> Option<Timestamp> {
    let began = record.resumed.last().map_or(&record.run.began, |resumed| &resumed.time);
    let took = SignedDuration::from_millis(i64::try_from(record.result.as_ref()?.elapsed_ms).ok()?);
    began.parse::<Timestamp>().ok()?.checked_add(took).ok()
}

fn resumption(resumed: &Resumed, now: Method) -> Line {
    let mut words = vec![ours(format!("Resumed: {} by ", time(&resumed.time))), theirs(&resumed.who)];
    let other = resumed.method.filter(|method| *method != now);
    words.extend(other.map(|method| ours(format!(" via {method}"))));
    line(words)
}

/// The pods, all in all and of each workload.
fn pods(record: &RunRecord) -> Line {
    let result = record.result.as_ref();
    let all = record.pods.iter().fold((0, 0), |(updated, pods), w| (updated + w.updated, pods + w.pods));
    let restarted = result.map(|r| r.workloads.iter().map(|w| w.restarted).sum());
    let whole =
        counted(all.0, all.1, restarted, result.map(|r| (r.longest_away_ms, r.longest_away_at_least)));
    let each = |record: &PodsRecord| {
        let of = |w: &&WorkloadResult| w.workload == record.workload;
        let result = result.and_then(|r| r.workloads.iter().find(of));
        let away = result.map(|w| (w.longest_away_ms, w.longest_away_at_least));
        let counts = counted(record.updated, record.pods, result.map(|w| w.restarted), away);
        vec![theirs(&record.workload), ours(format!(": {counts}"))]
    };
    let label = if result.is_some() { "Pods" } else { "Pods, last recorded" };
    let words = vec![ours(format!("{label}: {whole}"))];
    Line { words, numbered: false, below: record.pods.iter().map(each).collect() }
}

/// `away` is the longest downtime in milliseconds, and whether it may have been longer.
fn counted(updated: u64, pods: u64, restarted: Option<u64>, away: Option<(u64, bool)>) -> String {
    let restarted = restarted.map(|n| format!(", {n} restarted")).unwrap_or_default();
    let away = away.filter(|(ms, _)| *ms > 0).map(|(ms, at_least)| words::at_least(ms, at_least));
    let away = away.map(|away| format!(", longest downtime {away}")).unwrap_or_default();
    format!("{updated} of {pods} on the target and Ready{restarted}{away}")
}

fn overridden(findings: &[Finding]) -> Line {
    if findings.is_empty() {
        return line(vec![ours("Overridden checks: none")]);
    }
    let one = |f: &Finding| vec![ours(format!("{}: ", f.check)), theirs(&f.message)];
    let below = findings.iter().map(one).collect();
    Line { words: vec![ours("Overridden checks:")], numbered: false, below }
}

fn step(entry: &StepEntry) -> String {
    let (began, name) = (time(&entry.began), words::step(entry.step));
    let ended = entry.ended.as_deref().and_then(|ended| ended.parse().ok());
    let took = ended.and_then(|ended| milliseconds(&entry.began, ended));
    let took = took.map(|ms| format!(" after {}", words::duration(ms))).unwrap_or_default();
    match entry.outcome {
        Some(outcome) => format!("{began} {name}: {}{took}", words::step_outcome(outcome)),
        None => format!("{began} {name}: no end recorded"),
    }
}

/// `2026-01-02 03:04:05 UTC`.
fn time(text: &str) -> String {
    let time = text.parse::<Timestamp>();
    time.map_or_else(|_| "at an unknown time".to_owned(), utc)
}

fn utc(time: Timestamp) -> String {
    time.strftime("%F %T UTC").to_string()
}

fn milliseconds(began: &str, ended: Timestamp) -> Option<u64> {
    u64::try_from(ended.as_millisecond().checked_sub(epoch_millis(began)?)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Outcome, Step, StepOutcome};
    use crate::model::{Check, Severity};
    use crate::report::sample;
    use crate::situation::RunStatus;

    fn stepped(step: Step, began: &str, ended: Option<&str>, outcome: Option<StepOutcome>) -> StepEntry {
        let ended = ended.map(str::to_owned);
        StepEntry { step, began: began.to_owned(), ended, outcome }
    }

    /// A run that was killed while it rolled, and resumed.
    fn record() -> RunRecord {
        let result = sample::finish();
        let pods = result.workloads.iter().map(|w| PodsRecord {
            workload: w.workload.clone(),
            pods: w.pods,
            updated: w.updated,
        });
        let done = Some(StepOutcome::Done);
        RunRecord {
            schema: "dbupdate/v1".to_owned(),
            database: sample::object("Kafka", "kafkas", "my-kf"),
            run: RunStatus {
                run: "1f2e3d4c5b6a".to_owned(),
                direction: Direction::Update,
                method: Method::Client,
                from: "3.5.2".to_owned(),
                to: "3.6.1".to_owned(),
                who: "ann@laptop".to_owned(),
                began: "2026-01-02T03:04:05.678Z".to_owned(),
                step: Some(Step::Verify),
                outcome: Some(Outcome::Done),
                error: String::new(),
                pod: None,
                took_ms: Some(61_000),
                resumed_by: vec!["bob@desk".to_owned()],
                unfinished: false,
            },
            resumed: vec![Resumed {
                who: "bob@desk".to_owned(),
                time: "2026-01-02T03:14:00Z".to_owned(),
                method: Some(Method::Client),
            }],
            overridden: vec![sample::finding(
                Check::Phase,
                Severity::Overridden,
                "the phase is Critical",
                "",
            )],
            pods: pods.collect(),
            steps: vec![
                stepped(Step::Pause, "2026-01-02T03:04:05.700Z", Some("2026-01-02T03:04:06.100Z"), done),
                stepped(Step::RollPods, "2026-01-02T03:04:07Z", None, None),
                stepped(Step::RollPods, "2026-01-02T03:14:01Z", Some("2026-01-02T03:15:06Z"), done),
            ],
            result: Some(result),
        }
    }

    #[test]
    fn a_run_is_a_block_for_a_ticket() {
        let record = record();
        let shown = markdown(&record);
        assert!(
            shown == include_str!("testdata/run.md"),
            "testdata/run.md is not what was printed:\n{shown}"
        );
        let shown = text(&record, View { width: Some(80), color: false });
        assert!(
            shown == include_str!("testdata/run-80.txt"),
            "testdata/run-80.txt is not what was printed:\n{shown}"
        );
    }

    #[test]
    fn a_run_without_a_result_says_what_is_known() {
        let mut open = record();
        (open.result, open.resumed, open.run.outcome) = (None, Vec::new(), None);
        open.run.unfinished = true;
        open.overridden.clear();
        open.run.began = "nonsense".to_owned();
        let shown = markdown(&open);
        for said in [
            "- Result: in progress, last seen in verify\n",
            "- Pods, last recorded: 4 of 4 on the target and Ready\n",
            "- Started: at an unknown time by `ann@laptop`\n",
            "- Overridden checks: none\n",
            "  - `petset/my-kf-broker`: 1 of 1 on the target and Ready\n",
        ] {
            assert!(shown.contains(said), "{said:?} is not in\n{shown}");
        }
        open.run.error = "it was killed".to_owned();
        let shown = markdown(&open);
        assert!(
            shown.contains("- Result: killed in verify, unfinished\n- Error: `it was killed`\n"),
            "{shown}"
        );
    }

    #[test]
    fn a_resume_names_its_method_if_it_is_another_one() {
        let mut record = record();
        record.run.method = Method::OpsManager;
        assert!(markdown(&record).contains(" by `bob@desk` via client\n"), "{}", markdown(&record));
    }

    #[test]
    fn text_of_others_stays_in_its_code_span() {
        for (text, span) in [
            ("plain", "`plain`"),
            ("", "-"),
            ("\u{7}", "-"),
            ("a | b", "`a | b`"),
            ("![x](http://evil/x.png)", "`![x](http://evil/x.png)`"),
            ("<img src=x onerror=y>", "`<img src=x onerror=y>`"),
            ("two\n\n# lines", "`two  # lines`"),
            ("`", "`` ` ``"),
            ("a`b``c", "``` a`b``c ```"),
            ("``` x", "```` ``` x ````"),
            ("\\`@all", "`` \\`@all ``"),
        ] {
            assert_eq!(code(text), span, "{text:?}");
        }
    }

    /// Every text that a journal can hold, in the place of which this one is put.
    #[test]
    fn nothing_in_a_journal_marks_up_a_ticket() {
        let evil = "x` <b>[y](z)\n## | @all ``";
        let span = "``` x` <b>[y](z) ## | @all `` ```";
        let mut record = record();
        let result = record.result.as_mut().expect("it has one");
        for text in [
            &mut record.run.run,
            &mut record.run.from,
            &mut record.run.to,
            &mut record.run.who,
            &mut record.database.name,
            &mut record.database.namespace,
            &mut record.resumed[0].who,
            &mut record.overridden[0].message,
            &mut record.pods[0].workload,
            &mut record.run.error,
            &mut result.state,
        ] {
            evil.clone_into(text);
        }
        for text in [&mut record.run.began, &mut record.resumed[0].time, &mut record.steps[0].began] {
            evil.clone_into(text);
        }
        let shown = markdown(&record).replace("kafka/x`", "x`").replace(span, "");
        assert!(shown.chars().all(|c| !"<>[]|@".contains(c)), "{shown}");
        assert_eq!(shown.matches("x`").count(), 0, "{shown}");
        assert_eq!(shown.lines().filter(|line| line.starts_with('#')).count(), 1, "{shown}");
    }
}
