//! The command line. What is written here is what `weir --help` and `docs/reference.md` say.

mod history;
mod maintain;
mod models;
mod simulate;

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};

use weir_contract::class::RejectClass;
use weir_ingest::resume::AcceptKind;

use crate::config::value::parse_duration;
use models::{
    BUILD_HELP, COMPILE_HELP, FRESHNESS_HELP, LINEAGE_HELP, LS_HELP, RUN_HELP, SHOW_HELP,
    TEST_HELP, WAIT_HELP,
};
pub use models::{Compile, Freshness, Lineage, Ls, Run, Selection, Show, Test, Wait};
use simulate::SIMULATE_HELP;
pub use simulate::{Simulate, Speed};

use history::{APPLY_HELP, PLAN_HELP, REGISTER_HELP, ROLLBACK_HELP, SNAPSHOTS_HELP, TAG_HELP};
pub use history::{Evolve, Register, Rollback, Snapshots, Tag};
use maintain::{MAINTAIN_HELP, RETAIN_HELP};
pub use maintain::{Maintain, Retain};

const EXIT_CODES: &str = "\
Exit codes:
  0   done
  1   a handled failure: bad or lost data, a finding of `weir verify`, no permission, a bug
  2   wrong usage, config or contract
  75  try again: the broker is away, the disk is full, a commit lost its race, another process took over
  99  nothing to do (only with --exit-99-when-idle)
  128 + the signal's number: ended by a second signal before it was done";

const EXAMPLES: &str = "\
Examples:
  weir contracts check contracts/vending.health.yaml
  weir ingest --until-latest          take what the topics hold now, then stop
  weir query \"SELECT count(*) FROM raw.vending_health\"
  weir verify                         is every record there exactly once?

A config of three parts is enough: where the lake is, where Kafka is, and one table per stream.
  warehouse = \"lake\"
  catalog.uri = \"sqlite:///lake/catalog.db\"
  kafka.bootstrap_servers = \"localhost:9092\"
  [streams.\"vending.health\"]
  topic = \"vending.health\"
  contract = \"contracts/vending.health.yaml\"
Every key: docs/reference.md.";

/// Kafka in, Apache Iceberg out: every record becomes exactly one row, provably.
#[derive(Debug, Parser)]
#[command(name = "weir", version, after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub struct Cli {
    /// Flags that every command takes.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags that every command takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Everywhere")]
pub struct Global {
    /// The config file [default: $WEIR_CONFIG, else weir.toml].
    #[arg(long, global = true, value_name = "PATH")]
    pub config: Option<PathBuf>,
    /// Set a key of the config for this run; may be given again.
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Form of the log on stderr: human, json or auto, which is human on a terminal [default: auto].
    #[arg(long, global = true, value_name = "FORMAT", hide_possible_values = true)]
    pub log_format: Option<LogFormat>,
    /// Form of the output on stdout: human or json, one object per line [default: human on a
    /// terminal, else json].
    #[arg(long, global = true, value_name = "FORMAT", hide_possible_values = true)]
    pub output: Option<OutputFormat>,
    /// End stdout with one JSON object that holds the result, the exit code and any failure.
    #[arg(long, global = true)]
    pub result_json: bool,
}

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Human on a terminal, JSON elsewhere.
    Auto,
    /// For people.
    Human,
    /// One JSON object per line.
    Json,
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LogFormat::Auto => "auto",
            LogFormat::Human => "human",
            LogFormat::Json => "json",
        })
    }
}

/// Form of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// For people.
    Human,
    /// One JSON object per line.
    Json,
}

