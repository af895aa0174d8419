//! One file per command: read what was asked, call the library, print what came back.

pub mod contracts;

use crate::cli::{Command, Contracts};
use crate::failure::Failure;
use crate::session::{Done, Session};

/// Runs a command.
pub fn run(command: Command, session: &mut Session) -> Result<Done, Failure> {
    match command {
        Command::Contracts(Contracts::Check(asked)) => contracts::check(&asked, session),
        _ => Ok(Done::Done),
    }
}
