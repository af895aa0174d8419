//! What must hold in the end: the auditor knows every record that the broker ever had, every row that
//! the foreign engine deleted, and every commit that a loop claimed.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use iceberg::spec::{ManifestContentType, ManifestEntryRef, ManifestList, Snapshot};
use weir_catalog::maintain::{MaintainEvent, Report};
use weir_catalog::{Base, Lake};
use weir_contract::names::TableName;
use weir_contract::progress::Partition;
use weir_ingest::event::IngestEvent;
use weir_ingest::redrive::RedriveEvent;

use super::broker::{Broker, Entry, Log};
use super::format::{self, Row};
use super::pointer::SimPointer;

/// How often each thing happened.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Counts(BTreeMap<&'static str, u64>);

/// Everything that must happen in a long run, lest the run proves nothing about it.
const MUST_HAPPEN: [&str; 45] = [
    "crash",
    "freeze",
    "power cut",
    "client reset",
    "retention",
    "commit",
    "conflict",
    "unknown",
    "already",
    "recovered",
    "fenced",
    "abandoned",
    "interrupted",
    "append",
    "delete",
    "rewrite",
    "rollback",
    "weir rollback",
    "expire",
    "redrive",
    "redrive crash",
    "redrive conflict",
    "redrive unknown",
    "redrive lost",
    "covered",
    "covered while idle",
    "divided otherwise",
    "s3 put refused",
    "s3 put unanswered",
    "s3 put landed late",
    "s3 409",
    "s3 412 after its own put",
    "s3 get refused",
    "glue version moved",
    "glue landed late",
    "glue refused late",
    "rest conflict",
    "rest answer lost",
    "rest landed late",
    "compaction",
    "maintain conflict",
    "maintain unknown",
    "maintain lost",
    "maintain crash",
    "swept",
];

impl Counts {
    /// Once more.
    pub fn foreign(&mut self, what: &'static str) {
        self.many(what, 1);
    }

    /// So many times more.
    pub fn many(&mut self, what: &'static str, times: u64) {
        *self.0.entry(what).or_default() += times;
    }

    /// Both together.
    pub fn add(&mut self, other: &Counts) {
        other.0.iter().for_each(|(what, times)| self.many(what, *times));
    }

    /// What never happened and should have.
    pub fn never(&self) -> Vec<&'static str> {
        MUST_HAPPEN.into_iter().filter(|what| !self.0.contains_key(what)).collect()
    }
}

/// Rows that the foreign engine deleted, if that snapshot ever landed.
#[derive(Debug)]
pub struct Deletion {
    /// Its snapshot.
    pub snapshot: i64,
    /// Its sequence number.
    pub seq: i64,
    /// The rows.
    pub rows: Vec<Row>,
}

/// What is written down while the simulation runs.
#[derive(Debug, Default)]
pub struct Auditor {
    /// The counts.
    pub counts: Counts,
    /// What the foreign engine may have deleted.
    pub deletions: Vec<Deletion>,
    /// Commits that a loop said were in the table.
    claimed: Vec<String>,
    /// What a commit of maintenance that is under way does.
    maintaining: BTreeMap<String, &'static str>,
}

impl Auditor {
    /// Hears one event of a redrive.
    pub fn hear_redrive(&mut self, event: &RedriveEvent) {
        match event {
            RedriveEvent::CommitStarted { .. } => {}
            RedriveEvent::Committed { commit_id, conflicts, unknowns, .. } => {
                self.claimed.push(commit_id.clone());
                self.counts.many("redrive", 1);
                for (what, times) in
                    [("redrive conflict", *conflicts), ("redrive unknown", *unknowns)]
                {
                    if times > 0 {
                        self.counts.many(what, times.into());
                    }
                }
            }
            RedriveEvent::Lost { .. } => self.counts.many("redrive lost", 1),
        }
    }

    /// Hears one event of maintenance.
    pub fn hear_maintain(&mut self, event: &MaintainEvent) {
        match event {
            MaintainEvent::CommitStarted { commit_id, files } => {
                let what = if *files > 0 { "compaction" } else { "manifests clustered" };
                self.maintaining.insert(commit_id.clone(), what);
            }
            MaintainEvent::Committed { commit_id, .. } => {
                self.claimed.push(commit_id.clone());
                if let Some(what) = self.maintaining.remove(commit_id) {
                    self.counts.many(what, 1);
                }
            }
            MaintainEvent::Lost { .. } => self.counts.many("maintain lost", 1),
            MaintainEvent::Sweeping { files } => self.counts.many("swept", *files as u64),
        }
    }

