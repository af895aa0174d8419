//! Which files a table refers to: from its metadata, the metadata files that it logs, and every snapshot that
//! stands in one of them.

use std::collections::{BTreeSet, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use iceberg::spec::{ManifestFile, Snapshot, TableMetadata};
use object_store::ObjectStoreExt;

use crate::backend::{Loaded, read_metadata};
use crate::manifests::manifests_of;
use crate::{Base, CatalogError, Lake, Result};

/// The names of all files that are referred to.
///
/// A file counts as referred to if one of its *name* is, in whatever folder and however its location is
/// spelled: every writer puts a fresh id into names, and engines spell one folder in several ways. Names are
/// kept as hashes; two that share one are two that stay.
#[derive(Debug, Default)]
pub struct Reach {
    names: HashSet<u64>,
    /// What was read already, by location.
    read: BTreeSet<String>,
}

impl Reach {
    /// Adds all that `base` refers to; what was added before is not read again.
    ///
    /// Errors: bad data if something that it needs cannot be read: then nobody knows what it refers to.
    pub async fn add(&mut self, lake: &Lake, base: &Base) -> Result<()> {
        self.add_metadata(lake, &base.loaded, true).await?;
        for entry in base.metadata().metadata_log() {
            self.name(&entry.metadata_file);
            if !self.read.insert(entry.metadata_file.clone()) {
                continue;
            }
            // Of an older state what other engines swept away already is no news.
            if stands(lake, &entry.metadata_file).await? {
                let old = read_metadata(&lake.io, &entry.metadata_file).await?;
                self.add_metadata(lake, &old, false).await?;
            }
        }
        Ok(())
    }

    /// Whether a file of that path is referred to.
    pub fn holds(&self, path: &str) -> bool {
        self.names.contains(&hash(path))
    }

    fn name(&mut self, location: &str) {
        self.names.insert(hash(location));
    }

    async fn add_metadata(&mut self, lake: &Lake, loaded: &Loaded, current: bool) -> Result<()> {
        let metadata = &*loaded.metadata;
        self.name(&loaded.location);
        for statistics in metadata.statistics_iter() {
            self.name(&statistics.statistics_path);
        }
        for statistics in metadata.partition_statistics_iter() {
            self.name(&statistics.statistics_path);
        }
        // One lake is always read in one order, which the library's map has not.
        let mut snapshots: Vec<_> = metadata.snapshots().collect();
        snapshots.sort_by_key(|snapshot| snapshot.sequence_number());
        for snapshot in snapshots {
            self.add_snapshot(lake, metadata, snapshot, current).await?;
        }
        Ok(())
    }

    async fn add_snapshot(
        &mut self,
        lake: &Lake,
        metadata: &TableMetadata,
        snapshot: &Snapshot,
        current: bool,
    ) -> Result<()> {
        let list = snapshot.manifest_list();
        self.name(list);
        if self.read.contains(list) || (!current && !stands(lake, list).await?) {
            return Ok(());
        }
        for manifest in manifests_of(lake, metadata, snapshot).await? {
            self.add_manifest(lake, &manifest, current).await?;
        }
        self.read.insert(list.to_string());
        Ok(())
    }

    async fn add_manifest(
        &mut self,
        lake: &Lake,
        manifest: &ManifestFile,
        current: bool,
    ) -> Result<()> {
        let path = &manifest.manifest_path;
        self.name(path);
        if self.read.contains(path) || (!current && !stands(lake, path).await?) {
            return Ok(());
        }
        let loaded = manifest.load_manifest(&lake.io).await;
        let failed = |e| CatalogError::iceberg(format!("reading the manifest {path}"), e);
        let (entries, _) = loaded.map_err(failed)?.into_parts();
        for entry in entries.iter().filter(|entry| entry.is_alive()) {
            self.name(entry.file_path());
        }
        self.read.insert(path.clone());
        Ok(())
    }
}

async fn stands(lake: &Lake, location: &str) -> Result<bool> {
    match lake.store.head(&lake.warehouse.object_path(location)?).await {
        Ok(_) => Ok(true),
        Err(object_store::Error::NotFound { .. }) => Ok(false),
        Err(e) => Err(CatalogError::storage(format!("looking for {location}"), e)),
    }
}

fn hash(path: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    path.rsplit('/').next().unwrap_or(path).hash(&mut hasher);
    hasher.finish()
}
