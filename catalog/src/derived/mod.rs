//! Tables that models make: each build puts new rows in the place of all old ones or of some files, and says
//! up to which vector of each root they were made, in one snapshot.

pub mod columns;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use arrow::compute::cast;
use arrow_array::RecordBatch;
use chrono::{DateTime, SecondsFormat};
use futures::{Stream, TryStreamExt};
use iceberg::spec::{Schema, UnboundPartitionSpec};
use weir_contract::names::{TableName, key};
use weir_contract::progress::{Derived, Root, Verdict};

use crate::commit::{Change, Committed, Decision, Receipt, commit};
use crate::encode::{FileEncoder, FileFormat, ParquetFormat, TableSchema};
use crate::files::NewFile;
use crate::look::chain;
use crate::sought::{Found, Sought, files, still_stand};
use crate::{Base, CatalogError, Lake, Result};
use columns::{Column, new_schema, next_schema};

/// The stage in summaries.
const STAGE: &str = "model";
/// Bytes of a data file of a table that each build writes whole, about.
pub const FILE_BYTES: usize = 128 << 20;
/// Of one of which builds replace windows of time: what a late row touches is written anew by the file.
pub const WINDOW_FILE_BYTES: usize = 16 << 20;
/// Memory of a file in the making, at most.
const FILE_MEMORY: usize = 256 << 20;
/// How often a build's rows are committed anew because another writer changed the table's files.
const ATTEMPTS_MAX: usize = 20;

/// What a build makes of a table.
#[derive(Debug, Clone)]
pub struct Build<'b> {
    /// The model.
    pub model: &'b str,
    /// Its columns, in the order of its rows.
    pub columns: &'b [Column],
    /// What it is; may be empty.
    pub description: &'b str,
    /// What its rows are made of.
    pub roots: BTreeMap<String, Root>,
    /// What makes them: the same text, the same rows.
    pub sql_hash: String,
    /// Up to which event time its rows are complete, µs since the epoch; none if that is not known.
    pub complete_until_us: Option<i64>,
    /// Bytes of a data file, about.
    pub file_bytes: usize,
}

/// Whose place the rows of a build take.
#[derive(Debug, Clone, Copy)]
pub enum Old<'o> {
    /// All files.
    All,
    /// These files of this version of the table; the rest of the table stays.
    Of(&'o Base, &'o [Found]),
}

/// What a derived table says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// What it was made of; none before its first build.
    pub derived: Option<Derived>,
    /// What made it.
    pub sql_hash: Option<String>,
    /// Up to which event time its rows are complete, µs since the epoch; none if that is not known.
    pub complete_until_us: Option<i64>,
}

impl Lake {
    /// The table of a model; none if it has not been made.
    ///
    /// Errors: bad config if it is another kind of table, what the catalog says.
    pub async fn derived(&self, name: &TableName) -> Result<Option<Base>> {
        let Some(base) = self.table(name).await? else { return Ok(None) };
        if !base.metadata().properties().contains_key(key::MODEL) {
            return Err(CatalogError::bad_config(format!(
                "table {name} was not made by a model (it has no property {}); give the model another \
                 name, or move the table away",
                key::MODEL
            )));
        }
        Ok(Some(base))
    }

    async fn ensure_derived(&self, name: &TableName, build: &Build<'_>) -> Result<Base> {
        if let Some(base) = self.derived(name).await? {
            return Ok(base);
        }
        let schema = new_schema(build.columns)?;
        let mut properties = self.table_properties(build.description);
        properties.insert(key::MODEL.into(), build.model.into());
        let spec = UnboundPartitionSpec::builder().build();
        let metadata = self.new_table(name, schema, spec, properties)?;
        self.create(name, metadata).await
    }
}

