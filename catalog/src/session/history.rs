//! The rows of a reference table that count: of one key and one `valid_from` that of the greatest
//! `_load`, unless it holds at no time. They are the view `ref.<name>_history`.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::common::TableReference;
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::error::Result as DfResult;
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::{Expr, ExprFunctionExt, LogicalPlanBuilder, ident, lit};
use datafusion::prelude::SessionContext;
use weir_contract::names::{TableName, column};

use super::{SessionOptions, explain, over};
use crate::scan::IcebergProvider;
use crate::{Base, Lake, Result};

/// The view over `table`, whose rows `provider` gives.
pub fn view(
    table: &TableName,
    provider: Arc<dyn TableProvider>,
    key: &[String],
) -> DfResult<Arc<dyn TableProvider>> {
    let columns: Vec<Expr> = provider.schema().fields().iter().map(|f| ident(f.name())).collect();
    let one = key.iter().map(String::as_str).chain([column::VALID_FROM]).map(ident);
    let newest = row_number()
        .partition_by(one.collect())
        .order_by(vec![ident(column::LOAD).sort(false, false)])
        .build()?;
    let holds =
        ident(column::VALID_TO).is_null().or(ident(column::VALID_TO).gt(ident(column::VALID_FROM)));
    let name = TableReference::partial(table.namespace.as_str(), table.name.as_str());
    let numbered =
        LogicalPlanBuilder::scan(name, provider_as_source(provider), None)?.window(vec![newest])?;
    let number = numbered.schema().columns().pop().map(Expr::Column);
    let first = number.map_or(lit(false), |number| number.eq(lit(1u64)));
    let plan = numbered.filter(first.and(holds))?.project(columns)?.build()?;
    Ok(Arc::new(ViewTable::new(plan, None)))
}

/// A session over one version of a reference table: its rows as `loaded`, those that count as
/// `history`.
pub fn session(lake: &Lake, base: &Base, key: &[String]) -> Result<SessionContext> {
    let context = over(lake, &SessionOptions::default())?;
    let provider: Arc<dyn TableProvider> = Arc::new(IcebergProvider::new(lake, base, None)?);
    context.register_table("loaded", provider.clone()).map_err(explain)?;
    let view = view(&base.name, provider, key).map_err(explain)?;
    context.register_table("history", view).map_err(explain)?;
    Ok(context)
}
