//! Where each partition stands, by our own count. Pure.
//!
//! librdkafka keeps positions too, but those that its batch call leaves are not to be relied on: an
//! end-of-partition entry moves them one too far (librdkafka issue 4844, fixed after 2.12), and a
//! rebalance then skips a record. So every rebalance is followed by a seek to the positions here,
//! and what lies below them is dropped.

/// The partitions of this member.
#[derive(Debug, Default)]
pub(super) struct Positions {
    // Indexed by partition.
    slots: Vec<Slot>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Not ours, or being revoked.
    Absent,
    /// Started, and nothing has come yet.
    Silent,
    /// Something has come since the start.
    Running,
    /// An error stopped it.
    Halted,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    state: State,
    /// The least offset that may still be delivered.
    next: i64,
}

impl Positions {
    /// Begins a partition at an offset, anew if it was there.
    pub(super) fn start(&mut self, partition: i32, offset: i64) {
        let Ok(index) = usize::try_from(partition) else { return };
        if self.slots.len() <= index {
            self.slots.resize(index + 1, Slot { state: State::Absent, next: 0 });
        }
        self.slots[index] = Slot { state: State::Silent, next: offset };
    }

    /// Forgets a partition: nothing of it is delivered any more.
    pub(super) fn remove(&mut self, partition: i32) {
        if let Some(slot) = self.slot(partition) {
            slot.state = State::Absent;
        }
    }

    /// Stops a partition where it stands.
    pub(super) fn halt(&mut self, partition: i32) {
        if let Some(slot) = self.slot(partition).filter(|slot| slot.state != State::Absent) {
            slot.state = State::Halted;
        }
    }

    /// Whether to deliver the record at `offset`; if so the partition moves past it.
    #[inline]
    pub(super) fn record(&mut self, partition: i32, offset: i64) -> bool {
        match self.slot(partition) {
            Some(slot) if slot.delivers() && offset >= slot.next => {
                *slot = Slot { state: State::Running, next: offset + 1 };
                true
            }
            _ => false,
        }
    }

    /// Notes that the partition has nothing before `offset` left; false if it must not be told.
    pub(super) fn end(&mut self, partition: i32, offset: i64) -> bool {
        match self.slot(partition) {
            Some(slot) if slot.delivers() && offset >= slot.next => {
                *slot = Slot { state: State::Running, next: offset };
                true
            }
            _ => false,
        }
    }

    /// The next offset, if the partition delivers records.
    pub(super) fn next(&self, partition: i32) -> Option<i64> {
        let slot = self.slots.get(usize::try_from(partition).ok()?)?;
        slot.delivers().then_some(slot.next)
    }

    /// Whether the partition is ours, halted or not.
    pub(super) fn holds(&self, partition: i32) -> bool {
        usize::try_from(partition)
            .ok()
            .and_then(|index| self.slots.get(index))
            .is_some_and(|slot| slot.state != State::Absent)
    }

    /// Every partition of ours.
    pub(super) fn all(&self) -> Vec<i32> {
        self.select(|slot| slot.state != State::Absent).into_iter().map(|(p, _)| p).collect()
    }

    /// Partitions of which something has come: librdkafka's position of them may be wrong.
    pub(super) fn running(&self) -> Vec<(i32, i64)> {
        self.select(|slot| slot.state == State::Running)
    }

    /// Partitions of which nothing has come yet.
    pub(super) fn silent(&self) -> Vec<i32> {
        self.select(|slot| slot.state == State::Silent).into_iter().map(|(p, _)| p).collect()
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.slots.clear();
    }

    fn slot(&mut self, partition: i32) -> Option<&mut Slot> {
        self.slots.get_mut(usize::try_from(partition).ok()?)
    }

    fn select(&self, wanted: impl Fn(&Slot) -> bool) -> Vec<(i32, i64)> {
        let slots = self.slots.iter().enumerate().filter(|(_, slot)| wanted(slot));
        slots.map(|(index, slot)| (index as i32, slot.next)).collect()
    }
}

impl Slot {
    fn delivers(&self) -> bool {
        matches!(self.state, State::Silent | State::Running)
    }
}

/// How many records to ask for at once, so that a batch keeps to its bytes.
#[derive(Debug)]
pub(super) struct BatchSize {
    bytes: usize,
    /// Of a record, by what came lately.
    mean: usize,
}

impl BatchSize {
    const MOST: usize = 10_000;

    /// Batches of about `bytes`. Until the first has come, records are taken to be large.
    pub(super) fn new(bytes: usize) -> BatchSize {
        BatchSize { bytes, mean: 64 << 10 }
    }

    /// How many records to ask for.
    pub(super) fn records(&self) -> usize {
        (self.bytes / self.mean).clamp(1, BatchSize::MOST)
    }

    /// Learns from a batch. Growth is believed at once, shrinking by and by.
    pub(super) fn learn(&mut self, records: usize, bytes: usize) {
        if let Some(mean) = bytes.checked_div(records) {
            self.mean = mean.max(self.mean / 2).max(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rising_offsets_of_started_partitions_are_delivered() {
        let mut positions = Positions::default();
        assert!(!positions.record(0, 0), "never started");
        positions.start(2, 10);
        assert!(!positions.record(2, 9), "before the start");
        assert!(positions.record(2, 10));
        assert!(!positions.record(2, 10), "twice");
        assert!(positions.record(2, 15), "a gap is allowed");
        assert_eq!(positions.next(2), Some(16));
        assert!(!positions.record(1, 100), "another partition");
        positions.remove(2);
        assert!(!positions.record(2, 16), "revoked");
        assert_eq!(positions.next(2), None);
    }

    #[test]
    fn an_end_counts_unless_records_came_after_it() {
        let mut positions = Positions::default();
        positions.start(0, 0);
        assert!(positions.end(0, 0), "an empty partition");
        assert!(positions.record(0, 0));
        assert!(!positions.end(0, 0), "older than what came");
        assert!(positions.end(0, 7), "past markers");
        assert!(!positions.record(0, 6));
        assert!(positions.record(0, 7));
    }

    #[test]
    fn a_restart_goes_back_and_a_halted_partition_is_silent_until_then() {
        let mut positions = Positions::default();
        positions.start(0, 0);
        assert!(positions.record(0, 5));
        assert_eq!(positions.running(), [(0, 6)]);
        positions.halt(0);
        assert!(!positions.record(0, 6));
        assert!(positions.holds(0));
        assert_eq!(positions.all(), [0]);
        assert_eq!(positions.running(), []);
        positions.start(0, 3);
        assert_eq!(positions.silent(), [0]);
        assert!(positions.record(0, 3));
        assert_eq!(positions.silent(), [] as [i32; 0]);
    }

    #[test]
    fn halting_what_is_not_ours_does_not_make_it_ours() {
        let mut positions = Positions::default();
        positions.start(1, 0);
        positions.halt(0);
        positions.halt(-1);
        assert_eq!(positions.all(), [1]);
    }

    #[test]
    fn batches_follow_the_size_of_records() {
        let mut size = BatchSize::new(8 << 20);
        assert_eq!(size.records(), 128);
        for _ in 0..20 {
            size.learn(100, 100 * 700);
        }
        assert_eq!(size.records(), BatchSize::MOST);
        size.learn(4, 4 << 20);
        assert_eq!(size.records(), 8);
        size.learn(0, 0);
        assert_eq!(size.records(), 8);
    }
}
