//! Rolling a table back, or forward again: its branch and its progress in one commit, so that whoever
//! writes it finds the head of the state that it has.

mod effects;

use std::collections::HashMap;

use iceberg::TableUpdate;
use iceberg::spec::MAIN_BRANCH;
use serde::{Serialize, Serializer};
use weir_contract::names::{TableName, key};
use weir_contract::progress::{Progress, Truth, resolve};

pub use effects::Effect;

use crate::commit::alter::{Alter, Altered, alter};
use crate::commit::keep::{ladder, tag_updates};
use crate::commit::prepare::main_branch;
use crate::look::which::{Found, Which, find};
use crate::look::{as_text, chain, no_table};
use crate::{Base, CatalogError, Lake, Result};

/// A rollback as it would be, on one version of the table.
#[derive(Debug, Clone, Serialize)]
pub struct Rollback {
    /// The table.
    #[serde(serialize_with = "as_text")]
    pub table: TableName,
    /// The current snapshot.
    #[serde(serialize_with = "as_text")]
    pub from: i64,
    /// The one to be current.
    pub to: Found,
    /// Snapshots of the current history that are no longer a part of it.
    pub undone: usize,
    /// What becomes of the partitions; none where the table's progress cannot be told as it is.
    pub effects: Option<Vec<Effect>>,
    /// The greatest `_rev` as it is and afterwards: what was redriven between is rejected again.
    #[serde(serialize_with = "pair")]
    pub rev: Option<(i32, i32)>,
    #[serde(skip)]
    base: Base,
}

/// What a rollback of the table to a state would do.
///
/// Errors: bad config (no such table or state), bad data (that state's progress cannot be told).
pub async fn plan(lake: &Lake, table: &TableName, to: &Which) -> Result<Rollback> {
    let base = lake.table(table).await?.ok_or_else(|| no_table(table))?;
    let from = find(&base, &Which::Current)?.snapshot;
    let to = find(&base, to)?;
    let then = progress_at(&base, to.snapshot)?;
    let now = base.progress().ok();
    let metadata = base.metadata();
    let history: Vec<i64> = chain(metadata).iter().map(|s| s.snapshot_id()).collect();
    let undone = history.iter().position(|id| *id == to.snapshot).unwrap_or(history.len());
    Ok(Rollback {
        table: table.clone(),
        from,
        to,
        undone,
        effects: now.as_ref().map(|now| effects::effects(now, &then)),
        rev: now.map(|now| (now.rev, then.rev)),
        base,
    })
}

impl Rollback {
    /// Whether the table is there already.
    pub fn is_done(&self) -> bool {
        self.from == self.to.snapshot
    }

    /// Does it. What was committed since the plan was made is undone with the rest.
    ///
    /// Errors: bad data (the state has expired meanwhile), and those of a commit.
    pub async fn run(self, lake: &Lake) -> Result<Base> {
        let (from, to) = (self.from, self.to.snapshot);
        let what = format!("rollback to snapshot {to}");
        let Altered { base, .. } =
            alter(lake, self.base, &what, &mut |base| decide(lake, base, from, to)).await?;
        Ok(base)
    }
}

/// Where `from` is no longer a part of the history, and `to` is, it is done: somebody may have
/// committed on top of it.
fn decide(lake: &Lake, base: &Base, from: i64, to: i64) -> Result<Alter> {
    let metadata = base.metadata();
    let history: Vec<i64> = chain(metadata).iter().map(|s| s.snapshot_id()).collect();
    let is_done =
        history.first() == Some(&to) || (history.contains(&to) && !history.contains(&from));
    if is_done {
        return Ok(Alter::Nothing);
    }
    find(base, &Which::Snapshot(to))?;
    let progress = progress_at(base, to)?.to_json();
    // What is undone was the table's state when the last hour ended; tags keep that too.
    let now_ms = lake.env.clock.now_ms().max(metadata.last_updated_ms() + 1);
    let mut updates = tag_updates(&ladder(lake, base, now_ms));
    updates.push(TableUpdate::SetSnapshotRef {
        ref_name: MAIN_BRANCH.into(),
        reference: main_branch(base, to),
    });
    let progress = HashMap::from([(key::PROGRESS.to_string(), progress)]);
    updates.push(TableUpdate::SetProperties { updates: progress });
    Ok(Alter::Updates(updates))
}

/// The progress of the table once `snapshot` is current, by the truth rule.
fn progress_at(base: &Base, snapshot: i64) -> Result<Progress> {
    let facts = base.facts();
    match resolve(&weir_contract::progress::TableFacts { current: Some(snapshot), ..facts }) {
        Truth::Property(progress) | Truth::Summary { progress, .. } => Ok(progress),
        Truth::Empty => Ok(Progress::default()),
        Truth::Unknowable(why) => Err(CatalogError::bad_data(format!(
            "table {} is not rolled back to snapshot {snapshot}: there {why}",
            base.name
        ))),
        Truth::Refused(e) => {
            Err(CatalogError::bad_config(format!("table {}: {e}", base.name)).with_source(e))
        }
    }
}

fn pair<S: Serializer>(pair: &Option<(i32, i32)>, to: S) -> Result<S::Ok, S::Error> {
    pair.map(|(now, then)| [now, then]).serialize(to)
}

#[cfg(test)]
mod tests;