/// What weir can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// See the whole system for half a minute: broker, fleet, ingest, queries, proof.
    #[command(after_help = QUICKSTART_HELP)]
    Quickstart(Quickstart),
    /// Read the streams of the config from Kafka and append them to their tables.
    #[command(after_help = INGEST_HELP)]
    Ingest(Ingest),
    /// Load the reference tables of the config from their CSV files.
    #[command(after_help = SEED_HELP)]
    Seed(Seed),
    /// Show how far behind Kafka the tables are, per partition.
    #[command(after_help = "Example:\n  weir lag --stream vending.health")]
    Lag(Lag),
    /// Compare the topics of the streams with what their contracts ask, and create missing ones.
    #[command(after_help = TOPICS_HELP)]
    Topics(Topics),
    /// Check that every record is in its table exactly once; exit 1 with the offsets if not.
    #[command(after_help = VERIFY_HELP)]
    Verify(Verify),
    /// List the tables of the lake.
    Tables,
    /// List the snapshots of a table that still stand.
    #[command(after_help = SNAPSHOTS_HELP)]
    Snapshots(Snapshots),
    /// Give a state of a table a name, so that it does not expire.
    #[command(after_help = TAG_HELP)]
    Tag(Tag),
    /// Make an earlier state of a table the current one, its progress included.
    #[command(after_help = ROLLBACK_HELP)]
    Rollback(Rollback),
    /// Put tables into the catalog by their metadata files: one, or all of a lost catalog.
    #[command(after_help = REGISTER_HELP)]
    Register(Register),
    /// Run one SQL query over the lake.
    #[command(after_help = QUERY_HELP)]
    Query(Query),
    /// Make the events of a fleet of vending machines, stores and traders, for Kafka or as files.
    #[command(after_help = SIMULATE_HELP)]
    Simulate(Box<Simulate>),
    /// List the classes of rejected rows, with counts and samples.
    #[command(after_help = REJECTS_HELP)]
    Rejects(Rejects),
    /// Put rejected rows through today's contracts; what these accept becomes accepted rows.
    #[command(after_help = REDRIVE_HELP)]
    Redrive(Redrive),
    /// Keep tables healthy: compact small files, cluster manifests, sweep away files of nobody's.
    #[command(after_help = MAINTAIN_HELP)]
    Maintain(Maintain),
    /// Delete rows past the retention of their contracts.
    #[command(after_help = RETAIN_HELP)]
    Retain(Retain),
    /// Find a record's row, file and snapshot, or what is in a file or a snapshot.
    #[command(after_help = WHERE_HELP)]
    Where(Where),
    /// List the SQL models.
    #[command(after_help = LS_HELP)]
    Ls(Ls),
    /// Check the SQL models against the columns of their inputs, and write their SQL down.
    #[command(after_help = COMPILE_HELP)]
    Compile(Compile),
    /// Compute some rows of a SQL model.
    #[command(after_help = SHOW_HELP)]
    Show(Show),
    /// Build the tables of the SQL models.
    #[command(after_help = RUN_HELP)]
    Run(Run),
    /// Build the tables of the SQL models and test them on the way; exit 1 if a test fails.
    #[command(after_help = BUILD_HELP)]
    Build(Run),
    /// Run the tests of the SQL models; exit 1 if one fails.
    #[command(after_help = TEST_HELP)]
    Test(Test),
    /// Tell whether the rows of a SQL model are complete up to a time; exit 75 while they are not.
    #[command(after_help = WAIT_HELP)]
    Wait(Wait),
    /// Tell how fresh streams and SQL models are; exit 1 if one is stale.
    #[command(after_help = FRESHNESS_HELP)]
    Freshness(Freshness),
    /// Tell from which columns those of SQL models come.
    #[command(after_help = LINEAGE_HELP)]
    Lineage(Lineage),
    /// Show every key of the config with its value and where that was given.
    Config,
    /// Work on data contracts.
    #[command(subcommand)]
    Contracts(Contracts),
}

impl Command {
    /// As the user writes it.
    pub fn name(&self) -> &'static str {
        match self {
            Command::Quickstart(_) => "quickstart",
            Command::Ingest(_) => "ingest",
            Command::Seed(_) => "seed",
            Command::Lag(_) => "lag",
            Command::Topics(_) => "topics",
            Command::Verify(_) => "verify",
            Command::Tables => "tables",
            Command::Snapshots(_) => "snapshots",
            Command::Tag(_) => "tag",
            Command::Rollback(_) => "rollback",
            Command::Register(_) => "register",
            Command::Query(_) => "query",
            Command::Simulate(_) => "simulate",
            Command::Rejects(_) => "rejects",
            Command::Redrive(_) => "redrive",
            Command::Maintain(_) => "maintain",
            Command::Retain(_) => "retain",
            Command::Where(_) => "where",
            Command::Ls(_) => "ls",
            Command::Compile(_) => "compile",
            Command::Show(_) => "show",
            Command::Run(_) => "run",
            Command::Build(_) => "build",
            Command::Test(_) => "test",
            Command::Wait(_) => "wait",
            Command::Freshness(_) => "freshness",
            Command::Lineage(_) => "lineage",
            Command::Config => "config",
            Command::Contracts(Contracts::Check(_)) => "contracts check",
            Command::Contracts(Contracts::Infer(_)) => "contracts infer",
            Command::Contracts(Contracts::Plan(_)) => "contracts plan",
            Command::Contracts(Contracts::Apply(_)) => "contracts apply",
        }
    }
}

