//! The built binary on a terminal: what it does with the keys that are typed there.
#![cfg(target_os = "linux")]

#[path = "programs/mod.rs"]
mod programs;
mod served;

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};
use served::{BINARY, isolated};

/// A terminal of which the binary is the only program.
struct Screen {
    keyboard: File,
    /// The program's side.
    terminal: OwnedFd,
    shown: Arc<Mutex<String>>,
    reader: thread::JoinHandle<()>,
    child: Child,
}

impl Screen {
    fn start(line: &str) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
        let pair = openpt(flags).expect("a terminal");
        grantpt(&pair).and_then(|()| unlockpt(&pair)).expect("it is ours");
        let terminal = ioctl_tiocgptpeer(&pair, flags).expect("its other side");
        let side = || Stdio::from(terminal.try_clone().expect("one more"));
        let mut command = isolated("setsid");
        command.args(["--ctty", "--wait", BINARY]).args(line.split(' ')).env("TERM", "xterm");
        let child = command.stdin(side()).stdout(side()).stderr(side()).spawn().expect("it starts");
        let keyboard = File::from(pair);
        let (mut screen, shown) = (keyboard.try_clone().expect("one more"), Arc::<Mutex<String>>::default());
        let text = Arc::clone(&shown);
        // Its read fails when the last program has closed the terminal.
        let reader = thread::spawn(move || {
            let mut some = [0; 4096];
            while let Ok(read) = screen.read(&mut some) {
                text.lock().expect("no panic").push_str(&String::from_utf8_lossy(&some[..read]));
            }
        });
        Screen { keyboard, terminal, shown, reader, child }
    }

    fn shown(&self) -> String {
        self.shown.lock().expect("no panic").clone()
    }

    fn wait_for(&self, part: &str) {
        let deadline = Instant::now() + Duration::from_secs(120);
        while !self.shown().contains(part) {
            assert!(Instant::now() < deadline, "no {part:?} in {}", self.shown());
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn type_keys(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("it is open");
    }

    /// Whether keys are echoed, and whether Ctrl-C is a signal.
    fn modes(&self) -> (bool, bool) {
        let modes = tcgetattr(&self.terminal).expect("it is a terminal").local_modes;
        (modes.contains(LocalModes::ECHO), modes.contains(LocalModes::ISIG))
    }

    /// It ends with that code, the terminal is as it was, and nothing that was typed is left for a shell.
    fn ends(mut self, code: i32) -> String {
        let status = self.child.wait().expect("it ends");
        assert_eq!((status.code(), self.modes()), (Some(code), (true, true)), "{}", self.shown());
        let left = rustix::io::ioctl_fionread(&self.terminal).expect("it is a terminal");
        assert_eq!(left, 0, "{}", self.shown());
        drop(self.terminal);
        self.reader.join().expect("it has read everything");
        let shown = self.shown.lock().expect("no panic");
        shown.clone()
    }
}

const UPDATE: &str = "zk my-zk --to 3.9.1 --sandbox";

#[test]
fn what_is_typed_during_a_run_is_neither_shown_nor_left_to_the_shell() {
    if !programs::installed("setsid") {
        return;
    }
    for (keys, code) in [("\u{3}", 130), ("\u{1c}", 131)] {
        let mut screen = Screen::start(UPDATE);
        // Typed before the question was shown, so that it cannot be the answer.
        screen.type_keys("y\n");
        screen.wait_for("Continue? [y/N] ");
        assert_eq!(screen.modes(), (true, true));
        screen.type_keys("yes\n");
        screen.wait_for("roll pods");
        assert_eq!(screen.modes(), (false, true));
        screen.type_keys("reboot\n");
        screen.type_keys(keys);
        let shown = screen.ends(code);
        assert!(!shown.contains("reboot"), "{shown}");
        assert_eq!(shown.matches("Continue?").count(), 1, "{shown}");
    }
}

#[test]
fn no_change_without_a_yes() {
    if !programs::installed("setsid") {
        return;
    }
    for (keys, code) in [("\n", 3), ("n\n", 3), ("\u{4}", 3), ("\u{3}", 3)] {
        let mut screen = Screen::start(UPDATE);
        screen.wait_for("Continue? [y/N] ");
        screen.type_keys(keys);
        let shown = screen.ends(code);
        assert!(shown.contains("declined; nothing was changed"), "{shown}");
    }
}
