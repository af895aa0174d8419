//! Models and their sources as names in SQL over a lake. A model that is a view is its SELECT,
//! wherever it is named.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::common::DataFusionError;
use datafusion::datasource::ViewTable;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::prelude::SessionContext;
use weir_catalog::session::explain;
use weir_catalog::{CatalogError, Result};
use weir_contract::names::TableName;

use crate::compile::{Compiled, Space};
use crate::project::{Materialized, Project};

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
            if space.has(&model.relation) || model.settings.materialized == Materialized::Table {
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

    /// The rows of a query as they come.
    pub async fn stream(&self, sql: &str) -> Result<SendableRecordBatchStream> {
        let frame = self.space.context.sql(sql).await.map_err(named)?;
        frame.execute_stream().await.map_err(explain)
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
