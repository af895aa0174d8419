//! The skeleton of a snapshot: manifest lists, manifests and data files, referenced once, there,
//! and of the size they are said to have.

use std::collections::{BTreeMap, HashMap};

use futures::StreamExt;
use iceberg::scan::FileScanTaskDeleteFile;
use iceberg::spec::{ManifestContentType, SnapshotRef};
use object_store::ObjectStoreExt;
use weir_contract::class::ErrorClass;

use super::report::{Finding, Kind};
use crate::look::number;
use crate::scan::plan::{self, LiveFile};
use crate::{Base, CatalogError, Lake, Result};

/// Files asked for at the same time.
const AT_ONCE: usize = 16;

/// What the current snapshot references.
#[derive(Debug, Default)]
pub struct Structure {
    /// Live data files that are there, each once.
    pub files: Vec<LiveFile>,
    /// All live data files, and their bytes by the manifests.
    pub count: u64,
    /// Bytes by the manifests.
    pub bytes: u64,
    /// Delete files by data file.
    pub deletes: HashMap<String, Vec<FileScanTaskDeleteFile>>,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

/// Looks at everything that the current snapshot references, without opening data files.
///
/// Errors: what says nothing about the table (no permission, storage down).
pub async fn structure(lake: &Lake, base: &Base) -> Result<Structure> {
    let mut found = Structure::default();
    manifest_lists(lake, base, &mut found).await?;
    let Some(current) = base.metadata().current_snapshot() else { return Ok(found) };
    let manifests = match plan::manifests(lake, base, current).await {
        Ok(manifests) => manifests,
        Err(e) => {
            let known = found.findings.iter().any(|f| f.snapshot == Some(current.snapshot_id()));
            let finding = as_finding(e, base, Kind::ManifestListMissing)?;
            if !known {
                let id = current.snapshot_id();
                found.findings.push(finding.file(current.manifest_list()).snapshot(id));
            }
            return Ok(found);
        }
    };
    let mut complete = true;
    let mut live: BTreeMap<String, Vec<LiveFile>> = BTreeMap::new();
    for manifest in manifests.iter().filter(|m| m.content == ManifestContentType::Data) {
        match plan::manifest_files(&lake.io, manifest).await {
            Ok(files) => {
                for file in files {
                    live.entry(file.path().to_string()).or_default().push(file);
                }
            }
            Err(e) => {
                complete = false;
                let finding = as_finding(e, base, Kind::ManifestMissing)?;
                found.findings.push(finding.file(&manifest.manifest_path));
            }
        }
    }
    if complete {
        totals(base, current, &live, &mut found);
        found.deletes = match plan::deletes(lake, base, current, &manifests).await {
            Ok(deletes) => deletes,
            Err(e) => {
                found.findings.push(as_finding(e, base, Kind::ManifestMissing)?);
                HashMap::new()
            }
        };
    }
    data_files(lake, base, live, &mut found).await?;
    Ok(found)
}

/// What is wrong with the table becomes a finding; what is wrong with the way to it stays an error.
pub fn as_finding(error: CatalogError, base: &Base, kind: Kind) -> Result<Finding> {
    match error.class() {
        ErrorClass::BadData => Ok(Finding::new(kind, &base.name, error.message())),
        _ => Err(error),
    }
}

async fn manifest_lists(lake: &Lake, base: &Base, found: &mut Structure) -> Result<()> {
    let snapshots: Vec<(i64, String)> = base
        .metadata()
        .snapshots()
        .map(|s| (s.snapshot_id(), s.manifest_list().to_string()))
        .collect();
    let heads = snapshots.into_iter().map(|(id, path)| {
        let lake = lake.clone();
        async move { (id, size_of(&lake, &path).await, path) }
    });
    let mut heads = futures::stream::iter(heads.collect::<Vec<_>>()).buffer_unordered(AT_ONCE);
    while let Some((id, size, path)) = heads.next().await {
        if size?.is_none() {
            let message = format!("the manifest list of snapshot {id} is not there");
            let finding = Finding::new(Kind::ManifestListMissing, &base.name, message);
            found.findings.push(finding.snapshot(id).file(&path));
        }
    }
    Ok(())
}

/// The size of a file; none if it is not there.
async fn size_of(lake: &Lake, location: &str) -> Result<Option<u64>> {
    match lake.store.head(&lake.warehouse.object_path(location)?).await {
        Ok(meta) => Ok(Some(meta.size)),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(e) => Err(CatalogError::storage(format!("looking for {location}"), e)),
    }
}

fn totals(
    base: &Base,
    current: &SnapshotRef,
    live: &BTreeMap<String, Vec<LiveFile>>,
    found: &mut Structure,
) {
    let entries = || live.values().flatten();
    let records: u64 = entries().map(|f| f.entry.record_count()).sum();
    let files = entries().count() as u64;
    for (key, held) in [("total-records", records), ("total-data-files", files)] {
        // A foreign engine need not write totals.
        let Some(said) = number(current, key) else { continue };
        if i128::from(said) != i128::from(held) {
            let message = format!("the summary says {key} = {said}, the manifests hold {held}");
            let finding = Finding::new(Kind::Totals, &base.name, message);
            found.findings.push(finding.snapshot(current.snapshot_id()));
        }
    }
}

async fn data_files(
    lake: &Lake,
    base: &Base,
    live: BTreeMap<String, Vec<LiveFile>>,
    found: &mut Structure,
) -> Result<()> {
    let mut once = Vec::new();
    for (path, mut entries) in live {
        found.count += 1;
        if entries.len() > 1 {
            let message = format!("{} manifest entries name one file", entries.len());
            let finding = Finding::new(Kind::FileReferencedTwice, &base.name, message);
            found.findings.push(finding.file(&path));
        }
        once.extend(entries.pop());
    }
    let heads = once.into_iter().map(|file| {
        let lake = lake.clone();
        async move { (size_of(&lake, file.path()).await, file) }
    });
    // In order, so that two runs over one table say the same.
    let mut heads = futures::stream::iter(heads.collect::<Vec<_>>()).buffered(AT_ONCE);
    while let Some((size, file)) = heads.next().await {
        let said = file.entry.file_size_in_bytes();
        found.bytes += said;
        match size? {
            None => {
                let message =
                    format!("a data file of {} rows is not there", file.entry.record_count());
                let finding = Finding::new(Kind::FileMissing, &base.name, message);
                found.findings.push(finding.file(file.path()));
                continue;
            }
            Some(size) if size != said => {
                let message = format!("the manifest says {said} bytes, the file has {size}");
                let finding = Finding::new(Kind::FileSize, &base.name, message);
                found.findings.push(finding.file(file.path()));
            }
            Some(_) => {}
        }
        found.files.push(file);
    }
    Ok(())
}
