//! The files of one snapshot: manifests of what is added, rewritten ones without what is removed,
//! merged or clustered ones, and the list of them all. Every file is new and named by a fresh UUID.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use iceberg::spec::{
    FormatVersion, ManifestContentType, ManifestEntryRef, ManifestFile, ManifestList,
    ManifestListWriter, ManifestWriter, ManifestWriterBuilder, PartitionSpecRef, Snapshot,
    SnapshotSummaryCollector, TableMetadata,
};
use uuid::Uuid;

use crate::create::{MANIFEST_BYTES_MAX, MANIFEST_TARGET_PROPERTY};
use crate::error::{CatalogError, Result};
use crate::files::NewFile;
use crate::merge::{ManifestFacts, plan_cluster, plan_merge};
use crate::table::{Base, Lake};

/// What one snapshot changes.
pub(crate) struct FileChange<'a> {
    pub snapshot_id: i64,
    pub added: &'a [NewFile],
    pub removed: &'a [String],
    /// Write the manifests anew, clustered by partition.
    pub cluster: bool,
}

/// A written manifest list, and what its snapshot's summary says of the files.
pub(crate) struct Listed {
    /// Where the list stands.
    pub location: String,
    /// `added-*` and `deleted-*`.
    pub summary: HashMap<String, String>,
}

/// The manifests of a snapshot.
///
/// Errors: bad data naming what is missing or damaged.
pub(crate) async fn manifests_of(
    lake: &Lake,
    metadata: &TableMetadata,
    snapshot: &Snapshot,
) -> Result<Vec<ManifestFile>> {
    let location = snapshot.manifest_list();
    let failed = |e| CatalogError::iceberg(format!("reading the manifest list {location}"), e);
    let bytes = lake.io.new_input(location).map_err(failed)?.read().await.map_err(failed)?;
    let list = ManifestList::parse_with_version(&bytes, metadata.format_version());
    Ok(list.map_err(failed)?.consume_entries().into_iter().collect())
}

/// Writes the manifests and the list of the snapshot that `change` makes on `base`.
///
/// Errors: bad data if a file to be removed is not in the table; what the storage says.
pub(crate) async fn write_snapshot(
    lake: &Lake,
    base: &Base,
    change: &FileChange<'_>,
) -> Result<Listed> {
    let metadata = base.metadata();
    if metadata.format_version() != FormatVersion::V2 {
        return Err(CatalogError::bad_config(format!(
            "table {} has Iceberg format {}, weir writes v2 only",
            base.name,
            metadata.format_version()
        )));
    }
    let mut writer = SnapshotWriter {
        lake,
        base,
        snapshot_id: change.snapshot_id,
        uuid: lake.env.ids.uuid(),
        manifests_written: 0,
        summary: SnapshotSummaryCollector::default(),
    };
    let mut carried = match metadata.current_snapshot() {
        Some(parent) => manifests_of(lake, metadata, parent).await?,
        None => Vec::new(),
    };
    // What holds only tombstones of older snapshots ends here.
    carried.retain(|m| m.has_added_files() || m.has_existing_files());
    let carried = writer.remove(carried, change.removed).await?;
    let mut manifests = match change.cluster {
        true => writer.cluster(carried).await?,
        false => writer.merge(carried).await?,
    };
    manifests.extend(writer.add(change.added).await?);
    let location = writer.list(manifests).await?;
    Ok(Listed { location, summary: writer.summary.build() })
}

struct SnapshotWriter<'a> {
    lake: &'a Lake,
    base: &'a Base,
    snapshot_id: i64,
    uuid: Uuid,
    manifests_written: usize,
    summary: SnapshotSummaryCollector,
}

/// Up to which size manifests are merged: as the table's property says, at most ours.
pub(crate) fn target_bytes(metadata: &TableMetadata) -> u64 {
    let ours = MANIFEST_BYTES_MAX as u64;
    let told = metadata.properties().get(MANIFEST_TARGET_PROPERTY);
    told.and_then(|bytes| bytes.parse().ok()).map_or(ours, |bytes: u64| bytes.clamp(1, ours))
}

