//! Another engine that commits between our commits: an implementation of its own over the library's
//! manifests, knowing nothing of Weir's keys.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use iceberg::TableUpdate;
use iceberg::spec::{
    DataContentType, DataFile, DataFileBuilder, DataFileFormat, MAIN_BRANCH, ManifestEntryRef,
    ManifestListWriter, ManifestWriterBuilder, Operation, Snapshot, SnapshotReference,
    SnapshotRetention, Summary,
};
use weir_catalog::look::which::Which;
use weir_catalog::rollback::plan;
use weir_catalog::{Base, Lake};
use weir_contract::names::{TableName, key};
use weir_contract::progress::Truth;

use super::audit::{Auditor, Deletion, live_entries};
use super::format;
use super::rng::Rng;

/// What the engine works with.
pub struct Context {
    /// The lake, as its process sees it.
    pub lake: Arc<Lake>,
    /// The table.
    pub table: TableName,
    /// The seed's choices.
    pub rng: Rng,
    /// Whether data files are Parquet: then it appends nothing of its own.
    pub parquet: bool,
    /// Hears what it deletes.
    pub auditor: Rc<RefCell<Auditor>>,
    /// Hears what it does.
    pub trace: Rc<RefCell<Vec<String>>>,
}

/// One thing that an engine may do. Whatever fails, it gives up.
pub async fn act(context: Context) {
    let Ok(Some(base)) = context.lake.table(&context.table).await else { return };
    if base.metadata().current_snapshot().is_none() {
        return;
    }
    if context.rng.one_in(14) {
        return context.weir_rollback(&base).await;
    }
    let (what, updates) = match context.rng.below(7) {
        0 if !context.parquet => ("append", context.append(&base).await),
        1 => ("delete", context.delete(&base).await),
        2 => ("rewrite", context.rewrite(&base).await),
        3 => ("rollback", context.rollback(&base)),
        4 => ("expire", context.expire(&base)),
        5 => ("unset", context.unset(&base)),
        _ => ("set", context.set()),
    };
    let Some(updates) = updates else { return };
    let outcome = context.lake.backend.commit(&context.table, &base.loaded, updates).await;
    let outcome = match outcome {
        weir_catalog::backend::Outcome::Committed(_) => "committed",
        weir_catalog::backend::Outcome::Conflict(_) => "conflict",
        weir_catalog::backend::Outcome::Unknown(_) => "unknown",
        weir_catalog::backend::Outcome::Failed(_) => "failed",
    };
    if outcome == "committed" {
        context.auditor.borrow_mut().counts.foreign(what);
    }
    context.trace.borrow_mut().push(format!("foreign {what} {outcome}"));
}

impl Context {
    async fn append(&self, base: &Base) -> Option<Vec<TableUpdate>> {
        let text = format!("-1 {} false foreign\n", self.rng.below(1 << 40));
        let template = live_entries(&self.lake, base).await.ok()?.into_iter().next()?;
        let file = self.copy(base, template.data_file(), text.into_bytes(), 1).await?;
        self.snapshot(base, Operation::Append, None, Some(file)).await
    }

    fn one_of(&self, entries: &[ManifestEntryRef]) -> Option<ManifestEntryRef> {
        (!entries.is_empty()).then(|| self.rng.pick(entries).clone())
    }

    /// Drops a file with all its rows.
    async fn delete(&self, base: &Base) -> Option<Vec<TableUpdate>> {
        let entries = live_entries(&self.lake, base).await.ok()?;
        let victim = self.one_of(&entries)?;
        let path = victim.file_path().to_string();
        let bytes = self.lake.io.new_input(&path).ok()?.read().await.ok()?;
        let rows = format::read(&bytes).ok()?;
        let updates = self.snapshot(base, Operation::Delete, Some(&path), None).await?;
        if let Some(TableUpdate::AddSnapshot { snapshot }) = updates.first() {
            let (snapshot, seq) = (snapshot.snapshot_id(), snapshot.sequence_number());
            self.auditor.borrow_mut().deletions.push(Deletion { snapshot, seq, rows });
        }
        Some(updates)
    }

