//! Sweeping: files in a table's folders that nobody refers to are deleted, if an earlier look, at least 24
//! hours ago, found the same.
//!
//! Failed attempts to commit, lost races and expired snapshots leave them, ours and other engines'. Before
//! anything is deleted the table is committed to, on exactly the metadata that was looked at: so nothing
//! came between the look and that commit, and whoever commits afterwards notices that it waited too long
//! (`commit` refuses files older than 12 hours).

mod memory;
pub mod plan;
mod reach;

use std::collections::HashMap;

use futures::TryStreamExt;
use iceberg::TableUpdate;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use weir_contract::names::key;

use super::Maintain;
use super::report::{MaintainEvent, Sweep};
use crate::backend::Outcome;
use crate::commit::delete_old_metadata;
use crate::look::as_of::show_time;
use crate::{Base, CatalogError, Result};
use plan::{Listed, Plan, plan};
use reach::Reach;

/// The folders of a table.
const FOLDERS: [&str; 2] = ["data", "metadata"];
/// The property by which a table asks not to be swept, as the Java library has it.
const GC_PROPERTY: &str = "gc.enabled";
/// Times that others may commit between the look and the deletions.
const ATTEMPTS_MAX: usize = 10;

impl Maintain<'_> {
    /// One look, and the deletions that it allows.
    pub(super) async fn sweep(&mut self, report: &mut Sweep) -> Result<()> {
        let base = self.base().await?;
        if let Some(why) = self.spared(&base).await? {
            report.left = Some(why);
            return Ok(());
        }
        if self.stops() {
            return Ok(());
        }
        let begun_ms = self.lake.env.clock.now_ms();
        let listed = self.list(&base).await?;
        let known = memory::read(self.lake, &base).await?;
        report.listed = listed.len() as u64;
        let mut reach = Reach::default();
        for _ in 0..ATTEMPTS_MAX {
            // Read after the listing: what came in between is referred to by now.
            let base = self.base().await?;
            reach.add(self.lake, &base).await?;
            let ended_ms = self.lake.env.clock.now_ms();
            let plan = plan(&listed, |file| reach.holds(&file.path), &known, begun_ms, ended_ms);
            report.strangers = plan.strangers;
            report.waiting = plan.remember.len() as u64;
            if self.dry_run || self.stops() {
                report.count(&listed, &plan.delete);
                return Ok(());
            }
            if plan.delete.is_empty() {
                return self.remember(&base, plan, &known).await;
            }
            if let Some(base) = self.fence(&base).await? {
                self.delete(&base, &listed, &plan, report).await?;
                return self.remember(&base, plan, &known).await;
            }
        }
        report.left = Some("other writers committed all the time".into());
        Ok(())
    }

    fn folder(&self, base: &Base) -> Result<Path> {
        self.lake.warehouse.object_path(base.metadata().location())
    }

    /// Why the table is not swept, if it is not.
    async fn spared(&self, base: &Base) -> Result<Option<String>> {
        let property = base.metadata().properties().get(GC_PROPERTY);
        if property.is_some_and(|value| value.eq_ignore_ascii_case("false")) {
            return Ok(Some(format!("its property {GC_PROPERTY} is false")));
        }
        let folder = self.folder(base)?;
        for name in self.lake.tables().await?.into_iter().filter(|name| *name != base.name) {
            let Some(other) = self.lake.table(&name).await? else { continue };
            // One that lies elsewhere, in another storage even, shares no folder with it.
            let Ok(place) = self.lake.warehouse.object_path(other.metadata().location()) else {
                continue;
            };
            if place.prefix_matches(&folder) || folder.prefix_matches(&place) {
                return Ok(Some(format!("it shares its folder with {name}")));
            }
        }
        Ok(None)
    }

    async fn list(&self, base: &Base) -> Result<Vec<Listed>> {
        let root = self.folder(base)?;
        let mut listed = Vec::new();
        for name in FOLDERS {
            let folder = root.clone().join(name);
            let failed = |e| CatalogError::storage(format!("listing {folder}"), e);
            let mut files = self.lake.store.list(Some(&folder));
            while let Some(found) = files.try_next().await.map_err(failed)? {
                let below = found.location.as_ref().strip_prefix(root.as_ref());
                let Some(path) = below.and_then(|path| path.strip_prefix('/')) else { continue };
                if memory::is_memory(path) {
                    continue;
                }
                listed.push(Listed {
                    path: path.to_string(),
                    bytes: found.size,
                    modified_ms: found.last_modified.timestamp_millis(),
                });
            }
        }
        Ok(listed)
    }

    /// Commits on exactly `base`: nothing came since, and whoever commits later comes after this. None if
    /// another writer was faster.
    async fn fence(&self, base: &Base) -> Result<Option<Base>> {
        let now = show_time(self.lake.env.clock.now_ms());
        let updates = HashMap::from([(key::SWEPT.to_string(), now)]);
        let updates = vec![TableUpdate::SetProperties { updates }];
        match self.lake.backend.commit(&base.name, &base.loaded, updates).await {
            Outcome::Committed(loaded) => {
                let new = Base { name: base.name.clone(), loaded };
                delete_old_metadata(self.lake, base, &new).await;
                Ok(Some(new))
            }
            // Whether an unknown one landed does not matter: the next attempt is on what stands then.
            Outcome::Conflict(_) | Outcome::Unknown(_) => Ok(None),
            Outcome::Failed(e) => Err(e),
        }
    }

    async fn delete(
        &mut self,
        base: &Base,
        listed: &[Listed],
        plan: &Plan,
        report: &mut Sweep,
    ) -> Result<()> {
        (self.listen)(&MaintainEvent::Sweeping { files: plan.delete.len() });
        let root = self.folder(base)?;
        for position in &plan.delete {
            let file = &listed[*position];
            let path = Path::parse(format!("{root}/{}", file.path));
            let path = path.map_err(|e| CatalogError::bug(format!("{}: {e}", file.path)))?;
            match self.lake.store.delete(&path).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {
                    report.count(listed, &[*position]);
                }
                Err(e) => {
                    report.failed += 1;
                    tracing::warn!(table = %base.name, %path, error = %e, "cannot be deleted");
                }
            }
        }
        Ok(())
    }

    async fn remember(&self, base: &Base, plan: Plan, known: &plan::Memory) -> Result<()> {
        if plan.remember == *known {
            return Ok(());
        }
        memory::write(self.lake, base, plan.remember).await
    }
}

impl Sweep {
    fn count(&mut self, listed: &[Listed], positions: &[usize]) {
        self.files += positions.len() as u64;
        self.bytes += positions.iter().map(|position| listed[*position].bytes).sum::<u64>();
    }
}

#[cfg(test)]
mod tests;
