//! What a build makes where most of a table's rows stay: windows of time anew (microbatch), rows of new
//! records (append), or rows that take the place of others with the same key (merge).

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use datafusion::catalog::TableProvider;
use datafusion::common::{DataFusionError, ScalarValue};
use datafusion::datasource::{MemTable, ViewTable};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::{Expr, cast, ident, lit, not};
use datafusion::prelude::DataFrame;
use futures::{Stream, StreamExt};
use weir_catalog::derived::columns::{Column, columns_of};
use weir_catalog::derived::{Old, WINDOW_FILE_BYTES, made, replace};
use weir_catalog::scan::{IcebergProvider, Only};
use weir_catalog::session::explain;
use weir_catalog::session::inputs::{Slice, within};
use weir_catalog::sought::Found;
use weir_catalog::{CatalogError, Result};
use weir_contract::names::TableName;

use crate::changed::changes;
use crate::compile::stored;
use crate::cut::Cut;
use crate::engine::Running;
use crate::inputs::touched;
use crate::project::{Model, OnSchemaChange, Strategy};
use crate::run::{Built, Runner, Standing, Task, columns, unknown};
use crate::windows::{BatchSize, Ranges};

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

    /// The windows that are made anew.
    async fn windows(
        &self,
        task: &Task<'_>,
        made_of: &Cut,
        between: Option<&Ranges>,
    ) -> Result<Ranges> {
        let Some(between) = between else {
            let vectors = (made_of, &task.roots);
            let changes = changes(self, task.model, vectors).await?;
            return Ok(touched(self.project, task.model, &changes));
        };
        for (name, (_, base)) in &task.inputs.tables {
            let roots = made(base)?.derived.map(|derived| derived.roots).unwrap_or_default();
            if !roots.iter().all(|(root, own)| made_of.get(root).is_some_and(|o| o.reads_as(own))) {
                return Err(CatalogError::bad_config(format!(
                    "{name} was built from other states of its inputs than {}; build both first: weir run \
                     --select +{}",
                    task.model.relation, task.model.name
                )));
            }
        }
        Ok(between.windows(size(task.model)?, 0, 0))
    }

    async fn microbatch(
        &self,
        task: &Task<'_>,
        table: &Standing,
        pieces: &[Found],
        windows: &Ranges,
    ) -> Result<Built> {
        let model = task.model;
        let time = model.settings.event_time.as_deref().unwrap_or_default();
        let read = windows.windows(size(model)?, model.settings.lookback, 0);
        let days = read.windows(BatchSize::Day, 1, 1);
        let mut providers = BTreeMap::new();
        for source in self.sources {
            let Some(through) = task.inputs.sources.get(&source.name) else { continue };
            // Which record of an event counts is seen on its day and those beside it.
            let when = Some(if through.is_empty() { read.as_slice() } else { days.as_slice() });
            let slice = Slice { from: None, until: self.until(source, &task.roots)?, when };
            providers.insert(source.name.clone(), source.provider(slice)?);
        }
        for (relation, (name, base)) in &task.inputs.tables {
            let whole: Arc<dyn TableProvider> =
                Arc::new(IcebergProvider::new(self.lake, base, None)?);
            let parent = &self.project.models[name].settings;
            let provider = match (&parent.event_time, parent.batch_size) {
                (Some(column), Some(size)) => {
                    self.of_times(whole, column, &read.windows(size, 0, 0)).await?
                }
                _ => whole,
            };
            providers.insert(relation.clone(), provider);
        }
        let engine = self.open(providers).await?;
        let made = engine.frame(&task.compiled.sql).await?;
        let inside = |frame: &DataFrame| {
            let field =
                frame.schema().as_arrow().field_with_name(time).map(|f| f.data_type().clone());
            within(time, &field.unwrap_or(DataType::Null), windows.as_slice())
        };
        // Rows without a time are let through to where they are refused.
        let of_windows = inside(&made).or(ident(time).is_null());
        let made = made.filter(of_windows).map_err(explain)?;
        let columns = columns_after(task, table)?;
        let lies_in = |piece: &&Found| {
            let (least, greatest) = piece.times(&table.base, time);
            windows.meet(least, greatest)
        };
        let old: Vec<Found> = pieces.iter().filter(lies_in).cloned().collect();
        let mut rows = shaped(made, &columns)?;
        if !old.is_empty() {
            let stay = engine.table(self.files(table, &old)?)?;
            let outside = not(inside(&stay));
            let stay = shaped(stay.filter(outside).map_err(explain)?, &columns)?;
            rows = rows.union(stay).map_err(explain)?;
        }
        self.put(task, table, &columns, &old, sorted(rows, model)?).await
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
        let too_large = |bytes: u64| match bytes > MERGE_BYTES_MAX {
            false => Ok(()),
            true => Err(CatalogError::bad_config(format!(
                "{} has {bytes} bytes; a merge writes all of a table anew, and is for tables of the current \
                 state of at most {MERGE_BYTES_MAX}; make it microbatch",
                task.model.relation
            ))),
        };
        too_large(pieces.iter().map(Found::bytes).sum())?;
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
        too_large(batches.iter().map(|batch| batch.get_array_memory_size() as u64).sum())?;
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
    fn files(&self, table: &Standing, files: &[Found]) -> Result<Arc<dyn TableProvider>> {
        let paths: HashSet<String> = files.iter().map(|file| file.path().to_string()).collect();
        let provider = IcebergProvider::new(self.lake, &table.base, None)?;
        Ok(Arc::new(provider.only(Only::Files(Arc::new(paths)))))
    }

    /// The rows of a table whose time lies in `ranges`.
    async fn of_times(
        &self,
        table: Arc<dyn TableProvider>,
        column: &str,
        ranges: &Ranges,
    ) -> Result<Arc<dyn TableProvider>> {
        let engine = self.open(BTreeMap::new()).await?;
        let schema = table.schema();
        let kind =
            schema.field_with_name(column).map_or(&DataType::Null, |field| field.data_type());
        let condition = within(column, kind, ranges.as_slice());
        let frame = engine.table(table)?.filter(condition).map_err(explain)?;
        Ok(Arc::new(ViewTable::new(frame.into_unoptimized_plan(), None)))
    }

    async fn put(
        &self,
        task: &Task<'_>,
        table: &Standing,
        columns: &[Column],
        old: &[Found],
        rows: DataFrame,
    ) -> Result<Built> {
        let (rows, running) = Running::start(rows).await?;
        self.counter.watch(running);
        let rows = timed(rows, task.model);
        let (relation, build) = (&task.model.relation, task.build(columns));
        let receipt = replace(self.lake, relation, &build, Old::Of(&table.base, old), rows).await?;
        let now = u64::try_from(receipt.base.progress()?.records()).unwrap_or_default();
        let before = table.made.derived.as_ref().map_or(0, |derived| derived.rows.unsigned_abs());
        let gone: u64 = old.iter().map(Found::rows).sum();
        let written = (now + gone).saturating_sub(before);
        Ok(Built::Done { rows: now, written: Some(written), why: None })
    }
}