    /// Replaces a file by another one with the same rows.
    async fn rewrite(&self, base: &Base) -> Option<Vec<TableUpdate>> {
        let entries = live_entries(&self.lake, base).await.ok()?;
        let old = self.one_of(&entries)?;
        let path = old.file_path().to_string();
        let bytes = self.lake.io.new_input(&path).ok()?.read().await.ok()?;
        let file = self.copy(base, old.data_file(), bytes.to_vec(), old.record_count()).await?;
        self.snapshot(base, Operation::Overwrite, Some(&path), Some(file)).await
    }

    /// As [`Context::rollback`], but by `weir rollback`, which moves our property too, and tries again after conflicts and
    /// lost answers.
    async fn weir_rollback(&self, base: &Base) {
        let Some(id) = self.target(base) else { return };
        let Ok(plan) = plan(&self.lake, &self.table, &Which::Snapshot(id)).await else { return };
        let done = plan.run(&self.lake).await.is_ok();
        if done {
            self.auditor.borrow_mut().counts.foreign("weir rollback");
        }
        self.trace.borrow_mut().push(format!("weir rollback {done}"));
    }

    /// Moves the branch alone.
    fn rollback(&self, base: &Base) -> Option<Vec<TableUpdate>> {
        self.target(base).map(|id| vec![main(id)])
    }

    /// One of our snapshots that came after whatever it deleted.
    fn target(&self, base: &Base) -> Option<i64> {
        let metadata = base.metadata();
        let floor = self.auditor.borrow().deletions.iter().map(|d| d.seq).max().unwrap_or(0);
        let mut targets = Vec::new();
        let mut next = metadata.current_snapshot();
        while let Some(snapshot) = next {
            let ours = snapshot.summary().additional_properties.contains_key(key::HEADS);
            if ours && snapshot.sequence_number() > floor {
                targets.push(snapshot.snapshot_id());
            }
            next = snapshot.parent_snapshot_id().and_then(|id| metadata.snapshot_by_id(id));
        }
        targets.truncate(5);
        if targets.is_empty() {
            return None;
        }
        Some(*self.rng.pick(&targets))
    }

    /// Everything but the current snapshot and, unless the property alone is enough, its history
    /// down to our newest.
    fn expire(&self, base: &Base) -> Option<Vec<TableUpdate>> {
        let metadata = base.metadata();
        let current = metadata.current_snapshot()?;
        let total = current.summary().additional_properties.get("total-records");
        let enough = match base.truth() {
            Truth::Property(progress) => {
                total.is_some_and(|total| *total == progress.records().to_string())
            }
            _ => false,
        };
        let is_ours = |s: &Snapshot| s.summary().additional_properties.contains_key(key::HEADS);
        let mut kept = vec![current.snapshot_id()];
        let mut oldest = current;
        while !enough && !is_ours(oldest) {
            oldest = metadata.snapshot_by_id(oldest.parent_snapshot_id()?)?;
            kept.push(oldest.snapshot_id());
        }
        let ids = metadata.snapshots().map(|s| s.snapshot_id());
        let snapshot_ids: Vec<i64> = ids.filter(|id| !kept.contains(id)).collect();
        (!snapshot_ids.is_empty()).then(|| vec![TableUpdate::RemoveSnapshots { snapshot_ids }])
    }

    /// Removes our property, if one of our summaries can stand in for it.
    fn unset(&self, base: &Base) -> Option<Vec<TableUpdate>> {
        let metadata = base.metadata();
        let mut next = metadata.current_snapshot();
        while let Some(snapshot) = next {
            if snapshot.summary().additional_properties.contains_key(key::HEADS) {
                let removals = vec![key::PROGRESS.to_string()];
                return Some(vec![TableUpdate::RemoveProperties { removals }]);
            }
            next = snapshot.parent_snapshot_id().and_then(|id| metadata.snapshot_by_id(id));
        }
        None
    }

    fn set(&self) -> Option<Vec<TableUpdate>> {
        let updates = HashMap::from([("foreign.key".into(), self.rng.bits().to_string())]);
        Some(vec![TableUpdate::SetProperties { updates }])
    }

