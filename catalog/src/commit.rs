//! The one way by which a table moves.
//!
//! A commit is one compare-and-swap on exactly the base that was read, and whether it may be made
//! is decided on that base, at every attempt. After an outcome that is not known, the commit's id
//! is looked for before anything else. Data files and manifests are never deleted here; a
//! metadata file only when it fell off the metadata log by a commit that is known to have landed.

pub(crate) mod alter;
pub(crate) mod keep;
pub(crate) mod prepare;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use iceberg::spec::Schema;
use object_store::ObjectStoreExt;
use weir_contract::class::ErrorClass;
use weir_contract::coverage::Coverage;
use weir_contract::names::key;
use weir_contract::progress::Progress;

use prepare::prepare;

use crate::backend::Outcome;
use crate::error::{CatalogError, Result};
use crate::files::NewFile;
use crate::table::{Base, Lake};

/// Attempts in a row that may fail with `retry` before the error is the caller's.
const FAILURES_MAX: u32 = 3;
const CONFLICT_PAUSE: Duration = Duration::from_millis(10);
const UNKNOWN_PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(10);
const DELETE_AFTER_COMMIT: &str = "write.metadata.delete-after-commit.enabled";

/// What is to be committed, whatever the base.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// Names the commit: two commits with one id are one commit.
    pub commit_id: String,
    /// The stage that commits, for the summary.
    pub stage: &'static str,
    /// Durable files to add.
    pub added: Vec<NewFile>,
    /// Locations of files to remove; all must be in the table.
    pub removed: Vec<String>,
    /// Whether the table's rows stay what they are.
    pub rewrite: Rewrite,
    /// The schema that the added files have, if it is not the table's: it becomes the table's.
    pub schema: Option<Schema>,
    /// Table properties to set besides the progress.
    pub properties: BTreeMap<String, String>,
    /// What the commit lets be known of the topic.
    pub coverage: Option<Coverage>,
    /// Entries of the snapshot's summary besides ours.
    pub summary: BTreeMap<String, String>,
}

/// Whether a change leaves the rows as they are: then its snapshot's operation is `replace`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Rewrite {
    /// Rows come or go.
    #[default]
    No,
    /// The added files hold the rows of the removed ones, no more and no less.
    Files,
    /// No file comes or goes; the manifests are written anew, clustered by partition.
    Manifests,
}

/// What the caller makes of a base.
#[derive(Debug)]
pub enum Decision<D> {
    /// Commit, and be at this progress; snapshot and sequence number are filled in.
    Advance(Progress),
    /// Do not commit.
    Decline(D),
}

/// How a commit ended.
#[derive(Debug)]
pub enum Committed<D> {
    /// It is in the table.
    Done(Receipt),
    /// The caller declined.
    Declined(D),
}

/// A commit that is in the table.
#[derive(Debug, Clone)]
pub struct Receipt {
    /// The table with the commit: the base of the next one.
    pub base: Base,
    /// The commit's snapshot.
    pub snapshot_id: i64,
    /// Attempts that another writer beat.
    pub conflicts: u32,
    /// Attempts whose outcome was not known at first.
    pub unknowns: u32,
    /// It was found in the table, rather than put there by the last attempt.
    pub already: bool,
    /// Why the table's property did not tell its progress, where a snapshot had to: log it.
    pub recovered: Option<String>,
}