    /// Hears what a maintenance that came to its end has done.
    pub fn maintained(&mut self, report: &Report) {
        let done = &report.compaction;
        let all = [("maintain conflict", done.conflicts), ("maintain unknown", done.unknowns)];
        for (what, times) in all.into_iter().filter(|(_, times)| *times > 0) {
            self.counts.many(what, times);
        }
    }

    /// Hears one event of a loop.
    pub fn hear(&mut self, event: &IngestEvent) {
        match event {
            IngestEvent::BatchCommitted {
                commit_id,
                conflicts,
                unknowns,
                already,
                recovered,
                ..
            } => {
                self.claimed.push(commit_id.clone());
                self.counts.many("commit", 1);
                let more = [
                    ("conflict", u64::from(*conflicts)),
                    ("unknown", u64::from(*unknowns)),
                    ("already", u64::from(*already)),
                    ("recovered", u64::from(recovered.is_some())),
                ];
                for (what, times) in more.into_iter().filter(|(_, times)| *times > 0) {
                    self.counts.many(what, times);
                }
            }
            IngestEvent::BatchFenced { .. } => self.counts.many("fenced", 1),
            IngestEvent::BatchAbandoned { .. } => self.counts.many("abandoned", 1),
            IngestEvent::Interrupted { .. } => self.counts.many("interrupted", 1),
            _ => {}
        }
    }
}

/// The live data files of the current snapshot.
pub async fn live_entries(lake: &Lake, base: &Base) -> Result<Vec<ManifestEntryRef>, String> {
    match base.metadata().current_snapshot() {
        Some(snapshot) => entries(lake, base, snapshot).await,
        None => Ok(Vec::new()),
    }
}

async fn entries(
    lake: &Lake,
    base: &Base,
    snapshot: &Snapshot,
) -> Result<Vec<ManifestEntryRef>, String> {
    let metadata = base.metadata();
    let read = async |path: &str| {
        let input = lake.io.new_input(path).map_err(|e| e.to_string())?;
        input.read().await.map_err(|e| format!("{path}: {e}"))
    };
    let bytes = read(snapshot.manifest_list()).await?;
    let list = ManifestList::parse_with_version(&bytes, metadata.format_version())
        .map_err(|e| format!("{}: {e}", snapshot.manifest_list()))?;
    let mut live = Vec::new();
    for file in list.entries() {
        if file.content != ManifestContentType::Data {
            continue;
        }
        let manifest = file.load_manifest(&lake.io).await;
        let manifest = manifest.map_err(|e| format!("{}: {e}", file.manifest_path))?;
        live.extend(manifest.entries().iter().filter(|entry| entry.is_alive()).cloned());
    }
    Ok(live)
}

/// Fails unless everything is there that any standing snapshot refers to.
async fn nothing_is_missing(lake: &Lake, base: &Base) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for snapshot in base.metadata().snapshots() {
        for entry in entries(lake, base, snapshot).await? {
            if !seen.insert(entry.file_path().to_string()) {
                continue;
            }
            let input = lake.io.new_input(entry.file_path()).map_err(|e| e.to_string())?;
            if !input.exists().await.map_err(|e| e.to_string())? {
                let (path, id) = (entry.file_path(), snapshot.snapshot_id());
                return Err(format!("{path} is gone, and snapshot {id} refers to it"));
            }
        }
    }
    Ok(())
}

