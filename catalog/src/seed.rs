//! Loads of reference tables: what a file states, appended in one commit, exactly once.
//!
//! A load is planned on one version of the table and committed only if no other load came between;
//! else it is planned again. `weir_contract::reference` says what a table and a file mean.

use std::collections::BTreeMap;

use arrow::compute::{cast, concat_batches};
use arrow_array::RecordBatch;
use futures::TryStreamExt;
use weir_contract::names::TableName;
use weir_contract::progress::{Progress, Step, Steps, Verdict};
use weir_contract::reference::{Counts, Plan, Reference, Stated, plan, source};

use crate::commit::{Change, Committed, Decision, Receipt, commit};
use crate::create::reference_key;
use crate::session::{explain, history};
use crate::{Base, CatalogError, Lake, Result};

/// The stage in summaries.
const STAGE: &str = "seed";
/// The one partition of a seed's source.
pub(crate) const PARTITION: i32 = 0;
/// The number of the first load.
const FIRST: i64 = 1;
/// Rows that count in a table, at most: they are compared in memory.
pub const ROWS_MAX: usize = 1_000_000;
/// How often a load is planned anew because another one came between.
const PLANS_MAX: usize = 10;

/// How to load.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SeedOptions {
    /// The file names every key: those that it does not name end now.
    pub full: bool,
    /// Plan, and commit nothing.
    pub dry_run: bool,
}

/// What became of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seeded {
    /// The table.
    pub table: TableName,
    /// The load; none if there was nothing to do. Of a dry run, the one that it would be.
    pub load: Option<i64>,
    /// The load's snapshot; none if nothing was committed.
    pub snapshot: Option<i64>,
    /// What its rows do.
    pub counts: Counts,
}

/// Loads what a file states.
///
/// Errors: bad config (the table does not fit its contract), bad data (the table's progress or rows
/// are not what they must be, or there are more rows than [`ROWS_MAX`]), retry (other loads came
/// between again and again), and what `commit` says.
pub async fn seed(
    lake: &Lake,
    reference: &Reference,
    stated: &Stated,
    options: SeedOptions,
) -> Result<Seeded> {
    let table = reference.table();
    for _ in 0..PLANS_MAX {
        let found = lake.reference(reference).await?;
        let (now, progress) = match &found {
            Some(base) => (counting(lake, base, reference).await?, base.progress()?),
            None => (RecordBatch::new_empty(reference.schema()), Progress::default()),
        };
        let full = options.full.then(|| lake.env.clock.now_ms().saturating_mul(1000));
        let planned = plan(reference, &now, stated, full).map_err(|why| damaged(&table, &why))?;
        let load = progress.head(&source(&table), PARTITION).unwrap_or(FIRST);
        let mut done =
            Seeded { table: table.clone(), load: None, snapshot: None, counts: planned.counts };
        if planned.is_empty() {
            return Ok(done);
        }
        done.load = Some(load);
        if options.dry_run {
            return Ok(done);
        }
        let base = match found {
            Some(base) => base,
            None => lake.ensure_reference(reference).await?,
        };
        if let Some(receipt) = append(lake, base, &progress, load, &planned).await? {
            done.snapshot = Some(receipt.snapshot_id);
            return Ok(done);
        }
    }
    Err(CatalogError::retry(format!(
        "other loads of {table} came between {PLANS_MAX} times; nothing of this one was loaded"
    )))
}

/// Commits the rows as load `load`, if that is still the next after `seen`.
async fn append(
    lake: &Lake,
    base: Base,
    seen: &Progress,
    load: i64,
    planned: &Plan,
) -> Result<Option<Receipt>> {
    let bug = |e| CatalogError::bug("making the rows of a load").with_source(e);
    let mut encoder = lake.format.encoder(&base.schema()?, None)?;
    encoder.write(&planned.batch(load).map_err(bug)?)?;
    let file = lake.put_data_file(&base, encoder.finish()?).await?;
    let rows = i64::try_from(planned.len()).unwrap_or(i64::MAX);
    let step = Step { until: load + 1, rows, extra: rows - 1, ..Step::at(load) };
    let steps: Steps = BTreeMap::from([(source(&base.name), BTreeMap::from([(PARTITION, step)]))]);
    let commit_id = lake.env.ids.uuid().to_string();
    let change = Change { commit_id, stage: STAGE, added: vec![file], ..Change::default() };
    let outcome = commit(lake, base, &change, &mut |_, progress| match progress.advance_since(
        seen,
        &change.commit_id,
        &steps,
    ) {
        Verdict::Apply(next) => Decision::Advance(next),
        Verdict::Already | Verdict::Fenced(_) => Decision::Decline(None),
        Verdict::Invalid(why) => Decision::Decline(Some(why)),
    })
    .await?;
    match outcome {
        Committed::Done(receipt) => Ok(Some(receipt)),
        Committed::Declined(None) => Ok(None),
        Committed::Declined(Some(why)) => {
            Err(CatalogError::bug(format!("load {load} does not fit the table's counters: {why}")))
        }
    }
}

/// The rows that count, with the contract's columns.
async fn counting(lake: &Lake, base: &Base, reference: &Reference) -> Result<RecordBatch> {
    let schema = reference.schema();
    let key = reference_key(base).unwrap_or_default();
    let context = history::session(lake, base, &key)?;
    let columns: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
    let frame = context.table("history").await.and_then(|h| h.select_columns(&columns));
    let mut stream = match frame {
        Ok(frame) => frame.execute_stream().await.map_err(explain)?,
        Err(e) => return Err(explain(e)),
    };
    let (mut batches, mut rows) = (Vec::new(), 0);
    while let Some(batch) = stream.try_next().await.map_err(explain)? {
        rows += batch.num_rows();
        if rows > ROWS_MAX {
            return Err(CatalogError::bad_data(format!(
                "{} has more than {ROWS_MAX} rows that count, which a load would hold in memory; \
                 reference tables are small: divide it, or bring its data as a stream",
                base.name
            )));
        }
        let failed = |e| CatalogError::bug(format!("reading {}: {e}", base.name));
        let fields = schema.fields().iter().zip(batch.columns());
        let columns = fields.map(|(field, column)| cast(column, field.data_type()));
        let columns = columns.collect::<Result<Vec<_>, _>>().map_err(failed)?;
        batches.push(RecordBatch::try_new(schema.clone(), columns).map_err(failed)?);
    }
    concat_batches(&schema, &batches)
        .map_err(|e| CatalogError::bad_data(format!("reading {}: {e}", base.name)).with_source(e))
}

fn damaged(table: &TableName, why: &str) -> CatalogError {
    CatalogError::bad_data(format!("{table}: {why}; `weir verify {table}` shows what is wrong"))
}

#[cfg(test)]
mod tests;
