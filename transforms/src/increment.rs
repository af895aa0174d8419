//! What a build makes where most of a table's rows stay: windows of time anew (microbatch, in
//! [`crate::microbatch`]), rows of new records (append), or rows that take the place of others with the same
//! key (merge).

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::common::{DataFusionError, ScalarValue};
use datafusion::datasource::MemTable;
use datafusion::logical_expr::{Expr, cast, ident, lit};
use datafusion::prelude::DataFrame;
use futures::{Stream, StreamExt};
use weir_catalog::derived::columns::{Column, columns_of};
use weir_catalog::derived::{Old, WINDOW_FILE_BYTES, replace};
use weir_catalog::scan::{IcebergProvider, Only};
use weir_catalog::session::explain;
use weir_catalog::session::inputs::Slice;
use weir_catalog::sought::Found;
use weir_catalog::{CatalogError, Result};
use weir_contract::names::TableName;

use crate::compile::stored;
use crate::cut::Cut;
use crate::engine::Running;
use crate::project::{Model, OnSchemaChange, Strategy};
use crate::run::{Built, Runner, Standing, Task, columns, unknown};
use crate::windows::Ranges;

/// Small files that an append leaves as they are; more of them become one.
const SMALL_FILES_MAX: usize = 16;
/// Bytes of a table of which any row may change with each build.
const MERGE_BYTES_MAX: u64 = 256 << 20;

