//! `weir-bench`: what ingest costs, against the sum of its parts in the same run, and what a commit
//! costs as a table grows old, what compaction costs, and how fresh the lake is. Build it with `cargo build --release --workspace`.

mod commits;
mod compact;
mod freshness;
mod ingest;
mod parts;
mod scan;
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
    /// Small files into large ones, against PyIceberg doing the same.
    Compact(compact::Args),
    /// How old events are when they can be read, with maintenance beside.
    Freshness(freshness::Args),
    /// A query over Parquet files by DataFusion alone (`windows.py` starts it).
    Scan(scan::Args),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Ingest(args) => ingest::run(&args),
        Command::Part(args) => parts::run(&args),
        Command::Commits(args) => commits::run(&args),
        Command::Compact(args) => compact::run(&args),
        Command::Freshness(args) => freshness::run(&args),
        Command::Scan(args) => scan::run(&args),
    }
}