    /// Stores `bytes` beside `like`, described like it.
    async fn copy(
        &self,
        base: &Base,
        like: &DataFile,
        bytes: Vec<u8>,
        rows: u64,
    ) -> Option<DataFile> {
        let uuid = self.lake.env.ids.uuid();
        let path = format!("{}/data/foreign-{uuid}.parquet", base.metadata().location());
        let size = bytes.len() as u64;
        self.lake.io.new_output(&path).ok()?.write(bytes.into()).await.ok()?;
        DataFileBuilder::default()
            .content(DataContentType::Data)
            .file_path(path)
            .file_format(DataFileFormat::Parquet)
            .partition(like.partition().clone())
            .partition_spec_id(base.metadata().default_partition_spec_id())
            .record_count(rows)
            .file_size_in_bytes(size)
            .build()
            .ok()
    }

    /// A snapshot on top of the current one: one manifest with everything in it.
    async fn snapshot(
        &self,
        base: &Base,
        operation: Operation,
        removed: Option<&str>,
        added: Option<DataFile>,
    ) -> Option<Vec<TableUpdate>> {
        let metadata = base.metadata();
        let (id, uuid) = (self.lake.env.ids.snapshot_id(), self.lake.env.ids.uuid());
        let folder = format!("{}/metadata", metadata.location());
        let (schema, spec) = (metadata.current_schema().clone(), metadata.default_partition_spec());
        let output = self.lake.io.new_output(format!("{folder}/{uuid}-m0.avro")).ok()?;
        let builder = ManifestWriterBuilder::new(output, Some(id), schema, spec.as_ref().clone());
        let mut manifest = builder.build_v2_data();
        let mut records = 0;
        for entry in live_entries(&self.lake, base).await.ok()? {
            records += keep_or_delete(&mut manifest, &entry, removed)?;
        }
        if let Some(file) = added {
            records += file.record_count();
            manifest.add_file(file, -1).ok()?;
        }
        let manifest = manifest.write_manifest_file().await.ok()?;
        let list = format!("{folder}/snap-{id}-{uuid}.avro");
        let (parent, seq) = (metadata.current_snapshot_id(), metadata.next_sequence_number());
        let output = self.lake.io.new_output(&list).ok()?.writer().await.ok()?;
        let mut writer = ManifestListWriter::v2(output, id, parent, seq);
        writer.add_manifests([manifest].into_iter()).ok()?;
        writer.close().await.ok()?;
        let total = ("total-records".to_string(), records.to_string());
        let summary = Summary { operation, additional_properties: HashMap::from([total]) };
        let now_ms = self.lake.env.clock.now_ms().max(metadata.last_updated_ms() + 1);
        let snapshot = Snapshot::builder()
            .with_snapshot_id(id)
            .with_parent_snapshot_id(parent)
            .with_sequence_number(seq)
            .with_timestamp_ms(now_ms)
            .with_manifest_list(list)
            .with_summary(summary)
            .with_schema_id(metadata.current_schema_id())
            .build();
        Some(vec![TableUpdate::AddSnapshot { snapshot }, main(id)])
    }
}

fn keep_or_delete(
    manifest: &mut iceberg::spec::ManifestWriter,
    entry: &ManifestEntryRef,
    removed: Option<&str>,
) -> Option<u64> {
    let file = entry.data_file().clone();
    let (seq, file_seq) = (entry.sequence_number().unwrap_or(0), entry.file_sequence_number);
    if removed == Some(entry.file_path()) {
        manifest.add_delete_file(file, seq, file_seq).ok()?;
        return Some(0);
    }
    let snapshot = entry.snapshot_id().unwrap_or_default();
    manifest.add_existing_file(file, snapshot, seq, file_seq).ok()?;
    Some(entry.record_count())
}

fn main(snapshot: i64) -> TableUpdate {
    let retention = SnapshotRetention::branch(None, None, None);
    TableUpdate::SetSnapshotRef {
        ref_name: MAIN_BRANCH.into(),
        reference: SnapshotReference::new(snapshot, retention),
    }
}
