//! Where a simulated lake is: on a disk with an SQLite catalog, or in S3 with Glue or a REST catalog.

use std::sync::Arc;

use object_store::{ObjectStore, RetryConfig};
use weir_catalog::backend::{Backend, PointerBackend};
use weir_catalog::encode::{FileFormat, ParquetFormat};
use weir_catalog::env::Env;
use weir_catalog::storage::{S3Store, Warehouse, file_io};
use weir_catalog::{Lake, LakeOptions};

use super::bucket::SimBucket;
use super::disk::SimDisk;
use super::faults::Faults;
use super::format::LineFormat;
use super::pointer::{Compared, SimPointer};
use super::rest::SimRest;
use super::rng::Rng;
use super::store::{SimStore, WAREHOUSE};

/// Where lakes can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Where {
    /// On a disk, its pointer in a file beside it.
    #[default]
    Disk,
    /// In S3 and Glue.
    Glue,
    /// In S3 and a REST catalog.
    Rest,
}

/// Whose process looks at the lake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Weir's.
    Weir,
    /// Another engine's.
    Foreign,
}

/// The place of one lake.
pub struct Place {
    at: Where,
    disk: SimDisk,
    bucket: SimBucket,
    /// The tables' pointers, wherever they are kept.
    pub pointer: SimPointer,
    rest: SimRest,
    warehouse: Warehouse,
    faults: Faults,
}

impl Place {
    /// An empty place; a lake that is not on the disk leaves that alone.
    pub fn new(at: Where, disk: SimDisk, faults: &Faults, env: Env, silence_is_yes: bool) -> Place {
        let compared = match at {
            Where::Glue => Compared::Version,
            Where::Disk | Where::Rest => Compared::Location,
        };
        let warehouse = match at {
            Where::Disk => Warehouse::Local(WAREHOUSE.into()),
            _ => Warehouse::S3 { bucket: "lake".into(), prefix: "sim".into() },
        };
        let pointer = SimPointer::new(faults.clone(), compared, silence_is_yes);
        let bucket = SimBucket::new(faults.clone());
        let rest = SimRest::new(pointer.clone(), &bucket, warehouse.clone(), env, faults.clone());
        Place { at, disk, bucket, pointer, rest, warehouse, faults: faults.clone() }
    }

    /// The machines lose power: a disk forgets what was not synced, S3 nothing.
    pub fn power_cut(&self, rng: &Rng) {
        if self.at == Where::Disk {
            self.disk.crash(rng);
        }
    }

    /// The lake as one process sees it.
    pub fn lake(&self, env: Env, parquet: bool, who: Who) -> Arc<Lake> {
        let store: Arc<dyn ObjectStore> = match self.at {
            Where::Disk => Arc::new(SimStore::new(&self.disk, self.faults.clone())),
            _ => {
                let retry = RetryConfig { max_retries: 2, ..RetryConfig::default() };
                let bucket = Arc::new(self.bucket.clone());
                Arc::new(S3Store::over(bucket, "lake", retry, env.clock.clone()))
            }
        };
        let io = file_io(store.clone(), self.warehouse.clone());
        let backend: Arc<dyn Backend> = match (self.at, who) {
            (Where::Rest, Who::Weir) => Arc::new(self.rest.clone()),
            (Where::Rest, Who::Foreign) => Arc::new(self.rest.foreign()),
            _ => Arc::new(PointerBackend::new(self.pointer.clone(), io.clone(), env.clone())),
        };
        let format: Arc<dyn FileFormat> =
            if parquet { Arc::new(ParquetFormat::default()) } else { Arc::new(LineFormat) };
        let options = LakeOptions {
            snapshots_max: 12,
            metadata_log_max: 3,
            attempts_max: 5,
            ..LakeOptions::default()
        };
        let warehouse = self.warehouse.clone();
        Arc::new(Lake { env, store, io, backend, warehouse, options, format })
    }
}
