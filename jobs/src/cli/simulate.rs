//! The command line of the fleet simulator.

use std::path::PathBuf;

use clap::Args;

use crate::config::value::parse_duration;

pub const SIMULATE_HELP: &str = "\
The same seed and flags give the same bytes. To Kafka go the streams of the config, each to its topic;
the run begins so that its last event is of now. Files begin at 2026-03-02T08:00:00Z.
SIGINT or SIGTERM ends a run in order: what was sent has arrived and is counted.
docs/fleet.md describes the fleet's life, the ground truth and the mapping of CSV files.

Examples:
  weir simulate --to events --for 1d --truth truth.ndjson --ref-dir ref
  weir simulate --kafka                                live, until it is stopped
  weir simulate --kafka --machines 2000 --for 1h --speed-up 60
  weir simulate --to - --stream vending.sales --malformed 0 --for 10m
  weir simulate --from-csv sales.csv --mapping fleet/examples/vending_sales.toml --to sales.ndjson";

/// `weir simulate`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options")]
#[command(group = clap::ArgGroup::new("into").args(["to", "kafka", "ref_dir"]).required(true).multiple(true))]
pub struct Simulate {
    /// Write files: a folder for one per stream, a name in .ndjson for one in all, - for stdout.
    #[arg(long, value_name = "PATH", conflicts_with = "kafka")]
    pub to: Option<PathBuf>,
    /// Send to the topics of the config's streams.
    #[arg(long)]
    pub kafka: bool,
    /// Write the fleet's reference tables as CSV into this folder.
    #[arg(long, value_name = "DIR")]
    pub ref_dir: Option<PathBuf>,
    /// Write down what was done to whom when, and what was sent.
    #[arg(long, value_name = "FILE")]
    pub truth: Option<PathBuf>,
    /// Another number, another world.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Vending machines.
    #[arg(long, default_value_t = 500)]
    pub machines: u32,
    /// Sites; every fifth is a store with tills.
    #[arg(long, default_value_t = 50)]
    pub sites: u32,
    /// Events per second of the fleet's time, by more or fewer heartbeats [default: one a minute].
    #[arg(long, value_name = "EVENTS")]
    pub rate: Option<f64>,
    /// Seconds of the fleet's time in a second, or max [default: 1 to Kafka, max to files].
    #[arg(long, value_name = "FACTOR", value_parser = speed_up)]
    pub speed_up: Option<Speed>,
    /// How much of the fleet's time [default: 1h to files, until stopped to Kafka].
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration)]
    pub duration: Option<std::time::Duration>,
    /// When the fleet's time begins, RFC 3339 with a zone.
    #[arg(long, value_name = "TIME")]
    pub start: Option<chrono::DateTime<chrono::FixedOffset>>,
    /// Only this stream; may be given again [default: all].
    #[arg(long = "stream", value_name = "STREAM")]
    pub streams: Vec<weir_fleet::stream::Stream>,
    /// Share of malformed records, of all kinds or as KIND=SHARE of one; may be given again.
    #[arg(long, value_name = "SHARE", default_value = "0.001",
        value_parser = weir_fleet::malformed::share)]
    pub malformed: Vec<weir_fleet::malformed::Share>,
    /// Share of records that are sent twice.
    #[arg(long, value_name = "SHARE", default_value_t = 0.001)]
    pub duplicates: f64,
    /// Share of records that later ones overtake.
    #[arg(long, value_name = "SHARE", default_value_t = 0.002)]
    pub reordered: f64,
    /// Share of machines whose clock is wrong by up to 20 minutes.
    #[arg(long, value_name = "SHARE", default_value_t = 0.02)]
    pub skewed: f64,
    /// How often things go wrong: 1 as a rule, 0 never.
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    pub trouble: f64,
    /// Instead of a fleet: the rows of this CSV file, by --mapping.
    #[arg(long, value_name = "FILE", requires = "mapping", conflicts_with_all = ["truth", "ref_dir"])]
    pub from_csv: Option<PathBuf>,
    /// How rows become events (TOML).
    #[arg(long, value_name = "FILE", requires = "from_csv")]
    pub mapping: Option<PathBuf>,
    /// With --from-csv: tell what this contract will refuse, and why.
    #[arg(long, value_name = "FILE", requires = "from_csv")]
    pub contract: Option<PathBuf>,
}

/// How fast the fleet's time passes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Speed {
    /// So many seconds in a second.
    Times(f64),
    /// As fast as it goes.
    Max,
}

fn speed_up(text: &str) -> Result<Speed, String> {
    match text {
        "max" => Ok(Speed::Max),
        _ => text.parse().map(Speed::Times).map_err(|_| "write a number, or max".into()),
    }
}