fn size(model: &Model) -> Result<BatchSize> {
    model.settings.batch_size.ok_or_else(|| unknown(model))
}

/// The SQL over what is new.
fn increment_sql<'t>(task: &'t Task<'_>) -> &'t str {
    task.model.increment.as_deref().unwrap_or(&task.compiled.sql)
}

/// The columns that the table has after the build.
fn columns_after(task: &Task<'_>, table: &Standing) -> Result<Vec<Column>> {
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
fn shaped(frame: DataFrame, columns: &[Column]) -> Result<DataFrame> {
    let has = |name: &str| frame.schema().as_arrow().field_with_name(name).is_ok();
    let one = |column: &Column| -> Expr {
        let value = if has(&column.name) { ident(&column.name) } else { lit(ScalarValue::Null) };
        cast(value, column.data_type.clone()).alias(&column.name)
    };
    let columns: Vec<Expr> = columns.iter().map(one).collect();
    frame.select(columns).map_err(explain)
}

/// Rows in the order of their time, if the model has windows: a file then covers little time.
pub(crate) fn sorted(frame: DataFrame, model: &Model) -> Result<DataFrame> {
    match (&model.settings.event_time, model.settings.strategy) {
        (Some(time), Some(Strategy::Microbatch)) => {
            frame.sort(vec![ident(time).sort(true, true)]).map_err(explain)
        }
        _ => Ok(frame),
    }
}

/// The rows, of which each must have a time if the model has windows: without one it belongs to none.
pub(crate) fn timed(
    rows: SendableRecordBatchStream,
    model: &Model,
) -> impl Stream<Item = Result<RecordBatch>> + Send {
    let time = model.settings.event_time.clone();
    let model = model.relation.clone();
    rows.map(move |batch: Result<RecordBatch, DataFusionError>| {
        let batch = batch.map_err(explain)?;
        if let Some(time) = &time
            && batch.column_by_name(time).is_some_and(|column| column.null_count() > 0)
        {
            return Err(CatalogError::bad_data(format!(
                "{model}: a row has no `{time}`, and so belongs to no window; leave such rows out"
            )));
        }
        Ok(batch)
    })
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
