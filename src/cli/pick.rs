//! The prompts on a terminal: which database, which version, and whether to continue. Everything is shown on standard
//! error. Ctrl-C declines, and so does Escape in a list.

use std::io::{self, BufRead, Write};

use console::{Term, truncate_str};
use dialoguer::Select;
use dialoguer::theme::ColorfulTheme;
use tokio::sync::watch;

use super::keys;
use super::terminal::Terminal;
use crate::operation::{Signal, Stop, signalled};

/// The answer to a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<T> {
    Chosen(T),
    Declined,
    /// A signal arrived while the prompt was shown.
    Signalled(Signal),
}

/// What an update is about to do, as shown above the confirmation prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// `kafka/my-kf`.
    pub database: String,
    pub namespace: String,
    /// The context's name and the server's address, as far as they are known.
    pub cluster: String,
    pub from: String,
    pub to: String,
    /// What is finished in the database itself, if anything is.
    pub finish: Option<String>,
}

/// Lets the user choose one line of a list; `first` is the line selected at the start.
///
/// # Errors
///
/// The terminal cannot be read or written.
pub async fn choose(
    prompt: &str,
    lines: Vec<String>,
    first: usize,
    terminal: &Terminal,
    stop: &mut watch::Receiver<Stop>,
) -> io::Result<Answer<usize>> {
    let lines = fitted(lines, terminal.width);
    let prompt = prompt.to_owned();
    ask(stop, move || {
        let theme = ColorfulTheme::default();
        Select::with_theme(&theme).with_prompt(prompt).items(&lines).default(first).interact_opt()
    })
    .await
}

/// Asks the user to confirm what is about to be done.
///
/// # Errors
///
/// The terminal cannot be read or written.
pub async fn confirm(intent: &Intent, stop: &mut watch::Receiver<Stop>) -> io::Result<Answer<()>> {
    io::stderr().write_all(intent.lines().as_bytes())?;
    keys::forget();
    ask(stop, || Ok(read_yes(io::stdin().lock(), io::stderr())?.then_some(()))).await
}

impl Intent {
    fn lines(&self) -> String {
        let Intent { database, namespace, cluster, from, to, finish } = self;
        let version = if from == to { to.clone() } else { format!("{from} -> {to}") };
        let finish = finish.as_ref().map(|what| format!("  finish     {what}\n")).unwrap_or_default();
        format!(
            "\n  database   {database} in namespace {namespace}\n  cluster    {cluster}\n  version    {version}\n{finish}\n"
        )
    }
}

/// Runs a prompt, which blocks until a key is pressed, while listening for signals, and restores the terminal.
async fn ask<T: Send + 'static>(
    stop: &mut watch::Receiver<Stop>,
    prompt: impl FnOnce() -> dialoguer::Result<Option<T>> + Send + 'static,
) -> io::Result<Answer<T>> {
    let before = TerminalState::save();
    let answer = tokio::select! {
        biased;
        answer = tokio::task::spawn_blocking(prompt) => answer?,
        signal = signalled(stop) => {
            before.restore();
            return Ok(match signal {
                Signal::Interrupt => Answer::Declined,
                other => Answer::Signalled(other),
            });
        }
    };
    match answer {
        Ok(Some(choice)) => Ok(Answer::Chosen(choice)),
        Ok(None) => Ok(Answer::Declined),
        // Ctrl-C is a character while a prompt reads single keys.
        Err(dialoguer::Error::IO(error)) if error.kind() == io::ErrorKind::Interrupted => {
            before.restore();
            Ok(Answer::Declined)
        }
        Err(dialoguer::Error::IO(error)) => {
            before.restore();
            Err(error)
        }
    }
}

/// Asks until a line is an answer. A line and not a key, or the rest of a typed `yes` would reach the shell.
fn read_yes(mut input: impl BufRead, mut output: impl Write) -> io::Result<bool> {
    let mut prompt = "Continue? [y/N] ";
    loop {
        output.write_all(prompt.as_bytes())?;
        let mut line = Vec::new();
        if input.read_until(b'\n', &mut line)? == 0 {
            // Ctrl-D leaves the cursor behind the question.
            output.write_all(b"\n")?;
            return Ok(false);
        }
        match String::from_utf8_lossy(&line).trim().to_lowercase().as_str() {
            "y" | "yes" => return Ok(true),
            "" | "n" | "no" => return Ok(false),
            _ => prompt = "Answer y or n, then Enter. Continue? [y/N] ",
        }
    }
}

/// Truncates the lines to the terminal's width, minus the pointer in front of them: a wrapped line would garble the list.
fn fitted(lines: Vec<String>, width: Option<u16>) -> Vec<String> {
    const POINTER: usize = 4;
    let Some(width) = width else { return lines };
    let room = usize::from(width).saturating_sub(POINTER).max(20);
    lines.iter().map(|line| truncate_str(line, room, "…").into_owned()).collect()
}

