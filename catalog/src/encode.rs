//! Rows into the bytes of one data file, and what its manifest entry says about them.

mod bounds;
mod metrics;
mod parquet_file;

use std::collections::HashMap;
use std::fmt::Debug;

use arrow_array::RecordBatch;
use bytes::Bytes;
use iceberg::spec::Datum;

pub use crate::schema::TableSchema;
pub use parquet_file::ParquetFormat;

use crate::error::Result;

/// A file format of data files.
pub trait FileFormat: Send + Sync + Debug {
    /// An encoder of one file with rows of one `day` of event time (since 1970-01-01; none:
    /// rejected rows).
    fn encoder(&self, schema: &TableSchema, day: Option<i32>) -> Result<Box<dyn FileEncoder>>;
}

/// One data file in the making, in memory.
pub trait FileEncoder: Send {
    /// Adds rows; columns are found by name, those that the batch lacks are null.
    fn write(&mut self, batch: &RecordBatch) -> Result<()>;
    /// Bytes held.
    fn memory(&self) -> usize;
    /// Bytes of the file so far, about.
    fn encoded(&self) -> usize;
    /// The file.
    fn finish(self: Box<Self>) -> Result<Encoded>;
}

/// An encoded data file, not yet stored.
#[derive(Debug, Clone)]
pub struct Encoded {
    pub(crate) bytes: Bytes,
    pub(crate) rows: u64,
    pub(crate) day: Option<i32>,
    pub(crate) metrics: Metrics,
}

impl Encoded {
    /// A file of which nothing is known but its rows: readers open it for every query.
    pub fn without_metrics(bytes: Bytes, rows: u64, day: Option<i32>) -> Encoded {
        Encoded { bytes, rows, day, metrics: Metrics::default() }
    }

    /// Size in bytes.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Rows.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Day of event time since 1970-01-01; none: rejected rows.
    pub fn day(&self) -> Option<i32> {
        self.day
    }
}

/// What a manifest says of a file's columns, by field id.
#[derive(Debug, Clone, Default)]
pub(crate) struct Metrics {
    pub column_sizes: HashMap<i32, u64>,
    pub value_counts: HashMap<i32, u64>,
    pub null_counts: HashMap<i32, u64>,
    pub lower_bounds: HashMap<i32, Datum>,
    pub upper_bounds: HashMap<i32, Datum>,
    pub split_offsets: Vec<i64>,
}
