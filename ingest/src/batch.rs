//! The open micro-batch: records in, chunks to the writer, and the steps that the batch will commit.

use std::collections::BTreeMap;

use weir_catalog::error::CatalogError;
use weir_contract::class::RejectClass;
use weir_contract::decode::{Chunk, Decoder, Outcome, Record};
use weir_contract::progress::{Fingerprint, Step};

use crate::source::Records;
use crate::writer::Writer;

/// Rows and bytes after which decoded columns are handed to the writer.
const CHUNK_ROWS: usize = 8_192;
const CHUNK_BYTES: usize = 4 << 20;

/// Where one partition stands in this process.
#[derive(Debug, Clone)]
struct Slot {
    /// The next offset that is not yet in a batch.
    position: i64,
    /// Records at or past it belong to a later run (`--until-latest`).
    target: Option<i64>,
    /// What the open batch holds of the partition.
    step: Option<Step>,
    /// The last record that the table took, to be met again (brokers without topic ids).
    probe: Option<Fingerprint>,
    /// The greatest Kafka time of the records read, ms.
    time_ms: Option<i64>,
}

impl Slot {
    /// Counts the offsets up to `offset` as absent; whether there were any.
    fn reach(&mut self, offset: i64) -> bool {
        if offset <= self.position {
            return false;
        }
        let step = self.step.get_or_insert(Step::at(self.position));
        step.absent += offset - self.position;
        step.until = offset;
        self.position = offset;
        true
    }
}

/// What reading a batch of records found.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Records that became rows.
    pub records: u64,
    /// Bytes of their values.
    pub bytes: u64,
    /// Records that were delivered again, or of partitions that are not ours, or past the target.
    pub passed_over: u64,
    /// Rejected records.
    pub rejected: ByClass,
    /// A probe that met another record: partition and offset.
    pub other_record: Option<(i32, i64)>,
}

/// Records by the position of their reject class in [`RejectClass::ALL`].
pub type ByClass = [u64; RejectClass::ALL.len()];

/// Positions of all partitions held, and the open batch.
pub struct Batch {
    slots: Vec<Option<Slot>>,
    decoder: Decoder,
    /// Keep a fingerprint of each partition's last record.
    fingerprints: bool,
    moved_at_ms: Option<i64>,
    rows: usize,
    rejected: ByClass,
    bytes: usize,
}

impl Batch {
    /// No partitions, no records.
    pub fn new(decoder: Decoder, fingerprints: bool) -> Batch {
        Batch {
            slots: Vec::new(),
            decoder,
            fingerprints,
            moved_at_ms: None,
            rows: 0,
            rejected: ByClass::default(),
            bytes: 0,
        }
    }

    /// Begins a partition at `position`; `probe` is expected to be a record before it.
    pub fn begin(
        &mut self,
        partition: i32,
        position: i64,
        target: Option<i64>,
        probe: Option<Fingerprint>,
    ) {
        let index = partition as usize;
        if self.slots.len() <= index {
            self.slots.resize(index + 1, None);
        }
        self.slots[index] = Some(Slot { position, target, step: None, probe, time_ms: None });
    }

    /// Holds a partition that has no position yet; nothing of it is taken until it begins.
    pub fn hold(&mut self, partition: i32) {
        if self.slot(partition).is_none() {
            self.begin(partition, i64::MAX, None, None);
        }
    }

    /// Forgets a partition.
    pub fn end(&mut self, partition: i32) {
        if let Some(slot) = self.slots.get_mut(partition as usize) {
            *slot = None;
        }
    }

    /// Forgets all partitions.
    pub fn end_all(&mut self) {
        self.slots.clear();
    }

    /// The partitions held.
    pub fn partitions(&self) -> Vec<i32> {
        let slots = self.slots.iter().enumerate();
        slots.filter(|(_, slot)| slot.is_some()).map(|(i, _)| i as i32).collect()
    }

    /// Whether the open batch holds anything of one of `partitions`.
    pub fn touches(&self, partitions: &[i32]) -> bool {
        partitions.iter().any(|p| {
            self.slots.get(*p as usize).and_then(Option::as_ref).is_some_and(|s| s.step.is_some())
        })
    }

    /// Whether every partition held has reached its target.
    pub fn at_targets(&self) -> bool {
        let mut slots = self.slots.iter().flatten();
        slots.all(|slot| slot.target.is_none_or(|target| slot.position >= target))
    }

    /// Records in the open batch.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes of record values in the open batch.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes that the decoder holds.
    pub fn memory(&self) -> usize {
        self.decoder.bytes()
    }

    /// The next offset of a partition that is not yet in a batch, and the greatest Kafka time of its records
    /// that were read, ms; none of one that has no position here.
    pub fn position(&self, partition: i32) -> Option<(i64, Option<i64>)> {
        let slot = self.slots.get(usize::try_from(partition).ok()?)?.as_ref()?;
        (slot.position < i64::MAX).then_some((slot.position, slot.time_ms))
    }

    /// When the open batch first moved a partition, ms.
    pub fn moved_at_ms(&self) -> Option<i64> {
        self.moved_at_ms
    }

