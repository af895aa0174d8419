//! `weir verify`: is every record that the table claims there exactly once?
//!
//! Everything is checked against what is really stored: manifests, files and their footers, and the
//! offsets of all rows (five columns are read, a bit per offset is kept). What is found is a
//! [`Finding`] of a closed list; a foreign deletion stays one until [`acknowledge`] records why.

mod acknowledge;
mod blame;
mod counts;
mod derived;
mod files;
mod loads;
pub mod offsets;
mod report;
mod rows;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use weir_contract::names::{TableName, column, key};
use weir_contract::progress::{Partition, Progress, Recovery, Truth};

pub use acknowledge::{Acknowledged, acknowledge};
pub use report::{Finding, Kind, VerifyReport};

use crate::look::{chain, is_ours, no_table, text};
use crate::scan::plan::LiveFile;
use crate::schema::is_reference;
use crate::sought::Found;
use crate::{Base, CatalogError, Lake, Result};
use files::Structure;
use offsets::Seen;
use rows::Positions;

/// How to verify.
#[derive(Debug, Clone)]
pub struct VerifyOptions {
    /// Data files read at the same time.
    pub files_at_once: usize,
}

impl Default for VerifyOptions {
    fn default() -> VerifyOptions {
        VerifyOptions { files_at_once: 4 }
    }
}

/// Verifies the current snapshot of a raw or reference table.
///
/// Errors: bad config (no such table, neither of the two, written by a newer Weir), denied and retry
/// (the storage could not be asked). What is wrong with the table is in the report.
pub async fn verify(
    lake: &Lake,
    name: &TableName,
    options: &VerifyOptions,
) -> Result<VerifyReport> {
    let base = lake.table(name).await?.ok_or_else(|| no_table(name))?;
    let (progress, mut findings) = progress(&base)?;
    let partitions = progress.iter().flat_map(|p| p.sources.values()).flat_map(|p| p.values());
    let offsets: u64 = partitions.map(|p| p.until.saturating_sub(p.start).unsigned_abs()).sum();
    if base.metadata().properties().contains_key(key::MODEL) {
        let looked = derived::look(lake, &base, progress.as_ref()).await?;
        findings.extend(looked.findings);
        return Ok(report(lake, &base, looked.structure, looked.rows, 0, findings));
    }
    if is_reference(base.metadata().current_schema()) {
        let looked = loads::look(lake, &base, progress.as_ref()).await?;
        findings.extend(looked.findings);
        return Ok(report(lake, &base, looked.structure, looked.rows, offsets, findings));
    }
    let scan = scan(lake, &base, options).await?;
    findings.extend(scan.findings);
    if let Some(progress) = &progress {
        let seen = &scan.positions.seen;
        let (found, lacks) = counts::compare(name, progress, &base.sources(), seen);
        findings.extend(found);
        findings.extend(rev_ahead(name, progress, &scan.positions));
        if !lacks.is_empty() {
            let acknowledged = acknowledge::ids(&base)?;
            let deletions = blame::deletions(lake, &base, seen, &acknowledged).await?;
            findings.extend(counts::explain(name, &lacks, &deletions));
        }
    } else {
        findings.extend(doubled(name, &scan.positions));
    }
    Ok(report(lake, &base, scan.structure, scan.positions.rows, offsets, findings))
}

fn report(
    lake: &Lake,
    base: &Base,
    structure: Structure,
    rows: u64,
    offsets: u64,
    mut findings: Vec<Finding>,
) -> VerifyReport {
    findings.extend(structure.findings);
    findings.sort_by_key(|f| f.kind);
    VerifyReport {
        table: base.name.clone(),
        snapshot: base.metadata().current_snapshot_id(),
        at_ms: lake.env.clock.now_ms(),
        rows,
        files: structure.count,
        bytes: structure.bytes,
        offsets,
        ok: findings.is_empty(),
        findings,
    }
}

/// The offsets of the rows in a file, by short source id and partition.
///
/// Errors: bad data if the file is not there or cannot be read.
pub async fn positions(
    lake: &Lake,
    base: &Base,
    found: &Found,
) -> Result<BTreeMap<(String, i32), Seen>> {
    let read = rows::read(lake, base, &found.file, found.deletes.clone()).await?;
    Ok(read.positions.seen)
}