impl SnapshotWriter<'_> {
    /// One manifest per partition spec of the new files.
    async fn add(&mut self, added: &[NewFile]) -> Result<Vec<ManifestFile>> {
        let mut by_spec: BTreeMap<i32, Vec<&NewFile>> = BTreeMap::new();
        for file in added {
            by_spec.entry(file.spec_id).or_default().push(file);
        }
        let mut manifests = Vec::new();
        for (spec_id, files) in by_spec {
            let spec = self.spec(spec_id)?;
            let mut writer = self.manifest(&spec, ManifestContentType::Data)?;
            for new in files {
                let schema = self.base.metadata().current_schema().clone();
                self.summary.add_file(&new.file, schema, spec.clone());
                // A negative number: the file takes that of its snapshot.
                let sequence = new.sequence.unwrap_or(-1);
                writer.add_file(new.file.clone(), sequence).map_err(|e| self.failed(e))?;
            }
            manifests.push(writer.write_manifest_file().await.map_err(|e| self.failed(e))?);
        }
        Ok(manifests)
    }

    /// Rewrites the manifests that hold a removed file; the others are carried as they are.
    async fn remove(
        &mut self,
        carried: Vec<ManifestFile>,
        removed: &[String],
    ) -> Result<Vec<ManifestFile>> {
        let mut missing: BTreeSet<&str> = removed.iter().map(String::as_str).collect();
        let mut manifests = Vec::with_capacity(carried.len());
        for manifest in carried {
            if missing.is_empty() || manifest.content != ManifestContentType::Data {
                manifests.push(manifest);
                continue;
            }
            let live = self.live_entries(&manifest).await?;
            if !live.iter().any(|entry| missing.contains(entry.file_path())) {
                manifests.push(manifest);
                continue;
            }
            let spec = self.spec(manifest.partition_spec_id)?;
            let mut writer = self.manifest(&spec, manifest.content)?;
            for entry in live {
                let sequence = sequence_of(&entry);
                if missing.remove(entry.file_path()) {
                    let schema = self.base.metadata().current_schema().clone();
                    self.summary.remove_file(entry.data_file(), schema, spec.clone());
                    let file = entry.data_file().clone();
                    writer.add_delete_file(file, sequence.0, Some(sequence.1))
                } else {
                    keep(&mut writer, &entry, &manifest)
                }
                .map_err(|e| self.failed(e))?;
            }
            manifests.push(writer.write_manifest_file().await.map_err(|e| self.failed(e))?);
        }
        match missing.first() {
            None => Ok(manifests),
            Some(path) => Err(CatalogError::bad_data(format!(
                "{} of the files to be replaced in {} are no longer in the table, for example \
                 {path}: another writer replaced them; start again from the table as it is",
                missing.len(),
                self.base.name
            ))),
        }
    }

    /// Merges what the plan says; merged entries keep their snapshot and sequence numbers.
    async fn merge(&mut self, carried: Vec<ManifestFile>) -> Result<Vec<ManifestFile>> {
        let facts = facts(self.base.metadata(), &carried, self.snapshot_id);
        let groups = plan_merge(&facts, target_bytes(self.base.metadata()));
        let mut merged = Vec::new();
        for group in &groups {
            let spec = self.spec(facts[group[0]].spec_id)?;
            let mut writer = self.manifest(&spec, ManifestContentType::Data)?;
            for manifest in group.iter().map(|position| &carried[*position]) {
                for entry in self.live_entries(manifest).await? {
                    keep(&mut writer, &entry, manifest).map_err(|e| self.failed(e))?;
                }
            }
            merged.push(writer.write_manifest_file().await.map_err(|e| self.failed(e))?);
        }
        let gone: BTreeSet<usize> = groups.into_iter().flatten().collect();
        let kept = carried.into_iter().enumerate().filter(|(i, _)| !gone.contains(i));
        Ok(kept.map(|(_, manifest)| manifest).chain(merged).collect())
    }

    /// Writes what the plan says anew, entries of one partition side by side; they keep their snapshot
    /// and sequence numbers.
    async fn cluster(&mut self, carried: Vec<ManifestFile>) -> Result<Vec<ManifestFile>> {
        let facts = facts(self.base.metadata(), &carried, self.snapshot_id);
        let plan = plan_cluster(&facts, target_bytes(self.base.metadata()));
        let mut clustered = Vec::new();
        for group in &plan {
            let mut entries = Vec::new();
            for manifest in group.from.iter().map(|position| &carried[*position]) {
                let live = self.live_entries(manifest).await?;
                entries.extend(live.into_iter().map(|entry| (entry, manifest)));
            }
            entries.sort_by(|(a, _), (b, _)| by_partition(a, b));
            let spec = self.spec(facts[group.from[0]].spec_id)?;
            for some in entries.chunks(entries.len().div_ceil(group.into.max(1)).max(1)) {
                let mut writer = self.manifest(&spec, ManifestContentType::Data)?;
                for (entry, manifest) in some {
                    keep(&mut writer, entry, manifest).map_err(|e| self.failed(e))?;
                }
                clustered.push(writer.write_manifest_file().await.map_err(|e| self.failed(e))?);
            }
        }
        let gone: BTreeSet<usize> = plan.into_iter().flat_map(|group| group.from).collect();
        let kept = carried.into_iter().enumerate().filter(|(i, _)| !gone.contains(i));
        Ok(kept.map(|(_, manifest)| manifest).chain(clustered).collect())
    }

    async fn list(&self, manifests: Vec<ManifestFile>) -> Result<String> {
        let metadata = self.base.metadata();
        let location = format!(
            "{}/metadata/snap-{}-0-{}.avro",
            metadata.location(),
            self.snapshot_id,
            self.uuid
        );
        let output = self.lake.io.new_output(&location).map_err(|e| self.failed(e))?;
        let mut writer = ManifestListWriter::v2(
            output.writer().await.map_err(|e| self.failed(e))?,
            self.snapshot_id,
            metadata.current_snapshot_id(),
            metadata.next_sequence_number(),
        );
        writer.add_manifests(manifests.into_iter()).map_err(|e| self.failed(e))?;
        writer.close().await.map_err(|e| self.failed(e))?;
        Ok(location)
    }

    async fn live_entries(&self, manifest: &ManifestFile) -> Result<Vec<ManifestEntryRef>> {
        let loaded = manifest.load_manifest(&self.lake.io).await.map_err(|e| {
            CatalogError::iceberg(format!("reading the manifest {}", manifest.manifest_path), e)
        })?;
        let (entries, _) = loaded.into_parts();
        Ok(entries.into_iter().filter(|entry| entry.is_alive()).collect())
    }

    fn manifest(
        &mut self,
        spec: &PartitionSpecRef,
        content: ManifestContentType,
    ) -> Result<ManifestWriter> {
        let metadata = self.base.metadata();
        let number = self.manifests_written;
        self.manifests_written += 1;
        let location = format!("{}/metadata/{}-m{number}.avro", metadata.location(), self.uuid);
        let output = self.lake.io.new_output(&location).map_err(|e| self.failed(e))?;
        let builder = ManifestWriterBuilder::new(
            output,
            Some(self.snapshot_id),
            metadata.current_schema().clone(),
            spec.as_ref().clone(),
        );
        Ok(match content {
            ManifestContentType::Data => builder.build_v2_data(),
            ManifestContentType::Deletes => builder.build_v2_deletes(),
        })
    }

    fn spec(&self, id: i32) -> Result<PartitionSpecRef> {
        self.base.metadata().partition_spec_by_id(id).cloned().ok_or_else(|| {
            CatalogError::bad_data(format!("table {} has no partition spec {id}", self.base.name))
        })
    }

    fn failed(&self, e: iceberg::Error) -> CatalogError {
        CatalogError::iceberg(format!("writing a snapshot of {}", self.base.name), e)
    }
}

