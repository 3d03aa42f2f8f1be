//! Keys that are typed while nobody asks for any: they neither appear in the progress of a run nor reach the shell after it.

#[cfg(unix)]
pub use unix::{NoEcho, forget};

#[cfg(unix)]
mod unix {
    use std::io::Stderr;
    use std::sync::Once;

    use rustix::process::getpgrp;
    use rustix::termios::{
        LocalModes, OptionalActions, QueueSelector, Termios, tcflush, tcgetattr, tcgetpgrp, tcsetattr,
    };
    use tokio::signal::unix::{SignalKind, signal};

    /// Forgets what was typed so far: it cannot be the answer to a question that was not shown yet.
    pub fn forget() {
        if let Some(terminal) = terminal() {
            let _ = tcflush(terminal, QueueSelector::IFlush);
        }
    }

    /// The terminal, unless the process is in the background: changing it would stop the process.
    fn terminal() -> Option<Stderr> {
        let terminal = std::io::stderr();
        (tcgetpgrp(&terminal).ok()? == getpgrp()).then_some(terminal)
    }

    /// One task for the signal is enough, however many runs there are.
    static QUIT: Once = Once::new();

    /// Until this is dropped, the terminal does not echo what is typed, and then forgets it. Ctrl-C still is a signal.
    pub struct NoEcho {
        before: Option<Termios>,
    }

    impl NoEcho {
        /// Must be called on a runtime.
        pub fn begin() -> Self {
            let before = terminal().and_then(|terminal| tcgetattr(terminal).ok());
            if let (Some(before), Some(terminal)) = (&before, terminal()) {
                let mut silent = before.clone();
                silent.local_modes.remove(LocalModes::ECHO);
                QUIT.call_once(|| restore_on_quit(before.clone()));
                let _ = tcsetattr(terminal, OptionalActions::Now, &silent);
            }
            NoEcho { before }
        }
    }

    /// A panic drops this as well.
    impl Drop for NoEcho {
        fn drop(&mut self) {
            self.before.iter().for_each(restore);
        }
    }

    fn restore(before: &Termios) {
        if let Some(terminal) = terminal() {
            let _ = tcsetattr(terminal, OptionalActions::Flush, before);
        }
    }

    /// Every other signal that a key sends ends the run in order. Ctrl-\ still ends the process at once.
    fn restore_on_quit(before: Termios) {
        let Ok(mut quit) = signal(SignalKind::quit()) else { return };
        tokio::spawn(async move {
            if quit.recv().await.is_some() {
                restore(&before);
                std::process::exit(128 + rustix::process::Signal::QUIT.as_raw());
            }
        });
    }
}

#[cfg(not(unix))]
pub use other::{NoEcho, forget};

#[cfg(not(unix))]
mod other {
    pub fn forget() {}

    /// Only a Unix terminal is silenced.
    pub struct NoEcho;

    impl NoEcho {
        pub fn begin() -> Self {
            NoEcho
        }
    }
}