/// Commits `change` to the table, beginning with `base`. `decide` is asked at every attempt,
/// with the base of that attempt and its progress.
///
/// Errors: retry (attempts or patience at an end; the message says if the outcome is unknown), bad
/// data (progress unknowable, files to be removed gone, table gone), and what storage and catalog
/// say. After an error the caller must read the table anew.
pub async fn commit<D>(
    lake: &Lake,
    base: Base,
    change: &Change,
    decide: &mut (dyn FnMut(&Base, &Progress) -> Decision<D> + Send),
) -> Result<Committed<D>> {
    let mut tries = Tries::default();
    let mut base = base;
    for attempt in 1..=lake.options.attempts_max.max(1) {
        let (progress, recovered) = match look(&base, &change.commit_id)? {
            Look::Landed(snapshot_id) => {
                return Ok(Committed::Done(tries.receipt(base, snapshot_id, true)));
            }
            Look::At(progress, recovered) => (progress, recovered),
        };
        tries.recovered = recovered.or(tries.recovered);
        let next = match decide(&base, &progress) {
            Decision::Advance(next) => next,
            Decision::Decline(why) => return Ok(Committed::Declined(why)),
        };
        refuse_old_files(lake, &base, change)?;
        let outcome = match prepare(lake, &base, change, next).await {
            Ok(updates) => lake.backend.commit(&base.name, &base.loaded, updates).await,
            Err(e) => Outcome::Failed(e),
        };
        match outcome {
            Outcome::Committed(loaded) => {
                let new = Base { name: base.name.clone(), loaded };
                delete_old_metadata(lake, &base, &new).await;
                let snapshot_id = new.metadata().current_snapshot_id().unwrap_or_default();
                return Ok(Committed::Done(tries.receipt(new, snapshot_id, false)));
            }
            Outcome::Conflict(seen) => {
                (tries.conflicts, tries.failures) = (tries.conflicts + 1, 0);
                tries.last = seen;
                pause(lake, CONFLICT_PAUSE, attempt).await;
                base = reload(lake, &base).await?;
            }
            Outcome::Unknown(why) => {
                (tries.unknowns, tries.failures) = (tries.unknowns + 1, 0);
                base = reload_patiently(lake, &base, &change.commit_id, &why).await?;
                tries.last = why;
            }
            Outcome::Failed(e) => {
                tries.failures += 1;
                if e.class() != ErrorClass::Retry || tries.failures >= FAILURES_MAX {
                    return Err(e);
                }
                tries.last = e.to_string();
                pause(lake, CONFLICT_PAUSE, attempt).await;
            }
        }
    }
    // The last attempt may have landed with its answer lost.
    match look(&base, &change.commit_id)? {
        Look::Landed(id) => Ok(Committed::Done(tries.receipt(base, id, true))),
        Look::At(..) => Err(tries.exhausted(&base, change)),
    }
}

#[derive(Default)]
struct Tries {
    conflicts: u32,
    unknowns: u32,
    failures: u32,
    recovered: Option<String>,
    last: String,
}

impl Tries {
    fn receipt(self, base: Base, snapshot_id: i64, already: bool) -> Receipt {
        let Tries { conflicts, unknowns, recovered, .. } = self;
        Receipt { base, snapshot_id, conflicts, unknowns, already, recovered }
    }

    fn exhausted(self, base: &Base, change: &Change) -> CatalogError {
        CatalogError::retry(format!(
            "commit {} to {} did not get through ({} conflicts, {} attempts without an answer); \
             the last: {}",
            change.commit_id, base.name, self.conflicts, self.unknowns, self.last
        ))
    }
}

/// What a base says of a commit.
enum Look {
    /// It is in the table, by this snapshot.
    Landed(i64),
    /// It is not; the table's progress, and how that is known if not from the property.
    At(Progress, Option<String>),
}

fn look(base: &Base, commit_id: &str) -> Result<Look> {
    if let Some(snapshot_id) = find_commit(base, commit_id) {
        return Ok(Look::Landed(snapshot_id));
    }
    let (progress, recovered) = base.known()?;
    if progress.commits.iter().any(|id| id == commit_id) {
        // Its own snapshot has expired.
        return Ok(Look::Landed(progress.snapshot));
    }
    Ok(Look::At(progress, recovered))
}

/// The snapshot of commit `id` in the history of the current one; one that was rolled back does
/// not count.
fn find_commit(base: &Base, id: &str) -> Option<i64> {
    let metadata = base.metadata();
    let mut seen = BTreeSet::new();
    let mut next = metadata.current_snapshot_id();
    while let Some(snapshot) = next.and_then(|id| metadata.snapshot_by_id(id)) {
        let commit_id = snapshot.summary().additional_properties.get(key::COMMIT_ID);
        if commit_id.is_some_and(|found| found == id) {
            return Some(snapshot.snapshot_id());
        }
        // A damaged table could lead in a circle.
        if !seen.insert(snapshot.snapshot_id()) {
            return None;
        }
        next = snapshot.parent_snapshot_id();
    }
    None
}

