//! Reference tables: is every row of every load there, and at each instant at most one of a key?
//!
//! Their positions are loads (`_load`), of which each brought as many rows as it needed; so rows are
//! counted by load, and compared with the table's counters and with what standing snapshots added.

use std::collections::BTreeMap;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use datafusion::prelude::SessionContext;
use iceberg::spec::{Operation, Snapshot};
use roaring::RoaringTreemap;
use weir_contract::names::{column, key};
use weir_contract::progress::{Partition, Progress, Removed};
use weir_contract::reference::source;

use super::files::{self, Structure};
use super::offsets::{holes, range};
use super::report::{Finding, Kind};
use crate::create::reference_key;
use crate::look::{chain, number, text};
use crate::seed::PARTITION;
use crate::session::{explain, history};
use crate::{Base, CatalogError, Lake, Result};

/// What was found in a reference table.
pub struct Looked {
    pub structure: Structure,
    pub rows: u64,
    pub findings: Vec<Finding>,
}

/// Looks at the rows of the current snapshot; `claim` is what the table's progress says, none where
/// that cannot be told.
///
/// Errors: bad config if the table is not one of ours; what says nothing about the table.
pub async fn look(lake: &Lake, base: &Base, claim: Option<&Progress>) -> Result<Looked> {
    let key = key_of(base)?;
    let structure = files::structure(lake, base).await?;
    let mut looked = Looked { structure, rows: 0, findings: Vec::new() };
    match rows(lake, base, &key).await {
        Ok((loads, findings)) => {
            looked.rows = loads.values().sum();
            looked.findings = findings;
            if let Some(progress) = claim {
                looked.findings.extend(compare(base, progress, &loads));
            }
        }
        Err(e) => looked.findings.push(files::as_finding(e, base, Kind::FileUnreadable)?),
    }
    Ok(looked)
}

/// The rows that are gone by the counters, as far as `snapshot` can have deleted them.
pub async fn removed(lake: &Lake, base: &Base, snapshot: &Snapshot) -> Result<Option<Removed>> {
    let (loads, _) = rows(lake, base, &key_of(base)?).await?;
    let (progress, _) = base.known()?;
    let claim = claim(base, &progress).unwrap_or_default();
    let lack = claim.rows - inside(&claim, &loads);
    let count = |of: &str| number(snapshot, of).unwrap_or(0);
    let deleted = count("deleted-records") - count("added-records");
    let rows = lack.min(deleted);
    Ok((rows > 0).then_some(Removed { rows, rejected: 0 }))
}

fn key_of(base: &Base) -> Result<Vec<String>> {
    reference_key(base).ok_or_else(|| {
        CatalogError::bad_config(format!(
            "{} has no property {} that names its key: weir did not make it, or another engine \
             removed it; restore it",
            base.name,
            key::REFERENCE_KEY
        ))
    })
}

fn claim(base: &Base, progress: &Progress) -> Option<Partition> {
    progress.sources.get(&source(&base.name))?.get(&PARTITION).copied()
}

/// Rows by load; those without a load stand under -1.
type Loads = BTreeMap<i64, u64>;

async fn rows(lake: &Lake, base: &Base, key: &[String]) -> Result<(Loads, Vec<Finding>)> {
    let context = history::session(lake, base, key)?;
    let load = column::LOAD;
    let sql = format!("select coalesce({load}, -1), count(*) from loaded group by 1");
    let mut loads = Loads::new();
    for [load, count] in pairs(&context, &sql).await? {
        *loads.entry(load.max(-1)).or_default() += count.unsigned_abs();
    }
    let key = key.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
    let (from, to) = (column::VALID_FROM, column::VALID_TO);
    let mut findings = Vec::new();
    let sql = format!(
        "select {load}, count(*) from (select {load}, count(*) as n from loaded \
         group by {key}, {from}, {load}) where n > 1 group by 1"
    );
    let doubled = pairs(&context, &sql).await?;
    if !doubled.is_empty() {
        let message = "a load has several rows of one key and valid_from";
        let finding = Finding::new(Kind::LoadRows, &base.name, message);
        findings.push(finding.offsets(&set(doubled.iter().map(|[load, _]| *load))));
    }
    let sql = format!(
        "select coalesce({load}, -1), count(*) from (select {load}, {to}, lead({from}) over \
         (partition by {key} order by {from}) as next from history) \
         where next is not null and ({to} is null or {to} > next) group by 1"
    );
    let overlapping = pairs(&context, &sql).await?;
    if !overlapping.is_empty() {
        let count: i64 = overlapping.iter().map(|[_, count]| count).sum();
        let message = format!("{count} rows that count overlap the next of their key");
        let finding = Finding::new(Kind::IntervalsOverlap, &base.name, message);
        findings.push(finding.offsets(&set(overlapping.iter().map(|[load, _]| *load))));
    }
    Ok((loads, findings))
}

