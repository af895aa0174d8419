//! Files of rejected rows, written anew and swapped for the old ones in one commit.

use std::collections::BTreeMap;

use futures::TryStreamExt;
use weir_catalog::commit::{Change, Committed, Decision, commit};
use weir_catalog::error::{CatalogError, Result};
use weir_catalog::files::NewFile;
use weir_catalog::scan::file;
use weir_catalog::sought::{self, Found};
use weir_catalog::{Base, Lake};
use weir_contract::progress::{Accepted, Progress, Verdict};

use super::event::RedriveEvent;
use super::judge::Judge;
use super::{Attempt, STAGE};
use crate::writer::DayWriter;

/// Bytes that the encoders may hold before their files are put.
const ENCODED_BYTES: usize = 64 << 20;

/// Why a redrive begins anew.
pub const REWROTE: &str = "another engine rewrote files that were read";

/// Writes the rows of `files`, judged anew, as files of their days. They are durable then, and
/// nobody's.
pub async fn write(
    lake: &Lake,
    base: &Base,
    files: &[Found],
    judge: &mut Judge<'_>,
) -> Result<Vec<NewFile>> {
    let now_us = lake.env.clock.now_ms() * 1000;
    let schema = base.schema()?;
    let mut writer = DayWriter::new(lake.format.clone(), schema.clone());
    let mut added = Vec::new();
    for found in files {
        let mut rows = file::rows(lake, base, found).await?;
        while let Some(batch) = rows.try_next().await? {
            let judged = judge.judge(&batch, now_us)?;
            for chunk in judged.accepted {
                writer.write(chunk)?;
            }
            writer.write(judged.kept)?;
            if writer.memory() >= ENCODED_BYTES {
                let full = DayWriter::new(lake.format.clone(), schema.clone());
                put(lake, base, std::mem::replace(&mut writer, full), &mut added).await?;
            }
        }
    }
    put(lake, base, writer, &mut added).await?;
    Ok(added)
}

async fn put(lake: &Lake, base: &Base, writer: DayWriter, added: &mut Vec<NewFile>) -> Result<()> {
    for encoded in writer.finish()? {
        added.push(lake.put_data_file(base, encoded).await?);
    }
    Ok(())
}

/// What a commit swaps.
pub struct Rewritten<'a> {
    /// The revision of the rows that are accepted now.
    pub rev: i32,
    /// The files that are replaced.
    pub files: &'a [Found],
    /// Rows that are accepted now, by short source id and partition.
    pub moved: &'a BTreeMap<(String, i32), i64>,
}

/// Why a base does not take the commit.
enum Refusal {
    /// Something other than appends happened since the files were read.
    Changed,
    /// Another redrive took the revision.
    Revision,
    /// The table's counters do not allow it.
    Counters(String),
}

impl Rewritten<'_> {
    /// Commits `added` in the place of the files. `base` is the one that they were read on.
    pub async fn commit(
        &self,
        lake: &Lake,
        base: Base,
        added: Vec<NewFile>,
        listen: &mut dyn FnMut(&RedriveEvent),
    ) -> Result<Attempt> {
        let accepted = self.accepted(&base)?;
        let change = Change {
            commit_id: lake.env.ids.uuid().to_string(),
            stage: STAGE,
            added,
            removed: self.files.iter().map(|found| found.path().to_string()).collect(),
            ..Change::default()
        };
        let commit_id = change.commit_id.clone();
        listen(&RedriveEvent::CommitStarted { commit_id, files: self.files.len() });
        let mut base = base;
        loop {
            let name = base.name.clone();
            let read_on = base.metadata().current_snapshot_id();
            let decide = &mut |now: &Base, progress: &Progress| {
                self.decide(now, read_on, progress, &change.commit_id, &accepted)
            };
            match commit(lake, base, &change, decide).await? {
                Committed::Done(receipt) => {
                    listen(&RedriveEvent::Committed {
                        commit_id: change.commit_id,
                        snapshot_id: receipt.snapshot_id,
                        rev: self.rev,
                        accepted: self.moved.values().sum(),
                        conflicts: receipt.conflicts,
                        unknowns: receipt.unknowns,
                    });
                    let files = change.added.iter().map(|new| new.path().to_string()).collect();
                    return Ok(Attempt::Done(receipt, self.rev, files));
                }
                Committed::Declined(Refusal::Revision) => {
                    return Ok(Attempt::Lost("another redrive was faster".into()));
                }
                Committed::Declined(Refusal::Counters(why)) => {
                    return Err(CatalogError::bad_data(format!(
                        "the rejected rows of {name} do not fit its counters: {why}; `weir verify` \
                         shows what is wrong"
                    )));
                }
                Committed::Declined(Refusal::Changed) => {}
            }
            let gone = || CatalogError::bad_data(format!("table {name} was dropped meanwhile"));
            base = lake.table(&name).await?.ok_or_else(gone)?;
            if !sought::still_stand(lake, &base, self.files).await? {
                return Ok(Attempt::Lost(REWROTE.into()));
            }
        }
    }

    fn decide(
        &self,
        now: &Base,
        read_on: Option<i64>,
        progress: &Progress,
        commit_id: &str,
        accepted: &Accepted,
    ) -> Decision<Refusal> {
        if progress.rev.saturating_add(1) != self.rev {
            return Decision::Decline(Refusal::Revision);
        }
        if !now.only_appended_since(read_on) {
            return Decision::Decline(Refusal::Changed);
        }
        match progress.redrive(commit_id, self.rev, accepted) {
            Verdict::Apply(next) => Decision::Advance(next),
            Verdict::Invalid(why) => Decision::Decline(Refusal::Counters(why)),
            // The commit layer looks for the id first, and no head moves.
            Verdict::Already | Verdict::Fenced(_) => Decision::Decline(Refusal::Changed),
        }
    }

    /// The counters by full source ids.
    fn accepted(&self, base: &Base) -> Result<Accepted> {
        let names = base.sources();
        let mut accepted = Accepted::new();
        for ((short, partition), count) in self.moved {
            let Some(source) = names.get(short) else {
                return Err(CatalogError::bad_data(format!(
                    "rows of {} name the source {short:?}, which the table does not know; `weir \
                     verify` shows more",
                    base.name
                )));
            };
            accepted.entry(source.clone()).or_default().insert(*partition, *count);
        }
        Ok(accepted)
    }
}