const QUICKSTART_HELP: &str = "\
Nothing else is needed: the broker is librdkafka's own and lives in this process, on a free port (it
keeps 5 MiB of a partition and ends with the process), the fleet is simulated, everything else is Weir
as it is. Several may run at the same time, each in a folder of its own.
Ctrl-C ends it at any moment, everything sent in the lake.

Examples:
  weir quickstart                       30 seconds into the folder weir-quickstart
  weir quickstart --keep-running        until ctrl-c
  weir quickstart --fresh --for 10s     without what an earlier one left";

const INGEST_HELP: &str = "\
Positions come from the tables, never from Kafka's group offsets: it can be killed at any time and
started again, and several processes may share the work. SIGTERM or SIGINT ends it within 10 s,
the batch under way committed or abandoned whole; a second signal ends it at once.

A stream stops by itself when going on would hide a loss. Look at the message, then accept it:
  lost-offsets     Kafka no longer has records that the table lacks
  recreated-topic  the topic was deleted and made again
  other-cluster    the brokers are another Kafka cluster
  other-topic      the config leads to another topic than the table was fed from
What was accepted is recorded in the table.

Examples:
  weir ingest                                        for ever, all streams of the config
  weir ingest --until-latest                         up to the ends found at the start
  weir ingest --stream vending.health --for 1h       one stream for an hour";

const SEED_HELP: &str = "\
A file states for each of its keys what holds from its first valid_from on: rows without valid_to
hold until the next row of their key. A load appends only what the table does not say yet, as one
commit; loading a file again does nothing. Nothing is loaded if any file has a mistake: each is
named with file and line. What a table says now is the view ref.<name>_history.
Examples:
  weir seed                                    all reference tables of the config
  weir seed ref.machines --dry-run             what would change?
  weir seed --dir out/seeds --full             files of another folder; what they lack ends now";

const TOPICS_HELP: &str = "\
A contract asks with weir.topicPartitions, weir.topicReplication, weir.topicRetention and
weir.topicCleanup; what it leaves open is the brokers' to decide. A topic that exists is never
changed: each difference is shown with the command that mends it, and the exit code is 1.
Examples:
  weir topics                            the plan
  weir topics --create                   create what is missing";

const VERIFY_HELP: &str = "\
Counts, counters, offsets and files of each table are compared with one another. A finding names
the exact offsets. Rows that another engine deleted are a finding until somebody says why:
  weir verify raw.vending_health --acknowledge 4358109269898191000 --reason \"GDPR request 17\"";

const QUERY_HELP: &str = "\
All tables are there under their names, namespace first, and ops.rejects is a view over the rejected
rows of all raw tables: stream, source, class, field, message, contract_version, event_id,
event_type, machine_id, event_time (as text) and _source, _kafka_partition, _offset, _kafka_time,
_key, _value as in the raw table. With --snapshot or --as-of every table of
the query is read as it was then; the command says which snapshot it took and how far off it is.

Examples:
  weir query \"SELECT event_type, count(*) FROM raw.vending_health GROUP BY 1 ORDER BY 2 DESC\"
  weir query --as-of 2026-11-21T10:00:00Z \"SELECT count(*) FROM raw.vending_health\"";

const REJECTS_HELP: &str = "\
The samples are the newest rows of each class. More of them: weir query \"SELECT * FROM ops.rejects\".

Examples:
  weir rejects
  weir rejects --stream vending.sales --class missing --samples 10";

const REDRIVE_HELP: &str = "\
After a contract was corrected: each selected rejected row is read again as the record that Kafka
had, and judged against that record's own Kafka time. Rows that the contract accepts replace the
rejected ones, exactly once, with the next _rev; the others stay as they are, old reason included.
It can be killed at any time and run again, and ingest may run meanwhile. The class of an accepted
row is the one that it was rejected with; the class of a refused one is what today's contract says.

Examples:
  weir redrive --dry-run
  weir redrive --stream vending.health --class out_of_range
  weir redrive --stream vending.health --partition 0 --offsets 1000..2000";

const WHERE_HELP: &str = "\
Files are found by the bounds in the table's metadata, also after compaction; only those that may
hold the offset are read. For an offset without a row it says why. --trace and --event read one
column of all files of the streams that are asked.

Examples:
  weir where vending.health 0 1234
  weir where --trace 4bf92f3577b34da6a3ce929d0e0e4736
  weir where vending.health --event 018f6a3e-5f00-7000-8000-000000000001
  weir where --file 0193c5a2-3f6d-7c41-a9a2-6f1d0c4b8e11.parquet
  weir where --snapshot 4358109269898191000";