/// The vector that counts, and what is wrong with how the table says it.
fn progress(base: &Base) -> Result<(Option<Progress>, Vec<Finding>)> {
    let found = |kind, message: String| Finding::new(kind, &base.name, message);
    Ok(match base.truth() {
        Truth::Empty => (Some(Progress::default()), vec![]),
        Truth::Property(progress) => {
            let findings = differs(base, &progress).into_iter().collect();
            (Some(progress), findings)
        }
        Truth::Summary { progress, snapshot, why } => {
            let (kind, other) = match &why {
                Recovery::PropertyMissing => (Kind::ProgressMissing, None),
                Recovery::PropertyDamaged(_) => (Kind::ProgressDamaged, None),
                Recovery::RolledBack { from } => (Kind::RolledBack, Some(*from)),
                Recovery::PropertyStale { names } => (Kind::ProgressStale, Some(*names)),
            };
            let message = format!("{why}; the progress is taken from snapshot {snapshot}");
            let mut finding = found(kind, message);
            finding.snapshot = other;
            (Some(progress), vec![finding])
        }
        Truth::Unknowable(why) => (None, vec![found(Kind::ProgressUnknowable, why)]),
        Truth::Refused(newer) => return Err(CatalogError::bad_config(newer.to_string())),
    })
}

/// Whether the property says something else than the newest summary of ours in the chain.
fn differs(base: &Base, property: &Progress) -> Option<Finding> {
    let newest = chain(base.metadata()).into_iter().find(|s| is_ours(s))?;
    let id = newest.snapshot_id();
    let found = |message: String| {
        Some(Finding::new(Kind::ProgressDiffers, &base.name, message).snapshot(id))
    };
    if property.snapshot != id {
        return found(format!(
            "{} names snapshot {}, weir's newest is {id}",
            key::PROGRESS,
            property.snapshot
        ));
    }
    let summary = match text(newest, key::HEADS).map(Progress::from_heads) {
        None => return found(format!("snapshot {id} has no {}", key::HEADS)),
        Some(Err(e)) => return found(format!("{e}, in snapshot {id}")),
        Some(Ok(summary)) => summary,
    };
    if property.rev != summary.rev {
        return found(format!(
            "{} says revision {}, {} of snapshot {id} says {}",
            key::PROGRESS,
            property.rev,
            key::HEADS,
            summary.rev
        ));
    }
    let made = |p: &Progress| p.derived.as_ref().map(|d| (d.rows, d.roots.len()));
    let same = match (&summary.derived, &property.derived) {
        (Some(summary), Some(property)) => {
            summary.rows == property.rows && summary.reads_as(property)
        }
        (summary, property) => summary.is_none() && property.is_none(),
    };
    if !same {
        return found(format!(
            "{} says that the table was made of other rows ({:?}) than {} of snapshot {id} ({:?})",
            key::PROGRESS,
            made(property),
            key::HEADS,
            made(&summary)
        ));
    }
    for (source, partition) in places(&summary).chain(places(property)) {
        let of = |p: &Progress| p.sources.get(source).and_then(|s| s.get(&partition)).copied();
        let (said, was) = (of(property), of(&summary));
        if said != was {
            let message = format!(
                "{} says {}, {} of snapshot {id} says {}",
                key::PROGRESS,
                shown(said),
                key::HEADS,
                shown(was)
            );
            return found(message).map(|f| f.at(source, partition));
        }
    }
    None
}

fn places(progress: &Progress) -> impl Iterator<Item = (&str, i32)> {
    let of = |(source, partitions)| {
        let partitions: &BTreeMap<i32, Partition> = partitions;
        let source: &String = source;
        partitions.keys().map(move |p| (source.as_str(), *p))
    };
    progress.sources.iter().flat_map(of)
}

fn shown(partition: Option<Partition>) -> String {
    match partition {
        None => "nothing".to_string(),
        Some(p) => format!(
            "{}..{} with {} rows, {} rejected, {} absent, {} lost, {} removed",
            p.start, p.until, p.rows, p.rejected, p.absent, p.lost, p.removed
        ),
    }
}

