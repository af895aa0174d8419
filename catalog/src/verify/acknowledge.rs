//! Acknowledging what another engine deleted: its rows move from *rows* and *rejected* to
//! *removed*, with a reason, in a commit of their own.

use std::collections::BTreeMap;
use std::sync::Arc;

use iceberg::spec::Snapshot;
use serde::{Deserialize, Serialize};
use weir_contract::names::{TableName, key};
use weir_contract::progress::{Progress, Removed, Verdict};
use weir_contract::reference::source;

use super::{blame, counts, loads, rows_now};
use crate::commit::{Change, Committed, Decision, commit};
use crate::look::{chain, is_ours, no_table};
use crate::schema::is_reference;
use crate::seed::PARTITION;
use crate::{Base, CatalogError, Lake, Result};

/// The stage in summaries.
const STAGE: &str = "verify";
/// Times that another writer may get between the look and the commit.
const ATTEMPTS_MAX: usize = 10;

/// What was acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Acknowledged {
    /// The snapshot that deleted.
    pub snapshot: String,
    /// Accepted rows that moved to *removed*.
    pub rows: String,
    /// Rejected rows that moved to *removed*.
    pub rejected: String,
    /// Whether it had been acknowledged before: nothing was committed.
    pub already: bool,
}

/// An entry of the property `weir.acknowledged`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    snapshot: String,
    reason: String,
    /// RFC 3339.
    at: String,
    rows: String,
    rejected: String,
}

/// The snapshots whose deletions were acknowledged.
pub fn ids(base: &Base) -> Result<Vec<i64>> {
    Ok(entries(base)?.iter().filter_map(|entry| entry.snapshot.parse().ok()).collect())
}

fn entries(base: &Base) -> Result<Vec<Entry>> {
    let Some(text) = base.metadata().properties().get(key::ACKNOWLEDGED) else {
        return Ok(Vec::new());
    };
    serde_json::from_str(text).map_err(|e| {
        CatalogError::bad_data(format!(
            "the property {} of {} is damaged: {e}; restore it from an older metadata file",
            key::ACKNOWLEDGED,
            base.name
        ))
        .with_source(e)
    })
}

type Removals = BTreeMap<String, BTreeMap<i32, Removed>>;

/// Moves the rows that the foreign `snapshot` deleted, and that are missing still, from *rows* and
/// *rejected* to *removed*. Doing it again does nothing.
///
/// Errors: bad config (no such table or snapshot, one of ours, no reason), bad data (nothing of it
/// is missing; its parent has expired and others may have deleted too), and what `commit` says.
pub async fn acknowledge(
    lake: &Lake,
    name: &TableName,
    snapshot: i64,
    reason: &str,
) -> Result<Acknowledged> {
    if reason.trim().is_empty() {
        return Err(CatalogError::bad_config("an acknowledgement needs a reason"));
    }
    for _ in 0..ATTEMPTS_MAX {
        let base = lake.table(name).await?.ok_or_else(|| no_table(name))?;
        let past = entries(&base)?;
        if let Some(entry) = past.iter().find(|e| e.snapshot == snapshot.to_string()) {
            return Ok(Acknowledged {
                snapshot: entry.snapshot.clone(),
                rows: entry.rows.clone(),
                rejected: entry.rejected.clone(),
                already: true,
            });
        }
        let removals = removals(lake, &base, snapshot).await?;
        if let Some(done) = attempt(lake, base, past, snapshot, reason, &removals).await? {
            return Ok(done);
        }
    }
    Err(CatalogError::retry(format!(
        "others changed {name} {ATTEMPTS_MAX} times while it was read; run the command again"
    )))
}

/// One commit; none if the table changed since it was read in a way that may change the answer.
async fn attempt(
    lake: &Lake,
    base: Base,
    past: Vec<Entry>,
    snapshot: i64,
    reason: &str,
    removals: &Removals,
) -> Result<Option<Acknowledged>> {
    let sum = |of: fn(&Removed) -> i64| -> i64 {
        removals.values().flat_map(|p| p.values()).map(of).sum()
    };
    let entry = Entry {
        snapshot: snapshot.to_string(),
        reason: reason.to_string(),
        at: crate::look::as_of::show_time(lake.env.clock.now_ms()),
        rows: sum(|r| r.rows).to_string(),
        rejected: sum(|r| r.rejected).to_string(),
    };
    let done = Acknowledged {
        snapshot: entry.snapshot.clone(),
        rows: entry.rows.clone(),
        rejected: entry.rejected.clone(),
        already: false,
    };
    let mut all = past;
    all.push(entry);
    let property = serde_json::to_string(&all)
        .map_err(|e| CatalogError::bug("writing an acknowledgement").with_source(e))?;
    let change = Change {
        // The same for everyone who acknowledges this snapshot: two at once are one.
        commit_id: format!("acknowledge-{snapshot}"),
        stage: STAGE,
        properties: BTreeMap::from([(key::ACKNOWLEDGED.to_string(), property)]),
        summary: BTreeMap::from([(key::REASON.to_string(), reason.to_string())]),
        ..Change::default()
    };
    let seen = fingerprint(&base);
    let outcome = commit(lake, base, &change, &mut |now: &Base, progress: &Progress| {
        if fingerprint(now) != seen {
            return Decision::Decline(None);
        }
        match progress.remove(&change.commit_id, removals) {
            Verdict::Apply(next) => Decision::Advance(next),
            Verdict::Already => Decision::Decline(None),
            Verdict::Fenced(_) => Decision::Decline(None),
            Verdict::Invalid(why) => Decision::Decline(Some(why)),
        }
    })
    .await?;
    match outcome {
        Committed::Done(_) => Ok(Some(done)),
        Committed::Declined(None) => Ok(None),
        Committed::Declined(Some(why)) => Err(CatalogError::bad_data(format!(
            "the deletions of snapshot {snapshot} do not fit the table's counters: {why}; \
             `weir verify` shows what else is wrong"
        ))),
    }
}

