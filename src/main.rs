#![forbid(unsafe_code)]

use std::process::ExitCode;

use kubectl_dbupdate::cli;

fn main() -> ExitCode {
    match cli::args::parse(std::env::args_os()) {
        Ok(cli) => ExitCode::from(cli::run(cli).code()),
        Err(error) => {
            // Help and version are no errors, and a closed stream is none of ours.
            let _ = error.print();
            ExitCode::from(if error.use_stderr() { 2 } else { 0 })
        }
    }
}