impl Runner<'_> {
    /// Makes what is new, or the windows of `between` from what the table is made of.
    pub(crate) async fn increment(
        &self,
        task: &Task<'_>,
        table: &Standing,
        between: Option<&Ranges>,
    ) -> Result<Built> {
        let pieces = table.pieces.as_deref().ok_or_else(|| unknown(task.model))?;
        let made_of = table.made.derived.as_ref().ok_or_else(|| unknown(task.model))?;
        match task.model.settings.strategy {
            Some(Strategy::Microbatch) => {
                let windows = self.windows(task, &made_of.roots, between).await?;
                self.microbatch(task, table, pieces, &windows).await
            }
            Some(Strategy::Append) => self.append(task, table, pieces, &made_of.roots).await,
            Some(Strategy::Merge) => self.merge(task, table, pieces, &made_of.roots).await,
            None => Err(unknown(task.model)),
        }
    }

    async fn append(
        &self,
        task: &Task<'_>,
        table: &Standing,
        pieces: &[Found],
        made_of: &Cut,
    ) -> Result<Built> {
        let engine = self.open(self.news(task, made_of)?).await?;
        let columns = columns_after(task, table)?;
        let mut rows = shaped(engine.frame(increment_sql(task)).await?, &columns)?;
        let is_small = |piece: &&Found| piece.bytes() < WINDOW_FILE_BYTES as u64 / 4;
        let mut old: Vec<Found> = pieces.iter().filter(is_small).cloned().collect();
        if old.len() < SMALL_FILES_MAX {
            old.clear();
        } else {
            let stay = shaped(engine.table(self.files(table, &old)?)?, &columns)?;
            rows = stay.union(rows).map_err(explain)?;
        }
        self.put(task, table, &columns, &old, rows).await
    }

    async fn merge(
        &self,
        task: &Task<'_>,
        table: &Standing,
        pieces: &[Found],
        made_of: &Cut,
    ) -> Result<Built> {
        mergeable(&task.model.relation, pieces.iter().map(Found::bytes).sum())?;
        let mut providers = self.news(task, made_of)?;
        for (name, (_, base)) in &task.inputs.tables {
            providers.insert(name.clone(), Arc::new(IcebergProvider::new(self.lake, base, None)?));
        }
        let this: Arc<dyn TableProvider> =
            Arc::new(IcebergProvider::new(self.lake, &table.base, None)?);
        providers.insert(task.model.relation.clone(), this);
        let engine = self.open(providers).await?;
        let columns = columns_after(task, table)?;
        let made = shaped(engine.frame(increment_sql(task)).await?, &columns)?;
        let schema = Arc::new(stored(made.schema().as_arrow()));
        let batches = made.collect().await.map_err(explain)?;
        let batches = batches
            .iter()
            .map(|batch| RecordBatch::try_new(schema.clone(), batch.columns().to_vec()));
        let batches: Vec<RecordBatch> = batches
            .collect::<Result<_, _>>()
            .map_err(|e| CatalogError::bug("collecting what is merged").with_source(e))?;
        let size = batches.iter().map(|batch| batch.get_array_memory_size() as u64).sum();
        mergeable(&task.model.relation, size)?;
        let key = &task.model.settings.unique_key;
        has_keys(task.model, key, &batches)?;
        let fresh = TableName { namespace: "made".into(), name: "fresh".into() };
        engine.add(&fresh, Arc::new(MemTable::try_new(schema, vec![batches]).map_err(explain)?))?;
        let list = key.join(", ");
        let twice = format!("select {list} from {fresh} group by {list} having count(*) > 1");
        if engine.rows(&twice, 1).await?.count() > 0 {
            return Err(CatalogError::bad_data(format!(
                "{}: there are several new rows with the same {list}; a merge needs one per `unique_key`",
                task.model.relation
            )));
        }
        let same: Vec<String> = key.iter().map(|name| format!("f.{name} = t.{name}")).collect();
        let stay = format!(
            "select * from {} as t where not exists (select 1 from {fresh} as f where {})",
            task.model.relation,
            same.join(" and ")
        );
        let stay = shaped(engine.frame(&stay).await?, &columns)?;
        let made = engine.frame(&format!("select * from {fresh}")).await?;
        let rows = stay.union(made).map_err(explain)?;
        self.put(task, table, &columns, pieces, rows).await
    }

    /// What is new of each source since `made_of`.
    fn news(
        &self,
        task: &Task<'_>,
        made_of: &Cut,
    ) -> Result<BTreeMap<TableName, Arc<dyn TableProvider>>> {
        let mut providers = BTreeMap::new();
        for source in self.sources.iter().filter(|s| task.inputs.sources.contains_key(&s.name)) {
            let from = made_of.get(&source.table.to_string());
            let slice = Slice { from, until: self.until(source, &task.roots)?, when: None };
            providers.insert(source.name.clone(), source.provider(slice)?);
        }
        Ok(providers)
    }

    /// The rows of some files of the table.
    pub(crate) fn files(
        &self,
        table: &Standing,
        files: &[Found],
    ) -> Result<Arc<dyn TableProvider>> {
        let paths: HashSet<String> = files.iter().map(|file| file.path().to_string()).collect();
        let provider = IcebergProvider::new(self.lake, &table.base, None)?;
        Ok(Arc::new(provider.only(Only::Files(Arc::new(paths)))))
    }

    async fn put(
        &self,
        task: &Task<'_>,
        table: &Standing,
        columns: &[Column],
        old: &[Found],
        rows: DataFrame,
    ) -> Result<Built> {
        let rows = self.started(rows, task.model).await?;
        self.replaced(task, table, columns, old, rows).await
    }

    /// Starts a query, whose rows must have a time if the model has one: without it they belong to no window.
    pub(crate) async fn started(
        &self,
        rows: DataFrame,
        model: &Model,
    ) -> Result<impl Stream<Item = Result<RecordBatch>> + Send + use<>> {
        let (rows, running) = Running::start(rows).await?;
        self.counter.watch(running);
        let time = model.settings.event_time.clone();
        let model = model.relation.clone();
        Ok(rows.map(move |batch: Result<RecordBatch, DataFusionError>| {
            let batch = batch.map_err(explain)?;
            if let Some(time) = &time
                && batch.column_by_name(time).is_some_and(|column| column.null_count() > 0)
            {
                return Err(CatalogError::bad_data(format!(
                    "{model}: a row has no `{time}`, and so belongs to no window; leave such rows out"
                )));
            }
            Ok(batch)
        }))
    }

    /// Commits rows in the place of `old` files.
    pub(crate) async fn replaced(
        &self,
        task: &Task<'_>,
        table: &Standing,
        columns: &[Column],
        old: &[Found],
        rows: impl Stream<Item = Result<RecordBatch>> + Send,
    ) -> Result<Built> {
        let (relation, build) = (&task.model.relation, task.build(columns));
        let receipt = replace(self.lake, relation, &build, Old::Of(&table.base, old), rows).await?;
        let now = u64::try_from(receipt.base.progress()?.records()).unwrap_or_default();
        let before = table.made.derived.as_ref().map_or(0, |derived| derived.rows.unsigned_abs());
        let gone: u64 = old.iter().map(Found::rows).sum();
        let written = (now + gone).saturating_sub(before);
        Ok(Built::Done { rows: now, written: Some(written), why: None })
    }
}

