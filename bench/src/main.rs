//! `weir-bench`: what ingest costs, against the sum of its parts in the same run, and what a commit
//! costs as a table grows old. Build it with `cargo build --release --workspace`.

mod commits;
mod ingest;
mod parts;
mod usage;

use clap::{Parser, Subcommand};

/// Measures Weir. Figures are CPU-seconds per million events, peak RSS and ratios within one run.
#[derive(Parser)]
#[command(name = "weir-bench", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Fill topics of a real Kafka, then drain, decode and write Parquet alone, then ingest.
    Ingest(ingest::Args),
    /// One part alone, in a process of its own (`ingest` starts these).
    Part(parts::Args),
    /// Thousands of commits to one table, at several caps of snapshots.
    Commits(commits::Args),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Ingest(args) => ingest::run(&args),
        Command::Part(args) => parts::run(&args),
        Command::Commits(args) => commits::run(&args),
    }
}
