//! `kubectl dbupdate completion`: completion scripts for shells and for kubectl.

use clap::{Args, Command, ValueEnum};
use clap_complete::Shell;

use super::exit_code::ExitCode;
use super::stream;

/// The hidden command that prints the completions of a partial command line.
pub const COMPLETE: &str = "__complete";

/// Print a completion script
///
/// To complete 'kubectl dbupdate', kubectl runs the program kubectl_complete-dbupdate from the PATH; save the 'kubectl'
/// script under that name. The shell scripts complete 'kubectl-dbupdate', without contacting a cluster.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  # For 'kubectl dbupdate <TAB>', if kubectl's own completion is set up
  kubectl dbupdate completion kubectl > ~/.local/bin/kubectl_complete-dbupdate
  chmod +x ~/.local/bin/kubectl_complete-dbupdate

  # For 'kubectl-dbupdate <TAB>' in bash
  source <(kubectl dbupdate completion bash)")]
pub struct CompletionArgs {
    /// The shell, or kubectl
    #[arg(value_enum, value_name = "SHELL")]
    pub shell: CompletionFor,
}

/// The target of a completion script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CompletionFor {
    Bash,
    Zsh,
    Fish,
    Powershell,
    Kubectl,
}

/// The words of a partial command line without the program's name; the last one is being typed.
#[derive(Debug, Args)]
pub struct CompleteArgs {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub words: Vec<String>,
}

/// Prints a script for a command line that is defined so.
pub fn print(shell: CompletionFor, definition: Command) -> ExitCode {
    stream::out(&script(shell, definition));
    ExitCode::Done
}

fn script(shell: CompletionFor, mut definition: Command) -> String {
    let shell = match shell {
        CompletionFor::Kubectl => {
            return format!("#!/bin/sh\nexec kubectl-dbupdate {COMPLETE} -- \"$@\"\n");
        }
        CompletionFor::Bash => Shell::Bash,
        CompletionFor::Zsh => Shell::Zsh,
        CompletionFor::Fish => Shell::Fish,
        CompletionFor::Powershell => Shell::PowerShell,
    };
    let mut script = Vec::new();
    // clap_complete builds the definition itself, under the name that the shell sees.
    clap_complete::generate(shell, &mut definition, "kubectl-dbupdate", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}