/// Which rejected rows.
#[derive(Debug, Args)]
pub struct Filter {
    /// Only this stream; may be given again [default: all streams of the config].
    #[arg(long = "stream", value_name = "STREAM")]
    pub streams: Vec<String>,
    /// Only rows rejected with this class, such as missing or bad_time; may be given again.
    #[arg(long = "class", value_name = "CLASS", value_parser = reject_class)]
    pub classes: Vec<RejectClass>,
    /// Only this Kafka partition.
    #[arg(long, value_name = "NUMBER")]
    pub partition: Option<i32>,
    /// Only these offsets of it: FROM..UNTIL (UNTIL is not one of them), FROM.., ..UNTIL, or one.
    #[arg(long, value_name = "RANGE", requires = "partition", value_parser = offsets)]
    pub offsets: Option<Range<i64>>,
}

fn reject_class(text: &str) -> Result<RejectClass, String> {
    let known = RejectClass::ALL.into_iter().find(|class| class.name() == text);
    known.ok_or_else(|| {
        let names: Vec<&str> = RejectClass::ALL.iter().map(|class| class.name()).collect();
        format!("choose one of {}", names.join(", "))
    })
}

fn offsets(text: &str) -> Result<Range<i64>, String> {
    let number = |text: &str, absent: i64| match text {
        "" => Some(absent),
        digits => digits.parse().ok().filter(|offset| *offset >= 0),
    };
    let range = match text.split_once("..") {
        Some((from, until)) => number(from, 0).zip(number(until, i64::MAX)),
        None => number(text, -1).filter(|one| *one >= 0).map(|one| (one, one.saturating_add(1))),
    };
    match range {
        Some((from, until)) if from < until => Ok(from..until),
        _ => Err("expected offsets such as 1000..2000, 1000.., ..2000 or 1000".into()),
    }
}

/// `weir rejects`.
#[derive(Debug, Args)]
pub struct Rejects {
    /// Which rows.
    #[command(flatten)]
    pub filter: Filter,
    /// Rows of each class that are shown.
    #[arg(long, value_name = "NUMBER", default_value_t = 2)]
    pub samples: usize,
}

/// `weir redrive`.
#[derive(Debug, Args)]
pub struct Redrive {
    /// Which rows.
    #[command(flatten)]
    pub filter: Filter,
    /// Only say what would be accepted, and what would still be refused.
    #[arg(long)]
    pub dry_run: bool,
    /// Exit 99 where no row is accepted that was not before.
    #[arg(long)]
    pub exit_99_when_idle: bool,
}

/// `weir where`.
#[derive(Debug, Args)]
#[command(
    override_usage = "weir where <STREAM> <PARTITION> <OFFSET>\n       \
                      weir where [STREAM] --trace|--event|--file|--snapshot <WHAT>",
    group = ArgGroup::new("what").required(true).args(["offset", "trace", "event", "file", "snapshot"])
)]
pub struct Where {
    /// A stream, its topic or its table [default where no record is named: all streams].
    #[arg(value_name = "STREAM")]
    pub stream: Option<String>,
    /// Kafka partition of the record.
    #[arg(value_name = "PARTITION", requires = "offset")]
    pub partition: Option<i32>,
    /// Kafka offset of the record.
    #[arg(value_name = "OFFSET")]
    pub offset: Option<i64>,
    /// The rows of this trace id.
    #[arg(long, value_name = "ID")]
    pub trace: Option<String>,
    /// The rows of this event id.
    #[arg(long, value_name = "ID")]
    pub event: Option<String>,
    /// The offsets in this data file, named by its location or the end of that.
    #[arg(long, value_name = "PATH")]
    pub file: Option<String>,
    /// The offsets that this snapshot brought.
    #[arg(long, value_name = "ID")]
    pub snapshot: Option<i64>,
}

