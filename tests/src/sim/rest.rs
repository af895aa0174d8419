//! A REST catalog as the simulation has it: it writes the metadata files itself and makes a commit on
//! whatever is current, as long as what the commit lists still holds. Its answers get lost like others'.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures::FutureExt;
use iceberg::spec::{MAIN_BRANCH, TableMetadata};
use iceberg::{TableRequirement, TableUpdate};
use weir_catalog::backend::{Backend, Loaded, Outcome, PointerBackend, pinned};
use weir_catalog::env::Env;
use weir_catalog::error::{CatalogError, Result};
use weir_catalog::storage::{Warehouse, file_io};
use weir_contract::names::TableName;

use super::bucket::SimBucket;
use super::faults::Faults;
use super::pointer::{Inside, SimPointer};
use super::turn;

/// A commit as it is sent.
#[derive(Debug)]
struct Request {
    name: TableName,
    requirements: Vec<TableRequirement>,
    updates: Vec<TableUpdate>,
}

/// The catalog, as one client has it; cheap to clone.
#[derive(Debug, Clone)]
pub struct SimRest {
    server: Arc<PointerBackend<Inside>>,
    /// Commits whose answer was lost and that are made later, ms.
    late: Arc<Mutex<Vec<(i64, Request)>>>,
    faults: Faults,
    /// Whether the client lists what other engines do, and not all that Weir does.
    foreign: bool,
}

impl SimRest {
    /// The catalog over these pointers and this bucket.
    pub fn new(
        pointer: SimPointer,
        bucket: &SimBucket,
        warehouse: Warehouse,
        env: Env,
        faults: Faults,
    ) -> SimRest {
        let io = file_io(bucket.inside(), warehouse);
        let server = Arc::new(PointerBackend::new(Inside(pointer), io, env));
        SimRest { server, late: Arc::default(), faults, foreign: false }
    }

    /// The same catalog, as another engine has it.
    pub fn foreign(&self) -> SimRest {
        SimRest { foreign: true, ..self.clone() }
    }

    /// What the server has of a table, once every commit is made that is due.
    fn current(&self, name: &TableName) -> Result<Option<Loaded>> {
        let now_ms = self.faults.now_ms();
        let due: Vec<(i64, Request)> = {
            let mut late = self.late.lock().unwrap_or_else(PoisonError::into_inner);
            late.extract_if(.., |(due_ms, _)| *due_ms <= now_ms).collect()
        };
        for (_, request) in due {
            match self.make(request) {
                Outcome::Committed(_) => self.faults.count("rest landed late"),
                _ => self.faults.count("rest refused late"),
            }
        }
        at_once(self.server.load(name))
    }

    /// Makes a commit, if what it lists holds of the table as it is.
    fn make(&self, request: Request) -> Outcome {
        let Request { name, requirements, updates } = request;
        let current = match at_once(self.server.load(&name)) {
            Ok(Some(current)) => current,
            Ok(None) => return Outcome::Conflict("it is gone".into()),
            Err(e) => return Outcome::Failed(e),
        };
        let broken = requirements.iter().find(|r| r.check(Some(&current.metadata)).is_err());
        if let Some(broken) = broken {
            return Outcome::Conflict(format!("{broken:?}"));
        }
        let made = at_once(async { Ok(self.server.commit(&name, &current, updates).await) });
        made.unwrap_or_else(Outcome::Failed)
    }

    /// A commit and what it lists. Other engines list the table, and its branch where they move it or
    /// what it stands on.
    fn request(&self, name: &TableName, base: &Loaded, updates: Vec<TableUpdate>) -> Request {
        let name = name.clone();
        if !self.foreign {
            let (requirements, updates) = pinned(base, updates);
            return Request { name, requirements, updates };
        }
        let mut requirements = vec![TableRequirement::UuidMatch { uuid: base.metadata.uuid() }];
        let moves = |update: &TableUpdate| {
            matches!(
                update,
                TableUpdate::SetSnapshotRef { .. } | TableUpdate::RemoveSnapshots { .. }
            )
        };
        if updates.iter().any(moves) {
            requirements.push(TableRequirement::RefSnapshotIdMatch {
                r#ref: MAIN_BRANCH.into(),
                snapshot_id: base.metadata.current_snapshot_id(),
            });
        }
        Request { name, requirements, updates }
    }
}

/// What the server does at once.
fn at_once<T>(done: impl Future<Output = Result<T>>) -> Result<T> {
    done.now_or_never().unwrap_or_else(|| Err(CatalogError::bug("the server took its time")))
}

#[async_trait]
impl Backend for SimRest {
    async fn list(&self) -> Result<Vec<TableName>> {
        turn().await;
        at_once(self.server.list())
    }

    async fn load(&self, name: &TableName) -> Result<Option<Loaded>> {
        turn().await;
        if self.faults.of_catalog(200) {
            return Err(CatalogError::retry("the catalog does not answer"));
        }
        self.current(name)
    }

    async fn create(&self, name: &TableName, metadata: TableMetadata) -> Outcome {
        turn().await;
        let made = at_once(async { Ok(self.server.create(name, metadata).await) });
        made.unwrap_or_else(Outcome::Failed)
    }

    async fn read(&self, location: &str) -> Result<Loaded> {
        turn().await;
        at_once(self.server.read(location))
    }

    async fn location(&self, name: &TableName) -> Result<Option<String>> {
        turn().await;
        Ok(self.current(name)?.map(|loaded| loaded.location))
    }

    async fn register(&self, _: &TableName, _: &str, _: Option<&str>) -> Outcome {
        Outcome::Failed(CatalogError::bug("nobody registers tables here"))
    }

    async fn commit(&self, name: &TableName, base: &Loaded, updates: Vec<TableUpdate>) -> Outcome {
        let request = self.request(name, base, updates);
        turn().await;
        if self.faults.of_catalog(40) {
            return Outcome::Failed(CatalogError::retry("the catalog is busy"));
        }
        if self.faults.of_catalog(25) {
            let due_ms = self.faults.soon_ms(2_000);
            self.late.lock().unwrap_or_else(PoisonError::into_inner).push((due_ms, request));
            turn().await;
            return Outcome::Unknown("no answer".into());
        }
        if self.faults.of_catalog(40) {
            turn().await;
            return Outcome::Unknown("no answer".into());
        }
        if let Err(e) = self.current(name) {
            return Outcome::Failed(e);
        }
        let made = self.make(request);
        let lost = self.faults.of_catalog(40);
        turn().await;
        match made {
            Outcome::Committed(_) | Outcome::Conflict(_) if lost => {
                self.faults.count("rest answer lost");
                Outcome::Unknown("no answer".into())
            }
            Outcome::Conflict(seen) => {
                self.faults.count("rest conflict");
                Outcome::Conflict(seen)
            }
            made => made,
        }
    }

    fn keeps_metadata(&self) -> bool {
        true
    }
}
