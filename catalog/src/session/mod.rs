//! SQL over the lake: every table under `<namespace>.<name>`, now or as it was, the view
//! `ops.rejects`, and the rows of reference tables that count as views `ref.<name>_history`;
//! reading only.

pub(crate) mod errors;
pub(crate) mod history;
pub mod inputs;
mod memory;
mod names;
mod promoted;
mod rejects;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::TryStreamExt;
use serde::{Serialize, Serializer};
use weir_contract::names::{NAMESPACE_RAW, TableName};

use crate::look::as_of::show_time;
use crate::scan::STORE_URL;
use crate::{CatalogError, Lake, LakeOptions, Result};

/// The catalog under which SQL sees the lake.
const CATALOG: &str = "weir";
/// The setting that bounds the memory of queries.
pub(crate) const QUERY_MEMORY: &str = "sql.memory_max";

/// Which state of the tables a session reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// Each table as it is when the query first names it.
    Current,
    /// The one table that has this snapshot as it was then; the others as they are.
    Snapshot(i64),
    /// Each table as it was at this time, ms since the epoch.
    Time(i64),
}

/// Bounds of a session, and what it must be told.
#[derive(Debug, Clone)]
pub struct SessionOptions {
    /// Bytes of a result that [`Session::sql`] collects.
    pub result_bytes_max: usize,
    /// Parallel parts of a plan; 0: as many as the machine has processors.
    pub target_partitions: usize,
    /// The streams whose tables are known, for the view `ops.rejects`.
    pub streams: BTreeMap<TableName, String>,
}

impl Default for SessionOptions {
    fn default() -> SessionOptions {
        SessionOptions {
            result_bytes_max: 256 << 20,
            target_partitions: 0,
            streams: BTreeMap::new(),
        }
    }
}

/// A table as a query read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableAt {
    /// The table.
    #[serde(serialize_with = "as_text")]
    pub table: TableName,
    /// The snapshot; none for a table that has none.
    #[serde(serialize_with = "as_text_or_null")]
    pub snapshot: Option<i64>,
    /// When it was committed, ms since the epoch.
    #[serde(serialize_with = "as_text_or_null")]
    pub committed_at_ms: Option<i64>,
    /// How much older it is than the time asked for, ms; none if no time was.
    #[serde(serialize_with = "as_text_or_null")]
    pub off_by_ms: Option<i64>,
    /// Whether there were later states up to the time asked for, which have expired: a tag kept this
    /// one.
    pub later_expired: bool,
}

impl std::fmt::Display for TableAt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Some(id), Some(at)) = (self.snapshot, self.committed_at_ms) else {
            return write!(f, "{}: no snapshot yet", self.table);
        };
        write!(f, "{}: snapshot {id} of {}", self.table, show_time(at))?;
        if let Some(ms) = self.off_by_ms {
            write!(f, ", {}.{:03} s before the time asked for", ms / 1000, ms % 1000)?;
        }
        match self.later_expired {
            true => f.write_str("; it is the nearest that a tag keeps, later ones have expired"),
            false => Ok(()),
        }
    }
}

/// What a query gave.
#[derive(Debug)]
pub struct Answer {
    /// Its columns.
    pub schema: SchemaRef,
    /// Its rows.
    pub batches: Vec<RecordBatch>,
    /// The tables that it read, sorted.
    pub tables: Vec<TableAt>,
}

/// An answer as it comes, for results of any size.
pub struct Running {
    /// Its columns.
    pub schema: SchemaRef,
    /// Its rows; errors go through [`Session::explain_error`].
    pub batches: SendableRecordBatchStream,
    /// The tables that it reads, sorted.
    pub tables: Vec<TableAt>,
}

/// SQL over one lake at one time.
pub struct Session {
    context: SessionContext,
    read: Arc<Mutex<Vec<TableAt>>>,
    /// The table that [`At::Snapshot`] is about.
    pinned: Option<TableName>,
    options: SessionOptions,
}

impl Session {
    /// A session over all tables of `lake`. Tables are loaded when a query names them.
    ///
    /// Errors: bad config (a snapshot that no table has, or several), what the catalog says.
    pub async fn open(lake: &Lake, at: At) -> Result<Session> {
        Session::open_with(lake, at, SessionOptions::default()).await
    }

    /// [`Session::open`] with other bounds.
    pub async fn open_with(lake: &Lake, at: At, options: SessionOptions) -> Result<Session> {
        let tables = lake.tables().await?;
        let pinned = match at {
            At::Snapshot(id) => Some(names::table_of_snapshot(lake, &tables, id).await?),
            _ => None,
        };
        let config = SessionConfig::new()
            .with_create_default_catalog_and_schema(false)
            .with_default_catalog_and_schema(CATALOG, NAMESPACE_RAW)
            .with_information_schema(true);
        let context = context(lake, config, &options)?;
        let read = Arc::new(Mutex::new(Vec::new()));
        let streams = options.streams.clone();
        let catalog =
            names::LakeCatalog::new(lake, at, pinned.clone(), tables, streams, read.clone());
        context.register_catalog(CATALOG, Arc::new(catalog));
        Ok(Session { context, read, pinned, options })
    }