/// `weir quickstart`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options")]
pub struct Quickstart {
    /// Where the lake goes, and everything that belongs to it.
    #[arg(long, value_name = "DIR", default_value = "weir-quickstart")]
    pub folder: PathBuf,
    /// How long the fleet lives.
    #[arg(long = "for", value_name = "DURATION", default_value = "30s", value_parser = parse_duration)]
    pub duration: std::time::Duration,
    /// Until ctrl-c instead.
    #[arg(long, conflicts_with = "duration")]
    pub keep_running: bool,
    /// Remove what an earlier quickstart left in the folder first; otherwise the lake grows.
    #[arg(long)]
    pub fresh: bool,
    /// Another number, another fleet.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// `weir ingest`.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Options")]
pub struct Ingest {
    /// Only this stream; may be given again [default: all streams of the config].
    #[arg(long = "stream", value_name = "STREAM")]
    pub streams: Vec<String>,
    /// Stop when the ends that the topics have at the start are reached.
    #[arg(long, conflicts_with = "duration")]
    pub until_latest: bool,
    /// Stop after so long, for example 30s, 10m or 1h.
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration)]
    pub duration: Option<std::time::Duration>,
    /// Go on although this happened, and record it in the table; may be given again.
    #[arg(long = "accept", value_name = "KIND", value_parser = accept_kind)]
    pub accept: Vec<AcceptKind>,
    /// With --until-latest: exit 99 where there was nothing to do.
    #[arg(long, requires = "until_latest")]
    pub exit_99_when_idle: bool,
}

fn accept_kind(text: &str) -> Result<AcceptKind, String> {
    text.parse()
}

/// `weir seed`.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Options")]
pub struct Seed {
    /// Tables such as ref.machines [default: all references of the config].
    #[arg(value_name = "TABLE")]
    pub tables: Vec<String>,
    /// Take the files from this folder, by the names that they have in the config.
    #[arg(long, value_name = "FOLDER")]
    pub dir: Option<PathBuf>,
    /// The files name every key: what holds now of others ends now.
    #[arg(long)]
    pub full: bool,
    /// Show what would change, and load nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Exit 99 where there was nothing to do.
    #[arg(long)]
    pub exit_99_when_idle: bool,
}

/// `weir lag`.
#[derive(Debug, Args)]
pub struct Lag {
    /// Only this stream; may be given again [default: all streams of the config].
    #[arg(long = "stream", value_name = "STREAM")]
    pub streams: Vec<String>,
}

/// `weir topics`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options")]
pub struct Topics {
    /// Only this stream; may be given again [default: all streams of the config].
    #[arg(long = "stream", value_name = "STREAM")]
    pub streams: Vec<String>,
    /// Create the topics that do not exist.
    #[arg(long)]
    pub create: bool,
}

/// `weir verify`.
#[derive(Debug, Default, Args)]
pub struct Verify {
    /// Tables such as raw.vending_health [default: all that Weir writes].
    #[arg(value_name = "TABLE")]
    pub tables: Vec<String>,
    /// Acknowledge what this snapshot of another engine deleted; needs one table.
    #[arg(long, value_name = "SNAPSHOT", requires_all = ["reason", "tables"])]
    pub acknowledge: Option<i64>,
    /// Why the deletion is right; it is recorded in the table.
    #[arg(long, value_name = "TEXT", requires = "acknowledge")]
    pub reason: Option<String>,
    /// The report as JSON; the same as --output json.
    #[arg(long)]
    pub json: bool,
}

/// `weir query`.
#[derive(Debug, Args)]
pub struct Query {
    /// One SELECT.
    #[arg(value_name = "SQL")]
    pub sql: String,
    /// Read the table as of this snapshot id; for queries of one table.
    #[arg(long, value_name = "ID", conflicts_with = "as_of")]
    pub snapshot: Option<i64>,
    /// Read the tables as of this time, RFC 3339 with a zone.
    #[arg(long, value_name = "TIME")]
    pub as_of: Option<chrono::DateTime<chrono::FixedOffset>>,
}

/// `weir contracts …`.
#[derive(Debug, Subcommand)]
pub enum Contracts {
    /// Check contract files; every mistake is named with its file and line.
    #[command(after_help = "Example:\n  weir contracts check contracts/*.yaml")]
    Check(Check),
    /// Draft a contract from the newest records of a topic; comments say what it rests on.
    #[command(
        after_help = "Example:\n  weir contracts infer vending.health > contracts/vending.health.yaml"
    )]
    Infer(Infer),
    /// Say what the contracts would change in their tables.
    #[command(after_help = PLAN_HELP)]
    Plan(Evolve),
    /// Change the tables as their contracts ask; all that were named, or none.
    #[command(after_help = APPLY_HELP)]
    Apply(Evolve),
}

/// `weir contracts check`.
#[derive(Debug, Args)]
pub struct Check {
    /// Contract files [default: those of the config's streams and references].
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// `weir contracts infer`.
#[derive(Debug, Args)]
pub struct Infer {
    /// The Kafka topic.
    #[arg(value_name = "TOPIC")]
    pub topic: String,
    /// How many records to look at, shared among the partitions.
    #[arg(long, value_name = "NUMBER", default_value_t = 10_000)]
    pub records: usize,
}
