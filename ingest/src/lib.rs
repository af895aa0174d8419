//! Kafka to raw Iceberg tables: the source, and the micro-batch loop that moves one table forward.
//!
//! - [`source`]: what the loop needs of a broker, as a trait; [`kafka`] is the real one.
//! - [`stream`]: one stream's ingest; its loop is `run`, with [`batch`], [`writer`] and [`flight`] as
//!   its parts.
//! - [`resume`] and [`flush`]: its decisions, pure.
//! - [`news`]: a contract that changes meanwhile.
//! - [`event`]: everything the loop tells, as one closed list.
//! - [`redrive`]: rejected rows through today's contract.
//! - [`topics`]: whether topics are set up as contracts ask.
//! - [`lag`]: how far a table is behind its topic.

pub mod batch;
pub mod event;
pub mod flight;
pub mod flush;
pub mod kafka;
pub mod lag;
pub mod news;
pub mod redrive;
pub mod resume;
mod run;
pub mod source;
pub mod stream;
pub mod topics;
pub mod writer;