/// The terminal's settings before a prompt changed them. A prompt hides the cursor and reads raw keys; when it is
/// abandoned, it does not restore them itself.
struct TerminalState {
    #[cfg(unix)]
    mode: Option<rustix::termios::Termios>,
}

impl TerminalState {
    fn save() -> Self {
        Self {
            #[cfg(unix)]
            mode: rustix::termios::tcgetattr(rustix::stdio::stdin()).ok(),
        }
    }

    /// Best effort: a terminal that has gone away needs no cursor.
    fn restore(&self) {
        #[cfg(unix)]
        if let Some(mode) = &self.mode {
            let when = rustix::termios::OptionalActions::Drain;
            let _ = rustix::termios::tcsetattr(rustix::stdio::stdin(), when, mode);
        }
        let term = Term::stderr();
        let _ = term.show_cursor();
        let _ = term.write_line("");
        let _ = term.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_names_everything_that_could_be_the_wrong_one() {
        let intent = Intent {
            database: "kafka/my-kf".into(),
            namespace: "db".into(),
            cluster: "context prod, https://10.0.0.1:6443".into(),
            from: "3.5.2".into(),
            to: "3.6.1".into(),
            finish: None,
        };
        let text = intent.lines();
        for part in ["kafka/my-kf", "namespace db", "prod", "10.0.0.1", "3.5.2", "3.6.1"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let finish = Some("1 step, which cannot be undone".to_owned());
        let text = Intent { from: "3.6.1".into(), finish, ..intent }.lines();
        assert!(
            text.ends_with("\n  version    3.6.1\n  finish     1 step, which cannot be undone\n\n"),
            "{text}"
        );
    }

    #[test]
    fn a_line_confirms_or_declines() {
        for (typed, yes, asked, left) in [
            ("y\n", true, 1, ""),
            ("yes\nls\n", true, 1, "ls\n"),
            (" YES \r\n", true, 1, ""),
            ("n\n", false, 1, ""),
            ("No\n", false, 1, ""),
            ("\ny\n", false, 1, "y\n"),
            ("", false, 1, ""),
            ("y", true, 1, ""),
            ("yy\n\u{1b}[A\nmaybe\ny\n", true, 4, ""),
            ("yesterday\n", false, 2, ""),
        ] {
            let (mut input, mut output) = (typed.as_bytes(), Vec::new());
            assert_eq!(read_yes(&mut input, &mut output).expect("it is read"), yes, "{typed:?}");
            let output = String::from_utf8(output).expect("text");
            assert_eq!(output.matches("Continue? [y/N] ").count(), asked, "{typed:?}");
            assert_eq!(input, left.as_bytes(), "{typed:?}");
        }
        let (mut input, mut output) = (&b"\xff\n"[..], Vec::new());
        assert!(!read_yes(&mut input, &mut output).expect("it is read"));
    }

    #[test]
    fn lists_are_cut_to_the_terminal() {
        let line = || vec!["x".repeat(100)];
        assert_eq!(fitted(line(), None)[0].chars().count(), 100);
        assert_eq!(fitted(line(), Some(80))[0].chars().count(), 76);
        assert_eq!(fitted(line(), Some(200))[0].chars().count(), 100);
        assert_eq!(fitted(line(), Some(5))[0].chars().count(), 20);
    }

    #[tokio::test]
    async fn a_signal_ends_a_question() {
        for (signal, answer) in [
            (Signal::Interrupt, Answer::Declined),
            (Signal::Terminate, Answer::Signalled(Signal::Terminate)),
            (Signal::HangUp, Answer::Signalled(Signal::HangUp)),
        ] {
            let (sender, mut stop) = watch::channel(Stop::Go);
            let (release, blocked) = std::sync::mpsc::channel::<()>();
            let question = ask(&mut stop, move || {
                let _ = blocked.recv();
                Ok(Some(()))
            });
            sender.send_replace(Stop::Finish(signal));
            assert_eq!(question.await.expect("no error"), answer);
            drop(release);
        }
    }

    #[tokio::test]
    async fn a_question_is_answered_or_declined() {
        let interrupted = || io::Error::from(io::ErrorKind::Interrupted);
        let (_sender, mut stop) = watch::channel(Stop::Go);
        let chosen = ask(&mut stop, || Ok(Some(3))).await;
        assert_eq!(chosen.expect("no error"), Answer::Chosen(3));
        let escaped = ask::<u8>(&mut stop, || Ok(None)).await;
        assert_eq!(escaped.expect("no error"), Answer::Declined);
        let ctrl_c = ask::<u8>(&mut stop, move || Err(interrupted().into())).await;
        assert_eq!(ctrl_c.expect("no error"), Answer::Declined);
    }
}
