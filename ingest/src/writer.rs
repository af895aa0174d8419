//! Chunks of a micro-batch → encoded files, one per day of event time.
//!
//! [`DayWriter`] does the work: rows of the days met first go straight into an open encoder each;
//! beyond [`OPEN_MAX`] days, rows are held as they are and written one day after another at the end,
//! so that a flood of old events cannot open an encoder per day. [`Writer`] runs it in line or on a
//! thread of its own, so that encoding overlaps decoding.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};

use arrow_array::{RecordBatch, UInt32Array};
use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::BoxFuture;
use weir_catalog::encode::{Encoded, FileEncoder, FileFormat, TableSchema};
use weir_catalog::error::CatalogError;
use weir_contract::decode::Chunk;

/// Encoders open at the same time; each holds a few MiB at most.
const OPEN_MAX: usize = 8;
/// Chunks that may wait for the encoding thread.
const QUEUE_MAX: usize = 2;

/// A day of event time since 1970-01-01, or none: rejected rows.
type Day = Option<i32>;

/// Splits chunks by day and encodes them.
pub struct DayWriter {
    format: Arc<dyn FileFormat>,
    schema: TableSchema,
    open: BTreeMap<Day, Box<dyn FileEncoder>>,
    held: BTreeMap<Day, Vec<RecordBatch>>,
    held_bytes: usize,
}

impl DayWriter {
    /// A writer of one micro-batch.
    pub fn new(format: Arc<dyn FileFormat>, schema: TableSchema) -> DayWriter {
        DayWriter { format, schema, open: BTreeMap::new(), held: BTreeMap::new(), held_bytes: 0 }
    }

    /// Takes one chunk.
    pub fn write(&mut self, chunk: Chunk) -> Result<(), CatalogError> {
        let Chunk { batch, days, .. } = chunk;
        let Some(first) = days.first().copied() else { return Ok(()) };
        if days.iter().all(|day| *day == first) {
            return self.write_day(first, batch);
        }
        let mut rows_of: BTreeMap<Day, Vec<u32>> = BTreeMap::new();
        for (row, day) in days.iter().enumerate() {
            rows_of.entry(*day).or_default().push(row as u32);
        }
        for (day, rows) in rows_of {
            let part = arrow::compute::take_record_batch(&batch, &UInt32Array::from(rows))
                .map_err(|e| CatalogError::bug(format!("split a batch by day: {e}")))?;
            self.write_day(day, part)?;
        }
        Ok(())
    }

    /// Bytes held, open encoders included.
    pub fn memory(&self) -> usize {
        self.held_bytes + self.open.values().map(|encoder| encoder.memory()).sum::<usize>()
    }

    /// The encoded files, one a day.
    pub fn finish(mut self) -> Result<Vec<Encoded>, CatalogError> {
        let mut files = Vec::with_capacity(self.open.len() + self.held.len());
        for (_, encoder) in std::mem::take(&mut self.open) {
            files.push(encoder.finish()?);
        }
        for (day, batches) in std::mem::take(&mut self.held) {
            let mut encoder = self.format.encoder(&self.schema, day)?;
            for batch in batches {
                encoder.write(&batch)?;
            }
            files.push(encoder.finish()?);
        }
        Ok(files)
    }

    fn write_day(&mut self, day: Day, batch: RecordBatch) -> Result<(), CatalogError> {
        if let Some(encoder) = self.open.get_mut(&day) {
            return encoder.write(&batch);
        }
        if self.open.len() < OPEN_MAX {
            let mut encoder = self.format.encoder(&self.schema, day)?;
            encoder.write(&batch)?;
            self.open.insert(day, encoder);
            return Ok(());
        }
        self.held_bytes += batch.get_array_memory_size();
        self.held.entry(day).or_default().push(batch);
        Ok(())
    }
}

/// Where a [`DayWriter`] runs.
pub enum Writer {
    /// On the caller's thread.
    Inline(DayWriter),
    /// On a thread of its own.
    Threaded {
        /// Chunks to it.
        chunks: SyncSender<Chunk>,
        /// Its result.
        files: oneshot::Receiver<Result<Vec<Encoded>, CatalogError>>,
        /// Bytes that it and the queue hold.
        held: Arc<AtomicUsize>,
    },
}

impl Writer {
    /// Starts a thread around `writer`.
    pub fn threaded(mut writer: DayWriter) -> Result<Writer, CatalogError> {
        let (chunks, queue) = sync_channel::<Chunk>(QUEUE_MAX);
        let (done, files) = oneshot::channel();
        let held = Arc::new(AtomicUsize::new(0));
        let counter = held.clone();
        std::thread::Builder::new()
            .name("weir-encode".into())
            .spawn(move || {
                let mut encoded = 0;
                for chunk in queue {
                    let queued = chunk.batch.get_array_memory_size();
                    if let Err(error) = writer.write(chunk) {
                        let _ = done.send(Err(error));
                        return;
                    }
                    let now = writer.memory();
                    // In one step, which wraps where it is less: nobody sees a chunk counted twice.
                    counter.fetch_add(now.wrapping_sub(queued + encoded), Ordering::Relaxed);
                    encoded = now;
                }
                let _ = done.send(writer.finish());
            })
            .map_err(|e| CatalogError::retry(format!("start the encoding thread: {e}")))?;
        Ok(Writer::Threaded { chunks, files, held })
    }

    /// Hands over one chunk; waits while the encoding thread is behind.
    pub fn push(&mut self, chunk: Chunk) -> Result<(), CatalogError> {
        match self {
            Writer::Inline(writer) => writer.write(chunk),
            Writer::Threaded { chunks, held, .. } => {
                held.fetch_add(chunk.batch.get_array_memory_size(), Ordering::Relaxed);
                // A closed queue means that encoding failed: `finish` tells why.
                let _ = chunks.send(chunk);
                Ok(())
            }
        }
    }

    /// Bytes held.
    pub fn memory(&self) -> usize {
        match self {
            Writer::Inline(writer) => writer.memory(),
            Writer::Threaded { held, .. } => held.load(Ordering::Relaxed),
        }
    }

    /// The encoded files.
    pub fn finish(self) -> BoxFuture<'static, Result<Vec<Encoded>, CatalogError>> {
        match self {
            Writer::Inline(writer) => futures::future::ready(writer.finish()).boxed(),
            Writer::Threaded { chunks, files, .. } => {
                drop(chunks);
                async move {
                    files.await.unwrap_or_else(|_| {
                        Err(CatalogError::bug("the encoding thread ended without a result"))
                    })
                }
                .boxed()
            }
        }
    }
}
