//! Models and their sources as names in SQL over a lake. A model that is a view is its SELECT,
//! wherever it is named.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::common::DataFusionError;
use datafusion::datasource::ViewTable;
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::{DataFrame, SessionContext};
use weir_catalog::scan::unportable;
use weir_catalog::session::explain;
use weir_catalog::{CatalogError, Result};
use weir_contract::names::TableName;

use crate::compile::{Compiled, Space};
use crate::project::Project;

/// A session in which models can be queried.
pub struct Engine {
    space: Space,
}

/// Rows of a query.
#[derive(Debug)]
pub struct Rows {
    /// Their columns.
    pub schema: SchemaRef,
    /// The rows.
    pub batches: Vec<RecordBatch>,
}

impl Rows {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }
}

impl Engine {
    /// The models of a `project` that compiles, over `providers`: sources, and tables that models made.
    /// Views over what is not there are left out.
    pub async fn open(
        context: SessionContext,
        project: &Project,
        compiled: &BTreeMap<String, Compiled>,
        providers: BTreeMap<TableName, Arc<dyn TableProvider>>,
    ) -> Result<Engine> {
        let space = Space::new(context)?;
        for (name, provider) in providers {
            space.add(&name, provider)?;
        }
        for name in project.graph().order().unwrap_or_default() {
            let found = project.models.get(&name).zip(compiled.get(&name));
            let Some((model, Compiled { sql, .. })) = found else { continue };
            if space.has(&model.relation) || model.is_stored() {
                // It is read as it is; one that has no table yet, or that nobody asks for, has no name.
                continue;
            }
            if !model.refs.iter().all(|p| space.has(&project.models[p].relation))
                || !model.sources.iter().all(|source| space.has(source))
            {
                continue;
            }
            let plan = space.context.state().create_logical_plan(sql).await.map_err(explain)?;
            let view = ViewTable::new(plan, Some(sql.clone()));
            space.add(&model.relation, Arc::new(view))?;
        }
        Ok(Engine { space })
    }

    /// The rows of a query, at most `rows_max` of them.
    pub async fn rows(&self, sql: &str, rows_max: usize) -> Result<Rows> {
        let frame = self.space.context.sql(sql).await.map_err(named)?;
        let frame = frame.limit(0, Some(rows_max)).map_err(explain)?;
        let schema: SchemaRef = Arc::new(frame.schema().as_arrow().clone());
        let batches = frame.collect().await.map_err(explain)?;
        Ok(Rows { schema, batches })
    }

    /// Tables that a query reads in a way that no other process could be told to: files from which other
    /// engines have deleted rows, or whose columns had other names.
    pub async fn unportable(&self, sql: &str) -> Result<BTreeSet<TableName>> {
        let plan = self.frame(sql).await?.create_physical_plan().await.map_err(explain)?;
        Ok(unportable(&plan))
    }

    /// A query that has not begun.
    pub async fn frame(&self, sql: &str) -> Result<DataFrame> {
        self.space.context.sql(sql).await.map_err(named)
    }

    /// The rows of a table, as a query that has not begun.
    pub fn table(&self, table: Arc<dyn TableProvider>) -> Result<DataFrame> {
        self.space.context.read_table(table).map_err(explain)
    }

    /// Gives a table its name.
    pub fn add(&self, name: &TableName, table: Arc<dyn TableProvider>) -> Result<()> {
        self.space.add(name, table)
    }
}

/// What a query reads of data files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reads {
    /// Files that it opens, as often as it does.
    pub files: u64,
    /// Bytes of them that were read.
    pub bytes: u64,
}

/// Counts what queries read, those under way included.
#[derive(Debug, Default)]
pub struct Counter {
    plans: Mutex<Vec<Running>>,
}

impl Counter {
    /// Counts what a query reads from now on.
    pub(crate) fn watch(&self, running: Running) {
        self.plans.lock().unwrap_or_else(PoisonError::into_inner).push(running);
    }

    /// What all of them have read so far.
    pub fn reads(&self) -> Reads {
        let plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        plans.iter().map(Running::reads).fold(Reads::default(), |sum, one| Reads {
            files: sum.files + one.files,
            bytes: sum.bytes + one.bytes,
        })
    }
}

/// A query under way.
#[derive(Debug)]
pub struct Running {
    plan: Arc<dyn ExecutionPlan>,
}

impl Running {
    /// Starts a query: its rows as they come, and what tells how far it is.
    pub async fn start(frame: DataFrame) -> Result<(SendableRecordBatchStream, Running)> {
        let task = Arc::new(frame.task_ctx());
        let plan = frame.create_physical_plan().await.map_err(explain)?;
        let rows = execute_stream(plan.clone(), task).map_err(explain)?;
        Ok((rows, Running { plan }))
    }

    /// What it has read so far.
    pub fn reads(&self) -> Reads {
        let (mut reads, mut open) = (Reads::default(), vec![&self.plan]);
        while let Some(plan) = open.pop() {
            open.extend(plan.children());
            let Some(source) = plan.as_any().downcast_ref::<DataSourceExec>() else { continue };
            let Some(files) = source.data_source().as_any().downcast_ref::<FileScanConfig>() else {
                continue;
            };
            reads.files += files.file_groups.iter().map(|group| group.len() as u64).sum::<u64>();
            let bytes = plan.metrics().and_then(|metrics| metrics.sum_by_name("bytes_scanned"));
            reads.bytes += bytes.map_or(0, |bytes| bytes.as_usize() as u64);
        }
        reads
    }
}

/// What is missing here is what has not been built.
fn named(error: DataFusionError) -> CatalogError {
    let error = explain(error);
    let missing = error.message().strip_prefix("there is no table ");
    match missing.and_then(|rest| rest.split_once(';')) {
        Some((table, _)) => {
            CatalogError::bad_config(format!("{table} has not been built; `weir run` makes it"))
                .with_source(error)
        }
        None => error,
    }
}
