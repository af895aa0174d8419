//! Windows of time made anew: all of them, or those that news touched. What is more than a query should hold
//! is made in parts, one after the other in the order of time, and committed as one.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use datafusion::catalog::TableProvider;
use datafusion::datasource::ViewTable;
use datafusion::logical_expr::{Expr, ident, not};
use datafusion::prelude::DataFrame;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use weir_catalog::derived::columns::Column;
use weir_catalog::derived::made;
use weir_catalog::scan::IcebergProvider;
use weir_catalog::session::explain;
use weir_catalog::session::inputs::{Slice, within};
use weir_catalog::sought::{Found, Sought, files};
use weir_catalog::{Base, CatalogError, Result};
use weir_contract::names::{TableName, column};

use crate::changed::changes;
use crate::cut::Cut;
use crate::increment::{columns_after, shaped};
use crate::inputs::touched;
use crate::project::Model;
use crate::run::{Built, Runner, Standing, Task, unknown};
use crate::windows::{BatchSize, Part, Ranges, Rows, parts};

/// Rows of the inputs of one part, about: of an aggregation with as many groups as rows a few hundred MiB.
pub const PART_ROWS: u64 = 2_000_000;

impl Runner<'_> {
    /// The windows that are made anew: those of `between` from what the table is made of, or what news touch.
    pub(crate) async fn windows(
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

    /// The rows of `windows` in the place of those that `pieces` of the table have there.
    pub(crate) async fn microbatch(
        &self,
        task: &Task<'_>,
        table: &Standing,
        pieces: &[Found],
        windows: &Ranges,
    ) -> Result<Built> {
        let columns = columns_after(task, table)?;
        let lies_in = |piece: &&Found| {
            let (least, greatest) = piece.times(&table.base, time_of(task.model));
            windows.meet(least, greatest)
        };
        let old: Vec<Found> = pieces.iter().filter(lies_in).cloned().collect();
        let anew = Anew { task, columns: &columns, windows, old: Some((table, &old)) };
        let rows = self.in_parts(&anew).await?;
        self.replaced(task, table, &columns, &old, rows).await
    }

    /// The rows of `anew`, part by part.
    pub(crate) async fn in_parts<'a>(
        &'a self,
        anew: &'a Anew<'a>,
    ) -> Result<impl Stream<Item = Result<RecordBatch>> + Send + 'a> {
        let task = anew.task;
        let unit = match size(task.model)? {
            // Deduplication reads the days around what it makes.
            BatchSize::Hour | BatchSize::Day => BatchSize::Day,
            BatchSize::Month => BatchSize::Month,
        };
        let rows = match anew.windows.lie_in_one(unit) {
            true => Vec::new(),
            false => self.rows_by_time(task).await?,
        };
        let parts = parts(anew.windows, unit, &rows, self.part_rows);
        let part = move |part: Part| async move {
            let rows = self.part(anew, &part).await?;
            self.started(rows, anew.task.model).await
        };
        Ok(stream::iter(parts).then(part).try_flatten())
    }

    /// How many rows the inputs have, and when.
    async fn rows_by_time(&self, task: &Task<'_>) -> Result<Vec<Rows>> {
        let mut all = Vec::new();
        for source in self.sources.iter().filter(|s| task.inputs.sources.contains_key(&s.name)) {
            if let Some((lake, base)) = source.stream_table() {
                let found = files(lake, base, &Sought::ALL).await?;
                all.extend(rows_of(base, &found, column::EVENT_TIME));
            }
        }
        for (name, base) in task.inputs.tables.values() {
            if let Some(time) = &self.project.models[name].settings.event_time {
                let found = files(self.lake, base, &Sought::ALL).await?;
                all.extend(rows_of(base, &found, time));
            }
        }
        Ok(all)
    }

    /// The rows of one part, in the order of their time: a file then covers little of it.
    async fn part(&self, anew: &Anew<'_>, part: &Part) -> Result<DataFrame> {
        let Anew { task, columns, .. } = anew;
        let (model, time) = (task.model, time_of(task.model));
        let read = part.windows.windows(size(model)?, model.settings.lookback, 0);
        let engine = self.open(self.inputs_at(task, &read).await?).await?;
        let made = engine.frame(&task.compiled.sql).await?;
        // Rows without a time are let through to where they are refused.
        let of_windows = inside(&made, time, &part.windows).or(ident(time).is_null());
        let mut rows = shaped(made.filter(of_windows).map_err(explain)?, columns)?;
        if let Some((table, old)) = anew.old {
            let meets = |piece: &&Found| {
                let (least, greatest) = piece.times(&table.base, time);
                part.span.meet(least, greatest)
            };
            let old: Vec<Found> = old.iter().filter(meets).cloned().collect();
            if !old.is_empty() {
                let stay = engine.table(self.files(table, &old)?)?;
                let outside = not(inside(&stay, time, anew.windows));
                let stays = inside(&stay, time, &part.span).and(outside);
                let stay = shaped(stay.filter(stays).map_err(explain)?, columns)?;
                rows = rows.union(stay).map_err(explain)?;
            }
        }
        rows.sort(vec![ident(time).sort(true, true)]).map_err(explain)
    }

    /// What a model reads, of the times `read` where the inputs have any.
    async fn inputs_at(
        &self,
        task: &Task<'_>,
        read: &Ranges,
    ) -> Result<BTreeMap<TableName, Arc<dyn TableProvider>>> {
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
        Ok(providers)
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
}

/// Windows that are made anew.
pub(crate) struct Anew<'a> {
    pub task: &'a Task<'a>,
    /// The columns of the rows.
    pub columns: &'a [Column],
    pub windows: &'a Ranges,
    /// The table and those of its files that lie in the windows, whose other rows stay.
    pub old: Option<(&'a Standing, &'a [Found])>,
}

/// The condition that a row's time lies in `ranges`.
fn inside(frame: &DataFrame, time: &str, ranges: &Ranges) -> Expr {
    let field = frame.schema().as_arrow().field_with_name(time).map(|f| f.data_type().clone());
    within(time, &field.unwrap_or(DataType::Null), ranges.as_slice())
}

fn rows_of(base: &Base, files: &[Found], time: &str) -> Vec<Rows> {
    let one = |file: &Found| match file.times(base, time) {
        (Some(from), Some(to)) => Some(Rows { from, to, rows: file.rows() }),
        _ => None,
    };
    files.iter().filter_map(one).collect()
}

/// The column of a row's time.
fn time_of(model: &Model) -> &str {
    model.settings.event_time.as_deref().unwrap_or_default()
}

fn size(model: &Model) -> Result<BatchSize> {
    model.settings.batch_size.ok_or_else(|| unknown(model))
}
