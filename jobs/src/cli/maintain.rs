//! The command line of maintenance and retention.

use std::time::Duration;

use clap::Args;

use crate::config::value::parse_duration;

pub(super) const MAINTAIN_HELP: &str = "\
Of each table: small files of a day become few large ones, sorted, with the same rows; manifests are
clustered by partition; and files that nobody refers to are deleted if a run at least 24 hours ago
found the same. It can be killed at any time and run again, and ingest, redrive, other engines and a
second `weir maintain` may run meanwhile: what they change is left to them. Run it once an hour; where
there is nothing to do it does nothing. docs/maintenance.md says what is left alone, and why.

Examples:
  weir maintain --dry-run
  weir maintain raw.vending_health --time-max 20m";

pub(super) const RETAIN_HELP: &str = "\
A contract says how long rows are kept: slaProperties with the property retention for accepted rows,
which go by whole days of event time, and weir.rejectRetention for rejected ones, which go by their
Kafka time. Deleted rows are counted as removed in the table's progress, with the reason in the
snapshot, so that `weir verify` stays clean. Snapshots and tags that stand still show them.

Examples:
  weir retain --dry-run
  weir retain --stream vending.health";

/// `weir maintain`.
#[derive(Debug, Args)]
pub struct Maintain {
    /// Tables such as raw.vending_health [default: all that Weir writes].
    #[arg(value_name = "TABLE")]
    pub tables: Vec<String>,
    /// Only say what would be done.
    #[arg(long)]
    pub dry_run: bool,
    /// Begin nothing more after so long; the next run goes on.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub time_max: Option<Duration>,
    /// Exit 99 where there was nothing to do.
    #[arg(long)]
    pub exit_99_when_idle: bool,
}

/// `weir retain`.
#[derive(Debug, Args)]
pub struct Retain {
    /// Only this stream; may be given again [default: all streams of the config].
    #[arg(long = "stream", value_name = "STREAM")]
    pub streams: Vec<String>,
    /// Only say what would be deleted.
    #[arg(long)]
    pub dry_run: bool,
    /// Exit 99 where there was nothing to do.
    #[arg(long)]
    pub exit_99_when_idle: bool,
}
