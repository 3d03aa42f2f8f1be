//! Other programs, run and measured.

use std::fs;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A program that has ended well.
pub struct Ran {
    pub took: Duration,
    /// The most memory that it held at once (peak resident set), in KiB; 0 where the system does not tell.
    pub peak_kib: u64,
    /// User and system time.
    pub cpu: Duration,
    pub stdout: String,
}

/// How often a running program's memory is looked at. What is shown is the peak so far, so nothing in between is lost
/// but the last moment.
const LOOK: Duration = Duration::from_millis(2);

/// What Linux counts CPU time in, on every architecture that it runs on today: a hundredth of a second.
const TICK: Duration = Duration::from_millis(10);

/// Runs a program to its end.
///
/// # Panics
/// When it cannot be started, or fails: then there is nothing to measure.
pub fn run(command: &mut Command) -> Ran {
    let began = Instant::now();
    let mut child = spawn(command);
    let mut pipe = child.stdout.take().expect("it is piped");
    let reader = thread::spawn(move || {
        let mut text = String::new();
        pipe.read_to_string(&mut text).map(|_| text).unwrap_or_default()
    });
    let (mut peak_kib, mut cpu) = (0, Duration::ZERO);
    while let Some((state, used)) = stat(child.id()) {
        cpu = used;
        // A program that has ended and was not yet asked for has no memory any more.
        if state == 'Z' {
            break;
        }
        peak_kib = peak(child.id()).unwrap_or(peak_kib);
        thread::sleep(LOOK);
    }
    let took = began.elapsed();
    let status = child.wait().expect("it is our child");
    let stdout = reader.join().expect("reading does not panic");
    assert!(status.success(), "{command:?} failed ({status}):\n{stdout}");
    Ran { took, peak_kib, cpu, stdout }
}

/// How long a program takes from its start to its end, as exactly as can be told.
pub fn time(command: &mut Command) -> Duration {
    let began = Instant::now();
    let output = command.output().unwrap_or_else(|e| panic!("cannot run {command:?}: {e}"));
    let took = began.elapsed();
    assert!(output.status.success(), "{command:?} failed:\n{}", String::from_utf8_lossy(&output.stderr));
    took
}

/// From a program's start to the first byte that it prints.
pub fn first_byte(command: &mut Command) -> Duration {
    let began = Instant::now();
    let mut child = spawn(command);
    let mut byte = [0];
    let pipe = child.stdout.as_mut().expect("it is piped");
    pipe.read_exact(&mut byte).expect("it prints something");
    let took = began.elapsed();
    let mut rest = Vec::new();
    pipe.read_to_end(&mut rest).expect("it ends");
    child.wait().expect("it is our child");
    took
}

fn spawn(command: &mut Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command.spawn().unwrap_or_else(|e| panic!("cannot run {command:?}: {e}"))
}

/// State and CPU time of a process: fields 3, 14 and 15 of proc(5)'s `stat`. The name before them may hold anything.
fn stat(pid: u32) -> Option<(char, Duration)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = text.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?.chars().next()?;
    let ticks: Vec<u32> = fields.skip(10).take(2).filter_map(|f| f.parse().ok()).collect();
    Some((state, TICK * ticks.iter().sum()))
}

fn peak(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}
