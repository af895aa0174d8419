//! What a sweep remembers until the next: a file in the table's metadata folder. Other engines that sweep
//! there may delete it, which only begins the wait anew; so does a table that was made anew, and a file that
//! cannot be read.

use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode};
use serde::{Deserialize, Serialize};

use super::plan::Memory;
use crate::{Base, CatalogError, Lake, Result};

/// The file's name.
const FILE: &str = "weir-unreferenced.json";

/// Whether a path below the table's folder is that of the memory itself.
pub fn is_memory(path: &str) -> bool {
    path.strip_prefix("metadata/") == Some(FILE)
}

const VERSION: u32 = 1;
/// Files that are remembered; of more, those at the end of the list wait for a later look.
const FILES_MAX: usize = 100_000;

#[derive(Serialize, Deserialize)]
struct Shape {
    v: u32,
    table_uuid: String,
    unreferenced: Memory,
}

/// What earlier looks at this table remembered.
///
/// Errors: what the storage says, but for a file that is not there.
pub async fn read(lake: &Lake, base: &Base) -> Result<Memory> {
    let path = path(lake, base)?;
    let failed = |e| CatalogError::storage(format!("reading {path}"), e);
    let bytes = match lake.store.get(&path).await {
        Ok(found) => found.bytes().await.map_err(failed)?,
        Err(object_store::Error::NotFound { .. }) => return Ok(Memory::new()),
        Err(e) => return Err(failed(e)),
    };
    let uuid = base.metadata().uuid().to_string();
    match serde_json::from_slice::<Shape>(&bytes) {
        Ok(shape) if shape.v == VERSION && shape.table_uuid == uuid => Ok(shape.unreferenced),
        Ok(_) => Ok(Memory::new()),
        Err(e) => {
            tracing::warn!(table = %base.name, %path, error = %e, "what sweeps remember is damaged");
            Ok(Memory::new())
        }
    }
}

/// Replaces what is remembered.
pub async fn write(lake: &Lake, base: &Base, memory: Memory) -> Result<()> {
    let path = path(lake, base)?;
    let shape = Shape {
        v: VERSION,
        table_uuid: base.metadata().uuid().to_string(),
        unreferenced: memory.into_iter().take(FILES_MAX).collect(),
    };
    let bytes = serde_json::to_vec(&shape)
        .map_err(|e| CatalogError::bug("writing what a sweep remembers").with_source(e))?;
    let put = lake.store.put_opts(&path, bytes.into(), PutMode::Overwrite.into()).await;
    put.map_err(|e| CatalogError::storage(format!("writing {path}"), e))?;
    Ok(())
}

fn path(lake: &Lake, base: &Base) -> Result<Path> {
    lake.warehouse.object_path(&format!("{}/metadata/{FILE}", base.metadata().location()))
}