/// The SQL over what is new.
fn increment_sql<'t>(task: &'t Task<'_>) -> &'t str {
    task.model.increment.as_deref().unwrap_or(&task.compiled.sql)
}

/// The columns that the table has after the build.
pub(crate) fn columns_after(task: &Task<'_>, table: &Standing) -> Result<Vec<Column>> {
    let wanted = columns(task.model, task.compiled);
    match task.model.settings.on_schema_change {
        OnSchemaChange::Refresh | OnSchemaChange::Fail | OnSchemaChange::SyncAllColumns => {
            Ok(wanted)
        }
        OnSchemaChange::Ignore => columns_of(&table.base),
        OnSchemaChange::AppendNewColumns => {
            let mut all = columns_of(&table.base)?;
            let new = wanted.into_iter().filter(|w| all.iter().all(|a| a.name != w.name));
            let new: Vec<Column> = new.collect();
            all.extend(new);
            Ok(all)
        }
    }
}

/// The rows with these columns; those that they lack are null.
pub(crate) fn shaped(frame: DataFrame, columns: &[Column]) -> Result<DataFrame> {
    let has = |name: &str| frame.schema().as_arrow().field_with_name(name).is_ok();
    let one = |column: &Column| -> Expr {
        let value = if has(&column.name) { ident(&column.name) } else { lit(ScalarValue::Null) };
        cast(value, column.data_type.clone()).alias(&column.name)
    };
    let columns: Vec<Expr> = columns.iter().map(one).collect();
    frame.select(columns).map_err(explain)
}

/// Whether a merge, which holds and writes all of them, can take rows of so many bytes.
fn mergeable(relation: &TableName, bytes: u64) -> Result<()> {
    match bytes > MERGE_BYTES_MAX {
        false => Ok(()),
        true => Err(CatalogError::bad_config(format!(
            "{relation} has {bytes} bytes; a merge writes all of a table anew, and is for tables of the current \
             state of at most {MERGE_BYTES_MAX}; make it microbatch"
        ))),
    }
}

fn has_keys(model: &Model, key: &[String], batches: &[RecordBatch]) -> Result<()> {
    let nulls = |name: &&String| {
        let mut columns = batches.iter().filter_map(|batch| batch.column_by_name(name));
        columns.any(|column| column.null_count() > 0)
    };
    match key.iter().find(nulls) {
        None => Ok(()),
        Some(name) => Err(CatalogError::bad_data(format!(
            "{}: a new row has no `{name}`, by which rows are told apart",
            model.relation
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_merge_is_for_small_tables() {
        let relation: TableName = "mart.state".parse().unwrap();
        assert!(mergeable(&relation, MERGE_BYTES_MAX).is_ok());
        let error = mergeable(&relation, MERGE_BYTES_MAX + 1).unwrap_err();
        assert!(error.message().contains("make it microbatch"), "{error}");
    }
}
