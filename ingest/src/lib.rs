//! From Kafka to the raw table of a stream.
//!
//! - [`source`]: what ingest asks of a log of records; [`kafka`] is the real one.

pub mod kafka;
pub mod source;