    /// Runs one query and collects its result.
    ///
    /// Errors: bad config (not a query, unknown names, a result beyond the bound), bad data (a time
    /// that no standing snapshot answers, damaged files).
    pub async fn sql(&self, sql: &str) -> Result<Answer> {
        let mut running = self.stream(sql).await?;
        let (mut batches, mut bytes) = (Vec::new(), 0usize);
        while let Some(batch) = running.batches.try_next().await.map_err(|e| self.error(e))? {
            bytes = bytes.saturating_add(batch.get_array_memory_size());
            if bytes > self.options.result_bytes_max {
                return Err(CatalogError::bad_config(format!(
                    "the result is larger than {} bytes; ask for fewer rows or columns, or raise \
                     the bound",
                    self.options.result_bytes_max
                )));
            }
            batches.push(batch);
        }
        Ok(Answer { schema: running.schema, batches, tables: running.tables })
    }

    /// Starts one query.
    pub async fn stream(&self, sql: &str) -> Result<Running> {
        lock(&self.read).clear();
        let state = self.context.state();
        let plan = state.create_logical_plan(sql).await.map_err(|e| self.error(e))?;
        refuse_writes(&plan)?;
        let mut tables = lock(&self.read).clone();
        tables.sort_by(|a, b| a.table.cmp(&b.table));
        if let Some(pinned) = &self.pinned
            && !tables.iter().any(|t| t.table == *pinned)
        {
            return Err(CatalogError::bad_config(format!(
                "the snapshot is one of {pinned}, which the query does not read"
            )));
        }
        let frame = self.context.execute_logical_plan(plan).await.map_err(|e| self.error(e))?;
        let batches = frame.execute_stream().await.map_err(|e| self.error(e))?;
        Ok(Running { schema: batches.schema(), batches, tables })
    }

    /// An error of [`Running::batches`] in words for people, with its class.
    pub fn explain_error(&self, error: DataFusionError) -> CatalogError {
        self.error(error)
    }

    fn error(&self, error: DataFusionError) -> CatalogError {
        errors::clean(error, QUERY_MEMORY)
    }
}

/// DataFusion over the files of a lake, within the bounds; without tables yet.
pub fn over(lake: &Lake, options: &SessionOptions) -> Result<SessionContext> {
    context(lake, SessionConfig::new(), options)
}

/// DataFusion within the bounds, over nothing.
pub fn detached(options: &SessionOptions) -> Result<SessionContext> {
    bounded(SessionConfig::new(), options, LakeOptions::default().query_memory_max)
}

/// An error of DataFusion in words for people, with its class.
pub fn explain(error: DataFusionError) -> CatalogError {
    errors::clean(error, QUERY_MEMORY)
}

fn context(lake: &Lake, config: SessionConfig, options: &SessionOptions) -> Result<SessionContext> {
    let context = bounded(config, options, lake.options.query_memory_max)?;
    let url = ObjectStoreUrl::parse(STORE_URL).map_err(explain)?;
    context.runtime_env().register_object_store(url.as_ref(), lake.store.clone());
    Ok(context)
}

fn bounded(
    mut config: SessionConfig,
    options: &SessionOptions,
    memory_max: usize,
) -> Result<SessionContext> {
    if options.target_partitions > 0 {
        config = config.with_target_partitions(options.target_partitions);
    }
    config.options_mut().execution.time_zone = Some("UTC".into());
    // Of a union (`ops.rejects` is one) the planner takes the fields' metadata, our field ids, now from
    // all inputs and now from what they share, and then refuses to group it as if that mattered.
    config.options_mut().execution.skip_physical_aggregate_schema_check = true;
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(memory::SharedPool::new(memory_max)))
        .build_arc()
        .map_err(explain)?;
    Ok(SessionContext::new_with_config_rt(config, runtime))
}

/// Everything but queries and their explanations.
fn refuse_writes(plan: &LogicalPlan) -> Result<()> {
    let what = match plan {
        LogicalPlan::Ddl(ddl) => ddl.name().to_string(),
        LogicalPlan::Dml(dml) => dml.op.name().to_string(),
        LogicalPlan::Copy(_) => "Copy".to_string(),
        LogicalPlan::Statement(statement) => statement.name().to_string(),
        LogicalPlan::Explain(explain) => return refuse_writes(&explain.plan),
        LogicalPlan::Analyze(analyze) => return refuse_writes(&analyze.input),
        _ => return Ok(()),
    };
    Err(CatalogError::bad_config(format!(
        "{what} is not a query; this session only reads: SELECT, WITH, VALUES, EXPLAIN, DESCRIBE \
         and SHOW"
    )))
}

fn lock(read: &Mutex<Vec<TableAt>>) -> std::sync::MutexGuard<'_, Vec<TableAt>> {
    // The list is whole after every change: a panic elsewhere cannot have torn it.
    read.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn as_text<S: Serializer>(table: &TableName, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(table)
}

fn as_text_or_null<S: Serializer>(n: &Option<i64>, serializer: S) -> Result<S::Ok, S::Error> {
    match n {
        Some(n) => serializer.collect_str(n),
        None => serializer.serialize_none(),
    }
}
