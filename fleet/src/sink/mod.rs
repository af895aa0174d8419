//! Where records go.

pub mod files;
pub mod kafka;

use crate::error::FleetError;
use crate::stream::Stream;

/// A record that is sent.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// Decides the topic.
    pub stream: Stream,
    /// Who speaks: all records of a key stay in order.
    pub key: &'a [u8],
    /// The value; none for a tombstone.
    pub value: Option<&'a [u8]>,
    /// Kafka time, ms since 1970.
    pub time_ms: i64,
}

/// Takes records.
pub trait Sink {
    /// Takes one; may wait until there is room.
    fn put(&mut self, record: &Record<'_>) -> Result<(), FleetError>;

    /// There is nothing to send for a moment.
    fn idle(&mut self) -> Result<(), FleetError> {
        Ok(())
    }

    /// Returns when everything has arrived.
    fn finish(&mut self) -> Result<(), FleetError>;
}
