//! What models read of the lake: accepted rows of raw tables, and the rows of reference tables that
//! count. A table that is not there yet has no rows, and the columns of its contract.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::common::TableReference;
use datafusion::datasource::empty::EmptyTable;
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, ident};
use weir_contract::contract::Contract;
use weir_contract::names::{TableName, VIEW_HISTORY_SUFFIX, column};
use weir_contract::reference::Reference;

use super::{explain, history};
use crate::create::key_names;
use crate::scan::{IcebergProvider, query_schema};
use crate::schema::{raw_iceberg_schema, reference_iceberg_schema};
use crate::{Lake, Result};

/// Columns of a raw table that only rejected rows need.
const OF_REJECTS: [&str; 3] = [column::ERROR, column::VALUE, column::HEADERS];

/// A source as models see it.
#[derive(Debug, Clone)]
pub struct Input {
    /// Its name in SQL.
    pub name: TableName,
    /// Its rows.
    pub provider: Arc<dyn TableProvider>,
}

/// The accepted rows of the raw table `table` of a contract, without the columns of rejects. `lake`:
/// none for the columns alone.
pub async fn accepted(
    lake: Option<&Lake>,
    contract: &Contract,
    table: &TableName,
) -> Result<Input> {
    let columns = query_schema(&raw_iceberg_schema(contract)?)?;
    let provider = current(lake, table, columns).await?;
    let provider = accepted_rows(table, provider).map_err(explain)?;
    Ok(Input { name: table.clone(), provider })
}

/// The rows of a reference table that count, under the name `ref.<name>_history`.
pub async fn history(lake: Option<&Lake>, reference: &Reference) -> Result<Input> {
    let table = reference.table();
    let columns = query_schema(&reference_iceberg_schema(&reference.contract)?)?;
    let provider = current(lake, &table, columns).await?;
    let provider = history::view(&table, provider, &key_names(&reference.contract, &reference.key))
        .map_err(explain)?;
    let name = TableName { name: format!("{}{VIEW_HISTORY_SUFFIX}", table.name), ..table };
    Ok(Input { name, provider })
}

async fn current(
    lake: Option<&Lake>,
    table: &TableName,
    columns: SchemaRef,
) -> Result<Arc<dyn TableProvider>> {
    if let Some(lake) = lake
        && let Some(base) = lake.table(table).await?
    {
        return Ok(Arc::new(IcebergProvider::new(lake, &base, None)?));
    }
    Ok(Arc::new(EmptyTable::new(columns)))
}

fn accepted_rows(
    table: &TableName,
    provider: Arc<dyn TableProvider>,
) -> DfResult<Arc<dyn TableProvider>> {
    let schema = provider.schema();
    let names = schema.fields().iter().map(|field| field.name());
    let kept: Vec<Expr> =
        names.filter(|name| !OF_REJECTS.contains(&name.as_str())).map(ident).collect();
    let name = TableReference::partial(table.namespace.as_str(), table.name.as_str());
    let plan = LogicalPlanBuilder::scan(name, provider_as_source(provider), None)?
        .filter(ident(column::ERROR).is_null())?
        .project(kept)?
        .build()?;
    Ok(Arc::new(ViewTable::new(plan, None)))
}
