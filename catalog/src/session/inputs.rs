//! What models read of the lake: accepted rows of raw tables, and the rows of reference tables that
//! count, each pinned at the version of the table that was current when it was named, and readable up to
//! any earlier vector. A table that is not there yet has no rows, and the columns of its contract.

use std::str::FromStr;
use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef, TimeUnit};
use datafusion::catalog::TableProvider;
use datafusion::common::{ScalarValue, TableReference};
use datafusion::datasource::empty::EmptyTable;
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::utils::{conjunction, disjunction};
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, ScalarUDF, ident, lit, not};
use weir_contract::contract::Contract;
use weir_contract::names::{SourceId, TableName, VIEW_HISTORY_SUFFIX, column};
use weir_contract::progress::Root;
use weir_contract::reference::Reference;

use super::{explain, history, promoted};
use crate::create::key_names;
use crate::scan::{IcebergProvider, Only, query_schema};
use crate::schema::{raw_iceberg_schema, reference_iceberg_schema};
use crate::{Base, Lake, Result};

const DAY_US: i64 = 86_400_000_000;

/// Columns of a raw table that only rejected rows need.
const OF_REJECTS: [&str; 3] = [column::ERROR, column::VALUE, column::HEADERS];

/// Which rows of a source are read; by default all.
#[derive(Debug, Clone, Copy, Default)]
pub struct Slice<'s> {
    /// Of a stream only what somebody who got so far has not read.
    pub from: Option<&'s Root>,
    /// Only up to this vector, which must not lie beyond [`Source::root`].
    pub until: Option<&'s Root>,
    /// Of a stream only events of these times, µs since the epoch, each from its first until before its
    /// second.
    pub when: Option<&'s [(i64, i64)]>,
}

/// A source of models.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its name in SQL.
    pub name: TableName,
    /// The table behind it: a root of what is made of it.
    pub table: TableName,
    pinned: Option<(Lake, Base)>,
    columns: SchemaRef,
    /// Of a stream: functions that find columns in `_extra` which the table did not always have.
    promoted: Vec<Arc<ScalarUDF>>,
    /// Of a reference table: its key.
    key: Option<Vec<String>>,
}

impl Source {
    /// The accepted rows of the raw table `table` of a contract, without the columns of rejects. `lake`:
    /// none for the columns alone.
    pub async fn stream(
        lake: Option<&Lake>,
        contract: &Contract,
        table: &TableName,
    ) -> Result<Source> {
        let columns = query_schema(&raw_iceberg_schema(contract)?)?;
        let pinned = pin(lake, table).await?;
        let promoted = pinned.as_ref().map(|(_, base)| promoted::functions(contract, table, base));
        let (name, promoted) = (table.clone(), promoted.unwrap_or_default());
        Ok(Source { table: name.clone(), name, pinned, columns, promoted, key: None })
    }

    /// The rows of a reference table that count, under the name `ref.<name>_history`.
    pub async fn reference(lake: Option<&Lake>, reference: &Reference) -> Result<Source> {
        let table = reference.table();
        let columns = query_schema(&reference_iceberg_schema(&reference.contract)?)?;
        let pinned = pin(lake, &table).await?;
        let key = Some(key_names(&reference.contract, &reference.key));
        let suffixed = format!("{}{VIEW_HISTORY_SUFFIX}", table.name);
        let name = TableName { name: suffixed, ..table.clone() };
        Ok(Source { name, table, pinned, columns, promoted: Vec::new(), key })
    }

    /// How far it can be read: all of the pinned version.
    pub fn root(&self) -> Result<Root> {
        match &self.pinned {
            Some((_, base)) => Ok(Root::whole(&base.progress()?)),
            None => Ok(Root::default()),
        }
    }

    /// Up to which Kafka time it holds all of its topic, µs since the epoch; none if that is not known, and of
    /// a reference table.
    pub fn covered_us(&self) -> Result<Option<i64>> {
        match &self.pinned {
            Some((_, base)) => Ok(base.covered_ms()?.map(|ms| ms.saturating_mul(1_000))),
            None => Ok(None),
        }
    }

    /// Of a stream that has one its table, as it is pinned.
    pub fn stream_table(&self) -> Option<(&Lake, &Base)> {
        self.pinned.as_ref().filter(|_| self.key.is_none()).map(|(lake, base)| (lake, base))
    }

    /// Of a reference table the columns by which its rows are told apart; none of a stream.
    pub fn key(&self) -> Option<&[String]> {
        self.key.as_deref()
    }

    /// Functions that find values of some of its columns in `_extra`: whoever reads a plan from bytes needs them.
    pub fn functions(&self) -> &[Arc<ScalarUDF>] {
        &self.promoted
    }

    /// Whether rows that were in the table have been taken from it: by retention, or by others with a
    /// reason. What is made of it anew lacks them.
    pub fn has_lost_rows(&self) -> Result<bool> {
        let Some((_, base)) = &self.pinned else { return Ok(false) };
        let progress = base.progress()?;
        let mut partitions = progress.sources.values().flat_map(|source| source.values());
        Ok(partitions.any(|partition| partition.removed > 0))
    }

