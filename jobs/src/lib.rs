//! The one binary: command line, config, output, logs and the wiring of the other crates. It holds
//! no logic of its own.
//!
//! - [`cli`]: the commands and flags; [`commands`]: one file for each, reading → calling → printing.
//! - [`config`]: `weir.toml`, variables and flags, checked as a whole.
//! - [`lake`], [`kafka`]: from the config to the lake, and to what clients of Kafka are told.
//! - [`session`]: one run, from the command line to the exit code.
//! - [`failure`], [`output`], [`telemetry`], [`shutdown`]: how a command ends, and what it says.
//! - [`rows`], [`answer`]: rows of a result as JSON; what `weir where` says.
//! - [`usage`]: what the process has used, for `--result-json`.
//! - [`reference`]: `docs/reference.md`, made from the same tables.

pub mod answer;
pub mod cli;
pub mod commands;
pub mod config;
pub mod failure;
pub mod kafka;
pub mod lake;
pub mod models;
pub mod output;
pub mod reference;
pub mod rows;
pub mod session;
pub mod shutdown;
pub mod telemetry;
pub mod usage;
