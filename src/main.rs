#![forbid(unsafe_code)]

use std::process::ExitCode;

use kubectl_dbupdate::cli;

fn main() -> ExitCode {
    let line: Vec<_> = std::env::args_os().collect();
    match cli::args::parse(&line) {
        Ok(cli) => ExitCode::from(cli::run(cli).code()),
        Err(error) => {
            cli::args::explain(&line, &error);
            // Help and version are no errors.
            ExitCode::from(if error.use_stderr() { 2 } else { 0 })
        }
    }
}
