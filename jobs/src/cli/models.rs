//! The command line of SQL models, after dbt's.

use std::time::Duration;

use chrono::{DateTime, FixedOffset};
use clap::Args;

use crate::config::value::parse_duration;

pub const LS_HELP: &str = "\
Selectors are dbt's: a model's name, +name with all that it reads, name+ with all that read it, 2+name
up to two steps away, tag:NAME, path:FOLDER, config.materialized:KIND. Several are a union, a comma between two an intersection.

Examples:
  weir ls
  weir ls --select +fct_vends path:marts,tag:daily
  weir ls --exclude path:staging";

pub const COMPILE_HELP: &str = "\
Nothing is run: every model is planned over the columns of the tables that are there, else over those
of the contracts, so that an unknown column, a type that no table can have, or one that is not as it
is described is found before. The SQL goes to target/compiled in the folder of the models.

Examples:
  weir compile
  weir compile --select +fct_vends";

pub const SHOW_HELP: &str = "\
The model is computed from the lake as it is; views in it are computed, tables of other models read.

Examples:
  weir show stg_vending_sales
  weir show fct_vends --limit 20 --vars '{currency: EUR}'";

pub const TEST_HELP: &str = "\
Unit tests give a model rows and expect rows; they need no lake. Tests of the data look at the rows of
the lake as it is. Where one fails, its rows are shown, its SQL stands in target/compiled, and the exit
code is 1; one of severity warn is told, no more. target/run_results.json is dbt's.

Examples:
  weir test
  weir test --unit                      without a lake, in milliseconds
  weir test --select fct_vends --fail-fast";

pub const RUN_HELP: &str = "\
Each model that is a table gets its rows anew, in one snapshot, from inputs of one moment: sources stand
still when the run begins, and a table that is not selected is read as it is, the sources beside it only
as far as it was made of them. A table whose inputs and SQL are those of its last build is left alone.
It can be killed at any time and run again. Where one fails, what reads it is skipped.

Examples:
  weir run
  weir run --select +revenue_daily
  weir run --full-refresh               also where nothing changed";

pub const BUILD_HELP: &str = "\
As `weir run`, and each model's unit tests before it is built, the tests of its data after; where one
fails, what reads the model is skipped.

Examples:
  weir build
  weir build --select +revenue_daily --exit-99-when-idle";

pub const WAIT_HELP: &str = "\
The rows of a model are complete up to an event time if all that reached Kafka within the lateness that is
allowed (the variable lateness_minutes of project.yml, 5 by default) is in them. Quiet and not ingested
differ: an idle stream is covered up to now while somebody ingests it. Exit 0 when complete, 75 when not
yet; what is missing is said.

Examples:
  weir wait revenue_daily --until 2026-11-21T00:00:00Z
  weir wait revenue_daily --until 2026-11-21T00:00:00Z --for 10m";

pub const FRESHNESS_HELP: &str = "\
Streams first: up to when each is covered, and whether that is as fresh as the `latency` of its contract's
slaProperties promises. Then the tables of models: up to which event time each is complete, and whether
that is older than its setting `freshness` allows. Exit 1 if anything is stale.

Examples:
  weir freshness
  weir freshness --select revenue_daily --output json";

pub const LINEAGE_HELP: &str = "\
Read off the plans: for each column of a model those of its inputs from which its values come.

Examples:
  weir lineage fct_vends
  weir lineage fct_vends --mermaid      a picture of its columns
  weir lineage --mermaid > models.mmd   a picture of all models";

/// Which models.
#[derive(Debug, Default, Args)]
pub struct Selection {
    /// Only these; dbt's selectors [default: all].
    #[arg(short, long, value_name = "SELECTOR", num_args = 1..)]
    pub select: Vec<String>,
    /// None of these.
    #[arg(long, value_name = "SELECTOR", num_args = 1..)]
    pub exclude: Vec<String>,
    /// Variables above those of project.yml, a mapping in YAML.
    #[arg(long, value_name = "YAML")]
    pub vars: Option<String>,
}

