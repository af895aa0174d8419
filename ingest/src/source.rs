//! What ingest asks of a source of records: a topic's partitions, shared among the members of a
//! group, read from offsets that the caller names (the table's, never the group's).
//!
//! One task uses a source, and calls [`Source::next`] all the time: group membership lives on it.
//! A method may block its thread, `next` up to its `wait`.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use weir_contract::class::ErrorClass;
use weir_contract::decode::Record;
use weir_contract::names::SourceId;

/// What [`Source::next`] has to say.
#[derive(Debug)]
pub enum Event<B> {
    /// Records, of assigned and started partitions only. Within a partition offsets rise, and none
    /// comes twice unless the caller asked for it again; gaps are offsets without a record (markers,
    /// aborted transactions, compaction).
    Records(B),
    /// The end of what can be read now: every record below `offset` has been delivered. `offset` is
    /// the next that will be read, past trailing markers and aborted records.
    End {
        /// The partition.
        partition: i32,
        /// The next offset that will be read: the last stable offset.
        offset: i64,
    },
    /// The group has given these to this member: call [`Source::start`]. None at all means that the
    /// member belongs to the group and holds nothing.
    Assigned(Vec<i32>),
    /// The group takes these back; no more of their records will come. Call [`Source::release`]
    /// when done with them: until then the group waits, and no records of other partitions come.
    Revoked {
        /// The partitions.
        partitions: Vec<i32>,
        /// They already belong to somebody else, perhaps for long.
        lost: bool,
    },
    /// The offset to be read does not exist (retention, truncation, another topic of that name). The
    /// partition stands still until it is restarted.
    OutOfRange {
        /// The partition.
        partition: i32,
        /// The offset that was to be read.
        position: i64,
    },
    /// The membership died, for the reason given: every partition is lost. The source joins anew by
    /// itself; nothing has to be called.
    Reset(String),
    /// So many members of the group hold partitions; told some time after a rebalance, where the
    /// cluster says so.
    Members(usize),
    /// Nothing happened.
    Idle,
}

/// The offsets of a partition at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watermarks {
    /// The partition.
    pub partition: i32,
    /// The first offset that exists.
    pub low: i64,
    /// The offset after the last (read_uncommitted).
    pub high: i64,
    /// The last stable offset: the first of the earliest open transaction, or `high`.
    pub stable: i64,
}

/// What a source is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Cluster, topic, topic id.
    pub source: SourceId,
    /// Every partition of the topic, rising.
    pub partitions: Vec<i32>,
}

/// Why a source failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SourceError {
    /// What the caller can do about it.
    pub class: ErrorClass,
    /// What happened, where, and what to do.
    pub message: String,
}

impl SourceError {
    /// An error of that class.
    pub fn new(class: ErrorClass, message: impl fmt::Display) -> SourceError {
        SourceError { class, message: message.to_string() }
    }
}

/// A batch of records, in the order of arrival.
pub trait Records {
    /// How many.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Memory that the batch holds, bytes (an estimate that is rather too high).
    fn bytes(&self) -> usize;

    /// Calls `f` with each record.
    fn for_each(&self, f: &mut dyn FnMut(&Record<'_>));
}

/// A topic, as one member of a group reads it.
#[async_trait(?Send)]
pub trait Source {
    /// What [`Event::Records`] carries.
    type Batch: Records;

    /// Asks the cluster what the topic is now. Joins no group.
    async fn identity(&mut self) -> Result<Identity, SourceError>;

    /// Waits up to `wait` for something to happen; the first call joins the group. Without
    /// `records` only control events come, and membership goes on: that is how to hold back.
    async fn next(
        &mut self,
        wait: Duration,
        records: bool,
    ) -> Result<Event<Self::Batch>, SourceError>;

    /// Begins the partitions of the last [`Event::Assigned`], all of them, each at its offset.
    async fn start(&mut self, offsets: &[(i32, i64)]) -> Result<(), SourceError>;

    /// Reads every assigned partition again from the offset given: nothing that was queued before
    /// comes any more.
    async fn restart(&mut self, offsets: &[(i32, i64)]) -> Result<(), SourceError>;

    /// Gives up the partitions of the last [`Event::Revoked`].
    async fn release(&mut self) -> Result<(), SourceError>;

    /// The offsets of these partitions, all in one round trip. Joins no group.
    async fn watermarks(&mut self, partitions: &[i32]) -> Result<Vec<Watermarks>, SourceError>;

    /// Kafka time (ms since 1970) of the first readable record at or after each (partition,
    /// offset), in that order; none where there is no such record. Joins no group.
    async fn record_times(
        &mut self,
        offsets: &[(i32, i64)],
    ) -> Result<Vec<Option<i64>>, SourceError>;

    /// Publishes offsets for those who watch the group's lag. Never read back; failures are logged.
    async fn publish(&mut self, offsets: &[(i32, i64)]);

    /// Leaves the group (a static member stays in it, and may come back within its session).
    async fn close(self);
}
