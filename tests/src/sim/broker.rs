//! A topic and the group that reads it: rebalances, zombies, control records, compaction, retention.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use weir_contract::decode::Record;
use weir_contract::names::SourceId;
use weir_ingest::source::{Event, Identity, Records, Source, SourceError, Watermarks};

use super::clock::SimClock;
use super::rng::Rng;
use super::turn;

/// A member that was not heard of for this long loses its partitions.
const SESSION_MS: i64 = 6_000;

/// What stands at an offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A record with this value.
    Record(Vec<u8>),
    /// A transaction marker, or a record that compaction removed.
    Absent,
}

/// One partition's log.
#[derive(Debug, Default)]
pub struct Log {
    /// Everything ever produced, by offset.
    pub entries: Vec<Entry>,
    /// Kafka times of them, as producers said, ms.
    pub times_ms: Vec<i64>,
    /// The oldest offset that retention has left.
    pub low: i64,
}

impl Log {
    fn high(&self) -> i64 {
        self.entries.len() as i64
    }
}

#[derive(Debug, Default)]
struct Member {
    heard_ms: i64,
    /// Partitions that are its own, with the next offset to fetch; none before `start`.
    owned: BTreeMap<i32, Option<i64>>,
    /// What it must be told.
    events: VecDeque<Told>,
    /// Taken from it, not yet released.
    revoking: Vec<i32>,
    /// Partitions whose end it was told at this offset.
    ended: BTreeMap<i32, i64>,
}

#[derive(Debug)]
enum Told {
    Assigned(Vec<i32>),
    Revoked(Vec<i32>, bool),
    Reset,
}

/// The broker's state.
#[derive(Debug)]
pub struct Topic {
    /// The partitions' logs.
    pub logs: Vec<Log>,
    members: BTreeMap<u64, Member>,
    /// Partitions whose consumer groups members disagree about: rebalance at the next look.
    next_member: u64,
    /// Deaths of clients that were told (`Event::Reset`).
    pub resets: u64,
}

/// The broker: shared by all members.
#[derive(Debug, Clone)]
pub struct Broker {
    topic: Arc<Mutex<Topic>>,
    clock: SimClock,
    rng: Rng,
    /// `restart` forgets to seek: the careless loop that the auditor must catch.
    pub forgets_to_seek: bool,
}

impl Broker {
    /// A topic with empty partitions.
    pub fn new(clock: SimClock, rng: Rng, partitions: usize) -> Broker {
        let logs = (0..partitions).map(|_| Log::default()).collect();
        let topic = Topic { logs, members: BTreeMap::new(), next_member: 0, resets: 0 };
        Broker { topic: Arc::new(Mutex::new(topic)), clock, rng, forgets_to_seek: false }
    }

    /// The state.
    pub fn lock(&self) -> MutexGuard<'_, Topic> {
        self.topic.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A member joins the group.
    pub fn join(&self) -> SimSource {
        let mut topic = self.lock();
        let id = topic.next_member;
        topic.next_member += 1;
        let member = Member { heard_ms: self.clock.now(), ..Member::default() };
        topic.members.insert(id, member);
        SimSource { broker: self.clone(), id }
    }

    /// Kills a member's client: it is told so, and joins again.
    pub fn reset_one(&self) {
        let mut topic = self.lock();
        let ids: Vec<u64> = topic.members.keys().copied().collect();
        if ids.is_empty() {
            return;
        }
        let id = *self.rng.pick(&ids);
        if let Some(member) = topic.members.get_mut(&id) {
            member.owned.clear();
            member.revoking.clear();
            member.events.clear();
            member.events.push_back(Told::Reset);
        }
        topic.resets += 1;
    }

    /// Retention takes the oldest part of one partition's log.
    pub fn forget(&self, rng: &Rng) {
        let mut topic = self.lock();
        let index = rng.below(topic.logs.len() as u64) as usize;
        let log = &mut topic.logs[index];
        log.low += rng.below((log.high() - log.low) as u64 / 2 + 1) as i64;
    }

    /// Members that were not heard of are thrown out; every partition is brought to a live member.
    pub fn rebalance(&self) {
        let now_ms = self.clock.now();
        let mut topic = self.lock();
        let topic = &mut *topic;
        let live: Vec<u64> = topic
            .members
            .iter()
            .filter(|(_, member)| now_ms - member.heard_ms < SESSION_MS)
            .map(|(id, _)| *id)
            .collect();
        for member in topic.members.values_mut() {
            if now_ms - member.heard_ms >= SESSION_MS && !member.owned.is_empty() {
                // A zombie: it will be told when it wakes.
                let lost: Vec<i32> = member.owned.keys().copied().collect();
                member.owned.clear();
                member.revoking.clear();
                member.events.clear();
                member.events.push_back(Told::Revoked(lost, true));
            }
        }
        if live.is_empty() {
            return;
        }
        for partition in 0..topic.logs.len() as i32 {
            let wanted = live[partition as usize % live.len()];
            let owner = topic
                .members
                .iter()
                .find(|(_, m)| m.owned.contains_key(&partition))
                .map(|(id, _)| *id);
            match owner {
                Some(owner) if owner != wanted && self.rng.one_in(3) => {
                    let Some(member) = topic.members.get_mut(&owner) else { continue };
                    // Cooperative: it keeps the partition until it releases it.
                    if member.events.is_empty() && member.revoking.is_empty() {
                        member.revoking.push(partition);
                        member.events.push_back(Told::Revoked(vec![partition], false));
                    }
                }
                None => {
                    let Some(member) = topic.members.get_mut(&wanted) else { continue };
                    member.owned.insert(partition, None);
                    member.events.push_back(Told::Assigned(vec![partition]));
                }
                _ => {}
            }
        }
    }
}