/// What the table says of its last build.
pub fn made(base: &Base) -> Result<Made> {
    let metadata = base.metadata();
    let hash = metadata.properties().get(key::SQL_HASH).cloned();
    // Snapshots of other stages and engines say nothing of it, and leave the rows as they were made.
    let said = chain(metadata).into_iter().find_map(|snapshot| {
        let summary = &snapshot.summary().additional_properties;
        summary.contains_key(key::SQL_HASH).then(|| summary.get(key::COMPLETE_UNTIL).cloned())
    });
    let until = said.flatten().and_then(|text| DateTime::parse_from_rfc3339(&text).ok());
    Ok(Made {
        derived: base.progress()?.derived,
        sql_hash: hash,
        complete_until_us: until.map(|until| until.timestamp_micros()),
    })
}

/// The live files of the table, if their rows are those that its builds counted and nobody deleted any of
/// them: only then what a build leaves alone is as a build made it.
pub async fn pieces(lake: &Lake, base: &Base) -> Result<Option<Vec<Found>>> {
    let counted = base.progress()?.derived.map_or(0, |derived| derived.rows);
    let found = files(lake, base, &Sought::ALL).await?;
    let rows: u64 = found.iter().map(Found::rows).sum();
    let whole = i64::try_from(rows) == Ok(counted) && found.iter().all(Found::is_whole);
    Ok(whole.then_some(found))
}

/// Makes `rows` rows of the table in the place of `old` files; the table is made if it is not there.
///
/// Errors: retry if another build of the table came between, or another engine changed the `old` files,
/// and what reading the rows, storage and `commit` say. After an error the table is as it was.
pub async fn replace(
    lake: &Lake,
    name: &TableName,
    build: &Build<'_>,
    old: Old<'_>,
    rows: impl Stream<Item = Result<RecordBatch>> + Send,
) -> Result<Receipt> {
    let mut base = match old {
        Old::All => lake.ensure_derived(name, build).await?,
        Old::Of(base, _) => base.clone(),
    };
    let from = base.progress()?.derived;
    let schema = next_schema(base.metadata(), build.columns)?;
    let table = match &schema {
        Some(schema) => TableSchema::new(schema.clone().into())?,
        None => base.schema()?,
    };
    let added = write(lake, &base, &table, build.file_bytes, rows).await?;
    let next = Derived { rows: rows_after(from.as_ref(), &added, old), roots: build.roots.clone() };
    let mut change = change(build, lake.env.ids.uuid().to_string(), added, schema);
    for _ in 0..ATTEMPTS_MAX {
        let planned_on = base.metadata().current_snapshot_id();
        let gone = match old {
            Old::All => &files(lake, &base, &Sought::ALL).await?[..],
            Old::Of(_, files) => files,
        };
        change.removed = gone.iter().map(|file| file.path().to_string()).collect();
        let decide = &mut |now: &Base, progress: &weir_contract::progress::Progress| {
            if now.metadata().current_snapshot_id() != planned_on {
                // Its files are others than those that were listed.
                return Decision::Decline(Declined::Moved);
            }
            match progress.derive(&change.commit_id, from.as_ref(), next.clone()) {
                Verdict::Apply(after) => Decision::Advance(after),
                Verdict::Already | Verdict::Fenced(_) => Decision::Decline(Declined::Fenced),
                Verdict::Invalid(why) => Decision::Decline(Declined::Invalid(why)),
            }
        };
        match commit(lake, base.clone(), &change, decide).await? {
            Committed::Done(receipt) => return Ok(receipt),
            Committed::Declined(Declined::Moved) => {
                base = moved(lake, name, from.as_ref(), old).await?;
            }
            Committed::Declined(Declined::Fenced) => return Err(fenced(name)),
            Committed::Declined(Declined::Invalid(why)) => {
                return Err(CatalogError::bad_data(format!("table {name}: {why}")));
            }
        }
    }
    Err(CatalogError::retry(format!(
        "other writers changed table {name} {ATTEMPTS_MAX} times while it was built"
    )))
}

