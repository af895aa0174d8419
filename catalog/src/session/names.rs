//! The lake's tables as names in SQL, each loaded when a query names it.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, SchemaProvider, TableProvider};
use datafusion::common::DataFusionError;
use datafusion::error::Result as DfResult;
use weir_contract::names::{
    NAMESPACE_OPS, NAMESPACE_RAW, NAMESPACE_REF, TableName, VIEW_HISTORY_SUFFIX, VIEW_REJECTS,
};

use super::rejects::{self, Part};
use super::{At, TableAt, history, lock};
use crate::create::reference_key;
use crate::look::as_of::{AsOf, no_state, resolve_as_of};
use crate::look::past;
use crate::scan::IcebergProvider;
use crate::{Base, CatalogError, Lake, Result};

/// What all names share.
#[derive(Debug)]
struct Shared {
    lake: Lake,
    at: At,
    pinned: Option<TableName>,
    tables: Vec<TableName>,
    streams: BTreeMap<TableName, String>,
    read: Arc<Mutex<Vec<TableAt>>>,
}

/// The lake as a catalog of DataFusion.
#[derive(Debug)]
pub struct LakeCatalog(Arc<Shared>);

impl LakeCatalog {
    /// A catalog of `tables`, some of which are those of `streams`; what queries load is noted in
    /// `read`.
    pub fn new(
        lake: &Lake,
        at: At,
        pinned: Option<TableName>,
        tables: Vec<TableName>,
        streams: BTreeMap<TableName, String>,
        read: Arc<Mutex<Vec<TableAt>>>,
    ) -> LakeCatalog {
        LakeCatalog(Arc::new(Shared { lake: lake.clone(), at, pinned, tables, streams, read }))
    }
}

impl CatalogProvider for LakeCatalog {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn schema_names(&self) -> Vec<String> {
        let names = self.0.tables.iter().map(|t| t.namespace.clone());
        let names: BTreeSet<String> = names.chain([NAMESPACE_OPS.to_string()]).collect();
        names.into_iter().collect()
    }

    /// Any namespace, so that what is missed is the table, by its whole name.
    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        Some(Arc::new(Namespace { shared: self.0.clone(), namespace: name.to_string() }))
    }
}

/// One namespace.
struct Namespace {
    shared: Arc<Shared>,
    namespace: String,
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Namespace({})", self.namespace)
    }
}

#[async_trait]
impl SchemaProvider for Namespace {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn table_names(&self) -> Vec<String> {
        let tables = self.shared.tables.iter().filter(|t| t.namespace == self.namespace);
        let views = tables.clone().filter(|t| t.namespace == NAMESPACE_REF);
        let views = views.map(|t| format!("{}{VIEW_HISTORY_SUFFIX}", t.name));
        let rejects = self.is_rejects(VIEW_REJECTS).then(|| VIEW_REJECTS.to_string());
        tables.map(|t| t.name.clone()).chain(views).chain(rejects).collect()
    }

    async fn table(&self, name: &str) -> DfResult<Option<Arc<dyn TableProvider>>> {
        let outward = |e: CatalogError| DataFusionError::External(Box::new(e));
        if self.is_rejects(name) {
            return rejects::view(self.shared.rejects().await.map_err(outward)?).map(Some);
        }
        let name = TableName { namespace: self.namespace.clone(), name: name.to_string() };
        if !self.shared.tables.contains(&name) {
            return self.history(&name).await;
        }
        let provider = self.shared.provider(&name).await.map_err(outward)?;
        Ok(provider.map(|(p, _)| Arc::new(p) as Arc<dyn TableProvider>))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.table_names().iter().any(|known| known == name)
    }
}

impl Namespace {
    /// The view `ref.<name>_history`, if `view` is one of a reference table.
    async fn history(&self, view: &TableName) -> DfResult<Option<Arc<dyn TableProvider>>> {
        let Some(of) = view.name.strip_suffix(VIEW_HISTORY_SUFFIX) else { return Ok(None) };
        let table = TableName { namespace: self.namespace.clone(), name: of.to_string() };
        if table.namespace != NAMESPACE_REF || !self.shared.tables.contains(&table) {
            return Ok(None);
        }
        let outward = |e: CatalogError| DataFusionError::External(Box::new(e));
        let Some((provider, base)) = self.shared.provider(&table).await.map_err(outward)? else {
            return Ok(None);
        };
        let Some(key) = reference_key(&base) else { return Ok(None) };
        history::view(&table, Arc::new(provider), &key).map(Some)
    }