/// Checks the table against the broker's log.
pub async fn check(
    lake: Arc<Lake>,
    table: TableName,
    broker: Broker,
    pointer: SimPointer,
    auditor: Rc<RefCell<Auditor>>,
) -> Result<(), String> {
    let base = lake.table(&table).await.map_err(|e| e.to_string())?;
    let base = base.ok_or("the table is gone")?;
    let progress = base.progress().map_err(|e| e.to_string())?;
    nothing_is_missing(&lake, &base).await?;
    for commit in &auditor.borrow().claimed {
        if !pointer.ever_committed(commit) {
            return Err(format!("commit {commit} was claimed and never landed"));
        }
    }
    let mut rows: BTreeMap<(i32, i64), Vec<Row>> = BTreeMap::new();
    let mut paths = BTreeSet::new();
    for entry in live_entries(&lake, &base).await? {
        let path = entry.file_path();
        if !paths.insert(path.to_string()) {
            return Err(format!("{path} is referenced twice"));
        }
        let input = lake.io.new_input(path).map_err(|e| e.to_string())?;
        let bytes = input.read().await.map_err(|e| format!("{path}: {e}"))?;
        let of_file = format::read(&bytes).map_err(|e| format!("{path}: {e}"))?;
        if of_file.len() as u64 != entry.record_count() {
            return Err(format!("{path} does not hold the rows that its manifest says"));
        }
        for row in of_file.into_iter().filter(|row| row.partition >= 0) {
            rows.entry((row.partition, row.offset)).or_default().push(row);
        }
    }
    let deleted: BTreeSet<(i32, i64)> = auditor
        .borrow()
        .deletions
        .iter()
        .filter(|deletion| pointer.ever_current(deletion.snapshot))
        .flat_map(|deletion| deletion.rows.iter().map(|row| (row.partition, row.offset)))
        .collect();
    let known = progress.sources.values().next().ok_or("the progress knows no source")?;
    let topic = broker.lock();
    let covered = pointer.covered();
    for ((partition, until), time_ms) in &covered {
        let log = &topic.logs[*partition as usize];
        let from = usize::try_from(*until).unwrap_or_default();
        let after = log.entries.iter().zip(&log.times_ms).skip(from);
        let overlooked =
            |(entry, at_ms): &(&Entry, &i64)| **entry != Entry::Absent && *at_ms <= time_ms;
        if after.clone().any(|record| overlooked(&record)) {
            return Err(format!(
                "partition {partition}: it was said that all up to {time_ms} ms lies before {until}"
            ));
        }
    }
    auditor.borrow_mut().counts.many("covered", covered.len() as u64);
    match pointer.covered_idly() {
        0 => {}
        times => auditor.borrow_mut().counts.many("covered while idle", times),
    }
    for (partition, log) in topic.logs.iter().enumerate() {
        let partition = partition as i32;
        let counters = known.get(&partition).ok_or(format!("partition {partition} is unknown"))?;
        partition_is_right(partition, log, counters, &rows, &deleted)?;
    }
    Ok(())
}

fn partition_is_right(
    partition: i32,
    log: &Log,
    counters: &Partition,
    rows: &BTreeMap<(i32, i64), Vec<Row>>,
    deleted: &BTreeSet<(i32, i64)>,
) -> Result<(), String> {
    let wrong = |what: String| Err(format!("partition {partition}: {what}"));
    if counters.until != log.entries.len() as i64 {
        return wrong(format!("head {} of {}", counters.until, log.entries.len()));
    }
    let (mut accepted, mut rejected, mut lost, mut either) = (0, 0, 0, 0);
    for (offset, entry) in log.entries.iter().enumerate() {
        let offset = offset as i64;
        let found = rows.get(&(partition, offset)).map_or(&[][..], Vec::as_slice);
        let gone = deleted.contains(&(partition, offset));
        let bytes = match (entry, found) {
            (Entry::Absent, []) => continue,
            (Entry::Absent, _) => return wrong(format!("a row at {offset}, which has no record")),
            (Entry::Record(bytes), _) => bytes,
        };
        let (good, odd) = (bytes.starts_with(b"{"), bytes.starts_with(format::ODD));
        match found {
            // Retention was faster than the source's first start, which was written down.
            [] if offset < counters.start => continue,
            [] if gone && odd => {
                // Nobody knows whether it was redriven before it was deleted.
                either += 1;
                continue;
            }
            [] if gone => {}
            [] if offset < log.low => {
                lost += 1;
                continue;
            }
            [] => return wrong(format!("offset {offset} is missing")),
            [row] => {
                let id = (good && !odd).then(|| format::event_id(partition, offset));
                if row.rejected == good || row.id != id {
                    return wrong(format!("offset {offset} is another record: {row:?}"));
                }
            }
            many => return wrong(format!("offset {offset} is there {} times", many.len())),
        }
        if good { accepted += 1 } else { rejected += 1 }
    }
    if lost > counters.lost {
        return wrong(format!("{lost} records are lost, {} were counted", counters.lost));
    }
    let (more_rows, more_rejected) = (counters.rows - accepted, counters.rejected - rejected);
    if more_rows < 0 || more_rejected < 0 || more_rows + more_rejected != either {
        return wrong(format!("{accepted} accepted, {rejected} rejected, counted {counters:?}"));
    }
    Ok(())
}
