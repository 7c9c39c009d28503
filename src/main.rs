//! `merge-search`, the command.

mod cli;

use std::process::ExitCode;

/// Exit codes: 0 done, 1 bug, 2 bad input, 3 stopped but resumable.
fn main() -> ExitCode {
    match std::panic::catch_unwind(cli::main) {
        Ok(code) => code,
        Err(_) => {
            cli::tell(
                "This is a bug in merge-search. Results recorded so far are kept; --resume goes on from them.",
            );
            ExitCode::from(1)
        }
    }
}