/// The commit of a build, but for the files that it removes.
fn change(
    build: &Build<'_>,
    commit_id: String,
    added: Vec<NewFile>,
    schema: Option<Schema>,
) -> Change {
    let hash = (key::SQL_HASH.to_string(), build.sql_hash.clone());
    let until = build.complete_until_us.and_then(DateTime::from_timestamp_micros);
    let until = until.map(|until| until.to_rfc3339_opts(SecondsFormat::AutoSi, true));
    let complete = until.map(|until| (key::COMPLETE_UNTIL.to_string(), until)).into_iter();
    Change {
        commit_id,
        stage: STAGE,
        added,
        schema,
        properties: [(key::MODEL.to_string(), build.model.to_string()), hash.clone()].into(),
        summary: complete.chain([hash]).collect(),
        ..Change::default()
    }
}

/// Rows that the table has after a build that adds files in the place of `old` ones.
fn rows_after(from: Option<&Derived>, added: &[NewFile], old: Old<'_>) -> i64 {
    let sum =
        |rows: &mut dyn Iterator<Item = u64>| i64::try_from(rows.sum::<u64>()).unwrap_or(i64::MAX);
    let added = sum(&mut added.iter().map(NewFile::rows));
    match old {
        Old::All => added,
        Old::Of(_, files) => {
            let before = from.map_or(0, |derived| derived.rows);
            before - sum(&mut files.iter().map(Found::rows)) + added
        }
    }
}

/// The table after another writer's commit, if a build can still be made of it.
async fn moved(
    lake: &Lake,
    name: &TableName,
    from: Option<&Derived>,
    old: Old<'_>,
) -> Result<Base> {
    let now = lake.derived(name).await?.ok_or_else(|| {
        CatalogError::retry(format!("table {name} was dropped while it was built"))
    })?;
    if now.progress()?.derived.as_ref() != from {
        return Err(fenced(name));
    }
    if let Old::Of(_, files) = old
        && !still_stand(lake, &now, files).await?
    {
        return Err(CatalogError::retry(format!(
            "another engine changed files of {name} that were being replaced"
        )));
    }
    Ok(now)
}

enum Declined {
    Moved,
    Fenced,
    Invalid(String),
}

fn fenced(name: &TableName) -> CatalogError {
    CatalogError::retry(format!("another build of {name} came between; its rows stand"))
}

/// The rows as durable files that are nobody's yet.
async fn write(
    lake: &Lake,
    base: &Base,
    schema: &TableSchema,
    file_bytes: usize,
    rows: impl Stream<Item = Result<RecordBatch>> + Send,
) -> Result<Vec<NewFile>> {
    let format = ParquetFormat::for_sorted();
    let mut files = Vec::new();
    let mut open: Option<Box<dyn FileEncoder>> = None;
    let mut rows = std::pin::pin!(rows);
    while let Some(batch) = rows.try_next().await? {
        if batch.num_rows() == 0 {
            continue;
        }
        let file = match &mut open {
            Some(file) => file,
            None => open.insert(format.encoder(schema, None)?),
        };
        file.write(&shaped(&batch, schema)?)?;
        let full = file.encoded() >= file_bytes || file.memory() >= FILE_MEMORY;
        if let Some(file) = open.take_if(|_| full) {
            files.push(lake.put_data_file(base, file.finish()?).await?);
        }
    }
    if let Some(file) = open {
        files.push(lake.put_data_file(base, file.finish()?).await?);
    }
    Ok(files)
}

/// The batch with the types of the table.
fn shaped(batch: &RecordBatch, schema: &TableSchema) -> Result<RecordBatch> {
    let failed = |e: arrow_schema::ArrowError| {
        CatalogError::bad_data(format!("a row of the model does not fit its table: {e}"))
            .with_source(e)
    };
    let fields = schema.arrow().fields();
    let columns = fields.iter().zip(batch.columns());
    let columns = columns.map(|(field, column)| match column.data_type() == field.data_type() {
        true => Ok(column.clone()),
        false => cast(column, field.data_type()),
    });
    let columns = columns.collect::<std::result::Result<Vec<_>, _>>().map_err(failed)?;
    RecordBatch::try_new(schema.arrow().clone(), columns).map_err(failed)
}
