//! Bytes of Kafka records to Arrow columns and rejects: every record becomes exactly one row.
//!
//! A record's value is one JSON object. Each column of the contract takes the member at its path;
//! members that no column claims go to `_extra` as they came. A record that breaks the contract is
//! a row too: its columns are null, `_error` says why, and `_value` keeps its bytes.
//!
//! # What a value may be
//! - *Missing*: null counts as absent. `event_time` is always required, the rest by the event's
//!   type.
//! - *Integers* are integer literals; `5.0` and `5e0` are of the wrong type.
//! - *Decimals* are read from the number's text and never rounded: `1.500` and `1e-2` are exact in
//!   `decimal(18,4)`, `0.00001` is out of range.
//! - *Doubles* are correctly rounded and finite; what is too small becomes zero. Zero has no sign:
//!   readers differ in whether `-0.0` equals `0.0`.
//! - *Times* are RFC 3339 with a zone; digits behind the sixth are cut; leap seconds are refused.
//!   The event's time lies between the contract's lower bound and the record's Kafka time plus the
//!   skew allowed, both inclusive.
//! - *Strings* may hold escapes, but no escape of half a surrogate pair, here and everywhere in the
//!   record: that is not JSON of any text.
//! - `NaN`, `Infinity` and `-Infinity` are out of range where a number belongs, else not JSON.
//!
//! # Which fault is reported
//! Of several, the first in this order: null value; value too large; not UTF-8; not JSON or too
//! deep, whichever comes first in the text; duplicate member; the fault of `event_type`; faults of
//! the other columns (missing, wrong type, out of range, bad time) in the contract's order, an
//! object that is none standing at its first column; `_extra` too large.

mod column;
mod convert;
mod decoder;
mod extra;
mod general;
mod number;
mod plan;
mod promoted;
mod redact;
mod reject;
mod reserved;
mod scan;
mod shapes;
mod sink;
mod store;
#[cfg(test)]
mod tests;

use arrow_array::RecordBatch;

use crate::class::RejectClass;

pub use self::decoder::Decoder;
pub(crate) use self::plan::arrow_type;
pub use self::plan::raw_schema;
pub use self::promoted::Promoted;
pub use self::reserved::read_headers;

/// A Kafka record.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// Partition.
    pub partition: i32,
    /// Offset in the partition.
    pub offset: i64,
    /// The record's timestamp, ms since 1970; none where it has none: then nothing bounds the
    /// event's time from above.
    pub timestamp_ms: Option<i64>,
    /// The record's key.
    pub key: Option<&'a [u8]>,
    /// The record's value.
    pub value: Option<&'a [u8]>,
    /// The record's headers, in order.
    pub headers: &'a [(&'a str, Option<&'a [u8]>)],
}

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Its columns are filled.
    Accepted {
        /// µs since 1970.
        event_time_us: i64,
    },
    /// Its `_error` is filled.
    Rejected(RejectClass),
}

/// Rows decoded together, in the order of their records.
#[derive(Debug, Clone)]
pub struct Chunk {
    /// The rows, with [`raw_schema`].
    pub batch: RecordBatch,
    /// Per row: the day of its event time since 1970-01-01; none for a reject.
    pub days: Vec<Option<i32>>,
    /// How many rows are rejects.
    pub rejected: usize,
}