/// What plans need to know of manifests; those that `snapshot_id` writes itself stay out of them.
pub(crate) fn facts(
    metadata: &TableMetadata,
    manifests: &[ManifestFile],
    snapshot_id: i64,
) -> Vec<ManifestFacts> {
    // A spec over a dropped column can be read but not written; its manifests stay.
    let writable: BTreeSet<i32> = metadata
        .partition_specs_iter()
        .filter(|spec| spec.partition_type(metadata.current_schema()).is_ok())
        .map(|spec| spec.spec_id())
        .collect();
    let mergeable = |m: &ManifestFile| {
        m.content == ManifestContentType::Data
            && m.added_snapshot_id != snapshot_id
            && writable.contains(&m.partition_spec_id)
    };
    let one = |m: &ManifestFile| ManifestFacts {
        spec_id: m.partition_spec_id,
        live: live_count(m).filter(|_| mergeable(m)),
        bytes: m.manifest_length.max(0) as u64,
    };
    manifests.iter().map(one).collect()
}

/// By the partition's values, then by the age of the rows.
fn by_partition(a: &ManifestEntryRef, b: &ManifestEntryRef) -> Ordering {
    let values = |entry: &ManifestEntryRef| {
        let fields = entry.data_file().partition().fields().iter();
        fields.map(|v| v.as_ref().and_then(|v| v.as_primitive_literal())).collect::<Vec<_>>()
    };
    let order = values(a).partial_cmp(&values(b)).unwrap_or(Ordering::Equal);
    order.then_with(|| sequence_of(a).cmp(&sequence_of(b)))
}

fn live_count(manifest: &ManifestFile) -> Option<u64> {
    Some(u64::from(manifest.added_files_count?) + u64::from(manifest.existing_files_count?))
}

fn keep(
    writer: &mut ManifestWriter,
    entry: &ManifestEntryRef,
    manifest: &ManifestFile,
) -> iceberg::Result<()> {
    let snapshot_id = entry.snapshot_id().unwrap_or(manifest.added_snapshot_id);
    let (data, file) = sequence_of(entry);
    writer.add_existing_file(entry.data_file().clone(), snapshot_id, data, Some(file))
}

/// Data and file sequence number; 0 where a table of format v1 had none.
fn sequence_of(entry: &ManifestEntryRef) -> (i64, i64) {
    let data = entry.sequence_number().unwrap_or(0);
    (data, entry.file_sequence_number.unwrap_or(data))
}