/// What the current snapshot really holds.
struct Scan {
    structure: Structure,
    positions: Positions,
    findings: Vec<Finding>,
}

async fn scan(lake: &Lake, base: &Base, options: &VerifyOptions) -> Result<Scan> {
    let schema = base.metadata().current_schema();
    for name in [column::SOURCE, column::PARTITION, column::OFFSET] {
        if schema.field_id_by_name(name).is_none() {
            return Err(CatalogError::bad_config(format!(
                "{} has no column {name}: it is not a raw table, which is what can be verified",
                base.name
            )));
        }
    }
    let structure = files::structure(lake, base).await?;
    let (mut positions, mut findings) = (Positions::default(), Vec::new());
    let shared = Arc::new((lake.clone(), base.clone()));
    let reads = structure.files.clone().into_iter().map(|file| {
        let shared = shared.clone();
        let deletes = structure.deletes.get(file.path()).cloned().unwrap_or_default();
        // Tasks of their own, so that files are decoded in parallel.
        let task = async move { (rows::read(&shared.0, &shared.1, &file, deletes).await, file) };
        async move { tokio::spawn(task).await }
    });
    let mut reads =
        futures::stream::iter(reads.collect::<Vec<_>>()).buffered(options.files_at_once.max(1));
    let died = |e: tokio::task::JoinError| CatalogError::bug("reading a file died").with_source(e);
    while let Some((read, file)) = reads.try_next().await.map_err(died)? {
        match read {
            Ok(read) => {
                findings.extend(row_count(base, &file, read.footer_rows));
                positions.merge(read.positions);
            }
            Err(e) => {
                let finding = files::as_finding(e, base, Kind::FileUnreadable)?;
                findings.push(finding.file(file.path()));
            }
        }
    }
    drop(reads);
    if positions.without > 0 {
        let message = format!("{} rows have no source, partition or offset", positions.without);
        findings.push(Finding::new(Kind::RowWithoutPosition, &base.name, message));
    }
    Ok(Scan { structure, positions, findings })
}

fn row_count(base: &Base, file: &LiveFile, footer: u64) -> Option<Finding> {
    let said = file.entry.record_count();
    (said != footer).then(|| {
        let message = format!("the manifest says {said} rows, the file has {footer}");
        Finding::new(Kind::FileRows, &base.name, message).file(file.path())
    })
}

/// Rows of a revision that the table does not claim: whoever reads deltas by `_rev` misses them.
fn rev_ahead(table: &TableName, progress: &Progress, found: &Positions) -> Option<Finding> {
    (found.rev_max > progress.rev).then(|| {
        let message = format!(
            "rows have the revision {}, the table's progress knows {}",
            found.rev_max, progress.rev
        );
        Finding::new(Kind::RevAhead, table, message)
    })
}

/// Doubled offsets, where there is no vector to compare with.
fn doubled<'a>(table: &'a TableName, found: &'a Positions) -> impl Iterator<Item = Finding> + 'a {
    found.seen.iter().filter(|(_, seen)| !seen.doubled.is_empty()).map(|((source, p), seen)| {
        let message = format!("{} offsets have more than one row", seen.doubled.len());
        Finding::new(Kind::OffsetDoubled, table, message).at(source, *p).offsets(&seen.doubled)
    })
}

/// The rows of the current snapshot, for `acknowledge`. Damage is an error there.
async fn rows_now(lake: &Lake, base: &Base) -> Result<Positions> {
    let scan = scan(lake, base, &VerifyOptions::default()).await?;
    let damage = scan.structure.findings.iter().chain(&scan.findings).find(|f| {
        matches!(
            f.kind,
            Kind::ManifestListMissing
                | Kind::ManifestMissing
                | Kind::FileMissing
                | Kind::FileUnreadable
        )
    });
    match damage {
        Some(finding) => Err(CatalogError::bad_data(format!(
            "{} is damaged ({}: {}); repair that first: a row that cannot be read is not one that \
             was deleted",
            base.name, finding.kind, finding.message
        ))),
        None => Ok(scan.positions),
    }
}