/// `weir ls`.
#[derive(Debug, Default, Args)]
pub struct Ls {
    /// Which models.
    #[command(flatten)]
    pub selection: Selection,
}

/// `weir compile`.
#[derive(Debug, Default, Args)]
pub struct Compile {
    /// Which models.
    #[command(flatten)]
    pub selection: Selection,
}

/// `weir show`.
#[derive(Debug, Args)]
pub struct Show {
    /// The model.
    #[arg(value_name = "MODEL")]
    pub model: String,
    /// Rows, at most.
    #[arg(long, value_name = "NUMBER", default_value_t = 5)]
    pub limit: usize,
    /// Variables above those of project.yml, a mapping in YAML.
    #[arg(long, value_name = "YAML")]
    pub vars: Option<String>,
}

/// `weir test`.
#[derive(Debug, Default, Args)]
pub struct Test {
    /// Which models; a test of two runs if both are chosen.
    #[command(flatten)]
    pub selection: Selection,
    /// Unit tests only.
    #[arg(long, conflicts_with = "data")]
    pub unit: bool,
    /// Tests of the data only.
    #[arg(long)]
    pub data: bool,
    /// Stop at the first that fails.
    #[arg(long)]
    pub fail_fast: bool,
}

/// `weir run` and `weir build`.
#[derive(Debug, Default, Args)]
pub struct Run {
    /// Which models.
    #[command(flatten)]
    pub selection: Selection,
    /// Make all rows of tables anew, also of incremental ones, and where nothing changed.
    #[arg(long)]
    pub full_refresh: bool,
    /// With --event-time-end: make only the windows of microbatch models anew that begin with this time, such
    /// as 2026-11-21T00:00:00Z, from the inputs of their last build.
    #[arg(long, value_name = "TIME", requires = "event_time_end", conflicts_with = "full_refresh")]
    pub event_time_start: Option<DateTime<FixedOffset>>,
    /// Until before this time.
    #[arg(long, value_name = "TIME", requires = "event_time_start")]
    pub event_time_end: Option<DateTime<FixedOffset>>,
    /// Models that are built at the same time, each with memory of its own; a query uses all cores anyway.
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = threads)]
    pub threads: usize,
    /// Skip the rest after the first failure.
    #[arg(long)]
    pub fail_fast: bool,
    /// Exit 99 where there was nothing to do.
    #[arg(long)]
    pub exit_99_when_idle: bool,
}

/// The number of threads.
fn threads(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n @ 1..=64) => Ok(n),
        _ => Err("it is a number from 1 to 64".into()),
    }
}

/// `weir wait`.
#[derive(Debug, Args)]
pub struct Wait {
    /// The model.
    #[arg(value_name = "MODEL")]
    pub model: String,
    /// The event time up to which its rows must be complete, such as 2026-11-21T00:00:00Z.
    #[arg(long, value_name = "TIME")]
    pub until: DateTime<FixedOffset>,
    /// How long to wait for it [default: look once].
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration)]
    pub patience: Option<Duration>,
    /// Variables above those of project.yml, a mapping in YAML.
    #[arg(long, value_name = "YAML")]
    pub vars: Option<String>,
}

/// `weir freshness`.
#[derive(Debug, Default, Args)]
pub struct Freshness {
    /// Which models; streams are always listed.
    #[command(flatten)]
    pub selection: Selection,
}

/// `weir lineage`.
#[derive(Debug, Args)]
pub struct Lineage {
    /// Models [default: all].
    #[arg(value_name = "MODEL")]
    pub models: Vec<String>,
    /// A flowchart in Mermaid's language, which GitHub and many editors draw.
    #[arg(long)]
    pub mermaid: bool,
    /// Variables above those of project.yml, a mapping in YAML.
    #[arg(long, value_name = "YAML")]
    pub vars: Option<String>,
}
