//! Files of the lake: one stack, `object_store`, below everything.
//!
//! - [`Warehouse`]: where they stand, and their locations in metadata.
//! - [`Disk`] / [`LocalDisk`]: the few calls that a file system must offer, synchronous.
//! - [`SyncedStore`]: `ObjectStore` over a [`Disk`]; a `put` that returned survives a power cut.
//! - [`S3Store`]: `ObjectStore` over a bucket of S3; its errors say what to allow or correct.
//! - [`IcebergStorage`]: the same store under the Iceberg library's `FileIO`.

mod adapter;
mod disk;
mod s3;
mod synced;
mod warehouse;

pub use adapter::{IcebergStorage, file_io};
pub use disk::{Disk, Entry, LocalDisk, Stat};
pub use s3::{Refused, S3Options, S3Store};
pub use synced::SyncedStore;
pub use warehouse::{S3_SCHEME, Warehouse};

pub(crate) use warehouse::odd_character;