/// Files that wait for their commit longer than this may have been swept away as nobody's: less than
/// the least time between the sweeper's two looks, and more than any commit takes.
const FILES_AGE_MAX: Duration = Duration::from_secs(12 * 60 * 60);

/// A process that was suspended with files on their way must not bring them in: the sweeper commits
/// before it deletes, so that whoever commits afterwards comes by here.
fn refuse_old_files(lake: &Lake, base: &Base, change: &Change) -> Result<()> {
    let Some(oldest) = change.added.iter().map(|new| new.put_at_ms).min() else { return Ok(()) };
    let age_ms = lake.env.clock.now_ms().saturating_sub(oldest);
    if u128::from(age_ms.max(0).unsigned_abs()) <= FILES_AGE_MAX.as_millis() {
        return Ok(());
    }
    Err(CatalogError::retry(format!(
        "the files of commit {} to {} were written {} hours ago and may have been swept away since; \
         start again from the table as it is",
        change.commit_id,
        base.name,
        age_ms / 3_600_000
    )))
}

/// Deletes the metadata files that `new` no longer logs. Whoever is reading one of them reads the
/// pointer again. What fails stays for the sweeper.
pub(crate) async fn delete_old_metadata(lake: &Lake, base: &Base, new: &Base) {
    let enabled = new.metadata().properties().get(DELETE_AFTER_COMMIT);
    let enabled = enabled.is_some_and(|value| value.eq_ignore_ascii_case("true"));
    if !enabled || lake.backend.keeps_metadata() {
        return;
    }
    let logged: BTreeSet<&str> =
        new.metadata().metadata_log().iter().map(|entry| entry.metadata_file.as_str()).collect();
    // A table that was copied or registered anew logs files that are another table's.
    let ours = format!("{}/metadata/", new.metadata().location());
    for entry in base.metadata().metadata_log() {
        let location = entry.metadata_file.as_str();
        if logged.contains(location) || !location.starts_with(&ours) {
            continue;
        }
        let deleted = match lake.warehouse.object_path(location) {
            Ok(path) => lake.store.delete(&path).await.map_err(|e| e.to_string()),
            Err(e) => Err(e.to_string()),
        };
        if let Err(e) = deleted {
            tracing::debug!(table = %base.name, location, error = e, "old metadata stays");
        }
    }
}

async fn reload(lake: &Lake, base: &Base) -> Result<Base> {
    match lake.table(&base.name).await? {
        Some(now) if now.is_same_table(base) => Ok(now),
        Some(_) => Err(CatalogError::bad_data(format!(
            "table {} was dropped and made anew by another process while it was written",
            base.name
        ))),
        None => Err(CatalogError::bad_data(format!(
            "table {} was dropped by another process while it was written",
            base.name
        ))),
    }
}

/// Asks until the catalog answers: nothing can be decided before.
async fn reload_patiently(lake: &Lake, base: &Base, id: &str, why: &str) -> Result<Base> {
    let patience_ms = i64::try_from(lake.options.unknown_wait_max.as_millis()).unwrap_or(i64::MAX);
    let until_ms = lake.env.clock.now_ms().saturating_add(patience_ms);
    let mut attempt = 1;
    loop {
        pause(lake, UNKNOWN_PAUSE, attempt).await;
        let error = match reload(lake, base).await {
            Err(e) if e.class() == ErrorClass::Retry => e,
            answer => return answer,
        };
        if lake.env.clock.now_ms() >= until_ms {
            return Err(CatalogError::retry(format!(
                "it is not known whether commit {id} to {} landed ({why}), and the catalog does \
                 not answer: {error}",
                base.name
            )));
        }
        attempt += 1;
    }
}

/// Sleeps between half and all of `unit` doubled with every attempt, so that writers that met
/// part again.
async fn pause(lake: &Lake, unit: Duration, attempt: u32) {
    let longest = unit.saturating_mul(1 << attempt.min(10)).min(PAUSE_MAX);
    let jitter = lake.env.ids.uuid().as_u128() as u16;
    let share = 0.5 + f64::from(jitter) / f64::from(u16::MAX) / 2.0;
    lake.env.clock.sleep(longest.mul_f64(share)).await;
}

#[cfg(test)]
mod tests;
