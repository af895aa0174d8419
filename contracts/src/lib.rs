//! The pure half of Weir: what a record must look like, what it becomes, and how far a table has come.
//!
//! - [`contract`]: a stream's data contract (Open Data Contract Standard 3.2 YAML) and its checks.
//! - [`decode`]: bytes of Kafka records → Arrow columns and rejects.
//! - [`progress`]: the vector of offsets that every table carries, and the rules by which it moves.
//! - [`coverage`]: up to when all that a stream brought is in its table.
//! - [`infer`]: records that were seen → a first contract.
//! - [`reference`]: CSV files to the rows that a reference table lacks.
//! - [`rule`]: what must hold between the columns of a row.
//! - [`privacy`]: keyed hashes in place of personal data.
//! - [`class`]: the closed lists of error and reject classes.
//! - [`yaml`]: YAML files with the place of every value.
//! - [`names`]: every name that is written to disk or to the wire.
//!
//! Nothing here does IO, reads a clock or draws a random number.

pub mod class;
pub mod contract;
pub mod coverage;
pub mod decode;
pub mod infer;
pub mod names;
pub mod privacy;
pub mod progress;
pub mod reference;
pub mod rule;
mod time;
pub mod yaml;
