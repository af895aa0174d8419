//! How the memory of a query is divided. DataFusion's `FairSpillPool` gives each operator that could
//! spill the same part; a query has dozens of them, most of which hold next to nothing, and the one that
//! needs memory spills at a hundredth of it. Here whoever comes first may have more, but never what the
//! others need to go on.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::{
    MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation, human_readable_size,
};

/// A bound of bytes. A half is for whoever comes first; of the other, three quarters are divided evenly
/// among the operators that can spill, so that each has its share whenever it comes, and a quarter is for
/// those that cannot.
#[derive(Debug)]
pub struct SharedPool {
    limit: usize,
    held: Mutex<Held>,
}

/// Who holds how much.
#[derive(Debug, Default)]
struct Held {
    /// Bytes of each operator that can spill, by its id.
    spillable: HashMap<usize, usize>,
    /// Bytes of all others.
    fixed: usize,
}

impl SharedPool {
    pub fn new(limit: usize) -> SharedPool {
        SharedPool { limit, held: Mutex::default() }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Held) -> T) -> T {
        // The numbers are whole after every change: a panic elsewhere cannot have torn them.
        act(&mut self.held.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Held {
    fn all(&self) -> usize {
        self.spillable.values().sum::<usize>() + self.fixed
    }

    /// How much more an operator may take: `of` is its id if it can spill.
    fn room(&self, limit: usize, of: Option<usize>) -> usize {
        let free = limit.saturating_sub(self.all());
        let share = limit * 3 / 8 / self.spillable.len().max(1);
        let others = self.spillable.iter().filter(|(id, _)| Some(**id) != of);
        let owed: usize = others.map(|(_, held)| share.saturating_sub(*held)).sum();
        let Some(id) = of else { return free.saturating_sub(owed) };
        let kept = (limit / 8).saturating_sub(self.fixed);
        let held = self.spillable.get(&id).copied().unwrap_or(0);
        free.saturating_sub(owed + kept).max(free.min(share.saturating_sub(held)))
    }

    fn add(&mut self, consumer: &MemoryConsumer, bytes: usize) {
        match consumer.can_spill() {
            true => *self.spillable.entry(consumer.id()).or_default() += bytes,
            false => self.fixed += bytes,
        }
    }
}

impl MemoryPool for SharedPool {
    fn register(&self, consumer: &MemoryConsumer) {
        if consumer.can_spill() {
            self.with(|held| held.add(consumer, 0));
        }
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.with(|held| held.spillable.remove(&consumer.id()));
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.with(|held| held.add(reservation.consumer(), additional));
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        let consumer = reservation.consumer();
        self.with(|held| {
            let bytes = match consumer.can_spill() {
                true => held.spillable.entry(consumer.id()).or_default(),
                false => &mut held.fixed,
            };
            *bytes = bytes.saturating_sub(shrink);
        });
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let consumer = reservation.consumer();
        self.with(|held| {
            let room = held.room(self.limit, consumer.can_spill().then_some(consumer.id()));
            if additional <= room {
                held.add(consumer, additional);
                return Ok(());
            }
            Err(DataFusionError::ResourcesExhausted(format!(
                "{} holds {}, wants {} more, and may have {} of {}",
                consumer.name(),
                human_readable_size(reservation.size()),
                human_readable_size(additional),
                human_readable_size(room),
                human_readable_size(self.limit)
            )))
        })
    }

    fn reserved(&self) -> usize {
        self.with(|held| held.all())
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.limit)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn consumer(pool: &Arc<dyn MemoryPool>, spills: bool) -> MemoryReservation {
        MemoryConsumer::new("x").with_can_spill(spills).register(pool)
    }

    /// As much as it gets, a byte at a time.
    fn fill(reservation: &mut MemoryReservation) -> usize {
        while reservation.try_grow(1).is_ok() {}
        reservation.size()
    }

    #[test]
    fn the_first_has_more_and_the_others_what_they_need() {
        let pool: Arc<dyn MemoryPool> = Arc::new(SharedPool::new(800));
        let mut all: Vec<MemoryReservation> = (0..3).map(|_| consumer(&pool, true)).collect();
        let mut fixed = consumer(&pool, false);
        // The half, and its own share of a hundred.
        assert_eq!(fill(&mut all[0]), 500);
        assert_eq!(fill(&mut all[1]), 100);
        assert_eq!(fill(&mut fixed), 100);
        assert_eq!(fill(&mut all[2]), 100);
        assert_eq!(pool.reserved(), 800);
        // What one gives back, whoever asks next may have, but for the others' shares.
        all[0].shrink(300);
        assert_eq!(fill(&mut fixed), 400);
        let gone = all.remove(0);
        drop(gone);
        drop(fixed);
        assert_eq!(pool.reserved(), 200);
        assert_eq!(fill(&mut all[0]), 550);
    }
}
