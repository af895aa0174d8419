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
use weir_catalog::storage::SyncedStore;

use super::disk::SimDisk;
use super::faults::Faults;
use super::turn;

/// Where a lake on the disk stands.
pub const WAREHOUSE: &str = "/lake";

/// The disk as one process sees it.
#[derive(Debug)]
pub struct SimStore {
    inner: SyncedStore,
    faults: Faults,
}

impl SimStore {
    /// A process's own syncing store.
    pub fn new(disk: &SimDisk, faults: Faults) -> SimStore {
        SimStore { inner: SyncedStore::new(Arc::new(disk.clone()), WAREHOUSE), faults }
    }

    fn fail(&self, times: u64) -> Result<()> {
        if self.faults.one_in(times) {
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
        self.faults.slow(30, 3_000).await;
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
        self.faults.slow(30, 3_000).await;
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