    /// Decodes `records`; full chunks go to `writer`.
    pub fn take<R: Records>(
        &mut self,
        records: &R,
        now_ms: i64,
        mut chunk: impl FnMut(Chunk),
    ) -> Taken {
        let mut taken = Taken::default();
        records.for_each(&mut |record| {
            self.take_one(record, &mut taken);
            if self.decoder.rows() >= CHUNK_ROWS || self.decoder.bytes() >= CHUNK_BYTES {
                chunk(self.decoder.finish(now_ms * 1000));
            }
        });
        if self.slots.iter().flatten().any(|slot| slot.step.is_some()) {
            self.moved_at_ms.get_or_insert(now_ms);
        }
        self.rows += taken.records as usize;
        self.rejected.iter_mut().zip(taken.rejected).for_each(|(sum, count)| *sum += count);
        self.bytes += taken.bytes as usize;
        taken
    }

    /// The partition's end was reached: offsets before `offset` that brought no record are absent.
    pub fn reach(&mut self, partition: i32, offset: i64, now_ms: i64) {
        let Some(slot) = self.slot(partition) else { return };
        if slot.reach(slot.target.map_or(offset, |target| offset.min(target))) {
            self.moved_at_ms.get_or_insert(now_ms);
        }
    }

    /// Ends the batch: the last chunk goes to `writer`, the steps come back and what was rejected;
    /// positions stay.
    pub fn close(
        &mut self,
        writer: &mut Writer,
        now_ms: i64,
    ) -> Result<(BTreeMap<i32, Step>, ByClass), CatalogError> {
        if self.decoder.rows() > 0 {
            writer.push(self.decoder.finish(now_ms * 1000))?;
        }
        (self.rows, self.bytes, self.moved_at_ms) = (0, 0, None);
        let slots = self.slots.iter_mut().enumerate();
        let steps = slots.filter_map(|(i, slot)| Some((i as i32, slot.as_mut()?.step.take()?)));
        Ok((steps.collect(), std::mem::take(&mut self.rejected)))
    }

    /// Decodes by another contract from the next record on; the batch must be closed, or empty.
    pub fn decode_by(&mut self, decoder: Decoder) {
        debug_assert_eq!(self.decoder.rows(), 0);
        self.decoder = decoder;
    }

    /// Throws the batch away; returns how many records it held. The partitions stay held, but nothing
    /// of them is taken until they begin again.
    pub fn abandon(&mut self) -> u64 {
        let records = self.rows as u64;
        if self.decoder.rows() > 0 {
            drop(self.decoder.finish(0));
        }
        self.rejected = ByClass::default();
        (self.rows, self.bytes, self.moved_at_ms) = (0, 0, None);
        for slot in self.slots.iter_mut().flatten() {
            *slot =
                Slot { position: i64::MAX, target: None, step: None, probe: None, time_ms: None };
        }
        records
    }

    fn slot(&mut self, partition: i32) -> Option<&mut Slot> {
        self.slots.get_mut(partition as usize)?.as_mut()
    }

    fn take_one(&mut self, record: &Record<'_>, taken: &mut Taken) {
        let Some(slot) = self.slots.get_mut(record.partition as usize).and_then(Option::as_mut)
        else {
            taken.passed_over += 1;
            return;
        };
        if let Some(target) = slot.target.filter(|target| record.offset >= *target) {
            // In-order delivery: whatever lies before the target and did not come is absent.
            slot.reach(target);
            taken.passed_over += 1;
            return;
        }
        if record.offset < slot.position {
            if slot
                .probe
                .take_if(|probe| probe.offset == record.offset)
                .is_some_and(|probe| probe != fingerprint(record))
            {
                taken.other_record = Some((record.partition, record.offset));
            }
            taken.passed_over += 1;
            return;
        }
        let step = slot.step.get_or_insert(Step::at(slot.position));
        // Offsets between two records of one partition: transaction markers, aborted transactions,
        // records that compaction removed.
        step.absent += record.offset - slot.position;
        step.until = record.offset + 1;
        slot.position = record.offset + 1;
        slot.time_ms = slot.time_ms.max(record.timestamp_ms);
        if self.fingerprints {
            step.last = Some(fingerprint(record));
        }
        match self.decoder.push(record) {
            Outcome::Accepted { .. } => step.rows += 1,
            Outcome::Rejected(class) => {
                step.rejected += 1;
                let index = RejectClass::ALL.iter().position(|c| *c == class).unwrap_or_default();
                taken.rejected[index] += 1;
            }
        }
        taken.records += 1;
        taken.bytes += record.value.map_or(0, <[u8]>::len) as u64;
    }
}

fn fingerprint(record: &Record<'_>) -> Fingerprint {
    Fingerprint {
        offset: record.offset,
        time_ms: record.timestamp_ms.unwrap_or(-1),
        crc: {
            let mut hasher = crc32fast::Hasher::new();
            hasher.update(record.key.unwrap_or_default());
            hasher.update(record.value.unwrap_or_default());
            hasher.finalize()
        },
    }
}
