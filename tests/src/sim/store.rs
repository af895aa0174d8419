//! The object store of one simulated process: the real syncing store over the simulated disk, but slow,
//! and sometimes failing before or after the work is done.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use weir_catalog::backend::PointerBackend;
use weir_catalog::encode::{FileFormat, ParquetFormat};
use weir_catalog::env::Env;
use weir_catalog::storage::{SyncedStore, Warehouse, file_io};
use weir_catalog::{Lake, LakeOptions};

use super::disk::SimDisk;
use super::format::LineFormat;
use super::pointer::SimPointer;
use super::rng::Rng;
use super::turn;

/// Where the simulated lake stands.
pub const WAREHOUSE: &str = "/lake";

/// A lake as one process sees it.
pub fn lake(disk: &SimDisk, pointer: &SimPointer, env: Env, rng: &Rng, parquet: bool) -> Arc<Lake> {
    let warehouse = Warehouse::Local(WAREHOUSE.into());
    let synced = SyncedStore::new(Arc::new(disk.clone()), WAREHOUSE);
    let store = SimStore { inner: synced, disk: disk.clone(), env: env.clone(), rng: rng.clone() };
    let store: Arc<dyn ObjectStore> = Arc::new(store);
    let io = file_io(store.clone(), warehouse.clone());
    let backend = Arc::new(PointerBackend::new(pointer.clone(), io.clone(), env.clone()));
    let format: Arc<dyn FileFormat> =
        if parquet { Arc::new(ParquetFormat::default()) } else { Arc::new(LineFormat) };
    let options = LakeOptions {
        snapshots_max: 12,
        metadata_log_max: 3,
        attempts_max: 5,
        ..LakeOptions::default()
    };
    Arc::new(Lake { env, store, io, backend, warehouse, options, format })
}

#[derive(Debug)]
struct SimStore {
    inner: SyncedStore,
    disk: SimDisk,
    env: Env,
    rng: Rng,
}

impl SimStore {
    async fn slow(&self) {
        turn().await;
        if !self.disk.is_healed() && self.rng.one_in(30) {
            let wait = std::time::Duration::from_millis(self.rng.below(3_000));
            self.env.clock.sleep(wait).await;
        }
    }

    fn fail(&self, times: u64) -> Result<()> {
        if !self.disk.is_healed() && self.rng.one_in(times) {
            return Err(Error::Generic { store: "SimStore", source: "the disk is tired".into() });
        }
        Ok(())
    }
}

impl fmt::Display for SimStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimStore")
    }
}

#[async_trait]
impl ObjectStore for SimStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.slow().await;
        self.fail(400)?;
        let result = self.inner.put_opts(location, payload, options).await;
        turn().await;
        self.fail(400)?;
        result
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.slow().await;
        self.fail(1_500)?;
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
