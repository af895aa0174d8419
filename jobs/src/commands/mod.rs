//! One file per command: read what was asked, call the library, print what came back.

pub mod contracts;

use weir_contract::class::ErrorClass;

use crate::cli::{Command, Contracts};
use crate::failure::Failure;
use crate::session::{Done, Session};

/// Runs a command.
pub fn run(command: Command, session: &mut Session) -> Result<Done, Failure> {
    match command {
        Command::Contracts(Contracts::Check(asked)) => contracts::check(&asked, session),
        // Never a silent success: `verify` and `ingest` decide about data.
        Command::Ingest(_)
        | Command::Lag(_)
        | Command::Verify(_)
        | Command::Tables
        | Command::Snapshots(_)
        | Command::Query(_) => {
            Err(Failure::new(ErrorClass::Bug, "this build has the command's line, not its work"))
        }
    }
}
