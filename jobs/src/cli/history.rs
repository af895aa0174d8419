//! The commands on a table's history and its columns.

use clap::Args;

pub(super) const SNAPSHOTS_HELP: &str = "\
With --as-of it names the snapshot that was the table's state at that time, the tags that keep it, how
far off it is, and the SQL by which Athena, Trino and Spark read it: their own time travel by
timestamp ends with the snapshots that no tag keeps.
Examples:
  weir snapshots raw.vending_health
  weir snapshots raw.vending_health --as-of 2026-11-21T10:00:00Z";

pub(super) const TAG_HELP: &str = "\
Commits expire old snapshots beyond catalog.snapshots_max, but none with a tag. They also set tags
themselves, for hours, days and months (catalog.ladder); those begin with weir-. A tag is never
moved to another snapshot: take it away first.
Examples:
  weir tag raw.vending_sales audit-2026-q3 --as-of 2026-10-01T00:00:00Z
  weir query --as-of 2026-10-01T00:00:00Z \"SELECT count(*) FROM raw.vending_sales\"
  weir tag raw.vending_sales audit-2026-q3 --delete";

pub(super) const ROLLBACK_HELP: &str = "\
Rows are the table's state at that snapshot, and so is its progress, in one commit: ingest, which may
run meanwhile, finds the head of that state and reads from there again. Without --yes it only says
what would happen: which offsets are read again, which of them Kafka no longer has, which redriven
rows are rejected again; and ends with exit code 2. The state that was left stands until it expires,
and can be gone back to. Columns stay as they are.
Examples:
  weir rollback raw.vending_sales --to 4358109269898191000
  weir rollback raw.vending_sales --to 2026-11-28T10:00:00Z --yes
  weir rollback raw.vending_sales --to audit-2026-q3";

pub(super) const REGISTER_HELP: &str = "\
With --all each table of the warehouse that the catalog does not have is put into it by its newest
metadata file: that is its last state, or a commit that a process wrote whole and died before it was
told. Where two files are equally new, or one cannot be read, nothing is done for that table: it says
what each holds, and the exit code is 2. `weir verify` then says whether all is there.
Examples:
  weir register --all --dry-run
  weir register raw.vending_sales lake/raw/vending_sales/metadata/00041-0193c5a2.gz.metadata.json";

pub(super) const PLAN_HELP: &str = "\
A column is added, or widened (int to long, float to double, more digits of a decimal), or documented,
or need no longer be there. Everything else is refused with the way out: exit code 2, also from apply.
Columns that only the table has stay.
Example:
  weir contracts plan vending.sales";

pub(super) const APPLY_HELP: &str = "\
One commit a table, without a snapshot: no row changes, time travel shows the columns of the time.
Ingest that runs goes on, and takes the contract's file up between two batches once the table fits it.
Values that came before as unknown members stay in _extra, where models find them by the new column.
Example:
  weir contracts apply vending.sales";

/// `weir snapshots`.
#[derive(Debug, Args)]
pub struct Snapshots {
    /// A table such as raw.vending_health.
    #[arg(value_name = "TABLE")]
    pub table: String,
    /// Only the one that was the table's state at this time, RFC 3339 with a zone.
    #[arg(long, value_name = "TIME")]
    pub as_of: Option<chrono::DateTime<chrono::FixedOffset>>,
}

/// `weir tag`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options")]
pub struct Tag {
    /// A table such as raw.vending_health.
    #[arg(value_name = "TABLE")]
    pub table: String,
    /// The tag's name.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Tag this snapshot [default: the current one].
    #[arg(long, value_name = "ID", conflicts_with = "as_of")]
    pub snapshot: Option<i64>,
    /// Tag the table's state at this time, RFC 3339 with a zone.
    #[arg(long, value_name = "TIME")]
    pub as_of: Option<chrono::DateTime<chrono::FixedOffset>>,
    /// Take the tag away; its snapshot then expires like any other.
    #[arg(long, conflicts_with_all = ["snapshot", "as_of"])]
    pub delete: bool,
}

/// `weir rollback`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options")]
pub struct Rollback {
    /// A table such as raw.vending_health.
    #[arg(value_name = "TABLE")]
    pub table: String,
    /// A snapshot's id, a tag, or a time, RFC 3339 with a zone.
    #[arg(long, value_name = "STATE")]
    pub to: String,
    /// Do it.
    #[arg(long)]
    pub yes: bool,
}

/// `weir register`.
#[derive(Debug, Args)]
#[command(
    next_help_heading = "Options",
    override_usage = "weir register <TABLE> <METADATA> [--replace]\n       \
                      weir register --all [--dry-run]"
)]
pub struct Register {
    /// A table such as raw.vending_health.
    #[arg(value_name = "TABLE", required_unless_present = "all", requires = "metadata")]
    pub table: Option<String>,
    /// Its metadata file.
    #[arg(value_name = "METADATA")]
    pub metadata: Option<String>,
    /// Move the table's pointer if the catalog has one.
    #[arg(long, conflicts_with = "all")]
    pub replace: bool,
    /// Every table in the warehouse that the catalog does not have.
    #[arg(long, conflicts_with = "table")]
    pub all: bool,
    /// Only say what would be registered.
    #[arg(long, requires = "all")]
    pub dry_run: bool,
}

/// `weir contracts plan` and `weir contracts apply`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options")]
pub struct Evolve {
    /// Streams or reference tables [default: all of the config].
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Exit 99 where there is nothing to change.
    #[arg(long)]
    pub exit_99_when_idle: bool,
}