async fn pairs(context: &SessionContext, sql: &str) -> Result<Vec<[i64; 2]>> {
    let batches = match context.sql(sql).await {
        Ok(frame) => frame.collect().await.map_err(explain)?,
        Err(e) => return Err(explain(e)),
    };
    let mut pairs = Vec::new();
    for batch in &batches {
        let of = |column: usize| batch.column(column).as_primitive::<Int64Type>().values();
        pairs.extend(of(0).iter().zip(of(1)).map(|(a, b)| [*a, *b]));
    }
    Ok(pairs)
}

/// The loads against the counters.
fn compare(base: &Base, progress: &Progress, loads: &Loads) -> Vec<Finding> {
    let name = source(&base.name);
    let find = |kind, message: String| Finding::new(kind, &base.name, message).at(&name, PARTITION);
    let mut findings = Vec::new();
    if let Some(count) = loads.get(&-1) {
        let message = format!("{count} rows have no load");
        findings.push(find(Kind::RowWithoutPosition, message));
    }
    let claim = claim(base, progress).unwrap_or_default();
    let found = set(loads.keys().copied());
    let claimed = range(claim.start, claim.until);
    let outside = &found - &claimed;
    if !outside.is_empty() {
        let message = format!(
            "rows name {} loads outside of {} until {}",
            outside.len(),
            claim.start,
            claim.until
        );
        findings.push(find(Kind::OffsetOutside, message).offsets(&outside));
    }
    let held = inside(&claim, loads);
    if held != claim.rows {
        let mut other = holes(claim.start, claim.until, &found);
        other |= set(brought(base).into_iter().filter_map(|(load, rows)| {
            (claimed.contains(load.unsigned_abs()) && loads.get(&load) != Some(&rows))
                .then_some(load)
        }));
        let message = format!(
            "the table holds {held} rows of its loads, its counters say {}; the loads named have \
             other rows than they brought, as far as their snapshots stand",
            claim.rows
        );
        findings.push(find(Kind::LoadRows, message).offsets(&other));
    }
    findings
}

/// Rows of the loads that the table claims.
fn inside(claim: &Partition, loads: &Loads) -> i64 {
    let rows: u64 = loads.range(claim.start.max(0)..claim.until).map(|(_, rows)| rows).sum();
    i64::try_from(rows).unwrap_or(i64::MAX)
}

/// Rows that loads added, by their snapshots that stand.
fn brought(base: &Base) -> BTreeMap<i64, u64> {
    let one = |snapshot: &&std::sync::Arc<Snapshot>| {
        // Compaction adds what loads brought before.
        if snapshot.summary().operation != Operation::Append {
            return None;
        }
        let heads = Progress::from_heads(text(snapshot, key::HEADS)?).ok()?;
        let rows = number(snapshot, "added-records").filter(|rows| *rows > 0)?;
        Some((claim(base, &heads)?.until - 1, rows.unsigned_abs()))
    };
    chain(base.metadata()).iter().filter_map(one).collect()
}

fn set(loads: impl Iterator<Item = i64>) -> RoaringTreemap {
    loads.filter(|load| *load >= 0).map(i64::unsigned_abs).collect()
}