    /// Its rows.
    pub fn provider(&self, slice: Slice<'_>) -> Result<Arc<dyn TableProvider>> {
        let table: Arc<dyn TableProvider> = match &self.pinned {
            Some((lake, base)) => {
                let table = IcebergProvider::new(lake, base, None)?;
                Arc::new(match (slice.from, &self.key) {
                    (Some(from), None) => table.only(Only::Newer { seq: from.seq, rev: from.rev }),
                    _ => table,
                })
            }
            None => Arc::new(EmptyTable::new(self.columns.clone())),
        };
        let made = match &self.key {
            None => self.accepted(table, slice),
            Some(key) => {
                self.loaded(table, slice.until).and_then(|t| history::view(&self.table, t, key))
            }
        };
        made.map_err(explain)
    }

    fn scan(&self, table: Arc<dyn TableProvider>) -> DfResult<LogicalPlanBuilder> {
        let name = TableReference::partial(&*self.table.namespace, &*self.table.name);
        LogicalPlanBuilder::scan(name, provider_as_source(table), None)
    }

    fn accepted(
        &self,
        table: Arc<dyn TableProvider>,
        slice: Slice<'_>,
    ) -> DfResult<Arc<dyn TableProvider>> {
        let schema = table.schema();
        let names = schema.fields().iter().map(|field| field.name());
        let kept = names.filter(|name| !OF_REJECTS.contains(&name.as_str()));
        let kept: Vec<Expr> =
            kept.map(|name| self.column(&schema, name)).collect::<DfResult<_>>()?;
        let mut plan = self.scan(table)?.filter(ident(column::ERROR).is_null())?;
        if let Some(until) = slice.until {
            plan = plan.filter(records(until))?;
        }
        if let Some(from) = slice.from {
            plan = plan.filter(not(records(from)))?;
        }
        if let Some(when) = slice.when {
            let kind = schema.field_with_name(column::EVENT_TIME)?.data_type();
            plan = plan.filter(within(column::EVENT_TIME, kind, when))?;
        }
        Ok(Arc::new(ViewTable::new(plan.project(kept)?.build()?, None)))
    }

    /// A column, of which what came before it was one stands in `_extra`.
    fn column(&self, schema: &SchemaRef, name: &str) -> DfResult<Expr> {
        let mut functions = self.promoted.iter();
        match functions.find(|function| promoted::column_of(function) == Some(name)) {
            None => Ok(ident(name)),
            Some(function) => {
                promoted::or_extra(function, name, schema.field_with_name(name)?.data_type())
            }
        }
    }

    fn loaded(
        &self,
        table: Arc<dyn TableProvider>,
        until: Option<&Root>,
    ) -> DfResult<Arc<dyn TableProvider>> {
        let Some(until) = until else { return Ok(table) };
        let loads = until.until.values().flat_map(|partitions| partitions.values()).max();
        let before = ident(column::LOAD).lt(lit(loads.copied().unwrap_or_default()));
        let plan = self.scan(table)?.filter(before)?.build()?;
        Ok(Arc::new(ViewTable::new(plan, None)))
    }
}

/// The condition that the time or date in `column` lies in one of `ranges`, as in [`Slice::when`]; the least and
/// the greatest number are no bounds.
pub fn within(column: &str, kind: &DataType, ranges: &[(i64, i64)]) -> Expr {
    let instant = |us: i64| match kind {
        DataType::Date32 => {
            let day = us.div_euclid(DAY_US);
            let beyond = if day < 0 { i32::MIN } else { i32::MAX };
            ScalarValue::Date32(Some(i32::try_from(day).unwrap_or(beyond)))
        }
        DataType::Timestamp(TimeUnit::Nanosecond, zone) => {
            ScalarValue::TimestampNanosecond(Some(us.saturating_mul(1_000)), zone.clone())
        }
        DataType::Timestamp(_, zone) => ScalarValue::TimestampMicrosecond(Some(us), zone.clone()),
        _ => ScalarValue::TimestampMicrosecond(Some(us), Some("UTC".into())),
    };
    let one = |(start, end): &(i64, i64)| {
        let after = (*start > i64::MIN).then(|| ident(column).gt_eq(lit(instant(*start))));
        let before = (*end < i64::MAX).then(|| ident(column).lt(lit(instant(*end))));
        conjunction(after.into_iter().chain(before)).unwrap_or_else(|| ident(column).is_not_null())
    };
    disjunction(ranges.iter().map(one)).unwrap_or(lit(false))
}

async fn pin(lake: Option<&Lake>, table: &TableName) -> Result<Option<(Lake, Base)>> {
    let Some(lake) = lake else { return Ok(None) };
    Ok(lake.table(table).await?.map(|base| (lake.clone(), base)))
}

/// The records that a vector has read.
fn records(until: &Root) -> Expr {
    let one = |source: &str, partition: i32, offset: i64| {
        // A source that is not of Kafka has no rows in a raw table.
        let short = SourceId::from_str(source).map(|id| id.short()).unwrap_or_default();
        ident(column::SOURCE)
            .eq(lit(short))
            .and(ident(column::PARTITION).eq(lit(partition)))
            .and(ident(column::OFFSET).lt(lit(offset)))
    };
    let each = until.until.iter().flat_map(|(source, partitions)| {
        partitions.iter().map(move |(partition, offset)| one(source, *partition, *offset))
    });
    let read = disjunction(each).unwrap_or(lit(false));
    let rev = ident(column::REV).lt_eq(lit(until.rev));
    conjunction([read, rev]).unwrap_or(lit(false))
}