    /// Whether this is the view of rejected rows, and no table that somebody made by its name.
    fn is_rejects(&self, name: &str) -> bool {
        let mut tables = self.shared.tables.iter();
        self.namespace == NAMESPACE_OPS
            && name == VIEW_REJECTS
            && !tables.any(|t| t.namespace == NAMESPACE_OPS && t.name == name)
    }
}

impl Shared {
    /// The raw tables, but for those that were not there yet at the time of the session.
    async fn rejects(&self) -> Result<Vec<Part>> {
        let mut parts = Vec::new();
        for table in self.tables.iter().filter(|t| t.namespace == NAMESPACE_RAW) {
            if let At::Time(ms) = self.at
                && let Some(base) = self.lake.table(table).await?
                && matches!(
                    resolve_as_of(&past(&base), ms),
                    AsOf::BeforeFirst { expired: false, .. }
                )
            {
                continue;
            }
            let Some((provider, base)) = self.provider(table).await? else { continue };
            let stream = self.streams.get(table).unwrap_or(&table.name).clone();
            parts.push(Part { table: table.clone(), stream, sources: base.sources(), provider });
        }
        parts.retain(Part::is_raw);
        Ok(parts)
    }

    async fn provider(&self, name: &TableName) -> Result<Option<(IcebergProvider, Base)>> {
        let Some(base) = self.lake.table(name).await? else { return Ok(None) };
        let (id, at) = choose(&base, self.at, self.pinned.as_ref() == Some(name))?;
        let provider = IcebergProvider::new(&self.lake, &base, id)?;
        let mut read = lock(&self.read);
        if !read.contains(&at) {
            read.push(at);
        }
        drop(read);
        Ok(Some((provider, base)))
    }
}

/// The snapshot of `base` to read (none: the current), and what to say of it.
fn choose(base: &Base, at: At, pinned: bool) -> Result<(Option<i64>, TableAt)> {
    let mut said = TableAt {
        table: base.name.clone(),
        snapshot: None,
        committed_at_ms: None,
        off_by_ms: None,
        later_expired: false,
    };
    let id = match at {
        At::Snapshot(id) if pinned => Some(id),
        At::Current | At::Snapshot(_) => None,
        At::Time(ms) => match resolve_as_of(&past(base), ms) {
            AsOf::NoSnapshots => None,
            AsOf::Found { snapshot, off_by_ms } => {
                said.off_by_ms = Some(off_by_ms);
                Some(snapshot.id)
            }
            AsOf::Kept { snapshot, off_by_ms, .. } => {
                (said.off_by_ms, said.later_expired) = (Some(off_by_ms), true);
                Some(snapshot.id)
            }
            nothing => return Err(no_state(&base.name, ms, &nothing)),
        },
    };
    let chosen = match id {
        Some(id) => base.metadata().snapshot_by_id(id),
        None => base.metadata().current_snapshot(),
    };
    said.snapshot = chosen.map(|s| s.snapshot_id());
    said.committed_at_ms = chosen.map(|s| s.timestamp_ms());
    Ok((id, said))
}

/// The one table that has the snapshot `id`.
pub async fn table_of_snapshot(lake: &Lake, tables: &[TableName], id: i64) -> Result<TableName> {
    let mut owners = Vec::new();
    for name in tables {
        if let Some(base) = lake.table(name).await?
            && base.metadata().snapshot_by_id(id).is_some()
        {
            owners.push(name.clone());
        }
    }
    let list =
        |names: &[TableName]| names.iter().map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
    match owners.as_slice() {
        [owner] => Ok(owner.clone()),
        [] => Err(CatalogError::bad_config(format!(
            "no table has a standing snapshot {id}; looked at: {}; `weir snapshots <table>` lists \
             them",
            list(tables)
        ))),
        several => Err(CatalogError::bad_config(format!(
            "snapshot {id} stands in more than one table: {}; ask for a time instead",
            list(several)
        ))),
    }
}
