//! Parses a partial command line to find out what to complete.

use clap::{Arg, Command};

/// A partial command line.
pub struct Line<'a> {
    /// The command or subcommand of the line.
    pub command: &'a Command,
    /// The positional arguments typed so far.
    pub arguments: Vec<&'a str>,
    /// All complete words.
    pub before: Vec<&'a str>,
    /// What the last word is.
    pub asked: Asked<'a>,
    /// The part of the last word that is already typed.
    pub typed: String,
}

/// What to complete.
#[derive(Debug, Clone, Copy)]
pub enum Asked<'a> {
    /// A flag.
    Flag,
    /// The value of a flag.
    Value(&'a Arg),
    /// A positional argument; `None` if the command takes no more.
    Argument(Option<&'a Arg>),
}

impl<'a> Line<'a> {
    /// Parses the words after the program's name; the last one is being typed.
    pub fn read(definition: &'a Command, words: &'a [String]) -> Self {
        let (typed, before) = match words.split_last() {
            Some((typed, before)) => (typed.as_str(), before),
            None => ("", words),
        };
        let mut line = Line {
            command: definition,
            arguments: Vec::new(),
            before: Vec::new(),
            asked: Asked::Flag,
            typed: typed.to_owned(),
        };
        let (mut pending, mut raw) = (None, false);
        for word in before.iter().map(String::as_str) {
            if pending.take().is_none() {
                match word {
                    "--" if !raw => raw = true,
                    flag if !raw && flag.len() > 1 && flag.starts_with('-') => {
                        pending = line.awaits_value(flag)
                    }
                    word => line.argument(word),
                }
            }
            line.before.push(word);
        }
        line.asked = match (pending, typed.split_once('=')) {
            (Some(flag), _) => {
                // clap would reject the flag without its value, and drop the words before it.
                line.before.pop();
                Asked::Value(flag)
            }
            (None, Some((flag, value))) if !raw && flag.starts_with("--") => match line.long(&flag[2..]) {
                Some(flag) => {
                    line.typed = value.to_owned();
                    Asked::Value(flag)
                }
                None => Asked::Flag,
            },
            (None, _) if !raw && typed.starts_with('-') => Asked::Flag,
            (None, _) => Asked::Argument(line.command.get_positionals().nth(line.arguments.len())),
        };
        line
    }

    fn argument(&mut self, word: &'a str) {
        match self.command.find_subcommand(word) {
            Some(command) if self.arguments.is_empty() => self.command = command,
            _ => self.arguments.push(word),
        }
    }

    /// The flag, if its value is the next word.
    fn awaits_value(&self, word: &str) -> Option<&'a Arg> {
        let takes = |arg: &&Arg| arg.get_action().takes_values() && !arg.is_require_equals_set();
        if let Some(long) = word.strip_prefix("--") {
            return self.long(long).filter(takes);
        }
        // The first letter that takes a value takes the rest of the word as its value.
        let letters: Vec<char> = word.chars().skip(1).collect();
        let short = |letter: char| self.command.get_arguments().find(|arg| arg.get_short() == Some(letter));
        let (at, flag) =
            letters.iter().enumerate().find_map(|(at, l)| Some((at, short(*l).filter(takes)?)))?;
        (at + 1 == letters.len()).then_some(flag)
    }

    fn long(&self, name: &str) -> Option<&'a Arg> {
        self.command.get_arguments().find(|arg| arg.get_long() == Some(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args;

    /// Shows the command, what is completed, the typed part, and the arguments before it.
    fn read(line: &str) -> String {
        let definition = args::definition();
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let line = Line::read(&definition, &words);
        let asked = match line.asked {
            Asked::Flag => "a flag".to_owned(),
            Asked::Value(arg) => format!("--{}", arg.get_long().unwrap_or_default()),
            Asked::Argument(Some(arg)) => arg.get_id().to_string(),
            Asked::Argument(None) => "nothing".to_owned(),
        };
        format!("{}: {asked} {:?} after {:?}", line.command.get_name(), line.typed, line.arguments)
    }

    #[test]
    fn the_end_of_a_line_is_understood() {
        for (line, expected) in [
            ("", "kubectl-dbupdate: kind \"\" after []"),
            ("ka", "kubectl-dbupdate: kind \"ka\" after []"),
            ("kafka my", "kubectl-dbupdate: name \"my\" after [\"kafka\"]"),
            ("kafka my-kf ", "kubectl-dbupdate: nothing \"\" after [\"kafka\", \"my-kf\"]"),
            ("kafka my-kf --to ", "kubectl-dbupdate: --to \"\" after [\"kafka\", \"my-kf\"]"),
            ("kafka my-kf --to=3.", "kubectl-dbupdate: --to \"3.\" after [\"kafka\", \"my-kf\"]"),
            ("kafka my-kf --t", "kubectl-dbupdate: a flag \"--t\" after [\"kafka\", \"my-kf\"]"),
            ("-n db kafka ", "kubectl-dbupdate: name \"\" after [\"kafka\"]"),
            ("-ndb kafka ", "kubectl-dbupdate: name \"\" after [\"kafka\"]"),
            ("-yn db kafka ", "kubectl-dbupdate: name \"\" after [\"kafka\"]"),
            ("kafka -n ", "kubectl-dbupdate: --namespace \"\" after [\"kafka\"]"),
            ("kafka --dry-run my", "kubectl-dbupdate: name \"my\" after [\"kafka\"]"),
            ("kafka --dry-run=s", "kubectl-dbupdate: --dry-run \"s\" after [\"kafka\"]"),
            ("kafka --nonsense=s", "kubectl-dbupdate: a flag \"--nonsense=s\" after [\"kafka\"]"),
            ("status kafka ", "status: name \"\" after [\"kafka\"]"),
            ("status -n db --context ", "status: --context \"\" after []"),
            ("--context c status ", "status: kind \"\" after []"),
            ("list kafka x", "list: nothing \"x\" after [\"kafka\"]"),
            ("completion ", "completion: shell \"\" after []"),
            ("kafka -- --to", "kubectl-dbupdate: name \"--to\" after [\"kafka\"]"),
        ] {
            assert_eq!(read(line), expected, "{line:?}");
        }
    }
}