/// One member's view of the broker.
#[derive(Debug)]
pub struct SimSource {
    broker: Broker,
    id: u64,
}

/// Records of one partition, as the loop gets them.
#[derive(Debug)]
pub struct SimRecords {
    partition: i32,
    /// Offset, Kafka time, value.
    records: Vec<(i64, i64, Vec<u8>)>,
}

impl Records for SimRecords {
    fn len(&self) -> usize {
        self.records.len()
    }

    fn bytes(&self) -> usize {
        self.records.iter().map(|(_, _, value)| value.len()).sum()
    }

    fn for_each(&self, f: &mut dyn FnMut(&Record<'_>)) {
        for (offset, time_ms, value) in &self.records {
            f(&Record {
                partition: self.partition,
                offset: *offset,
                timestamp_ms: Some(*time_ms),
                key: None,
                value: Some(value),
                headers: &[],
            });
        }
    }
}

impl SimSource {
    /// The member dies without a word; the group notices after the session time-out.
    pub fn id(&self) -> u64 {
        self.id
    }

    fn fetch(&self) -> Option<Event<SimRecords>> {
        let mut topic = self.broker.lock();
        let topic = &mut *topic;
        let member = topic.members.get_mut(&self.id)?;
        let started: Vec<(i32, i64)> =
            member.owned.iter().filter_map(|(p, at)| Some((*p, (*at)?))).collect();
        if started.is_empty() {
            return None;
        }
        let (partition, mut at) = *self.broker.rng.pick(&started);
        let log = &topic.logs[partition as usize];
        if at < log.low {
            return Some(Event::OutOfRange { partition, position: at });
        }
        if at >= log.high() {
            if member.ended.insert(partition, at) == Some(at) {
                return None;
            }
            return Some(Event::End { partition, offset: at });
        }
        if self.broker.rng.one_in(20) {
            // A broker may deliver again.
            at = (at - self.broker.rng.below(5) as i64).max(log.low);
        }
        let until = (at + 1 + self.broker.rng.below(30) as i64).min(log.high());
        let records = (at..until).filter_map(|offset| match &log.entries[offset as usize] {
            Entry::Record(value) => Some((offset, log.times_ms[offset as usize], value.clone())),
            Entry::Absent => None,
        });
        let records: Vec<_> = records.collect();
        member.owned.insert(partition, Some(until));
        Some(Event::Records(SimRecords { partition, records }))
    }

    fn told(&self) -> Option<Event<SimRecords>> {
        let mut topic = self.broker.lock();
        let now_ms = self.broker.clock.now();
        let member = topic.members.entry(self.id).or_default();
        member.heard_ms = now_ms;
        Some(match member.events.pop_front()? {
            Told::Assigned(partitions) => Event::Assigned(partitions),
            Told::Revoked(partitions, lost) => Event::Revoked { partitions, lost },
            Told::Reset => Event::Reset("another client took the name".into()),
        })
    }
}

#[async_trait(?Send)]
impl Source for SimSource {
    type Batch = SimRecords;

    async fn identity(&mut self) -> Result<Identity, SourceError> {
        turn().await;
        let partitions = (0..self.broker.lock().logs.len() as i32).collect();
        let source = SourceId {
            cluster: "sim".into(),
            topic: "vending.health".into(),
            topic_id: "topic-1".into(),
        };
        Ok(Identity { source, partitions })
    }

    async fn next(
        &mut self,
        wait: Duration,
        records: bool,
    ) -> Result<Event<SimRecords>, SourceError> {
        turn().await;
        if let Some(event) = self.told() {
            return Ok(event);
        }
        if records && let Some(event) = self.fetch() {
            return Ok(event);
        }
        let ends_ms = self.broker.clock.now() + wait.as_millis() as i64;
        while self.broker.clock.now() < ends_ms {
            turn().await;
        }
        Ok(Event::Idle)
    }

    async fn start(&mut self, offsets: &[(i32, i64)]) -> Result<(), SourceError> {
        turn().await;
        let mut topic = self.broker.lock();
        if let Some(member) = topic.members.get_mut(&self.id) {
            for (partition, offset) in offsets {
                member.ended.remove(partition);
                if let Some(at) = member.owned.get_mut(partition) {
                    *at = Some(*offset);
                }
            }
        }
        Ok(())
    }

    async fn restart(&mut self, offsets: &[(i32, i64)]) -> Result<(), SourceError> {
        if self.broker.forgets_to_seek {
            turn().await;
            return Ok(());
        }
        self.start(offsets).await
    }

    async fn release(&mut self) -> Result<(), SourceError> {
        turn().await;
        let mut topic = self.broker.lock();
        if let Some(member) = topic.members.get_mut(&self.id) {
            for partition in std::mem::take(&mut member.revoking) {
                member.owned.remove(&partition);
            }
        }
        Ok(())
    }

    async fn watermarks(&mut self, partitions: &[i32]) -> Result<Vec<Watermarks>, SourceError> {
        turn().await;
        let topic = self.broker.lock();
        let marks = partitions.iter().map(|partition| {
            let log = &topic.logs[*partition as usize];
            Watermarks { partition: *partition, low: log.low, high: log.high(), stable: log.high() }
        });
        Ok(marks.collect())
    }

    async fn record_times(
        &mut self,
        offsets: &[(i32, i64)],
    ) -> Result<Vec<Option<i64>>, SourceError> {
        turn().await;
        Ok(vec![None; offsets.len()])
    }

    async fn publish(&mut self, _: &[(i32, i64)]) {
        turn().await;
    }

    async fn close(self) {}
}