/// What must not change between the look and the commit: foreign snapshots may bring rows back or
/// delete more, and acknowledgements are one list. Our own appends change nothing here.
fn fingerprint(base: &Base) -> (Vec<i64>, Option<String>) {
    let foreign = chain(base.metadata()).into_iter().filter(|s| !is_ours(s));
    let past = base.metadata().properties().get(key::ACKNOWLEDGED).cloned();
    (foreign.map(|s| s.snapshot_id()).collect(), past)
}

/// What `snapshot` deleted and is missing still, by full source id and partition.
async fn removals(lake: &Lake, base: &Base, snapshot: i64) -> Result<Removals> {
    let chain = chain(base.metadata());
    let foreign = check(base, &chain, snapshot)?;
    if base.metadata().properties().contains_key(key::MODEL) {
        return Err(CatalogError::bad_config(format!(
            "{} is made by a model: there is nothing to acknowledge, build it anew",
            base.name
        )));
    }
    if is_reference(base.metadata().current_schema()) {
        let Some(removed) = loads::removed(lake, base, foreign).await? else {
            return Err(nothing_missing(base, snapshot));
        };
        return Ok(Removals::from([(source(&base.name), [(PARTITION, removed)].into())]));
    }
    let present = rows_now(lake, base).await?.seen;
    let names = base.sources();
    let (progress, _) = base.known()?;
    let (_, lacks) = counts::compare(&base.name, &progress, &names, &present);
    let acknowledged = ids(base)?;
    let parent_stands = foreign
        .parent_snapshot_id()
        .is_some_and(|parent| base.metadata().snapshot_by_id(parent).is_some());
    let mut removals = Removals::new();
    if parent_stands {
        let deletions = blame::deletions(lake, base, &present, &acknowledged).await?;
        let gone = deletions.into_iter().find(|d| d.snapshot == snapshot).map(|d| d.gone);
        for (key, seen) in gone.unwrap_or_default() {
            let Some(lack) = lacks.get(&key) else { continue };
            let count = |set: &roaring::RoaringTreemap| {
                i64::try_from(set.intersection_len(&lack.holes)).unwrap_or(i64::MAX)
            };
            let removed = Removed { rows: count(&seen.accepted), rejected: count(&seen.rejected) };
            removals.entry(lack.source.clone()).or_default().insert(key.1, removed);
        }
    } else {
        let others = chain.iter().filter(|s| !is_ours(s) && s.snapshot_id() != snapshot);
        let others: Vec<i64> = others.map(|s| s.snapshot_id()).collect();
        if others.iter().any(|id| !acknowledged.contains(id)) {
            return Err(CatalogError::bad_data(format!(
                "the parent of snapshot {snapshot} has expired, so that its deletions cannot be \
                 told from those of {}; acknowledge these first, then this one",
                list(&others)
            )));
        }
        // Only this one is left: what the counters lack is its doing.
        for (key, lack) in &lacks {
            let removed = Removed { rows: lack.rows.max(0), rejected: lack.rejected.max(0) };
            removals.entry(lack.source.clone()).or_default().insert(key.1, removed);
        }
    }
    let empty = removals.values().flat_map(|p| p.values()).all(|r| r.rows + r.rejected == 0);
    if empty {
        return Err(nothing_missing(base, snapshot));
    }
    Ok(removals)
}

fn nothing_missing(base: &Base, snapshot: i64) -> CatalogError {
    CatalogError::bad_data(format!(
        "snapshot {snapshot} deleted no row of {} that is missing now; there is nothing to \
         acknowledge",
        base.name
    ))
}

fn list(ids: &[i64]) -> String {
    ids.iter().map(i64::to_string).collect::<Vec<_>>().join(", ")
}

/// The snapshot, if it is a foreign one of the current chain.
fn check<'a>(base: &Base, chain: &[&'a Arc<Snapshot>], snapshot: i64) -> Result<&'a Arc<Snapshot>> {
    let name = &base.name;
    let Some(found) = chain.iter().find(|s| s.snapshot_id() == snapshot) else {
        let message = match base.metadata().snapshot_by_id(snapshot) {
            Some(_) => format!(
                "snapshot {snapshot} is not in the history of the current snapshot of {name}: it \
                 was rolled back, and what it deleted is not missing by it"
            ),
            None => format!(
                "{name} has no standing snapshot {snapshot}; `weir snapshots {name}` lists them"
            ),
        };
        return Err(CatalogError::bad_config(message));
    };
    if is_ours(found) {
        return Err(CatalogError::bad_config(format!(
            "snapshot {snapshot} of {name} is weir's own, which counts what it deletes"
        )));
    }
    Ok(found)
}
